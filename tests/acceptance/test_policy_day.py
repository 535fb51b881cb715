"""The policy over made-up days: nobody is harassed, and no restriction is lost for the sake of something lower."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks.policy_day import Day, run
from benchmarks.policy_demand import Plan
from benchmarks.policy_picture import draw
from geo_engine.alerting.policy import Policy

PLAN = Plan(users=40_000)
LOWER = ("construction", "congestion", "venue")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return run(PLAN, 400)


def test_no_restriction_is_lost_to_the_quota_while_anything_lower_is_sent(found: dict[str, Any]) -> None:
    for way in ("arbiter", "half_the_quota", "three_times_busier"):
        lost = [day["restrictions_lost_while_a_lower_grade_was_sent"] for day in found[way]["days"]]
        assert lost == [0] * len(lost)
    # It is the arbiter that makes it so: whoever comes first takes the calls that a restriction needs later.
    assert all(day["restrictions_lost_while_a_lower_grade_was_sent"] for day in found["first_come"]["days"])


def test_quota_is_scarce_and_what_restrictions_leave_is_used_once_days_are_known(found: dict[str, Any]) -> None:
    first, *known = found["arbiter"]["days"][:3]
    assert [first["sent"][grade] for grade in LOWER] == [0, 0, 0]
    for day in known:
        assert day["refused_for_quota"]["construction"] > 0
        assert day["sent"]["construction"] > 0
        assert 0.8 * 392 < day["messages"] <= 392
    # Half the calls are fewer than the restrictions alone: some are lost then, and nothing lower was sent.
    for day in found["half_the_quota"]["days"]:
        assert day["refused_for_quota"]["restriction"] > 0
        assert day["messages"] <= 196
    assert found["three_times_busier"]["days"][-1]["refused_for_quota"]["restriction"] > 0


def test_nobody_is_above_the_cap_told_twice_or_woken(found: dict[str, Any]) -> None:
    for day in found["arbiter"]["days"] + found["first_come"]["days"]:
        assert (day["users_above_the_cap"], day["told_again_within_the_cooldown"]) == (0, 0)
        assert day["lower_grades_in_quiet_hours"] == 0
        assert day["most_to_one_user"] <= found["cap"]
        assert sum(day["users_by_messages"].values()) == PLAN.users


def test_repeat_over_midnight_is_counted_on_the_second_day_and_one_after_the_cooldown_is_not() -> None:
    cooldown_ms = 1_800_000
    for apart_ms, repeats in ((cooldown_ms - 1, 1), (cooldown_ms, 0)):
        first, second = (
            Day(np.zeros(1, dtype=np.uint8), told=[np.array([[7], [told_ms]])]) for told_ms in (5_000, 5_000 + apart_ms)
        )
        found = [
            day.document(Policy(), before)["told_again_within_the_cooldown"]
            for day, before in ((first, None), (second, first), (second, None))
        ]
        assert found == [0, repeats, 0]


def test_every_reason_of_the_policy_occurs_and_the_messages_add_up(found: dict[str, Any]) -> None:
    for day in found["arbiter"]["days"]:
        wanted = {"no_consent", "pull_only", "cooldown", "stale_ping", "quiet_hours", "digested", "quota"}
        assert wanted <= set(day["suppressed"])
        by_hour = sum(sum(hour.values()) for hour in day["messages_by_hour"])
        by_user = sum(int(number) * users for number, users in day["users_by_messages"].items())
        assert by_hour == by_user == day["messages"] == sum(day["sent"].values())


def test_same_seed_gives_the_same_days_and_a_picture(found: dict[str, Any]) -> None:
    again = run(PLAN, 400)
    assert [again[way]["days"] for way in ("arbiter", "first_come")] == [
        found[way]["days"] for way in ("arbiter", "first_come")
    ]
    picture = ET.fromstring(draw(found))  # noqa: S314 - our own text
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}rect")) > 20
