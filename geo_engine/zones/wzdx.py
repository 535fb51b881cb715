"""WZDx 4.x road work feeds (US DOT) to construction zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from geo_engine.model import Severity, ZoneKind
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.foreign import ImportedZones, keep_good_zones, zone_feature
from geo_engine.zones.rule import GOODS_KINDS

__all__ = ["zones_from_wzdx"]

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
_WEIGHT_LIMITS: Final = ("gross-weight-limit", "reduced-weight")


def zones_from_wzdx(feed: object, *, where: str = "wzdx") -> ImportedZones:
    """Turn the work zones of a WZDx 4.x feed into zones of kind ``construction``.

    - Shape: the LineString with ``width_m`` = 3.7 m (12 feet) for each lane listed, shoulders included, open or
      closed; two lanes when none are listed; at least 10 m. A MultiPoint tells only where the work begins and ends,
      so it is rejected. The detour and restriction events of a feed are rejected too.
    - Time: ``valid_from`` and ``valid_to`` from ``start_date`` and ``end_date``.
    - Name: road names and direction; ``advice``: the description; ``severity`` from ``vehicle_impact``.
    - Restrictions: ``no-trucks`` makes it concern goods kinds only; otherwise the lowest gross weight limit becomes
      ``gross_weight_over_t``. Every restriction is also kept in ``note``.

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
    limits_t = []
    for restriction in restrictions:
        if restriction.get("type") == "no-trucks":
            return {"vehicle_kinds": sorted(kind.value for kind in GOODS_KINDS)}
        if restriction.get("type") not in _WEIGHT_LIMITS:
            continue
        value, unit = restriction.get("value"), restriction.get("unit")
        if isinstance(value, int | float) and isinstance(unit, str) and unit in _TONNES:
            limits_t.append(round(value * _TONNES[unit], 3))
        else:
            found = f"{describe(value)} {describe(unit)}"
            findings.note(path, found, "a weight in pounds, tons or kilograms; it is ignored", "unknown_weight")
    return {"gross_weight_over_t": min(limits_t)} if limits_t else None


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
