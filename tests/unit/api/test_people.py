"""People at the application: what they say reaches the running engine, and an erasure ends when nothing knows them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from api.clocks import Clocks
from api.metrics import Metrics
from api.people import CodeRequest, People
from api.workers.ingest import IngestWorker
from geo_engine import Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import InputError, StoreError
from geo_engine.model import IntColumn, Language, VehicleKind
from geo_engine.people.codes import CodeVerdict
from geo_engine.people.consents import ConsentChannel, ConsentRecord, Purpose
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.people.identity import MOST_VEHICLES
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import Store
from geo_engine.testing import ManualClock, box_zone, noon_ms, straight_drive

ANNE, BO = "oAnne" + "a" * 23, "oBo" + "b" * 25
TRUCK = Vehicle(0, VehicleKind.GOODS, plate="鄂A11111")
PHONE = "13812345678"
MENU, PAGE = ConsentChannel.MENU, ConsentChannel.PAGE


class RecordingSms:
    """A gateway that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Language]] = []
        self.takes = True

    def send_code(self, phone: str, code: str, language: Language) -> bool:
        self.sent.append((phone, code, language))
        return self.takes


class NoWritesStore(MemoryStore):
    """A store that can be read only, as on a full disk."""

    refuses = False

    def set_consent(self, u7: int, purpose: str, granted: bool, version: str, at_ms: int, channel: str) -> None:
        if self.refuses:
            message = "the disk is full"
            raise StoreError(message)
        super().set_consent(u7, purpose, granted, version, at_ms, channel)


class Bench:
    """People with a worker that runs."""

    def __init__(self, store: Store) -> None:
        self.clock = ManualClock()
        self.store = store
        self.sms = RecordingSms()
        self.states: list[bytes] = []
        self.engine = Engine(ZoneSet.of([box_zone("z")]))
        self.worker = IngestWorker(
            self.engine,
            store,
            Clocks(self.clock, self.clock),
            Metrics(),
            max_waiting=10,
            keep=lambda state, _position: self.states.append(bytes(state)),
        )
        self.codes = iter(range(123_456, 200_000))
        self.people = People(store, self.worker, self.sms, self.clock, b"k" * 32, random_code=lambda: next(self.codes))
        self.worker.start()

    def ping(self, u7: int, *, lon: float = 114.305) -> dict[str, int]:
        """Report a position inside the zone and return why it was not judged."""
        batch: PingBatch = straight_drive(u7, pings=1, lon=lon, start_ms=self.clock.advance(5.0))
        return self.worker.submit(batch).result(20).counts()

    def end(self) -> None:
        self.worker.stop()
        self.people.close()

    def keep(self) -> None:
        """Let a minute pass: the worker keeps its state, and what waited for that ends."""
        seen = len(self.states)
        self.clock.advance(61.0)
        self.ping(9_999_999)
        while len(self.states) == seen:
            self.clock.advance(61.0)
            self.ping(9_999_999)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(MemoryStore())
    yield bench
    bench.end()


# ---- consent


def test_a_follower_is_not_located_before_they_agree_and_is_after(bench: Bench) -> None:
    u7 = bench.people.follow(ANNE)
    assert bench.ping(u7) == {"no_consent": 1}
    bench.people.agree(ANNE, Purpose.WARNINGS, MENU)
    assert bench.ping(u7) == {}
    assert bench.store.consents(u7) == [ConsentRecord(u7, "warnings", True, "2026-11", noon_ms + 5_000, "wechat-menu")]


def test_a_withdrawal_holds_for_the_very_next_ping(bench: Bench) -> None:
    u7 = bench.people.follow(ANNE)
    bench.people.agree(ANNE, Purpose.WARNINGS, MENU)
    for _ in range(50):
        assert bench.people.withdraw(ANNE, Purpose, PAGE) == (Purpose.WARNINGS,)
        assert bench.ping(u7) == {"no_consent": 1}
        bench.people.agree(ANNE, Purpose.WARNINGS, PAGE)
        assert bench.ping(u7) == {}


def test_a_yes_and_a_no_told_at_once_end_as_a_no(bench: Bench) -> None:
    u7 = bench.people.follow(ANNE)
    for _ in range(200):
        bench.people.agree(ANNE, Purpose.WARNINGS, MENU)
        bench.people.withdraw(ANNE, [Purpose.WARNINGS], MENU)
    assert bench.ping(u7) == {"no_consent": 1}


def test_a_withdrawal_stops_the_engine_also_when_it_cannot_be_recorded() -> None:
    store = NoWritesStore()
    bench = Bench(store)
    u7 = bench.people.follow(ANNE)
    bench.people.agree(ANNE, Purpose.WARNINGS, MENU)
    store.refuses = True
    with pytest.raises(StoreError, match="disk is full"):
        bench.people.withdraw(ANNE, Purpose, MENU)
    assert bench.ping(u7) == {"no_consent": 1}
    bench.end()


def test_what_was_never_agreed_to_is_not_withdrawn_and_leaves_no_record(bench: Bench) -> None:
    u7 = bench.people.follow(ANNE)
    assert bench.people.withdraw(ANNE, Purpose, MENU) == ()
    assert bench.people.withdraw(BO, Purpose, MENU) == ()
    assert (bench.store.consents(u7), bench.people.u7_of(BO)) == ([], None)


def test_history_is_kept_from_the_yes_to_the_no_and_then_gone(bench: Bench) -> None:
    u7 = bench.people.follow(ANNE)
    for purpose in (Purpose.WARNINGS, Purpose.HISTORY):
        bench.people.agree(ANNE, purpose, PAGE)
    bench.ping(u7)
    assert len(bench.store.history(u7, 0, 2**62)) == 1
    bench.people.withdraw(ANNE, [Purpose.HISTORY], PAGE)
    bench.ping(u7, lon=114.4)
    assert bench.store.history(u7, 0, 2**62) == []
    assert bench.store.consenting("warnings") == [u7]


def test_whoever_agrees_without_having_followed_becomes_a_person(bench: Bench) -> None:
    bench.people.agree(ANNE, Purpose.COMPANIONS, MENU)
    assert bench.store.consenting("companions") == [bench.people.u7_of(ANNE)]


def test_something_that_is_no_open_id_is_refused_and_not_repeated(bench: Bench) -> None:
    with pytest.raises(InputError, match="expected 28 letters") as caught:
        bench.people.follow("secret@example")
    assert "secret" not in str(caught.value)


# ---- phone


def test_a_phone_is_bound_by_the_code_it_was_sent_once(bench: Bench) -> None:
    assert bench.people.send_code(ANNE, "+86 138 1234 5678").outcome is CodeRequest.SENT
    assert bench.sms.sent == [(PHONE, "123456", Language.ZH)]
    assert bench.people.bind_phone(ANNE, "123457") is CodeVerdict.WRONG
    assert bench.people.bind_phone(ANNE, "123456") is CodeVerdict.RIGHT
    assert bench.people.bind_phone(ANNE, "123456") is CodeVerdict.NONE
    profile = bench.people.profile(ANNE)
    assert profile is not None
    assert profile.phone == PHONE


def test_a_code_of_somebody_else_binds_nothing(bench: Bench) -> None:
    bench.people.send_code(ANNE, PHONE)
    assert bench.people.bind_phone(BO, "123456") is CodeVerdict.NONE


def test_after_five_wrong_tries_the_right_code_binds_nothing(bench: Bench) -> None:
    bench.people.send_code(ANNE, PHONE)
    tries = [bench.people.bind_phone(ANNE, f"{number:06d}") for number in range(5)]
    assert tries == [CodeVerdict.WRONG] * 5
    assert bench.people.bind_phone(ANNE, "123456") is CodeVerdict.SPENT


def test_after_five_minutes_the_code_binds_nothing(bench: Bench) -> None:
    bench.people.send_code(ANNE, PHONE)
    bench.clock.advance(300.0)
    assert bench.people.bind_phone(ANNE, "123456") is CodeVerdict.EXPIRED


def test_limits_hold_for_the_person_and_for_the_phone(bench: Bench) -> None:
    bench.people.send_code(ANNE, PHONE)
    again = bench.people.send_code(ANNE, "13900000000")
    assert (again.outcome, again.wait_ms) == (CodeRequest.WAIT, 60_000)
    assert bench.people.send_code(BO, PHONE).outcome is CodeRequest.WAIT
    assert len(bench.sms.sent) == 1
    bench.clock.advance(60.0)
    assert bench.people.send_code(BO, PHONE).outcome is CodeRequest.SENT


def test_no_phone_is_no_code_and_a_gateway_that_refuses_is_said(bench: Bench) -> None:
    assert bench.people.send_code(ANNE, "12345").outcome is CodeRequest.BAD_PHONE
    bench.sms.takes = False
    assert bench.people.send_code(ANNE, PHONE).outcome is CodeRequest.NOT_TAKEN
    assert bench.people.send_code(ANNE, PHONE).outcome is CodeRequest.WAIT


def test_no_log_line_holds_a_code_or_a_phone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        bench.people.send_code(ANNE, PHONE)
        bench.people.bind_phone(ANNE, "123456")
        bench.people.erase(bench.people.follow(ANNE), ErasureReason.ASKED)
        bench.keep()
    assert not [line for line in caplog.messages if "123456" in line or PHONE in line or ANNE in line]


# ---- vehicles


def test_the_rules_go_by_the_vehicle_that_is_driven_now(bench: Bench) -> None:
    bench.people.follow(ANNE, Language.EN)
    first = bench.people.put_vehicle(ANNE, TRUCK)
    bench.people.put_vehicle(ANNE, replace(TRUCK, plate="鄂A22222"))
    profile = bench.people.profile(ANNE)
    assert profile is not None
    assert (profile.driving.plate, profile.language) == ("鄂A22222", Language.EN)
    assert bench.people.activate_vehicle(ANNE, first)
    profile = bench.people.profile(ANNE)
    assert profile is not None
    assert profile.driving.plate == "鄂A11111"
    assert not bench.people.activate_vehicle(BO, first)
    assert not bench.people.remove_vehicle(ANNE, first + 99)
    assert bench.people.remove_vehicle(ANNE, first)


def test_putting_a_vehicle_gives_no_consent(bench: Bench) -> None:
    bench.people.put_vehicle(ANNE, replace(TRUCK, consent_warnings=True))
    assert bench.ping(bench.people.follow(ANNE)) == {"no_consent": 1}


def test_the_eleventh_vehicle_is_refused(bench: Bench) -> None:
    for _ in range(MOST_VEHICLES):
        bench.people.put_vehicle(ANNE, TRUCK)
    with pytest.raises(InputError, match="found 10 vehicles, expected fewer than 10"):
        bench.people.put_vehicle(ANNE, TRUCK)


# ---- erasure


def test_an_erased_person_is_unknown_to_store_and_engine_and_the_number_is_free_after_a_kept_state(
    bench: Bench,
) -> None:
    u7 = bench.people.follow(ANNE)
    for purpose in Purpose:
        bench.people.agree(ANNE, purpose, PAGE)
    bench.ping(u7)
    number = bench.people.erase(u7, ErasureReason.UNSUBSCRIBED)
    assert bench.people.profile(ANNE) is None
    assert bench.ping(u7) == {"no_consent": 1}
    bench.keep()
    bench.end()
    (stone,) = bench.store.tombstones()
    assert (stone.tombstone_id, stone.reason, bench.store.erasures()) == (number, ErasureReason.UNSUBSCRIBED, [])
    assert bench.store.decisions(limit=9, u7=u7) == []
    assert bench.store.open_visits(0) == []
    assert bench.store.history(u7, 0, 2**62) == []
    assert bench.engine.last_known(_users(u7))[1].tolist() == [0]


def test_others_keep_what_is_theirs_while_somebody_is_erased(bench: Bench) -> None:
    anne, bo = (bench.people.follow(one) for one in (ANNE, BO))
    for one in (ANNE, BO):
        bench.people.agree(one, Purpose.WARNINGS, PAGE)
        bench.ping(bench.people.follow(one))
    bench.people.erase(anne, ErasureReason.ASKED)
    bench.end()
    assert {record.alert.u7 for record in bench.store.decisions(limit=9)} == {bo}
    assert [visit.u7 for visit in bench.store.open_visits(0)] == [bo]


def test_an_erasure_a_process_left_under_way_is_completed_by_the_next(bench: Bench) -> None:
    u7 = bench.people.follow(ANNE)
    bench.store.begin_erasure(Erasure("f" * 32, u7, ErasureReason.CANCELLED, noon_ms))
    assert bench.people.resume_erasures() == 1
    bench.end()
    assert ([stone.tombstone_id for stone in bench.store.tombstones()], bench.store.erasures()) == (["f" * 32], [])


def test_whoever_follows_again_starts_from_nothing(bench: Bench) -> None:
    before = bench.people.follow(ANNE)
    bench.people.agree(ANNE, Purpose.WARNINGS, PAGE)
    bench.people.erase(before, ErasureReason.UNSUBSCRIBED)
    after = bench.people.follow(ANNE)
    assert after != before
    assert bench.ping(after) == {"no_consent": 1}


def test_a_state_that_cannot_be_kept_leaves_the_erasure_open() -> None:
    bench = Bench(MemoryStore())
    u7 = bench.people.follow(ANNE)

    def refuse(_state: bytearray, _position: int) -> None:
        raise OSError(28, "no space left")

    bench.worker._keep = refuse
    bench.people.erase(u7, ErasureReason.ASKED)
    bench.end()
    assert ([one.u7 for one in bench.store.erasures()], bench.store.tombstones()) == ([u7], [])


def test_an_engine_that_never_answers_holds_nobody_up() -> None:
    class Deaf:
        def put_vehicle(self, vehicle: Vehicle) -> None:
            pass

        def keep_history(self, u7: int, granted: bool) -> None:
            pass

        def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
            pass

        def forget(self, u7: int) -> Future[None]:
            return Future()

    store = MemoryStore()
    people = People(store, Deaf(), RecordingSms(), ManualClock(), b"k" * 32)
    people.erase(people.follow(ANNE), ErasureReason.ASKED)
    people.close()
    assert (people.u7_of(ANNE), len(store.erasures())) == (None, 1)


def _users(*u7: int) -> IntColumn:
    return np.array(u7, dtype=np.int64)
