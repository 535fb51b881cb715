"""The engine's step: what is reported, what is warned about, and what must not change the result."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine import Decisions, Engine, EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.index import BruteForceIndex
from geo_engine.model import (
    AlertReason,
    Applicability,
    Language,
    RejectReason,
    SuppressReason,
    TransitionKind,
    TransitionReason,
    VehicleKind,
    Visit,
    ZoneKind,
)
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone
from tests.contract.trackers import assert_same
from tests.examples import examples

FAR = EngineConfig(approach=ApproachPolicy.reaching(90.0))
"""Looks so far ahead that a drive of a few pings is enough."""
DRIVER = Vehicle(u7=0, kind=VehicleKind.GOODS, consent_warnings=True)
TRUCKS = AppliesTo(kinds=frozenset({VehicleKind.GOODS}))


def engine_of(*zones: Zone, config: EngineConfig | None = None, driver: Vehicle = DRIVER) -> Engine:
    return Engine(ZoneSet.of(zones), config=config, default_vehicle=driver)


def run(engine: Engine, pings: PingBatch, *, one_by_one: bool = True) -> list[Decisions]:
    """Feed the pings one moment at a time, or all at once."""
    if not one_by_one:
        return [engine.process(pings, int(pings.time_ms.max()))]
    moments = np.unique(pings.time_ms)
    return [engine.process(pings.take(pings.time_ms == moment), int(moment)) for moment in moments]


def said(steps: list[Decisions], engine: Engine) -> list[tuple[int, str, str]]:
    return [
        (int(u7), engine.zones.zones[int(zone)].zone_id, kind.value)
        for step in steps
        for u7, zone, kind in zip(step.transitions.u7, step.transitions.zone, step.transitions.kinds(), strict=True)
    ]


def alerts(steps: list[Decisions]) -> list:
    return [alert for step in steps for alert in step.alerts]


def test_driver_is_warned_before_the_border_once_and_enters_later() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS))
    steps = run(engine, straight_drive(1, pings=30))
    kinds = [kind for _, _, kind in said(steps, engine)]
    assert kinds == ["approach", "enter"]
    (alert,) = alerts(steps)
    assert alert.send
    assert alert.trigger is AlertReason.APPROACH
    assert 0 < alert.distance_m < 15.0 * 90.0
    assert alert.eta_s == pytest.approx(alert.distance_m / 15.0)
    assert alert.compass == "E"
    entered = next(step for step in steps if TransitionKind.ENTER in step.transitions.kinds())
    assert alert.time_ms < entered.transitions.time_ms[0]


def test_arrival_is_when_the_warning_said() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS))
    steps = run(engine, straight_drive(1, pings=40))
    (alert,) = alerts(steps)
    entered_ms = next(int(step.transitions.time_ms[0]) for step in steps if "enter" in step.transitions.kinds())
    assert (entered_ms - alert.time_ms) / 1000 == pytest.approx(alert.eta_s, abs=5.0)


def test_driver_who_heads_away_is_not_warned() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS))
    steps = run(engine, straight_drive(1, pings=30, bearing_deg=270.0))
    assert said(steps, engine) == []
    assert alerts(steps) == []


def test_driver_who_passes_beside_the_zone_is_not_warned() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS))
    steps = run(engine, straight_drive(1, pings=60, lat=30.62))
    assert alerts(steps) == []


def test_vehicle_the_rule_does_not_concern_is_not_warned_but_its_enter_is_reported() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS), driver=replace(DRIVER, kind=VehicleKind.CAR))
    steps = run(engine, straight_drive(1, pings=40))
    assert [kind for *_, kind in said(steps, engine)] == ["enter", "exit"]
    assert alerts(steps) == []


def test_unknown_vehicle_is_told_that_the_rule_may_apply() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS), driver=replace(DRIVER, kind=None))
    (alert,) = alerts(run(engine, straight_drive(1, pings=40)))
    assert alert.may_apply
    assert "可能适用" in alert.text


def test_driver_without_consent_is_not_sent_anything_and_the_reason_is_kept() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS), driver=replace(DRIVER, consent_warnings=False))
    (alert,) = alerts(run(engine, straight_drive(1, pings=40)))
    assert not alert.send
    assert alert.reason == SuppressReason.NO_CONSENT


def test_users_unknown_to_the_engine_have_given_no_consent_by_default() -> None:
    engine = Engine(ZoneSet.of([box_zone("z")]))
    (alert,) = alerts(run(engine, straight_drive(1, pings=40)))
    assert alert.reason == SuppressReason.NO_CONSENT


def test_venue_is_entered_without_a_word() -> None:
    engine = engine_of(box_zone("v", kind=ZoneKind.VENUE))
    steps = run(engine, straight_drive(1, pings=40))
    assert [kind for *_, kind in said(steps, engine)] == ["enter", "exit"]
    assert alerts(steps) == []


def test_congestion_is_left_for_the_person_to_ask_about() -> None:
    engine = engine_of(box_zone("c", kind=ZoneKind.CONGESTION))
    (alert,) = alerts(run(engine, straight_drive(1, pings=40)))
    assert alert.reason == SuppressReason.PULL_ONLY


def test_first_position_inside_is_an_enter_and_a_warning() -> None:
    engine = engine_of(box_zone("z"))
    steps = run(engine, straight_drive(1, pings=1, lon=114.305))
    assert said(steps, engine) == [(1, "z", "enter")]
    (alert,) = alerts(steps)
    assert alert.trigger is AlertReason.ENTER
    assert alert.distance_m == 0.0
    assert alert.bearing_deg is None


def test_zone_passed_between_two_pings_is_a_cross() -> None:
    engine = engine_of(box_zone("z", east=114.3002), config=EngineConfig.exact())
    steps = run(engine, straight_drive(1, pings=20, speed_mps=40.0, lon=114.29))
    assert said(steps, engine) == [(1, "z", "cross")]


def test_second_visit_within_the_cooldown_is_suppressed_and_after_it_is_sent() -> None:
    zone = box_zone("z", applies_to=TRUCKS)
    there = straight_drive(1, pings=40)
    for pause_s, reason in ((700, SuppressReason.COOLDOWN.value), (4000, AlertReason.APPROACH.value)):
        engine = engine_of(zone)
        run(engine, there)
        again = straight_drive(1, pings=40, start_ms=noon_ms + 200_000 + pause_s * 1000)
        # The pause itself is silence: the driver was lost, which ends the first visit.
        second = alerts(run(engine, again))
        assert [alert.reason for alert in second] == [reason]


def test_daily_cap_stops_the_third_warning_and_counts_it() -> None:
    zones = [box_zone(f"z{n}", west=114.30 + n * 0.05, east=114.31 + n * 0.05) for n in range(3)]
    engine = engine_of(*zones, config=EngineConfig(policy=Policy(daily_cap=2)))
    found = alerts(run(engine, straight_drive(1, pings=250)))
    assert [alert.reason for alert in found] == ["approach", "approach", "cap"]


def test_graver_zone_is_decided_first_when_the_cap_leaves_room_for_one() -> None:
    works = box_zone("a-works", kind=ZoneKind.CONSTRUCTION)
    ban = box_zone("z-ban", west=114.3001, applies_to=TRUCKS)
    engine = engine_of(works, ban, config=EngineConfig(policy=Policy(daily_cap=1)))
    first = alerts(run(engine, straight_drive(1, pings=4, lon=114.299)))
    assert [(alert.zone_id, alert.send) for alert in first] == [("z-ban", True), ("a-works", False)]


def test_window_that_opens_warns_the_driver_who_stands_inside() -> None:
    zone = box_zone("z", schedule=Schedule.parse("Mo-Fr 12:01-13:00", "Asia/Shanghai"))
    engine = engine_of(zone)
    steps = run(engine, straight_drive(1, pings=30, lon=114.305, speed_mps=0.0))
    (alert,) = alerts(steps)
    assert alert.trigger is AlertReason.WINDOW_OPENED
    assert alert.time_ms == noon_ms + 60_000


def test_closed_window_does_not_warn_and_a_window_open_on_arrival_does() -> None:
    drive = straight_drive(1, pings=20)
    closed = engine_of(box_zone("z", schedule=Schedule.parse("Mo-Fr 20:00-21:00", "Asia/Shanghai")))
    assert alerts(run(closed, drive)) == []
    opening = engine_of(box_zone("z", schedule=Schedule.parse("Mo-Fr 12:01-13:00", "Asia/Shanghai")), config=FAR)
    (alert,) = alerts(run(opening, drive))
    assert alert.time_ms + alert.eta_s * 1000 >= noon_ms + 60_000
    assert alert.opens_ms == noon_ms + 60_000
    assert "开始货车禁行（12:01）" in alert.text
    open_now = engine_of(box_zone("z", schedule=Schedule.parse("Mo-Fr 11:00-13:00", "Asia/Shanghai")), config=FAR)
    (told,) = alerts(run(open_now, drive))
    assert (told.opens_ms, "开始" in told.text) == (None, False)


@pytest.mark.parametrize(("opens_s", "told"), [(0.9, True), (1.1, False)])
def test_rule_that_begins_before_the_arrival_is_told_of_and_one_that_begins_after_it_is_not(
    opens_s: float, told: bool
) -> None:
    drive = straight_drive(1, pings=40)
    (plain,) = alerts(run(engine_of(box_zone("z")), drive))
    arrival_ms = plain.time_ms + round(plain.eta_s * 1000)
    begin_ms = round(plain.time_ms + (arrival_ms - plain.time_ms) * opens_s)
    begins = engine_of(replace(box_zone("z"), valid_from_ms=begin_ms), driver=replace(DRIVER, language=Language.EN))
    found = alerts(run(begins, drive.take(drive.time_ms <= plain.time_ms)))
    assert [(alert.trigger, alert.opens_ms) for alert in found] == ([(AlertReason.APPROACH, begin_ms)] if told else [])
    if told:
        words = r"zone z closes to your vehicle in (\d+ s|\d minute) \(12:0\d\), you arrive in \d+ s"
        assert re.search(words, found[0].text)


def test_silent_user_has_left_after_the_limit_and_enters_anew() -> None:
    engine = engine_of(box_zone("v", kind=ZoneKind.VENUE))
    run(engine, straight_drive(1, pings=1, lon=114.305))
    before = engine.process(PingBatch.empty(), noon_ms + 899_999)
    assert len(before.transitions) == 0
    assert before.next_deadline_ms == noon_ms + 900_000
    lost = engine.process(PingBatch.empty(), noon_ms + 900_000)
    assert lost.transitions.reasons() == (TransitionReason.LOST,)
    assert lost.transitions.time_ms.tolist() == [noon_ms + 900_000]
    assert lost.next_deadline_ms is None
    back = run(engine, straight_drive(1, pings=1, lon=114.305, start_ms=noon_ms + 1_000_000))
    assert said(back, engine) == [(1, "v", "enter")]


def test_exact_mode_never_loses_anybody() -> None:
    engine = engine_of(box_zone("v", kind=ZoneKind.VENUE), config=EngineConfig.exact())
    run(engine, straight_drive(1, pings=1, lon=114.305))
    assert len(engine.process(PingBatch.empty(), noon_ms + 10**9).transitions) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"u7": -1}, RejectReason.U7_OUT_OF_RANGE),
        ({"u7": 10_000_000}, RejectReason.U7_OUT_OF_RANGE),
        ({"lat": 91.0}, RejectReason.LAT_OUT_OF_RANGE),
        ({"lon": 181.0}, RejectReason.LON_OUT_OF_RANGE),
        ({"lon": float("nan")}, RejectReason.NOT_FINITE),
        ({"lat": float("inf")}, RejectReason.NOT_FINITE),
        ({"time_ms": 5_000}, RejectReason.TIME_OUT_OF_RANGE),
        ({"time_ms": 4_102_444_800_000}, RejectReason.TIME_OUT_OF_RANGE),
        ({"time_ms": noon_ms + 3_600_000}, RejectReason.FUTURE),
        ({"accuracy_m": 3000.0}, RejectReason.INACCURATE),
    ],
)
def test_bad_ping_is_rejected_by_name_and_the_good_ones_beside_it_are_judged(
    change: dict[str, float], reason: RejectReason
) -> None:
    engine = engine_of(box_zone("z"))
    bad = {"u7": 2, "time_ms": noon_ms, "lon": 114.305, "lat": 30.6, "accuracy_m": 5.0, **change}
    batch = PingBatch.from_columns(
        [1, bad["u7"]],
        [noon_ms, bad["time_ms"]],
        [114.305, bad["lon"]],
        [30.6, bad["lat"]],
        accuracy_m=[5.0, bad["accuracy_m"]],
    )
    step = engine.process(batch, noon_ms)
    assert step.rejects.row.tolist() == [1]
    assert step.rejects.reasons() == (reason,)
    assert step.accepted == 1
    assert step.transitions.u7.tolist() == [1]


def test_repeated_and_late_pings_are_named_and_change_nothing() -> None:
    engine = engine_of(box_zone("z"))
    drive = straight_drive(1, pings=10)
    run(engine, drive)
    step = engine.process(drive.take(np.array([9, 3])), noon_ms + 60_000)
    assert step.rejects.reasons() == (RejectReason.DUPLICATE, RejectReason.LATE)
    assert len(step.transitions) == 0
    assert step.alerts == ()


def test_jump_no_vehicle_could_make_is_set_aside_without_ending_the_visit() -> None:
    engine = engine_of(box_zone("z", kind=ZoneKind.VENUE))
    stand = straight_drive(1, pings=3, lon=114.305, speed_mps=0.0)
    far = PingBatch.from_columns([1], [noon_ms + 15_000], [114.40], [30.6])
    back = straight_drive(1, pings=3, lon=114.305, speed_mps=0.0, start_ms=noon_ms + 20_000)
    steps = run(engine, PingBatch.concat([stand, far, back]))
    assert said(steps, engine) == [(1, "z", "enter")]
    assert [reason for step in steps for reason in step.rejects.reasons()] == [RejectReason.SPEED_JUMP]


def test_new_place_is_believed_after_three_absurd_pings_and_the_way_there_crosses_nothing() -> None:
    engine = engine_of(box_zone("z", kind=ZoneKind.VENUE))
    here = straight_drive(1, pings=3, speed_mps=0.0)
    there = straight_drive(1, pings=5, lon=114.40, speed_mps=0.0, start_ms=noon_ms + 15_000)
    steps = run(engine, PingBatch.concat([here, there]))
    assert sum(step.accepted for step in steps) == 5
    assert said(steps, engine) == []


def test_stale_ping_is_judged_but_warns_nobody() -> None:
    engine = engine_of(box_zone("z"))
    step = engine.process(straight_drive(1, pings=1, lon=114.305), noon_ms + 120_000)
    assert [alert.reason for alert in step.alerts] == [SuppressReason.STALE_PING]
    assert len(step.transitions) == 1


def test_restored_engine_knows_who_is_inside_and_who_was_warned() -> None:
    zone = box_zone("z", applies_to=TRUCKS)
    first = engine_of(zone)
    steps = run(first, straight_drive(1, pings=36))
    visits = {visit.zone_id: visit for step in steps for visit in step.visits}
    second = engine_of(zone)
    second.restore(visits.values(), {1: 1}, now_ms=noon_ms + 200_000)
    later = run(second, straight_drive(1, pings=60, lon=114.3085, start_ms=noon_ms + 200_000))
    assert said(later, second) == [(1, "z", "exit")]
    assert alerts(later) == []


def test_visit_of_a_zone_that_is_gone_is_not_restored() -> None:
    engine = engine_of(box_zone("z"))
    engine.restore([Visit(1, "gone", noon_ms, noon_ms, open=True, inside=True, decided=True)], {}, now_ms=noon_ms)
    assert engine.process(PingBatch.empty(), noon_ms + 10**7).next_deadline_ms is None


def test_visit_that_is_over_is_restored_without_putting_anybody_inside() -> None:
    engine = engine_of(box_zone("z"))
    past = Visit(1, "z", noon_ms - 9000, noon_ms - 5000, open=False, inside=False, decided=True, sent_ms=noon_ms - 9000)
    engine.restore([past], {}, now_ms=noon_ms)
    steps = run(engine, straight_drive(1, pings=1, lon=114.305))
    assert said(steps, engine) == [(1, "z", "enter")]
    assert [alert.reason for alert in alerts(steps)] == [SuppressReason.COOLDOWN]


def test_engine_that_is_not_restored_warns_again() -> None:
    zone = box_zone("z", applies_to=TRUCKS)
    later = run(engine_of(zone), straight_drive(1, pings=60, lon=114.3085, start_ms=noon_ms + 200_000))
    assert [alert.trigger for alert in alerts(later)] == [AlertReason.ENTER]


def test_alert_id_is_the_same_for_the_same_user_zone_and_visit() -> None:
    drive = straight_drive(1, pings=40)
    first, second = (alerts(run(engine_of(box_zone("z")), drive))[0] for _ in range(2))
    other = alerts(run(engine_of(box_zone("y")), drive))[0]
    assert first.alert_id == second.alert_id
    assert other.alert_id != first.alert_id


def _columns(steps: list[Decisions]) -> list[tuple]:
    return [
        row
        for step in steps
        for row in zip(
            step.transitions.time_ms.tolist(),
            step.transitions.u7.tolist(),
            step.transitions.zone.tolist(),
            step.transitions.kinds(),
            step.transitions.reasons(),
            strict=True,
        )
    ]


_PINGS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 40).map(lambda n: noon_ms + n * 30_000),
        st.floats(114.28, 114.33),
        st.floats(30.58, 30.62),
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("exact", [True, False])
@examples(60)
@given(pings=_PINGS, order=st.randoms(use_true_random=False))
def test_order_duplicates_and_batches_change_nothing(pings: list[tuple], order: Random, exact: bool) -> None:
    zones = [box_zone("a"), box_zone("b", west=114.305, east=114.32), box_zone("c", west=114.3, east=114.3005)]
    policy = Policy(stale_after_s=None)
    config = EngineConfig.exact(policy) if exact else EngineConfig(policy=policy, max_lag_s=None)
    shuffled = [*pings, pings[0]]
    order.shuffle(shuffled)
    one = PingBatch.from_columns(*zip(*pings, strict=True))
    other = PingBatch.from_columns(*zip(*shuffled, strict=True))
    whole = run(engine_of(*zones, config=config), one, one_by_one=False)
    parts = run(engine_of(*zones, config=config), other)
    assert _columns(whole) == _columns(parts)
    assert alerts(whole) == alerts(parts)


@examples(40)
@given(pings=_PINGS)
def test_index_makes_no_difference(pings: list[tuple]) -> None:
    zones = ZoneSet.of([box_zone("a"), box_zone("b", west=114.305, east=114.32)])
    batch = PingBatch.from_columns(*zip(*pings, strict=True))
    now_ms = int(batch.time_ms.max())
    tree = Engine(zones, default_vehicle=DRIVER).process(batch, now_ms)
    brute = Engine(zones, default_vehicle=DRIVER, index=BruteForceIndex).process(batch, now_ms)
    assert_same(tree, brute)


@examples(60)
@given(pings=_PINGS)
def test_nobody_is_warned_twice_about_a_zone_within_the_cooldown(pings: list[tuple]) -> None:
    engine = engine_of(box_zone("a"), box_zone("b", west=114.305, east=114.32))
    batch = PingBatch.from_columns(*zip(*pings, strict=True))
    last: dict[tuple[int, str], int] = {}
    for alert in alerts(run(engine, batch)):
        if alert.send:
            key = (alert.u7, alert.zone_id)
            assert alert.time_ms - last.get(key, -(10**12)) >= engine.config.policy.cooldown_s * 1000
            last[key] = alert.time_ms


@examples(60)
@given(pings=_PINGS)
def test_enters_and_exits_of_a_user_and_zone_alternate(pings: list[tuple]) -> None:
    engine = engine_of(box_zone("a"), box_zone("b", west=114.305, east=114.32))
    inside: set[tuple[int, str]] = set()
    for u7, zone, kind in said(run(engine, PingBatch.from_columns(*zip(*pings, strict=True))), engine):
        if kind == "enter":
            assert (u7, zone) not in inside
            inside.add((u7, zone))
        elif kind == "exit":
            inside.remove((u7, zone))


def test_concern_of_a_rule_is_the_least_of_its_conditions() -> None:
    rule = AppliesTo(kinds=frozenset({VehicleKind.GOODS}), gross_weight_over_t=12.0)
    assert rule.judge(Vehicle(u7=1, kind=VehicleKind.GOODS, gross_weight_t=20.0)) is Applicability.YES
    assert rule.judge(Vehicle(u7=1, kind=VehicleKind.GOODS)) is Applicability.MAYBE
    assert rule.judge(Vehicle(u7=1, kind=VehicleKind.CAR)) is Applicability.NO


def zones_in_a_row(count: int) -> list[Zone]:
    return [box_zone(f"z{n:02}", west=114.31 + n * 0.02, east=114.32 + n * 0.02) for n in range(count)]


@pytest.mark.parametrize(("seconds", "metres"), [(0.1, 12.0), (0.05, 25.0), (0.45, 30.0)])
def test_two_fixes_of_a_standing_truck_in_one_moment_warn_about_nothing(seconds: float, metres: float) -> None:
    engine = engine_of(*zones_in_a_row(12))
    steps = run(engine, straight_drive(1, pings=2, lon=114.30, every_s=seconds, speed_mps=metres / seconds))
    assert alerts(steps) == []


@pytest.mark.parametrize("speed_mps", [1000.0, 1.7e308])
def test_speed_no_vehicle_has_is_not_believed_and_a_credible_one_is(speed_mps: float) -> None:
    def ping(speed: float) -> PingBatch:
        return PingBatch.from_columns([1], [noon_ms], [114.30], [30.6], speed_mps=[speed], heading_deg=[90.0])

    assert alerts(run(engine_of(*zones_in_a_row(12), config=FAR), ping(speed_mps))) == []
    assert [alert.zone_id for alert in alerts(run(engine_of(*zones_in_a_row(12), config=FAR), ping(20.0)))] == ["z00"]


def test_stale_ping_does_not_silence_the_visit() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS), config=FAR)
    drive = straight_drive(1, pings=40)
    late = [engine.process(drive.take(np.array([row])), int(drive.time_ms[row]) + 70_000) for row in range(18)]
    assert {alert.reason for alert in alerts(late)} == {SuppressReason.STALE_PING}
    assert len(alerts(late)) == 1
    caught_up = straight_drive(1, pings=1, lon=114.2985, start_ms=int(drive.time_ms[17]) + 80_000)
    moving = PingBatch.from_columns(
        caught_up.u7, caught_up.time_ms, caught_up.lon, caught_up.lat, speed_mps=[15.0], heading_deg=[90.0]
    )
    (alert,) = engine.process(moving, int(moving.time_ms[0])).alerts
    assert (alert.send, alert.trigger) == (True, AlertReason.APPROACH)


def test_driver_whose_enter_came_too_late_is_told_by_the_first_ping_in_time() -> None:
    engine = engine_of(box_zone("z", applies_to=TRUCKS))
    stand = straight_drive(1, pings=30, lon=114.305, speed_mps=0.0)
    step = engine.process(stand, int(stand.time_ms[-1]) + 1000)
    assert [(alert.reason, alert.trigger) for alert in step.alerts] == [
        (SuppressReason.STALE_PING, AlertReason.ENTER),
        (AlertReason.ENTER, AlertReason.ENTER),
    ]
    assert len({alert.alert_id for alert in step.alerts}) == 2
    later = straight_drive(1, pings=1, lon=114.305, start_ms=int(stand.time_ms[-1]) + 5000)
    assert engine.process(later, int(later.time_ms[0])).alerts == ()


def test_long_approach_is_not_told_of_again_after_a_restart() -> None:
    zone = box_zone("z", west=114.34, east=114.35, applies_to=TRUCKS)
    look = EngineConfig(approach=ApproachPolicy.reaching(600.0))
    crawl = straight_drive(1, pings=260, lon=114.325, speed_mps=2.5)
    cut = noon_ms + 60 * 5000
    first = engine_of(zone, config=look)
    before = run(first, crawl.take(crawl.time_ms <= cut))
    kept = {(visit.u7, visit.zone_id): visit for step in before for visit in step.visits}
    second = engine_of(zone, config=look)
    second.restore(kept.values(), {}, now_ms=cut + 1000)
    rest = crawl.take(crawl.time_ms > cut)
    after = run(second, rest)
    first_one, *others = alerts(before)
    assert (first_one.send, {alert.reason for alert in others}) == (True, {"cooldown"})
    assert [alert.reason for alert in alerts(after)] == ["cooldown"]
    # Without the restored visits the same border would be told of again.
    assert alerts(run(engine_of(zone, config=look), rest))[0].send


def test_absurd_ping_sent_again_and_again_is_never_believed() -> None:
    engine = engine_of(box_zone("v", kind=ZoneKind.VENUE))
    run(engine, straight_drive(1, pings=2, lon=114.305, speed_mps=0.0))
    far = PingBatch.from_columns([1], [noon_ms + 10_000], [114.40], [30.6])
    steps = [engine.process(far, noon_ms + 10_000 + n) for n in range(6)]
    assert said(steps, engine) == []


def test_ping_that_arrives_after_the_lag_limit_is_late_and_one_before_it_is_not() -> None:
    engine = engine_of(box_zone("v", kind=ZoneKind.VENUE))
    ping = straight_drive(1, pings=1, lon=114.305)
    assert engine.process(ping, noon_ms + 600_001).rejects.reasons() == (RejectReason.LATE,)
    assert engine.process(ping, noon_ms + 600_000).accepted == 1


def test_number_of_memberships_is_told_after_each_step() -> None:
    engine = engine_of(box_zone("a"), box_zone("b"))
    assert run(engine, straight_drive(1, pings=1, lon=114.305))[0].inside == 2


def test_vehicle_of_a_user_is_judged_not_the_default_one() -> None:
    car = Vehicle(u7=1, kind=VehicleKind.CAR)
    zones = ZoneSet.of([box_zone("z", applies_to=TRUCKS)])
    known = Engine(zones, default_vehicle=DRIVER, vehicles=[car])
    assert alerts(run(known, straight_drive(1, pings=40))) == []
    assert len(alerts(run(known, straight_drive(2, pings=40)))) == 1


def test_language_of_a_user_is_that_of_the_warning() -> None:
    zones = ZoneSet.of([box_zone("z")])
    reader = Engine(zones, vehicles=[Vehicle(u7=1, language=Language.EN)])
    (alert,) = alerts(run(reader, straight_drive(1, pings=40)))
    assert "closed to your vehicle" in alert.text


@pytest.mark.parametrize("u7", [-1, 10_000_000])
def test_vehicle_of_nobody_is_refused_and_changes_nobody(u7: int) -> None:
    engine = engine_of(box_zone("z"))
    stranger = Vehicle(u7=u7, consent_warnings=False)
    with pytest.raises(ValueError, match=r"expected 0 \.\. 9999999"):
        engine.put_vehicles([Vehicle(u7=9_999_999, consent_warnings=False), stranger])
    with pytest.raises(ValueError, match=r"expected 0 \.\. 9999999"):
        engine.put_fleet(np.array([9_999_999, u7]), stranger)
    (alert,) = alerts(run(engine, straight_drive(9_999_999, pings=1, lon=114.305)))
    assert alert.send
