"""Windows and the choice of a channel: pure rules on values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from geo_engine.alerting.policy import Grade
from geo_engine.alerting.reach import Channel, Grant, Reach, Standing, Trigger, Window
from geo_engine.wechat.channels import (
    Account,
    Choice,
    Means,
    NoChannel,
    WhyNot,
    choose,
    messages_left,
    trigger_of,
)
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

T0 = 1_700_000_000_000
HOUR_MS = 3_600_000
ONE_TIME = replace(RESTRICTION_TEMPLATE, template_id="once")
LONG_TERM = replace(RESTRICTION_TEMPLATE, template_id="for-good")
ACCOUNT = Account(RESTRICTION_TEMPLATE, (ONE_TIME,), (LONG_TERM,))
MESSAGE = Window(Trigger.MESSAGE, T0)
ONCE = Grant("once", 1, T0)
FOR_GOOD = Grant("for-good", None, T0)
FULL = Reach(windows=(MESSAGE,), grants=(FOR_GOOD, ONCE))


def chosen(
    reach: Reach, account: Account = ACCOUNT, means: Means | None = None, grade: Grade = Grade.RESTRICTION, **more: Any
) -> Choice | NoChannel:
    values = {"expires_at_ms": T0 + 120_000, "now_ms": T0 + 1_000} | more
    return choose(reach, account, means or Means(), grade=grade, **values)


def channel(reach: Reach, *arguments: Any, **more: Any) -> Channel:
    found = chosen(reach, *arguments, **more)
    assert isinstance(found, Choice)
    return found.channel


def why(reach: Reach, *arguments: Any, **more: Any) -> WhyNot:
    found = chosen(reach, *arguments, **more)
    assert isinstance(found, NoChannel)
    return found.why


# ---- what opens a window


@pytest.mark.parametrize("msg_type", ["text", "image", "voice", "video", "shortvideo", "location", "link"])
def test_every_message_of_a_person_opens_the_long_window(msg_type: str) -> None:
    assert trigger_of(msg_type) is Trigger.MESSAGE


@pytest.mark.parametrize(
    ("event", "trigger"),
    [
        ("CLICK", Trigger.CLICK),
        ("scancode_push", Trigger.CLICK),
        ("scancode_waitmsg", Trigger.CLICK),
        ("subscribe", Trigger.FOLLOW),
        ("SCAN", Trigger.SCAN),
    ],
)
def test_a_click_a_follow_and_a_scan_open_the_short_one(event: str, trigger: Trigger) -> None:
    assert trigger_of("event", event) is trigger


@pytest.mark.parametrize(
    "event",
    ["LOCATION", "VIEW", "TEMPLATESENDJOBFINISH", "unsubscribe", "view_miniprogram", "subscribe_msg_popup_event"],
)
def test_what_a_person_did_not_mean_for_us_opens_none(event: str) -> None:
    assert trigger_of("event", event) is None


def test_an_event_named_like_a_message_opens_none() -> None:
    assert (trigger_of("event", "text"), trigger_of("unheard_of")) == (None, None)


# ---- windows


@pytest.mark.parametrize(
    ("trigger", "messages", "lasts_ms"),
    [
        (Trigger.MESSAGE, 5, 48 * HOUR_MS),
        (Trigger.CLICK, 3, 60_000),
        (Trigger.FOLLOW, 3, 60_000),
        (Trigger.SCAN, 3, 60_000),
    ],
)
def test_a_window_allows_its_messages_until_shortly_before_its_end(
    trigger: Trigger, messages: int, lasts_ms: int
) -> None:
    window = Window(trigger, T0)
    assert messages_left(window, T0) == messages
    assert messages_left(window, T0 + lasts_ms - 6_001) == messages
    assert messages_left(window, T0 + lasts_ms - 6_000) == 0
    assert [messages_left(replace(window, used=used), T0) for used in (1, messages, messages + 1)] == [
        messages - 1,
        0,
        0,
    ]


def test_the_window_that_ends_first_is_used_first() -> None:
    click = Window(Trigger.CLICK, T0 + 500)
    found = chosen(Reach(windows=(click, MESSAGE)))
    assert found == Choice(Channel.CUSTOMER_SERVICE, None, click)
    assert chosen(Reach(windows=(replace(click, used=3), MESSAGE))) == Choice(Channel.CUSTOMER_SERVICE, None, MESSAGE)


# ---- the order of the ways


def test_the_cheapest_open_way_is_taken() -> None:
    assert chosen(FULL) == Choice(Channel.CUSTOMER_SERVICE, None, MESSAGE)
    assert chosen(replace(FULL, windows=())) == Choice(Channel.ONE_TIME, ONE_TIME, ONCE)
    assert chosen(Reach(grants=(FOR_GOOD,))) == Choice(Channel.LONG_TERM, LONG_TERM, FOR_GOOD)
    assert chosen(Reach()) == Choice(Channel.TEMPLATE, RESTRICTION_TEMPLATE)


def test_a_spent_grant_and_one_of_another_template_open_nothing() -> None:
    assert channel(Reach(grants=(replace(ONCE, left=0), replace(FOR_GOOD, template_id="other")))) is Channel.TEMPLATE


def test_an_account_without_a_channel_does_not_use_it() -> None:
    assert channel(FULL, replace(ACCOUNT, customer_service=False)) is Channel.ONE_TIME
    assert channel(FULL, Account(RESTRICTION_TEMPLATE, customer_service=False)) is Channel.TEMPLATE
    assert why(Reach(), Account()) is WhyNot.NO_WAY


# ---- when there is none


@pytest.mark.parametrize("standing", [one for one in Standing if one is not Standing.OPEN])
def test_who_may_not_be_written_to_is_not_whatever_they_allowed(standing: Standing) -> None:
    assert why(replace(FULL, standing=standing), grade=Grade.SEVERE_RESTRICTION) == standing.value


def test_an_expired_message_takes_no_way() -> None:
    assert why(FULL, now_ms=T0 + 120_000) is WhyNot.EXPIRED
    assert channel(FULL, now_ms=T0 + 119_999) is Channel.CUSTOMER_SERVICE


@pytest.mark.parametrize("grade", list(Grade))
def test_while_we_are_too_frequent_only_restrictions_leave(grade: Grade) -> None:
    reach = replace(FULL, calm_until_ms=T0 + HOUR_MS)
    found = chosen(reach, grade=grade)
    if grade <= Grade.RESTRICTION:
        assert isinstance(found, Choice)
    else:
        assert found == NoChannel(WhyNot.TOO_FREQUENT, T0 + HOUR_MS)
    assert isinstance(chosen(replace(reach, calm_until_ms=T0 + 1_000), grade=grade), Choice)


def test_a_closed_channel_gives_way_to_the_next_until_it_opens() -> None:
    means = Means(closed_until_ms={Channel.CUSTOMER_SERVICE: T0 + 5_000})
    assert channel(FULL, means=means) is Channel.ONE_TIME
    assert channel(FULL, means=means, now_ms=T0 + 5_000) is Channel.CUSTOMER_SERVICE


def test_when_every_way_is_closed_the_first_to_open_is_named() -> None:
    closed = {Channel.TEMPLATE: T0 + 9_000, Channel.CUSTOMER_SERVICE: T0 + 7_000}
    reach = Reach(windows=(MESSAGE,))
    assert chosen(reach, means=Means(closed_until_ms=closed)) == NoChannel(WhyNot.CLOSED, T0 + 7_000)


def test_the_reserve_of_the_day_is_for_restrictions() -> None:
    account = Account(RESTRICTION_TEMPLATE, reserve=10)
    for left, expected in ((11, Channel.TEMPLATE), (10, None), (0, None)):
        means = Means(left={Channel.TEMPLATE: left})
        found = chosen(Reach(), account, means, Grade.CONSTRUCTION)
        assert found == (NoChannel(WhyNot.QUOTA) if expected is None else Choice(expected, RESTRICTION_TEMPLATE))
        grave = chosen(Reach(), account, means)
        assert isinstance(grave, Choice) is (left > 0)


def test_a_quota_nobody_knows_counts_as_enough() -> None:
    assert channel(Reach(), replace(ACCOUNT, reserve=10), grade=Grade.VENUE) is Channel.TEMPLATE
