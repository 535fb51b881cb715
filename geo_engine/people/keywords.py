"""Words by which somebody agrees, withdraws or wants to be forgotten in a chat: a table, and what a message means.

Only a message that is nothing but the word counts: 停止在哪里停车 is a question, not a withdrawal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from geo_engine.people.consents import Purpose

__all__ = ["KEYWORDS", "Wish", "WishAct", "wish_of"]


class WishAct(StrEnum):
    """What somebody wants."""

    AGREE = "agree"
    WITHDRAW = "withdraw"
    ASK_ERASURE = "ask_erasure"
    """To be forgotten; it cannot be undone, so the chat asks once more."""
    CONFIRM_ERASURE = "confirm_erasure"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a message means: the act, and the purposes it is about (all of a person's data for an erasure)."""

    act: WishAct
    purposes: tuple[Purpose, ...] = tuple(Purpose)


# A bare no is a no to everything; a bare yes is a yes to the one thing people follow the account for. The others are
# asked by name, because the law wants a separate consent for each.
_STOP: Final = Wish(WishAct.WITHDRAW)
_START: Final = Wish(WishAct.AGREE, (Purpose.WARNINGS,))

KEYWORDS: Final[Mapping[str, Wish]] = {
    **dict.fromkeys(("停止", "退订", "取消", "停", "关闭", "不同意", "拒绝", "撤回", "撤回同意", "停止定位"), _STOP),
    **dict.fromkeys(("td", "t", "stop", "unsubscribe", "stopall", "no", "off", "withdraw"), _STOP),
    **dict.fromkeys(("同意", "恢复", "开始", "开启", "同意定位", "同意提醒", "恢复提醒"), _START),
    **dict.fromkeys(("start", "unstop", "yes", "agree", "on", "resume"), _START),
    **dict.fromkeys(("停止提醒", "stop warnings"), Wish(WishAct.WITHDRAW, (Purpose.WARNINGS,))),
    **dict.fromkeys(("同意记录", "保存记录", "start history"), Wish(WishAct.AGREE, (Purpose.HISTORY,))),
    **dict.fromkeys(("停止记录", "删除记录", "stop history"), Wish(WishAct.WITHDRAW, (Purpose.HISTORY,))),
    **dict.fromkeys(("同意同行", "同伴可见", "start companions"), Wish(WishAct.AGREE, (Purpose.COMPANIONS,))),
    **dict.fromkeys(("停止同行", "同伴不可见", "stop companions"), Wish(WishAct.WITHDRAW, (Purpose.COMPANIONS,))),
    **dict.fromkeys(("注销", "删除我的数据", "忘记我", "erase me", "forget me"), Wish(WishAct.ASK_ERASURE)),
    **dict.fromkeys(("确认注销", "confirm erase"), Wish(WishAct.CONFIRM_ERASURE)),
}
"""Each word as ``wish_of`` folds a message: lower case, one space between words, no mark at its ends."""

_LONGEST: Final = 40
_EDGES: Final = re.compile(r"^[\W_]+|[\W_]+$")


def wish_of(message: str) -> Wish | None:
    """Return what a message wants if it is a keyword, None otherwise.

    Case, full-width letters, spaces and marks round the word make no difference.
    """
    if len(message) > _LONGEST:
        return None
    folded = _EDGES.sub("", unicodedata.normalize("NFKC", message).casefold())
    return KEYWORDS.get(" ".join(folded.split()))
