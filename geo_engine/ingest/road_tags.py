"""The tags of a road: whether vehicles drive it and which way; the same rules for every format of road files.

Source: OpenStreetMap wiki, Key:highway, Key:oneway (a motorway and a roundabout are one-way without saying so).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import shapely

__all__ = ["Direction", "RoadFeature", "direction_of"]

_ONE_WAY: Final = frozenset({"yes", "true", "1"})
_AGAINST: Final = frozenset({"-1", "reverse"})
_BOTH: Final = frozenset({"no", "false", "0"})
_ON_FOOT: Final = frozenset({"footway", "path", "steps", "cycleway", "pedestrian", "bridleway", "corridor", "elevator"})
_NO_ROAD: Final = frozenset(
    {
        *("platform", "rest_area", "services", "via_ferrata"),
        *("construction", "proposed", "planned", "abandoned", "disused", "razed"),
    }
)


class Direction(Enum):
    """Which way a road is driven, seen along its line."""

    BOTH = "both"
    ALONG = "along"
    AGAINST = "against"


@dataclass(frozen=True, slots=True)
class RoadFeature:
    """What a file says of one road.

    Attributes:
        where: the place in the file, for a fault.
        path: JSON path below that, may be empty.
        tags: its tags, values in lower case.
        lines: in degrees, lon lat, WGS-84; empty = its geometry is no line of two places on the map.
    """

    where: str
    path: str
    tags: Mapping[str, str]
    lines: tuple[shapely.LineString, ...]


def direction_of(tags: Mapping[str, str]) -> Direction | None:
    """Return which way a road is driven, None when no vehicle drives there: footpaths, squares, roads not built.

    Args:
        tags: as OpenStreetMap has them, values in lower case. Without ``highway`` it is a road: an export of roads
            need not say so.
    """
    highway = tags.get("highway")
    if highway in _ON_FOOT or highway in _NO_ROAD or tags.get("area") in _ONE_WAY:
        return None
    oneway = tags.get("oneway")
    if oneway in _AGAINST:
        return Direction.AGAINST
    implied = tags.get("junction") == "roundabout" or (highway == "motorway" and oneway not in _BOTH)
    return Direction.ALONG if oneway in _ONE_WAY or implied else Direction.BOTH
