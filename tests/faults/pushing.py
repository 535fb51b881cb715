"""A phone's side of the callback, and services in processes of their own: for tests of several on one store."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import urllib3

from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_server import FakeServer

ROOT = Path(__file__).resolve().parents[2]
TOKEN, KEY = "pair-token", "pairABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
ACCOUNT = FakeSettings()
EAST_M = 95_800.0
"""Metres in a degree of longitude at 30.5 north."""


def until(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until something is so, at most ``seconds``; return whether it is."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()


def zones_file(path: Path) -> Path:
    """Write a zone closed to trucks, 115 m wide, round 114.3, 30.5, and a store."""
    features = []
    for name, lon, kind, more in (
        ("东湖货车禁行", 114.3, "truck_restriction", {"applies_to": {"vehicle_kinds": ["goods"]}}),
        ("光谷门店", 114.29, "venue", {}),
    ):
        west, east, south, north = lon - 0.0006, lon + 0.0006, 30.49, 30.51
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        properties = {"kind": kind, "name": name, **more}
        features.append({"type": "Feature", "id": name, "geometry": geometry, "properties": properties})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


@dataclass
class Process:
    """A running engine or door."""

    url: str
    popen: subprocess.Popen[str]

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        self.popen.kill()
        self.popen.wait()


def environment(server: FakeServer) -> dict[str, str]:
    """Return the settings both processes share."""
    return os.environ | {
        "GEO_ENGINE_WECHAT_APP_ID": ACCOUNT.app_id,
        "GEO_ENGINE_WECHAT_APP_SECRET": ACCOUNT.app_secret,
        "GEO_ENGINE_WECHAT_API_BASE": server.url,
        "GEO_ENGINE_WECHAT_OAUTH_BASE": server.url,
        "GEO_ENGINE_WECHAT_TOKEN": TOKEN,
        "GEO_ENGINE_WECHAT_AES_KEY": KEY,
        "GEO_ENGINE_PUBLIC_URL": "http://pages.example",
        "GEO_ENGINE_SMS_URL": "console",
        "GEO_ENGINE_IDENTITY_SECRET": "a secret of both processes",
        "GEO_ENGINE_COOLDOWN_S": "0",
        "GEO_ENGINE_QUIET_HOURS": "",
    }


@contextmanager
def running(server: FakeServer, store: Path, output: Path, *arguments: str) -> Iterator[Process]:
    """Run ``geo-engine run`` on a store until the end of the block, if it lives that long."""
    command = [sys.executable, "-m", "api", "run", "--store", str(store), "--port", "0", *arguments]
    with output.open("w+") as sink:
        popen = subprocess.Popen(
            command, cwd=ROOT, env=environment(server), stdout=sink, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert until(lambda: "\nstore " in output.read_text() or popen.poll() is not None, 90.0)
            found = re.search(r"http://127[\d.:]+", output.read_text())
            assert found is not None, output.read_text()
            yield Process(found[0], popen)
        finally:
            popen.send_signal(signal.SIGTERM)
            try:
                popen.wait(20)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


@dataclass
class Phones:
    """Phones whose pushes WeChat sends to any of several processes, again to another when one does not answer.

    Three times to each: a machine that pauses must not fail a test.
    """

    server: FakeServer
    doors: list[Process]
    chance: random.Random
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=5.0))
    pushed: int = 0
    repeated: int = 0

    def push(self, open_id: str, msg_type: str, fields: str, *, trigger: str = "", every: bool = False) -> None:
        """Push a message or event; ``every`` = to each process, as a repeat that crossed the first try would."""
        self.pushed += 1
        now_s = str(time.time_ns() // 10**9)
        end = "" if msg_type == "event" else f"<MsgId>{5_000_000_000 + self.pushed}</MsgId>"
        body = (
            f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{open_id}]]></FromUserName>"
            f"<CreateTime>{now_s}</CreateTime><MsgType><![CDATA[{msg_type}]]></MsgType>{fields}{end}</xml>"
        )
        if trigger:
            self.server.state.touch(open_id, trigger)
        sealed = Sealer(ACCOUNT.app_id, [KEY]).seal(body.encode(), os.urandom(16))
        nonce = f"n{self.pushed}"
        query = {
            "timestamp": now_s,
            "nonce": nonce,
            "signature": signature(TOKEN, now_s, nonce),
            "encrypt_type": "aes",
            "msg_signature": signature(TOKEN, now_s, nonce, sealed),
        }
        envelope = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        tried = self.chance.sample(self.doors, len(self.doors))
        taken = [self._post(process, f"/wechat?{urlencode(query)}", envelope) for process in (tried if every else ())]
        for process in () if every else tried * 3:
            taken = [self._post(process, f"/wechat?{urlencode(query)}", envelope)]
            if taken[0]:
                break
            self.repeated += 1
        assert any(taken), "no process took a push"

    def _post(self, process: Process, address: str, body: str) -> bool:
        try:
            answer = self.http.request("POST", process.url + address, body=body.encode())
        except urllib3.exceptions.HTTPError:
            return False
        # Whoever follows is greeted in the answer itself.
        return answer.status == 200 and (answer.data == b"success" or answer.data.startswith(b"<xml>"))

    def follows(self, open_id: str) -> None:
        """Let somebody follow and agree to be warned."""
        self.push(open_id, "event", "<Event><![CDATA[subscribe]]></Event><EventKey></EventKey>", trigger="follow")
        self.says(open_id, "同意")

    def says(self, open_id: str, text: str, *, every: bool = False) -> None:
        """Let somebody write a text."""
        self.push(open_id, "text", f"<Content><![CDATA[{text}]]></Content>", trigger="message", every=every)

    def is_at(self, open_id: str, lon: float) -> None:
        """Let a phone report where it is."""
        self.push(
            open_id,
            "event",
            f"<Event><![CDATA[LOCATION]]></Event><Latitude>30.500000</Latitude><Longitude>{lon:.6f}</Longitude>"
            "<Precision>10.000000</Precision>",
        )

    def texts(self, open_id: str) -> list[str]:
        """Return the texts that reached a phone."""
        return ["\n".join(found.data.values()) for found in self.server.state.deliveries(open_id)]
