"""Codes sent to a phone by SMS: six digits, five minutes, five tries; and how often one may be sent.

A code is kept only as a keyed hash (HMAC-SHA-256): a copy of the store does not tell it without the key, though there
are only a million codes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from geo_engine.model import Language

__all__ = [
    "CODE_COUNT",
    "CODE_LIFE_MS",
    "KEEP_SENT_MS",
    "MOST_TRIES",
    "CodeVerdict",
    "PendingCode",
    "SmsSender",
    "code_text",
    "limiter_key",
    "pending_code",
    "verdict",
    "wait_ms",
]

CODE_COUNT: Final = 1_000_000
CODE_LIFE_MS: Final = 5 * 60_000
MOST_TRIES: Final = 5
KEEP_SENT_MS: Final = 86_400_000
"""How long it is kept that a code was sent: the longest span of a limit."""

_LIMITS: Final = ((60_000, 1), (3_600_000, 5), (KEEP_SENT_MS, 10))
"""In any span of so many milliseconds at most so many codes, to a person and to a phone."""
_DIGITS: Final = re.compile(r"[0-9]{6}", re.ASCII)


class CodeVerdict(StrEnum):
    """What becomes of a code somebody typed."""

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    SPENT = "spent"
    """Tried too often: not even the right code counts any more."""
    NONE = "none"
    """No code was sent, or it was used already."""


@dataclass(frozen=True, slots=True)
class PendingCode:
    """A code on its way. The code itself is nowhere in it.

    Attributes:
        u7: who asked for it.
        phone: where it went, eleven digits.
        digest: keyed hash of the code.
        sent_ms: when it was sent.
        tries: how often it was tried, the present try included.
    """

    u7: int
    phone: str
    digest: str
    sent_ms: int
    tries: int = 0


class SmsSender(Protocol):
    """Sends short messages."""

    def send_code(self, phone: str, code: str, language: Language) -> bool:
        """Send a code to a phone of eleven digits and say whether it was taken; keep and log neither of them.

        May block for seconds; never raises for what a gateway answers.
        """
        ...


def pending_code(u7: int, phone: str, code: str, key: bytes, now_ms: int) -> PendingCode:
    """Return what is kept of a code.

    Args:
        u7: who asked for it.
        phone: eleven digits.
        code: six digits.
        key: the secret of the hash.
        now_ms: the moment.
    """
    return PendingCode(u7, phone, _digest(u7, phone, code, now_ms, key), now_ms)


def verdict(pending: PendingCode | None, typed: str, key: bytes, now_ms: int) -> CodeVerdict:
    """Judge a code somebody typed; ``pending`` counts this try already. Spaces and full-width digits are understood.

    A clock that was set back makes no code live longer than its tries.
    """
    if pending is None:
        return CodeVerdict.NONE
    if pending.tries > MOST_TRIES:
        return CodeVerdict.SPENT
    if now_ms >= pending.sent_ms + CODE_LIFE_MS:
        return CodeVerdict.EXPIRED
    code = "".join(unicodedata.normalize("NFKC", typed).split())
    expected = _digest(pending.u7, pending.phone, code, pending.sent_ms, key)
    if _DIGITS.fullmatch(code) and hmac.compare_digest(expected, pending.digest):
        return CodeVerdict.RIGHT
    return CodeVerdict.WRONG


def wait_ms(sent_ms: Sequence[int], now_ms: int) -> int:
    """Return how long to wait for the next code, 0 = it may be sent now.

    Args:
        sent_ms: when codes were sent to the same person, or to the same phone, of the last ``KEEP_SENT_MS``; in order.
        now_ms: the moment.
    """
    waits = [0]
    for span_ms, most in _LIMITS:
        recent = [at_ms for at_ms in sent_ms if at_ms > now_ms - span_ms]
        if len(recent) >= most:
            waits.append(recent[-most] + span_ms - now_ms)
    return max(waits)


def limiter_key(kind: str, value: str, key: bytes) -> str:
    """Return the name under which it is counted how often a person (``u7``) or a phone was sent a code.

    It is a keyed hash too: what is counted of a phone outlives an erasure for a day, and must not name anybody.
    """
    return hmac.new(key, f"{kind}|{value}".encode(), hashlib.sha256).hexdigest()


def code_text(code: str, language: Language) -> str:
    """Return the text of the short message."""
    if language is Language.EN:
        return f"Your code is {code}, valid for 5 minutes. Tell it to nobody."
    return f"您的验证码是{code}，5分钟内有效，请勿告知他人。"


def _digest(u7: int, phone: str, code: str, sent_ms: int, key: bytes) -> str:
    return hmac.new(key, f"code|{u7}|{phone}|{code}|{sent_ms}".encode(), hashlib.sha256).hexdigest()
