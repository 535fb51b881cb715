"""Seventeen truck rules of Chinese cities as zone files: a vehicle and time that is caught, and one that is not.

The statements come from ``../shared/data/vectors/truck_rules_china.json``; shapes are made up, since no notice has any.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from geo_engine.alerting.policy import Policy
from geo_engine.engine import Engine, EngineConfig
from geo_engine.model import (
    BodyType,
    Energy,
    Permit,
    PingBatch,
    PlateColour,
    SuppressReason,
    Vehicle,
    VehicleClass,
    VehicleKind,
)
from geo_engine.zones.calendar import read_day_calendar
from geo_engine.zones.zoneset import ZoneSet

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT.parent / "shared/data/vectors/truck_rules_china.json"
CALENDAR, _ = read_day_calendar(json.loads((ROOT / "zones/day-calendar.json").read_text(encoding="utf-8")))
EXACT = EngineConfig.exact(Policy(stale_after_s=None))

TRUCKS = ["goods", "special_work", "wheeled_machine", "trailer", "tractor", "low_speed", "hazmat"]
NEW_ENERGY = ["electric", "plug_in_hybrid", "hydrogen"]
SMALL_NEW_ENERGY = {"vehicle_classes": ["light", "micro"], "energies": NEW_ENERGY}
EMERGENCY = ["military", "police", "fire", "ambulance", "rescue"]

INSIDE, ON_BOUNDARY, OUTSIDE = (114.30, 30.60), (114.35, 30.60), (114.40, 30.60)
SQUARE = [[114.25, 30.55], [114.35, 30.55], [114.35, 30.65], [114.25, 30.65], [114.25, 30.55]]
INNER = [[114.28, 30.58], [114.32, 30.58], [114.32, 30.62], [114.28, 30.62], [114.28, 30.58]]
BETWEEN = (114.26, 30.60)
STREET = [[114.29, 30.60], [114.31, 30.60]]
OFF_STREET = (114.30, 30.605)


def area(zone_id: str, ring: list[list[float]] = SQUARE, **properties: object) -> dict[str, object]:
    shape = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "id": zone_id, "geometry": shape, "properties": named(zone_id, properties)}


def road(zone_id: str, **properties: object) -> dict[str, object]:
    shape = {"type": "LineString", "coordinates": STREET}
    return {"type": "Feature", "id": zone_id, "geometry": shape, "properties": named(zone_id, properties, width_m=40)}


def named(zone_id: str, properties: dict[str, object], **more: object) -> dict[str, object]:
    return {"kind": "truck_restriction", "name": zone_id, **more, **properties}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Case:
    """A vehicle at a place and time, and the zones it is warned about."""

    vehicle: Vehicle
    moment: str
    place: tuple[float, float] = INSIDE
    caught: frozenset[str] = frozenset()


def caught(vehicle: Vehicle, moment: str, *zones: str, place: tuple[float, float] = INSIDE) -> Case:
    return Case(vehicle, moment, place, frozenset(zones))


def free(vehicle: Vehicle, moment: str, *, place: tuple[float, float] = INSIDE) -> Case:
    return Case(vehicle, moment, place)


HEAVY = Vehicle(
    1,
    VehicleKind.GOODS,
    VehicleClass.HEAVY,
    31.0,
    "湘B12345",
    load_t=18.0,
    axle_count=4,
    length_m=11.0,
    width_m=2.5,
    height_m=3.9,
    seats=2,
    plate_colour=PlateColour.YELLOW,
    energy=Energy.DIESEL,
    emission_stage=5,
    body=BodyType.STAKE,
    goods="general",
)
LOCAL = replace(HEAVY, plate="鄂A12345")
LIGHT = replace(HEAVY, size_class=VehicleClass.LIGHT, gross_weight_t=4.4, plate_colour=PlateColour.BLUE)
SMALL_ELECTRIC = replace(LIGHT, energy=Energy.ELECTRIC, plate_colour=PlateColour.GREEN)
HAZMAT = replace(HEAVY, kind=VehicleKind.HAZMAT, goods="hazmat")
CAR = Vehicle(1, VehicleKind.CAR, None, 1.9, "鄂A12343", seats=5, height_m=1.5, energy=Energy.PETROL)
COACH = replace(CAR, kind=VehicleKind.COACH, size_class=VehicleClass.MEDIUM, seats=19, height_m=2.8)
MONDAY, SATURDAY = "2026-11-16", "2026-11-14"

STATEMENTS: list[tuple[str, list[dict[str, object]], list[Case]]] = [
    (
        "武汉",
        [
            area(
                "ring3",
                applies_to={"vehicle_kinds": TRUCKS, "plate_prefixes_except": ["鄂A"]},
                boundary_road="included",
                boundary_width_m=60,
            )
        ],
        [
            caught(HEAVY, f"{MONDAY}T03:00", "ring3"),
            caught(HEAVY, f"{MONDAY}T12:00", "ring3", place=(114.3502, 30.60)),
            free(LOCAL, f"{MONDAY}T12:00"),
            free(HEAVY, f"{MONDAY}T12:00", place=OUTSIDE),
        ],
    ),
    (
        "武汉",
        [road("bridge", applies_to={"vehicle_kinds": TRUCKS})],
        [
            caught(SMALL_ELECTRIC, f"{MONDAY}T03:00", "bridge"),
            caught(replace(LOCAL, kind=VehicleKind.WHEELED_MACHINE), f"{MONDAY}T12:00", "bridge"),
            free(CAR, f"{MONDAY}T12:00"),
        ],
    ),
    (
        "武汉",
        [
            area(
                "elevated",
                applies_to={"vehicle_kinds": TRUCKS, "except": [SMALL_NEW_ENERGY]},
                boundary_road="excluded",
                boundary_width_m=60,
                road_level="elevated",
            )
        ],
        [
            caught(LOCAL, f"{MONDAY}T12:00", "elevated"),
            free(SMALL_ELECTRIC, f"{MONDAY}T12:00"),
            free(LOCAL, f"{MONDAY}T12:00", place=ON_BOUNDARY),
        ],
    ),
    (
        "武汉",
        [area("block", INNER, applies_to={"vehicle_kinds": TRUCKS})],
        [
            caught(SMALL_ELECTRIC, f"{MONDAY}T12:00", "block"),
            free(SMALL_ELECTRIC, f"{MONDAY}T12:00", place=BETWEEN),
        ],
    ),
    (
        "武汉",
        [
            road(
                "section",
                applies_to={"vehicle_kinds": TRUCKS, "plate_prefixes_except": ["鄂A"], "except": [SMALL_NEW_ENERGY]},
            )
        ],
        [
            caught(LIGHT, f"{MONDAY}T12:00", "section"),
            free(SMALL_ELECTRIC, f"{MONDAY}T12:00"),
            free(LOCAL, f"{MONDAY}T12:00"),
            free(LIGHT, f"{MONDAY}T12:00", place=OFF_STREET),
        ],
    ),
    (
        "武汉",
        [
            road(
                "odd-even",
                applies_to={
                    "plate_tail_parity": "not_as_date",
                    "except": [{"energies": NEW_ENERGY}],
                    "any_of": [
                        {"vehicle_kinds": ["car"]},
                        {"vehicle_kinds": ["coach"], "vehicle_classes": ["micro", "light", "medium"]},
                    ],
                },
                schedule="Mo-Fr 07:00-22:00",
                days={"holiday": "off"},
            )
        ],
        [
            caught(CAR, "2026-11-16T12:00", "odd-even"),  # ends in 3 on an even date
            caught(replace(CAR, plate="鄂A1234B"), "2026-11-17T12:00", "odd-even"),  # 4 is the last digit
            caught(COACH, "2026-10-10T12:00", "odd-even"),  # a worked Saturday
            free(CAR, "2026-11-17T12:00"),
            free(CAR, "2026-11-16T22:00"),
            free(CAR, "2026-11-14T12:00"),  # a Saturday
            free(CAR, "2026-10-02T12:00"),  # National Day, a Friday
            free(replace(CAR, energy=Energy.ELECTRIC), "2026-11-16T12:00"),
            free(replace(COACH, size_class=VehicleClass.HEAVY), "2026-11-16T12:00"),
        ],
    ),
    (
        "武汉",
        [
            road(
                "closed-at-night",
                applies_to={"vehicle_kinds": [kind.value for kind in VehicleKind]},
                schedule="01:00-05:00",
            ),
            road(
                "small-coaches-only",
                applies_to={
                    "vehicle_kinds": [kind.value for kind in VehicleKind],
                    "except": [{"vehicle_kinds": ["car", "coach"], "seats_at_most": 9, "height_at_most_m": 3}],
                },
            ),
        ],
        [
            caught(CAR, f"{MONDAY}T02:00", "closed-at-night"),
            caught(COACH, f"{MONDAY}T12:00", "small-coaches-only"),
            caught(replace(CAR, height_m=3.1), f"{MONDAY}T12:00", "small-coaches-only"),
            free(CAR, f"{MONDAY}T05:00"),
        ],
    ),
    (
        "北京",
        [area("ring5", boundary_road="excluded", boundary_width_m=80, schedule="06:00-23:00")],
        [
            caught(HEAVY, f"{MONDAY}T06:00", "ring5"),
            free(HEAVY, f"{MONDAY}T23:00"),
            free(HEAVY, f"{MONDAY}T12:00", place=ON_BOUNDARY),
        ],
    ),
    (
        "深圳",
        [
            area(
                "hazmat",
                applies_to={"goods": ["hazmat"], "plate_prefixes_except": ["粤B"]},
                schedule="00:00-06:00",
                valid_from="2020-06-08T00:00:00+08:00",
                valid_to="2021-01-01T00:00:00+08:00",
                enforced_from="2020-07-01T00:00:00+08:00",
            ),
            road("expressway", effect="allowed"),
        ],
        [
            caught(HAZMAT, "2020-07-02T03:00", "hazmat", place=OFF_STREET),
            caught(HAZMAT, "2020-06-10T03:00", "hazmat", place=OFF_STREET),
            free(HAZMAT, "2020-07-02T03:00"),  # on the expressway
            free(HAZMAT, "2020-07-02T06:00", place=OFF_STREET),
            free(HAZMAT, "2021-01-01T03:00", place=OFF_STREET),
            free(HEAVY, "2020-07-02T03:00", place=OFF_STREET),
            free(replace(HAZMAT, plate="粤B12345"), "2020-07-02T03:00", place=OFF_STREET),
        ],
    ),
    (
        "深圳",
        [
            road(
                "yantian",
                applies_to={
                    "any_of": [
                        {"vehicle_kinds": ["goods"], "vehicle_classes": ["heavy", "medium"]},
                        {"vehicle_kinds": ["tractor", "special_work"]},
                    ]
                },
                exempt=EMERGENCY,
                schedule="22:00-07:00",
                valid_from="2022-03-23T00:00:00+08:00",
                valid_to="2022-06-23T00:00:00+08:00",
            )
        ],
        [
            caught(HEAVY, "2022-04-01T23:00", "yantian"),
            caught(replace(HEAVY, kind=VehicleKind.TRACTOR), "2022-04-02T06:59", "yantian"),
            free(LIGHT, "2022-04-01T23:00"),
            free(HEAVY, "2022-04-01T12:00"),
            free(replace(HEAVY, service="fire"), "2022-04-01T23:00"),
            free(HEAVY, "2022-06-23T23:00"),
        ],
    ),
    (
        "深圳",
        [
            area(
                "small",
                applies_to={"vehicle_kinds": ["goods"], "vehicle_classes": ["light", "micro"]},
                schedule="Mo-Fr 07:30-09:30,17:00-20:00",
                boundary_road="excluded",
                boundary_width_m=40,
            )
        ],
        [
            caught(LIGHT, f"{MONDAY}T08:00", "small"),
            free(LIGHT, f"{MONDAY}T12:00"),
            free(LIGHT, f"{SATURDAY}T08:00"),
            free(HEAVY, f"{MONDAY}T08:00"),
            free(LIGHT, f"{MONDAY}T08:00", place=ON_BOUNDARY),
        ],
    ),
    (
        "东莞",
        [
            area("area1", INNER, schedule="07:00-09:00,16:00-20:00"),
            area("area2", applies_to={"plate_prefixes_except": ["粤S"]}, schedule="07:00-20:00"),
            area(
                "area3",
                applies_to={
                    "any_of": [
                        {"energies": ["diesel"], "emission_stage_at_most": 3},
                        {"vehicle_classes": ["medium", "heavy"]},
                    ]
                },
                schedule="07:00-20:00",
            ),
            road("avenue", applies_to={"vehicle_classes": ["heavy"]}, schedule="07:00-20:00"),
        ],
        [
            caught(HEAVY, f"{MONDAY}T08:00", "area1", "area2", "area3", "avenue"),
            caught(replace(LIGHT, plate="粤S12345"), f"{MONDAY}T08:00", "area1"),
            caught(replace(LIGHT, plate="粤S12345", emission_stage=3), f"{MONDAY}T12:00", "area3"),
            free(replace(LIGHT, plate="粤S12345"), f"{MONDAY}T12:00"),
            free(
                replace(
                    HEAVY,
                    plate="粤S12345",
                    permits=tuple(
                        Permit(zone, at(f"{MONDAY}T00:00"), at("2026-11-17T00:00")) for zone in ("area3", "avenue")
                    ),
                ),
                f"{MONDAY}T12:00",
            ),
        ],
    ),
    (
        "高州",
        [road("streets", schedule="07:00-08:30,10:30-12:30,14:00-14:30,17:00-19:00")],
        [
            caught(HEAVY, f"{MONDAY}T14:15", "streets"),
            free(HEAVY, f"{MONDAY}T14:30"),
            free(
                replace(HEAVY, permits=(Permit("streets", at(f"{MONDAY}T14:00"), at(f"{MONDAY}T15:00")),)),
                f"{MONDAY}T14:15",
            ),
        ],
    ),
    (
        "宽甸",
        [
            area(
                "town",
                applies_to={
                    "any_of": [
                        {"vehicle_classes": ["heavy"]},
                        {"vehicle_classes": ["medium"]},
                        {"vehicle_kinds": ["special_work", "low_speed", "farm_tractor"]},
                    ],
                    "except": [
                        {
                            "vehicle_kinds": ["goods"],
                            "vehicle_classes": ["medium"],
                            "bodies": ["van"],
                            "length_at_most_m": 6,
                            "width_at_most_m": 2.2,
                            "height_at_most_m": 2.8,
                        }
                    ],
                    "vehicle_kinds": ["goods", "hazmat", "special_work", "low_speed", "farm_tractor"],
                },
                schedule="07:00-19:00",
            )
        ],
        [
            caught(HEAVY, f"{MONDAY}T12:00", "town"),
            caught(replace(HAZMAT, size_class=VehicleClass.HEAVY), f"{MONDAY}T12:00", "town"),
            caught(Vehicle(1, VehicleKind.FARM_TRACTOR, VehicleClass.LIGHT), f"{MONDAY}T12:00", "town"),
            caught(replace(HEAVY, size_class=VehicleClass.MEDIUM, body=BodyType.VAN), f"{MONDAY}T12:00", "town"),
            free(
                replace(
                    HEAVY,
                    size_class=VehicleClass.MEDIUM,
                    body=BodyType.VAN,
                    length_m=5.9,
                    width_m=2.2,
                    height_m=2.8,
                ),
                f"{MONDAY}T12:00",
            ),
            free(LIGHT, f"{MONDAY}T12:00"),
            free(HEAVY, f"{MONDAY}T19:00"),
        ],
    ),
    (
        "三门峡",
        [
            area(
                "smog",
                applies_to={"vehicle_kinds": ["car"], "plate_tail_parity": "not_as_date"},
                valid_from="2016-11-19T00:00:00+08:00",
                valid_to="2017-01-01T00:00:00+08:00",
            ),
            road("yellow", applies_to={"vehicle_kinds": ["goods"], "plate_colours": ["yellow"]}),
        ],
        [
            caught(CAR, "2016-11-20T12:00", "smog"),
            caught(HEAVY, "2016-11-20T12:00", "yellow"),
            free(CAR, "2016-11-21T12:00"),
            free(CAR, "2017-01-02T12:00"),
            free(LIGHT, "2016-11-20T12:00"),
        ],
    ),
    (
        "福州",
        [
            area("outer-heavy", applies_to={"vehicle_classes": ["heavy", "medium"]}, schedule="06:00-22:00"),
            area("inner-heavy", INNER, applies_to={"vehicle_classes": ["heavy", "medium"]}),
            area("inner-light", INNER, applies_to={"vehicle_classes": ["light", "micro"]}, schedule="06:00-22:00"),
            area("sprinklers", applies_to={"services": ["sprinkler", "sweeper"]}, schedule="07:00-09:00,17:00-19:00"),
        ],
        [
            caught(HEAVY, f"{MONDAY}T12:00", "outer-heavy", place=BETWEEN),
            caught(HEAVY, f"{MONDAY}T23:00", "inner-heavy"),
            caught(LIGHT, f"{MONDAY}T12:00", "inner-light"),
            caught(
                replace(LIGHT, kind=VehicleKind.SPECIAL_WORK, service="sprinkler"),
                f"{MONDAY}T08:00",
                "sprinklers",
                place=BETWEEN,
            ),
            free(replace(LIGHT, kind=VehicleKind.SPECIAL_WORK, service="sprinkler"), f"{MONDAY}T12:00", place=BETWEEN),
            free(HEAVY, f"{MONDAY}T23:00", place=BETWEEN),
            free(LIGHT, f"{MONDAY}T23:00"),
        ],
    ),
    (
        "庆城",
        [road("route", schedule="00:00-05:00,07:00-20:00")],
        [
            caught(HEAVY, f"{MONDAY}T04:00", "route"),
            caught(
                replace(HEAVY, permits=(Permit("route", at(f"{MONDAY}T08:00"), at(f"{MONDAY}T10:00")),)),
                f"{MONDAY}T10:00",
                "route",
            ),
            free(
                replace(HEAVY, permits=(Permit("route", at(f"{MONDAY}T08:00"), at(f"{MONDAY}T10:00")),)),
                f"{MONDAY}T09:59",
            ),
            free(HEAVY, f"{MONDAY}T06:00"),
        ],
    ),
]
CASES = [
    pytest.param(features, case, id=f"{number}-{city}-{row}")
    for number, (city, features, cases) in enumerate(STATEMENTS)
    for row, case in enumerate(cases)
]


@pytest.mark.parametrize(("features", "case"), CASES)
def test_rule_catches_whom_the_notice_means_and_nobody_else(features: list[dict[str, object]], case: Case) -> None:
    document = {"type": "FeatureCollection", "features": features}
    engine = Engine(ZoneSet.from_geojson(document, calendar=CALENDAR), config=EXACT, vehicles=[case.vehicle])
    now = at(case.moment)
    (lon, lat) = case.place
    alerts = list(engine.process(PingBatch.from_columns([1], [now], [lon], [lat]), now).alerts)
    # One message may tell of several zones.
    told = {alert.zone_id for alert in alerts if alert.send or alert.reason == SuppressReason.DIGESTED}
    assert told == case.caught
    assert not any(alert.may_apply for alert in alerts)


def test_each_statement_has_one_who_is_caught_and_one_who_is_not() -> None:
    assert [city for city, _, cases in STATEMENTS if not any(case.caught for case in cases)] == []
    assert [city for city, _, cases in STATEMENTS if all(case.caught for case in cases)] == []


@pytest.mark.skipif(not VECTORS.is_file(), reason="needs ../shared/data/vectors/truck_rules_china.json")
def test_every_recorded_statement_is_expressed() -> None:
    recorded = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert [entry["city"] for entry in recorded] == [city for city, _, _ in STATEMENTS]
