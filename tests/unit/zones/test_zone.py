"""When a zone is in force, when that changes, and the set of zones."""

from __future__ import annotations

import json

import pytest
import shapely

from geo_engine.errors import ZoneDocumentError
from geo_engine.model import ZoneKind
from geo_engine.zones.schedule import ALWAYS, Schedule
from geo_engine.zones.zoneset import Zone, ZoneSet

DAY = 86_400_000
MONDAY = 1_794_758_400_000  # 2026-11-16T00:00:00+08:00
HOUR = 3_600_000


def zone(zone_id: str = "a", **values: object) -> Zone:
    return Zone(zone_id, ZoneKind.CONSTRUCTION, "works", shapely.box(0, 0, 1, 1), **values)  # type: ignore[arg-type]  # a test helper


MORNING = Schedule.parse("07:00-09:00")


@pytest.mark.parametrize(
    ("values", "now", "expected"),
    [
        ({}, MONDAY, None),
        ({"schedule": MORNING}, MONDAY, MONDAY + 7 * HOUR),
        ({"valid_to_ms": MONDAY + DAY}, MONDAY, MONDAY + DAY),
        ({"valid_to_ms": MONDAY + DAY}, MONDAY + DAY, None),
        ({"valid_from_ms": MONDAY + DAY}, MONDAY, MONDAY + DAY),
        ({"valid_from_ms": MONDAY + DAY}, MONDAY + DAY, None),
        ({"valid_from_ms": MONDAY + DAY, "schedule": MORNING}, MONDAY, MONDAY + DAY + 7 * HOUR),
        ({"valid_from_ms": MONDAY + 8 * HOUR, "schedule": MORNING}, MONDAY, MONDAY + 8 * HOUR),
        ({"valid_to_ms": MONDAY + 8 * HOUR, "schedule": MORNING}, MONDAY + 7 * HOUR, MONDAY + 8 * HOUR),
        ({"valid_to_ms": MONDAY + 12 * HOUR, "schedule": MORNING}, MONDAY + 10 * HOUR, None),
        ({"valid_from_ms": MONDAY, "valid_to_ms": MONDAY + 6 * HOUR, "schedule": MORNING}, MONDAY - DAY, None),
    ],
)
def test_next_change_of_a_zone_is_its_next_flip(values: dict[str, object], now: int, expected: int | None) -> None:
    found = zone(**values)
    assert found.next_change_ms(now) == expected
    if expected is not None:
        assert found.in_force_at(expected) is not found.in_force_at(expected - 1)
        assert found.in_force_at(expected - 1) is found.in_force_at(now)


def test_zone_is_in_force_inside_its_validity_only() -> None:
    found = zone(valid_from_ms=10, valid_to_ms=20, schedule=ALWAYS)
    assert [found.in_force_at(moment) for moment in (9, 10, 19, 20)] == [False, True, True, False]


def test_zone_set_is_ordered_by_id() -> None:
    zones = ZoneSet.of([zone("b"), zone("a")], revision=7)
    assert [entry.zone_id for entry in zones.zones] == ["a", "b"]
    assert zones.position == {"a": 0, "b": 1}
    assert zones.revision == 7
    assert len(zones) == 2


def test_zone_set_refuses_a_repeated_id() -> None:
    with pytest.raises(ValueError, match="repeated zone ids"):
        ZoneSet.of([zone("a"), zone("a")])


def collection(*ids: object, **geometry: object) -> dict[str, object]:
    shape = geometry or {"type": "Point", "coordinates": [114.3, 30.5]}
    features = [
        {"type": "Feature", "id": entry, "geometry": shape, "properties": {"kind": "venue", "name": "x"}}
        for entry in ids
    ]
    return {"type": "FeatureCollection", "features": features}


def test_zone_set_is_built_from_several_documents() -> None:
    zones = ZoneSet.from_geojson(collection("b"), json.dumps(collection("a")), revision=3)
    assert [entry.zone_id for entry in zones.zones] == ["a", "b"]
    assert zones.revision == 3


def test_from_geojson_raises_every_fault_of_every_document() -> None:
    with pytest.raises(ZoneDocumentError) as error:
        ZoneSet.from_geojson(collection("a"), collection("a", None), b"", where="city")
    assert [fault.reason for fault in error.value.faults] == ["missing_id", "duplicate_id", "empty_document"]
    assert [fault.where for fault in error.value.faults] == ["city 2 feature 1", "city 2 feature 0 (a)", "city 3"]
