"""The one composition root: from settings to a service whose parts are joined, and its start and stop."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI

from api.app import make_app
from api.example import zones_dir
from api.metrics import Metrics
from api.routes.health import health_router
from api.routes.pings import pings_router
from api.routes.wechat import wechat_router
from api.settings import Settings
from api.workers.ingest import IngestWorker
from api.workers.relay import Relay
from geo_engine.alerting.message import Message, MessageSender, SendResult
from geo_engine.alerting.policy import Policy
from geo_engine.engine import Decisions, Engine, EngineConfig
from geo_engine.errors import StoreError, ZoneDocumentError
from geo_engine.ingest.zonefiles import load_zone_files, zone_file_paths
from geo_engine.store.open import open_store
from geo_engine.store.protocol import WARNINGS, Person, Store
from geo_engine.tracking.approach import LookAhead
from geo_engine.wechat.client import WeChatSender
from geo_engine.wechat.template import RESTRICTION_TEMPLATE
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Service", "bootstrap", "enrol", "wall_clock_ms", "wechat_sender"]

_MEMORY_MS = 24 * 3600 * 1000
"""How far back visits are read at a start: longer than any cooldown."""

Clock = Callable[[], int]


def wall_clock_ms() -> int:
    """Return the time of day in epoch milliseconds UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Service:
    """The joined parts of a running service."""

    app: FastAPI
    zones: ZoneSet
    store: Store
    ingest: IngestWorker
    relay: Relay
    metrics: Metrics

    def start(self) -> None:
        """Start the workers: first who delivers, then who decides."""
        self.relay.start()
        self.ingest.start()

    def stop(self, drain_s: float) -> None:
        """Judge what was accepted, send what is due for at most ``drain_s`` seconds, close the store."""
        self.ingest.stop()
        self.relay.stop(drain_s)
        self.store.close()


def bootstrap(
    settings: Settings,
    sender: MessageSender,
    *,
    clock: Clock = wall_clock_ms,
    people: Sequence[Person] = (),
    on_decisions: Callable[[Decisions], None] = lambda _decisions: None,
    on_delivered: Callable[[Message, SendResult], None] = lambda _message, _result: None,
) -> Service:
    """Join a service; nothing runs before ``Service.start``.

    Args:
        settings: all settings.
        sender: the channel warnings leave through.
        clock: epoch milliseconds UTC.
        people: users to enrol with the consent their vehicle states, e.g. those of a simulation.
        on_decisions: told of every step after its commit.
        on_delivered: told of every message the channel took.

    Raises:
        ZoneDocumentError: a zone file holds faults.
        ConfigurationError, StoreError: the store cannot be opened.
    """
    source = settings.zones or zones_dir()
    loaded = load_zone_files([source])
    if loaded.faults:
        raise ZoneDocumentError(loaded.faults)
    metrics = Metrics()
    store = _open(settings.store)
    now_ms = clock()
    # An embedded store has one process: whoever was sending when it ended is dead.
    store.end_leases(now_ms)
    revision = store.zone_revision(_content_hash(source), now_ms)
    zones = replace(loaded.zone_set, revision=revision)
    policy = Policy(cooldown_s=settings.cooldown_s, daily_cap=settings.daily_cap)
    engine = Engine(zones, config=EngineConfig(look=LookAhead(lookahead_s=settings.lookahead_s), policy=policy))
    relay = Relay(store, sender, clock, on_delivered=on_delivered)

    def after_commit(decisions: Decisions) -> None:
        relay.notify()
        on_decisions(decisions)

    ingest = IngestWorker(
        engine, store, clock, metrics, max_waiting=settings.max_waiting_pings, on_decisions=after_commit
    )
    enrol(store, people, now_ms)
    ingest.put_vehicles(person.vehicle for person in store.people())
    day_ms = (policy.day_of(now_ms) * 86_400 - policy.day_offset_s) * 1000
    visits = store.open_visits(now_ms - _MEMORY_MS)
    gone = [visit for visit in visits if visit.open and visit.zone_id not in zones.position]
    store.commit([], [replace(visit, open=False, inside=False, last_ms=now_ms) for visit in gone], now_ms=now_ms)
    engine.restore(visits, store.sent_today(day_ms), now_ms=now_ms)
    routers = [
        pings_router(ingest, max_body_bytes=settings.max_body_bytes, datum=settings.ping_datum),
        health_router(
            {"ingest": ingest.ready, "store": lambda: _why_not(store), "relay": relay.ready},
            lambda: _metrics_page(metrics, ingest, relay, store),
        ),
    ]
    if settings.wechat_token is not None:
        routers.append(wechat_router(store, settings.wechat_token.get_secret_value(), clock))
    return Service(make_app(routers), zones, store, ingest, relay, metrics)


def wechat_sender(app_id: str, app_secret: str, api_base: str, template_id: str) -> WeChatSender:
    """Return the sender of an account."""
    template = replace(RESTRICTION_TEMPLATE, template_id=template_id)
    return WeChatSender(app_id, app_secret, api_base, template)


def enrol(store: Store, people: Sequence[Person], now_ms: int) -> None:
    """Write people into the store, with a consent record for those whose vehicle states one and who have none yet."""
    known = {person.u7: person for person in store.people()}
    store.put_people(people)
    for person in people:
        before = known.get(person.u7)
        agreed = person.vehicle.consent_warnings
        if agreed and (before is None or not before.vehicle.consent_warnings):
            store.set_consent(person.u7, WARNINGS, granted=True, version="demo-1", at_ms=now_ms, channel="simulation")


def _open(url: str) -> Store:
    """Open the store, making the folder of an embedded one."""
    path = url.removeprefix("sqlite:///")
    if "://" not in path and path != "memory:":
        Path(path).resolve().parent.mkdir(parents=True, exist_ok=True)
    return open_store(url)


def _content_hash(source: Path) -> str:
    digest = hashlib.sha256()
    for path in zone_file_paths(source)[0]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _why_not(store: Store) -> str | None:
    try:
        store.ready()
    except StoreError as error:
        return str(error)
    return None


def _metrics_page(metrics: Metrics, ingest: IngestWorker, relay: Relay, store: Store) -> bytes:
    metrics.waiting.set(ingest.waiting())
    for outcome, count in relay.counts().items():
        metrics.outbox.labels(f"relay_{outcome}").set(count)
    for state, count in store.counts().items():
        metrics.outbox.labels(state).set(count)
    return metrics.page()
