"""What happened between users and zones, in columns, on its way from matching to judging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from geo_engine.model import (
    BoolColumn,
    CodeColumn,
    FloatColumn,
    IntColumn,
    TransitionReason,
    Transitions,
)

__all__ = ["APPROACH", "CROSS", "ENTER", "EXIT", "OPENED", "OWED", "Happenings", "Places", "in_order"]

_REASONS: Final = tuple(TransitionReason)
_KIND_BITS: Final = 3
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
        kind: int8, position in ``TransitionKind``, or ``OPENED``, or ``OWED``.
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

    @classmethod
    def plain(cls, at: Places, kind: int, *, reason: TransitionReason = TransitionReason.MOVED) -> Happenings:
        """Return happenings that no rule and no distance belongs to."""
        return cls.judged(at, kind, np.zeros(len(at), dtype=np.int64), reason=reason)

    @classmethod
    def judged(
        cls,
        at: Places,
        kind: int,
        concern: IntColumn,
        *,
        reason: TransitionReason = TransitionReason.MOVED,
        ahead: tuple[FloatColumn, FloatColumn, FloatColumn] | None = None,
    ) -> Happenings:
        """Return happenings with the ``Applicability`` of the rule in force (0 = none), and what lies ahead.

        ``ahead`` is (distance_m, eta_s, bearing_deg).
        """
        unknown = np.full(len(at), np.nan)
        distance_m, eta_s, bearing_deg = ahead or (unknown, unknown, unknown)
        return cls(
            at=at,
            kind=np.full(len(at), kind, dtype=np.int8),
            reason=np.full(len(at), _REASONS.index(reason), dtype=np.int8),
            due=concern > 0,
            unsure=concern == 1,
            distance_m=distance_m,
            eta_s=eta_s,
            bearing_deg=bearing_deg,
        )

    @classmethod
    def joined(cls, parts: Sequence[Happenings]) -> Happenings:
        """Join parts into one, ordered by time, user, kind, zone. Cost: about 20 ns a happening and column."""
        at = Places(*(np.concatenate([getattr(part.at, name) for part in parts]) for name in Places.__slots__))
        rest: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__ if name != "at"
        }
        order = in_order(at.time_ms, at.u7, rest["kind"], at.zone)
        return cls(at=at, **rest).take(order)

    def take(self, rows: IntColumn | BoolColumn) -> Happenings:
        """Return the given rows."""
        rest: dict[str, Any] = {name: getattr(self, name)[rows] for name in type(self).__slots__ if name != "at"}
        return Happenings(at=self.at.take(rows), **rest)

    def transitions(self, rows: IntColumn) -> Transitions:
        """Return the given rows as transitions to report."""
        at = self.at.take(rows)
        return Transitions(
            u7=at.u7,
            time_ms=at.time_ms,
            zone=at.zone,
            kind=self.kind[rows],
            reason=self.reason[rows],
            lon=at.lon,
            lat=at.lat,
            distance_m=self.distance_m[rows],
            eta_s=self.eta_s[rows],
        )


def in_order(time_ms: IntColumn, u7: IntColumn, kind: CodeColumn, zone: IntColumn) -> IntColumn:
    """Return the rows ordered by time, user, kind, zone.

    Cost: one sort of one column where the four fit into 63 bits together, which a batch of some minutes over less than
    32,768 zones does; else one sort for each of them.
    """
    if not len(time_ms):
        return np.empty(0, dtype=np.int64)
    since_ms = time_ms - time_ms.min()
    bits = [int(column.max()).bit_length() for column in (u7, zone)]
    if int(since_ms.max()).bit_length() + bits[0] + _KIND_BITS + bits[1] > 63:
        return np.lexsort((zone, kind, u7, time_ms))
    key = ((since_ms << bits[0] | u7) << _KIND_BITS | kind.astype(np.int64)) << bits[1] | zone
    order = np.argsort(key)
    ordered = key[order]
    # The fast sort is not stable, which only rows equal in all four could tell.
    return np.argsort(key, kind="stable") if (ordered[1:] == ordered[:-1]).any() else order
