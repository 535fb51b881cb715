"""Live positions in a grid of cells by counting sort: the default, because nothing is built faster."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import COMPILED
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.live_curve import curve_order
from geo_engine.index.live_grid_kernels import (
    CELLS,
    TILE_BITS,
    LiveGrid,
    assign_cells,
    count_cells,
    deal,
    fill_from_grid,
)
from geo_engine.index.live_kernels import Found, Queries
from geo_engine.index.live_levels import Levels
from geo_engine.index.live_protocol import Source
from geo_engine.index.live_search import Searched
from geo_engine.model import FloatColumn

__all__ = ["GridPositions"]

_METRES_PER_ROW_DEGREE: Final = 111_000.0
_SAMPLE: Final = 2048
_PEOPLE_PER_CELL: Final = 12.0
_SAMPLED_PER_CELL: Final = 4.0
_FEW_TILES: Final = 4096
_SMALLEST_CELL_M: Final = 20.0
_LARGEST_CELL_M: Final = 20_000.0


class GridPositions(Searched):
    """Cells of one size anywhere on earth, in tiles of 8 x 8 that exist only where somebody is.

    The size follows the density that most people see, so that a crowded cell of theirs holds some 12. Memory: 28 bytes
    a position and 256 bytes a tile; when people are so scattered that tiles would need more than the positions
    themselves, the cells are made larger.
    """

    def __init__(
        self,
        ids: npt.ArrayLike,
        lon: npt.ArrayLike,
        lat: npt.ArrayLike,
        *,
        cell_m: float | None = None,
        kernels: bool = COMPILED,
    ) -> None:
        """Deal the positions into cells.

        Args:
            ids: int64 ids, equal ones allowed.
            lon: degrees east, WGS-84; rows that are not on earth are left out.
            lat: degrees north.
            cell_m: least side of a cell in metres, 20 to 20,000; None takes it from the density.
            kernels: use the kernels; False builds and answers in NumPy.
        """
        source = Source.of(ids, lon, lat)
        self._kernels = kernels
        wished_m = _fitting_cell(source.lon, source.lat) if cell_m is None else cell_m
        self._grid = _dealt(source, min(max(wished_m, _SMALLEST_CELL_M), _LARGEST_CELL_M), kernels=kernels)
        self._ids = self._grid.ids

    @property
    def cell_m(self) -> float:
        """Side of a cell in metres."""
        return self._grid.cell_m

    def _fill(self, queries: Queries, begin: int, found: Found) -> int:
        return fill_from_grid(self._grid, queries, begin, found)

    def _levels(self) -> Levels:
        return self._boxes

    @cached_property
    def _boxes(self) -> Levels:
        """Boxes of the cells that hold somebody, in the order of the Hilbert curve."""
        first = self._grid.starts[:-1].astype(np.int64)
        count = np.diff(self._grid.starts).astype(np.int64)
        some = np.flatnonzero(count)
        first, count = first[some], count[some]
        order = curve_order(*self._grid.places[first].T)
        return Levels(self._ids, self._grid.places, first[order], count[order])


def _fitting_cell(lon: FloatColumn, lat: FloatColumn) -> float:
    """Return the side of a cell in which most people find some 12 others, from a sample of at most 2,048.

    A cell is sought in which the sample's people find 4 others; the density there is then scaled to all people. The
    sample is every n-th row: a caller whose rows follow a pattern in space gets a worse cell, never a wrong answer.
    """
    step = max(len(lon) // _SAMPLE, 1)
    lon, lat = lon[::step], lat[::step]
    north_m = lat * _METRES_PER_ROW_DEGREE
    east_m = lon * metres_per_degree(lat)[0]
    cell_m = _SMALLEST_CELL_M
    while cell_m < _LARGEST_CELL_M:
        key = np.floor(east_m / cell_m) * 1e7 + np.floor(north_m / cell_m)
        people = np.unique(key, return_counts=True)[1]
        seen = float((people * (people - 1.0)).sum()) / max(len(lon), 1)
        if seen >= _SAMPLED_PER_CELL:
            return cell_m * float(np.sqrt(_PEOPLE_PER_CELL / (seen * step)))
        cell_m *= 2.0
    return _LARGEST_CELL_M / float(np.sqrt(step))


def _dealt(source: Source, cell_m: float, *, kernels: bool) -> LiveGrid:
    """Deal into cells of the side, or of the least multiple by 2 that makes few enough tiles.

    The table begins small, because a city needs few tiles and a small table stays in the cache.
    """
    limit = len(source.ids) // 8 + 64
    most = min(limit, _FEW_TILES)
    cell = np.empty(len(source.ids), dtype=np.int32)
    while True:
        grid = _empty_grid(source, cell_m, 1 << int(2 * most - 1).bit_length())
        tiles = assign_cells(grid, source.lon, source.lat, most, cell) if kernels else _assigned(grid, source, cell)
        if 0 <= tiles <= limit:
            break
        cell_m, most = (cell_m, min(limit, 8 * most)) if kernels and most < limit else (2.0 * cell_m, most)
    starts = np.zeros(tiles * CELLS + 1, dtype=np.int32)
    ids, places = np.empty_like(source.ids), np.empty((len(source.ids), 2))
    if kernels:
        count_cells(cell, starts)
        deal(cell, source.lon, source.lat, source.ids, starts, places, ids)
    else:
        np.cumsum(np.bincount(cell, minlength=tiles * CELLS), out=starts[1:])
        order = np.argsort(cell, kind="stable")
        ids, places = source.ids[order], np.column_stack([source.lon[order], source.lat[order]])
    return grid._replace(starts=starts, ids=ids, places=places)


def _empty_grid(source: Source, cell_m: float, slots: int) -> LiveGrid:
    rows_per_deg = _METRES_PER_ROW_DEGREE / cell_m
    south, north = (source.lat.min(), source.lat.max()) if len(source.lat) else (0.0, 0.0)
    first, last = (int((lat + 90.0) * rows_per_deg) >> TILE_BITS for lat in (south, north))
    centre = np.minimum((np.arange(first, last + 1) + 0.5) * (1 << TILE_BITS) / rows_per_deg - 90.0, 90.0)
    columns = np.maximum(np.floor(360.0 * metres_per_degree(centre)[0] / cell_m), 1.0)
    nobody = np.empty(0, dtype=np.int64)
    table = np.full((slots, 2), -1, dtype=np.int64)
    starts = np.zeros(1, dtype=np.int32)
    return LiveGrid(
        cell_m, rows_per_deg, first, columns / 360.0, columns.astype(np.int64), table, starts, np.empty((0, 2)), nobody
    )


def _assigned(grid: LiveGrid, source: Source, cell: npt.NDArray[np.int32]) -> int:
    """Do as ``assign_cells`` in NumPy; tiles are numbered by their keys and the table stays empty."""
    row = ((source.lat + 90.0) * grid.rows_per_deg).astype(np.int64)
    band = (row >> TILE_BITS) - grid.first_band
    column = ((source.lon + 180.0) * grid.per_degree[band]).astype(np.int64)
    column[column >= grid.columns[band]] = 0
    keys, tile = np.unique((band << 20) | (column >> TILE_BITS), return_inverse=True)
    inner = (1 << TILE_BITS) - 1
    cell[:] = tile * CELLS + ((row & inner) << TILE_BITS) + (column & inner)
    return len(keys)
