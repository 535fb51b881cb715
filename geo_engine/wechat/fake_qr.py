"""QR codes of the fake account: made by ``qrcode/create``, shown as a picture, scanned by a tester."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["FakeCode", "FakeCodes", "code_picture"]

_DEFAULT_S: Final = 60
_LONGEST_S: Final = 2_592_000
_MOST_PERMANENT: Final = 100_000
_LONGEST_SCENE: Final = 64
_TEMPORARY: Final = frozenset({"QR_SCENE", "QR_STR_SCENE"})
_PERMANENT: Final = frozenset({"QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE"})


@dataclass(frozen=True, slots=True)
class FakeCode:
    """A QR code: its ticket, what a scan reports, and until when (None = for ever)."""

    ticket: str
    scene: str
    until_ms: int | None
    lasts_s: int | None

    @property
    def text(self) -> str:
        """Return the text in the picture."""
        return f"http://weixin.qq.com/q/{self.ticket[-22:]}"


class FakeCodes:
    """The QR codes of the account. Not safe for several threads: the account's lock guards it."""

    def __init__(self) -> None:
        self._codes: dict[str, FakeCode] = {}
        self._permanent = 0

    def create(self, body: object, now_ms: int) -> FakeCode | int:
        """Make a code as ``qrcode/create`` is asked to, or return the errcode: 47001, 40053 or 45029."""
        if not isinstance(body, Mapping):
            return 47001
        name, scene = str(body.get("action_name")), _scene(body)
        if scene is None or name not in _TEMPORARY | _PERMANENT:
            return 40053
        if name in _PERMANENT:
            if self._permanent >= _MOST_PERMANENT:
                return 45029
            self._permanent += 1
            return self._kept(scene, None, now_ms)
        lasts_s = body.get("expire_seconds", _DEFAULT_S)
        if isinstance(lasts_s, bool) or not isinstance(lasts_s, int) or not 1 <= lasts_s <= _LONGEST_S:
            return 40053
        return self._kept(scene, lasts_s, now_ms)

    def live(self, ticket: str, now_ms: int) -> FakeCode | None:
        """Return the code of a ticket, None when there is none or its time is over."""
        code = self._codes.get(ticket)
        return code if code is not None and (code.until_ms is None or now_ms < code.until_ms) else None

    def all(self) -> tuple[FakeCode, ...]:
        """Return every code that was made, oldest first."""
        return tuple(self._codes.values())

    def _kept(self, scene: str, lasts_s: int | None, now_ms: int) -> FakeCode:
        digest = hashlib.sha512(f"{len(self._codes)} {now_ms} {scene}".encode()).digest()
        # As long as a real one, and with the characters that must be escaped in an address.
        ticket = "gQ" + base64.b64encode(digest + b"==").decode()
        code = FakeCode(ticket, scene, None if lasts_s is None else now_ms + 1000 * lasts_s, lasts_s)
        self._codes[ticket] = code
        return code


def _scene(body: Mapping[str, object]) -> str | None:
    info = body.get("action_info")
    scene = info.get("scene") if isinstance(info, Mapping) else None
    if not isinstance(scene, Mapping):
        return None
    if str(body.get("action_name")).endswith("STR_SCENE"):
        text = scene.get("scene_str")
        return text if isinstance(text, str) and 1 <= len(text) <= _LONGEST_SCENE else None
    number = scene.get("scene_id")
    most = _MOST_PERMANENT if body.get("action_name") == "QR_LIMIT_SCENE" else 2**32 - 1
    if isinstance(number, bool) or not isinstance(number, int):
        return None
    return str(number) if 1 <= number <= most else None


def code_picture(code: FakeCode) -> str:
    """Return the picture of a code as SVG: it says what a scan would report, since no camera looks at it."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="430" height="130" font-family="monospace" font-size="13">'
        '<rect width="430" height="130" fill="#fff" stroke="#333"/>'
        '<text x="12" y="28">模拟二维码 · Fake QR code</text>'
        f'<text x="12" y="60" font-size="11">{escape(code.scene)}</text>'
        '<text x="12" y="92">POST /_fake/scan {"openid", "ticket"}</text></svg>'
    )
