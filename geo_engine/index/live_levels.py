"""Exact search over a hierarchy of boxes, level by level and for all queries at once, anywhere on earth.

A box is seen as a ball: its centre and a radius no point of the box lies beyond. By the triangle inequality of the
geodesic, everybody in it is at least ``d - r`` and at most ``d + r`` metres away, where ``d`` is the exact distance to
the centre; this needs no plane, no sphere and no case for poles (ball trees: Omohundro 1989). It serves the queries
that leave the local frame, and all queries where kernels are not compiled.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.geodesy.measure import distance_m
from geo_engine.index.live_protocol import Asked, Neighbours, in_order
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["FANOUT", "Levels", "spread"]

FANOUT: Final = 16
"""Children of a node."""

_MOST_M_PER_DEG_LAT: Final = 111_694.0
_HALF_EARTH_M: Final = 20_004_000.0
# The local frame differs from the geodesic by at most 1 cm, which the triangle inequality has to bear three times.
_SLACK_M: Final = 0.05
_PAIRS_AT_ONCE: Final = 2_000_000


class Levels:
    """Boxes over positions that are ordered so that neighbours are close; 16 boxes make the next level's box.

    Memory: 48 bytes a leaf. Cost: some 100 pairs of query and box a level, 100 ns each within 10 km, 800 ns beyond.
    """

    def __init__(self, ids: IntColumn, places: npt.NDArray[np.float64], first: IntColumn, count: IntColumn) -> None:
        """Build the levels.

        Args:
            ids: id of each position.
            places: float64 (positions, 2), lon and lat.
            first: first position of each leaf; leaves that follow one another should be close.
            count: positions of each leaf, at least 1.
        """
        self._ids = ids
        self._places = places
        self._first = first
        self._count = count
        self._levels: list[_Level] = []
        if len(first):
            self._build()

    def search(self, asked: Asked) -> Neighbours:
        """Return the neighbours of the queries."""
        leaf = self._leaves(asked)
        if leaf is None:
            middle = len(asked) // 2
            halves = [self.search(asked.take(half)) for half in np.split(np.arange(len(asked)), [middle])]
            columns = ([getattr(half, name) for half in halves] for name in ("query", "id", "distance_m"))
            return Neighbours(*(np.concatenate(column) for column in columns))
        query, node = leaf
        pair, step = spread(self._count[node])
        row = self._first[node[pair]] + step
        query = query[pair]
        metres = distance_m(asked.lon[query], asked.lat[query], self._places[row, 0], self._places[row, 1])
        return in_order(asked, query, self._ids[row], metres)

    def _build(self) -> None:
        order, starts = _runs(self._first, self._count)
        west, east = (f.reduceat(self._places[order, 0], starts) for f in (np.minimum, np.maximum))
        south, north = (f.reduceat(self._places[order, 1], starts) for f in (np.minimum, np.maximum))
        people = self._count
        while True:
            self._levels.append(_Level(west, south, east, north, people))
            if len(west) == 1:
                break
            starts = np.arange(0, len(west), FANOUT)
            west, south = np.minimum.reduceat(west, starts), np.minimum.reduceat(south, starts)
            east, north = np.maximum.reduceat(east, starts), np.maximum.reduceat(north, starts)
            people = np.add.reduceat(people, starts)

    def _leaves(self, asked: Asked) -> tuple[IntColumn, IntColumn] | None:
        """Return the pairs of query and leaf that can hold a neighbour, or None when they are too many at once."""
        query = np.arange(len(asked) if self._levels else 0)
        node = np.zeros(len(query), dtype=np.int64)
        for height in range(len(self._levels) - 1, -1, -1):
            query, node = self._levels[height].pruned(asked, query, node)
            if len(asked) > 1 and self._pairs(height, node) > _PAIRS_AT_ONCE:
                return None
            if height:
                first, last = node * FANOUT, np.minimum((node + 1) * FANOUT, len(self._levels[height - 1]))
                pair, step = spread(last - first)
                query, node = query[pair], first[pair] + step
        return query, node

    def _pairs(self, height: int, node: IntColumn) -> int:
        """Return how many pairs the next step makes of these nodes."""
        return FANOUT * len(node) if height else int(self._count[node].sum())


class _Level:
    """The balls of one level."""

    def __init__(
        self, west: FloatColumn, south: FloatColumn, east: FloatColumn, north: FloatColumn, people: IntColumn
    ) -> None:
        self._lon = 0.5 * (west + east)
        self._lat = 0.5 * (south + north)
        self._people = people
        # The way from the centre to a place, straight in degrees, is nowhere longer a degree than at these two scales.
        widest_lat = np.where((south <= 0.0) & (north >= 0.0), 0.0, np.minimum(np.abs(south), np.abs(north)))
        half_width_m = 0.5 * (east - west) * metres_per_degree(widest_lat)[0]
        half_height_m = 0.5 * (north - south) * _MOST_M_PER_DEG_LAT
        self._radius_m = np.minimum(np.hypot(half_width_m, half_height_m), _HALF_EARTH_M) + _SLACK_M

    def __len__(self) -> int:
        return len(self._lon)

    def pruned(self, asked: Asked, query: IntColumn, node: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Keep the pairs whose ball can hold a neighbour.

        Of the ``k`` nearest nobody lies beyond the least distance within which balls lie wholly that hold ``k``.
        """
        metres = distance_m(asked.lon[query], asked.lat[query], self._lon[node], self._lat[node])
        limit = asked.limit_m.copy()
        counted = np.flatnonzero(asked.k[query] > 0)
        if len(counted):
            upper = metres[counted] + self._radius_m[node[counted]]
            order = np.lexsort((upper, query[counted]))
            of, upper = query[counted[order]], upper[order]
            people = np.cumsum(self._people[node[counted[order]]])
            before = np.concatenate([[0], people])[np.searchsorted(of, of)]
            enough = np.flatnonzero(people - before >= asked.k[of])
            # The first row of each query that is enough; a later one would overwrite it, so they are set backwards.
            limit[of[enough[::-1]]] = np.minimum(upper[enough[::-1]], limit[of[enough[::-1]]])
        near = metres - self._radius_m[node] <= limit[query]
        return query[near], node[near]


def spread(counts: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return, for ``counts[i]`` copies of every row i, the row and the number of the copy."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)


def _runs(first: IntColumn, count: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return the rows of all leaves one after the other and where each leaf begins among them."""
    leaf, step = spread(count)
    return first[leaf] + step, np.cumsum(count) - count
