"""Whether zones are in force at given moments, without asking a schedule twice for the same stretch of time."""

from __future__ import annotations

import numpy as np

from geo_engine.model import BoolColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Timetable"]

_NEVER_MS = np.iinfo(np.int64).max


class Timetable:
    """Remembers for every zone the stretch of time around the last question in which nothing changes.

    A schedule flips a few times a day, so nearly every question is one comparison of columns.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Know nothing yet: every stretch is empty."""
        self._zones = zones
        self._from_ms = np.zeros(len(zones), dtype=np.int64)
        self._until_ms = np.zeros(len(zones), dtype=np.int64)
        self._open = np.zeros(len(zones), dtype=bool)

    def in_force(self, zone: IntColumn, time_ms: IntColumn) -> BoolColumn:
        """Say for each (zone, moment) whether the zone is in force then.

        Cost: one comparison where the stretch is known; else a sort, and one look-up per stretch that is asked about.
        """
        known = (self._from_ms[zone] <= time_ms) & (time_ms < self._until_ms[zone])
        answer: BoolColumn = self._open[zone] & known
        if known.all():
            return answer
        left = np.flatnonzero(~known)
        left = left[np.lexsort((time_ms[left], zone[left]))]
        asked, moments = zone[left], time_ms[left]
        row = 0
        while row < len(left):
            self._look_up(int(asked[row]), int(moments[row]))
            # The questions are in order, so all that fall into this stretch follow at once.
            same_zone = int(np.searchsorted(asked, asked[row], side="right"))
            end = row + int(np.searchsorted(moments[row:same_zone], self._until_ms[asked[row]]))
            answer[left[row:end]] = self._open[asked[row]]
            row = end
        return answer

    def _look_up(self, position: int, moment: int) -> None:
        """Renew the stretch of a zone, from ``moment`` on."""
        chosen = self._zones.zones[position]
        change = chosen.next_change_ms(moment)
        self._from_ms[position] = moment
        self._until_ms[position] = _NEVER_MS if change is None else change
        self._open[position] = chosen.in_force_at(moment)
