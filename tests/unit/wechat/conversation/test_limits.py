"""A text within its bytes: cut between lines, at words, never inside a character or a link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.wechat.conversation.limits import MAX_TEXT_BYTES, cut_text, fit_lines, plain

LINK = '<a href="https://x.example/a">地图</a>'


@given(st.text(), st.integers(3, 200))
def test_a_cut_text_fits_and_is_a_beginning_of_the_text(text: str, limit: int) -> None:
    cut = cut_text(text, limit)
    assert len(cut.encode(errors="replace")) <= limit
    assert cut == text or text.startswith(cut.removesuffix("…"))


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")), max_size=30),
    st.integers(60, 300),
)
def test_lines_fit_whatever_they_hold(lines: list[str], limit: int) -> None:
    assert len(fit_lines(lines, "…{count} more", limit).encode()) <= limit


def test_what_fits_is_left_alone_to_the_last_byte() -> None:
    text = "字" * (MAX_TEXT_BYTES // 3)
    assert cut_text(text) == text
    assert cut_text(text + "字") == text[:-1] + "…"


def test_a_character_is_never_cut_in_two() -> None:
    assert cut_text("字字字字", 10) == "字字…"
    assert cut_text("字🚛字字", 10) == "字🚛…"
    assert cut_text("字🚛字字", 9) == "字…"


def test_a_word_is_not_cut_unless_it_fills_the_room() -> None:
    assert cut_text("take another road now", 16) == "take another…"
    assert cut_text("x" * 40, 13) == "x" * 10 + "…"


def test_a_link_is_kept_whole_or_left_out() -> None:
    text = f"汉口门店 {LINK} 武昌"
    whole = len(f"汉口门店 {LINK}".encode())
    assert cut_text(text, whole - 3) == "汉口门店…"
    assert cut_text(text, whole + 3) == f"汉口门店 {LINK}…"


def test_whole_lines_are_left_out_and_counted() -> None:
    lines = ["头", *(f"{number}. 门店" for number in range(10))]
    said = fit_lines(lines, "…还有{count}条", 60)
    assert said == "头\n0. 门店\n1. 门店\n2. 门店\n3. 门店\n…还有6条"
    assert fit_lines(lines, "…还有{count}条", 600) == "\n".join(lines)


def test_a_first_line_that_is_too_long_is_cut() -> None:
    assert fit_lines(["字" * 30, "b"], "…{count}", 20) == "字字字字字…"


def test_no_room_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="found a limit of 2 bytes"):
        cut_text("abc", 2)


def test_a_name_can_bring_no_tag_no_line_and_nothing_invisible() -> None:
    assert plain('<a href="x">店\n1\u202e\x07</a>') == '＜a href="x"＞店 1＜/a＞'
    assert plain("汉口门店") == "汉口门店"
