"""The binding page as WeChat's browser meets it: who it is comes from the fake WeChat server, forms are ours only."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from fastapi.testclient import TestClient

from api.app import make_app
from api.bind_words import CHOICES, FORM, NOTICES, WORDS
from api.people import People
from api.routes.binding import BindingParts, binding_router
from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import ConfigurationError
from geo_engine.ingest.vehicles import read_vehicle
from geo_engine.model import BodyType, Energy, Language, PlateColour, Vehicle, VehicleClass, VehicleKind
from geo_engine.people.consents import CONSENT_VERSION, ConsentChannel, Purpose
from geo_engine.people.erasure import ErasureReason
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import ManualClock
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_oauth import FakeVisitor
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.oauth import OAuthOutcome, OAuthUser, WeChatOAuth

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

ANNE, BO = "oAnne" + "a" * 23, "oBo" + "b" * 25
SETTINGS = FakeSettings()
KEY = b"k" * 32


class QuietEngine:
    """An engine that notes what it is told."""

    def __init__(self) -> None:
        self.vehicles: list[Vehicle] = []

    def put_vehicle(self, vehicle: Vehicle) -> None:
        self.vehicles.append(vehicle)

    def keep_history(self, u7: int, granted: bool) -> None:
        pass

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        pass

    def forget(self, u7: int) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done


class RecordingSms:
    """A gateway that keeps what it is given."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def send_code(self, phone: str, code: str, language: Language) -> bool:
        self.codes.append(code)
        return True


class Phone:
    """A phone with WeChat: its browser, the fake server behind it, and the service."""

    def __init__(self, server: FakeServer, public_url: str = "http://testserver") -> None:
        self.server = server
        self.clock = ManualClock()
        self.sms = RecordingSms()
        self.engine = QuietEngine()
        self.store = MemoryStore()
        self.people = People(self.store, self.engine, self.sms, self.clock, KEY)
        oauth = WeChatOAuth(SETTINGS.app_id, SETTINGS.app_secret, server.url, oauth_base=server.url)
        router = binding_router(BindingParts(self.people, oauth, self.store.shared, public_url, KEY, self.clock))
        self.client = TestClient(make_app([router]), base_url=public_url, follow_redirects=False)
        self.pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self.csrf = ""

    def sit_down(self, open_id: str, *, snapshot: bool = False) -> None:
        body = json.dumps({"openid": open_id, "snapshot": snapshot}).encode()
        assert self.pool.request("POST", f"{self.server.url}/_fake/phone", body=body).status == 200

    def way_back(self) -> str:
        """Open the page as a stranger to it, and return the address WeChat sends the browser back to."""
        answer = self.client.get("/bind")
        assert answer.status_code == 302
        sent = self.pool.request("GET", answer.headers["location"].partition("#")[0], redirect=False)
        assert sent.status == 302
        return str(sent.headers["location"])

    def log_in(self, open_id: str = ANNE) -> str:
        self.sit_down(open_id)
        assert self.client.get(self.way_back()).status_code == 303
        return self.page()

    def page(self) -> str:
        answer = self.client.get("/bind")
        assert answer.status_code == 200
        self.csrf = re.findall(r'name="csrf" value="([^"]+)"', answer.text)[0]
        return answer.text

    def send(self, action: str, **fields: str) -> str:
        answer = self.client.post(f"/bind/{action}", data={"csrf": self.csrf, **fields})
        assert answer.status_code == 303
        return self.page()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with start_fake_wechat() as running:
        yield running


@pytest.fixture
def phone(server: FakeServer) -> Iterator[Phone]:
    server.state.faults.clear()
    phone = Phone(server)
    phone.people.follow(ANNE)
    with phone.client:
        yield phone
    phone.people.close()
    phone.pool.clear()


# ---- who it is


def test_the_browser_is_sent_to_wechat_with_our_address_and_a_silent_scope(phone: Phone) -> None:
    url = urlsplit(phone.client.get("/bind").headers["location"])
    query = parse_qs(url.query)
    assert (url.path, url.fragment) == ("/connect/oauth2/authorize", "wechat_redirect")
    assert list(query) == ["appid", "redirect_uri", "response_type", "scope", "state"]
    assert query["redirect_uri"] == ["http://testserver/bind/back"]
    assert query["scope"] == ["snsapi_base"]
    assert re.fullmatch(r"[A-Za-z0-9]{1,128}", query["state"][0])


def test_a_follower_comes_to_their_page(phone: Phone) -> None:
    text = phone.log_in()
    assert "我的车辆与授权" in text
    assert 'lang="zh-CN"' in text


def test_a_state_is_good_once(phone: Phone) -> None:
    phone.sit_down(ANNE)
    back = phone.way_back()
    cookies = dict(phone.client.cookies)
    assert phone.client.get(back).status_code == 303
    phone.client.cookies.update(cookies)
    assert phone.client.get(back).status_code == 403


def test_a_state_of_another_browser_is_refused(phone: Phone) -> None:
    phone.sit_down(ANNE)
    back = phone.way_back()
    phone.client.cookies.clear()
    assert phone.client.get(back).status_code == 403
    phone.way_back()
    assert phone.client.get(back).status_code == 403


def test_a_state_older_than_ten_minutes_is_refused(phone: Phone) -> None:
    phone.sit_down(ANNE)
    back = phone.way_back()
    phone.clock.advance(600.0)
    assert phone.client.get(back).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?code=x&state=y", "?code=x&state=1x2x3", "?state=y", "?code=x&state=é"]
)
def test_a_made_up_return_is_refused(phone: Phone, query: str) -> None:
    phone.client.get("/bind")
    answer = phone.client.get(f"/bind/back{query}")
    assert answer.status_code == 403
    assert "请从公众号菜单重新打开" in answer.text


def test_a_snapshot_user_is_refused_and_told_why(phone: Phone) -> None:
    phone.sit_down(ANNE, snapshot=True)
    answer = phone.client.get(phone.way_back())
    assert answer.status_code == 403
    assert "使用完整服务" in answer.text
    assert "geo_bind=" not in str(answer.headers)


def test_somebody_who_does_not_follow_is_refused_and_nothing_of_them_is_kept(phone: Phone) -> None:
    phone.sit_down(BO)
    answer = phone.client.get(phone.way_back())
    assert (answer.status_code, "请先关注" in answer.text) == (403, True)
    assert phone.people.u7_of(BO) is None


@pytest.mark.parametrize("kind", [FaultKind.HTML_200, FaultKind.HTTP_500, FaultKind.CLOSE])
def test_wechat_that_gives_no_answer_is_said(phone: Phone, kind: FaultKind) -> None:
    phone.sit_down(ANNE)
    back = phone.way_back()
    phone.server.state.faults.add(FakeFault(kind, path="/sns/oauth2/access_token"))
    assert phone.client.get(back).status_code == 502


def test_a_session_ends_after_twenty_minutes(phone: Phone) -> None:
    phone.log_in()
    phone.clock.advance(1_200.0)
    assert phone.client.get("/bind").status_code == 302
    assert phone.client.post("/bind/language", data={"csrf": phone.csrf}).status_code == 403


def test_cookies_are_for_this_page_and_by_https_for_https_only(server: FakeServer) -> None:
    for url, secure in (("https://testserver", True), ("http://testserver", False)):
        phone = Phone(server, url)
        phone.people.follow(ANNE)
        phone.sit_down(ANNE)
        cookie = phone.client.get(phone.way_back()).headers["set-cookie"].lower()
        assert ("secure" in cookie) is secure
        assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/bind"))
        phone.people.close()


# ---- forms


def test_a_form_without_the_sessions_token_is_refused(phone: Phone) -> None:
    phone.log_in()
    for data in ({"warnings": "yes"}, {"csrf": "guess", "warnings": "yes"}, {"csrf": "é"}):
        assert phone.client.post("/bind/consents", data=data).status_code == 403
    assert phone.store.consenting("warnings") == []


def test_a_form_larger_than_any_real_one_is_refused(phone: Phone) -> None:
    phone.log_in()
    assert phone.client.post("/bind/vehicle", content=b"x" * 20_000).status_code == 413


def test_a_form_that_is_no_text_is_refused(phone: Phone) -> None:
    phone.log_in()
    assert phone.client.post("/bind/vehicle", content=b"\xff\xfe").status_code == 403
    assert phone.client.post("/bind/vehicle", content=b"&".join([b"a=1"] * 200)).status_code == 403


def test_a_phone_is_bound_by_its_code(phone: Phone) -> None:
    phone.log_in()
    assert "验证码已发送" in phone.send("phone", phone="138 1234 5678")
    assert "过于频繁，请60秒" in phone.send("phone", phone="13812345678")
    assert "验证码不正确" in phone.send("code", code="x")
    text = phone.send("code", code=phone.sms.codes[0])
    assert "手机号已绑定" in text
    assert "138****5678" in text
    assert "13812345678" not in text
    assert "手机号已绑定" not in phone.page()


def test_a_vehicle_is_added_switched_and_removed(phone: Phone) -> None:
    phone.log_in()
    truck = {"plate": "鄂a·12345", "kind": "goods", "class": "heavy", "gross_weight_t": "25.5", "axle_count": "4"}
    assert "鄂A12345 · 货车 · 重型 · 25.5 t" in phone.send("vehicle", **truck)
    phone.send("vehicle", plate="鄂A 2222Z", kind="car", energy="electric")
    (first, second) = phone.store.vehicles_of(0)
    assert (first.vehicle.axle_count, second.vehicle.plate, second.active) == (4, "鄂A2222Z", True)
    phone.send("activate", vehicle_id=str(first.vehicle_id))
    assert phone.engine.vehicles[-1].gross_weight_t == 25.5
    phone.send("remove", vehicle_id=str(first.vehicle_id))
    assert [owned.vehicle.plate for owned in phone.store.vehicles_of(0)] == ["鄂A2222Z"]


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"gross_weight_t": "heavy"}, "总质量（吨）"),
        ({"gross_weight_t": "-1"}, "总质量（吨）"),
        ({"gross_weight_t": "nan"}, "总质量（吨）"),
        ({"axle_count": "2.5"}, "轴数"),
        ({"kind": "spaceship"}, "车辆类型"),
        ({"plate": "<b>"}, "车牌号"),
        ({"plate": "鄂" * 30}, "车牌号"),
        ({"goods": "x" * 41}, "货物"),
    ],
)
def test_a_field_that_is_wrong_is_named_and_nothing_is_kept(phone: Phone, fields: dict[str, str], label: str) -> None:
    phone.log_in()
    assert f"未保存：{label}" in phone.send("vehicle", **fields)
    assert phone.store.vehicles_of(0) == []


def test_an_empty_vehicle_and_one_of_nobody_are_said(phone: Phone) -> None:
    phone.log_in()
    assert "至少填写一项" in phone.send("vehicle", plate=" ")
    for number in ("", "7", "x", "9" * 40, "²"):
        assert "没有这辆车" in phone.send("remove", vehicle_id=number)


def test_nobody_exempts_themselves_by_the_form(phone: Phone) -> None:
    phone.log_in()
    phone.send("vehicle", plate="鄂A12345", service="emergency", permits="all", consent="true", u7="5")
    (owned,) = phone.store.vehicles_of(0)
    assert (owned.vehicle.service, owned.vehicle.permits, owned.vehicle.u7) == (None, (), 0)
    assert phone.store.consenting("warnings") == []


def test_what_somebody_types_is_shown_as_text(phone: Phone) -> None:
    phone.people.put_vehicle(ANNE, Vehicle(0, plate='"><script>alert(1)</script>'))
    text = phone.log_in()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_consents_are_recorded_apart_and_only_what_changed(phone: Phone) -> None:
    assert " checked" not in phone.log_in()
    phone.send("consents", version=CONSENT_VERSION, warnings="yes", history="yes")
    text = phone.send("consents", version=CONSENT_VERSION, warnings="yes")
    assert text.count(" checked") == 1
    said = [(record.purpose, record.granted, record.channel) for record in phone.store.consents(0)]
    assert said == [("warnings", True, "page"), ("history", True, "page"), ("history", False, "page")]
    assert phone.engine.vehicles[-1].consent_warnings


def test_a_yes_to_an_older_text_does_not_count_and_a_no_does(phone: Phone) -> None:
    phone.people.agree(ANNE, Purpose.WARNINGS, ConsentChannel.MENU)
    phone.log_in()
    assert "授权说明已更新" in phone.send("consents", version="2020-01", history="yes")
    assert [phone.store.consenting(purpose) for purpose in Purpose] == [[], [], []]


def test_the_language_is_the_persons(phone: Phone) -> None:
    phone.log_in()
    text = phone.send("language")
    assert "My vehicles and consent" in text
    assert 'lang="en"' in text
    profile = phone.people.profile(ANNE)
    assert profile is not None
    assert profile.language is Language.EN
    assert "我的车辆与授权" in phone.send("language")


def test_erasure_wants_the_box_ticked_and_ends_the_session(phone: Phone) -> None:
    phone.log_in()
    assert "请先勾选" in phone.send("erase")
    assert phone.people.u7_of(ANNE) == 0
    answer = phone.client.post("/bind/erase", data={"csrf": phone.csrf, "sure": "yes"})
    assert (answer.status_code, "您的数据已删除" in answer.text) == (200, True)
    assert phone.people.u7_of(ANNE) is None
    assert phone.client.get("/bind").status_code == 302


def test_a_page_left_open_makes_no_new_person_of_somebody_erased_from_the_chat(phone: Phone) -> None:
    phone.log_in()
    phone.people.erase(0, ErasureReason.UNSUBSCRIBED)
    answer = phone.client.post("/bind/consents", data={"csrf": phone.csrf, "warnings": "yes"})
    assert answer.status_code == 403
    assert phone.people.u7_of(ANNE) is None


def test_every_page_forbids_scripts_frames_and_copies(phone: Phone) -> None:
    phone.log_in()
    for answer in (phone.client.get("/bind"), phone.client.post("/bind/language"), phone.client.get("/bind/back")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text


# ---- the words


def test_both_languages_say_the_same_things() -> None:
    assert WORDS[Language.ZH].keys() == WORDS[Language.EN].keys()
    for words in [*NOTICES.values(), *(field.label for field in FORM.values())]:
        assert set(words) == set(Language)
        assert len({text.count("{about}") for text in words.values()}) == 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("kind", VehicleKind),
        ("class", VehicleClass),
        ("plate_colour", PlateColour),
        ("energy", Energy),
        ("body", BodyType),
    ],
)
def test_every_value_of_the_rule_model_can_be_chosen(name: str, values: Any) -> None:
    assert list(CHOICES[name]) == [value.value for value in values]
    for value in CHOICES[name]:
        assert read_vehicle({"u7": 0, name: value}, "form").faults == ()


# ---- asking WeChat


def test_a_code_is_traded_once(server: FakeServer) -> None:
    oauth = WeChatOAuth(SETTINGS.app_id, SETTINGS.app_secret, server.url)
    code = server.state.oauth.issue(FakeVisitor(ANNE), server.state.now_ms())
    assert oauth.user_of(code) == OAuthUser(OAuthOutcome.KNOWN, ANNE)
    assert oauth.user_of(code) == OAuthUser(OAuthOutcome.SPENT, errcode=40163)
    assert oauth.user_of("unknown") == OAuthUser(OAuthOutcome.SPENT, errcode=40029)


def test_a_wrong_secret_is_no_answer_and_shown_nowhere(server: FakeServer) -> None:
    oauth = WeChatOAuth(SETTINGS.app_id, "hush-hush", server.url)
    user = oauth.user_of("code")
    assert (user.outcome, user.errcode) == (OAuthOutcome.AWAY, 40125)
    assert "hush-hush" not in repr(oauth) + repr(user)


def test_no_log_line_holds_the_secret_or_a_code(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    oauth = WeChatOAuth(SETTINGS.app_id, "hush-hush", server.url)
    with caplog.at_level(logging.DEBUG):
        oauth.user_of("a-code-of-wechat")
    assert [line for line in caplog.messages if "/sns/oauth2/access_token" in line]
    assert not [line for line in caplog.messages if "hush-hush" in line or "a-code-of-wechat" in line]


@pytest.mark.parametrize("base", ["ftp://x", "nowhere", "https://x?y=1"])
def test_an_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one like"):
        WeChatOAuth("wx1", "s", base)
