"""Distance, bearing, destination and compass words against pyproj."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geo_engine.geodesy.measure import bearing_deg, compass_point, compass_word, destination, distance_m
from geo_engine.model import Language

GEOD = Geod(ellps="WGS84")

PAIRS = (
    pytest.param((114.30, 30.59, 114.31, 30.60), id="wuhan"),
    pytest.param((114.30, 30.59, 116.40, 39.90), id="wuhan-to-beijing"),
    pytest.param((179.999, -16.5, -179.999, -16.51), id="antimeridian"),
    pytest.param((-179.9, 60.0, 179.9, 60.0), id="antimeridian-westwards"),
    pytest.param((0.0, 0.0, 0.05, 0.0), id="equator"),
    pytest.param((10.0, 89.99, -170.0, 89.99), id="over-the-north-pole"),
    pytest.param((0.0, -90.0, 33.0, -89.5), id="from-the-south-pole"),
    pytest.param((25.0, 69.99, 25.2, 70.01), id="at-the-limit-of-the-frame"),
    pytest.param((0.0, 0.0, 179.5, 0.5), id="nearly-antipodal"),
    pytest.param((350.0, 10.0, 0.0, 10.0), id="longitude-beyond-180"),
)

longitudes = st.floats(-180.0, 180.0)
latitudes = st.floats(-90.0, 90.0)


def turn_between(a_deg: float, b_deg: float) -> float:
    return abs((a_deg - b_deg + 180.0) % 360.0 - 180.0)


@pytest.mark.parametrize("pair", PAIRS)
def test_distance_equals_the_geodesic(pair: tuple[float, float, float, float]) -> None:
    assert float(distance_m(*pair)) == pytest.approx(GEOD.inv(*pair)[2], abs=0.01)


@pytest.mark.parametrize("pair", PAIRS)
def test_bearing_equals_the_azimuth_of_the_geodesic(pair: tuple[float, float, float, float]) -> None:
    assert turn_between(float(bearing_deg(*pair)), GEOD.inv(*pair)[0]) < 1e-4


@given(longitudes, latitudes, st.floats(0.0, 360.0), st.floats(0.0, 30_000.0))
def test_distance_stays_within_a_centimetre_of_the_geodesic(lon: float, lat: float, azimuth: float, d: float) -> None:
    lon1, lat1, _ = GEOD.fwd(lon, lat, azimuth, d)
    assert float(distance_m(lon, lat, lon1, lat1)) == pytest.approx(d, abs=0.01)


@given(longitudes, st.floats(-89.0, 89.0), st.floats(0.0, 360.0), st.floats(1.0, 30_000.0))
def test_bearing_stays_within_a_thousandth_of_a_degree(lon: float, lat: float, azimuth: float, d: float) -> None:
    lon1, lat1, _ = GEOD.fwd(lon, lat, azimuth, d)
    found = float(bearing_deg(lon, lat, lon1, lat1))
    assert 0.0 <= found < 360.0
    assert turn_between(found, GEOD.inv(lon, lat, lon1, lat1)[0]) < 1e-3


@given(longitudes, latitudes, longitudes, latitudes)
def test_distance_is_the_same_both_ways(lon0: float, lat0: float, lon1: float, lat1: float) -> None:
    there = float(distance_m(lon0, lat0, lon1, lat1))
    assert there == pytest.approx(float(distance_m(lon1, lat1, lon0, lat0)), abs=1e-6)


@given(longitudes, st.floats(-85.0, 85.0), st.floats(0.0, 359.999), st.floats(1.0, 100_000.0))
def test_destination_lies_at_the_distance_and_bearing_asked_for(
    lon: float, lat: float, azimuth: float, d: float
) -> None:
    end_lon, end_lat = destination(lon, lat, azimuth, d)
    assert -180.0 <= float(end_lon) <= 180.0
    assert float(distance_m(lon, lat, end_lon, end_lat)) == pytest.approx(d, abs=0.02)
    assert turn_between(float(bearing_deg(lon, lat, end_lon, end_lat)), azimuth) < 1e-3


def test_distance_and_bearing_are_zero_at_the_same_position() -> None:
    assert float(distance_m(114.3, 30.6, 114.3, 30.6)) == 0.0
    assert float(bearing_deg(114.3, 30.6, 114.3, 30.6)) == 0.0


def test_distance_is_zero_between_two_longitudes_of_one_pole() -> None:
    assert float(distance_m(0.0, 90.0, 77.0, 90.0)) == pytest.approx(0.0, abs=1e-6)


def test_destination_of_zero_metres_is_the_start() -> None:
    assert [float(value) for value in destination(114.3, 30.6, 77.0, 0.0)] == pytest.approx([114.3, 30.6], abs=1e-12)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf])
def test_unknown_coordinate_gives_nan_without_a_warning(unknown: float, place: int) -> None:
    pair = [114.3, 30.6, 114.4, 30.7]
    pair[place] = unknown
    assert math.isnan(float(distance_m(*pair)))
    assert math.isnan(float(bearing_deg(*pair)))
    assert all(math.isnan(float(value)) for value in destination(*pair))


def test_one_unknown_row_leaves_its_neighbours_alone() -> None:
    lon = np.array([114.3, math.nan, 179.999, 114.3])
    lat = np.array([30.6, 30.6, 0.0, 30.6])
    found = distance_m(lon, lat, np.array([114.3, 1.0, -179.999, 120.0]), lat)
    assert np.isnan(found).tolist() == [False, True, False, False]
    assert found[2] == pytest.approx(GEOD.inv(179.999, 0, -179.999, 0)[2], abs=1e-6)
    assert found[3] == pytest.approx(GEOD.inv(114.3, 30.6, 120.0, 30.6)[2], abs=1e-6)


def test_a_number_is_measured_against_every_row_of_a_column() -> None:
    assert distance_m(114.3, 30.6, [114.3, 114.4], [30.6, 30.7]).shape == (2,)
    assert bearing_deg([], [], [], []).shape == (0,)


@pytest.mark.parametrize(
    ("bearing", "point", "chinese", "english"),
    [
        (0.0, "N", "北", "north"),
        (22.4, "N", "北", "north"),
        (22.5, "NE", "东北", "northeast"),
        (90.0, "E", "东", "east"),
        (135.0, "SE", "东南", "southeast"),
        (180.0, "S", "南", "south"),
        (225.0, "SW", "西南", "southwest"),
        (270.0, "W", "西", "west"),
        (315.0, "NW", "西北", "northwest"),
        (337.5, "N", "北", "north"),
        (360.0, "N", "北", "north"),
        (-45.0, "NW", "西北", "northwest"),
        (math.nan, "", "", ""),
        (math.inf, "", "", ""),
    ],
)
def test_compass_names_the_nearest_of_eight_winds(bearing: float, point: str, chinese: str, english: str) -> None:
    assert compass_point(bearing) == point
    assert compass_word(bearing, Language.ZH) == chinese
    assert compass_word(bearing, Language.EN) == english
