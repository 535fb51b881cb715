"""The people of the fake WeChat: what they do changes what they allow, and is pushed to the account."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping

from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.wechat.fake import FakeWeChat
from geo_engine.wechat.fake_model import Delivery
from geo_engine.wechat.fake_oauth import FakeVisitor
from geo_engine.wechat.fake_push import Pusher, PushRecord
from geo_engine.wechat.fake_xml import ACCOUNT, Pushed, event, message

__all__ = ["FakePeople", "FakePhone"]

_REVOKED_LOCATION = "206"
_MEDIA = {"image": b"\x89PNG\r\n\x1a\n fake", "voice": b"#!AMR\n fake", "video": b"fake video"}


class FakePhone:
    """The phone of one person. Each act returns what came of its push, None where the account has no callback.

    An act returns when the account has answered its push; what the account sends because of it comes later
    (``messages``, or ``FakeServer.expect`` to wait for it).
    """

    def __init__(self, account: FakeWeChat, pusher: Pusher | None, open_id: str, numbers: itertools.count[int]) -> None:
        self.open_id = open_id
        self._account, self._pusher, self._numbers = account, pusher, numbers

    def messages(self) -> tuple[Delivery, ...]:
        """Return what reached this phone, oldest first."""
        return self._account.deliveries(self.open_id)

    def texts(self) -> list[str]:
        """Return the texts of those messages, the fields of a template joined by line breaks."""
        return ["\n".join(found.data.values()) for found in self.messages()]

    def pushes(self) -> tuple[PushRecord, ...]:
        """Return what came of the pushes about this person, oldest first."""
        return () if self._pusher is None else self._pusher.records(self.open_id)

    # ---- following

    def follows(self) -> PushRecord | None:
        """Follow the account."""
        return self._follows({"EventKey": ""})

    def leaves(self) -> PushRecord | None:
        """Stop following; every window closes."""
        self._account.unfollow(self.open_id)
        return self._happens("unsubscribe", {"EventKey": ""})

    def scans(self, ticket: str) -> PushRecord | None:
        """Scan the QR code of a ticket: who does not follow yet follows by that.

        Raises:
            LookupError: there is no such code, or its time is over.
        """
        code = self._account.code(ticket)
        if code is None:
            found = f"QR code: found no live one with the ticket {ticket!r}"
            raise LookupError(found)
        if not self._account.has_followed(self.open_id):
            return self._follows({"EventKey": f"qrscene_{code.scene}", "Ticket": ticket})
        self._account.touch(self.open_id, "scan")
        return self._happens("SCAN", {"EventKey": code.scene, "Ticket": ticket})

    def revokes_location(self) -> PushRecord | None:
        """Take back that the account may use the location."""
        fields = {
            "OpenID": self.open_id,
            "AppID": self._account.settings.app_id,
            "RevokeInfo": _REVOKED_LOCATION,
        }
        now_ms = self._account.now_ms()
        return self._push(event(self.open_id, now_ms, "user_authorization_revoke", fields, sender=ACCOUNT))

    # ---- writing

    def says(self, text: str) -> PushRecord | None:
        """Send a text."""
        return self._writes("text", {"Content": text})

    def shows(self, kind: str = "image", content: bytes | None = None) -> PushRecord | None:
        """Send a picture, a ``voice`` or a ``video``; ``media/get`` gives its bytes."""
        media_id = self._account.put_media(kind, _MEDIA[kind] if content is None else content)
        more = {
            "image": {"PicUrl": f"http://mmbiz.qpic.cn/{media_id}"},
            "voice": {"Format": "amr"},
            "video": {"ThumbMediaId": media_id},
        }
        return self._writes(kind, {**more[kind], "MediaId": media_id})

    def sends_place(self, lon: float, lat: float, label: str = "") -> PushRecord | None:
        """Send a place (WGS-84) from the map of the chat, which is Tencent's: it is pushed as GCJ-02."""
        east, north = from_wgs84(lon, lat, Datum.GCJ02)
        fields: dict[str, str | int | float] = {
            "Location_X": float(north),
            "Location_Y": float(east),
            "Scale": 15,
            "Label": label,
        }
        return self._writes("location", fields)

    def clicks(self, key: str) -> PushRecord | None:
        """Click on the menu entry of a key."""
        self._account.touch(self.open_id, "click")
        return self._happens("CLICK", {"EventKey": key})

    def opens(self, url: str, *, snapshot: bool = False) -> PushRecord | None:
        """Click on the menu entry that opens a page; whoever authorises from now on is this person."""
        self._account.oauth.at_the_phone = FakeVisitor(self.open_id, snapshot)
        return self._happens("VIEW", {"EventKey": url})

    # ---- being somewhere

    def is_at(
        self,
        lon: float,
        lat: float,
        *,
        accuracy_m: float = 30.0,
        datum: Datum | None = None,
        time_ms: int | None = None,
    ) -> PushRecord | None:
        """Report the position (WGS-84), in the datum of the account unless another is given."""
        east, north = from_wgs84(lon, lat, datum or self._account.settings.location_datum)
        fields = {"Latitude": float(north), "Longitude": float(east), "Precision": accuracy_m}
        return self._happens("LOCATION", fields, time_ms)

    # ---- subscribing

    def accepts(self, template_id: str, *, for_good: bool = False) -> PushRecord | None:
        """Accept a subscription template."""
        self._account.accept(self.open_id, template_id, for_good=for_good)
        return self._subscribes("subscribe_msg_popup_event", template_id, "accept")

    def refuses(self, template_id: str) -> PushRecord | None:
        """Refuse one, or take back what was accepted."""
        self._account.refuse(self.open_id, template_id)
        return self._subscribes("subscribe_msg_change_event", template_id, "reject")

    def _subscribes(self, name: str, template_id: str, status: str) -> PushRecord | None:
        item = {"TemplateId": template_id, "SubscribeStatusString": status}
        if name == "subscribe_msg_popup_event":
            item["PopupScene"] = "1"
            return self._happens(name, {"SubscribeMsgPopupEvent": {"List": item}})
        return self._happens(name, {"SubscribeMsgChangeEvent": {"List": item}})

    # ----

    def _follows(self, fields: Mapping[str, str]) -> PushRecord | None:
        self._account.follow(self.open_id)
        self._account.touch(self.open_id, "follow")
        if "Ticket" in fields:
            self._account.note_scene(self.open_id, fields["EventKey"].removeprefix("qrscene_"))
        return self._happens("subscribe", fields)

    def _writes(self, kind: str, fields: Mapping[str, str | int | float]) -> PushRecord | None:
        self._account.touch(self.open_id, "message")
        number = self._account.now_ms() * 1_000_000 + next(self._numbers) % 1_000_000
        return self._push(message(self.open_id, self._account.now_ms(), kind, fields, number))

    def _happens(
        self, name: str, fields: Mapping[str, str | int | float | Mapping[str, object]], time_ms: int | None = None
    ) -> PushRecord | None:
        moment_ms = self._account.now_ms() if time_ms is None else time_ms
        return self._push(event(self.open_id, moment_ms, name, fields))

    def _push(self, pushed: Pushed) -> PushRecord | None:
        return None if self._pusher is None else self._pusher.now(pushed)


class FakePeople:
    """Hands out phones. Safe for several threads."""

    def __init__(self, account: FakeWeChat, pusher: Pusher | None) -> None:
        self._account, self._pusher, self._numbers = account, pusher, itertools.count(1)

    def phone(self, person: str) -> FakePhone:
        """Return the phone of an OpenID; of any other name, that of the person so called, with an OpenID made of it."""
        return FakePhone(self._account, self._pusher, _open_id(person), self._numbers)


def _open_id(person: str) -> str:
    if len(person) == 28 and person.startswith("o"):
        return person
    return "o" + hashlib.sha256(person.encode()).hexdigest()[:27]
