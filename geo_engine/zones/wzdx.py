"""WZDx 4.x road work feeds (US DOT) to construction zones, and such zones to a WZDx 4.2 feed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from geo_engine.model import Severity, ZoneKind
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.foreign import ImportedZones, keep_good_zones, zone_feature
from geo_engine.zones.rule import GOODS_KINDS
from geo_engine.zones.values import Refusal, number

__all__ = ["wzdx_from_zones", "zones_from_wzdx"]

_LANE_M: Final = 3.7
"""12 feet, the usual lane of a US road."""
_UNKNOWN_LANES: Final = 2
_NARROWEST_M: Final = 10.0

_SEVERITY: Final = {
    "all-lanes-closed": Severity.HIGH,
    "all-lanes-open": Severity.LOW,
    "all-lanes-open-shift-left": Severity.LOW,
    "all-lanes-open-shift-right": Severity.LOW,
}
_TONNES: Final = {"pounds": 0.000_453_592_37, "tons": 0.907_184_74, "kilograms": 0.001}
_METRES: Final = {"feet": 0.3048, "inches": 0.0254, "centimeters": 0.01}
_LIMITS: Final = {
    "gross-weight-limit": "gross_weight_over_t",
    "reduced-weight": "gross_weight_over_t",
    "axle-load-limit": "axle_load_over_t",
    "reduced-height": "height_over_m",
    "reduced-width": "width_over_m",
    "reduced-length": "length_over_m",
}
"""Restrictions with a value, and the condition of a vehicle that exceeds it."""
_RESTRICTION: Final = {condition: name for name, condition in reversed(_LIMITS.items())}
_DIRECTION: Final = re.compile(r"(.+) ((?:north|south|east|west)bound|inner-loop|outer-loop)")
_IMPACT: Final = re.compile(r"vehicle_impact ([a-z-]+)")
_IMPACT_OF: Final = {Severity.HIGH: "all-lanes-closed", Severity.LOW: "all-lanes-open"}
_GOODS: Final = sorted(kind.value for kind in GOODS_KINDS)
_DATA_SOURCE: Final = "1"
_ANY_NUMBER: Final = number("any unit", at_least=0.0, up_to=1e9)


def zones_from_wzdx(feed: object, *, where: str = "wzdx") -> ImportedZones:
    """Turn the work zones of a WZDx 4.x feed into zones of kind ``construction``.

    - Shape: the LineString with ``width_m`` = 3.7 m (12 feet) for each lane listed, shoulders included, open or
      closed; two lanes when none are listed; at least 10 m. A MultiPoint tells only where the work begins and ends,
      so it is rejected. The detour and restriction events of a feed are rejected too.
    - Time: ``valid_from`` and ``valid_to`` from ``start_date`` and ``end_date``.
    - Name: road names and direction; ``advice``: the description; ``severity`` from ``vehicle_impact``.
    - Restrictions: ``no-trucks`` makes it concern goods kinds, a limit of weight, axle load, height, width or length
      the vehicles that exceed it (of several the lowest), both whoever either is about. Every restriction is also
      kept in ``note``.

    Args:
        feed: the parsed feed.
        where: what to call it in faults.
    """
    findings = Findings(where)
    features = feed.get("features") if isinstance(feed, Mapping) else None
    if not isinstance(features, list):
        findings.fault("$.features", describe(features), "the features of a WZDx feed", "not_a_feature_collection")
        return ImportedZones({"type": "FeatureCollection", "features": []}, tuple(findings.faults))
    zones = [
        _zone(feature, f"$.features[{row}]", findings.at(f"feature {row}")) for row, feature in enumerate(features)
    ]
    return keep_good_zones(zones, findings.faults, findings.notes, where=where)


def _zone(feature: object, path: str, findings: Findings) -> dict[str, object] | None:
    if not isinstance(feature, Mapping):
        findings.fault(path, describe(feature), "an object of type Feature", "not_a_feature")
        return None
    findings = findings.at(f"({feature['id']})") if isinstance(feature.get("id"), str) else findings
    properties, geometry = _mapping(feature.get("properties")), _mapping(feature.get("geometry"))
    core = _mapping(properties.get("core_details"))
    if core.get("event_type") != "work-zone":
        found = describe(core.get("event_type"))
        findings.fault(f"{path}.properties.core_details.event_type", found, "work-zone", "not_a_work_zone")
        return None
    if geometry.get("type") != "LineString":
        findings.fault(f"{path}.geometry.type", describe(geometry.get("type")), "LineString", "unsupported_geometry")
        return None
    restrictions = _restrictions(properties)
    return zone_feature(
        feature.get("id"),
        geometry,
        {
            "kind": ZoneKind.CONSTRUCTION.value,
            "name": _name(core),
            "applies_to": _applies_to(restrictions, f"{path}.properties", findings),
            "valid_from": properties.get("start_date"),
            "valid_to": properties.get("end_date"),
            "severity": _SEVERITY.get(str(properties.get("vehicle_impact")), Severity.NORMAL).value,
            "advice": _text(core.get("description"), 500),
            "width_m": _width_m(properties.get("lanes")),
            "note": _note(properties, restrictions),
        },
    )


def _name(core: Mapping[str, object]) -> str | None:
    roads = " / ".join(str(name) for name in _sequence(core.get("road_names")))
    direction = core.get("direction")
    named = roads if direction in (None, "undefined", "unknown") else f"{roads} {direction}"
    return _text(named, 100) if roads else None


def _width_m(lanes: object) -> float:
    count = len(_sequence(lanes)) or _UNKNOWN_LANES
    return round(max(_NARROWEST_M, count * _LANE_M), 1)


def _restrictions(properties: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the restrictions of the whole road and of its lanes."""
    holders = [properties, *(_mapping(lane) for lane in _sequence(properties.get("lanes")))]
    return [_mapping(entry) for holder in holders for entry in _sequence(holder.get("restrictions"))]


def _applies_to(
    restrictions: Iterable[Mapping[str, object]], path: str, findings: Findings
) -> dict[str, object] | None:
    choices: dict[str, dict[str, object]] = {}
    for restriction in restrictions:
        kind = str(restriction.get("type"))
        if kind == "no-trucks":
            choices[kind] = {"vehicle_kinds": _GOODS}
        if kind not in _LIMITS:
            continue
        condition = _LIMITS[kind]
        bound = _bound(condition, restriction, path, findings)
        before = choices.get(condition, {}).get(condition)
        if bound is not None and (not isinstance(before, float) or bound < before):
            choices[condition] = {condition: bound}
    if not choices:
        return None
    return next(iter(choices.values())) if len(choices) == 1 else {"any_of": list(choices.values())}


def _bound(condition: str, restriction: Mapping[str, object], path: str, findings: Findings) -> float | None:
    units = _TONNES if condition.endswith("_t") else _METRES
    value, unit = restriction.get("value"), restriction.get("unit")
    if isinstance(unit, str) and unit in units:
        try:
            return round(float(str(_ANY_NUMBER.read(value))) * units[unit], 3)
        except Refusal:
            pass
    found, what = f"{describe(value)} {describe(unit)}", "weight" if units is _TONNES else "length"
    findings.note(path, found, f"a {what} in {', '.join(units)}; it is ignored", f"unknown_{what}")
    return None


def _note(properties: Mapping[str, object], restrictions: Sequence[Mapping[str, object]]) -> str | None:
    parts = [f"vehicle_impact {properties['vehicle_impact']}"] if "vehicle_impact" in properties else []
    parts += sorted(
        {" ".join(str(entry[key]) for key in ("type", "value", "unit") if key in entry) for entry in restrictions}
    )
    unverified = [name for name in ("start", "end") if properties.get(f"is_{name}_date_verified") is False]
    parts += [f"{name}_date not verified" for name in unverified]
    return _text("WZDx: " + ", ".join(parts), 2_000) if parts else None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object, max_length: int) -> str | None:
    """Return the text cut to its longest allowed length, None when there is none."""
    if not isinstance(value, str) or not value.strip():
        return None
    shown = value.strip()
    return shown if len(shown) <= max_length else f"{shown[: max_length - 1]}…"


# ---- and back


def wzdx_from_zones(
    document: Mapping[str, Any], *, publisher: str, update_date: str, where: str = "zones"
) -> ImportedZones:
    """Turn construction zones drawn as a line into a WZDx 4.2 feed; ``zones_from_wzdx`` reads it again.

    Zones of other kinds, areas, zones without both dates and conditions without a restriction in WZDx are faults and
    left out. A schedule is not said: WZDx has one feature for each stretch of work.

    Args:
        document: a FeatureCollection that passes ``read_zone_document``.
        publisher: who publishes the feed.
        update_date: RFC 3339, when it is made.
        where: what to call the zones in faults.
    """
    findings = Findings(where)
    events = [
        _event(feature, f"$.features[{row}]", findings.at(f"feature {row} ({feature.get('id')})"))
        for row, feature in enumerate(document["features"])
    ]
    source = {"data_source_id": _DATA_SOURCE, "organization_name": publisher, "update_date": update_date}
    feed = {
        "feed_info": {"publisher": publisher, "version": "4.2", "update_date": update_date, "data_sources": [source]},
        "type": "FeatureCollection",
        "features": [event for event in events if event is not None],
    }
    return ImportedZones(feed, tuple(findings.faults))


def _event(feature: Mapping[str, Any], path: str, findings: Findings) -> dict[str, object] | None:
    properties, geometry = feature["properties"], feature["geometry"]
    restrictions = _restrictions_of(properties.get("applies_to") or {})
    lost = [
        name
        for name in ("schedule", "days", "exempt", "enforced_from", "dwell_s")
        if properties.get(name) not in (None, "24/7", [], {}, 0)
    ]
    lost += [] if restrictions is not None else ["applies_to"]
    dates = [properties.get(name) for name in ("valid_from", "valid_to")]
    kind = properties["kind"]
    if kind != ZoneKind.CONSTRUCTION.value or geometry["type"] != "LineString" or None in dates or lost:
        found = ", ".join([f"{kind} as {geometry['type']}", *lost])
        expected = "a construction zone drawn as a LineString with valid_from and valid_to, for whom WZDx has a word"
        findings.fault(path, found, expected, "not_expressible")
        return None
    return {
        "type": "Feature",
        "id": str(feature.get("id", properties.get("id"))),
        "properties": _event_properties(properties, restrictions or [], dates),
        "geometry": {"type": "LineString", "coordinates": [position[:2] for position in geometry["coordinates"]]},
    }


def _event_properties(
    properties: Mapping[str, Any], restrictions: list[dict[str, object]], dates: list[object]
) -> dict[str, object]:
    named, note = _DIRECTION.fullmatch(properties["name"]), str(properties.get("note") or "")
    impact = _IMPACT.search(note)
    severity = Severity(properties.get("severity") or Severity.NORMAL)
    core: dict[str, object] = {
        "event_type": "work-zone",
        "data_source_id": _DATA_SOURCE,
        "road_names": (named[1] if named else properties["name"]).split(" / "),
        "direction": named[2] if named else "unknown",
    }
    if properties.get("advice"):
        core["description"] = properties["advice"]
    lanes = max(1, round(properties["width_m"] / _LANE_M))
    status = "closed" if severity is Severity.HIGH else "open"
    return {
        "core_details": core,
        "start_date": dates[0],
        "end_date": dates[1],
        "is_start_date_verified": "start_date not verified" not in note,
        "is_end_date_verified": "end_date not verified" not in note,
        "is_start_position_verified": False,
        "is_end_position_verified": False,
        "location_method": "unknown",
        "vehicle_impact": impact[1] if impact else _IMPACT_OF.get(severity, "unknown"),
        "lanes": [{"order": order, "type": "general", "status": status} for order in range(1, lanes + 1)],
        "restrictions": restrictions,
    }


def _restrictions_of(applies_to: Mapping[str, Any]) -> list[dict[str, object]] | None:
    """Return the restrictions conditions stand for, None when WZDx has no word for one of them."""
    choices: list[Mapping[str, Any]] = applies_to.get("any_of") or ([applies_to] if applies_to else [])
    restrictions: list[dict[str, object]] = []
    for choice in choices:
        # Conditions that must hold together are no list of restrictions, each of which closes by itself.
        alone = len(choice) == 1 and len(applies_to) == 1
        name, bound = next((pair for pair in choice.items() if alone), ("", 0.0))
        if name == "vehicle_kinds" and set(choice[name]) == set(_GOODS):
            restrictions.append({"type": "no-trucks"})
        elif name in _RESTRICTION:
            size, unit = (1000.0, "kilograms") if name.endswith("_t") else (100.0, "centimeters")
            restrictions.append({"type": _RESTRICTION[name], "value": round(bound * size, 1), "unit": unit})
        else:
            return None
    return restrictions
