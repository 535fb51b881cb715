"""OpenStreetMap conditional restrictions: read, written, read again; to zones and back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.model import Applicability, RuleEffect, Vehicle, VehicleClass, VehicleKind
from geo_engine.testing import noon_ms
from geo_engine.zones.conditional import (
    Clause,
    Comparison,
    ConditionalError,
    Times,
    Word,
    format_conditional,
    parse_conditional,
)
from geo_engine.zones.document import read_zone_document
from geo_engine.zones.osm import osm_from_zones, zones_from_osm
from geo_engine.zones.precedence import Precedence
from geo_engine.zones.rulebook import Question, RuleBook
from geo_engine.zones.zoneset import ZoneSet

VECTORS = Path(__file__).resolve().parents[4] / "shared/data/vectors/osm_conditional_values.json"
LINE = {"type": "LineString", "coordinates": [[8.67, 49.41], [8.68, 49.41]]}
WEEK = "Mo-Fr 09:00-15:00, 18:00-07:00; Sa-Su 24 h"


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        (
            "no @ (7:30-19:00 AND weight>7.5)",
            (Clause(("no",), (Times("7:30-19:00"), Comparison("weight", ">", 7.5))),),
        ),
        ("destination @ (6:00-11:00)", (Clause(("destination",), (Times("6:00-11:00"),)),)),
        (f"yes|yes @ ({WEEK})", (Clause(("yes", "yes"), (Times(WEEK),)),)),
        (f"yes|yes |yes@({WEEK})", (Clause(("yes", "yes", "yes"), (Times(WEEK),)),)),
        ("||yes @ (Sa-Su 24h)", (Clause(("", "", "yes"), (Times("Sa-Su 24h"),)),)),
        ("no@Su", (Clause(("no",), (Times("Su"),)),)),
        ("none @ destination", (Clause(("none",), (Word("destination"),)),)),
        ("no @ (22:00-06:00); yes @ wet", (Clause(("no",), (Times("22:00-06:00"),)), Clause(("yes",), (Word("wet"),)))),
        ("no; yes @ (axles <= 3)", (Clause(("no",)), Clause(("yes",), (Comparison("axles", "<=", 3.0),)))),
        ("no @ (weight>12.3456789)", (Clause(("no",), (Comparison("weight", ">", 12.3456789),)),)),
        ("no @ (weight>3500000 kg)", (Clause(("no",), (Comparison("weight", ">", 3_500_000.0, "kg"),)),)),
        ("no @ (length>0.00001)", (Clause(("no",), (Comparison("length", ">", 0.00001),)),)),
        ("no @ (length>10 m)", (Clause(("no",), (Comparison("length", ">", 10.0, "m"),)),)),
        ("no @ ((07:00-09:00) AND (hgv))", (Clause(("no",), (Times("07:00-09:00"), Word("hgv"))),)),
    ],
)
def test_value_is_read_clause_by_clause(text: str, clauses: tuple[Clause, ...]) -> None:
    assert parse_conditional(text) == clauses
    assert parse_conditional(format_conditional(clauses)) == clauses


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@ (07:00-09:00)",
        "no @",
        "no @ ()",
        "no @ (07:00-09:00",
        "no) @ x",
        "no @ Mo-Fr 07:00-09:00; Sa 10:00-12:00",
        "no @ (>5)",
        f"no @ (weight>{'9' * 400})",
        "x" * 1_001,
    ],
)
def test_value_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ConditionalError):
        parse_conditional(text)


@pytest.mark.skipif(not VECTORS.is_file(), reason="needs ../shared/data/vectors/osm_conditional_values.json")
def test_recorded_values_are_read_and_written_as_they_were_but_for_spaces() -> None:
    for entry in json.loads(VECTORS.read_text(encoding="utf-8"))["values"]:
        clauses = parse_conditional(entry["value"])
        assert format_conditional(clauses).replace(" ", "") == entry["value"].replace(" ", "")
        assert parse_conditional(format_conditional(clauses)) == clauses


_CONDITIONS = st.lists(
    st.one_of(
        st.sampled_from(["Mo-Fr 07:00-09:00", "22:00-06:00; Su off", "Sa-Su 24h"]).map(Times),
        st.builds(
            Comparison,
            st.sampled_from(["weight", "length", "axles"]),
            st.sampled_from([">", "<", ">=", "<=", "="]),
            st.integers(1, 400).map(lambda tenths: tenths / 10),
            st.sampled_from(["", "t", "m"]),
        ),
        st.sampled_from(["hgv", "destination", "wet"]).map(Word),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Clause,
            st.lists(st.sampled_from(["no", "yes", "7.5", "none"]), min_size=1, max_size=3).map(tuple),
            _CONDITIONS,
        ),
        min_size=1,
        max_size=4,
    ).map(tuple)
)
def test_what_is_written_is_read_as_it_was(clauses: tuple[Clause, ...]) -> None:
    assert parse_conditional(format_conditional(clauses)) == clauses


def ways(*tags: dict[str, object], geometry: object = LINE) -> dict[str, object]:
    features = [
        {"type": "Feature", "id": f"way/{row}", "geometry": geometry, "properties": {"name": "Straße", **found}}
        for row, found in enumerate(tags)
    ]
    return {"type": "FeatureCollection", "features": features}


TRUCK = Vehicle(1, VehicleKind.GOODS, VehicleClass.HEAVY, 18.0, height_m=3.5)
VAN = Vehicle(2, VehicleKind.GOODS, VehicleClass.LIGHT, 3.0, height_m=2.5)
CAR = Vehicle(3, VehicleKind.CAR, None, 1.5, height_m=1.5)


@pytest.mark.parametrize(
    ("tags", "concerned", "schedule"),
    [
        ({"hgv": "no"}, [TRUCK], "24/7"),
        ({"hgv:conditional": "no @ (22:00-06:00)"}, [TRUCK], "22:00-06:00"),
        ({"goods:conditional": "no @ (Su)"}, [VAN], "Su"),
        ({"motor_vehicle:conditional": "destination @ (Mo-Sa 06:00-11:00)"}, [TRUCK, VAN, CAR], "Mo-Sa 06:00-11:00"),
        ({"access:conditional": "no @ (7:30-19:00 AND weight>7.5)"}, [TRUCK], "7:30-19:00"),
        ({"maxweight": "7.5"}, [TRUCK], "24/7"),
        ({"maxweight": "2000 kg"}, [TRUCK, VAN], "24/7"),
        ({"maxweight:conditional": "2.8 @ (Mo-Fr 07:00-19:00)"}, [TRUCK, VAN], "Mo-Fr 07:00-19:00"),
        ({"maxheight": "3 m"}, [TRUCK], "24/7"),
        ({"hgv:conditional": "no @ (weight>2)"}, [TRUCK], "24/7"),
        ({"motor_vehicle:conditional": "no @ (weight>2000 kg)"}, [TRUCK, VAN], "24/7"),
        ({"motor_vehicle:conditional": "no @ (length>15 ft AND axles>1)"}, [], "24/7"),
    ],
)
def test_tags_become_a_rule(tags: dict[str, object], concerned: list[Vehicle], schedule: str) -> None:
    imported = zones_from_osm(ways(tags), timezone="Europe/Berlin")
    assert imported.faults == ()
    (zone,) = read_zone_document(imported.document).zones
    judged = [zone.applies_to.judge(vehicle) is Applicability.YES for vehicle in (TRUCK, VAN, CAR)]
    assert judged == [vehicle in concerned for vehicle in (TRUCK, VAN, CAR)]
    assert (zone.schedule.text, zone.schedule.timezone, zone.road) == (schedule, "Europe/Berlin", True)


def test_later_clause_becomes_a_rule_that_beats_the_earlier_one() -> None:
    imported = zones_from_osm(ways({"hgv": "no", "hgv:conditional": "no @ (Su); yes @ (22:00-06:00)"}))
    zones = read_zone_document(imported.document).zones
    assert [zone.effect for zone in zones] == [RuleEffect.CLOSED, RuleEffect.CLOSED, RuleEffect.ALLOWED]
    assert zones[2].rank > zones[1].rank > zones[0].rank


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"hgv:lanes:conditional": f"yes|yes @ ({WEEK})"}, "part_of_road"),
        ({"hgv:conditional": "no @ wet"}, "unknown_condition"),
        ({"hgv:conditional": "no @ (07:00-09:00 AND Su)"}, "unknown_condition"),
        ({"maxweight:conditional": "none @ destination"}, "unknown_condition"),
        ({"hgv:conditional": "no @ (weight>12 st)"}, "unknown_unit"),
        ({"hgv:conditional": "no @ (weight>12 m)"}, "unknown_unit"),
        ({"hgv:conditional": "no @ (axles>3 t)"}, "unknown_unit"),
        ({"hgv:conditional": "perhaps @ (Su)"}, "unknown_value"),
        ({"maxweight:conditional": "heavy @ (Su)"}, "bad_limit"),
        ({"hgv:conditional": "no @ ("}, "bad_conditional"),
        ({"hgv:conditional": "no @ (sunset-sunrise 07:00)"}, "bad_schedule"),
    ],
)
def test_tag_the_engine_cannot_judge_is_named_and_the_good_one_kept(tags: dict[str, object], reason: str) -> None:
    imported = zones_from_osm(ways(tags, {"hgv": "no"}), where="roads.geojson")
    assert [fault.reason for fault in imported.faults] == [reason]
    assert [feature["id"] for feature in imported.document["features"]] == ["way/1#hgv#0"]


SUNDAY, MONDAY = (noon_ms + days * 86_400_000 for days in (6, 0))


def closed_to(tags: dict[str, object], vehicle: Vehicle, time_ms: int = MONDAY) -> bool:
    """Say whether the zones of a way let a vehicle pass in the middle of it."""
    zones = read_zone_document(zones_from_osm(ways(tags), timezone="Asia/Shanghai").document).zones
    rules = RuleBook(ZoneSet.of(zones), Vehicle(0))
    asked = [np.full(len(zones), value) for value in (rules.profile_of(vehicle), time_ms, 8.675, 49.41)]
    return bool((rules.weigh(Question(asked[0], np.arange(len(zones)), *asked[1:])) == Applicability.YES).any())


PASSES = [
    # tags, who, passes on a Monday, passes on a Sunday
    ({"hgv": "no", "hgv:conditional": "yes @ (Su)"}, TRUCK, False, True),
    ({"hgv": "no", "maxweight": "7.5", "hgv:conditional": "yes @ (Su)"}, TRUCK, False, False),
    ({"maxheight": "3", "maxweight": "7.5", "maxweight:conditional": "none @ (Su)"}, TRUCK, False, False),
    ({"maxheight": "5", "maxweight": "7.5", "maxweight:conditional": "none @ (Su)"}, TRUCK, False, True),
    ({"hgv": "no", "access:conditional": "yes @ (Su)"}, TRUCK, False, False),
    ({"hazmat": "no", "hgv": "yes", "access": "no"}, replace(TRUCK, goods="hazmat"), False, False),
    ({"access": "no", "hgv": "yes"}, TRUCK, True, True),
    ({"access": "no", "hgv": "yes"}, CAR, False, False),
    ({"access": "no", "hgv": "yes"}, VAN, False, False),
    ({"access": "no", "motor_vehicle": "yes"}, CAR, True, True),
    ({"access": "no", "hgv": "designated", "hgv:conditional": "no @ (Su)"}, TRUCK, True, False),
    ({"vehicle:conditional": "no @ (Mo-Su)", "goods": "permissive"}, VAN, True, True),
    ({"hgv": "no", "goods": "yes"}, TRUCK, False, False),
    ({"access": "no", "hazmat": "yes"}, replace(TRUCK, goods="hazmat"), False, False),
    ({"hgv": "no", "hgv:conditional": "yes @ (Su); no @ (Su 10:00-14:00)"}, TRUCK, False, False),
]


@pytest.mark.parametrize(("tags", "vehicle", "monday", "sunday"), PASSES)
def test_open_clause_lifts_what_its_tag_overrides_and_nothing_else_in_any_order(
    tags: dict[str, object], vehicle: Vehicle, monday: bool, sunday: bool
) -> None:
    vehicle = replace(vehicle, goods=vehicle.goods or "gravel")
    for order in permutations(tags.items()):
        passes = [not closed_to(dict(order), vehicle, time_ms) for time_ms in (MONDAY, SUNDAY)]
        assert passes == [monday, sunday], order


def test_open_clause_of_one_way_lifts_nothing_of_the_way_it_crosses() -> None:
    imported = zones_from_osm(ways({"hgv": "no"}, {"hgv": "no", "hgv:conditional": "yes @ (Su)"}))
    zones = read_zone_document(imported.document).zones
    pairs = Precedence(ZoneSet.of(zones))
    silenced = [
        (zones[one].zone_id, zones[other].zone_id) for one, other in zip(pairs.winner, pairs.loser, strict=True)
    ]
    assert silenced == [("way/1#hgv:conditional#0", "way/1#hgv#0")]


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"hgv": "yes"},
        {"hgv:conditional": "yes @ (Su)"},
        {"bicycle:conditional": "yes @ (Su)"},
        {"highway": "primary"},
    ],
)
def test_way_without_a_restriction_gives_no_zone(tags: dict[str, object]) -> None:
    imported = zones_from_osm(ways(tags))
    assert (imported.document["features"], imported.faults) == ([], ())


TAGS = [
    {"hgv:conditional": "no @ (22:00-06:00)"},
    {"hgv:conditional": "no @ (Su); yes @ (Su 10:00-12:00 AND length>6)", "maxheight": "3.5"},
    {"access:conditional": "no @ (7:30-19:00 AND weight>7.5)"},
    {"motor_vehicle:conditional": "destination @ (Mo-Sa 06:00-11:00)"},
    {"maxweight:conditional": "2.8 @ (Mo-Fr 07:00-19:00); none @ (Sa)"},
    {"hazmat": "no"},
    {"goods": "no", "hgv": "no"},
    {"maxaxleload": "8"},
    {"access": "no", "hgv": "yes"},
    {"maxweight": "12.34567"},
    {"vehicle:conditional": "no @ (weight>12.34567)"},
]


@pytest.mark.parametrize("tags", TAGS, ids=" ".join)
def test_tags_survive_the_way_to_zones_and_back(tags: dict[str, object]) -> None:
    exported = osm_from_zones(zones_from_osm(ways(tags)).document)
    assert exported.faults == ()
    assert [feature["properties"] for feature in exported.document["features"]] == [{"name": "Straße", **tags}]
    assert [feature["id"] for feature in exported.document["features"]] == ["way/0"]


@pytest.mark.skipif(not VECTORS.is_file(), reason="needs ../shared/data/vectors/osm_conditional_values.json")
def test_recorded_values_survive_the_way_to_zones_and_back_or_are_named() -> None:
    for entry in json.loads(VECTORS.read_text(encoding="utf-8"))["values"]:
        key, value = entry["key"], entry["value"]
        imported = zones_from_osm(ways({key: value}))
        if ":lanes:" in key:
            assert [fault.reason for fault in imported.faults] == ["part_of_road"]
        elif key.startswith(("bicycle", "headway")):
            assert (imported.document["features"], imported.faults) == ([], ())
        else:
            exported = osm_from_zones(imported.document)
            assert exported.document["features"][0]["properties"] == {"name": "Straße", key: value}


EVERY_KIND = [kind.value for kind in VehicleKind]


def zone(properties: dict[str, object]) -> dict[str, object]:
    values = {"kind": "truck_restriction", "name": "Straße", "width_m": 10, **properties}
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "id": "z", "geometry": LINE, "properties": values}],
    }


@pytest.mark.parametrize(
    ("properties", "tags"),
    [
        ({}, {"goods": "no", "hgv": "no"}),
        (
            {"applies_to": {"gross_weight_over_t": 12}, "schedule": "22:00-06:00"},
            {"hgv:conditional": "no @ (22:00-06:00 AND weight>12)"},
        ),
        ({"applies_to": {"gross_weight_over_t": 3.5}, "effect": "allowed"}, {"hgv": "yes"}),
        ({"applies_to": {"vehicle_kinds": EVERY_KIND}, "schedule": "Su"}, {"motor_vehicle:conditional": "no @ (Su)"}),
        ({"applies_to": {"vehicle_kinds": EVERY_KIND, "goods": ["hazmat"]}}, {"hazmat": "no"}),
        ({"applies_to": {"vehicle_kinds": EVERY_KIND, "height_over_m": 3.5}}, {"maxheight": "3.5"}),
        (
            {"applies_to": {"vehicle_kinds": EVERY_KIND, "height_over_m": 3.5, "axles_over": 3}, "schedule": "Su"},
            {"motor_vehicle:conditional": "no @ (Su AND height>3.5 AND axles>3)"},
        ),
    ],
)
def test_zone_of_ours_becomes_tags(properties: dict[str, object], tags: dict[str, object]) -> None:
    exported = osm_from_zones(zone(properties))
    assert exported.document["features"][0]["properties"] == {"name": "Straße", **tags}


@pytest.mark.parametrize(
    "properties",
    [
        {"kind": "construction"},
        {"applies_to": {"plate_prefixes": ["鄂A"]}},
        {"applies_to": {"vehicle_kinds": ["coach"]}},
        {"applies_to": {"any_of": [{"axles_over": 3}]}},
        {"applies_to": {"goods": ["hazmat"]}},
        {"days": {"holiday": "off"}},
        {"exempt": ["emergency"]},
        {"dwell_s": 300},
        {"valid_to": "2026-12-01T00:00:00+08:00"},
    ],
)
def test_zone_the_tags_cannot_say_is_named_and_left_out(properties: dict[str, object]) -> None:
    exported = osm_from_zones(zone(properties), where="zones.geojson")
    assert exported.document["features"] == []
    assert [(fault.where, fault.reason) for fault in exported.faults] == [
        ("zones.geojson feature 0 (z)", "not_expressible")
    ]


@pytest.mark.parametrize("bad", [7, {"type": "Feature"}, {"type": "Feature", "properties": None}])
def test_entry_that_is_no_way_is_named_and_the_good_one_kept(bad: object) -> None:
    collection = ways({"hgv": "no"})
    collection["features"] = [bad, *collection["features"]]  # type: ignore[misc]  # a list, see ways()
    imported = zones_from_osm(collection, where="roads.geojson")
    assert [(fault.where, fault.path) for fault in imported.faults] == [("roads.geojson", "$.features[0]")]
    assert [feature["id"] for feature in imported.document["features"]] == ["way/0#hgv#0"]


def test_tags_and_id_are_found_where_other_programs_put_them_and_the_width_from_the_lanes() -> None:
    tags = {"hgv": "no", "ref": "B 37", "lanes": "4"}
    feature = {"type": "Feature", "geometry": LINE, "properties": {"@id": "way/5", "tags": tags}}
    imported = zones_from_osm({"type": "FeatureCollection", "features": [feature]})
    (found,) = imported.document["features"]
    assert (found["id"], found["properties"]["name"], found["properties"]["width_m"]) == ("way/5#hgv#0", "B 37", 14.0)
    area = {"type": "Polygon", "coordinates": [[[8.0, 49.0], [8.1, 49.0], [8.1, 49.1], [8.0, 49.0]]]}
    (found,) = zones_from_osm(ways({"hgv": "no"}, geometry=area)).document["features"]
    assert "width_m" not in found["properties"]
