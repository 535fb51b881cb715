"""Subscription templates on the binding page: offered inside WeChat, signed for the page, and never in its way."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from fastapi.testclient import TestClient

from api.app import make_app
from api.bind_subscribe import Subscriptions
from api.people import People
from api.routes.binding import BindingParts, binding_router
from geo_engine.alerting.message import SendResult
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import ManualClock
from geo_engine.wechat.client import WeChatApi
from geo_engine.wechat.crypto import page_signature
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.oauth import WeChatOAuth
from tests.integration.test_binding import ANNE, KEY, QuietEngine, RecordingSms

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

SETTINGS = FakeSettings()
WECHAT = {"user-agent": "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 MicroMessenger/8.0.50"}
SAFARI = {"user-agent": "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Safari/604.1"}
TICKET = "ticket/getticket"


class Page:
    """The page of one follower, with templates to offer."""

    def __init__(self, server: FakeServer, clock: ManualClock, one_time: list[str], long_term: list[str]) -> None:
        self.server, self.clock = server, clock
        self.store = MemoryStore()
        self.pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self.api = self.another_api()
        people = People(self.store, QuietEngine(), RecordingSms(), clock, KEY)
        people.follow(ANNE)
        self.people = people
        oauth = WeChatOAuth(SETTINGS.app_id, SETTINGS.app_secret, server.url, oauth_base=server.url)
        offers = Subscriptions(SETTINGS.app_id, one_time, long_term, self.api.page_ticket, clock)
        parts = BindingParts(people, oauth, self.store.shared, "http://testserver", KEY, clock, offers)
        router = binding_router(parts)
        self.client = TestClient(make_app([router]), base_url="http://testserver", follow_redirects=False)

    def another_api(self) -> WeChatApi:
        """Return the calls of another process of the account, on the same store."""
        return WeChatApi(
            SETTINGS.app_id, SETTINGS.app_secret, self.server.url, timeout_s=1.0, clock=self.clock, shelf=self.store
        )

    def opened(self, address: str = "/bind", headers: dict[str, str] = WECHAT) -> Any:
        """Open the page; who it is the fake WeChat says, as often as the session has ended."""
        answer = self.client.get(address, headers=headers)
        if answer.status_code == 302:
            self.asked("POST", f"{self.server.url}/_fake/phone", {"openid": ANNE})
            sent = self.asked("GET", answer.headers["location"].partition("#")[0])
            assert self.client.get(sent.headers["location"]).status_code == 303
            answer = self.client.get(address, headers=headers)
        assert answer.status_code == 200
        return answer

    def ticket(self) -> str:
        """Return the account's ticket as WeChat tells it, asked apart from the service."""
        body = {"grant_type": "client_credential", "appid": SETTINGS.app_id, "secret": SETTINGS.app_secret}
        token = self.asked("POST", f"{self.server.url}/cgi-bin/stable_token", body).json()["access_token"]
        query = urlencode({"access_token": token, "type": "jsapi"})
        return str(self.asked("GET", f"{self.server.url}/cgi-bin/ticket/getticket?{query}").json()["ticket"])

    def asked(self, method: str, url: str, body: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        """Return what the fake WeChat answers."""
        given = None if body is None else json.dumps(body).encode()
        answer = self.pool.request(method, url, body=given, redirect=False)
        assert answer.status in {200, 302}
        return answer


MakePage = Callable[..., Page]


@pytest.fixture
def make_page() -> Iterator[MakePage]:
    clock, made = ManualClock(), list[Page]()
    with start_fake_wechat(clock=clock) as server:

        def make(one_time: list[str] | None = None, long_term: list[str] | None = None) -> Page:
            made.append(Page(server, clock, one_time or [], long_term or []))
            made[-1].client.__enter__()
            return made[-1]

        yield make
        for page in made:
            page.client.__exit__()
            page.people.close()
            page.pool.clear()
            page.api.close()


class Tags(HTMLParser):
    """The start tags of a page with their attributes, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append((self.tags[-1][1], data))

    def section(self) -> dict[str, str | None]:
        return next(attrs for tag, attrs in self.tags if attrs.get("id") == "subscribe")


def offered(answer: Any) -> bool:
    return 'id="subscribe"' in answer.text


# ---- what is offered


@pytest.mark.parametrize(
    ("address", "signed"),
    [
        ("/bind", "http://testserver/bind"),
        ("/bind?from=menu&x=%E4%B8%AD", "http://testserver/bind?from=menu&x=%E4%B8%AD"),
    ],
)
def test_the_page_is_signed_for_its_own_address(make_page: MakePage, address: str, signed: str) -> None:
    page = make_page(["once"])
    given = Tags(page.opened(address).text).section()
    nonce, timestamp_s = str(given["data-nonce"]), int(str(given["data-timestamp"]))
    assert given["data-app-id"] == SETTINGS.app_id
    assert timestamp_s == page.clock() // 1000
    assert given["data-signature"] == page_signature(page.ticket(), nonce, timestamp_s, signed)
    assert given["data-signature"] != page_signature(page.ticket(), nonce, timestamp_s, signed + "/other")
    assert Tags(page.opened(address).text).section()["data-nonce"] != nonce


def test_each_kind_has_buttons_of_its_own_for_five_templates_at_most(make_page: MakePage) -> None:
    page = make_page([f"once{number}" for number in range(6)], ["good"])
    text = page.opened().text
    buttons = [attrs["template"] for tag, attrs in Tags(text).tags if tag == "wx-open-subscribe"]
    assert buttons == ["once0,once1,once2,once3,once4", "once5", "good"]
    assert "每接受一次" in text
    assert "长期接受" in text


def test_a_kind_without_templates_has_no_button(make_page: MakePage) -> None:
    text = make_page([], ["good"]).opened().text
    assert "长期接受" in text
    assert "每接受一次" not in text


def test_without_templates_nothing_is_shown_asked_or_allowed(make_page: MakePage) -> None:
    page = make_page()
    answer = page.opened()
    assert not offered(answer)
    assert "<script" not in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "qq.com" not in answer.headers["content-security-policy"]
    assert page.server.state.ticket_calls == 0


def test_outside_wechat_it_is_said_in_words_what_to_do(make_page: MakePage) -> None:
    page = make_page(["once"], ["good"])
    answer = page.opened(headers=SAFARI)
    assert offered(answer)
    assert "请在手机微信" in answer.text
    assert "<script" not in answer.text
    assert "qq.com" not in answer.headers["content-security-policy"]
    assert page.server.state.ticket_calls == 0


def test_the_words_are_in_the_language_of_the_person(make_page: MakePage) -> None:
    page = make_page(["once"])
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page.opened().text)[0]
    assert page.client.post("/bind/language", data={"csrf": csrf}).status_code == 303
    text = page.opened().text
    assert "Subscribe to warnings" in text
    assert "订阅提醒" not in text


def test_an_id_of_a_template_is_shown_as_text(make_page: MakePage) -> None:
    text = make_page(['"><script>alert(1)</script>']).opened().text
    assert "<script>alert" not in text


# ---- what the page may load and run


def test_only_wechats_library_and_our_script_may_run(make_page: MakePage) -> None:
    answer = make_page(["once"]).opened()
    policy = dict(one.strip().partition(" ")[::2] for one in answer.headers["content-security-policy"].split(";"))
    scripts = Tags(answer.text).scripts
    ours = [text for attrs, text in scripts if attrs.get("type") is None]
    assert len(ours) == 1
    digest = base64.b64encode(hashlib.sha256(ours[0].encode()).digest()).decode()
    assert policy["script-src"].split() == ["https://res.wx.qq.com", f"'sha256-{digest}'"]
    assert policy["frame-src"].split() == ["https://*.qq.com", "webcompt:"]
    assert policy["default-src"] == "'none'"
    assert len(policy["style-src"].split()) == 2
    sources = [attrs["src"] for tag, attrs in Tags(answer.text).tags if tag == "script" and "src" in attrs]
    assert sources == ["https://res.wx.qq.com/open/js/jweixin-1.6.0.js"]


_BROWSER = """
const said = ['done', 'later', 'not'].map((name) => ({dataset: {say: name}, hidden: name !== 'not'}));
const heard = {}, tapped = {};
const button = {addEventListener: (name, act) => { tapped[name] = act; }};
const box = {
  dataset: {appId: 'wx1', timestamp: '12', nonce: 'n', signature: 's'},
  querySelectorAll: (what) => what === '[data-say]' ? said : [button],
};
global.window = global;
global.document = {getElementById: () => box, addEventListener: (name, act) => { heard[name] = act; }};
const shown = () => said.filter((one) => !one.hidden).map((one) => one.dataset.say).join();
let config = null, ready = null, failed = null;
if (LIBRARY) global.wx = {config: (c) => { config = c; }, ready: (f) => { ready = f; }, error: (f) => { failed = f; }};
(0, eval)(require('fs').readFileSync(0, 'utf8'));
const found = {config, start: shown()};
if (LIBRARY) {
  ready(); found.ready = shown();
  tapped.success(); found.success = shown();
  tapped.error(); found.error = shown();
  heard.WeixinOpenTagsError(); found.tooOld = shown();
  ready(); found.readyAfterAll = shown();
}
console.log(JSON.stringify(found));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the script of the page is not run")
def test_the_script_tells_wechat_of_the_page_and_shows_what_came_of_it(make_page: MakePage) -> None:
    text = make_page(["once"]).opened().text
    (script,) = [text for attrs, text in Tags(text).scripts if attrs.get("type") is None]
    found = {}
    for library in ("true", "false"):
        node = ["node", "-e", f"const LIBRARY = {library};{_BROWSER}"]
        run = subprocess.run(node, input=script, capture_output=True, text=True, check=True)
        found[library] = json.loads(run.stdout)
    config = found["true"].pop("config")
    assert config.pop("openTagList") == ["wx-open-subscribe"]
    assert config == {"appId": "wx1", "timestamp": 12, "nonceStr": "n", "signature": "s", "jsApiList": []}
    assert found["true"] == {
        "start": "not",
        "ready": "",
        "success": "done",
        "error": "later",
        "tooOld": "not",
        "readyAfterAll": "not",
    }
    assert found["false"] == {"config": None, "start": "not"}


# ---- the ticket


def test_the_ticket_is_fetched_once_in_its_two_hours(make_page: MakePage) -> None:
    page = make_page(["once"])
    for _ in range(5):
        assert offered(page.opened())
    page.clock.advance(6_800.0)
    assert offered(page.opened())
    assert page.server.state.ticket_calls == 1
    page.clock.advance(400.0)
    assert offered(page.opened())
    assert page.server.state.ticket_calls == 2


def test_many_pages_and_processes_at_once_fetch_one_ticket(make_page: MakePage) -> None:
    page = make_page(["once"])
    page.server.state.faults.add(FakeFault(FaultKind.HANG, seconds=0.2, path=TICKET, taken=True))
    processes = [page.api, page.another_api()]
    together = threading.Barrier(20)

    def fetch(number: int) -> str | SendResult:
        together.wait()
        return processes[number % 2].page_ticket()

    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(fetch, range(20)))
    processes[1].close()
    assert found == {page.ticket()}
    assert page.server.state.ticket_calls == 2, "ours, and the one of the test itself"


def test_a_refused_token_costs_one_renewal_and_no_section(make_page: MakePage) -> None:
    page = make_page(["once"])
    page.server.state.faults.add(FakeFault(FaultKind.ERRCODE, 40001, path=TICKET))
    assert offered(page.opened())
    assert page.server.state.tokens.forced_calls == 1


@pytest.mark.parametrize(
    "fault",
    [
        FakeFault(FaultKind.ERRCODE, 40164, times=None, path=TICKET),
        FakeFault(FaultKind.HTTP_500, times=None, path=TICKET),
        FakeFault(FaultKind.HTML_200, times=None, path=TICKET),
        FakeFault(FaultKind.CLOSE, times=None, path=TICKET),
        FakeFault(FaultKind.HANG, seconds=3.0, times=None, path=TICKET),
        FakeFault(FaultKind.ERRCODE, 40164, times=None, path="stable_token"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.path}",
)
def test_while_wechat_is_away_the_page_works_without_the_section(make_page: MakePage, fault: FakeFault) -> None:
    page = make_page(["once"])
    page.server.state.faults.add(fault)
    answer = page.opened()
    assert "我的车辆与授权" in answer.text
    assert not offered(answer)
    assert "script-src" not in answer.headers["content-security-policy"]
    page.server.state.faults.clear()
    assert not offered(page.opened()), "for a minute nobody waits for WeChat again"
    page.clock.advance(60.0)
    assert offered(page.opened())
