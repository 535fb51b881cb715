"""An index made of two parts: something that proposes candidates, and the exact tests that settle them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from geo_engine.index.entries import Entries, turned_segments
from geo_engine.index.exact import borders_near, holds, meets, unique_pairs
from geo_engine.index.protocol import Pairs, Segments
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["CandidateIndex", "Proposer"]


class Proposer(Protocol):
    """Proposes, for boxes, index entries that may concern them. Never misses one; may name too many."""

    def propose(self, mins: npt.NDArray[np.float64], maxs: npt.NDArray[np.float64]) -> tuple[IntColumn, IntColumn]:
        """Return (box row, entry) pairs for boxes given as (n, 2) corners."""
        ...


class CandidateIndex:
    """Answers the ``ZoneIndex`` protocol from a proposer and shapely's exact tests."""

    def __init__(self, zones: ZoneSet, entries: Entries, proposer: Proposer) -> None:
        """Keep the entries; nothing is copied."""
        self._zone_count = len(zones)
        self._entries = entries
        self._proposer = proposer

    def containing(self, lon: FloatColumn, lat: FloatColumn) -> Pairs:
        """Return the zones that hold each point."""
        points = np.column_stack([lon, lat])
        query, entry = self._proposer.propose(points, points)
        inside = holds(self._entries, entry, lon[query], lat[query])
        return unique_pairs(query[inside], self._entries.zone[entry[inside]], self._zone_count)

    def touching(self, segments: Segments) -> Pairs:
        """Return the zones each segment passes through, ends in or touches."""
        copies, row = turned_segments(segments)
        query, entry = self._boxed(copies)
        met = meets(self._entries, entry, _rows(copies, query))
        return unique_pairs(row[query[met]], self._entries.zone[entry[met]], self._zone_count)

    def near(self, lon: FloatColumn, lat: FloatColumn, zone: IntColumn, within_m: FloatColumn) -> BoolColumn:
        """Say for each (position, zone) whether the border of the zone comes nearer than so many metres."""
        return borders_near(self._entries, lon, lat, zone, within_m)

    def _boxed(self, segments: Segments) -> tuple[IntColumn, IntColumn]:
        mins = np.column_stack([np.minimum(segments.lon0, segments.lon1), np.minimum(segments.lat0, segments.lat1)])
        maxs = np.column_stack([np.maximum(segments.lon0, segments.lon1), np.maximum(segments.lat0, segments.lat1)])
        return self._proposer.propose(mins, maxs)


def _rows(segments: Segments, rows: IntColumn) -> Segments:
    return Segments(segments.lon0[rows], segments.lat0[rows], segments.lon1[rows], segments.lat1[rows])
