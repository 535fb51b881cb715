"""The JSON Schema of a zone file agrees with the reader and with the committed copy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from geo_engine.model import Applicability, Vehicle, VehicleKind
from geo_engine.zones.conditions import APPLIES_TO
from geo_engine.zones.document import read_zone_document
from geo_engine.zones.properties import DAYS, ZONE_PROPERTIES
from geo_engine.zones.rule import GOODS_KINDS, Measure, TailParity
from geo_engine.zones.schema import zone_file_schema

ROOT = Path(__file__).resolve().parents[3]
VALIDATOR = Draft202012Validator(zone_file_schema())
SQUARE = [[114.0, 30.0], [114.1, 30.0], [114.1, 30.1], [114.0, 30.1], [114.0, 30.0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}
LINE = {"type": "LineString", "coordinates": SQUARE[:2]}
POINT = {"type": "Point", "coordinates": SQUARE[0]}

FULL = {
    "kind": "truck_restriction",
    "name": "长江二桥货车禁行",
    "name_en": "Second bridge, no trucks",
    "applies_to": {
        "vehicle_kinds": ["goods", "tractor"],
        "vehicle_classes": ["medium", "heavy"],
        "gross_weight_over_t": 4.5,
        "plate_prefixes": ["鄂"],
        "plate_prefixes_except": ["鄂A"],
    },
    "exempt": ["emergency", "sanitation"],
    "schedule": "Mo-Fr 07:00-09:00,17:00-19:00",
    "timezone": "Asia/Shanghai",
    "valid_from": "2026-11-20T07:00:00+08:00",
    "valid_to": "2027-11-20T07:00:00Z",
    "enforced_from": "2026-12-01T00:00:00.000+08:00",
    "severity": "high",
    "advice": "改走二七长江大桥",
    "note": "illustrative",
}


EVERY_CONDITION = {
    "gross_weight_at_most_t": 49,
    "load_over_t": 1.5,
    "load_at_most_t": 30,
    "axle_load_over_t": 1,
    "axle_load_at_most_t": 13,
    "axles_over": 1,
    "axles_at_most": 6,
    "length_over_m": 4.2,
    "length_at_most_m": 18,
    "width_over_m": 1.5,
    "width_at_most_m": 3,
    "height_over_m": 1.5,
    "height_at_most_m": 4.5,
    "seats_over": 1,
    "seats_at_most": 9,
    "plate_colours": ["yellow", "yellow_green"],
    "plate_tail_digits": [0, 5],
    "energies": ["diesel"],
    "emission_stage_at_most": 3,
    "bodies": ["tipper"],
    "goods": ["construction_waste"],
    "services": ["sprinkler"],
}
RICH = FULL | {
    "applies_to": {
        **EVERY_CONDITION,
        "plate_tail_parity": "not_as_date",
        "any_of": [EVERY_CONDITION, {"vehicle_kinds": ["farm_tractor"]}],
        "except": [{"vehicle_classes": ["light"], "energies": ["electric"]}],
    },
    "days": {"holiday": "Su", "makeup_workday": "weekday", "dates": "odd"},
    "effect": "decides",
    "exception_to": ["ring3"],
    "road_level": "tunnel",
    "boundary_road": "excluded",
    "boundary_width_m": 40,
}


def document(geometry: object, zone_id: object = "a", **properties: object) -> dict[str, object]:
    values = {"kind": "construction", "name": "x"} | properties
    feature = {"type": "Feature", "id": zone_id, "geometry": geometry, "properties": values}
    return {"type": "FeatureCollection", "features": [feature]}


def without_id(**properties: object) -> dict[str, object]:
    found = document(POLYGON, **properties)
    del found["features"][0]["id"]  # type: ignore[index]  # a list, see document()
    return found


@pytest.mark.parametrize(
    "good",
    [
        document(POLYGON),
        document(POLYGON, **FULL),
        document(POLYGON, **RICH),
        document(POLYGON, days={}, applies_to={}),
        document(POLYGON, applies_to={"vehicle_kinds": None, "except": None, "axle": None}, days={"holiday": None}),
        document(POLYGON, applies_to={"any_of": [{"vehicle_kinds": ["car"], "energies": None, "axle": None}]}),
        document(POLYGON, zone_id=7),
        document(POLYGON, OBJECTID=5, schedule=None, days=None),
        document(LINE, width_m=20),
        document(POINT, radius_m=20.5),
        document(POINT, kind="venue"),
        document({"type": "MultiPolygon", "coordinates": [[[[*place, 3.0] for place in SQUARE]]]}),
        without_id(id="a"),
        {"type": "FeatureCollection", "features": [], "name": "empty"},
    ],
)
def test_schema_and_reader_accept(good: dict[str, object]) -> None:
    assert list(VALIDATOR.iter_errors(good)) == []
    assert read_zone_document(good).faults == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "FeatureCollection"},
        {"type": "GeometryCollection", "features": []},
        without_id(),
        document(None),
        document(POLYGON, zone_id=True),
        document(POLYGON, kind="car_park"),
        document(POLYGON, kind=None),
        document(POLYGON, name=""),
        document(POLYGON, name=" "),
        document(POLYGON, name="x" * 101),
        document(POLYGON, severity="urgent"),
        document(POLYGON, width_m=-1),
        document(POLYGON, radius_m="20"),
        document(POLYGON, valid_from="2026-11-20"),
        document(POLYGON, valid_from="2026-11-20T07:00:00"),
        document(POLYGON, exempt=["Fire Brigade"]),
        document(POLYGON, exempt=[]),
        document(POLYGON, applies_to={"vehicle_kinds": ["lorry"]}),
        document(POLYGON, applies_to={"axles": 3}),
        document(POLYGON, applies_to={"plate_prefixes": ["鄂a"]}),
        document(POLYGON, days={"holidays": "off"}),
        document(POLYGON, days={"makeup_workday": "sunday"}),
        document(POLYGON, applies_to={"except": [{}]}),
        document(POLYGON, applies_to={"except": [{"vehicle_kinds": None}]}),
        document(POLYGON, applies_to={"except": [{"vehicle_kinds": ["car"]}, {"axle": None}]}),
        document(POLYGON, applies_to={"any_of": [{}]}),
        document(POLYGON, applies_to={"any_of": [None]}),
        document(POLYGON, applies_to={"vehicle_kinds": [None]}),
        document(POLYGON, effect="open"),
        document(POLYGON, effect="allowed", exception_to=[]),
        document(POLYGON, effect="allowed", exception_to="ring3"),
        document(POLYGON, applies_to={"any_of": [{"axles": 3}]}),
        document(LINE),
        document(LINE, width_m=None),
        document(POINT),
        document({"type": "Polygon", "coordinates": [SQUARE[:3]]}),
        document({"type": "Polygon", "coordinates": []}),
        document({"type": "Point", "coordinates": [30.5, 114.3]}, radius_m=5),
        document({"type": "MultiPoint", "coordinates": SQUARE}),
        document({"type": "GeometryCollection", "geometries": []}),
    ],
)
def test_schema_and_reader_refuse(bad: dict[str, object]) -> None:
    assert list(VALIDATOR.iter_errors(bad))
    assert read_zone_document(bad).faults


def test_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(zone_file_schema())


def test_committed_schema_is_fresh() -> None:
    committed = json.loads((ROOT / "zones" / "zone.schema.json").read_text(encoding="utf-8"))
    assert committed == zone_file_schema(), "run: geo-engine zones schema > zones/zone.schema.json"


@pytest.mark.parametrize("name", [spec.name for spec in (*ZONE_PROPERTIES, *APPLIES_TO, *DAYS)])
def test_every_property_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "zone-file.md").read_text(encoding="utf-8")


def test_properties_reach_the_zone() -> None:
    (zone,) = read_zone_document(document(POLYGON, **FULL)).zones
    assert {kind.value for kind in zone.applies_to.kinds} == {"goods", "tractor"}
    assert {size.value for size in zone.applies_to.classes} == {"medium", "heavy"}
    assert zone.applies_to.gross_weight_over_t == 4.5
    assert zone.applies_to.plate_prefixes == ("鄂",)
    assert zone.applies_to.plate_prefixes_except == ("鄂A",)
    assert zone.applies_to.exempt == {"emergency", "sanitation"}
    assert (zone.schedule.text, zone.schedule.timezone) == (FULL["schedule"], "Asia/Shanghai")
    assert zone.valid_from_ms == 1_795_129_200_000
    assert zone.valid_to_ms == 1_826_694_000_000
    assert zone.enforced_from_ms == 1_796_054_400_000
    assert (zone.severity.value, zone.advice, zone.name_en) == ("high", FULL["advice"], FULL["name_en"])


def test_every_condition_reaches_the_rule() -> None:
    (zone,) = read_zone_document(document(POLYGON, **RICH)).zones
    rule = zone.applies_to
    assert {(limit.measure.value, limit.above) for limit in rule.limits} == {
        (measure.value, above) for measure in Measure for above in (True, False)
    } - {("gross_weight_t", True)}
    assert rule.tail_digits == {0, 5}
    assert (rule.tail_parity, rule.emission_stage_at_most) == (TailParity.NOT_AS_DATE, 3)
    assert {entry.value for entry in (*rule.plate_colours, *rule.energies, *rule.bodies)} == {
        *("yellow", "yellow_green"),
        "diesel",
        "tipper",
    }
    assert rule.goods == {"construction_waste"}
    assert rule.services == {"sprinkler"}
    assert rule.any_of[0] == replace(
        rule, kinds=GOODS_KINDS, exempt=frozenset(), tail_parity=None, any_of=(), unless=()
    )
    assert [kind.value for kind in rule.any_of[1].kinds] == ["farm_tractor"]
    assert [energy.value for energy in rule.unless[0].energies] == ["electric"]
    assert (zone.effect.value, zone.level and zone.level.value) == ("decides", "tunnel")
    assert zone.exception_to == {"ring3"}


@pytest.mark.parametrize(
    ("kind", "applies_to", "concerns_cars"),
    [
        ("truck_restriction", None, False),
        ("truck_restriction", {"gross_weight_over_t": 3.5}, False),
        ("truck_restriction", {"vehicle_kinds": ["car"]}, True),
        ("truck_restriction", {"any_of": [{"vehicle_kinds": ["car"]}, {"axles_over": 3}]}, True),
        ("truck_restriction", {"except": [{"vehicle_kinds": ["car"]}]}, False),
        ("construction", None, True),
    ],
)
def test_truck_restriction_concerns_goods_kinds_unless_it_names_others(
    kind: str, applies_to: dict[str, object] | None, concerns_cars: bool
) -> None:
    (zone,) = read_zone_document(document(POLYGON, kind=kind, applies_to=applies_to)).zones
    kinds = {entry.value for entry in zone.applies_to.kinds}
    assert (not kinds or "car" in kinds) is concerns_cars
    assert kind != "truck_restriction" or "coach" not in kinds


@pytest.mark.parametrize(("kind", "concerned"), [("truck_restriction", False), ("construction", True)])
def test_alternative_without_kinds_concerns_goods_kinds_only_also_beside_one_that_names_others(
    kind: str, concerned: bool
) -> None:
    choices = [{"vehicle_kinds": ["car"], "seats_over": 7}, {"axles_over": 2}]
    (zone,) = read_zone_document(document(POLYGON, kind=kind, applies_to={"any_of": choices})).zones
    coach, truck, van = (
        Vehicle(1, kind=VehicleKind.COACH, axle_count=3, seats=50),
        Vehicle(2, kind=VehicleKind.GOODS, axle_count=3, seats=2),
        Vehicle(3, kind=VehicleKind.CAR, axle_count=2, seats=9),
    )
    judged = [zone.applies_to.judge(vehicle) is Applicability.YES for vehicle in (coach, truck, van)]
    assert judged == [concerned, True, True]
