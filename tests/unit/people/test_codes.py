"""Codes: five minutes, five tries, limits, and a record that does not hold the code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.model import Language
from geo_engine.people.codes import (
    CODE_LIFE_MS,
    MOST_TRIES,
    CodeVerdict,
    PendingCode,
    code_text,
    limiter_key,
    pending_code,
    verdict,
    wait_ms,
)

T0 = 1_700_000_000_000
KEY = b"k" * 32
PENDING = replace(pending_code(7, "13812345678", "012345", KEY, T0), tries=1)


@pytest.mark.parametrize("typed", ["012345", " 012 345 ", "０１２３４５"])
def test_the_code_that_was_sent_is_right(typed: str) -> None:
    assert verdict(PENDING, typed, KEY, T0 + CODE_LIFE_MS - 1) is CodeVerdict.RIGHT


@pytest.mark.parametrize("typed", ["012346", "12345", "", "0123456", "abcdef", "é" * 6])
def test_any_other_is_wrong(typed: str) -> None:
    assert verdict(PENDING, typed, KEY, T0) is CodeVerdict.WRONG


def test_after_five_minutes_the_right_code_is_expired() -> None:
    assert verdict(PENDING, "012345", KEY, T0 + CODE_LIFE_MS) is CodeVerdict.EXPIRED


@pytest.mark.parametrize(("tries", "expected"), [(MOST_TRIES, CodeVerdict.RIGHT), (MOST_TRIES + 1, CodeVerdict.SPENT)])
def test_the_fifth_try_counts_and_the_sixth_does_not(tries: int, expected: CodeVerdict) -> None:
    assert verdict(replace(PENDING, tries=tries), "012345", KEY, T0) is expected


def test_without_a_code_there_is_nothing_to_judge() -> None:
    assert verdict(None, "012345", KEY, T0) is CodeVerdict.NONE


@pytest.mark.parametrize("change", [{"u7": 8}, {"phone": "13812345679"}, {"sent_ms": T0 + 1}])
def test_a_hash_counts_for_its_person_phone_and_moment_only(change: dict[str, object]) -> None:
    moved = replace(PENDING, **change)  # type: ignore[arg-type]  # fields of the record
    assert verdict(moved, "012345", KEY, T0 + 1) is CodeVerdict.WRONG


def test_a_hash_counts_with_its_key_only() -> None:
    assert verdict(PENDING, "012345", b"another" * 4, T0) is CodeVerdict.WRONG


def test_the_code_is_not_in_what_is_kept() -> None:
    assert "012345" not in repr(PENDING)
    assert len({pending_code(7, "13812345678", f"{code:06d}", KEY, T0).digest for code in range(500)}) == 500


@pytest.mark.parametrize(
    ("ages_s", "expected_s"),
    [
        ([], 0),
        ([59], 1),
        ([60], 0),
        ([3_000, 2_000, 1_000, 500, 61], 600),
        ([3_600, 2_000, 1_000, 500, 61], 0),
        ([80_000, 70_000, 60_000, 50_000, 40_000, 30_000, 20_000, 15_000, 10_000, 5_000], 6_400),
        ([86_400, 70_000, 60_000, 50_000, 40_000, 30_000, 20_000, 15_000, 10_000, 5_000], 0),
    ],
)
def test_one_a_minute_five_an_hour_ten_a_day(ages_s: list[int], expected_s: int) -> None:
    assert wait_ms([T0 - age * 1_000 for age in ages_s], T0) == expected_s * 1_000


@given(st.lists(st.integers(0, 90_000_000), max_size=40))
def test_whoever_asks_as_often_as_allowed_never_gets_more_than_the_limits(asks_ms: list[int]) -> None:
    sent: list[int] = []
    for at_ms in sorted(asks_ms):
        wait = wait_ms(sent, at_ms)
        assert wait >= 0
        if wait == 0:
            sent.append(at_ms)
        else:
            assert wait_ms(sent, at_ms + wait) == 0
    for span_ms, most in ((60_000, 1), (3_600_000, 5), (86_400_000, 10)):
        assert all(sum(end - span_ms < at <= end for at in sent) <= most for end in sent)


def test_limits_are_counted_under_names_that_tell_nothing() -> None:
    names = {limiter_key(kind, value, KEY) for kind in ("u7", "phone") for value in ("7", "13812345678")}
    assert len(names) == 4
    assert not any("13812345678" in name for name in names)
    assert limiter_key("u7", "7", KEY) != limiter_key("u7", "7", b"another key, also long")


@pytest.mark.parametrize("language", Language)
def test_the_message_holds_the_code_and_how_long_it_is_good(language: Language) -> None:
    text = code_text("012345", language)
    assert "012345" in text
    assert "5" in text.replace("012345", "")


def test_a_record_starts_without_a_try() -> None:
    fresh = pending_code(7, "13812345678", "012345", KEY, T0)
    assert fresh == PendingCode(7, "13812345678", fresh.digest, T0, 0)
