"""The example city: well-formed, illustrative, every kind of rule, and enough in force at any hour to warn somebody."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from api.example import data_dir, example_network, zones_dir
from geo_engine.model import Applicability, Vehicle, VehicleClass, VehicleKind, ZoneKind
from geo_engine.simulate.traffic import Traffic
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

FILES = sorted(zones_dir().glob("*.geojson"))
PROPERTIES = {
    "kind", "name", "name_en", "applies_to", "exempt", "schedule", "timezone", "valid_from", "valid_to",
    "enforced_from", "severity", "advice", "width_m", "radius_m", "note",
}  # fmt: skip
MONDAY_MS = 1_793_548_800_000  # 2026-11-02T00:00:00+08:00
HOUR_MS = 3_600_000


def document(name: str) -> dict[str, Any]:
    found = json.loads((data_dir() / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


FEATURES: list[dict[str, Any]] = [
    feature for path in FILES for feature in json.loads(path.read_text(encoding="utf-8"))["features"]
]


@pytest.fixture(scope="module")
def city() -> ZoneSet:
    return ZoneSet.from_geojson(*(path.read_bytes() for path in FILES))


def test_every_zone_file_loads_without_a_fault(city: ZoneSet) -> None:
    assert len(city) == len(FEATURES)


def test_there_are_forty_zones_and_fifty_venues(city: ZoneSet) -> None:
    kinds = Counter(zone.kind for zone in city.zones)
    assert kinds[ZoneKind.VENUE] == 50
    assert len(city) - kinds[ZoneKind.VENUE] >= 40
    assert set(kinds) == set(ZoneKind)


def test_ids_are_unique_across_files() -> None:
    ids = [feature["id"] for feature in FEATURES]
    assert [name for name, count in Counter(ids).items() if count > 1] == []


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature["id"])
def test_every_feature_is_named_in_two_languages_and_marked_illustrative(feature: dict[str, Any]) -> None:
    properties = feature["properties"]
    assert set(properties) <= PROPERTIES
    assert any("\u4e00" <= sign <= "\u9fff" for sign in properties["name"])
    assert properties["name_en"].isascii()
    assert properties["note"] == "illustrative, not legal advice"


def has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda feature: all(
        name in feature["properties"] or name in feature["properties"].get("applies_to", {}) for name in names
    )


def is_shape(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda feature: feature["geometry"]["type"] == name


def schedule(part: str) -> Callable[[dict[str, Any]], bool]:
    return lambda feature: part in feature["properties"].get("schedule", "")


@pytest.mark.parametrize(
    "covers",
    [
        *(
            pytest.param(is_shape(name), id=name)
            for name in ("Polygon", "MultiPolygon", "LineString", "MultiLineString", "Point")
        ),
        pytest.param(lambda f: f["geometry"]["type"] == "Polygon" and len(f["geometry"]["coordinates"]) > 1, id="hole"),
        *(
            pytest.param(has(*names), id="+".join(names))
            for names in (
                ("width_m",),
                ("radius_m",),
                ("vehicle_kinds",),
                ("vehicle_classes",),
                ("gross_weight_over_t",),
                ("plate_prefixes",),
                ("plate_prefixes_except",),
                ("exempt",),
                ("valid_from", "valid_to"),
                ("enforced_from",),
                ("advice",),
            )
        ),
        *(pytest.param(schedule(part), id=part) for part in ("24/7", "Mo-Fr", "Sa-Su", "22:00-06:00", ",", ";")),
        *(
            pytest.param(lambda f, level=level: f["properties"].get("severity") == level, id=level)
            for level in ("low", "normal", "high")
        ),
    ],
)
def test_every_kind_of_rule_occurs(covers: Callable[[dict[str, Any]], bool]) -> None:
    assert any(covers(feature) for feature in FEATURES)


def test_one_zone_is_over_and_one_has_not_begun(city: ZoneSet) -> None:
    assert any(zone.valid_to_ms is not None and zone.valid_to_ms < MONDAY_MS for zone in city.zones)
    assert any(zone.valid_from_ms is not None and zone.valid_from_ms > MONDAY_MS for zone in city.zones)


def test_every_closed_bridge_lies_on_a_road() -> None:
    vertices = {
        tuple(vertex) for road in document("roads.geojson")["features"] for vertex in road["geometry"]["coordinates"]
    }
    bridges = json.loads((zones_dir() / "bridges.geojson").read_text(encoding="utf-8"))["features"]
    for bridge in bridges:
        for line in shapely.get_parts(shape(bridge["geometry"])):
            assert {line.coords[0], line.coords[-1]} <= vertices, bridge["id"]


@pytest.mark.parametrize("name", ["water.geojson", "roads.geojson"])
def test_base_map_shapes_are_valid(name: str) -> None:
    for feature in document(name)["features"]:
        assert shape(feature["geometry"]).is_valid, feature["id"]


def test_every_bridge_over_the_yangtze_leads_over_the_yangtze() -> None:
    water = {feature["id"]: shape(feature["geometry"]) for feature in document("water.geojson")["features"]}
    over = [
        road["id"]
        for road in document("roads.geojson")["features"]
        if shape(road["geometry"]).crosses(water["changjiang"])
    ]
    assert sorted(over) == [
        "baishazhou-daqiao", "changjiang-erqiao", "changjiang-suidao", "erqi-daqiao", "gongtie-suidao",
        "tianxingzhou-daqiao", "wuhan-changjiang-daqiao", "yangsigang-daqiao", "yingwuzhou-daqiao",
    ]  # fmt: skip


def test_whole_network_can_be_reached_from_everywhere() -> None:
    network = example_network()
    reached, waiting = {0}, [0]
    while waiting:
        stretch = waiting.pop()
        following = set(network.turns[network.turn_first[stretch] : network.turn_first[stretch + 1]].tolist())
        waiting += following - reached
        reached |= following
    assert len(reached) == len(network)


def closed_to_trucks(city: ZoneSet, time_ms: int) -> list[Zone]:
    truck = Vehicle(1, VehicleKind.GOODS, VehicleClass.HEAVY, 31.0, "豫A12345")
    return [
        zone
        for zone in city.zones
        if zone.kind is ZoneKind.TRUCK_RESTRICTION
        and zone.in_force_at(time_ms)
        and zone.applies_to.judge(truck) is Applicability.YES
    ]


def test_at_every_hour_of_the_week_several_zones_are_closed_to_a_heavy_truck(city: ZoneSet) -> None:
    assert min(len(closed_to_trucks(city, MONDAY_MS + hour * HOUR_MS)) for hour in range(168)) >= 8


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("hour", [3, 12])
def test_within_a_minute_several_trucks_drive_into_a_zone_closed_to_them(city: ZoneSet, seed: int, hour: int) -> None:
    start_ms = MONDAY_MS + hour * HOUR_MS
    traffic = Traffic(example_network(), users=200, seed=seed, start_ms=start_ms)
    vehicles = {vehicle.u7: vehicle for vehicle in traffic.vehicles()}
    pings = traffic.pings_between(start_ms, start_ms + 55_000)
    entered = set()
    for zone in city.zones:
        if zone.kind is not ZoneKind.TRUCK_RESTRICTION or not zone.in_force_at(start_ms):
            continue
        inside = shapely.contains_xy(zone.geometry, pings.lon, pings.lat)
        # Twenty seconds outside come first: time enough for a warning before the border.
        early = set(pings.u7[inside & (pings.time_ms < start_ms + 20_000)].tolist())
        concerned = {
            user
            for user in np.unique(pings.u7[inside]).tolist()
            if vehicles[user].consent_warnings and zone.applies_to.judge(vehicles[user]) is Applicability.YES
        }
        entered |= concerned - early
    assert len(entered) >= 5
