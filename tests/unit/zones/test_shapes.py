"""Shapes in metres: corridors, circles, rings over the 180 degree meridian and at the poles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geo_engine.zones.coordinates import unwrap
from geo_engine.zones.document import read_zone_document

GEOD = Geod(ellps="WGS84")


def shape_of(geometry: dict[str, object], **properties: object) -> shapely.Geometry:
    values = {"kind": "construction", "name": "x"} | properties
    document = read_zone_document({"type": "Feature", "id": "a", "geometry": geometry, "properties": values})
    assert document.faults == ()
    return document.zones[0].geometry


def circle(lon: float, lat: float, radius_m: float) -> shapely.Polygon:
    found = shape_of({"type": "Point", "coordinates": [lon, lat]}, radius_m=radius_m)
    assert isinstance(found, shapely.Polygon)
    return found


def corridor(*positions: tuple[float, float], width_m: float) -> shapely.Geometry:
    return shape_of({"type": "LineString", "coordinates": [list(place) for place in positions]}, width_m=width_m)


def holds(area: shapely.Geometry, lon: float, lat: float) -> bool:
    """Whether the area covers a position, on whatever turn of the earth it was unwrapped to."""
    return any(area.covers(shapely.Point(lon + turn, lat)) for turn in (-360.0, 0.0, 360.0))


@settings(max_examples=60, deadline=None)
@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-89, 72.9),  # north of it lie the positions taken for swapped ones
    radius_m=st.floats(1, 20_000),
    azimuth=st.floats(0, 360),
)
def test_circle_covers_what_is_nearer_than_its_radius(lon: float, lat: float, radius_m: float, azimuth: float) -> None:
    area = circle(lon, lat, radius_m)
    # 0.05 m and 1 % of a small circle for the chords; near a pole they are straight in lon/lat, hence the last term.
    slack_m = 0.1 + 0.01 * radius_m if abs(lat) < 85 or radius_m < 1_000 else 0.3 * radius_m
    inner = GEOD.fwd(lon, lat, azimuth, max(radius_m - slack_m, 0.0))
    outer = GEOD.fwd(lon, lat, azimuth, radius_m + slack_m)
    assert holds(area, inner[0], inner[1])
    assert not holds(area, outer[0], outer[1])
    assert area.is_valid
    assert -180 <= area.exterior.coords[0][0] <= 180


@pytest.mark.parametrize("radius_m", [10, 100, 1_000, 5_000])
def test_circle_is_within_five_centimetres(radius_m: float) -> None:
    ring = shapely.get_coordinates(circle(114.3, 30.5, radius_m))
    middle = (ring[:-1] + ring[1:]) / 2.0
    _, _, corners_m = GEOD.inv(np.full(len(ring), 114.3), np.full(len(ring), 30.5), *ring.T)
    _, _, sides_m = GEOD.inv(np.full(len(middle), 114.3), np.full(len(middle), 30.5), *middle.T)
    assert np.abs(corners_m - radius_m).max() < 1e-6
    assert np.abs(sides_m - radius_m).max() <= 0.051


@pytest.mark.parametrize(("radius_m", "count"), [(1, 32), (1_000, 315), (100_000, 720)])
def test_number_of_vertices_follows_the_radius(radius_m: float, count: int) -> None:
    assert len(circle(114.3, 30.5, radius_m).exterior.coords) - 1 == count


def test_circle_over_the_meridian_is_unwrapped() -> None:
    area = circle(179.99, 10.0, 5_000)
    assert area.bounds[2] > 180
    assert holds(area, -179.99, 10.0)
    assert not holds(area, -179.9, 10.0)


@pytest.mark.parametrize("side", [1, -1])
def test_circle_round_a_pole_is_closed_along_the_pole(side: int) -> None:
    area = circle(20.0, side * 89.99, 5_000)
    assert area.is_valid
    for lon in range(-180, 180, 15):
        assert holds(area, lon, side * 89.999)
        assert not holds(area, lon, side * 89.9)
    assert holds(area, 20.0, side * 90.0)


@pytest.mark.parametrize(
    "line",
    [
        ((114.30, 30.50), (114.40, 30.55)),
        ((114.30, 30.50), (114.30, 30.60), (114.40, 30.60)),
        ((20.0, 80.0), (20.5, 80.05)),
        ((-70.0, -84.0), (-69.0, -84.02)),
        ((179.95, 10.0), (-179.95, 10.03)),
        ((-179.95, 65.0), (179.95, 65.01)),
        ((10.0, 0.0), (10.2, 0.0)),
        ((114.0, 60.0), (117.0, 60.0)),
    ],
)
@pytest.mark.parametrize("width_m", [10.0, 200.0])
def test_corridor_reaches_half_its_width_on_both_sides(line: tuple[tuple[float, float], ...], width_m: float) -> None:
    area = corridor(*line, width_m=width_m)
    assert area.is_valid
    path = unwrap(np.array(line))
    for start, end in pairwise(path):
        for part in (0.25, 0.5, 0.7):
            # A short piece of the segment, straight in lon/lat, gives its direction there.
            at, ahead = start + part * (end - start), start + (part + 1e-6) * (end - start)
            azimuth, _, _ = GEOD.inv(*at, *ahead)
            for side in (-90.0, 90.0):
                inside = GEOD.fwd(*at, azimuth + side, 0.48 * width_m)
                outside = GEOD.fwd(*at, azimuth + side, 0.52 * width_m)
                assert holds(area, inside[0], inside[1])
                assert not holds(area, outside[0], outside[1])


def test_corridor_of_several_lines_joins_where_they_meet() -> None:
    lines = [[[179.99, 10.0], [180.0, 10.0]], [[-180.0, 10.0], [-179.99, 10.0]], [[-179.98, 10.1], [-179.97, 10.1]]]
    area = shape_of({"type": "MultiLineString", "coordinates": lines}, width_m=20)
    assert shapely.get_num_geometries(area) == 2
    for lon, lat in ((179.995, 10.0), (-179.995, 10.0), (-179.975, 10.1)):
        assert holds(area, lon, lat)
    assert not holds(area, -179.985, 10.05)


def test_corridor_round_a_block_keeps_the_block_out() -> None:
    area = corridor((114.0, 30.0), (114.01, 30.0), (114.01, 30.01), (114.0, 30.01), (114.0, 30.0), width_m=20)
    assert holds(area, 114.0, 30.005)
    assert not holds(area, 114.005, 30.005)


def test_corridor_over_a_pole_is_a_fault() -> None:
    geometry = {"type": "LineString", "coordinates": [[0.0, 89.9999], [90.0, 89.9999]]}
    values = {"kind": "construction", "name": "x", "width_m": 500}
    document = read_zone_document({"type": "Feature", "id": "a", "geometry": geometry, "properties": values})
    assert [fault.reason for fault in document.faults] == ["ring_around_pole"]


def test_ring_over_the_meridian_goes_the_short_way_round_and_its_hole_with_it() -> None:
    shell = [[170, 10], [-170, 10], [-170, 20], [170, 20], [170, 10]]
    hole = [[-178, 12], [-176, 12], [-176, 14], [-178, 14], [-178, 12]]
    area = shape_of({"type": "Polygon", "coordinates": [shell, hole]})
    assert area.bounds == (170, 10, 190, 20)
    assert area.area == pytest.approx(196)
    assert holds(area, 180, 15)
    assert not holds(area, -177, 13)
    assert not holds(area, 0, 15)


def test_parts_cut_at_the_meridian_stay_where_they_are() -> None:
    parts = [
        [[[170, 10], [180, 10], [180, 20], [170, 20], [170, 10]]],
        [[[-180, 10], [-170, 10], [-170, 20], [-180, 20], [-180, 10]]],
    ]
    area = shape_of({"type": "MultiPolygon", "coordinates": parts})
    assert area.bounds == (-180, 10, 180, 20)


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=2, max_size=20))
def test_unwrapped_steps_are_at_most_half_a_turn(positions: list[tuple[float, float]]) -> None:
    found = unwrap(np.array(positions))
    assert np.abs(np.diff(found[:, 0])).max() <= 180.0 + 1e-9
    assert found[0, 0] == positions[0][0]
    turns = (found[:, 0] - np.array(positions)[:, 0]) / 360.0
    assert np.allclose(turns, np.round(turns), atol=1e-9)
