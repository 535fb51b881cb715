"""The oracle index: every zone against every query, one pair at a time. Slow and obviously complete."""

from __future__ import annotations

import numpy as np
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Pairs, Segments
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["BruteForceIndex"]

_TURNS = (-720.0, -360.0, 0.0, 360.0, 720.0)


class BruteForceIndex:
    """The reference of the contract suite: shapely's scalar predicates in two plain loops.

    It shares no code with the other indexes. Cost: queries x zones x turns.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Keep the shapes; there is nothing to build."""
        self._areas = [
            (row, zone.geometry)
            for row, zone in enumerate(zones.zones)
            if isinstance(zone.geometry, (shapely.Polygon, shapely.MultiPolygon))
        ]

    def containing(self, lon: FloatColumn, lat: FloatColumn) -> Pairs:
        """Return the zones that hold each point."""
        found = [
            (query, zone)
            for query, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
            for zone, shape in self._areas
            if any(shapely.covers(shape, shapely.Point(x + turn, y)) for turn in _TURNS)
        ]
        return Pairs(_column([query for query, _ in found]), _column([zone for _, zone in found]))

    def touching(self, segments: Segments) -> Pairs:
        """Return the zones each segment passes through, ends in or touches."""
        way = segments.unwrapped()
        columns = (column.tolist() for column in (way.lon0, way.lat0, way.lon1, way.lat1))
        found = [
            (query, zone)
            for query, (lon0, lat0, lon1, lat1) in enumerate(zip(*columns, strict=True))
            for zone, shape in self._areas
            if any(
                shapely.intersects(shape, shapely.LineString([(lon0 + turn, lat0), (lon1 + turn, lat1)]))
                for turn in _TURNS
            )
        ]
        return Pairs(_column([query for query, _ in found]), _column([zone for _, zone in found]))

    def near(self, lon: FloatColumn, lat: FloatColumn, zone: IntColumn, within_m: FloatColumn) -> BoolColumn:
        """Say for each (position, zone) whether the border of the zone comes nearer than so many metres."""
        shapes = dict(self._areas)
        asked = zip(lon.tolist(), lat.tolist(), zone.tolist(), within_m.tolist(), strict=True)
        return np.array([self._border_m(x, y, shapes[row]) < metres for x, y, row, metres in asked], dtype=np.bool_)

    @staticmethod
    def _border_m(lon: float, lat: float, shape: shapely.Geometry) -> float:
        border, here = shapely.boundary(shape), shapely.Point(0.0, 0.0)
        scale = np.array(metres_per_degree(lat))

        def seen_from(turn: float) -> shapely.Geometry:
            place = np.array([lon + turn, lat])
            moved: shapely.Geometry = shapely.transform(border, lambda corners: (corners - place) * scale)
            return moved

        return float(min(shapely.distance(seen_from(turn), here) for turn in _TURNS))


def _column(values: list[int]) -> IntColumn:
    return np.array(values, dtype=np.int64)
