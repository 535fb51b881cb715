"""Zone documents by hand: features, collections, shapes."""

from __future__ import annotations

__all__ = ["GOOD", "SQUARE", "collection", "feature", "line", "point", "polygon"]

SQUARE = [[114.0, 30.0], [114.1, 30.0], [114.1, 30.1], [114.0, 30.1], [114.0, 30.0]]


def feature(geometry: object, *, zone_id: object = "bad", **properties: object) -> dict[str, object]:
    given_properties = {"kind": "construction", "name": "works"} | properties
    return {"type": "Feature", "id": zone_id, "geometry": geometry, "properties": given_properties}


def collection(*features: object) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": list(features)}


def polygon(*rings: object) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": list(rings)}


def line(*positions: object) -> dict[str, object]:
    return {"type": "LineString", "coordinates": list(positions)}


def point(*position: object) -> dict[str, object]:
    return {"type": "Point", "coordinates": list(position)}


GOOD = feature(polygon(SQUARE), zone_id="good")
