"""What every zone index answers, in columns: zones that hold a point, that a segment touches, whose border is near."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["Pairs", "Segments", "ZoneIndex"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs (query row, zone position), ordered by query, then zone, each once."""

    query: IntColumn
    zone: IntColumn

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.query)


@dataclass(frozen=True, slots=True)
class Segments:
    """Straight ways in lon/lat degrees, in columns.

    A step of more than 180 degrees of longitude goes the short way round (RFC 7946 leaves it open, the
    project's design fixes it); ``lon1`` may also run past 180 by itself.
    """

    lon0: FloatColumn
    lat0: FloatColumn
    lon1: FloatColumn
    lat1: FloatColumn

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.lon0)

    def unwrapped(self) -> Segments:
        """Return the same segments with ``lon1`` continuous from ``lon0`` (it may leave -180 .. 180)."""
        step = self.lon1 - self.lon0
        lon1 = np.where(step > 180.0, self.lon1 - 360.0, np.where(step < -180.0, self.lon1 + 360.0, self.lon1))
        return Segments(self.lon0, self.lat0, lon1, self.lat1)


class ZoneIndex(Protocol):
    """Exact answers on the doubles it is given, planar in lon/lat degrees; a border belongs to its zone.

    Results equal ``shapely.covers`` for points and ``shapely.intersects`` for segments. Positions are WGS-84 and
    finite, ``-180 .. 180`` and ``-90 .. 90``. Venues without a radius (Point geometry) are never reported.
    """

    def containing(self, lon: FloatColumn, lat: FloatColumn) -> Pairs:
        """Return the zones that hold each point."""
        ...

    def touching(self, segments: Segments) -> Pairs:
        """Return the zones each segment passes through, ends in or touches."""
        ...

    def near(self, lon: FloatColumn, lat: FloatColumn, zone: IntColumn, within_m: FloatColumn) -> BoolColumn:
        """Say for each (position, zone) whether the border of the zone comes nearer than so many metres.

        Measured in the local frame at the position (``geodesy/frame.py``), so for some hundred metres.
        """
        ...
