"""A database in one SQLite file: how connections are set up and how transactions begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from geo_engine.errors import StoreError
from geo_engine.store.database import BUSY_TIMEOUT_MS, Database
from geo_engine.store.shared_sql import note_changes
from geo_engine.zones.zone import Zone

__all__ = ["SqliteDatabase"]

_SMALL_BYTES: Final = 32 * 1024 * 1024
"""A file up to this size is written anew after an erasure: about half a second in which nothing is committed."""
_WRITES: Final = "geo_engine_writes"


class SqliteDatabase(Database):
    """One SQLite file (WAL, ``synchronous=FULL``: a returned commit is on disk).

    Writers of this process queue at a lock, writers of other processes at SQLite's own (5 s at most), so a
    transaction never has to be repeated. Readers wait for nobody.
    """

    def __init__(self, url: URL) -> None:
        engine = create_engine(url, hide_parameters=True, pool_timeout=BUSY_TIMEOUT_MS / 1_000)
        super().__init__(engine, url.render_as_string(hide_password=True))
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        self._writer = engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that reads; see ``Database.read``."""
        with self.named_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction that writes; see ``Database.write``."""
        with self.named_errors(), self._write_lock, self._writer.begin() as connection:
            yield connection

    def write_beside(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that writes; one file has one writer."""
        return self.write()

    def keep_zones(self, connection: Connection, revision: int, zones: Sequence[Zone]) -> None:
        """Do nothing: the zones are in their files."""

    def opened(self) -> None:
        """Switch to write-ahead logging, once the file is known to be ours: the mode stays in the file."""
        with self.named_errors():
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL").close()
            finally:
                connection.close()

    def note(self) -> None:
        """Note what is changed; see ``Database.note``."""
        self._engine.dispose()  # connections from now on know the tables
        event.listen(self._engine, "connect", note_changes)

    def scrub(self, *, whole: bool) -> bool:
        """Take deleted values out of the files; see ``Identities.scrub``."""
        with self.named_errors(), self._write_lock:
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                (pages,), (page_bytes,) = (
                    cursor.execute(f"PRAGMA {of}").fetchone() for of in ("page_count", "page_size")
                )
                anew = whole or pages * page_bytes <= _SMALL_BYTES
                if anew:
                    cursor.execute("VACUUM")
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.close()
            finally:
                connection.close()
        if busy:
            message = f"store {self.place}: found readers that keep the log from being folded in, expected a pause"
            raise StoreError(message)
        return anew


def _set_up(driver: DBAPIConnection, _record: object) -> None:
    """Set a new connection up."""
    # SQLAlchemy begins transactions itself (see _begin): the driver's own habit begins too late and only for writes.
    driver.isolation_level = None
    cursor = driver.cursor()
    # What is deleted is overwritten: an erased person must not be readable in the free space of the file.
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction.

    A writer takes the write lock at once; taking it after a read fails when another writer came between.
    """
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
