"""Rules in words: whom they concern, when they end, how it is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine.alerting.rulewords import Evidence, evidence_text, rule_words, until_text
from geo_engine.alerting.whom import whom
from geo_engine.model import AlertReason, BodyType, Energy, Language, PlateColour, VehicleClass, VehicleKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.zones.rule import EVERYONE, GOODS_KINDS, NEW_ENERGY, AppliesTo, Limit, Measure
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
        (AppliesTo(gross_weight_over_t=4.5), "总质量4.5吨以上", "gross weight over 4.5 t"),
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


@pytest.mark.parametrize(
    ("rule", "chinese", "english"),
    [
        (
            AppliesTo(limits=(Limit(Measure.HEIGHT, 4.5), Limit(Measure.SEATS, 9, above=False))),
            "车高4.5米以上，座位9座及以下",
            "height over 4.5 m, seats up to 9",
        ),
        (AppliesTo(plate_colours=frozenset({PlateColour.YELLOW})), "黄牌", "yellow plates"),
        (AppliesTo(tail_digits=frozenset({4, 9})), "尾号4、9", "last digit 4, 9"),
        (AppliesTo(energies=NEW_ENERGY), "新能源车", "new-energy vehicles"),
        (AppliesTo(emission_stage_at_most=3), "国3及以下排放", "emission stage 3 or older"),
        (
            AppliesTo(
                kinds=frozenset({VehicleKind.GOODS}),
                bodies=frozenset({BodyType.TIPPER}),
                unless=(AppliesTo(energies=frozenset({Energy.ELECTRIC})),),
            ),
            "自卸货车，但纯电动车除外",
            "tipper goods vehicles, but not electric",
        ),
        (
            AppliesTo(any_of=(AppliesTo(services=frozenset({"taxi"})), AppliesTo(goods=frozenset({"sand"})))),
            "出租车辆或载有砂石",
            "taxi vehicles or carrying sand or gravel",
        ),
        (
            AppliesTo(goods=frozenset({"hazmat", "red_bricks"}), exempt=frozenset({"postal", "emergency"})),
            "载有危险品、red_bricks，应急救援、邮政车辆除外",
            "carrying dangerous goods, red bricks, but not emergency, postal vehicles",
        ),
        (AppliesTo(), "", ""),
    ],
)
def test_every_condition_of_a_rule_is_said(rule: AppliesTo, chinese: str, english: str) -> None:
    assert (whom(rule, Language.ZH), whom(rule, Language.EN)) == (chinese, english)


@pytest.mark.parametrize("kind", [PlateColour, Energy, BodyType])
def test_every_colour_energy_and_body_has_a_word(kind: type[PlateColour | Energy | BodyType]) -> None:
    field = {PlateColour: "plate_colours", Energy: "energies", BodyType: "bodies"}[kind]
    for one in kind:
        rule = AppliesTo(**{field: frozenset({one})})
        assert all(whom(rule, language) for language in Language)
