"""Codes people type, and who may see whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.meetings.meeting import CODE_LENGTH, Meeting, Member, code_of, is_open, read_code, sees
from geo_engine.testing import noon_ms

HOUR_MS = 3_600_000
MEETING = Meeting("m", "7K3M9QZX", 1, "周会", "会场", 114.3, 30.6, noon_ms, noon_ms + HOUR_MS)
ONE = Member("m", 1, "甲", noon_ms - HOUR_MS, shares=True)
OTHER = Member("m", 2, "乙", noon_ms - HOUR_MS, shares=True)


@given(st.binary(min_size=CODE_LENGTH, max_size=16))
def test_a_code_is_read_as_it_was_made(random: bytes) -> None:
    code = code_of(random)
    assert len(code) == CODE_LENGTH
    assert read_code(code) == read_code(code.lower()) == code


@pytest.mark.parametrize("typed", ["7k3m-9qzx", "７Ｋ３Ｍ９ＱＺＸ", " 7K3M 9QZX ", "7K3M_9QZX"])
def test_a_code_may_be_typed_in_other_ways(typed: str) -> None:
    assert read_code(typed) == "7K3M9QZX"


def test_letters_that_look_like_digits_are_read_as_digits() -> None:
    assert read_code("OIL23456") == "01123456"


@pytest.mark.parametrize("typed", ["", "7K3M9QZ", "7K3M9QZX1", "7K3M9QZU", "会议会议会议会议", "7K3M9QZ!"])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert read_code(typed) is None


def test_too_little_randomness_makes_no_code() -> None:
    with pytest.raises(ValueError, match="found 7 random bytes, expected 8"):
        code_of(b"1234567")


def test_the_window_holds_its_begin_and_not_its_end() -> None:
    assert [is_open(MEETING, at) for at in (noon_ms - 1, noon_ms, noon_ms + HOUR_MS - 1, noon_ms + HOUR_MS)] == [
        *(False, True),
        *(True, False),
    ]
    ended = replace(MEETING, ended_ms=noon_ms + 5)
    assert (is_open(ended, noon_ms + 4), is_open(ended, noon_ms + 5)) == (True, False)


def test_members_who_share_see_one_another_in_the_window_only() -> None:
    assert sees(MEETING, ONE, OTHER, noon_ms)
    assert not sees(MEETING, ONE, OTHER, noon_ms - 1)
    assert not sees(MEETING, ONE, OTHER, noon_ms + HOUR_MS)


@pytest.mark.parametrize(
    ("viewer", "other"),
    [
        (replace(ONE, shares=False), OTHER),
        (ONE, replace(OTHER, shares=False)),
        (ONE, replace(OTHER, meeting_id="another")),
        (replace(ONE, meeting_id="another"), OTHER),
        (ONE, ONE),
    ],
)
def test_who_does_not_share_does_not_see_and_is_not_seen(viewer: Member, other: Member) -> None:
    assert not sees(MEETING, viewer, other, noon_ms)
