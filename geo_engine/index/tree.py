"""Joins the levels of split cells into the flat arrays of ``Cells``, afresh or on top of an older compile."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel
from geo_engine.index.compile import LEVELS, Lists, Nodes, Shapes, no_lists, split, whole_earth
from geo_engine.index.kernels import MOST_BITS, Cells, packed_counts, packed_zone
from geo_engine.index.predicates import side
from geo_engine.model import BoolColumn, IntColumn

__all__ = ["ROOTS", "compiled_cells", "nothing"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROOTS: Final = 360 * 180

# A cell with more edges than this is split, by level: below it the look-up would cost more than the edges.
_MOST_EDGES: Final = (8, 6, 3)

# A cell with more edges than this is not split when its parent had less than twice as many.
_MOST_STACKED: Final = 32

# No level may lay out more than about this many edges (some GB): the cells with the fewest edges then stay coarse.
_MOST_LAID: Final = 12_000_000


def nothing() -> Cells:
    """Return the cells of an earth without zones: leaf 0 everywhere."""
    none = np.empty(0, dtype=np.int32)
    root, combo_leaf = np.zeros(ROOTS, dtype=np.int32), np.zeros(1, dtype=np.int32)
    return Cells(root, none, none, none, none, np.zeros((1, 4)), none, combo_leaf)


def compiled_cells(base: Cells, shapes: Shapes, roots: BoolColumn, changed: Ints | None) -> Cells:
    """Compile the given cells of one degree and lay them over ``base``.

    Args:
        base: cells of the same zones but for the changed ones, or ``nothing()``.
        shapes: all zones.
        roots: which of the 64,800 cells of one degree are compiled.
        changed: boxes of what changed, int64 (n, 4) in units of the finest grid; cells of 1/32 degree outside them are
            taken from ``base``. None = everything changed.

    Cost: about 1 us per edge and cell of 1/512 degree it touches.
    """
    entries = np.flatnonzero(_reach(shapes.box, roots))
    nodes, table, lists = split(
        shapes, whole_earth(shapes, entries), np.zeros(1, dtype=np.int64), LEVELS[0], no_lists()
    )
    roots_of = nodes.node[:-1, 3]
    kept = roots[roots_of]
    levels = []
    weight = np.empty(0, dtype=np.int64)
    for depth in range(3):
        parent_weight = weight[chosen][nodes.node[:-1, 3] // (LEVELS[depth][0] * LEVELS[depth][1])] if depth else None
        weight = np.diff(nodes.record[nodes.node[:, 4], 2])
        chosen = _to_split(np.where(kept, weight, 0), parent_weight, _MOST_EDGES[depth])
        leaves = kept.copy()
        if depth < 2:
            leaves[chosen] = False
        levels.append((nodes, table, chosen, np.flatnonzero(leaves)))
        nodes, table, lists = split(shapes, nodes, chosen, LEVELS[depth + 1], lists)
        kept = np.ones(len(nodes.node) - 1, dtype=bool)
        if depth == 0 and changed is not None:
            kept = _touched(nodes.node[:-1, 0], nodes.node[:-1, 1], LEVELS[1][2], changed)
    levels.append((nodes, table, np.empty(0, dtype=np.int64), np.arange(len(nodes.node) - 1)))
    return _joined(base, shapes, levels, lists, roots, changed)


Level = tuple[Nodes, Ints, Ints, Ints]
"""The nodes, the tables they stand in, those that are split, those that are leaves."""


def _to_split(weight: Ints, parent_weight: Ints | None, most: int) -> Ints:
    """Return the nodes with more than ``most`` edges (``weight``) for which splitting is worth its memory.

    Where the parent's edges lie one upon the other a child has as many as its parent, and so would its children. Where
    all nodes would be too many the fullest are split.
    """
    worth = weight > most
    if parent_weight is not None:
        worth &= (weight <= _MOST_STACKED) | (2 * weight < parent_weight)
    full = np.flatnonzero(worth)
    order = full[np.argsort(-weight[full], kind="stable")]
    return np.sort(order[np.cumsum(weight[order]) <= _MOST_LAID])


def _reach(box: Ints, roots: BoolColumn) -> BoolColumn:
    """Say for each box whether it reaches one of the chosen cells of one degree."""
    marked = roots.reshape(180, 360)
    low, high = box[:, :2] >> 12, box[:, 2:] >> 12
    total = np.zeros((181, 361), dtype=np.int64)
    total[1:, 1:] = marked.cumsum(axis=0).cumsum(axis=1)
    east, north, west, south = high[:, 0] + 1, high[:, 1] + 1, low[:, 0], low[:, 1]
    found: BoolColumn = total[north, east] - total[south, east] - total[north, west] + total[south, west] > 0
    return found


def _touched(column: Ints, row: Ints, size: int, boxes: Ints) -> BoolColumn:
    """Say which cells meet one of the boxes."""
    met = np.zeros(len(column), dtype=bool)
    for west, south, east, north in boxes.tolist():
        met |= (column <= east) & (column + size > west) & (row <= north) & (row + size > south)
    return met


def _joined(
    base: Cells, shapes: Shapes, levels: list[Level], lists: Lists, roots: BoolColumn, changed: Ints | None
) -> Cells:
    """Number leaves and tables after those of ``base`` and put everything together."""
    list_count = int(lists.used[0])
    list_leaf = np.arange(list_count) + len(base.page) - 1
    list_leaf[0] = 0
    plain = np.zeros((list_count - 1, 4))
    plain[:, 2:] = lists.span[1:list_count, :2] + [len(base.hits), 0]
    pages, rows, leaf_of = [base.page, plain], [list_leaf[1:]], []
    first = len(base.page) + list_count - 1
    for nodes, _, _, ends in levels:
        page, row = _leaves(shapes, nodes, ends, lists.span, len(base.hits))
        pages.append(page)
        rows.append(row + first)
        leaf_of.append(np.full(len(nodes.node), -1, dtype=np.int64))
        leaf_of[-1][ends] = row + first
        first += len(page)
    page, row = np.concatenate(pages), np.concatenate(rows)
    entries = page[row, 1].astype(np.int64)
    combos = np.where(entries <= MOST_BITS, 1 << np.minimum(entries, MOST_BITS), 0)
    page[row, 0] = np.where(combos > 0, len(base.combo_leaf) + np.cumsum(combos) - combos, -1)
    return Cells(
        *_tables(base, levels, list_leaf, leaf_of, (roots, changed)),
        coarse=_appended(base.coarse, leaf_of[2][levels[2][2]]),
        page=page,
        hits=_appended(base.hits, lists.zone[: int(lists.used[1])]),
        combo_leaf=_appended(base.combo_leaf, np.repeat(row, combos)),
    )


def _appended(base: npt.NDArray[np.int32], *parts: Ints) -> npt.NDArray[np.int32]:
    return np.concatenate([base, *(part.astype(np.int32) for part in parts)])


def _tables(
    base: Cells, levels: list[Level], list_leaf: Ints, leaf_of: list[Ints], change: tuple[BoolColumn, Ints | None]
) -> list[npt.NDArray[np.int32]]:
    """Turn lists and nodes in the tables into leaves and tables, and append them to those of ``base``."""
    roots, changed = change
    found = []
    for depth, (nodes, table, chosen, _) in enumerate(levels):
        value = leaf_of[depth].copy()
        if depth < 3:
            older = (base.table1, base.table2, base.table3)[depth]
            size = LEVELS[depth + 1][0] * LEVELS[depth + 1][1]
            value[chosen] = -1 - (len(older) // size + np.arange(len(chosen)))
        del nodes
        found.append(
            np.where(table >= 0, list_leaf[np.maximum(table, 0)], value[np.minimum(-1 - table, len(value) - 1)])
        )
    root = np.where(roots, found[0], base.root).astype(np.int32)
    if changed is not None:
        _keep_unchanged(base, levels, found[1], changed)
    return [
        root,
        _appended(base.table1, found[1]),
        _appended(base.table2, found[2]),
        _appended(base.table3, found[3]),
    ]


def _keep_unchanged(base: Cells, levels: list[Level], table: Ints, changed: Ints) -> None:
    """Take the cells of 1/32 degree outside the changed boxes from the older tables."""
    nodes, _, chosen, _ = levels[0]
    columns, rows, size = LEVELS[1]
    child = np.arange(columns * rows)
    for place, node in enumerate(chosen.tolist()):
        column, row, _, root, _ = nodes.node[node].tolist()
        older = int(base.root[root])
        kept = ~_touched(column + child % columns * size, row + child // columns * size, size, changed)
        before = base.table1[(-1 - older) << 10 : (-older) << 10] if older < 0 else np.full(columns * rows, older)
        table[place * columns * rows : (place + 1) * columns * rows][kept] = before[kept]


@kernel
def _leaves(shapes: Shapes, nodes: Nodes, chosen: Ints, span: Ints, first_hit: int) -> tuple[Floats, Ints]:
    """Return the page of the chosen nodes as in ``Cells``, without combos, and the row of each leaf in it."""
    size = 0
    for k in range(len(chosen)):
        low, high = nodes.node[chosen[k], 4], nodes.node[chosen[k] + 1, 4]
        size += 1 + high - low + nodes.record[high, 2] - nodes.record[low, 2]
    page, row = np.empty((size, 4)), np.empty(len(chosen), dtype=np.int64)
    at = 0
    for k in range(len(chosen)):
        node = chosen[k]
        low, high, hit_list = nodes.node[node, 4], nodes.node[node + 1, 4], nodes.node[node, 2]
        page[at, 0], page[at, 1] = -1.0, high - low
        page[at, 2], page[at, 3] = span[hit_list, 0] + first_hit, span[hit_list, 1]
        row[k] = at
        at += 1
        for record in range(low, high):
            owner, first, end = nodes.record[record, 0], nodes.record[record, 2], nodes.record[record + 1, 2]
            left = _laid(shapes.edge, nodes.edge[first:end], nodes.ref[record], page[at + 1 : at + 1 + end - first])
            page[at, 0], page[at, 1] = nodes.ref[record, 0], nodes.ref[record, 1]
            page[at, 2] = packed_counts(left, end - first)
            page[at, 3] = packed_zone(shapes.zone[owner], shapes.turn[owner], nodes.record[record, 1])
            at += 1 + end - first
    return page, row


@kernel
def _laid(edges: Floats, chosen: Ints, ref: Floats, out: Floats) -> int:
    """Copy edges, those with the point on their left first; return the number of these."""
    left, right = 0, len(chosen)
    for j in range(len(chosen)):
        x0, y0, x1, y1 = edges[chosen[j], 0], edges[chosen[j], 1], edges[chosen[j], 2], edges[chosen[j], 3]
        if side(x0, y0, x1, y1, ref[0], ref[1]) > 0:
            place = left
            left += 1
        else:
            right -= 1
            place = right
        out[place, 0], out[place, 1], out[place, 2], out[place, 3] = x0, y0, x1, y1
    return left
