"""The steps that bring a database from one version of the schema to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, text

__all__ = ["STEPS"]


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
        " open_id TEXT NOT NULL, kind TEXT NOT NULL, time_ms BIGINT NOT NULL, payload TEXT NOT NULL,"
        " state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_ms BIGINT NOT NULL,"
        " reason TEXT NOT NULL DEFAULT ''"
    )
    connection.execute(text(f"CREATE TABLE inbound ({columns})"))
    connection.execute(text("CREATE INDEX ix_inbound_queue ON inbound (state, inbound_id)"))
    connection.execute(text("CREATE INDEX ix_inbound_open_id ON inbound (open_id, state, inbound_id)"))


def _add_identities(connection: Connection) -> None:
    """Add phones and their codes, several vehicles a person, erasures and what stays of them."""
    for table, columns in (
        ("phone", "u7 INTEGER NOT NULL PRIMARY KEY, phone TEXT NOT NULL UNIQUE, at_ms BIGINT NOT NULL"),
        (
            "phone_code",
            "u7 INTEGER NOT NULL PRIMARY KEY, phone TEXT NOT NULL, digest TEXT NOT NULL, sent_ms BIGINT NOT NULL,"
            " tries INTEGER NOT NULL",
        ),
        ("code_sent", "sent_id INTEGER NOT NULL PRIMARY KEY, key TEXT NOT NULL, at_ms BIGINT NOT NULL"),
        (
            "vehicle",
            "vehicle_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, u7 INTEGER NOT NULL, active BOOLEAN NOT NULL,"
            " kind TEXT, size_class TEXT, gross_weight_t DOUBLE PRECISION, plate TEXT, service TEXT,"
            " language TEXT NOT NULL, vehicle TEXT, at_ms BIGINT NOT NULL",
        ),
        (
            "erasure",
            "u7 INTEGER NOT NULL PRIMARY KEY, erasure_id TEXT NOT NULL, reason TEXT NOT NULL, begun_ms BIGINT NOT NULL,"
            " open_id TEXT",
        ),
        ("tombstone", "tombstone_id TEXT NOT NULL PRIMARY KEY, reason TEXT NOT NULL, at_ms BIGINT NOT NULL"),
        ("free_number", "u7 INTEGER NOT NULL PRIMARY KEY, freed_ms BIGINT NOT NULL"),
    ):
        connection.execute(text(f"CREATE TABLE {table} ({columns})"))
    for table, column in (("code_sent", "at_ms"), ("vehicle", "u7"), ("free_number", "freed_ms")):
        connection.execute(text(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})"))
    connection.execute(text("CREATE INDEX ix_code_sent_key ON code_sent (key, at_ms)"))


def _add_reach(connection: Connection) -> None:
    """Add how people can be reached, and the token the processes of an account share."""
    for table in (
        "reply_window (open_id TEXT NOT NULL, trigger TEXT NOT NULL, opened_ms BIGINT NOT NULL, used INTEGER NOT NULL,"
        " PRIMARY KEY (open_id, trigger))",
        'template_grant (open_id TEXT NOT NULL, template_id TEXT NOT NULL, "left" INTEGER, at_ms BIGINT NOT NULL,'
        " PRIMARY KEY (open_id, template_id))",
        "standing (open_id TEXT NOT NULL, standing TEXT NOT NULL, at_ms BIGINT NOT NULL,"
        " calm_until_ms BIGINT NOT NULL, PRIMARY KEY (open_id))",
        "dispatch (client_msg_id TEXT NOT NULL, open_id TEXT NOT NULL, channel TEXT NOT NULL,"
        " template_id TEXT NOT NULL, trigger TEXT, window_ms BIGINT, state TEXT NOT NULL, msg_id TEXT,"
        " at_ms BIGINT NOT NULL, PRIMARY KEY (client_msg_id))",
        "shared_token (account TEXT NOT NULL, value TEXT NOT NULL, renew_at_ms BIGINT NOT NULL,"
        " version INTEGER NOT NULL, lease_until_ms BIGINT NOT NULL, forced_at_ms BIGINT, PRIMARY KEY (account))",
    ):
        connection.execute(text(f"CREATE TABLE {table}"))
    connection.execute(text("CREATE INDEX ix_dispatch_open_id ON dispatch (open_id)"))


def _add_meetings(connection: Connection) -> None:
    """Add meetings, their members and what those were told."""
    for statement in (
        "CREATE TABLE meeting (meeting_id TEXT NOT NULL PRIMARY KEY, code TEXT NOT NULL UNIQUE,"
        " organiser INTEGER NOT NULL, title TEXT NOT NULL, place TEXT NOT NULL, lon DOUBLE PRECISION NOT NULL,"
        " lat DOUBLE PRECISION NOT NULL, from_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL, ended_ms BIGINT)",
        "CREATE INDEX ix_meeting_organiser ON meeting (organiser)",
        "CREATE TABLE meeting_member (meeting_id TEXT NOT NULL REFERENCES meeting (meeting_id), u7 INTEGER NOT NULL,"
        " name TEXT NOT NULL, joined_ms BIGINT NOT NULL, shares BOOLEAN NOT NULL, notice_m DOUBLE PRECISION,"
        " arrived_ms BIGINT, PRIMARY KEY (meeting_id, u7))",
        "CREATE INDEX ix_meeting_member_u7 ON meeting_member (u7)",
        "CREATE TABLE meeting_told (meeting_id TEXT NOT NULL REFERENCES meeting (meeting_id), u7 INTEGER NOT NULL,"
        " about INTEGER NOT NULL, PRIMARY KEY (meeting_id, u7, about))",
    ):
        connection.execute(text(statement))


def _add_messages(connection: Connection) -> None:
    """Add the history of messages, its tally, and the events that wait for other systems."""
    columns = (
        "message_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, u7 INTEGER NOT NULL,"
        " phone TEXT, plate TEXT, direction TEXT NOT NULL, kind TEXT NOT NULL, event_ms BIGINT NOT NULL,"
        " recorded_ms BIGINT NOT NULL, lon DOUBLE PRECISION, lat DOUBLE PRECISION, datum TEXT NOT NULL DEFAULT '',"
        " title TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '',"
        " cause TEXT NOT NULL DEFAULT '', channel TEXT NOT NULL DEFAULT '', outcome TEXT NOT NULL DEFAULT '',"
        " attempts INTEGER NOT NULL DEFAULT 1, errcode INTEGER, detail TEXT NOT NULL DEFAULT '', msg_id TEXT,"
        " receipt TEXT, receipt_ms BIGINT"
    )
    for statement in (
        f"CREATE TABLE message ({columns})",
        "CREATE INDEX ix_message_msg_id ON message (msg_id)",
        "CREATE INDEX ix_message_event ON message (event_ms)",
        *(
            f"CREATE INDEX ix_message_{name} ON message ({name}, event_ms)"
            for name in ("u7", "phone", "plate", "kind", "direction")
        ),
        "CREATE TABLE message_zone (zone_id TEXT NOT NULL, event_ms BIGINT NOT NULL, message_id INTEGER NOT NULL"
        " REFERENCES message (message_id), u7 INTEGER NOT NULL, PRIMARY KEY (zone_id, event_ms, message_id))",
        "CREATE INDEX ix_message_zone_message_id ON message_zone (message_id)",
        "CREATE INDEX ix_message_zone_u7 ON message_zone (u7)",
        "CREATE TABLE message_tally (day INTEGER NOT NULL, direction TEXT NOT NULL, kind TEXT NOT NULL,"
        " messages INTEGER NOT NULL, PRIMARY KEY (day, direction, kind))",
        "CREATE TABLE webhook (webhook_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL,"
        " endpoint TEXT NOT NULL, u7 INTEGER, type TEXT NOT NULL, subject TEXT NOT NULL, time_ms BIGINT NOT NULL,"
        " data TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_ms BIGINT NOT NULL,"
        " expires_ms BIGINT NOT NULL, reason TEXT NOT NULL DEFAULT '')",
        "CREATE INDEX ix_webhook_u7 ON webhook (u7)",
        "CREATE INDEX ix_webhook_expires_ms ON webhook (expires_ms)",
        "CREATE INDEX ix_webhook_queue ON webhook (endpoint, state, next_ms)",
    ):
        connection.execute(text(statement))


def _add_shared(connection: Connection) -> None:
    """Add what processes on one store tell one another, and who holds a message under way."""
    for statement in (
        "ALTER TABLE outbox ADD COLUMN holder INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE person_change (change_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, u7 INTEGER NOT NULL,"
        " what TEXT NOT NULL, zone_id TEXT NOT NULL DEFAULT '')",
        "CREATE INDEX ix_person_change_u7 ON person_change (u7)",
        "CREATE TABLE spent_state (state TEXT NOT NULL PRIMARY KEY, until_ms BIGINT NOT NULL)",
        "CREATE INDEX ix_spent_state_until_ms ON spent_state (until_ms)",
        "CREATE TABLE page_session (digest TEXT NOT NULL PRIMARY KEY, open_id TEXT NOT NULL, until_ms BIGINT NOT NULL,"
        " notices TEXT NOT NULL)",
        "CREATE INDEX ix_page_session_open_id ON page_session (open_id)",
        "CREATE INDEX ix_page_session_until_ms ON page_session (until_ms)",
    ):
        connection.execute(text(statement))


def _add_journal_mark(connection: Connection) -> None:
    """Add up to which record of the journal the decisions are here."""
    connection.execute(
        text("CREATE TABLE journal_mark (mark_id INTEGER NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (mark_id))")
    )


STEPS: Final[tuple[Callable[[Connection], None], ...]] = (
    _add_vehicle,
    _add_policy,
    _add_history,
    _add_words,
    _add_inbound,
    _add_identities,
    _add_reach,
    _add_meetings,
    _add_messages,
    _add_shared,
    _add_journal_mark,
)
"""The steps to the versions 2, 3 ...; a step that was released is never changed, so it is written in SQL and reads no
table of today."""
