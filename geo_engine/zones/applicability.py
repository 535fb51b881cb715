"""Which zones concern which vehicles, as a matrix of vehicle profiles by zones."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.errors import ConfigurationError
from geo_engine.model import Vehicle
from geo_engine.zones.edit import Edit
from geo_engine.zones.numbering import Numbering, numbered
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["MAX_PROFILES", "ApplicabilityMatrix"]

MAX_PROFILES: Final = 32_767
"""A user's row keeps the profile in 16 bits. Vehicles no rule can tell apart share one, so dozens are usual."""

_Profile = tuple[object, ...]


class ApplicabilityMatrix:
    """Judges each distinct vehicle profile once against every zone.

    Vehicles that no rule can tell apart share a row: of the plate only as many characters count as the longest prefix
    any zone asks for, of the weight only which limits it exceeds, of the service only whether some zone exempts it. So
    ten million vehicles make a few dozen rows. Row 0 is the default vehicle, which stands for users about whom nothing
    was said.

    Attributes:
        numbering: the rules, each distinct one once.
    """

    def __init__(
        self, zones: ZoneSet, default: Vehicle, before: Numbering | None = None, edit: Edit | None = None
    ) -> None:
        """Judge the default vehicle; others are judged when they first appear.

        Args:
            zones: the zones.
            default: the vehicle of row 0.
            before: ``numbering`` of the matrix of an earlier set, so that only altered zones are read.
            edit: what differs from that set.
        """
        self.numbering = numbered(zones, attrgetter("applies_to"), before, edit)
        self._rules = [zone.applies_to for zone in self.numbering.example]
        prefixes = [len(p) for rule in self._rules for p in (*rule.plate_prefixes, *rule.plate_prefixes_except)]
        self._plate_length = max(prefixes, default=0)
        limits = {rule.gross_weight_over_t for rule in self._rules}
        self._limits_t = sorted(limit for limit in limits if limit is not None)
        self._services = frozenset(service for rule in self._rules for service in rule.exempt)
        self._rows: dict[_Profile, int] = {}
        self._space: npt.NDArray[np.int8] = np.zeros((4, len(zones)), dtype=np.int8)
        self.row_of(default)

    @property
    def matrix(self) -> npt.NDArray[np.int8]:
        """``Applicability`` by (profile, zone)."""
        return self._space[: len(self._rows)]

    def row_of(self, vehicle: Vehicle) -> int:
        """Return the matrix row of a vehicle, adding it when it is the first of its profile.

        Cost: one look-up; for a new profile one judgement per distinct rule and a pass over the zones.

        Raises:
            ConfigurationError: the zones tell more than ``MAX_PROFILES`` vehicles apart.
        """
        profile = self._profile(vehicle)
        row = self._rows.get(profile)
        if row is None:
            row = len(self._rows)
            if row >= MAX_PROFILES:
                message = (
                    f"found more than {MAX_PROFILES} kinds of vehicle that the zones tell apart, expected fewer: "
                    "shorten the plate prefixes of the zones"
                )
                raise ConfigurationError(message)
            if row == len(self._space):
                self._space = np.concatenate([self._space, np.zeros_like(self._space)])
            judged = np.array([rule.judge(vehicle) for rule in self._rules], dtype=np.int8)
            self._space[row] = judged[self.numbering.of_zone]
            self._rows[profile] = row
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
