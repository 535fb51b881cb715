"""The R-tree catalogue of zones (libspatialindex through rtree): the default index of a zone set."""

from __future__ import annotations

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

    Building costs about 1 us per zone plus preparing its shape; a point costs some microseconds.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Bulk-load the tree."""
        entries = Entries.of(zones)
        super().__init__(zones, entries, _RtreeProposer(entries))


class _RtreeProposer:
    def __init__(self, entries: Entries) -> None:
        self._empty = len(entries) == 0
        if not self._empty:
            ids = np.arange(len(entries), dtype=np.int64)
            self._tree = Index((ids, entries.bounds[:, :2].copy(), entries.bounds[:, 2:].copy()))

    def propose(self, mins: npt.NDArray[np.float64], maxs: npt.NDArray[np.float64]) -> tuple[IntColumn, IntColumn]:
        if self._empty or len(mins) == 0:
            nothing = np.empty(0, dtype=np.int64)
            return nothing, nothing.copy()
        ids, counts = self._tree.intersection_v(mins, maxs)  # type: ignore[no-untyped-call]  # rtree leaves it untyped
        return np.repeat(np.arange(len(mins)), counts.astype(np.int64)), ids.astype(np.int64)
