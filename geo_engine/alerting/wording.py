"""The words of a warning: what, where, how far, how soon, until when, what to do, whom it concerns; two languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from geo_engine.alerting.rulewords import opens_text, until_text
from geo_engine.geodesy.measure import compass_word
from geo_engine.model import AlertReason, Language, RoadLevel, ZoneKind

__all__ = ["Facts", "action_text", "rounded_m", "warning_text"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a warning says.

    Attributes:
        zone_name: name of the zone in the language of the text.
        kind: kind of the zone.
        trigger: what made the warning due.
        distance_m: metres to the border, 0 when inside.
        bearing_deg: direction of the border, None when inside.
        eta_s: seconds to the border.
        may_apply: the vehicle is not known well enough to be sure.
        advisory: the rule is valid but not enforced yet.
        advice: what staff advise, may be empty.
        time_ms: the moment of the warning.
        until_ms: when the rule ends or pauses, None = until further notice.
        tells_end: the end was asked for; it is not for what nobody is sent.
        timezone: IANA name of the zone's time zone.
        who: whom the rule concerns, empty = everybody.
        also: names of the further zones the same message tells of, the gravest first.
        level: which of several roads above one another is meant, None = no such difference.
        others: names of the other zones whose rules apply at the same place, the one that wins first.
        dwell_s: how long one may be inside before it is told of.
        opens_ms: when the rule begins, if that is before the user arrives; None = it is in force.
    """

    zone_name: str
    kind: ZoneKind
    trigger: AlertReason
    distance_m: float
    bearing_deg: float | None
    eta_s: float
    may_apply: bool
    advisory: bool
    advice: str
    time_ms: int = 0
    until_ms: int | None = None
    tells_end: bool = True
    timezone: str = "Asia/Shanghai"
    who: str = ""
    also: tuple[str, ...] = ()
    level: RoadLevel | None = None
    others: tuple[str, ...] = ()
    opens_ms: int | None = None
    dwell_s: int = 0


_MOST_NAMED: Final = 2
"""Further zones that are named; of the others only the number is said."""

_LEVEL_ZH = {
    RoadLevel.ELEVATED: "仅指高架道路，定位分不清上下层",
    RoadLevel.GROUND: "仅指地面道路，定位分不清上下层",
    RoadLevel.TUNNEL: "仅指隧道，定位分不清上下层",
}
_LEVEL_EN = {
    RoadLevel.ELEVATED: "This is about the elevated road; your position cannot tell it from the one below",
    RoadLevel.GROUND: "This is about the road on the ground; your position cannot tell it from the one above",
    RoadLevel.TUNNEL: "This is about the tunnel; your position cannot tell it from the road above",
}
_WHAT_ZH = {
    ZoneKind.TRUCK_RESTRICTION: "货车禁行",
    ZoneKind.CONGESTION: "拥堵",
    ZoneKind.CONSTRUCTION: "施工",
    ZoneKind.VENUE: "场所",
}
_WHAT_EN = {
    ZoneKind.TRUCK_RESTRICTION: "closed to your vehicle",
    ZoneKind.CONGESTION: "congested",
    ZoneKind.CONSTRUCTION: "under construction",
    ZoneKind.VENUE: "a venue",
}
_SOON_EN = {
    ZoneKind.TRUCK_RESTRICTION: "closes to your vehicle",
    ZoneKind.CONGESTION: "will be congested",
    ZoneKind.CONSTRUCTION: "will be under construction",
    ZoneKind.VENUE: "opens",
}
_AHEAD: Final = {
    Language.ZH: {
        ZoneKind.TRUCK_RESTRICTION: "请提前绕行",
        ZoneKind.CONGESTION: "请考虑绕行",
        ZoneKind.CONSTRUCTION: "请减速慢行",
        ZoneKind.VENUE: "",
    },
    Language.EN: {
        ZoneKind.TRUCK_RESTRICTION: "Take another road",
        ZoneKind.CONGESTION: "Consider another road",
        ZoneKind.CONSTRUCTION: "Slow down",
        ZoneKind.VENUE: "",
    },
}
_LEAVE: Final = {Language.ZH: "请尽快驶离", Language.EN: "Leave by the shortest way"}


def rounded_m(distance_m: float) -> int:
    """Round a distance as a person says it: to 10 m, below 10 m to 1 m."""
    return round(distance_m) if distance_m < 10 else int(round(distance_m, -1))


def action_text(advice: str, kind: ZoneKind, language: Language, *, inside: bool) -> str:
    """Say what to do: what staff advise, or else what is right for the kind of zone."""
    if advice:
        return advice
    if inside and kind is ZoneKind.TRUCK_RESTRICTION:
        return _LEAVE[language]
    return _AHEAD[language][kind]


def warning_text(facts: Facts, language: Language) -> str:
    """Write the warning in a few short sentences."""
    return _english(facts) if language is Language.EN else _chinese(facts)


def _until(facts: Facts, language: Language) -> str:
    # "Until further notice" is worth its words only where somebody waits for an end.
    if not facts.tells_end or (facts.until_ms is None and facts.kind is not ZoneKind.TRUCK_RESTRICTION):
        return ""
    return until_text(facts.until_ms, facts.time_ms, facts.timezone, language)


def _span_text(seconds: int, language: Language) -> str:
    chinese = language is Language.ZH
    if seconds % 60 or not seconds:
        return f"{seconds}秒" if chinese else f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes}分钟" if chinese else f"{minutes} minute{'s' if minutes > 1 else ''}"


def _where_zh(facts: Facts) -> str:
    name, what = facts.zone_name, _WHAT_ZH[facts.kind]
    if facts.bearing_deg is None:
        match facts.trigger:
            case AlertReason.WINDOW_OPENED:
                return f"您所在的{name}现在开始{what}"
            case AlertReason.VEHICLE_CHANGED:
                return f"您的车辆或授权有变更，您所在的{name}（{what}）现在与您有关"
            case AlertReason.ZONE_CHANGED:
                return f"{name}（{what}）刚有变更，您现在在其中"
            case AlertReason.DWELL:
                return f"您在{name}（{what}）停留已满{_span_text(facts.dwell_s, Language.ZH)}"
        return f"您已进入{name}（{what}）"
    zone = f"{name}（{what}）"
    if facts.opens_ms is not None:
        left, clock = opens_text(facts.opens_ms, facts.time_ms, facts.timezone, Language.ZH)
        zone = f"{name}{left}开始{what}（{clock}）"
    wind = compass_word(facts.bearing_deg, Language.ZH)
    return f"{wind}方向{rounded_m(facts.distance_m)}米，{zone}，约{round(facts.eta_s)}秒到达"


def _chinese(facts: Facts) -> str:
    action = action_text(facts.advice, facts.kind, Language.ZH, inside=facts.bearing_deg is None)
    named = "、".join(facts.also[:_MOST_NAMED]) + ("等" if len(facts.also) > _MOST_NAMED else "")
    notes = [
        "，".join(filter(None, [_where_zh(facts), _until(facts, Language.ZH)])),
        "提示期，尚未执法" if facts.advisory else "",
        _LEVEL_ZH[facts.level] if facts.level else "",
        f"此处还适用：{'、'.join(facts.others)}" if facts.others else "",
        action,
        f"另有{len(facts.also)}处：{named}" if facts.also else "",
        f"{'车辆资料不全，可能' if facts.may_apply else ''}适用于您的车辆：{facts.who or '所有车辆'}"
        if facts.who or facts.may_apply
        else "",
    ]
    return "。".join(note.rstrip("。") for note in notes if note) + "。"


def _where_en(facts: Facts) -> str:
    name, what = facts.zone_name, _WHAT_EN[facts.kind]
    if facts.bearing_deg is None:
        match facts.trigger:
            case AlertReason.WINDOW_OPENED:
                return f"{name} is {what} from now on"
            case AlertReason.VEHICLE_CHANGED:
                return f"Your vehicle or consent has changed, and you are in {name}, {what}"
            case AlertReason.ZONE_CHANGED:
                return f"{name} has just been changed, and you are in it now: it is {what}"
            case AlertReason.DWELL:
                return f"You have been in {name}, {what}, for {_span_text(facts.dwell_s, Language.EN)}"
        return f"You are in {name}, {what}"
    zone = f"{name} is {what}"
    if facts.opens_ms is not None:
        left, clock = opens_text(facts.opens_ms, facts.time_ms, facts.timezone, Language.EN)
        zone = f"{name} {_SOON_EN[facts.kind]} {left} ({clock})"
    wind = compass_word(facts.bearing_deg, Language.EN)
    return f"{rounded_m(facts.distance_m)} m ahead, {wind}: {zone}, you arrive in {round(facts.eta_s)} s"


def _english(facts: Facts) -> str:
    action = action_text(facts.advice, facts.kind, Language.EN, inside=facts.bearing_deg is None)
    more = f"And {len(facts.also)} more: {', '.join(facts.also[:_MOST_NAMED])}"
    notes = [
        ", ".join(filter(None, [_where_en(facts), _until(facts, Language.EN)])),
        "Advisory, not enforced yet" if facts.advisory else "",
        _LEVEL_EN[facts.level] if facts.level else "",
        f"Also in force here: {', '.join(facts.others)}" if facts.others else "",
        action,
        more + (" and others" if len(facts.also) > _MOST_NAMED else "") if facts.also else "",
        f"The rule {'may apply' if facts.may_apply else 'applies'} to your vehicle: {facts.who or 'every vehicle'}"
        if facts.who or facts.may_apply
        else "",
    ]
    return ". ".join(note.rstrip(".") for note in notes if note) + "."
