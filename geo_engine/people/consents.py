"""Consent: what people are asked, each purpose apart, the words and their version, and what a record of it holds.

Everything is off until somebody said yes to exactly that; a no is as easy as a yes and holds at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from geo_engine.model import Language

__all__ = [
    "CONSENT_TEXTS",
    "CONSENT_VERSION",
    "ConsentChannel",
    "ConsentRecord",
    "ConsentText",
    "Purpose",
    "granted_now",
]

CONSENT_VERSION: Final = "2026-11"
"""The version of ``CONSENT_TEXTS``: whoever changes their meaning changes it, and each record names the one seen."""


class Purpose(StrEnum):
    """What a consent is about. The values stand in the store."""

    WARNINGS = "warnings"
    """To be located and warned."""
    HISTORY = "history"
    """That it is kept for some days which zones one was in."""
    COMPANIONS = "companions"
    """That companions see how far away one is."""


class ConsentChannel(StrEnum):
    """Where somebody decided. The values stand in the store."""

    MENU = "wechat-menu"
    KEYWORD = "wechat-keyword"
    EVENT = "wechat-event"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One yes or no. Records are added, never changed; the last one of a purpose holds.

    Attributes:
        u7: whose.
        purpose: about what; a name this program does not know may stand in an old record.
        granted: True = yes.
        version: version of the words the person saw.
        at_ms: when they decided.
        channel: where.
    """

    u7: int
    purpose: str
    granted: bool
    version: str
    at_ms: int
    channel: str


@dataclass(frozen=True, slots=True)
class ConsentText:
    """What a person agrees to: a title and the sentence under it."""

    title: str
    sentence: str


CONSENT_TEXTS: Final[Mapping[Purpose, Mapping[Language, ConsentText]]] = {
    Purpose.WARNINGS: {
        Language.ZH: ConsentText("定位与提醒", "使用我上报的位置，在我驶近对我的车辆限行的区域之前提醒我。"),
        Language.EN: ConsentText(
            "Locate and warn me", "Use the positions I report to warn me before zones closed to my vehicle."
        ),
    },
    Purpose.HISTORY: {
        Language.ZH: ConsentText("保存行踪记录", "保存我何时进出了哪些区域，到期自动删除。关闭后立即删除。"),
        Language.EN: ConsentText(
            "Keep my history", "Keep which zones I entered and left, for a limited time. Off erases it at once."
        ),
    },
    Purpose.COMPANIONS: {
        Language.ZH: ConsentText("对同伴可见", "让与我同行且也同意的人看到我与他们的距离和方向。"),
        Language.EN: ConsentText(
            "Visible to companions", "Let companions who agreed too see how far away I am, and in which direction."
        ),
    },
}
"""What is asked, per purpose and language."""


def granted_now(records: Iterable[ConsentRecord]) -> dict[Purpose, bool]:
    """Return what holds for each purpose, given one person's records in the order they were added."""
    held = dict.fromkeys(Purpose, False)
    for record in records:
        if record.purpose in held:
            held[Purpose(record.purpose)] = record.granted
    return held
