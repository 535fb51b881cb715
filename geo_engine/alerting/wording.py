"""The words of a warning: what, where, how far, how soon, what to do; Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass

from geo_engine.geodesy.measure import compass_word
from geo_engine.model import AlertReason, Language, RoadLevel, ZoneKind

__all__ = ["Facts", "rounded_m", "warning_text"]


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
        level: which of several roads above one another is meant, None = no such difference.
        others: names of the other zones whose rules apply at the same place, the one that wins first.
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
    level: RoadLevel | None = None
    others: tuple[str, ...] = ()


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


def rounded_m(distance_m: float) -> int:
    """Round a distance as a person says it: to 10 m, below 10 m to 1 m."""
    return round(distance_m) if distance_m < 10 else int(round(distance_m, -1))


def warning_text(facts: Facts, language: Language) -> str:
    """Write the warning in one or two short sentences."""
    return _english(facts) if language is Language.EN else _chinese(facts)


def _chinese(facts: Facts) -> str:
    what = _WHAT_ZH[facts.kind]
    if facts.bearing_deg is None:
        opened = facts.trigger is AlertReason.WINDOW_OPENED
        where = f"您所在的{facts.zone_name}现在开始{what}" if opened else f"您已进入{facts.zone_name}（{what}）"
    else:
        wind = compass_word(facts.bearing_deg, Language.ZH)
        where = f"{wind}方向{rounded_m(facts.distance_m)}米，{facts.zone_name}（{what}），约{round(facts.eta_s)}秒到达"
    notes = ["车辆资料不全，该规定可能适用于您的车辆"] if facts.may_apply else []
    notes += ["提示期，尚未执法"] if facts.advisory else []
    notes += [_LEVEL_ZH[facts.level]] if facts.level else []
    notes += [f"此处还适用：{'、'.join(facts.others)}"] if facts.others else []
    notes += [facts.advice] if facts.advice else []
    return "。".join([where, *notes]).rstrip("。") + "。"


def _english(facts: Facts) -> str:
    what = _WHAT_EN[facts.kind]
    if facts.bearing_deg is None:
        opened = facts.trigger is AlertReason.WINDOW_OPENED
        where = f"{facts.zone_name} is {what} from now on" if opened else f"You are in {facts.zone_name}, {what}"
    else:
        wind = compass_word(facts.bearing_deg, Language.EN)
        where = f"{rounded_m(facts.distance_m)} m ahead, {wind}: {facts.zone_name} is {what}, {round(facts.eta_s)} s"
    notes = ["The rule may apply to your vehicle: not all about it is known"] if facts.may_apply else []
    notes += ["Advisory, not enforced yet"] if facts.advisory else []
    notes += [_LEVEL_EN[facts.level]] if facts.level else []
    notes += [f"Also in force here: {', '.join(facts.others)}"] if facts.others else []
    notes += [facts.advice] if facts.advice else []
    return ". ".join([where, *notes]).rstrip(".") + "."
