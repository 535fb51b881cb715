"""The whole service with a receiver of webhooks: what it tells while it works, and what it forgets in time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.bootstrap import Service, bootstrap
from api.clocks import Clocks
from api.settings import Settings
from geo_engine.model import Vehicle, VehicleKind
from geo_engine.people.consents import ConsentChannel, Purpose
from geo_engine.store import HISTORY
from geo_engine.store.messages import Direction, MessageFilter, NewMessage
from geo_engine.testing import ManualClock, RecordingSender, noon_ms, straight_drive
from tests.integration.test_pings_door import ZONES, enrolled
from tests.integration.test_webhooks import SECRET, Receiver, _until, receiver

__all__ = ["receiver"]

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(noon_ms)


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock, receiver: Receiver) -> Iterator[Service]:
    zones = tmp_path / "zones.geojson"
    zones.write_text(json.dumps(ZONES), encoding="utf-8")
    settings = Settings(
        store=f"sqlite:///{tmp_path / 'store.db'}",
        zones=zones,
        webhook_urls=SecretStr(receiver.url),
        webhook_secrets=SecretStr(SECRET),
        webhook_source="urn:test",
        keep_warnings_days=100,
        keep_conversation_days=10,
        keep_events_days=1,
    )
    people = [enrolled(u7, f"o{u7:027d}", Vehicle(u7=u7, kind=VehicleKind.GOODS, plate="鄂A1")) for u7 in (1, 2)]
    made = bootstrap(settings, RecordingSender(), clocks=Clocks(clock, clock), people=people)
    made.start()
    yield made
    made.stop(1.0)


def test_a_warning_is_in_the_history_and_told_with_the_zones_of_who_agreed(
    service: Service, receiver: Receiver
) -> None:
    service.people.agree(f"o{1:027d}", Purpose.HISTORY, ConsentChannel.PAGE)
    for u7 in (1, 2):
        service.ingest.submit(straight_drive(u7, pings=1, lon=114.305, start_ms=noon_ms)).result(10)
    assert _until(lambda: receiver.kinds().count("message.sent") == 2)
    kept = {one.message.u7: one for one in service.store.messages.search(MessageFilter(kind="warning"), limit=9)}
    assert [(one.plate, one.message.zones, one.message.outcome) for one in kept.values()] == [
        ("鄂A1", ("bridge",), "accepted")
    ] * 2
    assert kept[1].message.lon == pytest.approx(114.305)
    assert kept[2].message.lon is None
    assert _until(lambda: "zone.entered" in receiver.kinds())
    told = [body["data"]["u7"] for body in receiver.bodies() if body["type"].endswith("zone.entered")]
    assert told == [1]
    assert {body["source"] for body in receiver.bodies()} == {"urn:test"}
    assert service.store.consenting(HISTORY) == [1]


def test_a_receiver_that_hangs_holds_up_neither_engine_nor_relay(service: Service, receiver: Receiver) -> None:
    receiver.hangs = True
    began = time.monotonic()
    for turn, u7 in enumerate((1, 2)):
        at_ms = noon_ms + turn
        service.ingest.submit(straight_drive(u7, pings=1, lon=114.305, start_ms=at_ms)).result(10)
    assert _until(lambda: service.store.counts()["outbox.delivered"] == 2)
    assert time.monotonic() - began < 10.0
    assert service.store.webhooks.counts()["waiting"] == 2
    receiver.hang.set()
    assert _until(lambda: service.store.webhooks.counts()["waiting"] == 0)
    for headers, body in receiver.got:
        assert headers["webhook-id"] == json.loads(body)["id"]


def test_messages_go_when_their_kind_is_too_old(service: Service, clock: ManualClock) -> None:
    ages = {"warning": 99, "answer": 99, "text": 9, "click": 2, "voice": 11}
    messages = [
        NewMessage(f"k:{kind}", 1, Direction.OUT, kind, noon_ms - days * DAY_MS, noon_ms) for kind, days in ages.items()
    ]
    assert service.store.messages.note(messages) == 5
    clock.advance(3_601)
    assert _until(lambda: len(service.store.messages.search(MessageFilter(), limit=9)) == 2)
    assert {one.message.kind for one in service.store.messages.search(MessageFilter(), limit=9)} == {"warning", "text"}


def test_the_metrics_tell_of_webhooks(service: Service, receiver: Receiver) -> None:
    service.store.messages.note([NewMessage("k", 1, Direction.IN, "text", noon_ms, noon_ms)])
    assert _until(lambda: bool(receiver.got))
    assert _until(lambda: service.store.webhooks.counts()["waiting"] == 0)
    page = service.metrics.page(waiting=0, relay={}, store={"webhook.waiting": 0}).decode()
    assert 'geo_engine_webhooks_total{outcome="taken"} 1.0' in page
    assert 'geo_engine_webhook_events{state="waiting"} 0.0' in page
