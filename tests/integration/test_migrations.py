"""Every released schema is brought up to today's with its rows, by the revisions of Alembic."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from typer.testing import CliRunner

from api.commands.db import app
from geo_engine.errors import StoreError
from geo_engine.store.migrations import FOLDER, name_of
from geo_engine.store.open import open_store
from geo_engine.store.schema import SCHEMA_VERSION
from geo_engine.store.steps import STEPS
from tests.postgres import Server

STORES = Path(__file__).parent / "stores"
VERSIONS = range(1, SCHEMA_VERSION + 1)
OWN = {"schema_version", "alembic_version", "sqlite_sequence"}


def old_store(path: Path, version: int) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((STORES / f"v{version:02d}.sql").read_text(encoding="utf-8"))
    return path


def content(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of ours."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}  # noqa: S608


def shape(path: Path) -> dict[str, Any]:
    """Return the columns of every table and every index; Alembic's table comes with the first upgrade."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
        things = [row for row in rows if row[2] != "alembic_version"]
        columns = {
            # Written out, a type has two words, and a default of 0 stood in quotes once: SQLite reads both the same.
            name: sorted((row[1], row[2].partition(" ")[0], row[3], "0" if row[4] == "'0'" else row[4]) for row in info)
            for kind, name, _ in things
            if kind == "table"
            for info in [connection.execute(f"PRAGMA table_info({name})").fetchall()]
        }
        indexes = {
            name: [row[2] for row in connection.execute(f"PRAGMA index_info({name})")]
            for kind, name, _ in things
            if kind == "index"
        }
    return {"columns": columns, "indexes": indexes}


def revision(path: Path) -> tuple[list[Any], list[Any]]:
    found = content(path)
    return found["schema_version"], found["alembic_version"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_any_release_is_brought_up_and_keeps_every_row(tmp_path: Path, version: int) -> None:
    path, fresh = old_store(tmp_path / "100% old.db", version), tmp_path / "fresh.db"
    before = content(path)
    assert all(rows for name, rows in before.items() if name not in OWN)
    done = CliRunner().invoke(app, ["upgrade", "--store", str(path)])
    assert (done.exit_code, done.output) == (0, f"store {path}: schema version {SCHEMA_VERSION}, ready\n")
    after = content(path)
    for name in before.keys() - OWN:
        kept = [{column: row[column] for column in before[name][0]} for row in after[name]]
        assert kept == before[name], name
    open_store(str(fresh)).close()
    assert shape(path) == shape(fresh)
    if version < SCHEMA_VERSION:
        assert revision(path) == revision(fresh)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_any_release_is_read_after_it_was_brought_up(tmp_path: Path, version: int) -> None:
    store = open_store(str(old_store(tmp_path / "old.db", version)))
    (person,) = store.people()
    assert (person.u7, person.open_id, person.vehicle.plate) == (7, "o-7", "鄂A12345")
    (decision,) = store.decisions(limit=9)
    assert (decision.alert.zone_id, decision.alert.lon, decision.attempts) == ("erqiao", 114.3, 1)
    assert [visit.zone_id for visit in store.open_visits(0)] == ["erqiao"]
    assert store.counts()["outbox.delivered"] == 1
    store.ready()
    store.close()


@pytest.mark.parametrize("version", VERSIONS[: len(STEPS)])
def test_a_revision_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half_done (x INTEGER)"))
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    monkeypatch.setattr("geo_engine.store.steps.STEPS", (*STEPS[:-1], fail))
    path = old_store(tmp_path / "old.db", version)
    before = content(path)
    with pytest.raises(StoreError, match="no such table: nowhere"):
        open_store(str(path))
    assert content(path) == before


def test_check_changes_nothing_in_an_older_store(tmp_path: Path) -> None:
    path = old_store(tmp_path / "old.db", 3)
    before = path.read_bytes()
    done = CliRunner().invoke(app, ["check", "--store", str(path)])
    assert (done.exit_code, "found schema version 3, expected" in done.output) == (1, True)
    assert path.read_bytes() == before


def test_every_version_has_one_revision_one_step_and_one_store_of_its_time() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [name_of(SCHEMA_VERSION)]
    assert sorted(found.revision for found in scripts.walk_revisions()) == [name_of(version) for version in VERSIONS]
    assert len(STEPS) == 10, "later versions are revisions of Alembic only"
    assert sorted(found.name for found in STORES.glob("*.sql")) == [f"v{version:02d}.sql" for version in VERSIONS]


def test_a_new_store_says_its_revision_in_both_databases(tmp_path: Path, postgres: Server) -> None:
    urls = [f"sqlite:///{tmp_path / 'new.db'}", postgres.create_database("revision")]
    for url in urls:
        assert CliRunner().invoke(app, ["check", "--store", url]).exit_code == 1
        assert CliRunner().invoke(app, ["upgrade", "--store", url]).exit_code == 0
        assert CliRunner().invoke(app, ["check", "--store", url]).exit_code == 0
        engine = create_engine(url)
        with engine.connect() as connection:
            number = connection.execute(text("SELECT version FROM schema_version")).scalar_one()
            name = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        engine.dispose()
        assert (number, name) == (SCHEMA_VERSION, name_of(SCHEMA_VERSION))


def test_a_store_of_a_newer_program_is_refused_in_postgresql_too(postgres: Server) -> None:
    url = postgres.create_database("newer")
    open_store(url).close()
    postgres.sql("UPDATE schema_version SET version = 99", "newer")
    done = CliRunner().invoke(app, ["upgrade", "--store", url])
    assert (done.exit_code, "found schema version 99 of a newer program" in done.output) == (1, True)
    assert "geo-engine-tests" not in done.output
