"""The chat benchmark pushes what WeChat pushes: the callback takes it, and not what another account signed."""

from __future__ import annotations

import time

import pytest

from benchmarks.chat_load import AES_KEY, TOKEN, Pushes, Worked, open_id
from geo_engine.wechat.callback import Callback, Push, parse_query
from geo_engine.wechat.crypto import Sealer
from geo_engine.wechat.inbound import PingEvent
from geo_engine.wechat.push_tree import PushError


def taken(request: bytes, callback: Callback) -> Push:
    head, _, body = request.partition(b"\r\n\r\n")
    query = parse_query(head.split(b" ")[1].partition(b"?")[2])
    now_ms = time.time_ns() // 1_000_000
    callback.check(query, now_ms)
    assert f"Content-Length: {len(body)}".encode() in head
    return callback.read(query, body, is_json=False, now_ms=now_ms)


def test_each_push_is_a_message_of_its_own_that_the_callback_takes() -> None:
    pushes, callback = Pushes("wx1", "host"), Callback(TOKEN, Sealer("wx1", [AES_KEY]))
    now_s = time.time_ns() // 10**9
    made = [
        pushes.located(7, now_s),
        pushes.located(7, now_s + 1),
        pushes.located(8, now_s),
        pushes.text(7, now_s, "附近"),
        pushes.click(7, now_s, "nearest"),
    ]
    messages = [taken(request, callback).message for request in made]
    assert len({message.key for message in messages}) == len(made)
    assert isinstance(messages[0], PingEvent)
    assert messages[0].openid == open_id(7)


def test_a_push_for_another_account_is_not_taken() -> None:
    request = Pushes("wx2", "host").located(7, time.time_ns() // 10**9)
    with pytest.raises(PushError):
        taken(request, Callback(TOKEN, Sealer("wx1", [AES_KEY])))
    with pytest.raises(PushError):
        taken(request, Callback("another token", Sealer("wx2", [AES_KEY])))


def test_a_rate_is_answers_by_seconds() -> None:
    assert Worked(500, 0, 0.25).per_second == 2_000.0
