"""Zones ahead of states, listed state by state: what is read at every ping, made anew by an edit in one pass."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare
from geo_engine.model import IntColumn
from geo_engine.tracking.forecast import OUTLOOK, Outlooks
from geo_engine.tracking.wanted import Groups

__all__ = ["Listing", "listing_after", "no_listing"]

_STATE: Final = np.dtype([("begin", np.int32), ("groups", np.uint32)])
_LEAST_ROOM: Final = 2
"""Of fewer than two records the columns would be contiguous arrays, for which kernels would be compiled once more."""


class Listing(NamedTuple):
    """Zones ahead by state, each state's ascending by zone; immutable.

    Attributes:
        begin: int32 (states + 1,): twice where the records of a state begin, plus 1 where the state is known.
        groups: uint32 (states + 1,): bit g = a zone of group g is ahead; beside ``begin`` in memory.
        zone: int32 per record; this and the following are the fields of ``OUTLOOK``.
        chance: float32.
        eta_s: float32.
        east_m: int16.
        north_m: int16.
    """

    begin: npt.NDArray[np.int32]
    groups: npt.NDArray[np.uint32]
    zone: npt.NDArray[np.int32]
    chance: npt.NDArray[np.float32]
    eta_s: npt.NDArray[np.float32]
    east_m: npt.NDArray[np.int16]
    north_m: npt.NDArray[np.int16]

    @property
    def records(self) -> int:
        """Return the number of records."""
        return int(self.begin[-1]) >> 1

    @property
    def nbytes(self) -> int:
        """Return the bytes it takes."""
        return len(self.begin) * _STATE.itemsize + len(self.zone) * OUTLOOK.itemsize


class _Records(NamedTuple):
    """``OUTLOOK`` records as strided views."""

    zone: npt.NDArray[np.int32]
    chance: npt.NDArray[np.float32]
    eta_s: npt.NDArray[np.float32]
    east_m: npt.NDArray[np.int16]
    north_m: npt.NDArray[np.int16]


def no_listing(known: npt.NDArray[np.int32]) -> Listing:
    """Return the listing of states with nothing ahead.

    Args:
        known: int32 (states + 1,): 1 = the state is known; the last counts for nothing.
    """
    states = np.zeros(len(known), dtype=_STATE)
    states["begin"] = known & 1
    states["begin"][-1] = 0
    return _listing(states, np.zeros(_LEAST_ROOM, dtype=OUTLOOK))


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
    room = max(listing.records + len(fresh) + 1, _LEAST_ROOM)
    made = _listing(np.empty(len(listing.begin), dtype=_STATE), np.empty(room, dtype=OUTLOOK))
    new = np.concatenate([fresh.outlook, np.zeros(_LEAST_ROOM, dtype=OUTLOOK)])
    _merge(listing, position, fresh.state, _Records(**_fields_of(new)), group, made)
    return made


def _listing(states: npt.NDArray[np.void], records: npt.NDArray[np.void]) -> Listing:
    return Listing(states["begin"], states["groups"], **_fields_of(records))


def _fields_of(records: npt.NDArray[np.void]) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of ``OUTLOOK`` records as strided views."""
    return {name: records[name] for name in OUTLOOK.names or ()}


@bare
def _merge(
    old: Listing,
    position: IntColumn,
    state: npt.NDArray[np.int32],
    fresh: _Records,
    group: Groups,
    made: Listing,
) -> None:
    written, read = 0, 0
    for row in range(len(old.begin) - 1):
        made.begin[row] = 2 * written + (old.begin[row] & 1)
        groups = np.uint32(0)
        at, end = old.begin[row] >> 1, old.begin[row + 1] >> 1
        while True:
            while at < end and position[old.zone[at]] < 0:
                at += 1
            new = read < len(state) and state[read] == row
            if at >= end and not new:
                break
            if new and (at >= end or fresh.zone[read] < position[old.zone[at]]):
                made.zone[written] = fresh.zone[read]
                made.chance[written], made.eta_s[written] = fresh.chance[read], fresh.eta_s[read]
                made.east_m[written], made.north_m[written] = fresh.east_m[read], fresh.north_m[read]
                read += 1
            else:
                made.zone[written] = position[old.zone[at]]
                made.chance[written], made.eta_s[written] = old.chance[at], old.eta_s[at]
                made.east_m[written], made.north_m[written] = old.east_m[at], old.north_m[at]
                at += 1
            groups |= np.uint32(1) << np.uint32(group[made.zone[written]])
            written += 1
        made.groups[row] = groups
    made.begin[-1], made.groups[-1] = 2 * written, 0
