"""What the fake WeChat account is made of: its settings, where it pushes to, and what reached a phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.datum import Datum
from geo_engine.wechat.template import RESTRICTION_TEMPLATE, Template

__all__ = ["CallbackTarget", "Delivery", "FakeMedia", "FakeSettings", "JsonObject", "PushMode"]

JsonObject = dict[str, object]


class PushMode(StrEnum):
    """How pushes are written, as the console calls it."""

    PLAIN = "plain"
    COMPATIBLE = "compatible"
    """Plain and sealed in one body."""
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """Where the account pushes to.

    Attributes:
        url: http(s) address of the account's callback.
        token: the callback's token, which signs each push.
        aes_key: EncodingAESKey that seals each push; empty = plain mode.
        app_id: the account, which stands in a sealed push.
        mode: how pushes are written; None = safe with a key, else plain.
    """

    url: str
    token: str
    aes_key: str = ""
    app_id: str = ""
    mode: PushMode | None = None

    def __post_init__(self) -> None:
        """Refuse a mode that lacks its key."""
        if self.mode not in (None, PushMode.PLAIN) and not self.aes_key:
            message = f"callback: found mode {self.mode} without an EncodingAESKey, expected one"
            raise ConfigurationError(message)

    @property
    def pushes(self) -> PushMode:
        """Say how pushes are written."""
        return self.mode or (PushMode.SAFE if self.aes_key else PushMode.PLAIN)


@dataclass(frozen=True, slots=True)
class FakeSettings:
    """The fake account.

    Attributes:
        app_id: its app id.
        app_secret: its secret; not a real one.
        templates: the templates it has.
        open_door: True = every well-formed OpenID follows unless told otherwise; False = only those told to.
        daily_limit: template messages a day.
        callback: where receipts go, None = nowhere.
        subscriptions: the templates of subscription notifications it has.
        subscribe_s: how long a call of these takes; another one for the same person meanwhile is 43108.
        custom_limit: customer-service and subscription messages a day, each.
        receipt_delay_s: receipts come so long after the delivery.
        receipt_copies: how often each is pushed.
        push_deadline_s: an answer to a push that takes longer is none.
        push_tries: how often a push is tried in all.
        location_datum: datum of LOCATION events.
        user_limit: template and subscription messages a person gets in a minute before 43117; None = any number, as
            WeChat publishes none.
        minute_limit: calls of one sending interface a minute before 45011; None = any number.
    """

    app_id: str = "wx" + "f" * 16
    app_secret: str = "f" * 32
    templates: tuple[Template, ...] = (RESTRICTION_TEMPLATE,)
    open_door: bool = True
    daily_limit: int = 100_000
    callback: CallbackTarget | None = None
    subscriptions: tuple[Template, ...] = ()
    subscribe_s: float = 0.0
    custom_limit: int = 500_000
    receipt_delay_s: float = 0.2
    receipt_copies: int = 1
    push_deadline_s: float = 5.0
    push_tries: int = 3
    location_datum: Datum = Datum.WGS84
    user_limit: int | None = None
    minute_limit: int | None = None


@dataclass(frozen=True, slots=True)
class FakeMedia:
    """A picture, voice or video: its kind, its bytes, and until when they are kept (epoch milliseconds)."""

    kind: str
    content: bytes
    until_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that reached a phone.

    Attributes:
        msgid: number of the message.
        open_id: the person.
        time_ms: epoch milliseconds at which it was delivered.
        template_id: the template.
        data: field key -> text shown.
        client_msg_id: the sender's dedupe key, empty = none.
        deliveries: how often this person has now been shown this ``client_msg_id``, this time included.
        duplicates: repeats of it that were answered but not shown.
        channel: how it came: ``template``, ``subscription``, ``customer_service``; ``reply`` = in the answer to a push.
    """

    msgid: int
    open_id: str
    time_ms: int
    template_id: str
    data: Mapping[str, str]
    client_msg_id: str
    deliveries: int = 1
    duplicates: int = 0
    channel: str = "template"

    def to_json(self) -> JsonObject:
        """Return the delivery as a JSON object, the OpenID under WeChat's name for it."""
        values = asdict(self)
        values["openid"] = values.pop("open_id")
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Delivery:
        """Read what ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it was not written by ``to_json``.
        """
        data = values["data"]
        if not isinstance(data, Mapping):
            message = f"data: found {type(data).__name__}, expected an object"
            raise TypeError(message)
        return cls(
            msgid=int(str(values["msgid"])),
            open_id=str(values["openid"]),
            time_ms=int(str(values["time_ms"])),
            template_id=str(values["template_id"]),
            data={str(key): str(value) for key, value in data.items()},
            client_msg_id=str(values["client_msg_id"]),
            deliveries=int(str(values["deliveries"])),
            duplicates=int(str(values["duplicates"])),
            channel=str(values.get("channel", "template")),
        )
