"""The scalar geodesic and the scalar frame against pyproj and against the frame of columns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.geodesy.kernels import degree_lengths, degree_table, geodesic_m

TABLE = degree_table()
GEOD = Geod(ellps="WGS84")
longitudes = st.one_of(st.sampled_from([-180.0, -179.999, 0.0, 114.3, 180.0]), st.floats(-180.0, 180.0))
latitudes = st.one_of(st.sampled_from([-90.0, -89.999, 0.0, 30.6, 90.0]), st.floats(-90.0, 90.0))


@settings(max_examples=300, deadline=None)
@given(longitudes, latitudes, longitudes, latitudes)
def test_geodesic_is_that_of_pyproj_and_near_the_antipode_the_great_circle(
    lon0: float, lat0: float, lon1: float, lat1: float
) -> None:
    expected = GEOD.inv(lon0, lat0, lon1, lat1)[2]
    found = geodesic_m(lon0, lat0, lon1, lat1)
    if expected < 19_900_000.0:
        assert found == pytest.approx(expected, abs=2e-3)
    else:
        assert found == pytest.approx(expected, rel=0.006)


@settings(max_examples=200, deadline=None)
@given(longitudes, latitudes, st.floats(0.0, 360.0), st.floats(0.0, 100_000.0))
def test_geodesic_of_a_believable_step_is_exact_to_a_millimetre(
    lon: float, lat: float, azimuth: float, length_m: float
) -> None:
    lon1, lat1, _ = GEOD.fwd(lon, lat, azimuth, length_m)
    assert geodesic_m(lon, lat, lon1, lat1) == pytest.approx(length_m, abs=1e-3)


@pytest.mark.parametrize(
    ("pair", "metres"),
    [
        ((114.3, 30.6, 114.3, 30.6), 0.0),
        ((180.0, 10.0, -180.0, 10.0), 0.0),
        ((0.0, 90.0, 77.0, 90.0), 0.0),
        ((12.0, -90.0, -100.0, -90.0), 0.0),
        ((0.0, 90.0, 0.0, -90.0), 20_003_931.459),
        ((0.0, 90.0, 135.0, -90.0), 20_003_931.459),
        ((0.0, 0.0, 90.0, 0.0), 10_018_754.171),
        ((179.9, 0.0, -179.9, 0.0), 22_263.898),
    ],
)
def test_geodesics_with_a_name(pair: tuple[float, float, float, float], metres: float) -> None:
    assert geodesic_m(*pair) == pytest.approx(metres, abs=2e-3)


@pytest.mark.parametrize("pair", [(0.0, 0.0, 180.0, 0.0), (10.0, 30.0, -170.0, -30.0), (0.0, 0.5, 179.7, -0.5)])
def test_antipodal_positions_are_half_the_earth_apart(pair: tuple[float, float, float, float]) -> None:
    assert geodesic_m(*pair) == pytest.approx(GEOD.inv(*pair)[2], rel=0.006)


@settings(deadline=None)
@given(latitudes)
def test_degree_is_as_long_as_in_columns(lat: float) -> None:
    east_m, north_m = metres_per_degree(lat)
    found = degree_lengths(TABLE, lat)
    # A table of chords: short of the curve by the square of a row over eight radii, 0.05 mm in a degree of 111 km.
    assert found[0] == pytest.approx(float(east_m), abs=6e-5)
    assert found[1] == pytest.approx(float(north_m), abs=6e-5)
