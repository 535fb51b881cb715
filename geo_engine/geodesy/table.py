"""GCJ-02 and BD-09 to WGS-84 by table, for streams of pings: 3.5 mm from the exact inverse at a hundredth of its cost.

The shift between the datums is tabulated on a grid and interpolated bilinearly in a cell. By the second derivatives of
the published formulas (13.3 m sin 6 pi x of GCJ-02, 40 m cos 52.4 x of BD-09), cells of 1/512 degree keep GCJ-02 within
3.5 mm and cells of 1/2048 degree BD-09. Two places are not smooth: the border of the rectangle in which positions are
shifted, and the meridian 105 E, where the formula holds the root of the distance to it. Cells there have no table, and
what falls into them is converted exactly.

Which tiles have a table is decided by place when a ``DatumTable`` is made, never by what arrives: so a position
converts to the same bits whatever batch it comes in, and no stranger's scattered positions make the service build
tables of a whole country.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import COMPILED, kernel
from geo_engine.geodesy.datum import CHINA, Datum, to_wgs84
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["DatumTable", "DatumTables"]

Position = tuple[FloatColumn, FloatColumn]
Shifts = npt.NDArray[np.float32]

# A power of two, so that cell borders are exact doubles. A position in cell k of a tile and node k + 1 belong together.
_CELLS: Final = 128
_CELLS_PER_DEGREE: Final = {Datum.GCJ02: 512, Datum.BD09: 2048}
_WEST, _SOUTH, _EAST, _NORTH = 72.0, 0.75, 138.0, 56.0

# A position and its shifted value are at most this far apart: a zone's tiles are those its border may be shifted into.
_REACH_DEG: Final = 0.03

_ROUGH_MERIDIAN_DEG: Final = 105.0
_ROUGH_DEG: Final = 0.004
_BORDER_DEG: Final = 0.001

_MOST_TILES: Final = 512

_EXACT: Final = -1


class DatumTable:
    """Converts positions of one datum to WGS-84: by table round the given places, exactly everywhere else.

    A tile of the table is made when the first position falls into it (20 to 40 ms, 133 kB). Safe for several threads:
    a tile made twice is the same tile.
    """

    def __init__(self, datum: Datum, bounds: npt.NDArray[np.float64], *, most_tiles: int = _MOST_TILES) -> None:
        """Choose the tiles that will have a table.

        Args:
            datum: ``GCJ02`` or ``BD09``; any other is converted exactly.
            bounds: (n, 4) west, south, east, north in degrees WGS-84 of the places that matter, e.g. the zones.
            most_tiles: of more tiles, those that most of the places lie in have a table.
        """
        self._datum = datum
        self._per_degree = _CELLS_PER_DEGREE.get(datum, 0)
        self._tiles = _chosen(bounds, self._per_degree / _CELLS, most_tiles) if self._per_degree else _no_tiles()
        count = int(self._tiles.max(initial=_EXACT)) + 1
        # Pages of memory that nobody writes to cost nothing, so the table grows with the tiles that are made.
        self._shifts: Shifts = np.empty((count, _CELLS + 1, _CELLS + 1, 2), dtype=np.float32)
        self._made = np.zeros(count, dtype=np.bool_)
        # Compiles the kernel, or loads it: not at the first ping.
        self.to_wgs84(np.empty(0), np.empty(0))

    def to_wgs84(self, lon: FloatColumn, lat: FloatColumn) -> Position:
        """Return ``(lon, lat)`` in WGS-84 of columns of positions, within 5 mm of the exact inverse.

        What is not finite stays so. Cost: about 10 ns a position in the table, that of ``datum.to_wgs84`` elsewhere.
        """
        lon, lat = np.ascontiguousarray(lon, dtype=np.float64), np.ascontiguousarray(lat, dtype=np.float64)
        if not len(self._made):
            return to_wgs84(lon, lat, self._datum)
        found = np.empty_like(lon), np.empty_like(lat)
        wanted = np.zeros(len(self._made), dtype=np.bool_)
        convert = _convert if COMPILED else _convert_columns
        exact = convert(lon, lat, (self._tiles, self._made, self._shifts, self._per_degree), wanted, found)
        if wanted.any():
            self._make(np.flatnonzero(wanted))
            exact = convert(lon, lat, (self._tiles, self._made, self._shifts, self._per_degree), wanted, found)
        rows = np.flatnonzero(exact)
        if len(rows):
            found[0][rows], found[1][rows] = to_wgs84(lon[rows], lat[rows], self._datum)
        return found

    def _make(self, slots: IntColumn) -> None:
        """Fill the tables of tiles."""
        columns = self._tiles.shape[1]
        tile_of = np.empty(len(self._made), dtype=np.int64)
        chosen = np.flatnonzero(self._tiles.ravel() >= 0)
        tile_of[self._tiles.ravel()[chosen]] = chosen
        side_deg = _CELLS / self._per_degree
        steps = np.arange(_CELLS + 1) / self._per_degree
        for slot in slots.tolist():
            row, column = divmod(int(tile_of[slot]), columns)
            lat, lon = np.meshgrid(_SOUTH + row * side_deg + steps, _WEST + column * side_deg + steps, indexing="ij")
            there_lon, there_lat = to_wgs84(lon, lat, self._datum)
            west, south, east, north = CHINA
            smooth = (there_lon > west + _BORDER_DEG) & (there_lon < east - _BORDER_DEG)
            smooth &= (there_lat > south + _BORDER_DEG) & (there_lat < north - _BORDER_DEG)
            smooth &= np.abs(there_lon - _ROUGH_MERIDIAN_DEG) > _ROUGH_DEG
            self._shifts[slot, :, :, 0] = np.where(smooth, there_lon - lon, np.nan)
            self._shifts[slot, :, :, 1] = np.where(smooth, there_lat - lat, np.nan)
            self._made[slot] = True


class DatumTables:
    """One table per datum that needs one, made when the first position of that datum arrives."""

    def __init__(self, bounds: npt.NDArray[np.float64], *, first: Datum = Datum.WGS84) -> None:
        """Take the places that matter; see ``DatumTable``. The table of ``first`` is made at once."""
        self._bounds = bounds
        self._tables: dict[Datum, DatumTable] = {}
        self._table(first)

    def to_wgs84(self, lon: FloatColumn, lat: FloatColumn, datum: Datum) -> Position:
        """Convert columns of positions given in ``datum`` to WGS-84; takes the place of ``datum.to_wgs84``."""
        return self._table(datum).to_wgs84(lon, lat)

    def _table(self, datum: Datum) -> DatumTable:
        table = self._tables.get(datum)
        if table is None:
            table = self._tables[datum] = DatumTable(datum, self._bounds)
        return table


_Table = tuple[npt.NDArray[np.int32], BoolColumn, Shifts, int]


def _no_tiles() -> npt.NDArray[np.int32]:
    return np.full((1, 1), _EXACT, dtype=np.int32)


def _chosen(bounds: npt.NDArray[np.float64], tiles_per_degree: float, most: int) -> npt.NDArray[np.int32]:
    """Return the number of each tile's table, -1 for none; rows from south to north, columns from west to east.

    The places over each tile are counted by marking the corners of their boxes and adding up: one pass over the tiles
    however large a box is.
    """
    rows, columns = round((_NORTH - _SOUTH) * tiles_per_degree), round((_EAST - _WEST) * tiles_per_degree)
    tiles = np.full((rows, columns), _EXACT, dtype=np.int32)
    west, south, east, north = np.asarray(bounds, dtype=np.float64).reshape(-1, 4).T
    known = np.isfinite(west + south + east + north)
    known &= (east > _WEST) & (west < _EAST) & (north > _SOUTH) & (south < _NORTH)

    def tile(degrees: FloatColumn, origin: float, count: int) -> IntColumn:
        found: IntColumn = np.floor((degrees[known] - origin) * tiles_per_degree).astype(np.int64)
        return np.clip(found, 0, count - 1)

    first_row, last_row = tile(south - _REACH_DEG, _SOUTH, rows), tile(north + _REACH_DEG, _SOUTH, rows)
    first_column, last_column = tile(west - _REACH_DEG, _WEST, columns), tile(east + _REACH_DEG, _WEST, columns)
    marks = np.zeros((rows + 1, columns + 1), dtype=np.int64)
    np.add.at(marks, (first_row, first_column), 1)
    np.add.at(marks, (first_row, last_column + 1), -1)
    np.add.at(marks, (last_row + 1, first_column), -1)
    np.add.at(marks, (last_row + 1, last_column + 1), 1)
    places = marks.cumsum(axis=0).cumsum(axis=1)[:-1, :-1].ravel()
    ordered = np.argsort(-places, kind="stable")[: min(most, int((places > 0).sum()))]
    tiles.ravel()[ordered] = np.arange(len(ordered), dtype=np.int32)
    return tiles


@kernel
def _convert(lon: FloatColumn, lat: FloatColumn, table: _Table, wanted: BoolColumn, found: Position) -> BoolColumn:
    """Convert what the table covers and return the rows it does not; mark tiles that have to be made first.

    The same arithmetic as ``_convert_columns``, operation by operation.
    """
    tiles, made, shifts, per_degree = table
    found_lon, found_lat = found
    rows, columns = tiles.shape
    exact = np.zeros(len(lon), dtype=np.bool_)
    for ping in range(len(lon)):
        x, y = (lon[ping] - _WEST) * per_degree, (lat[ping] - _SOUTH) * per_degree
        # False for NaN, too.
        if not (0.0 <= x < columns * _CELLS and 0.0 <= y < rows * _CELLS):
            exact[ping] = True
            continue
        cell_x, cell_y = int(x), int(y)
        slot = tiles[cell_y // _CELLS, cell_x // _CELLS]
        if slot < 0:
            exact[ping] = True
            continue
        if not made[slot]:
            wanted[slot] = True
            continue
        east, north = x - cell_x, y - cell_y
        column, row = cell_x % _CELLS, cell_y % _CELLS
        for axis in range(2):
            low_left, low_right = np.float64(shifts[slot, row, column, axis]), shifts[slot, row, column + 1, axis]
            up_left, up_right = np.float64(shifts[slot, row + 1, column, axis]), shifts[slot, row + 1, column + 1, axis]
            low = low_left + (low_right - low_left) * east
            up = up_left + (up_right - up_left) * east
            shift = low + (up - low) * north
            if np.isnan(shift):
                exact[ping] = True
            elif axis == 0:
                found_lon[ping] = lon[ping] + shift
            else:
                found_lat[ping] = lat[ping] + shift
    return exact


def _convert_columns(
    lon: FloatColumn, lat: FloatColumn, table: _Table, wanted: BoolColumn, found: Position
) -> BoolColumn:
    """Do in columns what ``_convert`` does in a loop, for machines without Numba."""
    tiles, made, shifts, per_degree = table
    rows, columns = tiles.shape
    x, y = (lon - _WEST) * per_degree, (lat - _SOUTH) * per_degree
    exact: BoolColumn = ~((x >= 0.0) & (x < columns * _CELLS) & (y >= 0.0) & (y < rows * _CELLS))
    inside = np.flatnonzero(~exact)
    x, y = x[inside], y[inside]
    cell_x, cell_y = x.astype(np.int64), y.astype(np.int64)
    slot = tiles[cell_y // _CELLS, cell_x // _CELLS]
    exact[inside[slot < 0]] = True
    wanted[slot[slot >= 0][~made[slot[slot >= 0]]]] = True
    ready = (slot >= 0) & made[slot]
    pings, slot = inside[ready], slot[ready]
    east, north = (x - cell_x)[ready, None], (y - cell_y)[ready, None]
    column, row = cell_x[ready] % _CELLS, cell_y[ready] % _CELLS
    low_left, low_right = (shifts[slot, row, column + step].astype(np.float64) for step in (0, 1))
    up_left, up_right = (shifts[slot, row + 1, column + step].astype(np.float64) for step in (0, 1))
    low = low_left + (low_right - low_left) * east
    up = up_left + (up_right - up_left) * east
    shift = low + (up - low) * north
    found[0][pings], found[1][pings] = lon[pings] + shift[:, 0], lat[pings] + shift[:, 1]
    exact[pings[np.isnan(shift).any(axis=1)]] = True
    return exact
