"""What vehicles are used for and what they carry, in the words a driver reads.

Staff may use any word (``services``, ``exempt``, ``goods`` of a zone file); one that is not here is said as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from geo_engine.model import Language

__all__ = ["goods_text", "services_text"]

_SERVICES: Final[dict[str, tuple[str, str]]] = {
    "ambulance": ("救护", "ambulance"),
    "bus": ("公交", "bus"),
    "cleaning": ("清洁", "cleaning"),
    "construction": ("施工", "construction"),
    "courier": ("快递", "courier"),
    "emergency": ("应急救援", "emergency"),
    "fire": ("消防", "fire brigade"),
    "funeral": ("殡葬", "funeral"),
    "military": ("军用", "military"),
    "permit": ("持通行证", "permit-holding"),
    "police": ("警用", "police"),
    "postal": ("邮政", "postal"),
    "sanitation": ("环卫", "sanitation"),
    "school_bus": ("校车", "school bus"),
    "sprinkler": ("洒水", "street-sprinkling"),
    "sweeper": ("清扫", "street-sweeping"),
    "taxi": ("出租", "taxi"),
    "tow": ("清障", "recovery"),
    "utility": ("市政抢修", "utility repair"),
    "waste": ("垃圾清运", "waste collection"),
}
_GOODS: Final[dict[str, tuple[str, str]]] = {
    "cement": ("水泥", "cement"),
    "chemicals": ("化学品", "chemicals"),
    "coal": ("煤炭", "coal"),
    "concrete": ("混凝土", "concrete"),
    "construction_waste": ("建筑垃圾", "construction waste"),
    "explosives": ("爆炸品", "explosives"),
    "fresh": ("鲜活农产品", "fresh produce"),
    "fuel": ("燃油", "fuel"),
    "gas": ("燃气", "gas"),
    "general": ("普通货物", "general goods"),
    "hazmat": ("危险品", "dangerous goods"),
    "livestock": ("活畜禽", "livestock"),
    "muck": ("渣土", "excavated soil"),
    "parcels": ("快递包裹", "parcels"),
    "sand": ("砂石", "sand or gravel"),
    "steel": ("钢材", "steel"),
    "timber": ("木材", "timber"),
    "waste": ("垃圾", "waste"),
}


def services_text(services: Iterable[str], language: Language) -> str:
    """Name vehicles by the services they work for, in alphabetical order of the words staff use."""
    vehicles = "车辆" if language is Language.ZH else " vehicles"
    return _listed(services, _SERVICES, language) + vehicles


def goods_text(goods: Iterable[str], language: Language) -> str:
    """Name goods, in alphabetical order of the words staff use."""
    return _listed(goods, _GOODS, language)


def _listed(words: Iterable[str], known: dict[str, tuple[str, str]], language: Language) -> str:
    chinese = language is Language.ZH
    # A word nobody foresaw is better said as it stands than left out.
    said = [known.get(word, (word, word.replace("_", " ")))[not chinese] for word in sorted(words)]
    return ("、" if chinese else ", ").join(said)
