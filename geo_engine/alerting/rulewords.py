"""A zone's rule in words: whom it concerns and when; and how it is known that it concerns somebody.

The one place that reads a rule to say it. ``rule_words`` is all that the rest of the wording knows of rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from geo_engine.alerting.whom import whom
from geo_engine.model import AlertReason, Language
from geo_engine.zones.zone import Zone

__all__ = ["Evidence", "RuleWords", "clock_text", "evidence_text", "opens_text", "rule_words", "until_text"]


@dataclass(frozen=True, slots=True)
class RuleWords:
    """A rule as people say it.

    Attributes:
        who: whom it concerns, empty = everybody.
        when: its hours, empty = always.
    """

    who: str
    when: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """How it is known: a position of the user at a moment, what it showed, and the rules in force.

    Attributes:
        time_ms: event time of the ping.
        trigger: what the ping showed.
        revision: revision of the zone set.
    """

    time_ms: int
    trigger: AlertReason
    revision: int


_TRIGGERS: Final[dict[Language, dict[AlertReason, str]]] = {
    Language.ZH: {
        AlertReason.APPROACH: "正在驶近",
        AlertReason.ENTER: "已在其中",
        AlertReason.WINDOW_OPENED: "限行时段开始时在其中",
        AlertReason.VEHICLE_CHANGED: "车辆或授权变更时在其中",
        AlertReason.ZONE_CHANGED: "区域变更时在其中",
        AlertReason.DWELL: "停留已满规定时间",
    },
    Language.EN: {
        AlertReason.APPROACH: "heading for it",
        AlertReason.ENTER: "inside it",
        AlertReason.WINDOW_OPENED: "inside when its hours began",
        AlertReason.VEHICLE_CHANGED: "inside when the vehicle or the consent changed",
        AlertReason.ZONE_CHANGED: "inside when the zone changed",
        AlertReason.DWELL: "inside for as long as the rule allows",
    },
}
_EPOCH_TEXT: Final = {Language.ZH: "{:%m-%d %H:%M:%S}", Language.EN: "{:%d %b %H:%M:%S}"}


def rule_words(zone: Zone, language: Language) -> RuleWords:
    """Return the rule of a zone in words. Cost: a look into a cache."""
    when = zone.schedule.text
    return RuleWords(whom(zone.applies_to, language), "" if when == "24/7" else when)


def evidence_text(zone: Zone, evidence: Evidence, language: Language) -> str:
    """Say why: the rule, whom it is about, its hours, and by which position and revision it was found to apply."""
    words = rule_words(zone, language)
    moment = clock_text(evidence.time_ms, zone.schedule.timezone, language)
    trigger = _TRIGGERS[language][evidence.trigger]
    if language is Language.ZH:
        rule = [f"适用于{words.who or '所有车辆'}", f"时段{words.when}" if words.when else "全天"]
        return "；".join([*rule, f"{moment}的定位显示{trigger}", f"规则第{evidence.revision}版"])
    rule = [f"applies to {words.who or 'every vehicle'}", f"hours {words.when}" if words.when else "at all hours"]
    return "; ".join([*rule, f"position of {moment}: {trigger}", f"rules revision {evidence.revision}"])


def clock_text(time_ms: int, timezone: str, language: Language) -> str:
    """Return a moment as day and clock time of the zone."""
    return _EPOCH_TEXT[language].format(_local(time_ms, timezone))


def until_text(until_ms: int | None, time_ms: int, timezone: str, language: Language) -> str:
    """Say when a rule ends, as a person would at ``time_ms``: the clock time, and the day when it is not today's."""
    chinese = language is Language.ZH
    if until_ms is None:
        return "长期有效" if chinese else "until further notice"
    now, end = _local(time_ms, timezone), _local(until_ms, timezone)
    days = (end.date() - now.date()).days
    if days == 1 and (end.hour, end.minute) == (0, 0):
        return "至24:00" if chinese else "until midnight"
    clock = f"{end:%H:%M}"
    if days == 0:
        return f"至{clock}" if chinese else f"until {clock}"
    if days == 1:
        return f"至明天{clock}" if chinese else f"until {clock} tomorrow"
    year = "" if end.year == now.year else f"{end.year}年"
    if chinese:
        return f"至{year}{end.month}月{end.day}日{clock}"
    return f"until {clock} on {end.day} {end:%b}" + (f" {end.year}" if year else "")


def opens_text(opens_ms: int, time_ms: int, timezone: str, language: Language) -> tuple[str, str]:
    """Say when a rule begins, as a person would at ``time_ms``: in how long, and at what time of the zone's clock.

    Minutes are rounded down: who is told too little has time to spare.
    """
    left_s = max((opens_ms - time_ms) // 1000, 0)
    minutes = left_s // 60
    clock = f"{_local(opens_ms, timezone):%H:%M}"
    if language is Language.ZH:
        return f"{minutes}分钟后" if minutes else f"{left_s}秒后", clock
    if not minutes:
        return f"in {left_s} s", clock
    return f"in {minutes} minute{'s' if minutes > 1 else ''}", clock


def _local(time_ms: int, timezone: str) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
