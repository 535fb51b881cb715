"""The one owner of an account's access token: cached, shared, renewed by one at a time, never in a loop.

The ticket of pages (``jsapi_ticket``) has the same life and is kept the same way, by an owner of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.alerting.reach import SharedToken, TokenShelf
from geo_engine.errors import StoreError

__all__ = ["TokenError", "TokenGrant", "TokenOwner"]

_RENEW_BEFORE_MS: Final = 300_000
_FORCE_GAP_MS: Final = 30_000
_LEASE_MS: Final = 15_000
"""Two calls of 5 s, and then some."""
_LOOK_EVERY_S: Final = 0.05


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

    ``stable_token`` gives every process the same token, but each call counts, and its forced renewal is limited to 20
    a day and one per 30 s. Therefore a refused token is first asked for again in the normal way (somebody else may
    have renewed it already) and forced only when the server still hands out the refused one. With a ``shelf`` the
    processes of the account share one token: whoever renews it leases the right to do so by compare-and-swap, the
    others wait and take what it wrote.

    Args:
        fetch: gets a token; True forces the server to make a new one. Raises ``TokenError``. It must end by itself
            (time limit), because the others wait for it.
        clock: milliseconds; only differences count, but with a ``shelf`` it must be one that all processes share.
        shelf: where the token is shared, None = this process is alone.
        account: whose token it is; names it on the shelf.
        lease_ms: how long one renewal may take, all its calls together.
        wait: pauses for some seconds between two looks at a renewal of another process.
    """

    def __init__(
        self,
        fetch: Callable[[bool], TokenGrant],
        clock: Callable[[], int],
        *,
        shelf: TokenShelf | None = None,
        account: str = "",
        lease_ms: int = _LEASE_MS,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._shelf: TokenShelf = _OwnShelf() if shelf is None else shelf
        self._account = account
        self._lease_ms = lease_ms
        self._pause = wait
        self._lock = threading.Lock()
        self._known = SharedToken()
        self._failures = 0
        self._failure = SendResult(Outcome.RETRY)

    def current(self) -> str:
        """Return a token that is good for now.

        Raises:
            TokenError: the server did not give one, or the shelf is away.
        """
        return self._obtain(refused=None)

    def replace(self, refused: str) -> str:
        """Return another token than ``refused``; many callers with the same refused token cause one renewal.

        Raises:
            TokenError: the server did not give one, the last forced renewal is less than 30 s ago, or the shelf is
                away.
        """
        return self._obtain(refused)

    def _obtain(self, refused: str | None) -> str:
        failures_before = self._failures
        with self._lock:
            if self._is_good(self._known, refused):
                return self._known.value
            # Whoever waited for a renewal that failed shares its failure instead of queueing up for the next one.
            if self._failures != failures_before:
                raise TokenError(self._failure)
            try:
                self._known = self._renewed(refused)
            except StoreError as error:
                self._failures += 1
                self._failure = SendResult(Outcome.RETRY, detail="token: the store is away")
                raise TokenError(self._failure) from error
            except TokenError as error:
                self._failures += 1
                self._failure = error.result
                raise
            return self._known.value

    def _is_good(self, token: SharedToken, refused: str | None) -> bool:
        return bool(token.value) and token.value != refused and self._clock() < token.renew_at_ms

    def _renewed(self, refused: str | None) -> SharedToken:
        """Return the token of the shelf once it is good, renewed by whoever gets the lease."""
        give_up_ms = self._clock() + 2 * self._lease_ms
        while self._clock() < give_up_ms:
            seen = self._shelf.shared_token(self._account)
            if self._is_good(seen, refused):
                return seen
            now_ms = self._clock()
            if seen.lease_until_ms > now_ms:
                self._pause(_LOOK_EVERY_S)
                continue
            if seen.value == refused:
                # Before any call: thousands of refusals of one token must not become thousands of calls.
                self._may_force(seen.forced_at_ms)
            leased = replace(seen, lease_until_ms=now_ms + self._lease_ms, version=seen.version + 1)
            if self._shelf.swap_token(self._account, leased, seen=seen.version):
                return self._renew(leased, refused)
        raise TokenError(SendResult(Outcome.RETRY, detail="token: another process is renewing it and does not end"))

    def _renew(self, leased: SharedToken, refused: str | None) -> SharedToken:
        """Ask the server and write its answer; whatever happens, the lease ends."""
        after = replace(leased, lease_until_ms=0)
        try:
            grant = self._fetch(False)
            if grant.value == refused:
                after = replace(after, forced_at_ms=self._may_force(leased.forced_at_ms))
                grant = self._fetch(True)
            margin_ms = min(_RENEW_BEFORE_MS, grant.lifetime_ms // 2)
            renew_at_ms = self._clock() + grant.lifetime_ms - margin_ms
            after = replace(after, value=grant.value, renew_at_ms=renew_at_ms)
        finally:
            # When the lease ran out meanwhile another process has the word; the token is good here all the same.
            self._shelf.swap_token(self._account, after, seen=leased.version)
        return after

    def _may_force(self, forced_at_ms: int | None) -> int:
        now_ms = self._clock()
        if forced_at_ms is not None and now_ms - forced_at_ms < _FORCE_GAP_MS:
            wait_s = (forced_at_ms + _FORCE_GAP_MS - now_ms) / 1_000
            detail = "token refused again less than 30 s after its forced renewal"
            raise TokenError(SendResult(Outcome.RETRY, errcode=40001, detail=detail, retry_after_s=wait_s))
        return now_ms


class _OwnShelf:
    """The shelf of a process that shares its token with nobody; its owner's lock guards it."""

    def __init__(self) -> None:
        self._token = SharedToken()

    def shared_token(self, account: str) -> SharedToken:  # noqa: ARG002 - one account
        return self._token

    def swap_token(self, account: str, token: SharedToken, *, seen: int) -> bool:  # noqa: ARG002 - one account
        if self._token.version != seen:
            return False
        self._token = replace(token, version=seen + 1)
        return True
