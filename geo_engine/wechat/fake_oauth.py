"""Web authorisation at the fake WeChat server: who is at the phone, and codes that are good once, for five minutes."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Final

__all__ = ["FakeOAuth", "FakeVisitor"]

_LIFE_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class FakeVisitor:
    """Whoever opens pages in the fake WeChat.

    Attributes:
        open_id: their OpenID.
        snapshot: WeChat shows the page as a snapshot, with a virtual account.
    """

    open_id: str
    snapshot: bool = False


class FakeOAuth:
    """Issues codes and trades each for its visitor once. Safe for several threads."""

    def __init__(self) -> None:
        """Start with nobody at the phone."""
        self.at_the_phone: FakeVisitor | None = None
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[FakeVisitor, int]] = {}
        self._used: set[str] = set()

    def issue(self, visitor: FakeVisitor, now_ms: int) -> str:
        """Return a code for a visitor."""
        with self._lock:
            number = len(self._issued) + len(self._used)
            code = hashlib.sha256(f"{now_ms}-{number}".encode()).hexdigest()[:32]
            self._issued[code] = (visitor, now_ms)
            return code

    def trade(self, code: str, now_ms: int) -> FakeVisitor | int:
        """Return whose code it is, or the errcode: 40163 = it was used, 40029 = unknown or too old."""
        with self._lock:
            if code in self._used:
                return 40163
            visitor, issued_ms = self._issued.pop(code, (None, 0))
            if visitor is None:
                return 40029
            self._used.add(code)
            return visitor if now_ms < issued_ms + _LIFE_MS else 40029
