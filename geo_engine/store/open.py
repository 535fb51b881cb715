"""From the address of a store to the open store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL

from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import Store
from geo_engine.store.sql import SqlStore

__all__ = ["open_store"]

_EXPECTED: Final = "expected sqlite:///path/to/file.db, a path, or memory:"
_SQLITE: Final = "sqlite:///"


def open_store(url: str, *, create: bool = True, notes: bool = False) -> Store:
    """Open the store at ``url``: ``sqlite:///path/to/file.db``, a bare path, or ``memory:`` (gone at exit).

    Args:
        url: where the store is. ``sqlite:////srv/x.db`` (four slashes) is absolute. Directories are not created.
        create: create the file and its tables when missing, instead of refusing.
        notes: the caller stands beside the process of the engine and notes for it what it changes of people.

    Raises:
        ConfigurationError: the address is none of these, or its directory is missing.
        StoreError: what is there cannot be opened, is not ours, has another schema version, or is missing.
    """
    if url == "memory:":
        return MemoryStore()
    path = _file(url)
    if not path.parent.is_dir():
        message = f"store {url}: found no directory {path.parent}, expected one that exists"
        raise ConfigurationError(message)
    if not create and not path.is_file():
        message = f"store {url}: found no file, expected one made by: geo-engine db upgrade"
        raise StoreError(message)
    return SqlStore(URL.create("sqlite", database=str(path)), create=create, notes=notes)


def _file(url: str) -> Path:
    if url.startswith(("postgresql:", "postgresql+", "postgres:")):
        message = f"store: found a PostgreSQL address, which comes with a later release; {_EXPECTED}"
        raise ConfigurationError(message)
    name = url.removeprefix(_SQLITE)
    if not name.strip() or "://" in name or name.startswith((":memory:", "file:", "sqlite:", "memory:")):
        message = f"store: found {url!r}, {_EXPECTED}"
        raise ConfigurationError(message)
    return Path(name)
