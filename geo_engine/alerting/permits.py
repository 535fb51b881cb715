"""Permits (通行证): who may be in which zone for how long although its rule applies to him."""

from __future__ import annotations

from bisect import bisect_right, insort

import numpy as np

from geo_engine.model import BoolColumn, IntColumn, Permit

__all__ = ["Permits"]


class Permits:
    """The permits of all users. They are few, and asked about only when a warning would be due otherwise."""

    def __init__(self) -> None:
        """Start with nobody holding any."""
        self._of_user: dict[int, tuple[Permit, ...]] = {}
        self._holders: IntColumn = np.empty(0, dtype=np.int64)
        self._stale = False
        # Ends of permits that were withdrawn stay: at such a moment nobody is found who is not due anyway.
        self._ends: list[tuple[int, str]] = []

    def put(self, u7: int, permits: tuple[Permit, ...]) -> None:
        """Set the permits of a user; none takes away what was there."""
        if permits == self._of_user.get(u7, ()):
            return
        self._of_user[u7] = permits
        if not permits:
            del self._of_user[u7]
        self._stale = True
        for permit in permits:
            insort(self._ends, (permit.until_ms, permit.zone_id))

    def held_by(self, u7: IntColumn) -> BoolColumn:
        """Say which users hold a permit for any zone. Cost: nothing while nobody does."""
        if self._stale:
            self._holders, self._stale = np.array(sorted(self._of_user), dtype=np.int64), False
        if not len(self._holders):
            return np.zeros(len(u7), dtype=np.bool_)
        held: BoolColumn = np.isin(u7, self._holders)
        return held

    def allows(self, u7: int, zone_id: str, time_ms: int) -> bool:
        """Say whether a permit of the user holds for the zone at the moment."""
        return any(permit.allows(zone_id, time_ms) for permit in self._of_user.get(u7, ()))

    def of(self, u7: IntColumn) -> dict[int, tuple[Permit, ...]]:
        """Return the permits of those of the given users who hold any. Cost: nothing while nobody does."""
        return {one: self._of_user[one] for one in u7[self.held_by(u7)].tolist()}

    def ends_between(self, after_ms: int, until_ms: int) -> list[tuple[int, str]]:
        """Return (time_ms, zone_id) of the permits that end in (after_ms, until_ms], in order."""
        low = bisect_right(self._ends, after_ms, key=_moment)
        return self._ends[low : bisect_right(self._ends, until_ms, key=_moment)]

    def next_end_ms(self, after_ms: int) -> int | None:
        """Return the first end of a permit after a moment, None = none."""
        place = bisect_right(self._ends, after_ms, key=_moment)
        return self._ends[place][0] if place < len(self._ends) else None


def _moment(end: tuple[int, str]) -> int:
    return end[0]
