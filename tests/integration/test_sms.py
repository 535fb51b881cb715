"""Senders of codes: what the gateway gets, what counts as taken, and that nothing of it is logged."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geo_engine.errors import ConfigurationError
from geo_engine.model import Language
from geo_engine.people.codes import SmsSender
from geo_engine.sms.console import ConsoleSms, NoSms
from geo_engine.sms.http import HttpSms

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

PHONE, CODE = "13812345678", "012345"


class Gateway(ThreadingHTTPServer):
    """A gateway that answers with a status, perhaps late."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.status = 200
        self.delay_s = 0.0
        self.seen: list[tuple[str | None, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/send?account=hush"


class _Door(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.headers["authorization"], body))
        time.sleep(self.server.delay_s)
        self.send_response(self.server.status)
        self.send_header("location", "http://127.0.0.1:9/")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_gateway_gets_phone_code_text_and_token(gateway: Gateway) -> None:
    assert HttpSms(gateway.url, "a-token").send_code(PHONE, CODE, Language.EN)
    ((header, body),) = gateway.seen
    assert header == "Bearer a-token"
    assert (body["phone"], body["code"], body["language"]) == (PHONE, CODE, "en")
    assert CODE in body["text"]


def test_without_a_token_there_is_no_header(gateway: Gateway) -> None:
    HttpSms(gateway.url, None).send_code(PHONE, CODE, Language.ZH)
    assert gateway.seen[0][0] is None


@pytest.mark.parametrize(("status", "taken"), [(200, True), (202, True), (302, False), (400, False), (503, False)])
def test_a_2xx_is_taken_and_nothing_else(gateway: Gateway, status: int, taken: bool) -> None:
    gateway.status = status
    assert HttpSms(gateway.url, None).send_code(PHONE, CODE, Language.ZH) is taken
    assert len(gateway.seen) == 1


def test_a_gateway_that_is_slow_or_away_takes_nothing_and_no_log_line_tells_what_it_was(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.delay_s = 1.0
    with caplog.at_level(logging.DEBUG):
        assert not HttpSms(gateway.url, "a-token", timeout_s=0.2).send_code(PHONE, CODE, Language.ZH)
        assert not HttpSms("http://127.0.0.1:9/?hush", "a-token").send_code(PHONE, CODE, Language.ZH)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("geo_engine")]
    assert len(ours) == 2
    assert not [line for line in caplog.messages if PHONE in line or CODE in line or "a-token" in line]
    assert not [line for line in ours if "hush" in line]


@pytest.mark.parametrize("url", ["http://sms.example.cn/send", "ftp://x", "nowhere", ""])
def test_an_address_that_would_show_the_code_on_its_way_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an https address"):
        HttpSms(url, None)


def test_the_console_shows_the_code_and_not_the_whole_phone() -> None:
    stream = io.StringIO()
    assert ConsoleSms(stream).send_code(PHONE, CODE, Language.ZH)
    assert CODE in stream.getvalue()
    assert PHONE not in stream.getvalue()


def test_without_a_gateway_no_code_is_taken() -> None:
    senders: list[SmsSender] = [NoSms()]
    assert not senders[0].send_code(PHONE, CODE, Language.ZH)
