"""The calls of an account against the fake server, and against servers that break every rule."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from geo_engine.alerting.message import Message, MessageSender, Outcome, SendResult
from geo_engine.errors import ConfigurationError
from geo_engine.model import Language
from geo_engine.testing import an_alert
from geo_engine.wechat.client import TEMPLATE_SEND, WeChatApi, template_body
from geo_engine.wechat.errcodes import ERRCODES, TOKEN_ERRCODES, errcode_rule
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

ACCOUNT = FakeSettings()
OPEN_ID = "o" + "a" * 27
ALERT = an_alert()
MESSAGE = Message(1, ALERT, OPEN_ID, "鄂A12345", Language.ZH, "m1", 0)


class TemplateSender(WeChatApi):
    """The calls of an account, by the shortest way to use them: each warning is a template message."""

    def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
        body = template_body(message, RESTRICTION_TEMPLATE)
        return self.send_body(TEMPLATE_SEND, body, attempts=message.attempts, why_not=why_not)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with start_fake_wechat() as running:
        yield running


@pytest.fixture
def sender(server: FakeServer) -> Iterator[TemplateSender]:
    with sender_to(server.url) as made:
        yield made


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeServer]:
    with start_fake_wechat() as running:
        yield running


def sender_to(url: str, *, timeout_s: float = 5.0, secret: str = ACCOUNT.app_secret) -> TemplateSender:
    return TemplateSender(ACCOUNT.app_id, secret, url, timeout_s=timeout_s)


def errcode_fault(errcode: int, times: int | None = 1) -> FakeFault:
    return FakeFault(FaultKind.ERRCODE, errcode=errcode, times=times)


def test_a_warning_reaches_the_phone_with_its_fields_and_key(server: FakeServer, sender: MessageSender) -> None:
    result = sender.send(MESSAGE)
    (found,) = server.state.deliveries()
    assert (result.outcome, result.errcode, result.msg_id) == (Outcome.ACCEPTED, 0, str(found.msgid))
    assert (found.open_id, found.client_msg_id, found.data["thing2"]) == (OPEN_ID, "m1", "东北方向 420 米 约27秒")


def test_a_repeat_with_the_same_key_is_accepted_and_shown_once(server: FakeServer, sender: TemplateSender) -> None:
    first, second = sender.send(MESSAGE), sender.send(replace(MESSAGE, attempts=1))
    assert first == second
    assert [found.duplicates for found in server.state.deliveries()] == [1]


def test_many_messages_cost_one_token(server: FakeServer, sender: TemplateSender) -> None:
    for number in range(20):
        sender.send(replace(MESSAGE, client_msg_id=str(number)))
    assert (server.state.tokens.normal_calls, server.state.tokens.forced_calls) == (1, 0)


@pytest.mark.parametrize("errcode", [*sorted(set(ERRCODES) - TOKEN_ERRCODES), 99999])
def test_an_errcode_becomes_the_outcome_of_its_row(shared_server: FakeServer, errcode: int) -> None:
    shared_server.state.faults.add(errcode_fault(errcode))
    with sender_to(shared_server.url) as sender:
        result, rule = sender.send(MESSAGE), errcode_rule(errcode)
    assert (result.outcome, result.errcode, result.retry_after_s) == (rule.outcome, errcode, rule.retry_after_s)
    assert rule.meaning in result.detail
    assert "rid:" in result.detail


def test_an_unknown_template_is_tried_again_once(server: FakeServer, sender: TemplateSender) -> None:
    server.state.faults.add(errcode_fault(40037, times=2))
    assert sender.send(MESSAGE).outcome is Outcome.RETRY
    assert sender.send(replace(MESSAGE, attempts=1)).outcome is Outcome.STOP


@pytest.mark.parametrize("errcode", sorted(TOKEN_ERRCODES))
def test_a_refused_token_is_renewed_and_the_message_sent(
    server: FakeServer, sender: TemplateSender, errcode: int
) -> None:
    server.state.faults.add(errcode_fault(errcode))
    assert sender.send(MESSAGE).outcome is Outcome.ACCEPTED
    assert server.state.tokens.forced_calls == 1


def test_a_token_refused_for_ever_ends_after_one_renewal_and_one_retry(
    server: FakeServer, sender: TemplateSender
) -> None:
    server.state.faults.add(errcode_fault(40001, times=3))
    result = sender.send(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.STOP, 40001)
    assert (server.state.tokens.normal_calls, server.state.tokens.forced_calls) == (2, 1)
    assert server.state.faults.pending() == (errcode_fault(40001, times=3),)  # one of the three is left
    assert server.state.deliveries() == ()


def test_messages_after_that_do_not_use_up_the_forced_renewals(server: FakeServer, sender: TemplateSender) -> None:
    server.state.faults.add(errcode_fault(40001, times=None))
    outcomes = [sender.send(MESSAGE).outcome for _ in range(10)]
    assert outcomes == [Outcome.STOP] + [Outcome.RETRY] * 9
    assert server.state.tokens.forced_calls == 1


def test_a_token_another_process_renewed_is_fetched_without_force(server: FakeServer, sender: TemplateSender) -> None:
    sender.send(MESSAGE)
    body = {"grant_type": "client_credential", "appid": ACCOUNT.app_id, "secret": ACCOUNT.app_secret}
    server.state.stable_token({**body, "force_refresh": True})
    assert sender.send(replace(MESSAGE, client_msg_id="m2")).outcome is Outcome.ACCEPTED
    assert server.state.tokens.forced_calls == 1  # the other process's


def test_a_thousand_sends_of_fifty_threads_share_one_renewal(server: FakeServer, sender: TemplateSender) -> None:
    sender.send(MESSAGE)
    server.state.faults.add(errcode_fault(40001))
    messages = [replace(MESSAGE, client_msg_id=f"n{number}") for number in range(1_000)]
    with ThreadPoolExecutor(50) as pool:
        outcomes = Counter(result.outcome for result in pool.map(sender.send, messages))
    assert outcomes == {Outcome.ACCEPTED: 1_000}
    assert server.state.tokens.forced_calls <= 1
    assert server.state.tokens.normal_calls == 2
    assert {found.deliveries for found in server.state.deliveries()} == {1}
    assert len(server.state.deliveries()) == 1_001


def test_a_wrong_secret_stops_the_channel(server: FakeServer) -> None:
    with sender_to(server.url, secret="wrong-" + "0" * 26) as sender:
        result = sender.send(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.STOP, 40125)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (FakeFault(FaultKind.HTML_200), Outcome.RETRY),
        (FakeFault(FaultKind.HTTP_500), Outcome.RETRY),
        (FakeFault(FaultKind.CLOSE), Outcome.UNKNOWN),
        (FakeFault(FaultKind.CLOSE, taken=True), Outcome.UNKNOWN),
    ],
    ids=["html", "http 500", "closed", "taken, then closed"],
)
def test_an_answer_that_is_none_is_no_success(
    server: FakeServer, sender: TemplateSender, fault: FakeFault, outcome: Outcome
) -> None:
    server.state.faults.add(fault)
    result = sender.send(MESSAGE)
    assert (result.outcome, result.errcode) == (outcome, None)
    assert len(server.state.deliveries()) == fault.taken


def test_a_hanging_answer_is_unknown_within_the_time_limit(server: FakeServer) -> None:
    server.state.faults.add(FakeFault(FaultKind.HANG, seconds=30.0))
    with sender_to(server.url, timeout_s=0.5) as sender:
        begun = time.monotonic()
        assert sender.send(MESSAGE).outcome is Outcome.UNKNOWN
    assert 0.4 < time.monotonic() - begun < 2.5


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.CLOSE, FaultKind.HTML_200, FaultKind.HTTP_500])
def test_a_token_that_cannot_be_had_leaves_the_message_to_be_retried(server: FakeServer, kind: FaultKind) -> None:
    server.state.faults.add(FakeFault(kind, seconds=30.0, path="stable_token"))
    with sender_to(server.url, timeout_s=0.5) as sender:
        begun = time.monotonic()
        result = sender.send(MESSAGE)
        assert time.monotonic() - begun < 2.5
        assert result.outcome is Outcome.RETRY
        assert result.detail.startswith("token: ")
        assert sender.send(MESSAGE).outcome is Outcome.ACCEPTED


def test_an_unreachable_server_is_retried(server: FakeServer) -> None:
    with sender_to(server.url) as sender:
        sender.send(MESSAGE)
        server.close()
        sender.close()
        result = sender.send(replace(MESSAGE, client_msg_id="m2"))
    assert result.outcome is Outcome.RETRY
    assert "no connection" in result.detail


TOKEN_ANSWER = b'{"access_token": "SECRET-TOKEN", "expires_in": 7200}'


@contextmanager
def answering(*bodies: bytes | None, head: bytes = b"HTTP/1.1 200 OK") -> Iterator[str]:
    """Run a server that answers its connections one after the other with ``bodies``; None closes without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            for body in bodies:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    if body is not None:
                        size = str(len(body)).encode()
                        connection.sendall(
                            head + b"\r\nConnection: close\r\nContent-Length: " + size + b"\r\n\r\n" + body
                        )

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b'{"errcode": 0, "errmsg": "ok", "msgid": 7}', Outcome.ACCEPTED),
        (b'{"errcode": 0}', Outcome.ACCEPTED),
        (b'{"errcode": "43004", "errmsg": null}', Outcome.REFUSED),
        (b"{}", Outcome.RETRY),
        (b"[]", Outcome.RETRY),
        (b"", Outcome.RETRY),
        (b'{"errcode": "x"}', Outcome.RETRY),
        (b'{"errcode": null}', Outcome.RETRY),
        (b'{"base_resp": 1}', Outcome.RETRY),
        (b"[" * 100_000, Outcome.RETRY),
        (None, Outcome.UNKNOWN),
    ],
)
def test_a_hostile_answer_is_an_outcome_and_no_error(answer: bytes | None, outcome: Outcome) -> None:
    with answering(TOKEN_ANSWER, answer) as url, sender_to(url) as sender:
        assert sender.send(MESSAGE).outcome is outcome


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": "t", "expires_in": 0}',
        b'{"access_token": 1, "expires_in": 9}',
    ],
)
def test_a_hostile_token_answer_is_retried(answer: bytes) -> None:
    with answering(answer) as url, sender_to(url) as sender:
        assert sender.send(MESSAGE).outcome is Outcome.RETRY


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(b"404 Not Found", Outcome.STOP), (b"502 Bad Gateway", Outcome.RETRY), (b"504 Timeout", Outcome.RETRY)],
)
def test_an_http_error_of_the_token_door_is_never_unknown(status: bytes, outcome: Outcome) -> None:
    with answering(b"", head=b"HTTP/1.1 " + status) as url, sender_to(url) as sender:
        assert sender.send(MESSAGE).outcome is outcome


def test_a_redirect_is_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/elsewhere"
    with answering(b"", head=head) as url, sender_to(url) as sender:
        assert sender.send(MESSAGE).detail == "token: answer is not a JSON object"


def test_neither_token_nor_secret_shows_anywhere(
    server: FakeServer, sender: TemplateSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in (errcode_fault(40001, 2), FakeFault(FaultKind.CLOSE), FakeFault(FaultKind.HTTP_500)):
        server.state.faults.add(fault)
    shown = [repr(sender)] + [repr(sender.send(MESSAGE)) for _ in range(4)]
    token = server.state.stable_token(
        {"grant_type": "client_credential", "appid": ACCOUNT.app_id, "secret": ACCOUNT.app_secret}
    )["access_token"]
    server.close()
    sender.close()
    shown.append(repr(sender.send(MESSAGE)))
    text = "\n".join([*shown, caplog.text])
    assert "access_token=***" in caplog.text
    assert str(token) not in text
    assert ACCOUNT.app_secret not in text


def test_an_answer_that_repeats_the_token_is_scrubbed() -> None:
    answer = b'{"errcode": 43004, "errmsg": "no follower for SECRET-TOKEN"}'
    with answering(TOKEN_ANSWER, answer) as url, sender_to(url) as sender:
        assert sender.send(MESSAGE).detail.endswith("no follower for ***")


@pytest.mark.parametrize("base", ["", "api.weixin.qq.com", "ftp://host", "http://", "http://host?x=1"])
def test_an_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="API base"):
        sender_to(base)


def test_an_account_without_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        sender_to("http://127.0.0.1", secret="")


def test_a_proxy_of_the_environment_does_not_hide_the_fake_server(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with sender_to(server.url) as sender:
        assert sender.send(MESSAGE).outcome is Outcome.ACCEPTED


def test_an_answer_that_drips_is_given_up_within_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b" ")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        with sender_to(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.5) as sender:
            begun = time.monotonic()
            assert sender.send(MESSAGE).outcome is Outcome.RETRY  # the token's answer: nothing was sent
            assert time.monotonic() - begun < 3.0
