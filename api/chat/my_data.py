"""Everything that is known about a person as one JSON file, behind a signed link that expires."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any, Final

from geo_engine.alerting.policy import QuietHours
from geo_engine.store.messages import Cursor, MessageFilter, MessageRecord
from geo_engine.store.protocol import Store

__all__ = ["EXPORT_PATH", "MyData"]

EXPORT_PATH: Final = "/bind/data"
"""Below ``/bind``, which is all that a gateway lets the public see."""

_LASTS_MS: Final = 15 * 60_000
_TOKEN: Final = re.compile(r"([0-9]{1,7})\.([0-9]{1,15})\.([A-Za-z0-9_-]{22})", re.ASCII)
_PAGE: Final = 500


class MyData:
    """The port ``Exporter`` and the reader of its links. Safe for many threads; nothing is written to disk.

    Args:
        store: what is known.
        key: signs links.
        public_url: where the service is seen, None = no link can be made.
        clock: epoch milliseconds UTC.
    """

    def __init__(self, store: Store, key: bytes, public_url: str | None, clock: Callable[[], int]) -> None:
        self._store, self._key, self._clock = store, key, clock
        self._public_url = public_url

    def link(self, u7: int, now_ms: int) -> str | None:
        """Return where the person fetches the file in the next fifteen minutes."""
        open_id = self._open_id(u7)
        if self._public_url is None or open_id is None:
            return None
        until_ms = now_ms + _LASTS_MS
        return f"{self._public_url.rstrip('/')}{EXPORT_PATH}/{u7}.{until_ms}.{self._signature(u7, until_ms, open_id)}"

    def file(self, token: str) -> bytes | None:
        """Return the file of a link, None when the link is none of ours or has expired, or the person is gone.

        The OpenID is signed too: whoever gets the number later is somebody else.
        """
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        u7, until_ms = int(found[1]), int(found[2])
        open_id = self._open_id(u7)
        if open_id is None or self._clock() >= until_ms:
            return None
        if not hmac.compare_digest(self._signature(u7, until_ms, open_id), found[3]):
            return None
        return json.dumps(self._everything(u7, open_id), ensure_ascii=False, indent=1, default=_plain).encode()

    def _open_id(self, u7: int) -> str | None:
        person = self._store.person(u7)
        return None if person is None else person.open_id

    def _signature(self, u7: int, until_ms: int, open_id: str) -> str:
        signed = hmac.new(self._key, f"export {u7} {until_ms} {open_id}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(signed[:16]).rstrip(b"=").decode()

    def _everything(self, u7: int, open_id: str) -> dict[str, Any]:
        store, now_ms = self._store, self._clock()
        return {
            "person": store.person(u7),
            "phone": store.phone_of(u7),
            "vehicles": store.vehicles_of(u7),
            "consents": store.consents(u7),
            "muted": [mute for mute in store.mutes(now_ms) if mute.u7 == u7],
            "quiet_hours": _hours(store.quiet_hours(u7=u7).get(u7)),
            "history": store.history(u7, 0, now_ms + 1),
            "decisions": self._decisions(u7),
            "messages": self._messages(u7),
            "meetings": [
                {"meeting": one, "me": [member for member in store.meetings.members(one.meeting_id) if member.u7 == u7]}
                for one in store.meetings.of(u7)
            ],
            "reach": store.reach(open_id),
        }

    def _decisions(self, u7: int) -> list[Any]:
        found: list[Any] = []
        before: int | None = None
        while page := self._store.decisions(limit=_PAGE, u7=u7, before=before):
            found += page
            before = page[-1].number
        return found

    def _messages(self, u7: int) -> list[MessageRecord]:
        found: list[MessageRecord] = []
        after: Cursor | None = None
        while page := self._store.messages.search(MessageFilter(u7=u7), limit=_PAGE, after=after):
            found += page
            after = page[-1].cursor
        return found


def _hours(own: QuietHours | None) -> str | None:
    """Return own quiet hours as people write them, ``none`` of who wants none; None = those of the service hold."""
    return None if own is None else own.text or "none"


def _plain(value: object) -> object:
    """Return what JSON knows in place of a value of ours."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)
