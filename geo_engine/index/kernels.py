"""Questions to the compiled cells, one at a time: scalar kernels which other kernels call for each ping.

A position finds its leaf by at most four table look-ups. The leaf names the zones that cover the whole cell (true
hits, no geometry) and the zones whose border runs through it, each with the few edges that touch the cell and one
point of which it is known whether it is inside: a position is inside when the way from there crosses an even number
of edges. Signs are exact (``predicates``), so the answers are those of ``shapely.covers`` and ``intersects``; but for
coordinates that are not 0 and yet below 1e-30 degrees, where GEOS, which calculates with 106 bits, errs by rounding.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, uncounted
from geo_engine.index.predicates import side

__all__ = [
    "MOST_BITS",
    "Cells",
    "combo_at",
    "combo_zones",
    "entry_counts",
    "entry_holds",
    "entry_zone",
    "leaf_at",
    "packed_counts",
    "packed_zone",
    "zones_at",
]

MOST_BITS: Final = 5
"""A leaf with more boundary entries than this has no combos: 2^5 inside-sets a leaf are enough."""

_COLUMNS: Final = 1_474_560
_ROWS: Final = 737_280


class Cells(NamedTuple):
    """The compiled cells as flat arrays; immutable once built.

    A table value of 0 or more is a leaf, ``~t`` below zero is table ``t`` of the next level. A leaf is a row of
    ``page``, where everything a position in it needs lies together: one or two cache lines.

    Attributes:
        root: int32 (64800,): the cells of one degree, row by row from the south-west.
        table1: int32: 32 x 32 cells of 1/32 degree for each table.
        table2: int32: 16 x 16 cells of 1/512 degree for each table.
        table3: int32: 8 x 8 cells of 1/4096 degree for each table.
        coarse: int32: for each table of ``table3`` the leaf of the whole cell of 1/512 degree.
        page: float64 (n, 4). A leaf is one row (first combo or -1, boundary entries, first hit, hits), then its
            entries, which ascend by zone, then turn. An entry is one row (reference point in the zone's frame, packed
            numbers of edges, packed zone, turn and inside: see ``entry_counts`` and ``entry_zone``), then its edges
            x0, y0, x1, y1 as the zone has them, those with the point on their left first. Row 0 is the empty leaf.
        hits: int32: zones that cover a whole cell, ascending in each leaf.
        combo_leaf: int32: the leaf of each combo.
    """

    root: npt.NDArray[np.int32]
    table1: npt.NDArray[np.int32]
    table2: npt.NDArray[np.int32]
    table3: npt.NDArray[np.int32]
    coarse: npt.NDArray[np.int32]
    page: npt.NDArray[np.float64]
    hits: npt.NDArray[np.int32]
    combo_leaf: npt.NDArray[np.int32]


_COUNT_BITS: Final = 26
_COUNT_MASK: Final = (1 << _COUNT_BITS) - 1


@uncounted
def packed_counts(left: int, edges: int) -> int:
    """Return the third number of an entry's row; exact in a double."""
    return (left << _COUNT_BITS) | edges


@uncounted
def packed_zone(zone: int, turn: float, inside: int) -> int:
    """Return the fourth number of an entry's row; exact in a double."""
    return (((zone << 2) | (int(turn) // 360 + 1)) << 1) | inside


@uncounted
def entry_counts(page: npt.NDArray[np.float64], at: int) -> tuple[int, int]:
    """Return how many edges of an entry have the reference point on their left, and how many there are."""
    packed = int(page[at, 2])
    return packed >> _COUNT_BITS, packed & _COUNT_MASK


@uncounted
def entry_zone(page: npt.NDArray[np.float64], at: int) -> tuple[int, float, bool]:
    """Return the zone of an entry, its turn in degrees, and whether the zone holds the reference point."""
    packed = int(page[at, 3])
    return packed >> 3, ((packed >> 1) & 3) * 360.0 - 360.0, (packed & 1) == 1


@uncounted
def leaf_at(cells: Cells, lon: float, lat: float) -> int:
    """Return the leaf of a position in -180 .. 180, -90 .. 90. Cost: one to four dependent loads."""
    column = min(max(int((lon + 180.0) * 4096.0), 0), _COLUMNS - 1)
    row = min(max(int((lat + 90.0) * 4096.0), 0), _ROWS - 1)
    value = int(cells.root[(row >> 12) * 360 + (column >> 12)])
    if value < 0:
        value = int(cells.table1[((-1 - value) << 10) + (((row >> 7) & 31) << 5) + ((column >> 7) & 31)])
        if value < 0:
            value = int(cells.table2[((-1 - value) << 8) + (((row >> 3) & 15) << 4) + ((column >> 3) & 15)])
            if value < 0:
                value = int(cells.table3[((-1 - value) << 6) + ((row & 7) << 3) + (column & 7)])
    return value


@uncounted
def entry_holds(page: npt.NDArray[np.float64], at: int, lon: float, lat: float) -> bool:
    """Say whether the zone of a boundary entry holds a position of its cell, border included.

    Cost: about 2 ns per local edge.
    """
    left, edges = entry_counts(page, at)
    _, turn, inside = entry_zone(page, at)
    ref_x, ref_y = page[at, 0], page[at, 1]
    x, y = lon - turn, lat
    left_end = at + 1 + left
    for j in range(at + 1, at + 1 + edges):
        ax, ay, bx, by = page[j, 0], page[j, 1], page[j, 2], page[j, 3]
        found = side(ax, ay, bx, by, x, y)
        if found == 0:
            if min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return True
            # On its line but not on it: both its ends then lie on one side of the way, no crossing.
        elif (found < 0) == (j < left_end) and (side(ref_x, ref_y, x, y, ax, ay) > 0) != (
            side(ref_x, ref_y, x, y, bx, by) > 0
        ):
            inside = not inside
    return inside


@uncounted
def combo_at(cells: Cells, lon: float, lat: float) -> int:
    """Return the number of the set of zones that holds the position, -1 when its leaf has no combos.

    Equal numbers mean equal sets; ``combo_zones`` lists them. On -1 ask ``zones_at``.
    """
    page, leaf = cells.page, leaf_at(cells, lon, lat)
    combo = int(page[leaf, 0])
    if combo >= 0:
        at = leaf + 1
        for bit in range(int(page[leaf, 1])):
            if entry_holds(page, at, lon, lat):
                combo += 1 << bit
            at += 1 + entry_counts(page, at)[1]
    return combo


@bare
def combo_zones(cells: Cells, combo: int, out: npt.NDArray[np.int64]) -> int:
    """Write the zones of a combo, ascending, each once; return their number, which may exceed ``len(out)``."""
    page, leaf = cells.page, int(cells.combo_leaf[combo])
    bits = combo - int(page[leaf, 0])
    hit = int(page[leaf, 2])
    hit_end = hit + int(page[leaf, 3])
    count, last, at = 0, -1, leaf + 1
    for bit in range(int(page[leaf, 1])):
        zone = entry_zone(page, at)[0]
        if (bits >> bit) & 1 and zone != last:
            count, hit = _hits_before(cells, hit, hit_end, zone, out, count)
            count, last = _put(out, count, zone), zone
        at += 1 + entry_counts(page, at)[1]
    return _hits_before(cells, hit, hit_end, 1 << 40, out, count)[0]


@bare
def zones_at(cells: Cells, lon: float, lat: float, out: npt.NDArray[np.int64]) -> int:
    """Write the zones that hold a position, ascending, each once; return their number, which may exceed ``len(out)``.

    Cost: about 2 ns per local edge of its leaf beside the look-up.
    """
    page, leaf = cells.page, leaf_at(cells, lon, lat)
    hit = int(page[leaf, 2])
    hit_end = hit + int(page[leaf, 3])
    count, last, at = 0, -1, leaf + 1
    for _ in range(int(page[leaf, 1])):
        zone = entry_zone(page, at)[0]
        if zone != last and entry_holds(page, at, lon, lat):
            count, hit = _hits_before(cells, hit, hit_end, zone, out, count)
            count, last = _put(out, count, zone), zone
        at += 1 + entry_counts(page, at)[1]
    return _hits_before(cells, hit, hit_end, 1 << 40, out, count)[0]


@uncounted
def _hits_before(
    cells: Cells, hit: int, hit_end: int, zone: int, out: npt.NDArray[np.int64], count: int
) -> tuple[int, int]:
    """Write the true hits below ``zone`` and skip it among them; return the new count and the next hit."""
    while hit < hit_end and cells.hits[hit] <= zone:
        if cells.hits[hit] < zone:
            count = _put(out, count, int(cells.hits[hit]))
        hit += 1
    return count, hit


@uncounted
def _put(out: npt.NDArray[np.int64], count: int, zone: int) -> int:
    if count < len(out):
        out[count] = zone
    return count + 1
