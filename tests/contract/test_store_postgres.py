"""What only holds of the store in PostgreSQL: who waits for whom, what a crash leaves, and what errors say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from geo_engine.alerting.message import Message
from geo_engine.errors import StoreError
from geo_engine.model import Language
from geo_engine.store import Store
from geo_engine.store.inbox import NewInbound
from geo_engine.store.open import open_store
from geo_engine.store.sql import SqlStore
from tests.contract.stores import ACCEPTED, LEASE, T0, a_person, a_visit, an_alert, claimed, consent, numbers
from tests.postgres import CannotRunError, Server, running

Opener = Callable[[], SqlStore]


@pytest.fixture
def opener(postgres_url: str) -> Iterator[Opener]:
    with ExitStack() as stack:

        def open_one() -> SqlStore:
            store = SqlStore(postgres_url)
            stack.callback(store.close)
            return store

        yield open_one


def test_where_no_server_is_installed_the_tests_say_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.postgres.programs", lambda: None)
    with pytest.raises(CannotRunError, match="sudo apt-get install postgresql-15 postgresql-15-postgis-3"), running():
        pass


def to_warn(store: Store, people: int) -> None:
    store.put_people([a_person(u7) for u7 in range(people)])
    for u7 in range(people):
        consent(store, u7)


def test_many_stores_claim_and_answer_every_message_once(opener: Opener) -> None:
    stores = [opener() for _ in range(4)]
    to_warn(stores[0], 40)
    stores[0].commit([an_alert(number, u7=number % 40) for number in range(80)], [], now_ms=T0)

    def drain(store: SqlStore) -> list[Message]:
        got: list[Message] = []
        while stores[0].counts()["outbox.pending"]:
            for message in claimed(store, limit=3):
                store.finish(message.outbox_id, ACCEPTED, now_ms=T0, retry_at_ms=None)
                got.append(message)
        return got

    with ThreadPoolExecutor(4) as pool:
        got = [message for messages in pool.map(drain, stores) for message in messages]
    assert sorted(numbers(got)) == list(range(80))
    assert stores[0].counts()["outbox.delivered"] == 80


def test_a_claim_does_not_wait_for_another_one_and_leaves_its_rows(opener: Opener) -> None:
    store, other = opener(), opener()
    to_warn(store, 3)
    store.commit([an_alert(number, u7=number) for number in range(3)], [], now_ms=T0)
    with store._database.write_beside() as connection:
        connection.exec_driver_sql("SELECT 1 FROM outbox WHERE u7 = 1 FOR UPDATE")
        assert numbers(claimed(other)) == [0, 2]
    assert numbers(claimed(other)) == [1]


def test_a_later_message_of_a_person_stays_while_the_earlier_one_is_being_claimed(opener: Opener) -> None:
    store, other = opener(), opener()
    to_warn(store, 2)
    store.commit([an_alert(1, u7=1), an_alert(2, u7=1), an_alert(3, u7=0)], [], now_ms=T0)
    with store._database.write_beside() as connection:
        connection.exec_driver_sql("SELECT 1 FROM outbox WHERE u7 = 1 ORDER BY outbox_id LIMIT 1 FOR UPDATE")
        assert numbers(claimed(other)) == [3]


def test_many_relays_count_a_lost_lease_once(opener: Opener) -> None:
    stores = [opener() for _ in range(4)]
    to_warn(stores[0], 20)
    stores[0].commit([an_alert(n, u7=n, expires_at_ms=T0 + 900_000) for n in range(20)], [], now_ms=T0)
    assert len(claimed(stores[0])) == 20
    later_ms = T0 + LEASE + 1
    with ThreadPoolExecutor(4) as pool:
        got = [message for found in pool.map(lambda store: claimed(store, later_ms), stores) for message in found]
    got += claimed(stores[0], later_ms)  # what one of them left because another one had it locked
    assert sorted(numbers(got)) == list(range(20))
    for number in range(20):
        outcomes = [found.outcome for found in stores[0].attempts(f"{number:032x}")]
        assert (len(outcomes), outcomes[1]) == (2, None)


def test_inbox_messages_are_claimed_once_by_many_and_one_at_a_time_of_each_person(opener: Opener) -> None:
    stores = [opener() for _ in range(3)]
    stores[0].inbox.add([NewInbound(f"k{n}", f"o-{n % 10}", "text", T0, "{}") for n in range(30)], T0)
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda store: store.inbox.claim(T0, limit=30, lease_ms=LEASE), stores)
        got = [row.message for rows in found for row in rows]
    got += [row.message for row in stores[0].inbox.claim(T0, limit=30, lease_ms=LEASE)]
    assert sorted(message.openid for message in got) == sorted(f"o-{n}" for n in range(10))
    assert {message.key for message in got} == {f"k{n}" for n in range(10)}


def test_followers_of_many_processes_get_one_number_each(opener: Opener) -> None:
    stores = [opener() for _ in range(4)]

    def follow(task: tuple[int, int]) -> tuple[str, int]:
        store, person = task
        return f"o-{person}", stores[store].follow(f"o-{person}", Language.ZH, T0)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(follow, [(n % 4, n // 4) for n in range(80)]))
    assert len(set(got)) == 20
    assert sorted({u7 for _, u7 in got}) == list(range(20))


def test_the_same_decisions_from_two_processes_are_kept_once(opener: Opener) -> None:
    stores = [opener(), opener()]
    to_warn(stores[0], 5)
    alerts = [an_alert(n, u7=n % 5) for n in range(50)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda store: store.commit(alerts, [], now_ms=T0), stores))
    assert sorted(result.decisions for result in results) == [0, 50]
    assert stores[0].counts()["outbox.pending"] == 50


def test_a_writer_gives_up_when_another_one_does_not_end(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo_engine.store.postgres.BUSY_TIMEOUT_MS", 50)
    store, other = opener(), opener()
    with store._write(), pytest.raises(StoreError, match="lock timeout"):
        other.commit([an_alert()], [], now_ms=T0)
    assert other.people() == []
    assert other.commit([an_alert()], [], now_ms=T0).decisions == 1


def test_readers_wait_for_nobody_and_see_one_moment(opener: Opener) -> None:
    store, other = opener(), opener()
    with store._read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM person").scalar_one()
        other.put_people([a_person(1)])
        assert connection.exec_driver_sql("SELECT count(*) FROM person").scalar_one() == before == 0
    assert len(store.people()) == 1


def test_a_commit_that_fails_half_way_leaves_nothing(opener: Opener, postgres: Server) -> None:
    store = opener()
    postgres.sql("ALTER TABLE visit ADD CONSTRAINT no_room CHECK (u7 <> 7) NOT VALID")
    try:
        with pytest.raises(StoreError, match="no_room"):
            store.commit([an_alert(1)], [a_visit(7)], now_ms=T0)
        assert (store.decisions(limit=9), store.counts()["outbox.pending"]) == ([], 0)
    finally:
        postgres.sql("ALTER TABLE visit DROP CONSTRAINT no_room")
    assert store.commit([an_alert(1)], [a_visit(7)], now_ms=T0).queued == 1


def test_an_order_by_words_is_that_of_their_bytes(opener: Opener) -> None:
    store = opener()
    zones = ["b", "B", "a", "桥", "é", "Z"]
    store.commit([], [a_visit(7, zone, inside=True) for zone in zones], now_ms=T0)
    assert [visit.zone_id for visit in store.open_visits(0)] == sorted(zones)


def test_an_error_shows_no_personal_data(opener: Opener) -> None:
    with pytest.raises(StoreError, match="duplicate key") as caught:
        opener().put_people([a_person(1, open_id="o-secret"), a_person(2, open_id="o-secret")])
    assert "o-secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong"}, "found the name or password refused"),
        ({"role": "nobody"}, "found the name or password refused"),
        ({"database": "none"}, 'found no such database or role.*database "none" does not exist'),
    ],
)
def test_who_is_not_let_in_is_told_why_without_the_password(
    postgres: Server, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        open_store(postgres.url(**changes))
    assert "wrong" not in str(caught.value)
    assert "geo-engine-tests" not in str(caught.value)


def test_a_server_that_is_away_is_reported_in_one_line(postgres: Server) -> None:
    with pytest.raises(StoreError, match="found no server that answers") as caught:
        open_store(postgres.url().replace(f":{postgres.port}/", ":1/"))
    assert "\n" not in str(caught.value)


def test_a_database_of_somebody_else_is_left_alone(postgres: Server) -> None:
    url = postgres.create_database("cats")
    postgres.sql("CREATE TABLE cats (name text)", "cats")
    with pytest.raises(StoreError, match="found a database with the tables cats"):
        open_store(url)
    assert postgres.sql("SELECT count(*) FROM pg_tables WHERE tableowner = 'geo_tests'", "cats") == "0"


def test_a_database_without_a_schema_is_not_made_one_by_a_check(postgres: Server) -> None:
    url = postgres.create_database("bare")
    with pytest.raises(StoreError, match="found no schema, expected version"):
        open_store(url, create=False)
    assert postgres.sql("SELECT count(*) FROM pg_tables WHERE tableowner = 'geo_tests'", "bare") == "0"


def test_a_database_that_may_only_be_read_is_not_ready(postgres: Server) -> None:
    url = postgres.create_database("standby")
    open_store(url).close()
    postgres.sql("ALTER DATABASE standby SET default_transaction_read_only = on", "postgres")
    store = open_store(url, create=False)
    with pytest.raises(StoreError, match="read-only transaction"):
        store.ready()
    store.close()


def test_a_returned_commit_is_on_disk_whatever_the_database_says(postgres: Server) -> None:
    url = postgres.create_database("lazy")
    postgres.sql("ALTER DATABASE lazy SET synchronous_commit = off", "postgres")
    store = SqlStore(url)
    with store._write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    store.close()
    assert postgres.sql("SHOW fsync") == postgres.sql("SHOW full_page_writes") == "on"


def test_what_was_committed_outlives_a_crash_of_the_server_and_the_store_goes_on_by_itself(postgres: Server) -> None:
    with running() as server:
        store = SqlStore(server.url())
        to_warn(store, 3)
        store.commit([an_alert(1, u7=1)], [a_visit(1, inside=True)], now_ms=T0)
        open_one = store._database.write()
        connection = open_one.__enter__()
        connection.exec_driver_sql("INSERT INTO visit VALUES (2, 'z', 1, 1, true, true, false, NULL)")
        server.stop("immediate")
        with pytest.raises(StoreError):
            open_one.__exit__(None, None, None)
        with pytest.raises(StoreError):
            store.ready()
        server.start()
        store.ready()
        assert [visit.u7 for visit in store.open_visits(0)] == [1]
        assert numbers(claimed(store)) == [1]
        store.close()


def test_closing_waits_for_a_write_under_way(opener: Opener) -> None:
    store, begun, go_on = opener(), threading.Event(), threading.Event()

    def write() -> None:
        with store._write() as connection:
            begun.set()
            go_on.wait(5)
            connection.exec_driver_sql("INSERT INTO zone_revision VALUES (1, 'a', 1)")

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(write)
        begun.wait(5)
        closing = pool.submit(store.close)
        go_on.set()
        writing.result(5)
        closing.result(5)
    assert opener().zone_revision("a", T0) == 1
