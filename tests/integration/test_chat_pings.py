"""The chat's way through the whole service: pushed, kept, a ping of its person, a warning; and after ``kill -9``."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.bootstrap import Enrolment, Service, bootstrap
from api.clocks import Clocks
from api.settings import Settings
from geo_engine.model import Vehicle, VehicleKind
from geo_engine.store.open import open_store
from geo_engine.store.protocol import Person
from geo_engine.testing import ManualClock, RecordingSender
from geo_engine.wechat.crypto import Sealer, signature

TOKEN, APP, KEY = "t", "wx1", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
DRIVER, STRANGER = "o" * 28, "s" * 28
PEOPLE = [
    Enrolment(Person(7, DRIVER, Vehicle(u7=7, kind=VehicleKind.GOODS)), consent=True, channel="test", version="1")
]


def square(tmp_path: Path) -> Path:
    """Write a zone of half a kilometre round 114.3, 30.5, closed to trucks at any time."""
    ring = [[114.2975, 30.4975], [114.3025, 30.4975], [114.3025, 30.5025], [114.2975, 30.5025], [114.2975, 30.4975]]
    zone = {
        "type": "Feature",
        "id": "square",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"kind": "truck_restriction", "name": "方块", "applies_to": {"vehicle_kinds": ["goods"]}},
    }
    path = tmp_path / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [zone]}), encoding="utf-8")
    return path


def location(openid: str, time_s: int, lon: float, lat: float) -> bytes:
    return (
        f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
        f"<CreateTime>{time_s}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[LOCATION]]></Event>"
        f"<Latitude>{lat:.6f}</Latitude><Longitude>{lon:.6f}</Longitude><Precision>10.000000</Precision></xml>"
    ).encode()


def push(client: TestClient, body: bytes, now_s: int, nonce: str) -> Any:
    sealed = Sealer(APP, [KEY]).seal(body, b"0123456789abcdef")
    query = {
        "timestamp": str(now_s),
        "nonce": nonce,
        "signature": signature(TOKEN, str(now_s), nonce),
        "encrypt_type": "aes",
        "msg_signature": signature(TOKEN, str(now_s), nonce, sealed),
    }
    envelope = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
    return client.post("/wechat", params=query, content=envelope)


def until(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20.0
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return done()


def service_of(tmp_path: Path, clock: ManualClock, **changes: Any) -> Service:
    settings = Settings(
        store=f"sqlite:///{tmp_path / 'store.db'}",
        zones=square(tmp_path),
        wechat_app_id=APP,
        wechat_app_secret="s",  # noqa: S106 - made up
        wechat_token=TOKEN,
        wechat_aes_key=KEY,
        **changes,
    )
    return bootstrap(settings, RecordingSender(), clocks=Clocks(clock, clock), people=PEOPLE)


@pytest.mark.parametrize(("datum", "warned"), [("wgs84", True), ("gcj02", False)])
def test_a_location_event_becomes_a_ping_in_the_datum_of_the_setting(tmp_path: Path, datum: str, warned: bool) -> None:
    clock = ManualClock()
    service = service_of(tmp_path, clock, wechat_location_datum=datum)
    service.start()
    try:
        with TestClient(service.app) as client:
            now_s = clock() // 1_000
            # In the other datum the same numbers lie 589 m away, outside of the square.
            assert push(client, location(DRIVER, now_s, 114.3, 30.5), now_s, "1").text == "success"
            assert push(client, location(STRANGER, now_s, 114.3, 30.5), now_s, "2").text == "success"
            assert until(lambda: service.store.inbox.counts()["waiting"] == 0)
            page = client.get("/metrics").text
        decided = service.store.decisions(limit=10)
        assert [record.alert.zone_id for record in decided] == (["square"] if warned else [])
        assert "geo_engine_wechat_positions_unbound_total 1.0" in page
        assert 'geo_engine_inbox{state="done"} 1.0' in page, "of a stranger nothing is kept"
        assert service.inbound.ready() is None
    finally:
        service.stop(5.0)


def test_plain_pushes_are_allowed_with_a_warning_and_sealed_ones_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for plain in (False, True):
        caplog.clear()
        folder = tmp_path / str(plain)
        folder.mkdir()
        service_of(folder, ManualClock(), wechat_plaintext=plain).closing.close()
        assert ("GEO_ENGINE_WECHAT_PLAINTEXT" in caplog.text) is plain


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from tests.integration.test_chat_pings import DRIVER, TestClient, location, push
        from api.app import make_app
        from api.metrics import Metrics
        from api.routes.wechat import wechat_router
        from api.workers.inbox_journal import InboxJournal
        from geo_engine.store.open import open_store
        from geo_engine.testing import ManualClock
        from geo_engine.wechat.callback import Callback
        from geo_engine.wechat.crypto import Sealer

        clock = ManualClock()
        store = open_store(sys.argv[1])
        callback = Callback("t", Sealer("wx1", ["abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"]))
        app = make_app([wechat_router(callback, InboxJournal(store.inbox, clock), clock, Metrics())])
        with TestClient(app) as client:
            for number in range(20):
                now_s = clock() // 1000
                answer = push(client, location(DRIVER, now_s + number, 114.3, 30.5), now_s, str(number))
                assert answer.text == "success"
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    path = str(tmp_path / "store.db")
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", script, path], cwd=root, check=False).returncode == -9
    store = open_store(path)
    assert store.inbox.counts() == {"waiting": 20, "done": 0, "failed": 0}
    [first] = store.inbox.claim(ManualClock()(), limit=100, lease_ms=1_000)
    assert first.message.kind == "ping"
    store.close()
