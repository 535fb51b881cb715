"""The brute-force reference for exact replays, written apart from the engine: shapely on every pair, no index.

Rules (``--exact``): the border of a zone is inside, the hole of a zone is outside; edges and the way between two
pings are straight in lon/lat, and a step of more than 180 degrees of longitude goes the short way round; a user's
first position inside a zone is ``enter``; ``cross`` = both ends outside and the way between them passes through or
touches; within one ping the order is exit, cross, enter, then zone id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import shapely
from shapely.geometry import shape

__all__ = ["Ping", "Transition", "expected_transitions", "zones_of"]

ORDER = {"exit": 0, "cross": 1, "enter": 2}


class Ping(NamedTuple):
    """A position: u7, epoch milliseconds, degrees WGS-84. Sorts by user, then time."""

    u7: int
    time_ms: int
    lon: float
    lat: float


class Transition(NamedTuple):
    """What must be reported: at the ping's time, in the order of the fields of ``sort_key``."""

    time_ms: int
    u7: int
    transition: str
    zone: str


def zones_of(collection: Mapping[str, Any]) -> dict[str, shapely.Geometry]:
    """Read the shapes of a FeatureCollection by their ids.

    Raises:
        ValueError: a shape is no valid Polygon or MultiPolygon; others need geodesy, which is not this oracle's job.
    """
    zones: dict[str, shapely.Geometry] = {}
    for feature in collection["features"]:
        geometry = shape(feature["geometry"])
        if geometry.geom_type not in {"Polygon", "MultiPolygon"} or not geometry.is_valid:
            message = f"zone {feature['id']}: found {geometry.geom_type}, expected a valid Polygon or MultiPolygon"
            raise ValueError(message)
        zones[str(feature["id"])] = geometry
    return zones


def expected_transitions(pings: Iterable[Ping], zones: Mapping[str, shapely.Geometry]) -> list[Transition]:
    """Return every transition in the order of time, user, kind and zone id. Pings may come in any order.

    Cost: pings x zones exact predicates, twice.
    """
    found: list[Transition] = []
    for _, group in groupby(sorted(set(pings)), key=lambda ping: ping.u7):
        track = list(group)
        points = shapely.points([(ping.lon, ping.lat) for ping in track])
        ways = [shapely.MultiLineString(_way(*pair)) for pair in pairwise(track)]
        for zone_id, geometry in zones.items():
            shapely.prepare(geometry)
            inside = shapely.intersects(geometry, points).tolist()
            touched = shapely.intersects(geometry, ways).tolist()
            found.extend(_of_one_zone(track, zone_id, inside, touched))
    return sorted(found, key=lambda row: (row.time_ms, row.u7, ORDER[row.transition], row.zone))


def _of_one_zone(
    track: Sequence[Ping], zone_id: str, inside: Sequence[bool], touched: Sequence[bool]
) -> Iterator[Transition]:
    """Walk one user's track past one zone; ``touched[i]`` is about the way from ping i to ping i + 1."""
    was_inside = False
    for row, ping in enumerate(track):
        if inside[row] != was_inside:
            yield Transition(ping.time_ms, ping.u7, "enter" if inside[row] else "exit", zone_id)
        elif row and not was_inside and touched[row - 1]:
            yield Transition(ping.time_ms, ping.u7, "cross", zone_id)
        was_inside = inside[row]


def _way(start: Ping, end: Ping) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the straight way between two pings; across 180 degrees it is seen from both sides."""
    turn = 360.0 * ((start.lon - end.lon > 180.0) - (end.lon - start.lon > 180.0))
    ends = [((start.lon, start.lat), (end.lon + turn, end.lat))]
    if turn:
        ends.append(((start.lon - turn, start.lat), (end.lon, end.lat)))
    return ends
