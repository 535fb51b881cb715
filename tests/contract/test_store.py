"""What every store promises about people, decisions and visits, run on the SQL store and its twin in memory."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo_engine.alerting.message import Message
from geo_engine.alerting.policy import QuietHours
from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import StoreError
from geo_engine.model import (
    BodyType,
    Energy,
    Language,
    Mute,
    Permit,
    PlateColour,
    SuppressReason,
    Vehicle,
    VehicleClass,
    VehicleKind,
    Visit,
)
from geo_engine.store import Person, Store
from geo_engine.store.lifecycle import OutboxState
from geo_engine.store.sql import SqlStore
from tests.contract.stores import ACCEPTED, LEASE, T0, a_person, a_visit, an_alert, claimed, consent, numbers, sql

# ---- people and consent


def test_people_come_back_as_they_were_put_ordered_by_u7(empty: Store) -> None:
    everything = a_person(
        9_999_999,
        kind=VehicleKind.GOODS,
        size_class=VehicleClass.HEAVY,
        gross_weight_t=31.5,
        plate="鄂A·12345",
        service="emergency",
        language=Language.EN,
        consent_warnings=False,
    )
    nothing = a_person(0, open_id=None, consent_warnings=False)
    empty.put_people([everything, nothing])
    assert empty.people() == [nothing, everything]
    assert empty.person(9_999_999) == everything
    assert empty.person(5) is None


def test_putting_a_person_again_replaces_what_is_known(empty: Store) -> None:
    empty.put_people([a_person(plate="鄂A1", consent_warnings=False)])
    empty.put_people([a_person(open_id="o-new", plate=None, consent_warnings=False), a_person(8)])
    assert empty.person(7) == a_person(open_id="o-new", plate=None, consent_warnings=False)


def test_a_person_may_give_up_an_open_id_for_another_one(empty: Store) -> None:
    empty.put_people([a_person(1, open_id="o-shared")])
    empty.put_people([a_person(1, open_id=None), a_person(2, open_id="o-shared")])
    assert [person.open_id for person in empty.people()] == [None, "o-shared"]


def test_an_open_id_of_somebody_else_is_refused_and_nobody_is_written(empty: Store) -> None:
    empty.put_people([a_person(1, open_id="o-shared")])
    with pytest.raises(StoreError) as caught:
        empty.put_people([a_person(2), a_person(3, open_id="o-shared")])
    assert "o-shared" not in str(caught.value)
    assert [person.u7 for person in empty.people()] == [1]


def test_many_people_without_an_open_id_are_no_conflict(empty: Store) -> None:
    empty.put_people([a_person(u7, open_id=None) for u7 in range(3)])
    empty.put_people([])
    assert len(empty.people()) == 3


def test_a_vehicle_of_another_user_is_refused() -> None:
    with pytest.raises(ValueError, match=r"person 1: found the vehicle of u7 2"):
        Person(1, None, Vehicle(2))


def test_everything_about_a_vehicle_is_kept(empty: Store) -> None:
    known = {
        "load_t": 18.0,
        "axle_count": 4,
        "height_m": 3.9,
        "seats": 2,
        "plate_colour": PlateColour.YELLOW,
        "energy": Energy.DIESEL,
        "emission_stage": 5,
        "body": BodyType.VAN,
        "goods": "hazmat",
        "permits": (Permit("ring3", T0, T0 + 1000), Permit("桥", T0, T0 + 2000)),
    }
    told = [a_person(7, **known), a_person(8)]
    empty.put_people(told)
    kept = [replace(person.vehicle, consent_warnings=True) for person in empty.people()]
    assert kept == [person.vehicle for person in told]


def test_consent_is_off_without_a_record_whatever_the_vehicle_says(empty: Store) -> None:
    empty.put_people([a_person(consent_warnings=True)])
    assert [person.vehicle.consent_warnings for person in empty.people()] == [False]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([("warnings", True)], True),
        ([("warnings", True), ("warnings", False)], False),
        ([("warnings", False), ("warnings", True)], True),
        ([("history", True)], False),
        ([("warnings", True), ("history", False)], True),
    ],
)
def test_the_consent_record_appended_last_counts(empty: Store, records: list[tuple[str, bool]], expected: bool) -> None:
    # The times run backwards on purpose: a withdrawal counts also from a device whose clock is behind.
    for step, (purpose, granted) in enumerate(records):
        empty.set_consent(7, purpose, granted, "v1", T0 - step, "test")
    empty.put_people([a_person()])
    assert empty.people()[0].vehicle.consent_warnings is expected


# ---- commit


def test_a_commit_counts_decisions_queued_and_duplicates(store: Store) -> None:
    silent = an_alert(2, send=False, reason=SuppressReason.COOLDOWN)
    result = store.commit([an_alert(1), silent, an_alert(1)], [], now_ms=T0)
    assert (result.decisions, result.queued, result.duplicates) == (2, 1, 1)
    assert store.counts()["outbox.pending"] == 1
    assert store.counts()["decision.approach"] == 1
    assert store.counts()["decision.cooldown"] == 1


def test_a_known_decision_makes_no_second_outbox_row_and_does_not_change(store: Store) -> None:
    store.commit([an_alert(1, send=False, reason=SuppressReason.CAP)], [], now_ms=T0)
    result = store.commit([an_alert(1, text="anders", revision=4)], [], now_ms=T0 + 1)
    assert (result.decisions, result.queued, result.duplicates) == (0, 0, 1)
    assert store.decisions(limit=9)[0].alert == an_alert(1, send=False, reason=SuppressReason.CAP)
    assert claimed(store) == []


def test_a_message_carries_the_whole_decision_and_the_person(store: Store) -> None:
    store.put_people([a_person(plate="鄂A·99999", language=Language.EN)])
    store.commit([an_alert(1, bearing_deg=None)], [], now_ms=T0)
    (message,) = claimed(store)
    assert message.alert == an_alert(1, bearing_deg=None)
    assert (message.open_id, message.plate, message.language) == ("o-7", "鄂A·99999", Language.EN)
    assert (message.client_msg_id, message.attempts) == (message.alert.alert_id, 0)


def test_values_taken_from_columns_are_kept_as_numbers(store: Store) -> None:
    alert = an_alert(1, u7=np.int64(7), time_ms=np.int64(T0), distance_m=np.float64(1.5), may_apply=np.bool_(True))
    store.commit([alert], [a_visit(u7=np.int64(7), inside=np.bool_(True))], now_ms=T0)
    assert store.decisions(limit=1)[0].alert == an_alert(1, distance_m=1.5, may_apply=True)
    assert store.open_visits(T0) == [a_visit(inside=True)]
    assert len(claimed(store)) == 1


def test_an_unknown_distance_stays_unknown(store: Store) -> None:
    store.commit([an_alert(1, distance_m=math.nan, eta_s=math.nan)], [], now_ms=T0)
    alert = claimed(store)[0].alert
    assert math.isnan(alert.distance_m)
    assert math.isnan(alert.eta_s)


def test_a_decision_about_a_stranger_is_kept(empty: Store) -> None:
    assert empty.commit([an_alert(1, u7=123)], [], now_ms=T0).queued == 1
    assert claimed(empty) == []


def test_a_thousand_decisions_in_one_commit(store: Store) -> None:
    alerts = [an_alert(number, u7=number) for number in range(1_000)]
    assert store.commit(alerts, [], now_ms=T0).queued == 1_000
    assert store.commit(alerts, [], now_ms=T0).duplicates == 1_000
    assert numbers(claimed(store, limit=2_000)) == list(range(1, 10))
    assert [found.number for found in store.decisions(limit=2_000)] == list(range(1_000, 0, -1))


def test_decisions_are_listed_newest_first_by_user_and_page(store: Store) -> None:
    store.commit([an_alert(number, u7=number % 2) for number in range(6)], [], now_ms=T0)
    assert [found.number for found in store.decisions(limit=2)] == [6, 5]
    assert [found.number for found in store.decisions(limit=2, before=5)] == [4, 3]
    assert [found.number for found in store.decisions(limit=9, u7=1, before=5)] == [4, 2]
    assert store.decisions(limit=0) == []
    assert store.decisions(limit=1)[0].decided_ms == T0


def test_a_suppressed_decision_has_no_delivery(store: Store) -> None:
    store.commit([an_alert(1, send=False, reason=SuppressReason.CAP)], [], now_ms=T0)
    (found,) = store.decisions(limit=1)
    assert (found.state, found.ended, found.attempts) == (None, "", 0)
    assert store.attempts(found.alert.alert_id) == []


def test_sends_are_counted_per_user_since_a_moment(store: Store) -> None:
    alerts = [
        an_alert(1, u7=1, time_ms=T0 - 1),
        an_alert(2, u7=1),
        an_alert(3, u7=1, time_ms=T0 + 9),
        an_alert(4, u7=2, send=False, reason=SuppressReason.CAP),
        an_alert(5, u7=3),
    ]
    store.commit(alerts, [], now_ms=T0)
    assert store.sent_today(T0) == {1: 2, 3: 1}


# ---- visits


def test_a_visit_is_replaced_by_the_latest_of_its_user_and_zone(store: Store) -> None:
    store.commit([], [a_visit(inside=True), a_visit(inside=True, last_ms=T0 + 5)], now_ms=T0)
    store.commit([], [a_visit(inside=True, last_ms=T0 + 9), a_visit(8, inside=True)], now_ms=T0)
    assert store.open_visits(T0) == [a_visit(inside=True, last_ms=T0 + 9), a_visit(8, inside=True)]


@pytest.mark.parametrize(
    ("visit", "is_open"),
    [
        (a_visit(inside=True, last_ms=0), True),
        (a_visit(last_ms=T0), True),
        (a_visit(last_ms=T0 - 1), False),
        (a_visit(last_ms=0, sent_ms=T0), True),
        (a_visit(last_ms=0, sent_ms=T0 - 1), False),
    ],
)
def test_open_visits_are_those_inside_or_recently_seen_or_warned(store: Store, visit: Visit, is_open: bool) -> None:
    store.commit([], [visit], now_ms=T0)
    assert store.open_visits(T0) == ([visit] if is_open else [])


def test_visits_are_ordered_by_user_and_zone(store: Store) -> None:
    visits = [a_visit(2, "a"), a_visit(1, "二桥"), a_visit(1, "b")]
    store.commit([], visits, now_ms=T0)
    assert store.open_visits(0) == [visits[2], visits[1], visits[0]]


# ---- revisions, counts, readiness, threads


def test_a_zone_revision_follows_the_content(empty: Store) -> None:
    assert [empty.zone_revision(sha, T0) for sha in ("a", "a", "b", "a", "a")] == [1, 1, 2, 3, 3]


def test_the_counts_of_an_empty_store_name_every_state(empty: Store) -> None:
    states = {f"outbox.{state.value}": 0 for state in OutboxState}
    assert empty.counts() == states | {"receipt.matched": 0, "receipt.unmatched": 0}


def test_an_open_store_is_ready(empty: Store) -> None:
    empty.ready()


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.ready(),
        lambda store: store.people(),
        lambda store: store.commit([an_alert(1)], [], now_ms=T0),
        lambda store: store.claim(T0, limit=1, lease_ms=1),
    ],
    ids=["ready", "people", "commit", "claim"],
)
def test_a_closed_store_refuses(empty: Store, call: Callable[[Store], object]) -> None:
    empty.close()
    empty.close()
    with pytest.raises(StoreError, match=r"found it closed, expected it open"):
        call(empty)


def test_threads_commit_and_claim_at_the_same_time(store: Store) -> None:
    people, each, got, done = 9, 40, list[Message](), threading.Event()

    def produce(thread: int) -> int:
        added = 0
        for number in range(each):
            # Both producers write every decision; one of the two is the duplicate.
            alert = an_alert(number, u7=1 + number % people)
            added += store.commit([alert], [a_visit(alert.u7, f"z{thread}")], now_ms=T0).queued
        return added

    def consume() -> None:
        deadline = time.monotonic() + 30.0
        while not done.is_set() or store.counts()["outbox.pending"]:
            assert time.monotonic() < deadline, "the outbox was not emptied in time"
            for message in claimed(store, limit=5):
                got.append(message)
                store.finish(message.outbox_id, ACCEPTED, now_ms=T0, retry_at_ms=None)

    with ThreadPoolExecutor(4) as pool:
        consumers = [pool.submit(consume) for _ in range(2)]
        producers = [pool.submit(produce, thread) for thread in range(2)]
        added = sum(future.result() for future in producers)
        done.set()
        for future in consumers:
            future.result()
    assert added == each
    assert sorted(numbers(got)) == list(range(each))
    for u7 in range(1, people + 1):
        order = [message.outbox_id for message in got if message.alert.u7 == u7]
        assert order == sorted(order)


# ---- what only a file can show


def test_a_commit_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first = sql(path)
    first.put_people([a_person()])
    consent(first, 7)
    first.commit([an_alert(1)], [a_visit(inside=True)], now_ms=T0)
    first.zone_revision("a", T0)
    first.close()
    again = sql(path)
    assert again.open_visits(T0) == [a_visit(inside=True)]
    assert again.zone_revision("a", T0) == 1
    assert numbers(claimed(again)) == [1]
    again.close()


def test_a_crash_between_claim_and_finish_repeats_with_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    crashed = sql(path)
    crashed.put_people([a_person()])
    consent(crashed, 7)
    crashed.commit([an_alert(1), an_alert(2)], [], now_ms=T0)
    assert numbers(claimed(crashed)) == [1]
    # The crashed store is not closed: its connection is still there when the next one opens the file.
    after = sql(path)
    assert claimed(after, T0 + 1) == []
    (message,) = claimed(after, T0 + LEASE)
    assert (numbers([message]), message.attempts) == ([1], 1)
    after.finish(message.outbox_id, ACCEPTED, now_ms=T0 + LEASE, retry_at_ms=None)
    assert numbers(claimed(after, T0 + LEASE)) == [2]
    after.close()
    crashed.close()


def test_a_commit_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = sql(path)
    with sqlite3.connect(path) as other:
        other.execute("CREATE TRIGGER fail BEFORE INSERT ON visit BEGIN SELECT RAISE(ABORT, 'no room'); END")
    other.close()
    with pytest.raises(StoreError, match=r"store\.db: no room"):
        store.commit([an_alert(1)], [a_visit()], now_ms=T0)
    assert store.decisions(limit=9) == []
    assert store.counts()["outbox.pending"] == 0
    assert store.commit([an_alert(1)], [], now_ms=T0).queued == 1
    store.close()


def test_an_uncommitted_transaction_is_gone_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    sql(path).close()
    crashed = sqlite3.connect(path, isolation_level=None)
    crashed.execute("BEGIN IMMEDIATE")
    crashed.execute("INSERT INTO visit VALUES (7, 'z', 1, 1, 1, 1, 0, NULL)")
    crashed.close()
    store = sql(path)
    assert store.open_visits(0) == []
    store.close()


def test_two_stores_on_one_file_claim_every_message_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    stores = [sql(path), sql(path)]
    stores[0].put_people([a_person(u7) for u7 in range(40)])
    for u7 in range(40):
        consent(stores[0], u7)
    stores[0].commit([an_alert(number, u7=number) for number in range(40)], [], now_ms=T0)

    def drain(store: SqlStore) -> list[Message]:
        got: list[Message] = []
        while messages := claimed(store, limit=3):
            got += messages
        return got

    with ThreadPoolExecutor(2) as pool:
        got = [message for messages in pool.map(drain, stores) for message in messages]
    assert sorted(numbers(got)) == list(range(40))
    for store in stores:
        store.close()


def test_a_locked_file_is_reported_as_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo_engine.store.sqlite.BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "store.db"
    store = sql(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        store.ready()
    assert store.people() == []
    other.execute("ROLLBACK")
    store.ready()
    other.close()
    store.close()


def test_the_file_is_written_through_to_the_disk(tmp_path: Path) -> None:
    store = sql(tmp_path / "store.db")
    with store._read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5_000}
    store.close()


def test_an_error_shows_no_personal_data(tmp_path: Path) -> None:
    store = sql(tmp_path / "store.db")
    with pytest.raises(StoreError) as caught:
        store.put_people([a_person(1, open_id="o-secret"), a_person(2, open_id="o-secret")])
    chain = f"{caught.value} {caught.value.__cause__}"
    assert "o-secret" not in chain
    store.close()


def test_a_mute_is_kept_until_it_ends_or_is_taken_back(empty: Store) -> None:
    for mute in (Mute(2, "b"), Mute(1, "b", T0 + 1), Mute(1, "a", T0), Mute(3, "c"), Mute(2, "b", T0 + 9)):
        empty.set_mute(mute, T0 - 5)
    empty.clear_mute(3, "c")
    empty.clear_mute(3, "never said")
    assert empty.mutes(T0) == [Mute(1, "b", T0 + 1), Mute(2, "b", T0 + 9)]


def test_own_quiet_hours_are_kept_until_they_are_taken_back(empty: Store) -> None:
    for u7, hours in ((2, QuietHours(0, 0)), (1, QuietHours(1, 2)), (1, QuietHours(3, 4)), (3, QuietHours(5, 6))):
        empty.set_quiet_hours(u7, hours, T0)
    empty.set_quiet_hours(3, None, T0)
    empty.set_quiet_hours(4, None, T0)
    assert empty.quiet_hours() == {1: QuietHours(3, 4), 2: QuietHours(0, 0)}
    assert [empty.quiet_hours(u7=u7) for u7 in (2, 3, 0)] == [{2: QuietHours(0, 0)}, {}, {}]


def test_what_a_person_does_not_want_to_hear_is_erased_and_others_stay(empty: Store) -> None:
    for u7 in (1, 2):
        empty.set_mute(Mute(u7, "a"), T0)
        empty.set_quiet_hours(u7, QuietHours(0, 0), T0)
    empty.forget_wishes(1)
    assert (empty.mutes(T0), list(empty.quiet_hours())) == ([Mute(2, "a")], [2])


def test_use_of_the_quota_is_kept_with_the_decisions_and_replaced_by_the_latest(empty: Store) -> None:
    first, other_day = QuotaUse(10, 1, 0, asked=5, sent=4), QuotaUse(9, 95, 4, asked=1, sent=0)
    empty.commit([an_alert()], [], now_ms=T0, uses=[first, other_day])
    empty.commit([], [], now_ms=T0, uses=[replace(first, asked=7, sent=5)])
    assert empty.quota_uses(9) == [other_day, replace(first, asked=7, sent=5)]
    assert empty.quota_uses(10) == [replace(first, asked=7, sent=5)]
    assert len(empty.decisions(limit=9)) == 1


def test_a_digested_decision_names_the_message_that_tells_it_and_is_not_counted_as_one(store: Store) -> None:
    head = an_alert(1, why="适用于货车", until_ms=T0 + 9, also=1)
    told = an_alert(2, send=False, reason="digested", told_by=head.alert_id)
    result = store.commit([head, told], [], now_ms=T0)
    assert (result.decisions, result.queued) == (2, 1)
    assert [record.alert for record in store.decisions(limit=9)] == [told, head]
    assert store.sent_today(0) == {7: 1}
    assert store.counts()["decision.digested"] == 1


def test_the_position_of_the_journal_goes_with_a_commit_and_never_back(empty: Store) -> None:
    assert empty.journal_position() == 0
    empty.commit([], [], now_ms=T0, position=7)
    empty.commit([], [], now_ms=T0, position=5)
    empty.commit([], [], now_ms=T0)
    assert empty.journal_position() == 7
