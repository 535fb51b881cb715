"""Road files to lines: GeoJSON with LineStrings, as exports of OpenStreetMap have them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import shapely

from geo_engine.errors import Fault, RoadFileError
from geo_engine.ingest.rows import load_json
from geo_engine.model import BoolColumn

__all__ = ["Roads", "read_roads"]

_ONE_WAY: Final = frozenset({"yes", "true", "1", "-1", "reverse"})
_AGAINST: Final = frozenset({"-1", "reverse"})
_NOT_DRIVEN: Final = frozenset(
    {"footway", "path", "steps", "cycleway", "pedestrian", "bridleway", "corridor", "platform", "construction"}
)


@dataclass(frozen=True, slots=True)
class Roads:
    """Roads of a file.

    Attributes:
        lines: in degrees, lon lat, WGS-84; a one-way road in the direction it is driven.
        one_way: bool per line.
        faults: features that are no road, each with its reason; the others are kept.
    """

    lines: tuple[shapely.LineString, ...]
    one_way: BoolColumn
    faults: tuple[Fault, ...]


def read_roads(path: Path) -> Roads:
    """Read roads. Features with ``highway`` of footpaths are passed over; ``oneway`` is read as OpenStreetMap has it.

    Raises:
        RoadFileError: the file cannot be read, is no GeoJSON, or holds no road.
    """
    try:
        document = load_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _refusal(path, str(error.strerror), "a readable file", "unreadable_file") from error
    except (ValueError, RecursionError) as error:
        raise _refusal(path, "no JSON", "a GeoJSON FeatureCollection", "not_json") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise _refusal(path, "no list of features", "a GeoJSON FeatureCollection", "no_features")
    lines: list[shapely.LineString] = []
    one_way: list[bool] = []
    faults: list[Fault] = []
    for number, feature in enumerate(features):
        tags = _tags_of(feature)
        if tags.get("highway") in _NOT_DRIVEN:
            continue
        single = tags.get("oneway") in _ONE_WAY or tags.get("junction") == "roundabout"
        found = _lines_of(feature)
        for line in found or ():
            lines.append(line.reverse() if tags.get("oneway") in _AGAINST else line)
            one_way.append(single)
        if found is None:
            place = f"{path} feature {number}"
            faults.append(Fault(place, f"$.features[{number}].geometry", "no usable line", "a LineString", "no_line"))
    if not lines:
        raise _refusal(path, "no line", "at least one LineString", "no_roads")
    return Roads(tuple(lines), np.array(one_way, dtype=np.bool_), tuple(faults))


def _tags_of(feature: object) -> dict[str, str]:
    """Return the properties as the words of tags; what is no word or number is no tag."""
    properties = feature.get("properties") if isinstance(feature, dict) else None
    items = properties.items() if isinstance(properties, dict) else ()
    return {name: str(value).lower() for name, value in items if isinstance(value, str | int)}


def _lines_of(feature: object) -> list[shapely.LineString] | None:
    """Return the lines of a feature, None when its geometry is no line of two places on the map."""
    try:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))  # type: ignore[index]  # what is no mapping is caught
    except (TypeError, KeyError, ValueError, shapely.errors.GEOSException):
        return None
    lines = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.LineString)]
    places = shapely.get_coordinates(lines)
    on_map = np.isfinite(places).all() and (np.abs(places) <= (180.0, 90.0)).all()
    return lines if lines and on_map else None


def _refusal(path: Path, found: str, expected: str, reason: str) -> RoadFileError:
    return RoadFileError([Fault(str(path), "", found, expected, reason)])
