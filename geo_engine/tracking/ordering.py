"""Events in the order in which they are reported: by time, user, kind, zone."""

from __future__ import annotations

from typing import Final

import numpy as np

from geo_engine.compiled import COMPILED, kernel
from geo_engine.model import IntColumn
from geo_engine.tracking.events import Events

__all__ = ["in_order"]

_USER_BITS: Final = 24
_DIGIT_BITS: Final = 11
_MOST_BITS: Final = 62


def in_order(events: Events) -> Events:
    """Return events by time, user, kind, zone. Cost: about 40 ns an event compiled, 500 ns in NumPy."""
    if len(events) < 2:
        return events
    time_ms = events["time_ms"]
    since_ms = time_ms - time_ms.min()
    bits = int(since_ms.max()).bit_length() + _USER_BITS
    if not COMPILED or bits > _MOST_BITS:
        return events[np.lexsort((events["zone"], events["kind"], events["u7"], time_ms))]
    key = (since_ms << _USER_BITS) | events["u7"]
    order, spare = np.empty(len(events), dtype=np.int64), np.empty(len(events), dtype=np.int64)
    _radix_order(key, order, spare, bits)
    # Events of one user at one moment are few: an insertion sort by kind and zone settles them.
    rank = (events["kind"].astype(np.int64) << 32) | events["zone"]
    _settle_runs(key, rank, order)
    return events[order]


@kernel
def _radix_order(key: IntColumn, order: IntColumn, spare: IntColumn, bits: int) -> None:
    """Write into ``order`` the stable order of keys of at most ``bits`` bits, not negative.

    A least-significant-digit radix sort (Knuth, TAOCP 3, 5.2.5), 11 bits a pass.
    """
    count = len(key)
    for i in range(count):
        order[i] = i
    counts = np.zeros((1 << _DIGIT_BITS) + 1, dtype=np.int64)
    mask = (1 << _DIGIT_BITS) - 1
    shift = 0
    while shift < bits:
        counts[:] = 0
        for i in range(count):
            counts[((key[i] >> shift) & mask) + 1] += 1
        for digit in range(1 << _DIGIT_BITS):
            counts[digit + 1] += counts[digit]
        for at in range(count):
            digit = (key[order[at]] >> shift) & mask
            spare[counts[digit]] = order[at]
            counts[digit] += 1
        for at in range(count):
            order[at] = spare[at]
        shift += _DIGIT_BITS


@kernel
def _settle_runs(key: IntColumn, rank: IntColumn, order: IntColumn) -> None:
    """Sort each run of equal keys by rank. A run of 400 zones costs 40 us; usual ones hold one to three."""
    for at in range(1, len(order)):
        row = order[at]
        place = at
        while place > 0 and key[order[place - 1]] == key[row] and rank[order[place - 1]] > rank[row]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = row
