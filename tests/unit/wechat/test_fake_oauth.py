"""Web authorisation at the fake account: a code is good once, for five minutes, for the account that asks."""

from __future__ import annotations

import pytest

from geo_engine.testing import ManualClock
from geo_engine.wechat.fake import FakeSettings, FakeWeChat
from geo_engine.wechat.fake_oauth import FakeVisitor

OPEN_ID = "o" + "a" * 27
SETTINGS = FakeSettings()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def account(clock: ManualClock) -> FakeWeChat:
    return FakeWeChat(SETTINGS, clock)


def query(good_code: str, **changes: str) -> dict[str, str]:
    asked = {
        "appid": SETTINGS.app_id,
        "secret": SETTINGS.app_secret,
        "grant_type": "authorization_code",
        "code": good_code,
    }
    return asked | changes


def test_a_code_gives_its_visitor_once(account: FakeWeChat, clock: ManualClock) -> None:
    code = account.oauth.issue(FakeVisitor(OPEN_ID), clock())
    answer = account.oauth_token(query(code))
    assert (answer["openid"], answer["scope"], "is_snapshotuser" in answer) == (OPEN_ID, "snsapi_base", False)
    assert account.oauth_token(query(code))["errcode"] == 40163


def test_two_codes_of_one_moment_differ(account: FakeWeChat, clock: ManualClock) -> None:
    assert len({account.oauth.issue(FakeVisitor(OPEN_ID), clock()) for _ in range(20)}) == 20


def test_a_snapshot_says_so(account: FakeWeChat, clock: ManualClock) -> None:
    code = account.oauth.issue(FakeVisitor(OPEN_ID, snapshot=True), clock())
    assert account.oauth_token(query(code))["is_snapshotuser"] == 1


@pytest.mark.parametrize(("age_s", "errcode"), [(299.9, None), (300.0, 40029)])
def test_a_code_ends_after_five_minutes(
    account: FakeWeChat, clock: ManualClock, age_s: float, errcode: int | None
) -> None:
    code = account.oauth.issue(FakeVisitor(OPEN_ID), clock())
    clock.advance(age_s)
    assert account.oauth_token(query(code)).get("errcode") == errcode


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [({"code": "x"}, 40029), ({"secret": "x"}, 40125), ({"appid": "x"}, 40013), ({"grant_type": "x"}, 40002)],
)
def test_anything_else_is_refused_and_leaves_the_code_good(
    account: FakeWeChat, clock: ManualClock, changes: dict[str, str], errcode: int
) -> None:
    code = account.oauth.issue(FakeVisitor(OPEN_ID), clock())
    assert account.oauth_token(query(code, **changes))["errcode"] == errcode
    assert "openid" in account.oauth_token(query(code))
