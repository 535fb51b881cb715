"""``geo-engine pings calibrate``: which datum a source reports in, from two ping files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from api.commands.pings import app
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.geodesy.measure import destination
from geo_engine.ingest.files import write_pings
from geo_engine.model import PingBatch
from geo_engine.testing import noon_ms


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["calibrate", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def reported(path: Path, datum: Datum, *, count: int = 40, after_s: int = 0, seed: int = 3) -> Path:
    """People in Wuhan, located in a datum with 20 m of noise."""
    drawn = np.random.default_rng(7)
    lon, lat = 114.3 + drawn.normal(0.0, 0.05, count), 30.6 + drawn.normal(0.0, 0.05, count)
    noise = np.random.default_rng(seed)
    east, north = destination(lon, lat, noise.uniform(0.0, 360.0, count), np.abs(noise.normal(0.0, 20.0, count)))
    time_ms = noon_ms + np.arange(count) * 60_000 + after_s * 1000
    write_pings(PingBatch.from_columns(np.arange(count) % 5 + 1, time_ms, *from_wgs84(east, north, datum)), path)
    return path


@pytest.mark.parametrize("datum", [Datum.WGS84, Datum.GCJ02, Datum.BD09])
def test_the_datum_of_a_source_is_found_and_its_numbers_are_said(tmp_path: Path, datum: Datum) -> None:
    known = reported(tmp_path / "messages.csv", Datum.GCJ02)
    unknown = reported(tmp_path / "events.jsonl", datum, after_s=10, seed=4)
    code, stdout, _ = run(known, unknown, "--json")
    finding = json.loads(stdout)
    assert (code, finding["verdict"], finding["datum"], finding["pairs"], finding["users"]) == (
        0,
        "clear",
        datum,
        40,
        5,
    )
    assert [fit["wins"] for fit in finding["fits"]] == [40, 0, 0]
    assert finding["fits"][0]["median_m"] < 40.0
    code, stdout, _ = run(known, unknown)
    assert (code, stdout.splitlines()[0]) == (0, "40 pairs of 5 people")
    assert stdout.splitlines()[-1] == f"datum     {datum} (clear)"


def test_too_few_pairs_exit_1_and_say_so(tmp_path: Path) -> None:
    known = reported(tmp_path / "messages.csv", Datum.GCJ02)
    unknown = reported(tmp_path / "events.csv", Datum.WGS84, after_s=31)
    assert run(known, unknown)[:2] == (1, "0 pairs of 0 people\ndatum     - (not enough)\n")
    assert run(known, unknown, "--within", 31)[0] == 0


def test_a_file_that_cannot_be_read_or_holds_nothing_exits_3_by_name(tmp_path: Path) -> None:
    known = reported(tmp_path / "messages.csv", Datum.GCJ02)
    empty = tmp_path / "empty.csv"
    empty.write_text("u7,time,lon,lat\n", encoding="utf-8")
    code, _, stderr = run(known, empty)
    assert (code, "empty.csv" in stderr) == (3, True)
    assert run(known, tmp_path / "none.csv")[0] == 3
