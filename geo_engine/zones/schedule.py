"""When a zone is in force: the OSM opening_hours grammar, read in the zone's local time.

What depends on something the text does not hold is refused instead of guessed: public and school holidays (PH, SH) and
odd and even dates, which ``Days`` answers, sun events, and every window that may be open or not (comments, ``unknown``,
open ends).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opening_hours import OpeningHours, State
from opening_hours.opening_hours import ParserError

from geo_engine.model import LATEST_TIME_MS
from geo_engine.zones.days import WEEKDAYS, DayClock, Days, Hours
from geo_engine.zones.findings import TextError, describe

__all__ = ["ALWAYS", "DEFAULT_TIMEZONE", "MAX_SCHEDULE_CHARACTERS", "Schedule", "ScheduleError"]

DEFAULT_TIMEZONE: Final = "Asia/Shanghai"

MAX_SCHEDULE_CHARACTERS: Final = 1_000
"""A longer text is refused unread; a real rule takes less than a hundred characters."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000
_MILLISECOND: Final = timedelta(milliseconds=1)

_REFUSED: Final = (
    (re.compile(r"\b(PH|SH)\b", re.IGNORECASE), "no PH and SH: holidays belong to the day calendar"),
    (re.compile(r"\b(odd|even)\b", re.IGNORECASE), "no odd and even dates: days.dates says it"),
    (re.compile(r"sunrise|sunset|dawn|dusk", re.IGNORECASE), "clock times instead of sun events"),
    (re.compile(r'"'), "remarks in the property note: a quoted comment makes a window uncertain"),
    (re.compile(r"\bunknown\b", re.IGNORECASE), "in force or off: unknown is neither"),
    (re.compile(r"\d:\d\d\s*\+"), "the end of the window: an open end (+) is uncertain"),
    (re.compile(r"\d:\d\d\s*/"), "a window without a repetition (/)"),
)

_HORIZON: Final = datetime(2101, 1, 1)  # noqa: DTZ001 - the library counts in wall-clock time
"""No ping is accepted from 2100 on; without an end the library searches thousands of years."""

_MOST_RULES: Final = 30
"""Rules and windows in one text. The search takes milliseconds for each."""

_LAST_DAY: Final = {"feb": 29, "apr": 30, "jun": 30, "sep": 30, "nov": 30}
_DAYS_OF_MONTH: Final = re.compile(
    r"\b(Feb|Apr|Jun|Sep|Nov)\s+(\d{1,2})(?![\d:])(?:\s*-\s*(\d{1,2})(?![\d:]))?", re.IGNORECASE
)

_GRAMMAR: Final = "opening_hours text such as 07:00-22:00"

_HINTS: Final = (
    (re.compile("[：，；]"), "half-width : , ;"),
    (re.compile("[~～–—至到]"), "-"),
    (re.compile(r"\d+\s*[点时時]"), "clock times like 07:00"),
    (
        re.compile(r"\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*|(?:周|星期|礼拜).?", re.IGNORECASE),
        "days as Mo Tu We Th Fr Sa Su",
    ),
)
"""What people write instead of the grammar, and what they should."""


class ScheduleError(TextError):
    """A text that is no schedule, or an unknown time zone."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A weekly, seasonal or dated timetable such as ``Mo-Fr 07:00-09:00,17:00-19:00``.

    Windows are half-open: ``07:00-22:00`` holds at 07:00:00 and no longer at 22:00:00. A window over midnight belongs
    to the day it begins on. Times are wall-clock times: in the hour that is repeated when summer time ends, a window
    is open in both passes. Two schedules are equal when text, timezone and days are.

    Attributes:
        text: opening_hours text.
        timezone: IANA name of the time zone the text is read in.
        days: what happens on holidays, make-up workdays, odd and even dates; None = every day is ordinary.
    """

    text: str = "24/7"
    timezone: str = DEFAULT_TIMEZONE
    days: Days | None = None
    _clock: _TextClock | DayClock = field(init=False, repr=False, compare=False)
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.days is not None and self.days.holiday not in ("off", "same", *WEEKDAYS):
            _compile(self.days.holiday)
        hours = _compile(self.text)
        clock = _TextClock(hours) if self.days is None else DayClock(self.text, self.days, _hours)
        object.__setattr__(self, "_clock", clock)
        object.__setattr__(self, "_zone", _time_zone(self.timezone))

    def __reduce__(self) -> tuple[type[Schedule], tuple[str, str, Days | None]]:
        # The compiled timetable cannot be pickled; the text says all.
        return Schedule, (self.text, self.timezone, self.days)

    @classmethod
    def parse(cls, text: str, timezone: str = DEFAULT_TIMEZONE, days: Days | None = None) -> Schedule:
        """Read an opening_hours text.

        Args:
            text: e.g. ``07:00-22:00`` or ``Mo-Fr 22:00-06:00; Su off``; no PH, SH, sun events, comments.
            timezone: IANA name, e.g. ``Asia/Shanghai``.
            days: what happens on days that are not ordinary.

        Raises:
            ScheduleError: the text is not in the grammar or the time zone is not known.
        """
        return cls(text.strip(), timezone, days)

    def is_open(self, time_ms: int) -> bool:
        """Say whether the schedule holds at ``time_ms``. Cost: about 2 us."""
        return self._clock.is_open(self._wall(time_ms))

    def opens_between(self, start_ms: int, end_ms: int) -> bool:
        """Say whether the schedule holds at a moment from ``start_ms`` up to ``end_ms`` (exclusive).

        A window that lies wholly in the hour skipped when summer time begins counts as open.
        Cost: about 50 us; up to 20 ms when years are searched for a day that never comes.
        """
        start, end = self._wall(start_ms), self._wall(end_ms)
        return start < end and (self._clock.is_open(start) or self._clock.next_change(start, end) is not None)

    def next_change_ms(self, time_ms: int) -> int | None:
        """Return the first moment after ``time_ms`` at which ``is_open`` flips, None when it never does before 2100.

        Cost: a few microseconds; some milliseconds when the flip is decades away.
        """
        now_open = self.is_open(time_ms)
        cursor_ms = time_ms
        # The grammar counts in wall-clock time, which jumps where the UTC offset changes: each round looks at one
        # stretch of constant offset. Without a further change on the clock only a repeated hour can bring one back.
        while cursor_ms < LATEST_TIME_MS:
            change_ms = self._next_on_the_clock(cursor_ms)
            end_ms = cursor_ms + _DAY_MS if change_ms is None else change_ms
            shift_ms = self._offset_change_ms(cursor_ms, min(end_ms, LATEST_TIME_MS))
            next_ms = change_ms if shift_ms is None else shift_ms
            if next_ms is None:
                return None
            if self.is_open(next_ms) is not now_open:
                return next_ms if next_ms < LATEST_TIME_MS else None
            cursor_ms = next_ms
        return None

    def _wall(self, time_ms: int) -> datetime:
        return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(self._zone).replace(tzinfo=None)

    def _offset_ms(self, time_ms: int) -> int:
        return (self._wall(time_ms) - _EPOCH.replace(tzinfo=None)) // _MILLISECOND - time_ms

    def _next_on_the_clock(self, time_ms: int) -> int | None:
        """Return the next change, as if the UTC offset of ``time_ms`` lasted for ever."""
        wall = self._clock.next_change(self._wall(time_ms), _HORIZON)
        if wall is None:
            return None
        return (wall - _EPOCH.replace(tzinfo=None)) // _MILLISECOND - self._offset_ms(time_ms)

    def _offset_change_ms(self, start_ms: int, end_ms: int) -> int | None:
        """Return the first moment in ``(start_ms, end_ms]`` with another UTC offset than ``start_ms``.

        Looks once a week: no time zone changes its offset twice inside one.
        """
        offset_ms = self._offset_ms(start_ms)
        before_ms = start_ms
        while before_ms < end_ms:
            after_ms = min(before_ms + 7 * _DAY_MS, end_ms)
            if self._offset_ms(after_ms) != offset_ms:
                while after_ms - before_ms > 1:
                    middle_ms = (before_ms + after_ms) // 2
                    if self._offset_ms(middle_ms) == offset_ms:
                        before_ms = middle_ms
                    else:
                        after_ms = middle_ms
                return after_ms
            before_ms = after_ms
        return None


@dataclass(frozen=True, slots=True)
class _TextClock:
    """An opening_hours text on the wall clock."""

    hours: OpeningHours

    def is_open(self, wall: datetime) -> bool:
        """Say whether the text holds."""
        return bool(self.hours.is_open(wall))

    def next_change(self, wall: datetime, end: datetime) -> datetime | None:
        """Return the first moment in ``(wall, end)`` at which it flips, None = none."""
        stretch = next(iter(self.hours.intervals(wall, end)), None)
        change: datetime | None = None if stretch is None else stretch[1]
        return None if change is None or change >= end else change


def _hours(text: str) -> Hours:
    """Return the open stretches of a text; one made from a text of a zone file by exchanging windows is always read."""
    compiled = _parsed(text)

    def stretches(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        for begins, ends, state, _ in compiled.intervals(start, end):
            if state is State.OPEN:
                yield begins, min(ends, end)

    return stretches


@lru_cache(maxsize=4096)
def _parsed(text: str) -> OpeningHours:
    return OpeningHours(text)


@lru_cache(maxsize=4096)
def _compile(text: str) -> OpeningHours:
    if not text:
        found = "an empty schedule"
        raise ScheduleError(found, f"{_GRAMMAR} or 24/7")
    if len(text) > MAX_SCHEDULE_CHARACTERS:
        found = f"{len(text)} characters"
        raise ScheduleError(found, f"at most {MAX_SCHEDULE_CHARACTERS}")
    for pattern, expected in _REFUSED:
        match = pattern.search(text)
        if match:
            found = f"{match.group()!r} in {describe(text)}"
            raise ScheduleError(found, expected)
    _check_size_and_dates(text)
    try:
        return _parsed(text)
    except ParserError as error:
        place = re.search(r"--> \d+:(\d+)", str(error))
        rest = text[int(place.group(1)) - 1 :] if place else text
        found = f"{describe(text)}, which cannot be read from {describe(rest)} on"
        hints = [f"{right} instead of {match.group()!r}" for wrong, right in _HINTS if (match := wrong.search(text))]
        raise ScheduleError(found, "; ".join([_GRAMMAR, *hints])) from error


def _check_size_and_dates(text: str) -> None:
    rules = text.count(";") + text.count(",") + 1
    if rules > _MOST_RULES:
        found = f"{rules} rules and windows"
        raise ScheduleError(found, f"at most {_MOST_RULES}")
    for date in _DAYS_OF_MONTH.finditer(text):
        # The library reads a day that no month has as every day.
        last = _LAST_DAY[date[1].lower()]
        if any(day and int(day) > last for day in date.groups()[1:]):
            found = f"{date.group()!r} in {describe(text)}"
            raise ScheduleError(found, f"a day that exists: {date[1]} has at most {last}")


@lru_cache(maxsize=256)
def _time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        found = f"time zone {describe(name)}"
        raise ScheduleError(found, f"an IANA name such as {DEFAULT_TIMEZONE}") from error


ALWAYS: Final = Schedule()
"""The schedule of a zone that is in force day and night."""
