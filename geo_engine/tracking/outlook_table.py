"""The forecast table of learnt states: found by place and heading alone, read at every ping."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import uncounted
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.geodesy.kernels import degree_lengths
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.tracking.chain import LearntChain
from geo_engine.tracking.flow_kernels import (
    CELLS_A_SIDE,
    HEADINGS,
    ROWS_PER_DEGREE,
    TILES_A_DEGREE,
    columns_per_degree,
    heading_of,
)
from geo_engine.tracking.forecast import Outlooks
from geo_engine.tracking.listing import Listing
from geo_engine.tracking.wanted import Wanted

__all__ = [
    "LEARNT_SHARE",
    "UNKNOWN",
    "Ahead",
    "Layout",
    "Mover",
    "OutlookTable",
    "ahead_room",
    "ask_for_forecast",
    "blend_chances",
    "by_slot",
    "forecast_at",
    "layout_of",
    "outlook_table",
    "velocity_of",
]

UNKNOWN: Final = -1
"""Answer where nothing was learnt."""

LEARNT_SHARE: Final = 0.25
"""Weight of the driving time others took in the seconds told; the rest is the straight distance at the user's speed. On
simulated cities a quarter warns best: the straight way is what cannot be driven faster."""

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
        east_mps: velocity; without meaning where ``told_deg`` is known.
        north_mps: the same, to the north.
        speed_mps: speed, above 0.
        told_deg: heading as the device tells it, 0 .. 360 from north; NaN = it does not.
        reach_s: how far to look where nothing was learnt: ``ApproachPolicy.reach_s``.
        profile: row of ``Wanted``.
    """

    lon: float
    lat: float
    east_mps: float
    north_mps: float
    speed_mps: float
    told_deg: float
    reach_s: float
    profile: int


def ahead_room(zones: int) -> Ahead:
    """Return room for so many zones."""
    return Ahead(np.zeros(zones, dtype=np.int64), *(np.zeros(zones) for _ in range(5)))


class OutlookTable(NamedTuple):
    """Zones ahead by state; immutable.

    A state's slot is found by three loads that stay in the cache for a city: degree, tile of 16 x 16 cells, slot. The
    slots of a tile take 16 kB.

    Attributes:
        columns: columns of cells per degree of longitude, by degree of latitude.
        root: int32 (64800,): number of the grid of tiles of a cell of one degree, -1 = none.
        tiles: int32: 88 x 88 tiles a degree; -1 = nothing is known there.
        slots: the zones ahead by slot; ways lead from the cell's south-west corner.
    """

    columns: FloatColumn
    root: npt.NDArray[np.int32]
    tiles: npt.NDArray[np.int32]
    slots: Listing

    @property
    def nbytes(self) -> int:
        """Return the bytes it takes."""
        return self.root.nbytes + self.tiles.nbytes + self.slots.nbytes


class Layout(NamedTuple):
    """Where the states of a chain lie in a table: the same for all zones.

    Attributes:
        root: of ``OutlookTable``.
        tiles: of ``OutlookTable``.
        slot: slot of each state, ascending.
        known: int32 (slots + 1,): 1 = the state there is known.
        east_m: int16 per state: from the corner of its cell to its place.
        north_m: int16 per state.
    """

    root: npt.NDArray[np.int32]
    tiles: npt.NDArray[np.int32]
    slot: IntColumn
    known: npt.NDArray[np.int32]
    east_m: npt.NDArray[np.int16]
    north_m: npt.NDArray[np.int16]


def layout_of(learnt: LearntChain) -> Layout:
    """Lay out the states of a chain. Cost: 0.2 us a state."""
    place, tile = np.unique(learnt.slot // _SLOTS, return_inverse=True)
    degree, within = place // TILES_A_DEGREE**2, place % TILES_A_DEGREE**2
    used, grid = np.unique(degree, return_inverse=True)
    root = np.full(64_800, -1, dtype=np.int32)
    root[used] = np.arange(len(used))
    tiles = np.full(len(used) * TILES_A_DEGREE**2, -1, dtype=np.int32)
    tiles[grid * TILES_A_DEGREE**2 + within] = np.arange(len(place))
    slot = tile * _SLOTS + learnt.slot % _SLOTS
    known = np.zeros(len(place) * _SLOTS + 1, dtype=np.int32)
    known[slot] = learnt.known
    corner = _from_corner(learnt)
    return Layout(root, tiles, slot, known, *(np.rint(way_m).astype(np.int16) for way_m in corner))


def outlook_table(layout: Layout, slots: Listing) -> OutlookTable:
    """Join a layout with what lies ahead of its slots."""
    return OutlookTable(columns_per_degree(), layout.root, layout.tiles, slots)


def by_slot(layout: Layout, outlooks: Outlooks) -> Outlooks:
    """Return outlooks by slot instead of state, ways from the corner of the cell instead of the state's place."""
    record = outlooks.outlook.copy()
    record["east_m"] += layout.east_m[outlooks.state]
    record["north_m"] += layout.north_m[outlooks.state]
    return Outlooks(layout.slot[outlooks.state].astype(np.int32), record)


def _from_corner(learnt: LearntChain) -> tuple[FloatColumn, FloatColumn]:
    """Return metres east and north of the places of states from the corners of their cells."""
    cell = learnt.state // HEADINGS
    row, column = cell >> 19, cell & ((1 << 19) - 1)
    per_degree = columns_per_degree()[row // ROWS_PER_DEGREE]
    lon, lat = learnt.chain.lon, learnt.chain.lat
    lon_m, lat_m = metres_per_degree(lat)
    return (
        ((lon + 180.0) - column / per_degree) * lon_m,
        ((lat + 90.0) - row / ROWS_PER_DEGREE) * lat_m,
    )


@uncounted
def _cell_at(table: OutlookTable, lon: float, lat: float) -> tuple[int, float, float]:
    """Return the first slot of a cell, and the place in the cell as shares of a side; ``UNKNOWN`` = none is there."""
    degree_x, degree_y = int(lon + 180.0), int(lat + 90.0)
    if degree_x >= 360 or degree_y >= 180:
        return UNKNOWN, 0.0, 0.0
    grid = table.root[degree_y * 360 + degree_x]
    if grid < 0:
        return UNKNOWN, 0.0, 0.0
    per_degree = table.columns[degree_y]
    x, y = (lon + 180.0) * per_degree, (lat + 90.0) * ROWS_PER_DEGREE
    column, row = int(x), int(y)
    inner_x, inner_y = column - degree_x * int(per_degree), row - degree_y * ROWS_PER_DEGREE
    tile = table.tiles[(grid * TILES_A_DEGREE + inner_y // CELLS_A_SIDE) * TILES_A_DEGREE + inner_x // CELLS_A_SIDE]
    if tile < 0:
        return UNKNOWN, 0.0, 0.0
    inner = (inner_y % CELLS_A_SIDE) * CELLS_A_SIDE + inner_x % CELLS_A_SIDE
    return tile * _SLOTS + inner * HEADINGS, x - column, y - row


@uncounted
def _slot_at(table: OutlookTable, mover: Mover) -> tuple[int, float, float]:
    """Return the slot of a user's state, and the place in its cell as shares of a side; ``UNKNOWN`` = too little is."""
    slot, part_x, part_y = _cell_at(table, mover.lon, mover.lat)
    if slot >= 0:
        slot += _heading(mover)
        if table.slots.states[slot]["begin"] & 1 == 0:
            return UNKNOWN, 0.0, 0.0
    return slot, part_x, part_y


@uncounted
def ask_for_forecast(table: OutlookTable, lon: float, lat: float) -> int:
    """Bring what is forecast at a place into the cache; the slots of a cell share a line.

    Returns a number that only keeps the reading from being left out.
    """
    slot, _, _ = _cell_at(table, lon, lat)
    if slot < 0:
        return 0
    return int(table.slots.ahead[table.slots.states[slot]["begin"] >> 1]["zone"])


@uncounted
def _heading(mover: Mover) -> int:
    if math.isnan(mover.told_deg):
        return heading_of(mover.east_mps, mover.north_mps)
    return int(mover.told_deg / 45.0 + 0.5) & (HEADINGS - 1)


@uncounted
def velocity_of(mover: Mover) -> tuple[float, float]:
    """Return metres per second east and north."""
    if math.isnan(mover.told_deg):
        return mover.east_mps, mover.north_mps
    heading = math.radians(mover.told_deg)
    return mover.speed_mps * math.sin(heading), mover.speed_mps * math.cos(heading)


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
    slot, _, _ = _slot_at(table, mover)
    if slot < 0:
        return
    at, end = table.slots.states[slot]["begin"] >> 1, table.slots.states[slot + 1]["begin"] >> 1
    for row in range(count):
        while at < end and table.slots.ahead[at]["zone"] < ahead.zone[row]:
            at += 1
        here = table.slots.ahead[at]["chance"] if at < end and table.slots.ahead[at]["zone"] == ahead.zone[row] else 0.0
        ahead.chance[row] = (1.0 - share) * ahead.chance[row] + share * here


@uncounted
def forecast_at(table: OutlookTable, frame: FloatColumn, mover: Mover, wanted: Wanted, ahead: Ahead) -> int:
    """Write the wanted zones ahead of a moving user, by what drivers did there before.

    Args:
        table: the forecast.
        frame: metres per degree by latitude.
        mover: who, and where to; not standing.
        wanted: what profiles want.
        ahead: written from the front, ascending by zone.

    Returns:
        The number of zones, ``UNKNOWN`` where too little was learnt. Zones the user is inside may be among them.
        Seconds are a mean of what others took and of the straight way at this speed. Cost: three loads, and 5 ns a zone
        where one of a group that is wanted is ahead.
    """
    slot, part_x, part_y = _slot_at(table, mover)
    if slot < 0:
        return UNKNOWN
    if table.slots.states[slot]["groups"] & wanted.groups[mover.profile] == np.uint32(0):
        return 0
    lon_m, lat_m = degree_lengths(frame, mover.lat)
    own_x = part_x / table.columns[int(mover.lat + 90.0)] * lon_m
    own_y = part_y / ROWS_PER_DEGREE * lat_m
    count = 0
    for at in range(table.slots.states[slot]["begin"] >> 1, table.slots.states[slot + 1]["begin"] >> 1):
        outlook = table.slots.ahead[at]
        zone = outlook["zone"]
        if (wanted.bits[mover.profile, zone >> 6] >> np.uint64(zone & 63)) & np.uint64(1) == np.uint64(0):
            continue
        east_m, north_m = outlook["east_m"] - own_x, outlook["north_m"] - own_y
        distance_m = math.sqrt(east_m * east_m + north_m * north_m)
        ahead.zone[count] = zone
        ahead.chance[count] = outlook["chance"]
        ahead.eta_s[count] = LEARNT_SHARE * outlook["eta_s"] + (1.0 - LEARNT_SHARE) * distance_m / mover.speed_mps
        ahead.distance_m[count] = distance_m
        ahead.east_m[count], ahead.north_m[count] = east_m, north_m
        count += 1
    return count
