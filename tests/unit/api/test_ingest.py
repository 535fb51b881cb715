"""The ingest worker: every request is answered once, after its commit, whatever happens beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from api.clocks import Clocks
from api.metrics import Metrics
from api.workers.ingest import Busy, IngestWorker
from geo_engine import Decisions, Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import StoreError
from geo_engine.model import Alert, RejectReason, TransitionReason, VehicleKind, Visit, ZoneKind
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import CommitResult
from geo_engine.testing import ManualClock, box_zone, noon_ms, straight_drive

DRIVERS = [Vehicle(u7=u7, kind=VehicleKind.GOODS, consent_warnings=True) for u7 in range(1, 6)]


class AwayStore(MemoryStore):
    """A store that refuses so many commits before it works again."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def commit(
        self, alerts: Sequence[Alert], visits: Sequence[Visit], *, now_ms: int, uses: Sequence[QuotaUse] = ()
    ) -> CommitResult:
        if self.refusals:
            self.refusals -= 1
            message = "the store is away"
            raise StoreError(message)
        return super().commit(alerts, visits, now_ms=now_ms, uses=uses)


class Bench:
    """A worker with its parts."""

    def __init__(self, store: MemoryStore | None = None, told: Callable[[Decisions], None] | None = None) -> None:
        self.clock = ManualClock()
        self.store = store or MemoryStore()
        self.decisions: list[Decisions] = []
        self.engine = Engine(ZoneSet.of([box_zone("z"), box_zone("v", kind=ZoneKind.VENUE)]))
        self.worker = IngestWorker(
            self.engine,
            self.store,
            Clocks(self.clock, self.clock),
            Metrics(),
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
