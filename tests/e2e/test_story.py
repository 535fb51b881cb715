"""One driver's story over real HTTP in safe mode: follows, agrees, is warned, asks, mutes, leaves and is forgotten."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from api.bootstrap import Service, bootstrap
from api.clocks import wall_clock_ms
from api.serving import _Server as HttpServer
from api.settings import Settings
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.model import SuppressReason, Vehicle, VehicleKind
from geo_engine.people.consents import Purpose
from geo_engine.store.messages import Direction, MessageFilter
from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

TOKEN, KEY = "story-token", "storyABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
DRIVER, PHONE, PLATE = "o" + "Story" * 5 + "12", "13800138000", "鄂A7Z9Q1"
BORDER_DEG = 114.2994
"""West border of the zone that is closed to trucks."""
EAST_M = 95_800.0
"""Metres in a degree of longitude at 30.5 north."""


def feature(name: str, lon: float, kind: str, **more: Any) -> dict[str, Any]:
    """Return a square of 115 m in width round ``lon``, 30.5."""
    west, east, south, north = lon - 0.0006, lon + 0.0006, 30.499, 30.501
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"kind": kind, "name": name, **more},
    }


@dataclass
class World:
    """The service, the fake WeChat, and a phone that pushes to the one through the other's callback."""

    service: Service
    url: str
    wechat: FakeServer
    store: Path
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=10.0))
    pushed: int = 0
    located_s: int = 0
    wrote_s: int = 0
    stop: Callable[[], None] = lambda: None

    def push(self, msg_type: str, fields: str, trigger: str = "") -> None:
        """Push a message or event of the driver as WeChat does, sealed and signed."""
        self.pushed += 1
        now_s = wall_clock_ms() // 1000
        body = (
            f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{DRIVER}]]></FromUserName>"
            f"<CreateTime>{now_s}</CreateTime><MsgType><![CDATA[{msg_type}]]></MsgType>{fields}"
        )
        body += "</xml>" if msg_type == "event" else f"<MsgId>{7_000_000_000 + self.pushed}</MsgId></xml>"
        if trigger:
            self.wechat.state.touch(DRIVER, trigger)
        sealed = Sealer(self.wechat.state.settings.app_id, [KEY]).seal(body.encode(), os.urandom(16))
        nonce = f"n{self.pushed}"
        query = {
            "timestamp": str(now_s),
            "nonce": nonce,
            "openid": DRIVER,
            "signature": signature(TOKEN, str(now_s), nonce),
            "encrypt_type": "aes",
            "msg_signature": signature(TOKEN, str(now_s), nonce, sealed),
        }
        envelope = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        address = f"{self.url}/wechat?" + "&".join(
            f"{name}={urllib3.util.url._encode_invalid_chars(text, set())}" for name, text in query.items()
        )
        answer = self.http.request("POST", address, body=envelope.encode())
        assert (answer.status, answer.data) == (200, b"success")

    def says(self, text: str) -> str:
        """Send a text and return the answer on the phone; windows go by the second, so one text a second."""
        assert until(lambda: wall_clock_ms() // 1000 > self.wrote_s)
        self.wrote_s = wall_clock_ms() // 1000
        before = len(self.phone())
        self.push("text", f"<Content><![CDATA[{text}]]></Content>", "message")
        assert until(lambda: len(self.phone()) > before), f"no answer to {text}"
        return self.phone()[-1]

    def phone(self) -> list[str]:
        """Return the texts that reached the phone."""
        return ["\n".join(found.data.values()) for found in self.wechat.state.deliveries(DRIVER)]

    def is_at(self, lon: float) -> None:
        """Let the phone report where it is; two reports of one second are one to WeChat and to us."""
        assert until(lambda: wall_clock_ms() // 1000 > self.located_s)
        self.located_s = wall_clock_ms() // 1000
        before = self.service.store.inbox.counts()["done"]
        self.push(
            "event",
            f"<Event><![CDATA[LOCATION]]></Event><Latitude>30.500000</Latitude><Longitude>{lon:.6f}</Longitude>"
            "<Precision>10.000000</Precision>",
        )
        assert until(lambda: self.service.store.inbox.counts()["done"] > before)

    def drives(self, from_m: float, *, speed_mps: float, steps: int) -> None:
        """Drive east from so many metres east of the closed zone's border, a report each second."""
        for step in range(steps):
            self.is_at(BORDER_DEG + (from_m + speed_mps * step) / EAST_M)

    def warnings(self, zone_id: str) -> list[Any]:
        """Return what was decided to send about a zone."""
        decided = self.service.store.decisions(limit=100)
        return [one.alert for one in decided if one.alert.zone_id == zone_id and one.alert.send]


def until(done: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    zones = tmp_path / "zones.geojson"
    trucks = {"applies_to": {"vehicle_kinds": ["goods"]}}
    features = [
        feature("东湖货车禁行", 114.3, "truck_restriction", **trucks),
        feature("光谷门店", 114.29, "venue"),
    ]
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    store = tmp_path / "store.db"
    settings = Settings(store=f"sqlite:///{store}", zones=zones, port=0, wechat_keep_days=1, cooldown_s=0.0)
    http = HttpServer(settings)
    fake = FakeSettings()
    fake = replace(fake, callback=CallbackTarget(f"{http.url}/wechat", TOKEN, KEY, fake.app_id))
    with start_fake_wechat(settings=fake) as wechat:
        account = {
            "wechat_app_id": fake.app_id,
            "wechat_app_secret": fake.app_secret,
            "wechat_api_base": wechat.url,
            "wechat_oauth_base": wechat.url,
            "wechat_token": TOKEN,
            "wechat_aes_key": KEY,
            "public_url": http.url,
            "sms_url": "console",
        }
        service = bootstrap(Settings(**{**settings.model_dump(), **account}))
        service.start()
        http.start(service)
        with ExitStack() as stack:
            for end in (http.close, lambda: service.stop(5.0), http.stop):
                stack.callback(end)
            yield World(service, http.url, wechat, store, stop=stack.close)


def test_a_driver_follows_agrees_is_warned_asks_mutes_leaves_and_is_forgotten(world: World) -> None:
    follows_and_agrees(world)
    is_warned_before_the_border(world)
    asks(world)
    link = takes_his_data(world)
    mutes_and_is_not_warned_again(world)
    is_in_the_history(world)
    leaves_and_is_forgotten(world, link)


def follows_and_agrees(world: World) -> None:
    """Followers are greeted and asked; nothing is agreed to, and no position used, before the yes."""
    store = world.service.store
    world.push("event", "<Event><![CDATA[subscribe]]></Event><EventKey></EventKey>", "follow")
    assert until(lambda: len(world.phone()) == 1)
    assert "同意请回复" in world.phone()[0]
    assert f"{world.url}/bind" in world.phone()[0]
    u7 = store.u7_of(DRIVER)
    assert u7 is not None
    assert store.consents(u7) == []
    world.is_at(114.2900)
    assert "没有同意定位" in world.says("附近")
    assert "已记录您的同意" in world.says("同意")
    assert [(one.purpose, one.granted) for one in store.consents(u7)] == [(Purpose.WARNINGS.value, True)]
    # The page has its own tests.
    world.service.people.put_vehicle(DRIVER, Vehicle(u7=0, kind=VehicleKind.GOODS, plate=PLATE))
    store.set_phone(u7, PHONE, wall_clock_ms())


def is_warned_before_the_border(world: World) -> None:
    """The answer's window carries the warning, so it costs no template message."""
    world.drives(-260.0, speed_mps=20.0, steps=5)
    assert until(lambda: bool(world.warnings("东湖货车禁行")))
    [warning] = world.warnings("东湖货车禁行")
    assert warning.distance_m > 0.0
    assert until(lambda: warning.text in world.phone())


def asks(world: World) -> None:
    """By the position of the engine, and by a place sent from Tencent's map."""
    assert "光谷门店" in world.says("附近")
    assert "东湖货车禁行" in world.says("限行")
    east, north = from_wgs84(114.2900, 30.5000, Datum.GCJ02)
    before = len(world.phone())
    world.push(
        "location",
        f"<Location_X>{float(north):.6f}</Location_X><Location_Y>{float(east):.6f}</Location_Y><Scale>15</Scale>"
        "<Label><![CDATA[光谷]]></Label>",
        "message",
    )
    assert until(lambda: len(world.phone()) > before)
    assert "光谷门店 0米" in world.phone()[-1]


def takes_his_data(world: World) -> str:
    """By a link nobody can guess; returned."""
    link = world.says("我的数据").split()[-1]
    everything = world.http.request("GET", link)
    assert everything.status == 200
    data = json.loads(everything.data)
    assert {DRIVER, PHONE, PLATE} <= set(_texts(data))
    assert "限行" in {one["message"]["text"] for one in data["messages"]}
    assert world.http.request("GET", link[:-2] + "AA").status == 404
    return link


def mutes_and_is_not_warned_again(world: World) -> None:
    """Driving through, out and in again: a second warning is due, as there is no cooldown, and is muted."""
    assert "东湖货车禁行" in world.says("我的提醒")
    assert "不再提醒“东湖货车禁行”" in world.says("不再提醒此区域")
    world.drives(-120.0, speed_mps=45.0, steps=8)
    world.drives(150.0, speed_mps=-45.0, steps=4)
    assert len(world.warnings("东湖货车禁行")) == 1
    muted = [one.alert.reason for one in world.service.store.decisions(limit=100) if not one.alert.send]
    assert SuppressReason.MUTED.value in muted


def is_in_the_history(world: World) -> None:
    """Every message both ways, once: who, when, what, why and how; where only of who agreed to that."""
    u7 = world.service.store.u7_of(DRIVER)
    found = world.service.store.messages.search(MessageFilter(u7=u7), limit=1_000)
    sent = [one for one in found if one.message.direction is Direction.OUT]
    assert len(sent) == len(world.phone())
    [warning] = [one for one in sent if one.message.kind == "warning"]
    assert (warning.phone, warning.plate, warning.message.channel) == (PHONE, PLATE, "customer_service")
    assert (warning.message.zones, warning.message.outcome) == (("东湖货车禁行",), "accepted")
    assert warning.message.why.startswith("approach: ")
    assert (warning.message.text in world.phone(), warning.message.lon) == (True, None)
    [asked] = world.service.store.messages.search(MessageFilter(u7=u7, text="限行", direction=Direction.IN), limit=9)
    answers = [one.message for one in sent if one.message.cause == asked.message.key]
    assert [(one.kind, one.why, one.outcome) for one in answers] == [("answer", "answer to text", "accepted")]
    # The link to one's data is a key: it is in no record.
    assert not any("/bind/data/" in one.message.text for one in found)
    assert {one.message.kind for one in found} >= {"subscribe", "text", "location", "answer", "warning"}
    assert not any(one.message.kind == "ping" for one in found)


def leaves_and_is_forgotten(world: World, link: str) -> None:
    """Nothing of him is left, in the tables or as bytes of the files; a late receipt about him is not kept either."""
    store = world.service.store
    assert any(DRIVER.encode() in found for found in _files(world))  # what is looked for can be found
    world.push("event", "<Event><![CDATA[unsubscribe]]></Event><EventKey></EventKey>")
    assert until(lambda: store.u7_of(DRIVER) is None)
    world.push(
        "event",
        "<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>77</MsgID><Status><![CDATA[success]]></Status>",
    )
    assert until(lambda: store.inbox.counts()["waiting"] == 0)
    assert world.http.request("GET", link).status == 404
    # All that stays of his messages is how many there were.
    assert store.messages.search(MessageFilter(), limit=9) == []
    assert {kind for _, _, kind in store.messages.tally()} >= {"text", "warning", "unsubscribe"}
    world.stop()
    for found in _files(world):
        for secret in (DRIVER, PHONE, PLATE):
            assert secret.encode() not in found


def _files(world: World) -> list[bytes]:
    return [path.read_bytes() for path in world.store.parent.iterdir() if path.name.startswith(world.store.stem)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(part)
