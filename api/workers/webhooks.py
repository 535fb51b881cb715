"""The worker that tells other systems: takes events from the store's outbox and posts them, each at least once."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from api.clocks import Clocks
from api.metrics import Metrics
from geo_engine.store.webhooks import WebhookOutbox, WebhookRow, Worked
from geo_engine.webhooks.endpoint import Endpoint, Posted, Poster, Reply
from geo_engine.webhooks.envelope import CONTENT_TYPE, envelope
from geo_engine.webhooks.signing import signed_headers

__all__ = ["WebhookSettings", "WebhookWorker"]

_log: Final = logging.getLogger(__name__)
_EXPIRE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How the worker works.

    Attributes:
        source: URI of this service in every event.
        lasts_ms: an event that nobody took for so long is set aside.
        keep_dead_ms: and erased so much later.
        at_once: calls to one receiver at a time.
        batch: events taken at a time; their outcomes are written together.
        timeout_s: for one call.
        idle_s: how often to look for events.
        retry_first_ms: wait before the second attempt; it doubles with each, less up to a half by chance.
        retry_max_ms: longest wait.
    """

    source: str = "urn:geo-engine"
    lasts_ms: int = 72 * 3_600_000
    keep_dead_ms: int = 7 * 86_400_000
    at_once: int = 4
    batch: int = 32
    timeout_s: float = 15.0
    idle_s: float = 1.0
    retry_first_ms: int = 5_000
    retry_max_ms: int = 3_600_000

    @property
    def lease_ms(self) -> int:
        """Return how long a batch may take at most, and as much again."""
        return round(2_000 * self.timeout_s * -(-self.batch // self.at_once))


class WebhookWorker:
    """Posts events, a thread for each receiver, so that one that hangs holds up nobody else.

    Neither the engine nor the relay waits for it: they write a row, it does the rest. A process that dies leaves its
    events to their lease; another one then takes them again, with the same id.
    """

    def __init__(
        self,
        outbox: WebhookOutbox,
        endpoints: Sequence[Endpoint],
        clocks: Clocks,
        metrics: Metrics,
        *,
        settings: WebhookSettings | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Join the parts and have events written from now on; nothing is posted before ``start``.

        Args:
            outbox: where events wait.
            endpoints: the receivers; none = no event is written.
            clocks: events wait by the steady one and are signed with the time of day.
            metrics: counters.
            settings: None = the defaults.
            rng: randomness of the waits.
        """
        self._outbox, self._clocks, self._metrics = outbox, clocks, metrics
        self._settings = settings or WebhookSettings()
        self._rng = rng or random.Random()  # noqa: S311 (spreads retries; no secret depends on it)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._told = {endpoint.name: endpoint for endpoint in endpoints}
        self._expired_ms = 0
        self._lines = [_Line(endpoint, self._settings) for endpoint in endpoints]
        self._threads = [
            threading.Thread(target=self._run, args=(line,), name=f"webhook-{line.endpoint.name}", daemon=True)
            for line in self._lines
        ]
        self._tell()

    def start(self) -> None:
        """Begin to post."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the calls under way; the other events stay in the store. It cannot start again."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        for line in self._lines:
            line.close()

    def run_once(self, now_ms: int) -> int:
        """Post what is due at ``now_ms`` to every receiver and wait for the answers; return how many were posted."""
        self._expire(now_ms)
        return sum(self._work(line, now_ms) for line in self._lines)

    def _tell(self) -> None:
        self._outbox.tell(list(self._told), self._settings.lasts_ms)

    def _run(self, line: _Line) -> None:
        while not self._stopping.is_set() and line.endpoint.name in self._told:
            worked = 0
            try:
                now_ms = self._clocks.steady()
                self._expire(now_ms)
                worked = self._work(line, now_ms)
            except Exception:  # noqa: BLE001 - the outer loop: it must survive whatever a store does
                self._metrics.webhooks.labels("error").inc()
                _log.exception("webhooks: events could not be taken or their end not be noted; trying again")
            if not worked:
                self._stopping.wait(self._settings.idle_s)

    def _expire(self, now_ms: int) -> None:
        with self._lock:
            if now_ms - self._expired_ms < _EXPIRE_MS:
                return
            self._expired_ms = now_ms
        over = self._outbox.expire(now_ms, self._settings.keep_dead_ms)
        if over:
            self._metrics.webhooks.labels("dead").inc(over)
            _log.error("webhooks: %d events were taken by nobody in time and are set aside", over)

    def _work(self, line: _Line, now_ms: int) -> int:
        name, settings = line.endpoint.name, self._settings
        if name not in self._told:
            return 0
        rows = self._outbox.claim(name, now_ms, limit=settings.batch, lease_ms=settings.lease_ms)
        if not rows:
            return 0
        posted = list(line.pool.map(lambda row: self._post(line, row), rows))
        if any(one.reply is Reply.GONE for one in posted):
            self._end(name)
        now_ms = self._clocks.steady()
        self._outbox.finish([self._worked(row, one, now_ms) for row, one in zip(rows, posted, strict=True)])
        return len(rows)

    def _post(self, line: _Line, row: WebhookRow) -> Posted:
        event = row.event
        body = envelope(
            event_id=row.event_id,
            source=self._settings.source,
            kind=event.type.value,
            subject=event.subject,
            time_ms=event.time_ms,
            data=event.data,
        )
        headers = signed_headers(row.event_id, self._clocks.wall() // 1000, body, line.endpoint.secrets)
        posted = line.poster.post(body, {**headers, "Content-Type": CONTENT_TYPE, "User-Agent": "geo-engine"})
        self._metrics.webhooks.labels(posted.reply.value).inc()
        return posted

    def _worked(self, row: WebhookRow, posted: Posted, now_ms: int) -> Worked:
        if posted.reply is Reply.TAKEN:
            return Worked(row.number)
        if posted.reply is Reply.GONE:
            self._metrics.webhooks.labels("dead").inc()
            return Worked(row.number, posted.reason)
        settings = self._settings
        longest_ms = min(settings.retry_first_ms << min(row.attempts - 1, 20), settings.retry_max_ms)
        with self._lock:
            wait_ms = longest_ms * self._rng.uniform(0.5, 1.0)
        if posted.wait_s is not None:
            wait_ms = max(wait_ms, posted.wait_s * 1_000)
        return Worked(row.number, posted.reason, now_ms + round(wait_ms))

    def _end(self, name: str) -> None:
        """Tell a receiver nothing more that is gone, until the next start."""
        with self._lock:
            self._told.pop(name, None)
            self._tell()
        _log.error("webhooks: %s says 410 Gone; nothing is sent there until the next start", name)


class _Line:
    """What one receiver has for itself."""

    def __init__(self, endpoint: Endpoint, settings: WebhookSettings) -> None:
        self.endpoint = endpoint
        self.poster = Poster(endpoint.url, timeout_s=settings.timeout_s, connections=settings.at_once)
        self.pool = ThreadPoolExecutor(settings.at_once, thread_name_prefix=f"webhook-{endpoint.name}")

    def close(self) -> None:
        """End its threads and connections."""
        self.pool.shutdown(wait=True)
        self.poster.close()
