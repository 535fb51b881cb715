"""The quality benchmark measures what it says: its definitions, its city, its ceiling, its baselines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely

from benchmarks.quality.__main__ import measure
from benchmarks.quality.baselines import HeadingBlind, Ray, Ring, steps_of
from benchmarks.quality.borders import enter_delays, narrow_found, parked_per_hour, switches
from benchmarks.quality.ceiling import ceiling
from benchmarks.quality.city_case import QUICK, build_city_case
from benchmarks.quality.engine_way import EngineWay
from benchmarks.quality.findings import Forecaster, Ground, Moments, first_of_each_cover, keys_of
from benchmarks.quality.frame import Frame
from benchmarks.quality.misses import false_by_cause, missed_by_cause
from benchmarks.quality.recorded_case import RECORDINGS, read_recorded_case
from benchmarks.quality.score import Record, Score, best_precision, hull, judge, score
from benchmarks.quality.sections import BASELINES, Contenders
from benchmarks.quality.sensing import MEMORY, Motions, Sensing, autoregression, sense
from benchmarks.quality.truth import OUTSIDE_S, stays_of, visits_of
from geo_engine.model import PingBatch
from geo_engine.testing import noon_ms

SENSING = Sensing(5, 10.0)
CASE = build_city_case(replace(QUICK, users=40, seconds=1200))
PINGS = CASE.pings(SENSING)
SCORES = list(ceiling(CASE.outlook(SENSING), CASE.record).values())
WAYS: tuple[Forecaster, ...] = (EngineWay(), Ring(), Ray(), HeadingBlind())
ZONE = shapely.box(114.30, 30.60, 114.31, 30.61)


def at(*events: tuple[int, int, float]) -> Moments:
    """Return events of (u7, zone, seconds after noon)."""
    columns = np.array(events, dtype=np.float64).reshape(-1, 3).T
    return Moments(columns[0].astype(np.int64), columns[1].astype(np.int64), noon_ms + (columns[2] * 1000).astype(int))


def record(*visits: tuple[int, int, float], end_s: float = 2000.0) -> Record:
    """Return the truth about two users."""
    return Record(at(*visits), noon_ms, np.full(2, noon_ms + int(end_s * 1000)), 2.0)


@pytest.mark.parametrize(
    ("lead_s", "recalled", "came_true"),
    [(15.0, True, True), (14.9, False, True), (180.0, True, True), (180.1, False, False), (0.0, False, False)],
)
def test_a_visit_counts_as_warned_of_from_180_to_15_s_before(lead_s: float, recalled: bool, came_true: bool) -> None:
    found = score(at((0, 0, 1000.0 - lead_s)), record((0, 0, 1000.0)))
    assert (found.recall, found.precision) == (float(recalled), float(came_true))


@pytest.mark.parametrize("other", [(1, 0, 950.0), (0, 1, 950.0), (0, 0, 1010.0)])
def test_a_warning_of_another_user_or_zone_or_after_the_entry_is_none(other: tuple[int, int, float]) -> None:
    found = score(at(other), record((0, 0, 1000.0)))
    assert (found.recall, found.precision) == (0.0, 0.0)


def test_a_warning_within_the_cover_of_another_one_is_not_counted() -> None:
    found = score(at((0, 0, 900.0), (0, 0, 1080.0)), record((0, 0, 1000.0)))
    assert (found.warnings, found.precision) == (1, 1.0)


def test_a_warning_after_the_cover_of_another_one_is_counted() -> None:
    found = score(at((0, 0, 900.0), (0, 0, 1080.1)), record((0, 0, 1000.0)))
    assert (found.warnings, found.precision) == (2, 0.5)


def test_a_covered_warning_does_not_make_up_for_one_that_came_too_early() -> None:
    assert score(at((0, 0, 815.0), (0, 0, 950.0)), record((0, 0, 1000.0))).recall == 0.0
    assert score(at((0, 0, 950.0)), record((0, 0, 1000.0))).recall == 1.0


def test_a_warning_whose_time_the_record_does_not_cover_is_not_judged() -> None:
    assert score(at((0, 0, 1821.0)), record(end_s=2000.0)).warnings == 0
    assert score(at((0, 0, 1820.0)), record(end_s=2000.0)).warnings == 1


def test_lead_counts_late_warnings_too_and_leaves_out_visits_without_any() -> None:
    found = judge(at((0, 0, 995.0), (1, 0, 940.0)), record((0, 0, 1000.0), (1, 0, 1000.0), (0, 1, 1000.0)))
    assert found.lead_s.tolist()[0::2] == [5.0, 60.0]
    assert np.isnan(found.lead_s[1])


def test_messages_are_counted_per_user_and_hour() -> None:
    assert score(at((0, 0, 100.0), (0, 1, 100.0), (1, 0, 100.0)), record()).per_user_hour == 1.5


def test_covers_are_counted_as_a_plain_loop_counts_them() -> None:
    rng = np.random.default_rng(3)
    u7, zone, seconds = rng.integers(0, 3, 400), rng.integers(0, 2, 400), rng.integers(0, 3000, 400)
    keys = np.sort(keys_of(u7, zone, noon_ms + seconds * 1000, noon_ms))
    last: dict[int, int] = {}
    expected = []
    for row, key in enumerate(keys.tolist()):
        if key >> 40 not in last or key - last[key >> 40] > 180_000:
            last[key >> 40] = key
            expected.append(row)
    assert first_of_each_cover(keys).tolist() == expected


@pytest.mark.parametrize(("outside_s", "visits"), [(OUTSIDE_S, 2), (OUTSIDE_S - 1, 1)])
def test_an_entry_is_a_visit_after_a_minute_outside(outside_s: int, visits: int) -> None:
    inside = np.array([False] * 90 + [True] * 5 + [False] * outside_s + [True] * 5)
    place = np.where(inside, 5.0, 500.0)[:, None, None] * np.ones((1, 1, 2))
    found = stays_of(place, (shapely.box(0.0, 0.0, 10.0, 10.0),))
    assert found.begin_s.tolist() == [90, 95 + outside_s]
    assert len(visits_of(found)) == visits


def test_the_time_before_a_record_is_not_known_to_be_outside() -> None:
    place = np.where(np.arange(100) < 40, 500.0, 5.0)[:, None, None] * np.ones((1, 1, 2))
    found = stays_of(place, (shapely.box(0.0, 0.0, 10.0, 10.0),))
    assert len(found) == 1
    assert len(visits_of(found)) == 0


def test_drivers_turn_as_often_as_the_city_says() -> None:
    streets, drives = CASE.streets, CASE.drives
    assert np.allclose(streets.chance.sum(axis=1), 1.0)
    before, after = drives.stretch[:-1].ravel(), drives.stretch[1:].ravel()
    changed = before != after
    took = streets.following[before[changed]] == after[changed, None]
    # A short stretch may be passed within a second; then the next one was not chosen from this one.
    known = took.any(axis=1)
    assert known.mean() > 0.99
    chance = streets.chance[before[changed]][took]
    expected = (streets.chance[before[changed]] ** 2).sum(axis=1)
    assert chance.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert np.median(streets.chance.max(axis=1)) > 0.6


def test_drivers_keep_to_streets_and_speeds() -> None:
    step_m = np.hypot(*np.moveaxis(np.diff(CASE.drives.place, axis=0), -1, 0))
    assert step_m.max() <= 60 / 3.6 + 0.1
    streets = shapely.union_all(CASE.streets.lines())
    assert shapely.distance(shapely.points(CASE.drives.place[::200].reshape(-1, 2)), streets).max() < 0.01


def test_nobody_drives_into_a_decoy_and_zones_are_visited() -> None:
    visited = {CASE.grounds.sort[zone] for zone in CASE.stays.zone.tolist()}
    assert visited == {"section", "area"}
    assert {"parallel", "behind"} <= set(CASE.grounds.sort)


def test_the_same_plan_gives_the_same_city_and_another_seed_another_one() -> None:
    plan = replace(CASE.plan, users=5, seconds=100)
    once, again, other = (build_city_case(case).pings(SENSING) for case in (plan, plan, replace(plan, seed=2)))
    assert np.array_equal(once.lon, again.lon)
    assert not np.array_equal(once.lon, other.lon)
    assert not np.array_equal(once.lon, CASE.history(SENSING).lon[: len(once)])


def test_errors_are_as_large_and_as_lasting_as_asked_for() -> None:
    errors = autoregression(4000, 50, MEMORY, np.random.default_rng(1))
    assert errors.std() == pytest.approx(1.0, abs=0.03)
    assert (errors[1:] * errors[:-1]).mean() == pytest.approx(MEMORY, abs=0.03)
    still = np.zeros((3000, 20))
    frame = Frame(114.3, 30.6)
    motions = Motions(np.zeros((3000, 20, 2)), still, still)
    pings, second = sense(motions, Sensing(5, 20.0), frame, start_ms=noon_ms, seed=1)
    assert frame.to_metres(np.column_stack([pings.lon, pings.lat])).std() == pytest.approx(20.0, rel=0.1)
    assert np.array_equal(pings.time_ms, noon_ms + second * 1000)


def test_half_of_the_devices_tell_their_speed() -> None:
    told = np.unique(PINGS.u7[~np.isnan(PINGS.speed_mps)])
    assert told.tolist() == [user for user in range(40) if user % 10 < 5]


def test_the_oracle_is_right_as_often_as_it_says() -> None:
    seen = CASE.outlook(SENSING)
    # Every visit within 180 s counts here, so no cover is applied: each thought is held to the truth by itself.
    keys = keys_of(seen.at.u7, seen.at.zone, seen.at.time_ms, noon_ms)
    visits = np.sort(keys_of(CASE.record.visits.u7, CASE.record.visits.zone, CASE.record.visits.time_ms, noon_ms))
    came = np.searchsorted(visits, keys + 180_000, side="right") > np.searchsorted(visits, keys)
    known = seen.at.time_ms < noon_ms + 1000 * (CASE.plan.seconds - 180)
    for low, high in ((0.05, 0.2), (0.2, 0.4), (0.4, 0.7), (0.95, 1.01)):
        rows = known & (seen.chance >= low) & (seen.chance < high)
        assert came[rows].mean() == pytest.approx(seen.chance[rows].mean(), abs=0.1)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_ceiling_is_above_every_way(way: Forecaster) -> None:
    found = score(way.find(PINGS, CASE.ground()).warnings, CASE.record)
    assert found.warnings > 0
    reached = min(found.recall, max(point.recall for point in SCORES))
    assert best_precision(SCORES, reached) > found.precision


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_no_way_looks_into_the_future(way: Forecaster) -> None:
    half_ms = noon_ms + 600_000
    whole = way.find(PINGS, CASE.ground()).warnings
    part = way.find(PINGS.take(PINGS.time_ms < half_ms), CASE.ground()).warnings
    early = np.flatnonzero(whole.time_ms < half_ms)
    assert set(zip(*map(np.ndarray.tolist, (part.u7, part.zone, part.time_ms)), strict=True)) == set(
        zip(whole.u7[early].tolist(), whole.zone[early].tolist(), whole.time_ms[early].tolist(), strict=True)
    )


def test_the_hull_keeps_what_nothing_beats() -> None:
    points = [replace(SCORES[0], recall=recall, precision=precision, warnings=1) for recall, precision in POINTS]
    assert [(point.recall, point.precision) for point in hull(points)] == [(0.9, 0.5), (0.6, 0.8)]
    assert best_precision(points, 0.7) == 0.5
    assert np.isnan(best_precision(points, 0.95))


POINTS = ((0.9, 0.5), (0.7, 0.4), (0.6, 0.8), (0.5, 0.8))


def drive_east(heading_deg: float = 90.0) -> PingBatch:
    """Return one user's way towards the zone's west edge, 10 m/s, from 600 m before it."""
    seconds = np.arange(0, 90, 5)
    lon = 114.30 + (10.0 * seconds - 600.0) / 95_900.0
    told = {"speed_mps": np.full(len(seconds), 10.0), "heading_deg": np.full(len(seconds), heading_deg)}
    return PingBatch.from_columns(
        np.zeros(len(seconds)), noon_ms + seconds * 1000, lon, np.full(len(seconds), 30.605), **told
    )


def first_s(way: Forecaster, pings: PingBatch) -> float:
    """Return the seconds of the first warning, NaN without one."""
    times_ms = way.find(pings, Ground((ZONE,))).warnings.time_ms
    return float(times_ms.min() - noon_ms) / 1000.0 if len(times_ms) else float("nan")


@pytest.mark.parametrize(("way", "expected_s"), [(Ring(300.0), 30.0), (Ray(45.0), 15.0), (HeadingBlind(45.0), 15.0)])
def test_a_baseline_warns_where_it_should(way: Forecaster, expected_s: float) -> None:
    assert first_s(way, drive_east()) == pytest.approx(expected_s, abs=5.0)


def test_only_the_ray_looks_at_the_heading() -> None:
    assert np.isnan(first_s(Ray(45.0), drive_east(heading_deg=0.0)))
    assert first_s(HeadingBlind(45.0), drive_east(heading_deg=0.0)) == first_s(HeadingBlind(45.0), drive_east())


def test_a_device_that_tells_nothing_is_measured() -> None:
    pings = drive_east()
    silent = np.full(len(pings), np.nan)
    steps = steps_of(replace(pings, speed_mps=silent, heading_deg=silent))
    assert np.isnan(steps.velocity_mps[0]).all()
    assert steps.velocity_mps[1:] == pytest.approx(np.array([[10.0, 0.0]] * (len(pings) - 1)), abs=0.1)


def test_sides_are_counted_by_runs() -> None:
    depth_m = np.array([-1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0])[:, None]
    accuracy_m = np.full(depth_m.shape, 0.5)
    assert np.flatnonzero(switches(depth_m, accuracy_m, 1, 0.0)).tolist() == [1, 3, 4, 7]
    assert np.flatnonzero(switches(depth_m, accuracy_m, 3, 0.0)).tolist() == [6, 9]
    assert not switches(depth_m, accuracy_m, 1, 2.0).any()


def test_the_baselines_of_a_parked_vehicle_have_their_reference_values() -> None:
    found = parked_per_hour(EngineWay(), hours=2.0)
    assert found["point by point"] == pytest.approx(76.0, rel=0.08)
    assert found["three in a row"] == pytest.approx(24.0, rel=0.08)
    assert found["two of two, gated by accuracy"] == pytest.approx(1.8, rel=0.35)


def test_every_narrow_zone_and_every_enter_is_noticed_by_the_engine() -> None:
    found = narrow_found(EngineWay(), sigma_m=0.0, users=10)
    assert found["found"] == found["visits"] > 0
    delay = enter_delays(EngineWay(), users=50)["geo_engine"]
    assert delay.missed == 0
    assert delay.late_share == 0.0


def test_every_failure_has_one_cause() -> None:
    verdict = judge(EngineWay().find(PINGS, CASE.ground()).warnings, CASE.record)
    assert sum(missed_by_cause(CASE, verdict).values()) == np.count_nonzero(~verdict.in_time)
    assert sum(false_by_cause(CASE, verdict).values()) == np.count_nonzero(~verdict.came_true)


def test_recorded_drives_have_visits_and_decoys(shared_data: Path) -> None:
    for recording in RECORDINGS:
        case = read_recorded_case(replace(recording, copies=2), shared_data)
        visited = np.unique(case.record.visits.zone)
        assert 0 < len(visited) < len(case.shapes)
        assert np.nanmax(np.hypot(*np.moveaxis(np.diff(case.motions.place_m, axis=0), -1, 0))) <= 60.0


def test_a_quick_run_reports_every_way_and_can_be_drawn(tmp_path: Path) -> None:
    report = measure(Contenders(mapped=(Ray(20.0),)), quick=True, data=tmp_path / "absent", tell=lambda _: None)
    report.write(tmp_path)
    names = {"geo_engine", "straight ray 20 s", *(way.name for way in BASELINES)}
    assert {row["way"] for row in report.document["conditions"]} == names
    assert report.document["recorded"] == []
    assert {row["way"] for row in report.document["targets"]} == {"geo_engine", "straight ray 20 s"}
    for row in report.document["conditions"]:
        assert set(Score.__dataclass_fields__) < set(row)
    for picture in ("quality.svg", "quality_map.svg"):
        assert ET.parse(tmp_path / picture).getroot().tag.endswith("svg")  # noqa: S314 - written by ourselves
