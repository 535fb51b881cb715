"""Finds the piece of road a moving user is on, by place and heading alone, and what lies ahead of it.

Nothing is remembered of a user: with pings 10 m off and roads that are no closer than 40 m the heading decides nearly
always (the emission model of Newson and Krumm 2009, Hidden Markov Map Matching, without its transitions).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel, uncounted
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.geodesy.kernels import degree_lengths
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.tracking.listing import Listing, no_listing
from geo_engine.tracking.outlook_table import LEARNT_SHARE, UNKNOWN, Ahead, Mover, velocity_of
from geo_engine.tracking.wanted import Wanted

__all__ = ["RoadGrid", "RoadTable", "forecast_on_road", "no_roads", "road_grid", "snap", "snap_all"]

_PER_DEGREE: Final = 1_024
_AROUND_M: Final = 50.0
_ERROR_M: Final = 12.0
_HEADING_ERROR: Final = 0.4
_LEAST_COSINE: Final = 0.5
_FREE: Final = -1


class RoadGrid(NamedTuple):
    """Pieces by cells of 1/1024 degree, each with those within 50 m of it; the cells are in a hash table.

    Attributes:
        key: int64: the cell of a slot, -1 = free; its length is a power of two.
        first: int32 (slots + 1,): where the pieces of a slot begin.
        piece: int32: pieces.
        lon0: begin of each piece, degrees.
        lat0: the same.
        lon1: its end.
        lat1: the same.
    """

    key: IntColumn
    first: npt.NDArray[np.int32]
    piece: npt.NDArray[np.int32]
    lon0: FloatColumn
    lat0: FloatColumn
    lon1: FloatColumn
    lat1: FloatColumn


def road_grid(lon: FloatColumn, lat: FloatColumn) -> RoadGrid:
    """Lay pieces out by place; both columns are (pieces, 2), begin and end. Cost: 1 us a piece."""
    lon_m, lat_m = metres_per_degree(lat.mean(axis=1))
    aside, along = _AROUND_M / np.maximum(lon_m, 1.0), _AROUND_M / np.maximum(lat_m, 1.0)
    west = np.floor((lon.min(axis=1) - aside + 180.0) * _PER_DEGREE).astype(np.int64)
    east = np.floor((lon.max(axis=1) + aside + 180.0) * _PER_DEGREE).astype(np.int64)
    south = np.floor((lat.min(axis=1) - along + 90.0) * _PER_DEGREE).astype(np.int64)
    north = np.floor((lat.max(axis=1) + along + 90.0) * _PER_DEGREE).astype(np.int64)
    width, count = east - west + 1, (east - west + 1) * (north - south + 1)
    piece = np.repeat(np.arange(len(lon)), count)
    within = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    cell = ((south[piece] + within // width[piece]) << 20) + west[piece] + within % width[piece]
    cells, number = np.unique(cell, return_inverse=True)
    slots = 1 << max(int(np.ceil(np.log2(max(2 * len(cells), 2)))), 1)
    key = np.full(slots, _FREE, dtype=np.int64)
    slot = _placed(key, cells)
    order = np.argsort(slot[number], kind="stable")
    first = np.searchsorted(slot[number][order], np.arange(slots + 1)).astype(np.int32)
    ends = (lon[:, 0].copy(), lat[:, 0].copy(), lon[:, 1].copy(), lat[:, 1].copy())
    return RoadGrid(key, first, piece[order].astype(np.int32), *ends)


@kernel
def _placed(key: IntColumn, cells: IntColumn) -> IntColumn:
    slot = np.empty(len(cells), dtype=np.int64)
    for k in range(len(cells)):
        at = _slot_of(cells[k], len(key))
        while key[at] != _FREE:
            at = (at + 1) & (len(key) - 1)
        key[at], slot[k] = cells[k], at
    return slot


@uncounted
def _slot_of(cell: int, slots: int) -> int:
    return int((((cell ^ (cell >> 20)) & 0x7FFFFFFF) * 0x9E3779B1) >> 24) & (slots - 1)


@uncounted
def snap(
    grid: RoadGrid, place: tuple[float, float], scale: tuple[float, float], velocity: tuple[float, float]
) -> tuple[int, float]:
    """Return the piece of road a moving user is on, and metres from its begin; -1 = none.

    Args:
        grid: the roads.
        place: lon, lat.
        scale: metres of a degree of each there.
        velocity: metres per second east and north; not standing.

    Cost: one access to memory, 5 ns a piece near.
    """
    lon, lat = place
    cell = (int((lat + 90.0) * _PER_DEGREE) << 20) + int((lon + 180.0) * _PER_DEGREE)
    mask = len(grid.key) - 1
    at = _slot_of(cell, len(grid.key))
    while grid.key[at] != cell and grid.key[at] != _FREE:
        at = (at + 1) & mask
    best, best_cost, along_m = -1, math.inf, 0.0
    if grid.key[at] == _FREE:
        return best, along_m
    speed = math.sqrt(velocity[0] * velocity[0] + velocity[1] * velocity[1])
    for k in range(grid.first[at], grid.first[at + 1]):
        piece = grid.piece[k]
        ax, ay = (grid.lon0[piece] - lon) * scale[0], (grid.lat0[piece] - lat) * scale[1]
        way_x = (grid.lon1[piece] - grid.lon0[piece]) * scale[0]
        way_y = (grid.lat1[piece] - grid.lat0[piece]) * scale[1]
        length = math.sqrt(way_x * way_x + way_y * way_y)
        if length <= 0.0:
            continue
        cosine = (way_x * velocity[0] + way_y * velocity[1]) / (length * speed)
        if cosine < _LEAST_COSINE:
            continue
        part = min(max(-(ax * way_x + ay * way_y) / (length * length), 0.0), 1.0)
        x, y = ax + part * way_x, ay + part * way_y
        away = x * x + y * y
        if away > _AROUND_M * _AROUND_M:
            continue
        # 2 (1 - cos) is the angle squared, nearly, and spares its calculation.
        cost = away / (2.0 * _ERROR_M * _ERROR_M) + (1.0 - cosine) / (_HEADING_ERROR * _HEADING_ERROR)
        if cost < best_cost:
            best, best_cost, along_m = piece, cost, part * length
    return best, along_m


@kernel
def _snap_all(
    grid: RoadGrid, lon: FloatColumn, lat: FloatColumn, scale: FloatColumn, east: FloatColumn, north: FloatColumn
) -> tuple[IntColumn, FloatColumn]:
    piece, along_m = np.empty(len(lon), dtype=np.int64), np.zeros(len(lon))
    for k in range(len(lon)):
        piece[k] = -1
        if east[k] != 0.0 or north[k] != 0.0:
            piece[k], along_m[k] = snap(grid, (lon[k], lat[k]), (scale[k, 0], scale[k, 1]), (east[k], north[k]))
    return piece, along_m


def snap_all(
    grid: RoadGrid, lon: FloatColumn, lat: FloatColumn, east_mps: FloatColumn, north_mps: FloatColumn
) -> tuple[IntColumn, FloatColumn]:
    """Return ``snap`` of columns; who stands is on no road."""
    return _snap_all(grid, lon, lat, np.column_stack(metres_per_degree(lat)), east_mps, north_mps)


class RoadTable(NamedTuple):
    """Zones ahead by piece of road; immutable.

    Attributes:
        grid: the pieces by place.
        pieces: the zones ahead by piece; times and ways from its middle.
    """

    grid: RoadGrid
    pieces: Listing


def no_roads() -> RoadTable:
    """Return the table of no map: everybody is off all roads."""
    nothing = np.zeros((0, 2))
    return RoadTable(road_grid(nothing, nothing), no_listing(np.zeros(1, dtype=np.int32)))


@uncounted
def forecast_on_road(table: RoadTable, frame: FloatColumn, mover: Mover, wanted: Wanted, ahead: Ahead) -> int:
    """Write the wanted zones ahead of a moving user along the road; return their number, ``UNKNOWN`` off all roads.

    Arguments and the meaning of what is written are those of ``forecast_at``. Cost: see ``snap``, 5 ns a zone.
    """
    if len(table.grid.piece) == 0:
        return UNKNOWN
    lon, lat, speed_mps = mover.lon, mover.lat, mover.speed_mps
    lon_m, lat_m = degree_lengths(frame, lat)
    piece, along_m = snap(table.grid, (lon, lat), (lon_m, lat_m), velocity_of(mover))
    if piece < 0:
        return UNKNOWN
    if table.pieces.states[piece]["groups"] & wanted.groups[mover.profile] == np.uint32(0):
        return 0
    grid = table.grid
    x0, x1 = (grid.lon0[piece] - lon) * lon_m, (grid.lon1[piece] - lon) * lon_m
    y0, y1 = (grid.lat0[piece] - lat) * lat_m, (grid.lat1[piece] - lat) * lat_m
    behind_s = (along_m - math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) * 0.5) / speed_mps
    count = 0
    for at in range(table.pieces.states[piece]["begin"] >> 1, table.pieces.states[piece + 1]["begin"] >> 1):
        outlook = table.pieces.ahead[at]
        zone = outlook["zone"]
        if (wanted.bits[mover.profile, zone >> 6] >> np.uint64(zone & 63)) & np.uint64(1) == np.uint64(0):
            continue
        east_m, north_m = outlook["east_m"] + (x0 + x1) * 0.5, outlook["north_m"] + (y0 + y1) * 0.5
        distance_m = math.sqrt(east_m * east_m + north_m * north_m)
        ahead.zone[count] = zone
        ahead.chance[count] = outlook["chance"]
        learnt_s = max(outlook["eta_s"] - behind_s, 0.0)
        ahead.eta_s[count] = LEARNT_SHARE * learnt_s + (1.0 - LEARNT_SHARE) * distance_m / speed_mps
        ahead.distance_m[count] = distance_m
        ahead.east_m[count], ahead.north_m[count] = east_m, north_m
        count += 1
    return count
