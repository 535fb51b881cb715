"""Passive replies: one element per text whatever it holds, within the limit, to whom it belongs, sealed as it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.inbound import Kind, MenuEvent, PingEvent, TextMessage
from geo_engine.wechat.push_tree import parse_xml
from geo_engine.wechat.replies import NOTHING, may_answer, sealed_reply, text_reply
from tests.examples import examples
from tests.unit.wechat.vectors import row

OPENID = "oMgHVjngRipVsoxg6TuX3vz6glDg"
HEAD = (OPENID, "gh_e136c6e50636", 1_348_831_860, "msgid:1")
MESSAGE = TextMessage(Kind.TEXT, *HEAD, "附近")
RANDOM = b"0123456789abcdef"


def test_a_reply_goes_back_to_the_person_from_the_account() -> None:
    root = parse_xml(text_reply(MESSAGE, "好", now_s=5))
    fields = {name: root.text(name) for name in ("ToUserName", "FromUserName", "CreateTime", "MsgType", "Content")}
    assert fields == {
        "ToUserName": OPENID,
        "FromUserName": "gh_e136c6e50636",
        "CreateTime": "5",
        "MsgType": "text",
        "Content": "好",
    }


def test_a_text_cannot_become_elements() -> None:
    content = row("passive_reply", "reply-injection")["content"]
    root = parse_xml(text_reply(MESSAGE, content, now_s=5))
    assert [("".join(element.parts)) for element in root.all("Content")] == [content]


@examples(300)
@given(st.text())
def test_any_text_stays_one_element_of_well_formed_xml(text: str) -> None:
    content = parse_xml(text_reply(MESSAGE, text, now_s=5)).all("Content")
    assert len(content) == 1
    assert content[0].elements == []


@pytest.mark.parametrize("text", ["汉" * 1_000, "a" * 2_049, "ab" + "🚛" * 600])
def test_a_long_text_is_cut_at_a_whole_character(text: str) -> None:
    limit = row("passive_reply", "reply-limit")["content_bytes_max"]
    cut = parse_xml(text_reply(MESSAGE, text, now_s=5)).text("Content")
    assert limit - 4 <= len(cut.encode()) <= limit
    assert cut.endswith("…")
    assert text.startswith(cut[:-1])


@pytest.mark.parametrize("text", ["", "汉" * 682, "a" * 2_048])
def test_a_text_that_fits_is_left_alone(text: str) -> None:
    assert parse_xml(text_reply(MESSAGE, text, now_s=5)).text("Content") == text


def test_no_reply_is_exactly_the_word_success() -> None:
    assert NOTHING.decode() == row("passive_reply", "reply-none")["body"]


def test_a_location_event_may_not_be_answered_and_a_menu_click_may() -> None:
    ping = PingEvent(Kind.PING, *HEAD, 114.3, 30.5)
    with pytest.raises(ValueError, match="may be answered"):
        text_reply(ping, "x", now_s=5)
    assert b"x" in text_reply(MenuEvent(Kind.CLICK, *HEAD, "near"), "x", now_s=5)
    assert not any(map(may_answer, (Kind.UNSUBSCRIBE, Kind.VIEW, Kind.TEMPLATE_RESULT, Kind.OTHER)))


def test_a_sealed_reply_opens_under_the_key_the_message_came_with() -> None:
    new, old = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
    reply = text_reply(MESSAGE, "好", now_s=5)
    sealed = sealed_reply(reply, Sealer("wx1", [new, old]), key=1, token="t", now_s=5, random16=RANDOM)  # noqa: S106
    root = parse_xml(sealed)
    assert Sealer("wx1", [old]).open(root.text("Encrypt")).message == reply
    signed = signature("t", root.text("TimeStamp"), root.text("Nonce"), root.text("Encrypt"))
    assert root.text("MsgSignature") == signed
    assert RANDOM not in sealed
