"""The stores every contract test runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from geo_engine.store import Store
from geo_engine.store.memory import MemoryStore
from geo_engine.store.sql import SqlStore
from tests.contract.stores import a_person, consent, sql


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store
    if request.param == "postgres":
        store = SqlStore(request.getfixturevalue("postgres_url"))
    else:
        store = MemoryStore() if request.param == "memory" else sql(tmp_path / "store.db")
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """A store in which the persons 1 to 9 can be warned."""
    empty.put_people([a_person(u7) for u7 in range(1, 10)])
    for u7 in range(1, 10):
        consent(empty, u7)
    return empty
