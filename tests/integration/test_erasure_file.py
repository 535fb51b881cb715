"""An erased person is in no byte of the store's files, and every table says whether an erasure reaches it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from geo_engine.errors import StoreError
from geo_engine.model import Language, Vehicle, VehicleKind
from geo_engine.people.codes import PendingCode
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.store.identities_sql import IMPERSONAL
from geo_engine.store.schema import metadata
from geo_engine.store.sql import SqlStore
from geo_engine.testing import an_alert, noon_ms


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore(URL.create("sqlite", database=str(path)))
    yield store
    store.close()


def marks(number: int) -> tuple[str, str, str, str]:
    """OpenID, phone, plate, goods of a person; none of them is part of another person's."""
    return f"oPerson{number:021d}", f"138{number:08d}", f"鄂A{number:05d}Z", f"goods-{number:05d}-"


def bring(store: SqlStore, number: int) -> int:
    open_id, phone, plate, goods = marks(number)
    u7 = store.follow(open_id, Language.ZH, noon_ms)
    store.put_code(PendingCode(u7, phone, "digest", noon_ms), [f"key {number}"])
    store.set_phone(u7, phone, noon_ms)
    for spare in range(3):
        goods_text = goods + "x" * (37 * (number + spare) % 300)
        store.put_vehicle(Vehicle(u7, VehicleKind.GOODS, plate=plate, goods=goods_text), noon_ms)
    store.set_consent(u7, "warnings", True, "2026-11", noon_ms, f"page {open_id}")
    store.commit([an_alert(alert_id=f"{number:032x}", u7=u7, text=f"{plate} {goods}")], [], now_ms=noon_ms)
    return u7


def files(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(path.name + "*")))


def found(path: Path, number: int) -> list[str]:
    content = files(path)
    return [mark for mark in marks(number) if mark.encode() in content]


def test_no_byte_of_an_erased_person_is_in_a_file_of_the_store(store: SqlStore, path: Path) -> None:
    people = {number: bring(store, number) for number in range(400)}
    order = random.Random(7).sample(sorted(people), 120)
    # Rows that are moved between pages leave copies behind, if anything does: people come and go in between.
    for turn, number in enumerate(order):
        assert found(path, number) == list(marks(number))
        store.begin_erasure(Erasure(f"{turn:032x}", people[number], ErasureReason.ASKED, noon_ms))
        store.finish_erasure(people[number], noon_ms)
        assert store.scrub()
        if turn % 10 == 0:
            people[1_000 + turn] = bring(store, 1_000 + turn)
    left = {number: traces for number in order if (traces := found(path, number))}
    assert left == {}
    staying = next(number for number in people if number not in order)
    assert found(path, staying) == list(marks(staying))


def test_a_reader_that_holds_the_log_open_is_named_and_the_next_erasure_makes_up_for_it(
    store: SqlStore, path: Path
) -> None:
    people = {number: bring(store, number) for number in (1, 2)}

    def erase(number: int) -> None:
        store.begin_erasure(Erasure(f"{number:032x}", people[number], ErasureReason.ASKED, noon_ms))
        store.finish_erasure(people[number], noon_ms)
        store.scrub()

    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM person").fetchone()
    with pytest.raises(StoreError, match="found readers that keep the log"):
        erase(1)
    reader.close()
    assert (len(store.tombstones()), store.erasures(), store.person(people[1])) == (1, [], None)
    assert found(path, 1) == list(marks(1))
    erase(2)
    assert (found(path, 1), found(path, 2)) == ([], [])


def test_a_large_store_is_written_anew_only_when_asked(
    store: SqlStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geo_engine.store.sqlite._SMALL_BYTES", 0)
    store.follow("o" * 28, Language.ZH, noon_ms)
    assert not store.scrub()
    assert store.scrub(whole=True)
    assert (path.with_name(path.name + "-wal").stat().st_size, store.u7_of("o" * 28)) == (0, 0)


def test_every_table_says_whether_an_erasure_reaches_it() -> None:
    for table in metadata.sorted_tables:
        names_a_person = any(name in table.c for name in ("u7", "open_id", "organiser"))
        hangs_on_one = table.name in ("attempt", "receipt")
        assert names_a_person or hangs_on_one or table.name in IMPERSONAL, table.name
    of_a_person = {"person", "consent", "outbox", "decision", "visit", "history", "mute", "quiet_hours"}
    assert not IMPERSONAL & (of_a_person | {"phone", "phone_code", "vehicle"})
