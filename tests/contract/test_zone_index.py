"""The contract of every zone index: equal to plain shapely on the same doubles, a border belongs to its zone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.index import BruteForceIndex, CellIndex, RtreeIndex, ZoneIndex
from geo_engine.index.protocol import Segments
from geo_engine.model import ZoneKind
from geo_engine.zones.zoneset import Zone, ZoneSet

MakeIndex = Callable[[ZoneSet], ZoneIndex]


def uncompiled_cells(zones: ZoneSet) -> ZoneIndex:
    return CellIndex(zones, compiled=False)


def recompiled_cells(zones: ZoneSet) -> ZoneIndex:
    return CellIndex(zones, CellIndex(ZoneSet.of(zones.zones[1:])))


INDEXES = pytest.mark.parametrize(
    "make",
    [RtreeIndex, BruteForceIndex, CellIndex, uncompiled_cells, recompiled_cells],
    ids=["rtree", "brute", "cells", "uncompiled cells", "recompiled cells"],
)

SQUARE = shapely.box(114.295, 30.595, 114.305, 30.605)
HOLED = shapely.Polygon(
    SQUARE.exterior.coords, [[(114.299, 30.599), (114.301, 30.599), (114.301, 30.601), (114.299, 30.601)]]
)
PARTS = shapely.MultiPolygon([SQUARE, shapely.box(114.315, 30.595, 114.325, 30.605)])
NOTCHED = shapely.Polygon(
    [(114.29, 30.59), (114.31, 30.59), (114.31, 30.61), (114.3, 30.595), (114.29, 30.61), (114.29, 30.59)]
)
ON_DATE_LINE = shapely.box(179.9, -1.0, 180.1, 1.0)
SHAPES = {"square": SQUARE, "holed": HOLED, "parts": PARTS, "notched": NOTCHED, "date-line": ON_DATE_LINE}


def zones_of(**shapes: shapely.Geometry) -> ZoneSet:
    return ZoneSet.of(Zone(name, ZoneKind.CONGESTION, name, shape) for name, shape in shapes.items())


def containing(index: ZoneIndex, lon: float, lat: float) -> list[int]:
    return index.containing(np.array([lon]), np.array([lat])).zone.tolist()


def touching(index: ZoneIndex, *way: float) -> list[int]:
    return index.touching(Segments(*(np.array([value]) for value in way))).zone.tolist()


@INDEXES
@pytest.mark.parametrize(
    ("lon", "lat", "inside"),
    [
        (114.3, 30.6, True),
        (114.305, 30.6, True),  # on an edge
        (114.305, 30.605, True),  # on a vertex
        (114.3050001, 30.6, False),
        (114.3, 30.6050001, False),
    ],
)
def test_point_is_inside_when_it_is_covered_border_included(
    make: MakeIndex, lon: float, lat: float, inside: bool
) -> None:
    assert containing(make(zones_of(z=SQUARE)), lon, lat) == ([0] if inside else [])


@INDEXES
def test_inside_of_a_hole_is_outside_and_its_edge_is_inside(make: MakeIndex) -> None:
    index = make(zones_of(z=HOLED))
    assert containing(index, 114.3, 30.6) == []
    assert containing(index, 114.299, 30.6) == [0]


@INDEXES
def test_every_overlapping_zone_is_found_in_the_order_of_the_set(make: MakeIndex) -> None:
    index = make(zones_of(c=SQUARE, a=PARTS, b=NOTCHED))
    pairs = index.containing(np.array([114.3, 114.3]), np.array([30.6, 30.6]))
    assert len(pairs) == 4
    assert pairs.query.tolist() == [0, 0, 1, 1]
    assert pairs.zone.tolist() == [0, 2, 0, 2]


@INDEXES
@pytest.mark.parametrize("lon", [179.95, 180.0, -180.0, -179.95])
def test_zone_over_the_date_line_holds_points_on_both_sides(make: MakeIndex, lon: float) -> None:
    index = make(zones_of(z=ON_DATE_LINE))
    assert containing(index, lon, 0.0) == [0]
    assert containing(index, lon, 1.5) == []


@INDEXES
def test_zone_that_ends_at_the_date_line_holds_it_under_both_names(make: MakeIndex) -> None:
    index = make(zones_of(east=shapely.box(170.0, 0.0, 180.0, 1.0), west=shapely.box(-180.0, 2.0, -170.0, 3.0)))
    assert containing(index, -180.0, 0.5) == [0]
    assert containing(index, 180.0, 2.5) == [1]


@INDEXES
@pytest.mark.parametrize(
    ("way", "met"),
    [
        ((114.28, 30.6, 114.32, 30.6), True),  # through
        ((114.28, 30.605, 114.32, 30.605), True),  # along an edge
        ((114.304, 30.606, 114.306, 30.604), True),  # over a corner
        ((114.28, 30.6051, 114.32, 30.6051), False),
        ((114.3, 30.6, 114.3, 30.6), True),  # standing inside
        ((114.28, 30.6, 114.28, 30.6), False),  # standing outside
    ],
)
def test_segment_is_met_when_it_touches(make: MakeIndex, way: tuple[float, ...], met: bool) -> None:
    assert touching(make(zones_of(z=SQUARE)), *way) == ([0] if met else [])


@INDEXES
def test_segment_over_the_date_line_goes_the_short_way(make: MakeIndex) -> None:
    index = make(
        zones_of(line=ON_DATE_LINE, far=shapely.box(-10.0, -1.0, 10.0, 1.0), west=shapely.box(-179.5, -1, -179, 1))
    )
    assert touching(index, 179.8, 0.0, -179.8, 0.0) == [1]
    assert touching(index, -178.0, 0.0, 179.8, 0.0) == [1, 2]
    assert touching(index, 20.0, 0.0, -20.0, 0.0) == [0]


@INDEXES
def test_empty_set_and_empty_batch_answer_with_nothing(make: MakeIndex) -> None:
    nothing = np.empty(0)
    assert containing(make(ZoneSet.of([])), 114.3, 30.6) == []
    assert touching(make(ZoneSet.of([])), 0.0, 0.0, 1.0, 1.0) == []
    assert len(make(zones_of(z=SQUARE)).containing(nothing, nothing)) == 0
    assert len(make(zones_of(z=SQUARE)).touching(Segments(nothing, nothing, nothing, nothing))) == 0


@INDEXES
def test_venue_without_a_radius_is_never_reported(make: MakeIndex) -> None:
    venue = Zone("v", ZoneKind.VENUE, "v", shapely.Point(114.3, 30.6))
    assert containing(make(ZoneSet.of([venue])), 114.3, 30.6) == []


STACK = zones_of(**{f"z{number:03}": shapely.box(0, 0, 1 + number / 1000, 1) for number in range(400)})


@pytest.mark.parametrize("make", [RtreeIndex, CellIndex], ids=["rtree", "cells"])
def test_many_candidates_per_query_are_all_returned(make: MakeIndex) -> None:
    index = make(STACK)
    assert len(index.containing(np.full(50, 0.5), np.full(50, 0.5))) == 50 * 400
    edge, level = np.linspace(0.9995, 1.4, 50), np.full(50, 1.0)
    right = [number for lon in edge for number in range(400) if lon <= 1 + number / 1000]
    assert index.containing(edge, level).zone.tolist() == right
    across = Segments(np.full(3, 0.5), np.full(3, 0.5), np.full(3, 1.2), np.full(3, 1.5))
    assert len(index.touching(across)) == 3 * 400


# Zones at which indexes fail: slivers, neighbours with one border, spikes, poles, the meridian, half the earth.
HARD = SHAPES | {
    "sliver": shapely.Polygon([(114.3, 30.6), (114.32, 30.6000001), (114.32, 30.6)]),
    "needle": shapely.Polygon([(114.3, 30.6), (114.3000001, 30.61), (114.3, 30.62)]),
    "tile": shapely.box(114.28125, 30.59375, 114.3125, 30.625),
    "beside": shapely.box(114.3125, 30.59375, 114.34375, 30.625),
    "north": shapely.box(-180.0, 85.0, 180.0, 90.0),
    "south": shapely.Polygon([(-180, -90), (180, -90), (180, -80), (0, -60), (-180, -80)]),
    "circle": shapely.Point(150.0, 20.0).buffer(40.0),
    "hemisphere": shapely.box(0.0, -90.0, 180.0, 90.0),
    "star": shapely.Polygon(
        [
            (114.3 + r * np.cos(a), 30.6 + r * np.sin(a))
            for a, r in zip(np.arange(40) / 6.4, [0.02, 0.01] * 20, strict=True)
        ]
    ),
}
_ZONES = zones_of(**{name.replace("-", "_"): shapely.orient_polygons(shape) for name, shape in HARD.items()})
_INDEXES = {
    "rtree": RtreeIndex(_ZONES),
    "cells": CellIndex(_ZONES),
    "uncompiled": CellIndex(_ZONES, compiled=False),
    "recompiled": CellIndex(_ZONES, CellIndex(ZoneSet.of(_ZONES.zones[3:]))),
}
_BRUTE = BruteForceIndex(_ZONES)

# Coordinates of the shapes' own vertices and of cell corners are drawn as often as free ones, and a few roundings
# beside them: borders are where indexes fail. GEOS rounds below 1e-30 degrees, so nothing smaller is drawn but 0.
_VERTICES = sorted({x for shape in HARD.values() for x, _ in shapely.get_coordinates(shape) if -180.0 <= x <= 180.0})
_LATS = sorted({y for shape in HARD.values() for _, y in shapely.get_coordinates(shape)})


def _near(value: float, ulps: int) -> float:
    for _ in range(abs(ulps)):
        value = float(np.nextafter(value, np.inf if ulps > 0 else -np.inf))
    return 0.0 if abs(value) < 1e-15 else value


def _coordinate(known: list[float], low: float, high: float, most: float) -> st.SearchStrategy[float]:
    drawn = st.one_of(
        st.sampled_from(known),
        st.floats(low, high),
        st.floats(low, high).map(lambda value: round(value * 4096.0) / 4096.0),
        st.floats(-most, most),
    )
    return st.builds(_near, drawn, st.integers(-3, 3)).map(lambda value: min(max(value, -most), most))


_LON = _coordinate(_VERTICES, 114.28, 114.33, 180.0)
_LAT = _coordinate(_LATS, 30.58, 30.62, 90.0)


@pytest.mark.parametrize("name", list(_INDEXES))
@settings(max_examples=200, deadline=None)
@given(ways=st.lists(st.tuples(_LON, _LAT, _LON, _LAT), min_size=1, max_size=8))
def test_index_answers_as_brute_force_does(name: str, ways: list[tuple[float, float, float, float]]) -> None:
    index = _INDEXES[name]
    columns = [np.array(column) for column in zip(*ways, strict=True)]
    segments = Segments(*columns)
    for ours, oracle in (
        (index.containing(columns[0], columns[1]), _BRUTE.containing(columns[0], columns[1])),
        (index.touching(segments), _BRUTE.touching(segments)),
    ):
        assert ours.query.tolist() == oracle.query.tolist()
        assert ours.zone.tolist() == oracle.zone.tolist()


@INDEXES
@pytest.mark.parametrize(
    ("lon", "lat", "within_m", "near"),
    [
        (114.3049, 30.6, 10.0, True),  # 9.6 m inside the east edge
        (114.3049, 30.6, 9.0, False),
        (114.3051, 30.6, 10.0, True),  # as far outside
        (114.3051, 30.6, 9.0, False),
        (114.3051, 30.6051, 14.6, False),  # from the corner 9.6 m east and 11.1 m north
        (114.3051, 30.6051, 14.8, True),
        (114.3, 30.6, 300.0, False),  # the middle
    ],
)
def test_border_is_near_in_metres_on_either_side(
    make: MakeIndex, lon: float, lat: float, within_m: float, near: bool
) -> None:
    columns = np.array([lon]), np.array([lat]), np.array([0]), np.array([within_m])
    assert make(zones_of(z=SQUARE)).near(*columns).tolist() == [near]


@INDEXES
def test_edge_of_a_hole_is_a_border_too_and_that_of_another_zone_is_not(make: MakeIndex) -> None:
    index = make(zones_of(a=HOLED, b=SQUARE))
    lon, lat, within_m = np.full(2, 114.3), np.full(2, 30.6), np.full(2, 120.0)
    assert index.near(lon, lat, np.array([0, 1]), within_m).tolist() == [True, False]


@INDEXES
def test_border_beyond_the_date_line_is_near(make: MakeIndex) -> None:
    index = make(zones_of(z=shapely.box(-180.0, -1.0, -179.0, 1.0)))
    lon = np.array([179.9999, 179.9999, -179.9999])
    assert index.near(lon, np.zeros(3), np.zeros(3, dtype=np.int64), np.array([12.0, 11.0, 12.0])).tolist() == [
        True,
        False,
        True,
    ]
