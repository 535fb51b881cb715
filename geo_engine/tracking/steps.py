"""The next accepted ping of each user with what was known of him: the step he took."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Segments
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch
from geo_engine.tracking.state import FRESH, MOVING, PLACED, WALKED

__all__ = ["PHASE", "Steps"]

PHASE: Final = 7919
"""Spreads what is done now and then over the users: milliseconds per u7, a prime."""


@dataclass(frozen=True, slots=True)
class Steps:
    """One ping each of some users, beside the rows of these users as they were before it.

    Attributes:
        pings: the pings, each user once.
        before: the users' rows, ``PACKED_ROW``.
        lon: longitude at which the user is believed to be now, degrees; at first the ping's own.
        lat: latitude.
        east_m: way from where he was believed to be, metres; 0 where that is unknown.
        north_m: the same northwards.
        still_s: for how many seconds he has stood, 0 = he drives.
        joined: the straight way between both positions is evidence (known, no silence, no jump).
        from_lon: longitude from which the way to ``lon`` is not yet searched for crossings; of who stood, that is where
            his stand began.
        from_lat: latitude.
        walked: it is no noise that he has come from there.
    """

    pings: PingBatch
    before: npt.NDArray[np.void]
    lon: FloatColumn
    lat: FloatColumn
    east_m: FloatColumn
    north_m: FloatColumn
    still_s: IntColumn
    joined: BoolColumn
    from_lon: FloatColumn
    from_lat: FloatColumn
    walked: BoolColumn

    @classmethod
    def of(cls, pings: PingBatch, before: npt.NDArray[np.void]) -> Steps:
        """Join pings to the rows of their users."""
        placed = (before["flags"] & PLACED) != 0
        lon_m, lat_m = metres_per_degree((before["lat"] + pings.lat) * 0.5)
        return cls(
            pings=pings,
            before=before,
            lon=pings.lon,
            lat=pings.lat,
            east_m=np.where(placed, _short_way(pings.lon - before["lon"]) * lon_m, 0.0),
            north_m=np.where(placed, (pings.lat - before["lat"]) * lat_m, 0.0),
            still_s=np.zeros(len(pings), dtype=np.int64),
            joined=placed,
            from_lon=_on_map(before["lon"] - before["back_lon"]),
            from_lat=np.clip(before["lat"] - before["back_lat"], -90.0, 90.0),
            walked=np.ones(len(pings), dtype=np.bool_),
        )

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.pings)

    @property
    def known(self) -> BoolColumn:
        """Say which users were heard of before."""
        known: BoolColumn = self.before_ms > 0
        return known

    @property
    def placed(self) -> BoolColumn:
        """Say of which users the position before is known."""
        return self._flag(PLACED)

    @property
    def was_fresh(self) -> BoolColumn:
        """Say whose ping before was recent enough to warn."""
        return self._flag(FRESH)

    @property
    def was_walking(self) -> BoolColumn:
        """Say of whom ``from_lon, from_lat`` is a mean, not one ping."""
        return self._flag(WALKED)

    @property
    def before_ms(self) -> IntColumn:
        """Return the event time of the step's start, 0 = never."""
        return self.before["time_ms"].astype(np.int64)

    @property
    def elapsed_ms(self) -> IntColumn:
        """Return how long each step took."""
        return self.pings.time_ms - self.before_ms

    @property
    def velocity_before(self) -> tuple[FloatColumn, FloatColumn]:
        """Return the velocity over the step before in centimetres a second, east and north; NaN = unknown."""
        moving = self._flag(MOVING)
        return np.where(moving, self.before["east_cmps"], np.nan), np.where(moving, self.before["north_cmps"], np.nan)

    def take(self, rows: IntColumn | BoolColumn) -> Steps:
        """Return the given steps."""
        columns = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "pings"}
        return Steps(pings=self.pings.take(rows), **columns)

    def due(self, every_ms: int) -> BoolColumn:
        """Say which pings are the first of a stretch of time; those of users begin at different moments."""
        if every_ms <= 0:
            return np.ones(len(self), dtype=np.bool_)
        phase = self.pings.u7 * PHASE
        due: BoolColumn = (self.pings.time_ms + phase) // every_ms != (self.before_ms + phase) // every_ms
        return due

    def followed(self, part: FloatColumn, still_s: IntColumn) -> Steps:
        """Believe only a part of the way of each step."""
        whole = part >= 1.0
        lon = _on_map(self.before["lon"] + _short_way(self.pings.lon - self.before["lon"]) * part)
        lat = self.before["lat"] + (self.pings.lat - self.before["lat"]) * part
        return replace(
            self,
            lon=np.where(whole, self.pings.lon, lon),
            lat=np.where(whole, self.pings.lat, lat),
            east_m=self.east_m * part,
            north_m=self.north_m * part,
            still_s=still_s,
        )

    def segments(self, rows: IntColumn) -> Segments:
        """Return the straight ways of the given steps, from where they are not yet searched."""
        return Segments(self.from_lon[rows], self.from_lat[rows], self.lon[rows], self.lat[rows])

    def unsearched_deg(self) -> tuple[FloatColumn, FloatColumn]:
        """Return the way from ``from_lon, from_lat`` in degrees, east and north."""
        return _short_way(self.lon - self.from_lon), self.lat - self.from_lat

    def unsearched_m(self) -> tuple[FloatColumn, FloatColumn]:
        """Return the same in metres."""
        lon_m, lat_m = metres_per_degree((self.before["lat"] + self.pings.lat) * 0.5)
        lon, lat = self.unsearched_deg()
        return lon * lon_m, lat * lat_m

    def _flag(self, bit: int) -> BoolColumn:
        flag: BoolColumn = (self.before["flags"] & bit) != 0
        return flag


def _short_way(step: FloatColumn) -> FloatColumn:
    return np.where(step > 180.0, step - 360.0, np.where(step < -180.0, step + 360.0, step))


def _on_map(lon: FloatColumn) -> FloatColumn:
    return np.where(lon > 180.0, lon - 360.0, np.where(lon < -180.0, lon + 360.0, lon))
