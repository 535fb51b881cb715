"""Joins the levels of split cells into the flat arrays of ``Cells``, afresh or on top of an older compile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, kernel
from geo_engine.index.compile import LEVELS, Lists, Nodes, Shapes, no_lists, split, whole_earth
from geo_engine.index.kernels import MOST_BITS, Cells, entry_counts, entry_zone, packed_counts, packed_zone
from geo_engine.index.predicates import side
from geo_engine.model import BoolColumn

__all__ = ["ROOTS", "compiled_cells", "moved_zones", "nothing"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROOTS: Final = 360 * 180

_UNBOUNDED: Final = 1 << 40
_TILES: Final = LEVELS[1][0] * LEVELS[1][1]

# A cell with more edges than this is split, by level: below it the look-up would cost more than the edges. Without
# compiled kernels the geometry is left to shapely, and building fine cells would take minutes.
_MOST_EDGES: Final = (8, 6, 3)
_MOST_EDGES_UNCOMPILED: Final = (64, _UNBOUNDED, _UNBOUNDED)

# A cell with more edges than this is not split when its parent had less than twice as many.
_MOST_STACKED: Final = 32

# No level may lay out more than about this many edges (some GB): the cells with the fewest edges then stay coarse.
_MOST_LAID: Final = 12_000_000


def nothing() -> Cells:
    """Return the cells of an earth without zones: leaf 0 everywhere."""
    none = np.empty(0, dtype=np.int32)
    root, combo_leaf = np.zeros(ROOTS, dtype=np.int32), np.zeros(1, dtype=np.int32)
    return Cells(root, none, none, none, none, np.zeros((1, 4)), none, combo_leaf)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is compiled: cells of one degree, and in some of them only the cells of 1/32 degree near the boxes.

    ``roots`` and ``partial`` bool (64800,), ``boxes`` int64 (n, 4) in units of the finest grid.
    """

    roots: BoolColumn
    partial: BoolColumn
    boxes: Ints

    def touches(self, column: Ints, row: Ints) -> BoolColumn:
        """Say which cells of 1/32 degree meet a box."""
        size = LEVELS[1][2]
        met = np.zeros(len(column), dtype=bool)
        for west, south, east, north in self.boxes.tolist():
            met |= (column <= east) & (column + size > west) & (row <= north) & (row + size > south)
        return met

    def needs(self, box: Ints) -> BoolColumn:
        """Say which boxes of entries reach what is compiled."""
        needed = _reach(box, self.roots & ~self.partial)
        last = LEVELS[1][2] - 1
        for west, south, east, north in self.boxes.tolist():
            beside = (box[:, 0] > east | last) | (box[:, 2] < west & ~last)
            needed |= ~(beside | (box[:, 1] > north | last) | (box[:, 3] < south & ~last))
        return needed


def compiled_cells(
    base: Cells, shapes: Shapes, boxes: Ints | None, room: list[Floats], *, fine: bool = True
) -> tuple[Cells, list[Floats]]:
    """Compile all cells, or those that meet the given boxes on top of older ones.

    Args:
        base: cells of the same zones but for those that changed, or ``nothing()``.
        shapes: all zones.
        boxes: of what changed, old shapes and new, int64 (n, 4) in units of the finest grid; cells of 1/32 degree
            outside them are taken from ``base``. None = everything changed.
        room: the array whose first rows are ``base.page``; what is new is written behind them when it fits, and the
            list is emptied, so that no second caller can. May be empty.
        fine: split down to a few edges a cell; False = to some dozens.

    Returns:
        The cells, and the room behind their page.

    Cost: about 1 us per edge and cell of 1/512 degree it touches.
    """
    plan, nodes, table, lists = _planned(base, shapes, boxes)
    most = _MOST_EDGES if fine else _MOST_EDGES_UNCOMPILED
    kept = plan.roots[nodes.node[:-1, 3]]
    weight = np.where(kept, _weights(nodes), 0)
    chosen = _to_split(weight, np.full(len(weight), _UNBOUNDED), most[0])
    chosen = np.union1d(chosen, np.flatnonzero(kept & plan.partial[nodes.node[:-1, 3]]))
    levels: list[Level] = []
    for depth in range(1, 4):
        leaves = kept.copy()
        if depth < 3:
            leaves[chosen] = False
        levels.append((nodes, table, chosen, np.flatnonzero(leaves)))
        whole = ~plan.partial[nodes.node[chosen, 3]] if depth == 1 else np.ones(len(chosen), dtype=bool)
        # In a part of a cell not all its edges are known.
        parent_weight = np.where(plan.partial.any(), _UNBOUNDED, weight[chosen]) if depth == 1 else weight[chosen]
        nodes, table, lists = split(shapes, nodes, chosen, LEVELS[depth], lists)
        parent = nodes.node[:-1, 3] // (LEVELS[depth][0] * LEVELS[depth][1])
        kept = whole[parent]
        if depth == 1:
            kept |= plan.touches(nodes.node[:-1, 0], nodes.node[:-1, 1])
        weight = np.where(kept, _weights(nodes), 0)
        chosen = _to_split(weight, parent_weight[parent], most[depth]) if depth < 3 else chosen[:0]
    levels.append((nodes, table, chosen, np.flatnonzero(kept)))
    return _joined(base, shapes, levels, lists, plan, room)


def _planned(base: Cells, shapes: Shapes, boxes: Ints | None) -> tuple[_Plan, Nodes, Ints, Lists]:
    """Choose what is compiled, and split the earth into cells of one degree for it."""
    roots = np.ones(ROOTS, dtype=bool) if boxes is None else _roots_of(boxes)
    none = np.empty((0, 4), dtype=np.int64)
    plan = _Plan(roots, roots & (base.root < 0), none if boxes is None else boxes)
    while True:
        earth = whole_earth(shapes, np.flatnonzero(plan.needs(shapes.box)))
        nodes, table, lists = split(shapes, earth, np.zeros(1, dtype=np.int64), LEVELS[0], no_lists())
        found = np.zeros(ROOTS, dtype=bool)
        found[nodes.node[:-1, 3]] = True
        if not (plan.partial & ~found).any():
            return plan, nodes, table, lists
        # No border left near the boxes: whether any is left in the whole cell only all its entries can say.
        plan = replace(plan, partial=plan.partial & found)


def _weights(nodes: Nodes) -> Ints:
    weights: Ints = np.diff(nodes.record[nodes.node[:, 4], 2])
    return weights


Level = tuple[Nodes, Ints, Ints, Ints]
"""The nodes, the tables they stand in, those that are split, those that are leaves."""


def _to_split(weight: Ints, parent_weight: Ints, most: int) -> Ints:
    """Return the nodes with more than ``most`` edges (``weight``) for which splitting is worth its memory.

    Where the parent's edges lie one upon the other a child has as many as its parent, and so would its children. Where
    all nodes would be too many the fullest are split.
    """
    worth = (weight > most) & ((weight <= _MOST_STACKED) | (2 * weight < parent_weight))
    full = np.flatnonzero(worth)
    order = full[np.argsort(-weight[full], kind="stable")]
    return np.sort(order[np.cumsum(weight[order]) <= _MOST_LAID])


def _roots_of(boxes: Ints) -> BoolColumn:
    """Return which of the 64,800 cells of one degree meet one of the boxes."""
    marked = np.zeros((180, 360), dtype=bool)
    for west, south, east, north in (boxes >> 12).tolist():
        marked[south : north + 1, west : east + 1] = True
    return marked.ravel()


def _reach(box: Ints, roots: BoolColumn) -> BoolColumn:
    """Say for each box whether it reaches one of the chosen cells of one degree."""
    marked = roots.reshape(180, 360)
    low, high = box[:, :2] >> 12, box[:, 2:] >> 12
    total = np.zeros((181, 361), dtype=np.int64)
    total[1:, 1:] = marked.cumsum(axis=0).cumsum(axis=1)
    east, north, west, south = high[:, 0] + 1, high[:, 1] + 1, low[:, 0], low[:, 1]
    found: BoolColumn = total[north, east] - total[south, east] - total[north, west] + total[south, west] > 0
    return found


def _joined(
    base: Cells, shapes: Shapes, levels: list[Level], lists: Lists, plan: _Plan, room: list[Floats]
) -> tuple[Cells, list[Floats]]:
    """Number leaves and tables after those of ``base`` and put everything together."""
    list_count = int(lists.used[0])
    list_leaf = np.arange(list_count) + len(base.page) - 1
    list_leaf[0] = 0
    plain = np.zeros((list_count - 1, 4))
    plain[:, 2:] = lists.span[1:list_count, :2] + [len(base.hits), 0]
    pages, rows, leaf_of = [plain], [list_leaf[1:]], []
    first = len(base.page) + list_count - 1
    for nodes, _, _, ends in levels:
        page, row = _leaves(shapes, nodes, ends, lists.span, len(base.hits))
        pages.append(page)
        rows.append(row + first)
        leaf_of.append(np.full(len(nodes.node), -1, dtype=np.int64))
        leaf_of[-1][ends] = row + first
        first += len(page)
    larger = _extended(base.page, pages, first, room)
    page, row = larger[:first], np.concatenate(rows)
    entries = page[row, 1].astype(np.int64)
    combos = np.where(entries <= MOST_BITS, 1 << np.minimum(entries, MOST_BITS), 0)
    page[row, 0] = np.where(combos > 0, len(base.combo_leaf) + np.cumsum(combos) - combos, -1)
    cells = Cells(
        *_tables(base, levels, list_leaf, leaf_of, plan),
        _appended(base.coarse, leaf_of[2][levels[2][2]]),
        page,
        _appended(base.hits, lists.zone[: int(lists.used[1])]),
        _appended(base.combo_leaf, np.repeat(row, combos)),
    )
    return cells, [larger]


def _extended(page: Floats, parts: list[Floats], rows: int, room: list[Floats]) -> Floats:
    """Write the parts behind the page, in its own room when there is enough; return the array with room behind them.

    Readers of the older page see only its rows, which stay as they are. Taking the room from the list is one step, so
    of two successors one gets it.
    """
    larger = room.pop() if room else page
    if len(larger) < rows:
        larger = np.empty((rows + rows // 4 + 4096, 4))
        larger[: len(page)] = page
    np.concatenate(parts, out=larger[len(page) : rows])
    return larger


def _appended(base: npt.NDArray[np.int32], *parts: Ints) -> npt.NDArray[np.int32]:
    return np.concatenate([base, *(part.astype(np.int32) for part in parts)])


Table = npt.NDArray[np.int32]


def _tables(
    base: Cells, levels: list[Level], list_leaf: Ints, leaf_of: list[Ints], plan: _Plan
) -> tuple[Table, Table, Table, Table]:
    """Turn lists and nodes in the tables into leaves and tables, and append them to those of ``base``."""
    older = (base.table1, base.table2, base.table3)
    found = []
    for depth, (_, table, chosen, _) in enumerate(levels):
        value = leaf_of[depth].copy()
        if depth < 3:
            size = LEVELS[depth + 1][0] * LEVELS[depth + 1][1]
            value[chosen] = -1 - (len(older[depth]) // size + np.arange(len(chosen)))
        node = np.clip(-1 - table, 0, len(value) - 1)
        found.append(np.where(table >= 0, list_leaf[np.maximum(table, 0)], value[node]))
    root = np.where(plan.roots, found[0], base.root).astype(np.int32)
    _keep_unchanged(base, levels[0], found[1], plan)
    table1, table2, table3 = (_appended(before, after) for before, after in zip(older, found[1:], strict=True))
    return root, table1, table2, table3


def _keep_unchanged(base: Cells, level: Level, table: Ints, plan: _Plan) -> None:
    """Take the cells of 1/32 degree outside the changed boxes from the older tables."""
    nodes, _, chosen, _ = level
    columns, _, size = LEVELS[1]
    child = np.arange(_TILES)
    for place, node in enumerate(chosen.tolist()):
        column, row, _, root, _ = nodes.node[node].tolist()
        if plan.partial[root]:
            older = -1 - int(base.root[root])
            kept = ~plan.touches(column + child % columns * size, row + child // columns * size)
            before = base.table1[older * _TILES : (older + 1) * _TILES]
            table[place * _TILES : (place + 1) * _TILES][kept] = before[kept]


@kernel
def moved_zones(page: Floats, position: Ints) -> Floats:
    """Return a copy of a page in which every entry has the new position of its zone. Cost: about 3 ns per row."""
    moved = page.copy()
    at = 0
    while at < len(page):
        entries = int(page[at, 1])
        at += 1
        for _ in range(entries):
            zone, turn, inside = entry_zone(page, at)
            moved[at, 3] = packed_zone(position[zone], turn, int(inside))
            at += 1 + entry_counts(page, at)[1]
    return moved


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


@bare
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
