"""Opening hours by the day calendar: holidays, make-up workdays, odd and even dates, on the wall clock."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from geo_engine.zones.calendar import NO_CALENDAR, DayCalendar, DayKind

__all__ = ["WEEKDAYS", "DateParity", "DayClock", "Days", "Hours"]

WEEKDAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")

Stretch = tuple[datetime, datetime]
Hours = Callable[[datetime, datetime], Iterator[Stretch]]
"""Compiled opening hours: yields the open stretches of a time on the wall clock, in order, half-open."""

_DAY: Final = timedelta(days=1)
_HALF_DAY: Final = timedelta(hours=12)
_WINDOW: Final = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")
_LAST_MINUTE: Final = "23:59-24:00"
_ALL_DAY: Final = "00:00-24:00"
_HALF_DAY_MIN: Final = 720
_ALWAYS: Final = re.compile(r"\b24/7\b")
_BETWEEN_RULES: Final = re.compile(r"(;|\|\|)")
_ADDED_RULE: Final = re.compile(r"(?<=:\d\d)\s*,\s*(?!\d{1,2}:\d\d)")
_OFF: Final = re.compile(r"\b(?:off|closed)\s*$", re.IGNORECASE)
_OPEN: Final = re.compile(r"\bopen\s*$", re.IGNORECASE)
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
    """One opening_hours text in several forms.

    Attributes:
        whole: as written.
        own: windows cut at the midnight after the day they begin on.
        beyond: on a day that begins a window over midnight: what it reaches of each half of the next day, from 00:00
            on. Other windows shrink to the last minute of the day, which nobody looks at. Empty = none reaches so far.
        cut: of the rules that close for a time (``Su 02:00-03:00 off``) the opposite, in the form of ``own``; None =
            there is none.
        cut_beyond: the same in the form of ``beyond``.
    """

    whole: Hours
    own: Hours
    beyond: tuple[Hours, ...]
    cut: Hours | None
    cut_beyond: tuple[Hours, ...]

    @classmethod
    def of(cls, text: str, compiled: Callable[[str], Hours]) -> _Text:
        """Compile the forms."""
        by_clock = _by_clock_times(text)
        closing = _closing_rules(by_clock)
        cuts = "; ".join([_ALL_DAY, *closing])
        return cls(
            whole=compiled(text),
            own=compiled(_WINDOW.sub(_until_midnight, by_clock)),
            beyond=tuple(compiled(_WINDOW.sub(form, by_clock)) for form in _reaching(by_clock)),
            cut=compiled(_WINDOW.sub(_until_midnight, cuts)) if closing else None,
            cut_beyond=tuple(
                compiled("; ".join([_ALL_DAY, *(_WINDOW.sub(form, rule) for rule in closing)]))
                for form in _reaching("; ".join(closing))
            ),
        )


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
        yesterday, today = self._reading(day - 1), self._reading(day)
        # What closes for a time closes whatever is open then, on whichever day it began.
        over = self._beyond(day, yesterday and yesterday[0].beyond, yesterday)
        if today is not None and today[0].cut is not None:
            over = _common(over, self._read(today[0].cut, day, today[1]))
        own = [] if today is None else self._read(today[0].own, day, today[1])
        if yesterday is not None and yesterday[0].cut_beyond:
            own = _common(own, self._beyond(day, yesterday[0].cut_beyond, yesterday, rest=True))
        return _merged([*over, *own])

    @staticmethod
    def _read(hours: Hours, day: int, read_as: int) -> list[Stretch]:
        """Return the stretches of a day that is read as another."""
        shift = (day - read_as) * _DAY
        found = hours(_midnight(read_as), _midnight(read_as + 1))
        return [(start + shift, end + shift) for start, end in found]

    def _beyond(
        self, day: int, forms: tuple[Hours, ...] | None, yesterday: tuple[_Text, int] | None, *, rest: bool = False
    ) -> list[Stretch]:
        """Return what the day before leaves over for a day, half by half.

        Args:
            day: the day.
            forms: the hours for each half of it.
            yesterday: how the day before is read.
            rest: a half without hours is open: they are those of what is not closed.
        """
        if not forms or yesterday is None:
            return []
        found: list[Stretch] = []
        for half in range(2):
            begins = _midnight(day) + half * _HALF_DAY
            if half < len(forms):
                shift = begins - _midnight(yesterday[1])
                parts = forms[half](_midnight(yesterday[1]), _midnight(yesterday[1]) + _HALF_DAY)
                found += [(start + shift, end + shift) for start, end in parts]
            elif rest:
                found.append((begins, begins + _HALF_DAY))
        return found

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


def _reaching(text: str) -> list[Callable[[re.Match[str]], str]]:
    """Return the forms of windows for each half of the next day that a window of a text reaches into."""
    furthest = max((_minutes(window)[1] - 1440 for window in _WINDOW.finditer(text)), default=0)
    return [partial(_beyond_midnight, from_min=half) for half in (0, _HALF_DAY_MIN) if furthest > half]


def _beyond_midnight(window: re.Match[str], *, from_min: int) -> str:
    """Return what a window reaches of the half day from a minute of the next day on, as if that were midnight."""
    reach = min(_minutes(window)[1] - 1440 - from_min, _HALF_DAY_MIN)
    return f"00:00-{reach // 60:02}:{reach % 60:02}" if reach > 0 else _LAST_MINUTE


def _by_clock_times(text: str) -> str:
    """Return a text with the hours of every rule that opens whole days: ``Mo-Fr`` as ``Mo-Fr 00:00-24:00``."""
    parts = _BETWEEN_RULES.split(_ALWAYS.sub(_ALL_DAY, text))
    for place in range(0, len(parts), 2):
        rule = parts[place]
        if rule.strip() and not _WINDOW.search(rule) and not _OFF.search(rule):
            parts[place] = f"{_OPEN.sub('', rule).rstrip()} {_ALL_DAY}"
    return "".join(parts)


def _closing_rules(text: str) -> list[str]:
    """Return the rules that close for a time, not for whole days."""
    rules = (rule for part in _BETWEEN_RULES.split(text)[::2] for rule in _ADDED_RULE.split(part))
    return [rule.strip() for rule in rules if _OFF.search(rule) and _WINDOW.search(rule)]


def _common(one: list[Stretch], other: list[Stretch]) -> list[Stretch]:
    """Return what two lists of stretches have in common."""
    both = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return [stretch for stretch in both if stretch[0] < stretch[1]]
