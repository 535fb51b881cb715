"""The questions of a zone index for whole columns: loops over the scalar kernels, results in growing arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, kernel
from geo_engine.index.border_grid import BorderGrid
from geo_engine.index.borders import border_near, touched_outside
from geo_engine.index.buffers import longer
from geo_engine.index.kernels import Cells, combo_at, zones_at
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["containing_all", "match_by_tile", "near_all", "touched_by_all"]

# As in ``tracking.packing``: tiles of 1.7 km, which share a bucket only when they lie far apart.
_TILES: Final = 8192
_TILES_PER_DEGREE: Final = 64.0


@kernel
def match_by_tile(cells: Cells, lon: FloatColumn, lat: FloatColumn) -> npt.NDArray[np.int32]:
    """Return the combo of each position, -1 where its leaf has none, looked up tile of the map by tile.

    A counting sort of the positions by tile costs a fifth of what it saves: the cells of a tile stay in the cache.
    Cost: about 60 ns a position.
    """
    count = len(lon)
    combo = np.empty(count, dtype=np.int32)
    tile, starts = np.empty(count, dtype=np.int32), np.zeros(_TILES + 1, dtype=np.int64)
    for i in range(count):
        line = int((lat[i] + 90.0) * _TILES_PER_DEGREE)
        found = (line * 167 + int((lon[i] + 180.0) * _TILES_PER_DEGREE)) & (_TILES - 1)
        tile[i] = found
        starts[found + 1] += 1
    for k in range(_TILES):
        starts[k + 1] += starts[k]
    place, row = np.empty((count, 2), dtype=np.float64), np.empty(count, dtype=np.int32)
    for i in range(count):
        at = starts[tile[i]]
        starts[tile[i]] = at + 1
        place[at, 0], place[at, 1], row[at] = lon[i], lat[i], i
    _match_placed(cells, place, row, combo)
    return combo


@bare
def _match_placed(cells: Cells, place: FloatColumn, row: npt.NDArray[np.int32], combo: npt.NDArray[np.int32]) -> None:
    for at in range(len(row)):
        combo[row[at]] = combo_at(cells, place[at, 0], place[at, 1])


@kernel
def containing_all(cells: Cells, lon: FloatColumn, lat: FloatColumn) -> tuple[IntColumn, IntColumn]:
    """Return (query, zone) of every zone that holds a position, by query, then zone."""
    query, zone = np.empty(2 * len(lon) + 64, dtype=np.int64), np.empty(2 * len(lon) + 64, dtype=np.int64)
    used = 0
    for i in range(len(lon)):
        needed = zones_at(cells, lon[i], lat[i], zone[used:])
        if used + needed > len(zone):
            zone, query = longer(zone, used + needed), longer(query, used + needed)
            zones_at(cells, lon[i], lat[i], zone[used:])
        query[used : used + needed] = i
        used += needed
    return query[:used].copy(), zone[:used].copy()


@kernel
def near_all(  # noqa: PLR0913, PLR0917 - a kernel takes plain columns
    borders: BorderGrid,
    lon: FloatColumn,
    lat: FloatColumn,
    zone: IntColumn,
    within_m: FloatColumn,
    lon_m: FloatColumn,
    lat_m: FloatColumn,
) -> BoolColumn:
    """Say for each (position, zone) whether the zone's border comes nearer than so many metres."""
    near = np.zeros(len(zone), dtype=np.bool_)
    for row in range(len(zone)):
        near[row] = border_near(borders, lon[row], lat[row], zone[row], within_m[row], lon_m[row], lat_m[row])
    return near


@kernel
def touched_by_all(
    cells: Cells,
    borders: BorderGrid,
    ways: tuple[FloatColumn, FloatColumn, FloatColumn, FloatColumn],
    zones: int,
) -> tuple[IntColumn, IntColumn]:
    """Return (query, zone) of every zone a segment touches or lies in, by query, then zone.

    Args:
        cells: the compiled cells.
        borders: their borders.
        ways: lon0, lat0, lon1 (continuous from lon0), lat1.
        zones: number of zones.
    """
    lon0, lat0, lon1, lat1 = ways
    query, zone = np.empty(2 * len(lon0) + 64, dtype=np.int64), np.empty(2 * len(lon0) + 64, dtype=np.int64)
    held, met = np.empty(max(zones, 1), dtype=np.int64), np.empty(max(zones, 1), dtype=np.int64)
    nobody, empty = np.empty(0, dtype=np.int32), (0, 0)
    used = 0
    for i in range(len(lon0)):
        held_count = zones_at(cells, lon0[i], lat0[i], held)
        met_count = touched_outside(borders, lon0[i], lat0[i], lon1[i], lat1[i], nobody, empty, empty, met)
        met[:met_count].sort()
        zone, query = longer(zone, used + held_count + met_count), longer(query, used + held_count + met_count)
        first = used
        used = _joined(held[:held_count], met[:met_count], zone, used)
        query[first:used] = i
    return query[:used].copy(), zone[:used].copy()


@bare
def _joined(left: IntColumn, right: IntColumn, out: IntColumn, used: int) -> int:
    """Write the union of two ascending lists; return the new end."""
    a, b = 0, 0
    while a < len(left) or b < len(right):
        if b >= len(right) or (a < len(left) and left[a] < right[b]):
            out[used] = left[a]
            a += 1
        else:
            out[used] = right[b]
            a += 1 if a < len(left) and left[a] == right[b] else 0
            b += 1
        used += 1
    return used
