"""The JSON Schema of a zone file, made from the same table the file is read by."""

from __future__ import annotations

from typing import Final

from geo_engine.model import ZoneKind
from geo_engine.zones.coordinates import DEFAULT_LIMITS, NESTING
from geo_engine.zones.properties import ZONE_PROPERTIES
from geo_engine.zones.values import PropertySpec

__all__ = ["zone_file_schema"]

_POSITION: Final = {
    "type": "array",
    "description": "lon, lat in degrees WGS 84; a height is dropped",
    "prefixItems": [
        {"type": "number", "minimum": -180, "maximum": 180},
        {"type": "number", "minimum": -90, "maximum": 90},
    ],
    "items": {"type": "number"},
    "minItems": 2,
}
_SHORTEST: Final = {"Point": 0, "LineString": 2, "MultiLineString": 2, "Polygon": 4, "MultiPolygon": 4}


def zone_file_schema() -> dict[str, object]:
    """Return the schema (draft 2020-12) of a zone file.

    What a schema cannot say stays with ``read_zone_document``: closed and valid rings, unique ids, schedules and
    time zones that exist, the order of the dates, misspelt properties.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "geo_engine zone file",
        "description": "A GeoJSON FeatureCollection of zones; see docs/zone-file.md.",
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": {"const": "FeatureCollection"},
            "features": {
                "type": "array",
                "maxItems": DEFAULT_LIMITS.document_features,
                "items": {"$ref": "#/$defs/zone"},
            },
        },
        "$defs": {
            "zone": _zone(),
            "geometry": {"oneOf": [_geometry(name) for name in NESTING]},
            "properties": _properties(),
            "position": _POSITION,
        },
    }


def _zone() -> dict[str, object]:
    is_line = {"properties": {"geometry": {"properties": {"type": {"enum": ["LineString", "MultiLineString"]}}}}}
    is_point = {"properties": {"geometry": {"properties": {"type": {"const": "Point"}}}}}
    no_venue = {"properties": {"properties": {"properties": {"kind": {"not": {"const": ZoneKind.VENUE.value}}}}}}
    return {
        "type": "object",
        "required": ["type", "geometry", "properties"],
        "properties": {
            "type": {"const": "Feature"},
            "id": {"type": ["string", "integer"], "description": "unique in the file; properties.id is accepted too"},
            "geometry": {"$ref": "#/$defs/geometry"},
            "properties": {"$ref": "#/$defs/properties"},
        },
        "anyOf": [{"required": ["id"]}, {"properties": {"properties": {"required": ["id"]}}}],
        "allOf": [
            {"if": is_line, "then": _needs("width_m")},
            {"if": {"allOf": [is_point, no_venue]}, "then": _needs("radius_m")},
        ],
    }


def _needs(name: str) -> dict[str, object]:
    return {"properties": {"properties": {"required": [name], "properties": {name: {"type": "number"}}}}}


def _geometry(name: str) -> dict[str, object]:
    coordinates: dict[str, object] = {"$ref": "#/$defs/position"}
    for level in range(NESTING[name]):
        fewest = _SHORTEST[name] if level == 0 else 1
        coordinates = {"type": "array", "items": coordinates, "minItems": fewest}
    return {
        "type": "object",
        "required": ["type", "coordinates"],
        "properties": {"type": {"const": name}, "coordinates": coordinates},
    }


def _properties() -> dict[str, object]:
    rows = {spec.name: _property(spec) for spec in ZONE_PROPERTIES}
    return {
        "type": "object",
        "required": [spec.name for spec in ZONE_PROPERTIES if spec.required],
        "properties": {**rows, "id": {"type": ["string", "integer", "null"]}},
    }


def _property(spec: PropertySpec) -> dict[str, object]:
    described = {"description": spec.meaning, **spec.holds.schema}
    if spec.required:
        return described
    return {"description": spec.meaning, "anyOf": [spec.holds.schema, {"type": "null"}]}
