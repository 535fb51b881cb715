"""The fake WeChat account as a state machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from geo_engine.wechat.fake import Delivery, FakeSettings, FakeWeChat
from geo_engine.wechat.fake_faults import FakeFault, FaultKind, FaultPlan
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

OPEN_ID = "o" + "a" * 27
SETTINGS = FakeSettings()
NOON_MS = 1_793_678_400_000  # 2026-11-03T12:00:00+08:00
FIELDS = {
    "thing1": "长江二桥货车禁行",
    "thing2": "东北方向 420 米 约27秒",
    "car_number3": "鄂A12345",
    "time4": "2026年11月3日 12:00",
    "thing5": "货车禁行，请绕行",
}


class Clock:
    """Epoch milliseconds that pass when told to."""

    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ms += int(seconds * 1_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(clock: Clock) -> FakeWeChat:
    return FakeWeChat(SETTINGS, clock)


def ask_token(account: FakeWeChat, **changes: object) -> dict[str, Any]:
    body = {"grant_type": "client_credential", "appid": SETTINGS.app_id, "secret": SETTINGS.app_secret, **changes}
    return account.stable_token(body)


def body(client_msg_id: str = "", open_id: str = OPEN_ID, **fields: str) -> dict[str, Any]:
    data = {key: {"value": value} for key, value in {**FIELDS, **fields}.items()}
    template_id = RESTRICTION_TEMPLATE.template_id
    return {"touser": open_id, "template_id": template_id, "data": data, "client_msg_id": client_msg_id}


def send(account: FakeWeChat, message: object) -> dict[str, Any]:
    return account.send_template(str(ask_token(account)["access_token"]), message)


def test_a_message_is_delivered_as_sent(account: FakeWeChat) -> None:
    answer = send(account, body("m1"))
    assert (answer["errcode"], answer["errmsg"]) == (0, "ok")
    assert account.deliveries() == (
        Delivery(answer["msgid"], OPEN_ID, NOON_MS, RESTRICTION_TEMPLATE.template_id, FIELDS, "m1"),
    )


@pytest.mark.parametrize(
    ("message", "errcode"),
    [
        (None, 47001),
        ([], 47001),
        ({"touser": OPEN_ID}, 47001),
        (body(open_id=""), 40003),
        (body(open_id="x" + "a" * 27), 40003),
        (body(open_id=OPEN_ID + "a"), 40003),
        ({**body(), "template_id": "other"}, 40037),
        (body(thing1="x" * 21), 47003),
        (body(thing2="a\nb"), 47003),
        (body(thing5="x" * 21), 47003),
        (body(car_number3=""), 47003),
        ({**body(), "data": {}}, 47003),
        ({**body(), "data": {"thing1": "no object"}}, 47003),
    ],
)
def test_a_bad_message_is_answered_with_its_errcode_and_not_delivered(
    account: FakeWeChat, message: object, errcode: int
) -> None:
    assert send(account, message)["errcode"] == errcode
    assert account.deliveries() == ()


def test_47003_names_the_field_and_a_request_id(account: FakeWeChat) -> None:
    errmsg = send(account, body(thing5="x" * 21))["errmsg"]
    assert errmsg.startswith("argument invalid! data.thing5.value invalid rid: ")


def test_a_repeat_within_ten_minutes_is_answered_alike_and_not_shown(account: FakeWeChat, clock: Clock) -> None:
    first = send(account, body("m1"))
    clock.pass_s(599)
    assert send(account, body("m1")) == first
    assert [(found.deliveries, found.duplicates) for found in account.deliveries()] == [(1, 1)]


def test_a_repeat_after_ten_minutes_is_shown_again_and_counted(account: FakeWeChat, clock: Clock) -> None:
    first = send(account, body("m1"))
    clock.pass_s(600)
    assert send(account, body("m1"))["msgid"] != first["msgid"]
    assert [found.deliveries for found in account.deliveries()] == [1, 2]


def test_the_same_key_to_another_person_or_no_key_is_no_repeat(account: FakeWeChat) -> None:
    for message in (body("m1"), body("m1", open_id="o" + "b" * 27), body(), body()):
        send(account, message)
    assert len(account.deliveries()) == 4
    assert len(account.deliveries(OPEN_ID)) == 3


def test_a_person_who_left_gets_nothing_until_they_return(account: FakeWeChat) -> None:
    account.unfollow(OPEN_ID)
    assert send(account, body())["errcode"] == 43004
    account.follow(OPEN_ID)
    assert send(account, body())["errcode"] == 0


def test_behind_a_closed_door_only_followers_are_reached(clock: Clock) -> None:
    account = FakeWeChat(FakeSettings(open_door=False), clock)
    assert send(account, body())["errcode"] == 43004
    account.follow(OPEN_ID)
    assert send(account, body())["errcode"] == 0


def test_the_daily_quota_ends_and_returns_at_midnight_in_beijing(clock: Clock) -> None:
    account = FakeWeChat(FakeSettings(daily_limit=2), clock)
    assert [send(account, body())["errcode"] for _ in range(3)] == [0, 0, 45009]
    clock.pass_s(12 * 3_600 - 1)
    assert send(account, body())["errcode"] == 45009
    clock.pass_s(1)
    assert send(account, body())["errcode"] == 0


def test_the_quota_can_be_asked_for(account: FakeWeChat) -> None:
    send(account, body())
    token = str(ask_token(account)["access_token"])
    answer = account.quota(token, {"cgi_path": "/cgi-bin/message/template/send"})
    assert answer["quota"] == {"daily_limit": 100_000, "used": 1, "remain": 99_999}
    assert account.quota(token, {"cgi_path": "/other"})["errcode"] == 76021
    assert account.quota("bad", {})["errcode"] == 40001


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [({"secret": "wrong"}, 40125), ({"appid": "wrong"}, 40013), ({"grant_type": "other"}, 40002)],
)
def test_a_wrong_account_gets_no_token(account: FakeWeChat, changes: dict[str, str], errcode: int) -> None:
    assert ask_token(account, **changes)["errcode"] == errcode
    assert account.stable_token(None)["errcode"] == 47001


@pytest.mark.parametrize(("token", "errcode"), [("", 41001), ("never issued", 40001)])
def test_a_bad_token_sends_nothing(account: FakeWeChat, token: str, errcode: int) -> None:
    assert account.send_template(token, body())["errcode"] == errcode


def test_the_stable_token_stays_the_same_until_its_last_five_minutes(account: FakeWeChat, clock: Clock) -> None:
    first = ask_token(account)
    assert first["expires_in"] == 7_200
    assert len(first["access_token"]) == 136
    clock.pass_s(6_899)
    assert ask_token(account) == {"access_token": first["access_token"], "expires_in": 301}
    clock.pass_s(1)
    second = ask_token(account)
    assert second["access_token"] != first["access_token"]
    assert account.send_template(first["access_token"], body())["errcode"] == 0
    clock.pass_s(300)
    assert account.send_template(first["access_token"], body())["errcode"] == 42001
    assert account.send_template(second["access_token"], body())["errcode"] == 0


def test_a_forced_token_ends_the_one_before_at_once(account: FakeWeChat) -> None:
    first = str(ask_token(account)["access_token"])
    second = str(ask_token(account, force_refresh=True)["access_token"])
    assert account.send_template(first, body())["errcode"] == 40001
    assert account.send_template(second, body())["errcode"] == 0
    assert ask_token(account)["access_token"] == second


def test_forcing_is_limited_to_one_in_30_s_and_20_a_day(account: FakeWeChat, clock: Clock) -> None:
    answers = []
    for _ in range(21):
        answers.append(ask_token(account, force_refresh=True).get("errcode"))
        assert ask_token(account, force_refresh=True)["errcode"] in {45011, 45009}
        clock.pass_s(30)
    assert answers == [None] * 20 + [45009]


def test_an_older_token_lives_five_minutes_after_the_next(account: FakeWeChat, clock: Clock) -> None:
    query = {"grant_type": "client_credential", "appid": SETTINGS.app_id, "secret": SETTINGS.app_secret}
    first, second = (str(account.legacy_token(query)["access_token"]) for _ in range(2))
    assert account.send_template(first, body())["errcode"] == 0
    clock.pass_s(300)
    assert account.send_template(first, body())["errcode"] == 42001
    assert account.send_template(second, body())["errcode"] == 0
    assert account.legacy_token({**query, "secret": "wrong"})["errcode"] == 40125


def test_older_tokens_are_limited_to_2000_a_day(account: FakeWeChat) -> None:
    query = {"grant_type": "client_credential", "appid": SETTINGS.app_id, "secret": SETTINGS.app_secret}
    assert [account.legacy_token(query).get("errcode") for _ in range(2_001)][-2:] == [None, 45009]


def test_a_reset_forgets_everything_but_the_tokens(account: FakeWeChat) -> None:
    token = str(ask_token(account)["access_token"])
    account.unfollow(OPEN_ID)
    account.faults.add(FakeFault(FaultKind.CLOSE))
    account.reset()
    assert account.faults.pending() == ()
    assert account.send_template(token, body())["errcode"] == 0


def test_a_delivery_is_noted_before_its_sender_is_answered(clock: Clock) -> None:
    noted: list[Delivery] = []
    account = FakeWeChat(SETTINGS, clock, noted.append)
    send(account, body("m1"))
    send(account, body("m1"))
    assert [found.client_msg_id for found in noted] == ["m1"]


def test_a_restarted_account_remembers_what_people_have_seen(clock: Clock) -> None:
    first = FakeWeChat(SETTINGS, clock)
    msgid = send(first, body("m1"))["msgid"]
    second = FakeWeChat(SETTINGS, clock, delivered=first.deliveries())
    assert send(second, body("m1"))["msgid"] == msgid
    assert [found.duplicates for found in second.deliveries()] == [1]


def test_a_delivery_survives_json(account: FakeWeChat) -> None:
    send(account, body("m1"))
    (delivery,) = account.deliveries()
    assert Delivery.from_json(delivery.to_json()) == delivery


@pytest.mark.parametrize("values", [{}, {"data": 1}, {"data": {}, "msgid": "x"}])
def test_what_is_no_delivery_is_refused(values: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Delivery.from_json(values)


def test_a_fault_strikes_as_often_as_planned_and_only_its_path() -> None:
    plan = FaultPlan()
    plan.add(FakeFault(FaultKind.HTTP_500, times=2, path="/a"))
    plan.add(FakeFault(FaultKind.CLOSE, times=None, path=""))
    kinds = [fault.kind for fault in (plan.take("/a"), plan.take("/b"), plan.take("/a"), plan.take("/a")) if fault]
    assert kinds == [FaultKind.HTTP_500, FaultKind.CLOSE, FaultKind.HTTP_500, FaultKind.CLOSE]
    assert plan.pending() == (FakeFault(FaultKind.CLOSE, times=None, path=""),)
    plan.clear()
    assert plan.take("/a") is None


def test_a_fault_is_read_from_json() -> None:
    assert FakeFault.from_json({"kind": "errcode", "errcode": 45009, "times": "always"}) == FakeFault(
        FaultKind.ERRCODE, errcode=45009, times=None
    )
    assert FakeFault.from_json({"kind": "hang", "seconds": 3, "taken": True}) == FakeFault(
        FaultKind.HANG, seconds=3.0, taken=True
    )


@pytest.mark.parametrize(
    "values",
    [
        [],
        {},
        {"kind": "other"},
        {"kind": "hang", "second": 3},
        {"kind": "hang", "seconds": "3"},
        {"kind": "hang", "seconds": float("nan")},
        {"kind": "close", "times": True},
    ],
)
def test_what_is_no_fault_is_refused(values: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        FakeFault.from_json(values)


ONCE = replace(RESTRICTION_TEMPLATE, template_id="once")


@pytest.fixture
def reachable(clock: Clock) -> FakeWeChat:
    return FakeWeChat(FakeSettings(subscriptions=(ONCE,)), clock)


def text(content: object = "前方禁行", open_id: str = OPEN_ID) -> dict[str, Any]:
    return {"touser": open_id, "msgtype": "text", "text": {"content": content}}


def customer(account: FakeWeChat, message: object) -> int:
    return int(str(account.send_custom(str(ask_token(account)["access_token"]), message)["errcode"]))


def subscription(account: FakeWeChat, **changes: object) -> int:
    message = body() | {"template_id": "once"} | changes
    answer = account.send_subscription(str(ask_token(account)["access_token"]), message)
    return int(str(answer["errcode"]))


@pytest.mark.parametrize(
    ("trigger", "messages", "lasts_ms"),
    [("message", 5, 172_800_000), ("click", 3, 60_000), ("follow", 3, 60_000), ("scan", 3, 60_000)],
)
def test_a_customer_service_message_needs_a_window_with_room(
    reachable: FakeWeChat, clock: Clock, trigger: str, messages: int, lasts_ms: int
) -> None:
    assert customer(reachable, text()) == 45015
    reachable.touch(OPEN_ID, trigger)
    assert [customer(reachable, text(str(number))) for number in range(messages + 1)] == [0] * messages + [45047]
    reachable.touch(OPEN_ID, trigger)
    assert customer(reachable, text("again")) == 0
    clock.now_ms += lasts_ms
    assert customer(reachable, text("late")) == 45015
    assert {found.channel for found in reachable.deliveries()} == {"customer_service"}
    assert len(reachable.deliveries()) == messages + 1


@pytest.mark.parametrize("trigger", ["LOCATION", "VIEW", "TEMPLATESENDJOBFINISH"])
def test_other_things_a_person_does_open_no_window(reachable: FakeWeChat, trigger: str) -> None:
    reachable.touch(OPEN_ID, trigger)
    assert customer(reachable, text()) == 45015


@pytest.mark.parametrize(
    ("message", "errcode"),
    [
        (None, 47001),
        ({"touser": OPEN_ID, "msgtype": "text"}, 47001),
        ({"touser": OPEN_ID, "msgtype": "image", "image": {}}, 40007),
        ({"touser": OPEN_ID, "msgtype": "poem", "poem": {}}, 40008),
        ({"touser": OPEN_ID, "msgtype": "news", "news": {"articles": [{}, {}]}}, 45008),
        (text(open_id="somebody"), 40003),
        (text(""), 45002),
        (text("字" * 683), 45002),
    ],
)
def test_a_bad_customer_service_message_is_answered_with_its_errcode(
    reachable: FakeWeChat, message: object, errcode: int
) -> None:
    reachable.touch(OPEN_ID, "message")
    assert customer(reachable, message) == errcode
    assert reachable.deliveries() == ()


def test_a_subscription_notification_spends_a_grant(reachable: FakeWeChat) -> None:
    assert subscription(reachable) == 43101
    for _ in range(2):
        reachable.accept(OPEN_ID, "once")
    assert [subscription(reachable) for _ in range(3)] == [0, 0, 43101]
    assert [found.channel for found in reachable.deliveries()] == ["subscription"] * 2


def test_an_acceptance_for_good_lasts_until_it_is_withdrawn(reachable: FakeWeChat) -> None:
    reachable.accept(OPEN_ID, "once", for_good=True)
    assert [subscription(reachable) for _ in range(5)] == [0] * 5
    reachable.refuse(OPEN_ID, "once")
    assert subscription(reachable) == 43101


def test_a_subscription_notification_needs_its_own_template(reachable: FakeWeChat) -> None:
    reachable.accept(OPEN_ID, RESTRICTION_TEMPLATE.template_id)
    assert subscription(reachable, template_id=RESTRICTION_TEMPLATE.template_id) == 40037


def test_one_subscription_call_per_person_at_a_time(reachable: FakeWeChat) -> None:
    assert reachable.begin_subscription(OPEN_ID)
    assert not reachable.begin_subscription(OPEN_ID)
    assert reachable.begin_subscription("o" + "b" * 27)
    reachable.end_subscription(OPEN_ID)
    assert reachable.begin_subscription(OPEN_ID)


def test_every_interface_has_its_own_quota(clock: Clock) -> None:
    account = FakeWeChat(FakeSettings(daily_limit=5, custom_limit=1), clock)
    token = str(ask_token(account)["access_token"])
    account.touch(OPEN_ID, "message")
    assert [customer(account, text(str(number))) for number in range(2)] == [0, 45009]
    assert send(account, body())["errcode"] == 0
    quotas = [
        account.quota(token, {"cgi_path": f"/cgi-bin/message/{name}"})["quota"]
        for name in ("template/send", "subscribe/bizsend", "custom/send")
    ]
    assert [quota["remain"] for quota in quotas if isinstance(quota, dict)] == [4, 1, 0]


def test_a_quota_can_be_cleared_ten_times_a_month(clock: Clock) -> None:
    account = FakeWeChat(FakeSettings(daily_limit=1), clock)
    token = str(ask_token(account)["access_token"])
    assert account.clear_quota(token, {"appid": "wx-other"})["errcode"] == 40013
    assert account.clear_quota("", {"appid": SETTINGS.app_id})["errcode"] == 41001
    for _ in range(10):
        assert [send(account, body())["errcode"] for _ in range(2)] == [0, 45009]
        assert account.clear_quota(token, {"appid": SETTINGS.app_id})["errcode"] == 0
    assert account.clear_quota(token, {"appid": SETTINGS.app_id})["errcode"] == 48006
