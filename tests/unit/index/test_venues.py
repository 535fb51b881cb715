"""The nearest venue of a ping: equal to measuring every venue, on every part of the earth, compiled or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.geodesy import distance_m, metres_per_degree
from geo_engine.index.venues import VenueIndex, _nearest_in_columns, nearest_venue, nearest_venues
from geo_engine.model import FloatColumn, IntColumn

Nearest = Callable[[VenueIndex, FloatColumn, FloatColumn], tuple[IntColumn, FloatColumn]]

# Places where a grid goes wrong: a city, the 180 degree meridian, the equator, the far north, cell corners at zero.
CORNERS = ((114.3, 30.6), (180.0, -17.0), (-180.0, 0.0), (0.0, 0.0), (25.0, 78.2), (-70.0, -54.9), (10.0, 88.5))


def frame_m(lon: FloatColumn, lat: FloatColumn, lon0: float, lat0: float) -> FloatColumn:
    dlon = lon - lon0
    dlon = dlon - 360.0 * np.rint(dlon / 360.0)
    mx, my = metres_per_degree(0.5 * (lat + lat0))
    return np.hypot(dlon * mx, (lat - lat0) * my)


def in_columns(index: VenueIndex, lon: FloatColumn, lat: FloatColumn) -> tuple[IntColumn, FloatColumn]:
    position, metres = np.full(len(lon), -1), np.full(len(lon), np.nan)
    _nearest_in_columns(index.grid, lon, lat, position, metres)
    return position, metres


def by_kernel(index: VenueIndex, lon: FloatColumn, lat: FloatColumn) -> tuple[IntColumn, FloatColumn]:
    position, metres = np.full(len(lon), -7), np.full(len(lon), -7.0)
    nearest_venues(index.grid, lon, lat, position, metres)
    return position, metres


WAYS = pytest.mark.parametrize("nearest", [by_kernel, in_columns, VenueIndex.nearest])


def scattered(random: np.random.Generator, count: int, spread_m: float) -> tuple[FloatColumn, FloatColumn]:
    corner = np.array(CORNERS)[random.integers(0, len(CORNERS), count)]
    mx, my = metres_per_degree(corner[:, 1])
    lon = corner[:, 0] + random.normal(0.0, spread_m, count) / mx
    lat = corner[:, 1] + random.normal(0.0, spread_m, count) / my
    return np.where(lon > 180.0, lon - 360.0, np.where(lon < -180.0, lon + 360.0, lon)), lat


@WAYS
@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    venues=st.integers(0, 150),
    within_m=st.sampled_from([5.0, 120.0, 300.0, 2_000.0]),
    spread_m=st.sampled_from([50.0, 400.0, 3_000.0]),
)
def test_nearest_venue_is_the_one_that_measuring_all_finds(
    nearest: Nearest, seed: int, venues: int, within_m: float, spread_m: float
) -> None:
    random = np.random.default_rng(seed)
    lon, lat = scattered(random, venues, spread_m)
    asked_lon, asked_lat = scattered(random, 60, spread_m)
    position, metres = nearest(VenueIndex(lon, lat, within_m), asked_lon, asked_lat)
    for row in range(len(asked_lon)):
        every = frame_m(lon, lat, float(asked_lon[row]), float(asked_lat[row]))
        near = every.min(initial=np.inf)
        if near > within_m + 1e-6:
            assert position[row] == -1
            assert np.isnan(metres[row])
        elif near < within_m - 1e-6:
            assert metres[row] == pytest.approx(near, abs=2e-6)
            assert every[position[row]] == pytest.approx(near, abs=2e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_columns_in_numpy_equal_the_kernel_to_the_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    lon, lat = scattered(random, 120, 500.0)
    index = VenueIndex(lon, lat, 300.0)
    asked = scattered(random, 200, 500.0)
    position, metres = by_kernel(index, *asked)
    again, metres_again = in_columns(index, *asked)
    np.testing.assert_array_equal(position, again)
    np.testing.assert_array_equal(metres, metres_again)


def test_distance_is_that_of_geodesy_to_a_hundredth_of_a_micrometre() -> None:
    random = np.random.default_rng(4)
    lon, lat = 114.3 + random.normal(0, 0.01, 400), 30.6 + random.normal(0, 0.01, 400)
    asked_lon, asked_lat = 114.3 + random.normal(0, 0.01, 400), 30.6 + random.normal(0, 0.01, 400)
    position, metres = VenueIndex(lon, lat).nearest(asked_lon, asked_lat)
    found = position >= 0
    assert found.sum() > 300
    expected = distance_m(asked_lon[found], asked_lat[found], lon[position[found]], lat[position[found]])
    np.testing.assert_allclose(metres[found], expected, rtol=0.0, atol=1e-8)


@WAYS
def test_of_equally_near_venues_the_first_is_taken(nearest: Nearest) -> None:
    index = VenueIndex([114.4, 114.3, 114.3, 114.3], [30.6, 30.6, 30.6, 30.6])
    position, metres = nearest(index, np.array([114.3]), np.array([30.6]))
    assert position.tolist() == [1]
    assert metres.tolist() == [0.0]


def test_smaller_radius_of_one_call_is_kept_and_a_larger_one_counts_as_the_grid_s() -> None:
    grid = VenueIndex([114.3], [30.6], within_m=300.0).grid
    assert nearest_venue(grid, 114.301, 30.6, 300.0)[0] == 0
    assert nearest_venue(grid, 114.301, 30.6, 95.0)[0] == -1
    assert nearest_venue(grid, 114.3035, 30.6, 5_000.0)[0] == -1


@WAYS
@pytest.mark.parametrize(
    ("lon", "lat"), [(np.nan, 30.6), (114.3, np.nan), (np.inf, 30.6), (114.3, -np.inf), (114.3, 91.0)]
)
def test_position_that_is_not_on_earth_has_no_venue(nearest: Nearest, lon: float, lat: float) -> None:
    position, metres = nearest(VenueIndex([114.3], [30.6]), np.array([lon]), np.array([lat]))
    assert position.tolist() == [-1]
    assert np.isnan(metres).all()


@WAYS
def test_longitude_of_another_turn_finds_the_same_venue(nearest: Nearest) -> None:
    index = VenueIndex([180.0], [0.0])
    lon = np.array([180.0, -180.0, 540.0, 179.999, -179.999, np.nextafter(180.0, 0.0)])
    assert nearest(index, lon, np.zeros(6))[0].tolist() == [0] * 6


@WAYS
def test_no_venue_is_found_where_there_are_none(nearest: Nearest) -> None:
    assert nearest(VenueIndex([], []), np.array([114.3]), np.array([30.6]))[0].tolist() == [-1]
    assert nearest(VenueIndex([], []), np.empty(0), np.empty(0))[0].tolist() == []


@pytest.mark.parametrize(
    ("lon", "lat", "within_m"),
    [([181.0], [0.0], 300.0), ([0.0], [np.nan], 300.0), ([0.0], [], 300.0), ([0.0], [0.0], 0.0), ([], [], 20_000.0)],
)
def test_bad_venues_and_radii_are_refused(lon: list[float], lat: list[float], within_m: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        VenueIndex(lon, lat, within_m)


@WAYS
def test_venues_all_over_the_earth_are_each_found_from_beside_them(nearest: Nearest) -> None:
    random = np.random.default_rng(9)
    lon, lat = random.uniform(-180.0, 180.0, 3_000), random.uniform(-80.0, 80.0, 3_000)
    position, metres = nearest(VenueIndex(lon, lat), lon, lat + 0.001)
    assert position.tolist() == list(range(3_000))
    assert metres == pytest.approx(111.0, abs=1.0)


@WAYS
def test_place_that_rounds_up_to_the_180_degree_meridian_is_on_it(nearest: Nearest) -> None:
    lat = np.linspace(-60.0, 60.0, 50)
    index = VenueIndex(np.full(50, 180.0), lat)
    assert nearest(index, np.full(50, np.nextafter(180.0, 0.0)), lat)[0].tolist() == list(range(50))
