"""Builds the tree of cells from the zones, level by level: which zones cover a cell, whose borders run through it.

A node is a cell with borders in it. Splitting a node gives each of its children the edges that touch it, and says for
each zone without an edge there whether the child lies wholly inside: from one child to the next by the parity of the
edges between two reference points, so that no zone is ever tested as a whole. The earth itself is the first node.

The idea of true hits and boundary cells: Kipf et al., "Adaptive Main-Memory Indexing for High-Performance
Point-Polygon Joins", EDBT 2020.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.compiled import bare, kernel, uncounted
from geo_engine.index.buffers import longer, roomy
from geo_engine.index.entries import Entries
from geo_engine.index.predicates import side
from geo_engine.model import IntColumn

__all__ = ["EARTH", "LEVELS", "Lists", "Nodes", "Shapes", "no_lists", "shapes_of", "split", "whole_earth"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNITS_PER_DEGREE: Final = 4096.0
EARTH: Final = (1_474_560, 737_280)
"""Columns and rows of the finest grid, 1/4096 degree."""

LEVELS: Final = ((360, 180, 4096), (32, 32, 128), (16, 16, 8), (8, 8, 1))
"""Children per row, rows, and size of a child in units of the finest grid, from the earth downward."""

# An edge belongs to every cell nearer than this (2.4e-9 degrees, a quarter of a millimetre): far more than the
# rounding of any position's cell.
_MARGIN: Final = 1e-5

# Hash of a list of zones: below 2^47 times below 2^15 stays inside an int64, compiled or not.
_HASH_MASK: Final = (1 << 47) - 1
_HASH_FACTOR: Final = 31_327


class Shapes(NamedTuple):
    """The zones as edges and the entries that place them, in columns.

    ``edge`` float64 (n, 4): x0, y0, x1, y1, the zones' own doubles. Per entry, ordered by zone, then turn: ``zone``,
    ``turn`` in degrees, ``first`` edge and number of ``edges``, ``box`` int64 (n, 4): west, south, east, north in units
    of the finest grid, clipped to the earth.
    """

    edge: Floats
    zone: Ints
    turn: Floats
    first: Ints
    edges: Ints
    box: Ints


class Nodes(NamedTuple):
    """Cells with borders in them.

    ``node`` int64 (n + 1, 5): column, row of the finest grid, list of zones that cover the cell, place in the table of
    its level, first record. ``record`` int64 (m + 1, 3): entry, whether it holds ``ref``, first edge. ``ref`` float64
    (m, 2): a point of the cell in the frame of the zone, on no line through an edge of the record. ``edge`` int64:
    rows of ``Shapes.edge``. The last row of ``node`` and of ``record`` only ends the one before.
    """

    node: Ints
    record: Ints
    ref: Floats
    edge: Ints


class Lists(NamedTuple):
    """Lists of zone positions, each ascending and kept once; list 0 is empty.

    ``span`` int64 (n, 3): first, count, hash. ``zone`` int64: the lists one after the other. ``bucket`` int64: hash
    table of list numbers, -1 = free. ``used`` int64 (2,): lists, zones.
    """

    span: Ints
    zone: Ints
    bucket: Ints
    used: Ints


def no_lists() -> Lists:
    """Return the empty list alone."""
    bucket = np.full(1024, -1, dtype=np.int64)
    bucket[0] = 0
    return Lists(np.zeros((256, 3), dtype=np.int64), np.empty(256, dtype=np.int64), bucket, np.array([1, 0]))


def shapes_of(entries: Entries, before: Shapes | None = None, source: IntColumn | None = None) -> Shapes:
    """Return the edges of every zone once, and the entries by zone and turn.

    Args:
        entries: the zones.
        before: what an older set was turned into.
        source: int64 per zone: the zone of the older set that has the very same shape, -1 = none.

    Cost: about 0.1 us per edge, a tenth of that where the shape is known.
    """
    order = np.lexsort((entries.turn, entries.zone))
    zone, turn = entries.zone[order], entries.turn[order]
    first_entry = np.flatnonzero(np.diff(zone, prepend=-1))
    area_of = np.repeat(np.arange(len(first_entry)), np.diff(np.append(first_entry, len(zone))))
    older = np.full(len(first_entry), -1) if source is None else source[zone[first_entry]]
    fresh, known = np.flatnonzero(older < 0), np.flatnonzero(older >= 0)
    edge, begin, count = np.empty((0, 4)), np.zeros(len(older), dtype=np.int64), np.zeros(len(older), dtype=np.int64)
    drawn, begin[fresh], count[fresh] = _edges(entries.geometry[order][first_entry[fresh]])
    box = np.empty((len(zone), 4), dtype=np.int64)
    asked = np.flatnonzero(older[area_of] < 0)
    box[asked] = _boxes(drawn, begin[fresh], np.searchsorted(fresh, area_of[asked]), turn[asked])
    if before is not None:
        row = np.searchsorted(before.zone, older[known])
        edge, begin[fresh] = before.edge, begin[fresh] + len(before.edge)
        begin[known], count[known] = before.first[row], before.edges[row]
        # A shape reaches the map in the same turns wherever its zone stands in the set.
        taken, entry = np.flatnonzero(older[area_of] >= 0), np.arange(len(zone)) - first_entry[area_of]
        box[taken] = before.box[row[np.searchsorted(known, area_of[taken])] + entry[taken]]
    first = np.cumsum(count) - count
    gathered = np.repeat(begin - first, count) + np.arange(int(count.sum()))
    return Shapes(np.concatenate([edge, drawn])[gathered], zone, turn, first[area_of], count[area_of], box)


def _edges(shapes: npt.NDArray[np.object_]) -> tuple[Floats, IntColumn, IntColumn]:
    """Return all edges as (m, 4) without those of no length, and per shape the first and the number of its edges."""
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    corners, ring_of = shapely.get_coordinates(rings, return_index=True)
    joined = (ring_of[1:] == ring_of[:-1]) & (corners[1:] != corners[:-1]).any(axis=1)
    edges = np.ascontiguousarray(np.column_stack([corners[:-1][joined], corners[1:][joined]]), dtype=np.float64)
    shape_of_edge = shape_of_part[part_of_ring][ring_of[:-1][joined]] if len(corners) else np.empty(0, dtype=np.int64)
    count = np.bincount(shape_of_edge, minlength=len(shapes)).astype(np.int64)
    return edges, np.cumsum(count) - count, count


def _boxes(edge: Floats, first: IntColumn, area_of: IntColumn, turn: Floats) -> Ints:
    if len(turn) == 0:
        return np.empty((0, 4), dtype=np.int64)
    low = np.minimum.reduceat(np.minimum(edge[:, :2], edge[:, 2:]), first)[area_of]
    high = np.maximum.reduceat(np.maximum(edge[:, :2], edge[:, 2:]), first)[area_of]
    box = np.empty((len(turn), 4))
    box[:, 0] = (low[:, 0] + turn + 180.0) * UNITS_PER_DEGREE - _MARGIN
    box[:, 1] = (low[:, 1] + 90.0) * UNITS_PER_DEGREE - _MARGIN
    box[:, 2] = (high[:, 0] + turn + 180.0) * UNITS_PER_DEGREE + _MARGIN
    box[:, 3] = (high[:, 1] + 90.0) * UNITS_PER_DEGREE + _MARGIN
    last = np.array([EARTH[0] - 1, EARTH[1] - 1] * 2)
    return np.clip(np.floor(box).astype(np.int64), 0, last)


def whole_earth(shapes: Shapes, entries: IntColumn) -> Nodes:
    """Return the earth as one node with every edge of the given entries, seen from a point outside all zones."""
    count = shapes.edges[entries]
    record = np.zeros((len(entries) + 1, 3), dtype=np.int64)
    record[:-1, 0] = entries
    record[1:, 2] = np.cumsum(count)
    within = np.arange(int(count.sum())) - np.repeat(record[:-1, 2], count)
    ref = np.tile(np.array([-987.6543210987, -123.4567890123]), (len(entries), 1))
    node = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, len(entries)]])
    return Nodes(node, record, ref, np.repeat(shapes.first[entries], count) + within)


@kernel
def split(  # noqa: C901, PLR0912, PLR0915 - fused kernel
    shapes: Shapes, parents: Nodes, chosen: Ints, grid: tuple[int, int, int], lists: Lists
) -> tuple[Nodes, Ints, Lists]:
    """Split the chosen nodes into their children.

    Returns:
        The children with borders; the tables of the chosen nodes one after the other, per child either the list of
        zones that cover it (0 or more) or ``-1 - n`` for node ``n``; the lists, grown.

    Cost: about 50 ns per edge and child it touches, 15 ns per entry and child inside the entry's box.
    """
    columns, rows, size = grid
    kids = columns * rows
    table = np.empty(len(chosen) * kids, dtype=np.int64)
    node, record = np.empty((64, 5), dtype=np.int64), np.empty((64, 3), dtype=np.int64)
    ref, edge = np.empty((64, 2)), np.empty(256, dtype=np.int64)
    nodes, records, edges = 0, 0, 0
    # Scratch of one record: per child its number of edges, where they begin, whether its point is inside, the point.
    number, begin, inside = np.zeros(kids, np.int64), np.zeros(kids, np.int64), np.zeros(kids, np.int64)
    spot = np.empty((kids, 2))
    pair, local = np.empty((256, 2), dtype=np.int64), np.empty(256, dtype=np.int64)
    # Scratch of one parent: found records (child, entry, inside, first edge, edges) and covered children (child, zone).
    found, found_ref = np.empty((64, 5), dtype=np.int64), np.empty((64, 2))
    found_edge, cover = np.empty(256, dtype=np.int64), np.empty((64, 2), dtype=np.int64)
    record_end, cover_end = np.zeros(kids, np.int64), np.zeros(kids, np.int64)
    span, listed, bucket = lists.span, lists.zone, lists.bucket
    list_count, listed_count = lists.used[0], lists.used[1]
    merged = np.empty(64, dtype=np.int64)
    for place in range(len(chosen)):
        parent = chosen[place]
        column, row, above = parents.node[parent, 0], parents.node[parent, 1], parents.node[parent, 2]
        found_count, found_edges, covers = 0, 0, 0
        for at in range(parents.node[parent, 4], parents.node[parent + 1, 4]):
            entry, low, high = parents.record[at, 0], parents.record[at, 2], parents.record[at + 1, 2]
            turn = shapes.turn[entry]
            west = min(max((shapes.box[entry, 0] - column) // size, 0), columns - 1)
            south = min(max((shapes.box[entry, 1] - row) // size, 0), rows - 1)
            east = min(max((shapes.box[entry, 2] - column) // size, 0), columns - 1)
            north = min(max((shapes.box[entry, 3] - row) // size, 0), rows - 1)
            box = (west, south, east, north)
            pairs = 0
            for j in range(low, high):
                pair = roomy(pair, pairs + 2 * columns + 3 * rows + 8)
                pairs = _lay(shapes.edge, parents.edge[j], turn, (column, row, size, columns), box, pair, pairs)
            for j in range(pairs):
                number[pair[j, 0]] += 1
            total = 0
            for child_row in range(south, north + 1):
                for child in range(child_row * columns + west, child_row * columns + east + 1):
                    begin[child] = total
                    total += number[child]
            local = longer(local, total)
            for j in range(pairs):
                local[begin[pair[j, 0]]] = pair[j, 1]
                begin[pair[j, 0]] += 1
            for child_row in range(south, north + 1):
                for child_column in range(west, east + 1):
                    child = child_row * columns + child_column
                    count = number[child]
                    begin[child] -= count
                    first = begin[child]
                    tried = 0
                    while True:
                        x, y = _spot(column + child_column * size, row + child_row * size, size, tried)
                        spot[child, 0], spot[child, 1] = x - turn, y
                        if _is_clear(shapes.edge, local, first, count, spot[child]):
                            break
                        tried += 1
                    if child_column > west or child_row > south:
                        before = child - 1 if child_column > west else child - columns
                        holds = inside[before]
                        if count + number[before] > 0:
                            holds ^= _parity(
                                shapes.edge, local, (begin[before], number[before], first, count), spot, before, child
                            )
                    else:
                        holds = parents.record[at, 1]
                        for j in range(low, high):
                            holds ^= _crosses(shapes.edge[parents.edge[j]], parents.ref[at], spot[child])
                    inside[child] = holds
                    if count > 0:
                        found, found_ref = roomy(found, found_count + 1), roomy(found_ref, found_count + 1)
                        found_edge = longer(found_edge, found_edges + count)
                        found[found_count, 0], found[found_count, 1], found[found_count, 2] = child, entry, holds
                        found[found_count, 3], found[found_count, 4] = found_edges, count
                        found_ref[found_count, 0], found_ref[found_count, 1] = spot[child, 0], spot[child, 1]
                        for j in range(count):
                            found_edge[found_edges + j] = local[first + j]
                        found_edges += count
                        found_count += 1
                        record_end[child] += 1
                    elif holds:
                        cover = roomy(cover, covers + 1)
                        cover[covers, 0], cover[covers, 1] = child, shapes.zone[entry]
                        covers += 1
                        cover_end[child] += 1
            for child_row in range(south, north + 1):
                for child in range(child_row * columns + west, child_row * columns + east + 1):
                    number[child] = 0
        # All entries are laid out: gather by child, entries staying in order.
        by_child, cover_by_child = _grouped(found, found_count, record_end), _grouped(cover, covers, cover_end)
        record_from, cover_from = 0, 0
        for child in range(kids):
            hit_list = above
            if cover_end[child] > cover_from:
                merged = longer(merged, span[above, 1] + cover_end[child] - cover_from)
                length = _merge(listed, span[above], cover, cover_by_child[cover_from : cover_end[child]], merged)
                if 2 * list_count + 2 > len(bucket):
                    bucket = _rehashed(span, list_count, 4 * len(bucket))
                digest = _digest(merged, length)
                slot = _slot(span, listed, bucket, merged[:length], digest)
                if bucket[slot] < 0:
                    span, listed = roomy(span, list_count + 1), longer(listed, listed_count + length)
                    span[list_count, 0], span[list_count, 1], span[list_count, 2] = listed_count, length, digest
                    listed[listed_count : listed_count + length] = merged[:length]
                    bucket[slot] = list_count
                    list_count += 1
                    listed_count += length
                hit_list = bucket[slot]
            table[place * kids + child] = hit_list
            if record_end[child] > record_from:
                node = roomy(node, nodes + 2)
                node[nodes, 0] = column + (child % columns) * size
                node[nodes, 1] = row + (child // columns) * size
                node[nodes, 2], node[nodes, 3], node[nodes, 4] = hit_list, place * kids + child, records
                table[place * kids + child] = -1 - nodes
                nodes += 1
                for k in range(record_from, record_end[child]):
                    at = by_child[k]
                    record, ref = roomy(record, records + 2), roomy(ref, records + 1)
                    edge = longer(edge, edges + found[at, 4])
                    record[records, 0], record[records, 1], record[records, 2] = found[at, 1], found[at, 2], edges
                    ref[records, 0], ref[records, 1] = found_ref[at, 0], found_ref[at, 1]
                    for j in range(found[at, 4]):
                        edge[edges + j] = found_edge[found[at, 3] + j]
                    edges += found[at, 4]
                    records += 1
            record_from, cover_from = record_end[child], cover_end[child]
            record_end[child], cover_end[child] = 0, 0
    node[nodes, 4], record[records, 2] = records, edges
    used = np.array([list_count, listed_count])
    kept = Nodes(node[: nodes + 1], record[: records + 1], ref[:records], edge[:edges])
    return kept, table, Lists(span, listed, bucket, used)


@bare
def _lay(  # noqa: PLR0913, PLR0917 - the edge, the grid and the place to write to
    edges: Floats,
    edge: int,
    turn: float,
    grid: tuple[int, int, int, int],
    box: tuple[int, int, int, int],
    pair: Ints,
    used: int,
) -> int:
    """Write (child, edge) for every child nearer to the edge than the margin; return the number of rows used.

    Both ends are rounded to the grid's units first (3e-10 units); the clipped line is then right to 1e-9 units, far
    below the margin.
    """
    column, row, size, columns = grid
    x0, y0 = (
        (edges[edge, 0] + turn + 180.0) * UNITS_PER_DEGREE - column,
        (edges[edge, 1] + 90.0) * UNITS_PER_DEGREE - row,
    )
    x1, y1 = (
        (edges[edge, 2] + turn + 180.0) * UNITS_PER_DEGREE - column,
        (edges[edge, 3] + 90.0) * UNITS_PER_DEGREE - row,
    )
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
    for child_row in range(
        max(int(np.floor((y0 - _MARGIN) / size)), box[1]), min(int(np.floor((y1 + _MARGIN) / size)), box[3]) + 1
    ):
        # The part of the edge in this row and its margin.
        south, north = child_row * size - _MARGIN, (child_row + 1) * size + _MARGIN
        xa = x0 if y0 >= south else x0 + (south - y0) / (y1 - y0) * (x1 - x0)
        xb = x1 if y1 <= north else x0 + (north - y0) / (y1 - y0) * (x1 - x0)
        if xa > xb:
            xa, xb = xb, xa
        for child_column in range(
            max(int(np.floor((xa - _MARGIN) / size)), box[0]), min(int(np.floor((xb + _MARGIN) / size)), box[2]) + 1
        ):
            pair[used, 0], pair[used, 1] = child_row * columns + child_column, edge
            used += 1
    return used


@uncounted
def _spot(column: int, row: int, size: int, tried: int) -> tuple[float, float]:
    """Return the reference point of a cell, or another one when ``tried`` were no good.

    All lie on one parabola, which a straight line meets twice at most: with n edges one of 2 n + 1 points is clear of
    every line. The first lies at no simple fraction, where map makers put nothing.
    """
    along = 0.3819660112501051 + tried * 0.6180339887498949
    along -= np.floor(along)
    x = (column + size * (0.0617 + 0.8713 * along)) / UNITS_PER_DEGREE - 180.0
    y = (row + size * (0.0531 + 0.8839 * (1.0 - along * along))) / UNITS_PER_DEGREE - 90.0
    return x, y


@uncounted
def _is_clear(edges: Floats, local: Ints, first: int, count: int, at: Floats) -> bool:
    """Say whether the point lies on no line through one of the edges."""
    for j in range(first, first + count):
        a = local[j]
        if side(edges[a, 0], edges[a, 1], edges[a, 2], edges[a, 3], at[0], at[1]) == 0:
            return False
    return True


@uncounted
def _crosses(edge: Floats, start: Floats, end: Floats) -> int:
    """Return 1 when the way between two points crosses the edge, half open at its ends, else 0.

    Neither point lies on the edge, and not both on its line. A point on its line alone has both ends of the edge on
    one side, so it counts as no crossing, as it must.
    """
    sides = side(edge[0], edge[1], edge[2], edge[3], start[0], start[1])
    if sides * side(edge[0], edge[1], edge[2], edge[3], end[0], end[1]) >= 0:
        return 0
    left = side(start[0], start[1], end[0], end[1], edge[0], edge[1]) > 0
    return int(left != (side(start[0], start[1], end[0], end[1], edge[2], edge[3]) > 0))


@bare
def _parity(  # the edges of two cells and the two points
    edges: Floats, local: Ints, runs: tuple[int, int, int, int], spot: Floats, before: int, child: int
) -> int:
    """Return whether the way between the points of two neighbours crosses an odd number of their edges.

    The way stays in the two cells, so no other edge can be crossed. Both runs ascend; an edge in both counts once.
    """
    a, a_end, b, b_end = runs[0], runs[0] + runs[1], runs[2], runs[2] + runs[3]
    odd = 0
    while a < a_end or b < b_end:
        if b >= b_end or (a < a_end and local[a] < local[b]):
            edge = local[a]
            a += 1
        else:
            edge = local[b]
            a += 1 if a < a_end and local[a] == edge else 0
            b += 1
        odd ^= _crosses(edges[edge], spot[before], spot[child])
    return odd


@kernel
def _grouped(rows: Ints, used: int, end: Ints) -> Ints:
    """Return the order of the rows by their first column, stable; ``end`` comes as counts and leaves as run ends."""
    total = 0
    for k in range(len(end)):
        total += end[k]
        end[k] = total - end[k]
    order = np.empty(used, dtype=np.int64)
    for k in range(used):
        order[end[rows[k, 0]]] = k
        end[rows[k, 0]] += 1
    return order


@bare
def _merge(listed: Ints, above: Ints, cover: Ints, order: Ints, merged: Ints) -> int:
    """Merge the parent's zones with the newly covering ones, both ascending, each once; return the length."""
    a, a_end, b, length = above[0], above[0] + above[1], 0, 0
    while a < a_end or b < len(order):
        if b >= len(order) or (a < a_end and listed[a] < cover[order[b], 1]):
            zone = listed[a]
            a += 1
        else:
            zone = cover[order[b], 1]
            b += 1
        if length == 0 or merged[length - 1] != zone:
            merged[length] = zone
            length += 1
    return length


@uncounted
def _digest(values: Ints, length: int) -> int:
    digest = length
    for k in range(length):
        digest = ((digest * _HASH_FACTOR) & _HASH_MASK) ^ values[k]
    return digest ^ (digest >> 21)


@bare
def _slot(span: Ints, listed: Ints, bucket: Ints, values: Ints, digest: int) -> int:
    """Return the bucket that holds the list, or the free one where it belongs."""
    slot = digest & (len(bucket) - 1)
    while bucket[slot] >= 0:
        known = bucket[slot]
        if span[known, 2] == digest and span[known, 1] == len(values):
            first, same = span[known, 0], True
            for k in range(len(values)):
                same = same and listed[first + k] == values[k]
            if same:
                break
        slot = (slot + 1) & (len(bucket) - 1)
    return slot


@kernel
def _rehashed(span: Ints, count: int, size: int) -> Ints:
    bucket = np.full(size, -1, dtype=np.int64)
    for known in range(count):
        slot = span[known, 2] & (size - 1)
        while bucket[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        bucket[slot] = known
    return bucket
