"""Measure sets of live positions: building one, the 10 nearest, and everybody within 100 m and 500 m.

    python -m benchmarks.live_positions [--users 1000000] [--rounds 5] [--seed 11] [--core 0] [--results FOLDER]

- "grid" and "hilbert" are the project's own; they answer in exact metres, ordered by distance and id.
- "shapely STRtree" holds a point object per user in a flat plane of metres; it answers ``dwithin`` without distances
  or order, and has no call for the 10 nearest.
- "rtree" is libspatialindex behind the same protocol, with at most 100,000 users, and also moves users one by one.

Queries are asked from where users stand, in batches. All ways that answer the same must agree on a sample before
anything is timed; making users is outside the timing. Several sizes go into files of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rich.console import Console
from rich.table import Table
from rtree.index import Index

from benchmarks.bars import bar_chart
from benchmarks.throughput import machine
from geo_engine.geodesy import metres_per_degree
from geo_engine.index.live import GridPositions, HilbertPositions, Positions, RtreePositions

__all__ = ["Users", "Way", "main", "measure", "simulated_users"]

RESULTS = Path(__file__).parent / "results"
DEFAULT_USERS = 1_000_000
CENTRE_LON, CENTRE_LAT = 114.30, 30.60
HALF_SIDE_M = 20_000.0
CLUSTERS, CLUSTER_M, CLUSTERED = 50, 1_500.0, 0.7
RTREE_USERS = 100_000
MOVES = 1_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Users:
    """Where users stand: ids, degrees, and metres east and north in a flat plane."""

    ids: npt.NDArray[np.int64]
    lon: Floats
    lat: Floats
    plane: Floats

    def head(self, count: int) -> Users:
        """Return the first ``count`` users."""
        return Users(self.ids[:count], self.lon[:count], self.lat[:count], self.plane[:count])


@dataclass(slots=True)
class Way:
    """What one structure took: seconds of each round, and how many users or queries one round was."""

    name: str
    users: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def time(self, what: str, count: int, rounds: int, work: Callable[[], object]) -> None:
        """Run the work once untimed, then ``rounds`` times."""
        work()
        self.count[what], self.seconds[what] = count, []
        for _ in range(rounds):
            start = time.perf_counter()
            work()
            self.seconds[what].append(time.perf_counter() - start)

    def each(self, what: str, unit: float) -> dict[str, float] | None:
        """Return median, least and most of the rounds, per user or query in ``unit`` seconds; None = not measured."""
        if what not in self.seconds:
            return None
        values = [value / self.count[what] / unit for value in self.seconds[what]]
        rounded = {"median": statistics.median(values), "min": min(values), "max": max(values)}
        return {name: round(value, 3) for name, value in rounded.items()}

    def row(self) -> dict[str, Any]:
        """Return what goes into the results."""
        return {
            "name": self.name,
            "users": self.users,
            "build_ns_per_user": self.each("build", 1e-9),
            "nearest_10_us": self.each("nearest 10", 1e-6),
            "within_100_m_us": self.each("within 100 m", 1e-6),
            "within_500_m_us": self.each("within 500 m", 1e-6),
            "move_us": self.each("move", 1e-6),
        }


def simulated_users(count: int, seed: int) -> Users:
    """Users in a city of 40 x 40 km, 70 % of them in 50 clusters, in random order; the same for the same seed."""
    random = np.random.default_rng(seed)
    centres = random.uniform(-HALF_SIDE_M, HALF_SIDE_M, (CLUSTERS, 2))
    plane = random.uniform(-HALF_SIDE_M, HALF_SIDE_M, (count, 2))
    clustered = random.random(count) < CLUSTERED
    around = centres[random.integers(0, CLUSTERS, count)] + random.normal(0.0, CLUSTER_M, (count, 2))
    plane[clustered] = np.clip(around[clustered], -HALF_SIDE_M, HALF_SIDE_M)
    east_m, north_m = metres_per_degree(CENTRE_LAT)
    return Users(
        random.permutation(count), CENTRE_LON + plane[:, 0] / east_m, CENTRE_LAT + plane[:, 1] / north_m, plane
    )


def check_agreement(users: Users, asked: Users) -> None:
    """Compare the ways with one another.

    Raises:
        RuntimeError: they do not find the same.
    """
    answers = []
    for make in (GridPositions, HilbertPositions, RtreePositions):
        positions: Positions = make(users.ids, users.lon, users.lat)
        answers.append([positions.nearest(asked.lon, asked.lat, 10), positions.within(asked.lon, asked.lat, 500.0)])
    for other in answers[1:]:
        for ours, theirs in zip(answers[0], other, strict=True):
            same = np.array_equal(ours.id, theirs.id) and np.allclose(ours.distance_m, theirs.distance_m, atol=1e-6)
            if not same:
                message = f"the ways disagree: {len(ours)} and {len(theirs)} neighbours"
                raise RuntimeError(message)


def measure_positions(name: str, make: Callable[..., Positions], users: Users, asked: Users, rounds: int) -> Way:
    """Measure a set behind the protocol."""
    way = Way(name, len(users.ids))
    way.time("build", len(users.ids), rounds, lambda: make(users.ids, users.lon, users.lat))
    positions = make(users.ids, users.lon, users.lat)
    few = asked.head(len(asked.ids) // 5)
    way.time("nearest 10", len(asked.ids), rounds, lambda: positions.nearest(asked.lon, asked.lat, 10))
    way.time("within 100 m", len(asked.ids), rounds, lambda: positions.within(asked.lon, asked.lat, 100.0))
    way.time("within 500 m", len(few.ids), rounds, lambda: positions.within(few.lon, few.lat, 500.0))
    return way


def measure_strtree(users: Users, asked: Users, rounds: int) -> Way:
    """Measure shapely's tree over point objects."""
    way = Way("shapely STRtree", len(users.ids))

    def build() -> shapely.STRtree:
        tree = shapely.STRtree(shapely.points(users.plane))
        tree.query(shapely.Point(0.0, 0.0))  # it is built at the first query
        return tree

    way.time("build", len(users.ids), min(rounds, 3), build)
    tree = build()
    for radius_m, share in ((100, 1), (500, 5)):
        points = shapely.points(asked.plane[: len(asked.ids) // share])
        query = partial(tree.query, points, "dwithin", float(radius_m))
        way.time(f"within {radius_m} m", len(asked.ids) // share, rounds, query)
    return way


def measure_moves(way: Way, users: Users) -> None:
    """Measure moving users in libspatialindex's tree: delete and insert."""
    places = np.column_stack([users.lon, users.lat])
    tree = Index((np.arange(len(places)), places, places))
    boxes = np.column_stack([places, places])[:MOVES].tolist()
    start = time.perf_counter()
    for number, box in enumerate(boxes):
        tree.delete(number, box)
        tree.insert(number, [side + 0.0005 for side in box])
    way.seconds["move"], way.count["move"] = [time.perf_counter() - start], len(boxes)


def copied_gb_per_s() -> float:
    """Return how fast this core copies memory now, the measure of how far the other figures can be trusted."""
    source = np.ones(16_000_000)
    target, seconds = np.zeros_like(source), []
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return round(2 * source.nbytes / statistics.median(seconds) / 1e9, 1)


def measure(users: Users, queries: int, rounds: int) -> list[Way]:
    """Measure every way."""
    asked = users.head(queries)
    small = users.head(RTREE_USERS)
    check_agreement(small, users.head(200))
    ways = [
        measure_positions("grid", GridPositions, users, asked, rounds),
        measure_positions("hilbert", HilbertPositions, users, asked, rounds),
        measure_strtree(users, asked.head(queries // 10), rounds),
        measure_positions("rtree", RtreePositions, small, asked.head(queries // 10), min(rounds, 3)),
    ]
    measure_moves(ways[-1], small)
    return ways


def print_table(ways: list[Way], title: str) -> None:
    """Print one line per way, medians with least and most."""
    table = Table(
        "structure", "users", "build ns/user", "nearest 10 us", "within 100 m us", "within 500 m us", title=title
    )
    for way in ways:
        row = way.row()
        cells = [row[name] for name in ("build_ns_per_user", "nearest_10_us", "within_100_m_us", "within_500_m_us")]
        texts = [f"{cell['median']:.1f} ({cell['min']:.1f}-{cell['max']:.1f})" if cell else "-" for cell in cells]
        table.add_row(way.name, f"{way.users:,}", *texts)
    Console(width=130).print(table)
    for way in ways:
        if move := way.each("move", 1e-6):
            Console().print(f"{way.name}: {1e6 / move['median']:,.0f} moves a second, one by one")


def write_results(folder: Path, ways: list[Way], setting: dict[str, Any]) -> None:
    """Write the JSON and the picture; sizes other than the default get their own files."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "live_positions" if setting["users"] == DEFAULT_USERS else f"live_positions_{setting['users']}"
    document = {**setting, "structures": [way.row() for way in ways]}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    bars = []
    for way in ways:
        build, near = way.each("build", 1e-9), way.each("within 100 m", 1e-6)
        if build and near:
            text = f"{build['median']:,.0f} ns; within 100 m {near['median']:,.1f} us"
            bars.append((f"{way.name}, {way.users:,} users", build["median"], text))
    title = "Building a set of live positions, ns per user (less is better)"
    note = f"median of {setting['rounds']} rounds, {setting['machine']['cpu']}, one core; benchmarks/live_positions.py"
    (folder / f"{name}.svg").write_text(bar_chart(title, note, bars), encoding="utf-8")


def main() -> None:
    """Read the command line, measure, print and write the results."""
    parser = argparse.ArgumentParser(description="Measure sets of live positions.")
    parser.add_argument("--users", type=int, default=DEFAULT_USERS)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--core", type=int, default=0, help="core to stay on")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of live_positions.json and .svg")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.core})
    users = simulated_users(arguments.users, arguments.seed)
    ways = measure(users, min(arguments.queries, arguments.users), arguments.rounds)
    setting: dict[str, Any] = {name: getattr(arguments, name) for name in ("users", "queries", "rounds", "seed")}
    setting |= {"machine": machine(), "copy_gb_per_s": copied_gb_per_s()}
    write_results(arguments.results, ways, setting)
    print_table(ways, f"{arguments.users:,} users, {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
