"""Segments through the compiled cells: whose border does a step meet, and where does a look-ahead first meet it.

A segment walks from cell to cell, each as large as the tree left it there (Amanatides & Woo 1987, on cells of several
sizes), so that empty country costs one step a degree and the common step of a few metres ends in the cell it began.
Cells keep every edge within a quarter of a millimetre; the rounding of the walk is a ten-thousandth of that, so no
edge is missed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, uncounted
from geo_engine.index.kernels import Cells, entry_counts, entry_holds, entry_zone, leaf_at
from geo_engine.index.predicates import segments_meet

__all__ = ["ahead", "touched_borders"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_COLUMNS: Final = 1_474_560
_ROWS: Final = 737_280

# A way that moves less than this along an axis (units of 1/4096 degree) keeps its column or row.
_STILL: Final = 1e-9

# A contact nearer than the entry into a cell by this share cannot be beaten by an edge in it.
_BEHIND: Final = 1e-9

_NOWHERE: Final = 2.0

# Ways shorter than this (units of 1/4096 degree, 25 m) are walked through the finest cells.
_SHORT: Final = 6.0


@bare
def touched_borders(cells: Cells, lon0: float, lat0: float, lon1: float, lat1: float, out: Ints) -> int:
    """Write the zones whose border the segment meets, ascending, each once; touching counts.

    Args:
        cells: the compiled cells.
        lon0: longitude of the start, -180 .. 180.
        lat0: latitude of the start.
        lon1: longitude of the end, continuous from ``lon0``: it may leave -180 .. 180.
        lat1: latitude of the end.
        out: zones, written from the front.

    Returns:
        The number of zones. More than ``len(out)`` means that room was missing; it is then an upper bound.

    Cost: about 10 ns per cell on the way and 2 ns per edge in it.
    """
    count = _borders(cells, lon0, lat0, lon1, lat1, out, 0)
    if lon1 > 180.0:
        count = _borders(cells, lon0 - 360.0, lat0, lon1 - 360.0, lat1, out, count)
    elif lon1 < -180.0:
        count = _borders(cells, lon0 + 360.0, lat0, lon1 + 360.0, lat1, out, count)
    return count


@bare
def ahead(  # noqa: PLR0913, PLR0917 - a segment is four numbers
    cells: Cells, lon0: float, lat0: float, lon1: float, lat1: float, wanted: Words, zones: Ints, fractions: Floats
) -> int:
    """Write the wanted zones the segment meets, ascending, each once, and the fraction at which it first does.

    A zone that holds the start has 0. Where rounding hides the place of a contact it is the end, 1.

    Args:
        cells: the compiled cells.
        lon0: longitude of the start, -180 .. 180.
        lat0: latitude of the start.
        lon1: longitude of the end, continuous from ``lon0``: it may leave -180 .. 180.
        lat1: latitude of the end.
        wanted: bit ``zone & 63`` of word ``zone >> 6`` is set for a wanted zone.
        zones: written from the front.
        fractions: written beside ``zones``.

    Returns:
        The number of zones. More than ``len(zones)`` means that room was missing; it is then an upper bound.

    Cost: about 10 ns per cell on the way, 2 ns per edge of a wanted zone in it.
    """
    count = _held(cells, lon0, lat0, wanted, zones, fractions)
    count = _met(cells, lon0, lat0, lon1, lat1, wanted, zones, fractions, count)
    if lon1 > 180.0:
        count = _met(cells, lon0 - 360.0, lat0, lon1 - 360.0, lat1, wanted, zones, fractions, count)
    elif lon1 < -180.0:
        count = _met(cells, lon0 + 360.0, lat0, lon1 + 360.0, lat1, wanted, zones, fractions, count)
    for k in range(min(count, len(zones))):
        fractions[k] = min(fractions[k], 1.0)
    return count


@uncounted
def _start(x0: float, y0: float, dx: float, dy: float) -> tuple[int, int]:
    """Return the first cell of 1/4096 degree on the earth along a way, column -1 when it never gets there."""
    along = 0.0
    if x0 < 0.0:
        if dx <= _STILL:
            return -1, 0
        along = -x0 / dx
    elif x0 > _COLUMNS:
        if dx >= -_STILL:
            return -1, 0
        along = (_COLUMNS - x0) / dx
    if along > 1.0:
        return -1, 0
    column = min(max(int(x0 + along * dx), 0), _COLUMNS - 1)
    return column, min(max(int(y0 + along * dy), 0), _ROWS - 1)


@uncounted
def _leaf_and_size(cells: Cells, column: int, row: int, fine: bool) -> tuple[int, int]:
    """Return the leaf of a cell and the binary logarithm of its size in finest units.

    When not ``fine``, cells of 1/512 degree are not looked into: all their borders are in one leaf.
    """
    value = int(cells.root[(row >> 12) * 360 + (column >> 12)])
    if value >= 0:
        return value, 12
    value = int(cells.table1[((-1 - value) << 10) + (((row >> 7) & 31) << 5) + ((column >> 7) & 31)])
    if value >= 0:
        return value, 7
    value = int(cells.table2[((-1 - value) << 8) + (((row >> 3) & 15) << 4) + ((column >> 3) & 15)])
    if value >= 0:
        return value, 3
    if fine:
        return int(cells.table3[((-1 - value) << 6) + ((row & 7) << 3) + (column & 7)]), 0
    return int(cells.coarse[-1 - value]), 3


@uncounted
def _per(move: float) -> float:
    """Return the fraction of a way per unit along an axis, 0 when it does not move along it."""
    return 1.0 / move if abs(move) > _STILL else 0.0


@uncounted
def _step(  # noqa: PLR0913, PLR0917 - the way, the cell and its size
    x0: float, y0: float, per_x: float, per_y: float, column: int, row: int, shift: int
) -> tuple[int, int, float]:
    """Return the next cell along the way and the fraction at which it is entered; above 1 the way ends before.

    ``per_x`` and ``per_y`` are ``_per`` of the way: between the finest cells no division is left for the steps.
    """
    west, south = (column >> shift) << shift, (row >> shift) << shift
    size = 1 << shift
    along_x, along_y = _NOWHERE, _NOWHERE
    if per_x != 0.0:
        along_x = ((west + size if per_x > 0.0 else west) - x0) * per_x
    if per_y != 0.0:
        along_y = ((south + size if per_y > 0.0 else south) - y0) * per_y
    if along_x <= along_y:
        column = west + size if per_x > 0.0 else west - 1
        if shift > 0 and per_y != 0.0:
            row = min(max(int(y0 + along_x / per_y), south), south + size - 1)
        return column, row, (along_x if 0 <= column < _COLUMNS else _NOWHERE)
    row = south + size if per_y > 0.0 else south - 1
    if shift > 0 and per_x != 0.0:
        column = min(max(int(x0 + along_y / per_x), west), west + size - 1)
    return column, row, (along_y if 0 <= row < _ROWS else _NOWHERE)


@bare
def _borders(  # noqa: PLR0913, PLR0917 - a segment is four numbers
    cells: Cells, lon0: float, lat0: float, lon1: float, lat1: float, out: Ints, count: int
) -> int:
    page = cells.page
    x0, y0 = (lon0 + 180.0) * 4096.0, (lat0 + 90.0) * 4096.0
    dx, dy = (lon1 + 180.0) * 4096.0 - x0, (lat1 + 90.0) * 4096.0 - y0
    per_x, per_y = _per(dx), _per(dy)
    column, row = _start(x0, y0, dx, dy)
    if column < 0:
        return count
    # Short ways see the finest cells: the position itself has just been looked up there.
    fine = abs(dx) + abs(dy) < _SHORT
    leaf, shift = _leaf_and_size(cells, column, row, fine)
    entries = int(page[leaf, 1])
    while True:
        # The next cell is looked up before this one is settled, so that its memory comes meanwhile.
        column, row, along = _step(x0, y0, per_x, per_y, column, row, shift)
        next_leaf, next_entries = 0, 0
        if along <= 1.0:
            next_leaf, shift = _leaf_and_size(cells, column, row, fine)
            next_entries = int(page[next_leaf, 1])
        at = leaf + 1
        for _ in range(entries):
            zone, edges = entry_zone(page, at)[0], entry_counts(page, at)[1]
            kept = min(count, len(out))
            place = _place(out, kept, zone)
            if not (place < kept and out[place] == zone) and _meets_entry(page, at, lon0, lat0, lon1, lat1):
                for k in range(min(count, len(out) - 1), place, -1):
                    out[k] = out[k - 1]
                if place < len(out):
                    out[place] = zone
                count += 1
            at += 1 + edges
        if along > 1.0:
            return count
        leaf, entries = next_leaf, next_entries


@uncounted
def _place(out: Ints, count: int, zone: int) -> int:
    """Return where an ascending list holds the zone or would hold it. The lists are short."""
    at = count
    while at > 0 and out[at - 1] >= zone:
        at -= 1
    return at


@uncounted
def _meets_entry(page: Floats, at: int, lon0: float, lat0: float, lon1: float, lat1: float) -> bool:
    turn, edges = entry_zone(page, at)[1], entry_counts(page, at)[1]
    px, py, qx, qy = lon0 - turn, lat0, lon1 - turn, lat1
    for j in range(at + 1, at + 1 + edges):
        if segments_meet(px, py, qx, qy, page[j, 0], page[j, 1], page[j, 2], page[j, 3]):
            return True
    return False


@uncounted
def _is_wanted(wanted: Words, zone: int) -> bool:
    return bool((wanted[zone >> 6] >> np.uint64(zone & 63)) & np.uint64(1))


@bare
def _held(cells: Cells, lon: float, lat: float, wanted: Words, zones: Ints, fractions: Floats) -> int:
    """Write the wanted zones that hold the start, with fraction 0; return their number."""
    page, leaf = cells.page, leaf_at(cells, lon, lat)
    hit = int(page[leaf, 2])
    count = 0
    for k in range(hit, hit + int(page[leaf, 3])):
        zone = int(cells.hits[k])
        if _is_wanted(wanted, zone):
            count = _note(zones, fractions, count, zone, 0.0)
    at = leaf + 1
    for _ in range(int(page[leaf, 1])):
        zone, edges = entry_zone(page, at)[0], entry_counts(page, at)[1]
        if _is_wanted(wanted, zone) and entry_holds(page, at, lon, lat):
            count = _note(zones, fractions, count, zone, 0.0)
        at += 1 + edges
    return count


@uncounted
def _note(zones: Ints, fractions: Floats, count: int, zone: int, fraction: float) -> int:
    """Put a contact into the ascending list, or lower the one the zone has; return the new length."""
    kept = min(count, len(zones))
    at = _place(zones, kept, zone)
    if at < kept and zones[at] == zone:
        fractions[at] = min(fractions[at], fraction)
        return count
    for k in range(min(count, len(zones) - 1), at, -1):
        zones[k], fractions[k] = zones[k - 1], fractions[k - 1]
    if at < len(zones):
        zones[at], fractions[at] = zone, fraction
    return count + 1


@bare
def _met(  # noqa: PLR0913, PLR0917 - a segment is four numbers
    cells: Cells,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    wanted: Words,
    zones: Ints,
    fractions: Floats,
    count: int,
) -> int:
    page = cells.page
    x0, y0 = (lon0 + 180.0) * 4096.0, (lat0 + 90.0) * 4096.0
    dx, dy = (lon1 + 180.0) * 4096.0 - x0, (lat1 + 90.0) * 4096.0 - y0
    per_x, per_y = _per(dx), _per(dy)
    column, row = _start(x0, y0, dx, dy)
    if column < 0:
        return count
    leaf, shift = _leaf_and_size(cells, column, row, False)
    entries, here = int(page[leaf, 1]), 0.0
    while True:
        # The next cell is looked up before this one is settled, so that its memory comes meanwhile.
        column, row, along = _step(x0, y0, per_x, per_y, column, row, shift)
        next_leaf, next_entries = 0, 0
        if along <= 1.0:
            next_leaf, shift = _leaf_and_size(cells, column, row, False)
            next_entries = int(page[next_leaf, 1])
        at = leaf + 1
        for _ in range(entries):
            zone, edges = entry_zone(page, at)[0], entry_counts(page, at)[1]
            if _is_wanted(wanted, zone) and not _is_settled(zones, fractions, count, zone, here - _BEHIND):
                fraction = _first_contact(page, at, lon0, lat0, lon1, lat1)
                if fraction >= 0.0:
                    count = _note(zones, fractions, count, zone, fraction)
            at += 1 + edges
        if along > 1.0:
            return count
        leaf, entries, here = next_leaf, next_entries, along


@uncounted
def _is_settled(zones: Ints, fractions: Floats, count: int, zone: int, before: float) -> bool:
    """Say whether a contact with the zone is known that no edge beyond ``before`` can beat."""
    kept = min(count, len(zones))
    at = _place(zones, kept, zone)
    return at < kept and zones[at] == zone and fractions[at] < before


@uncounted
def _first_contact(page: Floats, at: int, lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    """Return the smallest fraction at which the segment meets a local edge, 2 when hidden by rounding, -1 for never.

    The fraction is that of ``crossings``, to the bit: (edge start - way start) x edge / (way x edge).
    """
    turn, edges = entry_zone(page, at)[1], entry_counts(page, at)[1]
    px, py, qx, qy = lon0 - turn, lat0, lon1 - turn, lat1
    found = -1.0
    for j in range(at + 1, at + 1 + edges):
        ax, ay, bx, by = page[j, 0], page[j, 1], page[j, 2], page[j, 3]
        if not segments_meet(px, py, qx, qy, ax, ay, bx, by):
            continue
        if found < 0.0:
            found = _NOWHERE
        way_x, way_y, edge_x, edge_y, off_x, off_y = qx - px, qy - py, bx - ax, by - ay, ax - px, ay - py
        area = way_x * edge_y - way_y * edge_x
        if area != 0.0:
            along = (off_x * edge_y - off_y * edge_x) / area
            beside = (off_x * way_y - off_y * way_x) / area
            if 0.0 <= along <= 1.0 and 0.0 <= beside <= 1.0:
                found = min(found, along)
    return found
