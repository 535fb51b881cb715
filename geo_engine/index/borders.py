"""Questions to the borders: which of them a step touches, and whether that of a zone is near.

The most frequent questions after the place itself, so they have a structure of their own beside the cells
(``border_grid``).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, uncounted
from geo_engine.index.border_grid import COLUMNS, PER_DEGREE, ROWS, BorderGrid, record_at
from geo_engine.index.predicates import segments_meet
from geo_engine.model import IntColumn

__all__ = ["border_near", "touched_outside"]

# More than the rounding of a cross product can be, per degree of the way: coordinates differ by less than 2^11 degrees.
_SURE: Final = 2.0**-40
_NEVER: Final = 2.0
_FAR: Final = 1e300


@bare
def border_near(
    grid: BorderGrid, lon: float, lat: float, zone: int, within_m: float, lon_m: float, lat_m: float
) -> bool:
    """Say whether the border of a zone comes nearer to a position than so many metres.

    Args:
        grid: the borders.
        lon: longitude, -180 .. 180.
        lat: latitude.
        zone: position of the zone.
        within_m: metres, some hundred at most.
        lon_m: metres of a degree of longitude there; the local frame, see ``geodesy/frame.py``.
        lat_m: metres of a degree of latitude.

    Cost: about 10 ns per cell of 1/512 degree in reach, 5 ns per edge of the zone in it.
    """
    reach_x, reach_y = min(within_m / max(lon_m, 1.0), 1.0), within_m / lat_m
    west, east = int(np.floor((lon - reach_x + 180.0) * PER_DEGREE)), int((lon + reach_x + 180.0) * PER_DEGREE)
    south = max(int((lat - reach_y + 90.0) * PER_DEGREE), 0)
    north = min(int((lat + reach_y + 90.0) * PER_DEGREE), ROWS - 1)
    squared = within_m * within_m
    for row in range(south, north + 1):
        for column in range(west, east + 1):
            # Beyond the 180 degree meridian the map goes on one turn away.
            turned = 360.0 if column < 0 else (-360.0 if column >= COLUMNS else 0.0)
            record = record_at(grid, column % COLUMNS, row)
            border, end = _first_of(grid, record, zone), grid.cell_first[record + 1]
            while border < end and grid.border[border]["zone"] == zone:
                if _nearer(grid, border, lon + turned - grid.border[border]["turn"], lat, squared, lon_m, lat_m):
                    return True
                border += 1
    return False


@uncounted
def _first_of(grid: BorderGrid, record: int, zone: int) -> int:
    """Return where the borders of a zone would begin in a cell; they lie in order of their zones."""
    low, high = grid.cell_first[record], grid.cell_first[record + 1]
    while low < high:
        middle = (low + high) // 2
        if grid.border[middle]["zone"] < zone:
            low = middle + 1
        else:
            high = middle
    return int(low)


@uncounted
def _nearer(grid: BorderGrid, border: int, x: float, y: float, squared: float, lon_m: float, lat_m: float) -> bool:
    """Say whether an edge of the border comes nearer than the root of ``squared`` metres."""
    that = grid.border[border]
    beside_x = max(abs(x - that["middle_x"]) - that["half_x"], 0.0) * lon_m
    beside_y = max(abs(y - that["middle_y"]) - that["half_y"], 0.0) * lat_m
    if beside_x * beside_x + beside_y * beside_y > squared:
        return False
    for j in range(that["first"], that["end"]):
        ax, ay = (grid.edge[j, 0] - x) * lon_m, (grid.edge[j, 1] - y) * lat_m
        edge_x, edge_y = (grid.edge[j, 2] - grid.edge[j, 0]) * lon_m, (grid.edge[j, 3] - grid.edge[j, 1]) * lat_m
        length = edge_x * edge_x + edge_y * edge_y
        along = -(ax * edge_x + ay * edge_y) / length if length > 0.0 else 0.0
        along = min(max(along, 0.0), 1.0)
        ax, ay = ax + along * edge_x, ay + along * edge_y
        if ax * ax + ay * ay < squared:
            return True
    return False


@uncounted
def touched_outside(
    grid: BorderGrid,
    lon: float,
    lat: float,
    end_lon: float,
    end_lat: float,
    members: npt.NDArray[np.int32],
    some: tuple[int, int],
    others: tuple[int, int],
    zones: IntColumn,
) -> int:
    """Write the zones whose border a step touches, each once, but those in two given sets. Exact.

    Args:
        grid: the borders.
        lon: longitude of the start, -180 .. 180.
        lat: latitude of the start.
        end_lon: longitude of the end, continuous from ``lon``: it may leave -180 .. 180.
        end_lat: latitude of the end.
        members: zones of sets.
        some: (begin, end) in ``members`` of one set.
        others: the same for another; may be the same set.
        zones: written from the front, in the order met; room for every zone.

    Returns:
        The number of zones. Cost: about 20 ns for a step of 60 m, 2 ns per edge near it.
    """
    x0, y0 = (lon + 180.0) * PER_DEGREE, (lat + 90.0) * PER_DEGREE
    x1, y1 = (end_lon + 180.0) * PER_DEGREE, (end_lat + 90.0) * PER_DEGREE
    if 0.0 <= x1 < COLUMNS and int(x0) == int(x1) and int(y0) == int(y1) and y0 < ROWS:
        # Most steps stay in their cell.
        record = record_at(grid, min(int(x0), COLUMNS - 1), int(y0))
        return _touch_in(grid, record, lon, lat, end_lon, end_lat, members, some, others, zones, 0)
    count, move = 0, 0.0
    while True:
        count = _walk_step(grid, lon + move, lat, end_lon + move, end_lat, members, some, others, zones, count)
        if move == 0.0 and end_lon > 180.0:
            move = -360.0
        elif move == 0.0 and end_lon < -180.0:
            move = 360.0
        else:
            return count


@uncounted
def _walk_step(
    grid: BorderGrid,
    lon: float,
    lat: float,
    end_lon: float,
    end_lat: float,
    members: npt.NDArray[np.int32],
    some: tuple[int, int],
    others: tuple[int, int],
    zones: IntColumn,
    count: int,
) -> int:
    """Walk from cell to cell (Amanatides and Woo 1987).

    All cells are taken as 1/512 degree: a way crosses few of them, and a step without a branch costs less than the
    larger steps would save.
    """
    here, column, row, along_x, along_y, per_x, per_y = _begin(lon, lat, end_lon, end_lat)
    step_x, step_y = (1 if end_lon > lon else -1), (1 if end_lat > lat else -1)
    while here <= 1.0 and 0 <= column < COLUMNS and 0 <= row < ROWS:
        record = record_at(grid, column, row)
        count = _touch_in(grid, record, lon, lat, end_lon, end_lat, members, some, others, zones, count)
        sideways = int(along_x <= along_y)
        here = min(along_x, along_y)
        column += step_x * sideways
        row += step_y * (1 - sideways)
        along_x += per_x * sideways
        along_y += per_y * (1 - sideways)
    return count


@uncounted
def _begin(
    lon: float, lat: float, end_lon: float, end_lat: float
) -> tuple[float, int, int, float, float, float, float]:
    """Return where a way begins on the map, as a fraction and a cell, and when it leaves its column and its row.

    Returns:
        (fraction, column, row, fraction at which it leaves the column, the row, fraction per column, per row).
    """
    x0, y0 = (lon + 180.0) * PER_DEGREE, (lat + 90.0) * PER_DEGREE
    dx, dy = (end_lon + 180.0) * PER_DEGREE - x0, (end_lat + 90.0) * PER_DEGREE - y0
    here = 0.0
    if x0 < 0.0:
        here = -x0 / dx if dx > 0.0 else _NEVER
    elif x0 > COLUMNS:
        here = (COLUMNS - x0) / dx if dx < 0.0 else _NEVER
    if here > 1.0:
        return here, 0, 0, _FAR, _FAR, _FAR, _FAR
    column = min(max(int(x0 + here * dx), 0), COLUMNS - 1)
    row = min(max(int(y0 + here * dy), 0), ROWS - 1)
    per_x = 1.0 / abs(dx) if dx != 0.0 else _FAR
    per_y = 1.0 / abs(dy) if dy != 0.0 else _FAR
    along_x = (column + 1 - x0 if dx > 0.0 else x0 - column) * per_x if dx != 0.0 else _FAR
    along_y = (row + 1 - y0 if dy > 0.0 else y0 - row) * per_y if dy != 0.0 else _FAR
    return here, column, row, along_x, along_y, per_x, per_y


@bare
def _touch_in(
    grid: BorderGrid,
    record: int,
    lon: float,
    lat: float,
    end_lon: float,
    end_lat: float,
    members: npt.NDArray[np.int32],
    some: tuple[int, int],
    others: tuple[int, int],
    zones: IntColumn,
    count: int,
) -> int:
    """Add the zones whose border in one cell the step touches."""
    for border in range(grid.cell_first[record], grid.cell_first[record + 1]):
        that = grid.border[border]
        turn = that["turn"]
        px, py, qx, qy = lon - turn, lat, end_lon - turn, end_lat
        # Three tests and one branch: which of them fails cannot be foreseen, that one does nearly always.
        middle_x, middle_y = that["middle_x"], that["middle_y"]
        half_x, half_y = that["half_x"], that["half_y"]
        way_x, way_y = qx - px, qy - py
        beside_x = abs((px + qx) * 0.5 - middle_x) - (abs(way_x) * 0.5 + half_x)
        beside_y = abs((py + qy) * 0.5 - middle_y) - (abs(way_y) * 0.5 + half_y)
        off = abs(way_x * (middle_y - py) - way_y * (middle_x - px)) - (abs(way_x) * half_y + abs(way_y) * half_x)
        if (beside_x > 0.0) | (beside_y > 0.0) | (off > 0.0):
            continue
        zone = that["zone"]
        if (
            _listed(members, some[0], some[1], zone)
            or (others[1] != some[1] and _listed(members, others[0], others[1], zone))
            or _written(zones, count, zone)
        ):
            continue
        if _touches(grid, border, px, py, qx, qy):
            zones[count] = zone
            count += 1
    return count


@uncounted
def _touches(grid: BorderGrid, border: int, px: float, py: float, qx: float, qy: float) -> bool:
    way_x, way_y = qx - px, qy - py
    sure = _SURE * (abs(way_x) + abs(way_y))
    for j in range(grid.border[border]["first"], grid.border[border]["end"]):
        a_side = way_x * (grid.edge[j, 1] - py) - way_y * (grid.edge[j, 0] - px)
        b_side = way_x * (grid.edge[j, 3] - py) - way_y * (grid.edge[j, 2] - px)
        if (min(a_side, b_side) > sure) | (max(a_side, b_side) < -sure):
            continue
        if segments_meet(px, py, qx, qy, grid.edge[j, 0], grid.edge[j, 1], grid.edge[j, 2], grid.edge[j, 3]):
            return True
    return False


@uncounted
def _listed(members: npt.NDArray[np.int32], begin: int, end: int, zone: int) -> bool:
    """Say whether a set holds a zone. Sets are small, a scan beats a search."""
    for at in range(begin, end):  # noqa: SIM110 - Numba compiles no generator
        if members[at] == zone:
            return True
    return False


@uncounted
def _written(zones: IntColumn, count: int, zone: int) -> bool:
    for at in range(count):  # noqa: SIM110 - Numba compiles no generator
        if zones[at] == zone:
            return True
    return False
