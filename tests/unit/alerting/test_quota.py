"""The account's quota: the gravest first, a reserve that is learned, a memory that survives a restart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.alerting.policy import Grade
from geo_engine.alerting.quota import Arbiter, Candidates, QuotaLimits
from geo_engine.errors import ConfigurationError
from geo_engine.testing import noon_ms

MIDNIGHT_MS = noon_ms - 12 * 3_600_000
DAY_MS = 86_400_000
QUARTER_MS = 900_000
SEVERE, RESTRICTION, WORKS, JAM, VENUE = Grade


def asking(*grades: int, eta_s: list[float] | None = None) -> Candidates:
    return Candidates(np.array(grades, dtype=np.int8), np.array(eta_s or [0.0] * len(grades)))


def arbiter(daily: int, *, most_possible: float = np.inf, margin: float = 0.3) -> Arbiter:
    return Arbiter(QuotaLimits(daily=daily, spare=0.0, margin=margin), most_possible=most_possible)


def live_a_day(quota: Arbiter, day: int, demand: dict[int, int], *, first: int = 0, last: int = 96) -> np.ndarray:
    """Ask for so many of each grade every quarter of an hour; return per quarter and grade how many were admitted."""
    sent = np.zeros((96, len(Grade)), dtype=np.int64)
    for slot in range(first, last):
        for grade in sorted(demand, reverse=True):
            admitted = quota.admit(asking(*[grade] * demand[grade]), MIDNIGHT_MS + day * DAY_MS + slot * QUARTER_MS)
            sent[slot, grade] = admitted.sum()
    return sent


def test_the_gravest_and_then_the_soonest_go_first_when_a_step_asks_for_more_than_is_left() -> None:
    quota = arbiter(3, most_possible=0.0)
    admitted = quota.admit(asking(WORKS, RESTRICTION, RESTRICTION, RESTRICTION, eta_s=[0, 60, 10, 30]), noon_ms)
    assert admitted.tolist() == [False, True, True, True]
    quota = arbiter(2, most_possible=0.0)
    admitted = quota.admit(asking(RESTRICTION, SEVERE, RESTRICTION, eta_s=[60, 90, 10]), noon_ms)
    assert admitted.tolist() == [False, True, True]
    assert quota.left() == 0
    assert not quota.admit(asking(SEVERE), noon_ms).any()


def test_while_nothing_is_known_only_restrictions_leave() -> None:
    quota = arbiter(100)
    assert quota.admit(asking(SEVERE, RESTRICTION, WORKS, JAM, VENUE), noon_ms).tolist() == [True] * 2 + [False] * 3


def test_while_nothing_is_known_lower_grades_leave_where_users_are_too_few_to_use_the_quota_up() -> None:
    quota = arbiter(100, most_possible=98.0)
    assert quota.admit(asking(*[WORKS] * 4), noon_ms).tolist() == [True, True, False, False]


def test_a_day_of_demand_leaves_room_for_lower_grades_the_next_day() -> None:
    quota = arbiter(10_000)
    first = live_a_day(quota, 0, {RESTRICTION: 10, WORKS: 50})
    second = live_a_day(quota, 1, {RESTRICTION: 10, WORKS: 50})
    assert (first[:, WORKS].sum(), first[:, RESTRICTION].sum()) == (0, 960)
    assert second[:, RESTRICTION].sum() == 960
    assert second[:, WORKS].sum() == 4800


def test_lower_grades_stop_before_they_touch_what_restrictions_will_need() -> None:
    quota = arbiter(2000)
    live_a_day(quota, 0, {RESTRICTION: 10, WORKS: 50})
    second = live_a_day(quota, 1, {RESTRICTION: 10, WORKS: 50})
    assert second[:, RESTRICTION].sum() == 960
    assert 0 < second[:, WORKS].sum() < 1040


def test_a_busier_day_is_seen_while_it_goes_on() -> None:
    quota = arbiter(2000)
    live_a_day(quota, 0, {RESTRICTION: 10})
    calm, busy = arbiter(2000), arbiter(2000)
    for one in (calm, busy):
        one.restore(quota.uses())
    live_a_day(calm, 1, {RESTRICTION: 10}, last=48)
    live_a_day(busy, 1, {RESTRICTION: 15}, last=48)
    at_ms = MIDNIGHT_MS + DAY_MS + 48 * QUARTER_MS
    held = [one.reserves(at_ms)[WORKS] for one in (calm, busy)]
    assert held[1] == pytest.approx(1.5 * held[0], rel=0.1)


def test_a_first_day_that_began_at_noon_says_nothing_of_mornings() -> None:
    quota = arbiter(10_000)
    live_a_day(quota, 0, {RESTRICTION: 10}, first=48)
    assert not quota.admit(asking(WORKS), MIDNIGHT_MS + DAY_MS + 10 * QUARTER_MS).any()
    assert quota.admit(asking(WORKS), MIDNIGHT_MS + DAY_MS + 50 * QUARTER_MS).all()


def test_the_day_begins_anew_at_local_midnight() -> None:
    quota = arbiter(1)
    last_ms = MIDNIGHT_MS + DAY_MS - 1
    assert [bool(quota.admit(asking(SEVERE), at)[0]) for at in (last_ms, last_ms, last_ms + 1)] == [True, False, True]


def test_days_long_past_are_forgotten() -> None:
    quota = arbiter(10)
    for day in range(40):
        quota.admit(asking(RESTRICTION), MIDNIGHT_MS + day * DAY_MS)
    assert len({use.day for use in quota.uses()}) == 15


def test_a_restart_forgets_nothing() -> None:
    one = arbiter(3000)
    live_a_day(one, 0, {RESTRICTION: 10, WORKS: 5})
    live_a_day(one, 1, {RESTRICTION: 10, WORKS: 50}, last=60)
    other = arbiter(3000)
    other.restore(one.uses())
    at_ms = MIDNIGHT_MS + DAY_MS + 60 * QUARTER_MS
    assert (other.left(), other.reserves(at_ms).tolist()) == (one.left(), one.reserves(at_ms).tolist())
    rest = [live_a_day(quota, 1, {RESTRICTION: 10, WORKS: 50}, first=60).tolist() for quota in (one, other)]
    assert rest[0] == rest[1]


def test_what_was_stored_is_not_stored_again() -> None:
    quota = arbiter(10)
    quota.admit(asking(SEVERE, WORKS), noon_ms)
    (severe, works) = quota.uses()
    assert (severe.slot, severe.grade, severe.asked, severe.sent) == (48, SEVERE, 1, 1)
    assert (works.grade, works.asked, works.sent) == (WORKS, 1, 0)
    quota.saved()
    assert quota.uses() == []
    quota.admit(asking(), noon_ms)
    assert quota.uses() == []
    quota.admit(asking(SEVERE), noon_ms)
    assert [use.asked for use in quota.uses()] == [2, 1]


def test_a_part_of_the_quota_is_kept_for_repeated_attempts() -> None:
    quota = Arbiter(QuotaLimits(daily=100, spare=0.1), most_possible=0.0)
    assert quota.admit(asking(*[SEVERE] * 100), noon_ms).sum() == 90


@pytest.mark.parametrize("wrong", [{"daily": -1}, {"spare": 1.0}, {"margin": -0.1}, {"days": 0}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="expected 0 or more calls"):
        QuotaLimits(**wrong)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3 * 96 - 1), st.lists(st.sampled_from(list(Grade)), max_size=30)), max_size=30
    ),
    daily=st.integers(0, 60),
)
def test_no_day_is_overdrawn_and_nobody_passes_a_graver_one_of_the_same_step(
    steps: list[tuple[int, list[int]]], daily: int
) -> None:
    quota, used = arbiter(daily), dict.fromkeys(range(3), 0)
    for quarter, grades in sorted(steps, key=lambda step: step[0]):
        admitted = quota.admit(asking(*grades), MIDNIGHT_MS + quarter * QUARTER_MS)
        used[quarter // 96] += int(admitted.sum())
        refused = [grade for grade, may in zip(grades, admitted, strict=True) if not may]
        for grade, may in zip(grades, admitted, strict=True):
            assert not (may and any(other < grade for other in refused))
    assert max(used.values()) <= daily
