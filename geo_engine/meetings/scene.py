"""The signed scene of a meeting's QR code: who scans it joins, who invents one does not.

``m.<meeting id>.<expiry>.<signature>``: 43 characters, WeChat allows 64. The expiry is in seconds, base 36; the
signature is the first 128 bits of HMAC-SHA256 over what stands before it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from geo_engine.meetings.meeting import Refusal

__all__ = ["MAX_SCENE", "meeting_id_of", "read_scene", "scene_of"]

MAX_SCENE: Final = 64
"""The longest scene of a QR code that WeChat takes."""

_PREFIX: Final = "qrscene_"
_SHAPE: Final = re.compile(r"m\.([A-Za-z0-9_-]{11})\.([0-9a-z]{1,8})\.([A-Za-z0-9_-]{22})", re.ASCII)
_ID_BYTES: Final = 8
_SIGNED_BYTES: Final = 16
_KEY_BYTES: Final = 16


def meeting_id_of(random: bytes) -> str:
    """Return the id that 8 random bytes make.

    Raises:
        ValueError: there are fewer bytes.
    """
    if len(random) < _ID_BYTES:
        message = f"found {len(random)} random bytes, expected {_ID_BYTES}"
        raise ValueError(message)
    return _text(random[:_ID_BYTES])


def scene_of(meeting_id: str, expires_ms: int, key: bytes) -> str:
    """Return the scene that lets people join a meeting until a moment.

    Raises:
        ValueError: the key is shorter than 128 bits.
    """
    if len(key) < _KEY_BYTES:
        message = f"found a key of {len(key)} bytes, expected at least {_KEY_BYTES}"
        raise ValueError(message)
    signed = f"m.{meeting_id}.{_base36(expires_ms // 1000)}"
    return f"{signed}.{_signature(signed, key)}"


def read_scene(scene: str, keys: Sequence[bytes], now_ms: int) -> str | Refusal:
    """Return the meeting id in a scene, or why it is none: ``UNKNOWN`` or ``SCENE_EXPIRED``.

    Args:
        scene: as WeChat reports it: bare after a SCAN, with ``qrscene_`` before it after a subscribe.
        keys: the key and those it replaced.
        now_ms: the moment.
    """
    found = _SHAPE.fullmatch(scene.removeprefix(_PREFIX))
    if found is None:
        return Refusal.UNKNOWN
    signed = f"m.{found[1]}.{found[2]}"
    given = found[3].encode()
    if not any(hmac.compare_digest(_signature(signed, key).encode(), given) for key in keys):
        return Refusal.UNKNOWN
    return found[1] if now_ms < int(found[2], 36) * 1000 else Refusal.SCENE_EXPIRED


def _signature(signed: str, key: bytes) -> str:
    return _text(hmac.new(key, signed.encode(), hashlib.sha256).digest()[:_SIGNED_BYTES])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"
