"""The zones around somebody: which, how far, now or later today, until when, for this vehicle."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import shapely
from pyproj import Geod

from geo_engine.answers.around import ZoneAround, ZonesAround
from geo_engine.geodesy.measure import destination
from geo_engine.model import Permit, RuleEffect, Vehicle, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.zones.rule import GOODS_KINDS, AppliesTo, TailParity
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

HOUR_MS = 3_600_000
TRUCKS = AppliesTo(kinds=GOODS_KINDS)
TRUCK = Vehicle(7, kind=VehicleKind.GOODS, plate="鄂A12345")
CAR = Vehicle(8, kind=VehicleKind.CAR)
WEST = (114.29, 30.60)
"""Beside the zones of ``box_zone``, which begin at 114.30."""


def around(
    *zones: Zone,
    vehicle: Vehicle = TRUCK,
    at: tuple[float, float] = WEST,
    now_ms: int = noon_ms,
    within_m: float = 5_000.0,
) -> list[ZoneAround]:
    return ZonesAround(ZoneSet.of(zones)).around(vehicle, *at, now_ms, within_m=within_m)


def hours(text: str) -> Schedule:
    return Schedule.parse(text)


def test_a_zone_that_applies_now_says_how_far_where_and_until_when() -> None:
    [found] = around(box_zone("a", applies_to=TRUCKS, schedule=hours("07:00-22:00")))
    expected_m = Geod(ellps="WGS84").inv(*WEST, 114.30, 30.60)[2]
    assert abs(found.distance_m - expected_m) < 1.0
    assert found.bearing_deg == pytest.approx(90.0, abs=0.1)
    assert (found.from_ms, found.until_ms, found.may_apply) == (None, noon_ms + 10 * HOUR_MS, False)


def test_a_zone_that_begins_later_today_says_from_when_and_one_of_tomorrow_is_not_told() -> None:
    evening, morning = hours("16:30-19:00"), hours("07:00-09:00")
    [found] = around(box_zone("a", schedule=evening), box_zone("b", schedule=morning))
    assert found.zone.zone_id == "a"
    assert (found.from_ms, found.until_ms) == (noon_ms + 4 * HOUR_MS + HOUR_MS // 2, noon_ms + 7 * HOUR_MS)


def test_a_window_past_midnight_ends_tomorrow_and_an_endless_one_never() -> None:
    night, always = around(box_zone("a", schedule=hours("22:00-06:00")), box_zone("b"))[::-1]
    assert (night.from_ms, night.until_ms) == (noon_ms + 10 * HOUR_MS, noon_ms + 18 * HOUR_MS)
    assert (always.from_ms, always.until_ms) == (None, None)


def test_another_vehicle_is_told_nothing_and_an_unknown_one_that_it_may_apply() -> None:
    zone = box_zone("a", applies_to=TRUCKS)
    assert around(zone, vehicle=CAR) == []
    assert [one.may_apply for one in around(zone, vehicle=Vehicle(9))] == [True]


def test_out_of_reach_nothing_is_told() -> None:
    assert around(box_zone("a"), within_m=900.0) == []
    assert len(around(box_zone("a"), within_m=1_000.0)) == 1
    assert around(box_zone("a"), at=(math.nan, 30.6)) == []


def test_inside_the_distance_is_nought_and_there_is_no_direction() -> None:
    [found] = around(box_zone("a"), at=(114.305, 30.60))
    assert (found.distance_m, found.bearing_deg) == (0.0, None)


def test_those_of_now_come_first_then_the_nearer() -> None:
    zones = [
        box_zone("later", schedule=hours("16:00-17:00")),
        box_zone("far", west=114.31, east=114.32),
        box_zone("near"),
    ]
    assert [one.zone.zone_id for one in around(*zones)] == ["near", "far", "later"]


def test_only_so_many_are_looked_at_the_nearest_and_those_of_other_vehicles_take_no_room() -> None:
    zones = [box_zone(f"t{n}", west=114.30 + n / 100, east=114.305 + n / 100, applies_to=TRUCKS) for n in range(3)]
    zones.append(box_zone("cars", west=114.295, east=114.296, applies_to=AppliesTo(kinds=frozenset({VehicleKind.CAR}))))
    book = ZonesAround(ZoneSet.of(zones))
    found = book.around(TRUCK, *WEST, noon_ms, within_m=5_000.0, at_most=2)
    assert [one.zone.zone_id for one in found] == ["t0", "t1"]
    assert book.around(TRUCK, *WEST, noon_ms, within_m=5_000.0, at_most=0) == []


def test_venues_and_exceptions_are_no_restrictions() -> None:
    venue = box_zone("v", kind=ZoneKind.VENUE)
    exception = replace(box_zone("e"), effect=RuleEffect.ALLOWED, listed=1)
    assert around(venue, exception) == []


def test_an_exception_opens_the_closure_while_it_holds_and_ends_the_answer_there() -> None:
    ban = box_zone("ban")
    lunch = replace(box_zone("lunch", schedule=hours("11:00-14:00")), effect=RuleEffect.ALLOWED, listed=1)
    [after] = around(ban, lunch)
    assert (after.zone.zone_id, after.from_ms, after.until_ms) == ("ban", noon_ms + 2 * HOUR_MS, None)
    [before] = around(ban, lunch, now_ms=noon_ms - 2 * HOUR_MS)
    assert (before.from_ms, before.until_ms) == (None, noon_ms - HOUR_MS)


def test_a_permit_opens_its_zone_alone_and_for_its_time() -> None:
    permit = Permit("a", noon_ms - HOUR_MS, noon_ms + HOUR_MS)
    holder = replace(TRUCK, permits=(permit,))
    [a, b] = sorted(around(box_zone("a"), box_zone("b"), vehicle=holder), key=lambda one: one.zone.zone_id)
    assert (a.from_ms, b.from_ms) == (noon_ms + HOUR_MS, None)
    later = replace(TRUCK, permits=(Permit("a", noon_ms + 48 * HOUR_MS, noon_ms + 49 * HOUR_MS),))
    assert around(box_zone("a"), vehicle=later)[0].until_ms == noon_ms + 48 * HOUR_MS


def test_odd_and_even_plates_are_told_by_the_date() -> None:
    zone = box_zone("a", applies_to=AppliesTo(tail_parity=TailParity.NOT_AS_DATE))
    odd, even = replace(TRUCK, plate="鄂A12345"), replace(TRUCK, plate="鄂A12344")
    # The 19th is odd: an even plate is closed out until midnight.
    assert around(zone, vehicle=odd) == []
    [found] = around(zone, vehicle=even)
    assert (found.from_ms, found.until_ms) == (None, noon_ms + 12 * HOUR_MS)


def test_the_nearest_border_counts_in_metres_and_not_in_degrees() -> None:
    north = Zone("n", ZoneKind.CONSTRUCTION, "n", shapely.box(114.2, 60.1000, 114.4, 60.2))
    # A corner 0.11 degrees east is nearer at 60 degrees north than one 0.1 north: a degree east is half as long.
    [found] = around(north, at=(114.1, 60.0), within_m=60_000.0)
    line_m = [Geod(ellps="WGS84").inv(114.1, 60.0, 114.2 + step / 1000, 60.1)[2] for step in range(200)]
    assert abs(found.distance_m - min(line_m)) < 1.0


def test_a_zone_over_the_meridian_is_found_from_both_sides() -> None:
    over = Zone("o", ZoneKind.CONSTRUCTION, "o", shapely.box(179.99, 0.0, 180.01, 0.01))
    for lon in (179.98, -179.98):
        [found] = around(over, at=(lon, 0.005))
        assert found.distance_m == pytest.approx(1_113.2, abs=1.0)
    assert around(over, at=(-179.995, 0.005))[0].distance_m == 0.0


def test_distances_are_those_of_pyproj_to_a_metre_all_round() -> None:
    zone = box_zone("a")
    for bearing in range(0, 360, 15):
        lon, lat = (float(one) for one in destination(114.305, 30.60, bearing, 4_000.0))
        [found] = around(zone, at=(lon, lat))
        border = shapely.segmentize(zone.geometry.exterior, 0.00002)
        points = shapely.get_coordinates(border)
        count = len(points)
        metres = Geod(ellps="WGS84").inv([lon] * count, [lat] * count, points[:, 0], points[:, 1])[2]
        assert abs(found.distance_m - min(metres)) < 1.0
