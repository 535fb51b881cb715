"""Files of OpenStreetMap (.osm.pbf, .osm) to road features, through pyosmium.

osmium is imported inside the function only: it comes with an extra, and who reads GeoJSON does not need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely

from geo_engine.errors import Fault, RoadFileError
from geo_engine.ingest.road_tags import RoadFeature

if TYPE_CHECKING:
    from osmium.osm import Way

__all__ = ["osm_features"]

_EXPECTED = "a file of OpenStreetMap data (.osm.pbf or .osm)"


def osm_features(path: Path) -> Iterator[RoadFeature]:
    """Yield every way of the file that has a ``highway`` tag, in the order of the file.

    A way that leaves the extract comes in the pieces whose nodes the file holds. Cost: the places of all nodes of the
    file are kept while it is read, about 16 bytes a node.

    Raises:
        RoadFileError: the file cannot be read, is damaged or holds several versions of its objects, or osmium is not
            installed.
    """
    osmium = _osmium(path)
    _check_readable(path)
    try:
        processor = osmium.FileProcessor(str(path))
        if processor.header.has_multiple_object_versions:
            found, expected = "a history with several versions of a way", "the data of one moment"
            raise _refusal(path, found, expected, "osm_history")
        wanted = processor.with_locations().with_filter(osmium.filter.EntityFilter(osmium.osm.WAY))
        for way in wanted.with_filter(osmium.filter.KeyFilter("highway")):
            yield _feature(path, way)
    except (RuntimeError, ValueError, OSError) as error:  # what osmium raises for damaged data
        found = " ".join(str(error).split())[:200]
        raise _refusal(path, found, _EXPECTED, "damaged_osm") from error


def _feature(path: Path, way: Way) -> RoadFeature:
    tags = {tag.k: tag.v.lower() for tag in way.tags}
    return RoadFeature(f"{path} way {way.id}", "", tags, tuple(_lines_of(way)))


def _lines_of(way: Way) -> Iterator[shapely.LineString]:
    """Yield the pieces of a way between nodes the file lacks."""
    places: list[tuple[float, float]] = []
    for node in way.nodes:
        if node.location.valid():
            places.append((node.lon, node.lat))
            continue
        if len(places) > 1:
            yield shapely.LineString(places)
        places = []
    if len(places) > 1:
        yield shapely.LineString(places)


def _osmium(path: Path) -> Any:  # noqa: ANN401  # a module
    try:
        import osmium  # noqa: PLC0415  # as the module says
    except ImportError as error:
        expected = "it, to read OpenStreetMap data: pip install 'geo-engine[roads]'"
        raise _refusal(path, "the package osmium is not installed", expected, "no_osmium") from error
    return osmium


def _check_readable(path: Path) -> None:
    """Let the system say what is wrong with the file itself: its words are plainer than those of osmium."""
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise _refusal(path, str(error.strerror), "a readable file", "unreadable_file") from error


def _refusal(path: Path, found: str, expected: str, reason: str) -> RoadFileError:
    return RoadFileError([Fault(str(path), "", found, expected, reason)])
