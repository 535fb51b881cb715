"""Erasing a person: why, in which order, and the little that stays.

1. Begun: the person's rows leave the store, and their number is blocked. Nobody gets a message any more.
2. The engine forgets them, and a state without them is on disk.
3. Complete: what was written about them meanwhile leaves too, a tombstone is set, the number rests and is then free.

A process that ends in between goes on at its next start: that an erasure is under way is kept, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Erasure", "ErasureReason", "Tombstone"]


class ErasureReason(StrEnum):
    """Why somebody is erased. The values stand in the store."""

    UNSUBSCRIBED = "unsubscribed"
    """They stopped following: Tencent wants everything of theirs deleted then."""
    LOCATION_REVOKED = "location_revoked"
    """``user_authorization_revoke`` with RevokeInfo 206."""
    CANCELLED = "cancelled"
    """``user_authorization_cancellation``: the WeChat account ends."""
    ASKED = "asked"
    """They asked for it."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure under way.

    Attributes:
        erasure_id: a random number in hex; it becomes the tombstone's and says nothing of the person.
        u7: whose number is blocked until it is complete.
        reason: why.
        begun_ms: since when.
    """

    erasure_id: str
    u7: int
    reason: ErasureReason
    begun_ms: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of an erased person: that somebody was erased, when, and why.

    Attributes:
        tombstone_id: the random number of the erasure.
        reason: why.
        at_ms: when it was complete.
    """

    tombstone_id: str
    reason: ErasureReason
    at_ms: int
