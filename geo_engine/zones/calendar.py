"""The day calendar: which days are public holidays and which weekend days are worked (调休), as staff keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from geo_engine.errors import Fault
from geo_engine.zones.findings import Findings, describe

__all__ = ["NO_CALENDAR", "DayCalendar", "DayKind", "read_day_calendar"]

_EXPECTED: Final = 'an object {"years": {"2026": {"holidays": [dates], "makeup_workdays": [dates]}}}'


class DayKind(StrEnum):
    """What a day is besides its weekday."""

    ORDINARY = "ordinary"
    HOLIDAY = "holiday"
    MAKEUP_WORKDAY = "makeup_workday"


@dataclass(frozen=True, slots=True)
class DayCalendar:
    """Holidays and make-up workdays of the years somebody entered. Days are ``date.toordinal`` numbers.

    A year that was not entered has neither, which is wrong for China: whoever reads a rule by this calendar has to say
    so (``knows``). The State Council gives notice of a year in the November before.

    Attributes:
        years: the years entered.
        holidays: public holidays, weekend days inside them included.
        workdays: weekend days on which people work.
    """

    years: frozenset[int] = frozenset()
    holidays: frozenset[int] = frozenset()
    workdays: frozenset[int] = frozenset()

    def kind_of(self, day: int) -> DayKind:
        """Return what a day is; a day of a year nobody entered is ordinary."""
        if day in self.holidays:
            return DayKind.HOLIDAY
        return DayKind.MAKEUP_WORKDAY if day in self.workdays else DayKind.ORDINARY

    def knows(self, year: int) -> bool:
        """Say whether the year was entered."""
        return year in self.years


NO_CALENDAR: Final = DayCalendar()


def read_day_calendar(source: object, *, where: str = "day calendar") -> tuple[DayCalendar, tuple[Fault, ...]]:
    """Read a calendar: ``{"years": {"2026": {"holidays": [...], "makeup_workdays": [...]}}}``, dates as ``2026-10-01``.

    ``holidays`` and ``makeup_workdays`` are arrays of dates, or objects of date to name, which is not read. Other
    members are remarks. A year with a fault is left out whole, because half a year would be taken for all of it.

    Args:
        source: the parsed file.
        where: what to call it in faults.
    """
    findings = Findings(where)
    years = source.get("years") if isinstance(source, Mapping) else None
    if not isinstance(years, Mapping):
        findings.fault("$.years", describe(years), _EXPECTED, "not_a_calendar")
        return NO_CALENDAR, tuple(findings.faults)
    known: dict[int, tuple[frozenset[int], frozenset[int]]] = {}
    for name, entry in years.items():
        before = len(findings.faults)
        year = _year(name, findings)
        days = _year_of(entry, year, f"$.years.{name}", findings)
        if len(findings.faults) == before:
            known[year] = days
    holidays = frozenset(day for found, _ in known.values() for day in found)
    workdays = frozenset(day for _, found in known.values() for day in found)
    return DayCalendar(frozenset(known), holidays, workdays), tuple(findings.faults)


def _year(name: object, findings: Findings) -> int:
    if isinstance(name, str) and len(name) == 4 and name.isascii() and name.isdecimal():
        return int(name)
    findings.fault("$.years", describe(name), "a year such as 2026", "bad_year")
    return 0


def _year_of(entry: object, year: int, path: str, findings: Findings) -> tuple[frozenset[int], frozenset[int]]:
    if not isinstance(entry, Mapping) or not {"holidays", "makeup_workdays"} <= set(entry):
        findings.fault(path, describe(entry), "an object with holidays and makeup_workdays", "not_a_year")
        return frozenset(), frozenset()
    holidays = _days(entry["holidays"], year, f"{path}.holidays", findings)
    workdays = _days(entry["makeup_workdays"], year, f"{path}.makeup_workdays", findings)
    for day in sorted(holidays & workdays):
        found = date.fromordinal(day).isoformat()
        findings.fault(f"{path}.makeup_workdays", found, "a day that is not among the holidays", "holiday_and_workday")
    for day in sorted(workdays):
        if date.fromordinal(day).weekday() < 5:
            found = f"{date.fromordinal(day).isoformat()}, an ordinary working day"
            findings.fault(
                f"{path}.makeup_workdays", found, "Saturdays and Sundays that are worked", "not_a_weekend_day"
            )
    return holidays, workdays


def _days(value: object, year: int, path: str, findings: Findings) -> frozenset[int]:
    if not isinstance(value, list | tuple | Mapping):
        findings.fault(path, describe(value), "dates such as 2026-10-01", "not_dates")
        return frozenset()
    days: set[int] = set()
    for text in value:
        try:
            day = date.fromisoformat(text) if isinstance(text, str) else None
        except ValueError:
            day = None
        if day is None or day.year != year:
            findings.fault(path, describe(text), f"a date of {year} such as {year}-10-01", "bad_date")
        else:
            days.add(day.toordinal())
    return frozenset(days)
