"""The properties of a zone: one table, from which they are read and from which the JSON Schema is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from geo_engine.model import LATEST_TIME_MS, Severity, VehicleClass, VehicleKind, ZoneKind
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.jsontext import RepeatedNames
from geo_engine.zones.rule import GOODS_KINDS, AppliesTo
from geo_engine.zones.schedule import DEFAULT_TIMEZONE, MAX_SCHEDULE_CHARACTERS, Schedule, ScheduleError
from geo_engine.zones.values import Refusal, ValueType, choice, list_of, moment, number, text, timezone

__all__ = [
    "APPLIES_TO",
    "RESERVED",
    "ZONE_PROPERTIES",
    "PropertySpec",
    "ZoneProperties",
    "read_properties",
    "report_repeated_names",
]


@dataclass(frozen=True, slots=True)
class PropertySpec:
    """One row of the table: what a property is called, what it holds, what it means."""

    name: str
    holds: ValueType
    meaning: str
    required: bool = False


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


_PLATE: Final = list_of(
    text(
        8,
        pattern=r"[\u4e00-\u9fff]([A-Z0-9]+[挂学警港澳使领]?)?",
        form="a Chinese character, then capital letters and digits",
        example="鄂A",
    ),
    up_to=100,
)
"""The beginning of a plate, or all of it with the character some plates end in (鄂A1234挂)."""

_NOTED_FROM_MS: Final = 1_767_225_600_000
"""2026-01-01 UTC: a zone without ``valid_from`` whose schedule never opens from then on is worth a note."""

APPLIES_TO: Final = (
    PropertySpec(
        "vehicle_kinds",
        list_of(choice(VehicleKind), up_to=len(VehicleKind)),
        "kinds of vehicle concerned; absent = every kind, in a truck_restriction every kind but car and coach",
    ),
    PropertySpec(
        "vehicle_classes",
        list_of(choice(VehicleClass), up_to=len(VehicleClass)),
        "national size classes concerned; absent = every class",
    ),
    PropertySpec(
        "gross_weight_over_t",
        number("tonnes", at_least=0.1, up_to=1_000),
        "concerned above this permitted gross weight",
    ),
    PropertySpec("plate_prefixes", _PLATE, "concerned when the plate begins with one of these, e.g. 鄂A"),
    PropertySpec("plate_prefixes_except", _PLATE, "not concerned when the plate begins with one of these"),
)
"""The conditions inside ``applies_to``; all given ones must hold."""


def _read_applies_to(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise Refusal(describe(value), "an object of conditions on the vehicle", "wrong_type")
    known = {spec.name: spec for spec in APPLIES_TO}
    conditions: dict[str, object] = {}
    for name, entry in value.items():
        if name not in known:
            # Unlike a stray column, a condition that is not understood would change whom the zone concerns.
            hint = _did_you_mean(name, list(known)) or f"one of {', '.join(known)}"
            found = f"the unknown condition {describe(name)}"
            raise Refusal(found, hint, "unknown_condition")
        if entry is None:
            continue
        try:
            conditions[name] = known[name].holds.read(entry)
        except Refusal as refusal:
            path = f".{name}{refusal.path}"
            raise Refusal(refusal.found, refusal.expected, refusal.reason, path=path) from refusal
    return conditions


_APPLIES_TO_TYPE: Final = ValueType(
    _read_applies_to,
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {spec.name: {"description": spec.meaning, **spec.holds.schema} for spec in APPLIES_TO},
    },
)

ZONE_PROPERTIES: Final = (
    PropertySpec("kind", choice(ZoneKind), "what the zone is about", required=True),
    PropertySpec("name", text(100, example="长江二桥货车禁行"), "what the driver reads", required=True),
    PropertySpec("name_en", text(200), "English name; absent = name"),
    PropertySpec(
        "applies_to",
        _APPLIES_TO_TYPE,
        "vehicles concerned; absent = every vehicle, in a truck_restriction every kind but car and coach",
    ),
    PropertySpec(
        "exempt",
        list_of(
            text(40, pattern="[a-z][a-z0-9_]*", form="lower-case letters, digits, _", example="emergency"), up_to=50
        ),
        "services that are never concerned, e.g. emergency, sanitation, postal, bus",
    ),
    PropertySpec(
        "schedule",
        text(MAX_SCHEDULE_CHARACTERS),
        "OSM opening_hours text without PH and SH, e.g. Mo-Fr 07:00-09:00,17:00-19:00; absent = day and night",
    ),
    PropertySpec("timezone", timezone(), f"time zone the schedule is read in; absent = {DEFAULT_TIMEZONE}"),
    PropertySpec("valid_from", moment(), "first moment of validity; absent = always was"),
    PropertySpec("valid_to", moment(), "end of validity, exclusive; absent = until further notice"),
    PropertySpec("enforced_from", moment(), "before this moment a warning is advisory; absent = enforced at once"),
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
    PropertySpec("note", text(2_000), "remark for staff; not shown to drivers"),
)
"""Every property of a zone. A property that is null counts as absent, because GIS programs write nulls."""

RESERVED: Final = {"days": "the day calendar (holidays, make-up days, date parity) is not supported yet; leave it out"}
"""Properties with a meaning to come: refused, because a zone that ignores them would be in force on wrong days."""

_ACCEPTED_BESIDE: Final = frozenset({"id"})


def read_properties(raw: object, path: str, findings: Findings) -> ZoneProperties | None:
    """Read the properties of a feature; None after a fault. Unknown names are noted, misspelt ones are faults.

    Args:
        raw: the member ``properties`` of the feature.
        path: JSON path of ``raw``.
        findings: takes faults and notes.
    """
    if not isinstance(raw, Mapping):
        findings.fault(path, describe(raw), "an object with at least kind and name", "no_properties")
        return None
    before = len(findings.faults)
    for holder, place in ((raw, path), (raw.get("applies_to"), f"{path}.applies_to")):
        report_repeated_names(holder, place, findings)
    _report_strangers(raw, path, findings)
    found = _read_table(raw, path, findings)
    schedule = _read_schedule(found, path, findings)
    _check_validity(found, raw, path, findings)
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


def _report_strangers(raw: Mapping[str, object], path: str, findings: Findings) -> None:
    known = [spec.name for spec in ZONE_PROPERTIES]
    for name, value in raw.items():
        if value is None or name in known or name in _ACCEPTED_BESIDE:
            continue
        hint = _did_you_mean(name, known)
        if name in RESERVED:
            findings.fault(f"{path}.{name}", describe(value), RESERVED[name], "not_supported_yet")
        elif hint:
            findings.fault(path, f"the unknown property {describe(name)}", hint, "misspelt_property")
        else:
            found = f"the unknown property {describe(name)}"
            findings.note(path, found, "a property of docs/zone-file.md; it is ignored", "unknown_property")


def _did_you_mean(name: str, known: list[str]) -> str:
    near = get_close_matches(str(name)[:50].lower(), known, n=1, cutoff=0.8)
    return f"{near[0]} (did you mean that?)" if near else ""


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


def _read_schedule(found: Mapping[str, Any], path: str, findings: Findings) -> Schedule | None:
    try:
        return Schedule.parse(found.get("schedule", "24/7"), found.get("timezone", DEFAULT_TIMEZONE))
    except ScheduleError as error:
        findings.fault(f"{path}.schedule", error.found, error.expected, "bad_schedule")
        return None


def _check_validity(found: Mapping[str, Any], raw: Mapping[str, object], path: str, findings: Findings) -> None:
    if "valid_from" in found and "valid_to" in found and found["valid_to"] <= found["valid_from"]:
        expected = f"a moment after valid_from ({describe(raw['valid_from'])})"
        findings.fault(f"{path}.valid_to", describe(raw["valid_to"]), expected, "empty_validity")


def _note_never_in_force(found: Mapping[str, Any], schedule: Schedule, path: str, findings: Findings) -> None:
    start_ms = max(found.get("valid_from", _NOTED_FROM_MS), 0)
    end_ms = min(found.get("valid_to", LATEST_TIME_MS), LATEST_TIME_MS)
    if start_ms < end_ms and not schedule.opens_between(start_ms, end_ms):
        expected = "a schedule that opens from valid_from (or 2026) to valid_to; the zone is never in force"
        findings.note(f"{path}.schedule", describe(schedule.text), expected, "never_in_force")


def _assemble(found: Mapping[str, Any], schedule: Schedule) -> ZoneProperties:
    conditions = found.get("applies_to", {})
    usual = GOODS_KINDS if found["kind"] is ZoneKind.TRUCK_RESTRICTION else frozenset()
    applies_to = AppliesTo(
        kinds=frozenset(conditions.get("vehicle_kinds", usual)),
        classes=frozenset(conditions.get("vehicle_classes", ())),
        gross_weight_over_t=conditions.get("gross_weight_over_t"),
        plate_prefixes=conditions.get("plate_prefixes", ()),
        plate_prefixes_except=conditions.get("plate_prefixes_except", ()),
        exempt=frozenset(found.get("exempt", ())),
    )
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
    )
