"""The one composition root: from settings to a service whose parts are joined, and its start and stop."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from fastapi import APIRouter, FastAPI

from api.app import make_app
from api.chat.joined import Chat, ChatNeeds, join_chat
from api.chat.my_data import EXPORT_PATH
from api.clocks import Clocks
from api.example import data_dir, zones_dir
from api.metrics import Metrics
from api.parts import (
    account_calls,
    account_of,
    binding_page,
    callback_route,
    dead_freeing,
    sms_sender,
    store_counts,
    why_not,
)
from api.people import People
from api.routes.health import health_router
from api.routes.my_data import my_data_router
from api.routes.pings import pings_router
from api.settings import DEFAULT_STORE, Settings
from api.state_file import Kept, StateFile
from api.store_lock import ENGINE, StoreLock
from api.workers.inbound import InboundSettings, InboundWorker, ReceiptHandler
from api.workers.ingest import IngestWorker
from api.workers.neighbours import CHANGES_EVERY_S, Changes
from api.workers.recovery import go_on, load_state, open_journal, quota_uses, read_state, replay
from api.workers.relay import Relay
from api.workers.timer import Timer
from api.workers.webhooks import WebhookSettings, WebhookWorker
from api.workers.wechat_pings import WeChatPings
from geo_engine.alerting.message import Message, MessageSender, SendResult
from geo_engine.alerting.policy import Policy, QuietHours
from geo_engine.alerting.quota import Arbiter, QuotaLimits
from geo_engine.engine import Decisions, Engine, EngineConfig
from geo_engine.errors import ConfigurationError, ZoneDocumentError
from geo_engine.geodesy.table import DatumTables
from geo_engine.ingest.roads import read_roads
from geo_engine.ingest.zonefiles import CALENDAR_NOTES, calendar_path, load_zone_files, zone_file_paths
from geo_engine.store.messages import MESSAGE_KINDS, OutKind
from geo_engine.store.open import open_store
from geo_engine.store.protocol import WARNINGS, Person, Store
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.tracking.learning import Background
from geo_engine.tracking.learnt import Forecast
from geo_engine.tracking.roads import RoadNet, road_net
from geo_engine.warming import warm_up
from geo_engine.wechat.client import WeChatApi
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Enrolment", "Service", "bootstrap", "enrol"]

_log: Final = logging.getLogger(__name__)

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Service:
    """The joined parts of a running service.

    Attributes:
        chat: what people say in the account's chat; None without an account.
        timers: hear what doors changed, and take over from those that died.
        continued: visits that were open when the process before this one ended.
        closing: closes the store and frees it.
    """

    app: FastAPI
    zones: ZoneSet
    store: Store
    ingest: IngestWorker
    relay: Relay
    inbound: InboundWorker
    webhooks: WebhookWorker
    metrics: Metrics
    people: People
    chat: Chat | None
    timers: Sequence[Timer]
    continued: int
    closing: ExitStack

    def start(self) -> None:
        """Start the workers: first who delivers, then who decides."""
        self.relay.start()
        self.ingest.start()
        self.people.resume_erasures()
        self.inbound.start()
        self.webhooks.start()
        for timer in self.timers:
            timer.start()
        if self.chat is not None:
            self.chat.rounds.start()

    def stop(self, drain_s: float) -> None:
        """Judge what was accepted, send what is due for at most ``drain_s`` seconds, close the store."""
        for timer in self.timers:
            timer.stop()
        self.inbound.stop()
        if self.chat is not None:
            self.chat.rounds.stop()
        self.ingest.stop()
        self.people.close()
        self.relay.stop(drain_s)
        self.webhooks.stop()
        self.closing.close()


def bootstrap(
    settings: Settings,
    sender: MessageSender | None = None,
    *,
    clocks: Clocks | None = None,
    people: Sequence[Enrolment] = (),
    on_decisions: Callable[[Decisions], None] = lambda _decisions: None,
    on_delivered: Callable[[Message, SendResult], None] = lambda _message, _result: None,
) -> Service:
    """Join a service; nothing runs before ``Service.start``.

    Args:
        settings: all settings.
        sender: the channel warnings leave through, None = that of the account.
        clocks: None = those of the machine.
        people: users to enrol, e.g. those of a simulation.
        on_decisions: told of every step after its commit.
        on_delivered: told of every message the channel took.

    Raises:
        ZoneDocumentError: a zone file holds faults.
        ConfigurationError, StoreError: the store cannot be opened, or there is neither sender nor account.
    """
    source = settings.zones or zones_dir()
    loaded = load_zone_files([source])
    if loaded.faults:
        raise ZoneDocumentError(loaded.faults)
    for note in loaded.notes:
        if note.reason in CALENDAR_NOTES:
            _log.warning("%s", note)
    with ExitStack() as stack:
        store = _open(settings, stack)
        clocks = clocks or Clocks()
        now_ms = clocks.steady()
        # This process has the engine's number: whoever was sending under it before is dead. Doors may live.
        store.end_leases(now_ms, holder=ENGINE)
        enrol(store, people, now_ms)
        zones = replace(
            loaded.zone_set, revision=store.zone_revision(_content_hash(source), now_ms, loaded.zone_set.zones)
        )
        _warm_up()

        def after_commit(decisions: Decisions) -> None:
            # Waking it costs two transactions, and most steps decide nothing.
            if len(decisions.alerts):
                relay.notify()
            on_decisions(decisions)

        metrics = Metrics()
        # First of all who writes: from here on every change may be an event.
        webhooks = _webhooks(settings, store, metrics, clocks)
        ingest, continued = _ingest(settings, (store, zones, metrics), clocks, after_commit, stack)
        key = _key(settings)
        owners = People(store, ingest, sms_sender(settings), clocks.wall, key)
        api = account_calls(settings, store, clocks, stack)
        binding = binding_page(settings, store, owners, key, clocks, api)
        chat = _chat(settings, (ingest, store, owners, zones), key, clocks, api)
        relay = _relay(store, sender, chat, clocks, on_delivered)
        inbound = _inbound(settings, (ingest, store, metrics), chat, clocks)
        if chat is not None:
            binding.append(my_data_router(EXPORT_PATH, chat.my_data.file))
        greets = None if chat is None else chat.handler.greeting
        binding += callback_route(settings, (store, metrics), clocks, on_kept=inbound.notify, greets=greets)
        app = _app(settings, (ingest, relay, inbound, store, metrics), zones, binding)
        timers = [
            _changes(store, owners, ingest, chat, clocks),
            dead_freeing(settings, store, ENGINE, relay, clocks),
        ]
        workers = (ingest, relay, inbound, webhooks)
        return Service(app, zones, store, *workers, metrics, owners, chat, timers, continued, stack.pop_all())


def _changes(store: Store, people: People, ingest: IngestWorker, chat: Chat | None, clocks: Clocks) -> Timer:
    """Return what tells the engine what doors changed."""
    changes = Changes(store, people, ingest, None if chat is None else chat.handler, clocks.wall)
    return Timer("changes", CHANGES_EVERY_S, changes.once)


def _ingest(
    settings: Settings,
    parts: tuple[Store, ZoneSet, Metrics],
    clocks: Clocks,
    on_decisions: Callable[[Decisions], None],
    stack: ExitStack,
) -> tuple[IngestWorker, int]:
    """Return the worker, its engine knowing all the one before it knew, and the number of open visits.

    Whoever asks finds the service only afterwards: it listens to nobody before this returns.
    """
    store, zones, metrics = parts
    state = StateFile(settings.store)
    kept = read_state(state)
    # The clock decisions are kept by; the wall clock may have been set back meanwhile.
    now_ms = clocks.steady()
    arbiter = _arbiter(settings, store, clocks.wall(), kept)
    engine = _engine(settings, zones, arbiter, _forecasts(stack))
    journal = open_journal(state, store, kept, zones.revision, now_ms)
    if journal is not None:
        stack.callback(journal.close)
    position = load_state(engine, state, kept, None if journal is not None else now_ms)
    ingest = IngestWorker(
        engine,
        store,
        clocks,
        metrics,
        max_waiting=settings.max_waiting_pings,
        on_decisions=on_decisions,
        keep=lambda snapshot, position: state.write(snapshot, position, arbiter.known()),
        arbiter=arbiter,
        history_days=settings.history_days,
        journal=journal,
        flush_ms=settings.journal_flush_ms,
    )
    ingest.put_vehicles(person.vehicle for person in store.people())
    replay(ingest, position)
    # What the replay counted again is in the store already.
    arbiter.restore(quota_uses(store, arbiter, clocks.wall()))
    continued = go_on(engine, store, now_ms)
    ingest.checkpoint()
    return ingest, continued


def _arbiter(settings: Settings, store: Store, now_ms: int, kept: Kept | None) -> Arbiter:
    """Return the arbiter of the account's quota as it was when the state was kept, or as the store knows it now."""
    limits = QuotaLimits(daily=settings.daily_quota, margin=settings.quota_margin)
    agreed = sum(person.vehicle.consent_warnings for person in store.people())
    arbiter = Arbiter(limits, most_possible=agreed * settings.daily_cap)
    then = None if kept is None else kept.uses
    arbiter.restore(quota_uses(store, arbiter, now_ms) if then is None else then)
    return arbiter


def _forecasts(stack: ExitStack) -> Background:
    """Return what computes forecasts beside the engine: one thread, as they follow one another."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="forecast")
    stack.callback(pool.shutdown, wait=True, cancel_futures=True)

    def background(make: Callable[[], Forecast]) -> Callable[[], Forecast]:
        return pool.submit(make).result

    return background


def _roads(settings: Settings) -> RoadNet | None:
    """Return the roads drivers follow; what in the file is no road is logged and left out."""
    path = settings.roads or (data_dir() / "roads.geojson" if settings.zones is None else None)
    if path is None:
        return None
    found = read_roads(path)
    for fault in found.faults:
        _log.warning("%s", fault)
    return road_net(found.lines, found.one_way)


def _engine(settings: Settings, zones: ZoneSet, arbiter: Arbiter, background: Background) -> Engine:
    policy = Policy(
        cooldown_s=settings.cooldown_s,
        daily_cap=settings.daily_cap,
        cap_reserve=settings.cap_reserve,
        quiet_hours=QuietHours.parse(settings.quiet_hours),
    )
    config = EngineConfig(approach=ApproachPolicy.reaching(settings.lookahead_s), policy=policy)
    return Engine(zones, config=config, admission=arbiter, roads=_roads(settings), background=background)


def _warm_up() -> None:
    """Have the kernels ready before the first ping; the first start of a new version compiles them."""
    began_s = time.monotonic()
    _log.info("preparing the kernels of the hot path (the first start of a version compiles them: about a minute)")
    warm_up()
    _log.info("kernels ready after %.1f s", time.monotonic() - began_s)


def _key(settings: Settings) -> bytes:
    """Return what hashes and links are keyed with; without a setting a new one at each start."""
    secret = settings.identity_secret
    return secrets.token_bytes(32) if secret is None else secret.get_secret_value().encode()


def _chat(
    settings: Settings,
    parts: tuple[IngestWorker, Store, People, ZoneSet],
    key: bytes,
    clocks: Clocks,
    api: WeChatApi | None,
) -> Chat | None:
    """Return the chat of the account, None without one."""
    if api is None:
        return None
    ingest, store, people, zones = parts
    account = account_of(settings)
    url = settings.public_url
    return join_chat(
        ChatNeeds(
            store,
            ingest,
            people,
            zones,
            api,
            account,
            key,
            url,
            has_page=url is not None,
            clock=clocks.wall,
            qr_base=settings.wechat_qr_base,
            quiet_hours=QuietHours.parse(settings.quiet_hours),
        )
    )


def _relay(
    store: Store,
    sender: MessageSender | None,
    chat: Chat | None,
    clocks: Clocks,
    on_delivered: Callable[[Message, SendResult], None],
) -> Relay:
    def delivered(message: Message, result: SendResult) -> None:
        if chat is not None:
            chat.handler.warned(message.alert.u7, message.alert.zone_id)
        on_delivered(message, result)

    channel = sender if sender is not None else chat.sender if chat is not None else None
    if channel is None:
        message = "found no WeChat account, expected one or the fake server"
        raise ConfigurationError(message)
    return Relay(store, channel, clocks.steady, on_delivered=delivered)


def _inbound(
    settings: Settings, parts: tuple[IngestWorker, Store, Metrics], chat: Chat | None, clocks: Clocks
) -> InboundWorker:
    """Return the worker of what people send in the chat."""
    ingest, store, metrics = parts
    chosen = InboundSettings(datum=settings.wechat_location_datum, keep_days=settings.wechat_keep_days)
    ages = _message_ages(settings)

    def sweep(now_ms: int) -> None:
        store.messages.drop(
            {kind: now_ms - days * _DAY_MS for kind, days in ages.items()}, now_ms - settings.keep_events_days * _DAY_MS
        )

    # Whose a position is must be asked each time: people follow and leave while the service runs.
    pings = WeChatPings(ingest, store.numbers_of, metrics)
    handler = ReceiptHandler(store) if chat is None else chat.handler
    return InboundWorker(store.inbox, handler, pings, clocks.steady, metrics, settings=chosen, on_sweep=sweep)


def _webhooks(settings: Settings, store: Store, metrics: Metrics, clocks: Clocks) -> WebhookWorker:
    """Return the worker that tells other systems; without an address nothing is written for it."""
    chosen = WebhookSettings(source=settings.webhook_source, lasts_ms=settings.webhook_expire_hours * 3_600_000)
    return WebhookWorker(store.webhooks, settings.webhook_endpoints, clocks, metrics, settings=chosen)


def _message_ages(settings: Settings) -> dict[str, int]:
    """Return how many days messages stay in the history, by kind; those of other kinds stay as events do."""
    talk = dict.fromkeys((*MESSAGE_KINDS, OutKind.ANSWER, OutKind.NOTICE), settings.keep_conversation_days)
    return {str(kind): days for kind, days in {**talk, OutKind.WARNING: settings.keep_warnings_days}.items()}


def _app(
    settings: Settings,
    parts: tuple[IngestWorker, Relay, InboundWorker, Store, Metrics],
    zones: ZoneSet,
    more: Sequence[APIRouter] = (),
) -> FastAPI:
    ingest, relay, inbound, store, metrics = parts
    # Pings matter where zones are; only there is a table worth its memory.
    tables = DatumTables(
        shapely.bounds(np.array([zone.geometry for zone in zones.zones], dtype=object)), first=settings.ping_datum
    )
    routers = [
        pings_router(ingest, max_body_bytes=settings.max_body_bytes, datum=settings.ping_datum, tables=tables),
        health_router(
            {
                "ingest": ingest.ready,
                "store": lambda: why_not(store),
                "relay": relay.ready,
                "inbound": inbound.ready,
            },
            lambda: metrics.page(waiting=ingest.waiting(), relay=relay.counts(), store=store_counts(store)),
        ),
    ]
    return make_app([*routers, *more])


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A person to write into the store, and what they said about being located and warned.

    Attributes:
        person: number, OpenID, vehicle.
        consent: True or False where they said it, None = nothing was said, so what the store knows stays.
        channel: where it was said.
        version: which text they agreed to.
    """

    person: Person
    consent: bool | None
    channel: str
    version: str


def enrol(store: Store, enrolments: Sequence[Enrolment], now_ms: int) -> None:
    """Write people into the store; a consent that differs from the recorded one becomes a record of its own."""
    store.put_people([enrolment.person for enrolment in enrolments])
    agreed = {person.u7: person.vehicle.consent_warnings for person in store.people()}
    for enrolment in enrolments:
        u7, said = enrolment.person.u7, enrolment.consent
        if said is not None and said is not agreed[u7]:
            store.set_consent(u7, WARNINGS, said, enrolment.version, now_ms, enrolment.channel)


def _open(settings: Settings, stack: ExitStack) -> Store:
    """Open the store for this process alone.

    The folder of the default store is made; any other must exist, or a typing error would open an empty store.
    """
    if settings.store == DEFAULT_STORE:
        Path(DEFAULT_STORE.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    stack.enter_context(StoreLock(settings.store))
    store = open_store(settings.store)
    stack.callback(store.close)
    return store


def _content_hash(source: Path) -> str:
    digest = hashlib.sha256()
    calendar = calendar_path(source)
    for path in (*zone_file_paths(source)[0], *([calendar] if calendar else [])):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
