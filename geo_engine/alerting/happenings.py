"""What happened between users and zones, in columns, on its way from matching to judging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from geo_engine.model import (
    BoolColumn,
    CodeColumn,
    FloatColumn,
    IntColumn,
    TransitionKind,
    Transitions,
)
from geo_engine.tracking.events import DWELLED

__all__ = ["Happenings", "Places"]

_DWELL: Final = tuple(TransitionKind).index(TransitionKind.DWELL)


@dataclass(frozen=True, slots=True)
class Places:
    """Who was where, when, at which zone; columns of one length."""

    u7: IntColumn
    time_ms: IntColumn
    zone: IntColumn
    lon: FloatColumn
    lat: FloatColumn

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.u7)

    def take(self, rows: IntColumn | BoolColumn) -> Places:
        """Return the given rows."""
        return Places(self.u7[rows], self.time_ms[rows], self.zone[rows], self.lon[rows], self.lat[rows])


@dataclass(frozen=True, slots=True)
class Happenings:
    """Happenings in columns.

    Attributes:
        at: who, when, which zone, where.
        kind: int8, a kind of ``geo_engine.tracking.events``.
        reason: int8, position in ``TransitionReason``.
        due: a rule that concerns the user is in force, so a warning may be due.
        unsure: ... and a field of the vehicle it asks for is unknown.
        distance_m: metres to the border, NaN unless approaching.
        eta_s: seconds to the border, NaN unless approaching.
        bearing_deg: direction of the border, NaN unless approaching.
    """

    at: Places
    kind: CodeColumn
    reason: CodeColumn
    due: BoolColumn
    unsure: BoolColumn
    distance_m: FloatColumn
    eta_s: FloatColumn
    bearing_deg: FloatColumn

    def __len__(self) -> int:
        """Return the number of happenings."""
        return len(self.kind)

    def take(self, rows: IntColumn | BoolColumn) -> Happenings:
        """Return the given rows."""
        columns = {name: getattr(self, name)[rows] for name in Happenings.__slots__ if name != "at"}
        return Happenings(self.at.take(rows), **columns)

    def transitions(self, rows: IntColumn) -> Transitions:
        """Return the given rows as transitions to report."""
        at = self.at.take(rows)
        return Transitions(
            u7=at.u7,
            time_ms=at.time_ms,
            zone=at.zone,
            kind=np.where(self.kind[rows] == DWELLED, _DWELL, self.kind[rows]).astype(np.int8),
            reason=self.reason[rows],
            lon=at.lon,
            lat=at.lat,
            distance_m=self.distance_m[rows],
            eta_s=self.eta_s[rows],
        )
