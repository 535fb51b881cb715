"""Borders that matter to somebody and lie within a cone ahead, nearest point each: a scalar kernel.

For drivers of whose ways nothing is known but where they head. The cells round the cone are looked through; most hold
no border that is wanted and cost one load and one test.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, uncounted
from geo_engine.index.border_grid import COLUMNS, MOST_PROFILES, PER_DEGREE, ROWS, BorderGrid, record_at
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["Cone", "Found", "wanted_within"]

_MOST_CELLS: Final = 64


class Cone(NamedTuple):
    """Where to look.

    Attributes:
        lon: longitude of the tip, -180 .. 180.
        lat: latitude of the tip.
        lon_m: metres of a degree of longitude there.
        lat_m: metres of a degree of latitude there.
        ahead_x: direction of the axis, a unit vector: east.
        ahead_y: the same, north.
        least_cosine: cosine of half the opening, at most a right angle.
        reach_m: how far.
    """

    lon: float
    lat: float
    lon_m: float
    lat_m: float
    ahead_x: float
    ahead_y: float
    least_cosine: float
    reach_m: float


class Found(NamedTuple):
    """Room for what is found, one row a zone; room for every zone.

    Attributes:
        zone: position of the zone.
        distance_m: metres to the nearest point of its border within the cone.
        east_m: the way to that point.
        north_m: the same, to the north.
    """

    zone: IntColumn
    distance_m: FloatColumn
    east_m: FloatColumn
    north_m: FloatColumn


@uncounted
def wanted_within(grid: BorderGrid, cone: Cone, profile: int, wanted: npt.NDArray[np.uint64], found: Found) -> int:
    """Write the wanted zones with a border within a cone, each once, in the order met; return their number.

    The nearest point of an edge counts where it lies in the cone, else where the axis meets the edge; a border that
    lies in the cone with neither is missed, which only a zone narrower than the cone beside its tip can be. The cone
    is cut at the edge of the map and where it covers more than 64 x 64 cells.

    Cost: about 2 ns per cell of 1/512 degree round the cone, 5 ns per edge of a wanted border in them.
    """
    # The corners of the cone's box: tip, end of the axis, ends of both sides.
    sine = math.sqrt(max(1.0 - cone.least_cosine * cone.least_cosine, 0.0))
    left_x = cone.ahead_x * cone.least_cosine - cone.ahead_y * sine
    left_y = cone.ahead_y * cone.least_cosine + cone.ahead_x * sine
    right_x = cone.ahead_x * cone.least_cosine + cone.ahead_y * sine
    right_y = cone.ahead_y * cone.least_cosine - cone.ahead_x * sine
    # A sector reaches beyond those corners where it holds a direction of the compass.
    west, east = min(0.0, left_x, right_x), max(0.0, left_x, right_x)
    south, north = min(0.0, left_y, right_y), max(0.0, left_y, right_y)
    west = -1.0 if -cone.ahead_x >= cone.least_cosine else west
    east = 1.0 if cone.ahead_x >= cone.least_cosine else east
    south = -1.0 if -cone.ahead_y >= cone.least_cosine else south
    north = 1.0 if cone.ahead_y >= cone.least_cosine else north
    across, along = cone.reach_m / max(cone.lon_m, 1.0) * PER_DEGREE, cone.reach_m / cone.lat_m * PER_DEGREE
    x, y = (cone.lon + 180.0) * PER_DEGREE, (cone.lat + 90.0) * PER_DEGREE
    column0, row0 = math.floor(max(x + west * across, x - _MOST_CELLS / 2)), int(max(y + south * along, 0.0))
    column1, row1 = math.floor(x + east * across), int(min(y + north * along, ROWS - 1.0))
    own, none = np.uint64(1) << np.uint64(profile % MOST_PROFILES), np.uint64(0)
    count = 0
    for row in range(row0, min(row1, row0 + _MOST_CELLS) + 1):
        for column in range(column0, min(column1, column0 + _MOST_CELLS) + 1):
            # Beyond the edge of the map it goes on one turn away.
            turned, move = column, 0.0
            if column < 0:
                turned, move = column + COLUMNS, 360.0
            elif column >= COLUMNS:
                turned, move = column - COLUMNS, -360.0
            record = record_at(grid, turned, row)
            if (grid.cell_bits[record] & own) != none:
                count = _look_in(grid, record, cone, move, profile, wanted, found, count)
    return count


@bare
def _look_in(
    grid: BorderGrid,
    record: int,
    cone: Cone,
    move: float,
    profile: int,
    wanted: npt.NDArray[np.uint64],
    found: Found,
    count: int,
) -> int:
    """Add the zones of one cell, or bring what is known of them nearer."""
    own, none = np.uint64(1) << np.uint64(profile % MOST_PROFILES), np.uint64(0)
    for border in range(grid.cell_first[record], grid.cell_first[record + 1]):
        that = grid.border[border]
        if (that["bits"] & own) == none:
            continue
        zone = that["zone"]
        if (wanted[profile, zone >> 6] >> np.uint64(zone & 63)) & np.uint64(1) == none:
            continue
        tip_x = cone.lon + move - that["turn"]
        # The box of the border is farther than the reach: most end here.
        beside = max(abs(that["middle_x"] - tip_x) - that["half_x"], 0.0) * cone.lon_m
        beyond = max(abs(that["middle_y"] - cone.lat) - that["half_y"], 0.0) * cone.lat_m
        if beside * beside + beyond * beyond > cone.reach_m * cone.reach_m:
            continue
        at = 0
        while at < count and found.zone[at] != zone:
            at += 1
        nearest = cone.reach_m if at == count else found.distance_m[at]
        for j in range(that["first"], that["end"]):
            ax, ay = (grid.edge[j, 0] - tip_x) * cone.lon_m, (grid.edge[j, 1] - cone.lat) * cone.lat_m
            bx, by = (grid.edge[j, 2] - tip_x) * cone.lon_m, (grid.edge[j, 3] - cone.lat) * cone.lat_m
            east, north = _point_in_cone(ax, ay, bx, by, cone)
            distance = math.sqrt(east * east + north * north)
            if distance <= nearest:
                nearest = distance
                found.zone[at], found.distance_m[at] = zone, distance
                found.east_m[at], found.north_m[at] = east, north
                count = max(count, at + 1)
    return count


@uncounted
def _point_in_cone(ax: float, ay: float, bx: float, by: float, cone: Cone) -> tuple[float, float]:
    """Return the nearest point of an edge, or that on the axis, whichever lies in the cone; inf = neither."""
    way_x, way_y = bx - ax, by - ay
    length = way_x * way_x + way_y * way_y
    part = min(max(-(ax * way_x + ay * way_y) / length, 0.0), 1.0) if length > 0.0 else 0.0
    x, y = ax + part * way_x, ay + part * way_y
    if x * cone.ahead_x + y * cone.ahead_y >= cone.least_cosine * math.sqrt(x * x + y * y):
        return x, y
    a_side, b_side = cone.ahead_x * ay - cone.ahead_y * ax, cone.ahead_x * by - cone.ahead_y * bx
    if a_side * b_side < 0.0:
        part = a_side / (a_side - b_side)
        x, y = ax + part * way_x, ay + part * way_y
        if x * cone.ahead_x + y * cone.ahead_y >= 0.0:
            return x, y
    return math.inf, math.inf
