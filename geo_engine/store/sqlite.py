"""How connections to SQLite are set up and how their transactions begin."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["BUSY_TIMEOUT_MS", "WRITES", "begin", "set_up"]

BUSY_TIMEOUT_MS: Final = 5_000
"""How long a writer waits for those of other processes."""
WRITES: Final = "geo_engine_writes"
"""The execution option of connections that write."""


def set_up(driver: DBAPIConnection, _record: object) -> None:
    """Set a new connection up."""
    # SQLAlchemy begins transactions itself (see begin): the driver's own habit begins too late and only for writes.
    driver.isolation_level = None
    cursor = driver.cursor()
    # What is deleted is overwritten: an erased person must not be readable in the free space of the file.
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction.

    A writer takes the write lock at once; taking it after a read fails when another writer came between.
    """
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
