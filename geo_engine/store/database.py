"""A database as the repositories see it: transactions that read or write, and errors that name the place."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from geo_engine.errors import StoreError
from geo_engine.store import schema
from geo_engine.zones.zone import Zone

__all__ = ["BUSY_TIMEOUT_MS", "Database"]

BUSY_TIMEOUT_MS: Final = 5_000
"""How long a writer waits for another one before it gives up."""


class Database(ABC):
    """Transactions on one database.

    Args:
        engine: connects to it.
        place: its address without a password, for messages.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self.place = place
        self._closed = False
        self._write_lock = threading.Lock()

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that reads; all its statements see the same moment."""

    @abstractmethod
    def write(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that writes; no other one writes meanwhile, so what it read stays true."""

    @abstractmethod
    def write_beside(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that writes beside others of this kind, but not beside ``write``.

        It locks the rows it goes by before it reads them (``with_for_update``).
        """

    def upgrade(self, connection: Connection) -> None:
        """Bring the schema up to date inside a writing transaction; see ``schema.upgrade``."""
        schema.upgrade(connection)

    @abstractmethod
    def keep_zones(self, connection: Connection, revision: int, zones: Sequence[Zone]) -> None:
        """Keep the zones of a new revision where a map program can read them, if there is such a place."""

    @abstractmethod
    def opened(self) -> None:
        """Do what is left to do once the database is known to be ours."""

    @abstractmethod
    def note(self) -> None:
        """Have every connection from now on note what it changes of people; see ``Shared``."""

    @abstractmethod
    def scrub(self, *, whole: bool) -> bool:
        """Take deleted values out of the files; see ``Identities.scrub``."""

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn what the driver says into a ``StoreError`` that names the place."""
        if self._closed:
            message = f"store {self.place}: found it closed, expected it open"
            raise StoreError(message)
        try:
            yield
        except (SQLAlchemyError, OverflowError, UnicodeError) as error:
            message = f"store {self.place}: {self._cause(error)}"
            # The driver's words and the statement may show personal data, so the chain ends where they would.
            raise StoreError(message) from (error if self._shows_nothing(error) else None)

    def _cause(self, error: Exception) -> str:
        """Return what happened in one line, without the statement."""
        return str(error.orig if isinstance(error, DBAPIError) else error)

    def _shows_nothing(self, error: Exception) -> bool:  # noqa: ARG002 - a driver may know better
        """Return whether an error's own text is free of what was to be written."""
        return True

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        # A write under way ends first; its connection would otherwise outlive the pool.
        with self._write_lock:
            self._engine.dispose()
