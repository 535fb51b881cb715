"""Roads from OpenStreetMap's own files: the same rules of tags as for GeoJSON, and what is wrong with a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import osmium
import pytest
from osmium.osm.mutable import Node, Way

from geo_engine.errors import RoadFileError
from geo_engine.ingest import roads as roads_module
from geo_engine.ingest.road_tags import Direction, direction_of
from geo_engine.ingest.roads import Roads, read_roads

SHARED = Path(__file__).resolve().parents[3] / "../shared/data/osm"
PLACES = {1: (114.0, 30.0), 2: (114.01, 30.0), 3: (114.02, 30.001), 4: (114.03, 30.002)}

TAGS = [
    ({"highway": "primary"}, Direction.BOTH),
    ({"highway": "primary", "oneway": "yes"}, Direction.ALONG),
    ({"highway": "primary", "oneway": "Yes"}, Direction.ALONG),
    ({"highway": "primary", "oneway": "-1"}, Direction.AGAINST),
    ({"highway": "primary", "oneway": "no"}, Direction.BOTH),
    ({"highway": "primary", "oneway": "reversible"}, Direction.BOTH),
    ({"highway": "tertiary", "junction": "roundabout"}, Direction.ALONG),
    ({"highway": "motorway"}, Direction.ALONG),
    ({"highway": "motorway", "oneway": "no"}, Direction.BOTH),
    ({"highway": "motorway", "oneway": "reverse"}, Direction.AGAINST),
    ({"highway": "footway"}, None),
    ({"highway": "cycleway", "oneway": "yes"}, None),
    ({"highway": "proposed"}, None),
    ({"highway": "service", "area": "yes"}, None),
    ({"highway": "service", "area": "no"}, Direction.BOTH),
]


def written(path: Path, *ways: tuple[Mapping[str, str], list[int]]) -> Path:
    with osmium.SimpleWriter(str(path), overwrite=True) as sink:
        for node, place in PLACES.items():
            sink.add_node(Node(id=node, location=place))
        for number, (tags, nodes) in enumerate(ways, 1):
            sink.add_way(Way(id=number, tags=dict(tags), nodes=nodes))
    return path


def as_geojson(path: Path, *ways: tuple[Mapping[str, str], list[int]]) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": tags,
            "geometry": {"type": "LineString", "coordinates": [PLACES[node] for node in nodes]},
        }
        for tags, nodes in ways
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def shapes(roads: Roads) -> list[tuple[list[tuple[float, ...]], bool]]:
    return [(list(line.coords), single) for line, single in zip(roads.lines, roads.one_way.tolist(), strict=True)]


@pytest.mark.parametrize(("tags", "direction"), TAGS)
def test_tags_say_which_way_a_road_is_driven(tags: dict[str, str], direction: Direction | None) -> None:
    assert direction_of({name: value.lower() for name, value in tags.items()}) is direction


@pytest.mark.parametrize("name", ["roads.osm.pbf", "roads.osm"])
def test_a_file_of_openstreetmap_gives_what_geojson_of_the_same_ways_gives(tmp_path: Path, name: str) -> None:
    ways = [(tags, [1, 2, 3]) for tags, _ in TAGS]
    found = shapes(read_roads(written(tmp_path / name, *ways)))
    assert found == shapes(read_roads(as_geojson(tmp_path / "roads.geojson", *ways)))
    assert len(found) == sum(direction is not None for _, direction in TAGS)


def test_a_way_against_its_line_is_turned_round(tmp_path: Path) -> None:
    roads = read_roads(written(tmp_path / "a.osm.pbf", ({"highway": "primary", "oneway": "-1"}, [1, 2, 3])))
    assert [place for place, _ in [*roads.lines[0].coords]] == pytest.approx([114.02, 114.01, 114.0])


def test_a_way_without_a_highway_is_no_road(tmp_path: Path) -> None:
    ways = [({"waterway": "river"}, [1, 2]), ({"highway": "primary"}, [2, 3])]
    assert len(read_roads(written(tmp_path / "a.osm.pbf", *ways)).lines) == 1


def test_a_way_that_leaves_the_extract_comes_in_the_pieces_the_file_holds(tmp_path: Path) -> None:
    roads = read_roads(written(tmp_path / "a.osm.pbf", ({"highway": "primary", "oneway": "yes"}, [1, 2, 77, 3, 4, 78])))
    assert [len(line.coords) for line in roads.lines] == [2, 2]
    assert (roads.one_way.tolist(), roads.faults) == ([True, True], ())


def test_a_way_of_which_no_piece_is_left_is_a_fault_beside_the_good_ones(tmp_path: Path) -> None:
    ways = [({"highway": "primary"}, [1, 77, 2]), ({"highway": "primary"}, [1, 2])]
    roads = read_roads(written(tmp_path / "a.osm.pbf", *ways))
    assert len(roads.lines) == 1
    assert [(fault.where.rsplit(" ", 2)[1:], fault.reason) for fault in roads.faults] == [(["way", "1"], "no_line")]


def test_a_file_without_a_driven_road_is_refused(tmp_path: Path) -> None:
    assert refusal(written(tmp_path / "a.osm.pbf", ({"highway": "steps"}, [1, 2]))) == "no_roads"


@pytest.mark.parametrize("size", [0, 10, 150])
def test_a_damaged_file_is_refused(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "a.osm.pbf", ({"highway": "primary"}, [1, 2]))
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(path) == "damaged_osm"


@pytest.mark.parametrize("text", ["", "{}", "<osm version='0.6'><way id='1'>", "<html></html>"])
def test_what_is_no_openstreetmap_data_is_refused(tmp_path: Path, text: str) -> None:
    for name in ("a.osm", "a.osm.pbf"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert refusal(path) == "damaged_osm"


def test_a_history_is_refused(tmp_path: Path) -> None:
    # The writer marks a file as a history by its name.
    path = written(tmp_path / "a.osh.pbf", ({"highway": "primary"}, [1, 2]))
    assert refusal(path) == "osm_history"


@pytest.mark.parametrize("name", ["none.osm.pbf", "none.osm", "."])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name if name != "." else tmp_path / "folder.pbf"
    if name == ".":
        path.mkdir()
    assert refusal(path) == "unreadable_file"


def test_without_osmium_the_refusal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.osm.pbf", ({"highway": "primary"}, [1, 2]))
    monkeypatch.setitem(sys.modules, "osmium", None)
    with pytest.raises(RoadFileError, match=r"pip install 'geo-engine\[roads\]'"):
        read_roads(path)
    assert len(read_roads(as_geojson(tmp_path / "a.geojson", ({}, [1, 2]))).lines) == 1


def test_geojson_is_read_without_loading_osmium(tmp_path: Path) -> None:
    path = as_geojson(tmp_path / "a.geojson", ({}, [1, 2]))
    program = f"import sys, pathlib; from {roads_module.__name__} import read_roads; "
    program += f"read_roads(pathlib.Path({str(path)!r})); sys.exit('osmium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "at_least", "box"),
    [
        ("liechtenstein.osm.pbf", 2388, (9.3, 47.0, 9.8, 47.4)),
        ("helsinki.osm.pbf", 1002, (24.8, 60.1, 25.1, 60.3)),
    ],
)
def test_recorded_extracts_give_their_roads(name: str, at_least: int, box: tuple[float, ...]) -> None:
    if not (SHARED / name).is_file():
        pytest.skip("the shared extracts of OpenStreetMap are not beside this checkout")
    roads = read_roads(SHARED / name)
    assert len(roads.lines) >= at_least
    assert 0 < roads.one_way.sum() < len(roads.lines)
    inside = [line for line in roads.lines if box[0] < line.bounds[0] and line.bounds[3] < box[3]]
    assert len(inside) > 0.9 * len(roads.lines)


def refusal(path: Path) -> str:
    with pytest.raises(RoadFileError) as refused:
        read_roads(path)
    return refused.value.faults[0].reason
