"""Rules in the running engine: odd and even dates, permits, exceptions, explanations; compiled and in columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely

from geo_engine import Engine, EngineConfig, PingBatch, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.index import CellIndex, RtreeIndex
from geo_engine.model import AlertReason, Language, Permit, RoadLevel, RuleEffect, Vehicle, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.zones.calendar import DayCalendar
from geo_engine.zones.days import Days
from geo_engine.zones.rule import AppliesTo, TailParity
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone

INDEXES = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["compiled", "columns"])
TRUCK = Vehicle(u7=1, kind=VehicleKind.GOODS, plate="鄂A12343")
AREA = box_zone("area", west=114.30, east=114.34)
ROAD = replace(
    box_zone("road"),
    geometry=shapely.box(114.29, 30.5995, 114.32, 30.6005),
    road=True,
    listed=1,
    effect=RuleEffect.ALLOWED,
)
ON_ROAD, BESIDE = 30.6, 30.605


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)


class Driver:
    """An engine and one driver; what he was warned about."""

    def __init__(
        self, *zones: Zone, index: Callable = CellIndex, vehicle: Vehicle = TRUCK, start_ms: int = noon_ms
    ) -> None:
        config = EngineConfig(policy=Policy(stale_after_s=None), lost_after_s=None, approach=None)
        self.engine = Engine(ZoneSet.of(zones), vehicles=[vehicle], index=index, config=config)
        self.now_ms = start_ms
        self.alerts: list[tuple[str, AlertReason]] = []
        self.texts: list[str] = []
        self.ends_ms: list[int | None] = []

    def go(self, lon: float, lat: float = ON_ROAD, *, to_ms: int | None = None) -> Driver:
        self.now_ms = self.now_ms + 60_000 if to_ms is None else to_ms
        return self.hear(PingBatch.from_columns([1], [self.now_ms], [lon], [lat]))

    def wait(self, to_ms: int) -> Driver:
        self.now_ms = to_ms
        return self.hear(PingBatch.empty())

    def hear(self, batch: PingBatch) -> Driver:
        step = self.engine.process(batch, self.now_ms)
        self.deadline_ms = step.next_deadline_ms
        self.alerts += [(alert.zone_id, alert.trigger) for alert in step.alerts if alert.send]
        self.texts += [alert.text for alert in step.alerts if alert.send]
        self.ends_ms += [alert.until_ms for alert in step.alerts if alert.send]
        return self


# ---- odd and even dates

BY_DATE = replace(AREA, applies_to=AppliesTo(tail_parity=TailParity.NOT_AS_DATE))
EVENING = at("2026-11-17T23:00")  # an odd date: plates ending in an odd digit drive


@INDEXES
def test_parked_vehicle_is_warned_when_the_date_turns_against_its_plate(index: Callable) -> None:
    driver = Driver(BY_DATE, index=index, start_ms=EVENING).go(114.32)
    midnight = at("2026-11-18T00:00")
    assert driver.alerts == []
    assert driver.deadline_ms == midnight
    driver.wait(midnight - 1)
    assert driver.alerts == []
    driver.wait(midnight)
    assert driver.alerts == [("area", AlertReason.WINDOW_OPENED)]


@INDEXES
def test_parked_vehicle_whose_plate_may_drive_tomorrow_is_warned_today_only(index: Callable) -> None:
    even = replace(TRUCK, plate="鄂A1234B")
    driver = Driver(BY_DATE, index=index, vehicle=even, start_ms=EVENING).go(114.32)
    driver.wait(at("2026-11-18T00:00")).wait(at("2026-11-18T12:00"))
    assert driver.alerts == [("area", AlertReason.ENTER)]


@INDEXES
def test_plate_nobody_told_may_be_meant_on_any_date(index: Callable) -> None:
    driver = Driver(BY_DATE, index=index, vehicle=replace(TRUCK, plate=None), start_ms=EVENING).go(114.32)
    assert driver.alerts == [("area", AlertReason.ENTER)]
    assert "可能适用于您的车辆" in driver.texts[0]
    assert "资料不全" in driver.texts[0]


@pytest.mark.parametrize(
    ("plate", "schedule", "until"),
    [
        ("鄂A12344", "24/7", "2026-11-18T00:00"),
        ("鄂A12344", "07:00-20:00", "2026-11-17T20:00"),
        ("鄂A12344", "22:00-06:00", "2026-11-18T06:00"),
        (None, "24/7", None),
        (None, "07:00-20:00", "2026-11-17T20:00"),
    ],
)
def test_end_of_a_rule_by_date_is_that_of_the_dates_that_concern_the_plate(
    plate: str | None, schedule: str, until: str | None
) -> None:
    zone = replace(BY_DATE, schedule=Schedule.parse(schedule))
    start = "2026-11-17T23:00" if schedule == "22:00-06:00" else "2026-11-17T12:00"
    driver = Driver(zone, vehicle=replace(TRUCK, plate=plate), start_ms=at(start)).go(114.32)
    assert driver.ends_ms == [None if until is None else at(until)]


def test_end_of_a_rule_by_date_at_the_end_of_an_odd_month_is_the_second_midnight() -> None:
    zone = replace(BY_DATE, schedule=Schedule.parse("24/7"))
    even = replace(TRUCK, plate="鄂A12344")
    driver = Driver(zone, vehicle=even, start_ms=at("2026-10-31T12:00")).go(114.32)
    assert driver.ends_ms == [at("2026-11-02T00:00")]


def test_vehicle_is_looked_ahead_for_only_on_dates_that_concern_it() -> None:
    config = EngineConfig(approach=ApproachPolicy.reaching(90.0), policy=Policy(stale_after_s=None))
    for start, warned in ((at("2026-11-18T12:00"), True), (at("2026-11-17T12:00"), False)):
        engine = Engine(ZoneSet.of([BY_DATE]), vehicles=[TRUCK], config=config)
        ride = straight_drive(1, pings=8, lon=114.285, start_ms=start)
        steps = [engine.process(ride.take(slice(row, row + 1)), int(ride.time_ms[row])) for row in range(8)]
        assert any(alert.trigger is AlertReason.APPROACH for step in steps for alert in step.alerts) is warned


@INDEXES
def test_holiday_ends_at_midnight_and_warns_who_is_inside(index: Callable) -> None:
    holiday = DayCalendar(frozenset({2026}), frozenset({datetime(2026, 10, 7).toordinal()}))  # noqa: DTZ001 - a date
    zone = replace(AREA, schedule=Schedule.parse("24/7", days=Days("off", "weekday", calendar=holiday)))
    driver = Driver(zone, index=index, start_ms=at("2026-10-07T20:00")).go(114.32)
    assert (driver.alerts, driver.deadline_ms) == ([], at("2026-10-08T00:00"))
    assert driver.wait(at("2026-10-08T00:00")).alerts == [("area", AlertReason.WINDOW_OPENED)]


# ---- the begin of a validity

BEGIN = at("2026-11-18T15:00")
FROM_THEN = replace(AREA, valid_from_ms=BEGIN)


@INDEXES
def test_parked_vehicle_is_warned_when_the_validity_of_the_zone_begins(index: Callable) -> None:
    driver = Driver(FROM_THEN, index=index, start_ms=BEGIN - 600_000).go(114.32)
    assert (driver.alerts, driver.deadline_ms) == ([], BEGIN)
    driver.wait(BEGIN - 1)
    assert driver.alerts == []
    driver.wait(BEGIN)
    assert driver.alerts == [("area", AlertReason.WINDOW_OPENED)]
    assert "现在开始货车禁行" in driver.texts[0]
    assert driver.go(114.325).alerts == [("area", AlertReason.WINDOW_OPENED)]


@INDEXES
def test_validity_that_begins_between_two_pings_warns_who_stays_and_not_who_left(index: Callable) -> None:
    for lon, warned in ((114.325, [("area", AlertReason.WINDOW_OPENED)]), (114.35, [])):
        driver = Driver(FROM_THEN, index=index, start_ms=BEGIN - 600_000).go(114.32).go(lon, to_ms=BEGIN - 1000)
        assert driver.go(lon, to_ms=BEGIN + 5000).alerts == warned


@INDEXES
def test_validity_that_begins_while_the_schedule_is_closed_warns_at_its_opening(index: Callable) -> None:
    later = replace(FROM_THEN, schedule=Schedule.parse("16:00-18:00"))
    driver = Driver(later, index=index, start_ms=BEGIN - 600_000).go(114.32).wait(BEGIN)
    assert (driver.alerts, driver.deadline_ms) == ([], BEGIN + 3_600_000)
    assert driver.wait(BEGIN + 3_600_000).alerts == [("area", AlertReason.WINDOW_OPENED)]


# ---- permits


@INDEXES
def test_permit_holds_for_its_zone_and_time_and_its_end_warns_who_is_inside(index: Callable) -> None:
    until_ms = noon_ms + 3_600_000
    holder = replace(TRUCK, permits=(Permit("area", noon_ms, until_ms),))
    driver = Driver(AREA, index=index, vehicle=holder).go(114.32)
    assert (driver.alerts, driver.deadline_ms) == ([], until_ms)
    assert driver.wait(until_ms - 1).alerts == []
    assert driver.wait(until_ms).alerts == [("area", AlertReason.WINDOW_OPENED)]
    assert driver.go(114.33).alerts == [("area", AlertReason.WINDOW_OPENED)]


@pytest.mark.parametrize(
    "permit",
    [
        Permit("other", noon_ms, noon_ms + 3_600_000),
        Permit("area", noon_ms + 3_600_000, noon_ms + 7_200_000),
        Permit("area", noon_ms - 3_600_000, noon_ms),
    ],
)
def test_permit_for_another_zone_or_time_changes_nothing(permit: Permit) -> None:
    driver = Driver(AREA, vehicle=replace(TRUCK, permits=(permit,))).go(114.32)
    assert driver.alerts == [("area", AlertReason.ENTER)]


def test_permit_that_is_withdrawn_or_of_somebody_else_does_not_hold() -> None:
    holder = replace(TRUCK, permits=(Permit("area", noon_ms, noon_ms + 3_600_000),))
    driver = Driver(AREA, vehicle=holder)
    driver.engine.put_vehicles([TRUCK, replace(holder, u7=2)])
    assert driver.go(114.32).alerts == [("area", AlertReason.ENTER)]


def test_permit_of_a_fleet_holds_for_each_of_its_vehicles() -> None:
    driver = Driver(AREA)
    fleet = replace(TRUCK, u7=0, permits=(Permit("area", noon_ms, noon_ms + 3_600_000),))
    driver.engine.put_fleet(np.array([1, 2]), fleet)
    assert driver.go(114.32).alerts == []
    driver.engine.put_fleet(np.array([1, 2]), replace(fleet, permits=()))
    assert driver.go(114.295).go(114.32).alerts == [("area", AlertReason.ENTER)]


HOLDS = replace(TRUCK, permits=(Permit("area", noon_ms, noon_ms + 3_600_000),))
LAPSED = {
    "taken back": (),
    "shortened": (Permit("area", noon_ms, noon_ms + 30_000),),
    "for another zone": (Permit("other", noon_ms, noon_ms + 3_600_000),),
    "from later on": (Permit("area", noon_ms + 1_800_000, noon_ms + 3_600_000),),
}


@INDEXES
@pytest.mark.parametrize("permits", LAPSED.values(), ids=LAPSED)
def test_driver_whose_permit_is_taken_back_inside_is_warned_at_the_next_step_once(
    index: Callable, permits: tuple[Permit, ...]
) -> None:
    driver = Driver(AREA, index=index, vehicle=HOLDS).go(114.32)
    assert driver.alerts == []
    driver.engine.put_vehicles([replace(HOLDS, permits=permits)])
    driver.wait(noon_ms + 120_000).wait(noon_ms + 130_000).go(114.33)
    assert driver.alerts == [("area", AlertReason.VEHICLE_CHANGED)]


@pytest.mark.parametrize(
    "permits",
    [
        HOLDS.permits,
        (Permit("area", noon_ms, noon_ms + 7_200_000),),
        (Permit("area", noon_ms + 1, noon_ms + 3_600_000), Permit("area", noon_ms, noon_ms + 9)),
    ],
)
def test_driver_whose_permit_is_renewed_inside_hears_nothing(permits: tuple[Permit, ...]) -> None:
    driver = Driver(AREA, vehicle=HOLDS).go(114.32)
    driver.engine.put_vehicles([replace(HOLDS, permits=permits)])
    assert driver.wait(noon_ms + 120_000).alerts == []


def test_permit_gained_inside_says_nothing_and_its_loss_repeats_no_warning() -> None:
    driver = Driver(AREA, vehicle=TRUCK).go(114.32)
    assert driver.alerts == [("area", AlertReason.ENTER)]
    driver.engine.put_vehicles([HOLDS])
    driver.wait(noon_ms + 120_000)
    driver.engine.put_vehicles([TRUCK])
    assert driver.wait(noon_ms + 130_000).alerts == [("area", AlertReason.ENTER)]


def test_permit_gained_and_taken_back_between_two_steps_changes_nothing() -> None:
    driver = Driver(replace(AREA, applies_to=AppliesTo(kinds=frozenset({VehicleKind.CAR}))), vehicle=TRUCK).go(114.32)
    driver.engine.put_vehicles([HOLDS])
    driver.engine.put_vehicles([TRUCK])
    assert driver.wait(noon_ms + 120_000).alerts == []


def test_permit_of_a_fleet_that_is_taken_back_warns_those_inside_only() -> None:
    driver = Driver(AREA)
    driver.engine.put_fleet(np.array([1, 2]), HOLDS)
    driver.go(114.32)
    driver.engine.put_fleet(np.array([1, 2]), TRUCK)
    step = driver.engine.process(PingBatch.empty(), driver.now_ms + 1000)
    assert [(alert.u7, alert.trigger) for alert in step.alerts] == [(1, AlertReason.VEHICLE_CHANGED)]


# ---- exceptions


@INDEXES
def test_exception_lets_in_and_leaving_it_inside_the_area_warns(index: Callable) -> None:
    driver = Driver(AREA, ROAD, index=index).go(114.28).go(114.31).go(114.315)
    assert driver.alerts == []
    assert driver.go(114.315, BESIDE).alerts == [("area", AlertReason.ENTER)]


@INDEXES
def test_leaving_exception_and_area_together_warns_nobody(index: Callable) -> None:
    assert Driver(AREA, ROAD, index=index).go(114.31).go(114.28).alerts == []


@INDEXES
def test_exception_that_does_not_beat_or_apply_opens_nothing(index: Callable) -> None:
    earlier = replace(ROAD, road=False, listed=-1)
    cars = replace(ROAD, applies_to=AppliesTo(kinds=frozenset({VehicleKind.CAR})))
    shut = replace(ROAD, schedule=Schedule.parse("20:00-21:00"))
    for exception in (earlier, cars, shut):
        assert Driver(AREA, exception, index=index).go(114.31).alerts == [("area", AlertReason.ENTER)]


def test_exception_of_an_unknown_vehicle_leaves_a_doubt() -> None:
    locals_only = replace(ROAD, applies_to=AppliesTo(plate_prefixes=("鄂A",)))
    driver = Driver(AREA, locals_only, vehicle=replace(TRUCK, plate=None)).go(114.31)
    assert driver.alerts == [("area", AlertReason.ENTER)]
    assert "可能适用" in driver.texts[0]


@INDEXES
def test_exception_that_closes_warns_who_stands_on_it(index: Callable) -> None:
    until_one = replace(ROAD, schedule=Schedule.parse("12:00-13:00"))
    driver = Driver(AREA, until_one, index=index, start_ms=noon_ms).go(114.31)
    assert driver.alerts == []
    assert driver.wait(noon_ms + 3_600_000).alerts == [("area", AlertReason.WINDOW_OPENED)]


@INDEXES
def test_road_that_decides_alone_replaces_the_area_for_everybody(index: Callable) -> None:
    outsiders = AppliesTo(plate_prefixes_except=("鄂A",))
    decides = replace(ROAD, effect=RuleEffect.DECIDES, applies_to=outsiders)
    assert Driver(AREA, decides, index=index).go(114.31).alerts == []
    stranger = replace(TRUCK, plate="湘B12345")
    assert Driver(AREA, decides, index=index, vehicle=stranger).go(114.31).alerts == [("road", AlertReason.ENTER)]
    expired = replace(decides, valid_to_ms=noon_ms)
    assert Driver(AREA, expired, index=index).go(114.31).alerts == [("area", AlertReason.ENTER)]


def test_approach_by_an_exception_is_not_warned_and_beside_it_is() -> None:
    config = EngineConfig(approach=ApproachPolicy.reaching(90.0), policy=Policy(stale_after_s=None))
    for lat, warned in ((ON_ROAD, []), (BESIDE, ["area"])):
        engine = Engine(ZoneSet.of([AREA, ROAD]), vehicles=[TRUCK], config=config)
        ride = straight_drive(1, pings=8, lon=114.285, lat=lat)
        steps = [engine.process(ride.take(slice(row, row + 1)), int(ride.time_ms[row])) for row in range(8)]
        assert [alert.zone_id for step in steps for alert in step.alerts] == warned


# ---- explanations


def test_every_rule_that_applied_is_named_the_winner_first() -> None:
    closed_road = replace(ROAD, effect=RuleEffect.CLOSED, name="桥", name_en="Bridge", listed=0)
    later = replace(AREA, zone_id="later", name="后列区域", name_en="Later", listed=5)
    asleep = replace(AREA, zone_id="asleep", name="夜间", schedule=Schedule.parse("20:00-21:00"), listed=7)
    first = replace(AREA, name="区域", name_en="Area", listed=1)
    driver = Driver(first, later, asleep, closed_road).go(114.31)
    # One message tells of all three closures; the one that sleeps is none.
    assert "另有2处：后列区域、桥。" in driver.texts[0]
    english = Driver(first, later, closed_road, vehicle=replace(TRUCK, language=Language.EN)).go(114.31)
    assert any("And 2 more: Later, Bridge." in text for text in english.texts)
    assert "另有" not in Driver(first).go(114.31).texts[0]


def test_rule_the_driver_has_a_permit_for_is_not_named() -> None:
    other = replace(AREA, zone_id="other", name="别区")
    holder = replace(TRUCK, permits=(Permit("other", noon_ms, noon_ms + 3_600_000),))
    driver = Driver(AREA, other, vehicle=holder).go(114.32)
    assert [zone for zone, _ in driver.alerts] == ["area"]
    assert "还适用" not in driver.texts[0]


WORKS = replace(box_zone("works", west=114.30, east=114.34), kind=ZoneKind.CONSTRUCTION, name="施工区")


def test_neither_an_exception_nor_the_closure_it_silences_is_named_as_a_rule_that_applies() -> None:
    driver = Driver(WORKS, replace(AREA, name="区域"), replace(ROAD, name="快速路")).go(114.31)
    assert [zone for zone, _ in driver.alerts] == ["works"]
    assert "还适用" not in driver.texts[0]


@pytest.mark.parametrize(
    ("u7", "until_ms", "named"),
    [(1, None, False), (1, noon_ms + 3_600_000, False), (1, noon_ms, True), (2, None, True)],
)
def test_zone_the_driver_muted_is_not_named_while_it_is_muted(u7: int, until_ms: int | None, named: bool) -> None:
    area = replace(AREA, name="区域")
    driver = Driver(area).go(114.31)
    driver.engine.mute(u7, "area", until_ms)
    _, began = driver.engine.publish(ZoneSet.of([area, WORKS], revision=2), driver.now_ms)
    (alert,) = began.alerts
    assert alert.zone_id == "works"
    assert ("此处还适用：区域" in alert.text) is named


def test_exception_that_becomes_a_closure_warns_who_stands_on_it() -> None:
    driver = Driver(ROAD).go(114.31)
    driver.engine.publish(ZoneSet.of([ROAD], revision=2), driver.now_ms)
    closed = driver.engine.publish(ZoneSet.of([replace(ROAD, effect=RuleEffect.CLOSED)], revision=3), driver.now_ms)
    assert [alert.zone_id for step in closed for alert in step.alerts if alert.send] == ["road"]


def test_level_of_the_road_is_said_where_it_matters() -> None:
    text = Driver(replace(AREA, level=RoadLevel.ELEVATED)).go(114.32).texts[0]
    assert "仅指高架道路，定位分不清上下层" in text
    assert "定位" not in Driver(AREA).go(114.32).texts[0]


def test_rule_not_enforced_yet_is_advisory() -> None:
    assert "尚未执法" in Driver(replace(AREA, enforced_from_ms=noon_ms + 10**9)).go(114.32).texts[0]
    assert "尚未执法" not in Driver(replace(AREA, enforced_from_ms=noon_ms)).go(114.32).texts[0]
