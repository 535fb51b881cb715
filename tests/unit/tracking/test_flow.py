"""What is learnt of the traffic, and what it does not remember."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from geo_engine.tracking.chain import learnt_chain
from geo_engine.tracking.flow import MOVE, Flow
from geo_engine.tracking.flow_kernels import DrivenSteps, columns_per_degree, heading_of, moved_into, state_of
from geo_engine.tracking.outlook_table import layout_of

LON, LAT = 114.3051, 30.6003


def steps(
    east_m: list[float], *, mps: float = 12.0, elapsed_ms: int = 5_000, lon: float = LON, lat: float = LAT
) -> DrivenSteps:
    """DrivenSteps of 60 m to the east that begin so many metres east of the place."""
    lon_m = 111_320.0 * np.cos(np.radians(lat))
    begin = lon + np.array(east_m) / lon_m
    ones = np.ones(len(begin))
    return DrivenSteps(
        begin, lat * ones, mps * ones, 0.0 * ones, begin + 60.0 / lon_m, lat * ones, mps * ones, 0.0 * ones,
        np.full(len(begin), elapsed_ms),
    )  # fmt: skip


def random_steps(count: int, seed: int = 1) -> DrivenSteps:
    rng = np.random.default_rng(seed)
    lon, lat = LON + rng.uniform(-0.02, 0.02, count), LAT + rng.uniform(-0.02, 0.02, count)
    velocity = rng.normal(0.0, 6.0, (4, count))
    elapsed_ms = rng.integers(1_000, 25_000, count)
    end = lon + velocity[0] * 5e-5, lat + velocity[1] * 5e-5
    return DrivenSteps(lon, lat, velocity[0], velocity[1], *end, velocity[2], velocity[3], elapsed_ms)


def test_a_step_of_a_driver_is_counted() -> None:
    flow = Flow()
    flow.learn(steps([0.0, 0.0]))
    assert len(flow) == 1
    assert flow.moves()["seen"].tolist() == [2.0]
    assert flow.moves()["seconds"].tolist() == [10.0]


@pytest.mark.parametrize("case", [{"mps": 0.5}, {"elapsed_ms": 1_000}, {"elapsed_ms": 60_000}])
def test_a_step_that_shows_no_way_is_not_counted(case: dict[str, float]) -> None:
    flow = Flow()
    flow.learn(steps([0.0], **case))
    assert len(flow) == 0


def test_counts_are_those_of_a_plain_dictionary() -> None:
    """The kernel against its twin: a Counter of (state, state a step later)."""
    some = random_steps(3_000)
    flow = Flow()
    flow.learn(some)
    columns = columns_per_degree()
    twin: Counter[tuple[int, int]] = Counter()
    for row in range(len(some.lon0)):
        lon0, lat0, east0, north0, lon1, lat1, east1, north1, elapsed_ms = (column[row] for column in some)
        moves0, moves1 = np.hypot(east0, north0) >= 2.0, np.hypot(east1, north1) >= 2.0
        if not 3_000 <= elapsed_ms <= 20_000 or not (moves0 or moves1):
            continue
        into = (east1, north1) if moves1 else (east0, north0)
        out_of = (east0, north0) if moves0 else into
        twin[
            int(state_of(columns, lon0, lat0, heading_of(*out_of))),
            int(state_of(columns, lon1, lat1, heading_of(*into))),
        ] += 1
    moves = flow.moves()
    begin, end = moved_into(columns, moves["key"])
    assert dict(zip(zip(begin.tolist(), end.tolist(), strict=True), moves["seen"].tolist(), strict=True)) == twin


@pytest.mark.parametrize(
    ("east", "north", "heading"), [(0.1, 1, 0), (1, 1, 1), (1, 0.1, 2), (-1, -1, 5), (-1, 0.3, 6), (-1, 1, 7)]
)
def test_a_direction_falls_into_one_of_eight_headings(east: float, north: float, heading: int) -> None:
    assert heading_of(east, north) == heading


def test_the_order_of_learning_changes_nothing() -> None:
    some, one, other = random_steps(500), Flow(), Flow()
    one.learn(some)
    other.learn(DrivenSteps(*(column[::-1].copy() for column in some)))
    assert np.array_equal(one.moves()["key"], other.moves()["key"])
    assert np.array_equal(one.moves()["seen"], other.moves()["seen"])


def test_the_table_keeps_to_its_limit_and_to_what_is_frequent() -> None:
    flow = Flow(most_moves=2_000)
    for _ in range(5):
        flow.learn(steps([0.0]))
    for seed in range(8):
        flow.learn(random_steps(2_000, seed))
    assert len(flow) < 4_096
    assert flow.moves()["seen"].max() >= 5.0


def test_what_was_seen_once_is_forgotten_with_time_and_what_is_frequent_is_not() -> None:
    flow = Flow(half_life_s=100.0)
    flow.learn(steps([0.0] * 8 + [500.0]))
    flow.age(100.0)
    assert sorted(flow.moves()["seen"].tolist()) == [0.5, 4.0]
    flow.age(100.0)
    assert flow.moves()["seen"].tolist() == [2.0]


def test_no_time_changes_nothing() -> None:
    flow = Flow()
    flow.learn(steps([0.0]))
    flow.age(-5.0)
    assert flow.moves()["seen"].tolist() == [1.0]


def test_a_snapshot_is_taken_up_whole_and_holds_no_user() -> None:
    flow, other = Flow(), Flow()
    flow.learn(random_steps(6_000))
    other.load(flow.moves())
    assert np.array_equal(flow.moves(), other.moves())
    assert set(MOVE.names or ()) == {"key", "seen", "seconds", "east", "north"}


def test_what_is_taken_up_is_all_that_is_known() -> None:
    flow = Flow()
    flow.learn(steps([0.0]))
    flow.load(Flow().moves())
    assert len(flow) == 0


def test_a_copy_learns_apart() -> None:
    flow = Flow()
    flow.learn(steps([0.0]))
    other = flow.copy()
    other.learn(steps([500.0]))
    assert (len(flow), len(other)) == (1, 2)


def test_steps_in_any_order_teach_exactly_the_same() -> None:
    some = random_steps(5_000)
    one, other = Flow(), Flow()
    one.learn(some)
    other.learn(DrivenSteps(*(column[::-1] for column in some)))
    assert one.moves().tobytes() == other.moves().tobytes()


def test_what_few_drove_is_not_handed_out() -> None:
    flow = Flow()
    flow.learn(steps([0.0, 0.0, 0.0, 500.0]))
    assert len(flow.moves(least_seen=2.0)) == 1


def test_a_state_lies_where_drivers_were_not_in_the_middle_of_its_cell() -> None:
    flow = Flow()
    some = steps([0.0])
    flow.learn(some)
    chain = learnt_chain(flow.moves()).chain
    # To a sixteenth of a cell of 80 m; its middle is further off.
    assert chain.lon[0] == pytest.approx(some.lon0[0], abs=3e-5)
    assert chain.lat[0] == pytest.approx(some.lat0[0], abs=3e-5)


def test_shares_of_a_state_sum_to_one() -> None:
    flow = Flow()
    flow.learn(random_steps(5_000))
    chain = learnt_chain(flow.moves()).chain
    sums = np.bincount(chain.source, weights=chain.share)
    assert sums[np.unique(chain.source)] == pytest.approx(1.0, abs=1e-5)
    assert (np.diff(chain.source) >= 0).all()


def test_a_way_over_a_line_of_latitude_goes_on_in_the_columns_of_the_other_side() -> None:
    columns = columns_per_degree()
    lon, flow = 114.3051, Flow()
    flow.learn(
        DrivenSteps(
            *(np.array([value]) for value in (lon, 30.9999, 0.0, 10.0, lon, 31.0003, 0.0, 10.0)), np.array([5_000])
        )
    )
    _, end = moved_into(columns, flow.moves()["key"])
    assert abs(int(end[0]) - int(state_of(columns, lon, 31.0003, 0))) <= 8


def test_a_way_over_the_antimeridian_goes_round() -> None:
    columns = columns_per_degree()
    flow = Flow()
    flow.learn(
        DrivenSteps(
            *(np.array([value]) for value in (179.9999, 10.0, 10.0, 0.0, -179.9998, 10.0, 10.0, 0.0)), np.array([5_000])
        )
    )
    _, end = moved_into(columns, flow.moves()["key"])
    assert int(end[0]) == int(state_of(columns, -179.9998, 10.0, 2))


def test_records_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="expected"):
        learnt_chain(np.zeros(1, dtype=[("a", np.int64)]))


@pytest.mark.parametrize(("lon", "lat"), [(180.0, -17.0), (180.0, 89.5), (10.0, 90.0), (-180.0, -90.0)])
def test_places_at_the_edge_of_the_map_have_states_like_any_other(lon: float, lat: float) -> None:
    flow = Flow()
    place = (np.full(3, value) for value in (lon, lat, 12.0, 0.0, lon, lat, 12.0, 0.0))
    flow.learn(DrivenSteps(*place, np.full(3, 5_000)))
    assert layout_of(learnt_chain(flow.moves())).known.sum() > 0
    columns = columns_per_degree()
    assert state_of(columns, 180.0, 10.0, 0) == state_of(columns, -180.0, 10.0, 0)
