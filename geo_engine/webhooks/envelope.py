"""The envelope of events: CloudEvents 1.0 in structured JSON mode (https://github.com/cloudevents/spec)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

__all__ = ["CONTENT_TYPE", "envelope"]

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def envelope(*, event_id: str, source: str, kind: str, subject: str, time_ms: int, data: str) -> bytes:
    """Return the body of an event; the same values give the same bytes.

    Args:
        event_id: of the event; with ``source`` it is unique.
        source: URI of whoever tells it.
        kind: its type.
        subject: what it is about.
        time_ms: when that happened, epoch milliseconds.
        data: a JSON object.
    """
    moment = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": moment.replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": json.loads(data),
    }
    return json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode()
