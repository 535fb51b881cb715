"""The two clocks of the service: the time of day, and one that never steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Clocks", "steady_clock_ms", "wall_clock_ms"]


def wall_clock_ms() -> int:
    """Return the time of day in epoch milliseconds UTC."""
    return time.time_ns() // 1_000_000


_START_MS: Final = wall_clock_ms() - time.monotonic_ns() // 1_000_000


def steady_clock_ms() -> int:
    """Return the time of day at the start of the process plus the time passed since."""
    return _START_MS + time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both clocks, in epoch milliseconds UTC.

    Attributes:
        wall: the time of day; pings are judged by it, because devices tell theirs.
        steady: never steps; messages are kept, leased, sent and expired by it, so that a corrected wall clock neither
            holds a warning back nor lets one out late.
    """

    wall: Callable[[], int] = wall_clock_ms
    steady: Callable[[], int] = steady_clock_ms
