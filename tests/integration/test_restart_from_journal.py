"""A start after a crash: what was answered for is known again and decided the same, from the journal."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from api.bootstrap import Service, bootstrap
from api.clocks import Clocks
from api.settings import Settings
from api.workers.told import Muted, Unmuted
from geo_engine.errors import StoreError
from geo_engine.model import Mute, PingBatch, Vehicle, VehicleKind
from geo_engine.people.consents import ConsentChannel, Purpose
from geo_engine.people.erasure import ErasureReason
from geo_engine.testing import ManualClock, RecordingSender, noon_ms
from tests.integration.test_pings_door import ZONES, enrolled

USERS = range(1, 41)
PEOPLE = [enrolled(u7, f"o{u7:027d}", Vehicle(u7=u7, kind=VehicleKind.GOODS)) for u7 in USERS]
WEST, EAST = 114.285, 114.325


class World:
    """One service on one folder, with a clock that is turned by hand."""

    def __init__(self, folder: Path, now_ms: int) -> None:
        folder.mkdir(exist_ok=True)
        zones = folder / "zones"
        zones.mkdir(exist_ok=True)
        (zones / "zones.geojson").write_text(json.dumps(ZONES), encoding="utf-8")
        self.folder, self.clock = folder, ManualClock(now_ms)
        settings = Settings(store=f"sqlite:///{folder / 'store.db'}", zones=zones, journal_flush_ms=0)
        clocks = Clocks(self.clock, self.clock)
        self.service: Service = bootstrap(settings, RecordingSender(), clocks=clocks, people=PEOPLE)
        self.service.start()

    def drive(self, steps: range, users: range = USERS) -> None:
        """Move users from west to east and back through the zone, each at a speed of its own."""
        for step in steps:
            self.clock.now_ms = noon_ms + step * 5000
            u7 = np.array(users)
            phase = (step * (60.0 + u7) / 4000.0 + u7 / 40.0) % 2.0
            lon = WEST + (EAST - WEST) * np.where(phase < 1.0, phase, 2.0 - phase)
            batch = PingBatch.from_columns(u7, np.full(len(u7), self.clock.now_ms), lon, np.full(len(u7), 30.6))
            self.service.ingest.submit(batch).result(10)

    def known(self) -> dict[int, tuple[float, float, int, tuple[int, ...]]]:
        """Return place, time and zones of everybody, as the engine knows them."""
        users = np.array(USERS)

        def look(engine: object) -> dict[int, tuple[float, float, int, tuple[int, ...]]]:
            lon, lat, time_ms = engine.last_positions(users)  # type: ignore[attr-defined]
            pairs, _ = engine.last_known(users)  # type: ignore[attr-defined]
            inside = [tuple(pairs.zone[pairs.query == row].tolist()) for row in range(len(users))]
            return {
                int(u7): (*one, zones)
                for u7, one, zones in zip(
                    users,
                    zip(np.nan_to_num(lon).tolist(), np.nan_to_num(lat).tolist(), time_ms.tolist(), strict=True),
                    inside,
                    strict=True,
                )
            }

        return self.service.ingest.ask(look).result(10)

    def decisions(self) -> list[tuple[str, str, str, bool]]:
        records = self.service.store.decisions(limit=10_000)
        return sorted((one.alert.alert_id, one.alert.trigger, one.alert.reason, one.alert.send) for one in records)

    def history(self) -> list[object]:
        return [record for u7 in USERS for record in self.service.store.history(u7, 0, 2**62)]

    def journal(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.folder / "store.db.journal").iterdir()))


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def world(folder: Path, now_ms: int = noon_ms) -> World:
        made.append(World(folder, now_ms))
        return made[-1]

    yield world
    for one in made:
        one.service.stop(1.0)


def crashed(world: World, folder: Path, store: Path | None = None) -> Path:
    """Copy what a kill at this moment would leave; ``store`` is an earlier copy whose database is taken instead."""
    folder.mkdir()
    for path in world.folder.iterdir():
        origin = store / path.name if store is not None and path.name.startswith("store.db") else path
        if path.name == "store.db.journal":
            shutil.copytree(path, folder / path.name)
        elif origin.is_file() and not path.name.endswith((".lock", "-shm")):
            shutil.copy(origin, folder / path.name)
    return folder


def test_a_start_after_a_crash_knows_every_acknowledged_ping_and_decides_nothing_anew(
    begin: Callable[..., World], tmp_path: Path
) -> None:
    first = begin(tmp_path / "first")
    first.drive(range(1, 60))
    again = begin(crashed(first, tmp_path / "again"), first.clock.now_ms)
    assert again.known() == first.known()
    assert again.decisions() == first.decisions()
    assert len(first.decisions()) > 20


def test_decisions_the_store_has_lost_are_made_again_from_the_journal(
    begin: Callable[..., World], tmp_path: Path
) -> None:
    first = begin(tmp_path / "first")
    for u7 in USERS:
        first.service.people.agree(f"o{u7:027d}", Purpose.HISTORY, ConsentChannel.KEYWORD)
    # Within a minute: no state is kept in between.
    first.drive(range(1, 4))
    early = crashed(first, tmp_path / "early")
    missing = len(first.decisions())
    first.drive(range(4, 11))
    again = begin(crashed(first, tmp_path / "again", store=early), first.clock.now_ms)
    assert len(first.decisions()) > missing
    assert (again.decisions(), again.known(), again.history()) == (first.decisions(), first.known(), first.history())
    assert first.history() != []


def test_both_go_on_alike_after_the_crash(begin: Callable[..., World], tmp_path: Path) -> None:
    first = begin(tmp_path / "first")
    first.drive(range(1, 30))
    again = begin(crashed(first, tmp_path / "again"), first.clock.now_ms)
    for world in (first, again):
        world.drive(range(30, 160))
    assert (again.decisions(), again.known()) == (first.decisions(), first.known())


def test_what_people_said_in_between_is_told_at_its_place_among_the_pings(
    begin: Callable[..., World], tmp_path: Path
) -> None:
    first = begin(tmp_path / "first")
    service = first.service
    mutes = [Mute(u7, "bridge") for u7 in range(9, 20)]
    for mute in mutes:
        service.store.set_mute(mute, noon_ms)
        service.ingest.wish(Muted(mute))
    first.drive(range(1, 4))
    for u7 in (5, 6, 7):
        # What the law wants of a goods vehicle does not concern a car; from now on these drive one.
        service.people.put_vehicle(f"o{u7:027d}", Vehicle(u7=u7, kind=VehicleKind.CAR))
    service.people.withdraw(f"o{8:027d}", [Purpose.WARNINGS], ConsentChannel.KEYWORD)
    first.drive(range(4, 7))
    service.people.put_vehicle(f"o{6:027d}", Vehicle(u7=6, kind=VehicleKind.GOODS))
    for mute in mutes:
        service.store.clear_mute(mute.u7, "bridge")
        service.ingest.wish(Unmuted(mute.u7, "bridge"))
    first.drive(range(7, 11))
    again = begin(crashed(first, tmp_path / "again"), first.clock.now_ms)
    assert (again.decisions(), again.known()) == (first.decisions(), first.known())
    bare = crashed(first, tmp_path / "bare")
    with closing(sqlite3.connect(bare / "store.db")) as database, database:
        # As if no decision had been committed; who drives what now, and who mutes what now, the store knows.
        database.executescript("DELETE FROM outbox; DELETE FROM decision; DELETE FROM visit; DELETE FROM journal_mark")
    assert begin(bare, first.clock.now_ms).decisions() == first.decisions()
    reasons = {reason for _, _, reason, _ in first.decisions()}
    assert "muted" in reasons


def test_a_state_kept_in_between_is_where_the_replay_begins_and_the_journal_before_it_is_gone(
    begin: Callable[..., World], tmp_path: Path
) -> None:
    first = begin(tmp_path / "first")
    first.drive(range(1, 10))
    assert len(first.journal()) > 5_000
    first.clock.now_ms += 61_000
    first.drive(range(22, 23))
    first.service.ingest.ask(lambda _engine: None).result(10)
    kept = first.journal()
    assert len(kept) < 3_000
    first.drive(range(23, 40))
    again = begin(crashed(first, tmp_path / "again"), first.clock.now_ms)
    assert (again.decisions(), again.known()) == (first.decisions(), first.known())


def test_nothing_is_left_in_the_journal_of_who_was_erased(begin: Callable[..., World], tmp_path: Path) -> None:
    first = begin(tmp_path / "first")
    service, position = first.service, np.float64(114.2987654321)
    mark = PingBatch.from_columns([11], [first.clock.now_ms + 1], [position], [30.6])
    service.ingest.submit(mark).result(10)
    assert position.tobytes() in first.journal()
    service.people.erase(11, ErasureReason.ASKED)
    assert service.store.erasures() != [], "it is not complete before the state is kept"
    first.clock.now_ms += 61_000
    first.drive(range(22, 24), range(1, 5))
    service.stop(1.0)
    assert position.tobytes() not in first.journal()
    assert position.tobytes() not in (first.folder / "store.db.state").read_bytes()
    again = begin(first.folder, first.clock.now_ms)
    assert again.service.store.erasures() == []


def test_a_journal_that_was_damaged_costs_what_is_behind_the_damage_and_nothing_before(
    begin: Callable[..., World], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = begin(tmp_path / "first")
    first.drive(range(1, 20))
    before = first.known()
    first.drive(range(20, 21))
    broken = crashed(first, tmp_path / "again")
    (segment,) = (broken / "store.db.journal").iterdir()
    data = bytearray(segment.read_bytes())
    data[-5] ^= 1
    segment.write_bytes(data)
    again = begin(broken, first.clock.now_ms)
    assert "does not match its checksum" in caplog.text
    # Only the visits of the store know more than the good prefix; whoever is in none stands where he was before.
    same = [u7 for u7 in USERS if again.known()[u7][:3] == before[u7][:3]]
    assert len(same) >= 20
    assert again.service.ingest.ready() is None


def test_a_journal_that_begins_behind_the_state_is_named(
    begin: Callable[..., World], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = begin(tmp_path / "first")
    first.drive(range(1, 3))
    early = crashed(first, tmp_path / "early")
    assert "are missing" not in caplog.text
    first.service.ingest._journal.prune(99)  # type: ignore[union-attr]  # as if the state had been kept
    first.drive(range(3, 5))
    broken = crashed(first, tmp_path / "again", store=early)
    begin(broken, first.clock.now_ms)
    # How many were told the moment only depends on the thread.
    assert re.search(r"records 1 to [23] of the journal are missing", caplog.text)


def test_pings_are_refused_while_the_journal_takes_none_and_judged_when_it_does(
    begin: Callable[..., World], tmp_path: Path
) -> None:
    world = begin(tmp_path / "first")
    world.drive(range(1, 3))
    folder = tmp_path / "first" / "store.db.journal"
    journal = world.service.ingest._journal
    assert journal is not None
    journal.prune(journal.last)
    shutil.rmtree(folder)
    known = world.known()
    with pytest.raises(StoreError, match="journal"):
        world.drive(range(3, 4))
    assert world.known() == known, "what was refused must not be a duplicate when it is sent again"
    assert world.service.ingest.ready() == "the journal takes no pings"
    folder.mkdir()
    world.drive(range(3, 4))
    assert world.service.ingest.ready() is None
    assert world.known() != known
