"""Which zones concern which vehicles, as a matrix of vehicle profiles by zones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo_engine.model import Vehicle
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ApplicabilityMatrix"]

_Profile = tuple[object, ...]


class ApplicabilityMatrix:
    """Judges each distinct vehicle profile once against every zone.

    Vehicles that no rule can tell apart share a row: of the plate only as many characters count as the longest
    prefix any zone asks for, so ten million plates make a few dozen rows. Row 0 is the default vehicle, which
    stands for users about whom nothing was said.
    """

    def __init__(self, zones: ZoneSet, default: Vehicle) -> None:
        """Judge the default vehicle; others are judged when they first appear."""
        self._rules = [zone.applies_to for zone in zones.zones]
        prefixes = [len(p) for rule in self._rules for p in (*rule.plate_prefixes, *rule.plate_prefixes_except)]
        self._plate_length = max(prefixes, default=0)
        self._rows: dict[_Profile, int] = {}
        self.matrix: npt.NDArray[np.int8] = np.zeros((0, len(zones)), dtype=np.int8)
        self.row_of(default)

    def row_of(self, vehicle: Vehicle) -> int:
        """Return the matrix row of a vehicle, adding it when it is the first of its profile.

        Cost: one look-up; one judgement per zone for a new profile.
        """
        plate = None if vehicle.plate is None else vehicle.plate[: self._plate_length]
        profile = (vehicle.kind, vehicle.size_class, vehicle.gross_weight_t, plate, vehicle.service)
        row = self._rows.get(profile)
        if row is None:
            row = self._rows[profile] = len(self.matrix)
            judged = [rule.judge(vehicle) for rule in self._rules]
            self.matrix = np.vstack([self.matrix, np.array([judged], dtype=np.int8).reshape(1, len(self._rules))])
        return row
