"""Joins the levels of split cells into the flat arrays of ``Cells``, afresh or on top of an older compile."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel
from geo_engine.index.compile import LEVELS, Lists, Nodes, Shapes, no_lists, split, whole_earth
from geo_engine.index.kernels import MOST_BITS, Cells
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
    tables = [np.empty(0, dtype=np.int32) for _ in range(4)]
    leaf = np.zeros((1, 8), dtype=np.int32)
    return Cells(
        np.zeros(ROOTS, dtype=np.int32),
        *tables,
        leaf=leaf,
        entry=np.empty((0, 4), dtype=np.int32),
        edge=np.empty((0, 4)),
        hits=np.empty(0, dtype=np.int32),
        combo_leaf=np.zeros(1, dtype=np.int32),
    )


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
    nodes, table, lists = split(shapes, whole_earth(shapes, entries), np.zeros(1, dtype=np.int64), LEVELS[0], no_lists())
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
    list_leaf = np.arange(list_count) + len(base.leaf) - 1
    list_leaf[0] = 0
    plain = np.zeros((list_count - 1, 8), dtype=np.int64)
    plain[:, 3:5] = lists.span[1:list_count, :2]
    leaves, entries, edges, leaf_of = [plain], [], [], []
    first = len(base.leaf) + list_count - 1
    entry_first, edge_first = len(base.entry), len(base.edge)
    for nodes, _, _, ends in levels:
        leaf, entry, edge = _leaves(shapes, nodes, ends, lists.span)
        leaf[:, 1] += entry_first
        entry[:, 1] += edge_first
        entry_first, edge_first = entry_first + len(entry), edge_first + len(edge)
        number = np.full(len(nodes.node), -1, dtype=np.int64)
        number[ends] = first + np.arange(len(ends))
        first += len(ends)
        for column, part in ((leaves, leaf), (entries, entry), (edges, edge), (leaf_of, number)):
            column.append(part)
    leaf = np.concatenate(leaves)
    leaf[:, 3] += len(base.hits)
    combos = np.where(leaf[:, 2] <= MOST_BITS, 1 << np.minimum(leaf[:, 2], MOST_BITS), 0)
    leaf[:, 0] = np.where(combos > 0, len(base.combo_leaf) + np.cumsum(combos) - combos, -1)
    combo_leaf = np.repeat(np.arange(len(base.leaf), len(base.leaf) + len(leaf)), combos)
    tables = _tables(base, levels, list_leaf, leaf_of, (roots, changed))
    coarse = leaf_of[2][levels[2][2]]
    return Cells(
        *tables,
        coarse=_appended(base.coarse, coarse),
        leaf=_appended(base.leaf, leaf),
        entry=_appended(base.entry, *entries),
        edge=np.concatenate([base.edge, *edges]),
        hits=_appended(base.hits, lists.zone[: int(lists.used[1])]),
        combo_leaf=_appended(base.combo_leaf, combo_leaf),
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
        found.append(np.where(table >= 0, list_leaf[np.maximum(table, 0)], value[np.minimum(-1 - table, len(value) - 1)]))
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
def _leaves(shapes: Shapes, nodes: Nodes, chosen: Ints, span: Ints) -> tuple[Ints, Ints, Floats]:
    """Return leaves, entries and edges of the chosen nodes as in ``Cells``, numbered from 0, without combos."""
    entries, edges = 0, 0
    for k in range(len(chosen)):
        low, high = nodes.node[chosen[k], 4], nodes.node[chosen[k] + 1, 4]
        entries += high - low
        edges += high - low + nodes.record[high, 2] - nodes.record[low, 2]
    leaf = np.zeros((len(chosen), 8), dtype=np.int64)
    entry, edge = np.empty((entries, 4), dtype=np.int64), np.empty((edges, 4))
    entries, edges = 0, 0
    for k in range(len(chosen)):
        node = chosen[k]
        low, high, hit_list = nodes.node[node, 4], nodes.node[node + 1, 4], nodes.node[node, 2]
        leaf[k, 1], leaf[k, 2], leaf[k, 3], leaf[k, 4] = entries, high - low, span[hit_list, 0], span[hit_list, 1]
        for at in range(low, high):
            owner, first, end = nodes.record[at, 0], nodes.record[at, 2], nodes.record[at + 1, 2]
            edge[edges, 0], edge[edges, 1] = nodes.ref[at, 0], nodes.ref[at, 1]
            edge[edges, 2], edge[edges, 3] = shapes.turn[owner], nodes.record[at, 1]
            entry[entries, 0], entry[entries, 1], entry[entries, 3] = shapes.zone[owner], edges, end - first
            left = _laid(shapes.edge, nodes.edge[first:end], nodes.ref[at], edge[edges + 1 : edges + 1 + end - first])
            entry[entries, 2] = left
            edges += 1 + end - first
            entries += 1
    return leaf, entry, edge


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
