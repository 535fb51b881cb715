"""What a person means: words, menu keys, full width, traditional characters, slips; and what is not understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.wechat.conversation.intents import WORDS, Intent, Meant, normalised, recognise, recognise_key


@pytest.mark.parametrize(("intent", "word"), [(intent, word) for intent, words in WORDS.items() for word in words])
def test_every_word_of_the_table_means_its_intent(intent: Intent, word: str) -> None:
    assert recognise(word) == Meant(intent)


def test_every_intent_has_words_in_both_languages_and_no_two_share_one() -> None:
    assert set(WORDS) == set(Intent)
    for words in WORDS.values():
        assert any(word.isascii() for word in words)
        assert any(not word.isascii() for word in words)
    every = [normalised(word) for words in WORDS.values() for word in words if normalised(word)]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("intent", list(Intent))
def test_the_key_of_a_menu_button_means_its_intent(intent: Intent) -> None:
    assert recognise_key(intent.value) == Meant(intent)


def test_a_strange_key_means_nothing() -> None:
    assert recognise_key("somebody-elses-button") is None


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("ＮＥＡＲＥＳＴ", Intent.NEAREST),
        ("Zones!", Intent.ZONES),
        ("  my   WARNINGS ", Intent.WARNINGS),
        ("限行？", Intent.ZONES),
        ("請幫助", Intent.HELP),
        ("附近門店", Intent.NEAREST),
        ("加入會議", Intent.JOIN),
        ("不再提醒此區域", Intent.MUTE),
        ("刪除數據", Intent.FORGET_ME),
        ("会场在哪里？", Intent.VENUE),
        ("今天附近有限行吗", Intent.ZONES),
        ("请问同伴在哪", Intent.COMPANIONS),
        ("附近有什么限行", Intent.ZONES),
        ("？", Intent.HELP),
    ],
)
def test_width_case_punctuation_traditional_characters_and_sentences_do_not_matter(text: str, intent: Intent) -> None:
    found = recognise(text)
    assert found is not None
    assert found.intent is intent


@pytest.mark.parametrize(
    ("typed", "intent"),
    [
        ("neerest", Intent.NEAREST),
        ("nearst", Intent.NEAREST),
        ("nearestt", Intent.NEAREST),
        ("naerest", Intent.NEAREST),
        ("compaions", Intent.COMPANIONS),
        ("restrictoins", Intent.ZONES),
        ("我的题醒", Intent.WARNINGS),
        ("hlp", Intent.HELP),
    ],
)
def test_one_slip_in_a_long_word_is_forgiven(typed: str, intent: Intent) -> None:
    assert recognise(typed) == Meant(intent)


@pytest.mark.parametrize("typed", ["neeerst", "hp", "stoq", "leaev", "forget mee", "shqre", "确认删出", "yess"])
def test_two_slips_short_words_and_what_cannot_be_taken_back_are_not_guessed(typed: str) -> None:
    assert recognise(typed) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "。。。",
        "天气怎么样",
        "hello world",
        "我不想忘记我的密码",
        "do not forget me please",
        "😀",
        "joint venture",
    ],
)
def test_what_is_not_ours_is_not_understood(text: str) -> None:
    assert recognise(text) is None


@pytest.mark.parametrize(
    ("text", "intent", "rest"),
    [
        ("加入 7K3M-9QZX", Intent.JOIN, "7K3M-9QZX"),
        ("加入７Ｋ３Ｍ９ＱＺＸ", Intent.JOIN, "７Ｋ３Ｍ９ＱＺＸ"),
        ("join meeting 7k3m9qzx", Intent.JOIN, "7k3m9qzx"),
        ("开会 周会 14:00-15:30", Intent.CREATE, "周会 14:00-15:30"),
        ("最近的加油站", Intent.NEAREST, "加油站"),
        ("最近的加油站在哪里？", Intent.NEAREST, "加油站"),
        ("离我最近的加油站怎么走", Intent.NEAREST, "加油站"),
        ("nearest fuel?", Intent.NEAREST, "fuel"),
        ("where is the nearest fuel", Intent.NEAREST, "fuel"),
        ("靠近提醒 300米", Intent.NOTICE, "300米"),
        ("不再提醒 长江二桥", Intent.MUTE, "长江二桥"),
    ],
)
def test_what_is_said_beside_a_word_is_kept_as_typed(text: str, intent: Intent, rest: str) -> None:
    assert recognise(text) == Meant(intent, rest)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    found = recognise(text)
    assert found is None or found.intent in WORDS
