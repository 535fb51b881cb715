"""Zones ahead of states, listed state by state: what is read at every ping, made anew by an edit in one pass."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare
from geo_engine.model import IntColumn
from geo_engine.tracking.forecast import OUTLOOK, Outlooks
from geo_engine.tracking.wanted import Groups

__all__ = ["STATE", "Listing", "listing_after", "no_listing"]

STATE: Final = np.dtype(
    [
        ("begin", np.int32),  # twice where the records of a state begin, plus 1 where the state is known
        ("groups", np.uint32),  # bit g = a zone of group g is ahead
    ]
)


class Listing(NamedTuple):
    """Zones ahead by state, each state's ascending by zone; immutable.

    Attributes:
        states: ``STATE`` records (states + 1,).
        ahead: ``OUTLOOK`` records, and room behind them.
    """

    states: npt.NDArray[np.void]
    ahead: npt.NDArray[np.void]

    @property
    def records(self) -> int:
        """Return the number of records."""
        return int(self.states["begin"][-1]) >> 1

    @property
    def nbytes(self) -> int:
        """Return the bytes it takes."""
        return self.states.nbytes + self.ahead.nbytes


def no_listing(known: npt.NDArray[np.int32]) -> Listing:
    """Return the listing of states with nothing ahead.

    Args:
        known: int32 (states + 1,): 1 = the state is known; the last counts for nothing.
    """
    states = np.zeros(len(known), dtype=STATE)
    states["begin"] = known & 1
    states["begin"][-1] = 0
    return Listing(states, np.zeros(1, dtype=OUTLOOK))


def listing_after(listing: Listing, position: IntColumn, fresh: Outlooks, group: Groups) -> Listing:
    """Return a listing after an edit of zones.

    Args:
        listing: as it was.
        position: the new position of each zone; below 0 = it is gone or has another shape. Their order is as before.
        fresh: the outlooks of zones that are new or have another shape, under their new positions.
        group: group of each zone, by its new position.

    Cost: 4 ns a state and a record, without the interpreter's lock.
    """
    # One more than needed: where the records of the last state begin can be looked at though it has none.
    room = listing.records + len(fresh) + 1
    made = Listing(np.empty(len(listing.states), dtype=STATE), np.empty(room, dtype=OUTLOOK))
    _merge(listing, position, fresh.state, fresh.outlook, group, made)
    return made


@bare
def _merge(
    old: Listing,
    position: IntColumn,
    state: npt.NDArray[np.int32],
    fresh: npt.NDArray[np.void],
    group: Groups,
    made: Listing,
) -> None:
    written, read = 0, 0
    for row in range(len(old.states) - 1):
        begin = old.states[row]["begin"]
        made.states[row]["begin"] = 2 * written + (begin & 1)
        groups = np.uint32(0)
        at, end = begin >> 1, old.states[row + 1]["begin"] >> 1
        while True:
            while at < end and position[old.ahead[at]["zone"]] < 0:
                at += 1
            new = read < len(state) and state[read] == row
            if at >= end and not new:
                break
            if new and (at >= end or fresh[read]["zone"] < position[old.ahead[at]["zone"]]):
                zone = fresh[read]["zone"]
                made.ahead[written] = fresh[read]
                read += 1
            else:
                zone = position[old.ahead[at]["zone"]]
                made.ahead[written] = old.ahead[at]
                made.ahead[written]["zone"] = zone
                at += 1
            groups |= np.uint32(1) << np.uint32(group[zone])
            written += 1
        made.states[row]["groups"] = groups
    last = made.states[len(made.states) - 1]
    last["begin"], last["groups"] = 2 * written, 0
