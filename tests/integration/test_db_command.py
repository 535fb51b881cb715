"""``geo-engine db`` and the addresses of a store, on real files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.commands.db import app
from api.store_lock import StoreLock
from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.model import Mute, Vehicle, VehicleKind
from geo_engine.store import Person
from geo_engine.store.memory import MemoryStore
from geo_engine.store.open import open_store
from geo_engine.store.schema import SCHEMA_VERSION
from geo_engine.store.sql import SqlStore
from geo_engine.testing import an_alert, noon_ms


def run(*args: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "武汉 ?#%.db"


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_file_is_opened_by_path_or_address(path: Path, form: str) -> None:
    store = open_store(form.format(path))
    assert isinstance(store, SqlStore)
    store.close()
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_memory_is_opened_by_its_name() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize(
    "url",
    ["", " ", "sqlite://", "sqlite:///", "sqlite:///:memory:", ":memory:", "memory:x", "mysql://db/x", "file:x.db"],
)
def test_another_address_is_refused_with_what_was_expected(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"expected sqlite:///path/to/file\.db, a path, postgresql\+psycopg://\S+, or memory:"
    ):
        open_store(url)


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://u:secret@db/x", "postgresql://u:secret@db", "postgres://u:secret@db/x"]
)
def test_another_driver_and_an_address_without_a_database_are_refused_and_no_password_is_shown(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"expected sqlite:///path/to/file\.db, a path, postgresql\+psycopg"
    ) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_missing_directory_is_named_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found no directory"):
        open_store(str(tmp_path / "none" / "x.db"))
    assert list(tmp_path.iterdir()) == []


def test_upgrade_creates_a_store_and_check_finds_it(path: Path) -> None:
    assert run("check", "--store", path)[0] == 1
    assert not path.exists()
    assert run("upgrade", "--store", path) == (0, f"store {path}: schema version {SCHEMA_VERSION}, ready\n")
    assert run("upgrade", "--store", path)[0] == 0
    assert run("check", "--store", path)[0] == 0


def test_check_creates_nothing_in_an_empty_file(path: Path) -> None:
    path.touch()
    code, output = run("check", "--store", path)
    assert (code, path.stat().st_size < 8_192) == (1, True)
    assert f"found no schema, expected version {SCHEMA_VERSION}; run: geo-engine db upgrade" in output


def described(path: Path) -> dict[str, set[tuple[str, str, int, str | None, int]]]:
    """Return name, type, NOT NULL, default and place in the key of every column of every table."""
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: {row[1:] for row in connection.execute(f"PRAGMA table_info({name})")} for name in tables}
    # Written out, the type has two words; SQLite reads both the same.
    return {name: {(row[0], row[1].partition(" ")[0], *row[2:]) for row in rows} for name, rows in columns.items()}


SHARED = ("person_change", "spent_state", "page_session")
REACH = ("reply_window", "template_grant", "standing", "dispatch", "shared_token")
MESSAGES = ("message_zone", "message", "message_tally", "webhook", "journal_mark")


def test_a_store_of_version_1_is_brought_up_and_keeps_its_people_and_decisions(path: Path, tmp_path: Path) -> None:
    store = open_store(str(path))
    store.put_people([Person(7, "o-7", Vehicle(7, VehicleKind.GOODS, plate="鄂A12345"))])
    store.commit([an_alert()], [], now_ms=noon_ms)
    store.close()
    change(path, "ALTER TABLE person DROP COLUMN vehicle")
    change(path, "ALTER TABLE outbox DROP COLUMN holder")
    for column in ("why", "until_ms", "told_by", "also", "also_names", "opens_ms"):
        change(path, f"ALTER TABLE decision DROP COLUMN {column}")
    later = ("phone", "phone_code", "code_sent", "vehicle", "erasure", "tombstone", "free_number")
    meetings = ("meeting_told", "meeting_member", "meeting")
    newest = (*MESSAGES, *SHARED)
    for table in ("mute", "quiet_hours", "quota_use", "history", "inbound", *later, *REACH, *meetings, *newest):
        change(path, f"DROP TABLE {table}")
    change(path, "UPDATE schema_version SET version = 1")
    assert f"found schema version 1, expected {SCHEMA_VERSION}" in run("check", "--store", path)[1]
    assert run("upgrade", "--store", path)[0] == 0
    assert run("check", "--store", path)[0] == 0
    fresh = tmp_path / "fresh.db"
    open_store(str(fresh)).close()
    assert described(path) == described(fresh)
    store = open_store(str(path), create=False)
    (person,) = store.people()
    assert (person.vehicle.plate, person.vehicle.height_m) == ("鄂A12345", None)
    (record,) = store.decisions(limit=9)
    assert record.alert == an_alert()
    store.set_mute(Mute(7, "erqiao"), noon_ms)
    store.commit([], [], now_ms=noon_ms, uses=[QuotaUse(1, 2, 3, 4, 4)])
    assert (len(store.mutes(noon_ms)), len(store.quota_uses(0)), store.quiet_hours()) == (1, 1, {})
    assert (store.history(7, 0, 2**62), store.consenting("history")) == ([], [])
    assert (store.phone_of(7), store.vehicles_of(7), store.erasures()) == (None, [], [])
    store.close()


@pytest.mark.parametrize("command", ["upgrade", "check"])
def test_a_store_of_a_newer_program_is_refused(path: Path, command: str) -> None:
    run("upgrade", "--store", path)
    change(path, "UPDATE schema_version SET version = 99")
    code, output = run(command, "--store", path)
    assert code == 1
    assert f"found schema version 99 of a newer program, expected at most {SCHEMA_VERSION}" in output


@pytest.mark.parametrize("command", ["upgrade", "check"])
def test_a_database_of_somebody_else_is_left_alone(path: Path, command: str) -> None:
    change(path, "CREATE TABLE cats (name TEXT)")
    code, output = run(command, "--store", path)
    assert code == 1
    assert "found a database with the tables cats" in output
    with pytest.raises(StoreError):
        open_store(str(path))


@pytest.mark.parametrize("command", ["upgrade", "check"])
def test_what_is_not_a_database_is_reported_in_one_line(path: Path, command: str) -> None:
    path.write_text("not a database " * 100)
    code, output = run(command, "--store", path)
    assert code == 1
    assert "file is not a database" in output
    assert output.count("\n") == 1


def test_a_wrong_address_is_a_usage_error(path: Path) -> None:
    assert run("check", "--store", "mysql://x/y")[0] == 2
    assert run("upgrade")[0] == 2


def test_scrub_writes_the_store_anew_and_refuses_one_in_use(path: Path) -> None:
    run("upgrade", "--store", path)
    assert run("scrub", "--store", path) == (0, f"store {path}: written anew, nothing erased is left in it\n")
    with StoreLock(str(path)):
        code, output = run("scrub", "--store", path)
    assert (code, "found it in use by process" in output) == (2, True)
    assert run("scrub", "--store", path.with_name("none.db"))[0] == 1
