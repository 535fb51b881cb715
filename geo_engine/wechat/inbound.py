"""What people send and do in the account's chat, as typed values: messages, events, and those we do not know.

Source: Tencent's pages on receiving messages and events, on subscription notices and on changed authorisations. Texts
are as pushed, positions ``lon, lat`` in degrees (a message names its latitude ``X``), times epoch seconds as WeChat
gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

import msgspec

from geo_engine.geodesy.datum import Datum

__all__ = [
    "AuthorizationEvent",
    "FollowEvent",
    "Inbound",
    "Kind",
    "LinkMessage",
    "LocationMessage",
    "LocationSelectEvent",
    "MediaMessage",
    "MenuEvent",
    "OtherMessage",
    "PicturesEvent",
    "PingEvent",
    "ReplyWindow",
    "ScanCodeEvent",
    "ScanEvent",
    "SubscriptionEvent",
    "SubscriptionItem",
    "TemplateResult",
    "TextMessage",
    "UnfollowEvent",
    "from_payload",
    "reply_window",
    "to_payload",
]


class Kind(StrEnum):
    """What a push is about."""

    TEXT = "text"
    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    SHORTVIDEO = "shortvideo"
    LINK = "link"
    LOCATION = "location"
    """A place a person picked on the map and sent; not where they are."""
    PING = "ping"
    """The event LOCATION: where the person is."""
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    SCAN = "scan"
    CLICK = "click"
    VIEW = "view"
    VIEW_MINIPROGRAM = "view_miniprogram"
    SCANCODE_PUSH = "scancode_push"
    SCANCODE_WAITMSG = "scancode_waitmsg"
    PIC_SYSPHOTO = "pic_sysphoto"
    PIC_PHOTO_OR_ALBUM = "pic_photo_or_album"
    PIC_WEIXIN = "pic_weixin"
    LOCATION_SELECT = "location_select"
    TEMPLATE_RESULT = "template_result"
    SUBSCRIPTION = "subscription"
    SUBSCRIPTION_CHANGE = "subscription_change"
    SUBSCRIPTION_RESULT = "subscription_result"
    AUTHORIZATION_REVOKE = "authorization_revoke"
    AUTHORIZATION_CANCELLATION = "authorization_cancellation"
    USER_INFO_MODIFIED = "user_info_modified"
    OTHER = "other"
    """Something newer than this program; kept and counted, never an error."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """What every push says.

    Attributes:
        kind: what it is about.
        openid: the person (of a changed authorisation the one it concerns, not the platform that pushes it).
        account: the account's ``gh_`` id; an answer comes from it.
        time_s: when it happened, epoch seconds.
        key: equal for repeats of the same push and for nothing else.
    """

    kind: Kind
    openid: str
    account: str
    time_s: int
    key: str


@dataclass(frozen=True, slots=True)
class TextMessage(Inbound):
    """A text; ``menu_id`` names the choice when it came from a menu message."""

    text: str
    menu_id: str | None = None


@dataclass(frozen=True, slots=True)
class MediaMessage(Inbound):
    """An image, a voice message or a video: where WeChat keeps it, and what it recognised in a voice."""

    media_id: str
    url: str = ""
    thumb_media_id: str = ""
    format: str = ""
    recognition: str = ""


@dataclass(frozen=True, slots=True)
class LinkMessage(Inbound):
    """A link somebody shared."""

    title: str
    description: str
    url: str


@dataclass(frozen=True, slots=True)
class LocationMessage(Inbound):
    """A place somebody picked on Tencent's map, therefore in GCJ-02 (not official, see the facts of the channel)."""

    datum: ClassVar[Datum] = Datum.GCJ02

    lon: float
    lat: float
    scale: float | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class LocationSelectEvent(Inbound):
    """The menu's location picker was used; the place follows as a message, so only one of both is answered."""

    datum: ClassVar[Datum] = Datum.GCJ02

    menu_key: str
    lon: float
    lat: float
    scale: float | None = None
    label: str = ""
    poi: str = ""


@dataclass(frozen=True, slots=True)
class PingEvent(Inbound):
    """The event LOCATION: a position with its accuracy in metres, in a datum Tencent does not name (a setting)."""

    lon: float
    lat: float
    accuracy_m: float | None = None


@dataclass(frozen=True, slots=True)
class FollowEvent(Inbound):
    """Somebody follows; ``scene`` when they came by one of our QR codes."""

    scene: str | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class UnfollowEvent(Inbound):
    """Somebody left: everything of them must be erased (Tencent's rule)."""


@dataclass(frozen=True, slots=True)
class ScanEvent(Inbound):
    """A follower scanned one of our QR codes."""

    scene: str | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class MenuEvent(Inbound):
    """An entry of the menu was chosen: our key, an address or a page of a mini program."""

    menu_key: str
    menu_id: str | None = None


@dataclass(frozen=True, slots=True)
class ScanCodeEvent(Inbound):
    """The menu's scanner read a code."""

    menu_key: str
    scan_type: str
    scan_result: str


@dataclass(frozen=True, slots=True)
class PicturesEvent(Inbound):
    """The menu's camera or album was used; the pictures follow as messages."""

    menu_key: str
    count: int
    md5: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TemplateResult(Inbound):
    """What became of a template message: ``success``, or why it failed."""

    msg_id: str
    status: str


@dataclass(frozen=True, slots=True)
class SubscriptionItem:
    """One template of a subscription event: ``status`` is accept, reject, or what became of a message."""

    template_id: str
    status: str
    scene: int | None = None
    msg_id: str | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionEvent(Inbound):
    """Somebody accepted or refused subscription notices, changed that later, or one was sent."""

    items: tuple[SubscriptionItem, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizationEvent(Inbound):
    """Somebody took back an authorisation, closed their WeChat account, or changed their data.

    ``what`` is Tencent's RevokeInfo: 201 address, 202 invoice ... 205 nickname, 206 location, 207 pictures.
    """

    what: str = ""

    @property
    def revokes_location(self) -> bool:
        """Say whether the person no longer wants to be located; 206 may stand among others."""
        return "206" in self.what.replace(",", " ").replace(";", " ").split()


@dataclass(frozen=True, slots=True)
class OtherMessage(Inbound):
    """Something we do not know yet: the name of its type or event, and all of its fields as JSON."""

    name: str
    fields: str


_CLASSES: Final[dict[Kind, type[Inbound]]] = {
    Kind.TEXT: TextMessage,
    Kind.IMAGE: MediaMessage,
    Kind.VOICE: MediaMessage,
    Kind.VIDEO: MediaMessage,
    Kind.SHORTVIDEO: MediaMessage,
    Kind.LINK: LinkMessage,
    Kind.LOCATION: LocationMessage,
    Kind.PING: PingEvent,
    Kind.SUBSCRIBE: FollowEvent,
    Kind.UNSUBSCRIBE: UnfollowEvent,
    Kind.SCAN: ScanEvent,
    Kind.CLICK: MenuEvent,
    Kind.VIEW: MenuEvent,
    Kind.VIEW_MINIPROGRAM: MenuEvent,
    Kind.SCANCODE_PUSH: ScanCodeEvent,
    Kind.SCANCODE_WAITMSG: ScanCodeEvent,
    Kind.PIC_SYSPHOTO: PicturesEvent,
    Kind.PIC_PHOTO_OR_ALBUM: PicturesEvent,
    Kind.PIC_WEIXIN: PicturesEvent,
    Kind.LOCATION_SELECT: LocationSelectEvent,
    Kind.TEMPLATE_RESULT: TemplateResult,
    Kind.SUBSCRIPTION: SubscriptionEvent,
    Kind.SUBSCRIPTION_CHANGE: SubscriptionEvent,
    Kind.SUBSCRIPTION_RESULT: SubscriptionEvent,
    Kind.AUTHORIZATION_REVOKE: AuthorizationEvent,
    Kind.AUTHORIZATION_CANCELLATION: AuthorizationEvent,
    Kind.USER_INFO_MODIFIED: AuthorizationEvent,
    Kind.OTHER: OtherMessage,
}


def to_payload(message: Inbound) -> str:
    """Return a message as JSON for the journal."""
    return msgspec.json.encode(message).decode()


def from_payload(kind: str, payload: str) -> Inbound:
    """Return a message from the journal.

    Raises:
        ValueError: the kind is unknown or the text is not what ``to_payload`` wrote.
    """
    loaded: Any = msgspec.json.decode(payload, type=_CLASSES[Kind(kind)])
    return loaded  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class ReplyWindow:
    """How many customer-service messages a person's act allows, and for how long."""

    count: int
    seconds: int


_MESSAGE: Final = ReplyWindow(5, 48 * 3600)
_ACT: Final = ReplyWindow(3, 60)
_WINDOWS: Final[dict[Kind, ReplyWindow]] = {
    **dict.fromkeys(
        (Kind.TEXT, Kind.IMAGE, Kind.VOICE, Kind.VIDEO, Kind.SHORTVIDEO, Kind.LINK, Kind.LOCATION), _MESSAGE
    ),
    **dict.fromkeys((Kind.CLICK, Kind.SCANCODE_PUSH, Kind.SCANCODE_WAITMSG, Kind.SUBSCRIBE, Kind.SCAN), _ACT),
}


def reply_window(kind: Kind) -> ReplyWindow | None:
    """Return the window an act opens (Tencent, customer-service messages), None = it opens none."""
    return _WINDOWS.get(kind)
