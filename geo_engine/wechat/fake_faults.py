"""What a tester can make the fake WeChat server do wrong."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["PUSH_FAULTS", "FakeFault", "FaultKind", "FaultPlan"]

_LONGEST_HANG_S: Final = 3_600.0


_MOST_COPIES: Final = 100
_LONGEST_SKEW_S: Final = 86_400.0 * 365
_SEND: Final = "message/template/send"


class FaultKind(StrEnum):
    """How an answer, or a push, goes wrong."""

    ERRCODE = "errcode"
    HANG = "hang"
    HTTP_500 = "http_500"
    HTML_200 = "html_200"
    CLOSE = "close"
    """The answer begins and never ends."""
    UNFOLLOW = "unfollow"
    """The person a message is for stops following while it is on its way."""
    DUPLICATE_PUSH = "duplicate_push"
    """A push comes ``count`` times more, at the same time."""
    REORDER_PUSH = "reorder_push"
    """A push waits until ``count`` later ones have come, or ``seconds``."""
    LOSE_ANSWER = "lose_answer"
    """The first ``count`` answers to a push do not arrive, so it is tried again."""
    SKEW_PUSH = "skew_push"
    """A push is signed with a clock that is ``seconds`` ahead (or behind)."""


PUSH_FAULTS: Final = frozenset(
    {FaultKind.DUPLICATE_PUSH, FaultKind.REORDER_PUSH, FaultKind.LOSE_ANSWER, FaultKind.SKEW_PUSH}
)
"""The faults that strike pushes; the others strike calls."""


@dataclass(frozen=True, slots=True)
class FakeFault:
    """One planned fault.

    Attributes:
        kind: how the answer goes wrong.
        errcode: the code answered by ``ERRCODE``.
        seconds: how long ``HANG`` waits before it answers; see the other kinds.
        times: number of calls or pushes it strikes, None = every one.
        path: it strikes calls whose path ends so, ``""`` = every call of the WeChat side; of a fault of pushes the type
            of the message or the name of the event, ``""`` = every push. None = template messages, or every push.
        taken: True = the request takes effect and only its answer is lost; False = nothing happens.
        count: see the kinds of pushes.
    """

    kind: FaultKind
    errcode: int = -1
    seconds: float = 0.0
    times: int | None = 1
    path: str | None = None
    taken: bool = False
    count: int = 1

    def strikes(self, name: str, *, push: bool) -> bool:
        """Say whether it strikes a call of a path, or a push of a name."""
        if push is not (self.kind in PUSH_FAULTS):
            return False
        if push:
            return not self.path or self.path == name
        return name.endswith(_SEND if self.path is None else self.path)

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
            seconds=_seconds(values),
            times=None if times == "always" else int(_number(values, "times", 1)),
            path=None if values.get("path") is None else str(values["path"]),
            taken=values.get("taken", False) is True,
            count=min(max(int(_number(values, "count", 1)), 1), _MOST_COPIES),
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
        return self._take(path, push=False)

    def take_push(self, kind: str) -> FakeFault | None:
        """Return the fault that strikes this push of a message type or event, as ``take`` does."""
        return self._take(kind, push=True)

    def _take(self, name: str, *, push: bool) -> FakeFault | None:
        with self._lock:
            for index, (fault, left) in enumerate(self._planned):
                if fault.strikes(name, push=push):
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


def _seconds(values: Mapping[str, object]) -> float:
    seconds = _number(values, "seconds", 0.0)
    if values.get("kind") == FaultKind.SKEW_PUSH:
        return min(max(seconds, -_LONGEST_SKEW_S), _LONGEST_SKEW_S)
    return min(max(seconds, 0.0), _LONGEST_HANG_S)


def _number(values: Mapping[str, object], name: str, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        message = f"{name}: found {value!r}, expected a finite number"
        raise ValueError(message)
    return value
