"""The access tokens of the fake WeChat server, by the rules Tencent publishes."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["FakeTokens"]

_LIFETIME_MS: Final = 7_200_000
_OVERLAP_MS: Final = 300_000
_FORCE_GAP_MS: Final = 30_000
_FORCED_PER_DAY: Final = 20
_LEGACY_PER_DAY: Final = 2_000
_REMEMBERED: Final = 10_000


class FakeTokens:
    """Tokens of ``stable_token`` and of the older ``token`` interface, which do not touch each other.

    Every method takes ``now_ms`` (epoch milliseconds) and ``day`` (the account's calendar day, any int).

    Attributes:
        normal_calls: calls of ``stable_token`` in normal mode since the start.
        forced_calls: calls with ``force_refresh``, the refused ones included.
    """

    def __init__(self) -> None:
        self.normal_calls = 0
        self.forced_calls = 0
        self._expires_at_ms: dict[str, int] = {}
        self._stable: str | None = None
        self._legacy: str | None = None
        self._forced_at_ms: int | None = None
        self._used: dict[tuple[str, int], int] = {}
        self._made = 0

    def check(self, token: str, now_ms: int) -> int:
        """Return 0 when ``token`` is good, else 41001 (missing), 40001 (bad or replaced) or 42001 (expired)."""
        if not token:
            return 41001
        expires_at_ms = self._expires_at_ms.get(token)
        if expires_at_ms is None:
            return 40001
        return 0 if now_ms < expires_at_ms else 42001

    def stable(self, now_ms: int) -> tuple[str, int]:
        """Return the stable token and the seconds it lives; in its last five minutes a new one, and both are good."""
        self.normal_calls += 1
        left_ms = self._expires_at_ms.get(self._stable or "", now_ms) - now_ms
        if self._stable is None or left_ms <= _OVERLAP_MS:
            self._stable = self._issue(now_ms)
            left_ms = _LIFETIME_MS
        return self._stable, left_ms // 1_000

    def forced(self, now_ms: int, day: int) -> tuple[str, int] | int:
        """Return a new stable token and end the old at once, or 45011 (30 s not over) or 45009 (20 a day)."""
        self.forced_calls += 1
        if self._forced_at_ms is not None and now_ms - self._forced_at_ms < _FORCE_GAP_MS:
            return 45011
        if not self._spend("forced", day, _FORCED_PER_DAY):
            return 45009
        self._forced_at_ms = now_ms
        self._expires_at_ms.pop(self._stable or "", None)
        self._stable = self._issue(now_ms)
        return self._stable, _LIFETIME_MS // 1_000

    def revoke(self) -> None:
        """Make the stable token bad at once, as when somebody else of the account had a new one made."""
        self._expires_at_ms.pop(self._stable or "", None)

    def legacy(self, now_ms: int, day: int) -> tuple[str, int] | int:
        """Return a new token of the older interface; the one before lives five minutes more. 45009: 2000 a day."""
        if not self._spend("legacy", day, _LEGACY_PER_DAY):
            return 45009
        if self._legacy is not None:
            expires_at_ms = self._expires_at_ms.get(self._legacy, now_ms)
            self._expires_at_ms[self._legacy] = min(expires_at_ms, now_ms + _OVERLAP_MS)
        self._legacy = self._issue(now_ms)
        return self._legacy, _LIFETIME_MS // 1_000

    def _issue(self, now_ms: int) -> str:
        """Return a new token: 136 characters like the real ones, different at every call and start."""
        self._made += 1
        seed = f"{now_ms}-{self._made}"
        token = "".join(hashlib.sha256(f"{seed}-{part}".encode()).hexdigest() for part in range(3))[:136]
        self._expires_at_ms[token] = now_ms + _LIFETIME_MS
        if len(self._expires_at_ms) > _REMEMBERED:
            del self._expires_at_ms[next(iter(self._expires_at_ms))]
        return token

    def _spend(self, what: str, day: int, limit: int) -> bool:
        used = self._used.get((what, day), 0)
        if used >= limit:
            return False
        self._used[what, day] = used + 1
        return True
