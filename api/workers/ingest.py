"""The one thread that owns the engine: takes waiting pings, judges them, commits, then answers the senders."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from api.clocks import Clocks
from api.metrics import Metrics
from api.workers.history import History
from api.workers.told import (
    Forgotten,
    HistoryKept,
    KeptQuiet,
    Told,
    VehicleTold,
    Wish,
    decode,
    encode,
    wish,
)
from geo_engine.alerting.policy import QuietHours
from geo_engine.alerting.quota import Arbiter
from geo_engine.engine import Decisions, Engine
from geo_engine.errors import StoreError
from geo_engine.journal import Journal, Kind, Record, pack_pings, unpack_pings
from geo_engine.model import U7_COUNT, Alert, IntColumn, PingBatch, RejectReason, Vehicle, Visit
from geo_engine.store.protocol import HISTORY, HistoryChange, Store

__all__ = ["Busy", "IngestWorker", "Judged"]

_log: Final = logging.getLogger(__name__)
Answer = TypeVar("Answer")
_MOST_PINGS_A_STEP: Final = 65_536
_IDLE_S: Final = 1.0
_KEEP_EVERY_MS: Final = 60_000


class Busy(Exception):  # noqa: N818 - it says what the sender meets, not a fault
    """Too many pings wait already; the sender should come back later."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one request's pings: counts, and row and reason of each reject."""

    accepted: int
    row: IntColumn
    reason: tuple[RejectReason, ...]

    def counts(self) -> dict[str, int]:
        """Return the rejects by reason."""
        return dict(sorted(Counter(reason.value for reason in self.reason).items()))


@dataclass(frozen=True, slots=True)
class _Request:
    batch: PingBatch
    done: Future[Judged]


class IngestWorker:
    """Judges pings in steps. A request is answered after the commit of the step it was part of.

    When the store refuses a commit, the decisions are kept and committed with the next step: the engine has moved
    on and must not forget what it decided. Until then senders get an error and readiness is off.
    """

    def __init__(  # noqa: PLR0913 - the parts it joins
        self,
        engine: Engine,
        store: Store,
        clocks: Clocks,
        metrics: Metrics,
        *,
        max_waiting: int,
        on_decisions: Callable[[Decisions], None] = lambda _decisions: None,
        keep: Callable[[bytearray, int], None] = lambda _state, _position: None,
        arbiter: Arbiter | None = None,
        history_days: int = 30,
        journal: Journal | None = None,
        flush_ms: int = 20,
    ) -> None:
        """Join the parts; nothing runs before ``start``.

        Args:
            engine: owned by the worker's thread from ``start`` on.
            store: where decisions go.
            clocks: pings are judged by the wall clock, decisions are kept by the steady one.
            metrics: counters.
            max_waiting: more pings than this may not wait.
            on_decisions: told of every step, in the worker's thread, after the commit.
            keep: given the state of the engine and the position of the journal it stands at, once a minute and at the
                end, in the worker's thread.
            arbiter: the engine's own; what it counts is committed with the decisions.
            history_days: for so long transitions stay in the history of those who want one.
            journal: where pings go before they are judged; None = a crash takes what was not kept.
            flush_ms: pings that come within this time of a write to the journal share the next one, while more keep
                coming: a tenth of it without any ends the wait.
        """
        self._engine = engine
        self._store = store
        self._clocks = clocks
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._on_decisions = on_decisions
        self._keep = keep
        self._arbiter = arbiter
        if arbiter is not None:
            metrics.quota_left.set(arbiter.left(clocks.wall()))
        self._told: queue.SimpleQueue[Callable[[Engine], None]] = queue.SimpleQueue()
        self._kept_ms = clocks.steady()
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._consented = np.zeros(U7_COUNT, dtype=np.bool_)
        self._latest: dict[int, Vehicle] = {}
        self._forgotten: list[Future[None]] = []
        self._history = History(engine)
        self._history.follow(store.consenting(HISTORY))
        self._history_ms = history_days * 86_400_000
        self._journal = journal
        self._flush_s = flush_ms / 1000.0
        self._flushed_s = -math.inf
        self._refused = False
        self._told_since_step = False
        self._unsaved: tuple[list[Alert], list[Visit], list[HistoryChange]] = ([], [], [])
        # The engine may have been restored with users inside: the first idle step asks it.
        self._deadline_ms: int | None = 0
        self._stuck = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def put_vehicles(self, vehicles: Iterable[Vehicle]) -> None:
        """Set what is known of users, before ``start``."""
        known = list(vehicles)
        self._engine.put_vehicles(known)
        for vehicle in known:
            self._consented[vehicle.u7] = vehicle.consent_warnings

    def start(self) -> None:
        """Begin to judge in a thread of its own."""
        self._thread.start()

    def submit(self, batch: PingBatch) -> Future[Judged]:
        """Hand in pings; the future ends when their decisions are on disk.

        Raises:
            Busy: too many pings wait, or the worker is closing.
        """
        with self._lock:
            # A batch larger than the limit is still taken when nothing else waits: it could never fit otherwise.
            if (
                not self._thread.is_alive()
                or self._closed
                or (self._waiting and self._waiting + len(batch) > self._max_waiting)
            ):
                raise Busy
            self._waiting += len(batch)
            request = _Request(batch, Future())
            self._queue.put(request)
        return request.done

    def tell(self, change: Callable[[Engine], None]) -> None:
        """Have something told to the engine in its own thread, before the next pings are judged."""
        self._told.put(change)

    def ask(self, question: Callable[[Engine], Answer]) -> Future[Answer]:
        """Have something asked of the engine in its own thread, at once; the future holds the answer.

        It never ends when the worker has stopped, so wait for it with a limit.
        """
        done: Future[Answer] = Future()

        def answer(engine: Engine) -> None:
            try:
                done.set_result(question(engine))
            except Exception as error:  # noqa: BLE001 - it is the asker's, whatever it is
                done.set_exception(error)

        self._told.put(answer)
        # An empty request wakes the thread; otherwise it may wait for pings for a second.
        self._queue.put(_Request(PingBatch.empty(), Future()))
        return done

    def put_vehicle(self, vehicle: Vehicle) -> None:
        """Tell what a person drives and agreed to, while the service runs; the last word counts.

        A no closes the door before this returns: no later ping of theirs is judged.
        """
        with self._lock:
            self._latest[vehicle.u7] = vehicle
            if not vehicle.consent_warnings:
                self._consented[vehicle.u7] = False
        self._told.put(lambda engine: self._take_vehicle(engine, vehicle.u7))

    def _take_vehicle(self, engine: Engine, u7: int) -> None:
        with self._lock:
            vehicle = self._latest.pop(u7, None)
            if vehicle is None:
                return
            self._consented[u7] = vehicle.consent_warnings
        self._note(VehicleTold(vehicle, engine.vehicle_of(u7)))
        engine.put_vehicles([vehicle])

    def wish(self, told: Wish) -> None:
        """Tell what somebody wants to hear, before the next pings are judged; the store keeps it."""
        self._told.put(lambda engine: self.take_wish(engine, told))

    def take_wish(self, engine: Engine, told: Wish) -> None:
        """Do the same at once; for what is asked of the engine in its own thread."""
        wish(engine, told)
        self._note(told)

    def _note(self, told: Told) -> None:
        self._told_since_step = True
        if self._journal is not None:
            self._journal.note(Kind.TOLD, self._clocks.wall(), encode(told))

    def forget(self, u7: int) -> Future[None]:
        """Forget a person altogether; the future ends when a state without them is on disk, within a minute or so.

        The door is closed to their pings before this returns.
        """
        done: Future[None] = Future()
        with self._lock:
            self._latest.pop(u7, None)
            self._consented[u7] = False
        self._told.put(lambda engine: self._forget(engine, u7, done))
        return done

    def _forget(self, engine: Engine, u7: int, done: Future[None]) -> None:
        now_ms = self._clocks.wall()
        if self._journal is not None:
            self._journal.note(Kind.TOLD, now_ms, encode(Forgotten(engine.vehicle_of(u7))))
        decisions = self._forget_at(engine, u7, now_ms)
        self._metrics.count(decisions)
        self._forgotten.append(done)
        self._on_decisions(decisions)

    def _forget_at(self, engine: Engine, u7: int, now_ms: int) -> Decisions:
        self._history.forget([u7])
        decisions = engine.forget([u7], now_ms)
        self._deadline_ms = decisions.next_deadline_ms
        self._unsaved[0].extend(decisions.alerts)
        self._unsaved[1].extend(decisions.visits)
        self._note_history(PingBatch.empty(), decisions, now_ms)
        # Also what an earlier step could not commit: nothing of theirs is to be written any more.
        alerts, visits, history = self._unsaved
        self._unsaved = (
            [alert for alert in alerts if alert.u7 != u7],
            [visit for visit in visits if visit.u7 != u7],
            [_without(change, u7) for change in history],
        )
        return decisions

    def keep_history(self, u7: int, granted: bool) -> None:
        """Keep or stop keeping a person's history, before the next pings are judged; the store decides by consent."""
        self._told.put(lambda _engine: self._take_history(HistoryKept(u7, granted)))

    def _take_history(self, told: HistoryKept) -> None:
        self._note(told)
        (self._history.follow if told.granted else self._history.forget)([told.u7])

    def recover(self, position: int) -> int:
        """Give the engine, which stands at ``position`` of the journal, all that is behind it; return how many records.

        Before ``start``, and after everybody was put as the store knows them now. Each record is judged at its own
        moment, so the same is decided; what the store has already is not written again.

        Raises:
            StoreError: the journal cannot be read, or the store takes no decisions.
        """
        if self._journal is None:
            return 0
        committed = self._store.journal_position()
        touched = self._as_they_were(position)
        if self._engine.judged_ms is not None:
            # From here on it notes whom a change finds inside a zone, as it did before the end.
            self._engine.process(PingBatch.empty(), self._engine.judged_ms)
        count, last_ms = 0, 0
        for record in self._journal.records(position):
            self._replay(record, committed)
            count, last_ms = count + 1, max(last_ms, record.now_ms)
        if count:
            # What was told last is weighed now: a start forgets who was inside when it was said.
            self._judge(PingBatch.empty(), last_ms)
            self._commit(min(last_ms, self._clocks.steady()), self._journal.last)
            self.put_vehicles(person.vehicle for u7 in touched if (person := self._store.person(u7)) is not None)
        return count

    def _as_they_were(self, position: int) -> set[int]:
        """Put those who changed behind ``position`` as they were there, and return them."""
        assert self._journal is not None  # noqa: S101 - the caller looked
        before: dict[int, Vehicle] = {}
        for record in self._journal.records(position):
            if record.kind is Kind.TOLD:
                told = decode(record.payload)
                if isinstance(told, VehicleTold | Forgotten):
                    before.setdefault(told.before.u7, told.before)
        self.put_vehicles(before.values())
        return set(before)

    def _replay(self, record: Record, committed: int) -> None:
        try:
            if record.kind is Kind.STEP:
                self._judge(unpack_pings(record.payload), record.now_ms)
            else:
                self._retell(decode(record.payload), record.now_ms)
        except Exception:  # noqa: BLE001 - what ended a step the first time ends it again, and must not end the start
            _log.exception("record %d of the journal is left out", record.sequence)
        if record.sequence <= committed:
            self._unsaved = ([], [], [])
        else:
            self._commit(min(record.now_ms, self._clocks.steady()), record.sequence)

    def _retell(self, told: Told, now_ms: int) -> None:
        if isinstance(told, VehicleTold):
            self.put_vehicles([told.vehicle])
        elif isinstance(told, Forgotten):
            self._consented[told.before.u7] = False
            self._forget_at(self._engine, told.before.u7, now_ms)
        elif isinstance(told, HistoryKept):
            (self._history.follow if told.granted else self._history.forget)([told.u7])
        else:
            wish(self._engine, told)

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        """Keep to a person's own quiet hours, None = those of the policy, before the next pings are judged."""
        self.wish(KeptQuiet(u7, hours))

    def ready(self) -> str | None:
        """Return why the worker is not ready, None when it is."""
        if not self._thread.is_alive():
            return "the ingest worker is not running"
        if self._refused:
            return "the journal takes no pings"
        return "decisions wait for the store" if self._stuck else None

    def waiting(self) -> int:
        """Return the number of pings not yet judged."""
        return self._waiting

    def stop(self) -> None:
        """Judge and commit everything handed in, then end."""
        with self._lock:
            self._closed = True
            self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            requests, more = self._gather()
            try:
                self._take_in()
                self._step(requests)
            except Exception as error:  # noqa: BLE001 - the outer loop: one poisoned step must not end the service
                _log.exception("a step of %d requests failed", len(requests))
                _answer(requests, error)
            if not more or self._clocks.steady() - self._kept_ms >= _KEEP_EVERY_MS:
                self._keep_state()

    def _take_in(self) -> None:
        while not self._told.empty():
            try:
                self._told.get()(self._engine)
            except ValueError:
                # It is about nobody: those whose pings wait have nothing to do with it.
                _log.exception("what was told to the engine is left out")

    def checkpoint(self) -> None:
        """Have the state kept before ``start``, so that the next start need not replay what this one did."""
        self._keep_state()

    def _keep_state(self) -> None:
        """Have the engine's state kept; a disk that refuses costs a restart some time, not the service."""
        self._kept_ms = self._clocks.steady()
        try:
            self._keep_now()
        except (OSError, StoreError) as error:
            _log.warning("the state of the engine could not be kept: %s", error)
        else:
            # Whoever waits for a forgotten person must not wait for one another's work, nor this thread for theirs.
            forgotten, self._forgotten = self._forgotten, []
            for done in forgotten:
                done.set_result(None)
        try:
            self._store.drop_history(self._clocks.wall() - self._history_ms)
        except StoreError as error:
            _log.warning("the history could not be cut: %s", error)

    def _keep_now(self) -> None:
        if self._journal is None:
            self._keep(self._engine.snapshot(), 0)
            return
        if self._told_since_step or any(self._unsaved):
            # A state keeps neither who was told about inside a zone nor decisions that wait for the store.
            self._step([], needed=True)
        position = self._journal.sync()
        self._keep(self._engine.snapshot(), position)
        self._journal.prune(position, aside=bool(self._forgotten))

    def _gather(self) -> tuple[list[_Request], bool]:
        """Wait for a request or the engine's deadline, then take what else is there, up to a step's worth."""
        requests: list[_Request] = []
        count = 0
        timeout_s: float | None = self._patience_s()
        while count < _MOST_PINGS_A_STEP:
            try:
                if requests and count:
                    # Many small batches share one write to the journal, but when no more come nobody waits for them.
                    left_s = self._flushed_s + self._flush_s - time.monotonic() if self._journal else 0.0
                    timeout_s = min(left_s, self._flush_s / 10.0)
                    request = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
                else:
                    request = self._queue.get_nowait() if requests else self._queue.get(timeout=timeout_s)
            except queue.Empty:
                break
            if request is None:
                for one in requests:
                    one.done.set_running_or_notify_cancel()
                return requests, False
            requests.append(request)
            count += len(request.batch)
        with self._lock:
            self._waiting -= count
        # From here on nobody can cancel: a sender who has gone meanwhile loses his answer, not his pings.
        for request in requests:
            request.done.set_running_or_notify_cancel()
        return requests, True

    def _patience_s(self) -> float:
        if self._deadline_ms is None:
            return _IDLE_S
        return min(max((self._deadline_ms - self._clocks.wall()) / 1000.0, 0.01), _IDLE_S)

    def _step(self, requests: list[_Request], *, needed: bool = False) -> None:
        now_ms = self._clocks.wall()
        due = self._deadline_ms is not None and now_ms >= self._deadline_ms
        if not (requests or due or needed or self._refused or any(self._unsaved) or self._history.waiting):
            return
        began = time.perf_counter()
        whole = PingBatch.concat([request.batch for request in requests])
        allowed = np.flatnonzero(self._may_be_located(whole.u7))
        judged = whole.take(allowed)
        # Before it is judged: what the engine knew and the journal did not would be a duplicate when sent again.
        self._write(judged, now_ms)
        decisions = self._judge(judged, now_ms)
        refused = len(whole) - len(allowed)
        self._metrics.count(decisions)
        self._metrics.rejected.labels(RejectReason.NO_CONSENT.value).inc(refused)
        self._commit(self._clocks.steady())
        self._metrics.step_seconds.observe(time.perf_counter() - began)
        _settle(requests, whole, allowed, decisions)
        self._on_decisions(decisions)

    def _write(self, judged: PingBatch, now_ms: int) -> None:
        """Bring pings to disk. That the time was told need not be there before a decision that comes of it is."""
        if self._journal is None:
            return
        payload = pack_pings(judged)
        if not len(judged) and not self._refused:
            self._journal.note(Kind.STEP, now_ms, payload)
            return
        try:
            self._journal.write(Kind.STEP, now_ms, payload)
            self._refused = False
        except StoreError:
            self._refused = True
            self._metrics.journal_failures.inc()
            if len(judged):
                raise
            self._journal.note(Kind.STEP, now_ms, payload)
        finally:
            self._flushed_s = time.monotonic()

    def _judge(self, judged: PingBatch, now_ms: int) -> Decisions:
        self._told_since_step = False
        decisions = self._engine.process(judged, now_ms)
        self._deadline_ms = decisions.next_deadline_ms
        # Decisions first: whatever fails from here on, they wait for the next commit.
        self._unsaved[0].extend(decisions.alerts)
        self._unsaved[1].extend(decisions.visits)
        self._note_history(judged, decisions, now_ms)
        return decisions

    def _may_be_located(self, u7: IntColumn) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Consent gate: a position of a user who did not agree is not even judged."""
        known = (u7 >= 0) & (u7 < U7_COUNT)
        allowed = ~known  # the engine names what is wrong with an impossible number
        allowed[known] = self._consented[u7[known]]
        return allowed

    def _note_history(self, judged: PingBatch, decisions: Decisions, now_ms: int) -> None:
        written = self._history.step(judged, decisions, now_ms)
        self._metrics.count_mended(written.added, written.withdrawn, written.unplaced)
        if written.change.added or written.change.withdrawn:
            self._unsaved[2].append(written.change)

    def _commit(self, now_ms: int, position: int | None = None) -> None:
        alerts, visits, history = self._unsaved
        uses = [] if self._arbiter is None else self._arbiter.uses()
        if not (alerts or visits or uses or history):
            return
        try:
            if position is None:
                # The store is never ahead of the journal.
                position = 0 if self._journal is None else self._journal.sync()
            result = self._store.commit(alerts, visits, now_ms=now_ms, uses=uses, history=history, position=position)
        except Exception:
            # Whatever refused it, the decisions are kept for the next commit; the error goes on to the senders.
            self._metrics.store_failures.inc()
            self._stuck = True
            raise
        self._unsaved, self._stuck = ([], [], []), False
        self._metrics.duplicates.inc(result.duplicates)
        if self._arbiter is not None:
            self._arbiter.saved()
            self._metrics.quota_left.set(self._arbiter.left())


def _without(change: HistoryChange, u7: int) -> HistoryChange:
    added, withdrawn = ([record for record in part if record.u7 != u7] for part in (change.added, change.withdrawn))
    return HistoryChange(added, withdrawn)


def _answer(requests: list[_Request], error: Exception) -> None:
    for request in requests:
        if not request.done.done():
            request.done.set_exception(error)


def _settle(requests: list[_Request], whole: PingBatch, allowed: IntColumn, decisions: Decisions) -> None:
    """Give every request its own share of the step's rejects."""
    reasons = np.full(len(whole), -1, dtype=np.int16)
    names = tuple(RejectReason)
    refused = np.ones(len(whole), dtype=np.bool_)
    refused[allowed] = False
    reasons[refused] = names.index(RejectReason.NO_CONSENT)
    reasons[allowed[decisions.rejects.row]] = decisions.rejects.reason
    first = 0
    for request in requests:
        part = reasons[first : first + len(request.batch)]
        first += len(request.batch)
        rows = np.flatnonzero(part >= 0)
        if request.done.cancelled():
            continue
        judged = Judged(len(part) - len(rows), rows, tuple(names[code] for code in part[rows].tolist()))
        request.done.set_result(judged)
