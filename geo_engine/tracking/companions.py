"""Companions: pairs of users who want to hear when the other is near, and when they part.

Columns over pairs: a step takes where both users of each pair are and gives what changed. Time is an argument, and the
state is one flag a pair. The distance is the true one (``geodesy.measure``), not a box of degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from geo_engine.geodesy.measure import distance_m
from geo_engine.model import BoolColumn, CodeColumn, FloatColumn, IntColumn

__all__ = ["Changes", "CompanionChange", "Companions", "Seen"]


class CompanionChange(StrEnum):
    """What changed between two companions."""

    NEAR = "near"
    FAR = "far"
    LOST = "lost"
    """Far, because one of them went silent."""


_NEAR, _FAR, _LOST = range(3)
_CHANGES: Final = tuple(CompanionChange)


@dataclass(frozen=True, slots=True)
class Seen:
    """Where users were seen last; NaN positions and a time of 0 mean never.

    Attributes:
        lon: WGS-84 degrees.
        lat: WGS-84 degrees.
        time_ms: event time.
    """

    lon: FloatColumn
    lat: FloatColumn
    time_ms: IntColumn


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a step, ordered by pair: the pair, the moment, position in ``CompanionChange``, the distance."""

    pair: IntColumn
    time_ms: IntColumn
    change: CodeColumn
    distance_m: FloatColumn

    def changes(self) -> tuple[CompanionChange, ...]:
        """Return what changed as names."""
        return tuple(_CHANGES[code] for code in self.change.tolist())


class Companions:
    """Keeps which pairs are near one another.

    A pair comes near within its radius and parts beyond the radius and the slack, so that noise at the radius says
    nothing twice. A user who is silent for longer than ``lost_after_ms`` is nowhere.
    """

    def __init__(self, radius_m: FloatColumn, *, slack_m: float = 50.0, lost_after_ms: int = 900_000) -> None:
        """Begin with every pair apart.

        Args:
            radius_m: per pair: within this they are near.
            slack_m: they part this much beyond the radius.
            lost_after_ms: the silence after which a user is not there any more.
        """
        self._radius_m = np.asarray(radius_m, dtype=np.float64)
        self._slack_m = slack_m
        self._lost_after_ms = lost_after_ms
        self.near: BoolColumn = np.zeros(len(self._radius_m), dtype=np.bool_)

    def step(self, one: Seen, other: Seen, now_ms: int) -> Changes:
        """Compare the two users of every pair, given in columns of one row per pair, at ``now_ms``.

        Returns:
            The pairs that came near or parted: near and far at the later of both last signs, ``lost`` at the moment
            the silence was too long. Cost: one distance a pair.
        """
        first_ms = np.minimum(one.time_ms, other.time_ms).astype(np.int64)
        lost_ms = first_ms + self._lost_after_ms
        there = (first_ms > 0) & (lost_ms > now_ms)
        apart_m = np.full(len(there), np.inf)
        apart_m[there] = distance_m(one.lon[there], one.lat[there], other.lon[there], other.lat[there])
        limit_m = self._radius_m + np.where(self.near, self._slack_m, 0.0)
        near = there & (apart_m <= limit_m)
        pair = np.flatnonzero(near != self.near)
        lost = ~there[pair]
        change = np.where(near[pair], _NEAR, np.where(lost, _LOST, _FAR)).astype(np.int8)
        time_ms = np.where(lost, lost_ms[pair], np.maximum(one.time_ms, other.time_ms)[pair])
        self.near = near
        return Changes(pair, time_ms, change, np.where(lost, np.nan, apart_m[pair]))
