"""Who is concerned by which zone, and when: the two questions of the rules, answered for columns."""

from __future__ import annotations

import numpy as np

from geo_engine.model import BoolColumn, IntColumn, Vehicle, ZoneKind
from geo_engine.zones.applicability import ApplicabilityMatrix
from geo_engine.zones.timetable import Timetable
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["RuleBook"]


class RuleBook:
    """The rules of one zone set.

    Attributes:
        warnable: bool per zone: a warning can be about it. A venue is answered about, never warned about.
    """

    def __init__(self, zones: ZoneSet, default: Vehicle) -> None:
        """Judge the default vehicle (profile 0); look up schedules only when they are asked for."""
        self._matrix = ApplicabilityMatrix(zones, default)
        self._timetable = Timetable(zones)
        self._wanted: BoolColumn = np.zeros((0, len(zones)), dtype=np.bool_)
        self.warnable: BoolColumn = np.array([zone.kind is not ZoneKind.VENUE for zone in zones.zones], dtype=np.bool_)

    def profile_of(self, vehicle: Vehicle) -> int:
        """Return the profile number of a vehicle."""
        return self._matrix.row_of(vehicle)

    def wanted(self) -> BoolColumn:
        """Return the matrix (profiles x zones) of zones a user could be warned about; made anew for new profiles."""
        if len(self._wanted) != len(self._matrix.matrix):
            self._wanted = (self._matrix.matrix > 0) & self.warnable
        return self._wanted

    def concern(self, profile: IntColumn, zone: IntColumn) -> IntColumn:
        """Return the ``Applicability`` of each (profile, zone), NO for zones nobody is warned about."""
        return np.where(self.warnable[zone], self._matrix.matrix[profile, zone], 0).astype(np.int64)

    def in_force(self, zone: IntColumn, time_ms: IntColumn) -> BoolColumn:
        """Say for each (zone, moment) whether the zone is in force then."""
        return self._timetable.in_force(zone, time_ms)
