"""Keywords: what a whole message means, and that a sentence is none."""

from __future__ import annotations

import pytest

from geo_engine.people.consents import Purpose
from geo_engine.people.keywords import KEYWORDS, Wish, WishAct, wish_of

ALL = tuple(Purpose)


@pytest.mark.parametrize(
    "message", ["停止", "退订", " 停止。", "停止！！", "STOP", "stop.", "Ｓｔｏｐ", "不同意", "TD", "“退订”"]
)
def test_a_bare_no_withdraws_everything(message: str) -> None:
    assert wish_of(message) == Wish(WishAct.WITHDRAW, ALL)


@pytest.mark.parametrize("message", ["同意", "恢复", "START", "yes!", "开始"])
def test_a_bare_yes_agrees_to_warnings_and_to_nothing_else(message: str) -> None:
    assert wish_of(message) == Wish(WishAct.AGREE, (Purpose.WARNINGS,))


@pytest.mark.parametrize(
    ("message", "act", "purpose"),
    [
        ("同意记录", WishAct.AGREE, Purpose.HISTORY),
        ("停止记录", WishAct.WITHDRAW, Purpose.HISTORY),
        ("同意同行", WishAct.AGREE, Purpose.COMPANIONS),
        ("Stop  Companions", WishAct.WITHDRAW, Purpose.COMPANIONS),
        ("停止提醒", WishAct.WITHDRAW, Purpose.WARNINGS),
    ],
)
def test_one_purpose_is_named(message: str, act: WishAct, purpose: Purpose) -> None:
    assert wish_of(message) == Wish(act, (purpose,))


def test_erasure_is_asked_and_then_confirmed() -> None:
    acts = [wish.act for message in ("注销", "确认注销") if (wish := wish_of(message))]
    assert acts == [WishAct.ASK_ERASURE, WishAct.CONFIRM_ERASURE]


@pytest.mark.parametrize(
    "message",
    ["", "。", "停止在哪里停车", "我同意你的看法", "please stop", "不要停止", "停止 " * 40, "附近停车场", "nonstop"],
)
def test_anything_more_than_the_word_is_no_keyword(message: str) -> None:
    assert wish_of(message) is None


@pytest.mark.parametrize("word", KEYWORDS)
def test_every_word_of_the_table_can_be_said(word: str) -> None:
    assert wish_of(word) == KEYWORDS[word]
    assert wish_of(f" {word.upper()}！") == KEYWORDS[word]


@pytest.mark.parametrize("purpose", Purpose)
def test_for_every_purpose_there_is_a_yes_and_a_no(purpose: Purpose) -> None:
    acts = {wish.act for wish in KEYWORDS.values() if wish.purposes == (purpose,)}
    assert acts >= {WishAct.AGREE, WishAct.WITHDRAW}
