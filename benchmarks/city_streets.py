"""The streets of the made-up city: a turned, irregular grid, in metres round its middle."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import FloatColumn

__all__ = ["KM", "LAT", "LON", "Streets"]

LON: Final = 114.30
LAT: Final = 30.60
KM: Final = 1_000.0

_SIDE_M: Final = 40.0 * KM
_TURN_DEG: Final = 17.0
_JITTER_M: Final = 12.0
_SHORTEST_M: Final = 140.0  # a user at 80 km/h meets at most one crossing in 5 s
_LONGEST_M: Final = 420.0
_DOWNTOWN_M: Final = 6.0 * KM
_DOWNTOWN_SHARE: Final = 0.5

_Metres = npt.NDArray[np.float64]

EAST, NORTH, WEST, SOUTH = range(4)


class Streets:
    """Crossings and the blocks between them.

    A link is a block driven in one direction: number ``crossing * 4 + direction``, the directions being east, north,
    west and south before the whole grid is turned.

    Attributes:
        crossings: float64 (n, 2), east and north of the middle in metres.
        end: int32 per link, the crossing it leads to; -1 where no street leads on.
        length_m: float32 per link, NaN where no street leads on.
        heading_deg: float32 per link, clockwise from north.
        downtown: crossings near the middle, where half of everything happens.
    """

    def __init__(self, random: np.random.Generator) -> None:
        """Lay out the streets."""
        columns, rows = _lines(random), _lines(random)
        self._shape = (len(columns), len(rows))
        x, y = np.meshgrid(columns, rows, indexing="ij")
        x = x + random.uniform(-_JITTER_M, _JITTER_M, x.shape)
        y = y + random.uniform(-_JITTER_M, _JITTER_M, y.shape)
        turn = np.radians(_TURN_DEG)
        east, north = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        self.crossings: _Metres = np.column_stack([east.ravel(), north.ravel()])
        self.end = self._ends()
        step = self.crossings[self.end] - np.repeat(self.crossings, 4, axis=0)
        exists = self.end >= 0
        length_m = np.where(exists, np.hypot(*step.T), np.nan)
        self.length_m = length_m.astype(np.float32)
        self.heading_deg = (np.degrees(np.arctan2(step[:, 0], step[:, 1])) % 360.0).astype(np.float32)
        near = np.hypot(*self.crossings.T) / _DOWNTOWN_M
        self._weight = _DOWNTOWN_SHARE * _share(np.exp(-0.5 * near**2)) + (1.0 - _DOWNTOWN_SHARE) / len(self.crossings)
        self._cumulated = np.cumsum(self._weight)
        self._metres_per_degree = tuple(float(value) for value in metres_per_degree(np.array(LAT)))

    def _ends(self) -> npt.NDArray[np.int32]:
        number = np.full((self._shape[0] + 2, self._shape[1] + 2), -1, dtype=np.int32)
        number[1:-1, 1:-1] = np.arange(len(self.crossings), dtype=np.int32).reshape(self._shape)
        around = [number[2:, 1:-1], number[1:-1, 2:], number[:-2, 1:-1], number[1:-1, :-2]]
        return np.stack([part.ravel() for part in around], axis=1).ravel()

    def some(self, random: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """Return crossings, half of them near the middle of the city."""
        found = np.searchsorted(self._cumulated, random.random(count) * self._cumulated[-1], side="right")
        return np.minimum(found, len(self.crossings) - 1)

    def places(self, random: np.random.Generator, count: int) -> _Metres:
        """Return places along streets in metres, (count, 2)."""
        link = self.leaving(random, self.some(random, count))
        start, end = self.crossings[link // 4], self.crossings[self.end[link]]
        placed: _Metres = start + random.random((count, 1)) * (end - start)
        return placed

    def leaving(self, random: np.random.Generator, crossing: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return one link that leaves each crossing; where a street ends, the one back into the city."""
        link = crossing * 4 + random.integers(0, 4, len(crossing))
        return np.where(self.end[link] >= 0, link, turned(link, 2))

    def sections(self, random: np.random.Generator, count: int, *, blocks: int) -> npt.NDArray[np.object_]:
        """Return stretches of one street, each up to ``blocks`` long, as lines in metres."""
        link = self.leaving(random, self.some(random, count))
        direction = link % 4
        path = [link // 4, self.end[link].astype(np.int64)]
        length = random.integers(1, blocks + 1, count)
        for block in range(1, blocks):
            on = self.end[path[-1] * 4 + direction]
            path.append(np.where((on >= 0) & (block < length), on, path[-1]))
        corners = self.crossings[np.stack(path, axis=1)]
        # Closures seldom begin at a crossing.
        corners[:, 0] += (corners[:, 1] - corners[:, 0]) * random.uniform(0.0, 0.9, (count, 1))
        moves = np.ones(corners.shape[:2], dtype=np.bool_)
        moves[:, 1:] = (corners[:, 1:] != corners[:, :-1]).any(axis=2)
        return np.asarray(shapely.linestrings(corners[moves], indices=np.nonzero(moves)[0]), dtype=object)

    def lines(self) -> npt.NDArray[np.object_]:
        """Return every street from end to end as a line in metres."""
        grid = self.crossings.reshape(*self._shape, 2)
        return np.array([shapely.LineString(line) for line in (*grid, *grid.swapaxes(0, 1))], dtype=object)

    def to_degrees(self, metres: _Metres) -> tuple[FloatColumn, FloatColumn]:
        """Return lon and lat of places in metres, by one scale for the whole city."""
        return LON + metres[:, 0] / self._metres_per_degree[0], LAT + metres[:, 1] / self._metres_per_degree[1]


def turned(link: npt.NDArray[np.int64], quarters: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    """Return the links that leave the same crossings, turned to the left by ``quarters`` of a turn."""
    return (link & ~3) | ((link + quarters) & 3)


def _lines(random: np.random.Generator) -> _Metres:
    """Return where parallel streets lie across the city, unevenly apart."""
    gaps = random.uniform(_SHORTEST_M + 2 * _JITTER_M, _LONGEST_M, int(_SIDE_M / _SHORTEST_M))
    ends = np.cumsum(gaps)
    ends = ends[ends <= _SIDE_M]
    return ends - (ends[0] + ends[-1]) / 2.0


def _share(weight: _Metres) -> _Metres:
    shared: _Metres = weight / weight.sum()
    return shared
