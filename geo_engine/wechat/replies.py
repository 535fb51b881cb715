"""Answers in the body of a callback's response: the one passive reply to a message, or nothing.

They cost no quota and open no window, but must be ready within the 5 s of the push. Source: Tencent, passive replies;
2,048 bytes of text are what holds in the field (fact sheet, 1.3). Nothing else may be sent as XML: a LOCATION event and
most others take ``success`` only.
"""

from __future__ import annotations

from typing import Final

from geo_engine.wechat.conversation.limits import cut_text
from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.inbound import Inbound, Kind

__all__ = ["NOTHING", "may_answer", "sealed_reply", "text_reply"]

NOTHING: Final = b"success"
"""The answer that says "taken, no reply": exactly these bytes, never sealed."""

_ANSWERED: Final = frozenset(
    {
        Kind.TEXT,
        Kind.IMAGE,
        Kind.VOICE,
        Kind.VIDEO,
        Kind.SHORTVIDEO,
        Kind.LINK,
        Kind.LOCATION,
        Kind.SUBSCRIBE,
        Kind.SCAN,
        Kind.CLICK,
        Kind.SCANCODE_WAITMSG,
    }
)


def may_answer(kind: Kind) -> bool:
    """Say whether a push of this kind may be answered with a message."""
    return kind in _ANSWERED


def text_reply(message: Inbound, text: str, *, now_s: int) -> bytes:
    """Return a text as the answer to ``message``, cut to 2,048 bytes; sender and addressee change places.

    Raises:
        ValueError: a push of this kind may not be answered.
    """
    return _reply(message, "text", _tag("Content", cut_text(text)), now_s)


def sealed_reply(reply: bytes, sealer: Sealer, *, key: int, token: str, now_s: int, random16: bytes) -> bytes:
    """Return a reply sealed for safe mode.

    Args:
        reply: what ``text_reply`` gave.
        sealer: of the account.
        key: the key that opened the message.
        token: signs it.
        now_s: epoch seconds.
        random16: 16 unpredictable bytes; the nonce comes from them too.
    """
    sealed = sealer.seal(reply, random16, key=key)
    # The nonce is public and the random bytes are not: it must not give them away.
    nonce = signature("nonce", random16.hex())[:16]
    signed = signature(token, str(now_s), nonce, sealed)
    return (
        f"<xml>{_tag('Encrypt', sealed)}{_tag('MsgSignature', signed)}"
        f"<TimeStamp>{now_s}</TimeStamp>{_tag('Nonce', nonce)}</xml>"
    ).encode()


def _reply(message: Inbound, msg_type: str, content: str, now_s: int) -> bytes:
    if not may_answer(message.kind):
        error = f"reply: found a push of kind {message.kind.value}, expected one that may be answered"
        raise ValueError(error)
    head = _tag("ToUserName", message.openid) + _tag("FromUserName", message.account)
    return f"<xml>{head}<CreateTime>{now_s}</CreateTime>{_tag('MsgType', msg_type)}{content}</xml>".encode()


def _tag(name: str, text: str) -> str:
    """Return a text element. ``]]>`` would end its CDATA, so it is split over two; what XML cannot hold is left out."""
    kept = "".join(char for char in text if _is_xml(char))
    inside = kept.replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{inside}]]></{name}>"


def _is_xml(char: str) -> bool:
    return char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"
