"""Events in the order in which they are reported: by time, user, kind, zone."""

from __future__ import annotations

from typing import Final

import numpy as np

from geo_engine.compiled import COMPILED, bare, kernel
from geo_engine.model import IntColumn
from geo_engine.tracking.events import EVENT, Events

__all__ = ["in_order"]

_USER_BITS: Final = 24
_MOST_BITS: Final = 63
_DIGIT_BITS: Final = 11


def in_order(events: Events, *, compiled: bool = COMPILED) -> Events:
    """Return events by time, user, kind, zone, sorted by kernels or in NumPy.

    Cost: about 60 ns an event compiled, 500 ns in NumPy.
    """
    count = len(events)
    if count < 2:
        return events
    time_ms = np.ascontiguousarray(events["time_ms"])
    since_ms = time_ms - time_ms.min()
    row_bits = count.bit_length()
    if not compiled or int(since_ms.max()).bit_length() + _USER_BITS + row_bits > _MOST_BITS:
        return events[np.lexsort((events["zone"], events["kind"], events["u7"], time_ms))]
    # The row travels in the lowest bits, so that no pass has to look a key up.
    key = (((since_ms << _USER_BITS) | events["u7"]) << row_bits) | np.arange(count)
    key = _radix_sorted(key, np.empty_like(key), row_bits, int(since_ms.max()).bit_length() + _USER_BITS)
    order = key & ((1 << row_bits) - 1)
    # Events of one user at one moment are few: an insertion sort by kind and zone settles them.
    rank = (events["kind"].astype(np.int64) << 32) | events["zone"]
    _settle_runs(key >> row_bits, rank, order)
    # Moved as eight numbers each: NumPy moves records field by field.
    moved: Events = events.view(np.float64).reshape(-1, EVENT.itemsize // 8)[order].view(EVENT).reshape(-1)
    return moved


@kernel
def _radix_sorted(key: IntColumn, spare: IntColumn, shift: int, bits: int) -> IntColumn:
    """Return one of both arrays, with the keys sorted by ``bits`` bits from ``shift`` on.

    A least-significant-digit radix sort (Knuth, TAOCP 3, 5.2.5), 11 bits a pass. Cost: about 4 ns a key and pass.
    """
    counts = np.zeros((1 << _DIGIT_BITS) + 1, dtype=np.int64)
    mask = (1 << _DIGIT_BITS) - 1
    end = shift + bits
    while shift < end:
        counts[:] = 0
        for i in range(len(key)):
            counts[((key[i] >> shift) & mask) + 1] += 1
        for digit in range(1 << _DIGIT_BITS):
            counts[digit + 1] += counts[digit]
        for i in range(len(key)):
            digit = (key[i] >> shift) & mask
            spare[counts[digit]] = key[i]
            counts[digit] += 1
        key, spare = spare, key
        shift += _DIGIT_BITS
    return key


@bare
def _settle_runs(key: IntColumn, rank: IntColumn, order: IntColumn) -> None:
    """Sort each run of equal keys by rank. A run of 400 zones costs 40 us; usual ones hold one to three."""
    for at in range(1, len(order)):
        row = order[at]
        place = at
        while place > 0 and key[place - 1] == key[at] and rank[order[place - 1]] > rank[row]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = row
