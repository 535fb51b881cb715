"""Until when zones are there."""

from __future__ import annotations

from geo_engine.tracking.state import NEVER_MS
from geo_engine.tracking.validity import Validity


def test_zone_is_retired_from_the_moment_of_its_end_on_and_not_before() -> None:
    fresh = Validity.of([None, 10, 20, 10])
    assert (fresh.next_ms, fresh.some) == (10, False)
    assert fresh.at(9).retired.tolist() == [False] * 4
    assert fresh.at(10).retired.tolist() == [False, True, False, True]
    assert (fresh.at(10).next_ms, fresh.at(20).next_ms) == (20, NEVER_MS)


def test_ends_that_have_come_are_each_listed_once_and_not_again() -> None:
    fresh = Validity.of([None, 10, 20, 10])
    assert fresh.ends_until(30).tolist() == [10, 20]
    assert fresh.at(10).ends_until(30).tolist() == [20]
    assert Validity.of([]).ends_until(30).tolist() == []
