"""A small town for the simulator's tests: two banks, a bridge, a ring road."""

from __future__ import annotations

from typing import Any

from geo_engine.simulate.network import RoadNetwork

__all__ = ["START_MS", "road", "town", "town_document"]

START_MS = 1_793_577_600_000


def road(name: str, road_class: str, speed_kmh: float, *vertices: tuple[float, float]) -> dict[str, Any]:
    """Return a road feature."""
    return {
        "type": "Feature",
        "properties": {"name": name, "class": road_class, "speed_kmh": speed_kmh},
        "geometry": {"type": "LineString", "coordinates": [list(vertex) for vertex in vertices]},
    }


def town_document() -> dict[str, Any]:
    """Return the roads of the town as GeoJSON."""
    west, west_head, east_head, east = (114.28, 30.55), (114.30, 30.55), (114.32, 30.55), (114.34, 30.55)
    features = [
        road("West Street", "main", 50, west, west_head),
        road("Bridge", "bridge", 60, west_head, east_head),
        road("East Street", "main", 50, east_head, east),
        road("West Ring", "street", 35, west, (114.28, 30.56), (114.30, 30.56), west_head, (114.30, 30.54), west),
        road("Express", "expressway", 75, east, (114.36, 30.57), (114.38, 30.57)),
    ]
    return {"type": "FeatureCollection", "features": features}


def town() -> RoadNetwork:
    """Return the town as a network."""
    return RoadNetwork.from_geojson(town_document())
