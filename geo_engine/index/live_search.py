"""How compiled sets of live positions answer: kernels in the local frame, boxes and geodesics beyond it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.index.live_kernels import Found, Queries, room
from geo_engine.index.live_levels import Levels
from geo_engine.index.live_protocol import Asked, Neighbours
from geo_engine.model import IntColumn

__all__ = ["Searched"]

# The local frame of geodesy/measure.py, less a margin so that no pair is measured in two ways.
_FRAME_LIMIT_M: Final = 9_999.0
_FRAME_LIMIT_LAT_DEG: Final = 69.9
_FIRST_ROOM: Final = 1 << 16


class Searched(ABC):
    """Answers the ``Positions`` protocol from a kernel that fills ``Found`` and from the levels of its boxes."""

    _kernels: bool
    _ids: IntColumn

    def __len__(self) -> int:
        """Return the number of positions on earth."""
        return len(self._ids)

    def nearest(
        self, lon: npt.ArrayLike, lat: npt.ArrayLike, k: npt.ArrayLike, *, within_m: npt.ArrayLike | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of each query, fewer when there are no more; ties go to the smaller id.

        Those who have fewer than ``k`` neighbours within 10 km are looked for by geodesics: about 2 ms each.
        """
        asked = Asked.nearest(lon, lat, k, within_m, len(self))
        local = np.abs(asked.lat) < _FRAME_LIMIT_LAT_DEG
        return self._answer(asked, local)

    def within(self, lon: npt.ArrayLike, lat: npt.ArrayLike, radius_m: npt.ArrayLike) -> Neighbours:
        """Return everybody within the radius of each query; from 10 km on by geodesics, 1 us for each one found."""
        asked = Asked.within(lon, lat, radius_m)
        local = (np.abs(asked.lat) < _FRAME_LIMIT_LAT_DEG) & (asked.limit_m <= _FRAME_LIMIT_M)
        return self._answer(asked, local)

    @abstractmethod
    def _fill(self, queries: Queries, begin: int, found: Found) -> int:
        """Answer the queries from ``begin`` on, behind those before; return the first that finds no room."""

    @abstractmethod
    def _levels(self) -> Levels:
        """Return the boxes, made when first asked for."""

    def _answer(self, asked: Asked, local: npt.NDArray[np.bool_]) -> Neighbours:
        if not self._kernels:
            return self._levels().search(asked)
        near = np.flatnonzero(local)
        found, counts = self._run(asked.take(near))
        lacking = (counts < asked.k[near]) & (asked.limit_m[near] > _FRAME_LIMIT_M)
        if not lacking.any() and len(near) == len(asked):
            return found
        far = np.concatenate([np.flatnonzero(~local), near[lacking]])
        far.sort()
        # Whoever is looked for again was found in part before.
        whole = np.repeat(~lacking, counts)
        beyond = self._levels().search(asked.take(far))
        query = np.concatenate([found.query[whole], beyond.query])
        order = np.argsort(query, kind="stable")
        ids, distance_m = np.concatenate([found.id[whole], beyond.id]), found.distance_m[whole]
        return Neighbours(query[order], ids[order], np.concatenate([distance_m, beyond.distance_m])[order])

    def _run(self, asked: Asked) -> tuple[Neighbours, IntColumn]:
        """Return the neighbours of local queries within the frame's limit, and their number per query."""
        limit_m = np.minimum(asked.limit_m, _FRAME_LIMIT_M)
        queries = Queries(asked.lon, asked.lat, limit_m, np.ascontiguousarray(asked.k))
        found = room(_FIRST_ROOM + int(asked.k.sum()) + 2 * int(asked.k.max(initial=0)), len(asked))
        begin = self._fill(queries, 0, found)
        while begin < len(asked):
            # More room: twice as much, or what the queries answered so far lead to expect for all.
            done = int(found.ends[begin - 1]) if begin else 0
            expected = 1.2 * done * len(asked) / max(begin, 1)
            larger = room(max(2 * len(found.id), int(expected)), len(asked))
            larger.id[:done], larger.distance_m[:done] = found.id[:done], found.distance_m[:done]
            larger.ends[:begin] = found.ends[:begin]
            found = larger
            begin = self._fill(queries, begin, found)
        counts = np.diff(found.ends, prepend=0)
        total = int(counts.sum())
        return Neighbours(np.repeat(asked.row, counts), found.id[:total], found.distance_m[:total]), counts
