"""The decision: each reason not to send, and its twin that is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine.alerting.policy import (
    Candidate,
    Grade,
    Policy,
    QuietHours,
    Send,
    Suppress,
    decide,
    grade_of,
)
from geo_engine.errors import ConfigurationError
from geo_engine.model import Severity, SuppressReason, ZoneKind
from geo_engine.testing import noon_ms

ORDER = (ZoneKind.TRUCK_RESTRICTION, ZoneKind.CONSTRUCTION, ZoneKind.CONGESTION, ZoneKind.VENUE)
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
        ({"kind": ZoneKind.CONSTRUCTION, "sent_today": 15}, SuppressReason.CAP),
        ({"kind": ZoneKind.CONSTRUCTION, "sent_today": 14}, None),
        ({"muted_until_ms": noon_ms + 1}, SuppressReason.MUTED),
        ({"muted_until_ms": noon_ms}, None),
        ({"kind": ZoneKind.CONSTRUCTION, "quiet_hours": QuietHours(719, 721)}, SuppressReason.QUIET_HOURS),
        ({"kind": ZoneKind.CONSTRUCTION, "quiet_hours": QuietHours(719, 720)}, None),
        ({"quiet_hours": QuietHours(719, 721)}, None),
        ({"told_along": True, "sent_today": 20}, SuppressReason.DIGESTED),
        ({"told_along": True, "last_sent_ms": noon_ms}, SuppressReason.COOLDOWN),
    ],
)
def test_each_reason_suppresses_and_its_limit_does_not(change: dict, expected: SuppressReason | None) -> None:
    assert reason(replace(GOOD, **change)) == expected


def test_consent_is_weighed_before_anything_else() -> None:
    everything = replace(GOOD, consented=False, kind=ZoneKind.VENUE, last_sent_ms=noon_ms, sent_today=99)
    assert reason(everything) is SuppressReason.NO_CONSENT


def test_age_of_a_ping_is_ignored_where_the_policy_says_so() -> None:
    assert reason(replace(GOOD, time_ms=0), Policy(stale_after_s=None)) is None


@pytest.mark.parametrize(("eta_s", "expected"), [(0.0, SuppressReason.STALE_PING), (1.0, None)])
def test_ping_whose_warning_would_be_pointless_is_too_old_however_old_pings_may_be(
    eta_s: float, expected: SuppressReason | None
) -> None:
    policy = Policy(stale_after_s=600.0, grace_s=120.0)
    assert reason(replace(GOOD, time_ms=noon_ms - 120_000, eta_s=eta_s), policy) == expected
    assert reason(replace(GOOD, time_ms=0, eta_s=eta_s), Policy(stale_after_s=None)) is None


@pytest.mark.parametrize(
    ("minute", "quiet"), [(1319, False), (1320, True), (1439, True), (0, True), (419, True), (420, False)]
)
def test_default_quiet_hours_are_from_ten_to_seven(minute: int, quiet: bool) -> None:
    works = replace(GOOD, kind=ZoneKind.CONSTRUCTION, time_ms=noon_ms + (minute - 720) * 60_000)
    found = reason(works, Policy(stale_after_s=None))
    assert found == (SuppressReason.QUIET_HOURS if quiet else None)
    exempt = Policy(stale_after_s=None, quiet_exempt_kinds=frozenset(ZoneKind))
    assert reason(works, exempt) is None


@pytest.mark.parametrize(("cap", "reserve", "lower"), [(20, 5, 15), (20, 0, 20), (3, 5, 2), (1, 5, 1), (0, 5, 0)])
def test_reserve_in_the_cap_is_never_more_than_half_of_it(cap: int, reserve: int, lower: int) -> None:
    assert Policy(daily_cap=cap, cap_reserve=reserve).lower_cap == lower


def test_reserve_below_zero_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="-1"):
        Policy(cap_reserve=-1)


def test_severe_restriction_is_graver_than_any_other_zone() -> None:
    grades = [grade_of(ZoneKind.TRUCK_RESTRICTION, Severity.HIGH), *(grade_of(kind, Severity.NORMAL) for kind in ORDER)]
    assert grades == sorted(set(grades)) == list(Grade)


def test_local_day_begins_at_midnight_in_shanghai() -> None:
    policy = Policy()
    midnight_ms = noon_ms + 12 * 3600 * 1000
    assert policy.day_of(midnight_ms) == policy.day_of(midnight_ms - 1) + 1
    assert policy.day_of(noon_ms) == policy.day_of(midnight_ms - 1)
