"""What a person means: a table of words in Chinese and English, and the keys of menu buttons, read with some grace."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["WORDS", "Intent", "Meant", "normalised", "recognise", "recognise_key"]


class Intent(StrEnum):
    """What a person wants. The value is the key of its menu button."""

    HELP = "help"
    THANKS = "thanks"
    """Thanks, or heard: nothing is wanted."""
    NEAREST = "nearest"
    """The nearest stores and venues; with words after it, those of that name."""
    VENUE = "venue"
    COMPANIONS = "companions"
    ZONES = "zones"
    WARNINGS = "warnings"
    MUTE = "mute"
    UNMUTE = "unmute"
    QUIET = "quiet"
    """Own quiet hours; with words after it, these."""
    NO_QUIET = "no_quiet"
    MY_DATA = "my_data"
    FORGET_ME = "forget_me"
    STOP = "stop"
    LANGUAGE_ZH = "language_zh"
    LANGUAGE_EN = "language_en"
    CREATE = "create_meeting"
    JOIN = "join_meeting"
    LEAVE = "leave_meeting"
    END = "end_meeting"
    MEETINGS = "my_meetings"
    ARRIVED = "arrived"
    SHARE = "share"
    UNSHARE = "unshare"
    NOTICE = "notice"
    NO_NOTICE = "no_notice"
    YES = "yes"
    NO = "no"


WORDS: Final[dict[Intent, tuple[str, ...]]] = {
    Intent.HELP: (
        *("帮助", "菜单", "功能", "怎么用", "说明", "help", "menu", "?"),
        *("你好", "您好", "在吗", "有人吗", "hello", "hi", "hey"),
    ),
    Intent.THANKS: (
        *("谢谢", "谢谢您", "谢谢你", "多谢", "谢了", "辛苦了", "收到", "知道了", "明白", "明白了"),
        *("thanks", "thank you", "thx", "got it"),
    ),
    Intent.NEAREST: (
        *(
            "最近门店",
            "最近的门店",
            "最近的店",
            "最近的",
            "附近门店",
            "附近的店",
            "附近有什么",
            "附近",
            "门店",
            "周边",
            "最近",
        ),
        *("nearest store", "nearest shop", "nearest", "near me", "nearby", "stores", "shops", "closest"),
        *("nearest venue", "nearest venues", "nearest stores", "nearest shops"),
    ),
    Intent.VENUE: (
        *("会场在哪里", "会场在哪", "会场", "会议地点", "在哪开会", "怎么去会场", "venue", "where is the meeting"),
        *("meeting place", "where is the venue"),
    ),
    Intent.COMPANIONS: (
        *("同伴在哪", "同伴", "同行", "大家在哪", "大家到哪了", "他们在哪", "companions", "where is everybody"),
        *("where are the others", "where is everyone", "friends"),
    ),
    Intent.ZONES: (
        *("附近限行", "限行区域", "限行", "禁行", "附近禁行", "周围限行", "能不能走", "今天限行", "限行查询"),
        *("zones", "restrictions", "bans", "closed roads", "zones around me", "restrictions around me"),
    ),
    Intent.WARNINGS: ("我的提醒", "提醒记录", "我的警告", "历史提醒", "my warnings", "warnings", "my alerts", "alerts"),
    Intent.MUTE: (
        *("不再提醒此区域", "不再提醒", "别再提醒", "不要再提醒", "屏蔽此区域", "屏蔽", "do not warn me here again"),
        *("mute", "mute this zone", "dont warn me here again", "do not warn me again"),
    ),
    Intent.UNMUTE: ("恢复提醒", "重新提醒", "取消屏蔽", "unmute", "warn me again"),
    Intent.QUIET: (
        *("免打扰", "勿扰", "免打扰时段", "静音时段", "夜间免打扰"),
        *("quiet", "quiet hours", "do not disturb"),
    ),
    Intent.NO_QUIET: (
        *("免打扰关闭", "关闭免打扰", "取消免打扰", "不要免打扰", "免打扰取消"),
        *("quiet off", "quiet hours off", "no quiet hours", "turn off quiet hours"),
    ),
    Intent.MY_DATA: ("我的数据", "导出数据", "导出我的数据", "导出", "my data", "export my data", "export"),
    Intent.FORGET_ME: (
        *("忘记我", "删除我的数据", "删除数据", "注销", "注销账号", "清除我的数据", "forget me", "delete my data"),
        *("erase me", "delete me"),
    ),
    Intent.STOP: ("停止", "停止定位", "停止提醒", "关闭定位", "不要定位", "stop", "unsubscribe", "stop tracking"),
    Intent.LANGUAGE_ZH: ("中文", "汉语", "chinese"),
    Intent.LANGUAGE_EN: ("英文", "英语", "english"),
    Intent.CREATE: ("开会", "创建会议", "新建会议", "发起会议", "new meeting", "create meeting", "create a meeting"),
    Intent.JOIN: ("加入会议", "加入", "参加会议", "参加", "入会", "join meeting", "join the meeting", "join"),
    Intent.LEAVE: ("退出会议", "离开会议", "退出", "离开", "leave meeting", "leave the meeting", "leave"),
    Intent.END: ("结束会议", "取消会议", "散会", "end meeting", "end the meeting", "cancel meeting"),
    Intent.MEETINGS: ("我的会议", "会议列表", "会议", "my meetings", "meetings", "meeting"),
    Intent.ARRIVED: ("我到了", "已到达", "到了", "我已到达", "已到", "签到", "i have arrived", "arrived", "i am here"),
    Intent.SHARE: ("共享位置", "分享位置", "共享", "share my location", "share location", "share"),
    Intent.UNSHARE: ("停止共享", "不共享", "取消共享", "关闭共享", "stop sharing", "unshare", "do not share"),
    Intent.NOTICE: ("靠近提醒", "接近提醒", "到达提醒", "notify me", "proximity notice", "tell me when near"),
    Intent.NO_NOTICE: ("关闭靠近提醒", "取消靠近提醒", "取消接近提醒", "no notice", "stop notice", "do not notify me"),
    Intent.YES: ("确认", "是", "好", "好的", "同意", "确认删除", "yes", "ok", "y", "confirm"),
    Intent.NO: ("取消", "否", "不", "不要", "算了", "no", "n", "cancel"),
}
"""The words; a slip in a longer one is forgiven (see ``recognise``). No two intents share a word."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What was understood.

    Attributes:
        intent: what is wanted.
        rest: what was said beside it (``加入 ABCD1234`` -> ``ABCD1234``), as it was typed.
    """

    intent: Intent
    rest: str = ""


# The characters of the words above, as they are written traditionally.
_SIMPLER: Final = str.maketrans(
    "擾時謝請幫單麼說門點會場議伴誰圍開關閉區屏蔽復數據導註銷刪除記憶號創發參離結達簽確認靠這裡裏個醒點邊別們歷語漢",
    "扰时谢请帮单么说门点会场议伴谁围开关闭区屏蔽复数据导注销删除记忆号创发参离结达签确认靠这里里个醒点边别们历语汉",
)
_FILLER: Final = frozenset("。，、！？；：,.!;:'\"“”‘’「」（）()~～…-_ \t\r\n吗呢啊吧请嘛呀")
_TAKES_REST: Final = frozenset(
    {Intent.NEAREST, Intent.CREATE, Intent.JOIN, Intent.NOTICE, Intent.MUTE, Intent.UNMUTE, Intent.QUIET}
)
_SLIP_FROM: Final = 4
"""Latin words from this length on may hold one slip, Chinese ones from this length on as well."""


def normalised(text: str) -> str:
    """Return a text for comparing: half width, small letters, simplified, without punctuation, blanks and particles."""
    return "".join(char for _, char in _kept(text))


def _kept(text: str) -> Iterator[tuple[int, str]]:
    """Yield (place in the text, character for comparing) of what counts."""
    for place, char in enumerate(text):
        for part in unicodedata.normalize("NFKC", char).casefold().translate(_SIMPLER):
            if part not in _FILLER:
                yield place, part


_TABLE: Final = {normalised(word): intent for intent, words in WORDS.items() for word in words}
_LONGEST_FIRST: Final = sorted(_TABLE, key=len, reverse=True)


def recognise_key(key: str) -> Meant | None:
    """Return what a menu button of this key means, None when it is not one of ours."""
    return Meant(Intent(key)) if key in Intent._value2member_map_ else None


def recognise(text: str) -> Meant | None:
    """Return what a text means, None when nothing was understood.

    In this order: exactly one of our words; one of our words and then something else, for what takes something (a code,
    a name, metres); a question that holds one of our words; one slip (a letter wrong, missing, too many, or two
    swapped) in a word of four characters or more. What cannot be taken back is meant by its exact word only.
    """
    kept = list(_kept(text))
    while len(kept) > 1 and kept[-1][1] == "?":  # alone it is a word
        kept.pop()
    said = "".join(char for _, char in kept)
    if not said:
        return Meant(Intent.HELP) if text.strip() and any(char in "?？" for char in text) else None
    if said in _TABLE:
        return Meant(_TABLE[said])
    return _with_rest(text, kept, said) or _inside(text, kept, said) or _slipped(said)


def _with_rest(text: str, kept: list[tuple[int, str]], said: str) -> Meant | None:
    for word in _LONGEST_FIRST:
        if said.startswith(word) and _TABLE[word] in _TAKES_REST:
            begin = kept[len(word)][0]
            # A Latin word ends where a word ends: "joint" is no "join t".
            if word[-1].isascii() and text[begin - 1 : begin].isalnum():
                continue
            return _asked_for(_TABLE[word], text[begin:])
    return None


_AND_WHERE: Final = re.compile(r"(?:在|是)?(?:哪里|哪儿|哪|什么地方|怎么走|怎么去|有多远|多远)[?？!！。\s]*$")


def _asked_for(intent: Intent, rest: str) -> Meant:
    """Return an intent with what was said after its word; "nearby" and then a word of ours is about that word."""
    rest = rest.strip()
    if intent is not Intent.NEAREST:
        return Meant(intent, rest)
    other = _TABLE.get(normalised(rest))
    return Meant(intent, _AND_WHERE.sub("", rest).strip(" ?？!！。,，")) if other is None else Meant(other)


_LONG_ENOUGH: Final = 3
_ASIDE: Final = frozenset(
    {Intent.FORGET_ME, Intent.END, Intent.LEAVE, Intent.STOP, Intent.YES, Intent.NO, Intent.SHARE}
)
"""What must be said and nothing else: a word of it inside a sentence may mean the opposite."""


def _inside(text: str, kept: list[tuple[int, str]], said: str) -> Meant | None:
    for word in _LONGEST_FIRST:
        long_enough = len(word) >= (_LONG_ENOUGH if not word.isascii() else 2 * _LONG_ENOUGH)
        if long_enough and _TABLE[word] not in _ASIDE and _stands_in(text, kept, said, word):
            end = said.index(word) + len(word)
            rest = text[kept[end][0] :] if end < len(kept) else ""
            return _asked_for(Intent.NEAREST, rest) if _TABLE[word] is Intent.NEAREST else Meant(_TABLE[word])
    # Two Chinese characters are a whole word, and a short question is about it.
    for intent in _ASKED if len(said) <= _SHORT_QUESTION else ():
        if any(len(word) == 2 and word in said and _TABLE[word] is intent for word in _LONGEST_FIRST):
            return Meant(intent)
    return None


def _stands_in(text: str, kept: list[tuple[int, str]], said: str, word: str) -> bool:
    """Say whether a text holds a word; a Latin one between other characters than letters and digits."""
    begin = said.find(word)
    if begin < 0 or not word.isascii():
        return begin >= 0
    first, last = kept[begin][0], kept[begin + len(word) - 1][0]
    return not (text[max(first - 1, 0) : first].isalnum() or text[last + 1 : last + 2].isalnum())


_ASKED: Final = (Intent.ZONES, Intent.COMPANIONS, Intent.VENUE, Intent.NEAREST)
"""What short questions are about, the more telling word first: a restriction near me is about restrictions."""

_SHORT_QUESTION: Final = 8


def _slipped(said: str) -> Meant | None:
    near = {_TABLE[word] for word in _TABLE if _may_slip(word) and _one_slip(said, word)}
    return Meant(near.pop()) if len(near) == 1 and not near & _ASIDE else None


def _may_slip(word: str) -> bool:
    return len(word) >= _SLIP_FROM


def _one_slip(said: str, word: str) -> bool:
    """Say whether one letter wrong, missing, too many, or two neighbours swapped make the one of the other."""
    if abs(len(said) - len(word)) > 1 or said == word:
        return said == word
    first = next((at for at, (a, b) in enumerate(zip(said, word, strict=False)) if a != b), min(len(said), len(word)))
    a, b = said[first:], word[first:]
    if len(a) == len(b):
        swapped = len(a) >= 2 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:]
        return a[1:] == b[1:] or swapped
    return a[1:] == b if len(a) > len(b) else a == b[1:]
