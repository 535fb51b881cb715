"""Roads become a graph: shared vertices are junctions, both directions can be driven."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from geo_engine.errors import InputError
from geo_engine.geodesy.measure import distance_m
from geo_engine.simulate.network import RoadNetwork


def line(name: str, *vertices: tuple[float, float], road_class: str = "main") -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"name": name, "class": road_class, "speed_kmh": 50},
        "geometry": {"type": "LineString", "coordinates": [list(vertex) for vertex in vertices]},
    }


def network(*features: object) -> RoadNetwork:
    return RoadNetwork.from_geojson({"type": "FeatureCollection", "features": list(features)})


def ends(roads: RoadNetwork, stretch: int) -> tuple[float, float]:
    lon, lat, _ = roads.place(np.array([stretch]), roads.length_m[[stretch]])
    return round(float(lon[0]), 5), round(float(lat[0]), 5)


CROSS = (
    line("A", (114.0, 30.0), (114.01, 30.0), (114.02, 30.0)),
    line("B", (114.01, 29.99), (114.01, 30.0), (114.01, 30.01)),
)


def test_roads_are_cut_where_they_share_a_vertex() -> None:
    assert len(network(*CROSS)) == 8


def test_roads_are_not_cut_where_they_merely_cross() -> None:
    apart = (line("A", (114.0, 30.0), (114.02, 30.0)), line("B", (114.01, 29.99), (114.01, 30.01)))
    assert len(network(*apart)) == 4


def test_every_turn_begins_where_the_stretch_ends() -> None:
    roads = network(*CROSS)
    for stretch in range(len(roads)):
        for following in roads.turns[roads.turn_first[stretch] : roads.turn_first[stretch + 1]]:
            lon, lat, _ = roads.place(np.array([following]), np.array([0.0]))
            assert (round(float(lon[0]), 5), round(float(lat[0]), 5)) == ends(roads, stretch)


def test_drivers_turn_back_only_at_the_end_of_a_road() -> None:
    roads = network(*CROSS)
    for stretch in range(len(roads)):
        choice = set(roads.turns[roads.turn_first[stretch] : roads.turn_first[stretch + 1]].tolist())
        back = stretch ^ 1  # both directions of a piece lie side by side
        assert (back in choice) == (ends(roads, stretch) != (114.01, 30.0))


def test_place_goes_along_the_line_with_its_heading() -> None:
    roads = network(line("A", (114.0, 30.0), (114.01, 30.0), (114.01, 30.01)))
    along = np.linspace(0.0, float(roads.length_m[0]), 40)
    lon, lat, heading = roads.place(np.zeros(40, dtype=np.int64), along)
    assert distance_m(lon[:-1], lat[:-1], lon[1:], lat[1:]).sum() == pytest.approx(
        roads.length_m[0], rel=5e-3
    )  # the corner is cut
    assert heading[0] == pytest.approx(90.0, abs=0.1)
    assert heading[-1] == pytest.approx(0.0, abs=0.1)
    assert (lon[-1], lat[-1]) == pytest.approx((114.01, 30.01), abs=1e-9)


def test_feeders_are_the_stretches_before_a_bridge_or_tunnel() -> None:
    roads = network(
        line("A", (114.0, 30.0), (114.01, 30.0)), line("B", (114.01, 30.0), (114.02, 30.0), road_class="tunnel")
    )
    feeder, crossing = roads.feeders()
    assert len(feeder) == 1
    assert roads.crossing[crossing].all()
    assert not roads.crossing[feeder].any()


def test_network_without_crossings_has_no_feeders() -> None:
    feeder, crossing = network(*CROSS).feeders()
    assert len(feeder) == len(crossing) == 0


@pytest.mark.parametrize(
    ("feature", "path"),
    [
        (None, "geometry"),
        ({"type": "Feature", "properties": {"speed_kmh": 5}, "geometry": {"type": "Point"}}, "geometry"),
        (line("one vertex", (114.0, 30.0)), "coordinates"),
        (line("same vertex twice", (114.0, 30.0), (114.0, 30.0)), "coordinates"),
        (line("nowhere", (114.0, math.nan), (114.0, 30.0)), "coordinates"),
        (line("no speed", (114.0, 30.0), (114.1, 30.0)) | {"properties": {"speed_kmh": "fast"}}, "speed_kmh"),
        (line("standing", (114.0, 30.0), (114.1, 30.0)) | {"properties": {"speed_kmh": 0}}, "speed_kmh"),
        (line("bare", (114.0, 30.0), (114.1, 30.0)) | {"properties": None}, "properties"),
    ],
)
def test_a_feature_that_is_no_road_is_named(feature: object, path: str) -> None:
    with pytest.raises(InputError) as caught:
        network(line("good", (114.0, 30.0), (114.1, 30.0)), feature)
    [fault] = caught.value.faults
    assert "feature 1" in fault.where
    assert path in fault.path


@pytest.mark.parametrize("document", [{}, {"features": []}, {"features": "roads"}])
def test_a_document_without_roads_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"\$\.features"):
        RoadNetwork.from_geojson(document)
