"""``geo-engine pings`` as a person types it: output, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.commands.pings import app
from geo_engine.ingest.files import read_pings

PNEUMA = "track_id,lon,lat,speed,time\n128,23.7,37.9,36.0,1970-01-01 00:00:00.000\n157,23.8,38.0,1,soon\n"
GOOD = '{"u7":7,"time":1700000000123,"lon":114.3,"lat":30.6}\n'


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def saved(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_convert_writes_the_file_and_says_which_track_got_which_number(tmp_path: Path) -> None:
    source, out = saved(tmp_path, "p.csv", PNEUMA), tmp_path / "out.parquet"
    start = "2018-10-24T10:00:00+03:00"
    code, stdout, stderr = run(
        "convert", "--from", "pneuma", source, "--out", out, "--u7", 50, "--start", start, "--json"
    )
    assert code == 0
    summary = json.loads(stdout)
    assert summary["tracks"] == {"128": 50}
    assert (summary["pings"], summary["rejected"], summary["first"]) == (
        1,
        {"malformed": 1},
        "2018-10-24T07:00:00.000Z",
    )
    assert "p.csv line 3 time" in stderr
    assert read_pings(out).batch.u7.tolist() == [50]


def test_convert_of_nothing_usable_exits_3_with_a_line_per_fault(tmp_path: Path) -> None:
    source = saved(tmp_path, "b.json", "[null, 1]")
    code, stdout, stderr = run("convert", "--from", "barefoot", source, "--out", tmp_path / "out.csv")
    assert (code, stdout, len(stderr.splitlines())) == (3, "", 2)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "gpx", "--out", "x.csv"),
        ("--from", "pneuma", "--out", "x.xls"),
        ("--from", "pneuma", "--out", "x.csv", "--start", "2018-10-24T10:00:00"),
        ("--from", "pneuma", "--out", "x.csv", "--u7", "10000000"),
        ("--from", "pneuma"),
    ],
)
def test_convert_with_a_wrong_option_exits_2(tmp_path: Path, options: tuple[str, ...]) -> None:
    code, _, stderr = run("convert", saved(tmp_path, "p.csv", PNEUMA), *options)
    assert code == 2
    assert stderr


def test_convert_into_a_folder_that_is_not_there_exits_1(tmp_path: Path) -> None:
    source = saved(tmp_path, "p.csv", PNEUMA)
    code, _, stderr = run("convert", "--from", "pneuma", source, "--out", tmp_path / "nowhere" / "out.csv")
    assert code == 1
    assert "nowhere" in stderr


def test_check_prints_counts_and_names_the_bad_rows(tmp_path: Path) -> None:
    code, stdout, stderr = run("check", saved(tmp_path, "a.jsonl", GOOD + "null\n"), "--datum", "gcj02")
    assert code == 0
    assert "malformed 1" in stdout
    assert "2023-11-14T22:13:20.123Z" in stdout
    assert stderr.startswith("a.jsonl line 2: found nothing, expected an object")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", "null\n"),
        ("a.csv", "u7,time,lon,lat\n"),
        ("a.json", "[]"),
        ("a.csv", ""),
        ("a.parquet", "PAR1"),
        ("a.txt", "x"),
    ],
)
def test_check_of_a_file_without_any_ping_exits_3(tmp_path: Path, name: str, text: str) -> None:
    code, stdout, stderr = run("check", saved(tmp_path, name, text))
    assert (code, stdout) == (3, "")
    assert stderr.startswith(name)
    assert "Traceback" not in stderr


def test_check_of_times_beyond_the_calendar_ends_without_a_traceback(tmp_path: Path) -> None:
    line = '{"u7":1,"time":9223372036854775807,"lon":1,"lat":1}\n'
    code, stdout, _ = run("check", saved(tmp_path, "a.jsonl", line), "--json")
    assert code == 0
    assert json.loads(stdout)["last"] == "9223372036854775807"
