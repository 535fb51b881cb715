"""What the chat says about following, agreeing and withdrawing, in Chinese and English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from geo_engine.model import Language
from geo_engine.people.consents import CONSENT_TEXTS, Purpose
from geo_engine.people.identity import is_open_id
from geo_engine.store.protocol import Store
from geo_engine.wechat.inbound import FollowEvent, Inbound

__all__ = ["agreed", "greeting", "greeting_to", "withdrawn"]

_WELCOME: Final = {
    Language.ZH: "欢迎！本服务可在您驶近限行区域之前提醒您。",
    Language.EN: "Welcome! This service can warn you before you reach zones closed to your vehicle.",
}
_ASK: Final = {
    Language.ZH: "需要您的同意（{title}）：{sentence}\n同意请回复“同意”；随时回复“停止”即可撤回。",
    Language.EN: "Your consent is needed ({title}): {sentence}\nReply “agree” to agree; “stop” takes it back any time.",
}
_BIND: Final = {
    Language.ZH: "绑定车辆：{link}",
    Language.EN: "Your vehicle: {link}",
}
_MORE: Final = {
    Language.ZH: "发送“帮助”查看全部功能。For English send “English”.",
    Language.EN: "Send “help” to see everything.",
}
_AGREED: Final = {
    Language.ZH: "已记录您的同意（{title}）：{sentence}回复“{stop}”可随时撤回。",
    Language.EN: "Your consent is recorded ({title}): {sentence} Reply “{stop}” to take it back any time.",
}
_STOPS: Final = {
    Purpose.WARNINGS: {Language.ZH: "停止", Language.EN: "stop"},
    Purpose.HISTORY: {Language.ZH: "停止记录", Language.EN: "stop history"},
    Purpose.COMPANIONS: {Language.ZH: "停止同行", Language.EN: "stop companions"},
}
"""What takes back one purpose; that of the first takes back all, as it is the word everybody tries."""
_WITHDRAWN: Final = {
    Language.ZH: "已撤回：{titles}。",
    Language.EN: "Withdrawn: {titles}.",
}
_NOTHING: Final = {
    Language.ZH: "您没有同意过，所以没有需要撤回的。",
    Language.EN: "You had not agreed to that, so there is nothing to withdraw.",
}
_ERASE: Final = {
    Language.ZH: "要删除数据请发送“忘记我”。",
    Language.EN: "To erase your data send “forget me”.",
}


def greeting_to(message: Inbound, store: Store, bind_link: str | None) -> str | None:
    """Return what whoever follows is told in the answer to the push, in any process on the store; else None.

    Raises:
        StoreError: the store is away.
    """
    if not isinstance(message, FollowEvent) or not is_open_id(message.openid):
        return None
    u7 = store.u7_of(message.openid)
    person = None if u7 is None else store.person(u7)
    if person is None:
        return greeting(Language.ZH, bind_link, asks=True)
    return greeting(person.vehicle.language, bind_link, asks=not person.vehicle.consent_warnings)


def greeting(language: Language, bind_link: str | None, *, asks: bool) -> str:
    """Return what somebody who follows is told.

    Args:
        language: theirs.
        bind_link: where they bind a vehicle, None = there is no page.
        asks: they have not agreed yet, so they are asked.
    """
    words = CONSENT_TEXTS[Purpose.WARNINGS][language]
    lines = [_WELCOME[language]]
    if asks:
        lines.append(_ASK[language].format(title=words.title, sentence=words.sentence))
    return "\n".join([*lines, *_bind(language, bind_link), _MORE[language]])


def agreed(purpose: Purpose, language: Language, bind_link: str | None) -> str:
    """Return what somebody is told who agreed; with where to bind a vehicle if they have none yet."""
    words = CONSENT_TEXTS[purpose][language]
    said = _AGREED[language].format(title=words.title, sentence=words.sentence, stop=_STOPS[purpose][language])
    return "\n".join([said, *_bind(language, bind_link)])


def withdrawn(purposes: Sequence[Purpose], language: Language) -> str:
    """Return what somebody is told who withdrew consents; empty = there were none."""
    gap = "" if language is Language.ZH else " "
    if not purposes:
        return f"{_NOTHING[language]}{gap}{_ERASE[language]}"
    joint = "、" if language is Language.ZH else ", "
    titles = joint.join(CONSENT_TEXTS[purpose][language].title for purpose in purposes)
    return f"{_WITHDRAWN[language].format(titles=titles)}{gap}{_ERASE[language]}"


def _bind(language: Language, link: str | None) -> list[str]:
    return [] if link is None else [_BIND[language].format(link=link)]
