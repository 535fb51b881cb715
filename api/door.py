"""A door: a process beside the engine on the same store. It takes pushes, shows pages and sends; it judges nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI

from api.app import make_app
from api.chat.my_data import EXPORT_PATH, MyData
from api.chat.words import greeting_to
from api.clocks import Clocks
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
from api.routes.pings import no_pings_router
from api.settings import Settings
from api.store_lock import StoreLock
from api.workers.relay import Relay, RelaySettings
from api.workers.timer import Timer
from geo_engine.alerting.message import Message, SendResult
from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.model import Vehicle
from geo_engine.people.erasure import ErasureReason
from geo_engine.store.open import open_store
from geo_engine.store.protocol import Store
from geo_engine.wechat.client import WeChatApi
from geo_engine.wechat.inbound import Inbound
from geo_engine.wechat.sender import ChannelSender

__all__ = ["Door", "open_door"]

_log: Final = logging.getLogger(__name__)
_QUOTA_EVERY_S: Final = 600.0


class _EngineElsewhere:
    """An ``EngineDoor`` to the engine of another process: the store notes every change, and that process hears it."""

    def put_vehicle(self, vehicle: Vehicle) -> None:
        """Do nothing: the store has noted it, or will with the record that follows."""

    def keep_history(self, u7: int, granted: bool) -> None:
        """Do nothing, as above."""

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        """Do nothing, as above."""

    def forget(self, u7: int) -> Future[None]:  # noqa: ARG002 - the erasure in the store says whom
        """Return a future that never ends here: the process of the engine completes erasures."""
        return Future()


@dataclass(frozen=True, slots=True)
class Door:
    """The joined parts of a running door.

    Attributes:
        number: which door this is, from 1.
        timers: what is done again and again.
        closing: closes the store and frees the number.
    """

    app: FastAPI
    number: int
    store: Store
    relay: Relay
    metrics: Metrics
    people: People
    timers: Sequence[Timer]
    closing: ExitStack

    def start(self) -> None:
        """Begin to send."""
        self.relay.start()
        for timer in self.timers:
            timer.start()

    def stop(self, drain_s: float) -> None:
        """Send what is due for at most ``drain_s`` seconds and close the store."""
        for timer in self.timers:
            timer.stop()
        self.people.close()
        self.relay.stop(drain_s)
        self.closing.close()


def open_door(settings: Settings, *, clocks: Clocks | None = None) -> Door:
    """Join a door; nothing runs before ``Door.start``.

    Args:
        settings: those of the engine's process, but for role, host and port.
        clocks: None = those of the machine.

    Raises:
        ConfigurationError, StoreError: there is no account, or no store of this version: the engine's process, or
            ``geo-engine db upgrade``, makes it.
    """
    clocks = clocks or Clocks()
    with ExitStack() as stack:
        lock = stack.enter_context(StoreLock(settings.store, door=True))
        store = open_store(settings.store, create=False, notes=True)
        stack.callback(store.close)
        store.end_leases(clocks.steady(), holder=lock.number)
        # What is written here may be an event too; the engine's process posts it.
        names = [endpoint.name for endpoint in settings.webhook_endpoints]
        store.webhooks.tell(names, settings.webhook_expire_hours * 3_600_000)
        if settings.identity_secret is None:
            message = "found no GEO_ENGINE_IDENTITY_SECRET, expected the one of the engine's process"
            raise ConfigurationError(message)
        key = settings.identity_secret.get_secret_value().encode()
        people = People(store, _EngineElsewhere(), sms_sender(settings), clocks.wall, key)
        api = account_calls(settings, store, clocks, stack)
        if api is None:
            message = "found no WeChat account, expected that of the engine's process"
            raise ConfigurationError(message)
        sender = _sender(settings, api, store, people, clocks)
        chosen = RelaySettings(holder=lock.number)
        relay = Relay(store, sender, clocks.steady, settings=chosen, on_delivered=_noting(store))
        metrics = Metrics()
        timers = [
            dead_freeing(settings, store, lock.number, relay, clocks),
            Timer("quota", _QUOTA_EVERY_S, sender.learn_quota),
        ]
        app = _app(settings, (store, relay, people, metrics, api), key, clocks)
        return Door(app, lock.number, store, relay, metrics, people, timers, stack.pop_all())


def _sender(settings: Settings, api: WeChatApi, store: Store, people: People, clocks: Clocks) -> ChannelSender:
    def gone(open_id: str) -> None:
        try:
            u7 = store.u7_of(open_id)
            if u7 is not None:
                people.erase(u7, ErasureReason.UNSUBSCRIBED)
        except StoreError as error:
            _log.error("somebody who left could not be erased yet, their next push or send will: %s", error)

    return ChannelSender(api, store, account_of(settings), clocks.wall, on_gone=gone)


def _noting(store: Store) -> Callable[[Message, SendResult], None]:
    def delivered(message: Message, _result: SendResult) -> None:
        try:
            store.shared.note_warned(message.alert.u7, message.alert.zone_id)
        except StoreError as error:
            _log.warning("a warning is not known to the dialogue: %s", error)

    return delivered


def _app(
    settings: Settings, parts: tuple[Store, Relay, People, Metrics, WeChatApi], key: bytes, clocks: Clocks
) -> FastAPI:
    store, relay, people, metrics, api = parts
    bind_link = None if settings.public_url is None else f"{settings.public_url.rstrip('/')}/bind"

    def greets(message: Inbound) -> str | None:
        return greeting_to(message, store, bind_link)

    routers = [
        no_pings_router(),
        health_router(
            {"store": lambda: why_not(store), "relay": relay.ready},
            lambda: metrics.page(waiting=0, relay=relay.counts(), store=store_counts(store)),
        ),
        # The process of the engine looks for messages twice a second; nobody needs to wake it.
        *callback_route(settings, (store, metrics), clocks, greets=greets),
        *binding_page(settings, store, people, key, clocks, api),
        my_data_router(EXPORT_PATH, MyData(store, key, settings.public_url, clocks.wall).file),
    ]
    return make_app(routers)
