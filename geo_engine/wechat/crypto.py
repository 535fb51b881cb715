"""WeChat's signature and the cipher of its safe mode, both ways.

Safe mode (Tencent, message push encryption): AES-256-CBC, key = base64(EncodingAESKey + "="), IV = the first 16 bytes
of the key, PKCS#7 with blocks of **32** bytes; the plaintext is 16 random bytes, the length of the message as four
bytes in network order, the message, the app id. The signature of a sealed push covers the sealed text.

The cipher is ``cryptography``'s: wechatpy asks for it, so it is pinned already and costs no further package; OpenSSL
below it uses the processor's own AES.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from geo_engine.errors import ConfigurationError, GeoEngineError

__all__ = ["CipherError", "Opened", "Sealer", "decode_aes_key", "page_signature", "same_text", "signature"]

_KEY_TEXT: Final = re.compile(r"[A-Za-z0-9+/]{43}")
_BLOCK: Final = 32
_HEAD: Final = 20
"""Random bytes and length before the message."""
_RANDOM: Final = 16


class CipherError(GeoEngineError):
    """A sealed text that none of our keys opens. It never says why: the reason would help whoever forges one."""

    def __init__(self) -> None:
        """Say the one thing that may be said."""
        super().__init__("sealed message: found one that our keys do not open, expected one sealed for this account")


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened message, and which key opened it: 0 is the current one, 1 the one before. An answer uses the same."""

    message: bytes
    key: int


def signature(token: str, *parts: str) -> str:
    """Return WeChat's signature in lower-case hexadecimal: SHA-1 of token and parts, sorted as strings and joined.

    The parts are timestamp and nonce, of a sealed push also the sealed text (then it is the ``msg_signature``).
    """
    joined = "".join(sorted((token, *parts)))
    return hashlib.sha1(joined.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def page_signature(ticket: str, nonce: str, timestamp_s: int, url: str) -> str:
    """Return the signature ``wx.config`` wants of a page that uses the JS-SDK, in lower-case hexadecimal.

    The binding page has one where it offers subscription templates.

    Args:
        ticket: the account's ``jsapi_ticket``.
        nonce: the page's ``nonceStr``.
        timestamp_s: epoch seconds.
        url: the page's address as the browser has it; what follows ``#`` does not count.
    """
    page = url.partition("#")[0]
    joined = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp_s}&url={page}"
    return hashlib.sha1(joined.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def same_text(expected: str, given: str) -> bool:
    """Compare a secret with what somebody sent, in a time that does not depend on where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def decode_aes_key(text: str) -> bytes:
    """Return the 32 bytes of an EncodingAESKey.

    Raises:
        ConfigurationError: it is not 43 letters and digits (base64 without its last ``=``). The key is not shown.
    """
    if _KEY_TEXT.fullmatch(text) is None:
        message = f"EncodingAESKey: found a text of {len(text)} characters, expected 43 of A-Z, a-z, 0-9, + and /"
        raise ConfigurationError(message)
    return base64.b64decode(text + "=")


class Sealer:
    """Opens and seals messages of one account. Holds no state; safe for many threads.

    Args:
        app_id: the account's app id; a message that names another one is refused.
        keys: EncodingAESKeys, the current one first, then the one before while a change is under way.

    Raises:
        ConfigurationError: there is no key, a key is malformed, or the app id is empty.
    """

    def __init__(self, app_id: str, keys: Sequence[str]) -> None:
        if not app_id or not keys:
            message = "WeChat callback: found no app id or no EncodingAESKey, expected both"
            raise ConfigurationError(message)
        self._app_id = app_id.encode()
        self._ciphers = [_cipher(decode_aes_key(key)) for key in keys]

    def __repr__(self) -> str:
        """Return what an operator may see."""
        return f"Sealer(app_id={self._app_id.decode()!r}, keys={len(self._ciphers)})"

    def open(self, sealed: str) -> Opened:
        """Return the message in a sealed text; each key is tried in turn. About 5 us for an event of 600 bytes.

        Check its signature first: an answer to a forged text tells the forger something.

        Raises:
            CipherError: it is no base64, has no whole blocks, wrong padding, length or app id under every key.
        """
        try:
            raw = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise CipherError from None
        if raw and len(raw) % _BLOCK == 0:
            for number, cipher in enumerate(self._ciphers):
                decryptor = cipher.decryptor()
                message = _unpacked(decryptor.update(raw) + decryptor.finalize(), self._app_id)
                if message is not None:
                    return Opened(message, number)
        raise CipherError

    def seal(self, message: bytes, random16: bytes, *, key: int = 0) -> str:
        """Return ``message`` sealed under a key.

        Args:
            message: UTF-8 XML.
            random16: 16 unpredictable bytes; they keep equal messages from looking equal.
            key: which key, as ``open`` told.

        Raises:
            ValueError: there are not 16 random bytes.
        """
        if len(random16) != _RANDOM:
            error = f"random16: found {len(random16)} bytes, expected {_RANDOM}"
            raise ValueError(error)
        plain = random16 + len(message).to_bytes(4, "big") + message + self._app_id
        fill = _BLOCK - len(plain) % _BLOCK
        encryptor = self._ciphers[key].encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([fill]) * fill) + encryptor.finalize()).decode()


def _cipher(key: bytes) -> Cipher[CBC]:
    return Cipher(AES256(key), CBC(key[:16]))


def _unpacked(plain: bytes, app_id: bytes) -> bytes | None:
    """Return the message in a deciphered text, None when padding, length or app id is not what it must be."""
    fill = plain[-1]
    if not 1 <= fill <= _BLOCK or plain[-fill:] != bytes([fill]) * fill:
        return None
    end = len(plain) - fill - len(app_id)
    length = int.from_bytes(plain[_RANDOM:_HEAD], "big")
    if end != _HEAD + length or not hmac.compare_digest(plain[end : end + len(app_id)], app_id):
        return None
    return plain[_HEAD:end]
