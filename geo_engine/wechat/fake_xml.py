"""The documents WeChat pushes: messages, events and receipts as XML, and the envelope of a sealed one.

Written from Tencent's pages, not from our readers, so that a mistake there is not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from geo_engine.wechat.fake_model import Delivery

__all__ = ["ACCOUNT", "Pushed", "envelope", "event", "message", "receipt"]

ACCOUNT: Final = "gh_fake_account"
"""The account's own name, to whom people write."""

_Field = str | int | float | Mapping[str, object]
_MAY_ANSWER: Final = frozenset(
    {
        "text",
        "image",
        "voice",
        "video",
        "shortvideo",
        "location",
        "link",
        "subscribe",
        "SCAN",
        "CLICK",
        "scancode_waitmsg",
    }
)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A document to push.

    Attributes:
        kind: the type of a message, the name of an event.
        open_id: whom it is about.
        body: the XML without its last tag, so that an envelope can stand beside it.
    """

    kind: str
    open_id: str
    body: str

    @property
    def may_be_answered(self) -> bool:
        """Say whether the account may answer it with a message; everything else takes ``success`` only."""
        return self.kind in _MAY_ANSWER

    def document(self, beside: str = "") -> bytes:
        """Return the whole document; ``beside`` is what compatible mode adds."""
        return f"{self.body}{beside}</xml>".encode()


def message(open_id: str, time_ms: int, kind: str, fields: Mapping[str, _Field], msg_id: int) -> Pushed:
    """Return a message of a person."""
    return Pushed(kind, open_id, _head(open_id, time_ms, kind) + _fields(fields) + f"<MsgId>{msg_id}</MsgId>")


def event(open_id: str, time_ms: int, name: str, fields: Mapping[str, _Field], *, sender: str = "") -> Pushed:
    """Return an event; its sender is the person, but where authorisations change."""
    return Pushed(name, open_id, _head(sender or open_id, time_ms, "event") + _fields({"Event": name, **fields}))


def receipt(delivery: Delivery, status: str = "success") -> Pushed | None:
    """Return what tells the account that a message arrived; nothing tells that of other messages."""
    if delivery.channel == "template":
        fields: dict[str, _Field] = {"MsgID": delivery.msgid, "Status": status}
        return event(delivery.open_id, delivery.time_ms, "TEMPLATESENDJOBFINISH", fields)
    if delivery.channel == "subscription":
        item = {"TemplateId": delivery.template_id, "MsgID": delivery.msgid, "ErrorCode": 0, "ErrorStatus": status}
        sent = {"SubscribeMsgSentEvent": {"List": item}}
        return event(delivery.open_id, delivery.time_ms, "subscribe_msg_sent_event", sent)
    return None


def envelope(sealed: str) -> str:
    """Return the element that holds a sealed document."""
    return f"<Encrypt>{_text(sealed)}</Encrypt>"


def _head(open_id: str, time_ms: int, msg_type: str) -> str:
    return "<xml>" + _fields(
        {"ToUserName": ACCOUNT, "FromUserName": open_id, "CreateTime": time_ms // 1000, "MsgType": msg_type}
    )


def _fields(fields: Mapping[str, object]) -> str:
    return "".join(f"<{name}>{_value(value)}</{name}>" for name, value in fields.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return _fields(value)
    # Six decimals are what WeChat writes: 0.1 m.
    return f"{value:.6f}" if isinstance(value, float) else _text(value) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    inside = text.replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{inside}]]>"
