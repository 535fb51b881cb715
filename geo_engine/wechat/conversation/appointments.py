"""Reads the title and the time window of a meeting out of one line, such as ``周会 明天 9:00-10:30``."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["Appointment", "read_appointment", "read_hours"]

# The begin says that it is a time of day ("9:00", "9点"), so that the date "11-26" is not taken for one.
_CLOCK: Final = r"(?<!\d)(\d{1,2})(?:[:点时](\d{2})?分?(半)?)"
_TO: Final = r"\s*(?:-|~|到|至|–|—|to|until)\s*"
_WINDOW: Final = re.compile(rf"{_CLOCK}{_TO}{_CLOCK}?(?!\d)", re.IGNORECASE)
_HOURS: Final = re.compile(rf"(?:从|from)?\s*{_CLOCK}?{_TO}{_CLOCK}?", re.IGNORECASE)
_DAY: Final = re.compile(
    r"(?P<word>今天|今日|明天|明日|后天|today|tomorrow)|(?:(?P<year>\d{4})[-/年])?(?P<month>\d{1,2})[-/月](?P<day>\d{1,2})日?(?=\s|$)",
    re.IGNORECASE,
)
_DAY_MIN: Final = 24 * 60
_DAYS_ON: Final = {"今天": 0, "今日": 0, "today": 0, "明天": 1, "明日": 1, "tomorrow": 1, "后天": 2}


@dataclass(frozen=True, slots=True)
class Appointment:
    """A title and a window; ``from_ms`` and ``until_ms`` are epoch milliseconds UTC."""

    title: str
    from_ms: int
    until_ms: int


def read_appointment(line: str, now_ms: int, timezone: str) -> Appointment | None:
    """Return what a line says, None when it holds no time window that can be.

    Without a day the window is the next one of those hours that is not over; an end before its begin is on the day
    after.
    """
    text = unicodedata.normalize("NFKC", line)
    found = _WINDOW.search(text)
    if found is None:
        return None
    begin, end = _minutes(found.group(1, 2, 3)), _minutes(found.group(4, 5, 6))
    rest = f"{text[: found.start()]} {text[found.end() :]}"
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(timezone)).date()
    said = _DAY.search(rest)
    day = today if said is None else _day(said, today)
    if begin is None or end is None or day is None or begin == end:
        return None
    if said is not None:
        rest = f"{rest[: said.start()]} {rest[said.end() :]}"
    if end < begin:
        end += 24 * 60
    if said is None and _epoch_ms(day, end, timezone) <= now_ms:
        day += timedelta(days=1)
    title = " ".join(rest.split()).strip(" ,，。;；:")
    return Appointment(title, _epoch_ms(day, begin, timezone), _epoch_ms(day, end, timezone))


def read_hours(line: str) -> tuple[int, int] | None:
    """Return the begin and the end of a stretch of the day (``22:00-07:00``, ``22点到7点``) in minutes of the day.

    None when the line holds anything else, or they are the same moment. Midnight is minute 0, at either end.
    """
    found = _HOURS.fullmatch(unicodedata.normalize("NFKC", line).strip(" ,，。;；:"))
    if found is None:
        return None
    begin, end = _minutes(found.group(1, 2, 3)), _minutes(found.group(4, 5, 6))
    if begin is None or end is None or begin % _DAY_MIN == end % _DAY_MIN:
        return None
    return begin % _DAY_MIN, end % _DAY_MIN


def _minutes(parts: tuple[str | None, ...]) -> int | None:
    hour, minute = int(parts[0] or 0), 30 if parts[2] else int(parts[1] or 0)
    return hour * 60 + minute if minute < 60 and hour * 60 + minute <= 24 * 60 else None


def _day(said: re.Match[str], today: date) -> date | None:
    if said["word"]:
        return today + timedelta(days=_DAYS_ON[said["word"].lower()])
    try:
        day = date(int(said["year"] or today.year), int(said["month"]), int(said["day"]))
    except ValueError:
        return None
    if said["year"] is None and day < today:
        # In December people speak of January.
        return day.replace(year=day.year + 1) if (day.month, day.day) != (2, 29) else None
    return day


def _epoch_ms(day: date, minutes: int, timezone: str) -> int:
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)) + timedelta(minutes=minutes)
    return round(moment.timestamp() * 1000)
