"""Numbers, OpenIDs and phones."""

from __future__ import annotations

import pytest

from geo_engine.people.identity import is_open_id, masked_phone, next_u7, phone_of


def no_gap() -> int | None:
    message = "it looks at everybody and is asked for only when there is no other number"
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("highest", "rested", "expected"), [(None, None, 0), (0, None, 1), (7, None, 8), (7, 3, 3), (9_999_999, 3, 3)]
)
def test_a_new_number_is_a_rested_one_or_the_next(highest: int | None, rested: int | None, expected: int) -> None:
    assert next_u7(highest, rested, no_gap) == expected


@pytest.mark.parametrize("gap", [5, None])
def test_behind_the_last_number_only_a_gap_is_left(gap: int | None) -> None:
    assert next_u7(9_999_999, None, lambda: gap) == gap


@pytest.mark.parametrize(
    "text", ["13812345678", " 138 1234 5678 ", "+86 138-1234-5678", "008613812345678", "１３８１２３４５６７８"]
)
def test_a_mobile_number_is_understood_however_it_is_written(text: str) -> None:
    assert phone_of(text) == "13812345678"


@pytest.mark.parametrize(
    "text",
    ["", "1381234567", "138123456789", "12812345678", "027-12345678", "+1 3812345678", "١٣٨١٢٣٤٥٦٧٨x", "1381234567a"],
)
def test_anything_else_is_no_mobile_number(text: str) -> None:
    assert phone_of(text) is None


def test_a_shown_phone_lacks_its_middle() -> None:
    assert masked_phone("13812345678") == "138****5678"


@pytest.mark.parametrize(
    ("text", "is_one"), [("o" * 28, True), ("o_-A" * 7, True), ("o" * 27, False), ("中" * 28, False)]
)
def test_an_open_id_has_28_letters_digits_or_marks(text: str, is_one: bool) -> None:
    assert is_open_id(text) is is_one
