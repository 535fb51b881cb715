"""What is asked of a way of warning, and what it answers: the one interface all ways are measured through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import shapely

from geo_engine.model import IntColumn, PingBatch

__all__ = ["COVER_MS", "Findings", "Forecaster", "Ground", "Moments", "first_of_each_cover", "keys_of"]

COVER_MS: Final = 180_000
"""A warning covers so much time of its user and zone: another one within it is the same; in it it must come true."""

_TIME_BITS: Final = 40


@dataclass(frozen=True, slots=True)
class Ground:
    """What a way knows beforehand.

    Attributes:
        zones: polygons, WGS-84 degrees.
        roads: each street once, degrees; None = no map is at hand.
        history: pings of another day in the same city, from which habits may be learnt; None = there are none.
    """

    zones: tuple[shapely.Polygon, ...]
    roads: tuple[shapely.LineString, ...] | None = None
    history: PingBatch | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """Events of a user and a zone, in columns.

    Attributes:
        u7: the user.
        zone: position in ``Ground.zones``.
        time_ms: event time of the ping, epoch milliseconds.
    """

    u7: IntColumn
    zone: IntColumn
    time_ms: IntColumn

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.u7)

    def take(self, rows: IntColumn) -> Moments:
        """Return some of the events."""
        return Moments(self.u7[rows], self.zone[rows], self.time_ms[rows])

    @classmethod
    def none(cls) -> Moments:
        """Return no events."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty, empty)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a way says.

    Attributes:
        warnings: every warning, before a policy holds any back; repetitions may be in it.
        entries: what it took for an enter or a cross.
        exits: what it took for an exit.
    """

    warnings: Moments
    entries: Moments
    exits: Moments


class Forecaster(Protocol):
    """A way of warning. It is given no truth: pings, zones, and roads where the case has a map."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Judge the pings of all users, ordered by time; must not use a later ping for an earlier moment."""


def keys_of(u7: IntColumn, zone: IntColumn, time_ms: IntColumn, start_ms: int) -> IntColumn:
    """Return one sortable number per event: user, zone, milliseconds since ``start_ms`` (below 2 ** 39, 17 years).

    Numbers of one user and zone lie further than any cover from those of the next.
    """
    pair = u7.astype(np.int64) * 4096 + zone
    return np.asarray((pair << _TIME_BITS) + (time_ms - start_ms))


def first_of_each_cover(keys: IntColumn, cover_ms: int = COVER_MS) -> IntColumn:
    """Return the rows of sorted keys that are warnings of their own; one within the cover of such a one is none."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    pair = keys >> _TIME_BITS
    row = np.flatnonzero(np.concatenate([[True], pair[1:] != pair[:-1]]))
    kept = []
    while len(row):
        kept.append(row)
        later = np.searchsorted(keys, keys[row] + cover_ms, side="right")
        there = later < len(keys)
        row, later = row[there], later[there]
        row = later[pair[later] == pair[row]]
    return np.sort(np.concatenate(kept))
