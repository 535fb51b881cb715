"""The compiled zone index: adaptive cells over the whole earth, exact answers, tens of nanoseconds a position."""

from __future__ import annotations

from typing import Final

import numpy as np

from geo_engine.compiled import COMPILED
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.batches import containing_all, near_all, touched_by_all
from geo_engine.index.border_grid import BorderGrid, border_grid
from geo_engine.index.columns import containing_by_columns
from geo_engine.index.compile import Shapes, shapes_of
from geo_engine.index.entries import Entries
from geo_engine.index.kernels import Cells
from geo_engine.index.protocol import Pairs, Segments
from geo_engine.index.rtree import RtreeIndex
from geo_engine.index.tree import compiled_cells, moved_zones, nothing
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.zones.edit import GONE, Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["CellIndex"]

# Compiling on top of an older index leaves its dead cells behind: afresh when they would outweigh the living.
_MOST_DEAD: Final = 1.0
_FREE_ROWS: Final = 20_000

# As many edges may be compiled into fine cells by plain Python, about 1 ms each.
_FEW_EDGES: Final = 1000


class CellIndex:
    """The zones of a set, compiled into cells; the kernels of ``kernels`` and ``borders`` work on them.

    Equal to ``shapely.covers`` and ``intersects`` on the same doubles. Where the kernels are not compiled, points are
    looked up in columns and segments are left to the R-tree, with the same results.

    Attributes:
        cells: the arrays the kernels work on.
        borders: the borders by cell, for segments; nothing in it is marked.
        changed_zones: positions of the zones that are new or have another shape than in the index this one was
            compiled on; all zones when it was compiled afresh.
    """

    def __init__(
        self,
        zones: ZoneSet,
        previous: CellIndex | None = None,
        edit: Edit | None = None,
        *,
        compiled: bool = COMPILED,
    ) -> None:
        """Compile the cells, those of changed zones only when there is a previous index.

        Combos of ``previous`` in cells that did not change keep their numbers, unless the index was compiled afresh
        (``combos_kept`` is False then).

        Args:
            zones: what to compile.
            previous: the index of an earlier set; it stays as it is.
            edit: what differs between the zones of ``previous`` and these; None = compare them.
            compiled: answer by kernels; False = by NumPy and shapely.

        Cost: about 0.3 s for 2,700 zones of 30 vertices, a tenth of that for one edited zone.
        """
        self._zones = zones
        self._entries = Entries.of(zones)
        if previous is not None and edit is None:
            edit = Edit.between(previous._zones, zones)
        self._shapes = shapes_of(self._entries, *_known(previous, edit))
        self.changed_zones: IntColumn = np.arange(len(zones))
        self.combos_kept = False
        self._slow = None if compiled else RtreeIndex(zones)
        self._most_zones: int = max(len(zones), previous._most_zones if previous else 0)
        self._fine = compiled or len(self._shapes.edge) <= _FEW_EDGES
        if previous is None or edit is None or not self._compile_on(previous, edit):
            self.cells: Cells
            self.cells, self._room = compiled_cells(nothing(), self._shapes, None, [], fine=self._fine)
            self._living_rows = len(self.cells.page)
        self.borders: BorderGrid = border_grid(self.cells)

    def _compile_on(self, previous: CellIndex, edit: Edit) -> bool:
        """Compile over the cells of an older index; return False when afresh is better."""
        position, changed = np.where(edit.reshaped, GONE, edit.position), np.flatnonzero(edit.shaped)
        gone = np.flatnonzero(edit.reshaped)
        old, new = previous._shapes, self._shapes
        boxes = np.concatenate([old.box[np.isin(old.zone, gone)], new.box[np.isin(new.zone, changed)]])
        dead = len(previous.cells.page) - previous._living_rows
        if dead > _MOST_DEAD * previous._living_rows + _FREE_ROWS or 4 * len(boxes) > len(new.zone) + 32:
            return False
        base, room = previous.cells, previous._room
        if np.any((position >= 0) & (position != np.arange(len(position)))):
            # What only dead cells name may get any position; they may name zones of sets before the last one.
            position = np.maximum(position, 0)
            position = np.append(position, np.zeros(max(self._most_zones - len(position), 0), dtype=np.int64))
            hits = position[base.hits].astype(np.int32) if len(base.hits) else base.hits
            base, room = base._replace(page=moved_zones(base.page, position), hits=hits), []
        self.cells, self._room = compiled_cells(base, new, boxes, room, fine=self._fine)
        self._living_rows = previous._living_rows
        self.changed_zones, self.combos_kept = changed, True
        return True

    @property
    def combo_count(self) -> int:
        """Return the number of combos: ``combo_at`` stays below it."""
        return len(self.cells.combo_leaf)

    @property
    def nbytes(self) -> int:
        """Return the bytes the arrays take."""
        return sum(column.nbytes for column in self.cells)

    def containing(self, lon: FloatColumn, lat: FloatColumn) -> Pairs:
        """Return the zones that hold each point."""
        if self._slow is not None:
            return containing_by_columns(self.cells, self._entries, len(self._zones), lon, lat)
        return Pairs(*containing_all(self.cells, lon, lat))

    def touching(self, segments: Segments) -> Pairs:
        """Return the zones each segment passes through, ends in or touches."""
        if self._slow is not None:
            return self._slow.touching(segments)
        return Pairs(*touched_by_all(self.cells, self.borders, _ways(segments), len(self._zones)))

    def near(self, lon: FloatColumn, lat: FloatColumn, zone: IntColumn, within_m: FloatColumn) -> BoolColumn:
        """Say for each (position, zone) whether the border of the zone comes nearer than so many metres."""
        if self._slow is not None:
            return self._slow.near(lon, lat, zone, within_m)
        return near_all(self.borders, lon, lat, zone, within_m, *metres_per_degree(lat))


def _known(previous: CellIndex | None, edit: Edit | None) -> tuple[Shapes, IntColumn] | tuple[None, None]:
    """Return the shapes of the previous index, and for each zone which of them it still has."""
    if previous is None or edit is None:
        return None, None
    return previous._shapes, np.where(edit.shaped, GONE, edit.before)


def _ways(segments: Segments) -> tuple[FloatColumn, FloatColumn, FloatColumn, FloatColumn]:
    way = segments.unwrapped()
    return way.lon0, way.lat0, way.lon1, way.lat1
