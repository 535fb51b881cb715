"""What every store promises about what processes on it share; and what a store beside the engine's notes for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import StoreError
from geo_engine.model import Language, Mute, Vehicle
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.store import Store
from geo_engine.store.shared import Change, Changed, PageSession, Shared
from geo_engine.store.sql import SqlStore
from tests.contract.stores import T0, a_person, an_alert, claimed, consent

MINUTE = 60_000
ANNE = "o-1"


@pytest.fixture
def shared(empty: Store) -> Shared:
    return empty.shared


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Where the processes of a test meet."""
    if request.param == "postgres":
        return make_url(request.getfixturevalue("postgres_url"))
    return URL.create("sqlite", database=str(tmp_path / "store.db"))


@pytest.fixture
def beside(place: URL) -> Iterator[SqlStore]:
    """A store as a door opens it, on the database of the engine's process."""
    engine = SqlStore(place)
    engine.put_people([a_person(u7) for u7 in range(1, 10)])
    engine.close()
    store = SqlStore(place, create=False, notes=True)
    yield store
    store.close()


def noted(store: Store) -> list[tuple[int, Changed]]:
    return [(change.u7, change.what) for change in store.shared.changes(100)]


# ---- what is good once


def test_what_is_good_once_is_good_once_until_it_ends(shared: Shared) -> None:
    assert shared.spend("a", T0 + MINUTE, T0)
    assert not shared.spend("a", T0 + MINUTE, T0 + 1)
    assert shared.spend("b", T0 + MINUTE, T0 + 1)
    assert not shared.spend("a", T0 + MINUTE, T0 + MINUTE - 1)
    assert shared.spend("a", T0 + 2 * MINUTE, T0 + MINUTE)


# ---- sessions


def test_a_session_is_found_until_it_ends(shared: Shared) -> None:
    session = PageSession("digest", ANNE, T0 + MINUTE, (("saved", "粤B"),))
    shared.begin_session(session, T0)
    assert shared.session("digest", T0) == session
    assert shared.session("another", T0) is None
    assert shared.session("digest", T0 + MINUTE) is None


def test_what_the_next_page_says_is_replaced_and_never_begins_a_session(shared: Shared) -> None:
    shared.begin_session(PageSession("digest", ANNE, T0 + MINUTE), T0)
    shared.set_notices("digest", [("saved", "")])
    shared.set_notices("gone", [("saved", "")])
    found = shared.session("digest", T0)
    assert found is not None
    assert found.notices == (("saved", ""),)
    assert shared.session("gone", T0) is None


def test_sessions_of_a_person_end_and_those_of_others_do_not(shared: Shared) -> None:
    for digest, open_id in (("a", ANNE), ("b", ANNE), ("c", "o-2")):
        shared.begin_session(PageSession(digest, open_id, T0 + MINUTE), T0)
    shared.end_sessions(ANNE)
    assert [shared.session(digest, T0) is not None for digest in "abc"] == [False, False, True]


def test_an_erasure_ends_the_sessions_of_the_person(store: Store) -> None:
    store.shared.begin_session(PageSession("a", ANNE, T0 + MINUTE), T0)
    store.shared.begin_session(PageSession("b", "o-2", T0 + MINUTE), T0)
    store.begin_erasure(Erasure("e" * 32, 1, ErasureReason.ASKED, T0))
    store.shared.set_notices("a", [("erased", "")])
    assert store.shared.session("a", T0) is None
    assert store.shared.session("b", T0) is not None


# ---- who holds what is under way


def test_only_the_leases_of_the_dead_end(store: Store) -> None:
    store.commit([an_alert(1), an_alert(2, u7=8)], [], now_ms=T0)
    [first] = store.claim(T0, limit=1, lease_ms=MINUTE, holder=0)
    [second] = store.claim(T0, limit=1, lease_ms=MINUTE, holder=2)
    assert store.lease_holders() == [0, 2]
    store.end_leases(T0 + 1, holder=2)
    assert store.lease_holders() == [0]
    assert [message.outbox_id for message in claimed(store, T0 + 1)] == [second.outbox_id]
    assert first.outbox_id != second.outbox_id
    store.end_leases(T0 + 1, holder=3)
    assert claimed(store, T0 + 1) == []


# ---- notes for the process of the engine


def test_a_store_of_the_engine_notes_nothing(store: Store) -> None:
    consent(store, 1, granted=False)
    store.set_mute(Mute(1, "erqiao"), T0)
    store.shared.note_warned(1, "erqiao")
    assert store.shared.changes(100) == []


CHANGES: list[tuple[Callable[[Store], object], Changed]] = [
    (lambda store: consent(store, 1), Changed.PERSON),
    (lambda store: store.set_consent(1, "history", False, "v", T0, "page"), Changed.PERSON),
    (lambda store: store.put_vehicle(Vehicle(1, plate="鄂A12345"), T0), Changed.PERSON),
    (lambda store: store.set_language(1, Language.EN), Changed.PERSON),
    (lambda store: store.begin_erasure(Erasure("e" * 32, 1, ErasureReason.ASKED, T0)), Changed.PERSON),
    (lambda store: store.set_mute(Mute(1, "erqiao"), T0), Changed.WISHES),
    (lambda store: store.set_quiet_hours(1, QuietHours.parse("22:00-06:00"), T0), Changed.WISHES),
    (lambda store: store.shared.note_warned(1, "erqiao"), Changed.WARNED),
]


@pytest.mark.parametrize(("change", "what"), CHANGES, ids=range(len(CHANGES)))
def test_a_store_beside_the_engine_notes_what_the_engine_must_know(
    beside: SqlStore, change: Callable[[Store], object], what: Changed
) -> None:
    change(beside)
    assert set(noted(beside)) == {(1, what)}


def test_taking_a_wish_back_is_noted_and_what_the_engine_does_not_hold_is_not(beside: SqlStore) -> None:
    beside.set_mute(Mute(1, "erqiao"), T0)
    beside.set_quiet_hours(2, QuietHours.parse("22:00-06:00"), T0)
    beside.shared.take_off([change.number for change in beside.shared.changes(100)])
    beside.clear_mute(1, "erqiao")
    beside.set_quiet_hours(2, None, T0)
    assert noted(beside) == [(1, Changed.WISHES), (2, Changed.WISHES)]
    beside.set_phone(3, "13800138000", T0)
    beside.follow("o-new", Language.ZH, T0)
    assert len(noted(beside)) == 2


def test_a_note_stays_until_it_is_taken_off_and_others_stay_longer(beside: SqlStore) -> None:
    beside.set_language(1, Language.EN)
    beside.shared.note_warned(2, "erqiao")
    first, second = beside.shared.changes(100)
    assert [(change.number, change.u7) for change in beside.shared.changes(1)] == [(first.number, 1)]
    beside.shared.take_off([first.number])
    beside.shared.take_off([])
    assert beside.shared.changes(100) == [second] == [Change(second.number, 2, Changed.WARNED, "erqiao")]


def test_a_change_that_is_not_committed_is_not_noted(beside: SqlStore) -> None:
    # The second of two people breaks the rule that an OpenID is one person's, so neither is written.
    with pytest.raises(StoreError):
        beside.put_people([a_person(1, "o-fresh"), a_person(2, "o-fresh")])
    assert beside.u7_of("o-fresh") is None
    assert noted(beside) == []


def test_an_erasure_takes_older_notes_of_the_person_with_it_and_is_noted_itself(beside: SqlStore) -> None:
    beside.shared.note_warned(1, "secret-zone")
    beside.begin_erasure(Erasure("e" * 32, 1, ErasureReason.ASKED, T0))
    assert [change.zone_id for change in beside.shared.changes(100)] == [""]
    beside.finish_erasure(1, T0)
    assert noted(beside) == []
