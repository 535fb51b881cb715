"""Whether a warning that is due is sent: a decision with a named reason, never silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Self

from geo_engine.errors import ConfigurationError
from geo_engine.model import Severity, SuppressReason, ZoneKind

__all__ = [
    "MAX_DAILY_CAP",
    "Candidate",
    "Decision",
    "Grade",
    "Policy",
    "QuietHours",
    "Send",
    "Suppress",
    "decide",
    "grade_of",
]

MAX_DAILY_CAP: Final = 255
_DAY_MIN: Final = 1440
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class Grade(IntEnum):
    """How grave a warning is; the smaller goes first, and finds room in a cap or quota where a greater one does not."""

    SEVERE_RESTRICTION = 0
    RESTRICTION = 1
    CONSTRUCTION = 2
    CONGESTION = 3
    VENUE = 4
    """Venues and companions: what is about neither safety nor money."""


_GRADES: Final = {
    ZoneKind.TRUCK_RESTRICTION: Grade.RESTRICTION,
    ZoneKind.CONSTRUCTION: Grade.CONSTRUCTION,
    ZoneKind.CONGESTION: Grade.CONGESTION,
    ZoneKind.VENUE: Grade.VENUE,
}


def grade_of(kind: ZoneKind, severity: Severity) -> Grade:
    """Return the grade of a zone."""
    if kind is ZoneKind.TRUCK_RESTRICTION and severity is Severity.HIGH:
        return Grade.SEVERE_RESTRICTION
    return _GRADES[kind]


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A stretch of the local day, over midnight when it begins later than it ends.

    Attributes:
        from_min: first quiet minute, counted from midnight.
        until_min: end, exclusive; equal to ``from_min`` = no quiet hours.
    """

    from_min: int
    until_min: int

    def __post_init__(self) -> None:
        """Refuse minutes that no day has."""
        if not (0 <= self.from_min < _DAY_MIN and 0 <= self.until_min < _DAY_MIN):
            message = f"found quiet hours from minute {self.from_min} to {self.until_min}, expected 0 .. {_DAY_MIN - 1}"
            raise ConfigurationError(message)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``22:00-07:00``; empty = no quiet hours.

        Raises:
            ConfigurationError: it is neither.
        """
        found = _HOURS.fullmatch(text.strip())
        if found is None:
            if not text.strip():
                return cls(0, 0)
            message = f"found the quiet hours {text!r}, expected a text such as 22:00-07:00, or an empty one for none"
            raise ConfigurationError(message)
        hour, minute, until_hour, until_minute = map(int, found.groups())
        return cls(60 * hour + minute, 60 * until_hour + until_minute)

    @property
    def text(self) -> str:
        """Return what ``parse`` reads: ``22:00-07:00``, or an empty text for no quiet hours."""
        if self.from_min == self.until_min:
            return ""
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.from_min, self.until_min))

    def hold(self, minute: int) -> bool:
        """Say whether a minute of the day is quiet."""
        if self.from_min <= self.until_min:
            return self.from_min <= minute < self.until_min
        return minute >= self.from_min or minute < self.until_min


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be pushed to a person, when, and how often.

    Attributes:
        push_kinds: kinds that concern safety or money right now; others are told when the person asks.
        cooldown_s: no second warning about the same zone within this time.
        daily_cap: no more messages than this to one person on one local day, at most 255: a user's row counts in
            eight bits.
        cap_reserve: of these, so many are kept for restrictions, but never more than half of them.
        quiet_hours: local hours of a person who has none of their own; by default 22:00 to 07:00.
        quiet_exempt_kinds: kinds that are told of in quiet hours too: who drives into a closed road at night is awake.
        stale_after_s: a ping older than this when it is judged raises no warning any more, None = age is ignored
            (replays of old files).
        grace_s: a warning may still leave this long after the expected arrival, then it is pointless; so a ping is too
            old after that, whatever ``stale_after_s``.
        day_offset_s: local midnight for ``daily_cap`` and quiet hours, seconds east of UTC (Asia/Shanghai has no
            daylight saving time).
    """

    push_kinds: frozenset[ZoneKind] = field(
        default=frozenset({ZoneKind.TRUCK_RESTRICTION, ZoneKind.CONSTRUCTION}),
    )
    cooldown_s: float = 1800.0
    daily_cap: int = 20
    cap_reserve: int = 5
    quiet_hours: QuietHours = field(default=QuietHours(22 * 60, 7 * 60))
    quiet_exempt_kinds: frozenset[ZoneKind] = field(default=frozenset({ZoneKind.TRUCK_RESTRICTION}))
    stale_after_s: float | None = 60.0
    grace_s: float = 120.0
    day_offset_s: int = 8 * 3600

    def __post_init__(self) -> None:
        """Refuse a cap that a row cannot count."""
        if not 0 <= self.daily_cap <= MAX_DAILY_CAP:
            message = f"found a daily cap of {self.daily_cap} warnings, expected 0 .. {MAX_DAILY_CAP}"
            raise ConfigurationError(message)
        if self.cap_reserve < 0:
            message = f"found a reserve of {self.cap_reserve} warnings in the daily cap, expected none or more"
            raise ConfigurationError(message)

    @property
    def lower_cap(self) -> int:
        """Return the cap of what is less grave than a restriction."""
        return self.daily_cap - min(self.cap_reserve, self.daily_cap // 2)

    def pushes(self, kind: ZoneKind, severity: Severity) -> bool:
        """Say whether a zone may be pushed about at all; of others a person is told when they ask."""
        return kind in self.push_kinds or severity is Severity.HIGH

    def expires_at_ms(self, time_ms: int, eta_s: float) -> int:
        """Return when a warning is pointless: some grace after the expected arrival."""
        return time_ms + round((eta_s + self.grace_s) * 1000)

    def day_of(self, time_ms: int) -> int:
        """Return the number of the local day a moment falls on."""
        return (time_ms // 1000 + self.day_offset_s) // 86_400

    def minute_of(self, time_ms: int) -> int:
        """Return the minute of the local day."""
        return (time_ms // 1000 + self.day_offset_s) // 60 % _DAY_MIN


@dataclass(frozen=True, slots=True)
class Candidate:
    """A warning that is due, with what the decision depends on.

    Attributes:
        kind: kind of the zone.
        severity: severity of the zone.
        consented: the person agreed to be warned.
        time_ms: event time of the ping.
        last_sent_ms: event time of the last warning sent about this zone, None = never.
        sent_today: messages sent to the person on this local day.
        muted_until_ms: the person does not want to hear of the zone before this moment, None = they never said so.
        quiet_hours: the person's own quiet hours, None = those of the policy.
        eta_s: seconds to the border, 0 = inside.
        told_along: a graver warning of the same moment leaves for the same person.
    """

    kind: ZoneKind
    severity: Severity
    consented: bool
    time_ms: int
    last_sent_ms: int | None
    sent_today: int
    muted_until_ms: int | None = None
    quiet_hours: QuietHours | None = None
    eta_s: float = 0.0
    told_along: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """The warning goes to the outbox."""


@dataclass(frozen=True, slots=True)
class Suppress:
    """The warning is not sent, for this reason."""

    reason: SuppressReason


Decision = Send | Suppress


def decide(candidate: Candidate, policy: Policy, *, now_ms: int) -> Decision:
    """Decide about one candidate; the first reason that speaks against it wins.

    Consent comes first: without it nothing else about the person may even be weighed. Whether the account's quota
    has room is asked afterwards, about all messages of a step together: ``geo_engine.alerting.quota``.
    """
    for holds, reason in _objections(candidate, policy, now_ms):
        if holds:
            return Suppress(reason)
    return Send()


def _objections(candidate: Candidate, policy: Policy, now_ms: int) -> Iterator[tuple[bool, SuppressReason]]:
    """Yield what may speak against a warning and whether it does, the first to be weighed first."""
    kind, time_ms, last_ms = candidate.kind, candidate.time_ms, candidate.last_sent_ms
    yield not candidate.consented, SuppressReason.NO_CONSENT
    yield not policy.pushes(kind, candidate.severity), SuppressReason.PULL_ONLY
    muted_until_ms = candidate.muted_until_ms
    yield muted_until_ms is not None and time_ms < muted_until_ms, SuppressReason.MUTED
    if policy.stale_after_s is not None:
        pointless = now_ms >= policy.expires_at_ms(time_ms, candidate.eta_s)
        yield pointless or now_ms - time_ms > policy.stale_after_s * 1000, SuppressReason.STALE_PING
    yield last_ms is not None and time_ms - last_ms < policy.cooldown_s * 1000, SuppressReason.COOLDOWN
    quiet_hours = policy.quiet_hours if candidate.quiet_hours is None else candidate.quiet_hours
    quiet = kind not in policy.quiet_exempt_kinds and quiet_hours.hold(policy.minute_of(time_ms))
    yield quiet, SuppressReason.QUIET_HOURS
    yield candidate.told_along, SuppressReason.DIGESTED
    restricted = grade_of(kind, candidate.severity) <= Grade.RESTRICTION
    yield candidate.sent_today >= (policy.daily_cap if restricted else policy.lower_cap), SuppressReason.CAP
