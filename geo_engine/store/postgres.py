"""A PostgreSQL database with PostGIS, through psycopg 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError

from geo_engine.store import postgis, schema
from geo_engine.store.database import BUSY_TIMEOUT_MS, Database
from geo_engine.store.shared_sql import NOTES_SETTING, note_triggers
from geo_engine.zones.zone import Zone

__all__ = ["PostgresDatabase", "hold"]

_CONNECT_S: Final = 5
_LOCK: Final = 0x67656F5F
"""The word "geo_". Locks of one number and of two do not meet, nor do those of two databases."""
_SMALL_BYTES: Final = 256 * 1024 * 1024
"""A database up to this size is written anew after an erasure."""


def hold(url: str, number: int) -> Connection | None:
    """Hold a number of the database while the connection lives; the server frees it when the process is gone.

    Args:
        url: address of the store.
        number: which one, from 0.

    Returns:
        The connection to close; None when another process holds the number.

    Raises:
        StoreError: the server does not let us in.
    """
    database = PostgresDatabase(make_url(url).set(drivername="postgresql+psycopg"))
    return database.hold(number)


class PostgresDatabase(Database):
    """One PostgreSQL database (``synchronous_commit`` is never off: a returned commit is on the server's disk).

    A writing transaction holds the advisory lock of the database alone, as a writer of SQLite holds its file, so what
    it looked up stays true until it commits. What only claims and answers rows of a queue shares the lock, and the
    rows are locked one by one: several relays work side by side. Readers wait for nobody and see one moment.
    """

    def __init__(self, url: URL) -> None:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_timeout=BUSY_TIMEOUT_MS / 1_000,
            pool_pre_ping=True,  # a server that was started anew costs nobody an error
            connect_args={"connect_timeout": _CONNECT_S, "application_name": "geo-engine"},
        )
        super().__init__(engine, url.render_as_string(hide_password=True))
        event.listen(engine, "connect", _on_connect)
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that reads; see ``Database.read``."""
        with self.named_errors(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction that writes; see ``Database.write``."""
        # Writers of this process wait here, where they keep no connection of the pool.
        with self.named_errors(), self._write_lock, self._engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection

    @contextmanager
    def write_beside(self) -> Iterator[Connection]:
        """Begin a transaction that writes beside others of its kind; see ``Database.write_beside``."""
        with self.named_errors(), self._engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
            yield connection

    def upgrade(self, connection: Connection) -> None:
        """Bring the schema up to date; a new one gets what SQLite does not have; see ``Database.upgrade``."""
        is_new = schema.found_version(connection) is None
        schema.upgrade(connection)
        if is_new:
            note_triggers(connection)
            postgis.add_geometry(connection)

    def keep_zones(self, connection: Connection, revision: int, zones: Sequence[Zone]) -> None:
        """Keep the zones of a new revision for maps; see ``Database.keep_zones``."""
        postgis.keep_zones(connection, revision, zones)

    def opened(self) -> None:
        """Do nothing: the server keeps its own log."""

    def hold(self, number: int) -> Connection | None:
        """Hold a number by a connection of its own; see ``hold``."""
        with self.named_errors():
            connection = self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
            connection.detach()  # closing it ends it, and with it the lock
            if connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK}, {int(number)})").scalar_one():
                return connection
            connection.close()
            return None

    def note(self) -> None:
        """Note what is changed; see ``Database.note``. The triggers are in the database and heed this setting."""
        self._engine.dispose()
        event.listen(self._engine, "connect", _notes)

    def scrub(self, *, whole: bool) -> bool:
        """Take deleted values out of the tables' files; see ``Identities.scrub``.

        The server's write-ahead log and its archives are the administrator's: they go by his retention.
        """
        alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with self.named_errors(), self._write_lock, alone.connect() as connection:
            size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
            anew = whole or size <= _SMALL_BYTES
            tables = connection.exec_driver_sql(
                "SELECT quote_ident(tablename) FROM pg_tables"
                " WHERE schemaname = current_schema() AND tableowner = current_user"
            )
            for name in tables.scalars().all():
                connection.exec_driver_sql(f"VACUUM {'FULL ' if anew else ''}{name}")
        return bool(anew)

    def _cause(self, error: Exception) -> str:
        driver: Any = error.orig if isinstance(error, DBAPIError) else error
        said = getattr(getattr(driver, "diag", None), "message_primary", None)
        if said is None:
            said = " ".join(str(driver).split())
        if not isinstance(error, OperationalError) or getattr(driver, "sqlstate", None) is not None:
            return str(said)
        for words, found in _AT_THE_DOOR.items():
            if words in said:
                return f"{found} ({said})"
        return f"found no server that answers, expected PostgreSQL 15 or later ({said})"

    def _shows_nothing(self, error: Exception) -> bool:
        # A broken key is reported with the values of its columns.
        return not isinstance(error, DBAPIError)


_AT_THE_DOOR: Final = {
    "password authentication failed": "found the name or password refused, expected those of a role of this server",
    "no password supplied": "found no password, expected one as in postgresql+psycopg://NAME:PASSWORD@HOST/DATABASE",
    "does not exist": "found no such database or role, expected one made by createdb or createuser",
}


def _on_connect(driver: DBAPIConnection, _record: object) -> None:
    cursor = driver.cursor()
    cursor.execute(f"SET lock_timeout = {BUSY_TIMEOUT_MS}")
    # An acknowledged commit must be on the disk; a server that waits for its replicas as well may go on doing so.
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE "
        "current_setting('synchronous_commit') IN ('off', 'local')"
    )
    cursor.close()
    driver.commit()


def _notes(driver: DBAPIConnection, _record: object) -> None:
    cursor = driver.cursor()
    cursor.execute(f"SET {NOTES_SETTING} = 'on'")
    cursor.close()
    driver.commit()
