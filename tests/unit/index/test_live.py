"""The parts of live positions: the curve, the sort, the cells, the boxes beyond the local frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.compiled import COMPILED
from geo_engine.geodesy import distance_m
from geo_engine.index.live import GridPositions, HilbertPositions
from geo_engine.index.live_curve import curve_bits, curve_keys, fill_curve_keys, hilbert_key, key_of_cell, radix_order
from geo_engine.index.live_kernels import Queries, box_of, frame_at, grown, metres, room, sort_found


def test_hilbert_curve_visits_every_cell_once_and_steps_to_a_neighbour() -> None:
    x, y = (side.ravel() for side in np.meshgrid(np.arange(16), np.arange(16)))
    key = hilbert_key(x, y, 4)
    assert sorted(key.tolist()) == list(range(256))
    order = np.argsort(key)
    steps = np.abs(np.diff(x[order])) + np.abs(np.diff(y[order]))
    assert steps.tolist() == [1] * 255


def test_hilbert_key_of_a_cell_is_that_of_the_column() -> None:
    random = np.random.default_rng(3)
    x, y = random.integers(0, 1 << 22, (2, 50))
    assert [key_of_cell(int(a), int(b), 22) for a, b in zip(x, y, strict=True)] == hilbert_key(x, y, 22).tolist()


@pytest.mark.parametrize(("width_deg", "bits"), [(0.5, 16), (100.0, 22)])
def test_curve_over_a_city_is_coarser_in_bits_and_kernel_and_columns_agree(width_deg: float, bits: int) -> None:
    random = np.random.default_rng(5)
    lon, lat = random.uniform(0.0, width_deg, 1_300), random.uniform(30.0, 30.4, 1_300)
    curve = curve_bits(lon, lat)
    assert curve[0] == bits
    key = np.empty(len(lon), dtype=np.int64)
    fill_curve_keys(lon, lat, curve, key)
    np.testing.assert_array_equal(key, curve_keys(lon, lat))


def test_curve_over_one_spot_or_over_nobody_is_no_error() -> None:
    assert curve_keys(np.full(3, 5.0), np.full(3, 7.0)).tolist() == [0, 0, 0]
    assert curve_keys(np.empty(0), np.empty(0)).tolist() == []


@pytest.mark.parametrize("bits", [11, 32, 44])
def test_radix_order_is_the_stable_order_of_the_keys(bits: int) -> None:
    random = np.random.default_rng(bits)
    key = random.integers(0, 1 << bits, 1_000)
    key[::3] = key[0]
    np.testing.assert_array_equal(radix_order(key, bits), np.argsort(key, kind="stable"))
    assert radix_order(np.empty(0, dtype=np.int64), bits).tolist() == []


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 200),
    spread=st.sampled_from(["even", "crowded", "two", "same", "zero"]),
)
def test_found_are_sorted_by_distance_then_id(seed: int, count: int, spread: str) -> None:
    random = np.random.default_rng(seed)
    values = {
        "even": np.sqrt(random.random(count)) * 500.0,
        "crowded": np.append(random.random(max(count - 1, 0)) * 1e-3, [9_000.0])[:count],
        "two": random.integers(0, 2, count) * 7.5,
        "same": np.full(count, 3.25),
        "zero": np.zeros(count),
    }[spread]
    ids = random.permutation(count)
    found = room(count + 5, 1)
    found.id[:], found.distance_m[:] = -1, -1.0
    found.id[2 : 2 + count], found.distance_m[2 : 2 + count] = ids, values
    sort_found(found, 2, 2 + count)
    order = np.lexsort((ids, values))
    assert found.id.tolist() == [-1, -1, *ids[order].tolist(), -1, -1, -1]
    assert found.distance_m.tolist() == [-1.0, -1.0, *values[order].tolist(), -1.0, -1.0, -1.0]


@settings(deadline=None, max_examples=200)
@given(
    lat=st.floats(-69.9, 69.9),
    lon=st.floats(-180.0, 180.0),
    east_m=st.floats(-7_000.0, 7_000.0),
    north_m=st.floats(-7_000.0, 7_000.0),
)
def test_frame_of_a_query_measures_as_geodesy_does_and_its_box_holds_the_circle(
    lat: float, lon: float, east_m: float, north_m: float
) -> None:
    other_lat = lat + north_m / 111_000.0
    other_lon = lon + east_m / (111_000.0 * float(np.cos(np.radians(lat))))
    dlon, dlat = other_lon - lon, other_lat - lat
    measured_m = float(np.sqrt(metres(frame_at(lat), dlon, dlat)))
    expected_m = float(distance_m(lon, lat, lon + dlon, lat + dlat))
    assert measured_m == pytest.approx(expected_m, abs=2e-6)
    assert measured_m == pytest.approx(float(np.sqrt(metres(frame_at(lat), dlon - 360.0, dlat))), abs=1e-6)
    width, height = box_of(lat, expected_m)
    assert abs(dlon) <= width
    assert abs(dlat) <= height


def test_radius_grows_by_the_density_found_within_bounds() -> None:
    assert grown(100.0, 0, 10) == 300.0
    assert grown(100.0, 1, 100) == 300.0
    assert grown(100.0, 9, 10) == 130.0
    assert grown(100.0, 5, 10) == pytest.approx(173.2, abs=0.1)


def city(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    return random.normal(114.3, 0.05, count), random.normal(30.6, 0.05, count)


def test_cells_shrink_as_the_same_city_fills() -> None:
    few, many = city(2_000), city(50_000)
    sizes = [GridPositions(np.arange(len(lon)), lon, lat).cell_m for lon, lat in (few, many)]
    assert sizes[0] / sizes[1] == pytest.approx(5.0, rel=0.35)


def test_users_of_two_continents_get_cells_of_their_cities() -> None:
    lon, lat = city(20_000)
    both = np.concatenate([lon, lon - 188.0]), np.concatenate([lat, lat + 10.0])
    alone = GridPositions(np.arange(20_000), lon, lat).cell_m
    assert GridPositions(np.arange(40_000), *both).cell_m == pytest.approx(alone, rel=0.35)


@pytest.mark.parametrize("kernels", [True, False])
def test_cells_are_made_larger_when_users_are_too_scattered_for_small_ones(kernels: bool) -> None:
    random = np.random.default_rng(6)
    lon, lat = random.uniform(-180, 180, 2_000), random.uniform(-60, 60, 2_000)
    scattered = GridPositions(np.arange(2_000), lon, lat, cell_m=50.0, kernels=kernels)
    assert scattered.cell_m > 5_000.0
    assert scattered.nearest(lon[:5], lat[:5], 1).id.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", [GridPositions, HilbertPositions])
def test_more_neighbours_than_there_was_room_for_are_all_found(
    kind: type[GridPositions] | type[HilbertPositions],
) -> None:
    lon, lat = city(3_000)
    crowd = kind(np.arange(3_000), lon, lat, kernels=True)
    found = crowd.within(lon[:60], lat[:60], 9_998.0)
    expected = sum(int((distance_m(x, y, lon, lat) <= 9_998.0).sum()) for x, y in zip(lon[:60], lat[:60], strict=True))
    assert len(found) == expected > 70_000


def test_everybody_asked_for_by_many_is_found_in_parts() -> None:
    lon, lat = city(2_500)
    found = HilbertPositions(np.arange(2_500), lon, lat).within(np.full(900, 110.0), np.full(900, 35.0), 2e7)
    assert np.bincount(found.query).tolist() == [2_500] * 900


@pytest.mark.parametrize("kind", [GridPositions, HilbertPositions])
def test_users_all_over_the_earth_each_find_themselves(kind: type[GridPositions] | type[HilbertPositions]) -> None:
    random = np.random.default_rng(10)
    lon, lat = random.uniform(-180.0, 180.0, 3_000), random.uniform(-69.0, 69.0, 3_000)
    found = kind(np.arange(3_000), lon, lat, kernels=True).nearest(lon, lat, 1)
    assert found.id.tolist() == list(range(3_000))


@pytest.mark.parametrize("kind", [GridPositions, HilbertPositions])
def test_room_for_the_nearest_grows_in_a_crowd(kind: type[GridPositions] | type[HilbertPositions]) -> None:
    count = 66_000 if COMPILED else 300  # as plain Python a heap of that many takes long
    crowd = kind(np.arange(count), np.full(count, 114.3), np.full(count, 30.6), kernels=True)
    assert crowd.nearest([114.3], [30.6], 5).id.tolist() == list(range(5))


@pytest.mark.parametrize("kind", [GridPositions, HilbertPositions])
@pytest.mark.parametrize("k", [0, 3])
def test_query_that_finds_no_room_is_named_and_writes_nothing_beyond(
    kind: type[GridPositions] | type[HilbertPositions], k: int
) -> None:
    lon, lat = city(500)
    crowd = kind(np.arange(500), lon, lat, kernels=True)
    columns = lon[:1], lat[:1], np.array([9_000.0]), np.array([k])
    assert crowd._fill(Queries(*columns), 0, room(4, 1)) == 0
