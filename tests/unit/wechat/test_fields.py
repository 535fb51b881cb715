"""The text rules of WeChat's template fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.wechat.fields import FieldType, check_field, clean_text, fit_field, text_length, truncate_text

ACCEPTED = [
    (FieldType.THING, "长江二桥货车禁行"),
    (FieldType.THING, "a" * 20),
    (FieldType.THING, "420 m NE, 27 s"),
    (FieldType.NUMBER, "1" * 32),
    (FieldType.NUMBER, "3.5"),
    (FieldType.LETTER, "Z" * 32),
    (FieldType.SYMBOL, "!@#￥%"),
    (FieldType.CHARACTER_STRING, "No.42/A-7"),
    (FieldType.TIME, "15:01"),
    (FieldType.TIME, "23:59:59"),
    (FieldType.TIME, "2019年10月1日 15:01"),
    (FieldType.TIME, "2019-10-01 15:01"),
    (FieldType.TIME, "07:00~09:00"),
    (FieldType.DATE, "2019年10月1日"),
    (FieldType.DATE, "2019年10月1日 15:01"),
    (FieldType.DATE, "2019年10月1日~2019年10月3日"),
    (FieldType.AMOUNT, "¥100.50元"),
    (FieldType.AMOUNT, "1234567890"),
    (FieldType.PHONE_NUMBER, "+86-0766-66888866"),
    (FieldType.CAR_NUMBER, "粤A8Z888挂"),
    (FieldType.CAR_NUMBER, "鄂AD12345"),
    (FieldType.CAR_NUMBER, "未知"),
    (FieldType.CAR_NUMBER, "UNKNOWN"),
    (FieldType.NAME, "十个汉字的姓名就到这"),
    (FieldType.NAME, "A Name Of Twenty Lts"),
    (FieldType.PHRASE, "货车禁行"),
    (FieldType.PHRASE, "五个字正好"),
    (FieldType.CONST, "已生效"),
]

REFUSED = [
    (FieldType.THING, ""),
    (FieldType.THING, "   "),
    (FieldType.THING, "a" * 21),
    (FieldType.THING, "𠮷" * 11),  # 22 UTF-16 units
    (FieldType.THING, "two\nlines"),
    (FieldType.THING, "two\u2028lines"),
    (FieldType.THING, "禁行🚫"),
    (FieldType.THING, "禁行⚠"),
    (FieldType.THING, "bell\x07"),
    (FieldType.THING, "turned\u202e"),
    (FieldType.THING, "half\ud800"),
    (FieldType.NUMBER, "1" * 33),
    (FieldType.NUMBER, "1a"),
    (FieldType.NUMBER, "１２"),
    (FieldType.LETTER, "abc1"),
    (FieldType.LETTER, "Z" * 33),
    (FieldType.SYMBOL, "!!!!!!"),
    (FieldType.SYMBOL, "!a"),
    (FieldType.CHARACTER_STRING, "鄂A12345"),
    (FieldType.CHARACTER_STRING, "x" * 33),
    (FieldType.TIME, "24:00"),
    (FieldType.TIME, "15:60"),
    (FieldType.TIME, "3 pm"),
    (FieldType.TIME, "2019年2月30日 15:01"),
    (FieldType.TIME, "2019年10月1日"),
    (FieldType.DATE, "2019年13月1日"),
    (FieldType.DATE, "15:01"),
    (FieldType.AMOUNT, "12345678901"),
    (FieldType.AMOUNT, "one"),
    (FieldType.PHONE_NUMBER, "1" * 18),
    (FieldType.PHONE_NUMBER, "call me"),
    (FieldType.PHONE_NUMBER, "+-"),
    (FieldType.CAR_NUMBER, "鄂A123456挂"),
    (FieldType.CAR_NUMBER, "WJ鄂0001X"),
    (FieldType.CAR_NUMBER, "鄂A·12345"),
    (FieldType.NAME, "十一个汉字的姓名就太长了"),
    (FieldType.NAME, "An English name far too long"),
    (FieldType.NAME, "Agent 007"),
    (FieldType.PHRASE, "六个字就太长"),
    (FieldType.PHRASE, "Truck"),
    (FieldType.CONST, "x" * 21),
]


@pytest.mark.parametrize(("field_type", "value"), ACCEPTED)
def test_a_value_that_keeps_its_rule_is_accepted(field_type: FieldType, value: str) -> None:
    assert check_field(field_type, value) is None


@pytest.mark.parametrize(("field_type", "value"), REFUSED)
def test_a_value_that_breaks_its_rule_is_refused_with_a_reason(field_type: FieldType, value: str) -> None:
    assert check_field(field_type, value)


def test_every_type_is_in_both_tables() -> None:
    assert {field_type for field_type, _ in ACCEPTED} == set(FieldType)
    assert {field_type for field_type, _ in REFUSED} == set(FieldType)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("武汉长江二桥主桥及两侧引桥货车全天禁止通行", "武汉长江二桥主桥及两侧引桥货车全天禁止…"),
        ("Second Yangtze Bridge closure", "Second Yangtze…"),
        ("Supercalifragilisticexpialidocious", "Supercalifragilisti…"),
        ("一二三 Supercalifragilisticexpialidocious", "一二三 Supercalifragil…"),
        ("绕行至三环线出口 exit 12345678", "绕行至三环线出口 exit…"),
        ("exactly twenty chars", "exactly twenty chars"),
    ],
)
def test_long_text_ends_at_a_word_with_an_ellipsis(text: str, expected: str) -> None:
    assert truncate_text(text, 20) == expected


def test_cleaning_leaves_one_plain_line() -> None:
    assert clean_text(" 长江\n二桥\t🚫 e\u0301x\u200b ") == "长江 二桥 éx"


@given(st.text(st.characters()), st.integers(2, 40))
def test_truncated_text_is_never_longer_than_allowed(text: str, limit: int) -> None:
    assert text_length(truncate_text(text, limit)) <= limit


@pytest.mark.parametrize(
    ("text", "ending", "expected"),
    [
        ("长江二桥", "等3处", "长江二桥等3处"),
        ("武汉长江二桥主桥及两侧引桥货车全天候", "等3处", "武汉长江二桥主桥及两侧引桥货车全…等3处"),
        ("", "等3处", "某处等3处"),
        ("🚧🚧", "", "某处"),
    ],
)
def test_an_ending_is_never_cut_off(text: str, ending: str, expected: str) -> None:
    found = fit_field(FieldType.THING, text, "某处", ending=ending)
    assert (found, check_field(FieldType.THING, found)) == (expected, None)


@given(field_type=st.sampled_from(FieldType), text=st.text(st.characters()))
def test_any_text_in_any_type_fits_or_gives_way_to_the_placeholder(field_type: FieldType, text: str) -> None:
    found = fit_field(field_type, text, "placeholder")
    assert found == "placeholder" or check_field(field_type, found) is None


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("𠮷野家𠮷野家𠮷野家", 10, "𠮷野家𠮷野家…"),
        ("👩‍👩‍👧‍👦 family lane", 20, "family lane"),
        ("ＦＵＬＬ　ＷＩＤＴＨ　ＬＥＴＴＥＲＳ　ＨＥＲＥ", 20, "ＦＵＬＬ ＷＩＤＴＨ ＬＥＴＴＥＲＳ…"),
        ("e\u0301te\u0301 comme hiver interdiction", 12, "été comme…"),
    ],
)
def test_wide_characters_and_emoji_are_counted_as_the_channel_does(text: str, limit: int, expected: str) -> None:
    assert truncate_text(clean_text(text), limit) == expected


@given(st.text(st.characters()))
def test_any_text_fits_a_thing(text: str) -> None:
    assert check_field(FieldType.THING, fit_field(FieldType.THING, text, "-")) is None


@given(st.text(st.characters()))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


@pytest.mark.parametrize("field_type", [FieldType.CAR_NUMBER, FieldType.PHRASE, FieldType.TIME])
def test_what_must_not_be_shortened_becomes_the_placeholder(field_type: FieldType) -> None:
    assert fit_field(field_type, "something far too long for it", "placeholder") == "placeholder"
