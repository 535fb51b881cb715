"""What a meeting is and what its members may know of one another: rules on values, nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["CODE_LENGTH", "Meeting", "Member", "Refusal", "Sighting", "code_of", "is_open", "read_code", "sees"]


class Refusal(StrEnum):
    """Why something about a meeting was not done. Each is said to the person."""

    NOT_ALLOWED = "not_allowed"
    """Only an organiser may."""
    BAD_TIME = "bad_time"
    """It ends before it begins, is over already, is too long or too far ahead."""
    BAD_TITLE = "bad_title"
    BAD_PLACE = "bad_place"
    UNKNOWN = "unknown"
    """No meeting has this code, or the scene is not one of ours."""
    SCENE_EXPIRED = "scene_expired"
    OVER = "over"
    NOT_YET = "not_yet"
    """The time window has not begun."""
    FULL = "full"
    NOT_MEMBER = "not_member"
    TOO_MANY = "too_many"
    """Too many meetings of one organiser at once, or too many wrong codes."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting.

    Attributes:
        meeting_id: 11 characters, not to be guessed.
        code: what people type to join; unique among all meetings that are kept.
        organiser: u7 of who made it.
        title: what it is called.
        place: name of the venue.
        lon: of the venue, WGS-84 degrees.
        lat: the same.
        from_ms: begin of the window in which members may see one another.
        until_ms: its end, exclusive: then the meeting is over by itself.
        ended_ms: when the organiser ended it earlier, None = he did not.
    """

    meeting_id: str
    code: str
    organiser: int
    title: str
    place: str
    lon: float
    lat: float
    from_ms: int
    until_ms: int
    ended_ms: int | None = None

    @property
    def over_ms(self) -> int:
        """Return the moment from which it is over."""
        return self.until_ms if self.ended_ms is None else min(self.ended_ms, self.until_ms)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody's part in a meeting.

    Attributes:
        meeting_id: the meeting.
        u7: the person.
        name: what the others call them.
        joined_ms: when they joined.
        shares: they agreed that the others see where they are, in the window of this meeting.
        notice_m: they want to hear when the venue or a companion comes within this many metres, None = they do not.
        arrived_ms: when they said that they had arrived, None = not yet.
    """

    meeting_id: str
    u7: int
    name: str
    joined_ms: int
    shares: bool = False
    notice_m: float | None = None
    arrived_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a member was seen: WGS-84 degrees and event time. Kept in memory only, never in a store."""

    lon: float
    lat: float
    time_ms: int


def is_open(meeting: Meeting, now_ms: int) -> bool:
    """Say whether a moment lies in the window in which members may see one another."""
    return meeting.from_ms <= now_ms < meeting.over_ms


def sees(meeting: Meeting, viewer: Member, other: Member, now_ms: int) -> bool:
    """Say whether one member may be told where another is.

    Only in the window, only of somebody who shares, only by somebody who shares too, and never of oneself.
    """
    same = viewer.meeting_id == other.meeting_id == meeting.meeting_id
    return same and viewer.u7 != other.u7 and viewer.shares and other.shares and is_open(meeting, now_ms)


_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH: Final = 8
"""Of 32 characters (Crockford's base 32): a trillion codes, and few tries per person (``MeetingRules.tries``)."""

_MISREAD: Final = str.maketrans("OIL", "011")


def code_of(random: Sequence[int]) -> str:
    """Return the code that ``CODE_LENGTH`` random bytes make.

    Raises:
        ValueError: there are fewer bytes.
    """
    if len(random) < CODE_LENGTH:
        message = f"found {len(random)} random bytes, expected {CODE_LENGTH}"
        raise ValueError(message)
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random[:CODE_LENGTH])


def read_code(text: str) -> str | None:
    """Return the code a person typed, None when it cannot be one.

    Full-width letters, small letters, blanks and hyphens do not matter; O is read as 0, I and L as 1.
    """
    plain = unicodedata.normalize("NFKC", text).upper()
    kept = "".join(char for char in plain if char not in " -_·\t\n").translate(_MISREAD)
    return kept if len(kept) == CODE_LENGTH and all(char in _ALPHABET for char in kept) else None
