"""From the address of a store to the open store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import Store
from geo_engine.store.sql import SqlStore

__all__ = ["open_store"]

_EXPECTED: Final = "expected sqlite:///path/to/file.db, a path, postgresql+psycopg://NAME@HOST/DATABASE, or memory:"
_POSTGRES: Final = ("postgresql", "postgresql+psycopg")
_SQLITE: Final = "sqlite:///"


def open_store(url: str, *, create: bool = True, notes: bool = False) -> Store:
    """Open the store at ``url``.

    Args:
        url: where the store is: ``sqlite:///path/to/file.db`` (``sqlite:////srv/x.db``, four slashes, is absolute), a
            bare path, ``postgresql+psycopg://NAME:PASSWORD@HOST:PORT/DATABASE``, or ``memory:`` (gone at exit).
            Directories and databases are not created.
        create: create the file and its tables when missing, instead of refusing.
        notes: the caller stands beside the process of the engine and notes for it what it changes of people.

    Raises:
        ConfigurationError: the address is none of these, or its directory is missing.
        StoreError: what is there cannot be opened, is not ours, has another schema version, or is missing.
    """
    if url == "memory:":
        return MemoryStore()
    if url.startswith(("postgresql:", "postgresql+", "postgres:")):
        return SqlStore(_postgres(url), create=create, notes=notes)
    path = _file(url)
    if not path.parent.is_dir():
        message = f"store {url}: found no directory {path.parent}, expected one that exists"
        raise ConfigurationError(message)
    if not create and not path.is_file():
        message = f"store {url}: found no file, expected one made by: geo-engine db upgrade"
        raise StoreError(message)
    return SqlStore(URL.create("sqlite", database=str(path)), create=create, notes=notes)


def _postgres(url: str) -> URL:
    try:
        found = make_url(url)
    except ArgumentError as error:
        message = f"store: found an address that cannot be read, {_EXPECTED}"
        raise ConfigurationError(message) from error
    if found.drivername not in _POSTGRES or not found.database:
        message = f"store: found {found.render_as_string(hide_password=True)}, {_EXPECTED}"
        raise ConfigurationError(message)
    return found


def _file(url: str) -> Path:
    name = url.removeprefix(_SQLITE)
    if not name.strip() or "://" in name or name.startswith((":memory:", "file:", "sqlite:", "memory:")):
        message = f"store: found {url!r}, {_EXPECTED}"
        raise ConfigurationError(message)
    return Path(name)
