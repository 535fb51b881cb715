"""Noise at a border: who stands does not flap, who drives is believed at once."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine import Engine, EngineConfig, PingBatch, ZoneSet
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import TransitionKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.settling import doubt_m, radius_m, settled, still_for

ZONE = ZoneSet.of([box_zone("z", west=114.30, east=114.32)])
_LON_M, _LAT_M = (float(metres) for metres in metres_per_degree(30.6))


def told(east_m: list[float], *, every_s: float = 5.0, config: EngineConfig | None = None, **columns: float) -> list:
    """Return (ping, transition) of a user at such distances east of the border; inside is positive."""
    engine, found = Engine(ZONE, config=config), []
    for number, metres in enumerate(east_m):
        now_ms = noon_ms + round(number * every_s * 1000)
        more = {name: [value] for name, value in {"accuracy_m": 15.0, **columns}.items()}
        step = engine.process(PingBatch.from_columns([1], [now_ms], [114.30 + metres / _LON_M], [30.6], **more), now_ms)
        kinds = [kind for kind in step.transitions.kinds() if kind is not TransitionKind.APPROACH]
        found += [(number, kind) for kind in kinds]
    return found


ENTER, EXIT, CROSS = TransitionKind.ENTER, TransitionKind.EXIT, TransitionKind.CROSS


def test_user_whose_positions_alternate_over_an_edge_enters_at_most_once_and_never_leaves() -> None:
    jitter = [10.0, -10.0] * 50
    assert [kind for _, kind in told(jitter)] in ([], [ENTER])
    assert len(told(jitter, config=EngineConfig.exact())) == 100


def test_truck_that_drives_in_is_inside_at_its_first_ping_beyond_the_doubt() -> None:
    assert told([-125.0, -42.0, 41.0, 124.0]) == [(2, ENTER)]


def test_truck_that_drives_in_by_less_than_the_doubt_is_inside_one_ping_later() -> None:
    assert told([-162.0, -79.0, 4.0, 87.0]) == [(3, ENTER)]


def test_slow_truck_is_inside_within_seconds_all_the_same() -> None:
    crawling = [-40.0 + 12.5 * number for number in range(14)]
    assert [kind for _, kind in told(crawling)] == [ENTER]
    assert told(crawling)[0][0] <= 3 + 4


def test_truck_that_parks_close_behind_an_edge_stays_inside_and_leaves_once() -> None:
    parked = [8.0 + 6.0 * (-1.0) ** number for number in range(60)]
    assert told([-80.0, -10.0, 40.0, *parked, -50.0, -120.0]) == [(2, ENTER), (63, EXIT)]


def test_first_ping_deep_inside_enters_and_a_shallow_one_waits_for_more() -> None:
    assert told([200.0]) == [(0, ENTER)]
    assert told([12.0]) == []
    assert [kind for _, kind in told([12.0] * 40)] == [ENTER]


def test_zone_that_a_truck_only_touches_within_the_doubt_is_passed_through() -> None:
    corner = ZoneSet.of([box_zone("z", west=114.30, east=114.30 + 6.0 / _LON_M)])
    engine, found = Engine(corner), []
    for number, metres in enumerate([-160.0, -80.0, 3.0, 86.0]):
        now_ms = noon_ms + number * 5000
        step = engine.process(PingBatch.from_columns([1], [now_ms], [114.30 + metres / _LON_M], [30.6]), now_ms)
        found += [(number, kind) for kind in step.transitions.kinds() if kind is not TransitionKind.APPROACH]
    assert found == [(3, CROSS)]


def test_speed_by_doppler_says_who_drives() -> None:
    crawling = [-20.0 + 10.0 * number for number in range(8)]
    driven = told(crawling, speed_mps=2.0, heading_deg=90.0)
    assert driven == [(3, ENTER)]


@pytest.mark.parametrize(("sigma_m", "tau_s", "outside_m", "most"), [(10.0, 30.0, 10.0, 0.1)])
def test_parked_vehicle_outside_an_edge_hardly_ever_enters(
    sigma_m: float, tau_s: float, outside_m: float, most: float
) -> None:
    """One hour of 300 vehicles with correlated noise; point by point would give 76 transitions an hour."""
    random, users = np.random.default_rng(7), np.arange(300)
    engine, plain = Engine(ZONE), Engine(ZONE, config=EngineConfig.exact())
    kept = np.exp(-5.0 / tau_s)
    noise = random.normal(0.0, sigma_m, (2, len(users)))
    counts = {"filtered": 0, "plain": 0}
    for number in range(720):
        now_ms = noon_ms + number * 5000
        lon, lat = 114.30 + (noise[0] - outside_m) / _LON_M, 30.6 + noise[1] / _LAT_M
        accuracy_m = np.full(len(users), 1.5 * sigma_m)
        pings = PingBatch.from_columns(users, np.full(len(users), now_ms), lon, lat, accuracy_m=accuracy_m)
        counts["filtered"] += len(engine.process(pings, now_ms).transitions)
        counts["plain"] += len(plain.process(pings, now_ms).transitions)
        noise = kept * noise + np.sqrt(1.0 - kept * kept) * random.normal(0.0, sigma_m, noise.shape)
    assert counts["plain"] / len(users) > 50.0
    assert counts["filtered"] / len(users) <= most


def test_belief_follows_all_of_the_way_while_driving_and_less_and_less_while_standing() -> None:
    assert settled(0, 5000) == 1.0
    assert settled(5, 5000) == 0.5
    assert settled(180, 5000) == pytest.approx(1 / 37)


def test_doubt_shrinks_while_somebody_stands_but_never_below_that_of_driving() -> None:
    assert doubt_m(5, 15.0) == 30.0
    assert doubt_m(45, 15.0) == pytest.approx(10.0)
    assert doubt_m(180, 15.0) == doubt_m(0, 15.0) == 5.0


def test_standing_ends_with_a_way_no_noise_makes_and_begins_with_a_short_one() -> None:
    nan = float("nan")
    assert still_for(60, 44.0, True, nan, 15.0, 5000) == 65
    assert still_for(60, 45.0, True, nan, 15.0, 5000) == 0
    assert still_for(0, 29.0, False, nan, 15.0, 5000) == 5
    assert still_for(0, 15.0, True, nan, 15.0, 5000) == 0
    assert still_for(60, 1.0, True, 2.0, 15.0, 5000) == 0
    assert still_for(178, 0.0, False, nan, 15.0, 5000) == 180


def test_accuracy_nobody_told_and_accuracy_too_good_to_be_true_are_replaced() -> None:
    assert (radius_m(float("nan")), radius_m(1.0), radius_m(40.0)) == (15.0, 5.0, 40.0)


def test_ping_as_vague_as_can_be_says_nothing_about_a_border() -> None:
    for accuracy_m in (1e5, float("inf")):
        assert told([100.0], config=EngineConfig(max_accuracy_m=None), accuracy_m=accuracy_m) == []
