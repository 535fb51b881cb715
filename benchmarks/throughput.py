"""Measure ``geo-engine replay`` beside what one would write by hand, in one run: 1 M simulated pings x 300 zones.

    python -m benchmarks.throughput [--pings 1000000] [--zones 300] [--rounds 3] [--seed 11] [--results FOLDER]

- "replay" is the command itself on a Parquet file: reading, filters, segments, transitions, look-ahead, decisions and
  writing; its engine time is what the command reports for the engine alone.
- "rtree + shapely loop" asks an R-tree and a prepared polygon for each ping, on a sample of whole tracks.
- "shapely STRtree in bulk" is the vectorised way of an expert, on all pings.

The two hand-written ways give enter and exit from positions alone; on the sample all three must agree on them before
anything is timed. Making pings and zones and writing them is outside the timing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from benchmarks.bars import bar_chart
from benchmarks.by_hand import Visits, rtree_loop, strtree_bulk, visits_of_keys
from benchmarks.exactness_report import run_geo_engine
from benchmarks.workload import PINGS_PER_USER, Pings, simulated_pings, simulated_zones

__all__ = ["Measurement", "main"]

RESULTS = Path(__file__).parent / "results"
SAMPLE_USERS = 250


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one way took: pings of one round and the seconds of each round."""

    name: str
    pings: int
    seconds: list[float]

    def per_second(self) -> float:
        """Return pings per second of the median round."""
        return self.pings / statistics.median(self.seconds)


def visits_of_replay(path: Path, pings: Pings) -> Visits:
    """Read enter and exit of a replay as rows of pings and zones."""
    row_of = {pair: row for row, pair in enumerate(zip(pings.u7.tolist(), pings.time_ms.tolist(), strict=True))}
    visits: Visits = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        if found["transition"] in {"enter", "exit"}:
            time_ms = int(np.datetime64(found["time"].removesuffix("Z"), "ms").astype(np.int64))
            visits.add((row_of[found["u7"], time_ms], int(found["zone"].removeprefix("zone-")), found["transition"]))
    return visits


def timed(name: str, pings: int, rounds: int, work: Callable[[], object]) -> Measurement:
    """Run the work ``rounds`` times and keep the wall time of each."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return Measurement(name, pings, seconds)


class Replay:
    """``geo-engine replay`` on files written beforehand."""

    def __init__(self, folder: Path, zones: dict[str, Any]) -> None:
        """Write the zones once."""
        self.folder = folder
        self.zones = folder / "zones.geojson"
        self.zones.write_text(json.dumps(zones), encoding="utf-8")
        self.engine_seconds: list[float] = []

    def write(self, name: str, pings: Pings) -> Path:
        """Write pings as Parquet, outside the timing."""
        columns = {field: getattr(pings, field) for field in pings.__dataclass_fields__}
        columns["time"] = columns.pop("time_ms")
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    def run(self, pings: Path, *options: str) -> Path:
        """Replay a file and return the folder of its output."""
        out = self.folder / f"{pings.stem}-out"
        result = run_geo_engine("replay", "--pings", pings, "--zones", self.zones, "--out", out, *options)
        if result.returncode:
            message = f"replay ended with {result.returncode}: {result.stdout}{result.stderr}"
            raise RuntimeError(message)
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        self.engine_seconds.append(summary["engine_seconds"])
        return out


def check_agreement(replay: Replay, sample: Pings, zones: list[BaseGeometry]) -> int:
    """Return the number of enters and exits in the sample.

    Raises:
        RuntimeError: the three ways do not agree on them.
    """
    by_loop = rtree_loop(sample, zones)
    by_tree = visits_of_keys(*strtree_bulk(sample, zones), len(zones))
    out = replay.run(replay.write("sample", sample), "--exact")
    by_replay = visits_of_replay(out / "transitions.jsonl", sample)
    if not by_loop == by_tree == by_replay:
        message = f"the ways disagree: loop {len(by_loop)}, STRtree {len(by_tree)}, replay {len(by_replay)} transitions"
        raise RuntimeError(message)
    return len(by_loop)


def measure(pings: Pings, collection: dict[str, Any], rounds: int, folder: Path) -> tuple[list[Measurement], int]:
    """Measure every way and return the measurements and the number of transitions they agreed on."""
    zones = [shape(feature["geometry"]) for feature in collection["features"]]
    sample = pings.head(min(len(pings.u7), SAMPLE_USERS * PINGS_PER_USER))
    replay = Replay(folder, collection)
    agreed = check_agreement(replay, sample, zones)
    replay.engine_seconds.clear()
    count, file = len(pings.u7), replay.write("pings", pings)
    measured = [
        timed("rtree + shapely loop", len(sample.u7), rounds, lambda: rtree_loop(sample, zones)),
        timed("shapely STRtree in bulk", count, rounds, lambda: strtree_bulk(pings, zones)),
        timed("geo-engine replay, whole command", count, rounds, lambda: replay.run(file)),
    ]
    return [*measured, Measurement("geo-engine replay, engine alone", count, replay.engine_seconds)], agreed


def machine() -> dict[str, str | int]:
    """Describe where the numbers were taken."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.is_file() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    packages = {name: version(name) for name in ("numpy", "shapely", "rtree", "pyarrow")}
    cores = os.cpu_count() or 1
    return {"cpu": model, "cores": cores, "system": platform.system(), "python": platform.python_version(), **packages}


def print_table(measured: list[Measurement], title: str) -> None:
    """Print one line per way; the ratio is against the loop."""
    base = measured[0].per_second()
    table = Table("way", "pings", "s min", "s median", "pings/s at min", "pings/s at median", "ratio", title=title)
    for way in measured:
        seconds = (f"{min(way.seconds):.2f}", f"{statistics.median(way.seconds):.2f}")
        rates = (f"{way.pings / min(way.seconds):,.0f}", f"{way.per_second():,.0f}")
        table.add_row(way.name, f"{way.pings:,}", *seconds, *rates, f"{way.per_second() / base:.1f} x")
    Console(width=130).print(table)


def write_results(folder: Path, measured: list[Measurement], setting: dict[str, Any]) -> None:
    """Write ``throughput.json`` and ``throughput.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    ways = [
        {
            "name": way.name,
            "pings": way.pings,
            "seconds": [round(value, 4) for value in way.seconds],
            "pings_per_s_median": round(way.per_second()),
            "ratio_to_loop": round(way.per_second() / measured[0].per_second(), 2),
        }
        for way in measured
    ]
    document = {**setting, "ways": ways}
    (folder / "throughput.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    rows = [(way.name, way.per_second(), f"{way.per_second() / 1000:,.0f} k/s") for way in measured]
    title = f"Pings per second, {setting['zones']} zones (more is better)"
    note = f"median of {setting['rounds']} rounds, {setting['machine']['cpu']}, one process; benchmarks/throughput.py"
    (folder / "throughput.svg").write_text(bar_chart(title, note, rows), encoding="utf-8")


def main() -> None:
    """Read the command line, measure, print and write the results."""
    parser = argparse.ArgumentParser(description="Measure replay beside what one would write by hand.")
    parser.add_argument("--pings", type=int, default=1_000_000)
    parser.add_argument("--zones", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of throughput.json and throughput.svg")
    arguments = parser.parse_args()
    pings = simulated_pings(arguments.pings, arguments.seed)
    collection = simulated_zones(arguments.zones, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        measured, agreed = measure(pings, collection, arguments.rounds, Path(folder))
    names = ("pings", "zones", "rounds", "seed")
    setting = {"machine": machine(), **{name: getattr(arguments, name) for name in names}, "transitions_agreed": agreed}
    print_table(
        measured, f"{arguments.pings:,} pings x {arguments.zones} zones; {agreed:,} transitions of the sample agree"
    )
    print(" · ".join(f"{name} {value}" for name, value in machine().items()))
    write_results(arguments.results, measured, setting)


if __name__ == "__main__":
    main()
