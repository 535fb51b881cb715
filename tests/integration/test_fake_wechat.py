"""The fake WeChat server over HTTP, its receipts, and its command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
import urllib3

from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_push import sign
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

OPEN_ID = "o" + "a" * 27
SETTINGS = FakeSettings()
SEND = "/cgi-bin/message/template/send"
FIELDS = {
    "thing1": "长江二桥",
    "thing2": "东北方向 420 米",
    "car_number3": "鄂A12345",
    "time4": "12:00",
    "thing5": "货车禁行，请绕行",
}
Call = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with start_fake_wechat() as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=10.0) as pool:
        yield pool


def message(client_msg_id: str = "", **fields: str) -> dict[str, Any]:
    data = {key: {"value": value} for key, value in {**FIELDS, **fields}.items()}
    template_id = RESTRICTION_TEMPLATE.template_id
    return {"touser": OPEN_ID, "template_id": template_id, "data": data, "client_msg_id": client_msg_id}


def post(http: urllib3.PoolManager, url: str, body: object) -> Any:
    return http.request("POST", url, body=json.dumps(body).encode()).json()


def token(http: urllib3.PoolManager, server: FakeServer) -> str:
    body = {"grant_type": "client_credential", "appid": SETTINGS.app_id, "secret": SETTINGS.app_secret}
    return str(post(http, f"{server.url}/cgi-bin/stable_token", body)["access_token"])


def send(http: urllib3.PoolManager, server: FakeServer, body: object) -> Any:
    return post(http, f"{server.url}{SEND}?access_token={token(http, server)}", body)


def test_a_sent_message_is_in_the_log_and_on_the_page(server: FakeServer, http: urllib3.PoolManager) -> None:
    sent = send(http, server, message("m1"))
    assert send(http, server, message("m1")) == sent
    log = http.request("GET", f"{server.url}/_fake/messages?openid={OPEN_ID}").json()
    (found,) = log["messages"]
    assert (found["openid"], found["msgid"], found["data"]) == (OPEN_ID, sent["msgid"], FIELDS)
    assert (found["client_msg_id"], found["deliveries"], found["duplicates"]) == ("m1", 1, 1)
    assert http.request("GET", f"{server.url}/_fake/messages?openid=other").json()["count"] == 0
    page = http.request("GET", server.url + "/")
    assert "长江二桥" in page.data.decode()
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_every_wechat_door_answers(server: FakeServer, http: urllib3.PoolManager) -> None:
    account = f"grant_type=client_credential&appid={SETTINGS.app_id}&secret={SETTINGS.app_secret}"
    legacy = http.request("GET", f"{server.url}/cgi-bin/token?{account}").json()["access_token"]
    quota = f"{server.url}/cgi-bin/openapi/quota/get?access_token={legacy}"
    assert post(http, quota, {"cgi_path": SEND})["quota"]["used"] == 0
    assert post(http, f"{server.url}{SEND}", message())["errcode"] == 41001
    assert post(http, f"{server.url}{SEND}?access_token=bad", message())["errcode"] == 40001


def test_a_body_that_is_no_json_object_is_answered_47001(server: FakeServer, http: urllib3.PoolManager) -> None:
    url = f"{server.url}{SEND}?access_token={token(http, server)}"
    bodies = [b"", b"{", b"\xff", b"[" * 100_000, b"1"]
    assert [http.request("POST", url, body=body).json()["errcode"] for body in bodies] == [47001] * 5


def test_following_is_switched_by_the_tester(server: FakeServer, http: urllib3.PoolManager) -> None:
    post(http, f"{server.url}/_fake/unfollow", {"openid": OPEN_ID})
    assert send(http, server, message())["errcode"] == 43004
    post(http, f"{server.url}/_fake/follow", {"openid": OPEN_ID})
    assert send(http, server, message())["errcode"] == 0
    assert http.request("POST", f"{server.url}/_fake/follow", body=b"[]").status == 400


def test_a_reset_empties_the_log(server: FakeServer, http: urllib3.PoolManager) -> None:
    send(http, server, message())
    post(http, f"{server.url}/_fake/reset", {})
    assert http.request("GET", f"{server.url}/_fake/messages").json() == {"count": 0, "messages": []}


def test_planned_errcodes_come_once_or_always(server: FakeServer, http: urllib3.PoolManager) -> None:
    faults = f"{server.url}/_fake/faults"
    post(http, faults, {"kind": "errcode", "errcode": 42001})
    planned = post(http, faults, {"kind": "errcode", "errcode": 45009, "times": "always"})
    assert [fault["errcode"] for fault in planned["faults"]] == [42001, 45009]
    assert [send(http, server, message())["errcode"] for _ in range(3)] == [42001, 45009, 45009]
    http.request("DELETE", faults)
    assert send(http, server, message())["errcode"] == 0
    assert http.request("POST", faults, body=b'{"kind": "other"}').status == 400


def test_a_gateway_can_answer_in_place_of_wechat(server: FakeServer, http: urllib3.PoolManager) -> None:
    url = f"{server.url}{SEND}?access_token={token(http, server)}"
    for kind, status in (("http_500", 500), ("html_200", 200)):
        post(http, f"{server.url}/_fake/faults", {"kind": kind})
        answer = http.request("POST", url, body=b"{}")
        assert (answer.status, answer.data[:1] == b"{") == (status, False)


@pytest.mark.parametrize("taken", [True, False])
def test_a_closed_connection_leaves_the_message_taken_or_not(
    server: FakeServer, http: urllib3.PoolManager, taken: bool
) -> None:
    url = f"{server.url}{SEND}?access_token={token(http, server)}"
    post(http, f"{server.url}/_fake/faults", {"kind": "close", "taken": taken})
    with pytest.raises(urllib3.exceptions.ProtocolError):
        http.request("POST", url, body=json.dumps(message()).encode())
    assert len(server.state.deliveries()) == taken


def test_an_answer_can_hang_and_the_server_still_closes_soon(http: urllib3.PoolManager) -> None:
    server = start_fake_wechat()
    url = f"{server.url}{SEND}?access_token={token(http, server)}"
    post(http, f"{server.url}/_fake/faults", {"kind": "hang", "seconds": 60})
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        http.request("POST", url, body=b"{}", timeout=0.2)
    begun = time.monotonic()
    server.close()
    assert time.monotonic() - begun < 5.0


def test_answers_do_not_wait_for_delayed_acknowledgements(server: FakeServer, http: urllib3.PoolManager) -> None:
    url = f"{server.url}{SEND}?access_token={token(http, server)}"
    begun = time.monotonic()
    for _ in range(50):
        http.request("POST", url, body=b"{}").json()
    assert time.monotonic() - begun < 50 * 0.040  # 44 ms a call is what a delayed acknowledgement costs


def test_the_log_survives_a_restart(tmp_path: Path, http: urllib3.PoolManager) -> None:
    path = tmp_path / "wechat.jsonl"
    with start_fake_wechat(log=path) as first:
        sent = send(http, first, message("m1"))
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1
    with start_fake_wechat(log=path) as second:
        assert send(http, second, message("m1"))["msgid"] == sent["msgid"]
        assert [found.duplicates for found in second.state.deliveries()] == [1]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_a_taken_port_is_an_error_and_leaves_nothing_running(server: FakeServer) -> None:
    threads = threading.active_count()
    with pytest.raises(OSError, match="in use"):
        start_fake_wechat(int(server.url.rpartition(":")[2]))
    assert threading.active_count() == threads


class Callback:
    """An account's callback that answers with a status and keeps what it got."""

    def __init__(self, status: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
                got.append((query, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/wechat"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End the server."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.mark.parametrize(("status", "posted", "failed"), [(200, 1, 0), (500, 0, 1)])
def test_a_signed_receipt_is_posted_for_each_delivery(
    http: urllib3.PoolManager, status: int, posted: int, failed: int
) -> None:
    callback = Callback(status)
    settings = FakeSettings(callback=CallbackTarget(callback.url, "callback-token"), push_tries=1)
    with start_fake_wechat(settings=settings) as server:
        sent = send(http, server, message("m1"))
        send(http, server, message("m1"))
    callback.close()
    assert server.pushes is not None
    assert (server.pushes.posted, server.pushes.failed) == (posted, failed)
    ((query, body),) = callback.got
    assert query["signature"] == sign("callback-token", query["timestamp"], query["nonce"])
    root = ElementTree.fromstring(body)  # noqa: S314 - our own text
    assert (root.findtext("MsgID"), root.findtext("Status")) == (str(sent["msgid"]), "success")


def test_a_callback_that_is_away_costs_nothing_but_the_receipt(http: urllib3.PoolManager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = FakeSettings(callback=CallbackTarget(f"http://127.0.0.1:{port}/", "t"))
    with start_fake_wechat(settings=settings) as server:
        assert send(http, server, message())["errcode"] == 0
    assert server.pushes is not None
    assert (server.pushes.posted, server.pushes.failed) == (0, 1)


RUN = "import typer; from api.commands.fake_wechat import fake_wechat; typer.run(fake_wechat)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_address_and_ends_cleanly(
    tmp_path: Path, http: urllib3.PoolManager, number: signal.Signals
) -> None:
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-W", "error", "-c", RUN, "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().split()[3].rstrip("/")
        assert http.request("GET", f"{address}/_fake/messages").json() == {"count": 0, "messages": []}
        process.send_signal(number)
        assert process.wait(10) == 0
        assert "0 messages delivered" in process.stdout.read()
        assert process.stderr.read() == ""


def test_the_command_says_that_its_port_is_taken(server: FakeServer) -> None:
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-c", RUN, "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_lets_somebody_move_and_pushes_it_in_the_chosen_mode(tmp_path: Path) -> None:
    track = tmp_path / "track.csv"
    track.write_text("time_s,lon,lat\n0,114.3,30.5\n60,114.31,30.5\n", encoding="utf-8")
    callback = Callback(200)
    options = ["--port", "0", "--callback-url", callback.url, "--callback-token", "t", "--track", str(track)]
    options += ["--callback-aes-key", "k" * 43, "--callback-mode", "compatible", "--track-user", OPEN_ID]
    command = subprocess.Popen([sys.executable, "-c", RUN, *options], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    lines = [command.stdout.readline() for _ in range(4)]
    assert "in compatible mode" in lines[2]
    assert lines[3].startswith(f"{OPEN_ID} moves along")
    deadline = time.monotonic() + 20.0
    while not callback.got and time.monotonic() < deadline:
        time.sleep(0.05)
    command.terminate()
    command.communicate(timeout=10)
    assert command.returncode == 0
    callback.close()
    body = callback.got[0][1].decode()
    assert "<Latitude>30.500000</Latitude>" in body
    assert "<Encrypt>" in body


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--host", "0.0.0.0"], "expected an address on loopback"),  # noqa: S104 - it is refused
        (["--templates", "thing1=zone"], "a colon and the fields"),
        (["--callback-url", "http://127.0.0.1:1", "--callback-mode", "safe"], "without an EncodingAESKey"),
        (["--track", "missing.csv"], "missing.csv"),
    ],
)
def test_an_option_that_cannot_be_is_told_in_a_line(options: list[str], problem: str) -> None:
    command = [sys.executable, "-c", RUN, "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
