"""The history of messages in memory: the twin of the one in the database."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

from geo_engine.store.messages import (
    Cursor,
    Direction,
    MessageFilter,
    MessageRecord,
    NewMessage,
    after_attempt,
    after_receipt,
    day_of,
)
from geo_engine.store.webhook_events import event_of_message
from geo_engine.store.webhooks_memory import MemoryWebhooks

__all__ = ["MemoryMessages", "Owner"]

_SMALL: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Owner:
    """What the store knows of a person when a message is kept."""

    phone: str | None
    plate: str | None
    keeps_places: bool


class MemoryMessages:
    """A ``MessageLog`` without a disk. ``search`` looks at every message.

    Args:
        locked: guards what the store holds, and raises when it is closed.
        owner: who somebody is, None = unknown; asked while the lock is held.
        webhooks: told of what is new.
    """

    def __init__(
        self,
        locked: Callable[[], AbstractContextManager[None]],
        owner: Callable[[int], Owner | None],
        webhooks: MemoryWebhooks,
    ) -> None:
        self._locked, self._owner, self._webhooks = locked, owner, webhooks
        self._rows: dict[str, MessageRecord] = {}
        self._last = 0
        self._tally: Counter[tuple[int, Direction, str]] = Counter()

    def note(self, messages: list[NewMessage]) -> int:
        """Keep messages; see ``MessageLog.note``."""
        with self._locked():
            return sum(self.note_locked(one) for one in messages)

    def note_locked(self, new: NewMessage) -> bool:
        """Keep a message while the caller holds the lock; say whether it is new."""
        known = self._rows.get(new.key)
        if known is not None:
            self.change_locked(new.key, after_attempt(known.message, new), new.recorded_ms)
            return False
        self._tally[day_of(new.event_ms), new.direction, str(new.kind)] += 1
        owner = self._owner(new.u7)
        if owner is None:
            return False
        if new.lon is not None and not owner.keeps_places:
            new = replace(new, lon=None, lat=None, datum="")
        self._last += 1
        kept = replace(new, kind=str(new.kind), zones=tuple(sorted(set(new.zones))))
        self._rows[new.key] = MessageRecord(self._last, kept, owner.phone, owner.plate)
        self._publish(self._rows[new.key], new.recorded_ms)
        return True

    def known_locked(self, key: str) -> NewMessage | None:
        """Return what is kept under a key while the caller holds the lock."""
        found = self._rows.get(key)
        return None if found is None else found.message

    def change_locked(self, key: str, after: NewMessage, now_ms: int) -> None:
        """Change what became of a message while the caller holds the lock."""
        known = self._rows[key]
        self._rows[key] = replace(known, message=after)
        if after.outcome is not known.message.outcome:
            self._publish(self._rows[key], now_ms)

    def received_locked(self, msg_id: str, status: str, at_ms: int) -> None:
        """Apply a receipt, the first of a message, while the caller holds the lock."""
        for key, known in list(self._rows.items()):
            if known.message.msg_id == msg_id and known.receipt is None:
                self._rows[key] = replace(known, receipt=status, receipt_ms=at_ms)
                self.change_locked(key, after_receipt(known.message, status), at_ms)

    def _publish(self, record: MessageRecord, now_ms: int) -> None:
        event = event_of_message(record)
        self._webhooks.add_locked([] if event is None else [event], now_ms)

    def search(self, wanted: MessageFilter, *, limit: int, after: Cursor | None = None) -> list[MessageRecord]:
        """Return messages, the latest first; see ``MessageLog.search``."""
        with self._locked():
            found = [record for record in self._rows.values() if _fits(record, wanted)]
        found.sort(key=_place, reverse=True)
        if after is not None:
            found = [record for record in found if _place(record) < (after.event_ms, after.number)]
        return found[: max(limit, 0)]

    def drop(self, before_ms: Mapping[str, int], others_ms: int) -> int:
        """Erase what is too old; see ``MessageLog.drop``."""
        with self._locked():
            known = len(self._rows)
            self._rows = {
                key: record
                for key, record in self._rows.items()
                if record.message.event_ms >= before_ms.get(record.message.kind, others_ms)
            }
            return known - len(self._rows)

    def tally(self) -> dict[tuple[int, Direction, str], int]:
        """Return how many messages there were; see ``MessageLog.tally``."""
        with self._locked():
            return dict(sorted(self._tally.items()))

    def forget_locked(self, u7: int) -> None:
        """Erase somebody's messages while the caller holds the lock."""
        self._rows = {key: record for key, record in self._rows.items() if record.message.u7 != u7}

    def forget_places_locked(self, u7: int) -> None:
        """Erase where somebody was while the caller holds the lock."""
        for key, record in self._rows.items():
            if record.message.u7 == u7:
                message = replace(record.message, lon=None, lat=None, datum="")
                self._rows[key] = replace(record, message=message)


def _place(record: MessageRecord) -> tuple[int, int]:
    return record.message.event_ms, record.number


def _fits(record: MessageRecord, wanted: MessageFilter) -> bool:
    message = record.message
    same = (
        (wanted.u7, message.u7),
        (wanted.phone, record.phone),
        (wanted.plate, record.plate),
        (wanted.kind, message.kind),
        (wanted.direction, message.direction),
    )
    words = (part.translate(_SMALL) for part in (message.text, message.title, message.why))
    return (
        all(asked is None or asked == found for asked, found in same)
        and (wanted.zone_id is None or wanted.zone_id in message.zones)
        and (wanted.since_ms is None or message.event_ms >= wanted.since_ms)
        and (wanted.until_ms is None or message.event_ms < wanted.until_ms)
        and any(wanted.text.translate(_SMALL) in part for part in words)
    )
