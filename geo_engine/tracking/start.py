"""The state of the user of each ping as it was before a batch, in columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.state import FRESH, MOVING, PLACED

__all__ = ["Start"]


@dataclass(frozen=True, slots=True)
class Start:
    """Copies of the users' rows, one per ping.

    Attributes:
        time_ms: event time of the last accepted ping, 0 = never.
        lon: its longitude.
        lat: its latitude.
        placed: lon, lat are known.
        fresh: that ping was recent enough to warn.
        east_cmps: velocity over the last step, NaN = unknown.
        north_cmps: the same northwards.
        jumps: pings set aside in a row as absurd.
        jump_ms: event time of the last one.
    """

    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    placed: BoolColumn
    fresh: BoolColumn
    east_cmps: FloatColumn
    north_cmps: FloatColumn
    jumps: IntColumn
    jump_ms: IntColumn

    @classmethod
    def of(cls, rows: npt.NDArray[np.void], u7: IntColumn) -> Start:
        """Read the rows of users. Cost: one gather of whole rows."""
        taken = rows[u7]
        flags = taken["flags"]
        moving = (flags & MOVING) != 0
        time_ms = taken["time_ms"].astype(np.int64)
        return cls(
            time_ms=time_ms,
            lon=taken["lon"].astype(np.float64),
            lat=taken["lat"].astype(np.float64),
            placed=(flags & PLACED) != 0,
            fresh=(flags & FRESH) != 0,
            east_cmps=np.where(moving, taken["east_cmps"], np.nan),
            north_cmps=np.where(moving, taken["north_cmps"], np.nan),
            jumps=taken["jumps"].astype(np.int64),
            jump_ms=time_ms + taken["jump_after_ms"],
        )

    def take(self, rows: IntColumn | BoolColumn) -> Start:
        """Return the given rows."""
        return Start(**{name: getattr(self, name)[rows] for name in Start.__slots__})
