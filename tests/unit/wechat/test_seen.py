"""The memory of pushes seen: long enough, never larger than it may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geo_engine.wechat.seen import SeenCache
from tests.examples import examples


def test_a_key_is_remembered_for_the_window_and_forgotten_after_two() -> None:
    seen = SeenCache(1_000, 100)
    seen.add("a", "1", 5_000)
    assert [seen.get("a", 5_000 + after) for after in (0, 1_000, 1_999)] == ["1"] * 3
    assert seen.get("a", 7_000) is None
    assert seen.get("b", 5_000) is None


@examples(200)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 400)), max_size=60))
def test_what_was_added_within_the_window_is_known_and_the_cache_stays_small(steps: list[tuple[int, int]]) -> None:
    seen, added, now_ms = SeenCache(1_000, 200), dict[str, int](), 0
    for number, pause_ms in steps:
        now_ms += pause_ms
        seen.add(str(number), str(number), now_ms)
        added[str(number)] = now_ms
        for key, at_ms in added.items():
            if now_ms - at_ms < 1_000:
                assert seen.get(key, now_ms) == key


def test_more_keys_than_it_may_hold_push_out_the_oldest() -> None:
    seen = SeenCache(1_000, 10)
    for number in range(1_000):
        seen.add(str(number), "", 0)
        assert len(seen) <= 10
    assert seen.get("999", 0) == ""
    assert seen.get("0", 0) is None


def test_a_clock_that_goes_back_loses_nothing() -> None:
    seen = SeenCache(1_000, 10)
    seen.add("a", "1", 5_000)
    assert seen.get("a", 1_000) == "1"
