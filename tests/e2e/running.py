"""A whole service on loopback beside the fake WeChat server, in safe mode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.bootstrap import Service, bootstrap
from api.serving import HttpServer
from api.settings import CONSOLE_SMS, Settings
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

TOKEN, KEY = "running-token", "runningDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
VENUE = {
    "type": "Feature",
    "id": "shop",
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[114.2, 30.4], [114.21, 30.4], [114.21, 30.41], [114.2, 30.4]]],
    },
    "properties": {"kind": "venue", "name": "店"},
}


@dataclass
class Running:
    """The service, the fake WeChat that pushes to it, and the address of the service."""

    service: Service
    wechat: FakeServer
    url: str


@contextmanager
def a_running_service(folder: Path, fake: FakeSettings | None = None, **values: Any) -> Iterator[Running]:
    """Run a service with one venue, its store in ``folder``, and settings of its own."""
    zones = folder / "zones.geojson"
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": [VENUE]}), encoding="utf-8")
    settings = Settings(store=f"sqlite:///{folder / 'store.db'}", zones=zones, port=0)
    with ExitStack() as stack:
        http = HttpServer(settings)
        stack.callback(http.close)
        fake = fake or FakeSettings()
        fake = replace(fake, callback=CallbackTarget(f"{http.url}/wechat", TOKEN, KEY, fake.app_id))
        wechat = stack.enter_context(start_fake_wechat(settings=fake))
        account = {
            "wechat_app_id": fake.app_id,
            "wechat_app_secret": fake.app_secret,
            "wechat_api_base": wechat.url,
            "wechat_oauth_base": wechat.url,
            "wechat_qr_base": wechat.url,
            "public_url": http.url,
            "sms_url": CONSOLE_SMS,
            "wechat_token": TOKEN,
            "wechat_aes_key": KEY,
        }
        service = bootstrap(Settings(**{**settings.model_dump(), **account, **values}))
        stack.callback(service.stop, 5.0)
        service.start()
        http.start(service)
        stack.callback(http.stop)
        yield Running(service, wechat, http.url)
