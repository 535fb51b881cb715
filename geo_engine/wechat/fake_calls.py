"""The calls of the fake account that send nothing: QR codes, users, tickets of pages, media, addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from geo_engine.wechat.fake import FakeWeChat
from geo_engine.wechat.fake_model import FakeMedia, JsonObject

__all__ = ["FakeCalls"]

_TICKET_S: Final = 7_200


class FakeCalls:
    """Answers these calls from the state of ``account``. Safe for several threads."""

    def __init__(self, account: FakeWeChat) -> None:
        self._account = account
        self._tickets: dict[str, tuple[str, int]] = {}

    def create_code(self, token: str, body: object) -> JsonObject:
        """Answer ``POST /cgi-bin/qrcode/create``."""

        def work(now_ms: int) -> JsonObject:
            code = self._account.codes.create(body, now_ms)
            if isinstance(code, int):
                return self._account.error(code)
            answer: JsonObject = {"ticket": code.ticket, "url": code.text}
            return answer if code.lasts_s is None else {**answer, "expire_seconds": code.lasts_s}

        return self._account.answered(token, work)

    def user_info(self, token: str, query: Mapping[str, str]) -> JsonObject:
        """Answer ``GET /cgi-bin/user/info``; of who does not follow it says only that."""
        open_id = query.get("openid", "")

        def work(_now_ms: int) -> JsonObject:
            account = self._account
            if len(open_id) != 28 or not open_id.startswith("o"):
                return account.error(40003)
            if not account.follows(open_id):
                return {"subscribe": 0, "openid": open_id}
            scene = account.scenes.get(open_id)
            return {
                "subscribe": 1,
                "openid": open_id,
                "language": "zh_CN",
                "subscribe_time": account.followed_ms.get(open_id, 0) // 1000,
                "remark": "",
                "groupid": 0,
                "tagid_list": [],
                "subscribe_scene": "ADD_SCENE_SEARCH" if scene is None else "ADD_SCENE_QR_CODE",
                "qr_scene": 0,
                "qr_scene_str": scene or "",
            }

        return self._account.answered(token, work)

    def page_ticket(self, token: str, query: Mapping[str, str]) -> JsonObject:
        """Answer ``GET /cgi-bin/ticket/getticket``: the same ticket until its two hours are over."""
        kind = query.get("type", "")

        def work(now_ms: int) -> JsonObject:
            self._account.ticket_calls += 1
            if kind not in {"jsapi", "wx_card"}:
                return self._account.error(40097)
            ticket, ends_ms = self._tickets.get(kind, ("", 0))
            if now_ms >= ends_ms:
                ticket = hashlib.sha512(f"{kind} {now_ms}".encode()).hexdigest()[:86]
                ends_ms = now_ms + 1000 * _TICKET_S
                self._tickets[kind] = (ticket, ends_ms)
            left_s = (ends_ms - now_ms) // 1000
            return {"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": left_s}

        return self._account.answered(token, work)

    def addresses(self, token: str) -> JsonObject:
        """Answer ``GET /cgi-bin/getcallbackip`` and ``get_api_domain_ip``."""
        return self._account.answered(token, lambda _now_ms: {"ip_list": ["127.0.0.1"]})

    def media(self, token: str, query: Mapping[str, str]) -> JsonObject | FakeMedia:
        """Answer ``GET /cgi-bin/media/get``."""
        found: list[FakeMedia] = []

        def work(now_ms: int) -> JsonObject:
            media = self._account.media.get(query.get("media_id", ""))
            if media is None or now_ms >= media.until_ms:
                return self._account.error(40007)
            found.append(media)
            return {}

        refused = self._account.answered(token, work)
        return found[0] if found else refused
