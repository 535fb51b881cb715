"""Roads and areas with OpenStreetMap restriction tags to zones, and zones back to such tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geo_engine.model import RuleEffect, VehicleKind, ZoneKind
from geo_engine.zones.conditional import (
    Clause,
    Comparison,
    Condition,
    ConditionalError,
    Times,
    format_conditional,
    parse_conditional,
    written_number,
)
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.foreign import ImportedZones, keep_good_zones, zone_feature
from geo_engine.zones.rule import GOODS_KINDS
from geo_engine.zones.schedule import DEFAULT_TIMEZONE

__all__ = ["osm_from_zones", "zones_from_osm"]

_ALL: Final[dict[str, object]] = {"vehicle_kinds": sorted(kind.value for kind in VehicleKind)}
_KINDS: Final = frozenset(kind.value for kind in VehicleKind)
_GOODS: Final = sorted(kind.value for kind in GOODS_KINDS)
_HGV_OVER_T: Final = 3.5

_WHOM: Final[dict[str, dict[str, object]]] = {
    "hgv": {"vehicle_kinds": _GOODS, "gross_weight_over_t": _HGV_OVER_T},
    "goods": {"vehicle_kinds": _GOODS, "gross_weight_at_most_t": _HGV_OVER_T},
    "hazmat": {**_ALL, "goods": ["hazmat"]},
    "motor_vehicle": _ALL,
    "vehicle": _ALL,
    "access": _ALL,
}
"""Whom the tag of an access right is about: ``hgv`` are goods vehicles above 3.5 t, ``goods`` those up to 3.5 t."""

_ROADS: Final = ("access", "vehicle", "motor_vehicle")
_ABOVE: Final = {"vehicle": _ROADS[:1], "motor_vehicle": _ROADS[:2], "goods": _ROADS, "hgv": _ROADS}
"""The tags a tag is a special case of, so that its ``yes`` lifts what they close. What is carried is a matter of its
own: ``hazmat=yes`` does not let anybody in."""

_LIMITS: Final = {
    "maxweight": "gross_weight_over_t",
    "maxweightrating": "gross_weight_over_t",
    "maxaxleload": "axle_load_over_t",
    "maxheight": "height_over_m",
    "maxlength": "length_over_m",
    "maxwidth": "width_over_m",
}
"""Tags whose value is a bound, and the condition of a vehicle that exceeds it."""

_COMPARED: Final = {
    ("weight", ">"): "gross_weight_over_t",
    ("weight", "<="): "gross_weight_at_most_t",
    ("weightrating", ">"): "gross_weight_over_t",
    ("axleload", ">"): "axle_load_over_t",
    ("axles", ">"): "axles_over",
    ("height", ">"): "height_over_m",
    ("length", ">"): "length_over_m",
    ("width", ">"): "width_over_m",
    ("seats", ">"): "seats_over",
    ("seats", "<="): "seats_at_most",
}
_ORDER: Final = (*_ROADS, *(base for base in _WHOM if base not in _ROADS), *_LIMITS)
"""The general before the special, for what is listed later beats what is listed earlier."""
_COMPARISON_OF: Final = {condition: pair for pair, condition in reversed(_COMPARED.items())}

_CLOSED: Final = ("no", "destination", "delivery", "customers", "private", "permit", "agricultural", "forestry")
"""Closed, but for the last ones to whoever has business there, which the engine cannot know."""
_OPEN: Final = ("yes", "designated", "permissive", "none")
_VALUE: Final = re.compile(r"OpenStreetMap: ([a-z]+)")
_UNIT_OF_METRES: Final = {"m": 1.0, "cm": 0.01, "ft": 0.3048, "": 1.0}
_UNIT_OF_TONNES: Final = {"t": 1.0, "kg": 0.001, "": 1.0}
_NO_UNIT: Final = {"": 1.0}
_DIGITS: Final = 6
"""Behind the point, of tonnes and metres: a conversion must not show."""
_PREFIX: Final = "#"
_LANE_M: Final = 3.5
_NARROWEST_M: Final = 10.0


def zones_from_osm(collection: object, *, where: str = "osm", timezone: str = DEFAULT_TIMEZONE) -> ImportedZones:
    """Turn the restriction tags of OpenStreetMap ways into zones of kind ``truck_restriction``.

    Reads a FeatureCollection whose properties are tags (osmium export, osmtogeojson), of each feature the tags of
    ``hgv``, ``goods``, ``hazmat``, ``motor_vehicle``, ``vehicle``, ``access`` and ``max*`` with and without
    ``:conditional``. Each clause becomes a zone. ``yes`` and ``none`` become exceptions to what they override on the
    same way: earlier clauses of their own tag, and the tags theirs is a special case of (``hgv`` of ``access``), in
    whatever order the tags stand; one that overrides nothing is left out. ``destination`` and the like close the road,
    and the note keeps the value. Features without such a tag are left out.

    Rejected, with their reason: rules of single lanes, and conditions the engine cannot judge (weather, trip).

    Args:
        collection: the parsed file.
        where: what to call it in faults.
        timezone: IANA name, in which times are read.
    """
    findings = Findings(where)
    features = collection.get("features") if isinstance(collection, Mapping) else None
    if not isinstance(features, list):
        findings.fault("$.features", describe(features), "a FeatureCollection of ways", "not_a_feature_collection")
        return ImportedZones({"type": "FeatureCollection", "features": []}, tuple(findings.faults))
    zones: list[dict[str, object]] = []
    for row, feature in enumerate(features):
        properties = feature.get("properties") if isinstance(feature, Mapping) else None
        if not isinstance(feature, Mapping) or not isinstance(properties, Mapping):
            findings.fault(f"$.features[{row}]", describe(feature), "a Feature with tags", "not_a_feature")
            continue
        way = _Way.of(feature, properties, row, timezone)
        zones += way.zones(findings.at(f"feature {row} ({way.way_id})"), f"$.features[{row}].properties")
    return keep_good_zones(zones, findings.faults, findings.notes, where=where)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way or area with its tags."""

    way_id: str
    geometry: object
    tags: Mapping[str, object]
    timezone: str

    @classmethod
    def of(cls, feature: Mapping[str, Any], properties: Mapping[str, Any], row: int, timezone: str) -> _Way:
        tags = properties.get("tags")
        tags = tags if isinstance(tags, Mapping) else properties
        found = feature.get("id") or properties.get("@id") or properties.get("id") or properties.get("osm_id")
        return cls(str(found or f"way-{row}"), feature.get("geometry"), tags, timezone)

    def zones(self, findings: Findings, path: str) -> list[dict[str, object]]:
        zones: list[dict[str, object]] = []
        closures: dict[str, list[str]] = {}
        for key, base in self._keys(findings, path):
            place, value = f"{path}.{key}", str(self.tags[key])
            try:
                clauses = parse_conditional(value) if key != base else (Clause((value.strip(),)),)
            except ConditionalError as error:
                findings.fault(place, error.found, error.expected, "bad_conditional")
                continue
            for number, clause in enumerate(clauses):
                rule = _rule(base, clause, place, findings)
                if rule is None:
                    continue
                zone_id = f"{self.way_id}{_PREFIX}{key}{_PREFIX}{number}"
                if "effect" in rule:
                    lifted = [found for tag in (*_ABOVE.get(base, ()), base) for found in closures.get(tag, ())]
                    if not lifted:
                        continue
                    rule["exception_to"] = lifted
                else:
                    closures.setdefault(base, []).append(zone_id)
                zones.append(self._zone(zone_id, rule))
        return zones

    def _keys(self, findings: Findings, path: str) -> list[tuple[str, str]]:
        """Return the restriction tags, each with its name without ``:conditional``, in the order they are to be listed.

        A tag with conditions overrides the one without.
        """
        keys: list[tuple[str, str]] = []
        for key, value in self.tags.items():
            base = key.removesuffix(":conditional")
            if not isinstance(value, str) or base.split(":")[0] not in _ORDER:
                continue
            if ":" in base:
                expected = "a rule of the whole road; lanes and directions cannot be told apart"
                findings.fault(f"{path}.{key}", describe(key), expected, "part_of_road")
                continue
            keys.append((key, base))
        return sorted(keys, key=lambda pair: (_ORDER.index(pair[1]), pair[0] != pair[1]))

    def _zone(self, zone_id: str, rule: Mapping[str, object]) -> dict[str, object]:
        is_line = isinstance(self.geometry, Mapping) and "Line" in str(self.geometry.get("type"))
        name = self.tags.get("name") or self.tags.get("ref") or self.way_id
        return zone_feature(
            zone_id,
            self.geometry,
            {
                "kind": ZoneKind.TRUCK_RESTRICTION.value,
                "name": str(name)[:100],
                **rule,
                "timezone": self.timezone,
                "width_m": self._width_m() if is_line else None,
            },
        )

    def _width_m(self) -> float:
        width, lanes = (_number_of(self.tags.get(name), _UNIT_OF_METRES) for name in ("width", "lanes"))
        return round(max(_NARROWEST_M, width or (lanes or 2) * _LANE_M), 1)


def _rule(base: str, clause: Clause, path: str, findings: Findings) -> dict[str, object] | None:
    """Return applies_to, schedule, effect and note of a clause, None when it is no rule of ours or cannot be judged."""
    value = clause.value
    applies_to: dict[str, object] = dict(_WHOM.get(base, _ALL))
    if base in _LIMITS and value not in _OPEN:
        bound = _number_of(value, _UNIT_OF_TONNES if base.startswith(("maxweight", "maxaxle")) else _UNIT_OF_METRES)
        if bound is None:
            if clause.conditions:
                findings.fault(path, describe(value), "a number in tonnes or metres, or none", "bad_limit")
            return None
        applies_to[_LIMITS[base]] = bound
    elif value not in (*_CLOSED, *_OPEN):
        if clause.conditions:
            findings.fault(path, describe(value), f"one of {', '.join((*_CLOSED, *_OPEN))}", "unknown_value")
        return None
    schedule = _conditions(clause.conditions, applies_to, path, findings)
    if schedule is None:
        return None
    rule: dict[str, object] = {"applies_to": applies_to}
    rule |= {"schedule": schedule} if schedule else {}
    rule |= {"effect": RuleEffect.ALLOWED.value} if value in _OPEN else {}
    rule |= {"note": f"OpenStreetMap: {value}"} if value in (*_CLOSED[1:], *_OPEN) else {}
    return rule


def _conditions(
    conditions: Sequence[Condition], applies_to: dict[str, object], path: str, findings: Findings
) -> str | None:
    """Add conditions on the vehicle to ``applies_to`` and return the schedule, "" = always; None after a fault."""
    times = [condition for condition in conditions if isinstance(condition, Times)]
    for condition in conditions:
        name = _condition_name(condition)
        if isinstance(condition, Comparison) and name is not None:
            units = _UNIT_OF_TONNES if name.endswith("_t") else _UNIT_OF_METRES if name.endswith("_m") else _NO_UNIT
            if condition.unit not in units:
                expected = f"a unit of {', '.join(filter(None, units)) or 'nothing'}, or none"
                findings.fault(path, describe(str(condition)), expected, "unknown_unit")
                return None
            bound = round(condition.number * units[condition.unit], _DIGITS)
            # All conditions hold together, those of the tag among them: the narrowest bound counts.
            narrowest, before = max if "_over" in name else min, applies_to.get(name)
            applies_to[name] = narrowest(bound, before) if isinstance(before, float) else bound
        elif not isinstance(condition, Times) or len(times) > 1:
            expected = "one time and measures of the vehicle; neither weather nor where somebody goes is known"
            findings.fault(path, describe(str(condition)), expected, "unknown_condition")
            return None
    return times[0].schedule if times else ""


def _condition_name(condition: Condition) -> str | None:
    return _COMPARED.get((condition.measure, condition.operator)) if isinstance(condition, Comparison) else None


def _number_of(value: object, units: Mapping[str, float]) -> float | None:
    """Return the number in a tag, in tonnes or metres; None when there is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    return round(float(found[1]) * units[found[2]], _DIGITS) if found and found[2] in units else None


# ---- and back


def osm_from_zones(document: Mapping[str, Any], *, where: str = "zones") -> ImportedZones:
    """Turn zones into features with OpenStreetMap restriction tags; ``zones_from_osm`` reads them again.

    Zones that came from one way become one feature again, their clauses in the order they are listed. What the tags
    cannot say (plates, colours, energies, permits, the day calendar, validity) is a fault: the zone is left out, for
    without it the rule would be another one.

    Args:
        document: a FeatureCollection that passes ``read_zone_document``.
        where: what to call it in faults.
    """
    findings = Findings(where)
    ways: dict[str, dict[str, Any]] = {}
    for row, feature in enumerate(document["features"]):
        properties = feature["properties"]
        zone_id = str(feature.get("id", properties.get("id")))
        tagged = _tagged(
            zone_id, properties, f"$.features[{row}].properties", findings.at(f"feature {row} ({zone_id})")
        )
        if tagged is None:
            continue
        way_id = zone_id.split(_PREFIX, maxsplit=1)[0]
        way = ways.setdefault(way_id, {"geometry": feature["geometry"], "tags": {"name": properties["name"]}})
        for key, clause in tagged:
            if not clause.conditions:
                way["tags"][key.removesuffix(":conditional")] = clause.value
                continue
            conditional = f"{key.removesuffix(':conditional')}:conditional"
            before = way["tags"].get(conditional)
            way["tags"][conditional] = "; ".join(filter(None, (before, format_conditional((clause,)))))
    features = [
        {"type": "Feature", "id": way_id, "geometry": way["geometry"], "properties": way["tags"]}
        for way_id, way in ways.items()
    ]
    return ImportedZones({"type": "FeatureCollection", "features": features}, tuple(findings.faults))


def _tagged(
    zone_id: str, properties: Mapping[str, Any], path: str, findings: Findings
) -> list[tuple[str, Clause]] | None:
    """Return the tags of a zone, None after a fault."""
    lost = [
        name
        for name in ("days", "exempt", "valid_from", "valid_to", "enforced_from", "dwell_s")
        if properties.get(name)
    ]
    conditions = {**(properties.get("applies_to") or {})}
    kinds = set(conditions.pop("vehicle_kinds", None) or _GOODS)
    keys = _keys(zone_id, kinds, conditions)
    strangers = [name for name in conditions if name not in _COMPARISON_OF and name != "goods"]
    if lost or strangers or not keys or properties["kind"] != ZoneKind.TRUCK_RESTRICTION.value:
        found = ", ".join(lost + strangers) or f"{properties['kind']} of {', '.join(sorted(kinds))}"
        expected = "a truck_restriction by kind, weight, size and opening hours; OpenStreetMap has no tag for the rest"
        findings.fault(path, found, expected, "not_expressible")
        return None
    return [(key, _clause_of(key, dict(conditions), properties)) for key in keys]


def _keys(zone_id: str, kinds: set[str], conditions: Mapping[str, object]) -> list[str]:
    """Return the keys of a zone: those it came from, else those that say whom it is about."""
    came_from = zone_id.split(_PREFIX)
    if len(came_from) == 3:
        return [came_from[1]]
    if conditions.get("goods") == ["hazmat"] and kinds >= _KINDS:
        return ["hazmat"]
    if conditions.get("goods"):
        return []
    if kinds >= _KINDS:
        limits = [key for key, name in _LIMITS.items() if [name] == list(conditions)]
        return limits[:1] or ["motor_vehicle"]
    if kinds != set(_GOODS):
        return []
    over_t = conditions.get("gross_weight_over_t")
    return ["hgv"] if isinstance(over_t, int | float) and over_t >= _HGV_OVER_T else ["goods", "hgv"]


def _clause_of(key: str, conditions: dict[str, Any], properties: Mapping[str, Any]) -> Clause:
    base = key.removesuffix(":conditional")
    kept = _VALUE.search(str(properties.get("note") or ""))
    value = kept[1] if kept else "yes" if properties.get("effect") == RuleEffect.ALLOWED else "no"
    if base in _LIMITS and value not in _OPEN:
        value = written_number(conditions.pop(_LIMITS[base]))
    usual = _WHOM.get(base, {})
    times = [Times(properties["schedule"])] if properties.get("schedule", "24/7") != "24/7" else []
    compared = [
        Comparison(*_COMPARISON_OF[name], float(bound))
        for name, bound in conditions.items()
        if name in _COMPARISON_OF and usual.get(name) != bound
    ]
    return Clause((value,), (*times, *compared))
