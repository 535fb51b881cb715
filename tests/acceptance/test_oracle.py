"""The oracle is held against the recorded cases and against hand-made ones before anything is held against it."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import shapely

from tests.acceptance.oracle import Ping, expected_transitions, zones_of

SQUARE = {"z": shapely.box(0, 0, 1, 1)}


def kinds(*positions: tuple[float, float], zones: dict[str, shapely.Geometry] | None = None) -> list[str]:
    """Transition names of one user who visits the positions one second apart."""
    pings = [Ping(1, 1000 * second, lon, lat) for second, (lon, lat) in enumerate(positions)]
    return [row.transition for row in expected_transitions(pings, zones or SQUARE)]


def test_recorded_polygon_cases_agree(shared_data: Path) -> None:
    cases: list[dict[str, Any]] = json.loads((shared_data / "vectors/fence_cases.json").read_text(encoding="utf-8"))[
        "exact"
    ]
    compared = 0
    for case in cases:
        if any(feature["geometry"]["type"] == "Point" for feature in case["zones"]["features"]):
            continue
        pings = [Ping(row["u7"], row["time"], row["lon"], row["lat"]) for row in case["pings"]]
        rows = expected_transitions(pings, zones_of(case["zones"]))
        found = {
            time: [[r.zone, r.transition] for r in group] for time, group in groupby(rows, key=lambda r: r.time_ms)
        }
        assert [found.get(ping.time_ms, []) for ping in pings] == case["expected"], case["id"]
        compared += 1
    assert compared >= 8


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([(0.5, 0.5)], ["enter"]),
        ([(2, 2)], []),
        ([(1, 1)], ["enter"]),
        ([(-1, 0.5), (2, 0.5)], ["cross"]),
        ([(-1, 1.5), (2, 1.5)], []),
        ([(0, 2), (2, 0)], ["cross"]),
        ([(-1, 0.5), (0, 0.5), (-1, 0.5)], ["enter", "exit"]),
        ([(0.2, 0.5), (0.8, 0.5)], ["enter"]),
        ([(2, 2), (2, 2)], []),
    ],
    ids=["first-inside", "first-outside", "corner", "through", "beside", "corner-touched", "edge", "stays", "stands"],
)
def test_hand_made_ways(positions: list[tuple[float, float]], expected: list[str]) -> None:
    assert kinds(*positions) == expected


def test_one_ping_reports_exit_then_cross_then_enter_then_by_id() -> None:
    zones = {
        "b": shapely.box(0, 0, 1, 1),
        "a": shapely.box(4, 0, 5, 1),
        "d": shapely.box(2, 0, 3, 1),
        "c": shapely.box(4, 0, 5, 1),
    }
    rows = expected_transitions([Ping(1, 0, 0.5, 0.5), Ping(1, 1, 4.5, 0.5)], zones)
    assert [(row.transition, row.zone) for row in rows[1:]] == [
        ("exit", "b"),
        ("cross", "d"),
        ("enter", "a"),
        ("enter", "c"),
    ]


def test_a_step_over_the_date_line_crosses_what_lies_on_it_and_not_the_rest_of_the_world() -> None:
    zones = {
        "east": shapely.box(179.5, -1, 180, 1),
        "west": shapely.box(-180, -1, -179.5, 1),
        "greenwich": shapely.box(-1, -1, 1, 1),
    }
    rows = expected_transitions([Ping(1, 0, 179, 0), Ping(1, 1, -179, 0)], zones)
    assert [row.zone for row in rows] == ["east", "west"]


def test_users_do_not_share_a_way_and_the_order_of_rows_is_free() -> None:
    pings = [Ping(2, 1, 2, 0.5), Ping(1, 0, -1, 0.5)]
    assert expected_transitions(pings, SQUARE) == []
    assert expected_transitions([Ping(1, 1, 2, 0.5), Ping(1, 0, -1, 0.5)], SQUARE)[0].transition == "cross"


def test_a_bow_tie_is_refused() -> None:
    bow_tie = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    with pytest.raises(ValueError, match="expected a valid Polygon"):
        zones_of({"features": [{"id": "x", "geometry": bow_tie}]})
