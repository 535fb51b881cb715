"""Whom a rule concerns, in the words a driver reads."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final

from geo_engine.alerting.usewords import goods_text, services_text
from geo_engine.model import BodyType, Energy, Language, PlateColour, VehicleClass, VehicleKind
from geo_engine.zones.rule import GOODS_KINDS, NEW_ENERGY, AppliesTo, Limit, Measure, TailParity

__all__ = ["whom"]

_ZH, _EN = Language.ZH, Language.EN

_TRUCKS: Final = {_ZH: "货车及专项作业车", _EN: "trucks and work vehicles"}
_NEW: Final = {_ZH: "新能源车", _EN: "new-energy vehicles"}

_WORDS_ZH: Final[dict[StrEnum, str]] = {
    VehicleKind.CAR: "小客车",
    VehicleKind.COACH: "大客车",
    VehicleKind.GOODS: "货车",
    VehicleKind.TRACTOR: "牵引车",
    VehicleKind.TRAILER: "挂车",
    VehicleKind.SPECIAL_WORK: "专项作业车",
    VehicleKind.WHEELED_MACHINE: "轮式机械车",
    VehicleKind.LOW_SPEED: "低速货车",
    VehicleKind.HAZMAT: "危险品运输车",
    VehicleKind.FARM_TRACTOR: "拖拉机",
    VehicleClass.MICRO: "微型",
    VehicleClass.LIGHT: "轻型",
    VehicleClass.MEDIUM: "中型",
    VehicleClass.HEAVY: "重型",
    PlateColour.BLUE: "蓝牌",
    PlateColour.YELLOW: "黄牌",
    PlateColour.BLACK: "黑牌",
    PlateColour.WHITE: "白牌",
    PlateColour.GREEN: "绿牌",
    PlateColour.YELLOW_GREEN: "黄绿牌",
    Energy.PETROL: "汽油车",
    Energy.DIESEL: "柴油车",
    Energy.GAS: "燃气车",
    Energy.HYBRID: "混合动力车",
    Energy.PLUG_IN_HYBRID: "插电混动车",
    Energy.ELECTRIC: "纯电动车",
    Energy.HYDROGEN: "氢能车",
    BodyType.VAN: "厢式",
    BodyType.FLATBED: "平板",
    BodyType.TANK: "罐式",
    BodyType.TIPPER: "自卸",
    BodyType.STAKE: "仓栅",
    BodyType.REFRIGERATED: "冷藏",
    BodyType.CONTAINER: "集装箱",
    BodyType.OTHER: "其他车身",
}
_KINDS_EN: Final[dict[StrEnum, str]] = {
    VehicleKind.CAR: "cars",
    VehicleKind.COACH: "coaches",
    VehicleKind.GOODS: "goods vehicles",
    VehicleKind.TRACTOR: "tractor units",
    VehicleKind.TRAILER: "trailers",
    VehicleKind.SPECIAL_WORK: "special work vehicles",
    VehicleKind.WHEELED_MACHINE: "wheeled machinery",
    VehicleKind.LOW_SPEED: "low-speed trucks",
    VehicleKind.HAZMAT: "hazmat vehicles",
    VehicleKind.FARM_TRACTOR: "farm tractors",
}
_MEASURES: Final[dict[Measure, tuple[str, str, str, str]]] = {
    Measure.GROSS_WEIGHT: ("总质量", "吨", "gross weight", " t"),
    Measure.LOAD: ("载重", "吨", "load", " t"),
    Measure.AXLE_LOAD: ("轴荷", "吨", "axle load", " t"),
    Measure.AXLES: ("轴数", "轴", "axles", ""),
    Measure.LENGTH: ("车长", "米", "length", " m"),
    Measure.WIDTH: ("车宽", "米", "width", " m"),
    Measure.HEIGHT: ("车高", "米", "height", " m"),
    Measure.SEATS: ("座位", "座", "seats", ""),
}
_PARITY: Final = {
    _ZH: {TailParity.AS_DATE: "尾号与日期同单双", TailParity.NOT_AS_DATE: "尾号与日期不同单双"},
    _EN: {
        TailParity.AS_DATE: "last digit odd on odd dates, even on even dates",
        TailParity.NOT_AS_DATE: "last digit even on odd dates, odd on even dates",
    },
}


@lru_cache(maxsize=4096)
def whom(rule: AppliesTo, language: Language) -> str:
    """Say whom a rule concerns, empty = everybody. Every condition is said. Cost: a look into a cache."""
    chinese = language is _ZH
    parts = [_vehicles(rule, language), *_conditions(rule, language)]
    if rule.any_of:
        parts.append(("或" if chinese else " or ").join(whom(choice, language) for choice in rule.any_of))
    if rule.unless:
        cases = ("、" if chinese else " or ").join(whom(case, language) for case in rule.unless)
        parts.append(f"但{cases}除外" if chinese else f"but not {cases}")
    return ("，" if chinese else ", ").join(filter(None, parts))


def _vehicles(rule: AppliesTo, language: Language) -> str:
    # The nine kinds of a truck restriction are nothing a driver should have to read.
    kinds = _TRUCKS[language] if rule.kinds == GOODS_KINDS else _listed(VehicleKind, rule.kinds, language)
    named = [_listed(VehicleClass, rule.classes, language), _listed(BodyType, rule.bodies, language), kinds]
    return ("" if language is _ZH else " ").join(filter(None, named))


def _conditions(rule: AppliesTo, language: Language) -> list[str]:
    chinese, joint = language is _ZH, "、" if language is _ZH else ", "
    over_t = rule.gross_weight_over_t
    limits = [Limit(Measure.GROSS_WEIGHT, over_t)] if over_t is not None else []
    parts = [_limit(limit, language) for limit in (*limits, *rule.limits)]
    parts.append(
        _listed(PlateColour, rule.plate_colours, language) + ("" if chinese or not rule.plate_colours else " plates")
    )
    if rule.plate_prefixes:
        prefixes = joint.join(rule.plate_prefixes)
        parts.append(f"{prefixes}牌照" if chinese else f"plates {prefixes}")
    if rule.plate_prefixes_except:
        prefixes = joint.join(rule.plate_prefixes_except)
        parts.append(f"非{prefixes}牌照" if chinese else f"except plates {prefixes}")
    if rule.tail_digits:
        digits = joint.join(map(str, sorted(rule.tail_digits)))
        parts.append(f"尾号{digits}" if chinese else f"last digit {digits}")
    if rule.tail_parity is not None:
        parts.append(_PARITY[language][rule.tail_parity])
    return [*parts, *_drive_and_use(rule, language)]


def _drive_and_use(rule: AppliesTo, language: Language) -> list[str]:
    chinese = language is _ZH
    parts = [_NEW[language] if rule.energies == NEW_ENERGY else _listed(Energy, rule.energies, language)]
    if rule.emission_stage_at_most is not None:
        stage = rule.emission_stage_at_most
        parts.append(f"国{stage}及以下排放" if chinese else f"emission stage {stage} or older")
    if rule.goods:
        goods = goods_text(rule.goods, language)
        parts.append(f"载有{goods}" if chinese else f"carrying {goods}")
    if rule.services:
        parts.append(services_text(rule.services, language))
    if rule.exempt:
        exempt = services_text(rule.exempt, language)
        parts.append(f"{exempt}除外" if chinese else f"but not {exempt}")
    return parts


def _limit(limit: Limit, language: Language) -> str:
    zh, unit_zh, en, unit_en = _MEASURES[limit.measure]
    if language is _ZH:
        return f"{zh}{limit.bound:g}{unit_zh}{'以上' if limit.above else '及以下'}"
    return f"{en} {'over' if limit.above else 'up to'} {limit.bound:g}{unit_en}"


def _listed(kind: Iterable[StrEnum], chosen: frozenset[StrEnum], language: Language) -> str:
    words = [_word(one, language) for one in kind if one in chosen]
    return ("、" if language is _ZH else ", ").join(words)


def _word(one: StrEnum, language: Language) -> str:
    if language is _ZH:
        return _WORDS_ZH[one]
    return _KINDS_EN.get(one, one.value.replace("_", " "))
