"""The command line as a whole: version, help, and no traceback for what is not our fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def geo_engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_version_is_printed_and_ends_with_zero() -> None:
    done = geo_engine("--version")
    assert (done.returncode, done.stdout) == (0, "0.1.0\n")


def test_no_command_shows_the_commands_and_ends_with_two() -> None:
    done = geo_engine()
    assert done.returncode == 2
    for command in ("run", "replay", "simulate", "zones", "pings", "draw", "fake-wechat", "db"):
        assert command in done.stdout


@pytest.mark.parametrize("arguments", [["fly"], ["replay", "--nonsense"], ["replay"]])
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    assert geo_engine(*arguments).returncode == 2


def test_output_that_cannot_be_written_is_one_line_and_ends_with_one(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file, not a folder")
    pings = tmp_path / "p.csv"
    pings.write_text("u7,time,lon,lat\n1,1792382400000,114.3,30.6\n")
    done = geo_engine("replay", "--pings", str(pings), "--zones", "zones", "--out", str(taken))
    assert done.returncode == 1
    assert "taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_path_never_imports_geopandas() -> None:
    code = "import sys, api.serving, api.commands.replay; print('geopandas' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False False\n"
