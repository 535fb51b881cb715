"""The nearest venue of a ping: a static grid of cells, each holding the few venues that can be nearest from inside it.

A venue is written into every cell within reach of it, and is struck out again where another venue is nearer from
everywhere in the cell. A look-up therefore reads one cell and never its neighbours: what is spent once, when the
venues are published, is saved at every ping (the cells are those of a Voronoi diagram, drawn coarsely; Okabe et al.
2000, Spatial Tessellations). Cells lie in tiles of 8 x 8, and only tiles with a venue in reach exist, so that venues
may stand anywhere on earth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import COMPILED, kernel, uncounted
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["VenueGrid", "VenueIndex", "nearest_venue", "nearest_venues"]

_TILE_BITS: Final = 3
_TILE: Final = 1 << _TILE_BITS
_CELLS: Final = _TILE * _TILE
_BLOCK_BITS: Final = 16
_HASH_FACTOR: Final = 2_654_435_769  # 2**32 over the golden ratio (Knuth, TAOCP 3, 6.4); keys stay below 2**31
_HASH_SHIFT: Final = 15
_METRES_PER_ROW_DEGREE: Final = 111_000.0
# Smaller cells would not fit the bits of a key; larger radii leave the local frame.
_SMALLEST_CELL_M: Final = 100.0
_LARGEST_REACH_M: Final = 10_000.0
_MARGIN_DEG: Final = 1e-9
_SLACK: Final = 1e-6

# Columns of ``VenueGrid.bands``.
_CENTRE: Final = 0
_PER_DEGREE: Final = 1
_COLUMNS: Final = 2
_EAST: Final = 3
_NORTH: Final = 6
_BAND_WIDTH: Final = 9


class VenueGrid(NamedTuple):
    """The grid as arrays, for kernels; made by ``VenueIndex``.

    Attributes:
        rows_per_deg: rows of cells per degree of latitude; row 0 starts at the south pole.
        first_band: number of the first band (8 rows) of ``bands``.
        within_m: radius the grid was built for, metres.
        bands: float64 (bands, 9): latitude of the centre, cells per degree of longitude, cells round the earth, and
            the metres per degree of longitude and of latitude as polynomials in degrees from the centre.
        table: int64 (slots, 2), slots a power of two: key of a tile and its number; -1 is a free slot.
        starts: int32 (64 tiles + 1): first candidate of each cell, tile by tile, row by row.
        places: float64 (candidates, 2): lon and lat.
        venue: int32 (candidates): position of the venue in the caller's columns, ascending in each cell.
    """

    rows_per_deg: float
    first_band: int
    within_m: float
    bands: npt.NDArray[np.float64]
    table: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int32]
    places: npt.NDArray[np.float64]
    venue: npt.NDArray[np.int32]


@uncounted
def nearest_venue(grid: VenueGrid, lon: float, lat: float, within_m: float) -> tuple[int, float]:
    """Return the position and the distance in metres of the nearest venue, or ``(-1, nan)`` when none is in reach.

    The distance is that of the local frame at the middle latitude (``geodesy/frame.py``), to 1e-8 m; of equally near
    venues the first is taken. A position that is not finite has no venue. Cost: about 40 ns in map order.

    Args:
        grid: the grid of a ``VenueIndex``.
        lon: degrees east, WGS-84.
        lat: degrees north.
        within_m: metres; more than the grid was built for counts as that much.
    """
    position, distance_m = -1, np.nan
    lon = _wrapped(lon)
    band, cell = _cell_of(grid, lon, lat)
    if cell >= 0:
        first, last = int(grid.starts[cell]), int(grid.starts[cell + 1])
        if first < last:
            best, squared = _nearest_candidate(grid, band, lon, lat, first, last)
            metres = math.sqrt(squared)
            if metres <= within_m and metres <= grid.within_m:
                position, distance_m = int(grid.venue[best]), metres
    return position, distance_m


@uncounted
def _wrapped(lon: float) -> float:
    if -180.0 <= lon < 180.0:
        return lon
    if not -1e9 < lon < 1e9:
        return np.nan
    return lon - 360.0 * math.floor((lon + 180.0) / 360.0)


@uncounted
def _cell_of(grid: VenueGrid, lon: float, lat: float) -> tuple[int, int]:
    """Return the band and the number of the cell, -1 when the cell does not exist."""
    band, cell = 0, -1
    if -90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0:
        row = int((lat + 90.0) * grid.rows_per_deg)
        band = (row >> _TILE_BITS) - grid.first_band
        if 0 <= band < grid.bands.shape[0]:
            column = int((lon + 180.0) * grid.bands[band, _PER_DEGREE])
            if column >= grid.bands[band, _COLUMNS]:
                column = 0
            tile = _tile_number(grid, (band << _BLOCK_BITS) | (column >> _TILE_BITS))
            if tile >= 0:
                cell = tile * _CELLS + ((row & (_TILE - 1)) << _TILE_BITS) + (column & (_TILE - 1))
    return band, cell


@uncounted
def _tile_number(grid: VenueGrid, key: int) -> int:
    mask = grid.table.shape[0] - 1
    slot = ((key * _HASH_FACTOR) >> _HASH_SHIFT) & mask
    while grid.table[slot, 0] != key and grid.table[slot, 0] >= 0:
        slot = (slot + 1) & mask
    return int(grid.table[slot, 1])


@uncounted
def _nearest_candidate(grid: VenueGrid, band: int, lon: float, lat: float, first: int, last: int) -> tuple[int, float]:
    centre = grid.bands[band, _CENTRE]
    east0, east1, east2 = grid.bands[band, _EAST], grid.bands[band, _EAST + 1], grid.bands[band, _EAST + 2]
    north0, north1, north2 = grid.bands[band, _NORTH], grid.bands[band, _NORTH + 1], grid.bands[band, _NORTH + 2]
    best, least = first, np.inf
    for candidate in range(first, last):
        dlon = grid.places[candidate, 0] - lon
        if dlon > 180.0:
            dlon -= 360.0
        elif dlon < -180.0:
            dlon += 360.0
        dlat = grid.places[candidate, 1] - lat
        middle = lat + 0.5 * dlat - centre
        east_m = dlon * (east0 + middle * (east1 + middle * east2))
        north_m = dlat * (north0 + middle * (north1 + middle * north2))
        squared = east_m * east_m + north_m * north_m
        if squared < least:
            best, least = candidate, squared
    return best, least


@kernel
def nearest_venues(
    grid: VenueGrid, lon: FloatColumn, lat: FloatColumn, position: IntColumn, distance_m: FloatColumn
) -> None:
    """Fill ``position`` and ``distance_m`` with ``nearest_venue`` of every row, within the grid's own radius."""
    for row in range(len(lon)):
        position[row], distance_m[row] = nearest_venue(grid, lon[row], lat[row], grid.within_m)


class VenueIndex:
    """The nearest venue within a radius fixed in advance. Immutable.

    Building takes about 10 us a venue and the grid about 400 bytes a venue, both in NumPy with or without Numba.
    It needs some 5 kB a venue while it builds, so it is for thousands of venues, not for millions. The distance is that
    of the local frame: within some kilometres of a pole it means nothing.
    """

    __slots__ = ("grid",)

    grid: VenueGrid
    """The arrays, to be given to ``nearest_venue`` inside a kernel."""

    def __init__(self, lon: npt.ArrayLike, lat: npt.ArrayLike, within_m: float = 300.0) -> None:
        """Build the grid.

        Args:
            lon: degrees east of the venues, WGS-84.
            lat: degrees north.
            within_m: metres up to which venues are found, at most 10,000.

        Raises:
            ValueError: a position is not on earth, the columns differ in length, or the radius is out of range.
        """
        venues = _Venues(np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64))
        venues.refuse_bad()
        if not 0.0 < within_m <= _LARGEST_REACH_M:
            message = f"within_m is {within_m}, expected more than 0 and at most {_LARGEST_REACH_M:.0f}"
            raise ValueError(message)
        self.grid = _build(venues, within_m)

    def nearest(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[IntColumn, FloatColumn]:
        """Return the position of each query's nearest venue and the metres to it; none in reach is -1 and NaN.

        Args:
            lon: degrees east of the queries, WGS-84; NaN finds nothing.
            lat: degrees north.

        Cost: about 40 ns a query in map order, without Numba about 2 us.
        """
        lon = np.ascontiguousarray(lon, dtype=np.float64)
        lat = np.ascontiguousarray(lat, dtype=np.float64)
        position = np.full(len(lon), -1, dtype=np.int64)
        distance_m = np.full(len(lon), np.nan)
        if COMPILED:
            nearest_venues(self.grid, lon, lat, position, distance_m)
        else:
            _nearest_in_columns(self.grid, lon, lat, position, distance_m)
        return position, distance_m


def _nearest_in_columns(
    grid: VenueGrid, lon: FloatColumn, lat: FloatColumn, position: IntColumn, distance_m: FloatColumn
) -> None:
    """Do as ``nearest_venues`` in NumPy, by the same arithmetic and so to the same bits."""
    known = np.flatnonzero((np.abs(lat) <= 90.0) & (np.abs(lon) < 1e9))
    lon, lat = lon[known], lat[known]
    away = (lon < -180.0) | (lon >= 180.0)
    lon = np.where(away, lon - 360.0 * np.floor((lon + 180.0) / 360.0), lon)
    row = ((lat + 90.0) * grid.rows_per_deg).astype(np.int64)
    band = (row >> _TILE_BITS) - grid.first_band
    inside = (band >= 0) & (band < len(grid.bands))
    known, lon, lat, row, band = known[inside], lon[inside], lat[inside], row[inside], band[inside]
    column = ((lon + 180.0) * grid.bands[band, _PER_DEGREE]).astype(np.int64)
    column[column >= grid.bands[band, _COLUMNS]] = 0
    taken = grid.table[grid.table[:, 0] >= 0]
    taken = taken[np.argsort(taken[:, 0])]
    key = (band << _BLOCK_BITS) | (column >> _TILE_BITS)
    place = np.searchsorted(taken[:, 0], key)
    inside = np.append(taken[:, 0], -1)[place] == key
    known, lon, lat, row, band, column = (values[inside] for values in (known, lon, lat, row, band, column))
    cell = taken[place[inside], 1] * _CELLS + ((row & (_TILE - 1)) << _TILE_BITS) + (column & (_TILE - 1))
    first = grid.starts[cell].astype(np.int64)
    counts = grid.starts[cell + 1] - first
    query, within = _spread(counts)
    candidate = first[query] + within
    squared = _squared_metres(grid, band[query], (lon[query], lat[query]), candidate)
    # The sort is stable and candidates ascend: of equally near venues the first stays in front.
    order = np.lexsort((squared, query))
    some = np.flatnonzero(counts)
    winner = order[(np.cumsum(counts) - counts)[some]]
    metres = np.sqrt(squared[winner])
    near = metres <= grid.within_m
    position[known[some[near]]] = grid.venue[candidate[winner[near]]]
    distance_m[known[some[near]]] = metres[near]


def _squared_metres(
    grid: VenueGrid, band: IntColumn, here: tuple[FloatColumn, FloatColumn], candidate: IntColumn
) -> FloatColumn:
    lon, lat = here
    dlon = grid.places[candidate, 0] - lon
    dlon = np.where(dlon > 180.0, dlon - 360.0, np.where(dlon < -180.0, dlon + 360.0, dlon))
    dlat = grid.places[candidate, 1] - lat
    middle = lat + 0.5 * dlat - grid.bands[band, _CENTRE]
    east, north = grid.bands[band, _EAST:_NORTH].T, grid.bands[band, _NORTH:].T
    east_m = dlon * (east[0] + middle * (east[1] + middle * east[2]))
    north_m = dlat * (north[0] + middle * (north[1] + middle * north[2]))
    return np.asarray(east_m * east_m + north_m * north_m)


def _spread(counts: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return, for ``counts[i]`` copies of every row i, the row and the number of the copy."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)


@dataclass(frozen=True, slots=True)
class _Venues:
    lon: FloatColumn
    lat: FloatColumn

    def refuse_bad(self) -> None:
        if self.lon.shape != self.lat.shape or self.lon.ndim != 1:
            message = f"got columns of shapes {self.lon.shape} and {self.lat.shape}, expected two of the same length"
            raise ValueError(message)
        bad = np.flatnonzero(~((np.abs(self.lon) <= 180.0) & (np.abs(self.lat) <= 90.0)))
        if len(bad):
            message = f"venue {bad[0]} is at {self.lon[bad[0]]} {self.lat[bad[0]]}, expected -180..180 and -90..90"
            raise ValueError(message)


def _build(venues: _Venues, within_m: float) -> VenueGrid:
    cell_m = max(within_m / 3.0, _SMALLEST_CELL_M)
    rows_per_deg = _METRES_PER_ROW_DEGREE / cell_m
    # A degree of latitude is nowhere less than 110,574 m.
    reach_deg = within_m * (1.0 + _SLACK) / 110_574.0 + _MARGIN_DEG
    last_row = int(180.0 * rows_per_deg)
    south = np.clip(((venues.lat - reach_deg + 90.0) * rows_per_deg).astype(np.int64), 0, last_row)
    north = np.clip(((venues.lat + reach_deg + 90.0) * rows_per_deg).astype(np.int64), 0, last_row)
    first_band = int(south.min()) >> _TILE_BITS if len(south) else 0
    last_band = int(north.max()) >> _TILE_BITS if len(south) else -1
    bands = _bands(first_band, last_band, rows_per_deg, cell_m)
    venue, step = _spread(north - south + 1)
    row = south[venue] + step
    pairs = _cells_in_reach(venues, within_m, rows_per_deg, bands[(row >> _TILE_BITS) - first_band], venue, row)
    venue, row, column = pairs
    band = (row >> _TILE_BITS) - first_band
    tile_key, tile = np.unique((band << _BLOCK_BITS) | (column >> _TILE_BITS), return_inverse=True)
    cell = tile * _CELLS + ((row & (_TILE - 1)) << _TILE_BITS) + (column & (_TILE - 1))
    order = np.lexsort((venue, cell))
    starts = np.zeros(len(tile_key) * _CELLS + 1, dtype=np.int32)
    np.cumsum(np.bincount(cell, minlength=len(starts) - 1), out=starts[1:])
    chosen = venue[order]
    places = np.ascontiguousarray(np.column_stack([venues.lon[chosen], venues.lat[chosen]]))
    return VenueGrid(
        rows_per_deg, first_band, float(within_m), bands, _hashed(tile_key), starts, places, chosen.astype(np.int32)
    )


def _bands(first: int, last: int, rows_per_deg: float, cell_m: float) -> npt.NDArray[np.float64]:
    """Return the columns of ``VenueGrid.bands``.

    The metres per degree are Taylor polynomials of the second degree. With M and N the radii of curvature, the radius
    of a parallel ``N cos`` falls by ``M sin`` per radian, and M itself grows by ``3 e2 sin cos M / w2``.
    """
    centre = np.minimum((np.arange(first, last + 1) + 0.5) * _TILE / rows_per_deg - 90.0, 90.0)
    east, north = metres_per_degree(centre)
    sine, cosine = np.sin(np.radians(centre)), np.cos(np.radians(centre))
    e2 = (2.0 - 1.0 / 298.257223563) / 298.257223563
    w2 = 1.0 - e2 * sine * sine
    per_radian = 3.0 * e2 * sine * cosine / w2
    north1 = north * per_radian
    north2 = north * (3.0 * e2 * (cosine * cosine - sine * sine) / w2 + per_radian * per_radian * 5.0 / 3.0)
    east1 = -north * sine
    east2 = -(north1 * sine + north * cosine)
    rad = np.pi / 180.0
    columns = np.maximum(np.floor(360.0 * east / cell_m), 1.0)
    bands = [centre, columns / 360.0, columns, east, east1 * rad, east2 * rad**2 / 2.0]
    bands += [north, north1 * rad, north2 * rad**2 / 2.0]
    return np.ascontiguousarray(np.column_stack(bands))


def _cells_in_reach(
    venues: _Venues,
    within_m: float,
    rows_per_deg: float,
    band: npt.NDArray[np.float64],
    venue: IntColumn,
    row: IntColumn,
) -> tuple[IntColumn, IntColumn, IntColumn]:
    """Return venue, row and column of the cells where a venue can be the nearest one in reach.

    For each cell and venue a lower and an upper bound of the distance are taken between the venue and the cell's box,
    by the scales at the ends of the middle latitudes. A venue stays when its lower bound is below the radius and
    below the least upper bound in the cell; slack of one in a million covers the rounding and the frame.
    """
    low = row / rows_per_deg - 90.0 - _MARGIN_DEG
    high = (row + 1) / rows_per_deg - 90.0 + _MARGIN_DEG
    lat = venues.lat[venue]
    scales = np.stack([metres_per_degree(np.clip(0.5 * (lat + side), -90.0, 90.0)) for side in (low, high)])
    least, most = scales.min(axis=0), scales.max(axis=0)
    with np.errstate(divide="ignore"):
        reach_deg = np.minimum(within_m * (1.0 + _SLACK) / least[0], 180.0) + _MARGIN_DEG
    west = np.floor((venues.lon[venue] - reach_deg + 180.0) * band[:, _PER_DEGREE]).astype(np.int64)
    east = np.floor((venues.lon[venue] + reach_deg + 180.0) * band[:, _PER_DEGREE]).astype(np.int64)
    columns = band[:, _COLUMNS].astype(np.int64)
    round_earth = east - west + 1 >= columns
    pair, step = _spread(np.where(round_earth, columns, east - west + 1))
    unwrapped = west[pair] + step
    left = unwrapped / band[pair, _PER_DEGREE] - 180.0 - _MARGIN_DEG - venues.lon[venue[pair]]
    right = (unwrapped + 1) / band[pair, _PER_DEGREE] - 180.0 + _MARGIN_DEG - venues.lon[venue[pair]]
    nearest_lon = np.where(round_earth[pair], 0.0, np.maximum(np.maximum(left, -right), 0.0))
    nearest_lat = np.maximum(np.maximum(low - lat, lat - high), 0.0)[pair]
    farthest_lon = np.minimum(np.maximum(np.abs(left), np.abs(right)), 180.0)
    farthest_lat = np.maximum(np.abs(low - lat), np.abs(high - lat))[pair]
    lower = np.hypot(nearest_lon * least[0][pair], nearest_lat * least[1][pair]) * (1.0 - _SLACK) - _SLACK
    upper = np.hypot(farthest_lon * most[0][pair], farthest_lat * most[1][pair]) * (1.0 + _SLACK) + _SLACK
    column = unwrapped % columns[pair]
    _, cell = np.unique((row[pair] << (_BLOCK_BITS + _TILE_BITS)) | column, return_inverse=True)
    limit = np.full(int(cell.max(initial=-1)) + 1, within_m)
    np.minimum.at(limit, cell, upper)
    stays = lower <= limit[cell]
    return venue[pair[stays]], row[pair[stays]], column[stays]


def _hashed(keys: IntColumn) -> npt.NDArray[np.int64]:
    """Return an open-addressing table of the keys and their numbers, at most a quarter full."""
    slots = 8
    while slots < 4 * len(keys):
        slots *= 2
    table = np.full((slots, 2), -1, dtype=np.int64)
    for number, key in enumerate(keys.tolist()):
        slot = ((key * _HASH_FACTOR) >> _HASH_SHIFT) & (slots - 1)
        while table[slot, 0] >= 0:
            slot = (slot + 1) & (slots - 1)
        table[slot] = key, number
    return table
