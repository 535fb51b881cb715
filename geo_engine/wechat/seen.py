"""What was seen a short while ago: a bounded memory of keys, for pushes that come twice."""

from __future__ import annotations

__all__ = ["SeenCache"]


class SeenCache:
    """Remembers keys with a value for at least ``window_ms``, unless more than half of ``capacity`` come in that time.

    Two generations: when the young one is full or old enough it becomes the old one and the old one is dropped. So
    nothing is ever searched for expired entries, and a look-up costs two of a dictionary. Not safe for several
    threads without a lock; one event loop owns it.

    Args:
        window_ms: how long a key must be remembered.
        capacity: most keys ever held, about 200 bytes each.
    """

    __slots__ = ("_half", "_old", "_since_ms", "_window_ms", "_young")

    def __init__(self, window_ms: int, capacity: int) -> None:
        self._window_ms = window_ms
        self._half = max(capacity // 2, 1)
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._since_ms: int | None = None

    def __len__(self) -> int:
        """Return how many keys are held."""
        return len(self._young) + len(self._old)

    def get(self, key: str, now_ms: int) -> str | None:
        """Return the value a key was last seen with, None when it was not seen lately."""
        self._turn(now_ms)
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def add(self, key: str, value: str, now_ms: int) -> None:
        """Remember a key from now on."""
        self._turn(now_ms)
        self._young[key] = value

    def _turn(self, now_ms: int) -> None:
        if self._since_ms is None:
            self._since_ms = now_ms
        aged_ms = now_ms - self._since_ms
        if aged_ms >= 2 * self._window_ms:
            self._young, self._old, self._since_ms = {}, {}, now_ms
        elif aged_ms >= self._window_ms or len(self._young) >= self._half:
            self._young, self._old, self._since_ms = {}, self._young, now_ms
