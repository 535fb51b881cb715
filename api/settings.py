"""Every setting of the service, read once from the environment (prefix ``GEO_ENGINE_``) and the command line."""

from __future__ import annotations

import os
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from geo_engine.alerting.policy import MAX_DAILY_CAP, QuietHours
from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.datum import Datum
from geo_engine.webhooks.endpoint import Endpoint, read_endpoints
from geo_engine.wechat.crypto import decode_aes_key
from geo_engine.wechat.template import DEFAULT_FIELDS, Template, read_templates

__all__ = ["CONSOLE_SMS", "DEFAULT_STORE", "Role", "Settings"]

DEFAULT_STORE: Final = "sqlite:///var/geo-engine.db"
CONSOLE_SMS: Final = "console"
"""In the place of a gateway's address: codes are shown where the service was started. Not for real people."""


class Role(StrEnum):
    """What a process does."""

    ENGINE = "engine"
    """Everything. One process on a store has this role."""
    DOOR = "door"
    """The callback, the pages and sending, beside the engine's process."""


class Settings(BaseSettings):
    """The settings of one process; frozen. Incompatible values are refused when it is built.

    Attributes:
        store: where decisions and the outbox live.
        role: ``engine`` = everything; ``door`` = a process beside the engine's on the same store: the callback, pages
            and sending, but no zones and no pings.
        zones: zone file or folder; None = the example city.
        roads: file of the roads drivers follow, GeoJSON or .osm.pbf; None = those of the example city with its zones,
            else none: then the ways of drivers are learnt without a map.
        host: address to listen on. There is no authentication yet, so keep to loopback or behind a gateway.
        port: port to listen on, 0 = any free one.
        ping_datum: datum of pings that do not say theirs.
        max_body_bytes: larger ping requests are refused with 413.
        max_waiting_pings: more pings than this waiting to be judged are refused with 503 and Retry-After.
        journal_flush_ms: pings that come within this time of a write to the journal share the next one, unless none
            came for a tenth of it; 0 = none wait.
        lookahead_s: about how long before the border a driver is warned.
        cooldown_s: no second warning about the same zone within this time.
        daily_cap: most messages to one person a day, at most 255.
        cap_reserve: of these, so many are kept for restrictions, but never more than half of them.
        quiet_hours: local hours in which only restrictions are told of, such as 22:00-07:00; empty = none.
        daily_quota: template calls of the account on one local day.
        quota_margin: the reserve for the gravest exceeds the expected need by this share.
        history_days: how long it is kept which zones people were in, of those who agreed to that.
        keep_warnings_days: how long warnings stay in the history of messages.
        keep_conversation_days: how long what people wrote and were answered stays there, notices of meetings too.
        keep_events_days: how long what else people did in the chat stays there.
        webhook_urls: addresses events are posted to, with space between them; empty = no event is written.
        webhook_secrets: a secret for each address, ``whsec_...``; two with a comma between them while it is changed.
        webhook_source: URI of this service in every event.
        webhook_expire_hours: an event nobody took for so long is set aside.
        drain_s: how long a shutdown waits for messages on their way.
        wechat_app_id: the service account; None = a fake WeChat server is started beside the service.
        wechat_app_secret: its secret.
        wechat_token: signs the callback; None = the callback is closed.
        wechat_aes_key: EncodingAESKey that opens sealed pushes.
        wechat_aes_key_previous: the one before, while a change is under way.
        wechat_plaintext: take pushes that are not sealed too; their body is signed by nobody.
        wechat_location_datum: datum of LOCATION events, which Tencent does not name; find it out with
            ``geo-engine pings calibrate``.
        wechat_keep_days: how long handled messages stay; those set aside as well.
        wechat_api_base: address of the WeChat server.
        wechat_template_id: id of the approved template.
        wechat_template_fields: its fields and what stands in each, as ``geo_engine.wechat.template`` reads them.
        wechat_one_time_templates: subscription templates that people accept once per message, as
            ``geo_engine.wechat.template.read_templates`` reads them, in the order of preference; empty = none.
        wechat_long_term_templates: those they accept for good.
        wechat_oauth_base: address the browser is sent to for the silent authorisation.
        wechat_qr_base: address that shows the pictures of QR codes.
        public_url: scheme and host under which WeChat's browser reaches this service; None = no binding page.
        sms_url: address of the SMS gateway, or ``console``; None = no code can be sent.
        sms_token: its secret, None = none.
        identity_secret: key of the hashes of codes and limits, 16 bytes or more; None = a new one at each start.
    """

    model_config = SettingsConfigDict(env_prefix="GEO_ENGINE_", frozen=True, extra="forbid")

    store: str = DEFAULT_STORE
    role: Role = Role.ENGINE
    zones: Path | None = None
    roads: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8900, ge=0, le=65_535)
    ping_datum: Datum = Datum.WGS84
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    max_waiting_pings: int = Field(default=1_000_000, ge=1)
    journal_flush_ms: int = Field(default=20, ge=0, le=1000)
    lookahead_s: float = Field(default=30.0, ge=10.0, le=120.0)
    cooldown_s: float = Field(default=1800.0, ge=0.0)
    daily_cap: int = Field(default=20, ge=0, le=MAX_DAILY_CAP)
    cap_reserve: int = Field(default=5, ge=0)
    quiet_hours: str = "22:00-07:00"
    daily_quota: int = Field(default=100_000, ge=0)
    quota_margin: float = Field(default=0.3, ge=0.0)
    history_days: int = Field(default=30, ge=1, le=3_650)
    keep_warnings_days: int = Field(default=180, ge=1, le=3_650)
    keep_conversation_days: int = Field(default=180, ge=1, le=3_650)
    keep_events_days: int = Field(default=180, ge=1, le=3_650)
    webhook_urls: SecretStr = SecretStr("")
    webhook_secrets: SecretStr = SecretStr("")
    webhook_source: str = Field(default="urn:geo-engine", min_length=1, pattern=r"^[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+$")
    webhook_expire_hours: int = Field(default=72, ge=1, le=720)
    drain_s: float = Field(default=10.0, ge=0.0, le=300.0)
    wechat_app_id: str | None = None
    wechat_app_secret: SecretStr | None = None
    wechat_token: SecretStr | None = None
    wechat_aes_key: SecretStr | None = None
    wechat_aes_key_previous: SecretStr | None = None
    wechat_plaintext: bool = False
    wechat_location_datum: Datum = Datum.WGS84
    wechat_keep_days: int = Field(default=7, ge=1, le=3_650)
    wechat_api_base: str = "https://api.weixin.qq.com"
    wechat_oauth_base: str = "https://open.weixin.qq.com"
    wechat_qr_base: str = "https://mp.weixin.qq.com"
    public_url: str | None = None
    sms_url: str | None = None
    sms_token: SecretStr | None = None
    identity_secret: SecretStr | None = Field(default=None, min_length=16)
    wechat_template_id: str = "geo-engine-restriction"
    wechat_template_fields: str = DEFAULT_FIELDS
    wechat_one_time_templates: str = ""
    wechat_long_term_templates: str = ""

    @property
    def has_account(self) -> bool:
        """Say whether a WeChat account is configured."""
        return self.wechat_app_id is not None

    @model_validator(mode="before")
    @classmethod
    def _knows_every_name(cls, values: dict[str, object]) -> dict[str, object]:
        """Refuse a misspelt variable: an account that is not read would start the demonstration instead."""
        known = {f"GEO_ENGINE_{name.upper()}" for name in cls.model_fields}
        unknown = sorted(name for name in os.environ if name.startswith("GEO_ENGINE_") and name not in known)
        if unknown:
            near = get_close_matches(unknown[0], known, n=1)
            hint = near[0] if near else ", ".join(sorted(known))
            message = f"found the variable {unknown[0]}, expected {hint}"
            raise ValueError(message)
        return values

    @field_validator("quiet_hours")
    @classmethod
    def _quiet_hours_are_hours(cls, value: str) -> str:
        try:
            QuietHours.parse(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("wechat_template_fields")
    @classmethod
    def _template_fields_are_fields(cls, value: str) -> str:
        try:
            Template.parse("any", value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("wechat_one_time_templates", "wechat_long_term_templates")
    @classmethod
    def _subscriptions_are_templates(cls, value: str) -> str:
        try:
            read_templates(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _templates_are_of_one_kind(self) -> Self:
        """Refuse an id that stands in two lists: whether it is accepted once or for good must be known."""
        kinds = {
            "GEO_ENGINE_WECHAT_TEMPLATE_ID": [self.wechat_template_id],
            "GEO_ENGINE_WECHAT_ONE_TIME_TEMPLATES": [one.template_id for one in self.one_time_templates],
            "GEO_ENGINE_WECHAT_LONG_TERM_TEMPLATES": [one.template_id for one in self.long_term_templates],
        }
        seen: dict[str, str] = {}
        for name, ids in kinds.items():
            for one in ids:
                if one in seen:
                    message = f"found the template {one} in {seen[one]} and {name}, expected it in one of them"
                    raise ValueError(message)
                seen[one] = name
        return self

    @property
    def one_time_templates(self) -> tuple[Template, ...]:
        """Return the subscription templates that are accepted once per message."""
        return read_templates(self.wechat_one_time_templates)

    @property
    def long_term_templates(self) -> tuple[Template, ...]:
        """Return the subscription templates that are accepted for good."""
        return read_templates(self.wechat_long_term_templates)

    @field_validator("public_url")
    @classmethod
    def _public_url_is_a_host(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://none")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
            message = f"found {value!r}, expected a scheme and a host such as https://traffic.example.cn"
            raise ValueError(message)
        return value

    @field_validator("wechat_api_base", "wechat_oauth_base", "wechat_qr_base")
    @classmethod
    def _wechat_is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            message = f"found {value!r}, expected a scheme and a host such as https://api.weixin.qq.com"
            raise ValueError(message)
        return value

    @property
    def webhook_endpoints(self) -> list[Endpoint]:
        """Return where events are posted."""
        return read_endpoints(self.webhook_urls.get_secret_value(), self.webhook_secrets.get_secret_value())

    @model_validator(mode="after")
    def _webhooks_are_whole(self) -> Self:
        try:
            _ = self.webhook_endpoints
        except ConfigurationError as error:
            message = f"GEO_ENGINE_WEBHOOK_URLS and GEO_ENGINE_WEBHOOK_SECRETS: {error}"
            raise ValueError(message) from error
        return self

    @model_validator(mode="after")
    def _codes_reach_phones(self) -> Self:
        if self.has_account and self.public_url is not None and self.sms_url is None:
            message = "found GEO_ENGINE_PUBLIC_URL without GEO_ENGINE_SMS_URL, expected a gateway for the codes"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _doors_share(self) -> Self:
        """Refuse a door that could share nothing with the process of the engine."""
        if self.role is Role.ENGINE:
            return self
        if not self.has_account:
            message = "found a door without GEO_ENGINE_WECHAT_APP_ID, expected the account of the engine's process"
            raise ValueError(message)
        if self.store == "memory:":
            message = "found a door with a store in memory, expected the store of the engine's process"
            raise ValueError(message)
        if self.identity_secret is None:
            message = (
                "found a door without GEO_ENGINE_IDENTITY_SECRET, expected the one of the engine's process: "
                "links, codes and pages of one are read by the other"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _account_is_whole(self) -> Self:
        if (self.wechat_app_id is None) != (self.wechat_app_secret is None):
            message = (
                "found only one of GEO_ENGINE_WECHAT_APP_ID and GEO_ENGINE_WECHAT_APP_SECRET, expected both or none"
            )
            raise ValueError(message)
        return self

    @property
    def wechat_aes_keys(self) -> list[str]:
        """Return the EncodingAESKeys, the current one first."""
        keys = (self.wechat_aes_key, self.wechat_aes_key_previous)
        return [key.get_secret_value() for key in keys if key is not None]

    @model_validator(mode="after")
    def _callback_is_whole(self) -> Self:
        """Refuse a callback that could be opened by nobody, or whose pushes nobody seals without a word about it."""
        if self.wechat_aes_key is None and self.wechat_aes_key_previous is not None:
            message = "found GEO_ENGINE_WECHAT_AES_KEY_PREVIOUS alone, expected GEO_ENGINE_WECHAT_AES_KEY beside it"
            raise ValueError(message)
        for key in self.wechat_aes_keys:
            try:
                decode_aes_key(key)
            except ConfigurationError as error:
                raise ValueError(str(error)) from error
        if self.wechat_token is None:
            return self
        if not self.wechat_token.get_secret_value():
            message = (
                "found an empty GEO_ENGINE_WECHAT_TOKEN, expected the account's token, or none to close the callback"
            )
            raise ValueError(message)
        if self.wechat_aes_key is None and not self.wechat_plaintext:
            message = (
                "found GEO_ENGINE_WECHAT_TOKEN without GEO_ENGINE_WECHAT_AES_KEY, expected the key of safe mode "
                "(or GEO_ENGINE_WECHAT_PLAINTEXT=true, for tests and closed networks)"
            )
            raise ValueError(message)
        if self.wechat_aes_key is not None and self.wechat_app_id is None:
            message = "found GEO_ENGINE_WECHAT_AES_KEY without GEO_ENGINE_WECHAT_APP_ID, expected the account it is of"
            raise ValueError(message)
        return self
