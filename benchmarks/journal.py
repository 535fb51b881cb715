"""Measure what the journal costs: the same pings through the ingest worker with it and without, in turns in one run.

    python -m benchmarks.journal [--users 100000] [--rounds 12] [--folder DIR]

- "throughput": a tick of all users in batches of 1,000 is handed in at once, and answered; pings a second of the
  median round, and the ratio of both ways.
- "acknowledgement": 1,000 pings every 50 ms (20,000 a second); from handing in to the answer, median and p99.

Both ways commit their decisions to an SQLite store of their own on the same disk, as the service does. Zones, people
and traffic are made outside the timing, and the city is that of the other benchmarks.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from api.clocks import Clocks, steady_clock_ms
from api.metrics import Metrics
from api.workers.ingest import IngestWorker, Judged
from benchmarks.city import City, Fleet
from benchmarks.harness import RESULTS, Rounds, console, machine, write_json
from geo_engine.engine import Engine
from geo_engine.journal import Journal
from geo_engine.model import PingBatch
from geo_engine.store.open import open_store
from geo_engine.warming import warm_up
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["main"]

FILE: Final = RESULTS / "journal.json"
_ZONES: Final = 2_700
_BATCH: Final = 1_000
_PACED: Final = 60
_PACE_S: Final = 0.05
_WARM: Final = 3


class Way:
    """A worker with a store of its own, with a journal or without, and what it took."""

    def __init__(self, name: str, worker: IngestWorker) -> None:
        """Name it; it has taken nothing yet."""
        self.name, self.worker = name, worker
        self.seconds: list[float] = []
        self.answers_s: list[float] = []

    def tick(self, batches: list[PingBatch]) -> float:
        """Hand a tick in at once and return the seconds until all of it is answered."""
        began = time.perf_counter()
        for done in [self.worker.submit(batch) for batch in batches]:
            done.result(60)
        return time.perf_counter() - began

    def paced(self, batches: list[PingBatch]) -> None:
        """Hand in a batch every 50 ms, whatever the answers do, and note how long each took."""
        waiting: list[Future[Judged]] = []
        first = time.perf_counter()
        for number, batch in enumerate(batches):
            time.sleep(max(0.0, first + number * _PACE_S - time.perf_counter()))
            began = time.perf_counter()
            done = self.worker.submit(batch)
            done.add_done_callback(partial(self._answered, began))
            waiting.append(done)
        for done in waiting:
            done.result(60)

    def _answered(self, began: float, _done: Future[Judged]) -> None:
        self.answers_s.append(time.perf_counter() - began)


@contextmanager
def ways(folder: Path, zones: ZoneSet, fleet: Fleet, clocks: Clocks) -> Iterator[list[Way]]:
    """Start both ways."""
    people = [replace(fleet.default, u7=u7) for u7 in range(len(fleet.model_of))]
    people += fleet.others()
    with ExitStack() as stack:
        made = []
        for name in ("without journal", "with journal"):
            place = folder / name.replace(" ", "-")
            place.mkdir()
            store = open_store(f"sqlite:///{place / 'store.db'}")
            stack.callback(store.close)
            journal = Journal(place / "journal") if name == "with journal" else None
            worker = IngestWorker(Engine(zones), store, clocks, Metrics(), max_waiting=10**7, journal=journal)
            worker.put_vehicles(people)
            worker.start()
            stack.callback(worker.stop)
            made.append(Way(name, worker))
        yield made


def measure(users: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Measure both ways and return what is written down."""
    warm_up()
    city = City()
    traffic, zones = city.traffic(users), city.zones(_ZONES)
    with ways(folder, zones, city.vehicles(users), Clocks(lambda: traffic.now_ms, steady_clock_ms)) as both:
        for turn in range(_WARM + rounds):
            batches = parts(traffic.tick())
            # Whoever comes second finds the pings in the caches, so they take turns at that as well.
            for way in both if turn % 2 else reversed(both):
                took = way.tick(batches)
                if turn >= _WARM:
                    way.seconds.append(took)
        for turn in range(4):
            batches = parts(traffic.tick())[:_PACED]
            for way in both if turn % 2 else reversed(both):
                way.paced(batches)
        bare, kept = both
        return {
            "machine": machine(bandwidth=False),
            "zones": _ZONES,
            "users": users,
            "batch": _BATCH,
            "throughput": [Rounds(way.name, users, tuple(way.seconds)).document() for way in both],
            "time_ratio": round(statistics.median(kept.seconds) / statistics.median(bare.seconds), 2),
            "acknowledgement_ms": {way.name: latencies(way.answers_s) for way in both},
        }


def parts(batch: PingBatch) -> list[PingBatch]:
    """Return a tick in batches of 1,000."""
    return [batch.take(slice(first, first + _BATCH)) for first in range(0, len(batch), _BATCH)]


def latencies(seconds: list[float]) -> dict[str, float]:
    """Return median, p99 and maximum in milliseconds."""
    ordered = np.sort(np.array(seconds)) * 1000.0
    rank = max(-(-99 * len(ordered) // 100) - 1, 0)
    return {
        "answers": len(ordered),
        "median": round(float(np.median(ordered)), 2),
        "p99": round(float(ordered[rank]), 2),
        "max": round(float(ordered[-1]), 2),
    }


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where store and journal are written; default: a temporary folder")
    parser.add_argument("--results", type=Path, default=FILE)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        document = measure(given.users, given.rounds, Path(folder))
    write_json(given.results, document)
    for one in document["throughput"]:
        answers = document["acknowledgement_ms"][one["name"]]
        console.print(f"{one['name']}: {one['per_second_median']:,} pings/s, answered after {answers}")
    console.print(f"time with the journal over without: {document['time_ratio']}")


if __name__ == "__main__":
    main()
