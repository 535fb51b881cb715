"""Whether a warning that is due is sent: a decision with a named reason, never silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from geo_engine.errors import ConfigurationError
from geo_engine.model import Severity, SuppressReason, ZoneKind

__all__ = ["MAX_DAILY_CAP", "Candidate", "Decision", "Policy", "Send", "Suppress", "decide"]

MAX_DAILY_CAP: Final = 255


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be pushed to a person, and how often.

    Attributes:
        push_kinds: kinds that concern safety or money right now; others are told when the person asks.
        cooldown_s: no second warning about the same zone within this time.
        daily_cap: no more warnings than this to one person on one local day, at most 255: a user's row counts in
            eight bits.
        stale_after_s: a ping older than this when it is judged raises no warning any more, None = age is ignored
            (replays of old files).
        grace_s: a warning may still leave this long after the expected arrival, then it is pointless.
        day_offset_s: local midnight for ``daily_cap``, seconds east of UTC (Asia/Shanghai has no daylight saving time).
    """

    push_kinds: frozenset[ZoneKind] = field(
        default=frozenset({ZoneKind.TRUCK_RESTRICTION, ZoneKind.CONSTRUCTION}),
    )
    cooldown_s: float = 1800.0
    daily_cap: int = 20
    stale_after_s: float | None = 60.0
    grace_s: float = 120.0
    day_offset_s: int = 8 * 3600

    def __post_init__(self) -> None:
        if not 0 <= self.daily_cap <= MAX_DAILY_CAP:
            message = f"found a daily cap of {self.daily_cap} warnings, expected 0 .. {MAX_DAILY_CAP}"
            raise ConfigurationError(message)

    def pushes(self, kind: ZoneKind, severity: Severity) -> bool:
        """Say whether a zone may be pushed about at all; of others a person is told when they ask."""
        return kind in self.push_kinds or severity is Severity.HIGH

    def day_of(self, time_ms: int) -> int:
        """Return the number of the local day a moment falls on."""
        return (time_ms // 1000 + self.day_offset_s) // 86_400


@dataclass(frozen=True, slots=True)
class Candidate:
    """A warning that is due, with what the decision depends on.

    Attributes:
        kind: kind of the zone.
        severity: severity of the zone.
        consented: the person agreed to be warned.
        time_ms: event time of the ping.
        last_sent_ms: event time of the last warning sent about this zone, None = never.
        sent_today: warnings sent to the person on this local day.
    """

    kind: ZoneKind
    severity: Severity
    consented: bool
    time_ms: int
    last_sent_ms: int | None
    sent_today: int


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

    Consent comes first: without it nothing else about the person may even be weighed.
    """
    if not candidate.consented:
        return Suppress(SuppressReason.NO_CONSENT)
    if not policy.pushes(candidate.kind, candidate.severity):
        return Suppress(SuppressReason.PULL_ONLY)
    if policy.stale_after_s is not None and now_ms - candidate.time_ms > policy.stale_after_s * 1000:
        return Suppress(SuppressReason.STALE_PING)
    if candidate.last_sent_ms is not None and candidate.time_ms - candidate.last_sent_ms < policy.cooldown_s * 1000:
        return Suppress(SuppressReason.COOLDOWN)
    if candidate.sent_today >= policy.daily_cap:
        return Suppress(SuppressReason.CAP)
    return Send()
