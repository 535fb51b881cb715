"""The way to a place: metres as pyproj measures them, direction, minutes, and GCJ-02 for the phone's map."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geo_engine.answers.way import MapLinks, Pace, open_location, way_to
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.geodesy.measure import destination

GEOD = Geod(ellps="WGS84")
HERE = (114.3, 30.6)


@given(st.floats(-179.9, 179.9), st.floats(-69.0, 69.0), st.floats(0.0, 360.0), st.floats(1.0, 60_000.0))
def test_the_distance_is_that_of_the_geodesic_to_a_metre_and_the_bearing_to_a_degree(
    lon: float, lat: float, bearing: float, metres: float
) -> None:
    east, north = (float(one) for one in destination(lon, lat, bearing, metres))
    way = way_to(lon, lat, east, north)
    azimuth, _, expected_m = GEOD.inv(lon, lat, east, north)
    assert abs(way.distance_m - expected_m) < 1.0
    assert way.bearing_deg is not None
    assert abs((way.bearing_deg - azimuth + 180.0) % 360.0 - 180.0) < 0.5


def test_on_the_spot_there_is_no_direction_and_a_step_away_there_is() -> None:
    assert way_to(*HERE, *HERE).bearing_deg is None
    assert way_to(*HERE, HERE[0], HERE[1] + 0.0001).bearing_deg == pytest.approx(0.0)


def test_minutes_follow_the_pace_and_are_rounded_up() -> None:
    east, north = (float(one) for one in destination(*HERE, 90.0, 990.0))
    pace = Pace(walk_mps=1.0, drive_mps=10.0, detour=1.2)
    way = way_to(*HERE, east, north, pace)
    assert (way.walk_min, way.drive_min) == (20, 2)
    assert (way_to(*HERE, *HERE, pace).walk_min, way_to(*HERE, *HERE, pace).drive_min) == (1, 1)


def test_a_position_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="expected finite degrees"):
        way_to(math.nan, 30.6, *HERE)


def test_open_location_is_given_gcj02_and_not_our_own_datum() -> None:
    shown = open_location(*HERE, "汉口店")
    lon, lat = from_wgs84(*HERE, Datum.GCJ02)
    assert [shown.longitude, shown.latitude] == pytest.approx([float(lon), float(lat)], abs=1e-6)
    assert GEOD.inv(*HERE, shown.longitude, shown.latitude)[2] > 400.0
    abroad = open_location(2.35, 48.85, "Paris")
    assert (abroad.longitude, abroad.latitude) == (2.35, 48.85)


def test_a_map_link_holds_gcj02_latitude_first_and_the_name_encoded() -> None:
    link = MapLinks().link(*HERE, "A&B 店;x")
    query = parse_qs(urlsplit(link).query, separator="&")
    shown = open_location(*HERE, "")
    assert query["marker"] == [f"coord:{shown.latitude:.6f},{shown.longitude:.6f};title:A&B 店;x"]
    assert " " not in link
    assert "A&B" not in link


def test_another_map_may_be_linked() -> None:
    assert (
        MapLinks("https://x.example/map?p={lon}_{lat}").link(2.35, 48.85, "")
        == "https://x.example/map?p=2.350000_48.850000"
    )
