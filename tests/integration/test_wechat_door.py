"""``/wechat``: only what WeChat signed and sealed is taken, once, and it is on disk before the answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.app import make_app
from api.metrics import Metrics
from api.routes.wechat import wechat_router
from api.workers import inbox_journal
from api.workers.inbox_journal import InboxJournal
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.store.inbox import NewInbound
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import ManualClock, noon_ms
from geo_engine.wechat.callback import Callback, parse_query
from geo_engine.wechat.crypto import Sealer, signature
from tests.examples import examples
from tests.unit.wechat.vectors import row, rows

TOKEN = "spamtest"  # noqa: S105 - made up
APP = "wx2c2769f8efd9abc2"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OLD_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
NOW_S = noon_ms // 1_000
OPENID = "oMgHVjngRipVsoxg6TuX3vz6glDg"
TEXT = (
    "<xml><ToUserName><![CDATA[gh_e136c6e50636]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName>"
    "<CreateTime>1348831860</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[%s]]></Content>"
    "<MsgId>%d</MsgId></xml>"
)


def a_text(number: int = 1, content: str = "附近") -> bytes:
    return (TEXT % (OPENID, content, number)).encode()


class Account:
    """An account's callback beside a store in memory, and WeChat's side of it."""

    def __init__(self, *, plain: bool = False, token: str = TOKEN, keys: Sequence[str] = (KEY, OLD_KEY)) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.metrics = Metrics()
        self.token = token
        self.nonces = 0
        callback = Callback(token, Sealer(APP, keys) if keys else None, plain=plain)
        self.journal = InboxJournal(self.store.inbox, self.clock)
        self.app = make_app([wechat_router(callback, self.journal, self.clock, self.metrics)])
        self.client = TestClient(self.app)

    def query(
        self, sealed: str | None = None, *, seconds: int | None = None, nonce: str | None = None
    ) -> dict[str, str]:
        self.nonces += 1
        stamp = str(self.clock() // 1_000 if seconds is None else seconds)
        nonce = f"n{self.nonces}" if nonce is None else nonce
        query = {"timestamp": stamp, "nonce": nonce, "signature": signature(self.token, stamp, nonce)}
        if sealed is not None:
            query |= {"encrypt_type": "aes", "msg_signature": signature(self.token, stamp, nonce, sealed)}
        return query

    def push(self, body: bytes, *, key: str = KEY, extra: str = "", **signed: Any) -> Any:
        """Post a push sealed as safe mode does."""
        sealed = Sealer(APP, [key]).seal(body, b"0123456789abcdef")
        envelope = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName>{extra}<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        return self.post(envelope.encode(), self.query(sealed, **signed))

    def push_plain(self, body: bytes, **signed: Any) -> Any:
        return self.post(body, self.query(**signed))

    def post(self, body: bytes, query: dict[str, str], content_type: str = "text/xml") -> Any:
        return self.client.post("/wechat", params=query, content=body, headers={"content-type": content_type})

    def kept(self) -> list[str]:
        rows = self.store.inbox.claim(self.clock(), limit=1_000, lease_ms=0)
        self.store.inbox.reopen(self.clock())
        return [row.message.key for row in rows]

    def count(self) -> int:
        return self.store.inbox.counts()["waiting"]

    def refused(self) -> dict[str, float]:
        samples = next(iter(self.metrics.pushes_refused.collect())).samples
        return {one.labels["reason"]: one.value for one in samples if one.name.endswith("_total")}


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    with account.client:
        yield account


@pytest.fixture
def plain() -> Iterator[Account]:
    account = Account(plain=True, keys=())
    with account.client:
        yield account


def ok(answer: Any) -> bool:
    return (answer.status_code, answer.content) == (200, b"success")


# ---- the check of the address, and signatures


@pytest.mark.parametrize("vector", rows("signature_get"))
def test_the_check_answers_as_the_vector_says(vector: dict[str, Any]) -> None:
    account = Account(token=vector["token"])
    account.clock.now_ms = int(vector["timestamp"]) * 1_000
    query = {name: vector[name] for name in ("timestamp", "nonce", "signature")}
    with account.client as client:
        answer = client.get("/wechat", params={**query, "echostr": "5837<b>"})
    assert answer.status_code == vector["expect_status"]
    if vector["valid"]:
        assert answer.content == b"5837<b>"
        assert answer.headers["content-type"].startswith("text/plain")


def test_the_check_without_an_echo_is_answered_empty(account: Account) -> None:
    assert account.client.get("/wechat", params=account.query()).content == b""


@pytest.mark.parametrize(
    ("seconds", "status"), [(NOW_S - 301, 403), (NOW_S - 300, 200), (NOW_S + 300, 200), (NOW_S + 301, 403)]
)
def test_a_signature_is_good_for_300_seconds_either_way(account: Account, seconds: int, status: int) -> None:
    assert account.push(a_text(), seconds=seconds).status_code == status
    assert account.client.get("/wechat", params=account.query(seconds=seconds)).status_code == status
    assert account.count() == (status == 200)


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ""},
        {"signature": "é"},
        {"signature": None},
        {"timestamp": "soon"},
        {"timestamp": "²"},
        {"timestamp": "9" * 13},
        {"nonce": "other"},
        {"msg_signature": ""},
        {"msg_signature": "A" * 40},
    ],
)
def test_a_push_that_is_not_signed_is_refused(account: Account, changes: dict[str, str | None]) -> None:
    sealed = Sealer(APP, [KEY]).seal(a_text(), b"0123456789abcdef")
    query = {**account.query(sealed), **changes}
    body = f"<xml><Encrypt>{sealed}</Encrypt></xml>".encode()
    answer = account.post(body, {name: value for name, value in query.items() if value is not None})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "expected" in answer.json()["detail"]
    assert account.refused() == {"unsigned": 1}
    assert account.count() == 0


def test_a_sealed_text_of_another_push_is_not_signed_by_this_one(account: Account) -> None:
    one, other = (Sealer(APP, [KEY]).seal(a_text(number), b"0123456789abcdef") for number in (1, 2))
    assert account.post(f"<xml><Encrypt>{other}</Encrypt></xml>".encode(), account.query(one)).status_code == 403


def test_absurdly_many_parameters_are_no_signature(account: Account) -> None:
    query = {**account.query(), **{f"p{number}": "" for number in range(100)}}
    assert account.client.get("/wechat", params=query).status_code == 403


# ---- safe mode


@pytest.mark.parametrize("vector", rows("aes_ok"))
def test_a_sealed_vector_is_opened(vector: dict[str, Any]) -> None:
    account = Account(token=vector["token"])
    account.clock.now_ms = int(vector["timestamp"]) * 1_000
    callback = Callback(vector["token"], Sealer(vector["appid"], [vector["encoding_aes_key"]]))
    account.app = make_app([wechat_router(callback, account.journal, account.clock, account.metrics)])
    stamp, nonce = vector["timestamp"], vector["nonce"]
    query = {"timestamp": stamp, "nonce": nonce, "signature": signature(vector["token"], stamp, nonce)}
    query |= {"encrypt_type": "aes", "msg_signature": vector["msg_signature"]}
    with TestClient(account.app) as client:
        body = f"<xml><ToUserName>x</ToUserName><Encrypt>{vector['encrypt']}</Encrypt></xml>"
        answer = client.post("/wechat", params=query, content=body)
    # Only one of the vectors is a push of a service account; the others open and are then no push.
    is_push = vector["id"] == "aes-location-event"
    assert answer.status_code == (200 if is_push else 400)
    assert account.count() == is_push


@pytest.mark.parametrize("vector", rows("aes_reject"))
def test_a_wrongly_sealed_vector_is_refused_and_nothing_is_kept(vector: dict[str, Any]) -> None:
    account = Account(token=vector["token"], keys=[vector["encoding_aes_key"]])
    account.clock.now_ms = int(vector["timestamp"]) * 1_000
    stamp, nonce = vector["timestamp"], vector["nonce"]
    query = {"timestamp": stamp, "nonce": nonce, "signature": signature(vector["token"], stamp, nonce)}
    query |= {"encrypt_type": "aes", "msg_signature": vector["msg_signature"]}
    with account.client:
        body = f"<xml><ToUserName>x</ToUserName><Encrypt><![CDATA[{vector['encrypt']}]]></Encrypt></xml>".encode()
        answer = account.post(body, query)
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("sealed message: found one that our keys do not open")
    assert account.count() == 0


def test_the_key_before_still_opens_and_a_foreign_one_does_not(account: Account) -> None:
    assert ok(account.push(a_text(1), key=KEY))
    assert ok(account.push(a_text(2), key=OLD_KEY))
    assert account.push(a_text(3), key="x" * 43).status_code == 403
    assert account.count() == 2


def test_the_plain_fields_beside_a_sealed_text_are_never_read(account: Account) -> None:
    assert ok(account.push(a_text(1), extra="<MsgType>text</MsgType><MsgId>666</MsgId>"))
    assert account.kept() == ["msgid:1"]


def test_a_plain_push_is_refused_in_safe_mode(account: Account) -> None:
    assert account.push_plain(a_text()).status_code == 403
    assert account.refused() == {"plain": 1}


def test_a_json_push_is_read_sealed_and_plain() -> None:
    account = Account(plain=True)
    event = {
        "ToUserName": "gh_1",
        "FromUserName": OPENID,
        "CreateTime": 1348831860,
        "MsgType": "text",
        "Content": "附近",
        "MsgId": 9,
    }
    sealed = Sealer(APP, [KEY]).seal(json.dumps(event).encode(), b"0123456789abcdef")
    with account.client:
        body = json.dumps({"ToUserName": "gh_1", "Encrypt": sealed}).encode()
        assert ok(account.post(body, account.query(sealed), "application/json; charset=utf-8"))
        plain_body = json.dumps({**event, "MsgId": 10}).encode()
        assert ok(account.post(plain_body, account.query(), "application/json"))
        assert account.post(plain_body, account.query(), "text/xml").status_code == 400
    assert account.count() == 2


# ---- plain mode


def test_a_plain_push_is_taken_where_the_setting_says_so(plain: Account) -> None:
    assert ok(plain.push_plain(a_text()))
    assert plain.post(a_text(2), {**plain.query(), "encrypt_type": "raw"}).status_code == 200


def test_a_sealed_text_without_its_type_is_not_read_as_plain(plain: Account) -> None:
    body = a_text().replace(b"<MsgType>", b"<Encrypt>x</Encrypt><MsgType>")
    assert plain.push_plain(body).status_code == 403
    assert plain.count() == 0


def test_a_sealed_push_is_refused_where_there_is_no_key(plain: Account) -> None:
    assert plain.push(a_text()).status_code == 403


def test_the_word_encrypt_in_a_text_is_just_a_word(plain: Account) -> None:
    assert ok(plain.push_plain(a_text(1, "Encrypt me")))


def test_a_captured_signature_does_not_carry_another_message(plain: Account) -> None:
    assert ok(plain.push_plain(a_text(1), nonce="captured"))
    assert plain.push_plain(a_text(2), nonce="captured").status_code == 403
    assert plain.refused() == {"replayed": 1}
    assert plain.kept() == ["msgid:1"]


def test_wechats_own_retry_with_the_same_signature_is_acknowledged(plain: Account) -> None:
    assert [ok(plain.push_plain(a_text(1), nonce="same")) for _ in range(3)] == [True] * 3
    assert plain.count() == 1


# ---- bodies


@pytest.mark.parametrize("vector", rows("payloads"))
def test_every_payload_is_kept_and_acknowledged(account: Account, vector: dict[str, Any]) -> None:
    assert ok(account.push(vector["xml"].encode()))
    assert account.count() == 1
    expected = vector["event"].get("dedupe")
    assert expected is None or account.kept() == [expected]


@pytest.mark.parametrize("vector", rows("reject"))
def test_every_hostile_payload_is_a_400_sealed_or_plain(vector: dict[str, Any]) -> None:
    account = Account(plain=True)
    with account.client:
        for push in (account.push, account.push_plain):
            answer = push(vector["xml"].encode())
            assert answer.status_code == 400
            assert "expected" in answer.json()["detail"]
    assert account.count() == 0
    assert sum(account.refused().values()) == 2


def test_a_hostile_envelope_is_a_4xx(account: Account) -> None:
    for body in (b"", b"hello", b"<xml>", b"<xml/>", b"<!DOCTYPE x><xml/>", b"\xff\xfe", b"{}", b"\0" * 100):
        assert account.post(body, account.query("x")).status_code in (400, 403)
    assert account.count() == 0


def test_a_push_larger_than_any_real_one_is_refused(account: Account) -> None:
    answer = account.post(b"<xml>" + b" " * 65_536, account.query("x"))
    assert answer.status_code == 413
    assert account.refused() == {"too_large": 1}


def test_a_large_text_that_is_allowed_is_taken(plain: Account) -> None:
    assert ok(plain.push_plain(a_text(1, "a" * 60_000)))


# ---- once


def deliveries(name: str) -> list[bytes]:
    location = row("payloads", "LOCATION-field")["xml"].encode()
    click = row("payloads", "CLICK")["xml"].encode()
    receipt = (
        click.replace(b"CLICK", b"TEMPLATESENDJOBFINISH").replace(b"EventKey", b"MsgID").replace(b"EVENTKEY", b"1")
    )
    together = location.replace(b"oNEGGwGfl8f5xMEqVHToL63LDL40", OPENID.encode()).replace(b"1444035882", b"123456798")
    return {
        "retry-msg": [row("payloads", "text")["xml"].encode()] * 3,
        "retry-event": [location] * 3,
        "same-second-two-events": [click, together],
        "tpl-result-twice": [receipt] * 2,
    }[name]


@pytest.mark.parametrize("vector", rows("dedupe"))
@pytest.mark.parametrize("forgetful", [False, True])
def test_repeats_are_acknowledged_and_kept_once(vector: dict[str, Any], forgetful: bool) -> None:
    account = Account()
    bodies = deliveries(vector["id"])
    assert len(bodies) == len(vector["deliver"])
    with account.client:
        for body in bodies:
            assert ok(account.push(body))
            if forgetful:
                # Long enough for everything remembered in memory to be gone: the journal still knows.
                account.clock.advance(3_600)
    assert account.count() == vector["expect_handled"]


# ---- the journal


class AwayInbox:
    """An inbox whose disk is away for a while."""

    def __init__(self, store: MemoryStore, failures: int) -> None:
        self.failures = failures
        self.inbox = store.inbox

    def add(self, messages: Sequence[NewInbound], now_ms: int) -> int:
        if self.failures:
            self.failures -= 1
            message = "disk full"
            raise StoreError(message)
        return self.inbox.add(messages, now_ms)


def test_what_is_not_on_disk_is_not_acknowledged_and_the_retry_is(account: Account) -> None:
    account.journal._inbox = AwayInbox(account.store, 1)  # type: ignore[assignment]
    answer = account.push(a_text(), nonce="same")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert account.count() == 0
    assert ok(account.push(a_text(), nonce="same"))
    assert account.count() == 1


def test_what_was_taken_is_counted_by_kind(account: Account) -> None:
    account.push(a_text())
    account.push(a_text())
    account.push(row("payloads", "unknown-event")["xml"].encode())
    page = account.metrics.page(waiting=0, relay={}, store={}).decode()
    assert 'geo_engine_wechat_pushes_total{kind="text"} 1.0' in page
    assert 'geo_engine_wechat_pushes_total{kind="other"} 1.0' in page
    assert "geo_engine_wechat_pushes_repeated_total 1.0" in page


def test_every_status_is_declared(account: Account) -> None:
    path = account.client.get("/openapi.json").json()["paths"]["/wechat"]
    assert {"200", "400", "403", "413", "503"} <= set(path["post"]["responses"])
    assert {"200", "403"} <= set(path["get"]["responses"])
    assert {one["name"] for one in path["post"]["parameters"]} >= {"signature", "timestamp", "nonce", "msg_signature"}


def test_the_callback_needs_what_its_mode_needs() -> None:
    for token, sealer in (("", Sealer(APP, [KEY])), (TOKEN, None)):
        with pytest.raises(ConfigurationError):
            Callback(token, sealer)
    assert Callback(TOKEN, None, plain=True) is not None


class StuckInbox:
    """An inbox whose disk does not answer for a while."""

    def __init__(self, store: MemoryStore) -> None:
        self.inbox = store.inbox
        self.free = threading.Event()

    def add(self, messages: Sequence[NewInbound], now_ms: int) -> int:
        self.free.wait(20.0)
        return self.inbox.add(messages, now_ms)


def test_a_disk_that_does_not_answer_is_a_no_in_time(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_journal, "_DISK_S", 0.05)
    stuck = StuckInbox(account.store)
    account.journal._inbox = stuck  # type: ignore[assignment]
    assert account.push(a_text()).status_code == 503
    stuck.free.set()
    assert ok(account.push(a_text()))
    assert account.count() == 1


@examples(300)
@given(st.binary(max_size=80))
def test_a_query_is_read_the_same_with_and_without_anything_to_decode(query: bytes) -> None:
    # A lone percent sign decodes to itself and sends the reading the long way.
    plain = {name: value for name, value in parse_query(query).items() if name != "%"}
    assert plain == {name: value for name, value in parse_query(query + b"&%=").items() if name != "%"}


def test_of_a_repeated_parameter_the_first_counts() -> None:
    assert parse_query(b"a=1&a=2&b&c=") == {"a": "1", "b": "", "c": ""}
    assert parse_query(b"a=%31&a=2&b&c=") == {"a": "1", "b": "", "c": ""}
