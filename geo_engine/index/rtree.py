"""The R-tree catalogue of zones (libspatialindex through rtree): the default index of a zone set."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from rtree.index import Index

from geo_engine.index.candidates import CandidateIndex
from geo_engine.index.entries import Entries
from geo_engine.model import IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["RtreeIndex"]


class RtreeIndex(CandidateIndex):
    """Zones in a bulk-loaded R-tree of integer ids; exact tests by shapely on the candidates.

    Building costs about 1 us per zone plus preparing its shape; in batches a point costs about 1 us.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Bulk-load the tree."""
        entries = Entries.of(zones)
        super().__init__(zones, entries, _RtreeProposer(entries))


class _RtreeProposer:
    """Asks the tree once per tile instead of once per box.

    A call into libspatialindex costs microseconds, and the boxes of a batch lie in few tiles: each distinct tile range
    is looked up once, and its entries are then compared with the boxes themselves in columns.
    """

    def __init__(self, entries: Entries) -> None:
        self._bounds = entries.bounds
        self._empty = len(entries) == 0
        if not self._empty:
            ids = np.arange(len(entries), dtype=np.int64)
            self._tree = Index((ids, entries.bounds[:, :2].copy(), entries.bounds[:, 2:].copy()))

    def propose(self, mins: npt.NDArray[np.float64], maxs: npt.NDArray[np.float64]) -> tuple[IntColumn, IntColumn]:
        if self._empty or len(mins) == 0:
            nothing = np.empty(0, dtype=np.int64)
            return nothing, nothing.copy()
        tiles, tile_of = np.unique(_tile_ranges(mins, maxs), return_inverse=True)
        low, high = _corners(tiles)
        # rtree leaves intersection_v without types.
        found, counts = self._tree.intersection_v(low, high)  # type: ignore[no-untyped-call]
        found, counts = found.astype(np.int64), counts.astype(np.int64)
        query = np.repeat(np.arange(len(mins)), counts[tile_of])
        first = np.cumsum(counts) - counts
        within = np.arange(len(query)) - np.repeat(np.cumsum(counts[tile_of]) - counts[tile_of], counts[tile_of])
        entry = found[np.repeat(first[tile_of], counts[tile_of]) + within]
        west, south, east, north = self._bounds[entry].T
        near = (
            (mins[query, 0] <= east) & (maxs[query, 0] >= west) & (mins[query, 1] <= north) & (maxs[query, 1] >= south)
        )
        return query[near], entry[near]


# A tile range packed into one integer: first column, first row, further columns, further rows. Longitudes of unwrapped
# segments reach from -540 to 540 degrees.
_TILE_DEG: Final = 0.01
_FIRST_LON: Final = -541.0
_FIRST_LAT: Final = -91.0
_COLUMN_BITS: Final = 17
_ROW_BITS: Final = 15
_MARGIN_DEG: Final = 1e-9  # more than the rounding of a tile's corner, so that a tile always holds its boxes


def _tile_ranges(mins: npt.NDArray[np.float64], maxs: npt.NDArray[np.float64]) -> IntColumn:
    first = np.floor((mins - (_FIRST_LON, _FIRST_LAT)) / _TILE_DEG).astype(np.int64)
    further = np.floor((maxs - (_FIRST_LON, _FIRST_LAT)) / _TILE_DEG).astype(np.int64) - first
    key: IntColumn = first[:, 0]
    for value, bits in ((first[:, 1], _ROW_BITS), (further[:, 0], _COLUMN_BITS), (further[:, 1], _ROW_BITS)):
        key = (key << bits) | value
    return key


def _corners(tiles: IntColumn) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rows, tiles = tiles & ((1 << _ROW_BITS) - 1), tiles >> _ROW_BITS
    columns, tiles = tiles & ((1 << _COLUMN_BITS) - 1), tiles >> _COLUMN_BITS
    row, tiles = tiles & ((1 << _ROW_BITS) - 1), tiles >> _ROW_BITS
    column = tiles & ((1 << _COLUMN_BITS) - 1)  # the four parts fill 64 bits, so the topmost may carry the sign
    low = np.column_stack([column, row]) * _TILE_DEG + (_FIRST_LON, _FIRST_LAT)
    size = (np.column_stack([columns, rows]) + 1) * _TILE_DEG
    return low - _MARGIN_DEG, low + size + _MARGIN_DEG
