"""Which zones concern which vehicles, as a matrix of vehicle profiles by zones."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from geo_engine.model import Vehicle
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ApplicabilityMatrix"]

_Profile = tuple[object, ...]


class ApplicabilityMatrix:
    """Judges each distinct vehicle profile once against every zone.

    Vehicles that no rule can tell apart share a row: of the plate only as many characters count as the longest prefix
    any zone asks for, of the weight only which limits it exceeds, of the service only whether some zone exempts it. So
    ten million vehicles make a few dozen rows. Row 0 is the default vehicle, which stands for users about whom nothing
    was said.
    """

    def __init__(self, zones: ZoneSet, default: Vehicle) -> None:
        """Judge the default vehicle; others are judged when they first appear."""
        self._rules = [zone.applies_to for zone in zones.zones]
        prefixes = [len(p) for rule in self._rules for p in (*rule.plate_prefixes, *rule.plate_prefixes_except)]
        self._plate_length = max(prefixes, default=0)
        limits = {rule.gross_weight_over_t for rule in self._rules}
        self._limits_t = sorted(limit for limit in limits if limit is not None)
        self._services = frozenset(service for rule in self._rules for service in rule.exempt)
        self._rows: dict[_Profile, int] = {}
        self.matrix: npt.NDArray[np.int8] = np.zeros((0, len(zones)), dtype=np.int8)
        self.row_of(default)

    def row_of(self, vehicle: Vehicle) -> int:
        """Return the matrix row of a vehicle, adding it when it is the first of its profile.

        Cost: one look-up; one judgement per zone for a new profile.
        """
        profile = self._profile(vehicle)
        row = self._rows.get(profile)
        if row is None:
            row = self._rows[profile] = len(self.matrix)
            judged = [rule.judge(vehicle) for rule in self._rules]
            self.matrix = np.vstack([self.matrix, np.array([judged], dtype=np.int8).reshape(1, len(self._rules))])
        return row

    def _profile(self, vehicle: Vehicle) -> _Profile:
        weight_t = vehicle.gross_weight_t
        return (
            vehicle.kind,
            vehicle.size_class,
            # A rule asks whether the weight is above its limit, so a weight on a limit belongs below it.
            None if weight_t is None else bisect_left(self._limits_t, weight_t),
            None if vehicle.plate is None else vehicle.plate[: self._plate_length],
            vehicle.service if vehicle.service in self._services else None,
        )
