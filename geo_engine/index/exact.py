"""The exact tests of candidate pairs, by shapely, vectorised; shared by every index that uses shapely."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.entries import Entries
from geo_engine.index.protocol import Pairs, Segments
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["borders_near", "holds", "meets", "unique_pairs"]


def holds(entries: Entries, entry: IntColumn, lon: FloatColumn, lat: FloatColumn) -> BoolColumn:
    """Say for each candidate whether the entry's zone covers the point (border included)."""
    # For a point, "intersects" and "covers" are the same predicate, and intersects_xy builds no geometry.
    inside: BoolColumn = shapely.intersects_xy(entries.geometry[entry], lon - entries.turn[entry], lat)
    return inside


def meets(entries: Entries, entry: IntColumn, segments: Segments) -> BoolColumn:
    """Say for each candidate whether the segment touches or passes through the entry's zone."""
    met: BoolColumn = shapely.intersects(entries.geometry[entry], _lines(entries, entry, segments))
    return met


def borders_near(
    entries: Entries, lon: FloatColumn, lat: FloatColumn, zone: IntColumn, within_m: FloatColumn
) -> BoolColumn:
    """Say for each (position, zone) whether the zone's border comes nearer than so many metres, in the local frame.

    Cost: some 50 us for each pair.
    """
    lon_m, lat_m = metres_per_degree(lat)
    near = np.zeros(len(zone), dtype=np.bool_)
    for row in range(len(zone)):
        for entry in np.flatnonzero(entries.zone == zone[row]).tolist():
            origin = np.array([lon[row] - entries.turn[entry], lat[row]])
            near[row] |= _least_m(entries.geometry[entry], origin, lon_m[row], lat_m[row]) < within_m[row]
    return near


def _least_m(shape: shapely.Geometry, origin: FloatColumn, lon_m: float, lat_m: float) -> float:
    """Return the least distance of a shape's edges from a place."""
    rings = [np.asarray(shapely.get_coordinates(ring)) for ring in shapely.get_rings(shapely.get_parts(shape))]
    starts, ends = (np.concatenate([ring[part] for ring in rings]) for part in (slice(-1), slice(1, None)))
    scale = np.array([lon_m, lat_m])
    start, edge = (starts - origin) * scale, (ends - starts) * scale
    length = (edge * edge).sum(axis=1)
    along = np.where(length > 0.0, -(start * edge).sum(axis=1) / np.where(length > 0.0, length, 1.0), 0.0)
    foot = start + np.clip(along, 0.0, 1.0)[:, None] * edge
    return float(np.sqrt((foot * foot).sum(axis=1).min()))


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
