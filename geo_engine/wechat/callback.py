"""The door of the callback: is a push WeChat's, is it fresh, is it new, and what does it say. No I/O, no clock.

A push is signed over token, timestamp and nonce; in safe mode the signature covers the sealed text too, in plain mode
nothing of the body. Tencent sets no age limit: ours is 300 s either way, and within it a signature is good for one
message only (repeats of that message pass, they are WeChat's own retries).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.crypto import CipherError, Sealer, same_text, signature
from geo_engine.wechat.inbound import Inbound
from geo_engine.wechat.push_tree import Element, PushError, PushReason, parse_json, parse_xml
from geo_engine.wechat.reading import read_push, read_tree
from geo_engine.wechat.replies import sealed_reply, text_reply
from geo_engine.wechat.seen import SeenCache

__all__ = ["MAX_CALLBACK_BYTES", "Callback", "Push", "parse_query"]

MAX_CALLBACK_BYTES: Final = 64 * 1024
"""Real pushes are below 1 KiB; a text message can be a few."""

_FRESH_S: Final = 300
_REMEMBERED: Final = 1 << 18
_MOST_PARAMETERS: Final = 20
_ESCAPED: Final = re.compile(rb"[%+;\x80-\xff]")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_BLANKS: Final = " \t\r\n"
_ENVELOPE: Final = re.compile(
    rb"[ \t\r\n]*<xml>[ \t\r\n]*"
    rb"<ToUserName><!\[CDATA\[[A-Za-z0-9_@.-]{1,64}\]\]></ToUserName>[ \t\r\n]*"
    rb"<Encrypt><!\[CDATA\[([A-Za-z0-9+/=]+)\]\]></Encrypt>[ \t\r\n]*"
    rb"</xml>[ \t\r\n]*\Z"
)


@dataclass(frozen=True, slots=True)
class Push:
    """A push that was taken.

    Attributes:
        message: what it says.
        key: the EncodingAESKey that opened it and seals an answer (0 = the current one), None = plain.
    """

    message: Inbound
    key: int | None


def parse_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query string, none when there are absurdly many; of a repeated one the first counts.

    What was signed and what is used come from this one reading.
    """
    if _ESCAPED.search(query) is None and query.count(b"&") < _MOST_PARAMETERS:
        # WeChat's own: nothing to decode. The same as below at a fifth of the cost.
        split = (one.partition("=") for one in query.decode("latin-1").split("&") if one)
        return dict(reversed([(name, value) for name, _equals, value in split]))
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


class Callback:
    """Checks and opens pushes of one account. One event loop owns it: what it remembers is not locked.

    Args:
        token: the token that signs.
        sealer: opens sealed pushes; None only where plain ones are allowed.
        plain: take pushes that are not sealed as well. Their body is not signed: whoever sees one push on its way can
            send another in its place, so this is for tests and for a closed network.

    Raises:
        ConfigurationError: the token is empty, or neither sealed nor plain pushes could be taken.
    """

    def __init__(self, token: str, sealer: Sealer | None, *, plain: bool = False) -> None:
        if not token:
            message = "WeChat callback: found an empty token, expected the account's"
            raise ConfigurationError(message)
        if sealer is None and not plain:
            message = "WeChat callback: found no EncodingAESKey, expected one, or plain pushes allowed by a setting"
            raise ConfigurationError(message)
        self._token = token
        self._sealer = sealer
        self._plain = plain
        # Both sides of the limit: a timestamp may be 300 s ahead and is then good for 600 s.
        self._nonces = SeenCache(2 * _FRESH_S * 1000, _REMEMBERED)
        self._keys = SeenCache(2 * _FRESH_S * 1000, _REMEMBERED)

    def check(self, query: Mapping[str, str], now_ms: int) -> None:
        """Return when the query carries WeChat's signature and is at most 300 s away from now.

        Raises:
            PushError: it does not.
        """
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        if _TIMESTAMP.fullmatch(timestamp) is None or not same_text(
            signature(self._token, timestamp, nonce), query.get("signature", "")
        ):
            raise PushError(PushReason.UNSIGNED, "signature: found none that fits, expected one by the account's token")
        if abs(now_ms - int(timestamp) * 1000) > _FRESH_S * 1000:
            message = f"timestamp: found one more than {_FRESH_S} s away, expected a fresh one"
            raise PushError(PushReason.STALE, message)

    def read(self, query: Mapping[str, str], body: bytes, *, is_json: bool, now_ms: int) -> Push:
        """Return the message of a push whose query was checked.

        Cost: about 12 us for a sealed LOCATION event.

        Raises:
            PushError: it is too large, not sealed as it must be, used before, or not readable.
        """
        if len(body) > MAX_CALLBACK_BYTES:
            message = f"body: found more than {MAX_CALLBACK_BYTES} bytes, expected a push"
            raise PushError(PushReason.TOO_LARGE, message)
        key: int | None = None
        if query.get("encrypt_type", "raw") == "raw":
            message_read = self._read_plain(body, is_json=is_json)
        else:
            opened, key = self._open(query, body, is_json=is_json)
            message_read = read_push(opened, is_json=is_json)
        nonce = f"{query['timestamp']}:{query.get('nonce', '')}"
        used_for = self._nonces.get(nonce, now_ms)
        if used_for is None:
            self._nonces.add(nonce, message_read.key, now_ms)
        elif used_for != message_read.key:
            message = "nonce: found one that was used for another message, expected a new one"
            raise PushError(PushReason.REPLAYED, message)
        return Push(message_read, key)

    def is_repeat(self, push: Push, now_ms: int) -> bool:
        """Say whether this message was taken a short while ago; the journal knows those of longer ago."""
        return self._keys.get(push.message.key, now_ms) is not None

    def reply(self, push: Push, text: str, *, now_s: int, random16: bytes) -> bytes:
        """Return a text as the answer to a push, sealed if the push was, with the key it came with.

        Args:
            push: one whose kind may be answered.
            text: cut to 2,048 bytes.
            now_s: epoch seconds.
            random16: 16 unpredictable bytes.

        Raises:
            ValueError: a push of this kind may not be answered.
        """
        plain = text_reply(push.message, text, now_s=now_s)
        if push.key is None or self._sealer is None:
            return plain
        return sealed_reply(plain, self._sealer, key=push.key, token=self._token, now_s=now_s, random16=random16)

    def taken(self, push: Push, now_ms: int) -> None:
        """Note that a message is on disk. Not before: until then a repeat is the only copy there may be."""
        self._keys.add(push.message.key, "", now_ms)

    def _read_plain(self, body: bytes, *, is_json: bool) -> Inbound:
        if not self._plain:
            raise PushError(PushReason.PLAIN, "body: found a plain push, expected a sealed one (safe mode)")
        root = parse_json(body) if is_json else None
        if root is None:
            # The lean reader's layout has no place for a sealed text.
            if b"Encrypt" not in body:
                return read_push(body)
            root = parse_xml(body)
        if root.all("Encrypt"):
            # In compatible mode the plain fields beside it are covered by no signature.
            message = "encrypt_type: found none beside a sealed text, expected aes"
            raise PushError(PushReason.PLAIN, message)
        return read_tree(root)

    def _open(self, query: Mapping[str, str], body: bytes, *, is_json: bool) -> tuple[bytes, int]:
        sealed = _sealed_text(body, is_json=is_json)
        expected = signature(self._token, query["timestamp"], query.get("nonce", ""), sealed)
        if not same_text(expected, query.get("msg_signature", "")):
            message = "msg_signature: found none that fits, expected one by the account's token"
            raise PushError(PushReason.UNSIGNED, message)
        if self._sealer is None:
            raise PushError(
                PushReason.SEALED_WRONG, "body: found a sealed push, expected a plain one (no EncodingAESKey)"
            )
        try:
            opened = self._sealer.open(sealed)
        except CipherError as error:
            raise PushError(PushReason.SEALED_WRONG, str(error)) from None
        return opened.message, opened.key


def _sealed_text(body: bytes, *, is_json: bool) -> str:
    """Return the sealed text of an envelope, and nothing else of it: only that is signed."""
    found = None if is_json else _ENVELOPE.match(body)
    if found is not None:
        return found[1].decode("ascii")
    root: Element = parse_json(body) if is_json else parse_xml(body)
    return root.text("Encrypt").strip(_BLANKS)
