"""What the hot path benchmark measures in processes of their own: memory per user, the time to the first ping.

    python -m benchmarks.hot_path_child memory --users 1000000
    python -m benchmarks.hot_path_child first-ping

Each prints one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.city import FULL, VENUES, City, Fleet
from benchmarks.city_traffic import TICK_MS
from benchmarks.harness import resident_bytes
from benchmarks.under_test import learn, make_engine, step
from geo_engine.model import PingBatch
from geo_engine.testing import noon_ms

__all__ = ["first_ping", "memory", "run_child"]

_LARGEST_BATCH: Final = 100_000


def memory(users: int, zones: int, ticks: int = 3) -> dict[str, Any]:
    """Return the growth of the resident memory per user: of the second half of the users, and of all.

    Pings are made batch by batch and thrown away, so that only the engine grows; all drive the default vehicle. What
    is learnt of a city's streets is the city's: it is there with half of the users and hardly grows with the others.
    """
    city = City()
    engine = make_engine(city.zones(zones, venues=VENUES), _cars(city, users))
    batch = min(_LARGEST_BATCH, max(users // 10, 1))
    for tick in range(2):
        step(engine, _pings(city, 0, batch, tick), noon_ms + (tick + 1) * TICK_MS)
    before = _settled_bytes()
    sizes = []
    for part, known in enumerate((users // 2, users)):
        for tick in range(2 + part * ticks, 2 + (part + 1) * ticks):
            for first in range(0, known, batch):
                pings = _pings(city, first, min(batch, known - first), tick)
                step(engine, pings, noon_ms + (tick + 1) * TICK_MS)
        learn(engine)
        sizes.append(_settled_bytes())
    half, after = sizes
    return {
        "users": users,
        "zones": zones,
        "rss_before_mb": round(before / 1e6, 1),
        "rss_half_mb": round(half / 1e6, 1),
        "rss_after_mb": round(after / 1e6, 1),
        "bytes_per_user": round((after - half) / max(users - users // 2, 1), 1),
        "bytes_per_user_with_the_city": round((after - before) / max(users - batch, 1), 1),
    }


def first_ping(zones: int) -> dict[str, Any]:
    """Build everything as a start does and judge one ping; the caller measures the whole."""
    start = time.perf_counter()
    city = City()
    made = city.zones(zones, venues=VENUES)
    drawn = time.perf_counter()
    engine = make_engine(made, _cars(city, 1))
    built = time.perf_counter()
    accepted = step(engine, _pings(city, 0, 1, 0), noon_ms + TICK_MS).accepted
    done = time.perf_counter()
    return {
        "zones": zones,
        "accepted": accepted,
        "zones_s": round(drawn - start, 3),
        "engine_s": round(built - drawn, 3),
        "ping_s": round(done - built, 3),
    }


def run_child(*arguments: str) -> dict[str, Any]:
    """Run this module in a new process and return what it printed and the seconds from start to end.

    Raises:
        RuntimeError: it failed; the message holds what it said.
    """
    command = [sys.executable, "-m", "benchmarks.hot_path_child", *arguments]
    start = time.perf_counter()
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=Path(__file__).parents[1]
    )
    took = time.perf_counter() - start
    if result.returncode:
        message = f"{' '.join(arguments)}: exit code {result.returncode}: {result.stderr.strip()[-500:]}"
        raise RuntimeError(message)
    found: dict[str, Any] = json.loads(result.stdout)
    return {**found, "process_s": round(took, 2)}


def _cars(city: City, users: int) -> Fleet:
    return Fleet(city.vehicles(1).models, np.zeros(users, dtype=np.uint8))


def _pings(city: City, first: int, count: int, tick: int) -> PingBatch:
    """Return one ping of each of ``count`` users, who stay within metres of where they are first seen."""
    places = city.streets.places(np.random.default_rng([first, 5]), count)
    noise = np.random.default_rng([first, 6, tick]).normal(0.0, 7.0, (count, 2))
    lon, lat = city.streets.to_degrees(places + noise)
    users = np.random.default_rng([first, 7]).permutation(np.arange(first, first + count))
    return PingBatch.from_columns(users, np.full(count, noon_ms + tick * TICK_MS), lon, lat)


def _settled_bytes() -> int:
    """Return the resident memory after what is free was given back to the system."""
    gc.collect()
    # glibc keeps freed memory for later; without this the figure would hold the temporary columns of a step.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return resident_bytes()


def main() -> None:
    """Measure what the command line names and print it."""
    parser = argparse.ArgumentParser(description="One measurement of the hot path in a process of its own.")
    parser.add_argument("what", choices=("memory", "first-ping"))
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--zones", type=int, default=FULL)
    arguments = parser.parse_args()
    by_name = {
        "memory": lambda: memory(arguments.users, arguments.zones),
        "first-ping": lambda: first_ping(arguments.zones),
    }
    found = by_name[arguments.what]()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
