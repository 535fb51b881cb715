"""Until when each zone is there, and which zones are there no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from geo_engine.model import BoolColumn, IntColumn
from geo_engine.tracking.state import NEVER_MS

__all__ = ["Validity"]

_NO_ENDS: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Validity:
    """The end of validity of every zone of a set, as far as time has come.

    A zone whose end has passed is retired: it stays in the set with its position, but nobody is inside it, enters or
    crosses it any more.

    Attributes:
        until_ms: int64 per zone: from this moment on it is not there, ``NEVER_MS`` = it stays.
        retired: bool per zone: its end has passed.
        some: whether any zone is retired.
        next_ms: the next end to come, ``NEVER_MS`` = none.
    """

    until_ms: IntColumn
    retired: BoolColumn
    some: bool
    next_ms: int

    @classmethod
    def of(cls, ends_ms: Iterable[int | None]) -> Self:
        """Begin with every zone there; ``ends_ms`` is ``valid_to_ms`` per zone. Cost: 0.1 us per zone."""
        until_ms = np.array([NEVER_MS if end is None else end for end in ends_ms], dtype=np.int64)
        retired = np.zeros(len(until_ms), dtype=np.bool_)
        return cls(until_ms, retired, some=False, next_ms=int(until_ms.min(initial=NEVER_MS)))

    def at(self, now_ms: int) -> Self:
        """Return the same with every zone retired whose end is not after ``now_ms``. Cost: a pass over the zones."""
        retired = self.retired | (self.until_ms <= now_ms)
        next_ms = int(self.until_ms[~retired].min(initial=NEVER_MS))
        return replace(self, retired=retired, some=bool(retired.any()), next_ms=next_ms)

    def ends_until(self, now_ms: int) -> IntColumn:
        """Return the moments, ascending and each once, at which zones that are still there end by ``now_ms``."""
        if now_ms < self.next_ms:
            return _NO_ENDS
        due = ~self.retired & (self.until_ms <= now_ms)
        ends: IntColumn = np.unique(self.until_ms[due])
        return ends
