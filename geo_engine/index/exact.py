"""The exact tests of candidate pairs, by shapely, vectorised; shared by every index that uses shapely."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.index.crossings import first_crossings
from geo_engine.index.entries import Entries
from geo_engine.index.protocol import Pairs, RayHits, Segments
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["first_contacts", "holds", "meets", "nearest_hits", "unique_pairs"]


def holds(entries: Entries, entry: IntColumn, lon: FloatColumn, lat: FloatColumn) -> BoolColumn:
    """Say for each candidate whether the entry's zone covers the point (border included)."""
    # For a point, "intersects" and "covers" are the same predicate, and intersects_xy builds no geometry.
    inside: BoolColumn = shapely.intersects_xy(entries.geometry[entry], lon - entries.turn[entry], lat)
    return inside


def meets(entries: Entries, entry: IntColumn, segments: Segments) -> BoolColumn:
    """Say for each candidate whether the segment touches or passes through the entry's zone."""
    met: BoolColumn = shapely.intersects(entries.geometry[entry], _lines(entries, entry, segments))
    return met


def first_contacts(entries: Entries, entry: IntColumn, segments: Segments) -> FloatColumn:
    """Return for each candidate the fraction of the segment at which it first meets the zone, NaN when never."""
    lines = _lines(entries, entry, segments)
    fraction = np.full(len(entry), np.nan)
    hit = np.flatnonzero(shapely.intersects(entries.geometry[entry], lines))
    begins_inside = holds(entries, entry[hit], segments.lon0[hit], segments.lat0[hit])
    fraction[hit[begins_inside]] = 0.0
    outside = hit[~begins_inside]
    ways = np.asarray(shapely.get_coordinates(lines[outside])).reshape(-1, 4)
    met = first_crossings(ways, entries.geometry[entry[outside]])
    # They do meet, shapely's exact predicate said so. Where rounding hides the place, the end is the latest it can be.
    fraction[outside] = np.nan_to_num(met, nan=1.0)
    return fraction


def _lines(entries: Entries, entry: IntColumn, segments: Segments) -> npt.NDArray[np.object_]:
    turn = entries.turn[entry]
    ends = np.empty((len(entry), 2, 2))
    ends[:, 0, 0] = segments.lon0 - turn
    ends[:, 0, 1] = segments.lat0
    ends[:, 1, 0] = segments.lon1 - turn
    ends[:, 1, 1] = segments.lat1
    lines: npt.NDArray[np.object_] = np.asarray(shapely.linestrings(ends), dtype=object).reshape(-1)
    return lines


def unique_pairs(query: npt.NDArray[np.int64], zone: IntColumn, zone_count: int) -> Pairs:
    """Order pairs by query, then zone, and drop repeats (a zone met in two turns is one zone)."""
    key = np.unique(query * zone_count + zone)
    return Pairs(key // zone_count, key % zone_count) if zone_count else Pairs(key, key.copy())


def nearest_hits(query: IntColumn, zone: IntColumn, fraction: FloatColumn, zone_count: int) -> RayHits:
    """Order hits by query, then zone, and keep the nearest contact of each pair."""
    order = np.lexsort((fraction, zone, query))
    query, zone, fraction = query[order], zone[order], fraction[order]
    key = query * max(zone_count, 1) + zone
    first = np.ones(len(key), dtype=bool)
    first[1:] = key[1:] != key[:-1]
    return RayHits(query[first], zone[first], fraction[first])
