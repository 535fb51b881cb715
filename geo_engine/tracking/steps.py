"""Each accepted ping with the ping before it: the step the user took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_engine.index.protocol import Segments
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch
from geo_engine.tracking.start import Start

__all__ = ["Steps"]


@dataclass(frozen=True, slots=True)
class Steps:
    """Pings ordered by user and time, joined to their predecessors.

    Attributes:
        pings: the accepted pings, ordered by u7, then time.
        first: the ping is its user's first in the batch.
        known: the user was heard of before, so ``before_ms`` means something.
        placed: the position before is known.
        before_ms: event time of the step's start.
        before_lon: longitude of the step's start.
        before_lat: latitude of the step's start.
        joined: the straight way between both positions is evidence (known, no silence, no jump).
    """

    pings: PingBatch
    first: BoolColumn
    known: BoolColumn
    placed: BoolColumn
    before_ms: IntColumn
    before_lon: FloatColumn
    before_lat: FloatColumn
    joined: BoolColumn

    @classmethod
    def of(
        cls, pings: PingBatch, start: Start, anchored: BoolColumn, *, max_gap_ms: int | None
    ) -> Steps:
        """Join ordered pings to the state of their users as it was before the batch."""
        count = len(pings)
        first = np.ones(count, dtype=bool)
        first[1:] = pings.u7[1:] != pings.u7[:-1]
        before = np.maximum(np.arange(count) - 1, 0)
        before_ms = np.where(first, start.time_ms, pings.time_ms[before]).astype(np.int64)
        placed = ~first | start.placed
        joined = placed & ~anchored
        if max_gap_ms is not None:
            joined &= pings.time_ms - before_ms <= max_gap_ms
        return cls(
            pings=pings,
            first=first,
            known=~first | (start.time_ms > 0),
            placed=placed,
            before_ms=before_ms,
            before_lon=np.where(first, start.lon, pings.lon[before]),
            before_lat=np.where(first, start.lat, pings.lat[before]),
            joined=joined,
        )

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.pings)

    def segments(self, rows: IntColumn) -> Segments:
        """Return the straight ways of the given steps."""
        return Segments(self.before_lon[rows], self.before_lat[rows], self.pings.lon[rows], self.pings.lat[rows])
