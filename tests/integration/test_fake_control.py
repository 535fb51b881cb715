"""The fake server as another project uses it: over HTTP only, or by its fixtures, with nothing private."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import urllib3

from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.datum import Datum, to_wgs84
from geo_engine.testing import ManualClock
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_clock import FakeClock
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.fake_streams import FakeTrack
from geo_engine.wechat.inbound import PingEvent
from geo_engine.wechat.pytest_fake import MakeFakeWeChat, fake_wechat, make_fake_wechat
from geo_engine.wechat.reading import read_push
from geo_engine.wechat.template import read_templates
from tests.unit.wechat.test_fake_push import Door, a_door

__all__ = ["fake_wechat", "make_fake_wechat"]

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

ANNA = "o" + "a" * 27
Ask = Callable[..., Any]


@pytest.fixture
def ask(fake_wechat: FakeServer) -> Iterator[Ask]:
    """Call the server: ``ask("/path", body)`` posts, without a body it gets; returns status and JSON."""
    with urllib3.PoolManager(retries=False, timeout=10.0) as http:

        def call(path: str, body: Any = None, *, method: str = "", server: FakeServer = fake_wechat) -> Any:
            how = method or ("GET" if body is None else "POST")
            answer = http.request(how, server.url + path, body=None if body is None else json.dumps(body).encode())
            return answer.status, answer.data if answer.data[:1] != b"{" else json.loads(answer.data)

        yield call


@pytest.fixture
def token(ask: Ask) -> str:
    fake = FakeSettings()
    query = {"grant_type": "client_credential", "appid": fake.app_id, "secret": fake.app_secret}
    return str(ask("/cgi-bin/token?" + urlencode(query))[1]["access_token"])


# ---- calls


def test_a_code_is_made_shown_and_scanned_over_http(ask: Ask, token: str, fake_wechat: FakeServer) -> None:
    body = {"action_name": "QR_STR_SCENE", "expire_seconds": 60, "action_info": {"scene": {"scene_str": "s.1"}}}
    _, made = ask(f"/cgi-bin/qrcode/create?access_token={token}", body)
    assert made["expire_seconds"] == 60
    assert ask("/cgi-bin/showqrcode?" + urlencode({"ticket": made["ticket"]}))[0] == 200
    assert ask("/_fake/codes")[1]["codes"][0]["scene"] == "s.1"
    assert ask("/_fake/scan", {"openid": ANNA, "ticket": made["ticket"]}) == (200, {"ok": True})
    _, info = ask(f"/cgi-bin/user/info?access_token={token}&openid={ANNA}")
    assert (info["subscribe"], info["qr_scene_str"]) == (1, "s.1")
    fake_wechat.advance(61)
    status, refused = ask("/_fake/scan", {"openid": ANNA, "ticket": made["ticket"]})
    assert status == 400
    assert "QR code" in refused["error"]
    assert ask(f"/cgi-bin/qrcode/create?access_token={token}", {})[1]["errcode"] == 40053


def test_of_who_left_the_account_learns_nothing(ask: Ask, token: str) -> None:
    ask("/_fake/unfollow", {"openid": ANNA})
    _, info = ask(f"/cgi-bin/user/info?access_token={token}&openid={ANNA}")
    assert info == {"subscribe": 0, "openid": ANNA}
    assert ask(f"/cgi-bin/user/info?access_token={token}&openid=x")[1]["errcode"] == 40003


def test_the_ticket_of_pages_stays_the_same_for_two_hours(ask: Ask, token: str, fake_wechat: FakeServer) -> None:
    path = f"/cgi-bin/ticket/getticket?access_token={token}&type="
    first = ask(path + "jsapi")[1]
    assert (first["errcode"], 7_190 <= first["expires_in"] <= 7_200) == (0, True)
    fake_wechat.advance(3_600)
    assert ask(path + "jsapi")[1]["ticket"] == first["ticket"]
    assert ask(path + "other")[1]["errcode"] == 40097
    assert ask("/cgi-bin/ticket/getticket?type=jsapi")[1]["errcode"] == 41001
    assert ask(f"/cgi-bin/getcallbackip?access_token={token}")[1] == {"ip_list": ["127.0.0.1"]}
    fake_wechat.advance(3_601)
    assert ask(path + "jsapi")[1]["errcode"] == 42001


def test_what_a_person_shows_can_be_fetched_for_three_days(ask: Ask, fake_wechat: FakeServer, token: str) -> None:
    fake_wechat.phone(ANNA).shows("image", b"\x89PNG 1")
    [media_id] = fake_wechat.state.media
    path = f"/cgi-bin/media/get?access_token={token}&media_id="
    assert ask(path + media_id) == (200, b"\x89PNG 1")
    assert ask(path + "other")[1]["errcode"] == 40007


def test_limits_of_a_minute_answer_43117_and_45011(ask: Ask, make_fake_wechat: MakeFakeWeChat) -> None:
    server = make_fake_wechat(FakeSettings(templates=read_templates("t: thing1=zone"), user_limit=2, minute_limit=3))
    state = server.state
    token = str(state.tokens.stable(state.now_ms())[0])
    path = f"/cgi-bin/message/template/send?access_token={token}"
    message = {"touser": ANNA, "template_id": "t", "data": {"thing1": {"value": "桥"}}}
    codes = [ask(path, message, server=server)[1]["errcode"] for _ in range(4)]
    assert codes == [0, 0, 43117, 45011]
    server.advance(61)
    assert ask(path, message, server=server)[1]["errcode"] == 0


def test_an_answer_is_one_write_and_none_takes_the_forty_milliseconds_of_a_stall(fake_wechat: FakeServer) -> None:
    parts, pieces, took = urlsplit(fake_wechat.url), 0, []
    with socket.create_connection((parts.hostname, parts.port)) as line:
        for _ in range(50):
            began_s = time.perf_counter()
            line.sendall(b"GET /_fake/messages HTTP/1.1\r\nhost: a\r\n\r\n")
            answer = line.recv(65_536)
            took.append(time.perf_counter() - began_s)
            pieces += answer.endswith(b'{"count":0,"messages":[]}')
            if not answer.endswith(b"}"):
                line.recv(65_536)
    assert pieces == 50
    assert sorted(took)[25] < 0.04


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])  # noqa: S104 - it is refused
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback"):
        start_fake_wechat(host=host)


# ---- control


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("say", {"openid": ANNA}, "text: found None"),
        ("say", [], "JSON object"),
        ("follow", {}, "openid: found None"),
        ("follow", {"openid": 7}, "openid: found 7"),
        ("locate", {"openid": ANNA, "lon": "114", "lat": 30}, "lon: found '114'"),
        ("locate", {"openid": ANNA, "lon": True, "lat": 30}, "lon: found True"),
        ("locate", {"openid": ANNA, "lon": 114, "lat": 30, "datum": "mars"}, "datum: found 'mars'"),
        ("scan", {"openid": ANNA, "ticket": "t"}, "QR code: found no live one"),
        ("streams", {"openid": ANNA, "track": "a,b"}, "CSV with the columns"),
        ("streams", {"openid": ANNA, "track": "{}"}, "LineString"),
        ("clock", {"advance_s": "1"}, "advance_s: found '1'"),
        ("faults", {"kind": "none"}, "none"),
        ("faults", {"kind": "errcode", "seconds": "1"}, "seconds"),
    ],
)
def test_a_call_that_cannot_be_understood_says_why(ask: Ask, name: str, body: Any, problem: str) -> None:
    status, answer = ask(f"/_fake/{name}", body)
    assert status == 400
    assert problem in answer["error"]


def test_without_a_callback_people_act_and_nothing_is_pushed(ask: Ask, fake_wechat: FakeServer, token: str) -> None:
    assert ask("/_fake/say", {"openid": ANNA, "text": "附近"}) == (200, {"ok": True})
    assert ask("/_fake/pushes")[1] == {"count": 0, "pushes": []}
    assert ask("/_fake/callback")[0] == 409
    body = {"touser": ANNA, "msgtype": "text", "text": {"content": "好"}}
    assert ask(f"/cgi-bin/message/custom/send?access_token={token}", body)[1]["errcode"] == 0
    fake_wechat.expect(ANNA, "好", channel="customer_service")


def test_who_leaves_closes_every_window(ask: Ask, token: str) -> None:
    ask("/_fake/say", {"openid": ANNA, "text": "附近"})
    ask("/_fake/unfollow", {"openid": ANNA})
    body = {"touser": ANNA, "msgtype": "text", "text": {"content": "好"}}
    assert ask(f"/cgi-bin/message/custom/send?access_token={token}", body)[1]["errcode"] == 45015


ACTS: dict[str, dict[str, Any]] = {
    "follow": {},
    "say": {"text": "附近"},
    "show": {"kind": "voice"},
    "click": {"key": "nearest"},
    "open": {"url": "https://a.cn/bind"},
    "place": {"lon": 114.3, "lat": 30.5, "label": "店"},
    "locate": {"lon": 114.3, "lat": 30.5},
    "accept": {"template_id": "t"},
    "refuse": {"template_id": "t"},
    "revoke": {},
    "unfollow": {},
}


def test_every_act_is_pushed_and_read_by_our_reader(ask: Ask, make_fake_wechat: MakeFakeWeChat) -> None:
    kinds = []
    with a_door() as door:
        server = make_fake_wechat(FakeSettings(callback=CallbackTarget(door.url, "t")))
        for name, body in ACTS.items():
            status, answer = ask(f"/_fake/{name}", {"openid": ANNA, **body}, server=server)
            assert (status, answer["push"]["outcome"], answer["push"]["openid"]) == (200, "silent", ANNA), name
            message = read_push(door.got[-1][1])
            assert message.openid == ANNA
            kinds.append(message.kind.value)
        assert "other" not in kinds
        assert len(set(kinds)) == len(ACTS)
        assert ask(f"/_fake/pushes?openid={ANNA}", server=server)[1]["count"] == len(ACTS)
        _, found = ask("/_fake/callback", {"token": "u"}, server=server)
        assert (found["mode"], found["posted"]) == ("plain", len(ACTS))


def test_a_reply_is_shown_on_the_phone_and_garbage_is_recorded(ask: Ask, make_fake_wechat: MakeFakeWeChat) -> None:
    reply = (
        f"<xml><ToUserName>{ANNA}</ToUserName><FromUserName>gh_fake_account</FromUserName><CreateTime>1</CreateTime>"
        "<MsgType>text</MsgType><Content><![CDATA[<好>]]></Content></xml>"
    )
    with a_door() as door:
        server = make_fake_wechat(FakeSettings(callback=CallbackTarget(door.url, "t")))
        phone = server.phone(ANNA)
        door.answer = lambda _number: reply.encode()
        record = phone.says("你好")
        assert record is not None
        assert record.outcome == "replied"
        server.expect(ANNA, "<好>", channel="reply")
        door.answer = lambda _number: b"{}"
        phone.says("你好")
        assert [one.outcome for one in phone.pushes()] == ["replied", "unavailable"]
        page = ask("/", server=server)[1].decode()
        assert "&lt;好&gt;" in page
        assert "该公众号暂时无法提供服务" in page


# ---- expectations


def test_an_expectation_is_met_or_says_what_the_phone_shows(ask: Ask, fake_wechat: FakeServer) -> None:
    state = fake_wechat.state
    now_ms = state.now_ms()
    state.note_reply(ANNA, {"text": "前方禁行"})
    [found] = fake_wechat.expect(ANNA, "禁行", channel="reply", within_ms=(now_ms, now_ms + 60_000))
    assert found.open_id == ANNA
    fake_wechat.expect(ANNA, "没有", times=0)
    for wrong in (
        {"contains": "没有"},
        {"times": 2},
        {"channel": "template"},
        {"within_ms": (0, now_ms)},
        {"within_ms": (now_ms + 60_000, now_ms + 120_000)},
    ):
        with pytest.raises(AssertionError, match="前方禁行"):
            fake_wechat.expect(ANNA, **wrong)
    state.note_reply(ANNA, {"text": "前方禁行"})
    with pytest.raises(AssertionError, match="found 2 messages"):
        fake_wechat.expect(ANNA, "禁行")
    fake_wechat.expect(ANNA, "禁行", times=None)
    assert ask(f"/_fake/expect?openid={ANNA}&times=2")[0] == 200
    status, answer = ask(f"/_fake/expect?openid={ANNA}&contains=x&wait_s=0.1")
    assert (status, answer["ok"]) == (409, False)
    assert "found 0 messages with 'x'" in answer["error"]
    assert ask("/_fake/expect")[0] == 400
    assert ask(f"/_fake/expect?openid={ANNA}&times=often")[0] == 400


# ---- clock and streams


def test_the_clock_jumps_stops_and_runs(ask: Ask, make_fake_wechat: MakeFakeWeChat) -> None:
    began_ms = ask("/_fake/clock")[1]["now_ms"]
    later_ms = ask("/_fake/clock", {"advance_s": 3_600})[1]["now_ms"]
    assert 3_600_000 <= later_ms - began_ms < 3_660_000
    stopped = ask("/_fake/clock", {"stopped": True, "now_ms": 1_793_678_400_000})[1]["now_ms"]
    time.sleep(0.02)
    assert ask("/_fake/clock")[1]["now_ms"] == stopped == 1_793_678_400_000
    ask("/_fake/clock", {"stopped": False})
    time.sleep(0.02)
    assert ask("/_fake/clock")[1]["now_ms"] > stopped
    own = make_fake_wechat(clock=ManualClock())
    assert ask("/_fake/clock", {"advance_s": 1}, server=own)[0] == 409
    with pytest.raises(ConfigurationError, match="test's own"):
        own.advance(1)


def test_a_clock_that_stands_still_moves_by_what_it_is_told() -> None:
    wall = ManualClock(1_000)
    clock = FakeClock(wall)
    assert (clock.stop(), wall.advance(5), clock()) == (1_000, 6_000, 1_000)
    assert (clock.advance(2), clock.run(), wall.advance(1), clock()) == (3_000, 3_000, 7_000, 4_000)
    assert clock.set(9_000) == clock() == 9_000


TRACK = "time_s,lon,lat\n100,114.300,30.500\n110,114.301,30.500\n130,114.301,30.502\n"


@pytest.mark.parametrize("datum", [Datum.WGS84, Datum.GCJ02])
def test_a_stream_reports_a_position_each_five_seconds_in_its_datum(
    ask: Ask, make_fake_wechat: MakeFakeWeChat, datum: Datum
) -> None:
    with a_door() as door:
        server = make_fake_wechat(FakeSettings(callback=CallbackTarget(door.url, "t")))
        ask("/_fake/clock", {"stopped": True}, server=server)
        body = {"openid": ANNA, "track": TRACK, "datum": datum.value, "accuracy_m": 12.5}
        assert ask("/_fake/streams", body, server=server)[1]["moving"] == [ANNA]
        began_ms = server.state.now_ms()
        server.advance(60)
        events = pings(door)
        assert [one.time_s - began_ms // 1000 for one in events] == [0, 5, 10, 15, 20, 25, 30]
        lon, lat = to_wgs84([one.lon for one in events], [one.lat for one in events], datum)
        assert lon == pytest.approx([114.3, 114.3005, *[114.301] * 5], abs=2e-6)
        assert lat == pytest.approx([30.5, 30.5, 30.5, 30.5005, 30.501, 30.5015, 30.502], abs=2e-6)
        assert {one.accuracy_m for one in events} == {12.5}
        assert ask("/_fake/streams", server=server)[1] == {"moving": [], "pushed": 7}


def test_who_leaves_the_conversation_reports_nothing_more(ask: Ask, make_fake_wechat: MakeFakeWeChat) -> None:
    with a_door() as door:
        server = make_fake_wechat(FakeSettings(callback=CallbackTarget(door.url, "t")))
        server.clock.stop()  # type: ignore[union-attr]  # the server made its own
        for person in ("anna", "ben"):
            server.streams.start(person, FakeTrack.read(TRACK))
        server.advance(5)
        server.streams.stop("anna")
        server.advance(5)
        counts = {name: len(server.phone(name).pushes()) for name in ("anna", "ben")}
        assert counts == {"anna": 2, "ben": 3}
        ask("/_fake/streams", method="DELETE", server=server)
        server.advance(60)
        assert len(door.got) == 5


def test_a_stream_runs_in_real_time_too(make_fake_wechat: MakeFakeWeChat) -> None:
    with a_door() as door:
        server = make_fake_wechat(FakeSettings(callback=CallbackTarget(door.url, "t")))
        server.streams.start("anna", FakeTrack.along([(114.3, 30.5), (114.31, 30.5)], 20.0), every_s=1.0)
        deadline = time.monotonic() + 10.0
        while len(door.got) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        first, second = pings(door)[:2]
        assert second.time_s - first.time_s == 1
        assert 0.00015 < second.lon - first.lon < 0.00026


def pings(door: Door) -> list[PingEvent]:
    found = [read_push(body) for _, body in door.got]
    events = [one for one in found if isinstance(one, PingEvent)]
    assert len(events) == len(found)
    return events


LINE = {"type": "LineString", "coordinates": [[114.3, 30.5], [114.3, 30.5], [114.31, 30.5]]}


def test_tracks_are_read_from_csv_and_geojson() -> None:
    assert FakeTrack.read(TRACK).time_ms == (0.0, 10_000.0, 30_000.0)
    steady = FakeTrack.read(json.dumps(LINE), speed_mps=10.0)
    assert steady.lon == (114.3, 114.31)
    assert 95_000 < steady.lasts_ms < 97_000
    timed = {"type": "Feature", "geometry": LINE, "properties": {"times_ms": [5, 10, 20]}}
    assert FakeTrack.read(json.dumps({"type": "FeatureCollection", "features": [timed]})).time_ms == (0.0, 5.0, 15.0)
    assert steady.at(-1.0) == (114.3, 30.5)
    assert steady.at(1e9) == (114.31, 30.5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no row"),
        ("lon,lat\n1,2", "found lon, lat"),
        ("time_s,lon,lat\n1,x,2", "row 2, lon: found 'x'"),
        ("time_s,lon,lat\n1,1,2\n1,1,2", "each later"),
        ("time_s,lon,lat\n1,1,92", "on earth"),
        ("time_s,lon,lat\n1,1,nan", "row 2, lat"),
        ("{", "expected GeoJSON"),
        (json.dumps(LINE), "neither times_ms nor a speed"),
        (json.dumps({"type": "Feature", "geometry": LINE, "properties": {"times_ms": [1]}}), "are not 3"),
        (json.dumps({"type": "Point", "coordinates": [1, 2]}), "LineString"),
        (json.dumps({"type": "LineString", "coordinates": [["a", 2]]}), "place 0, lon"),
        (json.dumps({"type": "LineString", "coordinates": [[1]]}), "place 0"),
    ],
)
def test_a_track_that_is_none_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        FakeTrack.read(text)


@pytest.mark.parametrize("speed_mps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_is_above_nothing(speed_mps: float) -> None:
    with pytest.raises(ConfigurationError, match="speed_mps"):
        FakeTrack.along([(114.3, 30.5), (114.31, 30.5)], speed_mps)


def test_two_events_in_one_second_would_be_one_to_wechat(fake_wechat: FakeServer) -> None:
    with pytest.raises(ConfigurationError, match="every_s"):
        fake_wechat.streams.start("anna", FakeTrack.read(TRACK), every_s=0.5)


ANOTHER_PROJECT = """
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind

def test_mine(fake_wechat, make_fake_wechat):
    fake_wechat.phone("anna").says("hello")
    other = make_fake_wechat(FakeSettings(app_id="mine"))
    other.state.faults.add(FakeFault(FaultKind.HANG, seconds=1.0))
    fake_wechat.expect("anna", times=0)
    assert other.url != fake_wechat.url
"""


def test_another_project_uses_the_fixtures_by_the_name_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["geo_engine.wechat.pytest_fake"]\n', encoding="utf-8")
    (tmp_path / "test_mine.py").write_text(ANOTHER_PROJECT, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
