"""From a pushed document to a typed message: the full reader, and a lean one for the event LOCATION.

The full reader takes any layout and every type. The lean one knows a single layout, the one WeChat sends, by one
anchored pattern; where that does not fit it says nothing and the full reader decides, so both always give the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from geo_engine.wechat.inbound import (
    AuthorizationEvent,
    FollowEvent,
    Inbound,
    Kind,
    LinkMessage,
    LocationMessage,
    LocationSelectEvent,
    MediaMessage,
    MenuEvent,
    OtherMessage,
    PicturesEvent,
    PingEvent,
    ScanCodeEvent,
    ScanEvent,
    SubscriptionEvent,
    SubscriptionItem,
    TemplateResult,
    TextMessage,
    UnfollowEvent,
)
from geo_engine.wechat.push_tree import Element, PushError, PushReason, parse_json, parse_xml

__all__ = ["read_lean", "read_push", "read_tree"]

_OPENID: Final = re.compile(r"[A-Za-z0-9_-]{28}", re.ASCII)
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_@.-]{1,64}", re.ASCII)
_TIME_S: Final = re.compile(r"[1-9][0-9]{0,10}")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,20})?")
_COUNT: Final = re.compile(r"-?[0-9]{1,9}")
_MSG_ID: Final = re.compile(r"[0-9]{1,20}")
_BLANKS: Final = " \t\r\n"
_LONGEST_TAIL: Final = 96
_SCENE: Final = "qrscene_"

_GAP: Final = rb"[ \t\r\n]*"
_DEGREES: Final = rb"(-?[0-9]{1,9}(?:\.[0-9]{1,20})?)"
_LEAN: Final = re.compile(
    _GAP.join(
        (
            rb"\A",
            rb"<xml>",
            rb"<ToUserName><!\[CDATA\[([A-Za-z0-9_@.-]{1,64})\]\]></ToUserName>",
            rb"<FromUserName><!\[CDATA\[([A-Za-z0-9_-]{28})\]\]></FromUserName>",
            rb"<CreateTime>([1-9][0-9]{0,10})</CreateTime>",
            rb"<MsgType><!\[CDATA\[event\]\]></MsgType>",
            rb"<Event><!\[CDATA\[LOCATION\]\]></Event>",
            rb"<Latitude>" + _DEGREES + rb"</Latitude>",
            rb"<Longitude>" + _DEGREES + rb"</Longitude>",
            rb"<Precision>" + _DEGREES + rb"</Precision>",
            rb"</xml>",
            rb"\Z",
        )
    )
)


def read_push(body: bytes, *, is_json: bool = False) -> Inbound:
    """Return the message in an opened push; the caller caps the bytes.

    Cost: about 3 us for LOCATION as WeChat sends it, 15 us for anything else.

    Raises:
        PushError: it cannot be read or lacks what its type needs.
    """
    if is_json:
        return read_tree(parse_json(body))
    return read_lean(body) or read_tree(parse_xml(body))


def read_lean(body: bytes) -> PingEvent | None:
    """Return the event LOCATION in the layout WeChat sends, None when the full reader must look."""
    found = _LEAN.match(body)
    if found is None:
        return None
    account, openid, time_s, lat, lon, accuracy_m = (group.decode("ascii") for group in found.groups())
    place = _place(lon, lat)
    if place is None or accuracy_m.startswith("-"):
        return None
    key = f"ev:{openid}:{time_s}:LOCATION:"
    return PingEvent(Kind.PING, openid, account, int(time_s), key, *place, float(accuracy_m))


def read_tree(root: Element) -> Inbound:
    """Return the message in a parsed push.

    Raises:
        PushError: a field every push has, or its type needs, is missing, given twice or not what it must be.
    """
    msg_type = _matching(root, "MsgType", _NAME, "the name of a type")
    if msg_type != "event":
        kind, make = _MESSAGES.get(msg_type, (Kind.OTHER, _other))
        openid = _matching(root, "FromUserName", _OPENID, "an OpenID of 28 characters")
        return make(_head(root, kind, openid, _message_key(root, msg_type, openid)), root)
    event = _matching(root, "Event", _NAME, "the name of an event")
    kind, make = _EVENTS.get(event.lower(), (Kind.OTHER, _other))
    # Of a changed authorisation the sender is the platform; whom it concerns stands beside it.
    field = "OpenID" if make is _authorization else "FromUserName"
    openid = _matching(root, field, _OPENID, "an OpenID of 28 characters")
    return make(_head(root, kind, openid, _event_key(root, event, openid)), root)


@dataclass(frozen=True, slots=True)
class _Head:
    """What every message begins with, in the order of ``Inbound``."""

    kind: Kind
    openid: str
    account: str
    time_s: int
    key: str

    @property
    def fields(self) -> tuple[Kind, str, str, int, str]:
        return self.kind, self.openid, self.account, self.time_s, self.key


def _head(root: Element, kind: Kind, openid: str, key: str) -> _Head:
    account = _matching(root, "ToUserName", _ACCOUNT, "the id of an account")
    return _Head(kind, openid, account, int(_time_s(root)), key)


def _time_s(root: Element) -> str:
    return _matching(root, "CreateTime", _TIME_S, "epoch seconds", strip=True)


def _message_key(root: Element, msg_type: str, openid: str) -> str:
    """Return the key of a message: its number; one without is known by person, second, type and content."""
    msg_id = root.text("MsgId").strip(_BLANKS)
    if _MSG_ID.fullmatch(msg_id) and int(msg_id):
        return f"msgid:{int(msg_id)}"
    return f"ev:{openid}:{_time_s(root)}:{msg_type}:{_digest(_json(root))}"


def _event_key(root: Element, event: str, openid: str) -> str:
    """Return the key of an event.

    Person and second alone would swallow one of two events in a second, so event and EventKey belong to it. Some events
    have no EventKey and may still come twice in a second: those are told apart by the number of the message they
    report, by what was revoked, or by what was chosen.
    """
    tail = root.text("EventKey") or root.text("MsgID").strip(_BLANKS) or root.text("RevokeInfo").strip(_BLANKS)
    chosen = [element for element in root.elements if element.elements or element.name == "List"]
    if not tail and chosen:
        tail = _digest(_json(root))
    if len(tail) > _LONGEST_TAIL:
        tail = _digest(tail)
    return f"ev:{openid}:{_time_s(root)}:{event}:{tail}"


def _digest(text: str) -> str:
    return "#" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _json(root: Element) -> str:
    return json.dumps(root.plain(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _matching(root: Element, name: str, pattern: re.Pattern[str], expected: str, *, strip: bool = False) -> str:
    text = root.text(name)
    if strip:
        text = text.strip(_BLANKS)
    if pattern.fullmatch(text) is None:
        message = f"{name}: found {'nothing' if not text else 'something else'}, expected {expected}"
        raise PushError(PushReason.MALFORMED, message)
    return text


def _place(lon: str, lat: str) -> tuple[float, float] | None:
    """Return a place on the earth, None when the texts name none.

    A missing or empty number is no zero, ``nan`` and ``inf`` are no numbers, and 0, 0 is what a phone without a fix and
    the picker of mini programs report; nobody drives there.
    """
    if _NUMBER.fullmatch(lon) is None or _NUMBER.fullmatch(lat) is None:
        return None
    lon_deg, lat_deg = float(lon), float(lat)
    if not (-180.0 <= lon_deg <= 180.0 and -90.0 <= lat_deg <= 90.0) or lon_deg == lat_deg == 0.0:
        return None
    return lon_deg, lat_deg


def _needed_place(element: Element | None, lon_name: str, lat_name: str) -> tuple[float, float]:
    lon, lat = (element.text(name).strip(_BLANKS) if element else "" for name in (lon_name, lat_name))
    place = _place(lon, lat)
    if place is None:
        message = f"{lon_name}, {lat_name}: found no place on the earth, expected degrees"
        raise PushError(PushReason.NO_POSITION, message)
    return place


def _number(element: Element, name: str) -> float | None:
    text = element.text(name).strip(_BLANKS)
    return float(text) if _NUMBER.fullmatch(text) else None


def _count(element: Element, name: str) -> int | None:
    text = element.text(name).strip(_BLANKS)
    return int(text) if _COUNT.fullmatch(text) else None


def _text(head: _Head, root: Element) -> Inbound:
    return TextMessage(*head.fields, root.text("Content"), root.text("bizmsgmenuid") or None)


def _media(head: _Head, root: Element) -> Inbound:
    names = ("MediaId", "PicUrl", "ThumbMediaId", "Format", "Recognition")
    return MediaMessage(*head.fields, *map(root.text, names))


def _link(head: _Head, root: Element) -> Inbound:
    return LinkMessage(*head.fields, root.text("Title"), root.text("Description"), root.text("Url"))


def _location(head: _Head, root: Element) -> Inbound:
    # X is the latitude.
    lon, lat = _needed_place(root, "Location_Y", "Location_X")
    return LocationMessage(*head.fields, lon, lat, _number(root, "Scale"), root.text("Label"))


def _ping(head: _Head, root: Element) -> Inbound:
    lon, lat = _needed_place(root, "Longitude", "Latitude")
    text = root.text("Precision").strip(_BLANKS)
    if text and (_NUMBER.fullmatch(text) is None or text.startswith("-")):
        message = "Precision: found no number of metres, expected one or nothing"
        raise PushError(PushReason.MALFORMED, message)
    return PingEvent(*head.fields, lon, lat, float(text) if text else None)


def _follow(head: _Head, root: Element) -> Inbound:
    # An EventKey without the prefix is no scene: WeChat Pay sends its order number there.
    event_key = root.text("EventKey")
    scene = event_key.removeprefix(_SCENE) if event_key.startswith(_SCENE) else ""
    return FollowEvent(*head.fields, scene or None, root.text("Ticket") or None)


def _unfollow(head: _Head, _root: Element) -> Inbound:
    return UnfollowEvent(*head.fields)


def _scan(head: _Head, root: Element) -> Inbound:
    return ScanEvent(*head.fields, root.text("EventKey").removeprefix(_SCENE) or None, root.text("Ticket") or None)


def _menu(head: _Head, root: Element) -> Inbound:
    return MenuEvent(*head.fields, root.text("EventKey"), root.text("MenuId") or root.text("MenuID") or None)


def _scan_code(head: _Head, root: Element) -> Inbound:
    info = root.one("ScanCodeInfo") or Element("")
    return ScanCodeEvent(*head.fields, root.text("EventKey"), info.text("ScanType"), info.text("ScanResult"))


def _pictures(head: _Head, root: Element) -> Inbound:
    info = root.one("SendPicsInfo") or Element("")
    items = (info.one("PicList") or Element("")).all("item")
    return PicturesEvent(
        *head.fields, root.text("EventKey"), _count(info, "Count") or 0, tuple(item.text("PicMd5Sum") for item in items)
    )


def _location_select(head: _Head, root: Element) -> Inbound:
    info = root.one("SendLocationInfo") or Element("")
    lon, lat = _needed_place(info, "Location_Y", "Location_X")
    scale, label, poi = _number(info, "Scale"), info.text("Label"), info.text("Poiname")
    return LocationSelectEvent(*head.fields, root.text("EventKey"), lon, lat, scale, label, poi)


def _template_result(head: _Head, root: Element) -> Inbound:
    msg_id = _matching(root, "MsgID", _MSG_ID, "the number of a message", strip=True)
    return TemplateResult(*head.fields, msg_id, root.text("Status").strip(_BLANKS)[:100])


def _subscription(head: _Head, root: Element) -> Inbound:
    names = ("SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent")
    holder = next((found for found in map(root.one, names) if found is not None), root)
    return SubscriptionEvent(*head.fields, tuple(_subscription_item(element) for element in holder.all("List")))


def _subscription_item(element: Element) -> SubscriptionItem:
    return SubscriptionItem(
        template_id=element.text("TemplateId"),
        status=element.text("SubscribeStatusString") or element.text("ErrorStatus"),
        scene=_count(element, "PopupScene"),
        msg_id=element.text("MsgID") or None,
        code=_count(element, "ErrorCode"),
    )


def _authorization(head: _Head, root: Element) -> Inbound:
    return AuthorizationEvent(*head.fields, root.text("RevokeInfo").strip(_BLANKS))


def _other(head: _Head, root: Element) -> Inbound:
    name = root.text("Event") if root.text("MsgType") == "event" else root.text("MsgType")
    return OtherMessage(*head.fields, name, _json(root))


_Maker = Callable[[_Head, Element], Inbound]

_MESSAGES: Final[dict[str, tuple[Kind, _Maker]]] = {
    "text": (Kind.TEXT, _text),
    "image": (Kind.IMAGE, _media),
    "voice": (Kind.VOICE, _media),
    "video": (Kind.VIDEO, _media),
    "shortvideo": (Kind.SHORTVIDEO, _media),
    "link": (Kind.LINK, _link),
    "location": (Kind.LOCATION, _location),
}
_EVENTS: Final[dict[str, tuple[Kind, _Maker]]] = {
    "location": (Kind.PING, _ping),
    "subscribe": (Kind.SUBSCRIBE, _follow),
    "unsubscribe": (Kind.UNSUBSCRIBE, _unfollow),
    "scan": (Kind.SCAN, _scan),
    "click": (Kind.CLICK, _menu),
    "view": (Kind.VIEW, _menu),
    "view_miniprogram": (Kind.VIEW_MINIPROGRAM, _menu),
    "scancode_push": (Kind.SCANCODE_PUSH, _scan_code),
    "scancode_waitmsg": (Kind.SCANCODE_WAITMSG, _scan_code),
    "pic_sysphoto": (Kind.PIC_SYSPHOTO, _pictures),
    "pic_photo_or_album": (Kind.PIC_PHOTO_OR_ALBUM, _pictures),
    "pic_weixin": (Kind.PIC_WEIXIN, _pictures),
    "location_select": (Kind.LOCATION_SELECT, _location_select),
    "templatesendjobfinish": (Kind.TEMPLATE_RESULT, _template_result),
    "subscribe_msg_popup_event": (Kind.SUBSCRIPTION, _subscription),
    "subscribe_msg_change_event": (Kind.SUBSCRIPTION_CHANGE, _subscription),
    "subscribe_msg_sent_event": (Kind.SUBSCRIPTION_RESULT, _subscription),
    "user_authorization_revoke": (Kind.AUTHORIZATION_REVOKE, _authorization),
    "user_authorization_cancellation": (Kind.AUTHORIZATION_CANCELLATION, _authorization),
    "user_info_modified": (Kind.USER_INFO_MODIFIED, _authorization),
}
