"""The contract of every zone index: equal to plain shapely on the same doubles, a border belongs to its zone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.index import BruteForceIndex, RtreeIndex, ZoneIndex
from geo_engine.index.protocol import Segments
from geo_engine.model import ZoneKind
from geo_engine.zones.zoneset import Zone, ZoneSet

MakeIndex = Callable[[ZoneSet], ZoneIndex]
INDEXES = pytest.mark.parametrize("make", [RtreeIndex, BruteForceIndex], ids=["rtree", "brute"])

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
def test_ray_meets_a_zone_at_the_fraction_where_the_border_is(make: MakeIndex) -> None:
    ways = Segments(np.array([114.285]), np.array([30.6]), np.array([114.325]), np.array([30.6]))
    hits = make(zones_of(z=SQUARE)).ahead(ways, np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=bool))
    assert len(hits) == 1
    assert hits.zone.tolist() == [0]
    assert hits.fraction[0] == pytest.approx(0.25, abs=1e-9)


@INDEXES
def test_ray_that_starts_inside_meets_the_zone_at_zero(make: MakeIndex) -> None:
    ways = Segments(np.array([114.3]), np.array([30.6]), np.array([114.325]), np.array([30.6]))
    hits = make(zones_of(z=SQUARE)).ahead(ways, np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=bool))
    assert hits.fraction.tolist() == [0.0]


@INDEXES
def test_ray_does_not_report_a_zone_that_is_not_wanted(make: MakeIndex) -> None:
    ways = Segments(np.full(2, 114.285), np.full(2, 30.6), np.full(2, 114.325), np.full(2, 30.6))
    wanted = np.array([[True, False], [False, True]])
    hits = make(zones_of(a=SQUARE, b=PARTS)).ahead(ways, np.array([1, 0]), wanted)
    assert list(zip(hits.query.tolist(), hits.zone.tolist(), strict=True)) == [(0, 1), (1, 0)]


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


def test_many_candidates_per_query_are_all_returned_by_the_tree() -> None:
    stack = {f"z{number:03}": shapely.box(0, 0, 1 + number / 1000, 1) for number in range(400)}
    index = RtreeIndex(zones_of(**stack))
    pairs = index.containing(np.full(50, 0.5), np.full(50, 0.5))
    assert len(pairs) == 50 * 400


# Coordinates of the shapes' own vertices and edges are drawn as often as free ones: borders are where indexes fail.
_VERTICES = sorted({x for shape in SHAPES.values() for x, _ in shapely.get_coordinates(shape) if x <= 180.0})
_LATS = sorted({y for shape in SHAPES.values() for _, y in shapely.get_coordinates(shape)})
_LON = st.one_of(st.sampled_from(_VERTICES), st.floats(114.28, 114.33), st.floats(-180.0, 180.0))
_LAT = st.one_of(st.sampled_from(_LATS), st.floats(30.58, 30.62), st.floats(-90.0, 90.0))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_LON, _LAT, _LON, _LAT), min_size=1, max_size=8))
def test_tree_answers_as_brute_force_does(ways: list[tuple[float, float, float, float]]) -> None:
    zones = zones_of(**{name.replace("-", "_"): shape for name, shape in SHAPES.items()})
    tree, brute = RtreeIndex(zones), BruteForceIndex(zones)
    columns = [np.array(column) for column in zip(*ways, strict=True)]
    segments = Segments(*columns)
    for ours, oracle in (
        (tree.containing(columns[0], columns[1]), brute.containing(columns[0], columns[1])),
        (tree.touching(segments), brute.touching(segments)),
    ):
        assert ours.query.tolist() == oracle.query.tolist()
        assert ours.zone.tolist() == oracle.zone.tolist()
    group, wanted = np.zeros(len(ways), dtype=np.int64), np.ones((1, len(zones)), dtype=bool)
    hits, expected = tree.ahead(segments, group, wanted), brute.ahead(segments, group, wanted)
    assert hits.zone.tolist() == expected.zone.tolist()
    np.testing.assert_allclose(hits.fraction, expected.fraction, atol=1e-12)
