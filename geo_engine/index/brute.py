"""The oracle index: every zone against every query, one pair at a time. Slow and obviously complete."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Pairs, RayHits, Segments
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
        hits = [(query, zone) for query, zone, _ in self._met(segments)]
        return Pairs(_column([query for query, _ in hits]), _column([zone for _, zone in hits]))

    def ahead(self, segments: Segments, group: IntColumn, wanted: BoolColumn) -> RayHits:
        """Return the wanted zones each segment meets and where it first meets them."""
        hits = [hit for hit in self._met(segments) if wanted[group[hit[0]], hit[1]]]
        return RayHits(
            _column([query for query, _, _ in hits]),
            _column([zone for _, zone, _ in hits]),
            np.array([fraction for _, _, fraction in hits], dtype=np.float64),
        )

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

    def _met(self, segments: Segments) -> Iterator[tuple[int, int, float]]:
        way = segments.unwrapped()
        for query in range(len(way)):
            for zone, shape in self._areas:
                fractions = [
                    _first_contact(
                        shape, way.lon0[query] + turn, way.lat0[query], way.lon1[query] + turn, way.lat1[query]
                    )
                    for turn in _TURNS
                ]
                met = [fraction for fraction in fractions if fraction is not None]
                if met:
                    yield query, zone, min(met)


def _first_contact(shape: shapely.Geometry, lon0: float, lat0: float, lon1: float, lat1: float) -> float | None:
    line = shapely.LineString([(lon0, lat0), (lon1, lat1)])
    if not shapely.intersects(shape, line):
        return None
    start = shapely.Point(lon0, lat0)
    if line.length == 0.0 or shapely.covers(shape, start):
        return 0.0
    # Rounding can empty the intersection of a line that only touches; the nearest place of the zone is then met.
    common = shapely.intersection(shape, line)
    met = shape if common.is_empty else common
    return float(shapely.distance(start, met) / line.length)


def _column(values: list[int]) -> IntColumn:
    return np.array(values, dtype=np.int64)
