"""Rules in words: whom they concern, when they end, how it is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine.alerting.rulewords import Evidence, evidence_text, rule_words, until_text
from geo_engine.model import AlertReason, Language, VehicleClass, VehicleKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.zones.rule import EVERYONE, GOODS_KINDS, AppliesTo
from geo_engine.zones.schedule import Schedule

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("applies_to", "chinese", "english"),
    [
        (EVERYONE, "", ""),
        (AppliesTo(kinds=GOODS_KINDS), "货车及专项作业车", "trucks and work vehicles"),
        (AppliesTo(kinds=frozenset({VehicleKind.CAR, VehicleKind.COACH})), "小客车、大客车", "cars, coaches"),
        (
            AppliesTo(kinds=frozenset({VehicleKind.GOODS}), classes=frozenset({VehicleClass.HEAVY})),
            "重型货车",
            "heavy goods vehicles",
        ),
        (AppliesTo(gross_weight_over_t=4.5), "总质量4.5吨以上", "over 4.5 t"),
        (
            AppliesTo(plate_prefixes=("鄂A", "鄂W"), plate_prefixes_except=("鄂AD",)),
            "鄂A、鄂W牌照，非鄂AD牌照",
            "plates 鄂A, 鄂W, except plates 鄂AD",
        ),
    ],
)
def test_whom_a_rule_concerns_is_said_in_both_languages(applies_to: AppliesTo, chinese: str, english: str) -> None:
    zone = box_zone("z", applies_to=applies_to)
    assert [rule_words(zone, language).who for language in (Language.ZH, Language.EN)] == [chinese, english]


def test_every_kind_and_class_has_a_word() -> None:
    for language in Language:
        for kind in VehicleKind:
            assert rule_words(box_zone("z", applies_to=AppliesTo(kinds=frozenset({kind}))), language).who
        for size in VehicleClass:
            assert rule_words(box_zone("z", applies_to=AppliesTo(classes=frozenset({size}))), language).who


@pytest.mark.parametrize(
    ("until_ms", "chinese", "english"),
    [
        (None, "长期有效", "until further notice"),
        (noon_ms + 10 * HOUR_MS, "至22:00", "until 22:00"),
        (noon_ms + 12 * HOUR_MS, "至24:00", "until midnight"),
        (noon_ms + 12 * HOUR_MS + 60_000, "至明天00:01", "until 00:01 tomorrow"),
        (noon_ms + 43 * HOUR_MS, "至10月21日07:00", "until 07:00 on 21 Oct"),
        (noon_ms + 366 * 24 * HOUR_MS, "至2027年10月20日12:00", "until 12:00 on 20 Oct 2027"),
    ],
)
def test_an_end_is_said_as_one_would_today(until_ms: int | None, chinese: str, english: str) -> None:
    said = [until_text(until_ms, noon_ms, "Asia/Shanghai", language) for language in (Language.ZH, Language.EN)]
    assert said == [chinese, english]


def test_an_end_is_said_in_the_time_of_the_zone() -> None:
    assert until_text(noon_ms, noon_ms - 1, "Europe/Paris", Language.EN) == "until 06:00"


def test_the_evidence_names_rule_hours_position_and_revision() -> None:
    zone = replace(box_zone("z", applies_to=AppliesTo(kinds=GOODS_KINDS)), schedule=Schedule.parse("Mo-Fr 07:00-22:00"))
    evidence = Evidence(noon_ms, AlertReason.APPROACH, 3)
    assert evidence_text(zone, evidence, Language.ZH) == (
        "适用于货车及专项作业车；时段Mo-Fr 07:00-22:00；10-19 12:00:00的定位显示正在驶近；规则第3版"
    )
    assert evidence_text(zone, evidence, Language.EN) == (
        "applies to trucks and work vehicles; hours Mo-Fr 07:00-22:00; position of 19 Oct 12:00:00: heading for it; "
        "rules revision 3"
    )
    assert evidence_text(box_zone("z"), evidence, Language.EN).startswith("applies to every vehicle; at all hours; ")
