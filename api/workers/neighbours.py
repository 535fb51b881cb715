"""What a process does about the others on its store: hears what they changed, and frees what dead ones held."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as Late
from typing import Final, Protocol

from api.people import People
from api.store_lock import gone
from api.workers.ingest import IngestWorker
from api.workers.told import WishesTold
from geo_engine.engine import Engine
from geo_engine.errors import StoreError
from geo_engine.model import Mute
from geo_engine.store.protocol import Store
from geo_engine.store.shared import Change, Changed

__all__ = ["CHANGES_EVERY_S", "LOOK_EVERY_S", "Changes", "Listener", "free_the_dead"]

_log: Final = logging.getLogger(__name__)
CHANGES_EVERY_S: Final = 0.2
"""A consent withdrawn at a door holds in the engine after this time, or a little more."""
LOOK_EVERY_S: Final = 1.0
_MOST: Final = 500
_ENGINE_S: Final = 5.0


class Listener(Protocol):
    """Who else wants to hear, beside the engine: the chat."""

    def warned(self, u7: int, zone_id: str) -> None:
        """Hear that a warning reached somebody."""
        ...

    def forgotten(self, u7: int) -> None:
        """Hear that somebody was erased."""
        ...


class Changes:
    """Tells the engine what doors changed. A note is taken off when the engine was told, so none is lost.

    A note says only where to look; what counts is what the store says then, so hearing one twice does no harm.

    Args:
        store: where the notes are.
        people: tells the engine of persons, one change at a time.
        ingest: the engine's worker.
        listener: hears of it too, None = nobody.
        clock: epoch milliseconds UTC.
    """

    def __init__(
        self, store: Store, people: People, ingest: IngestWorker, listener: Listener | None, clock: Callable[[], int]
    ) -> None:
        self._store, self._people, self._ingest = store, people, ingest
        self._listener, self._clock = listener, clock

    def once(self) -> int:
        """Tell what is noted; return how many notes that were."""
        found = self._store.shared.changes(_MOST)
        told: list[int] = []
        try:
            # Of several notes about one thing of a person the first look tells the engine all.
            looked: set[tuple[int, Changed, str]] = set()
            for change in found:
                about = (change.u7, change.what, change.zone_id)
                if about not in looked:
                    self._tell(change)
                    looked.add(about)
                told.append(change.number)
        finally:
            self._store.shared.take_off(told)
        return len(found)

    def _tell(self, change: Change) -> None:
        if change.what is Changed.WARNED:
            if self._listener is not None:
                self._listener.warned(change.u7, change.zone_id)
        elif change.what is Changed.WISHES:
            self._tell_wishes(change.u7)
        elif self._people.look_again(change.u7) and self._listener is not None:
            self._listener.forgotten(change.u7)

    def _tell_wishes(self, u7: int) -> None:
        # Read in the engine's own thread: a wish that comes by the chat meanwhile is told after it.
        def take(engine: Engine) -> None:
            mutes, hours = self._mutes(u7), self._store.quiet_hours(u7=u7).get(u7)
            self._ingest.take_wish(engine, WishesTold(u7, tuple(mutes), hours))

        try:
            self._ingest.ask(take).result(_ENGINE_S)
        except Late as error:
            message = f"engine: found no answer within {_ENGINE_S:g} s, expected one"
            raise StoreError(message) from error

    def _mutes(self, u7: int) -> Sequence[Mute]:
        return [mute for mute in self._store.mutes(self._clock()) if mute.u7 == u7]


def free_the_dead(store: Store, url: str, own: int, clock: Callable[[], int]) -> int:
    """Give back the messages dead processes were sending, and return how many processes that were.

    A process that lives holds the lock of its number, so its leases are never touched.
    """
    freed = 0
    for holder in store.lease_holders():
        if holder == own:
            continue
        with gone(url, holder) as is_gone:
            if is_gone:
                store.end_leases(clock(), holder=holder)
                _log.warning("a neighbour (number %d) ended while it was sending; its messages are taken over", holder)
                freed += 1
    return freed
