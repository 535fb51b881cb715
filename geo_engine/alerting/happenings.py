"""What happened between users and zones, in columns, on its way from matching to judging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from geo_engine.model import (
    BoolColumn,
    FloatColumn,
    IntColumn,
    TransitionKind,
    TransitionReason,
    Transitions,
)

__all__ = ["APPROACH", "CROSS", "ENTER", "EXIT", "OPENED", "OWED", "Happenings", "Places"]

_KINDS: Final = tuple(TransitionKind)
EXIT, CROSS, ENTER, APPROACH = range(4)
OPENED: Final = 4
"""Code of "the rule began to apply to a user who is inside": not a transition, but a reason to warn."""
OWED: Final = 5
"""Code of "the pings that showed the enter were too old to warn, this one is not": a reason to warn as well."""


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
        kind: position in ``TransitionKind``, or ``OPENED``, or ``OWED``.
        lost: the user went silent.
        due: a rule that concerns the user is in force, so a warning may be due.
        unsure: ... and a field of the vehicle it asks for is unknown.
        distance_m: metres to the border, NaN unless approaching.
        eta_s: seconds to the border, NaN unless approaching.
        bearing_deg: direction of the border, NaN unless approaching.
    """

    at: Places
    kind: IntColumn
    lost: BoolColumn
    due: BoolColumn
    unsure: BoolColumn
    distance_m: FloatColumn
    eta_s: FloatColumn
    bearing_deg: FloatColumn

    @classmethod
    def plain(cls, at: Places, kind: int, *, lost: bool = False) -> Happenings:
        """Return happenings that no rule and no distance belongs to."""
        return cls.judged(at, kind, np.zeros(len(at), dtype=np.int64), lost=lost)

    @classmethod
    def judged(
        cls,
        at: Places,
        kind: int,
        concern: IntColumn,
        *,
        lost: bool = False,
        ahead: tuple[FloatColumn, FloatColumn, FloatColumn] | None = None,
    ) -> Happenings:
        """Return happenings with the ``Applicability`` of the rule in force (0 = none), and what lies ahead.

        ``ahead`` is (distance_m, eta_s, bearing_deg).
        """
        unknown = np.full(len(at), np.nan)
        distance_m, eta_s, bearing_deg = ahead or (unknown, unknown, unknown)
        return cls(
            at=at,
            kind=np.full(len(at), kind, dtype=np.int64),
            lost=np.full(len(at), lost),
            due=concern > 0,
            unsure=concern == 1,
            distance_m=distance_m,
            eta_s=eta_s,
            bearing_deg=bearing_deg,
        )

    @classmethod
    def joined(cls, parts: Sequence[Happenings]) -> Happenings:
        """Join parts into one, ordered by time, user, kind, zone."""
        at = Places(*(np.concatenate([getattr(part.at, name) for part in parts]) for name in Places.__slots__))
        kind = np.concatenate([part.kind for part in parts])
        order = np.lexsort((at.zone, kind, at.u7, at.time_ms))
        rest: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])[order]
            for name in cls.__slots__
            if name not in ("at", "kind")
        }
        return cls(at=at.take(order), kind=kind[order], **rest)

    def transitions(self, rows: IntColumn) -> Transitions:
        """Return the given rows as transitions to report."""
        at = self.at.take(rows)
        moved, lost = TransitionReason.MOVED, TransitionReason.LOST
        return Transitions(
            u7=at.u7,
            time_ms=at.time_ms,
            zone=at.zone,
            kind=tuple(_KINDS[kind] for kind in self.kind[rows].tolist()),
            reason=tuple(lost if gone else moved for gone in self.lost[rows].tolist()),
            lon=at.lon,
            lat=at.lat,
            distance_m=self.distance_m[rows],
            eta_s=self.eta_s[rows],
        )
