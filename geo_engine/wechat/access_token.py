"""The one owner of an account's access token: cached, renewed by one thread at a time, never in a loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from geo_engine.alerting.message import Outcome, SendResult

__all__ = ["TokenError", "TokenGrant", "TokenOwner"]

_RENEW_BEFORE_MS: Final = 300_000
_FORCE_GAP_MS: Final = 30_000


@dataclass(frozen=True, slots=True, repr=False)
class TokenGrant:
    """A token as the server gave it; it has no readable repr so that it cannot slip into a log.

    Attributes:
        value: the token.
        lifetime_ms: milliseconds until it expires.
    """

    value: str
    lifetime_ms: int


class TokenError(Exception):
    """No token could be had; ``result`` is what that means for the message that needed one."""

    def __init__(self, result: SendResult) -> None:
        """Keep the result; the message holds its detail, never a token."""
        self.result = result
        super().__init__(result.detail)


class TokenOwner:
    """Hands out the current token of ``stable_token`` and replaces one that was refused.

    ``stable_token`` gives every process the same token, so no shared store is needed. Its forced renewal is limited
    to 20 a day and one per 30 s; therefore a refused token is first asked for again in the normal way (another
    process may have renewed it already) and forced only when the server still hands out the refused one.

    Args:
        fetch: gets a token; True forces the server to make a new one. Raises ``TokenError``. It must end by itself
            (time limit), because the others wait for it.
        clock: milliseconds; only differences count.
    """

    def __init__(self, fetch: Callable[[bool], TokenGrant], clock: Callable[[], int]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._value: str | None = None
        self._renew_at_ms = 0
        self._forced_at_ms: int | None = None
        self._failures = 0
        self._failure = SendResult(Outcome.RETRY)

    def current(self) -> str:
        """Return a token that is good for now.

        Raises:
            TokenError: the server did not give one.
        """
        return self._obtain(refused=None)

    def replace(self, refused: str) -> str:
        """Return another token than ``refused``; many callers with the same refused token cause one renewal.

        Raises:
            TokenError: the server did not give one, or the last forced renewal is less than 30 s ago.
        """
        return self._obtain(refused)

    def _obtain(self, refused: str | None) -> str:
        failures_before = self._failures
        with self._lock:
            if self._value is not None and self._value != refused and self._clock() < self._renew_at_ms:
                return self._value
            # Whoever waited for a renewal that failed shares its failure instead of queueing up for the next one.
            if self._failures != failures_before:
                raise TokenError(self._failure)
            try:
                return self._renew(refused)
            except TokenError as error:
                self._failures += 1
                self._failure = error.result
                raise

    def _renew(self, refused: str | None) -> str:
        grant = self._fetch(False)
        if grant.value == refused:
            grant = self._force()
        margin_ms = min(_RENEW_BEFORE_MS, grant.lifetime_ms // 2)
        self._value = grant.value
        self._renew_at_ms = self._clock() + grant.lifetime_ms - margin_ms
        return grant.value

    def _force(self) -> TokenGrant:
        now_ms = self._clock()
        if self._forced_at_ms is not None and now_ms - self._forced_at_ms < _FORCE_GAP_MS:
            wait_s = (self._forced_at_ms + _FORCE_GAP_MS - now_ms) / 1_000
            detail = "token refused again less than 30 s after its forced renewal"
            raise TokenError(SendResult(Outcome.RETRY, errcode=40001, detail=detail, retry_after_s=wait_s))
        self._forced_at_ms = now_ms
        return self._fetch(True)
