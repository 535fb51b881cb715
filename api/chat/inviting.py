"""QR codes of meetings: made by WeChat when an organiser needs one, shown by the address of their picture."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from geo_engine.model import Language
from geo_engine.wechat.client import LONGEST_QR_S, QrCode, WeChatApi
from geo_engine.wechat.conversation import Answer
from geo_engine.wechat.conversation.phrases import with_invitation
from geo_engine.wechat.conversation.turn import Invitation

__all__ = ["Inviter"]

_log: Final = logging.getLogger(__name__)
_REMEMBERED: Final = 10_000


class Inviter:
    """Has temporary QR codes made, each once while it lives. Safe for many threads.

    A meeting may end later than the longest life of a code (30 days): who asks again after that gets another one.

    Args:
        api: the account's calls.
        qr_base: scheme and host that show the pictures.
        clock: epoch milliseconds UTC.
    """

    def __init__(self, api: WeChatApi, qr_base: str, clock: Callable[[], int]) -> None:
        self._api, self._qr_base, self._clock = api, qr_base.rstrip("/"), clock
        self._lock = threading.Lock()
        self._made: dict[str, tuple[str, int]] = {}

    def completed(self, answer: Answer, language: Language) -> str:
        """Return the text of an answer, with the QR code it is to end with. Cost: a call to WeChat for a new code.

        Without a code the text says how to join by typing, so it leaves as it is.
        """
        link = None if answer.invitation is None else self.link(answer.invitation)
        return answer.text if link is None else with_invitation(answer.text, link, language)

    def link(self, invitation: Invitation) -> str | None:
        """Return the address of the picture of a code, None when none can be made now."""
        now_ms = self._clock()
        with self._lock:
            link, ends_ms = self._made.get(invitation.scene, ("", 0))
        if now_ms < ends_ms:
            return link
        lasts_s = min(-(-(invitation.until_ms - now_ms) // 1000), LONGEST_QR_S)
        if lasts_s <= 0:
            return None
        made = self._api.create_qr_code(invitation.scene, lasts_s)
        if not isinstance(made, QrCode):
            _log.warning("chat: the QR code of a meeting could not be made: %s", made.detail)
            return None
        link = f"{self._qr_base}/cgi-bin/showqrcode?{urlencode({'ticket': made.ticket})}"
        with self._lock:
            self._made[invitation.scene] = (link, now_ms + 1000 * made.lasts_s)
            if len(self._made) > _REMEMBERED:
                del self._made[next(iter(self._made))]
        return link
