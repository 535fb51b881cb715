"""The benchmarks measure what they say: zones stand where their ids tell, and the hand-written ways agree."""

from __future__ import annotations

import math
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
import shapely
from shapely.geometry import shape

from benchmarks.bars import bar_chart
from benchmarks.by_hand import rtree_loop, strtree_bulk, visits_of_keys
from benchmarks.live_positions import measure, simulated_users
from benchmarks.workload import simulated_pings, simulated_zones
from benchmarks.zones_along_track import CHORDS_M, METRES_PER_DEGREE, zones_along

TRACK = [(114.30 + 0.001 * step, 30.55 + 0.0004 * step) for step in range(120)]
ZONES = {zone["id"]: shape(zone["geometry"]) for zone in zones_along([TRACK], spots=160, seed=3)["features"]}


def on_the_way_m(zone: shapely.Geometry) -> float:
    """Metres of the straight track inside a zone."""
    inside = shapely.intersection(zone, shapely.LineString(TRACK))
    ends = shapely.get_coordinates(inside)
    if not len(ends):
        return 0.0
    east, north = (ends[-1] - ends[0]) * (math.cos(math.radians(30.57)), 1.0) * METRES_PER_DEGREE
    return math.hypot(east, north)


def test_a_box_over_the_way_has_the_chord_its_id_tells() -> None:
    boxes = [(name, zone) for name, zone in ZONES.items() if name.endswith("-box") and "-chord" in name]
    # A box at either end of the track stands out over it.
    inner = [
        (name, zone) for name, zone in boxes if not zone.distance(shapely.MultiPoint([TRACK[0], TRACK[-1]])) < 0.002
    ]
    assert len(inner) > 10
    for name, zone in inner:
        chord_m = int(name.split("-")[1].removeprefix("chord"))
        assert on_the_way_m(zone) == pytest.approx(chord_m, rel=0.01), name


def test_a_decoy_leaves_the_way_free_but_stands_close() -> None:
    way = shapely.LineString(TRACK)
    decoys = {name: zone for name, zone in ZONES.items() if "-decoy" in name}
    assert decoys
    for name, zone in decoys.items():
        gap_m = int(name.split("-")[1].removeprefix("decoy"))
        assert 0 < way.distance(zone) < 1.2 * gap_m / (METRES_PER_DEGREE * math.cos(math.radians(30.57))), name


def test_a_touching_zone_has_a_ping_exactly_on_its_border() -> None:
    pings = shapely.MultiPoint(TRACK)
    touching = [zone for name, zone in ZONES.items() if "-touch-" in name]
    assert touching
    assert all(zone.boundary.intersects(pings) for zone in touching)


def test_every_kind_of_zone_is_made_valid_and_the_same_again() -> None:
    groups = Counter(name.split("-")[1] for name in ZONES)
    assert {f"chord{chord_m}" for chord_m in CHORDS_M} | {"narrow", "decoy5", "decoy15", "decoy40", "touch"} == set(
        groups
    )
    assert {name.split("-")[2] for name in ZONES} >= {"box", "hole", "parts", "concave", "strip"}
    assert {zone.geom_type for zone in ZONES.values()} == {"Polygon", "MultiPolygon"}
    assert all(zone.is_valid for zone in ZONES.values())
    assert zones_along([TRACK], spots=160, seed=3) == zones_along([TRACK], spots=160, seed=3)
    assert zones_along([TRACK], spots=160, seed=3) != zones_along([TRACK], spots=160, seed=4)


def test_the_hand_written_ways_agree() -> None:
    pings = simulated_pings(20_000, 5)
    zones = [shape(feature["geometry"]) for feature in simulated_zones(60, 5)["features"]]
    visits = rtree_loop(pings, zones)
    assert {kind for _, _, kind in visits} == {"enter", "exit"}
    assert visits_of_keys(*strtree_bulk(pings, zones), len(zones)) == visits


def test_a_bar_chart_is_well_formed_and_its_bars_are_in_proportion() -> None:
    chart = ET.fromstring(bar_chart("a < b", "note", [("slow", 1.0, "1"), ("fast", 4.0, "4")]))  # noqa: S314  # our own text
    widths = [float(bar.attrib["width"]) for bar in chart if bar.attrib.get("rx")]
    assert widths[1] == pytest.approx(4 * widths[0])


def test_live_positions_are_measured_in_every_structure_after_they_agreed() -> None:
    ways = [way.row() for way in measure(simulated_users(3_000, 5), queries=200, rounds=1)]
    assert [way["name"] for way in ways] == ["grid", "hilbert", "shapely STRtree", "rtree"]
    for way in ways:
        assert way["users"] == 3_000
        measured = [way[name] for name in ("build_ns_per_user", "within_100_m_us", "within_500_m_us")]
        assert all(times["median"] > 0 for times in measured)
    assert [way["nearest_10_us"] is None for way in ways] == [False, False, True, False]
    assert [way["move_us"] is None for way in ways] == [True, True, True, False]


def test_simulated_users_stand_in_the_city_and_are_the_same_again() -> None:
    users, again = simulated_users(5_000, 7), simulated_users(5_000, 7)
    assert (abs(users.plane) <= 20_000.0).all()
    assert sorted(users.ids.tolist()) == list(range(5_000))
    assert (users.lon == again.lon).all()
    assert (users.lon != simulated_users(5_000, 8).lon).any()
