"""French low emission zones (schema ZFE 0.8, etalab) to truck restrictions, and such zones back to the schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from geo_engine.model import RuleEffect, ZoneKind
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.foreign import ImportedZones, keep_good_zones, zone_feature

__all__ = ["zfe_from_zones", "zones_from_zfe"]

_TIMEZONE: Final = "Europe/Paris"
_HEAVY_OVER_T: Final = 3.5
"""``pl`` (poids lourds) of the schema: goods vehicles above 3.5 t."""
_ROAD_M: Final = 10.0
"""The schema knows no width of a road section."""

_OLD: Final = {
    "NC": {"diesel": 2, "petrol": 2},
    "V5": {"diesel": 3, "petrol": 2},
    "V4": {"diesel": 4, "petrol": 2},
    "V3": {"diesel": 5, "petrol": 4},
    "V2": {"diesel": 6, "petrol": 5},
    "V1": {"diesel": 6, "petrol": 6, "gas": 6, "hybrid": 6, "plug_in_hybrid": 6},
    "EL": {"diesel": 6, "petrol": 6, "gas": 6, "hybrid": 6, "plug_in_hybrid": 6, "electric": 6, "hydrogen": 6},
}
"""Of each Crit'Air class the vehicles in it and in worse ones: energy and the last Euro stage of heavy goods vehicles
(arrêté du 21 juin 2016, annexe I)."""

_HOLIDAY_OFF: Final = re.compile(r"\s*(PH|SH)(\s*,\s*(PH|SH))*\s+(off|closed)\s*", re.IGNORECASE)


def zones_from_zfe(collection: object, *, where: str = "zfe") -> ImportedZones:
    """Turn the zones and road sections of a ZFE file into zones of kind ``truck_restriction``.

    - Who: goods vehicles above 3.5 t (``pl``) of the Crit'Air class and worse, by energy and Euro stage; ``note``
      keeps the class. A vehicle whose energy or stage is not known is told that the zone may concern it. A feature
      without ``pl_critair`` is rejected.
    - When: ``pl_horaires`` read in Europe/Paris; ``PH off`` becomes ``days.holiday`` and needs a French day calendar
      beside the file. ``date_debut`` begins and ``date_fin`` ends with the whole day.
    - Road sections (LineString) become corridors of 10 m that decide alone: a road beats the area around it, also
      where it lets pass whom the area does not.

    Args:
        collection: the parsed file.
        where: what to call it in faults.
    """
    findings = Findings(where)
    features = collection.get("features") if isinstance(collection, Mapping) else None
    if not isinstance(features, list):
        findings.fault("$.features", describe(features), "the features of a ZFE file", "not_a_feature_collection")
        return ImportedZones({"type": "FeatureCollection", "features": []}, tuple(findings.faults))
    zones = [
        _zone(feature, f"$.features[{row}]", findings.at(f"feature {row}")) for row, feature in enumerate(features)
    ]
    return keep_good_zones(zones, findings.faults, findings.notes, where=where)


def _zone(feature: object, path: str, findings: Findings) -> dict[str, object] | None:
    properties = feature.get("properties") if isinstance(feature, Mapping) else None
    if not isinstance(feature, Mapping) or not isinstance(properties, Mapping):
        findings.fault(path, describe(feature), "a Feature with properties", "not_a_feature")
        return None
    zone_id = properties.get("id")
    findings = findings.at(f"({zone_id})") if isinstance(zone_id, str) else findings
    sticker = properties.get("pl_critair")
    if sticker is None:
        expected = "a Crit'Air class for heavy goods vehicles"
        findings.fault(f"{path}.properties.pl_critair", "nothing", expected, "not_for_trucks")
        return None
    if not isinstance(sticker, str) or sticker not in _OLD:
        found, expected = describe(sticker), f"one of {', '.join(_OLD)}"
        findings.fault(f"{path}.properties.pl_critair", found, expected, "unknown_critair")
        return None
    geometry = feature.get("geometry")
    is_road = isinstance(geometry, Mapping) and geometry.get("type") in ("LineString", "MultiLineString")
    return zone_feature(
        zone_id,
        geometry,
        {
            "kind": ZoneKind.TRUCK_RESTRICTION.value,
            "name": f"ZFE {'road section ' if is_road else ''}{zone_id}"[:100],
            "applies_to": {"gross_weight_over_t": _HEAVY_OVER_T, **_of_class(sticker)},
            **_hours(properties.get("pl_horaires")),
            "effect": RuleEffect.DECIDES.value if is_road else None,
            "timezone": _TIMEZONE,
            "valid_from": _midnight(properties.get("date_debut"), 0),
            "valid_to": _midnight(properties.get("date_fin"), 1),
            "width_m": _ROAD_M if is_road else None,
            "note": _note(sticker, properties.get("url_site")),
        },
    )


def _of_class(sticker: object) -> dict[str, object]:
    """Return the conditions of a Crit'Air class and the worse ones."""
    by_stage: dict[int, list[str]] = {}
    for energy, stage in _OLD[str(sticker)].items():
        by_stage.setdefault(stage, []).append(energy)
    return {
        "any_of": [
            {"energies": sorted(energies)} | ({} if stage == 6 else {"emission_stage_at_most": stage})
            for stage, energies in sorted(by_stage.items())
        ]
    }


def _hours(value: object) -> dict[str, object]:
    """Return schedule and day rules of opening hours in which holidays may be off."""
    if not isinstance(value, str):
        return {"schedule": value}
    rules = value.split(";")
    kept = [rule.strip() for rule in rules if not _HOLIDAY_OFF.fullmatch(rule)]
    if len(kept) == len(rules):
        return {"schedule": value}
    return {"schedule": "; ".join(kept), "days": {"holiday": "off", "makeup_workday": "weekend"}}


def _midnight(value: object, days: int) -> object:
    """Return the midnight in Paris ``days`` after the start of a day; what is no date is left to be refused."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
        if day is None:
            return value
        return datetime.combine(day + timedelta(days=days), time(), ZoneInfo(_TIMEZONE)).isoformat()
    except (ValueError, OverflowError):
        return value


def _note(sticker: object, address: object) -> str:
    note = f"Crit'Air {sticker} and worse, heavy goods vehicles (pl)"
    return f"{note}; {address}"[:2_000] if isinstance(address, str) else note


# ---- and back


def zfe_from_zones(document: Mapping[str, Any], *, where: str = "zones") -> ImportedZones:
    """Turn zones into features of the French schema; ``zones_from_zfe`` reads them again.

    What the schema cannot say is a fault and left out: other kinds than truck restrictions, other conditions than a
    Crit'Air class of heavy goods vehicles, a validity without a beginning. Dates are those in Paris.

    Args:
        document: a FeatureCollection that passes ``read_zone_document``.
        where: what to call it in faults.
    """
    findings = Findings(where)
    features = [
        _zfe_feature(feature, f"$.features[{row}].properties", findings.at(f"feature {row} ({feature.get('id')})"))
        for row, feature in enumerate(document["features"])
    ]
    kept = [feature for feature in features if feature is not None]
    return ImportedZones({"type": "FeatureCollection", "features": kept}, tuple(findings.faults))


def _zfe_feature(feature: Mapping[str, Any], path: str, findings: Findings) -> dict[str, object] | None:
    properties = feature["properties"]
    conditions = properties.get("applies_to") or {}
    asked = {"gross_weight_over_t": _HEAVY_OVER_T}
    stickers = [sticker for sticker in _OLD if conditions == asked | _of_class(sticker)]
    days = properties.get("days") or {}
    lost = [name for name in ("exempt", "enforced_from", "dwell_s") if properties.get(name)]
    lost += ["days"] if days.get("dates") or days.get("holiday", "off") != "off" else []
    if (
        properties["kind"] != ZoneKind.TRUCK_RESTRICTION.value
        or not stickers
        or not properties.get("valid_from")
        or lost
    ):
        found = ", ".join([properties["kind"], *conditions, *lost])
        expected = "a truck_restriction with valid_from for vehicles above 3.5 t of a Crit'Air class"
        findings.fault(path, found, expected, "not_expressible")
        return None
    hours = properties.get("schedule", "24/7")
    values = {
        "id": str(feature.get("id", properties.get("id"))),
        "date_debut": _day(properties["valid_from"], 0),
        "date_fin": _day(properties.get("valid_to"), -1),
        "pl_critair": stickers[0],
        "pl_horaires": f"{hours}; PH off" if days.get("holiday") == "off" else hours,
    }
    kept = {name: value for name, value in values.items() if value is not None}
    return {"type": "Feature", "properties": kept, "geometry": feature["geometry"]}


def _day(moment: str | None, days: int) -> str | None:
    """Return the date in Paris of a moment, ``days`` later."""
    if moment is None:
        return None
    there = datetime.fromisoformat(moment).astimezone(ZoneInfo(_TIMEZONE))
    return (there.date() + timedelta(days=days)).isoformat()
