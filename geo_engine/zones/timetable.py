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
        """Say for each (zone, moment) whether the zone is in force then."""
        answer = np.zeros(len(zone), dtype=bool)
        left = np.arange(len(zone))
        while len(left):
            asked, moment = zone[left], time_ms[left]
            known = (self._from_ms[asked] <= moment) & (moment < self._until_ms[asked])
            answer[left[known]] = self._open[asked[known]]
            left = left[~known]
            self._look_up(zone[left], time_ms[left])
        return answer

    def _look_up(self, zone: IntColumn, time_ms: IntColumn) -> None:
        """Renew the stretch of each zone asked about, from its earliest open question on."""
        order = np.lexsort((time_ms, zone))
        ordered = zone[order]
        first = np.ones(len(ordered), dtype=bool)
        first[1:] = ordered[1:] != ordered[:-1]
        for position, moment in zip(ordered[first].tolist(), time_ms[order][first].tolist(), strict=True):
            chosen = self._zones.zones[position]
            change = chosen.next_change_ms(moment)
            self._from_ms[position] = moment
            self._until_ms[position] = _NEVER_MS if change is None else change
            self._open[position] = chosen.in_force_at(moment)
