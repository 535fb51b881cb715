"""The tables of the history of messages and of the webhooks; ``messages`` and ``webhooks`` say what they hold."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, Table, text

from geo_engine.store.dialects import RowNumber, Text

__all__ = ["MessageTables", "message_tables"]


class MessageTables(NamedTuple):
    """The tables in the order in which they depend on one another."""

    message: Table
    message_zone: Table
    message_tally: Table
    webhook: Table


def message_tables(metadata: MetaData) -> MessageTables:
    """Define the tables.

    Args:
        metadata: what they belong to.
    """
    # One row per message; of a row only its outcome changes. Each index ends with the row's number by itself, so a
    # search reads its page in order and sorts nothing.
    message = Table(
        "message",
        metadata,
        Column("message_id", RowNumber, primary_key=True),
        Column("key", Text, nullable=False, unique=True),
        Column("u7", Integer, nullable=False),
        Column("phone", Text),
        Column("plate", Text),
        Column("direction", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("event_ms", BigInteger, nullable=False),
        Column("recorded_ms", BigInteger, nullable=False),
        Column("lon", Double),
        Column("lat", Double),
        Column("datum", Text, nullable=False, server_default=""),
        Column("title", Text, nullable=False, server_default=""),
        Column("text", Text, nullable=False, server_default=""),
        Column("why", Text, nullable=False, server_default=""),
        Column("cause", Text, nullable=False, server_default=""),
        Column("channel", Text, nullable=False, server_default=""),
        Column("outcome", Text, nullable=False, server_default=""),
        Column("attempts", Integer, nullable=False, server_default=text("1")),
        Column("errcode", Integer),
        Column("detail", Text, nullable=False, server_default=""),
        Column("msg_id", Text, index=True),
        Column("receipt", Text),
        Column("receipt_ms", BigInteger),
        *(
            Index(f"ix_message_{name}", *names, "event_ms")
            for name, names in (
                ("event", ()),
                ("u7", ("u7",)),
                ("phone", ("phone",)),
                ("plate", ("plate",)),
                ("kind", ("kind",)),
                ("direction", ("direction",)),
            )
        ),
        # A number is never used again, or a receipt of the webhooks would name another message.
        sqlite_autoincrement=True,
    )
    # The zones a message is about; ``u7`` stands here too, so that an erasure finds the row by itself.
    message_zone = Table(
        "message_zone",
        metadata,
        Column("zone_id", Text, primary_key=True),
        Column("event_ms", BigInteger, primary_key=True, autoincrement=False),
        Column(
            "message_id",
            RowNumber,
            ForeignKey(message.c.message_id),
            primary_key=True,
            autoincrement=False,
            index=True,
        ),
        Column("u7", Integer, nullable=False, index=True),
    )
    # All that stays of messages that are erased or too old: how many there were. No person is in it.
    message_tally = Table(
        "message_tally",
        metadata,
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("direction", Text, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("messages", Integer, nullable=False),
    )
    # Events on their way to other systems, one row for each of these; gone when taken.
    webhook = Table(
        "webhook",
        metadata,
        Column("webhook_id", RowNumber, primary_key=True),
        Column("event_id", Text, nullable=False),
        Column("endpoint", Text, nullable=False),
        Column("u7", Integer, index=True),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("time_ms", BigInteger, nullable=False),
        Column("data", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger, nullable=False, index=True),
        Column("reason", Text, nullable=False, server_default=""),
        Index("ix_webhook_queue", "endpoint", "state", "next_ms"),
        sqlite_autoincrement=True,
    )
    return MessageTables(message, message_zone, message_tally, webhook)
