"""Say when the hot path has become slower: its time over that of a fixed kernel, measured in turns in one run.

    python -m benchmarks.guard [--update]

Absolute times differ from machine to machine and from minute to minute. So a fixed kernel that loads, branches and
multiplies much as the hot path does is measured beside it, round by round; the best round of each counts, which leaves
out what other programs disturb; and the ratio of both is held against the one committed in ``results/guard.json``. A
ratio above its limit is measured again, twice, before it counts. ``--update`` writes what is found as the expectation:
after a change that is meant. Without Numba there is no compiled path to guard, and one line says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.city import City
from benchmarks.harness import RESULTS, machine, pin_to_one_core, write_json
from benchmarks.under_test import learn, make_engine, make_index, matcher, step
from geo_engine.compiled import COMPILED, kernel
from geo_engine.model import FloatColumn, IntColumn, PingBatch

__all__ = ["Expected", "Subject", "judge", "main", "measure", "ratios"]

FILE: Final = RESULTS / "guard.json"

_ZONES: Final = 2_700
_USERS: Final = 40_000
_WARM_TICKS: Final = 4
_ROUNDS: Final = 9
_ATTEMPTS: Final = 3
_TABLE_ROWS: Final = 1 << 20  # 32 MB: past the caches of a core, as the state of a million users is

TOLERANCE: Final = 1.6
TOLERANCE_ELSEWHERE: Final = 2.5
"""On another kind of processor, whose caches and branches are of another speed, only a gross loss can be told."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was committed: nanoseconds per ping of each subject over those per item of the fixed kernel."""

    cpu: str
    ratios: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> Expected:
        """Read the file of expectations."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(document["cpu"], document["ratios"])


@dataclass(frozen=True, slots=True)
class Subject:
    """What is guarded: ``fresh`` makes the input of a round outside the timing, ``work`` is timed on it."""

    name: str
    items: int
    fresh: Callable[[], Any]
    work: Callable[[Any], object]


def judge(found: Mapping[str, float], expected: Expected, cpu: str) -> list[str]:
    """Return a line for each subject that is slower than it may be, and for each one without an expectation."""
    limit = TOLERANCE if cpu == expected.cpu else TOLERANCE_ELSEWHERE
    lines = []
    for name, ratio in found.items():
        usual = expected.ratios.get(name)
        if usual is None:
            lines.append(f"{name}: no expectation; write one with --update")
        elif ratio > usual * limit:
            lines.append(f"{name}: {ratio / usual:.2f} times as slow as expected, the limit is {limit}")
    return lines


def ratios(subjects: list[Subject], rounds: int = _ROUNDS) -> dict[str, float]:
    """Return the time per item of each subject over that of the fixed kernel, best of rounds taken in turns."""
    reference = _reference()
    best = dict.fromkeys([reference.name, *(subject.name for subject in subjects)], float("inf"))
    for turn in range(rounds + 1):
        for subject in (reference, *subjects):
            given = subject.fresh()
            # Processor time: what the core gave to another program in between is not ours.
            start = time.thread_time()
            subject.work(given)
            took = (time.thread_time() - start) / subject.items
            # The first turn compiles and fills the caches.
            if turn:
                best[subject.name] = min(best[subject.name], took)
    return {subject.name: best[subject.name] / best[reference.name] for subject in subjects}


def measure(*, zones: int = _ZONES, users: int = _USERS, rounds: int = _ROUNDS) -> dict[str, float]:
    """Return the ratios of matching alone and of the whole step on the city of the benchmarks."""
    city = City()
    drawn = city.zones(zones)
    match = matcher(make_index(drawn))
    traffic, others = city.traffic(users), city.traffic(users, seed=2)
    engine = make_engine(drawn, city.vehicles(users))
    for _ in range(_WARM_TICKS):
        step(engine, traffic.tick(), traffic.now_ms)
    learn(engine)

    def judged(batch: PingBatch) -> None:
        step(engine, batch, traffic.now_ms)

    return ratios(
        [
            Subject("match", users, others.tick, lambda batch: match(batch.lon, batch.lat)),
            Subject("whole step", users, traffic.tick, judged),
        ],
        rounds,
    )


@kernel
def _walk(table: FloatColumn, rows: IntColumn, x: FloatColumn) -> float:
    """Load a random row of four numbers for each item, then branch and multiply on them."""
    total = 0.0
    for item in range(len(rows)):
        first = rows[item] * 4
        a, b, c, d = table[first], table[first + 1], table[first + 2], table[first + 3]
        turn = (b - a) * (x[item] - c) - (d - c) * (x[item] - a)
        if turn > 0.0:
            total += turn
        else:
            total -= np.sqrt(-turn)
    return total


def _reference() -> Subject:
    random = np.random.default_rng(0)
    table = random.random(4 * _TABLE_ROWS)
    count = 200_000

    def fresh() -> tuple[IntColumn, FloatColumn]:
        return random.integers(0, _TABLE_ROWS, count), random.random(count)

    return Subject("fixed kernel", count, fresh, lambda given: _walk(table, *given))


def main() -> None:
    """Measure and compare; exit code 1 when something has become slower."""
    parser = argparse.ArgumentParser(description="Say when the hot path has become slower.")
    parser.add_argument("--update", action="store_true", help="write what is found as the expectation")
    arguments = parser.parse_args()
    if not COMPILED:
        print("speed guard: skipped, Numba is not there (extra: fast)")
        return
    core = pin_to_one_core()
    here = machine(core=core, bandwidth=False)
    cpu = str(here["cpu"])
    if arguments.update:
        found = {name: round(ratio, 3) for name, ratio in measure().items()}
        write_json(FILE, {"cpu": cpu, "tolerance": TOLERANCE, "ratios": found, "machine": here})
        print(f"speed guard: written {found}")
        return
    expected = Expected.read(FILE)
    lines: list[str] = []
    best: dict[str, float] = {}
    for _ in range(_ATTEMPTS):
        found = measure()
        best = {name: min(ratio, best.get(name, ratio)) for name, ratio in found.items()}
        lines = judge(best, expected, cpu)
        if not lines:
            break
    for line in lines:
        print(f"speed guard: {line}", file=sys.stderr)
    shown = ", ".join(f"{name} {ratio:.2f} (expected {expected.ratios.get(name)})" for name, ratio in best.items())
    print(f"speed guard: {shown} times the fixed kernel")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
