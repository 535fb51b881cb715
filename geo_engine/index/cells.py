"""The compiled zone index: adaptive cells over the whole earth, exact answers, tens of nanoseconds a position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo_engine.index.batches import ahead_of_all, containing_all, touched_by_all
from geo_engine.index.compile import shapes_of
from geo_engine.index.entries import Entries
from geo_engine.index.kernels import Cells
from geo_engine.index.protocol import Pairs, RayHits, Segments
from geo_engine.index.tree import ROOTS, compiled_cells, nothing
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["CellIndex", "wanted_words"]


class CellIndex:
    """The zones of a set, compiled into cells.

    Attributes:
        cells: the arrays the kernels work on.
    """

    def __init__(self, zones: ZoneSet, previous: CellIndex | None = None) -> None:  # noqa: ARG002 - part of the door
        """Compile the cells, afresh also where there is an index of an earlier set."""
        self._zone_count = len(zones)
        shapes = shapes_of(Entries.of(zones))
        self.cells: Cells = compiled_cells(nothing(), shapes, np.ones(ROOTS, dtype=bool), None)

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
        return Pairs(*containing_all(self.cells, lon, lat))

    def touching(self, segments: Segments) -> Pairs:
        """Return the zones each segment passes through, ends in or touches."""
        way = segments.unwrapped()
        return Pairs(*touched_by_all(self.cells, way.lon0, way.lat0, way.lon1, way.lat1))

    def ahead(self, segments: Segments, group: IntColumn, wanted: BoolColumn) -> RayHits:
        """Return the wanted zones each segment meets and where it first meets them."""
        way = segments.unwrapped()
        ways = (way.lon0, way.lat0, way.lon1, way.lat1)
        return RayHits(*ahead_of_all(self.cells, ways, group, wanted_words(wanted)))


def wanted_words(wanted: BoolColumn) -> npt.NDArray[np.uint64]:
    """Return a bool matrix (groups, zones) as bits, uint64 (groups, words): zone z is bit z & 63 of word z >> 6."""
    groups, zones = wanted.shape
    padded = np.zeros((groups, max(-(-zones // 64), 1) * 64), dtype=bool)
    padded[:, :zones] = wanted
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
