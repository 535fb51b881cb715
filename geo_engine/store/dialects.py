"""What differs between SQLite and PostgreSQL in a table or a statement, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, Table
from sqlalchemy import Text as PlainText
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["POSTGRESQL", "SQLITE", "RowNumber", "Text", "insert_new", "upsert"]

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

# SQLite numbers rows by itself only in a column declared INTEGER, which holds 64 bits there anyway.
RowNumber = BigInteger().with_variant(Integer, SQLITE)

# Both sort by bytes, whatever the language of the database: the order of an answer must not depend on the server.
Text = PlainText().with_variant(PlainText(collation="C"), POSTGRESQL)


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT for this connection that can say what happens to a row that is there already."""
    return postgresql.insert(table) if connection.dialect.name == POSTGRESQL else sqlite.insert(table)


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with its key, or another unique value of it, is there; return whether it was new."""
    # Not the count of rows: the driver of PostgreSQL does not tell it of an INSERT.
    statement = upsert(connection, table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return connection.execute(statement, values).first() is not None
