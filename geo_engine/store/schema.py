"""The tables, and the steps that bring a database to the version this program knows.

Portable on purpose: plain types only, times as BIGINT epoch milliseconds UTC, positions as two doubles (lon, lat) that
a PostGIS column can be generated from. ``decision`` alone answers who, when, where, what and why.
"""

from __future__ import annotations

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
    String,
    Table,
    inspect,
    select,
    text,
)

from geo_engine.errors import StoreError
from geo_engine.store.dialects import RowNumber, Text
from geo_engine.store.message_tables import message_tables
from geo_engine.store.migrations import migrate, name_of
from geo_engine.store.shared_tables import shared_tables

__all__ = [
    "SCHEMA_VERSION",
    "attempt",
    "check",
    "code_sent",
    "consent",
    "decision",
    "dispatch",
    "erasure",
    "found_version",
    "free_number",
    "history",
    "inbound",
    "journal_mark",
    "meeting",
    "meeting_member",
    "meeting_told",
    "message",
    "message_tally",
    "message_zone",
    "metadata",
    "mute",
    "outbox",
    "page_session",
    "person",
    "person_change",
    "phone",
    "phone_code",
    "quiet_hours",
    "quota_use",
    "receipt",
    "reply_window",
    "schema_version",
    "shared_token",
    "spent_state",
    "standing",
    "template_grant",
    "tombstone",
    "upgrade",
    "vehicle",
    "visit",
    "webhook",
    "zone_revision",
]

SCHEMA_VERSION: Final = 12
"""The version this program reads and writes."""

_OF_POSTGIS: Final = {"spatial_ref_sys"}

metadata = MetaData()

# The number is what every release looks at, so that an older one refuses a newer store by name. Alembic's own table
# follows it (``env.py``).
schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

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
    Column("consent_id", RowNumber, primary_key=True),
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
    Column("decision_id", RowNumber, primary_key=True),
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
    Column("outbox_id", RowNumber, primary_key=True),
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
    Column("holder", Integer, nullable=False, server_default=text("0")),
    # The queue is read in the order of the numbers; the second index finds an earlier message of the same person.
    Index("ix_outbox_queue", "state", "outbox_id"),
    Index("ix_outbox_u7", "u7", "state", "outbox_id"),
    # A number is never used again, also after the newest rows were deleted: it is the order of a person's messages.
    sqlite_autoincrement=True,
)

attempt = Table(
    "attempt",
    metadata,
    Column("outbox_id", RowNumber, ForeignKey(outbox.c.outbox_id), primary_key=True, autoincrement=False),
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
    Column("inbound_id", RowNumber, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("open_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # The queue is read in the order of the numbers; the second index finds an earlier message of the same person.
    Index("ix_inbound_queue", "state", "inbound_id"),
    Index("ix_inbound_open_id", "open_id", "state", "inbound_id"),
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

# A phone belongs to whoever proved it last.
phone = Table(
    "phone",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("phone", Text, nullable=False, unique=True),
    Column("at_ms", BigInteger, nullable=False),
)

# The code itself is nowhere: a keyed hash of it is.
phone_code = Table(
    "phone_code",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("phone", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sent_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
)

# How often a code was sent, to whom and where: by keyed hashes, for a day.
code_sent = Table(
    "code_sent",
    metadata,
    Column("sent_id", RowNumber, primary_key=True),
    Column("key", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_code_sent_key", "key", "at_ms"),
    Index("ix_code_sent_at_ms", "at_ms"),
)

# The vehicles of people who bound them themselves; the active one stands in ``person`` too, where the engine reads it.
vehicle = Table(
    "vehicle",
    metadata,
    Column("vehicle_id", RowNumber, primary_key=True),
    Column("u7", Integer, nullable=False, index=True),
    Column("active", Boolean, nullable=False),
    Column("kind", Text),
    Column("size_class", Text),
    Column("gross_weight_t", Double),
    Column("plate", Text),
    Column("service", Text),
    Column("language", Text, nullable=False),
    Column("vehicle", Text),
    Column("at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Erasures under way, each blocking its number. The OpenID finds what came in meanwhile and goes with the row.
erasure = Table(
    "erasure",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("erasure_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("open_id", Text),
)

tombstone = Table(
    "tombstone",
    metadata,
    Column("tombstone_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# Numbers whose person is erased, in the order in which they come back into use.
free_number = Table(
    "free_number",
    metadata,
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("freed_ms", BigInteger, nullable=False, index=True),
)


# How people can be reached, by OpenID because the channel knows nothing else of them: the last window of each trigger,
# what is left of the grant of each template, whether they may be written to, and the last attempt of each message.
reply_window = Table(
    "reply_window",
    metadata,
    Column("open_id", Text, primary_key=True),
    Column("trigger", Text, primary_key=True),
    Column("opened_ms", BigInteger, nullable=False),
    Column("used", Integer, nullable=False),
)

template_grant = Table(
    "template_grant",
    metadata,
    Column("open_id", Text, primary_key=True),
    Column("template_id", Text, primary_key=True),
    Column("left", Integer),
    Column("at_ms", BigInteger, nullable=False),
)

standing = Table(
    "standing",
    metadata,
    Column("open_id", Text, primary_key=True),
    Column("standing", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("calm_until_ms", BigInteger, nullable=False),
)

dispatch = Table(
    "dispatch",
    metadata,
    Column("client_msg_id", Text, primary_key=True),
    Column("open_id", Text, nullable=False, index=True),
    Column("channel", Text, nullable=False),
    Column("template_id", Text, nullable=False),
    Column("trigger", Text),
    Column("window_ms", BigInteger),
    Column("state", Text, nullable=False),
    Column("msg_id", Text),
    Column("at_ms", BigInteger, nullable=False),
)

# One row per account; the version makes every change a compare-and-swap.
shared_token = Table(
    "shared_token",
    metadata,
    Column("account", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("renew_at_ms", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("forced_at_ms", BigInteger),
)

# One row: up to which record of the journal the decisions are in this database.
journal_mark = Table(
    "journal_mark",
    metadata,
    Column("mark_id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

# Meetings: no position of a member is in these tables, on purpose.
meeting = Table(
    "meeting",
    metadata,
    Column("meeting_id", Text, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("organiser", Integer, nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
)

meeting_member = Table(
    "meeting_member",
    metadata,
    Column("meeting_id", Text, ForeignKey(meeting.c.meeting_id), primary_key=True),
    Column("u7", Integer, primary_key=True, autoincrement=False, index=True),
    Column("name", Text, nullable=False),
    Column("joined_ms", BigInteger, nullable=False),
    Column("shares", Boolean, nullable=False),
    Column("notice_m", Double),
    Column("arrived_ms", BigInteger),
)

# What a member was told is near: once per meeting. ``about`` is a u7, or -1 for the venue.
meeting_told = Table(
    "meeting_told",
    metadata,
    Column("meeting_id", Text, ForeignKey(meeting.c.meeting_id), primary_key=True),
    Column("u7", Integer, primary_key=True, autoincrement=False),
    Column("about", Integer, primary_key=True, autoincrement=False),
)

message, message_zone, message_tally, webhook = message_tables(metadata)
person_change, spent_state, page_session = shared_tables(metadata)


def found_version(connection: Connection) -> int | None:
    """Return the version of the database, None when it holds no table of ours.

    Raises:
        StoreError: the database holds other tables, so it belongs to somebody else.
    """
    names = set(inspect(connection).get_table_names()) - _OF_POSTGIS
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


def upgrade(connection: Connection) -> bool:
    """Bring the database to ``SCHEMA_VERSION`` inside the caller's transaction; return whether anything changed.

    Raises:
        StoreError: the database is of a newer program or of another one; nothing was changed.
    """
    version = found_version(connection)
    if version is None:
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
        _note_revision(connection, SCHEMA_VERSION)
        return True
    if not 1 <= version < SCHEMA_VERSION:
        check(connection)
        return False
    alembic_version.create(connection, checkfirst=True)  # a store of a release without Alembic has none
    _note_revision(connection, version)
    migrate(connection, SCHEMA_VERSION)
    return True


def _note_revision(connection: Connection, version: int) -> None:
    connection.execute(alembic_version.delete())
    connection.execute(alembic_version.insert().values(version_num=name_of(version)))
