"""Schedules: what is open when, when it flips, what is refused."""

from __future__ import annotations

import pickle
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.model import LATEST_TIME_MS
from geo_engine.zones.schedule import ALWAYS, Schedule, ScheduleError


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "moment", "is_open"),
    [
        ("07:00-22:00", "2026-11-16T06:59:59.999", False),
        ("07:00-22:00", "2026-11-16T07:00:00", True),
        ("07:00-22:00", "2026-11-16T21:59:59.999", True),
        ("07:00-22:00", "2026-11-16T22:00:00", False),
        ("Fr 22:00-06:00", "2026-11-21T03:00:00", True),
        ("Fr 22:00-06:00", "2026-11-20T03:00:00", False),
        ("Mo-Fr 07:00-09:00,17:00-19:00", "2026-11-16T18:00:00", True),
        ("Mo-Fr 07:00-09:00,17:00-19:00", "2026-11-15T18:00:00", False),
        ("07:00-22:00; Sa-Su off", "2026-11-15T12:00:00", False),
        ("2026 Nov 16-2026 Nov 20 07:00-09:00", "2026-11-20T08:00:00", True),
        ("2026 Nov 16-2026 Nov 20 07:00-09:00", "2026-11-21T08:00:00", False),
        ("24/7", "2026-11-16T03:00:00", True),
    ],
)
def test_schedule_is_open_in_its_windows(text: str, moment: str, is_open: bool) -> None:
    assert Schedule.parse(text).is_open(at(moment)) is is_open


def test_schedule_is_read_in_its_own_timezone() -> None:
    noon_in_wuhan = at("2026-11-16T12:00:00")
    assert Schedule.parse("11:00-13:00").is_open(noon_in_wuhan)
    assert not Schedule.parse("11:00-13:00", "Europe/Paris").is_open(noon_in_wuhan)


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("07:00-22:00", "2026-11-16T06:00:00", "2026-11-16T07:00:00"),
        ("07:00-22:00", "2026-11-16T07:00:00", "2026-11-16T22:00:00"),
        ("Mo-Fr 07:00-09:00", "2026-11-20T09:00:00", "2026-11-23T07:00:00"),
        ("Fr 22:00-06:00", "2026-11-20T23:00:00", "2026-11-21T06:00:00"),
        ("2097 Jan 5 07:00-09:00", "2026-11-16T00:00:00", "2097-01-05T07:00:00"),
    ],
)
def test_next_change_is_the_next_flip(text: str, moment: str, expected: str) -> None:
    assert Schedule.parse(text).next_change_ms(at(moment)) == at(expected)


@pytest.mark.parametrize("text", ["24/7", "24/7 off", "2020 Jan 1-2020 Dec 31 07:00-09:00", "2150 Jan 1 07:00-09:00"])
def test_next_change_is_none_when_nothing_changes_before_2100(text: str) -> None:
    assert Schedule.parse(text).next_change_ms(at("2026-11-16T00:00:00")) is None


def test_next_change_is_none_after_2100() -> None:
    assert Schedule.parse("07:00-09:00").next_change_ms(LATEST_TIME_MS) is None


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2026-03-28T12:00:00"),
        ("Europe/Berlin", "2026-10-24T12:00:00"),
        ("America/New_York", "2026-10-31T12:00:00"),
        ("Asia/Shanghai", "2026-10-24T12:00:00"),
        ("Australia/Lord_Howe", "2026-04-04T12:00:00"),
    ],
)
@pytest.mark.parametrize(
    "text", ["02:15-02:45", "22:00-02:30", "01:40-03:10", "00:00-01:50,02:10-05:00", "Su 01:00-24:00"]
)
def test_next_change_agrees_with_a_scan_by_minutes(zone: str, day: str, text: str) -> None:
    schedule = Schedule.parse(text, zone)
    minutes = range(at(day, zone), at(day, zone) + 40 * 3_600_000, 60_000)
    states = [schedule.is_open(moment) for moment in minutes]
    for row in range(0, 24 * 60, 7):
        flip = next((later for later in range(row + 1, len(states)) if states[later] is not states[row]), None)
        if flip is not None:
            assert schedule.next_change_ms(minutes[row]) == minutes[flip]


@settings(max_examples=150, deadline=None)
@given(
    days=st.sampled_from(["", "Mo-Fr ", "Sa-Su ", "We ", "Mo[1] "]),
    start=st.integers(0, 23 * 60),
    length=st.integers(1, 10 * 60),
    moment=st.integers(1_700_000_000_000, 1_900_000_000_000),
)
def test_state_is_constant_until_the_next_change(days: str, start: int, length: int, moment: int) -> None:
    end = (start + length) % 1440
    schedule = Schedule.parse(f"{days}{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}")
    change = schedule.next_change_ms(moment)
    if change is None:
        return
    assert change > moment
    assert schedule.is_open(change) is not schedule.is_open(moment)
    for part in range(20):
        assert schedule.is_open(moment + (change - 1 - moment) * part // 19) is schedule.is_open(moment)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Mo-Fr 08:00-20:00; PH off", "PH"),
        ("SH 08:00-20:00", "SH"),
        ("odd 07:00-20:00", "odd"),
        ("sunrise-sunset", "sunrise"),
        ('07:00-09:00 "if it rains"', "comment"),
        ("07:00-09:00 unknown", "unknown"),
        ("07:00+", "open end"),
        ("07:00-19:00/00:30", "repetition"),
        ("", "empty"),
        ("   ", "empty"),
        ("7 to 9", "7 to 9"),
        ("2026 May 01 08:00-2026 May 05 20:00", "cannot be read"),
        ("07:00-09:00," * 200 + "10:00-11:00", "characters"),
    ],
)
def test_schedule_is_refused_with_the_reason_when_it_is_not_in_the_grammar(text: str, word: str) -> None:
    with pytest.raises(ValueError, match="found") as refusal:
        Schedule.parse(text)
    assert word in str(refusal.value)


FULL_WIDTH = "half-width : , ;"
DASH = "- instead of"
DAYS = "days as Mo Tu We Th Fr Sa Su"
CLOCK = "clock times like 07:00"


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        ("07：00-09：00", {FULL_WIDTH}),
        ("Mo-Fr 07:00-09:00，17:00-19:00", {FULL_WIDTH}),
        ("07:00-09:00；Su off", {FULL_WIDTH}),
        ("07:00~09:00", {DASH}),
        ("07:00～09:00", {DASH}),
        ("07:00–09:00", {DASH}),
        ("07:00至09:00", {DASH}),
        ("7点到9点", {DASH, CLOCK}),
        ("Mon-Fri 07:00-09:00", {DAYS}),
        ("Sunday off", {DAYS}),
        ("周一至周五 07：00-09：00", {DAYS, DASH, FULL_WIDTH}),
        ("7-9", set()),
    ],
)
def test_refusal_says_expected_once_with_the_hint_that_fits(text: str, hints: set[str]) -> None:
    with pytest.raises(ScheduleError) as refusal:
        Schedule.parse(text)
    assert str(refusal.value).count("expected") == 1
    assert {hint for hint in (FULL_WIDTH, DASH, DAYS, CLOCK) if hint in refusal.value.expected} == hints
    assert "PH" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("07:00-09:00", True),
        ("24/7", True),
        ("2099 Dec 31 07:00-09:00", True),
        ("2026 Jan 1 00:00-00:01", True),
        ("off", False),
        ("Mo off", False),
        ("2025 Jan 1-2025 Dec 31 07:00-09:00", False),
        ("2026 Feb 29 Mo 07:00-09:00", False),
    ],
)
def test_schedule_opens_between_two_moments_or_never(text: str, opens: bool) -> None:
    assert Schedule.parse(text).opens_between(at("2026-01-01T00:00:00"), LATEST_TIME_MS) is opens


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Asia", "+08:00"])
def test_schedule_is_refused_when_the_timezone_is_unknown(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Schedule.parse("07:00-09:00", zone)


def test_schedules_are_equal_by_text_and_timezone() -> None:
    assert Schedule.parse("24/7") == ALWAYS
    assert hash(Schedule.parse(" 24/7 ")) == hash(ALWAYS)
    assert Schedule.parse("07:00-09:00") != Schedule.parse("07:00-09:00", "Europe/Paris")


def test_schedule_survives_pickling() -> None:
    schedule = Schedule.parse("Mo-Fr 07:00-09:00")
    again = pickle.loads(pickle.dumps(schedule))  # noqa: S301  # made on this line
    assert again == schedule
    assert again.is_open(at("2026-11-16T08:00:00"))


@pytest.mark.parametrize("text", ["Feb 30", "Apr 31 07:00-22:00", "Jun 31", "Sep 31 Mo", "Nov 20-31", "Feb 29-30"])
def test_day_no_month_has_is_refused_not_read_as_every_day(text: str) -> None:
    with pytest.raises(ScheduleError, match="a day that exists"):
        Schedule.parse(text)


@pytest.mark.parametrize(
    "text", ["Feb 29", "Apr 30 07:00-22:00", "Jan 31", "Nov 20-30", "Feb 28-29", "Sep 07:00-09:00"]
)
def test_day_a_month_has_is_accepted(text: str) -> None:
    assert Schedule.parse(text).text == text


@pytest.mark.parametrize(
    "text", ["Mo-Su", "Mo-Su 00:00-24:00", "2020-2025 Mo-Fr 07:00-09:00", "2026 Feb 29 Mo", "24/7"]
)
def test_change_that_never_comes_is_none(text: str) -> None:
    assert Schedule.parse(text).next_change_ms(1_792_382_400_000) is None


def test_text_with_too_many_rules_is_refused_and_one_with_thirty_is_not() -> None:
    window = "00:00-00:01"
    assert Schedule.parse(",".join([window] * 30)).is_open(0) in (True, False)
    with pytest.raises(ScheduleError, match="31 rules"):
        Schedule.parse(",".join([window] * 31))
