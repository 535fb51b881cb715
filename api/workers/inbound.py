"""The worker that takes inbound messages from the journal: positions in batches, everything else to a handler."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

from api.metrics import Metrics
from geo_engine.geodesy.datum import Datum
from geo_engine.store.inbox import Handled, InboundRecord, Inbox
from geo_engine.store.protocol import Store
from geo_engine.wechat.inbound import Inbound, Kind, PingEvent, TemplateResult, from_payload

__all__ = [
    "InboundHandler",
    "InboundSettings",
    "InboundWorker",
    "Located",
    "NothingKept",
    "PingSource",
    "ReceiptHandler",
    "SetAside",
]

_log: Final = logging.getLogger(__name__)
_SWEEP_MS: Final = 3_600_000
_REASON_LIMIT: Final = 200
_SPENT: Final = "every attempt ended without an answer"


class SetAside(Exception):  # noqa: N818 - what to do, not what went wrong
    """A handler's word that a message can never be handled; its text is the reason. Anything else is tried again."""


class NothingKept(Exception):  # noqa: N818 - what to do, not what went wrong
    """A handler's word that nothing of a message may be kept: it is of somebody we do not know, or know no more."""


class InboundHandler(Protocol):
    """What is done about a message."""

    def handle(self, message: Inbound, now_ms: int) -> None:
        """Do it, within a second or so: what takes longer belongs into an outbox.

        Called from several threads, never twice at a time for one person, and in the order of their messages. A crash
        or an error makes it be called again for the same message, so doing it twice must do no harm.

        Raises:
            SetAside: trying again is pointless.
            NothingKept: the message is handled, and its row is to go.
        """
        ...


@dataclass(frozen=True, slots=True)
class Located:
    """Where a person was: WeChat's LOCATION event on its way to become a ping.

    Attributes:
        openid: the person.
        time_ms: when, epoch milliseconds (WeChat tells whole seconds).
        lon: degrees in ``datum``.
        lat: the same.
        accuracy_m: radius in metres, None = not told.
        datum: what the setting says; Tencent does not.
    """

    openid: str
    time_ms: int
    lon: float
    lat: float
    accuracy_m: float | None
    datum: Datum


class PingSource(Protocol):
    """Where positions of the chat become pings: it knows whose they are and whether they may be used."""

    def take(self, located: Sequence[Located]) -> set[str]:
        """Take positions of different people; return when they are judged. Taking one twice must do no harm.

        Returns:
            The OpenIDs nobody is known by: of their messages nothing is kept.
        """
        ...


class ReceiptHandler:
    """Closes the attempt of a template message by its result; everything else goes to the next handler.

    Args:
        store: where attempts are.
        following: handles all other messages; None = they are only kept.
    """

    def __init__(self, store: Store, following: InboundHandler | None = None) -> None:
        self._store = store
        self._following = following

    def handle(self, message: Inbound, now_ms: int) -> None:
        """Handle a message; see ``InboundHandler.handle``."""
        if isinstance(message, TemplateResult):
            self._store.receipt(message.msg_id, message.status, now_ms)
        elif self._following is not None:
            self._following.handle(message, now_ms)


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """How the worker works.

    Attributes:
        workers: handlers at a time.
        batch: most messages taken at a time.
        lease_ms: afterwards a message without an answer is taken again.
        idle_s: longest wait before it looks again.
        gather_s: pause before it looks, so that positions come in batches: their cost is that of the batches.
        retry_first_ms: wait before the second attempt; it doubles with each.
        retry_max_ms: longest wait.
        max_attempts: then a message is set aside.
        keep_days: how long finished messages stay.
        datum: datum of LOCATION events.
    """

    workers: int = 4
    batch: int = 256
    lease_ms: int = 60_000
    idle_s: float = 0.5
    gather_s: float = 0.02
    retry_first_ms: int = 1_000
    retry_max_ms: int = 60_000
    max_attempts: int = 8
    keep_days: int = 7
    datum: Datum = Datum.WGS84


class InboundWorker:
    """Takes waiting messages and has them handled, at least once each, those of one person in order.

    A message that fails is tried again with growing pauses and set aside with its reason after ``max_attempts``; it
    holds back the later ones of its person meanwhile, and nobody else's. Attempts are counted before they begin, so
    one that kills the process is set aside too.
    """

    def __init__(  # noqa: PLR0913 - the parts it joins
        self,
        inbox: Inbox,
        handler: InboundHandler,
        pings: PingSource | None,
        clock: Callable[[], int],
        metrics: Metrics,
        *,
        settings: InboundSettings | None = None,
        on_sweep: Callable[[int], object] = lambda _now_ms: None,
    ) -> None:
        """Join the parts; nothing runs before ``start``.

        Args:
            inbox: where messages wait.
            handler: everything but positions.
            pings: where positions go; None = they are forgotten at once.
            clock: epoch milliseconds UTC.
            metrics: counters.
            settings: None = the defaults.
            on_sweep: told the moment of each round of retention, an hour apart.
        """
        self._inbox = inbox
        self._handler = handler
        self._pings = pings
        self._clock = clock
        self._metrics = metrics
        self._settings = settings or InboundSettings()
        self._on_sweep = on_sweep
        self._pool = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="inbound-handle")
        self._thread = threading.Thread(target=self._run, name="inbound", daemon=True)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._swept_ms = clock()

    def start(self) -> None:
        """Give back what a process before this one was handling, and begin in a thread of its own."""
        self._inbox.reopen(self._clock())
        self._thread.start()

    def notify(self) -> None:
        """Say that messages wait."""
        self._wake.set()

    def ready(self) -> str | None:
        """Return why nothing is handled, None when it is."""
        return None if self._thread.is_alive() else "the worker of inbound messages is not running"

    def stop(self) -> None:
        """End after the messages under way; the others stay in the journal. It cannot start again."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True)

    def run_once(self, now_ms: int) -> int:
        """Handle what is due at ``now_ms``, at most one message per person; return how many were taken."""
        records = self._inbox.claim(now_ms, limit=self._settings.batch, lease_ms=self._settings.lease_ms)
        spent = [record for record in records if record.attempts > self._settings.max_attempts]
        self._finish([_spent(record) for record in spent])
        read = [(record, _read(record)) for record in records if record not in spent]
        # Positions first: they take one call for all, and a slow conversation must not make them old.
        positions = [(record, message) for record, message in read if isinstance(message, PingEvent)]
        if positions:
            self._finish(self._take(positions))
        others = [(record, message) for record, message in read if not isinstance(message, PingEvent)]
        self._finish(list(self._pool.map(lambda one: self._handle(*one), others)))
        self._sweep(now_ms)
        return len(records)

    def _run(self) -> None:
        while not self._stopping.is_set():
            taken = 0
            try:
                taken = self.run_once(self._clock())
            except Exception:  # noqa: BLE001 - the outer loop: it must survive whatever a store does
                self._metrics.inbound.labels("error").inc()
                _log.exception("inbound: messages could not be taken or their end not be noted; trying again")
            # Those whose earlier message was just handled are due now.
            if not taken:
                self._wake.wait(self._settings.idle_s)
                self._stopping.wait(self._settings.gather_s)
                self._wake.clear()

    def _take(self, positions: Sequence[tuple[InboundRecord, PingEvent]]) -> list[Handled]:
        if self._pings is None:
            return [Handled(record.number, forget=True) for record, _ping in positions]
        datum = self._settings.datum
        located = [
            Located(ping.openid, ping.time_s * 1000, ping.lon, ping.lat, ping.accuracy_m, datum)
            for _record, ping in positions
        ]
        try:
            strangers = self._pings.take(located)
        except Exception as error:  # noqa: BLE001 - whatever a source does, the others go on and nothing is lost
            return [self._failed(record, error, forget=True) for record, _ping in positions]
        return [Handled(record.number, forget=True, drop=ping.openid in strangers) for record, ping in positions]

    def _handle(self, record: InboundRecord, message: Inbound | None) -> Handled:
        if message is None:
            return Handled(record.number, f"found a payload of kind {record.message.kind} that cannot be read")
        try:
            self._handler.handle(message, self._clock())
        except NothingKept:
            return Handled(record.number, drop=True)
        except Exception as error:  # noqa: BLE001 - a worker's outer loop: one message must not stop the others
            return self._failed(record, error)
        return Handled(record.number)

    def _failed(self, record: InboundRecord, error: Exception, *, forget: bool = False) -> Handled:
        """Return when to try again, or that it is set aside. A position set aside is forgotten: nobody may need it."""
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:_REASON_LIMIT]
        if isinstance(error, SetAside) or record.attempts >= self._settings.max_attempts:
            _log.error("inbound: message %d is set aside: %s", record.number, type(error).__name__)
            return Handled(record.number, reason, forget=forget)
        _log.warning("inbound: message %d is tried again: %s", record.number, type(error).__name__, exc_info=error)
        pause_ms = self._settings.retry_first_ms << min(record.attempts - 1, 20)
        return Handled(record.number, reason, self._clock() + min(pause_ms, self._settings.retry_max_ms))

    def _finish(self, results: Sequence[Handled]) -> None:
        self._inbox.finish(results)
        for result in results:
            outcome = "retry" if result.retry_at_ms is not None else "set_aside" if result.reason else "done"
            self._metrics.inbound.labels(outcome).inc()

    def _sweep(self, now_ms: int) -> None:
        if now_ms - self._swept_ms >= _SWEEP_MS:
            self._swept_ms = now_ms
            self._inbox.drop(now_ms - self._settings.keep_days * 86_400_000)
            self._on_sweep(now_ms)


def _spent(record: InboundRecord) -> Handled:
    """Set aside a message whose attempts never came back: it may be what ended the process."""
    return Handled(record.number, record.reason or _SPENT, forget=record.message.kind == Kind.PING.value)


def _read(record: InboundRecord) -> Inbound | None:
    try:
        return from_payload(record.message.kind, record.message.payload)
    except ValueError:
        return None
