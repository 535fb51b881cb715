"""What a zone document says of its rules: order of listing, roads, boundary roads, days."""

from __future__ import annotations

import pytest
from pyproj import Geod

from geo_engine.model import RoadLevel
from geo_engine.zones.calendar import DayCalendar
from geo_engine.zones.days import DateParity, Days
from geo_engine.zones.document import join_zone_documents, read_zone_document
from geo_engine.zones.zone import Zone
from tests.unit.zones.documents import GOOD, SQUARE, collection, feature, line, polygon


def test_zones_are_listed_in_the_order_of_files_and_features() -> None:
    first, second = (
        read_zone_document(collection(*(feature(polygon(SQUARE), zone_id=name) for name in names)))
        for names in (("b", "a"), ("d", "c"))
    )
    joined = join_zone_documents([first, second])
    assert [(zone.zone_id, zone.listed) for zone in joined.zones] == [("b", 0), ("a", 1), ("d", 2), ("c", 3)]


def test_line_is_a_road_and_an_area_is_not() -> None:
    document = read_zone_document(
        collection(
            feature(line([114, 30], [114.1, 30]), zone_id="line", width_m=10, effect="allowed", road_level="elevated"),
            feature(polygon(SQUARE), zone_id="area"),
        )
    )
    assert [(zone.road, zone.effect.value) for zone in document.zones] == [(True, "allowed"), (False, "closed")]
    assert document.zones[0].level is RoadLevel.ELEVATED
    assert document.zones[0].rank > document.zones[1].rank


def area_m2(zone: Zone) -> float:
    return abs(Geod(ellps="WGS84").geometry_area_perimeter(zone.geometry)[0])


@pytest.mark.parametrize(("side", "sign"), [("included", 1), ("excluded", -1)])
def test_boundary_road_belongs_to_the_area_or_not(side: str, sign: int) -> None:
    hole = [[114.04, 30.04], [114.04, 30.06], [114.06, 30.06], [114.06, 30.04], [114.04, 30.04]]
    drawn = feature(polygon(SQUARE, hole), zone_id="drawn")
    moved = feature(polygon(SQUARE, hole), zone_id="moved", boundary_road=side, boundary_width_m=60)
    first, second = read_zone_document(collection(drawn, moved)).zones
    outer_m, inner_m = (Geod(ellps="WGS84").line_length(*zip(*ring, strict=True)) for ring in (SQUARE, hole))
    assert area_m2(second) - area_m2(first) == pytest.approx(sign * 30 * (outer_m + inner_m), rel=0.01)


def test_area_within_its_boundary_road_is_a_fault_and_a_line_has_none() -> None:
    narrow = feature(polygon(SQUARE), boundary_road="excluded", boundary_width_m=1000)
    tiny = polygon([[114.0, 30.0], [114.001, 30.0], [114.001, 30.001], [114.0, 30.0]])
    document = read_zone_document(collection({**narrow, "geometry": tiny}, GOOD))
    assert [fault.reason for fault in document.faults] == ["nothing_inside_boundary"]
    drawn = feature(line([114, 30], [114.1, 30]), width_m=10, boundary_road="excluded", boundary_width_m=10)
    assert [note.reason for note in read_zone_document(collection(drawn)).notes] == ["unused_property"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, None),
        ({}, None),
        ({"holiday": "same"}, None),
        ({"dates": "odd"}, Days(dates=DateParity.ODD)),
        ({"holiday": "off"}, Days("off", "weekday")),
        ({"holiday": "off", "makeup_workday": "weekend"}, Days("off", "weekend")),
        ({"makeup_workday": "weekday"}, Days("same", "weekday")),
        ({"holiday": "Su 10:00-12:00"}, Days("Su 10:00-12:00", "weekday")),
    ],
)
def test_day_rules_reach_the_schedule_and_ordinary_ones_vanish(days: object, expected: Days | None) -> None:
    (zone,) = read_zone_document(collection(feature(polygon(SQUARE), days=days))).zones
    assert zone.schedule.days == expected


def test_years_without_a_calendar_are_noted_once() -> None:
    asking = [feature(polygon(SQUARE), zone_id=name, days={"holiday": "off"}) for name in "ab"]
    known = DayCalendar(frozenset({2024, 2026}))
    (note,) = read_zone_document(collection(*asking), calendar=known).notes
    assert (note.reason, "2025, 2027 and later" in note.expected) == ("unknown_year", True)
    (note,) = read_zone_document(collection(*asking)).notes
    assert note.reason == "no_day_calendar"
    assert read_zone_document(collection(feature(polygon(SQUARE), days={"dates": "odd"}))).notes == ()
