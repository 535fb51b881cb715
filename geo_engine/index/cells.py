"""The compiled zone index: adaptive cells over the whole earth, exact answers, tens of nanoseconds a position."""

from __future__ import annotations

import numpy as np

from geo_engine.compiled import kernel
from geo_engine.index.buffers import longer
from geo_engine.index.compile import shapes_of
from geo_engine.index.entries import Entries
from geo_engine.index.kernels import Cells, zones_at
from geo_engine.index.protocol import Pairs
from geo_engine.index.tree import ROOTS, compiled_cells, nothing
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["CellIndex"]


class CellIndex:
    """The zones of a set, compiled into cells."""

    def __init__(self, zones: ZoneSet) -> None:
        """Compile the cells."""
        self._zone_count = len(zones)
        shapes = shapes_of(Entries.of(zones))
        self.cells: Cells = compiled_cells(nothing(), shapes, np.ones(ROOTS, dtype=bool), None)

    @property
    def combo_count(self) -> int:
        """Return the number of combos."""
        return len(self.cells.combo_leaf)

    @property
    def nbytes(self) -> int:
        """Return the bytes the arrays take."""
        return sum(column.nbytes for column in self.cells)

    def containing(self, lon: FloatColumn, lat: FloatColumn) -> Pairs:
        """Return the zones that hold each point."""
        return Pairs(*_containing(self.cells, lon, lat))


@kernel
def _containing(cells: Cells, lon: FloatColumn, lat: FloatColumn) -> tuple[IntColumn, IntColumn]:
    query, zone = np.empty(2 * len(lon) + 8, dtype=np.int64), np.empty(2 * len(lon) + 8, dtype=np.int64)
    used = 0
    for i in range(len(lon)):
        needed = zones_at(cells, lon[i], lat[i], zone[used:])
        if used + needed > len(zone):
            zone, query = longer(zone, used + needed), longer(query, used + needed)
            zones_at(cells, lon[i], lat[i], zone[used:])
        query[used : used + needed] = i
        used += needed
    return query[:used].copy(), zone[:used].copy()
