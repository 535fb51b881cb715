"""Borders by cell: cells of 1/512 degree (one record for larger ones), each with the borders in it.

A border in a cell is one cache line: a bit per profile of vehicles it matters to now, its box inside the cell, and
where its edges are. Built from compiled cells; ``borders`` and ``cone`` ask it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, kernel, uncounted
from geo_engine.index.kernels import Cells, entry_counts, entry_zone
from geo_engine.model import FloatColumn, IntColumn

__all__ = [
    "BORDER",
    "COLUMNS",
    "MOST_PROFILES",
    "PER_DEGREE",
    "ROWS",
    "BorderGrid",
    "border_grid",
    "mark_wanted",
    "record_at",
    "unmarked",
]

MOST_PROFILES: Final = 64
"""Profiles that have a bit of their own; with more, those 64 apart share one and the border's zone is asked as well."""

BORDER: Final = np.dtype(
    [
        ("bits", np.uint64),  # profiles it matters to
        ("middle_x", np.float64),  # of its box inside the cell, in the zone's own longitudes
        ("middle_y", np.float64),
        ("half_x", np.float64),
        ("half_y", np.float64),
        ("turn", np.float64),  # degrees the zone is moved by
        ("zone", np.int32),
        ("first", np.int32),  # its edges
        ("end", np.int32),
        ("spare", np.int32),
    ],
    align=True,
)

COLUMNS: Final = 184_320
ROWS: Final = 92_160
PER_DEGREE: Final = 512.0

_FAR: Final = 1e300

# Cells keep the edges that come this near, so a box is cut that much outside its cell.
_MARGIN_DEG: Final = 4e-9


class BorderGrid(NamedTuple):
    """Borders by cell; immutable but for the bits.

    Attributes:
        root: int32 (64800,): per cell of one degree the number of its cell record, or ``~t`` for a table.
        table1: int32: 32 x 32 cells of 1/32 degree per table.
        table2: int32: 16 x 16 cells of 1/512 degree per table, cell records only.
        cell_first: int32 (cells + 1,): where the borders of a cell begin, in order of their zones. Record 0 has none.
        cell_bits: uint64 per cell: profiles some border of it matters to.
        border: ``BORDER`` records.
        edge: float64 (edges, 4): x0, y0, x1, y1 as the zone has them.
    """

    root: npt.NDArray[np.int32]
    table1: npt.NDArray[np.int32]
    table2: npt.NDArray[np.int32]
    cell_first: npt.NDArray[np.int32]
    cell_bits: npt.NDArray[np.uint64]
    border: npt.NDArray[np.void]
    edge: FloatColumn


def border_grid(cells: Cells) -> BorderGrid:
    """Lay out the borders of compiled cells. Cost: about 10 ms for a city of 2,700 zones."""
    split = cells.table2 < 0
    table2 = cells.table2.copy()
    table2[split] = cells.coarse[-1 - cells.table2[split]]
    sizes = ((cells.root, 1.0), (cells.table1, 1.0 / 32.0), (table2, 1.0 / 512.0))
    used = np.unique(np.concatenate([table[table >= 0] for table, _ in sizes]))
    leaves = used[cells.page[used, 1] > 0].astype(np.int64)
    record = np.zeros(int(used.max(initial=0)) + 1, dtype=np.int32)
    record[leaves] = np.arange(1, len(leaves) + 1)
    root, table1, table2 = (np.where(t >= 0, record[np.maximum(t, 0)], t).astype(np.int32) for t, _ in sizes)
    boxes = np.zeros((len(leaves) + 1, 4))
    _place_records(root, table1, table2, boxes)
    borders, edges = _counted(cells.page, leaves)
    cell_first = np.zeros(len(leaves) + 2, dtype=np.int32)
    edge = np.empty((edges, 4))
    grid = BorderGrid(
        root=root,
        table1=table1,
        table2=table2,
        cell_first=cell_first,
        cell_bits=np.zeros(len(leaves) + 1, dtype=np.uint64),
        border=np.zeros(borders, dtype=BORDER),
        edge=edge,
    )
    _collect(cells.page, leaves, boxes, grid)
    return grid


def unmarked(grid: BorderGrid) -> BorderGrid:
    """Return a copy whose bits may be marked. Cost: a copy of the borders, not of their edges."""
    border = grid.border.copy()
    border["bits"] = 0
    return grid._replace(cell_bits=np.zeros_like(grid.cell_bits), border=border)


@bare
def _place_records(
    root: npt.NDArray[np.int32], table1: npt.NDArray[np.int32], table2: npt.NDArray[np.int32], boxes: FloatColumn
) -> None:
    """Write west, south, east, north of the cell of every record. A record has one cell."""
    for at in range(len(root)):
        west, south = at % 360 - 180.0, at // 360 - 90.0
        if root[at] > 0:
            _set_box(boxes, root[at], west, south, 1.0)
        elif root[at] < 0:
            for inner in range(1024):
                value = table1[((-1 - root[at]) << 10) + inner]
                x, y = west + (inner & 31) / 32.0, south + (inner >> 5) / 32.0
                if value > 0:
                    _set_box(boxes, value, x, y, 1.0 / 32.0)
                elif value < 0:
                    for cell in range(256):
                        found = table2[((-1 - value) << 8) + cell]
                        if found > 0:
                            _set_box(boxes, found, x + (cell & 15) / 512.0, y + (cell >> 4) / 512.0, 1.0 / 512.0)


@uncounted
def _set_box(boxes: FloatColumn, record: int, west: float, south: float, size: float) -> None:
    # The outermost cells hold the positions on the edge of the map too.
    boxes[record, 0], boxes[record, 1] = west - _MARGIN_DEG, south - _MARGIN_DEG
    boxes[record, 2], boxes[record, 3] = west + size + _MARGIN_DEG, south + size + _MARGIN_DEG


@kernel
def _counted(page: FloatColumn, leaves: IntColumn) -> tuple[int, int]:
    borders, edges = 0, 0
    for leaf in leaves:
        at = leaf + 1
        for _ in range(int(page[leaf, 1])):
            count = entry_counts(page, at)[1]
            borders += 1
            edges += count
            at += 1 + count
    return borders, edges


@bare
def _collect(page: FloatColumn, leaves: IntColumn, boxes: FloatColumn, grid: BorderGrid) -> None:
    border, row = 0, 0
    for k in range(len(leaves)):
        leaf = leaves[k]
        grid.cell_first[k + 1] = border
        at = leaf + 1
        for _ in range(int(page[leaf, 1])):
            count = entry_counts(page, at)[1]
            zone, turn, _inside = entry_zone(page, at)
            that = grid.border[border]
            that["zone"], that["turn"] = zone, turn
            that["first"], that["end"] = row, row + count
            west, south, east, north = _FAR, _FAR, -_FAR, -_FAR
            for j in range(at + 1, at + 1 + count):
                for at_x in range(4):
                    grid.edge[row, at_x] = page[j, at_x]
                west, east = min(west, page[j, 0], page[j, 2]), max(east, page[j, 0], page[j, 2])
                south, north = min(south, page[j, 1], page[j, 3]), max(north, page[j, 1], page[j, 3])
                row += 1
            # Only what lies in the cell: the rest of a long edge is met in the cells it lies in.
            west, east = max(west, boxes[k + 1, 0] - turn), min(east, boxes[k + 1, 2] - turn)
            south, north = max(south, boxes[k + 1, 1]), min(north, boxes[k + 1, 3])
            that["middle_x"], that["half_x"] = (west + east) / 2.0, (east - west) / 2.0 + _MARGIN_DEG
            that["middle_y"], that["half_y"] = (south + north) / 2.0, (north - south) / 2.0 + _MARGIN_DEG
            border += 1
            at += 1 + count
    grid.cell_first[len(leaves) + 1] = border


@bare
def mark_wanted(grid: BorderGrid, wanted: npt.NDArray[np.uint64]) -> None:
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
            zone = grid.border[border]["zone"]
            found = np.uint64(0)
            # Cells that an edit left behind may name zones that are gone.
            for profile in range(wanted.shape[0] if zone >> 6 < wanted.shape[1] else 0):
                bit = (wanted[profile, zone >> 6] >> np.uint64(zone & 63)) & one
                found |= bit << np.uint64(profile % MOST_PROFILES)
            grid.border[border]["bits"] = found
            every |= found
        grid.cell_bits[cell] = every


@uncounted
def record_at(grid: BorderGrid, column: int, row: int) -> int:
    """Return the cell record at a cell of 1/512 degree."""
    value = int(grid.root[(row >> 9) * 360 + (column >> 9)])
    if value < 0:
        value = int(grid.table1[((-1 - value) << 10) + (((row >> 4) & 31) << 5) + ((column >> 4) & 31)])
        if value < 0:
            value = int(grid.table2[((-1 - value) << 8) + ((row & 15) << 4) + (column & 15)])
    return value
