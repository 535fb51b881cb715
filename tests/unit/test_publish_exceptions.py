"""Exceptions edited under people: whom a restriction concerns from then on is warned, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import shapely

from geo_engine import PingBatch
from geo_engine.index import CellIndex, RtreeIndex
from geo_engine.model import AlertReason, Permit, RuleEffect, Vehicle, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone
from tests.unit.test_publish import Town

INDEXES = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["compiled", "columns"])
DRIVER = Vehicle(u7=0, kind=VehicleKind.GOODS, plate="鄂A12345")
AREA = box_zone("area", west=114.30, east=114.34)
ROAD = replace(
    AREA,
    zone_id="road",
    geometry=shapely.box(114.29, 30.5995, 114.32, 30.6005),
    road=True,
    listed=1,
    effect=RuleEffect.ALLOWED,
)
OTHERS = AppliesTo(kinds=frozenset({VehicleKind.CAR}))
SHUT = Schedule.parse("20:00-21:00")
STRIP = replace(ROAD, road=False, listed=1)
DECIDES = replace(ROAD, effect=RuleEffect.DECIDES, applies_to=OTHERS)
ON_ROAD = 114.31

FREEING = {
    "withdrawn": ((AREA, ROAD), (AREA,)),
    "for others": ((AREA, ROAD), (AREA, replace(ROAD, applies_to=OTHERS))),
    "at other hours": ((AREA, ROAD), (AREA, replace(ROAD, schedule=SHUT))),
    "ended": ((AREA, ROAD), (AREA, replace(ROAD, valid_to_ms=noon_ms))),
    "moved away": ((AREA, ROAD), (AREA, replace(ROAD, geometry=shapely.box(114.325, 30.5, 114.335, 30.6005)))),
    "of another kind": ((AREA, ROAD), (AREA, replace(ROAD, kind=ZoneKind.CONGESTION))),
    "listed earlier": ((AREA, STRIP), (AREA, replace(STRIP, listed=-1))),
    "area listed later": ((AREA, STRIP), (replace(AREA, listed=2), STRIP)),
    "no road any more": ((replace(AREA, listed=2), ROAD), (replace(AREA, listed=2), STRIP)),
    "decides no more": ((AREA, DECIDES), (AREA, replace(DECIDES, effect=RuleEffect.CLOSED))),
    "decision withdrawn": ((AREA, DECIDES), (AREA,)),
    "positions moved too": ((AREA, ROAD), (box_zone("new", west=114.5, east=114.6), AREA)),
}


@INDEXES
@pytest.mark.parametrize(("before", "after"), FREEING.values(), ids=FREEING)
def test_driver_whom_an_exception_let_in_is_warned_once_when_an_edit_takes_it_away(
    index: Callable, before: tuple[Zone, ...], after: tuple[Zone, ...]
) -> None:
    town = Town(*before, index=index, default_vehicle=DRIVER).stand(lon=ON_ROAD)
    assert town.warned == []
    assert town.edit(*after).warned == [("area", AlertReason.WINDOW_OPENED)]
    town.stand(lon=ON_ROAD).edit(*after, box_zone("far", west=115.0, east=115.1)).stand(lon=ON_ROAD)
    assert town.warned == [("area", AlertReason.WINDOW_OPENED)]


IDLE = {
    "renamed": (AREA, replace(ROAD, name="新名")),
    "wider": (AREA, replace(ROAD, geometry=shapely.box(114.28, 30.599, 114.33, 30.601))),
    "decides as it did": (AREA, replace(ROAD, effect=RuleEffect.DECIDES, applies_to=OTHERS)),
    "by another one": (AREA, replace(ROAD, zone_id="other")),
    "listed later": (AREA, replace(ROAD, listed=9)),
    "at hours around now": (AREA, replace(ROAD, schedule=Schedule.parse("08:00-22:00"))),
}


@INDEXES
@pytest.mark.parametrize("after", IDLE.values(), ids=IDLE)
def test_edit_of_an_exception_that_still_lets_the_driver_in_warns_nobody(
    index: Callable, after: tuple[Zone, ...]
) -> None:
    town = Town(AREA, ROAD, index=index, default_vehicle=DRIVER).stand(lon=ON_ROAD)
    assert town.edit(*after).stand(lon=ON_ROAD).warned == []


@INDEXES
@pytest.mark.parametrize(("before", "after"), FREEING.values(), ids=FREEING)
def test_driver_beside_the_exception_is_not_warned_again_when_it_goes(
    index: Callable, before: tuple[Zone, ...], after: tuple[Zone, ...]
) -> None:
    town = Town(*before, index=index, default_vehicle=DRIVER).stand(lon=114.339)
    assert town.warned == [("area", AlertReason.ENTER)]
    assert town.edit(*after).stand(lon=114.339).warned == [("area", AlertReason.ENTER)]


@pytest.mark.parametrize(("lon", "warned"), [(114.339, []), (ON_ROAD, ["area"])])
def test_warning_a_stale_ping_left_open_waits_for_the_next_ping_but_one_the_edit_owes_does_not(
    lon: float, warned: list[str]
) -> None:
    town = Town(AREA, ROAD, default_vehicle=DRIVER)
    town.now_ms += 600_000
    town.hear(town.engine.process(PingBatch.from_columns([1], [noon_ms], [lon], [30.6]), town.now_ms))
    assert [zone for zone, _ in town.edit(AREA).warned] == warned


def test_driver_with_a_permit_is_not_warned_when_the_exception_goes() -> None:
    holder = replace(DRIVER, permits=(Permit("area", noon_ms, noon_ms + 3_600_000),), u7=1)
    town = Town(AREA, ROAD, vehicles=[holder]).stand(lon=ON_ROAD)
    assert town.edit(AREA).warned == []


def test_exception_that_comes_and_goes_over_a_driver_who_was_warned_says_nothing_more() -> None:
    town = Town(AREA, default_vehicle=DRIVER).stand(lon=ON_ROAD).edit(AREA, ROAD).edit(AREA).stand(lon=ON_ROAD)
    assert town.warned == [("area", AlertReason.ENTER)]


def test_driver_silent_since_a_restart_is_told_by_his_first_ping() -> None:
    town = Town(AREA, ROAD, default_vehicle=DRIVER)
    assert town.edit(AREA).warned == []
    step = town.engine.process(PingBatch.from_columns([1], [town.now_ms], [ON_ROAD], [30.6]), town.now_ms)
    assert [alert.trigger for alert in step.alerts] == [AlertReason.ENTER]
