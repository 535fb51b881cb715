"""From a message to template fields."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.alerting.message import Message
from geo_engine.errors import ConfigurationError
from geo_engine.model import Language, ZoneKind
from geo_engine.testing import an_alert
from geo_engine.wechat.fields import FieldType, check_field
from geo_engine.wechat.template import RESTRICTION_TEMPLATE, Slot, Template, TemplateField, read_templates, render

ALERT = an_alert(  # 2026-11-03T08:31:00Z, the rule ends at 22:00
    time_ms=1_793_694_660_000, distance_m=421.7, bearing_deg=46.0, eta_s=27.2, until_ms=1_793_714_400_000
)
OWN = Template(
    "own",
    (
        TemplateField("phrase1", FieldType.PHRASE, Slot.TOPIC),
        TemplateField("thing2", FieldType.THING, Slot.WHY),
        TemplateField("thing3", FieldType.THING, Slot.ACTION),
    ),
)
MESSAGE = Message(1, ALERT, "o" + "a" * 27, "鄂A12345", Language.ZH, "0" * 32, 0)


def test_a_chinese_warning_fills_the_default_template() -> None:
    assert render(MESSAGE, RESTRICTION_TEMPLATE) == {
        "thing1": "长江二桥货车禁行",
        "thing2": "东北方向 420 米 约27秒",
        "car_number3": "鄂A12345",
        "time4": "2026年11月3日 16:31~22:00",
        "thing5": "货车禁行，请提前绕行",
    }


def test_an_english_warning_keeps_chinese_only_where_the_type_demands_it() -> None:
    english = replace(MESSAGE, language=Language.EN, alert=replace(ALERT, zone_name="Second Yangtze Bridge ban"))
    rendered = render(english, RESTRICTION_TEMPLATE)
    assert rendered["thing1"] == "Second Yangtze…"
    assert rendered["thing2"] == "420 m NE, 27 s"
    assert rendered["thing5"] == "Truck ban: detour"
    assert render(english, OWN)["phrase1"] == "货车禁行"


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"kind": ZoneKind.CONSTRUCTION}, "thing5", "施工，请减速慢行"),
        ({"kind": ZoneKind.CONGESTION}, "thing5", "拥堵，请考虑绕行"),
        ({"kind": ZoneKind.VENUE}, "thing5", "场所"),
        ({"may_apply": True}, "thing5", "可能禁行，请提前绕行"),
        ({"kind": ZoneKind.CONGESTION, "may_apply": True}, "thing5", "拥堵，请考虑绕行"),
        ({"bearing_deg": None}, "thing5", "货车禁行，请尽快驶离"),
        ({"advice": "请改走白沙洲大桥或三环线高架桥方向"}, "thing5", "请改走白沙洲大桥或三环线高架桥方向"),
        ({"opens_ms": 1_793_696_400_000}, "time4", "2026年11月3日 17:00~22:00"),
        ({"opens_ms": 1_793_696_400_000}, "thing5", "17:00起货车禁行，请提前绕行"),
        ({"opens_ms": 1_793_696_400_000, "may_apply": True}, "thing5", "17:00起可能禁行，请提前绕行"),
        (
            {"opens_ms": 1_793_696_400_000, "advice": "请绕行天兴洲大桥和三环"},
            "thing5",
            "货车禁行，请绕行天兴洲大桥和三环",
        ),
        ({"also": 1, "also_names": ("晴川桥",)}, "thing1", "长江二桥货车禁行、晴川桥"),
        ({"also": 2, "also_names": ("晴川桥", "江汉桥")}, "thing1", "长江二桥货车禁行、晴川桥、江汉桥"),
        (
            {"also": 3, "also_names": ("晴川桥", "江汉桥", "月湖桥")},
            "thing1",
            "长江二桥货车禁行、晴川桥、江汉桥、月湖桥",
        ),
        (
            {"also": 3, "also_names": ("晴川桥", "江汉四桥", "月湖桥")},
            "thing1",
            "长江二桥货车禁行、晴川桥、江汉四桥等4处",
        ),
        ({"also": 1, "also_names": ("武汉长江大桥武昌侧桥头堡",)}, "thing1", "长江二桥货车禁行等2处"),
        ({"also": 1, "also_names": ("\u200b",)}, "thing1", "长江二桥货车禁行等2处"),
        ({"until_ms": None}, "time4", "2026年11月3日 16:31"),
        ({"until_ms": 1_793_721_600_000}, "time4", "2026年11月3日 16:31~2026年11月4日 00:00"),
        ({"also": 2}, "thing1", "长江二桥货车禁行等3处"),
        (
            {"also": 2, "zone_name": "武汉长江二桥主桥及两侧引桥货车全天候"},
            "thing1",
            "武汉长江二桥主桥及两侧引桥货车全…等3处",
        ),
        ({"also": 2, "zone_name": ""}, "thing1", "未命名区域等3处"),
        ({"distance_m": 1_540.0}, "thing2", "东北方向 1.5 公里 约27秒"),
        ({"eta_s": float("inf")}, "thing2", "东北方向 420 米"),
        ({"bearing_deg": float("nan")}, "thing2", "前方 420 米 约27秒"),
        ({"bearing_deg": None, "compass": "", "distance_m": 0.0}, "thing2", "您已在区域内"),
        ({"zone_name": "\n\u200b"}, "thing1", "未命名区域"),
    ],
)
def test_each_kind_of_warning_is_worded(changes: dict[str, object], key: str, expected: str) -> None:
    message = replace(MESSAGE, alert=replace(ALERT, **changes))  # type: ignore[arg-type]  # the table holds many types
    assert render(message, RESTRICTION_TEMPLATE)[key] == expected


@pytest.mark.parametrize(
    ("plate", "expected"),
    [
        ("鄂A·12345", "鄂A12345"),
        ("鄂ad12345", "鄂AD12345"),
        (" 粤A8Z888挂 ", "粤A8Z888挂"),
        (None, "未知"),
        ("", "未知"),
        ("WJ鄂0001X", "未知"),
        ("not a plate at all", "未知"),
    ],
)
def test_a_plate_is_written_as_its_type_allows(plate: str | None, expected: str) -> None:
    assert render(replace(MESSAGE, plate=plate), RESTRICTION_TEMPLATE)["car_number3"] == expected


def test_an_unknown_plate_reads_english_for_an_english_reader() -> None:
    message = replace(MESSAGE, plate=None, language=Language.EN)
    assert render(message, RESTRICTION_TEMPLATE)["car_number3"] == "UNKNOWN"


def test_another_template_gets_the_same_slots_under_its_own_keys() -> None:
    template = Template(
        "own",
        (
            TemplateField("date2", FieldType.DATE, Slot.TIME),
            TemplateField("thing7", FieldType.THING, Slot.TOPIC),
            TemplateField("thing8", FieldType.THING, Slot.PLATE),
        ),
    )
    english = replace(MESSAGE, language=Language.EN)
    assert render(english, template) == {"date2": "2026年11月3日", "thing7": "Truck ban", "thing8": "鄂A12345"}


def test_the_rule_can_stand_in_a_field_of_an_own_template() -> None:
    alert = replace(ALERT, why="适用于货车；时段07:00-22:00；11-03 16:31:00的定位显示正在驶近")
    assert render(replace(MESSAGE, alert=alert), OWN)["thing2"] == "适用于货车；时段07:00-22:00…"
    assert render(MESSAGE, OWN)["thing2"] == "适用于您的车辆"


def test_an_english_digest_keeps_its_number() -> None:
    alert = replace(ALERT, zone_name="Second Yangtze Bridge ban", also=1)
    rendered = render(replace(MESSAGE, language=Language.EN, alert=alert), RESTRICTION_TEMPLATE)
    assert rendered["thing1"] == "Second… +1 more"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bearing_deg": None}, "Truck ban: leave"),
        ({"may_apply": True}, "May apply: detour"),
        ({"may_apply": True, "bearing_deg": None}, "May apply: leave"),
        ({"opens_ms": 1_793_696_400_000}, "From 17:00: detour"),
        ({"kind": ZoneKind.CONSTRUCTION}, "Roadworks: Slow down"),
        ({"kind": ZoneKind.CONSTRUCTION, "opens_ms": 1_793_696_400_000}, "Roadworks: Slow down"),
        ({"kind": ZoneKind.CONGESTION}, "Congestion: detour"),
        ({"kind": ZoneKind.VENUE}, "Venue"),
        ({"advice": "Use the ring"}, "Use the ring"),
        ({"advice": "Ring road"}, "Truck ban: Ring road"),
        ({"advice": "Use the third ring road"}, "Use the third ring…"),
    ],
)
def test_an_english_warning_never_loses_what_to_do(changes: dict[str, object], expected: str) -> None:
    alert = replace(ALERT, **changes)  # type: ignore[arg-type]  # the table holds many types
    assert render(replace(MESSAGE, language=Language.EN, alert=alert), RESTRICTION_TEMPLATE)["thing5"] == expected


def test_an_english_digest_names_what_fits() -> None:
    alert = replace(ALERT, zone_name="Bridge", also=2, also_names=("Tunnel", "Quay"))
    message = replace(MESSAGE, language=Language.EN, alert=alert)
    assert render(message, RESTRICTION_TEMPLATE)["thing1"] == "Bridge, Tunnel, Quay"
    longer = replace(alert, also_names=("Tunnel", "North Quay"))
    assert render(replace(message, alert=longer), RESTRICTION_TEMPLATE)["thing1"] == "Bridge +2 more"


@given(
    also_names=st.lists(st.text(st.characters()), max_size=4).map(tuple),
    opens_ms=st.none() | st.integers(946_684_800_000, 4_102_444_799_999),
    also=st.integers(0, 10_000_000),
    until_ms=st.none() | st.integers(946_684_800_000, 4_102_444_799_999),
    why=st.text(st.characters()),
    advice=st.text(st.characters()),
    zone_name=st.text(st.characters()),
    plate=st.none() | st.text(st.characters()),
    language=st.sampled_from(Language),
    kind=st.sampled_from(ZoneKind),
    time_ms=st.integers(946_684_800_000, 4_102_444_799_999),
    distance_m=st.floats(0, 40_000_000) | st.sampled_from([float("nan"), float("inf")]),
    eta_s=st.floats(0, 1e6) | st.just(float("nan")),
    bearing_deg=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    may_apply=st.booleans(),
)
def test_every_rendered_field_is_accepted_by_its_type(
    zone_name: str, plate: str | None, language: Language, **changes: object
) -> None:
    alert = replace(ALERT, zone_name=zone_name, **changes)  # type: ignore[arg-type]  # hypothesis draws many types
    message = replace(MESSAGE, alert=alert, plate=plate, language=language)
    for template in (RESTRICTION_TEMPLATE, OWN):
        rendered = render(message, template)
        refused = {
            field.key: rendered[field.key] for field in template.fields if check_field(field.type, rendered[field.key])
        }
        assert refused == {}


def test_a_field_whose_key_is_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="thing1"):
        TemplateField("thing1", FieldType.PHRASE, Slot.TOPIC)


def test_fields_are_read_from_a_text() -> None:
    assert Template.parse("own", "phrase1=topic,thing2 = why, thing3=action") == OWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "thing1",
        "thing=zone",
        "thing1=zones",
        "words1=zone",
        "thing1=zone,",
        "thing1=zone, thing1=place",
        "time1=zone",
    ],
)
def test_fields_that_no_template_has_are_refused_and_what_is_expected_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected|needs"):
        Template.parse("own", text)


def test_a_slot_its_type_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="thing"):
        TemplateField("phrase1", FieldType.PHRASE, Slot.ZONE)


@pytest.mark.parametrize(
    ("template_id", "count"),
    [("", 1), ("id", 0), ("id", 2)],
    ids=["no id", "no field", "one key twice"],
)
def test_a_template_that_cannot_be_sent_is_refused(template_id: str, count: int) -> None:
    with pytest.raises(ConfigurationError):
        Template(template_id, (TemplateField("thing1", FieldType.THING, Slot.ZONE),) * count)


def test_several_templates_are_read_from_a_text() -> None:
    found = read_templates("A_1: thing1=zone, time2=period;\n b-2:thing1=why ;")
    assert [one.template_id for one in found] == ["A_1", "b-2"]
    assert [field.key for field in found[0].fields] == ["thing1", "time2"]
    assert read_templates(" ") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("thing1=zone", "the id the console shows, a colon"),
        (": thing1=zone", "the id the console shows"),
        ("a b: thing1=zone", "the id the console shows"),
        ("a:", "expected the key of a field"),
        ("a: thing1=zones", "expected the key of a field"),
        ("a: thing1=zone; a: thing1=why", "found a more than once"),
        ("a: thing1=zone, thing1=why", "distinct keys"),
    ],
)
def test_templates_that_cannot_be_are_refused_and_what_is_expected_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_templates(text)
