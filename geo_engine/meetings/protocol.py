"""What a store of meetings promises: meetings, members, and what they were told. No position is ever in it."""

from __future__ import annotations

from typing import Protocol

from geo_engine.meetings.meeting import Meeting, Member

__all__ = ["VENUE", "MeetingStore"]

VENUE = -1
"""In place of a companion's u7: what was told was about the venue."""


class MeetingStore(Protocol):
    """The memory of meetings.

    Every writing method is one transaction. Every method may be called from any thread and raises ``StoreError`` when
    the store is away or closed. Times are epoch milliseconds UTC and are given by the caller.
    """

    def add(self, meeting: Meeting, organiser: Member) -> bool:
        """Keep a new meeting and its first member; return False, and change nothing, when its id or code is taken."""
        ...

    def meeting(self, meeting_id: str) -> Meeting | None:
        """Return a meeting, None when unknown."""
        ...

    def by_code(self, code: str) -> Meeting | None:
        """Return the meeting of a code, None when unknown."""
        ...

    def of(self, u7: int) -> list[Meeting]:
        """Return the meetings somebody is a member of, by begin, then id."""
        ...

    def members(self, meeting_id: str) -> list[Member]:
        """Return who is in a meeting, by the moment of joining, then u7."""
        ...

    def open_members(self, now_ms: int) -> list[int]:
        """Return everybody who is in a meeting that is open at a moment, ascending."""
        ...

    def put_member(self, member: Member, *, at_most: int) -> bool:
        """Add somebody to a meeting or replace what is known of their part.

        Returns:
            False, and nothing is changed, when the meeting is unknown, or has ``at_most`` other members and this one is
            not among them yet.
        """
        ...

    def remove_member(self, meeting_id: str, u7: int) -> bool:
        """Take somebody out, and what they were told; return whether they were in."""
        ...

    def end(self, meeting_id: str, at_ms: int) -> None:
        """End a meeting; one that was ended already keeps its first moment."""
        ...

    def tell_once(self, meeting_id: str, u7: int, about: int) -> bool:
        """Note that a member is told that ``about`` (a u7 or ``VENUE``) is near; True at the first call only.

        False also when they are not a member.
        """
        ...

    def drop(self, before_ms: int) -> int:
        """Erase the meetings that were over before a moment, with all that belongs to them; return how many."""
        ...

    def forget(self, u7: int) -> None:
        """Erase a person: their memberships, what others were told about them, and the meetings they organised."""
        ...
