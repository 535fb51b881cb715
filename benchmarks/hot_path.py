"""Measure the hot path: matching alone, the whole step, edits under load, memory, restarts; other ways beside it.

    python -m benchmarks.hot_path [--quick | --full] [--only match,step] [--results FOLDER] [--tile38 HOST:PORT]

Rules of honest figures: one core; every batch is fresh and was made outside the timing; users come in random order; the
whole step is measured in steady state, after the ticks in which everybody is new; medians are quoted, the spread is
written beside them. The workload is ``benchmarks.city``; how hard it is stands in the result. ``--quick`` takes about
three minutes, ``--full`` adds ten million users and longer runs. Results: ``hot_path.json`` and ``hot_path.svg``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from benchmarks.bars import bar_chart
from benchmarks.city import City, hardness
from benchmarks.harness import RESULTS, Steps, console, facts, machine, pin_to_one_core, progress, write_json
from benchmarks.hot_path_sections import (
    measure_alternatives,
    measure_edits,
    measure_match,
    measure_memory,
    measure_restart,
    measure_soak,
    measure_start,
    measure_step,
)

__all__ = ["FULL_PLAN", "QUICK", "SMALL", "Plan", "draw", "main", "run"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        name: what it is called.
        zones: numbers of zones; the middle one is used wherever only one is.
        match_batches: batch sizes of matching alone.
        match_rounds: batches of each size that count.
        users: numbers of users of the whole step; the batches of ``batches`` are measured with ``main_users``.
        main_users: users wherever one number is used.
        batches: batch sizes of the whole step.
        warm_ticks: ticks before the whole step is measured.
        ticks: ticks that count.
        edit_seconds: how long edits go on under load, and how long the load runs without.
        load_per_s: pings per second of that load.
        memory_users: users of the memory measurement.
        other_pings: pings the other ways get.
        soak_pings: pings of the long run, 0 = none.
        soak_warm_ticks: ticks before it; visits are remembered for half an hour, so memory grows for as long.
    """

    name: str
    zones: tuple[int, int, int]
    match_batches: tuple[int, ...]
    match_rounds: int
    users: tuple[int, ...]
    main_users: int
    batches: tuple[int, ...]
    warm_ticks: int
    ticks: int
    edit_seconds: float
    load_per_s: int
    memory_users: int
    other_pings: int
    soak_pings: int = 0
    soak_warm_ticks: int = 1


QUICK: Final = Plan(
    name="quick",
    zones=(300, 2_700, 27_000),
    match_batches=(1_000, 10_000, 100_000, 1_000_000),
    match_rounds=7,
    users=(1_000, 100_000),
    main_users=1_000_000,
    batches=(10_000, 100_000, 1_000_000),
    warm_ticks=6,
    ticks=3,
    edit_seconds=6.0,
    load_per_s=500_000,
    memory_users=1_000_000,
    other_pings=20_000,
)
FULL_PLAN: Final = Plan(
    name="full",
    zones=(300, 2_700, 27_000),
    match_batches=(1_000, 10_000, 100_000, 1_000_000),
    match_rounds=21,
    users=(1_000, 10_000, 100_000, 10_000_000),
    main_users=1_000_000,
    batches=(1_000, 10_000, 100_000, 1_000_000),
    warm_ticks=11,
    ticks=5,
    edit_seconds=30.0,
    load_per_s=500_000,
    memory_users=10_000_000,
    other_pings=100_000,
    soak_pings=200_000_000,
    soak_warm_ticks=372,
)
SMALL: Final = Plan(
    name="small",
    zones=(30, 100, 300),
    match_batches=(100, 1_000),
    match_rounds=2,
    users=(100,),
    main_users=1_000,
    batches=(100, 1_000),
    warm_ticks=1,
    ticks=1,
    edit_seconds=0.2,
    load_per_s=5_000,
    memory_users=2_000,
    other_pings=200,
    soak_pings=3_000,
)
"""Of no use for figures; proves in seconds that everything runs."""

Section = Callable[[City, Plan], dict[str, Any]]

_SECTIONS: Final[dict[str, Section]] = {
    "match": lambda city, plan: measure_match(city, plan.zones, plan.match_batches, plan.match_rounds),
    "step": lambda city, plan: measure_step(
        city,
        [(plan.zones[1], plan.main_users, plan.batches)]
        + [(plan.zones[1], users, (min(users, 1_000_000),)) for users in plan.users]
        + [(zones, min(plan.main_users, 200_000), (100_000,)) for zones in plan.zones],
        warm_ticks=plan.warm_ticks,
        ticks=plan.ticks,
    ),
    "edits": lambda city, plan: measure_edits(
        city, plan.zones[1], plan.main_users, load_per_s=plan.load_per_s, seconds=plan.edit_seconds
    ),
    "restart": lambda city, plan: measure_restart(city, plan.zones[1], plan.main_users),
    "memory": lambda _, plan: measure_memory(plan.zones[1], plan.memory_users),
    "start": lambda _, plan: measure_start(plan.zones[1]),
    "soak": lambda city, plan: measure_soak(
        city, plan.zones[1], plan.main_users, plan.soak_pings, warm_ticks=plan.soak_warm_ticks
    ),
}


def run(
    plan: Plan, *, only: Sequence[str] = (), tile38: str | None = None, steps: Steps | None = None
) -> dict[str, Any]:
    """Measure the sections of ``only`` (all when empty) and return the document of results."""
    core = pin_to_one_core()
    city = City()
    sections = dict(_SECTIONS)
    sections["alternatives"] = lambda city, plan: measure_alternatives(city, plan.zones[1], plan.other_pings, tile38)
    if not plan.soak_pings:
        del sections["soak"]
    chosen = [name for name in sections if not only or name in only]
    document: dict[str, Any] = {
        "plan": plan.name,
        "machine": machine(core=core),
        "workload": {
            f"{zones:,} zones": hardness(city.zones(zones), city.traffic(10_000), 4).text() for zones in plan.zones
        },
    }
    if steps is not None:
        steps.expect(len(chosen))
    for name in chosen:
        if steps is not None:
            steps.next(name)
        document[name] = sections[name](city, plan)
        if steps is not None:
            steps.done()
    return document


def print_document(document: dict[str, Any]) -> None:
    """Print every measurement as a row, and what else was found as a line."""
    columns = ("section", "what", "ns/ping min", "median", "p99", "per s at median")
    table = Table(*columns, title=f"plan {document['plan']}")
    lines = []
    for section, found in document.items():
        if not isinstance(found, dict):
            continue
        for row in found.get("rows", ()):
            spread = row["ns_per_item"]
            figures = (f"{spread[name]:,g}" for name in ("min", "median", "p99"))
            table.add_row(section, row["name"], *figures, f"{row['per_second_median']:,}")
        others = {name: value for name, value in found.items() if name != "rows"}
        if others:
            lines.append(f"{section}: {facts(others)}")
    console.print(table)
    for line in lines:
        print(line)


def draw(document: dict[str, Any]) -> str:
    """Return the picture: pings per second of the main rows, the engine's own beside the other ways."""
    rows = []
    for section, title in (("alternatives", ""), ("match", "match: "), ("step", "step: ")):
        for row in document.get(section, {}).get("rows", ()):
            per_second = row["per_second_median"]
            rows.append((f"{title}{row['name']}", float(per_second), _rate(per_second)))
    note = f"medians, one core of {document['machine']['cpu']}, copies {document['machine']['copy_gb_per_s']} GB/s"
    return bar_chart("Pings per second on one core (more is better)", f"{note}; benchmarks/hot_path.py", rows)


def _rate(per_second: float) -> str:
    return f"{per_second / 1e6:.2f} M/s" if per_second >= 1e6 else f"{per_second / 1e3:,.0f} k/s"


def main() -> None:
    """Read the command line, measure, print and write the results."""
    parser = argparse.ArgumentParser(description="Measure the hot path.")
    parser.add_argument("--quick", dest="plan", action="store_const", const=QUICK, default=QUICK)
    parser.add_argument("--full", dest="plan", action="store_const", const=FULL_PLAN)
    parser.add_argument("--small", dest="plan", action="store_const", const=SMALL)
    parser.add_argument("--only", default="", help=f"some of {','.join(_SECTIONS)},alternatives")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of hot_path.json and hot_path.svg")
    parser.add_argument("--tile38", metavar="HOST:PORT", help="a Tile38 server whose data may be overwritten")
    arguments = parser.parse_args()
    only = [name for name in arguments.only.split(",") if name]
    unknown = sorted(set(only) - {*_SECTIONS, "alternatives"})
    if unknown:
        parser.error(f"unknown sections: {', '.join(unknown)}")
    with progress() as steps:
        document = run(arguments.plan, only=only, tile38=arguments.tile38, steps=steps)
    print_document(document)
    write_json(arguments.results / "hot_path.json", document)
    if not any(document.get(name, {}).get("rows") for name in ("alternatives", "match", "step")):
        return
    (arguments.results / "hot_path.svg").write_text(draw(document), encoding="utf-8")


if __name__ == "__main__":
    main()
