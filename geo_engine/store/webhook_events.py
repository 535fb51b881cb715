"""What of the store's changes is told to other systems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from geo_engine.model import TransitionKind
from geo_engine.store.messages import Direction, MessageOutcome, MessageRecord
from geo_engine.store.protocol import HistoryChange, TransitionRecord
from geo_engine.store.webhooks import EventType, NewEvent

__all__ = ["erased_event", "event_of_message", "events_of_history", "withdrawn_event"]

_OF_TRANSITION: Final = {
    TransitionKind.ENTER: EventType.ZONE_ENTERED,
    TransitionKind.EXIT: EventType.ZONE_EXITED,
    TransitionKind.CROSS: EventType.ZONE_CROSSED,
}
_OF_OUTCOME: Final = {
    MessageOutcome.ACCEPTED: EventType.MESSAGE_SENT,
    MessageOutcome.DELIVERED: EventType.MESSAGE_DELIVERED,
    **dict.fromkeys(
        (
            MessageOutcome.REFUSED,
            MessageOutcome.RETRIES_SPENT,
            MessageOutcome.EXPIRED,
            MessageOutcome.NO_CONSENT,
            MessageOutcome.NO_OPEN_ID,
            MessageOutcome.OUTCOME_UNKNOWN,
            MessageOutcome.RECEIPT_FAILED,
        ),
        EventType.MESSAGE_FAILED,
    ),
}


def event_of_message(record: MessageRecord) -> NewEvent | None:
    """Return what is told of a message whose outcome is new; None = nothing. Neither text, place, phone nor plate."""
    message = record.message
    received = message.direction is Direction.IN
    kind = EventType.MESSAGE_RECEIVED if received else _OF_OUTCOME.get(message.outcome)
    if kind is None:
        return None
    data = {
        "u7": message.u7,
        "message": record.number,
        "direction": message.direction.value,
        "kind": str(message.kind),
        "zones": list(message.zones),
        "channel": message.channel,
        "outcome": message.outcome.value,
        "errcode": message.errcode,
    }
    return NewEvent(kind, f"message/{record.number}", message.event_ms, _json(data), message.u7)


def events_of_history(changes: Iterable[HistoryChange], willing: Iterable[int]) -> list[NewEvent]:
    """Return what is told of enters, exits and crosses of who consents to ``history``, and of what did not happen."""
    agreed = set(willing)
    found: list[NewEvent] = []
    for change in changes:
        withdrawn, added = (
            [record for record in part if record.u7 in agreed and record.kind in _OF_TRANSITION]
            for part in (change.withdrawn, change.added)
        )
        found += [_told(record, EventType.ZONE_WITHDRAWN) for record in withdrawn]
        found += [_told(record, _OF_TRANSITION[record.kind]) for record in added]
    return found


def erased_event(u7: int, at_ms: int) -> NewEvent:
    """Return what is told of an erasure, so that the receiver forgets too."""
    return NewEvent(EventType.PERSON_ERASED, f"person/{u7}", at_ms, _json({"u7": u7}), None)


def withdrawn_event(u7: int, at_ms: int) -> NewEvent:
    """Return what is told when somebody agrees no more to a history, so that the receiver forgets it too."""
    return NewEvent(EventType.HISTORY_WITHDRAWN, f"person/{u7}", at_ms, _json({"u7": u7}), u7)


def _told(record: TransitionRecord, kind: EventType) -> NewEvent:
    u7, time_ms = int(record.u7), int(record.time_ms)
    data = {
        "u7": u7,
        "zone": record.zone_id,
        "transition": record.kind.value,
        "reason": record.reason.value,
        "revision": int(record.revision),
    }
    return NewEvent(kind, f"zone/{record.zone_id}", time_ms, _json(data), u7)


def _json(data: Mapping[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
