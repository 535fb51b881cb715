"""The one answer the callback gives itself: sealed as the push was, again for a repeat; the push is kept first."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from api.app import make_app
from api.routes.wechat import wechat_router
from api.workers.inbox_journal import InboxJournal
from geo_engine.errors import StoreError
from geo_engine.wechat.callback import Callback
from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.inbound import Inbound
from geo_engine.wechat.push_tree import parse_xml
from tests.integration.test_wechat_door import APP, KEY, OLD_KEY, OPENID, TOKEN, Account, a_text, ok

EVENT = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[" + OPENID + "]]></FromUserName>"
    "<CreateTime>1348831860</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[%s]]></Event>%s</xml>"
)
FOLLOW = (EVENT % ("subscribe", "<EventKey></EventKey>")).encode()
OTHERS = (
    (EVENT % ("unsubscribe", "")).encode(),
    (EVENT % ("LOCATION", "<Latitude>30.5</Latitude><Longitude>114.3</Longitude><Precision>9</Precision>")).encode(),
    a_text(),
)


def greeted_by(greets: Callable[[Inbound], str | None], *, plain: bool = False) -> Account:
    account = Account()
    callback = Callback(TOKEN, None if plain else Sealer(APP, [KEY, OLD_KEY]), plain=plain)
    journal = InboxJournal(account.store.inbox, account.clock)
    router = wechat_router(callback, journal, account.clock, account.metrics, greets)
    account.client = TestClient(make_app([router]))
    return account


def opened(body: bytes, key: str) -> str:
    root = parse_xml(body)
    signed = signature(TOKEN, root.text("TimeStamp"), root.text("Nonce"), root.text("Encrypt"))
    assert root.text("MsgSignature") == signed
    reply = parse_xml(Sealer(APP, [key]).open(root.text("Encrypt")).message)
    assert (reply.text("ToUserName"), reply.text("FromUserName"), reply.text("MsgType")) == (OPENID, "gh_1", "text")
    return reply.text("Content")


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_who_follows_is_greeted_under_the_key_of_the_push_and_again_for_its_repeat(key: str) -> None:
    account = greeted_by(lambda message: f"欢迎 ]]> {message.openid}")
    with account.client:
        for _ in range(3):
            assert opened(account.push(FOLLOW, key=key).content, key) == f"欢迎 ]]> {OPENID}"
    assert account.count() == 1


def test_in_plain_mode_the_greeting_is_plain() -> None:
    account = greeted_by(lambda _message: "欢迎", plain=True)
    with account.client:
        assert parse_xml(account.push_plain(FOLLOW).content).text("Content") == "欢迎"


@pytest.mark.parametrize("body", OTHERS)
def test_everything_else_is_answered_with_success_and_nobody_is_asked(body: bytes) -> None:
    asked: list[Inbound] = []

    def greets(message: Inbound) -> str:
        asked.append(message)
        return "欢迎"

    account = greeted_by(greets)
    with account.client:
        assert ok(account.push(body))
    assert asked == []


def test_without_a_greeting_or_without_a_store_to_read_the_push_is_taken_all_the_same() -> None:
    def away(_message: Inbound) -> str | None:
        message = "store test: away"
        raise StoreError(message)

    for greets in (away, lambda _message: None):
        account = greeted_by(greets)
        with account.client:
            assert ok(account.push(FOLLOW))
        assert account.count() == 1


def test_a_greeting_that_takes_too_long_is_not_waited_for() -> None:
    release = threading.Event()
    account = greeted_by(lambda _message: "late" if release.wait(20.0) else None)
    with account.client:
        try:
            assert ok(account.push(FOLLOW))
        finally:
            release.set()
