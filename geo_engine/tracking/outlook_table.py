"""The forecast table of learnt states: found by place and heading alone, read at every ping."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import uncounted
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.tracking.chain import LearntChain
from geo_engine.tracking.flow_kernels import CELLS_A_SIDE, HEADINGS, ROWS_PER_DEGREE, columns_per_degree, heading_of
from geo_engine.tracking.forecast import OUTLOOK, Outlooks, fields_of

__all__ = [
    "LEARNT_SHARE",
    "UNKNOWN",
    "Ahead",
    "Mover",
    "OutlookTable",
    "ahead_room",
    "blend_chances",
    "forecast_at",
    "outlook_table",
]

UNKNOWN: Final = -1
"""Answer where nothing was learnt."""

LEARNT_SHARE: Final = 0.25
"""Weight of the driving time others took in the seconds told; the rest is the straight distance at the user's speed. On
simulated cities a quarter warns best: the straight way is what cannot be driven faster."""

_TILES_A_DEGREE: Final = ROWS_PER_DEGREE // CELLS_A_SIDE
_SLOTS: Final = CELLS_A_SIDE * CELLS_A_SIDE * HEADINGS


class Ahead(NamedTuple):
    """Room for the zones ahead of one ping, one row each; room for every zone.

    Attributes:
        zone: position of the zone.
        chance: probability to enter it within 180 s.
        eta_s: seconds until then.
        distance_m: straight metres to its nearest point.
        east_m: the way to that point.
        north_m: the same, to the north.
    """

    zone: IntColumn
    chance: FloatColumn
    eta_s: FloatColumn
    distance_m: FloatColumn
    east_m: FloatColumn
    north_m: FloatColumn


class Mover(NamedTuple):
    """A moving user.

    Attributes:
        lon: longitude, -180 .. 180.
        lat: latitude.
        lon_m: metres of a degree of longitude there.
        lat_m: metres of a degree of latitude there.
        east_mps: velocity.
        north_mps: the same, to the north.
        reach_s: how far to look where nothing was learnt: ``ApproachPolicy.reach_s``.
    """

    lon: float
    lat: float
    lon_m: float
    lat_m: float
    east_mps: float
    north_mps: float
    reach_s: float


def ahead_room(zones: int) -> Ahead:
    """Return room for so many zones."""
    return Ahead(np.zeros(zones, dtype=np.int64), *(np.zeros(zones) for _ in range(5)))


class OutlookTable(NamedTuple):
    """Zones ahead by state; immutable.

    A state's slot is found by three loads that stay in the cache for a city: degree, tile of 16 x 16 cells, slot. The
    slots of a tile take 8 kB.

    Attributes:
        columns: columns of cells per degree of longitude, by degree of latitude.
        root: int32 (64800,): number of the grid of tiles of a cell of one degree, -1 = none.
        tiles: int32: 88 x 88 tiles a degree; -1 = nothing is known there.
        begin: int32 (slots + 1,): twice where the records of a slot begin, plus 1 where the state is known.
        zone: int32 per record; this and the following are the fields of ``OUTLOOK``.
        chance: float32.
        eta_s: float32.
        east_m: int16: from the cell's south-west corner to the nearest point of the zone.
        north_m: int16.
    """

    columns: FloatColumn
    root: npt.NDArray[np.int32]
    tiles: npt.NDArray[np.int32]
    begin: npt.NDArray[np.int32]
    zone: npt.NDArray[np.int32]
    chance: npt.NDArray[np.float32]
    eta_s: npt.NDArray[np.float32]
    east_m: npt.NDArray[np.int16]
    north_m: npt.NDArray[np.int16]

    @property
    def nbytes(self) -> int:
        """Return the bytes it takes."""
        return self.root.nbytes + self.tiles.nbytes + self.begin.nbytes + len(self.zone) * OUTLOOK.itemsize


def outlook_table(learnt: LearntChain, outlooks: Outlooks) -> OutlookTable:
    """Lay outlooks of a learnt chain out by place. Cost: 20 ms for 500,000 states."""
    state = learnt.state
    heading, cell = state % HEADINGS, state // HEADINGS
    row, column = cell >> 19, cell & ((1 << 19) - 1)
    columns = columns_per_degree()
    degree = (row // ROWS_PER_DEGREE) * 360 + (column // columns[row // ROWS_PER_DEGREE]).astype(np.int64)
    inner_column = column - ((degree % 360) * columns[row // ROWS_PER_DEGREE]).astype(np.int64)
    inner_row = row % ROWS_PER_DEGREE
    used, grid = np.unique(degree, return_inverse=True)
    root = np.full(64_800, -1, dtype=np.int32)
    root[used] = np.arange(len(used))
    place = grid * _TILES_A_DEGREE**2 + (inner_row // CELLS_A_SIDE) * _TILES_A_DEGREE + inner_column // CELLS_A_SIDE
    known_tiles, tile = np.unique(place, return_inverse=True)
    tiles = np.full(len(used) * _TILES_A_DEGREE**2, -1, dtype=np.int32)
    tiles[known_tiles] = np.arange(len(known_tiles))
    inner = (inner_row % CELLS_A_SIDE) * CELLS_A_SIDE + inner_column % CELLS_A_SIDE
    slot = tile * _SLOTS + inner * HEADINGS + heading
    known = np.zeros(len(known_tiles) * _SLOTS + 1, dtype=np.int32)
    known[slot] = learnt.known
    # What a thin state says is not believed, so its outlooks are left out.
    kept = np.flatnonzero(learnt.known[outlooks.state])
    slots = slot[outlooks.state[kept]]
    order = np.argsort(slots, kind="stable")
    counts = np.bincount(slots, minlength=len(known))
    record = outlooks.outlook[kept[order]]
    corner = _from_corner(learnt, outlooks.state[kept[order]])
    record["east_m"] += np.rint(corner[0]).astype(np.int16)
    record["north_m"] += np.rint(corner[1]).astype(np.int16)
    begin = 2 * (np.cumsum(counts) - counts) + known
    return OutlookTable(columns, root, tiles, begin.astype(np.int32), **fields_of(record))


def _from_corner(learnt: LearntChain, rows: npt.NDArray[np.int32]) -> tuple[FloatColumn, FloatColumn]:
    """Return metres east and north of the places of states from the corners of their cells."""
    cell = learnt.state[rows] // HEADINGS
    row, column = cell >> 19, cell & ((1 << 19) - 1)
    per_degree = columns_per_degree()[row // ROWS_PER_DEGREE]
    lon, lat = learnt.chain.lon[rows], learnt.chain.lat[rows]
    lon_m, lat_m = metres_per_degree(lat)
    return (
        ((lon + 180.0) - column / per_degree) * lon_m,
        ((lat + 90.0) - row / ROWS_PER_DEGREE) * lat_m,
    )


@uncounted
def _records_of(table: OutlookTable, mover: Mover) -> tuple[int, int, float, float]:
    """Return the records of a user's state, and metres from the corner of its cell; ``UNKNOWN`` = too little is."""
    per_degree = table.columns[int(mover.lat + 90.0)]
    x, y = (mover.lon + 180.0) * per_degree, (mover.lat + 90.0) * ROWS_PER_DEGREE
    degree_x, degree_y = int(mover.lon + 180.0), int(mover.lat + 90.0)
    if degree_x >= 360 or degree_y >= 180:
        return UNKNOWN, 0, 0.0, 0.0
    grid = table.root[degree_y * 360 + degree_x]
    if grid < 0:
        return UNKNOWN, 0, 0.0, 0.0
    column, row = int(x), int(y)
    inner_x, inner_y = column - degree_x * int(per_degree), row - degree_y * ROWS_PER_DEGREE
    tile = table.tiles[(grid * _TILES_A_DEGREE + inner_y // CELLS_A_SIDE) * _TILES_A_DEGREE + inner_x // CELLS_A_SIDE]
    if tile < 0:
        return UNKNOWN, 0, 0.0, 0.0
    inner = (inner_y % CELLS_A_SIDE) * CELLS_A_SIDE + inner_x % CELLS_A_SIDE
    slot = tile * _SLOTS + inner * HEADINGS + heading_of(mover.east_mps, mover.north_mps)
    begin = table.begin[slot]
    if begin & 1 == 0:
        return UNKNOWN, 0, 0.0, 0.0
    own_x, own_y = (x - column) / per_degree * mover.lon_m, (y - row) / ROWS_PER_DEGREE * mover.lat_m
    return begin >> 1, table.begin[slot + 1] >> 1, own_x, own_y


@uncounted
def blend_chances(table: OutlookTable, mover: Mover, share: float, ahead: Ahead, count: int) -> None:
    """Mix the chances of zones ahead, ascending by zone, with those learnt at a user's place, where some were.

    Args:
        table: the forecast.
        mover: who.
        share: weight of what was learnt at the place.
        ahead: changed: the chances of its first rows.
        count: so many rows.
    """
    at, end, _, _ = _records_of(table, mover)
    if at < 0:
        return
    for row in range(count):
        while at < end and table.zone[at] < ahead.zone[row]:
            at += 1
        here = table.chance[at] if at < end and table.zone[at] == ahead.zone[row] else 0.0
        ahead.chance[row] = (1.0 - share) * ahead.chance[row] + share * here


@uncounted
def forecast_at(table: OutlookTable, mover: Mover, profile: int, wanted: npt.NDArray[np.uint64], ahead: Ahead) -> int:
    """Write the wanted zones ahead of a moving user, by what drivers did there before.

    Args:
        table: the forecast.
        mover: who, and where to; not standing.
        profile: row of ``wanted``.
        wanted: bit z & 63 of word z >> 6 = the profile wants zone z.
        ahead: written from the front, ascending by zone.

    Returns:
        The number of zones, ``UNKNOWN`` where too little was learnt. Zones the user is inside may be among them.
        Seconds are a mean of what others took and of the straight way at this speed. Cost: see
        ``benchmarks/quality``: three loads and 5 ns a zone.
    """
    first, end, own_x, own_y = _records_of(table, mover)
    if first < 0:
        return UNKNOWN
    count = 0
    speed_mps = math.sqrt(mover.east_mps * mover.east_mps + mover.north_mps * mover.north_mps)
    for at in range(first, end):
        zone = table.zone[at]
        if (wanted[profile, zone >> 6] >> np.uint64(zone & 63)) & np.uint64(1) == np.uint64(0):
            continue
        east_m, north_m = table.east_m[at] - own_x, table.north_m[at] - own_y
        distance_m = math.sqrt(east_m * east_m + north_m * north_m)
        ahead.zone[count] = zone
        ahead.chance[count] = table.chance[at]
        ahead.eta_s[count] = LEARNT_SHARE * table.eta_s[at] + (1.0 - LEARNT_SHARE) * distance_m / speed_mps
        ahead.distance_m[count] = distance_m
        ahead.east_m[count], ahead.north_m[count] = east_m, north_m
        count += 1
    return count
