"""What the people of the fake account allow: windows for customer-service messages, and grants of subscriptions.

Kept apart from the rules of the sender on purpose: a mistake there must not be repeated here.
"""

from __future__ import annotations

from typing import Final

__all__ = ["TRIGGERS", "FakeReach"]

_TWO_DAYS_MS: Final = 172_800_000
_MINUTE_MS: Final = 60_000
TRIGGERS: Final[dict[str, tuple[int, int]]] = {
    "message": (5, _TWO_DAYS_MS),
    "click": (3, _MINUTE_MS),
    "follow": (3, _MINUTE_MS),
    "scan": (3, _MINUTE_MS),
}
"""What a person can do -> customer-service messages it allows, and for how many milliseconds."""


class FakeReach:
    """Windows and grants of everybody. Not safe for several threads: the account's lock guards it."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], list[int]] = {}
        self._grants: dict[tuple[str, str], int | None] = {}
        self._busy: set[str] = set()

    def touch(self, open_id: str, trigger: str, now_ms: int) -> None:
        """Let a person do something that opens a window (a name of ``TRIGGERS``; others open none)."""
        if trigger in TRIGGERS:
            messages, lasts_ms = TRIGGERS[trigger]
            self._windows[open_id, trigger] = [now_ms + lasts_ms, messages]

    def close(self, open_id: str) -> None:
        """Close every window of a person."""
        for owned in [key for key in self._windows if key[0] == open_id]:
            del self._windows[owned]

    def spend_window(self, open_id: str, now_ms: int) -> int:
        """Take one message out of the window that ends first: 0, 45015 (none open) or 45047 (used up)."""
        still_open = sorted(
            (window for (owner, _), window in self._windows.items() if owner == open_id and window[0] > now_ms),
            key=lambda window: window[0],
        )
        for window in still_open:
            if window[1] > 0:
                window[1] -= 1
                return 0
        return 45047 if still_open else 45015

    def accept(self, open_id: str, template_id: str, *, for_good: bool) -> None:
        """Let a person accept a template: once more, or for good."""
        left = self._grants.get((open_id, template_id), 0)
        self._grants[open_id, template_id] = None if for_good or left is None else left + 1

    def refuse(self, open_id: str, template_id: str) -> None:
        """Let a person withdraw what they accepted."""
        self._grants.pop((open_id, template_id), None)

    def spend_grant(self, open_id: str, template_id: str) -> int:
        """Take one message out of a grant: 0, or 43101 (refused or used up)."""
        left = self._grants.get((open_id, template_id), 0)
        if left == 0:
            return 43101
        if left is not None:
            self._grants[open_id, template_id] = left - 1
        return 0

    def enter(self, open_id: str) -> bool:
        """Begin a subscription call for a person; False when another one is under way (43108)."""
        if open_id in self._busy:
            return False
        self._busy.add(open_id)
        return True

    def leave(self, open_id: str) -> None:
        """End a subscription call."""
        self._busy.discard(open_id)
