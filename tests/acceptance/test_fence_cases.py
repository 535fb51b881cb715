"""Every recorded fence case gives exactly its transitions through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.exactness_report import read_transitions, run_geo_engine

CASES = Path(__file__).resolve().parents[2] / "../shared/data/vectors/fence_cases.json"


def cases() -> list[dict[str, Any]]:
    """Read the recorded cases; one empty case where the folder is absent (the fixture then says why)."""
    if not CASES.is_file():
        return [{"id": "absent"}]
    exact: list[dict[str, Any]] = json.loads(CASES.read_text(encoding="utf-8"))["exact"]
    return exact


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_a_recorded_fence_case_gives_its_transitions(case: dict[str, Any], shared_data: Path, tmp_path: Path) -> None:
    pings, zones, out = tmp_path / "pings.jsonl", tmp_path / "zones.geojson", tmp_path / "out"
    pings.write_text("".join(f"{json.dumps(ping)}\n" for ping in case["pings"]), encoding="utf-8")
    zones.write_text(json.dumps(case["zones"]), encoding="utf-8")
    result = run_geo_engine("replay", "--pings", pings, "--zones", zones, "--out", out, "--exact")
    assert result.returncode == 0, result.stderr
    rows = read_transitions(out / "transitions.jsonl")
    at_ping = [[[row.zone, row.transition] for row in rows if row.time_ms == ping["time"]] for ping in case["pings"]]
    assert at_ping == case["expected"]
    assert len(rows) == sum(map(len, case["expected"]))
