"""The tables, and the steps that bring a database to the version this program knows.

Portable on purpose: plain types only, times as BIGINT epoch milliseconds UTC, positions as two doubles (lon, lat) that
a PostGIS column can be generated from. ``decision`` alone answers who, when, where, what and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
)

from geo_engine.errors import StoreError

__all__ = [
    "SCHEMA_VERSION",
    "attempt",
    "check",
    "consent",
    "decision",
    "found_version",
    "history",
    "inbound",
    "metadata",
    "mute",
    "outbox",
    "person",
    "quiet_hours",
    "quota_use",
    "receipt",
    "schema_version",
    "upgrade",
    "visit",
    "zone_revision",
]

SCHEMA_VERSION: Final = 6
"""The version this program reads and writes."""

metadata = MetaData()

# SQLite numbers rows by itself only in a column declared INTEGER, which holds 64 bits there anyway.
_RowNumber = BigInteger().with_variant(Integer, "sqlite")

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

person = Table(
    "person",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("open_id", Text, unique=True),
    Column("kind", Text),
    Column("size_class", Text),
    Column("gross_weight_t", Double),
    Column("plate", Text),
    Column("service", Text),
    Column("language", Text, nullable=False),
    # JSON of what else is known of the vehicle: no query asks for a field of it, and rules come to ask for more.
    Column("vehicle", Text),
)

# Append-only: the record with the greatest number counts.
consent = Table(
    "consent",
    metadata,
    Column("consent_id", _RowNumber, primary_key=True),
    Column("u7", Integer, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("version", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Index("ix_consent_latest", "u7", "purpose", "consent_id"),
)

# No foreign key to person: a decision about somebody the store has not met yet must not be lost.
decision = Table(
    "decision",
    metadata,
    Column("decision_id", _RowNumber, primary_key=True),
    Column("alert_id", Text, nullable=False, unique=True),
    Column("u7", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("zone_id", Text, nullable=False),
    Column("zone_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("visit_ms", BigInteger, nullable=False),
    Column("send", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    Column("distance_m", Double),
    Column("bearing_deg", Double),
    Column("compass", Text, nullable=False),
    Column("eta_s", Double),
    Column("may_apply", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("advice", Text, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
    Column("until_ms", BigInteger),
    Column("told_by", Text, nullable=False, server_default=""),
    Column("also", Integer, nullable=False, server_default=text("0")),
    # JSON: a list of names.
    Column("also_names", Text, nullable=False, server_default=""),
    Column("opens_ms", BigInteger),
    Column("decided_ms", BigInteger, nullable=False),
    Index("ix_decision_u7", "u7", "decision_id"),
    Index("ix_decision_time", "time_ms"),
    Index("ix_decision_reason", "reason"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", _RowNumber, primary_key=True),
    Column("alert_id", Text, ForeignKey(decision.c.alert_id), nullable=False, unique=True),
    Column("u7", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("next_attempt_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("give_up_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("first_attempt_ms", BigInteger),
    Column("lease_until_ms", BigInteger),
    Column("in_doubt", Boolean, nullable=False, default=False),
    Column("ended", Text, nullable=False, default=""),
    # The queue is read in the order of the numbers; the second index finds an earlier message of the same person.
    Index("ix_outbox_queue", "state", "outbox_id"),
    Index("ix_outbox_u7", "u7", "state", "outbox_id"),
    # A number is never used again, also after the newest rows were deleted: it is the order of a person's messages.
    sqlite_autoincrement=True,
)

attempt = Table(
    "attempt",
    metadata,
    Column("outbox_id", _RowNumber, ForeignKey(outbox.c.outbox_id), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("finished_ms", BigInteger),
    Column("outcome", Text),
    Column("errcode", Integer),
    Column("detail", Text, nullable=False, default=""),
    Column("msg_id", Text, index=True),
)

# Not tied to attempt: a receipt may come before the answer to the call that caused it.
receipt = Table(
    "receipt",
    metadata,
    Column("msg_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

visit = Table(
    "visit",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("zone_id", Text, primary_key=True),
    Column("visit_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("inside", Boolean, nullable=False),
    Column("decided", Boolean, nullable=False),
    Column("sent_ms", BigInteger),
)

# Who was in which zone when: written only of users who consent to ``history``, kept for some days. The key makes a
# commit that is repeated harmless.
history = Table(
    "history",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("zone_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    Column("revision", Integer, nullable=False),
    Index("ix_history_time", "time_ms"),
)

# No foreign key to a zone: a mute outlives an edit that takes its zone away for a while.
mute = Table(
    "mute",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("zone_id", Text, primary_key=True),
    Column("until_ms", BigInteger),
    Column("at_ms", BigInteger, nullable=False),
)

quiet_hours = Table(
    "quiet_hours",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("from_min", Integer, nullable=False),
    Column("until_min", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# What the account was asked for and what it sent, by local day, quarter of an hour and grade: no person is in it.
quota_use = Table(
    "quota_use",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("grade", Integer, primary_key=True, autoincrement=False),
    Column("asked", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
)

# What people sent, kept before it is acknowledged. Rows are added and erased; of a row only its life changes.
inbound = Table(
    "inbound",
    metadata,
    Column("inbound_id", _RowNumber, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("openid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # The queue is read in the order of the numbers; the second index finds an earlier message of the same person.
    Index("ix_inbound_queue", "state", "inbound_id"),
    Index("ix_inbound_openid", "openid", "state", "inbound_id"),
    # A number is never used again: it is the order of a person's messages.
    sqlite_autoincrement=True,
)

zone_revision = Table(
    "zone_revision",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("sha256", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)


def found_version(connection: Connection) -> int | None:
    """Return the version of the database, None when it holds no table of ours.

    Raises:
        StoreError: the database holds other tables, so it belongs to somebody else.
    """
    names = set(inspect(connection).get_table_names())
    if schema_version.name in names:
        return int(connection.execute(select(schema_version.c.version)).scalar_one())
    if names:
        message = f"found a database with the tables {', '.join(sorted(names))}, expected an empty one or our own"
        raise StoreError(message)
    return None


def check(connection: Connection) -> int:
    """Return the version of the database if this program can use it.

    Raises:
        StoreError: there is no schema yet, or it has another version.
    """
    version = found_version(connection)
    if version is None:
        message = f"found no schema, expected version {SCHEMA_VERSION}; run: geo-engine db upgrade"
        raise StoreError(message)
    if version > SCHEMA_VERSION:
        message = f"found schema version {version} of a newer program, expected at most {SCHEMA_VERSION}"
        raise StoreError(message)
    if version < SCHEMA_VERSION:
        message = f"found schema version {version}, expected {SCHEMA_VERSION}; run: geo-engine db upgrade"
        raise StoreError(message)
    return version


def _add_vehicle(connection: Connection) -> None:
    """Add what is known of a vehicle beside its kind, class and plate."""
    connection.execute(text("ALTER TABLE person ADD COLUMN vehicle TEXT"))


def _add_policy(connection: Connection) -> None:
    """Add what people do not want to hear, the use of the quota, and the words of a decision's reasons."""
    for column in (
        "why TEXT NOT NULL DEFAULT ''",
        "until_ms BIGINT",
        "told_by TEXT NOT NULL DEFAULT ''",
        "also INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(text(f"ALTER TABLE decision ADD COLUMN {column}"))
    for table in (
        "mute (u7 INTEGER NOT NULL, zone_id TEXT NOT NULL, until_ms BIGINT, at_ms BIGINT NOT NULL,"
        " PRIMARY KEY (u7, zone_id))",
        "quiet_hours (u7 INTEGER NOT NULL, from_min INTEGER NOT NULL, until_min INTEGER NOT NULL,"
        " at_ms BIGINT NOT NULL, PRIMARY KEY (u7))",
        "quota_use (day INTEGER NOT NULL, slot INTEGER NOT NULL, grade INTEGER NOT NULL, asked INTEGER NOT NULL,"
        " sent INTEGER NOT NULL, PRIMARY KEY (day, slot, grade))",
    ):
        connection.execute(text(f"CREATE TABLE {table}"))


def _add_history(connection: Connection) -> None:
    """Add the history of users who want one."""
    columns = (
        "u7 INTEGER NOT NULL, time_ms BIGINT NOT NULL, zone_id TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,"
        " lon DOUBLE PRECISION, lat DOUBLE PRECISION, revision INTEGER NOT NULL"
    )
    connection.execute(text(f"CREATE TABLE history ({columns}, PRIMARY KEY (u7, time_ms, zone_id, kind))"))
    connection.execute(text("CREATE INDEX ix_history_time ON history (time_ms)"))


def _add_words(connection: Connection) -> None:
    """Add what a message about several zones names, and when a rule begins that is not in force yet."""
    for column in ("also_names TEXT NOT NULL DEFAULT ''", "opens_ms BIGINT"):
        connection.execute(text(f"ALTER TABLE decision ADD COLUMN {column}"))


def _add_inbound(connection: Connection) -> None:
    """Add the messages people send."""
    columns = (
        "inbound_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, received_ms BIGINT NOT NULL,"
        " openid TEXT NOT NULL, kind TEXT NOT NULL, time_ms BIGINT NOT NULL, payload TEXT NOT NULL,"
        " state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_ms BIGINT NOT NULL,"
        " reason TEXT NOT NULL DEFAULT ''"
    )
    connection.execute(text(f"CREATE TABLE inbound ({columns})"))
    connection.execute(text("CREATE INDEX ix_inbound_queue ON inbound (state, inbound_id)"))
    connection.execute(text("CREATE INDEX ix_inbound_openid ON inbound (openid, state, inbound_id)"))


_STEPS: Final[tuple[Callable[[Connection], None], ...]] = (
    _add_vehicle,
    _add_policy,
    _add_history,
    _add_words,
    _add_inbound,
)
"""The steps to the versions 2, 3 ...; a step that was released is never changed, so it is written in SQL and reads no
table of today."""


def upgrade(connection: Connection) -> bool:
    """Bring the database to ``SCHEMA_VERSION`` inside the caller's transaction; return whether anything changed.

    Raises:
        StoreError: the database is of a newer program or of another one; nothing was changed.
    """
    version = found_version(connection)
    if version is None:
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
        return True
    if not 1 <= version < SCHEMA_VERSION:
        check(connection)
        return False
    for step in _STEPS[version - 1 :]:
        step(connection)
    connection.execute(schema_version.update().values(version=SCHEMA_VERSION))
    return True
