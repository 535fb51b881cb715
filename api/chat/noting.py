"""What of the chat goes into the history of messages: pushes of people, and what they are answered."""

from __future__ import annotations

import logging
from typing import Final

from geo_engine.alerting.message import SendResult
from geo_engine.errors import StoreError
from geo_engine.geodesy.datum import to_wgs84
from geo_engine.store.messages import (
    MESSAGE_KINDS,
    Direction,
    NewMessage,
    OutKind,
    answer_outcome,
    hashed,
    without_code,
)
from geo_engine.store.protocol import Store
from geo_engine.wechat.inbound import (
    AuthorizationEvent,
    Inbound,
    Kind,
    LinkMessage,
    LocationMessage,
    LocationSelectEvent,
    MediaMessage,
    MenuEvent,
    OtherMessage,
    ScanCodeEvent,
    SubscriptionEvent,
    TextMessage,
)

__all__ = ["NOBODY", "PASSIVE", "Notes", "heard", "key_of", "said"]

_log: Final = logging.getLogger(__name__)
PASSIVE: Final = "passive"
"""The channel of what the answer to a push says."""
NOBODY: Final = -1
"""The number of somebody we do not know: of their messages only the tally is kept."""
_MOST_LON: Final = 180.0
_MOST_LAT: Final = 90.0
_PRIVATE: Final = "not kept"
_REPORTS: Final = frozenset((Kind.TEMPLATE_RESULT, Kind.SUBSCRIPTION_RESULT, Kind.PING))
"""What WeChat reports of messages of ours, and positions: no messages of a person."""


class Notes:
    """Gathers what one push led to, and writes it in one transaction.

    Args:
        store: where the history is.
        message: the push.
    """

    def __init__(self, store: Store, message: Inbound) -> None:
        self._store, self._message = store, message
        self._said: list[NewMessage] = []

    def add(self, message: NewMessage) -> None:
        """Gather a message of ours."""
        self._said.append(message)

    def write(self, now_ms: int) -> None:
        """Write the push and what was gathered; done again it changes nothing.

        Raises:
            StoreError: the store is away.
        """
        if self._message.kind in _REPORTS:
            return
        u7 = self._store.u7_of(self._message.openid)
        self._store.messages.note([heard(self._message, NOBODY if u7 is None else u7, now_ms), *self._said])

    def count(self, now_ms: int) -> None:
        """Count the push and keep nothing else of it."""
        if self._message.kind in _REPORTS:
            return
        try:
            self._store.messages.note([heard(self._message, NOBODY, now_ms)])
        except StoreError as error:
            _log.warning("chat: a message is not counted: %s", error)

    def try_write(self, now_ms: int) -> None:
        """Write as ``write`` does; a store that is away is no error here, something else is the matter already."""
        try:
            self.write(now_ms)
        except StoreError as error:
            _log.warning("chat: a message is not in the history yet: %s", error)


def key_of(message: Inbound) -> str:
    """Return the key of a push in the history."""
    return f"in:{hashed(message.key)}"


def heard(message: Inbound, u7: int, now_ms: int) -> NewMessage:
    """Return a push of a person as it is kept."""
    spoken = message.kind.value in MESSAGE_KINDS
    text, title = _content(message)
    lon, lat, datum = _place(message)
    return NewMessage(
        key=key_of(message),
        u7=u7,
        direction=Direction.IN,
        kind=message.kind.value,
        event_ms=message.time_s * 1000,
        recorded_ms=now_ms,
        text=without_code(text),
        title=title,
        lon=lon,
        lat=lat,
        datum=datum,
        why="the person wrote" if spoken else "the person acted",
        channel="callback",
    )


def said(  # noqa: PLR0913 - who, what, when and how
    u7: int,
    text: str,
    result: SendResult,
    *,
    key: str,
    why: str,
    now_ms: int,
    private: bool,
    kind: OutKind,
    cause: str = "",
) -> NewMessage:
    """Return a message of ours as it is kept.

    Args:
        u7: whom it went to.
        text: what it said.
        result: what came of the attempt.
        key: names it; hashed, because keys hold OpenIDs.
        why: why it was sent.
        now_ms: when.
        private: keep none of its words: where somebody else is, or a key.
        kind: what it is.
        cause: the key of the push it answers.
    """
    return NewMessage(
        key=f"out:{hashed(kind.value, key)}",
        u7=u7,
        direction=Direction.OUT,
        kind=kind,
        event_ms=now_ms,
        recorded_ms=now_ms,
        text="" if private else text,
        title=_PRIVATE if private else "",
        why=why,
        cause=cause,
        channel="" if result.channel is None else result.channel.value,
        outcome=answer_outcome(result),
        errcode=result.errcode,
        detail=result.detail,
        msg_id=result.msg_id,
    )


def _content(message: Inbound) -> tuple[str, str]:
    """Return text and title. Scenes of QR codes are left out: they let their reader into a meeting."""
    match message:
        case TextMessage():
            return message.text, ""
        case MediaMessage():
            return message.recognition, ""
        case LinkMessage():
            return f"{message.description} {message.url}".strip(), message.title
        case LocationMessage() | LocationSelectEvent():
            return message.label, message.poi if isinstance(message, LocationSelectEvent) else ""
        case _:
            return "", _done(message)


def _done(message: Inbound) -> str:
    """Return what an event is about in a few words."""
    match message:
        case MenuEvent() | ScanCodeEvent():
            return message.menu_key
        case SubscriptionEvent():
            return ", ".join(f"{item.template_id} {item.status}" for item in message.items)
        case AuthorizationEvent():
            return message.what
        case OtherMessage():
            return message.name
        case _:
            return ""


def _place(message: Inbound) -> tuple[float | None, float | None, str]:
    if not isinstance(message, LocationMessage | LocationSelectEvent):
        return None, None, ""
    if not (abs(message.lon) <= _MOST_LON and abs(message.lat) <= _MOST_LAT):
        return None, None, ""
    lon, lat = to_wgs84([message.lon], [message.lat], message.datum)
    return float(lon[0]), float(lat[0]), message.datum.value
