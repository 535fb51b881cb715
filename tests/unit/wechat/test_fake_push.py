"""The push side of the fake server: modes, signatures, tries, deadline, faults, and what it makes of answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.callback import Callback, parse_query
from geo_engine.wechat.crypto import Sealer
from geo_engine.wechat.fake import CallbackTarget, Delivery, FakeSettings, PushMode
from geo_engine.wechat.fake_faults import FakeFault, FaultKind, FaultPlan
from geo_engine.wechat.fake_push import Pusher, sign
from geo_engine.wechat.fake_replies import BadReply, check_reply
from geo_engine.wechat.fake_xml import ACCOUNT, Pushed, event, message, receipt
from geo_engine.wechat.inbound import FollowEvent, Inbound, Kind, SubscriptionEvent, TemplateResult, TextMessage
from geo_engine.wechat.push_tree import PushError
from geo_engine.wechat.replies import sealed_reply, text_reply

KEY, OLD_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "x" * 43
OPEN_ID, NOW_MS = "o" + "a" * 27, 1_793_678_400_999
TARGET = CallbackTarget("http://127.0.0.1:1/wechat?a=b", "t", KEY, "wx1")
HELLO = message(OPEN_ID, NOW_MS, "text", {"Content": "你好"}, 7)
LOCATION = event(OPEN_ID, NOW_MS, "LOCATION", {"Latitude": 30.5, "Longitude": 114.3, "Precision": 10.0})


def test_the_signature_is_the_one_of_tencents_example() -> None:
    assert sign("AAAAA", "1714037059", "486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"url": "file:///etc/passwd"}, "file"),
        ({"aes_key": "short"}, "43"),
        ({"aes_key": "", "mode": PushMode.SAFE}, "EncodingAESKey"),
    ],
)
def test_a_callback_that_cannot_be_pushed_to_is_refused(target: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Pusher(FakeSettings(callback=replace(TARGET, **target)), lambda: NOW_MS, FaultPlan())


# ---- a callback that answers as it is told


@dataclass
class Door:
    """An account's callback: keeps what it is pushed, and answers what ``answer`` says."""

    url: str = ""
    got: list[tuple[str, bytes]] = field(default_factory=list)
    answer: Callable[[int], bytes | int] = lambda _number: b"success"
    moment_ms: int = NOW_MS

    def read(self, *, keys: tuple[str, ...] = (KEY,), number: int = -1) -> Inbound:
        """Return the message of a push as our own callback reads it."""
        query, body = self.got[number]
        callback = Callback("t", Sealer("wx1", list(keys)) if keys else None, plain=not keys)
        found = parse_query(query.encode())
        callback.check(found, self.moment_ms)
        return callback.read(found, body, is_json=False, now_ms=self.moment_ms).message


@contextmanager
def a_door() -> Iterator[Door]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        """Takes pushes."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            door.got.append((urlsplit(self.path).query, body))
            said = door.answer(len(door.got))
            self._answers(said if isinstance(said, bytes) else b"", said if isinstance(said, int) else 200)

        def do_GET(self) -> None:
            query = parse_query(urlsplit(self.path).query.encode())
            said = door.answer(0)
            self._answers(query["echostr"].encode() if said == b"success" else b"no")

        def _answers(self, body: bytes, status: int = 200) -> None:
            head = f"HTTP/1.0 {status} x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            with suppress(OSError):  # whoever asked went away, as a test of the deadline has it
                self.wfile.write(head + body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        door.url = f"http://127.0.0.1:{server.server_address[1]}/wechat?a=b"
        yield door
        server.shutdown()
        thread.join()


@contextmanager
def pushing(door: Door, faults: FaultPlan | None = None, **settings: Any) -> Iterator[Pusher]:
    target = replace(TARGET, url=door.url, **{k: settings.pop(k) for k in ("aes_key", "mode") if k in settings})
    made = FakeSettings(callback=target, **{"push_deadline_s": 2.0, **settings})
    pusher = Pusher(made, lambda: NOW_MS, faults or FaultPlan())
    yield pusher
    pusher.close()


pytestmark = [pytest.mark.network, pytest.mark.enable_socket]


@pytest.mark.parametrize(
    ("mode", "key", "reads"), [(None, "", ()), (None, KEY, (KEY,)), (PushMode.COMPATIBLE, KEY, (KEY,))]
)
def test_the_callback_reads_what_is_pushed_in_each_mode(
    mode: PushMode | None, key: str, reads: tuple[str, ...]
) -> None:
    with a_door() as door, pushing(door, mode=mode, aes_key=key) as pusher:
        assert pusher.now(HELLO).outcome == "silent"
        read = door.read(keys=reads)
        assert isinstance(read, TextMessage)
        assert (read.text, read.openid, read.time_s) == ("你好", OPEN_ID, NOW_MS // 1000)
        body = door.got[0][1]
        assert (b"Encrypt" in body) is bool(key)
        assert ("你好".encode() in body) is (mode is PushMode.COMPATIBLE or not key)
        assert "a=b&" in door.got[0][0]


def test_receipts_of_templates_and_of_subscriptions_name_their_message_and_others_have_none() -> None:
    sent = Delivery(42, OPEN_ID, NOW_MS, "t", {}, "")
    with a_door() as door, pushing(door) as pusher:
        for channel, kind in (("template", TemplateResult), ("subscription", SubscriptionEvent)):
            pushed = receipt(replace(sent, channel=channel))
            assert pushed is not None
            pusher.now(pushed)
            read = door.read()
            assert isinstance(read, kind)
            number = read.msg_id if isinstance(read, TemplateResult) else read.items[0].msg_id
            assert number == "42"
    assert receipt(replace(sent, channel="customer_service")) is None


def test_the_get_check_says_whether_the_callback_answers_it() -> None:
    with a_door() as door, pushing(door) as pusher:
        assert pusher.check()
        door.answer = lambda _number: b"something else"
        assert not pusher.check()


def test_another_key_and_another_mode_count_from_the_next_push_on() -> None:
    with a_door() as door, pushing(door, aes_key=OLD_KEY) as pusher:
        pusher.now(HELLO)
        pusher.retarget(replace(pusher.target, aes_key=KEY))
        pusher.now(HELLO)
        assert door.read(keys=(OLD_KEY,), number=0) == door.read(keys=(KEY,), number=1)
        with pytest.raises(PushError):
            door.read(keys=(OLD_KEY,), number=1)


# ---- tries, deadline


def test_no_answer_is_tried_three_times_in_all_and_then_the_service_is_unavailable() -> None:
    with a_door() as door, pushing(door) as pusher:
        door.answer = lambda _number: 500
        record = pusher.now(HELLO)
        assert (record.outcome, record.tries, len(door.got)) == ("unavailable", 3, 3)
        assert "500" in record.problem
        assert (pusher.posted, pusher.failed) == (0, 1)
        nonces = {parse_query(query.encode())["nonce"] for query, _ in door.got}
        assert len(nonces) == 3


def test_an_answer_at_the_second_try_ends_it() -> None:
    with a_door() as door, pushing(door) as pusher:
        door.answer = lambda number: 500 if number == 1 else b""
        record = pusher.now(HELLO)
        assert (record.outcome, record.tries) == ("silent", 2)


def test_an_answer_after_the_deadline_is_none() -> None:
    with a_door() as door, pushing(door, push_deadline_s=0.2, push_tries=1) as pusher:

        def slow(_number: int) -> bytes:
            time.sleep(0.4)
            return b"success"

        door.answer = slow
        record = pusher.now(HELLO)
        assert record.outcome == "unavailable"
        assert record.took_ms >= 150


# ---- faults


def fault(kind: FaultKind, **more: Any) -> FaultPlan:
    plan = FaultPlan()
    plan.add(FakeFault(kind, **more))
    return plan


def test_a_duplicate_comes_at_the_same_time_with_the_same_signature() -> None:
    with a_door() as door, pushing(door, fault(FaultKind.DUPLICATE_PUSH, count=2)) as pusher:
        pusher.now(HELLO)
        assert len({query.split("msg_signature")[0] for query, _ in door.got}) == 1
        assert len(door.got) == 3
        pusher.now(HELLO)
        assert len(door.got) == 4


def test_a_lost_answer_makes_a_second_try() -> None:
    with a_door() as door, pushing(door, fault(FaultKind.LOSE_ANSWER)) as pusher:
        assert pusher.now(HELLO).tries == 2
        assert len(door.got) == 2


def test_a_push_held_back_comes_after_the_later_ones_or_after_a_while() -> None:
    first, second = (replace(HELLO, kind=f"k{number}") for number in (1, 2))
    with a_door() as door, pushing(door, fault(FaultKind.REORDER_PUSH, path="k1")) as pusher:
        assert pusher.now(first).outcome == "held"
        pusher.now(second)
        assert [one.kind for one in pusher.records()] == ["k2", "k1"]
    with a_door() as door, pushing(door, fault(FaultKind.REORDER_PUSH, seconds=0.1)) as pusher:
        pusher.now(first)
        deadline = time.monotonic() + 5.0
        while not pusher.records() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(door.got) == 1


def test_a_skewed_clock_signs_a_moment_our_callback_finds_stale() -> None:
    with a_door() as door, pushing(door, fault(FaultKind.SKEW_PUSH, seconds=-301.0)) as pusher:
        pusher.now(HELLO)
        with pytest.raises(PushError, match="300 s"):
            door.read()
        door.answer = lambda _number: b""
        pusher.now(HELLO)
        assert isinstance(door.read(), TextMessage)


def test_faults_of_calls_do_not_strike_pushes() -> None:
    with a_door() as door, pushing(door, fault(FaultKind.ERRCODE, path="", times=None)) as pusher:
        assert pusher.now(HELLO).outcome == "silent"


# ---- later, and the end


def test_what_waits_is_pushed_when_it_is_due_and_at_the_end() -> None:
    with a_door() as door:
        with pushing(door) as pusher:
            pusher.later(HELLO, 0.05)
            pusher.later(LOCATION, 3_600.0)
            deadline = time.monotonic() + 5.0
            while not door.got and time.monotonic() < deadline:
                time.sleep(0.02)
            assert [one.kind for one in pusher.records()] in ([], ["text"])
        assert [one.kind for one in pusher.records()] == ["text", "LOCATION"]


def test_a_callback_that_is_gone_does_not_hold_up_the_end() -> None:
    with a_door() as door:
        door.answer = lambda _number: 500
        with pushing(door) as pusher:
            for _ in range(50):
                pusher.later(HELLO, 3_600.0)
        assert len(door.got) == 1


# ---- answers


def reply_to(pushed: Pushed, text: str = "好", *, key: int | None = 0) -> bytes:
    """Return a reply as our own code writes it."""
    reply = text_reply(TextMessage(FOLLOW.kind, pushed.open_id, ACCOUNT, 1, "k", ""), text, now_s=1)
    if key is None:
        return reply
    return sealed_reply(reply, Sealer("wx1", [KEY]), key=key, token=TARGET.token, now_s=1, random16=b"r" * 16)


FOLLOW = FollowEvent(Kind.TEXT, OPEN_ID, ACCOUNT, 1, "k")
SEALER = Sealer("wx1", [KEY])
PLAIN = replace(TARGET, aes_key="")
COMPATIBLE = replace(TARGET, mode=PushMode.COMPATIBLE)


def test_nothing_and_success_are_silent() -> None:
    for body in (b"", b"success"):
        assert check_reply(body, HELLO, TARGET, SEALER) is None


def test_a_reply_of_ours_is_shown_in_the_mode_of_the_push() -> None:
    for target, key in ((TARGET, 0), (PLAIN, None), (COMPATIBLE, 0), (COMPATIBLE, None)):
        sealer = None if target is PLAIN else SEALER
        found = check_reply(reply_to(HELLO, key=key), HELLO, target, sealer)
        assert found is not None
        assert found.texts == {"text": "好"}


def test_one_article_is_shown() -> None:
    item = "<item><Title>题</Title><Url>https://a.cn</Url></item>"
    found = check_reply(a_reply(MsgType="news", ArticleCount="1", Articles=item), HELLO, PLAIN, None)
    assert found is not None
    assert found.texts == {"text": "题", "url": "https://a.cn"}


def a_reply(**changes: str | None) -> bytes:
    fields = {"ToUserName": OPEN_ID, "FromUserName": ACCOUNT, "CreateTime": "1", "MsgType": "text", "Content": "a"}
    given = {name: text for name, text in {**fields, **changes}.items() if text is not None}
    return f"<xml>{''.join(f'<{name}>{text}</{name}>' for name, text in given.items())}</xml>".encode()


ITEM = "<item><Title>a</Title><Url>https://a.cn</Url></item>"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"errcode": 0}', "expected success"),
        (b"ok", "expected success"),
        (b"<html><p>gateway</p></html>", "html"),
        (b"<!DOCTYPE xml><xml/>", "DOCTYPE"),
        (a_reply(ToUserName="o" + "b" * 27), "ToUserName"),
        (a_reply(FromUserName="gh_other"), "FromUserName"),
        (a_reply(CreateTime="1793678400999"), "seconds"),
        (a_reply(MsgType="poem"), "MsgType"),
        (a_reply(Content=None), "Content"),
        (a_reply(Content="会" * 683), "2048"),
        (a_reply(Content="a</Content><Content>b"), "more than once"),
        (a_reply(MsgType="news", ArticleCount="2", Articles=ITEM * 2), "45008"),
        (a_reply(MsgType="news", ArticleCount="1", Articles="<item><Title>a</Title></item>"), "web address"),
        (reply_to(HELLO, key=0), "sealed reply"),
    ],
)
def test_an_answer_that_is_no_reply_makes_the_service_unavailable(body: bytes, problem: str) -> None:
    with pytest.raises(BadReply, match=problem):
        check_reply(body, HELLO, PLAIN, None)


def test_safe_mode_takes_sealed_replies_only_and_those_that_are_signed() -> None:
    good = reply_to(HELLO)
    for body, problem in (
        (reply_to(HELLO, key=None), "plain reply"),
        (good.replace(b"<Nonce><![CDATA[", b"<Nonce><![CDATA[x"), "MsgSignature"),
        (good.replace(b"<TimeStamp>1</TimeStamp>", b""), "TimeStamp"),
        (
            sealed_reply(a_reply(), Sealer("wx1", [OLD_KEY]), key=0, token=TARGET.token, now_s=1, random16=b"r" * 16),
            "do not open",
        ),
    ):
        with pytest.raises(BadReply, match=problem):
            check_reply(body, HELLO, TARGET, SEALER)


def test_a_location_may_not_be_answered() -> None:
    with pytest.raises(BadReply, match="LOCATION"):
        check_reply(a_reply(), LOCATION, PLAIN, None)


def test_a_bad_answer_is_not_tried_again() -> None:
    with a_door() as door, pushing(door) as pusher:
        door.answer = lambda _number: b'{"ok": true}'
        record = pusher.now(HELLO)
        assert (record.outcome, record.tries) == ("unavailable", 1)
        assert "expected success" in record.problem
