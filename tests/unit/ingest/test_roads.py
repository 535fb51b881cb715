"""Road files and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geo_engine.errors import RoadFileError
from geo_engine.ingest.roads import read_roads

LINE = {"type": "LineString", "coordinates": [[114.0, 30.0], [114.01, 30.0]]}


def written(folder: Path, *features: tuple[object, dict[str, object]]) -> Path:
    document = [{"type": "Feature", "geometry": shape, "properties": properties} for shape, properties in features]
    path = folder / "roads.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": document}), encoding="utf-8")
    return path


def test_lines_are_read_with_their_direction(tmp_path: Path) -> None:
    roads = read_roads(written(tmp_path, (LINE, {}), (LINE, {"oneway": "yes"}), (LINE, {"oneway": "-1"})))
    assert roads.one_way.tolist() == [False, True, True]
    assert [line.coords[0][0] for line in roads.lines] == [114.0, 114.0, 114.01]


def test_a_footpath_is_passed_over(tmp_path: Path) -> None:
    assert len(read_roads(written(tmp_path, (LINE, {"highway": "footway"}), (LINE, {"highway": "primary"}))).lines) == 1


@pytest.mark.parametrize(
    "shape", [None, 7, {"type": "Point", "coordinates": [1, 2]}, {**LINE, "coordinates": [[200, 0], [0, 0]]}]
)
def test_what_is_no_line_is_a_fault_beside_the_good_ones(tmp_path: Path, shape: object) -> None:
    roads = read_roads(written(tmp_path, (shape, {}), (LINE, {})))
    assert len(roads.lines) == 1
    assert [fault.reason for fault in roads.faults] == ["no_line"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not_json"),
        ("[" * 200_000, "not_json"),
        ("[]", "no_features"),
        ('{"features": []}', "no_roads"),
    ],
)
def test_a_file_without_roads_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "roads.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RoadFileError) as refused:
        read_roads(path)
    assert refused.value.faults[0].reason == reason


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RoadFileError, match="readable"):
        read_roads(tmp_path / "none.geojson")


@pytest.mark.parametrize("properties", [{"oneway": []}, {"highway": ["a"]}, ["x"], "text", None])
def test_properties_that_are_no_tags_are_none(tmp_path: Path, properties: object) -> None:
    roads = read_roads(written(tmp_path, (LINE, properties)))  # type: ignore[arg-type]  # that is the point
    assert (len(roads.lines), roads.one_way.tolist(), roads.faults) == (1, [False], ())
