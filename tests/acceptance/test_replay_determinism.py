"""A replay says the same, to the byte, however often and in whatever order of rows it is run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from benchmarks.exactness_report import run_geo_engine

FILES = ("transitions.jsonl", "alerts.jsonl")
START_MS = 1_772_416_800_000


def a_drive(users: int = 12, pings: int = 90) -> list[dict[str, float | int]]:
    """Trucks that drive east through a box at 15 m/s, each on its own latitude, a ping every 5 s."""
    return [
        {
            "u7": user,
            "time": START_MS + 5_000 * step,
            "lon": 114.30 + 0.00078 * step,
            "lat": 30.55 + 0.002 * user,
            "speed_mps": 15.0,
            "heading_deg": 90.0,
            "accuracy_m": 5.0,
        }
        for step in range(pings)
        for user in range(users)
    ]


def a_zone(name: str, west: float, east: float) -> dict[str, object]:
    """Return a box closed to everyone at all times."""
    ring = [[west, 30.54], [east, 30.54], [east, 30.565], [west, 30.565], [west, 30.54]]
    return {
        "type": "Feature",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"kind": "truck_restriction", "name": name},
    }


def replay(folder: Path, rows: list[dict[str, float | int]], *options: str) -> dict[str, bytes]:
    """Replay the rows in their order and return the bytes of both files."""
    folder.mkdir()
    pings, zones, out = folder / "pings.jsonl", folder / "zones.geojson", folder / "out"
    pings.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    features = [a_zone("east-bridge", 114.345, 114.350), a_zone("old-town", 114.32, 114.33)]
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    result = run_geo_engine("replay", "--pings", pings, "--zones", zones, "--out", out, *options)
    assert result.returncode == 0, result.stderr
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("options", [(), ("--exact",)], ids=["default", "exact"])
def test_the_same_pings_give_the_same_bytes_in_any_order(tmp_path: Path, options: tuple[str, ...]) -> None:
    rows = a_drive()
    shuffled = rows.copy()
    random.Random(5).shuffle(shuffled)
    first = replay(tmp_path / "first", rows, *options)
    assert first["transitions.jsonl"].count(b"\n") >= 2 * 8, "the drive must pass both zones"
    assert replay(tmp_path / "again", rows, *options) == first
    assert replay(tmp_path / "shuffled", shuffled, *options) == first


def test_other_pings_give_other_bytes(tmp_path: Path) -> None:
    rows = a_drive()
    moved = [{**row, "lat": row["lat"] + 0.0005} for row in rows]
    assert replay(tmp_path / "first", rows) != replay(tmp_path / "moved", moved)
