"""Opening hours by the day calendar: holidays, make-up workdays, odd and even dates, on the wall clock."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from geo_engine.zones.calendar import NO_CALENDAR, DayCalendar, DayKind

__all__ = ["WEEKDAYS", "DateParity", "DayClock", "Days", "Hours"]

WEEKDAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")

Stretch = tuple[datetime, datetime]
Hours = Callable[[datetime, datetime], Iterator[Stretch]]
"""Compiled opening hours: yields the open stretches of a time on the wall clock, in order, half-open."""

_DAY: Final = timedelta(days=1)
_WINDOW: Final = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")
_LAST_MINUTE: Final = "23:59-24:00"
_DAYS_BEFORE_A_LEAP: Final = 2
_DAYS_KEPT: Final = 32


class DateParity(StrEnum):
    """Dates by the number of their day in the month."""

    ODD = "odd"
    EVEN = "even"


@dataclass(frozen=True, slots=True)
class Days:
    """What a schedule does on days that are not ordinary. A window over midnight belongs to the day it begins on.

    Attributes:
        holiday: on public holidays: ``off``, ``same``, a weekday to count as (``Su``: the nearest one), or an
            opening_hours text of its own.
        makeup_workday: on worked weekend days: ``weekday`` (Saturday counts as the Friday before, Sunday as the
            Monday after) or ``weekend`` (as dated).
        dates: only windows that begin on odd, or on even, dates; None = on every date.
        calendar: which days these are.
    """

    holiday: str = "same"
    makeup_workday: str = "weekend"
    dates: DateParity | None = None
    calendar: DayCalendar = NO_CALENDAR

    @property
    def asks_calendar(self) -> bool:
        """Whether the calendar matters at all."""
        return self.holiday != "same" or self.makeup_workday != "weekend"


@dataclass(frozen=True, slots=True)
class _Text:
    """One opening_hours text in three forms.

    Attributes:
        whole: as written.
        own: windows cut at the midnight after the day they begin on.
        beyond: on a day that begins a window over midnight: from 00:00 on, how far it reaches into the next day. Other
            windows shrink to the last minute of the day, which nobody looks at. None = no window reaches over midnight.
    """

    whole: Hours
    own: Hours
    beyond: Hours | None

    @classmethod
    def of(cls, text: str, compiled: Callable[[str], Hours]) -> _Text:
        """Compile the three forms."""
        beyond = _WINDOW.sub(_beyond_midnight, text)
        reaches = any(not _is_last_minute(window.group()) for window in _WINDOW.finditer(beyond))
        return cls(compiled(text), compiled(_WINDOW.sub(_until_midnight, text)), compiled(beyond) if reaches else None)


class DayClock:
    """A schedule by the day calendar: the text on ordinary days, something else on the others.

    Where two neighbouring days are ordinary the text alone decides. At the border of another day the windows of each
    day are taken apart, so that one that began before a holiday ends when it was to end.
    """

    def __init__(self, text: str, days: Days, compiled: Callable[[str], Hours]) -> None:
        """Compile the texts.

        Args:
            text: opening_hours text of ordinary days.
            days: what happens on the others.
            compiled: returns the compiled hours of a text.
        """
        self._days = days
        self._text = _Text.of(text, compiled)
        own_text = days.holiday not in ("off", "same", *WEEKDAYS)
        self._holiday_text = _Text.of(days.holiday, compiled) if own_text else self._text
        self._special = sorted(days.calendar.holidays | days.calendar.workdays) if days.asks_calendar else []
        self._known: dict[int, list[Stretch]] = {}

    def is_open(self, wall: datetime) -> bool:
        """Say whether the schedule holds at a moment of the wall clock."""
        return any(start <= wall < end for start, end in self._stretches(wall.toordinal()))

    def next_change(self, wall: datetime, end: datetime) -> datetime | None:
        """Return the first moment in ``(wall, end)`` at which ``is_open`` flips, None = none.

        Cost: some 100 us for each day looked at; stretches of ordinary days in which the text says nothing new are
        leapt over.
        """
        is_open, day, moment = self.is_open(wall), wall.toordinal(), wall
        looked_at = 0
        while moment < end:
            change = _flip(self._stretches(day), moment, _midnight(day + 1), is_open=is_open)
            if change is not None:
                return change if change < end else None
            looked_at += 1
            day += 1
            if looked_at >= _DAYS_BEFORE_A_LEAP:
                day = self._leap(day, end, is_open=is_open)
            moment = _midnight(day)
        return None

    def _stretches(self, day: int) -> list[Stretch]:
        """Return the open stretches of a day, disjoint, in order."""
        found = self._known.get(day)
        if found is None:
            if len(self._known) >= _DAYS_KEPT:
                self._known.clear()
            found = self._known[day] = self._look_up(day)
        return found

    def _look_up(self, day: int) -> list[Stretch]:
        if self._is_plain(day - 1) and self._is_plain(day):
            return _merged(self._text.whole(_midnight(day), _midnight(day + 1)))
        return _merged([*self._from_yesterday(day), *self._own(day)])

    def _own(self, day: int) -> list[Stretch]:
        """Return the windows that begin on a day, until its end."""
        reading = self._reading(day)
        if reading is None:
            return []
        text, read_as = reading
        shift = (day - read_as) * _DAY
        found = text.own(_midnight(read_as), _midnight(read_as + 1))
        return [(start + shift, end + shift) for start, end in found]

    def _from_yesterday(self, day: int) -> list[Stretch]:
        """Return what the windows that began on the day before leave over for a day."""
        reading = self._reading(day - 1)
        if reading is None or reading[0].beyond is None:
            return []
        text, read_as = reading
        start = _midnight(read_as)
        hours = text.beyond or text.own
        first = next(hours(start, start + _DAY), None)
        # A day without clock times is open from end to end in every form; it leaves nothing over.
        if first is None or first[0] != start or first[1] == start + _DAY:
            return []
        return [(_midnight(day), _midnight(day) + (first[1] - start))]

    def _reading(self, day: int) -> tuple[_Text, int] | None:
        """Return the text of a day and the day it is read as, None = nothing begins on it."""
        days = self._days
        if days.dates is not None and (datetime.fromordinal(day).day % 2 == 1) is not (days.dates is DateParity.ODD):
            return None
        kind = days.calendar.kind_of(day) if days.asks_calendar else DayKind.ORDINARY
        weekday = (day - 1) % 7  # day 1 of the ordinals is a Monday
        if kind is DayKind.HOLIDAY and days.holiday != "same":
            if days.holiday == "off":
                return None
            if days.holiday in WEEKDAYS:
                return self._text, day + (WEEKDAYS.index(days.holiday) - weekday + 3) % 7 - 3
            return self._holiday_text, day
        if kind is DayKind.MAKEUP_WORKDAY and days.makeup_workday == "weekday":
            return self._text, day - 1 if weekday == 5 else day + 1
        return self._text, day

    def _is_plain(self, day: int) -> bool:
        reading = self._reading(day)
        return reading is not None and reading[0] is self._text and reading[1] == day

    def _leap(self, day: int, end: datetime, *, is_open: bool) -> int:
        """Return the first day from ``day`` on, on which the state may change; the day before is in one state."""
        if is_open and self._days.dates is not None:
            return day
        place = bisect_left(self._special, day - 1)
        # The day after a special one may be affected by it as well.
        special = self._special[place] if place < len(self._special) else end.toordinal()
        if special <= day:
            return day
        first = next(self._text.whole(_midnight(day), end), (end, end))
        stays_open = is_open and first[0] == _midnight(day)
        changes = first[1] if stays_open else first[0]
        return max(day, min(changes.toordinal(), special))


def _flip(stretches: Sequence[Stretch], moment: datetime, day_end: datetime, *, is_open: bool) -> datetime | None:
    """Return the first moment from ``moment`` on, before ``day_end``, at which the day is not ``is_open``."""
    for start, end in stretches:
        if end <= moment:
            continue
        if not is_open:
            return max(start, moment)
        if start > moment:
            return moment
        return end if end < day_end else None
    return moment if is_open else None


def _merged(stretches: Iterator[Stretch] | list[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _midnight(day: int) -> datetime:
    return datetime.fromordinal(day)


def _minutes(window: re.Match[str]) -> tuple[int, int]:
    """Return start and end in minutes of the day the window begins on."""
    hour, minute, end_hour, end_minute = map(int, window.groups())
    start, end = 60 * hour + minute, 60 * end_hour + end_minute
    return start, end + 1440 if end <= start else end


def _until_midnight(window: re.Match[str]) -> str:
    _, end = _minutes(window)
    return f"{window[1]}:{window[2]}-24:00" if end > 1440 else window.group()


def _beyond_midnight(window: re.Match[str]) -> str:
    _, end = _minutes(window)
    return f"00:00-{(end - 1440) // 60:02}:{end % 60:02}" if end > 1440 else _LAST_MINUTE


def _is_last_minute(window: str) -> bool:
    return window == _LAST_MINUTE
