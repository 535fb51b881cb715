"""The decision: each reason not to send, and its twin that is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine.alerting.policy import Candidate, Policy, Send, Suppress, decide
from geo_engine.model import Severity, SuppressReason, ZoneKind
from geo_engine.testing import noon_ms

GOOD = Candidate(
    kind=ZoneKind.TRUCK_RESTRICTION,
    severity=Severity.NORMAL,
    consented=True,
    time_ms=noon_ms,
    last_sent_ms=None,
    sent_today=0,
)


def reason(candidate: Candidate, policy: Policy | None = None, *, now_ms: int = noon_ms) -> SuppressReason | None:
    decision = decide(candidate, policy or Policy(), now_ms=now_ms)
    return decision.reason if isinstance(decision, Suppress) else None


def test_restriction_for_a_consenting_driver_is_sent() -> None:
    assert decide(GOOD, Policy(), now_ms=noon_ms) == Send()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"consented": False}, SuppressReason.NO_CONSENT),
        ({"kind": ZoneKind.CONGESTION}, SuppressReason.PULL_ONLY),
        ({"kind": ZoneKind.CONGESTION, "severity": Severity.HIGH}, None),
        ({"kind": ZoneKind.CONSTRUCTION}, None),
        ({"time_ms": noon_ms - 60_001}, SuppressReason.STALE_PING),
        ({"time_ms": noon_ms - 60_000}, None),
        ({"last_sent_ms": noon_ms - 1_799_999}, SuppressReason.COOLDOWN),
        ({"last_sent_ms": noon_ms - 1_800_000}, None),
        ({"sent_today": 20}, SuppressReason.CAP),
        ({"sent_today": 19}, None),
    ],
)
def test_each_reason_suppresses_and_its_limit_does_not(change: dict, expected: SuppressReason | None) -> None:
    assert reason(replace(GOOD, **change)) == expected


def test_consent_is_weighed_before_anything_else() -> None:
    everything = replace(GOOD, consented=False, kind=ZoneKind.VENUE, last_sent_ms=noon_ms, sent_today=99)
    assert reason(everything) is SuppressReason.NO_CONSENT


def test_age_of_a_ping_is_ignored_where_the_policy_says_so() -> None:
    assert reason(replace(GOOD, time_ms=0), Policy(stale_after_s=None)) is None


def test_local_day_begins_at_midnight_in_shanghai() -> None:
    policy = Policy()
    midnight_ms = noon_ms + 12 * 3600 * 1000
    assert policy.day_of(midnight_ms) == policy.day_of(midnight_ms - 1) + 1
    assert policy.day_of(noon_ms) == policy.day_of(midnight_ms - 1)
