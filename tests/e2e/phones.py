"""A service, the fake WeChat server and phones: what a story needs to be told over real HTTP in safe mode."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3

from api.bootstrap import Enrolment, Service, bootstrap
from api.clocks import wall_clock_ms
from api.serving import HttpServer
from api.settings import Settings
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_push import PushRecord
from geo_engine.wechat.fake_qr import FakeCode
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

__all__ = ["SECRET", "Phone", "World", "a_world", "answered", "until"]

TOKEN: Final = "story-token"  # noqa: S105 - made up
KEY: Final = "storyABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
SECRET: Final = "story-secret-" + "0" * 32
"""Signs the scenes of meetings' QR codes, among others."""
_AGAIN: Final = urllib3.Retry(2, redirect=False, status=0, allowed_methods=None, raise_on_redirect=False)
"""As WeChat and browsers do: a kept connection the server has closed meanwhile is no answer."""
_BURST: Final = 4
"""Texts in one second that are answered for sure: a window is told in whole seconds and holds five."""


def until(done: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for something, and say whether it came."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()


@dataclass
class World:
    """The running parts.

    Attributes:
        folder: everything the service writes to disk.
        codes: the SMS codes the gateway was given, by phone number.
        stop: ends the service.
    """

    service: Service
    url: str
    wechat: FakeServer
    folder: Path
    codes: dict[str, str]
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=_AGAIN, timeout=10.0))
    stop: Callable[[], None] = lambda: None


@contextmanager
def a_world(folder: Path, features: Sequence[dict[str, Any]], people: Sequence[Enrolment]) -> Iterator[World]:
    """Run a service with these zones, the fake WeChat server, and an SMS gateway; all on this machine."""
    zones = folder / "zones.geojson"
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}), encoding="utf-8")
    disk = folder / "disk"
    disk.mkdir()
    with ExitStack() as stack:
        codes: dict[str, str] = {}
        gateway = stack.enter_context(_sms_gateway(codes))
        # No cooldown: what keeps a second warning back must be the mute.
        settings = Settings(store=f"sqlite:///{disk / 'store.db'}", zones=zones, port=0, cooldown_s=0.0)
        http = HttpServer(settings)
        fake = FakeSettings()
        fake = replace(fake, callback=CallbackTarget(f"{http.url}/wechat", TOKEN, KEY, fake.app_id))
        wechat = stack.enter_context(start_fake_wechat(settings=fake))
        account = {
            "wechat_app_id": fake.app_id,
            "wechat_app_secret": fake.app_secret,
            "wechat_api_base": wechat.url,
            "wechat_oauth_base": wechat.url,
            "wechat_qr_base": wechat.url,
            "wechat_token": TOKEN,
            "wechat_aes_key": KEY,
            "public_url": http.url,
            "sms_url": gateway,
            "identity_secret": SECRET,
        }
        service = bootstrap(Settings(**{**settings.model_dump(), **account}), people=people)
        service.start()
        http.start(service)
        running = stack.enter_context(ExitStack())
        for end in (http.close, lambda: service.stop(5.0), http.stop):
            running.callback(end)
        yield World(service, http.url, wechat, disk, codes, stop=running.close)


@contextmanager
def _sms_gateway(codes: dict[str, str]) -> Iterator[str]:
    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            codes[body["phone"]] = body["code"]
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_parts: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sms"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answered(record: PushRecord | None) -> None:
    """Hold a push to having been taken at its first try."""
    assert record is not None
    assert (record.outcome in {"silent", "replied"}, record.tries, record.problem) == (True, 1, "")


class Phone:
    """One person's WeChat, as a story needs it: it waits for answers, and opens pages.

    Attributes:
        wechat: the phone of the fake server, which pushes sealed and signed.
    """

    def __init__(self, world: World, open_id: str) -> None:
        self.world, self.open_id = world, open_id
        self.wechat = world.wechat.phone(open_id)
        self.positions: list[tuple[float, float]] = []
        self._located_s = self._wrote_s = self._wrote = 0
        self._cookies: dict[str, str] = {}
        self._csrf = ""

    @property
    def u7(self) -> int:
        """Return the person's number."""
        u7 = self.world.service.store.u7_of(self.open_id)
        assert u7 is not None
        return u7

    # ---- the chat

    def follows(self) -> None:
        """Follow the account."""
        answered(self.wechat.follows())

    def leaves(self) -> None:
        """Stop following it."""
        answered(self.wechat.leaves())

    def says(self, text: str) -> str:
        """Send a text and return the answer on the phone."""
        now_s = wall_clock_ms() // 1000
        self._wrote = self._wrote + 1 if now_s == self._wrote_s else 1
        if self._wrote > _BURST:
            assert until(lambda: wall_clock_ms() // 1000 > now_s)
            self._wrote = 1
        self._wrote_s = wall_clock_ms() // 1000
        return self._answered(lambda: self.wechat.says(text), text)

    def scans(self, scene: str) -> str:
        """Scan a QR code of this scene and return the answer."""
        state = self.world.wechat.state
        body = {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}, "expire_seconds": 60}
        code = state.codes.create(body, state.now_ms())
        assert isinstance(code, FakeCode)
        return self._answered(lambda: self.wechat.scans(code.ticket), scene)

    def sends_place(self, lon: float, lat: float, label: str) -> str:
        """Send a place (WGS-84) from Tencent's map, which is in GCJ-02, and return the answer."""
        return self._answered(lambda: self.wechat.sends_place(lon, lat, label), label)

    def _answered(self, ask: Callable[[], PushRecord | None], about: str) -> str:
        before = len(self.shows())
        answered(ask())
        assert until(lambda: len(self.shows()) > before), f"no answer to {about}"
        return self.shows()[-1]

    def shows(self) -> list[str]:
        """Return the texts of the account's messages on the phone."""
        return self._texts(reply=False)

    @property
    def replies(self) -> list[str]:
        """Return the texts that came in the answers to pushes."""
        return self._texts(reply=True)

    def _texts(self, *, reply: bool) -> list[str]:
        messages = [found for found in self.wechat.messages() if (found.channel == "reply") is reply]
        return ["\n".join(found.data.values()) for found in messages]

    def is_at(self, lon: float, lat: float) -> None:
        """Report a position (WGS-84); two reports of one second are one to WeChat and to us."""
        assert until(lambda: wall_clock_ms() // 1000 > self._located_s)
        self._located_s = wall_clock_ms() // 1000
        self.positions.append((float(f"{lon:.6f}"), float(f"{lat:.6f}")))
        answered(self.wechat.is_at(lon, lat, accuracy_m=10.0))
        inbox = self.world.service.store.inbox
        assert until(lambda: inbox.counts()["waiting"] == 0)

    # ---- the page

    def opens_page(self) -> str:
        """Open ``/bind`` in WeChat's browser, by the way of WeChat's OAuth, and return the page."""
        address = f"{self.world.url}/bind"
        answered(self.wechat.opens(address))
        for _ in range(6):
            answer = self._browse("GET", address)
            if answer.status == 200:
                return self._shown(answer)
            address = self._next(answer)
        message = f"the page sends on and on, lastly to {address}"
        raise AssertionError(message)

    def fills(self, form: str, **fields: str) -> str:
        """Send a form of the page and return what is shown then."""
        body = urlencode({"csrf": self._csrf, **fields}).encode()
        answer = self._browse("POST", f"{self.world.url}/bind/{form}", body)
        assert answer.status == 303
        return self._shown(self._browse("GET", self._next(answer)))

    def _browse(self, method: str, address: str, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        headers = {"content-type": "application/x-www-form-urlencoded"} if body else {}
        if address.startswith(self.world.url):
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = self.world.http.request(method, address, body=body, headers=headers, redirect=False)
        for cookie in answer.headers.getlist("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        return answer

    def _next(self, answer: urllib3.BaseHTTPResponse) -> str:
        assert answer.status in {302, 303}
        address = answer.headers["location"].partition("#")[0]
        return address if "://" in address else self.world.url + quote(address, safe="/?=&%")

    def _shown(self, answer: urllib3.BaseHTTPResponse) -> str:
        page = answer.data.decode()
        self._csrf = re.findall(r'name="csrf" value="([^"]+)"', page)[0]
        return page
