"""Hold exact replays of recorded tracks against the oracle and print what was found, missed and invented.

    python -m benchmarks.exactness_report [--data ../shared/data] [--spots 240]

"Missed by points" are the visits in which no ping lies inside the zone: matching positions alone does not see them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from tests.acceptance.oracle import Ping, Transition, expected_transitions, zones_of

__all__ = ["TRACKS", "Comparison", "compare", "main", "read_pings", "read_transitions", "run_geo_engine"]

START = "2026-03-02T00:00:00Z"
"""Where a recording without a date of its own is placed."""


@dataclass(frozen=True, slots=True)
class Track:
    """A recording: its file below the data folder and how ``geo-engine pings convert`` reads it."""

    file: str
    options: tuple[str, ...]


TRACKS = {
    "envirocar": Track("traj/envirocar_track_1.json", ("--from", "envirocar")),
    "barefoot": Track("traj/barefoot_x0001-001.json", ("--from", "barefoot")),
    "pneuma": Track("traj/pneuma_sparsify_1hz.csv", ("--from", "pneuma", "--start", START)),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the oracle expects of one track and what the replay reported, both in the order of reporting."""

    pings: int
    zones: int
    expected: list[Transition]
    found: list[Transition]

    def missing(self) -> Counter[Transition]:
        """Return what the replay did not report."""
        return Counter(self.expected) - Counter(self.found)

    def extra(self) -> Counter[Transition]:
        """Return what the replay made up."""
        return Counter(self.found) - Counter(self.expected)


def run_geo_engine(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``geo-engine`` with the interpreter of this process, without a terminal."""
    program = "from api.cli import main; main()"
    command = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def read_pings(path: Path) -> list[Ping]:
    """Read a Parquet file of pings, its times as epoch milliseconds or as timestamps."""
    table = pq.read_table(path, columns=["u7", "time", "lon", "lat"])
    times = (_milliseconds(value) for value in table.column("time").to_pylist())
    others = (table.column(name).to_pylist() for name in ("u7", "lon", "lat"))
    return [Ping(u7, time, lon, lat) for time, (u7, lon, lat) in zip(times, zip(*others, strict=True), strict=True)]


def read_transitions(path: Path) -> list[Transition]:
    """Read ``transitions.jsonl`` without what only concerns warnings."""
    rows: Iterable[dict[str, Any]] = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    kept = (row for row in rows if row["transition"] != "approach")
    return [Transition(_milliseconds(row["time"]), row["u7"], row["transition"], row["zone"]) for row in kept]


def compare(track: Track, data: Path, folder: Path, *, spots: int = 240) -> Comparison:
    """Convert a recording, make zones along it, replay it exactly and ask the oracle; files go to ``folder``.

    Raises:
        RuntimeError: a command failed; the message holds what it said.
    """
    pings, zones, out = folder / "pings.parquet", folder / "zones.geojson", folder / "out"
    _must_run(run_geo_engine("pings", "convert", *track.options, data / track.file, "--out", pings))
    _must_run(_make_zones("--pings", pings, "--out", zones, "--spots", spots))
    _must_run(run_geo_engine("replay", "--pings", pings, "--zones", zones, "--out", out, "--exact"))
    positions = read_pings(pings)
    shapes = zones_of(json.loads(zones.read_text(encoding="utf-8")))
    expected = expected_transitions(positions, shapes)
    return Comparison(len(positions), len(shapes), expected, read_transitions(out / "transitions.jsonl"))


def _make_zones(*arguments: str | Path | int) -> subprocess.CompletedProcess[str]:
    """Run the script that makes zones along a track, as a person would."""
    command = [sys.executable, "-m", "benchmarks.zones_along_track", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])


def _must_run(result: subprocess.CompletedProcess[str]) -> None:
    if result.returncode:
        message = f"exit code {result.returncode}: {result.args}\n{result.stdout}{result.stderr}"
        raise RuntimeError(message)


def _milliseconds(value: int | str | datetime) -> int:
    """Return epoch milliseconds of a time as the files write it."""
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _add_rows(table: Table, name: str, comparison: Comparison) -> None:
    """Add one row per kind of zone (chord or decoy) and one for the whole track."""
    groups = sorted({_group(row) for row in (*comparison.expected, *comparison.found)}, key=lambda key: (len(key), key))
    for group in (*groups, ""):
        expected = [row for row in comparison.expected if not group or _group(row) == group]
        found = Counter(row for row in comparison.found if not group or _group(row) == group)
        visits = Counter(row for row in expected if row.transition in {"enter", "cross"})
        crossed = sum(row.transition == "cross" for row in visits)
        figures = (visits.total(), crossed, (visits & found).total())
        differences = ((Counter(expected) - found).total(), (found - Counter(expected)).total())
        label = group or f"all {comparison.zones} zones, {comparison.pings:,} pings"
        table.add_row(name, label, *map(str, (*figures, *differences)), end_section=not group)


def _group(row: Transition) -> str:
    """Return the part of a zone's id that tells its chord: ``0042-chord100-hole`` is of ``chord100``."""
    return row.zone.split("-")[1]


def main() -> None:
    """Compare every track; exit code 1 when anything is missing or extra."""
    parser = argparse.ArgumentParser(description="Hold exact replays of recorded tracks against the oracle.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the recordings")
    parser.add_argument("--spots", type=int, default=240, help="zones over and beside each track")
    arguments = parser.parse_args()
    table = Table("track", "zones", "visits", "missed by points", "found", "transitions missing", "transitions extra")
    wrong = 0
    for name, track in TRACKS.items():
        with tempfile.TemporaryDirectory() as folder:
            comparison = compare(track, arguments.data, Path(folder), spots=arguments.spots)
        _add_rows(table, name, comparison)
        wrong += comparison.missing().total() + comparison.extra().total()
    Console(width=120).print(table)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
