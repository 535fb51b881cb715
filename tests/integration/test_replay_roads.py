"""``replay --roads``: drivers are warned of what lies along the road, not of what lies straight ahead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo_engine.compiled import COMPILED
from geo_engine.testing import noon_ms

CORNER_LON, LAT = 114.300, 30.6005
NORTH = shapely.box(114.299, 30.6030, 114.301, 30.61)
AHEAD = shapely.box(114.3005, 30.6000, 114.31, 30.6010)
ROAD = shapely.LineString([(114.28, LAT), (CORNER_LON, LAT), (CORNER_LON, 30.62)])

needs_kernels = pytest.mark.skipif(not COMPILED, reason="roads are not looked at where kernels are not compiled")


def feature(shape: shapely.Geometry, properties: dict[str, object], feature_id: str) -> dict[str, object]:
    return {
        "type": "Feature",
        "id": feature_id,
        "geometry": json.loads(shapely.to_geojson(shape)),
        "properties": properties,
    }


def write(path: Path, *features: dict[str, object]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with zones, a road round the corner, and a drive up to the corner."""
    about = {"kind": "truck_restriction"}
    write(tmp_path / "z.geojson", *(feature(shape, about | {"name": name}, name)
                                    for name, shape in (("north", NORTH), ("ahead", AHEAD))))  # fmt: skip
    write(tmp_path / "r.geojson", feature(ROAD, {"highway": "primary"}, "r"))
    lon = CORNER_LON - np.arange(14, -1, -1) * 75.0 / 95_893.0
    rows = [f"1,{noon_ms + 5000 * row},{place:.7f},{LAT}" for row, place in enumerate(lon)]
    (tmp_path / "p.csv").write_text("u7,time,lon,lat\n" + "\n".join(rows) + "\n")
    return tmp_path


def warned(files: Path, *more: str) -> set[str]:
    """Return the zones that were approached."""
    paths = {"--pings": files / "p.csv", "--zones": files / "z.geojson", "--out": files / "out"}
    arguments = ["replay", *(str(part) for pair in paths.items() for part in pair), *more]
    done = CliRunner().invoke(app("replay"), arguments)
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (files / "out" / "alerts.jsonl").read_text().splitlines()]
    return {row["zone"] for row in rows if row["trigger"] == "approach"}


@needs_kernels
def test_what_lies_round_the_corner_is_warned_of_where_the_road_is_known(files: Path) -> None:
    assert warned(files, "--roads", str(files / "r.geojson")) == {"north"}


def test_what_lies_straight_ahead_is_warned_of_where_no_road_is_known(files: Path) -> None:
    assert "ahead" in warned(files)


@pytest.mark.parametrize("more", [["--exact"], []])
def test_roads_that_cannot_be_used_are_refused_with_what_to_do(files: Path, more: list[str]) -> None:
    roads = str(files / ("r.geojson" if more else "nowhere.geojson"))
    paths = ["--pings", str(files / "p.csv"), "--zones", str(files / "z.geojson"), "--out", str(files / "out")]
    done = CliRunner().invoke(app("replay"), ["replay", *paths, "--roads", roads, *more])
    assert done.exit_code == 3
    assert "expected" in done.output
    assert "Traceback" not in done.output
