"""Who and when, answered for columns and as bits: equal to asking each zone, and asked as seldom as possible."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.errors import ConfigurationError
from geo_engine.model import LATEST_TIME_MS, Applicability, RuleEffect, Vehicle, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.zones.applicability import ApplicabilityMatrix
from geo_engine.zones.days import DateParity, Days
from geo_engine.zones.precedence import Precedence
from geo_engine.zones.rule import AppliesTo, TailParity
from geo_engine.zones.rulebook import Question, RuleBook
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.timetable import NEVER_MS, Timetable
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

TEXTS = ["24/7", "Mo-Fr 07:00-09:00,17:00-19:00", "22:00-06:00", "2026 Oct 19", "off"]
SET = ZoneSet.of([box_zone(str(n), schedule=Schedule.parse(text, "Asia/Shanghai")) for n, text in enumerate(TEXTS)])
_QUESTIONS = st.lists(
    st.tuples(st.integers(0, len(TEXTS) - 1), st.integers(noon_ms - 10**9, noon_ms + 10**9)), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_QUESTIONS, min_size=1, max_size=3))
def test_timetable_answers_as_each_zone_does_whatever_was_asked_before(batches: list) -> None:
    timetable = Timetable(SET)
    for questions in batches:
        zone, time_ms = (np.array(column) for column in zip(*questions, strict=True))
        expected = [SET.zones[one].in_force_at(moment) for one, moment in questions]
        assert timetable.in_force(zone, time_ms).tolist() == expected


def test_timetable_answers_beyond_the_last_change() -> None:
    timetable = Timetable(SET)
    assert timetable.in_force(np.array([0, 4]), np.full(2, LATEST_TIME_MS + 600_000)).tolist() == [True, False]


OUTSIDERS = AppliesTo(plate_prefixes_except=("鄂A",))
LOCALS = AppliesTo(plate_prefixes=("鄂A",))


def test_vehicles_no_rule_can_tell_apart_share_a_profile() -> None:
    matrix = ApplicabilityMatrix([OUTSIDERS], Vehicle(u7=0))
    first = matrix.row_of(Vehicle(u7=1, plate="鄂A11111"))
    assert matrix.row_of(Vehicle(u7=2, plate="鄂A22222")) == first
    assert matrix.row_of(Vehicle(u7=3, plate="京A11111")) != first
    assert len(matrix.matrix) == 3


def test_matrix_holds_what_each_rule_says() -> None:
    matrix = ApplicabilityMatrix([OUTSIDERS, LOCALS], Vehicle(u7=0))
    local = matrix.row_of(Vehicle(u7=1, plate="鄂A11111"))
    assert matrix.matrix[local].tolist() == [Applicability.NO, Applicability.YES]
    assert matrix.matrix[0].tolist() == [Applicability.MAYBE, Applicability.MAYBE]


def test_nobody_is_warned_about_a_venue_whatever_its_rule_says() -> None:
    trucks = AppliesTo(kinds=frozenset({VehicleKind.GOODS}))
    zones = ZoneSet.of([box_zone("ban", applies_to=trucks), box_zone("venue", kind=ZoneKind.VENUE)])
    rules = RuleBook(zones, Vehicle(u7=0, kind=VehicleKind.GOODS))
    assert rules.wanted().tolist() == [[True, False]]
    concern = rules.concern(np.array([0, 0]), np.array([0, 1]))
    assert concern.tolist() == [Applicability.YES, Applicability.NO]
    assert rules.profile_of(Vehicle(u7=1, kind=VehicleKind.CAR)) == 1
    assert rules.wanted()[1].tolist() == [False, False]


# ---- the timetable as bits that a timer flips

_MINUTE_MS = 60_000
_SPAN_MS = 4 * 86_400_000
_MOMENTS = st.integers(noon_ms - _SPAN_MS, noon_ms + _SPAN_MS)
VALID = replace(
    box_zone("9", schedule=Schedule.parse("12:00-12:30", "Asia/Shanghai")),
    valid_from_ms=noon_ms - 86_400_000,
    valid_to_ms=noon_ms + 86_400_000 + 600_000,
)
VENUE = box_zone("8", kind=ZoneKind.VENUE, schedule=Schedule.parse("08:00-20:00", "Asia/Shanghai"))
MANY = ZoneSet.of([*SET.zones, VENUE, VALID, replace(box_zone("a"), schedule=SET.zones[2].schedule)])
_STEPS = st.lists(st.integers(0, _SPAN_MS // 4), min_size=1, max_size=6).map(sorted)


def openings_by_the_minute(after_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """Walk every minute; every schedule and validity of these tests flips on a whole one."""
    first = (after_ms // _MINUTE_MS + 1) * _MINUTE_MS
    return [
        (moment, row)
        for moment in range(first, until_ms + 1, _MINUTE_MS)
        for row, zone in enumerate(MANY.zones)
        if zone.kind is not ZoneKind.VENUE and zone.in_force_at(moment) and not zone.in_force_at(moment - 1)
    ]


def test_zones_of_one_schedule_and_validity_share_a_rule() -> None:
    rules = Timetable(MANY).rule_of_zone
    assert rules.dtype == np.int32
    assert rules[2] == rules[MANY.position["a"]]
    assert len(set(rules.tolist())) == len(MANY) - 1


@settings(max_examples=60, deadline=None)
@given(start=_MOMENTS, steps=_STEPS, questions=_QUESTIONS)
def test_advanced_timetable_still_answers_as_each_zone_does(start: int, steps: list[int], questions: list) -> None:
    timetable = Timetable(MANY)
    zone, time_ms = (np.array(column) for column in zip(*questions, strict=True))
    for step in steps:
        timetable.advance(start + step)
        near = np.full(len(MANY), start + step)
        for asked, moments in ((zone, time_ms), (np.arange(len(MANY)), near), (np.arange(len(MANY)), near + 90_000)):
            expected = [
                MANY.zones[one].in_force_at(moment)
                for one, moment in zip(asked.tolist(), moments.tolist(), strict=True)
            ]
            assert timetable.in_force(asked, moments).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(start=_MOMENTS, steps=_STEPS)
def test_next_change_is_the_first_flip_of_any_zone_one_is_warned_about(start: int, steps: list[int]) -> None:
    timetable = Timetable(MANY)
    assert timetable.next_change_ms == 0
    for step in steps:
        timetable.advance(start + step)
        changes = [z.next_change_ms(start + step) for z in MANY.zones if z.kind is not ZoneKind.VENUE]
        assert timetable.next_change_ms == min(change for change in changes if change is not None)


@settings(max_examples=30, deadline=None)
@given(start=_MOMENTS, steps=st.lists(st.integers(0, 200 * _MINUTE_MS), min_size=2, max_size=8))
def test_openings_between_two_steps_are_those_of_every_zone(start: int, steps: list[int]) -> None:
    timetable = Timetable(MANY)
    timetable.advance(start)
    now = start
    for step in steps:
        before, now = now, now + step
        timetable.advance(now)
        time_ms, zone = timetable.openings(before, now)
        assert list(zip(time_ms.tolist(), zone.tolist(), strict=True)) == openings_by_the_minute(before, now)


def test_openings_without_any_advance_and_over_a_leap_are_found_as_well() -> None:
    timetable = Timetable(MANY)
    day_ms = 86_400_000
    expected = openings_by_the_minute(noon_ms, noon_ms + 2 * day_ms)
    for _ in range(2):
        time_ms, zone = timetable.openings(noon_ms, noon_ms + 2 * day_ms)
        assert list(zip(time_ms.tolist(), zone.tolist(), strict=True)) == expected
        timetable.advance(noon_ms + 2 * day_ms)


def test_opening_at_the_end_of_the_interval_counts_and_one_at_its_start_does_not() -> None:
    timetable = Timetable(ZoneSet.of([box_zone("z", schedule=Schedule.parse("12:01-13:00", "Asia/Shanghai"))]))
    timetable.advance(noon_ms)
    opens_ms = noon_ms + _MINUTE_MS
    assert timetable.openings(noon_ms, opens_ms)[0].tolist() == [opens_ms]
    assert timetable.openings(opens_ms, opens_ms + _MINUTE_MS)[0].tolist() == []
    assert timetable.openings(noon_ms, opens_ms - 1)[0].tolist() == []


def test_timetable_that_never_flips_and_an_empty_one_have_no_next_change() -> None:
    for zones in (ZoneSet.of([box_zone("z")]), ZoneSet.of([]), ZoneSet.of([VENUE])):
        timetable = Timetable(zones)
        timetable.advance(noon_ms)
        assert timetable.next_change_ms == NEVER_MS
        assert len(timetable.openings(0, LATEST_TIME_MS)[0]) == 0


def test_leap_over_twenty_years_looks_up_only_the_last_hour() -> None:
    looked_up: list[int] = []

    class Counted(Zone):
        def next_change_ms(self, time_ms: int) -> int | None:
            looked_up.append(time_ms)
            return Zone.next_change_ms(self, time_ms)

    zone = Counted("z", ZoneKind.CONSTRUCTION, "z", shapely.box(0, 0, 1, 1), schedule=SET.zones[1].schedule)
    timetable = Timetable(ZoneSet.of([zone]))
    timetable.advance(946_684_800_000)
    looked_up.clear()
    timetable.advance(noon_ms)
    assert 0 < len(looked_up) <= 3


@settings(max_examples=60, deadline=None)
@given(start=_MOMENTS, low=st.integers(-900_000, 900_000), length=st.integers(0, 600_000), late=st.integers(0, 10**7))
def test_zone_called_shut_for_an_interval_is_shut_at_every_moment_of_it(
    start: int, low: int, length: int, late: int
) -> None:
    timetable = Timetable(MANY)
    for now in (start, start + late):
        timetable.advance(now)
        low_ms, high_ms = now + low, now + low + length
        may = timetable.open_between(low_ms, high_ms)
        asked = [low_ms, high_ms, *range(low_ms // _MINUTE_MS * _MINUTE_MS + _MINUTE_MS, high_ms, _MINUTE_MS)]
        for row in np.flatnonzero(~may).tolist():
            assert not any(MANY.zones[row].in_force_at(moment) for moment in asked)


def test_interval_around_now_is_answered_exactly_and_from_memory_until_a_flip() -> None:
    timetable = Timetable(MANY)
    timetable.advance(noon_ms + 3600_000)
    first = timetable.open_between(noon_ms + 3600_000, noon_ms + 3690_000)
    warned = [zone.kind is not ZoneKind.VENUE for zone in MANY.zones]
    expected = [zone.in_force_at(noon_ms + 3600_000) for zone in MANY.zones]
    assert first[warned].tolist() == [one for one, asked in zip(expected, warned, strict=True) if asked]
    assert timetable.open_between(noon_ms + 3605_000, noon_ms + 3700_000) is first
    timetable.advance(noon_ms + 6 * 3600_000)
    assert timetable.open_between(noon_ms + 6 * 3600_000, noon_ms + 6 * 3600_000) is not first


# ---- bits


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 140), seed=st.integers(0, 10**6))
def test_bits_say_what_the_matrix_says(count: int, seed: int) -> None:
    draw = np.random.Generator(np.random.PCG64(seed))
    kinds = [frozenset({kind}) for kind in (VehicleKind.GOODS, VehicleKind.CAR, VehicleKind.COACH)]
    zones = ZoneSet.of(
        box_zone(
            f"{n:03}",
            kind=ZoneKind.VENUE if draw.random() < 0.2 else ZoneKind.CONSTRUCTION,
            applies_to=AppliesTo(kinds=kinds[draw.integers(3)]),
            schedule=SET.zones[draw.integers(5)].schedule,
        )
        for n in range(count)
    )
    rules = RuleBook(zones, Vehicle(u7=0, kind=VehicleKind.GOODS))
    for kind in (None, VehicleKind.CAR, VehicleKind.COACH):
        rules.profile_of(Vehicle(u7=0, kind=kind))
        assert unpacked(rules.wanted_bits(), count).tolist() == rules.wanted().tolist()
    rules.advance(noon_ms)
    active = unpacked(rules.active_bits(noon_ms, noon_ms + 90_000), count)
    in_force = np.array([zone.in_force_at(noon_ms) for zone in zones.zones], dtype=bool)
    # Every one of these schedules that is shut at noon stays so for the next hours.
    assert active.tolist() == (rules.wanted() & in_force).tolist()


def unpacked(bits: np.ndarray, count: int) -> np.ndarray:
    zone = np.arange(count)
    return (bits[:, zone >> 6] >> (zone & 63).astype(np.uint64) & np.uint64(1)).astype(bool)


def test_rule_book_tells_openings_and_the_next_flip_of_its_zones() -> None:
    rules = RuleBook(MANY, Vehicle(u7=0))
    rules.advance(noon_ms)
    flips_ms = rules.next_change_ms
    time_ms, zone = rules.openings(noon_ms, noon_ms + 86_400_000)
    assert list(zip(time_ms.tolist(), zone.tolist(), strict=True)) == openings_by_the_minute(
        noon_ms, noon_ms + 86_400_000
    )
    assert noon_ms < flips_ms <= time_ms[0]


def test_active_bits_are_kept_until_a_profile_is_added_or_a_rule_flips() -> None:
    trucks = box_zone("trucks", applies_to=AppliesTo(kinds=frozenset({VehicleKind.GOODS})))
    rules = RuleBook(ZoneSet.of([*MANY.zones, trucks]), Vehicle(u7=0))
    rules.advance(noon_ms)
    first = rules.active_bits(noon_ms, noon_ms)
    assert rules.active_bits(noon_ms + 1000, noon_ms + 1000) is first
    rules.profile_of(Vehicle(u7=1, kind=VehicleKind.CAR))
    wider = rules.active_bits(noon_ms + 1000, noon_ms + 1000)
    assert len(wider) == 2
    rules.advance(rules.next_change_ms)
    assert rules.active_bits(noon_ms + 10**7, noon_ms + 10**7) is not wider


def test_more_profiles_than_a_row_can_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo_engine.zones.applicability.MAX_PROFILES", 5)
    matrix = ApplicabilityMatrix([AppliesTo(plate_prefixes=(f"鄂{number}",)) for number in range(9)], Vehicle(u7=0))
    for number in range(4):
        matrix.row_of(Vehicle(u7=number, plate=f"鄂{number}"))
    with pytest.raises(ConfigurationError, match="more than 5 kinds of vehicle"):
        matrix.row_of(Vehicle(u7=9, plate="鄂8"))
    assert matrix.row_of(Vehicle(u7=9, plate="鄂3")) == 4


def test_vehicles_judged_alike_share_a_profile_whatever_they_are() -> None:
    matrix = ApplicabilityMatrix([LOCALS], Vehicle(u7=0))
    first = matrix.row_of(Vehicle(u7=1, kind=VehicleKind.CAR, plate="京A11111"))
    assert matrix.row_of(Vehicle(u7=2, kind=VehicleKind.GOODS, plate="湘B2")) == first
    assert matrix.row_of(Vehicle(u7=3, kind=VehicleKind.GOODS, plate="鄂A2")) != first


# ---- plates by date, exceptions

BY_DATE = AppliesTo(tail_parity=TailParity.NOT_AS_DATE)
PLATES = ZoneSet.of(
    [
        box_zone("a", schedule=Schedule.parse("07:00-22:00"), applies_to=BY_DATE),
        box_zone("b", applies_to=BY_DATE),
        box_zone("c", schedule=Schedule.parse("22:00-06:00", days=Days(dates=DateParity.ODD)), applies_to=BY_DATE),
        box_zone("d"),
    ]
)
DRIVERS = [Vehicle(u7=1, plate="鄂A12343"), Vehicle(u7=2, plate="鄂A1234B"), Vehicle(u7=3)]


def by_hand(zone: int, vehicle: Vehicle, time_ms: int) -> Applicability:
    """Judge one rule by the date on which the window around the moment began."""
    found = PLATES.zones[zone]
    if not found.in_force_at(time_ms):
        return Applicability.NO
    began = datetime.fromtimestamp(time_ms / 1000, ZoneInfo("Asia/Shanghai"))
    if found.schedule.text == "22:00-06:00" and began.hour < 6:
        began -= timedelta(days=1)
    return found.applies_to.on_dates(odd=began.day % 2 == 1).judge(vehicle)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 3), st.integers(0, 2), st.integers(noon_ms, noon_ms + 20 * 86_400_000))
def test_rule_by_date_is_weighed_as_by_hand_at_any_moment(zone: int, driver: int, time_ms: int) -> None:
    rules = RuleBook(PLATES, Vehicle(u7=0))
    profile = rules.profile_of(DRIVERS[driver])
    unknown = np.array([np.nan])
    question = Question(np.array([profile]), np.array([zone]), np.array([time_ms]), unknown, unknown)
    assert rules.weigh(question).tolist() == [by_hand(zone, DRIVERS[driver], time_ms)]


@settings(max_examples=40, deadline=None)
@given(st.integers(noon_ms, noon_ms + 20 * 86_400_000), st.integers(0, 3_600_000))
def test_bit_that_is_not_set_is_certain_for_rules_by_date(now_ms: int, length: int) -> None:
    rules = RuleBook(PLATES, Vehicle(u7=0))
    profiles = [rules.profile_of(driver) for driver in DRIVERS]
    rules.advance(now_ms)
    bits = unpacked(rules.active_bits(now_ms, now_ms + length), len(PLATES))
    for driver, profile in zip(DRIVERS, profiles, strict=True):
        for zone in range(len(PLATES)):
            ever = [by_hand(zone, driver, moment) > 0 for moment in (now_ms, now_ms + length // 2, now_ms + length)]
            assert bits[profile, zone] or not any(ever)
    noon = rules.active_bits(now_ms, now_ms)
    assert unpacked(noon, len(PLATES))[profiles[0], 1] == (by_hand(1, DRIVERS[0], now_ms) > 0)


def test_midnight_is_an_opening_for_plates_by_date() -> None:
    rules = RuleBook(PLATES, Vehicle(u7=0))
    rules.advance(noon_ms)
    midnight = noon_ms + 12 * 3_600_000
    time_ms, zone = rules.openings(midnight - 1, midnight)
    assert (time_ms.tolist(), zone.tolist()) == ([midnight], [1])


def test_nobody_is_looked_ahead_for_or_warned_about_an_exception() -> None:
    exception = replace(box_zone("a"), effect=RuleEffect.ALLOWED, road=True)
    rules = RuleBook(ZoneSet.of([exception, box_zone("b")]), Vehicle(u7=0))
    assert rules.wanted().tolist() == [[False, True]]
    assert rules.concern(np.array([0, 0]), np.array([0, 1])).tolist() == [0, 2]


def test_rules_of_other_kinds_and_exceptions_are_not_silenced() -> None:
    road = replace(box_zone("road"), effect=RuleEffect.ALLOWED, road=True, listed=9)
    works = box_zone("works", kind=ZoneKind.CONSTRUCTION)
    far = box_zone("far", west=114.5, east=114.6)
    other = replace(road, zone_id="other", listed=1)
    zones = ZoneSet.of([road, works, far, other, box_zone("near")])
    found = Precedence(zones)
    rows = (found.winner.tolist(), found.loser.tolist())
    pairs = [(zones.zones[one].zone_id, zones.zones[two].zone_id) for one, two in zip(*rows, strict=True)]
    assert pairs == [("other", "near"), ("road", "near")]
    assert found.at(np.nan, np.nan) == []
    assert [zones.zones[row].zone_id for row in found.at(114.305, 30.6)] == ["road", "other", "works", "near"]


# An area and a road over the 180 degree meridian, one drawn from the west and one from the east.
FIJI = replace(box_zone("fiji"), geometry=shapely.box(179.0, -18.0, 181.0, -17.0))
ACROSS = {
    "from the east": shapely.box(-181.0, -17.6, -179.5, -17.4),
    "from the west": shapely.box(179.5, -17.6, 180.5, -17.4),
    "east of it": shapely.box(-180.0, -17.6, -179.5, -17.4),
    "one turn away": shapely.box(-181.0, -17.6, -180.5, -17.4),
}


@pytest.mark.parametrize("shape", ACROSS.values(), ids=ACROSS)
@pytest.mark.parametrize("turned", [False, True])
def test_exception_holds_on_either_side_of_the_180_degree_meridian(shape: shapely.Geometry, turned: bool) -> None:
    west = shapely.box(-181.0, -18.0, -179.0, -17.0)
    area = replace(FIJI, geometry=west) if turned else FIJI
    zones = ZoneSet.of([area, replace(box_zone("road"), geometry=shape, effect=RuleEffect.ALLOWED, road=True)])
    rules, found = RuleBook(zones, Vehicle(u7=0)), Precedence(zones)
    lon = np.array([179.25, 179.45, 179.75, 180.0, -180.0, -179.75, -179.25])
    on_road = np.array([shape.intersects(shapely.points(lon + turn, -17.5)).tolist() for turn in (-360, 0, 360)]).any(0)
    for lat, opened in ((-17.5, on_road), (-17.2, np.zeros(len(lon), dtype=bool))):
        asked = [np.full(len(lon), value) for value in (0, 0, noon_ms)]
        weighed = rules.weigh(Question(*asked, lon, np.full(len(lon), lat)))
        assert ((weighed == 0) == opened).all()
        for place, is_open in zip(lon.tolist(), opened.tolist(), strict=True):
            assert found.at(place, lat) == ([1, 0] if is_open else [0])


def test_shapes_that_stay_apart_from_the_meridian_are_no_pair_round_the_globe() -> None:
    road = replace(
        box_zone("road"), geometry=shapely.box(-178.9, -18, -178.5, -17), effect=RuleEffect.ALLOWED, road=True
    )
    assert len(Precedence(ZoneSet.of([FIJI, road])).winner) == 0
