"""The relay: takes due messages from the outbox, hands them to the channel, records what came of each."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from geo_engine.alerting.message import Message, MessageSender, Outcome, SendResult
from geo_engine.store.protocol import Store

__all__ = ["Relay", "RelaySettings"]

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How the relay works.

    Attributes:
        workers: messages on their way to the channel at the same time.
        lease_s: how long an attempt may take; must exceed the sender's longest possible call, time-outs included.
        idle_s: how often to look for due messages when nobody calls ``notify``.
        retry_first_s: pause before the second attempt; it doubles with each attempt.
        retry_max_s: longest pause between attempts.
        max_attempts: attempts before a message is set aside.
        stop_pause_s: how long nothing is sent after the channel said stop and not for how long.
        holder: the number of this process among those on the store.
    """

    workers: int = 4
    lease_s: float = 60.0
    idle_s: float = 0.5
    retry_first_s: float = 1.0
    retry_max_s: float = 60.0
    max_attempts: int = 12
    stop_pause_s: float = 60.0
    holder: int = 0


class Relay:
    """Delivers the outbox in the background, at least once with a dedupe key.

    Per person the messages stay in order and never overlap: the store hands out the next one only when the one before
    is finished. If recording an outcome fails, or the sender breaks its promise and raises, nothing is lost: the lease
    of the attempt runs out and the store applies its rule for unknown outcomes.
    """

    def __init__(
        self,
        store: Store,
        sender: MessageSender,
        clock: Callable[[], int],
        *,
        settings: RelaySettings | None = None,
        rng: random.Random | None = None,
        on_delivered: Callable[[Message, SendResult], None] | None = None,
    ) -> None:
        """Join the parts; nothing runs before ``start``.

        Args:
            store: where the outbox is.
            sender: the channel; called from several threads, never twice at a time for one person.
            clock: returns epoch milliseconds UTC.
            settings: None = the defaults.
            rng: randomness of the pauses between attempts; give a seeded one for repeatable runs.
            on_delivered: called in a worker thread after an accepted message was recorded.
        """
        self._store = store
        self._sender = sender
        self._clock = clock
        self._settings = settings or RelaySettings()
        self._rng = rng or random.Random()  # noqa: S311 (spreads retries; no secret depends on it)
        self._on_delivered = on_delivered
        self._pool = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="relay-send")
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._giving_back = threading.Event()
        self._lock = threading.Condition()
        self._under_way: set[Future[None]] = set()
        self._counted: Counter[str] = Counter()
        self._paused_until_ms = 0
        self._why_paused = ""

    def start(self) -> None:
        """Begin to deliver in a thread of its own."""
        self._thread.start()

    def notify(self) -> None:
        """Say that the outbox has new messages, so that they leave at once."""
        self._wake.set()

    def ready(self) -> str | None:
        """Return why the relay is not delivering, None when it is."""
        if not self._thread.is_alive():
            return "the relay is not running"
        if self._clock() < self._paused_until_ms:
            return f"the channel said stop: {self._why_paused}"
        return None

    def counts(self) -> dict[str, int]:
        """Return how often each outcome came, and the counts below.

        ``claimed``: attempts begun; ``not_sent``: of these, given back without a call to the channel; ``ended``:
        messages whose time was over; ``errors``: what should not happen, each with a line in the log.
        """
        names = [*(outcome.value for outcome in Outcome), "claimed", "ended", "not_sent", "errors"]
        with self._lock:
            return {name: self._counted[name] for name in names}

    def run_once(self, now_ms: int) -> int:
        """Deliver what is due at ``now_ms`` and wait for the answers; return how many messages were claimed.

        Later messages of the same person become due only by the next call.
        """
        claimed = self._step(now_ms)
        self._wait(None)
        return claimed

    def stop(self, drain_s: float) -> None:
        """End: deliver what is due for at most ``drain_s`` seconds, give the rest back to the store.

        A call that is already on its way to the channel is waited for beyond that. The relay cannot start again.
        """
        deadline = time.monotonic() + drain_s
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._drain(deadline)
        self._giving_back.set()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._guarded_step()
            self._wake.wait(self._settings.idle_s)
            self._wake.clear()

    def _drain(self, deadline: float) -> None:
        while (left_s := deadline - time.monotonic()) > 0:
            if self._guarded_step() == 0 and not self._busy():
                return
            self._wait(min(left_s, self._settings.idle_s))

    def _guarded_step(self) -> int:
        try:
            return self._step(self._clock())
        except Exception:  # noqa: BLE001 (the worker's outer loop: it must survive whatever a store does)
            self._count("errors")
            _log.exception("relay: the outbox could not be read; trying again")
            return 0

    def _step(self, now_ms: int) -> int:
        """Claim for the free places and set the messages on their way."""
        self._count("ended", self._store.expire(now_ms))
        # Twice as many as can be sent at a time, so that a free worker finds the next one waiting; and only for half
        # of these places at once, because a claim costs a transaction.
        free = 2 * self._settings.workers - self._busy()
        if free < self._settings.workers or now_ms < self._paused_until_ms:
            return 0
        lease_ms = _ms(self._settings.lease_s)
        messages = self._store.claim(now_ms, limit=free, lease_ms=lease_ms, holder=self._settings.holder)
        self._count("claimed", len(messages))
        for message in messages:
            future = self._pool.submit(self._deliver, message, now_ms)
            with self._lock:
                self._under_way.add(future)
            future.add_done_callback(self._done)
        return len(messages)

    def _deliver(self, message: Message, claimed_ms: int) -> None:
        why_not = self._why_not(message, claimed_ms)
        if why_not:
            self._give_back(message, why_not)
            return
        result = self._sender.send(message, why_not=lambda: self._why_not(message, claimed_ms))
        self._count(result.outcome.value)
        now_ms = self._clock()
        retry_at_ms = self._retry_at_ms(message, result, now_ms)
        self._store.finish(message.outbox_id, result, now_ms=now_ms, retry_at_ms=retry_at_ms)
        if result.outcome is Outcome.ACCEPTED and self._on_delivered is not None:
            self._on_delivered(message, result)

    def _give_back(self, message: Message, why: str) -> None:
        self._count("not_sent")
        now_ms = self._clock()
        result = SendResult(Outcome.RETRY, detail=f"not sent: {why}")
        self._store.finish(message.outbox_id, result, now_ms=now_ms, retry_at_ms=now_ms)

    def _why_not(self, message: Message, claimed_ms: int) -> str:
        """Return why a claimed message must not leave now after all, empty if it may."""
        now_ms = self._clock()
        if self._giving_back.is_set():
            return "the relay is ending"
        if now_ms < self._paused_until_ms:
            return "the channel said stop"
        if now_ms >= message.alert.expires_at_ms:
            return "it expired while it waited for a place"
        # The store counts on a claimed message leaving soon: the channel's window for repetitions is running.
        if now_ms - claimed_ms > _ms(self._settings.lease_s) // 2:
            return "it waited too long for a place"
        return ""

    def _retry_at_ms(self, message: Message, result: SendResult, now_ms: int) -> int | None:
        if result.outcome is Outcome.STOP:
            pause_s = self._settings.stop_pause_s if result.retry_after_s is None else result.retry_after_s
            self._paused_until_ms = max(self._paused_until_ms, now_ms + _ms(pause_s))
            self._why_paused = result.detail
            _log.error("relay: sending stops for %s s: %s", pause_s, result.detail)
            return self._paused_until_ms
        if message.attempts + 1 >= self._settings.max_attempts or not result.repeatable:
            return None
        if result.retry_after_s is not None:
            return now_ms + _ms(result.retry_after_s)
        longest_s = min(self._settings.retry_first_s * 2.0**message.attempts, self._settings.retry_max_s)
        with self._lock:
            return now_ms + _ms(longest_s * self._rng.uniform(0.5, 1.0))

    def _done(self, future: Future[None]) -> None:
        error = future.exception()
        if error is not None:
            self._count("errors")
            _log.error("relay: a message was left to its lease", exc_info=error)
        with self._lock:
            self._under_way.discard(future)
            self._lock.notify_all()
        self._wake.set()

    def _busy(self) -> int:
        with self._lock:
            return len(self._under_way)

    def _wait(self, timeout_s: float | None) -> None:
        with self._lock:
            self._lock.wait_for(lambda: not self._under_way, timeout_s)

    def _count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counted[name] += number


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
