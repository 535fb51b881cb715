"""The joined chat without sockets: which words are whose, what a push says, links to one's data, what is not kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from api.chat.handler import heard_in
from api.chat.my_data import MyData
from api.chat.ports import Agreements, Persons, Told
from api.chat.words import agreed, withdrawn
from api.people import People
from geo_engine.alerting.policy import QuietHours
from geo_engine.meetings.service import MeetingDesk, Wanted
from geo_engine.model import Language, Vehicle
from geo_engine.people.consents import Purpose
from geo_engine.people.erasure import ErasureReason
from geo_engine.people.keywords import WishAct, wish_of
from geo_engine.sms.console import NoSms
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import ManualClock, an_alert
from geo_engine.wechat.conversation import Clicked, Located, Scanned, Texted
from geo_engine.wechat.conversation.dialogue import Dialogues, State
from geo_engine.wechat.conversation.intents import Intent, Meant
from geo_engine.wechat.inbound import FollowEvent, Kind, LocationMessage, MenuEvent, TextMessage

OPEN_ID, KEY = "o" + "a" * 27, b"k" * 32
A_MEETING = Wanted("周会", "", 0.0, 0.0, 1, 2)


class Engine:
    """A door that takes what it is told."""

    def put_vehicle(self, vehicle: Vehicle) -> None:
        """Take it."""

    def keep_history(self, u7: int, granted: bool) -> None:
        """Take it."""

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        """Take it."""

    def forget(self, u7: int) -> Future[None]:
        """Never finish: the erasure stays begun."""
        return Future()


class World:
    """A person, and what their words are put to."""

    def __init__(self) -> None:
        self.clock, self.store, self.dialogues = ManualClock(), MemoryStore(), Dialogues()
        self.people = People(self.store, Engine(), NoSms(), self.clock, KEY)
        desk: Callable[[], MeetingDesk] = lambda: self.desk  # noqa: E731 - the desk needs the persons
        self.persons = Persons(self.store, self.people, desk)
        self.desk = MeetingDesk(self.store.meetings, [KEY], consents=self.persons.may_be_seen)
        self.agreements = Agreements(self.persons, self.people, self.dialogues, None)
        self.u7 = self.people.follow(OPEN_ID)

    def says(self, text: str) -> str | None:
        return self.agreements.handle(self.u7, Texted(text), Language.ZH, self.clock())


@pytest.fixture
def world() -> World:
    return World()


def test_a_word_agrees_and_another_withdraws_and_a_question_does_neither(world: World) -> None:
    assert world.says("停止在哪里停车") is None
    assert "已记录" in (world.says("同意") or "")
    assert world.persons.may_locate(world.u7)
    assert not world.persons.may_be_seen(world.u7)
    assert "已撤回：定位与提醒" in (world.says("停止") or "")
    assert not world.persons.may_locate(world.u7)
    assert "没有需要撤回" in (world.says("停止") or "")


def test_a_word_that_answers_a_question_of_the_dialogue_changes_no_consent(world: World) -> None:
    world.says("同意")
    world.dialogues.put(world.u7, State(world.clock(), confirms=Intent.FORGET_ME))
    assert world.says("取消") is None
    assert world.persons.may_locate(world.u7)
    # Nothing is asked any more: now it is a withdrawal.
    world.dialogues.forget(world.u7)
    assert world.says("取消") is not None
    assert not world.persons.may_locate(world.u7)


def test_a_yes_agrees_while_the_chat_only_waits_for_a_place_and_a_no_ends_the_waiting(world: World) -> None:
    for state in (State(world.clock(), waits=Meant(Intent.NEAREST)), State(world.clock(), wanted=A_MEETING)):
        world.dialogues.put(world.u7, state)
        assert "已记录" in (world.says("同意") or "")
        assert world.says("取消") is None
        assert world.persons.may_locate(world.u7)


def test_warn_me_again_unmutes_for_who_agrees_and_agrees_for_who_does_not(world: World) -> None:
    assert "已记录" in (world.says("恢复提醒") or "")
    assert world.says("恢复提醒") is None


def test_a_link_to_my_data_is_mine_for_fifteen_minutes_and_void_when_i_am_gone(world: World) -> None:
    assert MyData(world.store, KEY, None, world.clock).link(world.u7, world.clock()) is None
    data = MyData(world.store, KEY, "https://a.cn/", world.clock)
    link = data.link(world.u7, world.clock())
    assert link is not None
    assert link.startswith("https://a.cn/bind/data/")
    token = link.rsplit("/", 1)[1]
    assert json.loads(data.file(token) or b"")["person"]["open_id"] == OPEN_ID
    for hours, shown in ((None, None), (QuietHours(60, 300), "01:00-05:00"), (QuietHours(0, 0), "none")):
        world.people.keep_quiet(OPEN_ID, hours)
        assert json.loads(data.file(token) or b"")["quiet_hours"] == shown
    for wrong in ("", "x", token[:-2] + "AA", token.replace(".", "1.", 1)):
        assert data.file(wrong) is None
    assert MyData(world.store, b"q" * 32, "https://a.cn", world.clock).file(token) is None
    world.clock.advance(15 * 60)
    assert data.file(token) is None
    world.clock.advance(-60)
    assert data.file(token) is not None
    world.people.erase(world.u7, ErasureReason.ASKED)
    assert data.file(token) is None


def test_a_warning_that_only_waits_was_not_told(world: World) -> None:
    world.store.commit([an_alert(u7=world.u7)], [], now_ms=world.clock())
    assert Told(world.store).of(world.u7, limit=5) == []


def test_a_push_says_its_text_its_button_its_scene_or_its_place_in_wgs84() -> None:
    head = (OPEN_ID, "gh_1", 1, "k")
    assert heard_in(TextMessage(Kind.TEXT, *head, "附近")) == Texted("附近")
    assert heard_in(TextMessage(Kind.TEXT, *head, "确认注销")) == Texted("确认删除")
    assert heard_in(MenuEvent(Kind.CLICK, *head, "nearest")) == Clicked("nearest")
    assert heard_in(MenuEvent(Kind.VIEW, *head, "https://a.cn")) is None
    assert heard_in(FollowEvent(Kind.SUBSCRIBE, *head, "m.1")) == Scanned("m.1")
    assert heard_in(FollowEvent(Kind.SUBSCRIBE, *head)) is None
    place = heard_in(LocationMessage(Kind.LOCATION, *head, 114.3, 30.5, label="店"))
    assert isinstance(place, Located)
    assert 300.0 < abs(place.lon - 114.3) * 95_800 < 700.0
    assert place.label == "店"


def test_each_yes_says_how_to_take_just_that_back_and_sentences_are_kept_apart() -> None:
    assert "“停止记录”" in agreed(Purpose.HISTORY, Language.ZH, None)
    assert "“stop companions”" in agreed(Purpose.COMPANIONS, Language.EN, None)
    assert "“停止”" in agreed(Purpose.WARNINGS, Language.ZH, None)
    for purpose in Purpose:
        for language in Language:
            word = re.findall(r"“([^”]+)”", agreed(purpose, language, None))[-1]
            wish = wish_of(word)
            assert wish is not None
            assert (wish.act, purpose in wish.purposes) == (WishAct.WITHDRAW, True)
    assert ". To erase" in withdrawn([Purpose.WARNINGS], Language.EN)
    assert ". To erase" in withdrawn([], Language.EN)
