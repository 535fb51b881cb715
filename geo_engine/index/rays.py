"""Look-ahead through the compiled cells: which borders that matter to somebody lie on the straight way ahead.

The most frequent question of all, so it has a structure of its own beside the cells: one level of cells (1/512 degree
or larger), each with the borders in it, and a bit per profile, for each cell and each border, that says whether it
matters to vehicles of that profile now. A cell without such a border costs one load and one test.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, kernel, uncounted
from geo_engine.index.kernels import Cells, entry_counts, entry_zone
from geo_engine.index.predicates import segments_meet
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["MOST_PROFILES", "RayGrid", "mark_wanted", "ray_grid", "wanted_ahead"]

MOST_PROFILES: Final = 64
"""Profiles that have a bit of their own; with more, those 64 apart share one and the border's zone is asked as well."""

_COLUMNS: Final = 184_320
_ROWS: Final = 92_160
_PER_DEGREE: Final = 512.0

# More than the rounding of a cross product can be, per degree of the way: coordinates differ by less than 2^11 degrees.
_SURE: Final = 2.0**-40
_NEVER: Final = 2.0
_FAR: Final = 1e300

# Nearer than this to either end of the way, the exact test says whether it is a contact.
_CLEAR: Final = 1e-9


class RayGrid(NamedTuple):
    """Borders by cell; immutable but for the bits.

    Attributes:
        root: int32 (64800,): per cell of one degree the number of its cell record, or ``~t`` for a table.
        table1: int32: 32 x 32 cells of 1/32 degree per table.
        table2: int32: 16 x 16 cells of 1/512 degree per table, cell records only.
        cell_first: int32 (cells + 1,): where the borders of a cell begin. Record 0 has none.
        cell_bits: uint64 per cell: profiles some border of it matters to.
        bits: uint64 per border: profiles it matters to.
        zone: int32 per border: zone position.
        turn: float64 per border: degrees the zone is moved by.
        edge_first: int32 (borders + 1,): where the edges of a border begin.
        edge: float64 (edges, 4): x0, y0, x1, y1 as the zone has them.
    """

    root: npt.NDArray[np.int32]
    table1: npt.NDArray[np.int32]
    table2: npt.NDArray[np.int32]
    cell_first: npt.NDArray[np.int32]
    cell_bits: npt.NDArray[np.uint64]
    bits: npt.NDArray[np.uint64]
    zone: npt.NDArray[np.int32]
    turn: FloatColumn
    edge_first: npt.NDArray[np.int32]
    edge: FloatColumn


def ray_grid(cells: Cells) -> RayGrid:
    """Lay out the borders of compiled cells for look-ahead. Cost: 10 ms for a city of 2,700 zones."""
    tables = (cells.root, cells.table1, _coarse(cells))
    used = np.unique(np.concatenate([table[table >= 0] for table in tables]))
    leaves = used[cells.page[used, 1] > 0].astype(np.int64)
    record = np.zeros(int(used.max(initial=0)) + 1, dtype=np.int32)
    record[leaves] = np.arange(1, len(leaves) + 1)
    root, table1, table2 = (np.where(t >= 0, record[np.maximum(t, 0)], t).astype(np.int32) for t in tables)
    cell_first, zone, turn, edge_first, edge = _collect(cells.page, leaves)
    return RayGrid(
        root=root,
        table1=table1,
        table2=table2,
        cell_first=cell_first,
        cell_bits=np.zeros(len(cell_first) - 1, dtype=np.uint64),
        bits=np.zeros(len(zone), dtype=np.uint64),
        zone=zone,
        turn=turn,
        edge_first=edge_first,
        edge=edge,
    )


def _coarse(cells: Cells) -> npt.NDArray[np.int32]:
    split = cells.table2 < 0
    table2 = cells.table2.copy()
    table2[split] = cells.coarse[-1 - cells.table2[split]]
    return table2


@kernel
def _collect(
    page: FloatColumn, leaves: IntColumn
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], FloatColumn, npt.NDArray[np.int32], FloatColumn]:
    borders, edges = 0, 0
    for leaf in leaves:
        at = leaf + 1
        for _ in range(int(page[leaf, 1])):
            count = entry_counts(page, at)[1]
            borders += 1
            edges += count
            at += 1 + count
    cell_first = np.zeros(len(leaves) + 2, dtype=np.int32)
    zone, turn = np.empty(borders, dtype=np.int32), np.empty(borders, dtype=np.float64)
    edge_first, edge = np.zeros(borders + 1, dtype=np.int32), np.empty((edges, 4), dtype=np.float64)
    border, row = 0, 0
    for k in range(len(leaves)):
        leaf = leaves[k]
        cell_first[k + 1] = border
        at = leaf + 1
        for _ in range(int(page[leaf, 1])):
            count = entry_counts(page, at)[1]
            zone[border], turn[border], _inside = entry_zone(page, at)
            edge_first[border] = row
            for j in range(count):
                edge[row, :] = page[at + 1 + j, :]
                row += 1
            border += 1
            at += 1 + count
    cell_first[len(leaves) + 1] = border
    edge_first[border] = row
    return cell_first, zone, turn, edge_first, edge


@bare
def mark_wanted(grid: RayGrid, wanted: npt.NDArray[np.uint64]) -> None:
    """Set the bits from what each profile wants.

    Args:
        grid: written: ``cell_bits`` and ``bits``.
        wanted: uint64 (profiles, words): bit ``z & 63`` of word ``z >> 6`` = the profile wants zone z.

    Cost: 1 ns per border and profile.
    """
    one = np.uint64(1)
    for cell in range(len(grid.cell_bits)):
        every = np.uint64(0)
        for border in range(grid.cell_first[cell], grid.cell_first[cell + 1]):
            zone = grid.zone[border]
            found = np.uint64(0)
            for profile in range(wanted.shape[0]):
                bit = (wanted[profile, zone >> 6] >> np.uint64(zone & 63)) & one
                found |= bit << np.uint64(profile % MOST_PROFILES)
            grid.bits[border] = found
            every |= found
        grid.cell_bits[cell] = every


@uncounted
def _record_at(grid: RayGrid, column: int, row: int) -> int:
    """Return the cell record at a cell of 1/512 degree."""
    value = int(grid.root[(row >> 9) * 360 + (column >> 9)])
    if value < 0:
        value = int(grid.table1[((-1 - value) << 10) + (((row >> 4) & 31) << 5) + ((column >> 4) & 31)])
        if value < 0:
            value = int(grid.table2[((-1 - value) << 8) + ((row & 15) << 4) + (column & 15)])
    return value


@uncounted
def wanted_ahead(  # noqa: PLR0917 - a way is four numbers
    grid: RayGrid,
    lon: float,
    lat: float,
    end_lon: float,
    end_lat: float,
    profile: int,
    wanted: npt.NDArray[np.uint64],
    zones: IntColumn,
    fractions: FloatColumn,
) -> int:
    """Write the wanted zones whose border the way meets, each once, and the fraction at which it first does.

    Args:
        grid: borders, with bits set by ``mark_wanted``.
        lon: longitude of the start, -180 .. 180.
        lat: latitude of the start.
        end_lon: longitude of the end, continuous from ``lon``: it may leave -180 .. 180.
        end_lat: latitude of the end.
        profile: row of ``wanted``.
        wanted: what ``mark_wanted`` was given.
        zones: written from the front, in the order met; room for every zone.
        fractions: written beside ``zones``: 0 = the start, 1 = the end; where rounding hides the place, 1.

    Returns:
        The number of zones. Cost: about 10 ns per cell on the way, 3 ns per edge of a wanted border in it.
    """
    count, move = 0, 0.0
    while True:
        count = _walk(grid, lon + move, lat, end_lon + move, end_lat, profile, wanted, zones, fractions, count)
        # A way that leaves the map goes on one turn away.
        if move == 0.0 and end_lon > 180.0:
            move = -360.0
        elif move == 0.0 and end_lon < -180.0:
            move = 360.0
        else:
            break
    for k in range(count):
        fractions[k] = min(fractions[k], 1.0)
    return count


@uncounted
def _walk(  # noqa: PLR0917 - a way is four numbers
    grid: RayGrid,
    lon: float,
    lat: float,
    end_lon: float,
    end_lat: float,
    profile: int,
    wanted: npt.NDArray[np.uint64],
    zones: IntColumn,
    fractions: FloatColumn,
    count: int,
) -> int:
    """Walk from cell to cell (Amanatides and Woo 1987).

    All cells are taken as 1/512 degree: a way ahead is a few of them, and a step without a branch costs less than the
    larger steps would save.
    """
    x0, y0 = (lon + 180.0) * _PER_DEGREE, (lat + 90.0) * _PER_DEGREE
    dx, dy = (end_lon + 180.0) * _PER_DEGREE - x0, (end_lat + 90.0) * _PER_DEGREE - y0
    here = 0.0
    if x0 < 0.0:
        here = -x0 / dx if dx > 0.0 else _NEVER
    elif x0 > _COLUMNS:
        here = (_COLUMNS - x0) / dx if dx < 0.0 else _NEVER
    column = min(max(int(x0 + here * dx), 0), _COLUMNS - 1)
    row = min(max(int(y0 + here * dy), 0), _ROWS - 1)
    right, up = int(dx > 0.0), int(dy > 0.0)
    per_x = 1.0 / abs(dx) if dx != 0.0 else _FAR
    per_y = 1.0 / abs(dy) if dy != 0.0 else _FAR
    # The fractions at which the way leaves its column and its row.
    along_x = (column + 1 - x0 if right else x0 - column) * per_x if dx != 0.0 else _FAR
    along_y = (row + 1 - y0 if up else y0 - row) * per_y if dy != 0.0 else _FAR
    step_x, step_y = 2 * right - 1, 2 * up - 1
    own, none = np.uint64(1) << np.uint64(profile % MOST_PROFILES), np.uint64(0)
    while here <= 1.0 and 0 <= column < _COLUMNS and 0 <= row < _ROWS:
        record = _record_at(grid, column, row)
        if (grid.cell_bits[record] & own) != none:
            for border in range(grid.cell_first[record], grid.cell_first[record + 1]):
                if (grid.bits[border] & own) != none:
                    zone = grid.zone[border]
                    known = 0
                    while known < count and zones[known] != zone:
                        known += 1
                    if known < count and fractions[known] < here:
                        continue
                    fraction = _first_contact(grid, border, lon, lat, end_lon, end_lat)
                    if fraction >= 0.0 and (wanted[profile, zone >> 6] >> np.uint64(zone & 63)) & np.uint64(1) != none:
                        if known == count:
                            zones[count], fractions[count] = zone, fraction
                            count += 1
                        elif fraction < fractions[known]:
                            fractions[known] = fraction
        sideways = int(along_x <= along_y)
        here = min(along_x, along_y)
        column += step_x * sideways
        row += step_y * (1 - sideways)
        along_x += per_x * sideways
        along_y += per_y * (1 - sideways)
    return count


@uncounted
def _first_contact(grid: RayGrid, border: int, lon: float, lat: float, end_lon: float, end_lat: float) -> float:
    """Return the smallest fraction at which the way meets an edge of the border in this cell, 2 hidden, -1 never."""
    turn = grid.turn[border]
    px, py, qx, qy = lon - turn, lat, end_lon - turn, end_lat
    way_x, way_y = qx - px, qy - py
    sure = _SURE * (abs(way_x) + abs(way_y))
    found = -1.0
    for j in range(grid.edge_first[border], grid.edge_first[border + 1]):
        ax, ay, bx, by = grid.edge[j, 0] - px, grid.edge[j, 1] - py, grid.edge[j, 2] - px, grid.edge[j, 3] - py
        # Both ends surely on one side of the way's line: most edges end here.
        a_side, b_side = way_x * ay - way_y * ax, way_x * by - way_y * bx
        if (a_side > sure and b_side > sure) or (a_side < -sure and b_side < -sure):
            continue
        edge_x, edge_y, area = bx - ax, by - ay, b_side - a_side
        along = (ax * edge_y - ay * edge_x) / area if area != 0.0 else 0.0
        if (a_side > sure and b_side < -sure) or (a_side < -sure and b_side > sure):
            # The edge surely crosses the way's line, so only the place decides.
            if along < -_CLEAR or along > 1.0 + _CLEAR:
                continue
            if _CLEAR < along < 1.0 - _CLEAR:
                found = along if found < 0.0 else min(found, along)
                continue
        if not segments_meet(px, py, qx, qy, grid.edge[j, 0], grid.edge[j, 1], grid.edge[j, 2], grid.edge[j, 3]):
            continue
        if found < 0.0:
            found = _NEVER
        if area != 0.0:
            beside = (ax * way_y - ay * way_x) / area
            if 0.0 <= along <= 1.0 and 0.0 <= beside <= 1.0:
                found = min(found, along)
    return found
