"""Schedules by the day calendar: holidays, make-up workdays, odd and even dates, over midnight and over years."""

from __future__ import annotations

import json
import pickle
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.zones.calendar import DayCalendar, DayKind, read_day_calendar
from geo_engine.zones.days import DateParity, Days
from geo_engine.zones.schedule import Schedule, ScheduleError

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT.parent / "shared/data/vectors/cn_holidays.json"
SHIPPED = ROOT / "zones/day-calendar.json"
CALENDAR, _FAULTS = read_day_calendar(json.loads(SHIPPED.read_text(encoding="utf-8")))
OFF = Days(holiday="off", makeup_workday="weekday", calendar=CALENDAR)
MINUTE_MS = 60_000


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


# 2026: National Day 10-01 (Thu) to 10-07, worked 09-20 (Sun) and 10-10 (Sat).
@pytest.mark.parametrize(
    ("text", "days", "moment", "is_open"),
    [
        ("Mo-Fr 07:00-09:00", OFF, "2026-09-30T08:00", True),
        ("Mo-Fr 07:00-09:00", OFF, "2026-10-01T08:00", False),
        ("Mo-Fr 07:00-09:00", OFF, "2026-10-08T08:00", True),
        ("Mo-Fr 07:00-09:00", OFF, "2026-10-10T08:00", True),
        ("Mo-Fr 07:00-09:00", OFF, "2026-09-20T08:00", True),
        ("Mo-Fr 07:00-09:00", OFF, "2026-10-11T08:00", False),
        ("Fr 07:00-09:00", OFF, "2026-10-10T08:00", True),  # a worked Saturday counts as the Friday before
        ("Mo 07:00-09:00", OFF, "2026-09-20T08:00", True),  # a worked Sunday as the Monday after
        ("Mo-Fr 07:00-09:00", Days("off", "weekend", calendar=CALENDAR), "2026-10-10T08:00", False),
        ("Mo-Fr 07:00-09:00; Su 10:00-12:00", Days("Su", calendar=CALENDAR), "2026-10-01T11:00", True),
        ("Mo-Fr 07:00-09:00; Su 10:00-12:00", Days("Su", calendar=CALENDAR), "2026-10-01T08:00", False),
        ("Mo-Fr 07:00-09:00", Days("20:00-22:00", calendar=CALENDAR), "2026-10-01T21:00", True),
        ("Mo-Fr 07:00-09:00", Days("20:00-22:00", calendar=CALENDAR), "2026-10-01T08:00", False),
        ("Mo-Fr 07:00-09:00", Days(dates=DateParity.ODD), "2026-11-17T08:00", True),
        ("Mo-Fr 07:00-09:00", Days(dates=DateParity.ODD), "2026-11-18T08:00", False),
        ("24/7", Days(dates=DateParity.EVEN), "2026-11-18T00:00", True),
        ("24/7", Days(dates=DateParity.EVEN), "2026-11-17T23:59:59.999", False),
        # A year nobody entered: National Day of 2031 counts as an ordinary Wednesday.
        ("Mo-Fr 07:00-09:00", OFF, "2031-10-01T08:00", True),
    ],
)
def test_schedule_holds_by_the_kind_of_the_day(text: str, days: Days, moment: str, is_open: bool) -> None:
    assert Schedule.parse(text, days=days).is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-09-30T23:00", True),
        ("2026-10-01T05:59", True),  # began on the 30th, a working day
        ("2026-10-01T06:00", False),
        ("2026-10-01T23:00", False),  # would begin on a holiday
        ("2026-10-07T23:00", False),
        ("2026-10-08T05:00", False),
        ("2026-10-08T22:00", True),
        ("2026-10-09T03:00", True),
    ],
)
def test_window_over_midnight_belongs_to_the_day_it_begins_on(moment: str, is_open: bool) -> None:
    assert Schedule.parse("22:00-06:00", days=OFF).is_open(at(moment)) is is_open


def test_window_over_midnight_of_an_odd_date_reaches_into_the_even_one() -> None:
    odd = Schedule.parse("22:00-06:00", days=Days(dates=DateParity.ODD))
    moments = ["2026-11-17T23:00", "2026-11-18T05:00", "2026-11-18T23:00", "2026-11-19T05:00"]
    assert [odd.is_open(at(moment)) for moment in moments] == [True, True, False, False]


def test_the_31st_and_the_1st_are_both_odd() -> None:
    odd = Schedule.parse("24/7", days=Days(dates=DateParity.ODD))
    assert odd.next_change_ms(at("2026-10-31T10:00")) == at("2026-11-02T00:00")


TEXTS = [
    "24/7",
    "Mo-Fr 07:00-09:00,17:00-19:00",
    "22:00-06:00",
    "Fr 20:00-26:00; Su off",
    "00:00-06:00,18:00-24:00",
    "18:00-24:00",
    "12:00-20:00,18:00-28:00",
    "off",
]
DAYS = [
    OFF,
    Days("Su", "weekend", calendar=CALENDAR),
    Days("22:00-03:00", "weekday", calendar=CALENDAR),
    Days(dates=DateParity.ODD),
    Days("off", "weekday", DateParity.EVEN, CALENDAR),
]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.sampled_from(DAYS),
    st.integers(at("2026-09-10T00:00") // MINUTE_MS, at("2026-10-20T00:00") // MINUTE_MS),
)
def test_next_change_is_the_first_minute_at_which_the_state_differs(text: str, days: Days, minute: int) -> None:
    schedule = Schedule.parse(text, days=days)
    now_ms = minute * MINUTE_MS
    change_ms = schedule.next_change_ms(now_ms)
    state = schedule.is_open(now_ms)
    until_ms = min(change_ms or now_ms + 86_400_000 * 4, now_ms + 86_400_000 * 4)
    assert all(schedule.is_open(moment) is state for moment in range(now_ms, until_ms, 15 * MINUTE_MS))
    if change_ms is not None:
        assert schedule.is_open(change_ms - 1) is state
        assert schedule.is_open(change_ms) is not state


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(at("2028-01-01T00:00"), at("2030-01-01T00:00")))
def test_on_ordinary_days_the_calendar_changes_nothing(text: str, moment: int) -> None:
    plain, by_days = Schedule.parse(text), Schedule.parse(text, days=OFF)
    assert by_days.is_open(moment) is plain.is_open(moment)
    assert by_days.next_change_ms(moment) == plain.next_change_ms(moment)


def test_flip_years_away_is_found_and_one_that_never_comes_is_none() -> None:
    rare = Schedule.parse("2031 May 05 07:00-09:00", days=OFF)
    assert rare.next_change_ms(at("2026-01-01T00:00")) == at("2031-05-05T07:00")
    assert Schedule.parse("off", days=OFF).next_change_ms(at("2026-01-01T00:00")) is None
    assert Schedule.parse("24/7", days=OFF).next_change_ms(at("2026-10-08T00:00")) is None


def test_holidays_follow_the_wall_clock_of_a_zone_with_summer_time() -> None:
    fifth = DayCalendar(frozenset({2026}), frozenset({date(2026, 3, 29).toordinal()}))
    paris = Schedule.parse("24/7", "Europe/Paris", Days("off", calendar=fifth))
    assert paris.next_change_ms(at("2026-03-28T12:00", "Europe/Paris")) == at("2026-03-29T00:00", "Europe/Paris")
    assert paris.next_change_ms(at("2026-03-29T12:00", "Europe/Paris")) == at("2026-03-30T00:00", "Europe/Paris")


def test_two_schedules_differ_by_their_days_and_survive_pickling() -> None:
    by_days = Schedule.parse("07:00-09:00", days=OFF)
    assert by_days != Schedule.parse("07:00-09:00")
    assert pickle.loads(pickle.dumps(by_days)) == by_days  # noqa: S301 - our own bytes
    with pytest.raises(ScheduleError):
        Schedule.parse("07:00-09:00", days=Days("whenever"))


# ---- the calendar


def test_shipped_calendar_is_without_fault_and_counts_as_the_notices_do() -> None:
    assert _FAULTS == ()
    assert CALENDAR.years >= {2024, 2025, 2026}
    of_2026 = range(date(2026, 1, 1).toordinal(), date(2027, 1, 1).toordinal())
    kinds = [CALENDAR.kind_of(day) for day in of_2026]
    assert (kinds.count(DayKind.HOLIDAY), kinds.count(DayKind.MAKEUP_WORKDAY)) == (33, 6)


@pytest.mark.skipif(not VECTORS.is_file(), reason="needs ../shared/data/vectors/cn_holidays.json")
def test_calendar_agrees_with_the_holidays_recorded_elsewhere() -> None:
    recorded, faults = read_day_calendar(json.loads(VECTORS.read_text(encoding="utf-8")))
    assert faults == ()
    assert recorded.years == set(range(2018, 2025))
    both = [date(2024, 1, 1) + timedelta(days=day) for day in range(366)]
    kinds = [(CALENDAR.kind_of(day.toordinal()), recorded.kind_of(day.toordinal())) for day in both]
    assert [day for day, (ours, theirs) in zip(both, kinds, strict=True) if ours is not theirs] == []


@pytest.mark.parametrize(
    ("source", "path", "reason"),
    [
        ([], "$.years", "not_a_calendar"),
        ({"years": {"26": {"holidays": [], "makeup_workdays": []}}}, "$.years", "bad_year"),
        ({"years": {"２０２６": {"holidays": [], "makeup_workdays": []}}}, "$.years", "bad_year"),
        ({"years": {"2026": {"holidays": []}}}, "$.years.2026", "not_a_year"),
        ({"years": {"2026": {"holidays": "10-01", "makeup_workdays": []}}}, "$.years.2026.holidays", "not_dates"),
        ({"years": {"2026": {"holidays": ["soon"], "makeup_workdays": []}}}, "$.years.2026.holidays", "bad_date"),
        ({"years": {"2026": {"holidays": [7], "makeup_workdays": []}}}, "$.years.2026.holidays", "bad_date"),
        (
            {"years": {"2026": {"holidays": ["2025-10-01"], "makeup_workdays": []}}},
            "$.years.2026.holidays",
            "bad_date",
        ),
        (
            {"years": {"2026": {"holidays": [], "makeup_workdays": ["2026-10-09"]}}},
            "$.years.2026.makeup_workdays",
            "not_a_weekend_day",
        ),
        (
            {"years": {"2026": {"holidays": ["2026-10-10"], "makeup_workdays": ["2026-10-10"]}}},
            "$.years.2026.makeup_workdays",
            "holiday_and_workday",
        ),
    ],
)
def test_faulty_year_is_named_and_left_out_whole(source: object, path: str, reason: str) -> None:
    calendar, faults = read_day_calendar(source)
    assert [(fault.path, fault.reason) for fault in faults] == [(path, reason)]
    assert not calendar.knows(2026)


# ---- windows taken apart at the border of a special day


DAILY = [
    "22:00-06:00",
    "20:00-48:00",
    "20:00-47:59",
    "10:00-36:00",
    "10:00-36:01",
    "10:00-10:00",
    "20:00-02:00,22:00-40:00",
    "24/7",
    "open",
    "Mo-Su",
    "Mo-We 12:00-48:00",
    "2026 Nov 16-2026 Nov 20 20:00-04:00",
    "2026 Nov 16-2026 Nov 20",
]
CLOSING = [
    "",
    "; We 03:00-05:00 off",
    "; Sa 22:00-02:00 off",
    "; 22:00-40:00 off",
    "; Th 00:00-48:00 off",
    "; We 03:00-05:00,23:00-24:00 closed",
    ", We 03:00-05:00 off",
    "; We 23:59-24:00 off",
]
NOVEMBER = frozenset(date(2026, 11, 1).toordinal() + day for day in range(30))
EVERY_DAY = DayCalendar(frozenset({2026}), NOVEMBER)


@pytest.mark.parametrize("closing", CLOSING)
@pytest.mark.parametrize("text", DAILY)
def test_text_taken_apart_at_every_midnight_says_what_it_says_as_a_whole(text: str, closing: str) -> None:
    whole = Schedule.parse(text + closing)
    apart = Schedule.parse(text + closing, days=Days(text + closing, calendar=EVERY_DAY))
    quarters = range(at("2026-11-14T00:00"), at("2026-11-25T00:00"), 15 * MINUTE_MS)
    moments = [moment for quarter in quarters for moment in (quarter, quarter + 14 * MINUTE_MS)]
    assert [apart.is_open(moment) for moment in moments] == [whole.is_open(moment) for moment in moments]


@pytest.mark.parametrize(
    ("text", "moment", "is_open"),
    [
        ("20:00-48:00", "2026-10-01T23:59", True),  # began on 30 September
        ("20:00-48:00", "2026-10-02T00:00", False),
        ("20:00-36:00", "2026-10-01T12:00", False),
        ("Mo-Su; We 10:00-12:00 off", "2026-10-01T09:00", False),  # the Wednesday before leaves nothing over
        ("22:00-06:00; We 22:00-02:00 off", "2026-10-01T01:00", False),
        ("22:00-06:00; We 22:00-02:00 off", "2026-10-01T03:00", True),
    ],
)
def test_what_a_day_leaves_over_for_the_holiday_after_it(text: str, moment: str, is_open: bool) -> None:
    assert Schedule.parse(text, days=OFF).is_open(at(moment)) is is_open


def test_longest_text_is_read_by_days_too() -> None:
    rules = ["2026 Nov 16-2026 Nov 20"] * 30
    assert Schedule.parse("; ".join(rules), days=OFF).is_open(at("2026-11-16T10:30"))
    with pytest.raises(ScheduleError, match="rules and windows"):
        Schedule.parse("; ".join([*rules, "We"]), days=OFF)
