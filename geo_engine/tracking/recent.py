"""What happened lately to users whose history is kept: their accepted positions and transitions, in columns.

It stands in for a store of positions, which does not exist yet: a ping that comes late is placed between its two
neighbours, and these must be known. It begins empty at every start; what came before it is not known to it, and it says
so. Cost: 40 bytes a position, 72 a transition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.model import U7_COUNT, BoolColumn, IntColumn, PingBatch, Transitions
from geo_engine.tracking.events import APPROACH, EVENT, Events

__all__ = ["PLACE", "Places", "Recent", "events_of", "places_of"]

PLACE: Final = np.dtype(
    [("time_ms", np.int64), ("lon", np.float64), ("lat", np.float64), ("accuracy_m", np.float64), ("u7", np.int64)]
)
"""One position of a user, WGS-84 degrees."""

Places = npt.NDArray[np.void]
"""A column of ``PLACE`` records."""

_MOST_PLACES: Final = 2_000_000


def places_of(pings: PingBatch) -> Places:
    """Return pings as records."""
    places = np.zeros(len(pings), dtype=PLACE)
    for name in PLACE.names or ():
        places[name] = getattr(pings, name)
    return places


def events_of(found: Transitions) -> Events:
    """Return enters, exits and crosses as events; an approach is no part of a history."""
    kept = np.flatnonzero(found.kind < APPROACH)
    events = np.zeros(len(kept), dtype=EVENT)
    for name in ("time_ms", "lon", "lat", "distance_m", "eta_s", "u7", "zone", "kind", "reason"):
        events[name] = getattr(found, name)[kept]
    events["bearing_deg"] = np.nan
    return events


class _Log:
    """Records with ``u7`` and ``time_ms`` in a few blocks, each at least twice as long as the next."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._blocks: list[npt.NDArray[Any]] = []
        self._nothing = np.zeros(0, dtype=kind)

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    def append(self, records: npt.NDArray[Any]) -> None:
        if len(records) == 0:
            return
        self._blocks.append(records)
        while len(self._blocks) > 1 and len(self._blocks[-2]) < 2 * len(self._blocks[-1]):
            last = self._blocks.pop()
            self._blocks[-1] = np.concatenate([self._blocks[-1], last])

    def of(self, u7: IntColumn) -> npt.NDArray[Any]:
        """Return the records of some users, by user and time."""
        parts = [block[np.isin(block["u7"], u7)] for block in self._blocks]
        found = np.concatenate([self._nothing, *parts])
        return found[np.lexsort((found["time_ms"], found["u7"]))]

    def times(self) -> IntColumn:
        return np.concatenate([self._nothing["time_ms"], *(block["time_ms"] for block in self._blocks)])

    def drop(self, before_ms: int) -> IntColumn:
        """Drop what is older; return whose."""
        gone = [np.unique(block["u7"][block["time_ms"] < before_ms]) for block in self._blocks]
        self._blocks = [block[block["time_ms"] >= before_ms] for block in self._blocks]
        return np.concatenate([np.zeros(0, dtype=np.int64), *gone]).astype(np.int64)

    def drop_users(self, u7: IntColumn) -> None:
        self._blocks = [block[~np.isin(block["u7"], u7)] for block in self._blocks]

    def keep(self, u7: IntColumn, wanted: Callable[[npt.NDArray[Any]], BoolColumn]) -> None:
        """Of the records of some users keep the wanted ones."""
        for number, block in enumerate(self._blocks):
            kept = ~np.isin(block["u7"], u7)
            kept[~kept] = wanted(block[~kept])
            self._blocks[number] = block[kept]


class Recent:
    """The last while of the users who are followed. Not safe for several threads at once."""

    def __init__(self, *, keep_ms: int, most_places: int = _MOST_PLACES) -> None:
        """Follow nobody yet.

        Args:
            keep_ms: for how long what happened is remembered.
            most_places: more positions are not; then the oldest are dropped sooner.
        """
        self._keep_ms = keep_ms
        self._most = most_places
        self._places, self._events = _Log(PLACE), _Log(EVENT)
        self._followed = np.zeros(U7_COUNT, dtype=np.bool_)
        self._unsure = np.zeros(U7_COUNT, dtype=np.bool_)
        self._dropped_ms = 0

    def follow(self, u7: IntColumn, heard: BoolColumn) -> None:
        """Begin to follow users; ``heard`` says of whom the engine knew something already."""
        self.forget(u7)
        self._followed[u7], self._unsure[u7] = True, heard

    def forget(self, u7: IntColumn) -> None:
        """Stop following users and drop what is remembered of them."""
        self._followed[u7] = False
        self._places.drop_users(u7)
        self._events.drop_users(u7)

    def restart(self) -> None:
        """Forget what happened, not who is followed: the zones changed, and what was before is judged by others."""
        self._places, self._events = _Log(PLACE), _Log(EVENT)
        self._unsure[:] = True

    def follows(self, u7: IntColumn) -> BoolColumn:
        """Say which users are followed; a number out of range is nobody."""
        known = (u7 >= 0) & (u7 < U7_COUNT)
        followed: BoolColumn = known.copy()
        followed[known] = self._followed[u7[known]]
        return followed

    def unsure(self, u7: int) -> bool:
        """Say whether the user had positions before the first one remembered."""
        return bool(self._unsure[u7])

    def note(self, places: Places, events: Events) -> None:
        """Remember positions and transitions of users who are followed."""
        self._places.append(places)
        self._events.append(events)

    def correct(self, added: Events, withdrawn: Events) -> None:
        """Exchange transitions."""
        gone = {_key(record) for record in withdrawn}

        def stays(records: npt.NDArray[Any]) -> BoolColumn:
            return np.array([_key(record) not in gone for record in records], dtype=np.bool_)

        if gone:
            self._events.keep(np.unique(withdrawn["u7"]).astype(np.int64), stays)
        self._events.append(added)

    def of(self, u7: IntColumn) -> tuple[Places, Events]:
        """Return the positions and the transitions of some users, each by user and time. Cost: a pass over all."""
        return self._places.of(u7), self._events.of(u7)

    def drop_old(self, now_ms: int) -> None:
        """Drop what is too old, now and then: a pass over everything that is remembered."""
        before_ms = now_ms - self._keep_ms
        if len(self._places) > self._most:
            times = self._places.times()
            before_ms = max(before_ms, int(np.partition(times, len(times) // 2)[len(times) // 2]))
        elif before_ms - self._dropped_ms < self._keep_ms // 4:
            return
        self._unsure[self._places.drop(before_ms)] = True
        self._events.drop(before_ms)
        self._dropped_ms = before_ms


def _key(record: np.void) -> tuple[int, int, int, int]:
    return int(record["u7"]), int(record["time_ms"]), int(record["zone"]), int(record["kind"])
