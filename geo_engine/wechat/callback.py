"""What WeChat pushes to the account: the signature check and the receipt of a template message.

The whole conversation (messages, consent, safe mode) comes with a later release; until then every other push is
acknowledged and left alone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

__all__ = ["MAX_CALLBACK_BYTES", "Receipt", "is_signed", "parse_receipt"]

MAX_CALLBACK_BYTES: Final = 64 * 1024
_FRESH_S: Final = 300


@dataclass(frozen=True, slots=True)
class Receipt:
    """TEMPLATESENDJOBFINISH: what became of a message the channel had taken."""

    msg_id: str
    status: str


def is_signed(query: Mapping[str, str], token: str, *, now_s: float) -> bool:
    """Say whether a push carries WeChat's signature and is at most 300 s away from ``now_s``.

    The signature is SHA-1 over token, timestamp and nonce, sorted as strings and joined (Tencent, message push
    encryption). The age limit is ours: without it one captured push would be valid for ever.
    """
    timestamp, nonce, given = (query.get(name, "") for name in ("timestamp", "nonce", "signature"))
    if not timestamp.isascii() or not timestamp.isdecimal() or abs(now_s - int(timestamp[:12])) > _FRESH_S:
        return False
    joined = "".join(sorted((token, timestamp, nonce))).encode()
    expected = hashlib.sha1(joined, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), given.encode())


def parse_receipt(body: bytes) -> Receipt | None:
    """Return the receipt in a pushed XML document, None when it is something else or not readable.

    Documents with a DOCTYPE are never parsed, so no entity can be declared; the caller caps the size.
    """
    if len(body) > MAX_CALLBACK_BYTES:
        return None
    try:
        # Decoded by us: in another encoding a DOCTYPE would not be seen.
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return None
        root = ElementTree.fromstring(text)  # noqa: S314 - no DOCTYPE, no entities, capped size
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    event, msg_id, status = (root.findtext(name, "").strip() for name in ("Event", "MsgID", "Status"))
    return Receipt(msg_id[:64], status[:100]) if event == "TEMPLATESENDJOBFINISH" and msg_id else None
