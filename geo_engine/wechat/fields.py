"""The text rules of WeChat's template fields: what a value may look like, and how to make ours fit.

Source: Tencent's field table of subscription notices (``api_sendnewsubscribemsg``) and its announcement in force
since 2023-05-04: no newline, no emoji, 20 characters in a ``thing``. One value that breaks its rule makes the whole
message fail with errcode 47003, so the sender fits every value and the fake server checks with the same table.

Lengths are counted in UTF-16 units, the stricter of the two ways to count a character outside the basic plane.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

__all__ = ["FieldType", "check_field", "clean_text", "fit_field", "fits", "text_length", "truncate_text"]


class FieldType(StrEnum):
    """The types a field of a category template can have; the field's key is the type and a number (``thing1``)."""

    THING = "thing"
    NUMBER = "number"
    LETTER = "letter"
    SYMBOL = "symbol"
    CHARACTER_STRING = "character_string"
    TIME = "time"
    DATE = "date"
    AMOUNT = "amount"
    PHONE_NUMBER = "phone_number"
    CAR_NUMBER = "car_number"
    NAME = "name"
    PHRASE = "phrase"
    CONST = "const"


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one type accepts: at most ``limit`` units that match ``pattern`` as a whole."""

    limit: int
    pattern: re.Pattern[str]
    expected: str


_ANYTHING: Final = r".+"
_HAN: Final = r"\u3007\u3400-\u4dbf\u4e00-\u9fff"
_DAY: Final = r"\d{4}年\d{1,2}月\d{1,2}日|\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}"
_CLOCK: Final = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_TIME: Final = rf"(?:(?:{_DAY}) ?)?{_CLOCK}"
_DATE: Final = rf"(?:{_DAY})(?: ?{_CLOCK})?"
_DAY_PARTS: Final = re.compile(r"(\d{4})[年/-](\d{1,2})[月/-](\d{1,2})")


def _rule(limit: int, pattern: str, expected: str) -> _Rule:
    return _Rule(limit, re.compile(pattern, re.ASCII), expected)


_RULES: Final[dict[FieldType, _Rule]] = {
    FieldType.THING: _rule(20, _ANYTHING, "at most 20 characters"),
    FieldType.NUMBER: _rule(32, r"\d+(?:\.\d+)?", "at most 32 digits, a decimal point allowed"),
    FieldType.LETTER: _rule(32, r"[A-Za-z]+", "at most 32 letters"),
    FieldType.SYMBOL: _rule(5, rf"[^A-Za-z0-9\s{_HAN}]+", "at most 5 symbols"),
    FieldType.CHARACTER_STRING: _rule(32, r"[ -~]+", "at most 32 digits, letters and symbols, no Chinese"),
    FieldType.TIME: _rule(64, rf"{_TIME}(?: ?~ ?{_TIME})?", "a 24-hour time, 15:01 or 2026年11月3日 15:01"),
    FieldType.DATE: _rule(64, rf"{_DATE}(?: ?~ ?{_DATE})?", "a date, 2026年11月3日"),
    FieldType.AMOUNT: _rule(32, r"[¥￥$€£]?\d{1,10}(?:\.\d+)?元?", "a currency sign and at most 10 digits"),
    FieldType.PHONE_NUMBER: _rule(17, r"[0-9+() -]*\d[0-9+() -]*", "at most 17 digits and symbols"),
    FieldType.CAR_NUMBER: _rule(
        8,
        rf"[A-Za-z0-9{_HAN}](?:[A-Za-z0-9]*[A-Za-z0-9{_HAN}])?",
        "at most 8 letters and digits, the first and the last may be Chinese",
    ),
    FieldType.NAME: _rule(20, r"\D+", "a name of at most 10 characters with Chinese or 20 letters"),
    FieldType.PHRASE: _rule(5, rf"[{_HAN}]+", "at most 5 Chinese characters"),
    FieldType.CONST: _rule(20, _ANYTHING, "one of the template's fixed values"),
}

_MIXED_NAME_LIMIT: Final = 10
_SHORTENED: Final[frozenset[FieldType]] = frozenset({FieldType.THING, FieldType.CONST})
_ELLIPSIS: Final = "…"
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# The blocks that hold emoji, their variation selector, the keycap and the flags' tags; Chinese text needs none.
_EMOJI: Final = re.compile(
    "[\u203c\u2049\u2139\u20e3\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff\U000e0000-\U000e007f]"
)


def text_length(text: str) -> int:
    """Return the length of ``text`` in UTF-16 units, lone surrogates counted as one."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_field(field_type: FieldType, value: str) -> str | None:
    """Say why ``value`` may not stand in a field of ``field_type``; None = it may.

    Tencent publishes the rules in words only, so borderline values (a blank inside a ``character_string``, a date
    with slashes) may be judged otherwise by the real server.
    """
    if not value.strip():
        return "empty"
    if any(_is_forbidden(char) for char in value):
        return "holds a newline, a control character or an emoji"
    rule = _RULES[field_type]
    length = text_length(value)
    if length > rule.limit:
        return f"{length} characters long, expected {rule.expected}"
    if rule.pattern.fullmatch(value) is None or not _has_real_days(field_type, value):
        return f"expected {rule.expected}"
    if field_type is FieldType.NAME and length > _MIXED_NAME_LIMIT and re.search(f"[{_HAN}]", value):
        return f"{length} characters long, expected {rule.expected}"
    return None


def fits(field_type: FieldType, text: str) -> bool:
    """Say whether ``fit_field`` would leave every word of ``text`` standing."""
    return check_field(field_type, clean_text(text)) is None


def clean_text(text: str) -> str:
    """Return ``text`` in composed form (NFC) on one line, without emoji, control and invisible characters."""
    one_line = " ".join(unicodedata.normalize("NFC", text).split())
    kept = "".join(char for char in one_line if not _is_forbidden(char))
    return " ".join(kept.split())


def truncate_text(text: str, limit: int) -> str:
    """Shorten ``text`` to ``limit`` units with a final ``…``; a Latin word or a number is not cut in two.

    A word is given up whole only while at least half of the room stays filled; a longer one is cut.
    """
    if text_length(text) <= limit:
        return text
    kept = _take(text, limit - 1)
    if _joins(text[len(kept)]):
        whole_words = kept
        while whole_words and _joins(whole_words[-1]):
            whole_words = whole_words[:-1]
        if text_length(whole_words) * 2 >= limit:
            kept = whole_words
    return kept.rstrip(" ,;:(-、，；：（·") + _ELLIPSIS


def fit_field(field_type: FieldType, text: str, placeholder: str, *, ending: str = "") -> str:
    """Return ``text`` as a value that ``check_field`` accepts, or ``placeholder`` when it cannot be made one.

    Only free text (``thing``, ``const``) is shortened: half a licence plate or half a date says something wrong.
    ``ending`` follows what is left of the text, or of the placeholder, whole.
    """
    value = clean_text(text)
    if field_type in _SHORTENED:
        room = _RULES[field_type].limit - text_length(ending)
        value, placeholder = truncate_text(value, room), truncate_text(placeholder, room)
    return (value if check_field(field_type, value) is None else placeholder) + ending


def _is_forbidden(char: str) -> bool:
    return unicodedata.category(char) in _FORBIDDEN_CATEGORIES or _EMOJI.match(char) is not None


def _has_real_days(field_type: FieldType, value: str) -> bool:
    if field_type not in {FieldType.TIME, FieldType.DATE}:
        return True
    for year, month, day in _DAY_PARTS.findall(value):
        try:
            date(int(year), int(month), int(day))
        except ValueError:
            return False
    return True


def _take(text: str, units: int) -> str:
    """Return the longest beginning of ``text`` that fits into ``units``."""
    used = 0
    for index, char in enumerate(text):
        used += text_length(char)
        if used > units:
            return text[:index]
    return text


def _joins(char: str) -> bool:
    """Return whether ``char`` belongs to a word that is written without gaps and separated by blanks."""
    is_word = char.isalnum() or unicodedata.category(char).startswith("M")
    return is_word and unicodedata.east_asian_width(char) not in {"W", "F"}
