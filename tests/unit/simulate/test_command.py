"""``geo-engine simulate`` and ``geo-engine draw``: files out, exit codes, one line per fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from api.commands.draw import draw
from api.commands.simulate import simulate
from api.example import zones_dir
from geo_engine.ingest.files import read_pings

RUN = CliRunner()


def program() -> typer.Typer:
    app = typer.Typer()
    app.command()(simulate)
    app.command()(draw)
    return app


def run(*arguments: object) -> tuple[int, str]:
    result = RUN.invoke(program(), [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow"])
def test_simulate_writes_pings_that_can_be_read(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"pings.{ending}"
    code, _ = run("simulate", "--users", 5, "--minutes", 1, "--out", out)
    assert code == 0
    assert 40 <= len(read_pings(out).batch) <= 60


def test_simulate_writes_the_same_bytes_for_the_same_seed_and_others_for_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("simulate", "--users", 5, "--minutes", 1, "--seed", seed, "--out", tmp_path / f"{name}.csv")
    first, again, other = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert first == again != other


def test_simulate_writes_one_vehicle_a_line(tmp_path: Path) -> None:
    vehicles = tmp_path / "vehicles.jsonl"
    run("simulate", "--users", 7, "--minutes", 0, "--out", tmp_path / "p.csv", "--vehicles", vehicles)
    rows = [json.loads(line) for line in vehicles.read_text(encoding="utf-8").splitlines()]
    assert [row["u7"] for row in rows] == list(range(1001, 1008))
    assert set().union(*rows) <= {"u7", "kind", "class", "gross_weight_t", "plate", "service", "consent", "language"}


@pytest.mark.parametrize("start", ["yesterday", "2026-11-02T08:00:00"])
def test_simulate_refuses_a_start_without_a_moment(tmp_path: Path, start: str) -> None:
    code, output = run("simulate", "--out", tmp_path / "p.csv", "--start", start)
    assert code == 2
    assert "ISO 8601" in output


def alerts(folder: Path, text: str) -> Path:
    path = folder / "alerts.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_draw_writes_a_picture(tmp_path: Path) -> None:
    pings = tmp_path / "p.csv"
    run("simulate", "--users", 5, "--minutes", 1, "--out", pings)
    row = {"u7": 1, "time": "t", "zone": "z", "decision": "send", "distance_m": 1, "bearing_deg": 0, "compass": "N"}
    line = json.dumps(row | {"eta_s": 1, "lon": 114.3, "lat": 30.6})
    out = tmp_path / "map.svg"
    code, output = run(
        "draw", "--zones", zones_dir(), "--pings", pings, "--alerts", alerts(tmp_path, line), "--out", out
    )
    assert (code, output) == (0, "")
    assert out.read_text(encoding="utf-8").startswith("<svg")


def test_draw_names_every_line_that_is_no_alert(tmp_path: Path) -> None:
    pings = tmp_path / "p.csv"
    run("simulate", "--users", 5, "--minutes", 1, "--out", pings)
    bad = alerts(tmp_path, '{"u7": 1}\nnot json\n[]\n')
    code, output = run("draw", "--zones", zones_dir(), "--pings", pings, "--alerts", bad, "--out", tmp_path / "m.svg")
    assert code == 3
    assert [f"line {number}" in output for number in (1, 2, 3)] == [True, True, True]
    assert "Traceback" not in output


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "114.4,30.5,114.2,30.6", "0,0,nan,1"])
def test_draw_refuses_a_box_that_is_none(tmp_path: Path, box: str) -> None:
    here = tmp_path / "x"
    code, _ = run("draw", "--zones", here, "--pings", here, "--alerts", here, "--out", here, "--bbox", box)
    assert code == 2
