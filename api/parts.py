"""The parts the engine's process and doors have in common, made from settings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final

from fastapi import APIRouter

from api.bind_subscribe import Subscriptions
from api.clocks import Clocks
from api.metrics import Metrics
from api.people import People
from api.routes.binding import BindingParts, binding_router
from api.routes.wechat import wechat_router
from api.settings import CONSOLE_SMS, Settings
from api.workers.inbox_journal import InboxJournal
from api.workers.neighbours import LOOK_EVERY_S, free_the_dead
from api.workers.relay import Relay
from api.workers.timer import Timer
from geo_engine.errors import StoreError
from geo_engine.people.codes import SmsSender
from geo_engine.sms.console import ConsoleSms, NoSms
from geo_engine.sms.http import HttpSms
from geo_engine.store.protocol import Store
from geo_engine.wechat.callback import Callback
from geo_engine.wechat.channels import Account
from geo_engine.wechat.client import WeChatApi
from geo_engine.wechat.crypto import Sealer
from geo_engine.wechat.inbound import Inbound
from geo_engine.wechat.oauth import WeChatOAuth
from geo_engine.wechat.template import Template

__all__ = [
    "account_calls",
    "account_of",
    "binding_page",
    "callback_route",
    "dead_freeing",
    "sms_sender",
    "store_counts",
    "why_not",
]

_log: Final = logging.getLogger(__name__)


def sms_sender(settings: Settings) -> SmsSender:
    """Return what sends codes to phones."""
    if settings.sms_url is None:
        return NoSms()
    if settings.sms_url == CONSOLE_SMS:
        return ConsoleSms(sys.stderr)
    token = settings.sms_token
    return HttpSms(settings.sms_url, None if token is None else token.get_secret_value())


def account_calls(settings: Settings, store: Store, clocks: Clocks, stack: ExitStack) -> WeChatApi | None:
    """Return the calls of the account, whose token the processes on the store share; None without an account."""
    app_id, secret = settings.wechat_app_id, settings.wechat_app_secret
    if app_id is None or secret is None:
        return None
    api = WeChatApi(app_id, secret.get_secret_value(), settings.wechat_api_base, clock=clocks.wall, shelf=store)
    stack.callback(api.close)
    return api


def account_of(settings: Settings) -> Account:
    """Return what the account can send with."""
    return Account(
        Template.parse(settings.wechat_template_id, settings.wechat_template_fields),
        one_time=settings.one_time_templates,
        long_term=settings.long_term_templates,
    )


def binding_page(
    settings: Settings, store: Store, people: People, key: bytes, clocks: Clocks, api: WeChatApi | None
) -> list[APIRouter]:
    """Return the binding page, where WeChat's browser can reach one."""
    app_id, secret = settings.wechat_app_id, settings.wechat_app_secret
    if settings.public_url is None or app_id is None or secret is None or api is None:
        return []
    oauth = WeChatOAuth(
        app_id, secret.get_secret_value(), settings.wechat_api_base, oauth_base=settings.wechat_oauth_base
    )
    account = account_of(settings)
    one_time, long_term = (
        [template.template_id for template in templates] for templates in (account.one_time, account.long_term)
    )
    subscriptions = Subscriptions(app_id, one_time, long_term, api.page_ticket, clocks.wall)
    parts = BindingParts(people, oauth, store.shared, settings.public_url, key, clocks.wall, subscriptions)
    return [binding_router(parts)]


def callback_route(
    settings: Settings,
    parts: tuple[Store, Metrics],
    clocks: Clocks,
    *,
    on_kept: Callable[[], None] = lambda: None,
    greets: Callable[[Inbound], str | None] | None = None,
) -> list[APIRouter]:
    """Return the account's callback; it is closed without a token.

    Args:
        settings: all settings.
        parts: where messages are kept, and counters.
        clocks: both.
        on_kept: told that messages wait.
        greets: what whoever follows is told.
    """
    if settings.wechat_token is None:
        return []
    store, metrics = parts
    keys = settings.wechat_aes_keys
    if settings.wechat_plaintext:
        _log.warning("GEO_ENGINE_WECHAT_PLAINTEXT: pushes that are not sealed are taken; nobody signs their body")
    sealer = Sealer(settings.wechat_app_id or "", keys) if keys else None
    callback = Callback(settings.wechat_token.get_secret_value(), sealer, plain=settings.wechat_plaintext)
    journal = InboxJournal(store.inbox, clocks.steady, on_kept)
    return [wechat_router(callback, journal, clocks.wall, metrics, greets)]


def dead_freeing(settings: Settings, store: Store, own: int, relay: Relay, clocks: Clocks) -> Timer:
    """Return what takes over the messages of processes that died while they were sending."""

    def look() -> None:
        if free_the_dead(store, settings.store, own, clocks.steady):
            relay.notify()

    return Timer("neighbours", LOOK_EVERY_S, look)


def store_counts(store: Store) -> Mapping[str, int]:
    """Return the store's counts, none while it is away: that is when the other metrics are needed most."""
    try:
        inbox = {f"inbox.{state}": count for state, count in store.inbox.counts().items()}
        return {**store.counts(), **inbox, **{f"webhook.{state}": n for state, n in store.webhooks.counts().items()}}
    except StoreError:
        return {}


def why_not(store: Store) -> str | None:
    """Return why the store cannot be written, None when it can."""
    try:
        store.ready()
    except StoreError as error:
        return str(error)
    return None
