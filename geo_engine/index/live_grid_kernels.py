"""The kernels of ``GridPositions``: deal positions into cells, and collect those round a query."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel, uncounted
from geo_engine.index.live_kernels import Found, Frame, Queries, box_of, frame_at, grown, metres, sort_found
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["CELLS", "TILE_BITS", "LiveGrid", "assign_cells", "count_cells", "deal", "fill_from_grid"]

TILE_BITS: Final = 3
"""A tile has ``2 ** TILE_BITS`` rows and columns of cells."""

_TILE: Final = 1 << TILE_BITS
CELLS: Final = _TILE * _TILE
"""Cells of a tile."""

_BLOCK_BITS: Final = 20
_HASH_FACTOR: Final = 2_654_435_769
_HASH_SHIFT: Final = 20


class LiveGrid(NamedTuple):
    """Positions by cell, as arrays.

    Attributes:
        cell_m: side of a cell in metres.
        rows_per_deg: rows of cells per degree of latitude; row 0 starts at the south pole.
        first_band: number of the first band (8 rows).
        per_degree: float64 per band: columns per degree of longitude.
        columns: int64 per band: columns round the earth.
        table: int64 (slots, 2), slots a power of two: key of a tile and its number; -1 is a free slot.
        starts: int32 (64 tiles + 1): first position of each cell, tile by tile, row by row.
        places: float64 (positions, 2): lon and lat.
        ids: int64 per position.
    """

    cell_m: float
    rows_per_deg: float
    first_band: int
    per_degree: FloatColumn
    columns: IntColumn
    table: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int32]
    places: npt.NDArray[np.float64]
    ids: IntColumn


@uncounted
def _slot_of(table: npt.NDArray[np.int64], band: int, block: int) -> int:
    """Return the slot of a tile, or the free one where it would be."""
    mask = table.shape[0] - 1
    key = (band << _BLOCK_BITS) | block
    slot = ((((band * 65_599) ^ block) * _HASH_FACTOR) >> _HASH_SHIFT) & mask
    while table[slot, 0] != key and table[slot, 0] >= 0:
        slot = (slot + 1) & mask
    return int(slot)


@kernel
def assign_cells(grid: LiveGrid, lon: FloatColumn, lat: FloatColumn, most: int, cell: npt.NDArray[np.int32]) -> int:
    """Give every position its cell, filling the grid's table.

    Args:
        grid: only its scalars, bands and table are used.
        lon: degrees east.
        lat: degrees north.
        most: tiles there may be.
        cell: int32 per position, to be filled.

    Returns:
        The number of tiles, or -1 when there would be more than ``most``.
    """
    rows_per_deg, first_band, table = grid.rows_per_deg, grid.first_band, grid.table
    per_degree, columns = grid.per_degree, grid.columns
    tiles = 0
    for position in range(len(lon)):
        row = int((lat[position] + 90.0) * rows_per_deg)
        band = (row >> TILE_BITS) - first_band
        column = int((lon[position] + 180.0) * per_degree[band])
        if column >= columns[band]:
            column = 0
        block = column >> TILE_BITS
        slot = _slot_of(table, band, block)
        if table[slot, 0] < 0:
            if tiles == most:
                return -1
            table[slot, 0] = (band << _BLOCK_BITS) | block
            table[slot, 1] = tiles
            tiles += 1
        cell[position] = table[slot, 1] * CELLS + ((row & (_TILE - 1)) << TILE_BITS) + (column & (_TILE - 1))
    return tiles


@kernel
def count_cells(cell: npt.NDArray[np.int32], starts: npt.NDArray[np.int32]) -> None:
    """Turn zeros into the first position of each cell, as if the positions stood in the order of their cells."""
    for position in range(len(cell)):
        starts[cell[position] + 1] += 1
    for number in range(1, len(starts)):
        starts[number] += starts[number - 1]


@kernel
def deal(  # noqa: PLR0913, PLR0917 - columns in, columns out
    cell: npt.NDArray[np.int32],
    lon: FloatColumn,
    lat: FloatColumn,
    ids: IntColumn,
    starts: npt.NDArray[np.int32],
    places: npt.NDArray[np.float64],
    dealt: IntColumn,
) -> None:
    """Copy the positions into the order of their cells. ``starts`` is moved on and then moved back."""
    for position in range(len(cell)):
        slot = starts[cell[position]]
        starts[cell[position]] = slot + 1
        places[slot, 0] = lon[position]
        places[slot, 1] = lat[position]
        dealt[slot] = ids[position]
    for number in range(len(starts) - 1, 0, -1):
        starts[number] = starts[number - 1]
    starts[0] = 0


@uncounted
def _collect(  # noqa: PLR0913, PLR0917 - fused kernel: the loops of one look-up
    grid: LiveGrid, lon: float, lat: float, radius_m: float, frame: Frame, found: Found, begin: int
) -> int:
    """Write everybody within the radius from ``begin`` on; return where they end, -1 when there is no room."""
    dlon, dlat = box_of(lat, radius_m)
    first_row = int((max(lat - dlat, -90.0) + 90.0) * grid.rows_per_deg)
    last_row = int((min(lat + dlat, 90.0) + 90.0) * grid.rows_per_deg)
    end, room = begin, len(found.id)
    first_band = max((first_row >> TILE_BITS) - grid.first_band, 0)
    last_band = min((last_row >> TILE_BITS) - grid.first_band, len(grid.columns) - 1)
    for band in range(first_band, last_band + 1):
        columns = int(grid.columns[band])
        column = math.floor((lon - dlon + 180.0) * grid.per_degree[band])
        last_column = math.floor((lon + dlon + 180.0) * grid.per_degree[band])
        last_column = min(last_column, column + columns - 1)
        low_row = max(first_row - ((band + grid.first_band) << TILE_BITS), 0)
        high_row = min(last_row - ((band + grid.first_band) << TILE_BITS), _TILE - 1)
        while column <= last_column:
            inside = column
            if inside < 0:
                inside += columns
            elif inside >= columns:
                inside -= columns
            run = min(_TILE - (inside & (_TILE - 1)), last_column - column + 1, columns - inside)
            column += run
            slot = _slot_of(grid.table, band, inside >> TILE_BITS)
            if grid.table[slot, 0] < 0:
                continue
            tile_cell = int(grid.table[slot, 1]) * CELLS + (inside & (_TILE - 1))
            for row in range(low_row, high_row + 1):
                cell = tile_cell + (row << TILE_BITS)
                first, last = int(grid.starts[cell]), int(grid.starts[cell + run])
                if end + last - first > room:
                    return -1
                for place in range(first, last):
                    # Everybody is written down and only who is near is kept: cheaper than a branch nobody can foresee.
                    squared = metres(frame, grid.places[place, 0] - lon, grid.places[place, 1] - lat)
                    distance_m = math.sqrt(squared)
                    found.distance_m[end] = distance_m
                    found.id[end] = grid.ids[place]
                    end += distance_m <= radius_m
    return end


@uncounted
def _first_radius(grid: LiveGrid, lon: float, lat: float, wanted: int) -> float:
    """Guess the radius that holds ``wanted`` positions from how many the query's own cell holds."""
    row = int((lat + 90.0) * grid.rows_per_deg)
    band = (row >> TILE_BITS) - grid.first_band
    if band < 0 or band >= len(grid.columns):
        return grid.cell_m
    column = min(int((lon + 180.0) * grid.per_degree[band]), int(grid.columns[band]) - 1)
    slot = _slot_of(grid.table, band, column >> TILE_BITS)
    if grid.table[slot, 0] < 0:
        return grid.cell_m
    cell = int(grid.table[slot, 1]) * CELLS + ((row & (_TILE - 1)) << TILE_BITS) + (column & (_TILE - 1))
    people = int(grid.starts[cell + 1]) - int(grid.starts[cell])
    return 1.2 * grid.cell_m * math.sqrt(wanted / (math.pi * max(people, 1)))


@kernel
def fill_from_grid(grid: LiveGrid, queries: Queries, begin: int, found: Found) -> int:
    """Answer the queries from ``begin`` on, each in its order; return the first one that finds no room.

    The nearest are those within a radius that holds enough: it is guessed and grown, so a bad guess costs time only.
    """
    ends = found.ends
    end = ends[begin - 1] if begin > 0 else 0
    for query in range(begin, len(queries.lon)):
        lon, lat, limit_m = queries.lon[query], queries.lat[query], queries.limit_m[query]
        wanted = int(queries.k[query])
        frame = frame_at(lat)
        radius_m = limit_m
        if wanted > 0:
            radius_m = min(_first_radius(grid, lon, lat, wanted), limit_m)
        last = _collect(grid, lon, lat, radius_m, frame, found, end)
        while 0 <= last < end + wanted and radius_m < limit_m:
            radius_m = min(grown(radius_m, last - end, wanted), limit_m)
            last = _collect(grid, lon, lat, radius_m, frame, found, end)
        if last < 0:
            return query
        sort_found(found, end, last)
        if wanted > 0:
            last = min(last, end + wanted)
        ends[query] = last
        end = last
    return len(queries.lon)
