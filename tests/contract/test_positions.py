"""The contract of every set of live positions: equal to measuring everybody with the geodesic, ties by id."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.index.live import (
    BrutePositions,
    GridPositions,
    HilbertPositions,
    Neighbours,
    Positions,
    RtreePositions,
)
from geo_engine.model import FloatColumn, IntColumn

MakePositions = Callable[[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike], Positions]

# Kernels run as plain Python where Numba is absent, so both ways are tested on every machine.
WAYS: dict[str, MakePositions] = {
    "grid": partial(GridPositions, kernels=True),
    "grid of small cells": partial(GridPositions, kernels=True, cell_m=20.0),
    "grid of large cells": partial(GridPositions, kernels=True, cell_m=5_000.0),
    "grid in NumPy": partial(GridPositions, kernels=False),
    "hilbert": partial(HilbertPositions, kernels=True),
    "hilbert in NumPy": partial(HilbertPositions, kernels=False),
    "rtree": RtreePositions,
    "brute": BrutePositions,
}
EVERY = pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)

# A city, both sides of the 180 degree meridian, both poles, the edge of the local frame, another continent.
PLACES = (
    (114.3, 30.6),
    (180.0, -17.0),
    (-180.0, -17.0),
    (12.0, 90.0),
    (-100.0, 89.99),
    (0.0, -90.0),
    (25.0, 69.89),
    (25.0, 70.0),
    (-74.0, 40.7),
    (0.0, 0.0),
)


def scattered(
    random: np.random.Generator, count: int, places: int, spread_deg: float
) -> tuple[FloatColumn, FloatColumn]:
    """Positions round the first few places, some on one another."""
    centre = np.array(PLACES)[random.integers(0, places, count)]
    lon = centre[:, 0] + random.normal(0.0, spread_deg, count)
    lat = np.clip(centre[:, 1] + random.normal(0.0, spread_deg, count), -90.0, 90.0)
    lon = np.where(lon > 180.0, lon - 360.0, np.where(lon < -180.0, lon + 360.0, lon))
    twins = random.random(count) < 0.2
    lon[twins], lat[twins] = lon[0] if count else 0.0, lat[0] if count else 0.0
    return lon, lat


def agree(found: Neighbours, expected: Neighbours) -> None:
    """The same neighbours; the local frame may be off by a centimetre far out, and swap those who are as far."""
    assert found.query.tolist() == expected.query.tolist()
    np.testing.assert_allclose(found.distance_m, expected.distance_m, rtol=0.0, atol=0.011)
    order = np.lexsort((found.id, found.distance_m, found.query))
    assert order.tolist() == list(range(len(order))), "not ordered by query, distance, id"
    for query in np.unique(found.query):
        ours, theirs = found.query == query, expected.query == query
        unlike = np.flatnonzero(found.id[ours] != expected.id[theirs])
        metres = expected.distance_m[theirs]
        for place in unlike:
            assert np.sum(np.abs(metres - metres[place]) < 0.02) > 1 or place == len(metres) - 1


@EVERY
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 120),
    places=st.integers(1, len(PLACES)),
    spread_deg=st.sampled_from([0.0003, 0.01, 0.2, 5.0]),
    k=st.sampled_from([1, 3, 10, 500]),
)
def test_nearest_are_those_that_measuring_everybody_finds(
    make: MakePositions, seed: int, count: int, places: int, spread_deg: float, k: int
) -> None:
    random = np.random.default_rng(seed)
    lon, lat = scattered(random, count, places, spread_deg)
    ids = random.permutation(count)
    asked = scattered(random, 12, len(PLACES), spread_deg)
    agree(make(ids, lon, lat).nearest(*asked, k), BrutePositions(ids, lon, lat).nearest(*asked, k))


@EVERY
@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 120),
    places=st.integers(1, len(PLACES)),
    spread_deg=st.sampled_from([0.0003, 0.01, 0.2, 5.0]),
)
def test_everybody_within_the_radius_is_found_and_nobody_else(
    make: MakePositions, seed: int, count: int, places: int, spread_deg: float
) -> None:
    random = np.random.default_rng(seed)
    lon, lat = scattered(random, count, places, spread_deg)
    ids = random.permutation(count)
    asked = scattered(random, 12, len(PLACES), spread_deg)
    # Radii of a wide range; none within 2 cm of a distance, where the frame and the geodesic may judge differently.
    radius_m = 10.0 ** random.uniform(0.5, 7.5, 12)
    every = BrutePositions(ids, lon, lat).nearest(*asked, max(count, 1))
    close = np.abs(every.distance_m - radius_m[every.query]) < 0.02
    radius_m[np.unique(every.query[close])] *= 1.001
    agree(make(ids, lon, lat).within(*asked, radius_m), BrutePositions(ids, lon, lat).within(*asked, radius_m))


@EVERY
def test_equally_far_neighbours_come_by_id_and_the_smaller_ones_are_kept(make: MakePositions) -> None:
    ids = [9, 3, 7, 1, 5]
    positions = make(ids, [114.3] * 5, [30.6] * 5)
    assert positions.nearest([114.301], [30.6], 3).id.tolist() == [1, 3, 5]
    assert positions.within([114.301], [30.6], 200.0).id.tolist() == [1, 3, 5, 7, 9]
    assert positions.within([114.3], [30.6], 0.0).id.tolist() == [1, 3, 5, 7, 9]


@EVERY
@pytest.mark.parametrize("count", [1, 23, 25, 1000])
def test_a_crowd_on_one_spot_is_found_in_the_order_of_ids(make: MakePositions, count: int) -> None:
    ids = np.random.default_rng(count).permutation(count)
    lon = np.full(count, -70.0)
    positions = make(ids, lon, np.full(count, -54.9))
    assert positions.within([-70.0], [-54.9], 1.0).id.tolist() == list(range(count))
    assert positions.nearest([-70.0], [-54.9], 5).id.tolist() == list(range(min(5, count)))


@EVERY
@pytest.mark.parametrize(("lon", "lat"), [(np.nan, 30.6), (114.3, np.nan), (np.inf, 30.6), (114.3, 90.5)])
def test_query_that_is_not_on_earth_has_no_neighbours(make: MakePositions, lon: float, lat: float) -> None:
    positions = make([1, 2], [114.3, 114.31], [30.6, 30.6])
    found = positions.nearest([114.3, lon, 114.31], [30.6, lat, 30.6], 1)
    assert found.query.tolist() == [0, 2]
    assert found.id.tolist() == [1, 2]
    assert positions.within([lon], [lat], 1e6).id.tolist() == []


@EVERY
def test_position_that_is_not_on_earth_is_never_found(make: MakePositions) -> None:
    positions = make([1, 2, 3, 4], [np.nan, 114.3, 200.0, 114.3], [30.6, np.inf, 30.6, 30.6])
    assert len(positions) == 1
    assert positions.within([114.3], [30.6], 3e7).id.tolist() == [4]


@EVERY
def test_nobody_is_found_in_an_empty_set_or_by_no_query(make: MakePositions) -> None:
    nobody = make([], [], [])
    assert len(nobody) == 0
    assert len(nobody.nearest([114.3], [30.6], 4)) == 0
    assert len(nobody.within([114.3, 0.0], [30.6, 89.0], [1e3, 1e7])) == 0
    some = make([1], [114.3], [30.6])
    assert len(some.nearest([], [], 4)) == 0
    assert len(some.within([], [], 100.0)) == 0


@EVERY
def test_radius_larger_than_the_earth_finds_everybody_in_order(make: MakePositions) -> None:
    positions = make([1, 2, 3], [114.3, -74.0, -65.7], [30.6, 40.7, -30.6])
    assert positions.within([114.3], [30.6], np.inf).id.tolist() == [1, 2, 3]
    assert positions.nearest([114.3], [30.6], 99).id.tolist() == [1, 2, 3]


@EVERY
def test_k_and_radius_may_differ_by_query(make: MakePositions) -> None:
    positions = make([1, 2, 3], [114.3, 114.301, 114.302], [30.6, 30.6, 30.6])
    asked = np.full(4, 114.3), np.full(4, 30.6)
    assert positions.nearest(*asked, [2, 0, -1, 3]).query.tolist() == [0, 0, 3, 3, 3]
    assert positions.nearest(*asked, 3, within_m=[50.0, 100.0, -1.0, np.nan]).query.tolist() == [0, 1, 1]
    assert positions.within(*asked, [0.0, 100.0, -1.0, np.nan]).query.tolist() == [0, 1, 1]


@EVERY
def test_neighbours_across_the_180_degree_meridian_and_the_pole_are_near(make: MakePositions) -> None:
    positions = make([1, 2, 3, 4], [179.999, -179.999, 10.0, -170.0], [5.0, 5.0, 89.999, 89.999])
    assert sorted(positions.within([180.0], [5.0], 150.0).id.tolist()) == [1, 2]
    assert sorted(positions.within([-180.0], [5.0], 150.0).id.tolist()) == [1, 2]
    assert positions.within([10.0], [89.9999], 150.0).id.tolist() == [3, 4]
    assert positions.nearest([539.999], [5.0], 2).id.tolist() == [1, 2]
    on_it = make([1, 2], [180.0, -180.0], [6.0, 6.0])
    assert on_it.within([180.0, -180.0], [6.0, 6.0], 1.0).id.tolist() == [1, 2, 1, 2]


@EVERY
def test_columns_of_different_lengths_are_refused(make: MakePositions) -> None:
    with pytest.raises(ValueError, match="same length"):
        make([1, 2], [114.3], [30.6])
    with pytest.raises(ValueError, match="columns"):
        make([1], [114.3], [30.6]).nearest(114.3, 30.6, 1)


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("kind", [GridPositions, HilbertPositions])
def test_a_city_and_the_other_end_of_the_earth_are_answered_as_by_the_reference(
    kind: type[GridPositions] | type[HilbertPositions], kernels: bool
) -> None:
    random = np.random.default_rng(8)
    count = 4_000
    lon = np.concatenate([random.normal(114.3, 0.03, count), random.uniform(-180, 180, 300)])
    lat = np.concatenate([random.normal(30.6, 0.03, count), np.degrees(np.arcsin(random.uniform(-1, 1, 300)))])
    ids: IntColumn = random.permutation(len(lon))
    asked = np.append(lon[::500], [-60.0, 114.3]), np.append(lat[::500], [-20.0, 31.5])
    ours, reference = kind(ids, lon, lat, kernels=kernels), RtreePositions(ids, lon, lat)
    agree(ours.nearest(*asked, 20), reference.nearest(*asked, 20))
    agree(ours.within(*asked, 1_234.5), reference.within(*asked, 1_234.5))
