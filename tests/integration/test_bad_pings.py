"""Bad pings at the replay's door: each a named, counted reject or exit code 3; the good ones beside them are judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo_engine.testing import noon_ms

RUNNER = CliRunner()
ZONE: dict[str, Any] = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "z",
            "properties": {"kind": "congestion", "name": "z"},
            "geometry": json.loads(shapely.to_geojson(shapely.box(114.30, 30.59, 114.31, 30.61))),
        }
    ],
}
GOOD = {"u7": 1, "time": noon_ms, "lon": 114.305, "lat": 30.6}


def replay(tmp_path: Path, pings: Path, *options: str) -> tuple[int, str, dict]:
    zones = tmp_path / "zones.geojson"
    zones.write_text(json.dumps(ZONE), encoding="utf-8")
    out = tmp_path / "out"
    done = RUNNER.invoke(
        app("replay"), ["replay", "--pings", str(pings), "--zones", str(zones), "--out", str(out), *options]
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    summary = json.loads((out / "summary.json").read_text()) if (out / "summary.json").exists() else {}
    return done.exit_code, done.stderr, summary


def lines(tmp_path: Path, *rows: dict | str) -> Path:
    path = tmp_path / "pings.jsonl"
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**GOOD, "u7": 10_000_000}, "u7_out_of_range"),
        ({**GOOD, "u7": -1}, "u7_out_of_range"),
        ({**GOOD, "u7": 2, "lat": 91}, "lat_out_of_range"),
        ({**GOOD, "u7": 2, "lon": -181}, "lon_out_of_range"),
        ({**GOOD, "u7": 2, "time": "1970-01-01T00:00:00Z"}, "time_out_of_range"),
        ({**GOOD, "u7": 2, "time": "2100-01-01T00:00:00Z"}, "time_out_of_range"),
        ({**GOOD, "u7": 2, "time": "2026-01-01T00:00:00"}, "malformed"),
        ({**GOOD, "time": noon_ms + 5000, "lon": 114.312}, "speed_jump"),  # 670 m in 5 s: 480 km/h
        (GOOD, "duplicate"),
        ('{"u7": 2, "time": 1792382400000, "lon": NaN, "lat": 30}', "malformed"),
        ('{"u7": 2, "time": 1792382400000', "malformed"),
        ("nonsense", "malformed"),
        ({"u7": 2, "time": noon_ms, "lon": 114.3}, "malformed"),
    ],
)
def test_bad_row_is_counted_by_name_and_the_good_one_is_judged(tmp_path: Path, bad: dict | str, reason: str) -> None:
    code, _, summary = replay(tmp_path, lines(tmp_path, GOOD, bad))
    assert code == 0
    assert summary["accepted"] == 1
    assert summary["pings"] == 2
    assert summary["rejected"] == {reason: 1}
    assert summary["transitions"] == {"enter": 1}
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert row["reason"] == reason


def test_nan_in_a_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pings.csv"
    path.write_text(f"u7,time,lon,lat\n1,{noon_ms},114.305,30.6\n2,{noon_ms},nan,30.6\n")
    assert replay(tmp_path, path)[2]["rejected"] == {"not_finite": 1}


def test_reversed_rows_give_what_ordered_rows_give(tmp_path: Path) -> None:
    rows = [{**GOOD, "time": noon_ms + n * 5000, "lon": 114.295 + n * 0.0005} for n in range(40)]
    replay(tmp_path, lines(tmp_path, *rows))
    forward = (tmp_path / "out" / "transitions.jsonl").read_bytes()
    replay(tmp_path, lines(tmp_path, *reversed(rows)))
    assert (tmp_path / "out" / "transitions.jsonl").read_bytes() == forward != b""


def test_ping_of_the_year_2100_does_not_move_the_clock_of_the_others(tmp_path: Path) -> None:
    later = {**GOOD, "time": noon_ms + 5000}
    summary = replay(tmp_path, lines(tmp_path, GOOD, {**GOOD, "u7": 2, "time": 4_102_444_800_000}, later))[2]
    assert summary["transitions"] == {"enter": 1}


@pytest.mark.parametrize(
    "name", ["empty.csv", "empty.jsonl", "empty.parquet", "empty.json", "missing.parquet", "pings.xyz"]
)
def test_file_without_pings_ends_with_three_and_a_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if not name.startswith("missing"):
        path.write_bytes(b"")
    code, stderr, _ = replay(tmp_path, path)
    assert code == 3
    assert name in stderr
    assert "expected" in stderr


def test_truncated_parquet_ends_with_three_and_a_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.Table.from_pylist([GOOD]), whole)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(whole.read_bytes()[:-20])
    assert replay(tmp_path, whole)[0] == 0
    code, stderr, _ = replay(tmp_path, broken)
    assert code == 3
    assert "broken.parquet" in stderr


def test_zone_file_with_a_fault_ends_with_three_before_anything_is_judged(tmp_path: Path) -> None:
    zones = tmp_path / "bad.geojson"
    zones.write_text(json.dumps({**ZONE, "features": [{**ZONE["features"][0], "geometry": None}]}))
    done = RUNNER.invoke(
        app("replay"),
        ["replay", "--pings", str(lines(tmp_path, GOOD)), "--zones", str(zones), "--out", str(tmp_path / "out")],
    )
    assert done.exit_code == 3
    assert "bad.geojson" in done.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_default_vehicle_ends_with_three_and_names_the_known_ones(tmp_path: Path) -> None:
    code, stderr, _ = replay(tmp_path, lines(tmp_path, GOOD), "--default-vehicle", "spaceship")
    assert code == 3
    assert "heavy_truck" in stderr


def test_vehicle_without_consent_is_suppressed_with_its_reason(tmp_path: Path) -> None:
    vehicles = tmp_path / "vehicles.jsonl"
    vehicles.write_text('{"u7": 1, "kind": "goods", "consent": false}\n')
    summary = replay(tmp_path, lines(tmp_path, GOOD), "--vehicles", str(vehicles))[2]
    assert summary["suppressed"] == {"no_consent": 1}
