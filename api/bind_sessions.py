"""Who is at the binding page: states that are good once, and short sessions. Kept in memory; a restart ends them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BindSession", "OneTimeStates", "Sessions"]

_STATE_LIFE_MS: Final = 10 * 60_000
_SESSION_LIFE_MS: Final = 20 * 60_000
_MOST: Final = 50_000


class OneTimeStates:
    """The ``state`` of an authorisation: ours, of this browser, of the last ten minutes, and used never before.

    Nothing is kept of a state before it comes back, so that asking for many fills no memory. Safe for many threads.

    Args:
        key: secret of the signature.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}

    def make(self, browser: str, now_ms: int) -> str:
        """Return a state for the browser that holds the token ``browser``: 92 letters and digits at most."""
        said = f"{now_ms + _STATE_LIFE_MS:x}x{secrets.token_hex(8)}"
        return f"{said}x{self._signature(said, browser)}"

    def take(self, state: str, browser: str, now_ms: int) -> bool:
        """Say whether a state is good, and use it up."""
        said, _, signature = state.rpartition("x")
        if not said or not hmac.compare_digest(self._signature(said, browser).encode(), signature.encode()):
            return False
        # Signed by us, so it has the form we gave it.
        until_ms = int(said.partition("x")[0], 16)
        if now_ms >= until_ms:
            return False
        with self._lock:
            self._used = {used: end_ms for used, end_ms in self._used.items() if end_ms > now_ms}
            if said in self._used or len(self._used) >= _MOST:
                return False
            self._used[said] = until_ms
        return True

    def _signature(self, said: str, browser: str) -> str:
        return hmac.new(self._key, f"state|{said}|{browser}".encode(), hashlib.sha256).hexdigest()


@dataclass(slots=True)
class BindSession:
    """A person at the page.

    Attributes:
        open_id: who, as WeChat said.
        until_ms: the session ends then.
        csrf: every form carries it; another site cannot know it.
        notices: what the next page says once: (name of a text, what it speaks of).
    """

    open_id: str
    until_ms: int
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    notices: list[tuple[str, str]] = field(default_factory=list)


class Sessions:
    """Sessions by a random name the browser keeps in a cookie. Safe for many threads; the oldest of too many go."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._open: dict[str, BindSession] = {}

    def begin(self, open_id: str, now_ms: int) -> str:
        """Begin a session and return its name."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if one.until_ms > now_ms}
            while len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[name] = BindSession(open_id, now_ms + _SESSION_LIFE_MS)
        return name

    def find(self, name: str, now_ms: int) -> BindSession | None:
        """Return a session that has not ended."""
        with self._lock:
            found = self._open.get(name)
            return found if found is not None and now_ms < found.until_ms else None

    def end(self, open_id: str) -> None:
        """End every session of a person."""
        with self._lock:
            self._open = {key: one for key, one in self._open.items() if one.open_id != open_id}
