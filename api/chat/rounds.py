"""What is looked after from time to time: who comes near in meetings, what meetings forget, what quota is left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from api.chat.handler import ChatHandler
from api.chat.ports import LastSeen
from geo_engine.alerting.reach import ReachLedger
from geo_engine.errors import StoreError
from geo_engine.meetings.service import MeetingDesk

__all__ = ["Rounds"]

_log: Final = logging.getLogger(__name__)
_EVERY_S: Final = 5.0
_SWEEP_ROUNDS: Final = 12
_QUOTA_ROUNDS: Final = 120
_LEDGER_ROUNDS: Final = 720
_ATTEMPTS_KEPT_MS: Final = 2 * 86_400_000
"""Nothing waits so long: a warning expires within hours, a question is set aside after eight tries."""


class Rounds:
    """A thread that goes round every five seconds.

    Positions of members of open meetings are asked of the engine, whichever way their pings came.

    Args:
        desk: meetings.
        last_seen: the engine's positions.
        handler: tells who is near.
        clock: epoch milliseconds UTC.
        learn_quota: asks what is left of the day's calls, every ten minutes.
        ledger: its attempts of days ago are erased, every hour.
    """

    def __init__(
        self,
        desk: MeetingDesk,
        last_seen: LastSeen,
        handler: ChatHandler,
        clock: Callable[[], int],
        learn_quota: Callable[[], object],
        ledger: ReachLedger,
    ) -> None:
        self._desk, self._last_seen, self._handler = desk, last_seen, handler
        self._clock, self._learn_quota, self._ledger = clock, learn_quota, ledger
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chat-rounds", daemon=True)

    def start(self) -> None:
        """Begin to go round."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def once(self, now_ms: int, number: int = 1) -> None:
        """Go round once: where members are, and who is to be told; and what is due at this number of a round."""
        for u7, spot in self._last_seen.of(self._desk.watched(now_ms)).items():
            self._handler.notify(self._desk.saw(u7, spot.lon, spot.lat, spot.time_ms, now_ms))
        if number % _SWEEP_ROUNDS == 0:
            self._desk.sweep(now_ms)
        if number % _LEDGER_ROUNDS == 0:
            self._ledger.drop_dispatches(now_ms - _ATTEMPTS_KEPT_MS)
        if number % _QUOTA_ROUNDS == 0:
            self._learn_quota()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(_EVERY_S):
            number += 1
            try:
                self.once(self._clock(), number)
            except StoreError as error:
                _log.warning("chat: a round is left out: %s", error)
            except Exception:  # noqa: BLE001 - the outer loop: it must go on whatever one round meets
                _log.exception("chat: a round failed")
