"""What a tester can make the fake WeChat server do wrong."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FakeFault", "FaultKind", "FaultPlan"]

_LONGEST_HANG_S: Final = 3_600.0


class FaultKind(StrEnum):
    """How an answer goes wrong."""

    ERRCODE = "errcode"
    HANG = "hang"
    HTTP_500 = "http_500"
    HTML_200 = "html_200"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class FakeFault:
    """One planned fault.

    Attributes:
        kind: how the answer goes wrong.
        errcode: the code answered by ``ERRCODE``.
        seconds: how long ``HANG`` waits before it answers.
        times: number of calls it strikes, None = every call.
        path: it strikes calls whose path ends so; ``""`` = every call of the WeChat side.
        taken: True = the request takes effect and only its answer is lost; False = nothing happens.
    """

    kind: FaultKind
    errcode: int = -1
    seconds: float = 0.0
    times: int | None = 1
    path: str = "message/template/send"
    taken: bool = False

    @classmethod
    def from_json(cls, values: object) -> FakeFault:
        """Build a fault from a JSON object with the attributes' names; ``"times": "always"`` strikes every call.

        Raises:
            TypeError, ValueError: a name or value is not one of those; the text says which.
        """
        if not isinstance(values, Mapping):
            message = f"found {type(values).__name__}, expected a JSON object"
            raise TypeError(message)
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            message = f"found {', '.join(unknown)}, expected {', '.join(cls.__dataclass_fields__)}"
            raise ValueError(message)
        times = values.get("times", 1)
        return cls(
            kind=FaultKind(str(values.get("kind"))),
            errcode=int(_number(values, "errcode", -1)),
            seconds=min(max(_number(values, "seconds", 0.0), 0.0), _LONGEST_HANG_S),
            times=None if times == "always" else int(_number(values, "times", 1)),
            path=str(values.get("path", "message/template/send")),
            taken=values.get("taken", False) is True,
        )


class FaultPlan:
    """The faults still to come, in the order they were planned. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[tuple[FakeFault, int | None]] = []

    def add(self, fault: FakeFault) -> None:
        """Plan ``fault`` after those already planned."""
        with self._lock:
            self._planned.append((fault, fault.times))

    def clear(self) -> None:
        """Forget every planned fault."""
        with self._lock:
            self._planned.clear()

    def pending(self) -> tuple[FakeFault, ...]:
        """Return the faults that have calls left to strike."""
        with self._lock:
            return tuple(fault for fault, _ in self._planned)

    def take(self, path: str) -> FakeFault | None:
        """Return the fault that strikes this call of ``path``, using up one of its times; None = all goes well."""
        with self._lock:
            for index, (fault, left) in enumerate(self._planned):
                if path.endswith(fault.path):
                    self._use_up(index, left)
                    return fault
        return None

    def _use_up(self, index: int, left: int | None) -> None:
        if left is None:
            return
        if left > 1:
            self._planned[index] = (self._planned[index][0], left - 1)
        else:
            del self._planned[index]


def _number(values: Mapping[str, object], name: str, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        message = f"{name}: found {value!r}, expected a finite number"
        raise ValueError(message)
    return value
