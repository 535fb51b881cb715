"""The sections of the hot path benchmark. Each returns a dict for the JSON result; measured ways are its ``rows``."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.alternatives import LIBRARY, IndexWay, Way, compare, open_servers, shapes_of
from benchmarks.city import VENUES, City
from benchmarks.city_traffic import TICK_MS, Traffic
from benchmarks.harness import Rounds, measured, resident_bytes
from benchmarks.hot_path_child import run_child
from benchmarks.under_test import edited, learn, make_engine, make_index, matcher, prepare, publish, snapshots, step
from geo_engine.engine import Engine
from geo_engine.model import PingBatch
from geo_engine.revision import Prepared
from geo_engine.zones.zoneset import ZoneSet

__all__ = [
    "measure_alternatives",
    "measure_edits",
    "measure_match",
    "measure_memory",
    "measure_restart",
    "measure_soak",
    "measure_start",
    "measure_step",
]

_EDIT_EVERY_S: Final = 0.5
_LOAD_BATCH: Final = 10_000
_MOST_BATCHES: Final = 200


def measure_match(city: City, zones: Sequence[int], batches: Sequence[int], rounds: int) -> dict[str, Any]:
    """Match alone: every batch size with the middle number of zones, the batches of 100 k and more with all."""
    rows, builds = [], {}
    # Compiles what builds an index: that is the first start of a version, not a build.
    make_index(city.zones(min(zones)))
    middle = zones[len(zones) // 2]
    for count in zones:
        start = time.perf_counter()
        index = make_index(city.zones(count))
        builds[f"build_s_{count}_zones"] = round(time.perf_counter() - start, 3)
        match = matcher(index)
        sizes = batches if count == middle else [size for size in batches if size >= min(100_000, max(batches))]
        for size in sizes:
            fresh = _batches(city.traffic(max(size, 100_000)), size)
            rows.append(
                measured(
                    f"{count:,} zones, batch {size:,}",
                    size,
                    lambda batch: match(batch.lon, batch.lat),  # noqa: B023 - runs at once
                    rounds=rounds if size >= 100_000 else 3 * rounds,
                    warm_up=2,
                    fresh=lambda: next(fresh),  # noqa: B023 - runs at once
                ).document()
            )
    return {"rows": rows, **builds}


def measure_step(
    city: City, cases: Iterable[tuple[int, int, Sequence[int]]], *, warm_ticks: int, ticks: int
) -> dict[str, Any]:
    """The whole step in steady state, per (zones, users, batch sizes); ten million users get fewer ticks."""
    rows = []
    for zones, users, batches in cases:
        many = users > 1_000_000
        traffic = city.traffic(users)
        engine = make_engine(city.zones(zones, venues=VENUES), city.vehicles(users))
        for _ in range(max(warm_ticks // 3, 1) if many else warm_ticks):
            _run_tick(engine, traffic, 1_000_000)
        learn(engine)
        _run_tick(engine, traffic, 1_000_000)
        for size in batches:
            seconds: list[float] = []
            for _ in range(max(ticks // 2, 1) if many else ticks):
                seconds += _run_tick(engine, traffic, size)
            whole = min(size, users)
            rows.append(Rounds(f"{zones:,} zones, {users:,} users, batch {whole:,}", whole, tuple(seconds)).document())
    return {"rows": rows}


def measure_edits(city: City, zones: int, users: int, *, load_per_s: int, seconds: float) -> dict[str, Any]:
    """One zone edited every half second under a steady load, against the same load without edits.

    A batch is due at its moment; what it takes is measured, and by how much it was late at the end. An edit is compiled
    in a thread beside the judging one, on any core, and swapped in between two batches; it is in force when ``publish``
    has returned, counted from the moment the set was handed in.
    """
    engine, traffic = _settled(city, zones, users)
    calm, calm_late, _ = _under_load(engine, traffic, load_per_s, seconds, ())
    sets = [engine.zones]
    for number in range(int(seconds / _EDIT_EVERY_S)):
        sets.append(edited(sets[-1], number * 7 % zones))
    busy, busy_late, published = _under_load(engine, traffic, load_per_s, seconds, sets[1:])
    in_force, swapped = [one.in_force_s for one in published], [one.swap_s for one in published]
    return {
        "zones": zones,
        "users": users,
        "load_per_s": load_per_s,
        "edits": len(published),
        "in_force_ms_median": _ms(in_force, 50),
        "in_force_ms_max": _ms(in_force, 100),
        "swap_ms_median": _ms(swapped, 50),
        "swap_ms_max": _ms(swapped, 100),
        "batch_ms_p99_without": _ms(calm, 99),
        "batch_ms_p99_with": _ms(busy, 99),
        "done_after_due_ms_p99_without": _ms(calm_late, 99),
        "done_after_due_ms_p99_with": _ms(busy_late, 99),
    }


def measure_restart(city: City, zones: int, users: int) -> dict[str, Any]:
    """A snapshot of the whole state, and an engine made of it."""
    made = snapshots()
    engine, traffic = _settled(city, zones, users)
    start = time.perf_counter()
    buffer = made.take(engine)
    taken = time.perf_counter()
    restored = made.restore(buffer, engine.zones, city.vehicles(users))
    done = time.perf_counter()
    took = _run_tick(restored, traffic, 100_000)
    return {
        "users": users,
        "snapshot_mb": round(memoryview(buffer).nbytes / 1e6, 1),
        "snapshot_s": round(taken - start, 3),
        "restore_s": round(done - taken, 3),
        "first_batch_ms": round(took[0] * 1000, 1),
    }


def measure_memory(zones: int, users: int) -> dict[str, Any]:
    """Resident memory per user, in a process of its own."""
    return run_child("memory", "--zones", str(zones), "--users", str(users))


def measure_start(zones: int) -> dict[str, Any]:
    """Seconds from nothing to the first judged ping; the second of two processes, so that compiled code is cached."""
    run_child("first-ping", "--zones", str(zones))
    return run_child("first-ping", "--zones", str(zones))


def measure_soak(city: City, zones: int, users: int, pings: int, *, warm_ticks: int) -> dict[str, Any]:
    """Many pings through one engine: the resident memory and the time of each tenth."""
    engine, traffic = _settled(city, zones, users)
    for _ in range(warm_ticks):
        _run_tick(engine, traffic, 1_000_000)
    ticks = max(pings // users, 1)
    memory_mb, ns_per_ping = [], []
    for part in np.array_split(np.arange(ticks), min(10, ticks)):
        seconds = [second for _ in part for second in _run_tick(engine, traffic, 1_000_000)]
        memory_mb.append(round(resident_bytes() / 1e6, 1))
        ns_per_ping.append(round(sum(seconds) / (len(part) * users) * 1e9, 1))
    return {
        "pings": ticks * users,
        "users": users,
        "warm_ticks": warm_ticks,
        "rss_mb": memory_mb,
        "ns_per_ping": ns_per_ping,
    }


def measure_alternatives(
    city: City, zones: int, pings: int, tile38: str | None, *, start: bool = True
) -> dict[str, Any]:
    """Every other way on the same pings, then the index on them too; ratios to the loop and to the best bulk way."""
    drawn = city.zones(zones)
    shapes = shapes_of(drawn)
    batch = city.traffic(pings).tick()
    with open_servers(shapes, tile38, start=start) as (servers, skipped):
        ways: list[Way] = [*(make(shapes) for make in LIBRARY), *servers, IndexWay("geo_engine", make_index(drawn))]
        took, pairs = compare(ways, batch.lon, batch.lat, rounds=3)
    ours = took[-1].ns_per_item
    bulk = min(one.ns_per_item for one in took if "shapely STRtree" in one.name or "geopandas" in one.name)
    return {
        "rows": [one.document() for one in took],
        "pings": pings,
        "pairs": pairs,
        "times_faster_than_loop": round(took[0].ns_per_item / ours, 1),
        "times_faster_than_best_bulk": round(bulk / ours, 1),
        "skipped": skipped,
    }


def _batches(traffic: Traffic, size: int) -> Iterator[PingBatch]:
    """Yield batches without end, each made of pings that were not seen before."""
    while True:
        tick = traffic.tick()
        for first in range(0, len(tick) - size + 1, size):
            yield tick.take(slice(first, first + size))


def _run_tick(engine: Engine, traffic: Traffic, size: int) -> list[float]:
    """Judge everybody's next ping in batches of ``size`` and return the seconds of each whole batch.

    Of a tick of very many batches, only as many as tell the median are timed; the others are judged all the same.
    """
    tick, now_ms = traffic.tick(), traffic.now_ms
    seconds = []
    for first in range(0, len(tick), size):
        batch = tick.take(slice(first, first + size))
        start = time.perf_counter()
        step(engine, batch, now_ms)
        took = time.perf_counter() - start
        if len(batch) == min(size, len(tick)):
            seconds.append(took)
    return seconds[-_MOST_BATCHES:]


def _settled(city: City, zones: int, users: int) -> tuple[Engine, Traffic]:
    """Return an engine that has heard of every user, and their traffic."""
    engine, traffic = make_engine(city.zones(zones, venues=VENUES), city.vehicles(users)), city.traffic(users)
    for _ in range(3):
        _run_tick(engine, traffic, 1_000_000)
    learn(engine)
    # As the service does after its start: what stays for ever is not looked through again.
    gc.collect()
    gc.freeze()
    return engine, traffic


class _Published(NamedTuple):
    """One edit: seconds until it was in force, and seconds of the swap alone."""

    in_force_s: float
    swap_s: float


class _Edits:
    """Edits compiled one after the other in a thread of their own, swapped in as soon as no batch is being judged."""

    def __init__(self, engine: Engine, sets: Sequence[ZoneSet], compiler: ThreadPoolExecutor) -> None:
        self._engine, self._waiting, self._compiler = engine, list(reversed(sets)), compiler
        self._pending: tuple[float, Future[Prepared]] | None = None
        self.published: list[_Published] = []

    def hand_in(self, since_begin_s: float) -> None:
        """Hand the next edit in when its moment has come."""
        if self._pending is None and self._waiting and since_begin_s >= _EDIT_EVERY_S * (len(self.published) + 1):
            job = self._compiler.submit(prepare, self._engine, self._waiting.pop())
            self._pending = (time.perf_counter(), job)

    def swap(self, now_ms: int, wait_s: float = 0.0) -> None:
        """Publish what is compiled, or will be after waiting for so long."""
        if self._pending is None:
            time.sleep(wait_s)
        elif wait([self._pending[1]], timeout=wait_s).done:
            start = time.perf_counter()
            publish(self._engine, self._pending[1].result(), now_ms)
            done = time.perf_counter()
            self.published.append(_Published(done - self._pending[0], done - start))
            self._pending = None


def _under_load(
    engine: Engine, traffic: Traffic, load_per_s: int, seconds: float, sets: Sequence[ZoneSet]
) -> tuple[list[float], list[float], list[_Published]]:
    """Judge batches at a steady pace; return what each took, how long after its moment it was done, and each edit."""
    took: list[float] = []
    late: list[float] = []
    size = min(_LOAD_BATCH, traffic.users)
    batches = _timed_batches(traffic, size)
    # Traffic is made ahead, so that its making does not take the core from the batches.
    ready = [next(batches) for _ in range(max(int(seconds * load_per_s / size), 1))]
    with ThreadPoolExecutor(1, initializer=_on_any_core) as compiler:
        edits = _Edits(engine, sets, compiler)
        begin = time.perf_counter()
        for number, (batch, now_ms) in enumerate(ready):
            due = begin + number * size / load_per_s
            while (left_s := due - time.perf_counter()) > 0.0:
                edits.swap(now_ms, left_s)
            edits.swap(now_ms)
            edits.hand_in(due - begin)
            start = time.perf_counter()
            step(engine, batch, now_ms)
            done = time.perf_counter()
            took.append(done - start)
            late.append(done - due)
    return took, late, edits.published


def _on_any_core() -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def _timed_batches(traffic: Traffic, size: int) -> Iterator[tuple[PingBatch, int]]:
    """Yield batches and the moment of judging each, which runs evenly through the tick."""
    while True:
        tick = traffic.tick()
        whole = range(0, len(tick) - size + 1, size)
        for number, first in enumerate(whole):
            later_ms = TICK_MS * (number + 1) // len(whole)
            yield tick.take(slice(first, first + size)), traffic.now_ms + later_ms


def _ms(seconds: Sequence[float], percent: int) -> float:
    """Return a percentile in milliseconds, NaN of nothing."""
    return round(float(np.percentile(seconds, percent)) * 1000, 2) if seconds else float("nan")
