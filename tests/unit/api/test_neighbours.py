"""Processes on one store: their numbers, what doors change reaches the engine, the dead are relieved and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.clocks import Clocks
from api.metrics import Metrics
from api.people import People
from api.store_lock import ENGINE, StoreLock, gone
from api.workers.ingest import IngestWorker
from api.workers.neighbours import Changes, free_the_dead
from geo_engine import Engine, Vehicle, ZoneSet
from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.model import Language, Mute, RejectReason, VehicleKind
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.sms.console import NoSms
from geo_engine.store import Store
from geo_engine.store.open import open_store
from geo_engine.testing import ManualClock, box_zone, noon_ms, straight_drive
from tests.contract.stores import a_person, an_alert

TRUCK = Vehicle(1, VehicleKind.GOODS)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "store.db")


# ---- numbers and locks


def test_one_process_has_the_engine_and_doors_count_from_one(url: str) -> None:
    with StoreLock(url) as engine, StoreLock(url, door=True) as first, StoreLock(url, door=True) as second:
        assert (engine.number, first.number, second.number) == (ENGINE, 1, 2)
        with pytest.raises(ConfigurationError, match=r"in use by process (\d+|unknown).*--door") as caught:
            StoreLock(url if "://" in url else f"sqlite:///{url}")
        assert "geo-engine-tests" not in str(caught.value)
    with StoreLock(url, door=True) as again:
        assert again.number == 1


def test_whether_a_process_is_gone_is_seen_by_its_lock(url: str) -> None:
    with StoreLock(url, door=True) as door:
        with gone(url, door.number) as is_gone:
            assert not is_gone
        with gone(url, 2) as is_gone:
            assert is_gone
            # Nobody takes the number of the dead while they are relieved.
            with StoreLock(url, door=True) as other:
                assert other.number == 3
    with gone(url, 1) as is_gone:
        assert is_gone


def test_a_store_in_memory_needs_no_lock() -> None:
    with StoreLock("memory:") as one, StoreLock("memory:") as other:
        assert one.number == other.number == ENGINE


# ---- the dead and the living


def test_messages_of_the_dead_are_taken_over_and_those_of_the_living_are_not(url: str) -> None:
    clock = ManualClock()
    store = open_store(url)
    store.put_people([a_person(u7) for u7 in (1, 2)])
    for u7 in (1, 2):
        store.set_consent(u7, "warnings", True, "v", clock(), "test")
    expires_at_ms = clock() + 600_000
    store.commit([an_alert(u7, u7=u7, expires_at_ms=expires_at_ms) for u7 in (1, 2)], [], now_ms=clock())
    with StoreLock(url), StoreLock(url, door=True) as living:
        [mine] = store.claim(clock(), limit=1, lease_ms=60_000, holder=living.number)
        [theirs] = store.claim(clock(), limit=1, lease_ms=60_000, holder=2)
        assert free_the_dead(store, url, ENGINE, clock) == 1
        assert store.lease_holders() == [living.number]
        [again] = store.claim(clock(), limit=9, lease_ms=60_000, holder=ENGINE)
        assert (again.outbox_id, again.outbox_id == mine.outbox_id) == (theirs.outbox_id, False)
        assert free_the_dead(store, url, ENGINE, clock) == 0
    store.close()


# ---- what doors changed


@dataclass
class Ears:
    """A chat that notes what it hears."""

    heard: list[tuple[str, int, str]] = field(default_factory=list)

    def warned(self, u7: int, zone_id: str) -> None:
        self.heard.append(("warned", u7, zone_id))

    def forgotten(self, u7: int) -> None:
        self.heard.append(("forgotten", u7, ""))


class Pair:
    """An engine with its store, and the store as a door has it."""

    def __init__(self, folder: Path) -> None:
        url = str(folder / "store.db")
        self.clock, self.ears = ManualClock(noon_ms), Ears()
        self.store = open_store(url)
        self.store.put_people([a_person(u7) for u7 in (1, 2)])
        self.beside: Store = open_store(url, create=False, notes=True)
        self.engine = Engine(ZoneSet.of([box_zone("z")]))
        self.worker = IngestWorker(
            self.engine, self.store, Clocks(self.clock, self.clock), Metrics(), max_waiting=1_000
        )
        self.worker.put_vehicles(person.vehicle for person in self.store.people())
        self.people = People(self.store, self.worker, NoSms(), self.clock, b"k" * 32)
        self.changes = Changes(self.store, self.people, self.worker, self.ears, self.clock)
        self.worker.start()

    def agrees(self, granted: bool) -> None:
        self.beside.set_consent(1, "warnings", granted, "v", self.clock(), "page")

    def refused(self) -> bool:
        """Say whether a position of the person is refused for want of consent."""
        self.clock.advance(5)
        judged = self.worker.submit(straight_drive(1, start_ms=self.clock(), pings=1)).result(10)
        return RejectReason.NO_CONSENT in judged.reason

    def close(self) -> None:
        self.worker.stop()
        self.people.close()
        self.beside.close()
        self.store.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.close()


def test_a_yes_and_a_no_at_a_door_hold_in_the_engine_once_it_looked(pair: Pair) -> None:
    pair.agrees(True)
    assert pair.refused()
    assert pair.changes.once() == 1
    assert not pair.refused()
    pair.agrees(False)
    assert pair.changes.once() == 1
    assert pair.refused()
    assert pair.changes.once() == 0


def test_a_wish_at_a_door_holds_in_the_engine_and_ends_there(pair: Pair) -> None:
    pair.beside.set_mute(Mute(1, "z"), pair.clock())
    pair.beside.set_quiet_hours(1, QuietHours.parse("22:00-06:00"), pair.clock())
    pair.changes.once()
    assert pair.engine.wishes.mutes(1, "z", pair.clock())
    assert not pair.engine.wishes.mutes(2, "z", pair.clock())
    pair.beside.clear_mute(1, "z")
    pair.changes.once()
    assert not pair.engine.wishes.mutes(1, "z", pair.clock())


def test_an_erasure_at_a_door_is_completed_by_the_process_of_the_engine(pair: Pair) -> None:
    pair.agrees(True)
    pair.changes.once()
    pair.beside.begin_erasure(Erasure("e" * 32, 1, ErasureReason.ASKED, pair.clock()))
    pair.changes.once()
    assert pair.refused()
    assert ("forgotten", 1, "") in pair.ears.heard
    pair.worker.stop()  # writes the state without them
    pair.people.close()
    assert pair.store.erasures() == []
    assert len(pair.store.tombstones()) == 1


def test_a_warning_sent_by_a_door_is_known_to_the_dialogue(pair: Pair) -> None:
    pair.beside.shared.note_warned(2, "z")
    pair.beside.shared.note_warned(2, "z")
    pair.changes.once()
    assert pair.ears.heard == [("warned", 2, "z")]


def test_a_note_that_could_not_be_told_is_told_the_next_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.beside.shared.note_warned(2, "z")
    pair.agrees(True)
    with monkeypatch.context() as away:

        def consents(_u7: int) -> list[object]:
            message = "away"
            raise StoreError(message)

        away.setattr(pair.store, "consents", consents)
        with pytest.raises(StoreError):
            pair.changes.once()
    assert pair.ears.heard == [("warned", 2, "z")]
    assert [change.u7 for change in pair.store.shared.changes(9)] == [1]
    assert pair.changes.once() == 1
    assert not pair.refused()


def test_a_language_chosen_at_a_door_is_the_engine_s(pair: Pair) -> None:
    pair.beside.set_language(1, Language.EN)
    assert [(change.u7, change.what.value) for change in pair.store.shared.changes(9)] == [(1, "person")]
    assert pair.changes.once() == 1
