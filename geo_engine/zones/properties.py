"""The properties of a zone: one table, from which they are read and from which the JSON Schema is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from geo_engine.model import LATEST_TIME_MS, RoadLevel, RuleEffect, Severity, ZoneKind
from geo_engine.zones.calendar import NO_CALENDAR, DayCalendar
from geo_engine.zones.conditions import APPLIES_TO_TYPE, SERVICES, applies_to_of
from geo_engine.zones.days import WEEKDAYS, DateParity, Days
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.jsontext import RepeatedNames
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.schedule import DEFAULT_TIMEZONE, MAX_SCHEDULE_CHARACTERS, Schedule, ScheduleError
from geo_engine.zones.values import (
    PropertySpec,
    Refusal,
    choice,
    did_you_mean,
    list_of,
    moment,
    number,
    object_of,
    text,
    timezone,
    whole,
)

__all__ = [
    "DAYS",
    "ZONE_PROPERTIES",
    "Boundary",
    "BoundaryRoad",
    "MakeupWorkday",
    "ZoneProperties",
    "read_properties",
    "report_repeated_names",
]


class MakeupWorkday(StrEnum):
    """What a schedule takes a worked weekend day for."""

    WEEKDAY = "weekday"
    WEEKEND = "weekend"


class BoundaryRoad(StrEnum):
    """Whether the road an area is drawn along belongs to it."""

    INCLUDED = "included"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Boundary:
    """The road an area is drawn along the middle of.

    Attributes:
        included: it belongs to the area.
        width_m: its whole width.
    """

    included: bool
    width_m: float


@dataclass(frozen=True, slots=True)
class ZoneProperties:
    """The properties of one zone, read. Lengths in metres, times in epoch milliseconds UTC."""

    kind: ZoneKind
    name: str
    name_en: str | None
    applies_to: AppliesTo
    schedule: Schedule
    valid_from_ms: int | None
    valid_to_ms: int | None
    enforced_from_ms: int | None
    severity: Severity
    advice: str
    width_m: float | None
    radius_m: float | None
    effect: RuleEffect = RuleEffect.CLOSED
    level: RoadLevel | None = None
    boundary: Boundary | None = None
    exception_to: frozenset[str] = frozenset()
    dwell_s: int = 0


_NOTED_FROM_MS: Final = 1_767_225_600_000
"""2026-01-01 UTC: a zone without ``valid_from`` whose schedule never opens from then on is worth a note."""

DAYS: Final = (
    PropertySpec(
        "holiday",
        text(MAX_SCHEDULE_CHARACTERS),
        f"on public holidays: off, same, a weekday to count as ({' '.join(WEEKDAYS)}), or an opening_hours text of its "
        "own; absent = same",
    ),
    PropertySpec(
        "makeup_workday",
        choice(MakeupWorkday),
        "on worked weekend days: weekday (Saturday counts as Friday, Sunday as Monday) or weekend; absent = weekday "
        "where holiday is given, else weekend",
    ),
    PropertySpec("dates", choice(DateParity), "only windows that begin on odd, or on even, dates; absent = every date"),
)
"""The members of ``days``."""

ZONE_PROPERTIES: Final = (
    PropertySpec("kind", choice(ZoneKind), "what the zone is about", required=True),
    PropertySpec("name", text(100, example="长江二桥货车禁行"), "what the driver reads", required=True),
    PropertySpec("name_en", text(200), "English name; absent = name"),
    PropertySpec(
        "applies_to",
        APPLIES_TO_TYPE,
        "vehicles concerned; absent = every vehicle, in a truck_restriction every kind but car and coach",
    ),
    PropertySpec(
        "exempt",
        SERVICES,
        "services that are never concerned, e.g. emergency, sanitation, postal, bus",
    ),
    PropertySpec(
        "schedule",
        text(MAX_SCHEDULE_CHARACTERS),
        "OSM opening_hours text without PH and SH, e.g. Mo-Fr 07:00-09:00,17:00-19:00; absent = day and night",
    ),
    PropertySpec("timezone", timezone(), f"time zone the schedule is read in; absent = {DEFAULT_TIMEZONE}"),
    PropertySpec(
        "days",
        object_of(DAYS, "day rule"),
        "what the schedule does on holidays, make-up workdays, odd and even dates; absent = every day is ordinary",
    ),
    PropertySpec("valid_from", moment(), "first moment of validity; absent = always was"),
    PropertySpec("valid_to", moment(), "end of validity, exclusive; absent = until further notice"),
    PropertySpec("enforced_from", moment(), "before this moment a warning is advisory; absent = enforced at once"),
    PropertySpec(
        "dwell_s",
        whole("seconds", at_least=0, up_to=86_400),
        "only who is inside for so long is warned; absent = everybody is, and before the border",
    ),
    PropertySpec("severity", choice(Severity), "how much it matters to the person; absent = normal"),
    PropertySpec("advice", text(500), "what staff advise the driver to do"),
    PropertySpec(
        "width_m",
        number("metres", at_least=0.1, up_to=1_000),
        "whole width of the corridor along a line; required for lines",
    ),
    PropertySpec(
        "radius_m",
        number("metres", at_least=0.1, up_to=200_000),
        "radius of the circle round a point; required for points, except a venue",
    ),
    PropertySpec(
        "effect",
        choice(RuleEffect),
        "closed; allowed = an exception from the closures it beats; decides = closed to whom it applies, and the "
        "closures it beats do not count here. A road beats an area, later listed beats earlier; absent = closed",
    ),
    PropertySpec(
        "exception_to",
        list_of(text(200, example="ring3"), up_to=100),
        "ids of the zones an allowed or decides zone silences; absent = every closure it beats",
    ),
    PropertySpec(
        "road_level",
        choice(RoadLevel),
        "which of several roads above one another is meant; a position cannot tell, and the warning says so",
    ),
    PropertySpec(
        "boundary_road",
        choice(BoundaryRoad),
        "whether the road an area is drawn along the middle of belongs to it; needs boundary_width_m",
    ),
    PropertySpec(
        "boundary_width_m",
        number("metres", at_least=0.1, up_to=1_000),
        "whole width of the boundary road; absent = the area is as it is drawn",
    ),
    PropertySpec("note", text(2_000), "remark for staff; not shown to drivers"),
)
"""Every property of a zone. A property that is null counts as absent, because GIS programs write nulls."""

_ACCEPTED_BESIDE: Final = frozenset({"id"})


def read_properties(
    raw: object, path: str, findings: Findings, calendar: DayCalendar = NO_CALENDAR
) -> ZoneProperties | None:
    """Read the properties of a feature; None after a fault. Unknown names are noted, misspelt ones are faults.

    Args:
        raw: the member ``properties`` of the feature.
        path: JSON path of ``raw``.
        findings: takes faults and notes.
        calendar: which days ``days`` is about.
    """
    if not isinstance(raw, Mapping):
        findings.fault(path, describe(raw), "an object with at least kind and name", "no_properties")
        return None
    before = len(findings.faults)
    report_repeated_names(raw, path, findings)
    for name in ("applies_to", "days"):
        _report_repeated_inside(raw.get(name), f"{path}.{name}", findings)
    _report_strangers(raw, path, findings)
    found = _read_table(raw, path, findings)
    schedule = _read_schedule(found, path, findings, calendar)
    _check_validity(found, raw, path, findings)
    _check_boundary(found, path, findings)
    _check_exception(found, path, findings)
    if schedule is None or len(findings.faults) > before:
        return None
    _note_never_in_force(found, schedule, path, findings)
    return _assemble(found, schedule)


def report_repeated_names(holder: object, path: str, findings: Findings) -> None:
    """Write a fault for each name that occurs twice in a parsed JSON object."""
    if isinstance(holder, RepeatedNames):
        for name in holder.repeated:
            found = f"the name {describe(name)} more than once"
            findings.fault(path, found, "each name once", "repeated_name")


def _report_repeated_inside(value: object, path: str, findings: Findings) -> None:
    """Write a fault for each name that occurs twice in an object or anywhere inside it; however deep it nests."""
    left = [(value, path)]
    while left:
        holder, place = left.pop()
        report_repeated_names(holder, place, findings)
        inner: list[tuple[object, str]] = []
        if isinstance(holder, Mapping):
            inner = [(entry, f"{place}.{name}") for name, entry in holder.items()]
        elif isinstance(holder, list):
            inner = [(entry, f"{place}[{row}]") for row, entry in enumerate(holder)]
        left += inner


def _report_strangers(raw: Mapping[str, object], path: str, findings: Findings) -> None:
    known = [spec.name for spec in ZONE_PROPERTIES]
    for name, value in raw.items():
        if value is None or name in known or name in _ACCEPTED_BESIDE:
            continue
        hint = did_you_mean(name, known)
        if hint:
            findings.fault(path, f"the unknown property {describe(name)}", hint, "misspelt_property")
        else:
            found = f"the unknown property {describe(name)}"
            findings.note(path, found, "a property of docs/zone-file.md; it is ignored", "unknown_property")


def _read_table(raw: Mapping[str, object], path: str, findings: Findings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for spec in ZONE_PROPERTIES:
        value = raw.get(spec.name)
        if value is None:
            if spec.required:
                findings.fault(f"{path}.{spec.name}", "nothing", spec.meaning, "missing_property")
            continue
        try:
            found[spec.name] = spec.holds.read(value)
        except Refusal as refusal:
            place = f"{path}.{spec.name}{refusal.path}"
            findings.fault(place, refusal.found, refusal.expected, refusal.reason)
    return found


def _read_schedule(found: Mapping[str, Any], path: str, findings: Findings, calendar: DayCalendar) -> Schedule | None:
    timezone_name, days = found.get("timezone", DEFAULT_TIMEZONE), _days(found.get("days"), calendar)
    own_text = days is not None and days.holiday not in ("off", "same", *WEEKDAYS)
    try:
        if days is not None and own_text:
            Schedule.parse(days.holiday, timezone_name)
    except ScheduleError as error:
        expected = f"off, same, {', '.join(WEEKDAYS)} or {error.expected}"
        findings.fault(f"{path}.days.holiday", error.found, expected, "bad_schedule")
        return None
    try:
        return Schedule.parse(found.get("schedule", "24/7"), timezone_name, days)
    except ScheduleError as error:
        findings.fault(f"{path}.schedule", error.found, error.expected, "bad_schedule")
        return None


def _days(found: Mapping[str, Any] | None, calendar: DayCalendar) -> Days | None:
    """Return the day rules; None when every day is ordinary, so that such zones share their timetable."""
    if not found:
        return None
    holiday = found.get("holiday", "same")
    # Who exempts holidays means the official ones, and then the worked weekend days are working days.
    usual = MakeupWorkday.WEEKEND if holiday == "same" else MakeupWorkday.WEEKDAY
    days = Days(holiday, found.get("makeup_workday", usual).value, found.get("dates"))
    if days.asks_calendar:
        return Days(days.holiday, days.makeup_workday, days.dates, calendar)
    return None if days == Days() else days


def _check_validity(found: Mapping[str, Any], raw: Mapping[str, object], path: str, findings: Findings) -> None:
    if "valid_from" in found and "valid_to" in found and found["valid_to"] <= found["valid_from"]:
        expected = f"a moment after valid_from ({describe(raw['valid_from'])})"
        findings.fault(f"{path}.valid_to", describe(raw["valid_to"]), expected, "empty_validity")


def _check_boundary(found: Mapping[str, Any], path: str, findings: Findings) -> None:
    names = ("boundary_road", "boundary_width_m")
    for name, other in (names, names[::-1]):
        if name in found and other not in found:
            expected = f"both {names[0]} and {names[1]}, or neither"
            findings.fault(f"{path}.{other}", "nothing", expected, "missing_property")


def _check_exception(found: Mapping[str, Any], path: str, findings: Findings) -> None:
    if "exception_to" in found and found.get("effect", RuleEffect.CLOSED) is RuleEffect.CLOSED:
        expected = "effect allowed or decides beside exception_to; a plain closure silences nothing"
        findings.fault(f"{path}.exception_to", "no exception", expected, "no_exception")


def _note_never_in_force(found: Mapping[str, Any], schedule: Schedule, path: str, findings: Findings) -> None:
    start_ms = max(found.get("valid_from", _NOTED_FROM_MS), 0)
    end_ms = min(found.get("valid_to", LATEST_TIME_MS), LATEST_TIME_MS)
    if start_ms < end_ms and not schedule.opens_between(start_ms, end_ms):
        expected = "a schedule that opens from valid_from (or 2026) to valid_to; the zone is never in force"
        findings.note(f"{path}.schedule", describe(schedule.text), expected, "never_in_force")


def _assemble(found: Mapping[str, Any], schedule: Schedule) -> ZoneProperties:
    applies_to = applies_to_of(
        found.get("applies_to", {}),
        exempt=frozenset(found.get("exempt", ())),
        only_goods=found["kind"] is ZoneKind.TRUCK_RESTRICTION,
    )
    boundary = None
    if "boundary_road" in found:
        boundary = Boundary(found["boundary_road"] is BoundaryRoad.INCLUDED, found["boundary_width_m"])
    return ZoneProperties(
        kind=found["kind"],
        name=found["name"],
        name_en=found.get("name_en"),
        applies_to=applies_to,
        schedule=schedule,
        valid_from_ms=found.get("valid_from"),
        valid_to_ms=found.get("valid_to"),
        enforced_from_ms=found.get("enforced_from"),
        severity=found.get("severity", Severity.NORMAL),
        advice=found.get("advice", ""),
        width_m=found.get("width_m"),
        radius_m=found.get("radius_m"),
        effect=found.get("effect", RuleEffect.CLOSED),
        level=found.get("road_level"),
        boundary=boundary,
        exception_to=frozenset(found.get("exception_to", ())),
        dwell_s=found.get("dwell_s", 0),
    )
