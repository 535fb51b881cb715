"""Who is at the binding page: states that are good once, and short sessions, in every process on the store."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

from geo_engine.store.shared import PageSession, Shared

__all__ = ["BindSession", "OneTimeStates", "Sessions"]

_STATE_LIFE_MS: Final = 10 * 60_000
_SESSION_LIFE_MS: Final = 20 * 60_000


class OneTimeStates:
    """The ``state`` of an authorisation: ours, of this browser, of the last ten minutes, and used never before.

    Nothing is kept of a state before it comes back, so that asking for many fills nothing. Safe for many threads, and
    for many processes with the same key and store.

    Args:
        key: secret of the signature.
        shared: where states that came back are remembered.
    """

    def __init__(self, key: bytes, shared: Shared) -> None:
        self._key = key
        self._shared = shared

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
        return now_ms < until_ms and self._shared.spend(said, until_ms, now_ms)

    def _signature(self, said: str, browser: str) -> str:
        return _signed(self._key, f"state|{said}|{browser}")


@dataclass(slots=True)
class BindSession:
    """A person at the page, for the time of one request.

    Attributes:
        digest: the session's key in the store.
        open_id: who, as WeChat said.
        csrf: every form carries it; another site cannot know it.
        notices: what the next page says once: (name of a text, what it speaks of).
    """

    digest: str
    open_id: str
    csrf: str
    notices: list[tuple[str, str]] = field(default_factory=list)


class Sessions:
    """Sessions by a random name the browser keeps in a cookie. An erasure of the person ends them.

    Args:
        key: secret of the tokens of forms.
        shared: where they are kept.
    """

    def __init__(self, key: bytes, shared: Shared) -> None:
        self._key = key
        self._shared = shared

    def begin(self, open_id: str, now_ms: int) -> str:
        """Begin a session and return its name."""
        name = secrets.token_urlsafe(24)
        self._shared.begin_session(PageSession(_digest(name), open_id, now_ms + _SESSION_LIFE_MS), now_ms)
        return name

    def find(self, name: str, now_ms: int) -> BindSession | None:
        """Return a session that has not ended."""
        found = self._shared.session(_digest(name), now_ms) if name else None
        if found is None:
            return None
        return BindSession(found.digest, found.open_id, _signed(self._key, f"form|{name}"), list(found.notices))

    def keep_notices(self, session: BindSession) -> None:
        """Keep what the next page says, whichever process shows it."""
        self._shared.set_notices(session.digest, session.notices)

    def end(self, open_id: str) -> None:
        """End every session of a person."""
        self._shared.end_sessions(open_id)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _signed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
