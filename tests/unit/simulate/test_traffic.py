"""Simulated drivers: the same seed gives the same bytes, and the pings look like those of phones on roads."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine.geodesy.measure import distance_m
from geo_engine.model import PingBatch
from geo_engine.simulate.network import RoadNetwork
from geo_engine.simulate.traffic import TICK_MS, Traffic, simulate
from tests.unit.simulate.towns import START_MS, road, town


def drive(users: int = 120, minutes: float = 20, seed: int = 1) -> PingBatch:
    return simulate(town(), users=users, minutes=minutes, seed=seed, start_ms=START_MS)


def same(one: PingBatch, other: PingBatch) -> bool:
    names = PingBatch.__dataclass_fields__
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in names)


def by_user(pings: PingBatch) -> list[PingBatch]:
    return [pings.take(pings.u7 == user) for user in np.unique(pings.u7)]


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert same(drive(seed=5), drive(seed=5))


def test_another_seed_gives_other_bytes() -> None:
    assert not same(drive(seed=5), drive(seed=6))


@pytest.mark.parametrize("step_ms", [250, 3_700, 5_000, 61_000])
def test_how_the_time_is_cut_does_not_show(step_ms: int) -> None:
    whole = drive(users=20, minutes=3)
    traffic = Traffic(town(), users=20, seed=1, start_ms=START_MS)
    end_ms = START_MS + 180_000
    parts = [
        traffic.pings_between(begin_ms, min(begin_ms + step_ms, end_ms))
        for begin_ms in range(START_MS, end_ms, step_ms)
    ]
    assert same(PingBatch.concat(parts), whole)


def test_pings_lie_in_the_time_that_was_asked_for() -> None:
    traffic = Traffic(town(), users=50, seed=1, start_ms=START_MS)
    pings = traffic.pings_between(START_MS + 12_000, START_MS + 19_000)
    assert len(pings)
    assert pings.time_ms.min() >= START_MS + 12_000
    assert pings.time_ms.max() < START_MS + 19_000


def test_a_time_already_gone_brings_nothing_again() -> None:
    traffic = Traffic(town(), users=50, seed=1, start_ms=START_MS)
    traffic.pings_between(START_MS, START_MS + 20_000)
    assert len(traffic.pings_between(START_MS, START_MS + 20_000)) == 0


def test_pings_are_ordered_by_time() -> None:
    assert (np.diff(drive().time_ms) >= 0).all()


def test_every_user_reports_every_five_seconds_at_his_own_moment() -> None:
    tracks = by_user(drive())
    for track in tracks:
        assert (np.diff(track.time_ms) % TICK_MS == 0).all()
    phases = {int(track.time_ms[0] - START_MS) % TICK_MS for track in tracks}
    assert len(phases) > 100


def test_some_stretches_are_silent_but_not_many() -> None:
    steps = np.concatenate([np.diff(track.time_ms) for track in by_user(drive())])
    assert (steps > TICK_MS).any()
    assert (steps == TICK_MS).mean() > 0.95
    assert steps.max() <= 37 * TICK_MS + TICK_MS


def test_speeds_are_those_of_a_city() -> None:
    for track in by_user(drive()):
        step_s = np.diff(track.time_ms) / 1000
        way_m = distance_m(track.lon[:-1], track.lat[:-1], track.lon[1:], track.lat[1:])
        # 80 km/h, and what the noise of two fixes can add.
        assert (way_m <= step_s * 80 / 3.6 + 60).all()
    moving = drive().speed_mps
    moving = moving[moving > 1.0]
    assert 30 / 3.6 < np.median(moving) < 60 / 3.6
    assert moving.max() < 85 / 3.6


def test_vehicles_stop_and_move_on() -> None:
    pings = drive()
    standing = pings.speed_mps == 0.0
    assert 0.01 < standing.mean() < 0.4
    assert np.isnan(pings.heading_deg[standing]).all()


def test_positions_are_off_the_road_by_about_the_accuracy_reported() -> None:
    straight = RoadNetwork.from_geojson({"features": [road("S", "main", 50, (114.0, 30.0), (114.5, 30.0))]})
    pings = simulate(straight, users=300, minutes=2, seed=3, start_ms=START_MS)
    off_m = (pings.lat - 30.0) * 110_850
    assert 6.0 < off_m.std() < 10.5
    # 68 % of a round distribution lie within 1.515 standard deviations of one axis.
    assert np.median(pings.accuracy_m) == pytest.approx(1.515 * off_m.std(), rel=0.2)


def test_noise_of_neighbouring_fixes_is_alike() -> None:
    straight = RoadNetwork.from_geojson({"features": [road("S", "main", 50, (114.0, 30.0), (114.5, 30.0))]})
    pings = simulate(straight, users=300, minutes=2, seed=3, start_ms=START_MS)
    off = [track.lat - 30.0 for track in by_user(pings)]
    before = np.concatenate([one[:-1] for one in off])
    after = np.concatenate([one[1:] for one in off])
    assert np.corrcoef(before, after)[0, 1] > 0.8


def test_most_devices_tell_speed_and_heading_but_some_do_not() -> None:
    silent = [bool(np.isnan(track.speed_mps).all()) for track in by_user(drive())]
    assert 0.03 < np.mean(silent) < 0.3


def test_heading_is_the_way_that_is_driven() -> None:
    straight = RoadNetwork.from_geojson({"features": [road("S", "main", 50, (114.0, 30.0), (114.5, 30.0))]})
    heading = simulate(straight, users=100, minutes=2, seed=3, start_ms=START_MS).heading_deg
    heading = heading[~np.isnan(heading)]
    off_deg = np.minimum(np.abs(heading - 90.0), np.abs(heading - 270.0))
    assert off_deg.max() < 15.0


def test_a_good_share_of_the_trucks_reaches_a_bridge_within_ninety_seconds() -> None:
    traffic = Traffic(town(), users=400, seed=2, start_ms=START_MS)
    trucks = {vehicle.u7 for vehicle in traffic.vehicles() if vehicle.kind not in {None, "car", "coach"}}
    pings = traffic.pings_between(START_MS, START_MS + 105_000)
    on_bridge = (pings.lon > 114.3003) & (pings.lon < 114.3197) & (np.abs(pings.lat - 30.55) < 0.0005)
    first = {int(user) for user in pings.u7[on_bridge & (pings.time_ms < START_MS + 10_000)]}
    later = {int(user) for user in pings.u7[on_bridge]} - first
    assert len(later & trucks) / len(trucks) >= 0.25


@pytest.mark.parametrize("users", [0, -1, 10_000_000])
def test_a_fleet_without_numbers_is_refused(users: int) -> None:
    with pytest.raises(ValueError, match="users"):
        Traffic(town(), users=users, seed=1, start_ms=START_MS)


def test_one_user_alone_can_drive() -> None:
    assert len(drive(users=1, minutes=1)) in range(1, 13)
