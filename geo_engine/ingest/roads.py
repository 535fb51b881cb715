"""Road files to lines: GeoJSON as exports of OpenStreetMap have it, and OpenStreetMap's own .osm.pbf and .osm."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import shapely

from geo_engine.errors import Fault, RoadFileError
from geo_engine.ingest.osm_roads import osm_features
from geo_engine.ingest.road_tags import Direction, RoadFeature, direction_of
from geo_engine.ingest.rows import load_json
from geo_engine.model import BoolColumn

__all__ = ["Roads", "read_roads"]

_OSM_SUFFIXES: Final = (".pbf", ".osm")


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
    """Read roads: ``.osm.pbf`` and ``.osm`` through osmium, every other file as GeoJSON.

    Tags are read as OpenStreetMap has them (``road_tags``): footpaths are passed over, ``oneway`` and roundabouts give
    a direction. A feature of GeoJSON without ``highway`` is a road; of OpenStreetMap's data only ways with it are.

    Raises:
        RoadFileError: the file cannot be read, is damaged or of another format, or holds no road; or it is one of
            OpenStreetMap and osmium is not installed.
    """
    features = osm_features(path) if path.suffix.lower() in _OSM_SUFFIXES else _geojson_features(path)
    return _gathered(path, features)


def _gathered(path: Path, features: Iterable[RoadFeature]) -> Roads:
    lines: list[shapely.LineString] = []
    one_way: list[bool] = []
    faults: list[Fault] = []
    for feature in features:
        direction = direction_of(feature.tags)
        if direction is None:
            continue
        if not feature.lines:
            faults.append(Fault(feature.where, feature.path, "no usable line", "a LineString", "no_line"))
        lines += [line.reverse() if direction is Direction.AGAINST else line for line in feature.lines]
        one_way += [direction is not Direction.BOTH] * len(feature.lines)
    if not lines:
        raise _refusal(path, "no line", "at least one LineString", "no_roads")
    return Roads(tuple(lines), np.array(one_way, dtype=np.bool_), tuple(faults))


def _geojson_features(path: Path) -> Iterator[RoadFeature]:
    try:
        document = load_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _refusal(path, str(error.strerror), "a readable file", "unreadable_file") from error
    except (ValueError, RecursionError) as error:
        raise _refusal(path, "no JSON", "a GeoJSON FeatureCollection", "not_json") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise _refusal(path, "no list of features", "a GeoJSON FeatureCollection", "no_features")
    for number, feature in enumerate(features):
        where, place = f"{path} feature {number}", f"$.features[{number}].geometry"
        yield RoadFeature(where, place, _tags_of(feature), _lines_of(feature))


def _tags_of(feature: object) -> dict[str, str]:
    """Return the properties as the words of tags; what is no word or number is no tag."""
    properties = feature.get("properties") if isinstance(feature, dict) else None
    items = properties.items() if isinstance(properties, dict) else ()
    return {name: str(value).lower() for name, value in items if isinstance(value, str | int)}


def _lines_of(feature: object) -> tuple[shapely.LineString, ...]:
    """Return the lines of a feature, none when its geometry is no line of two places on the map."""
    try:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))  # type: ignore[index]  # what is no mapping is caught
    except (TypeError, KeyError, ValueError, shapely.errors.GEOSException):
        return ()
    lines = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.LineString)]
    places = shapely.get_coordinates(lines)
    on_map = np.isfinite(places).all() and (np.abs(places) <= (180.0, 90.0)).all()
    return tuple(lines) if on_map else ()


def _refusal(path: Path, found: str, expected: str, reason: str) -> RoadFileError:
    return RoadFileError([Fault(str(path), "", found, expected, reason)])
