"""What really happened: visits, decided by true positions second by second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from benchmarks.quality.frame import Metres
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["OUTSIDE_S", "Stays", "Visits", "stays_of", "visits_of"]

OUTSIDE_S: Final = 60
"""An entry is a visit when the user was outside for so long before it."""


@dataclass(frozen=True, slots=True)
class Stays:
    """Maximal runs of seconds a user truly spent inside a zone, ordered by user, zone, begin.

    Attributes:
        user: column of the drives.
        zone: position of the zone.
        begin_s: first second inside.
        end_s: first second outside again, or the end of the record.
    """

    user: IntColumn
    zone: IntColumn
    begin_s: IntColumn
    end_s: IntColumn

    def __len__(self) -> int:
        """Return the number of stays."""
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Visits:
    """Entries after at least ``OUTSIDE_S`` outside: what a warning is for.

    Attributes:
        user: column of the drives.
        zone: position of the zone.
        time_s: moment of the entry, seconds from the begin of the record.
    """

    user: IntColumn
    zone: IntColumn
    time_s: FloatColumn

    def __len__(self) -> int:
        """Return the number of visits."""
        return len(self.user)


def stays_of(place: Metres, shapes: tuple[shapely.Polygon, ...]) -> Stays:
    """Find the stays of users.

    Args:
        place: true places (seconds, users, 2) in the frame of the shapes, one row a second; NaN = not on record.
        shapes: zones; a place on a border is inside.
    """
    seconds, users = place.shape[:2]
    tree = shapely.STRtree(shapes)
    user, zone, second = [], [], []
    for column in range(users):  # a user at a time keeps the memory of the points small
        there = np.flatnonzero(~np.isnan(place[:, column, 0]))
        found = tree.query(shapely.points(place[there, column]), predicate="intersects")
        user.append(np.full(found.shape[1], column))
        second.append(there[found[0]])
        zone.append(found[1])
    return _runs(np.concatenate(user), np.concatenate(zone), np.concatenate(second), seconds)


def _runs(user: IntColumn, zone: IntColumn, second: IntColumn, seconds: int) -> Stays:
    order = np.lexsort((second, zone, user))
    user, zone, second = user[order], zone[order], second[order]
    same = (user[1:] == user[:-1]) & (zone[1:] == zone[:-1]) & (second[1:] == second[:-1] + 1)
    begins = np.flatnonzero(np.concatenate([[True], ~same])) if len(user) else np.zeros(0, dtype=np.int64)
    ends = np.append(begins[1:], len(user))[: len(begins)] - 1
    return Stays(user[begins], zone[begins], second[begins], np.minimum(second[ends] + 1, seconds))


def visits_of(stays: Stays, first_s: IntColumn | None = None) -> Visits:
    """Return the stays that are visits; the time before a user's record began counts as unknown, not as outside.

    Args:
        stays: all stays.
        first_s: second at which each user's record begins, by default 0.
    """
    known_s = np.zeros(len(stays), dtype=np.int64) if first_s is None else first_s[stays.user]
    same: BoolColumn = (stays.user[1:] == stays.user[:-1]) & (stays.zone[1:] == stays.zone[:-1])
    left_s = known_s.copy()
    left_s[1:][same] = stays.end_s[:-1][same]
    kept = stays.begin_s - left_s >= OUTSIDE_S
    return Visits(stays.user[kept], stays.zone[kept], stays.begin_s[kept].astype(np.float64))
