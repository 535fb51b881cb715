"""French low emission zones (schema ZFE, etalab) to truck restrictions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from geo_engine.model import ZoneKind
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.foreign import ImportedZones, keep_good_zones, zone_feature

__all__ = ["zones_from_zfe"]

_TIMEZONE: Final = "Europe/Paris"
_HEAVY_OVER_T: Final = 3.5
"""``pl`` (poids lourds) of the schema: goods vehicles above 3.5 t."""
_ROAD_M: Final = 10.0
"""The schema knows no width of a road section."""

_HOLIDAY_OFF: Final = re.compile(r"\s*(PH|SH)(\s*,\s*(PH|SH))*\s+(off|closed)\s*", re.IGNORECASE)


def zones_from_zfe(collection: object, *, where: str = "zfe") -> ImportedZones:
    """Turn the zones and road sections of a ZFE file into zones of kind ``truck_restriction``.

    - Who: goods vehicles above 3.5 t (``pl``). A Crit'Air class is not a field of our vehicles, so the restriction
      concerns every such vehicle and ``note`` keeps the class. A feature without ``pl_critair`` is rejected.
    - When: ``pl_horaires`` read in Europe/Paris. ``PH off`` is left out with a note, as our grammar has no holidays;
      ``date_debut`` begins and ``date_fin`` ends with the whole day.
    - Road sections (LineString) become corridors of 10 m. That a road section overrides the zone around it is not
      carried over.

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
    geometry = feature.get("geometry")
    is_road = isinstance(geometry, Mapping) and geometry.get("type") in ("LineString", "MultiLineString")
    return zone_feature(
        zone_id,
        geometry,
        {
            "kind": ZoneKind.TRUCK_RESTRICTION.value,
            "name": f"ZFE {'road section ' if is_road else ''}{zone_id}"[:100],
            "applies_to": {"gross_weight_over_t": _HEAVY_OVER_T},
            "schedule": _schedule(properties.get("pl_horaires"), f"{path}.properties.pl_horaires", findings),
            "timezone": _TIMEZONE,
            "valid_from": _midnight(properties.get("date_debut"), 0),
            "valid_to": _midnight(properties.get("date_fin"), 1),
            "width_m": _ROAD_M if is_road else None,
            "note": _note(sticker, properties.get("url_site")),
        },
    )


def _schedule(value: object, path: str, findings: Findings) -> object:
    if not isinstance(value, str):
        return value
    rules = value.split(";")
    kept = [rule.strip() for rule in rules if not _HOLIDAY_OFF.fullmatch(rule)]
    if len(kept) == len(rules):
        return value
    findings.note(path, describe(value), "no PH or SH; the zone stays in force on holidays", "holidays_dropped")
    return "; ".join(kept)


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
