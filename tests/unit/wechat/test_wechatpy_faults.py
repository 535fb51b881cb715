"""The known faults of wechatpy 1.8.18 are real and cannot reach us: what arrives never passes through it.

Each test first shows the fault in the library, then that ours does not have it. The endless renewal of a refused token
is held in ``tests/integration/test_wechat_sender.py`` as well, against a server.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import requests
import wechatpy
from wechatpy.client import WeChatClient
from wechatpy.events import LocationEvent
from wechatpy.replies import TextReply

from geo_engine.wechat.access_token import TokenError, TokenGrant, TokenOwner
from geo_engine.wechat.inbound import Kind, TextMessage
from geo_engine.wechat.push_tree import PushError, PushReason, parse_xml
from geo_engine.wechat.reading import read_push
from geo_engine.wechat.replies import text_reply
from tests.unit.wechat.vectors import row

INJECTION = "hi ]]></Content><Content><![CDATA[injected"


def both(name: str) -> tuple[LocationEvent, PushReason]:
    """Return what wechatpy makes of a hostile payload, and why ours refuses it."""
    xml = row("reject", name)["xml"]
    with pytest.raises(PushError) as refused:
        read_push(xml.encode())
    return wechatpy.parse_message(xml), refused.value.reason


def test_missing_coordinates_are_no_place_in_the_gulf_of_guinea() -> None:
    theirs, ours = both("ping-no-coords")
    assert (theirs.latitude, theirs.longitude) == (0.0, 0.0)
    assert ours is PushReason.NO_POSITION


def test_an_empty_latitude_is_no_zero() -> None:
    theirs, ours = both("ping-empty-lat")
    assert theirs.latitude == 0.0
    assert ours is PushReason.NO_POSITION


def test_not_a_number_is_no_number() -> None:
    theirs, ours = both("ping-nan")
    assert theirs.latitude != theirs.latitude
    assert ours is PushReason.NO_POSITION


def test_a_text_cannot_become_an_element_of_a_reply() -> None:
    message = TextMessage(Kind.TEXT, "o" * 28, "gh_1", 5, "msgid:1", "x")
    theirs = TextReply(content=INJECTION, source="gh_1", target="o" * 28).render()
    assert len(parse_xml(theirs.encode()).all("Content")) == 2
    assert len(parse_xml(text_reply(message, INJECTION, now_s=5)).all("Content")) == 1


class RefusingServer:
    """A server, in the place of wechatpy's HTTP session, that gives tokens and refuses every one of them."""

    def __init__(self) -> None:
        self.tokens = 0

    def request(self, **_rest: object) -> requests.Response:
        return self._answer(b'{"errcode": 40001, "errmsg": "invalid credential"}')

    def get(self, **_rest: object) -> requests.Response:
        self.tokens += 1
        return self._answer(b'{"access_token": "t", "expires_in": 7200}')

    @staticmethod
    def _answer(body: bytes) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer._content = 200, body
        return answer


def test_a_token_that_is_refused_for_ever_is_not_renewed_for_ever() -> None:
    server, theirs = RefusingServer(), WeChatClient("wx1", "secret")
    theirs._http = server
    with pytest.raises(RecursionError):
        theirs.get("user/get")
    assert server.tokens > 50

    fetched: list[bool] = []

    def fetch(force: bool) -> TokenGrant:
        fetched.append(force)
        return TokenGrant("t", 7_200_000)

    ours = TokenOwner(fetch, lambda: 0)
    refused = ours.current()
    ours.replace(refused)
    for _ in range(100):
        with pytest.raises(TokenError):
            ours.replace(refused)
    # Forced once; every further wish is turned down for 30 s, after one look for another process's token.
    assert fetched.count(True) == 1


def test_wechatpy_is_loaded_by_the_sender_alone() -> None:
    assert WeChatClient.__module__.startswith("wechatpy")
    modules = ("callback", "crypto", "inbound", "push_tree", "reading", "replies", "seen")
    imports = "; ".join(f"import geo_engine.wechat.{name}" for name in modules)
    code = f"{imports}; import api.routes.wechat, api.workers.inbound, sys; sys.exit('wechatpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    negative = "import geo_engine.wechat.client, sys; sys.exit('wechatpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", negative], check=False).returncode == 1
