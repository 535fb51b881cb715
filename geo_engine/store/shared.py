"""What processes on one store tell one another: whose data another one changed, what was used up, who is at a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Change", "Changed", "PageSession", "Shared"]


class Changed(StrEnum):
    """What the process of the engine is to look at again."""

    PERSON = "person"
    """Vehicle, consent, or that they are erased."""
    WISHES = "wishes"
    """Mutes and quiet hours."""
    WARNED = "warned"
    """A warning about ``zone_id`` reached them."""


@dataclass(frozen=True, slots=True)
class Change:
    """A note that a process beside the engine's changed something of a person; what is true now is in the store.

    Attributes:
        number: later changes have greater ones.
        u7: whose.
        what: what to look at.
        zone_id: of a warning, empty otherwise.
    """

    number: int
    u7: int
    what: Changed
    zone_id: str = ""


@dataclass(frozen=True, slots=True)
class PageSession:
    """Somebody at a page.

    Attributes:
        digest: of the name the browser keeps; the name itself is nowhere in the store.
        open_id: who; an erasure of the person ends it.
        until_ms: it ends then.
        notices: what the next page says once: (name of a text, what it speaks of).
    """

    digest: str
    open_id: str
    until_ms: int
    notices: tuple[tuple[str, str], ...] = ()


class Shared(Protocol):
    """One transaction a call, any thread, ``StoreError`` when the store is away."""

    def changes(self, limit: int) -> list[Change]:
        """Return the oldest changes nobody took off yet, in the order in which they were made.

        A store opened with ``notes=True`` writes each in the transaction of what changed; any other writes none.
        """
        ...

    def take_off(self, numbers: Sequence[int]) -> None:
        """Forget changes the engine knows now. A crash before this call hands them out again."""
        ...

    def note_warned(self, u7: int, zone_id: str) -> None:
        """Note that a warning reached a person; nothing happens in a store that notes no changes."""
        ...

    def spend(self, key: str, until_ms: int, now_ms: int) -> bool:
        """Use up what is good once; return whether this was the first time. It is remembered until ``until_ms``."""
        ...

    def begin_session(self, session: PageSession, now_ms: int) -> None:
        """Begin a session; those that ended by ``now_ms`` go."""
        ...

    def set_notices(self, digest: str, notices: Sequence[tuple[str, str]]) -> None:
        """Replace what the next page of a session says; nothing happens to one that is gone."""
        ...

    def session(self, digest: str, now_ms: int) -> PageSession | None:
        """Return a session that has not ended."""
        ...

    def end_sessions(self, open_id: str) -> None:
        """End every session of a person."""
        ...
