"""The handler of the chat in a running service: who leaves, who comes back, what comes late, and greetings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from api.bootstrap import Service, bootstrap
from api.chat.handler import ChatHandler
from api.clocks import wall_clock_ms
from api.settings import Settings
from api.workers.inbound import NothingKept
from geo_engine.alerting.reach import Channel, Dispatch, Reach, Standing, Trigger
from geo_engine.meetings.meeting import Meeting, Member
from geo_engine.model import Language, Vehicle, VehicleKind
from geo_engine.people.consents import ConsentChannel, Purpose
from geo_engine.testing import an_alert, straight_drive
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.inbound import (
    AuthorizationEvent,
    FollowEvent,
    Inbound,
    Kind,
    MenuEvent,
    TemplateResult,
    TextMessage,
    UnfollowEvent,
)
from tests.e2e.phones import until
from tests.integration.test_pings_door import ZONES

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

AT_S = wall_clock_ms() // 1000
"""When the person leaves, by WeChat's clock."""
_NUMBERS = count(1)


@dataclass
class Person:
    """Somebody new, in the hands of a test."""

    service: Service
    wechat: FakeServer
    open_id: str

    @property
    def handler(self) -> ChatHandler:
        assert self.service.chat is not None
        return self.service.chat.handler

    def is_known(self) -> bool:
        return self.service.store.u7_of(self.open_id) is not None

    def does(self, make: Callable[..., Inbound], kind: Kind, at_s: int, *more: object) -> None:
        """Have a push of theirs handled; ``NothingKept`` is raised as the worker sees it."""
        self.handler.handle(make(kind, self.open_id, "gh_1", at_s, f"key {next(_NUMBERS)}", *more), at_s * 1000)

    def follows(self, at_s: int) -> None:
        self.wechat.state.touch(self.open_id, "follow")
        self.does(FollowEvent, Kind.SUBSCRIBE, at_s)

    def leaves(self, at_s: int) -> None:
        with pytest.raises(NothingKept):
            self.does(UnfollowEvent, Kind.UNSUBSCRIBE, at_s)

    def says(self, text: str, at_s: int) -> None:
        self.wechat.state.touch(self.open_id, "message")
        self.does(TextMessage, Kind.TEXT, at_s, text)

    def phone(self) -> list[str]:
        return ["\n".join(found.data.values()) for found in self.wechat.state.deliveries(self.open_id)]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, FakeServer]]:
    folder: Path = tmp_path_factory.mktemp("chat")
    (folder / "zones.geojson").write_text(json.dumps(ZONES), encoding="utf-8")
    with start_fake_wechat() as wechat:
        account = wechat.state.settings
        settings = Settings(
            store=f"sqlite:///{folder / 'store.db'}",
            zones=folder / "zones.geojson",
            wechat_app_id=account.app_id,
            wechat_app_secret=account.app_secret,
            wechat_api_base=wechat.url,
            public_url="https://a.example",
            sms_url="console",
        )
        service = bootstrap(settings)
        service.start()
        yield service, wechat
        service.stop(1.0)


@pytest.fixture
def person(parts: tuple[Service, FakeServer]) -> Person:
    return Person(*parts, f"o{next(_NUMBERS):027d}")


def test_who_leaves_is_erased_and_a_repeat_of_it_keeps_nothing(person: Person) -> None:
    person.follows(AT_S - 9)
    assert person.is_known()
    person.leaves(AT_S)
    person.leaves(AT_S)
    assert not person.is_known()
    assert person.service.store.reach(person.open_id) == Reach()


def test_the_late_word_of_having_left_spares_who_follows_again(person: Person) -> None:
    person.follows(AT_S - 9)
    person.leaves(AT_S)
    person.follows(AT_S + 5)
    person.does(UnfollowEvent, Kind.UNSUBSCRIBE, AT_S)
    assert person.is_known()
    # Also when WeChat closed the window the follow had opened: that they follow stands for longer.
    for window in person.service.store.reach(person.open_id).windows:
        person.service.store.close_window(person.open_id, window)
    person.does(UnfollowEvent, Kind.UNSUBSCRIBE, AT_S)
    assert person.is_known()
    person.leaves(AT_S + 6)
    assert not person.is_known()


def test_who_wrote_after_the_late_word_follows_too(person: Person) -> None:
    person.says("帮助", AT_S + 1)
    person.does(UnfollowEvent, Kind.UNSUBSCRIBE, AT_S)
    assert person.is_known()


def test_a_location_taken_back_counts_although_they_wrote_since(person: Person) -> None:
    person.follows(AT_S - 9)
    person.says("帮助", AT_S + 1)
    with pytest.raises(NothingKept):
        person.does(AuthorizationEvent, Kind.AUTHORIZATION_REVOKE, AT_S, "206")
    assert not person.is_known()


def test_another_authorisation_taken_back_erases_nobody(person: Person) -> None:
    person.follows(AT_S - 9)
    person.does(AuthorizationEvent, Kind.AUTHORIZATION_REVOKE, AT_S, "201")
    assert person.is_known()


@pytest.mark.parametrize("ago_s", [1, 0])
def test_what_they_said_before_they_left_does_not_bring_them_back(person: Person, ago_s: int) -> None:
    person.follows(AT_S - 9)
    person.leaves(AT_S)
    with pytest.raises(NothingKept):
        person.says("附近", AT_S - ago_s)
    with pytest.raises(NothingKept):
        person.follows(AT_S - 1)
    assert not person.is_known()
    assert person.phone() == []
    person.says("帮助", AT_S + 1)
    assert person.is_known()


def test_of_a_stranger_no_click_on_a_link_and_no_receipt_is_kept(person: Person) -> None:
    person.service.store.set_standing(person.open_id, Standing.OPEN, 1)
    for make, kind, more in (
        (MenuEvent, Kind.VIEW, ("https://a.example",)),
        (TemplateResult, Kind.TEMPLATE_RESULT, (77, "success")),
        (AuthorizationEvent, Kind.AUTHORIZATION_REVOKE, ("201",)),
    ):
        with pytest.raises(NothingKept):
            person.does(make, kind, AT_S, *more)
    assert person.service.store.reach(person.open_id) == Reach()


def test_somebody_wechat_calls_gone_is_erased_at_the_next_message(person: Person) -> None:
    person.follows(AT_S)
    person.handler.gone(person.open_id)
    assert not person.is_known()


def greeting_of(person: Person, scene: str = "") -> str | None:
    return person.handler.greeting(FollowEvent(Kind.SUBSCRIBE, person.open_id, "gh_1", AT_S, "k", scene))


def test_a_follower_is_greeted_by_the_answer_to_the_push_and_by_no_message(person: Person) -> None:
    hello = greeting_of(person) or ""
    assert "同意请回复" in hello
    assert "https://a.example/bind" in hello
    assert "English" in hello
    assert not person.is_known(), "greeting somebody writes nothing"
    person.follows(AT_S)
    assert person.phone() == []


def test_who_agreed_already_is_greeted_in_their_language_and_not_asked_again(person: Person) -> None:
    person.follows(AT_S)
    person.service.people.agree(person.open_id, Purpose.WARNINGS, ConsentChannel.PAGE)
    person.service.people.set_language(person.open_id, Language.EN)
    hello = greeting_of(person) or ""
    assert hello.startswith("Welcome")
    assert "consent is needed" not in hello


def test_only_followers_are_greeted(person: Person) -> None:
    text = TextMessage(Kind.TEXT, person.open_id, "gh_1", AT_S, "k", "帮助")
    assert person.handler.greeting(text) is None
    assert person.handler.greeting(FollowEvent(Kind.SUBSCRIBE, "short", "gh_1", AT_S, "k")) is None


def test_a_window_opens_with_each_follow(person: Person) -> None:
    person.follows(AT_S)
    assert [one.trigger for one in person.service.store.reach(person.open_id).windows] == [Trigger.FOLLOW]


# ---- words that two could answer


@pytest.mark.parametrize("word", ["取消", "不", "no", "cancel"])
def test_a_no_to_a_question_of_the_chat_takes_back_no_consent(person: Person, word: str) -> None:
    person.follows(AT_S)
    person.service.people.agree(person.open_id, Purpose.WARNINGS, ConsentChannel.PAGE)
    person.says("忘记我", AT_S + 1)
    person.says(word, AT_S + 2)
    assert "没有删除" in person.phone()[-1]
    u7 = person.service.store.u7_of(person.open_id)
    assert u7 is not None
    assert [one.granted for one in person.service.store.consents(u7)] == [True]


def test_answers_and_warnings_are_in_the_language_that_was_chosen_last(person: Person) -> None:
    person.follows(AT_S)
    person.service.people.agree(person.open_id, Purpose.WARNINGS, ConsentChannel.PAGE)
    for word, answer, seconds in (
        ("English", "You can send", 1),
        ("中文", "您可以发送", 2),
        ("英文", "You can send", 3),
    ):
        person.says(word, AT_S + seconds)
        assert answer in person.phone()[-1]
    person.says("stop", AT_S + 4)
    assert person.phone()[-1].startswith("Withdrawn: ")
    person.says("agree", AT_S + 5)
    u7 = person.service.store.u7_of(person.open_id)
    assert u7 is not None
    person.service.people.put_vehicle(person.open_id, Vehicle(u7=0, kind=VehicleKind.GOODS))
    drive = straight_drive(u7, pings=14, lon=114.29, start_ms=wall_clock_ms() - 70_000)
    person.service.ingest.submit(drive).result(10)
    [warning, *_] = [one.alert for one in person.service.store.decisions(limit=50, u7=u7) if one.alert.send]
    assert not re.search(r"[\u4e00-\u9fff]", warning.text.replace(warning.zone_name, ""))
    assert re.search(r"\d+ m\b", warning.text), warning.text


# ---- warnings to somebody who is gone


def test_a_warning_to_who_left_unseen_erases_them_and_the_relay_goes_on(person: Person) -> None:
    service, other = person.service, Person(person.service, person.wechat, f"o{next(_NUMBERS):027d}")
    for one in (person, other):
        one.follows(AT_S)
        # No window, so that the warning goes as a template message.
        service.store.forget_reach(one.open_id)
        service.people.agree(one.open_id, Purpose.WARNINGS, ConsentChannel.PAGE)
    person.wechat.state.unfollow(person.open_id)
    numbers = [service.store.u7_of(one.open_id) for one in (person, other)]
    now_ms = wall_clock_ms()
    alerts = [
        an_alert(u7=u7, alert_id=f"gone {u7}", time_ms=now_ms, expires_at_ms=now_ms + 60_000)
        for u7 in numbers
        if u7 is not None
    ]
    service.store.commit(alerts, [], now_ms=now_ms)
    service.relay.notify()
    assert until(lambda: not person.is_known())
    assert until(lambda: len(other.phone()) == 1)
    assert (person.phone(), service.relay.counts()["errors"]) == ([], 0)
    assert service.store.decisions(limit=9, u7=numbers[0]) == []
    assert service.store.reach(person.open_id) == Reach(), "also the standing that was noted for them is gone"


# ---- the rounds


def test_a_round_looks_for_members_and_erases_attempts_of_days_ago(person: Person) -> None:
    chat, store = person.service.chat, person.service.store
    assert chat is not None
    day_ms, now_ms = 86_400_000, wall_clock_ms()
    for name, ago_ms in (("old", 3 * day_ms), ("young", day_ms)):
        store.begin(Dispatch(f"{name} {person.open_id}", person.open_id, Channel.TEMPLATE, now_ms - ago_ms, "t"), None)
    chat.rounds.once(now_ms)
    assert store.dispatch(f"old {person.open_id}") is not None, "not at every round"
    chat.rounds.once(now_ms, 720)
    assert store.dispatch(f"old {person.open_id}") is None
    assert store.dispatch(f"young {person.open_id}") is not None
    assert chat.sender._left, "what is left of the day's calls was asked for too"


def test_a_round_forgets_meetings_that_ended_a_day_ago(person: Person) -> None:
    chat, store = person.service.chat, person.service.store
    assert chat is not None
    person.follows(AT_S)
    u7, now_ms = store.u7_of(person.open_id) or 0, wall_clock_ms()
    meeting = Meeting(f"m{u7}", f"CODE{u7:04d}", u7, "周会", "会场", 114.3, 30.5, now_ms - 9, now_ms - 5)
    store.meetings.add(meeting, Member(meeting.meeting_id, u7, "", now_ms - 9))
    chat.rounds.once(now_ms, 12)
    assert store.meetings.meeting(meeting.meeting_id) is not None
    chat.rounds.once(now_ms + 86_400_000, 11)
    assert store.meetings.meeting(meeting.meeting_id) is not None, "once a minute"
    chat.rounds.once(now_ms + 86_400_000, 12)
    assert store.meetings.meeting(meeting.meeting_id) is None
