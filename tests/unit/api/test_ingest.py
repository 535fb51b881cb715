"""The ingest worker: every request is answered once, after its commit, whatever happens beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from api.clocks import Clocks
from api.metrics import Metrics
from api.workers.ingest import Busy, IngestWorker
from geo_engine import Decisions, Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import StoreError
from geo_engine.model import Alert, RejectReason, TransitionReason, VehicleKind, Visit, ZoneKind
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import HISTORY, CommitResult, HistoryChange
from geo_engine.testing import ManualClock, box_zone, noon_ms, straight_drive

DRIVERS = [Vehicle(u7=u7, kind=VehicleKind.GOODS, consent_warnings=True) for u7 in range(1, 6)]


class AwayStore(MemoryStore):
    """A store that refuses so many commits before it works again."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def commit(
        self,
        alerts: Sequence[Alert],
        visits: Sequence[Visit],
        *,
        now_ms: int,
        uses: Sequence[QuotaUse] = (),
        history: Sequence[HistoryChange] = (),
        position: int = 0,
    ) -> CommitResult:
        if self.refusals:
            self.refusals -= 1
            message = "the store is away"
            raise StoreError(message)
        return super().commit(alerts, visits, now_ms=now_ms, uses=uses, history=history, position=position)


class Bench:
    """A worker with its parts."""

    def __init__(self, store: MemoryStore | None = None, told: Callable[[Decisions], None] | None = None) -> None:
        self.clock = ManualClock()
        self.store = store or MemoryStore()
        self.decisions: list[Decisions] = []
        self.metrics = Metrics()
        self.engine = Engine(ZoneSet.of([box_zone("z"), box_zone("v", kind=ZoneKind.VENUE)]))
        self.worker = IngestWorker(
            self.engine,
            self.store,
            Clocks(self.clock, self.clock),
            self.metrics,
            max_waiting=10,
            on_decisions=told or self.decisions.append,
        )
        self.worker.put_vehicles(DRIVERS)


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.worker.stop()


@pytest.fixture
def make(benches: list[Bench]) -> Callable[..., Bench]:
    def start(*parts: object) -> Bench:
        bench = Bench(*parts)  # type: ignore[arg-type]  # passed on as they are
        benches.append(bench)
        bench.worker.start()
        return bench

    return start


def inside(u7: int, *, after_s: int = 0) -> PingBatch:
    return straight_drive(u7, pings=1, lon=114.305, start_ms=noon_ms + after_s * 1000)


def test_request_is_answered_after_its_commit_with_its_own_rejects(make: Callable[..., Bench]) -> None:
    bench = make()
    stranger = inside(99)
    judged = bench.worker.submit(PingBatch.concat([inside(1), stranger])).result(5)
    assert (judged.accepted, judged.counts()) == (1, {"no_consent": 1})
    assert judged.row.tolist() == [1]
    assert bench.store.counts()["decision.enter"] == 1


def test_impossible_number_is_named_by_the_engine_not_taken_for_missing_consent(make: Callable[..., Bench]) -> None:
    judged = make().worker.submit(inside(10**9)).result(5)
    assert judged.reason == (RejectReason.U7_OUT_OF_RANGE,)


def test_cancelled_request_costs_the_others_nothing(make: Callable[..., Bench]) -> None:
    bench = make()
    futures = [bench.worker.submit(inside(u7)) for u7 in (1, 2, 3)]
    futures[1].cancel()
    assert [future.result(5).accepted for future in (futures[0], futures[2])] == [1, 1]


def test_decisions_of_a_refused_commit_are_committed_with_the_next_step(make: Callable[..., Bench]) -> None:
    bench = make(AwayStore(1))
    with pytest.raises(StoreError):
        bench.worker.submit(inside(1)).result(5)
    assert bench.worker.submit(inside(2)).result(5).accepted == 1
    assert bench.store.counts()["decision.enter"] == 2
    assert bench.worker.ready() is None


def test_worker_is_not_ready_while_decisions_wait_for_the_store(make: Callable[..., Bench]) -> None:
    bench = make(AwayStore(10**6))
    with pytest.raises(StoreError):
        bench.worker.submit(inside(1)).result(5)
    assert bench.worker.ready() == "decisions wait for the store"


def test_listener_that_fails_does_not_turn_a_committed_step_into_an_error(make: Callable[..., Bench]) -> None:
    def fail(_decisions: Decisions) -> None:
        message = "a listener's own fault"
        raise RuntimeError(message)

    assert make(None, fail).worker.submit(inside(1)).result(5).accepted == 1


def with_history(store: MemoryStore, *u7: int) -> MemoryStore:
    for one in u7:
        store.set_consent(one, HISTORY, True, "v1", noon_ms, "test")
    return store


def kept(bench: Bench, u7: int) -> list[tuple[str, str]]:
    found = bench.store.history(u7, 0, 2**62)
    return [(record.kind.value, record.reason.value) for record in found if record.zone_id == "z"]


def submit_late(bench: Bench, *users: int) -> None:
    """A drive through the zone of which two pings inside come after the first one beyond it."""
    bench.clock.advance(200)
    for u7 in users:
        pings = straight_drive(u7, pings=40)
        within = np.flatnonzero((pings.lon >= 114.30) & (pings.lon <= 114.31))
        rest = np.setdiff1d(np.arange(40), within)
        for part in (pings.take(rest), pings.take(within[2:4])):
            bench.worker.submit(part).result(5)


def test_late_pings_mend_the_history_of_who_agreed_and_are_counted(make: Callable[..., Bench]) -> None:
    bench = make(with_history(MemoryStore(), 1))
    submit_late(bench, 1, 2)
    assert (kept(bench, 1), kept(bench, 2)) == ([("enter", "late"), ("exit", "late")], [])
    page = bench.metrics.page(waiting=0, relay={}, store={}).decode()
    for kind, change in (("enter", "added"), ("exit", "added"), ("cross", "withdrawn")):
        assert f'geo_engine_history_mended_total{{change="{change}",kind="{kind}"}}' in page
    bench.worker.stop()
    assert [len(step.alerts) + len(step.transitions) for step in bench.decisions if len(step.rejects)] == [0, 0]


def test_history_of_a_refused_commit_is_written_with_the_next_step(make: Callable[..., Bench]) -> None:
    store = AwayStore(0)
    bench = make(with_history(store, 1))
    store.refusals = 1
    with pytest.raises(StoreError):
        bench.worker.submit(inside(1)).result(5)
    assert kept(bench, 1) == []
    assert bench.worker.submit(inside(2)).result(5).accepted == 1
    assert kept(bench, 1) == [("enter", "moved")]


def test_history_begins_and_ends_while_the_service_runs(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.worker.submit(inside(1)).result(5)
    with_history(bench.store, 1)
    bench.worker.keep_history(1, granted=True)
    away = straight_drive(1, pings=2, lon=114.312, start_ms=noon_ms + 10_000)
    bench.worker.submit(away).result(5)
    assert kept(bench, 1) == [("exit", "moved")]
    bench.store.set_consent(1, HISTORY, False, "v1", noon_ms, "test")
    bench.worker.keep_history(1, granted=False)
    bench.worker.submit(inside(1, after_s=90)).result(5)
    assert kept(bench, 1) == []


def test_history_older_than_its_days_is_dropped(make: Callable[..., Bench]) -> None:
    bench = make(with_history(MemoryStore(), 1))
    bench.worker.submit(inside(1)).result(5)
    bench.worker.stop()
    assert len(kept(bench, 1)) == 1
    later = Bench(bench.store)
    later.clock.advance(31 * 86_400)
    later.worker.start()
    later.worker.stop()
    assert kept(later, 1) == []


def test_silence_after_a_restart_ends_the_visits_without_any_ping(make: Callable[..., Bench]) -> None:
    bench = Bench()
    visit = Visit(1, "v", noon_ms - 10**6, noon_ms - 10**6, open=True, inside=True, decided=False)
    bench.engine.restore([visit], {}, now_ms=noon_ms)
    bench.clock.advance(901)
    bench.worker.start()
    while not any(len(step.transitions) for step in bench.decisions):
        assert bench.worker.ready() is None
    bench.worker.stop()
    assert bench.decisions[-1].transitions.reasons() == (TransitionReason.LOST,)


def test_more_than_the_limit_is_refused_and_a_single_large_batch_is_not(make: Callable[..., Bench]) -> None:
    bench = make()
    large = PingBatch.concat([inside(u7 % 5 + 1, after_s=u7 // 5) for u7 in range(50)])
    bench.clock.advance(60)
    assert bench.worker.submit(large).result(5).accepted == 50


def test_worker_that_does_not_run_takes_nothing(make: Callable[..., Bench]) -> None:
    with pytest.raises(Busy):
        Bench().worker.submit(inside(1))
    bench = make()
    bench.worker.stop()
    with pytest.raises(Busy):
        bench.worker.submit(inside(1))


def test_stop_judges_what_was_handed_in(make: Callable[..., Bench]) -> None:
    bench = make()
    futures = [bench.worker.submit(inside(u7)) for u7 in (1, 2, 3, 4, 5)]
    bench.worker.stop()
    assert [future.result(0).accepted for future in futures] == [1] * 5
