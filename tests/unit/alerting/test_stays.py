"""Zones that warn only who stays: the delay, what ends it, and what must not change it; compiled and in columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from geo_engine import Decisions, Engine, EngineConfig, PingBatch, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.alerting.stays import Stays
from geo_engine.index import CellIndex, RtreeIndex
from geo_engine.model import AlertReason, Language, TransitionKind, Vehicle, VehicleKind
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import APPROACH, DWELLED, ENTER, EXIT
from geo_engine.tracking.state import NEVER_MS
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone

INDEXES = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["compiled", "columns"])
YARD = replace(box_zone("yard", west=114.30, east=114.34), dwell_s=300)
OUTSIDE, INSIDE = 114.2995, 114.301
DRIVER = Vehicle(u7=1, kind=VehicleKind.GOODS)


class Lorry:
    """An engine and one lorry that reports every 5 s."""

    def __init__(self, *zones: Zone, index: Callable = CellIndex, vehicle: Vehicle = DRIVER) -> None:
        self.engine = Engine(ZoneSet.of(zones), vehicles=[vehicle], index=index)
        self.now_ms = noon_ms
        self.steps: list[Decisions] = []

    def be(self, lon: float, seconds: int) -> Lorry:
        for _ in range(0, seconds, 5):
            self.now_ms += 5000
            batch = PingBatch.from_columns([1], [self.now_ms], [lon], [30.6])
            self.steps.append(self.engine.process(batch, self.now_ms))
        return self

    def wait(self, until_ms: int) -> Lorry:
        self.now_ms = until_ms
        self.steps.append(self.engine.process(PingBatch.empty(), until_ms))
        return self

    @property
    def told(self) -> list[tuple[AlertReason, int]]:
        """What was told, and how many seconds after noon."""
        return [(alert.trigger, (alert.time_ms - noon_ms) // 1000) for step in self.steps for alert in step.alerts]

    @property
    def said(self) -> list[TransitionKind]:
        return [kind for step in self.steps for kind in step.transitions.kinds()]


@INDEXES
def test_who_stays_for_as_long_as_the_zone_asks_is_told_then_and_once(index: Callable) -> None:
    lorry = Lorry(YARD, index=index).be(INSIDE, 300)
    assert (lorry.told, lorry.said) == ([], [TransitionKind.ENTER])
    assert lorry.steps[-1].next_deadline_ms == noon_ms + 305_000
    lorry.be(INSIDE, 600)
    assert lorry.told == [(AlertReason.DWELL, 305)]
    assert lorry.said == [TransitionKind.ENTER, TransitionKind.DWELL]


@INDEXES
def test_who_leaves_before_is_told_nothing_and_a_second_stay_counts_from_its_own_begin(index: Callable) -> None:
    lorry = Lorry(YARD, index=index).be(INSIDE, 280).be(OUTSIDE, 60)
    assert lorry.said == [TransitionKind.ENTER, TransitionKind.EXIT]
    lorry.be(INSIDE, 300)
    assert lorry.told == []
    assert lorry.be(INSIDE, 10).told == [(AlertReason.DWELL, 645)]


@INDEXES
def test_who_is_silent_inside_is_told_by_the_clock_and_one_who_was_lost_before_is_not(index: Callable) -> None:
    lorry = Lorry(YARD, index=index).be(INSIDE, 5).wait(noon_ms + 304_999)
    assert lorry.told == []
    assert lorry.wait(noon_ms + 305_000).told == [(AlertReason.DWELL, 305)]
    long = Lorry(replace(YARD, dwell_s=1200), index=index).be(INSIDE, 5).wait(noon_ms + 1_300_000)
    assert (long.told, long.said) == ([], [TransitionKind.ENTER, TransitionKind.EXIT])


@INDEXES
def test_zone_that_asks_for_a_stay_is_not_told_of_before_the_border_and_another_one_is(index: Callable) -> None:
    ride = straight_drive(1, pings=40, lon=114.285)
    for dwell_s, told in ((300, []), (0, [AlertReason.APPROACH])):
        engine = Engine(ZoneSet.of([replace(YARD, dwell_s=dwell_s)]), vehicles=[DRIVER], index=index)
        steps = [engine.process(ride.take(slice(row, row + 1)), int(ride.time_ms[row])) for row in range(len(ride))]
        assert [alert.trigger for step in steps for alert in step.alerts] == told


@INDEXES
def test_stay_counts_from_the_moment_the_rule_begins_to_concern_the_user(index: Callable) -> None:
    opens = replace(YARD, schedule=Schedule.parse("12:10-13:00"))
    lorry = Lorry(opens, index=index).be(INSIDE, 600)
    assert lorry.told == []
    assert lorry.be(INSIDE, 290).told == []
    assert lorry.be(INSIDE, 20).told == [(AlertReason.DWELL, 900)]


@INDEXES
def test_rule_that_ends_before_the_stay_is_long_enough_tells_nobody(index: Callable) -> None:
    closes = replace(YARD, schedule=Schedule.parse("11:00-12:05"))
    assert Lorry(closes, index=index).be(INSIDE, 600).told == []


@INDEXES
def test_how_pings_are_cut_into_batches_does_not_show(index: Callable) -> None:
    lons = [INSIDE] * 80 + [OUTSIDE] * 40 + [INSIDE] * 100
    times = [noon_ms + 5000 * step for step in range(len(lons))]
    pings = PingBatch.from_columns([1] * len(lons), times, lons, [30.6] * len(lons))
    replayed = EngineConfig(policy=Policy(stale_after_s=None), max_lag_s=None)
    found = []
    for size in (1, 7, len(lons)):
        engine = Engine(ZoneSet.of([YARD, box_zone("other")]), vehicles=[DRIVER], index=index, config=replayed)
        steps = [
            engine.process(pings.take(slice(low, low + size)), times[min(low + size, len(lons)) - 1])
            for low in range(0, len(lons), size)
        ]
        alerts = [(a.zone_id, a.trigger, a.time_ms, a.lon, a.visit_ms) for step in steps for a in step.alerts]
        kinds = [
            (kind, int(t)) for s in steps for kind, t in zip(s.transitions.kinds(), s.transitions.time_ms, strict=True)
        ]
        found.append((alerts, kinds))
    assert found[0] == found[1] == found[2]
    assert sum(trigger is AlertReason.DWELL for _, trigger, *_ in found[0][0]) == 2


@INDEXES
def test_stay_goes_on_over_a_restart_from_a_snapshot(index: Callable) -> None:
    lorry = Lorry(YARD, index=index).be(INSIDE, 200)
    after = Lorry(YARD, index=index)
    after.engine.load(lorry.engine.snapshot())
    after.now_ms = lorry.now_ms
    assert after.be(INSIDE, 300).told == [(AlertReason.DWELL, 305)]


@INDEXES
@pytest.mark.parametrize(("dwell_s", "told_s"), [(100, 201), (400, 405), (0, 201)])
def test_edit_of_the_time_counts_for_stays_that_have_begun(index: Callable, dwell_s: int, told_s: int) -> None:
    lorry = Lorry(YARD, index=index).be(INSIDE, 200)
    changed = ZoneSet.of([box_zone("before", west=114.1, east=114.11), replace(YARD, dwell_s=dwell_s)], revision=2)
    lorry.now_ms += 1000
    lorry.steps += lorry.engine.publish(changed, lorry.now_ms)
    lorry.now_ms += 4000
    assert lorry.be(INSIDE, 300).told == [(AlertReason.DWELL, told_s)]


@INDEXES
def test_zone_that_is_taken_away_ends_the_stay_and_a_forgotten_user_has_none(index: Callable) -> None:
    lorry = Lorry(YARD, index=index).be(INSIDE, 200)
    lorry.steps += lorry.engine.publish(ZoneSet.of([], revision=2), lorry.now_ms + 1)
    assert lorry.be(INSIDE, 300).told == []
    erased = Lorry(YARD, index=index).be(INSIDE, 200)
    erased.engine.forget([1], erased.now_ms + 1)
    assert erased.wait(erased.now_ms + 300_000).told == []
    assert len(erased.engine._judge.stays) == 0


def test_words_say_how_long_the_stay_has_been() -> None:
    for language, words in ((Language.ZH, "您在zone yard（货车禁行）停留已满5分钟"), (Language.EN, "for 5 minutes")):
        lorry = Lorry(YARD, vehicle=replace(DRIVER, language=language)).be(INSIDE, 400)
        (alert,) = [alert for step in lorry.steps for alert in step.alerts]
        assert words in alert.text
    odd = Lorry(replace(YARD, dwell_s=90)).be(INSIDE, 200)
    assert "停留已满90秒" in next(alert.text for step in odd.steps for alert in step.alerts)


def test_only_what_brings_a_user_inside_begins_a_stay() -> None:
    stays, dwell_ms = Stays(), np.array([300_000, 0])
    assert stays.next_ms == NEVER_MS
    u7, time_ms, zone = np.array([1, 2, 3, 4]), np.full(4, noon_ms), np.array([0, 0, 0, 1])
    events = make_events(u7, time_ms, zone, np.zeros(4), np.zeros(4), ENTER)
    events["kind"][:2] = EXIT, APPROACH
    assert len(stays.join(events, dwell_ms, noon_ms)) == 4
    assert (len(stays), stays.next_ms) == (1, noon_ms + 300_000)
    ripe = stays.join(events[:0], dwell_ms, noon_ms + 300_000)
    assert [(int(one["u7"]), int(one["kind"])) for one in ripe] == [(3, DWELLED)]
    assert len(stays) == 0
