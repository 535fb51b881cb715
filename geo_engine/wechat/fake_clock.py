"""The clock of the fake account: real time, moved on or held still when a tester says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["FakeClock", "wall_clock_ms"]


def wall_clock_ms() -> int:
    """Return the time of day in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class FakeClock:
    """Epoch milliseconds that pass by themselves unless stopped, and jump when told to. Safe for many threads.

    A service under test that checks how fresh pushes are must go by the same clock, or stay within its tolerance.

    Args:
        wall: real time.
    """

    def __init__(self, wall: Callable[[], int] = wall_clock_ms) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._ahead_ms = 0
        self._stopped_ms: int | None = None

    def __call__(self) -> int:
        """Return the account's time."""
        with self._lock:
            return self._now_ms()

    def advance(self, seconds: float) -> int:
        """Jump ahead and return the new time."""
        with self._lock:
            return self._set(self._now_ms() + round(1000 * seconds))

    def set(self, now_ms: int) -> int:
        """Jump to a moment and return it."""
        with self._lock:
            return self._set(now_ms)

    def stop(self) -> int:
        """Let no time pass until ``run``; ``advance`` and ``set`` still move it."""
        with self._lock:
            self._stopped_ms = self._now_ms()
            return self._stopped_ms

    def run(self) -> int:
        """Let time pass again, from where it stands."""
        with self._lock:
            now_ms = self._now_ms()
            self._stopped_ms = None
            return self._set(now_ms)

    def _now_ms(self) -> int:
        return self._wall() + self._ahead_ms if self._stopped_ms is None else self._stopped_ms

    def _set(self, now_ms: int) -> int:
        if self._stopped_ms is not None:
            self._stopped_ms = now_ms
        self._ahead_ms = now_ms - self._wall()
        return now_ms
