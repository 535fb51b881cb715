"""The fake WeChat account as a state machine: tokens, followers, templates, quota, deliveries. No I/O.

What people allow (windows, grants) is in ``fake_reach``; what is not known is said in ``docs/wechat.md``.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from geo_engine.wechat.fake_custom import custom_content
from geo_engine.wechat.fake_faults import FaultPlan
from geo_engine.wechat.fake_model import CallbackTarget, Delivery, FakeMedia, FakeSettings, JsonObject, PushMode
from geo_engine.wechat.fake_oauth import FakeOAuth
from geo_engine.wechat.fake_qr import FakeCode, FakeCodes
from geo_engine.wechat.fake_reach import FakeReach
from geo_engine.wechat.fake_tokens import FakeTokens
from geo_engine.wechat.fields import check_field
from geo_engine.wechat.template import Template

__all__ = ["CallbackTarget", "Delivery", "FakeSettings", "FakeWeChat", "JsonObject", "PushMode"]

_DAY_MS: Final = 86_400_000
_BEIJING_MS: Final = 8 * 3_600_000
_IDEMPOTENT_MS: Final = 600_000
_OPEN_ID: Final = re.compile(r"o[A-Za-z0-9_-]{27}", re.ASCII)
_SEND_PATH: Final = "/cgi-bin/message/template/send"
_SUBSCRIBE_PATH: Final = "/cgi-bin/message/subscribe/bizsend"
_CUSTOM_PATH: Final = "/cgi-bin/message/custom/send"
_CLEARED_PER_MONTH: Final = 10
_MEDIA_MS: Final = 3 * 86_400_000
_MINUTE_MS: Final = 60_000
_FIRST_MSGID: Final = 3_000_000_000_000_000_000
_ERRMSG: Final = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid appid",
    40029: "invalid code",
    40037: "invalid template_id",
    40053: "invalid action info",
    40097: "invalid args",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip, not in whitelist",
    41001: "access_token missing",
    42001: "access_token expired",
    43004: "require subscribe",
    43101: "user refuse to accept the msg",
    43117: "Sending messages to this openid too frequently",
    43108: "concurrent call for the same openid",
    45002: "content size out of limit",
    45008: "article size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45029: "qrcode count out of limit",
    45047: "out of response count limit",
    47001: "data format error",
    48006: "forbid to clear quota because of reaching the limit",
    76021: "cgi_path not found, please check",
}


class FakeWeChat:
    """The account. Every method may be called from any thread.

    Args:
        settings: what the account is.
        clock: epoch milliseconds; a test's own clock makes tokens expire and days pass.
        on_delivery: called with each delivery before its sender is answered (log, receipt).
        delivered: deliveries of an earlier run, so that a restart does not forget what people have seen.

    Attributes:
        ticket_calls: calls of ``ticket/getticket`` with a good token since the start.
    """

    def __init__(
        self,
        settings: FakeSettings,
        clock: Callable[[], int],
        on_delivery: Callable[[Delivery], None] = lambda _: None,
        delivered: Iterable[Delivery] = (),
    ) -> None:
        self.settings = settings
        self.tokens = FakeTokens()
        self.oauth = FakeOAuth()
        self.faults = FaultPlan()
        self.ticket_calls = 0
        self._clock = clock
        self._on_delivery = on_delivery
        self._templates = {template.template_id: template for template in settings.templates}
        self._subscriptions = {template.template_id: template for template in settings.subscriptions}
        self._lock = threading.Lock()
        self._forget()
        for delivery in delivered:
            self._remember(delivery)

    def reset(self) -> None:
        """Forget deliveries, followers, faults and quota. Tokens stay good, so that senders go on."""
        with self._lock:
            self._forget()
            self.faults.clear()

    def follow(self, open_id: str) -> None:
        """Make ``open_id`` follow the account."""
        with self._lock:
            self._follows[open_id] = True
            self.followed_ms[open_id] = self._clock()

    def unfollow(self, open_id: str) -> None:
        """Make ``open_id`` stop following the account, which closes every window."""
        with self._lock:
            self._follows[open_id] = False
            self._reach.close(open_id)

    def has_followed(self, open_id: str) -> bool:
        """Say whether ``open_id`` follows by an act of their own; an open door lets everybody be written to."""
        with self._lock:
            return self._follows.get(open_id) is True

    def follows(self, open_id: str) -> bool:
        """Say whether ``open_id`` follows, as an open door has it."""
        return self._follows.get(open_id, self.settings.open_door)

    def note_scene(self, open_id: str, scene: str) -> None:
        """Note the scene of the QR code by which ``open_id`` came to follow."""
        with self._lock:
            self.scenes[open_id] = scene

    def code(self, ticket: str) -> FakeCode | None:
        """Return the live QR code of a ticket."""
        with self._lock:
            return self.codes.live(ticket, self._clock())

    def put_media(self, kind: str, content: bytes) -> str:
        """Keep what a person sent and return its media id; it is good for three days."""
        with self._lock:
            media_id = hashlib.sha256(f"{kind} {len(self.media)}".encode()).hexdigest()
            self.media[media_id] = FakeMedia(kind, content, self._clock() + _MEDIA_MS)
            return media_id

    def note_reply(self, open_id: str, texts: Mapping[str, str]) -> None:
        """Show the answer to a push on the phone."""
        now_ms = self._clock()
        with self._lock:
            self._deliver(Delivery(0, open_id, now_ms, "", texts, "", channel="reply"))

    def answered(self, token: str, work: Callable[[int], JsonObject]) -> JsonObject:
        """Return what ``work`` answers at this moment, or why the token is refused."""
        now_ms = self._clock()
        with self._lock:
            errcode = self.tokens.check(token, now_ms)
            return self.error(errcode) if errcode else work(now_ms)

    def deliveries(self, open_id: str | None = None) -> tuple[Delivery, ...]:
        """Return what reached the phones, oldest first; of one person when ``open_id`` is given."""
        with self._lock:
            return tuple(found for found in self._deliveries if open_id is None or found.open_id == open_id)

    def now_ms(self) -> int:
        """Return the account's time in epoch milliseconds."""
        return self._clock()

    def stable_token(self, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/stable_token``."""
        if not isinstance(body, Mapping):
            return self.error(47001)
        errcode = self._check_account(body)
        if errcode:
            return self.error(errcode)
        now_ms = self._clock()
        with self._lock:
            if body.get("force_refresh") is True:
                return self._grant(self.tokens.forced(now_ms, _day(now_ms)))
            return self._grant(self.tokens.stable(now_ms))

    def legacy_token(self, query: Mapping[str, str]) -> JsonObject:
        """Answer ``GET /cgi-bin/token``."""
        errcode = self._check_account(query)
        if errcode:
            return self.error(errcode)
        now_ms = self._clock()
        with self._lock:
            return self._grant(self.tokens.legacy(now_ms, _day(now_ms)))

    def send_template(self, token: str, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/message/template/send``.

        A repeat of (OpenID, ``client_msg_id``) within ten minutes is answered like the first, with its msgid, and
        not delivered again; it is counted as a duplicate.
        """
        return self._send(token, _SEND_PATH, lambda now_ms: self._checked_template(body, now_ms))

    def send_subscription(self, token: str, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/message/subscribe/bizsend``: as a template message, but out of the person's grant."""
        return self._send(token, _SUBSCRIBE_PATH, lambda now_ms: self._checked_subscription(body, now_ms))

    def send_custom(self, token: str, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/message/custom/send``: text, media, one article; it uses a window."""
        answer = self._send(token, _CUSTOM_PATH, lambda now_ms: self._checked_custom(body, now_ms))
        # The real server gives such a message no number.
        return {key: value for key, value in answer.items() if key != "msgid"}

    def touch(self, open_id: str, trigger: str) -> None:
        """Let a person do something: ``message``, ``click``, ``follow``, ``scan``; anything else opens no window."""
        now_ms = self._clock()
        with self._lock:
            self._reach.touch(open_id, trigger, now_ms)

    def accept(self, open_id: str, template_id: str, *, for_good: bool = False) -> None:
        """Let a person accept a subscription template."""
        with self._lock:
            self._reach.accept(open_id, template_id, for_good=for_good)

    def refuse(self, open_id: str, template_id: str) -> None:
        """Let a person withdraw what they accepted."""
        with self._lock:
            self._reach.refuse(open_id, template_id)

    def begin_subscription(self, open_id: str) -> bool:
        """Begin a subscription call; False when another one for this person is under way."""
        with self._lock:
            return self._reach.enter(open_id)

    def end_subscription(self, open_id: str) -> None:
        """End a subscription call."""
        with self._lock:
            self._reach.leave(open_id)

    def quota(self, token: str, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/openapi/quota/get``."""
        now_ms = self._clock()
        with self._lock:
            errcode = self.tokens.check(token, now_ms)
            if errcode:
                return self.error(errcode)
            path = str(body.get("cgi_path")) if isinstance(body, Mapping) else ""
            if path not in (_SEND_PATH, _SUBSCRIBE_PATH, _CUSTOM_PATH):
                return self.error(76021)
            limit, used = self._limit(path), self._quota_used.get((path, _day(now_ms)), 0)
            return {
                "errcode": 0,
                "errmsg": "ok",
                "quota": {"daily_limit": limit, "used": used, "remain": limit - used},
            }

    def oauth_token(self, query: Mapping[str, str]) -> JsonObject:
        """Answer ``GET /sns/oauth2/access_token``: the OpenID behind a code, which is good once."""
        errcode = self._check_account(query, "authorization_code")
        found = errcode or self.oauth.trade(query.get("code", ""), self._clock())
        if isinstance(found, int):
            return self.error(found)
        token = hashlib.sha256(f"web-{found.open_id}".encode()).hexdigest()
        answer: JsonObject = {
            "access_token": token,
            "expires_in": 7200,
            "refresh_token": token[::-1],
            "openid": found.open_id,
            "scope": "snsapi_base",
        }
        return answer | ({"is_snapshotuser": 1} if found.snapshot else {})

    def clear_quota(self, token: str, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/clear_quota``: ten times a month (here: 30 days), then 48006."""
        now_ms = self._clock()
        with self._lock:
            errcode = self.tokens.check(token, now_ms)
            if errcode:
                return self.error(errcode)
            if not isinstance(body, Mapping) or body.get("appid") != self.settings.app_id:
                return self.error(40013)
            month = _day(now_ms) // 30
            if self._cleared.get(month, 0) >= _CLEARED_PER_MONTH:
                return self.error(48006)
            self._cleared[month] = self._cleared.get(month, 0) + 1
            self._quota_used.clear()
            return {"errcode": 0, "errmsg": "ok"}

    def _send(self, token: str, path: str, checked: Callable[[int], Delivery | JsonObject]) -> JsonObject:
        now_ms = self._clock()
        with self._lock:
            errcode = self.tokens.check(token, now_ms) or self._spend_quota(path, now_ms)
            if errcode:
                return self.error(errcode)
            message = checked(now_ms)
            if isinstance(message, dict):
                return message
            return {"errcode": 0, "errmsg": "ok", "msgid": self._deliver(message)}

    def _limit(self, path: str) -> int:
        return self.settings.daily_limit if path == _SEND_PATH else self.settings.custom_limit

    def _forget(self) -> None:
        self._follows: dict[str, bool] = {}
        self._deliveries: list[Delivery] = []
        self._latest: dict[tuple[str, str], int] = {}
        self._quota_used: dict[tuple[str, int], int] = {}
        self._cleared: dict[int, int] = {}
        self._reach = FakeReach()
        self._sent_lately: dict[str, list[int]] = {}
        self.followed_ms: dict[str, int] = {}
        self.scenes: dict[str, str] = {}
        self.codes = FakeCodes()
        self.media: dict[str, FakeMedia] = {}
        self._answers = 0

    def _check_account(self, values: Mapping[str, object], grant_type: str = "client_credential") -> int:
        if values.get("grant_type") != grant_type:
            return 40002
        if values.get("appid") != self.settings.app_id:
            return 40013
        return 0 if values.get("secret") == self.settings.app_secret else 40125

    def _grant(self, made: tuple[str, int] | int) -> JsonObject:
        if isinstance(made, int):
            return self.error(made)
        token, lifetime_s = made
        return {"access_token": token, "expires_in": lifetime_s}

    def _spend_quota(self, path: str, now_ms: int) -> int:
        used = self._quota_used.get((path, _day(now_ms)), 0)
        if used >= self._limit(path):
            return 45009
        if self._is_too_frequent(path, self.settings.minute_limit, now_ms):
            return 45011
        self._quota_used[path, _day(now_ms)] = used + 1
        return 0

    def _is_too_frequent(self, what: str, limit: int | None, now_ms: int) -> bool:
        """Say whether ``what`` was done so often in the last minute; else count it."""
        if limit is None:
            return False
        lately = [at_ms for at_ms in self._sent_lately.get(what, ()) if at_ms > now_ms - _MINUTE_MS]
        if len(lately) >= limit:
            return True
        self._sent_lately[what] = [*lately, now_ms]
        return False

    def _checked_template(self, body: object, now_ms: int) -> Delivery | JsonObject:
        message = self._checked_message(body, now_ms, self._templates)
        if isinstance(message, dict):
            return message
        if not self.follows(message.open_id):
            return self.error(43004)
        again = self._repeated(message) is not None
        frequent = not again and self._is_too_frequent(message.open_id, self.settings.user_limit, now_ms)
        return self.error(43117) if frequent else message

    def _checked_subscription(self, body: object, now_ms: int) -> Delivery | JsonObject:
        message = self._checked_message(body, now_ms, self._subscriptions)
        if isinstance(message, dict):
            return message
        errcode = self._reach.spend_grant(message.open_id, message.template_id)
        if not errcode and self._is_too_frequent(message.open_id, self.settings.user_limit, now_ms):
            errcode = 43117
        return self.error(errcode) if errcode else replace(message, client_msg_id="", channel="subscription")

    def _checked_custom(self, body: object, now_ms: int) -> Delivery | JsonObject:
        if not isinstance(body, Mapping):
            return self.error(47001)
        open_id, shown = str(body.get("touser", "")), custom_content(body, self.media)
        if _OPEN_ID.fullmatch(open_id) is None:
            return self.error(40003)
        if isinstance(shown, int):
            return self.error(shown)
        if self._follows.get(open_id) is False:
            return self.error(45015)
        errcode = self._reach.spend_window(open_id, now_ms)
        if errcode:
            return self.error(errcode)
        return Delivery(0, open_id, now_ms, "", shown, "", channel="customer_service")

    def _checked_message(self, body: object, now_ms: int, templates: Mapping[str, Template]) -> Delivery | JsonObject:
        """Return the message as a delivery without number, or the error it is answered with."""
        if not isinstance(body, Mapping) or not isinstance(body.get("data"), Mapping):
            return self.error(47001)
        open_id, template = str(body.get("touser", "")), templates.get(str(body.get("template_id", "")))
        if _OPEN_ID.fullmatch(open_id) is None:
            return self.error(40003)
        if template is None:
            return self.error(40037)
        shown = {field.key: _text(body["data"], field.key) for field in template.fields}
        for field in template.fields:
            if check_field(field.type, shown[field.key]) is not None:
                return self.error(47003, f"argument invalid! data.{field.key}.value invalid")
        return Delivery(0, open_id, now_ms, template.template_id, shown, str(body.get("client_msg_id") or ""))

    def _deliver(self, message: Delivery) -> int:
        index = self._repeated(message)
        if index is not None:
            earlier = self._deliveries[index]
            self._deliveries[index] = replace(earlier, duplicates=earlier.duplicates + 1)
            return earlier.msgid
        before = self._latest.get((message.open_id, message.client_msg_id)) if message.client_msg_id else None
        shown_before = 0 if before is None else self._deliveries[before].deliveries
        msgid = _FIRST_MSGID + message.time_ms * 1_000 + len(self._deliveries) % 1_000
        delivery = replace(message, msgid=msgid, deliveries=shown_before + 1)
        self._on_delivery(delivery)
        self._remember(delivery)
        return msgid

    def _repeated(self, message: Delivery) -> int | None:
        """Return which delivery of the last ten minutes ``message`` repeats by its ``client_msg_id``."""
        index = self._latest.get((message.open_id, message.client_msg_id)) if message.client_msg_id else None
        repeats = index is not None and message.time_ms - self._deliveries[index].time_ms < _IDEMPOTENT_MS
        return index if repeats else None

    def _remember(self, delivery: Delivery) -> None:
        if delivery.client_msg_id:
            self._latest[delivery.open_id, delivery.client_msg_id] = len(self._deliveries)
        self._deliveries.append(delivery)

    def error(self, errcode: int, errmsg: str | None = None) -> JsonObject:
        """Return the answer WeChat gives with ``errcode``, with a request id as the real server appends one."""
        self._answers += 1
        rid = hashlib.sha256(f"{self._clock()}-{self._answers}".encode()).hexdigest()[:24]
        text = errmsg or _ERRMSG.get(errcode, "error")
        return {"errcode": errcode, "errmsg": f"{text} rid: {rid[:8]}-{rid[8:16]}-{rid[16:]}"}


def _day(now_ms: int) -> int:
    """Return the Beijing calendar day as a number."""
    return (now_ms + _BEIJING_MS) // _DAY_MS


def _text(data: Mapping[str, object], key: str) -> str:
    entry = data.get(key)
    value = entry.get("value") if isinstance(entry, Mapping) else None
    return value if isinstance(value, str) else ""
