"""Hold millions of positions and steps against shapely on the same doubles: the compiled cells may differ in none.

    python -m benchmarks.exactness_million [--pings 10000000] [--seed 1] [--zones 2700]

Three zone sets (a city, what indexes fail at, half the earth), a third of the pings each; of these a third is drawn
freely, a third along borders as along streets, a third on purpose where it hurts: on vertices, edges, corners of cells,
the 180 degree meridian and the poles, and up to three roundings beside them. Prints a table; exits with 1 when any
answer differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rich.console import Console
from rich.table import Table

from benchmarks.workload import simulated_zones
from geo_engine.index import CellIndex
from geo_engine.index.entries import Entries, turned_segments
from geo_engine.index.protocol import Segments
from geo_engine.model import IntColumn, ZoneKind
from geo_engine.zones.zoneset import Zone, ZoneSet

__all__ = ["city", "differences", "globe", "hard", "main"]

BATCH = 250_000
Floats = npt.NDArray[np.float64]


def main() -> int:
    """Run the comparison; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pings", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zones", type=int, default=2_700, help="zones of the city")
    options = parser.parse_args()
    table = Table("zones", "set", "points", "inside", "steps", "met", "wrong", "seconds")
    wrong = 0
    for name, zones in (("city", city(options.zones, options.seed)), ("hard", hard()), ("globe", globe(options.seed))):
        start = time.perf_counter()
        points, inside, steps, met, different = differences(zones, options.pings // 3, options.seed)
        seconds = f"{time.perf_counter() - start:.0f}"
        table.add_row(
            f"{len(zones):,}", name, f"{points:,}", f"{inside:,}", f"{steps:,}", f"{met:,}", str(different), seconds
        )
        wrong += different
    Console().print(table)
    return 1 if wrong else 0


def differences(zones: ZoneSet, pings: int, seed: int) -> tuple[int, int, int, int, int]:
    """Compare ``pings`` points and as many steps; return points, pairs inside, steps, pairs met and differences."""
    random = np.random.default_rng(seed)
    index, oracle = CellIndex(zones), _Oracle(zones)
    points = inside = steps = met = different = 0
    for start, end in _batches(zones, pings, random):
        held = index.containing(start[:, 0].copy(), start[:, 1].copy())
        different += _missing(held.query, held.zone, oracle.containing(start), len(zones))
        ways = Segments(*(column.copy() for column in (*start.T, *end.T)))
        touched = index.touching(ways)
        different += _missing(touched.query, touched.zone, oracle.touching(ways), len(zones))
        points, inside, steps, met = points + len(start), inside + len(held), steps + len(ways), met + len(touched)
    return points, inside, steps, met, different


class _Oracle:
    """shapely alone: a tree of boxes for the candidates, its exact predicates for the answer."""

    def __init__(self, zones: ZoneSet) -> None:
        self._entries = Entries.of(zones)
        self._tree = shapely.STRtree(shapely.box(*self._entries.bounds.T))
        self._count = len(zones)

    def containing(self, points: Floats) -> IntColumn:
        query, entry = self._tree.query(shapely.points(points))
        entries = self._entries
        met = shapely.intersects_xy(entries.geometry[entry], points[query, 0] - entries.turn[entry], points[query, 1])
        return self._keys(query[met], entry[met])

    def touching(self, ways: Segments) -> IntColumn:
        copies, row = turned_segments(ways)
        ends = np.column_stack([copies.lon0, copies.lat0, copies.lon1, copies.lat1]).reshape(-1, 2, 2)
        query, entry = self._tree.query(shapely.linestrings(ends))
        moved = ends[query]
        moved[:, :, 0] -= self._entries.turn[entry][:, None]
        met = shapely.intersects(self._entries.geometry[entry], shapely.linestrings(moved))
        return self._keys(row[query[met]], entry[met])

    def _keys(self, query: IntColumn, entry: IntColumn) -> IntColumn:
        keys: IntColumn = np.unique(query * self._count + self._entries.zone[entry])
        return keys


def _missing(query: IntColumn, zone: IntColumn, expected: IntColumn, count: int) -> int:
    return len(np.setxor1d(query * count + zone, expected, assume_unique=True))


def _batches(zones: ZoneSet, pings: int, random: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
    """Yield starts and ends of steps, (n, 2) each."""
    shapes = np.array([zone.geometry for zone in zones.zones], dtype=object)
    vertices = shapely.get_coordinates(shapes)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    draws: tuple[Callable[[int], Floats], ...] = (
        lambda count: random.uniform(low, high, (count, 2)),
        lambda count: _along_edges(vertices, count, random) + random.normal(0, 1e-4, (count, 2)),
        lambda count: _on_purpose(vertices, count, random),
    )
    while pings > 0:
        count = min(pings, BATCH)
        parts = [draw(count // 3 + 1) for draw in draws]
        start = random.permutation(np.concatenate(parts))[:count]
        # Steps of 10 cm to 10 km, and some from one place of the batch to another.
        length = 10 ** random.uniform(-6, -1, (count, 1))
        end = start + random.normal(0, 1, (count, 2)) * length
        far = random.random(count) < 0.02
        end[far] = start[random.permutation(count)][far]
        exact = random.random(count) < 0.2
        end[exact] = _on_purpose(vertices, count, random)[exact]
        end[exact & ~far] = start[exact & ~far] + np.clip((end - start)[exact & ~far], -0.05, 0.05)
        yield _on_earth(start), _on_earth(end)
        pings -= count


def _along_edges(vertices: Floats, count: int, random: np.random.Generator) -> Floats:
    first = random.integers(0, len(vertices) - 1, count)
    share = random.choice([0.5, 0.25, 1 / 3, 0.7, random.random()], (count, 1))
    places: Floats = vertices[first] + share * (vertices[first + 1] - vertices[first])
    return places


def _on_purpose(vertices: Floats, count: int, random: np.random.Generator) -> Floats:
    """Draw vertices, places on edges, mixtures of two vertices and cell corners, up to three roundings off."""
    kinds = np.stack(
        [
            vertices[random.integers(0, len(vertices), count)],
            _along_edges(vertices, count, random),
            np.column_stack([vertices[random.integers(0, len(vertices), count), axis] for axis in (0, 1)]),
            np.round(_along_edges(vertices, count, random) * 4096) / 4096,
            np.round(_along_edges(vertices, count, random) * 32) / 32,
        ]
    )
    places = kinds[random.integers(0, len(kinds), count), np.arange(count)]
    for _ in range(3):
        off = random.integers(-1, 2, places.shape)
        places = np.where(off == 0, places, np.nextafter(places, np.where(off > 0, np.inf, -np.inf)))
    edge = random.random(count)
    places[edge < 0.01, 0] = 180.0
    places[(edge > 0.01) & (edge < 0.02), 0] = -180.0
    places[(edge > 0.02) & (edge < 0.025), 1] = 90.0
    places[(edge > 0.025) & (edge < 0.03), 1] = -90.0
    return places


def _on_earth(places: Floats) -> Floats:
    """Bring places to -180 .. 180 and -90 .. 90; what lies within 1e-15 of 0 becomes 0, where GEOS itself rounds."""
    beyond = np.abs(places[:, 0]) > 180.0
    places[beyond, 0] -= np.copysign(360.0, places[beyond, 0])
    places[:, 0] = np.clip(places[:, 0], -180.0, 180.0)
    places[:, 1] = np.clip(places[:, 1], -90.0, 90.0)
    places[np.abs(places) < 1e-15] = 0.0
    return places


def city(count: int, seed: int) -> ZoneSet:
    """Return stars and road strips with holes and in parts, in a city."""
    parts: list[dict[str, Any]] = []
    while len(parts) * 1000 < count:
        document = simulated_zones(min(1000, count - len(parts) * 1000), seed + len(parts))
        for feature in document["features"]:
            feature["id"] = f"{len(parts)}-{feature['id']}"
        parts.append(document)
    return ZoneSet.of(zone for part in parts for zone in ZoneSet.from_geojson(part).zones)


def hard() -> ZoneSet:
    """Return slivers, a sheet of touching squares, stacked boxes, zones at the 180 degree meridian and the poles."""
    shapes = [
        shapely.box(114.3 + x / 1000, 30.5 + y / 1000, 114.301 + x / 1000, 30.501 + y / 1000)
        for x in range(20)
        for y in range(20)
    ]
    shapes += [
        shapely.box(114.3125 + x / 512, 30.6 + y / 512, 114.3125 + (x + 1) / 512, 30.6 + (y + 1) / 512)
        for x in range(8)
        for y in range(8)
    ]
    shapes += [shapely.box(114.4, 30.5, 114.41 + k / 10000, 30.51) for k in range(100)]
    for k in range(60):
        thin = 10.0 ** (-4 - k / 6)
        x, y = 114.2 + k / 1000, 30.55
        shapes.append(shapely.Polygon([(x, y), (x + thin, y + 0.02), (x + 0.0003, y + 0.04)]))
        shapes.append(shapely.Polygon([(x, y - 0.01), (x + 0.02, y - 0.01 + thin), (x + 0.03, y - 0.01)]))
    ring = shapely.box(114.5, 30.5, 114.52, 30.52).exterior.coords
    shapes.append(
        shapely.Polygon(
            ring,
            [
                shapely.box(114.505, 30.505, 114.51, 30.51).exterior.coords[::-1],
                shapely.box(114.51, 30.51, 114.515, 30.515).exterior.coords[::-1],
            ],
        )
    )
    for lat in (-60.0, 0.0, 45.0):
        shapes += [
            shapely.box(179.9, lat, 180.1, lat + 1),
            shapely.box(179.0, lat, 180.0, lat + 0.5),
            shapely.box(-180.0, lat + 0.25, -179.0, lat + 0.75),
            shapely.Point(179.95, lat).buffer(0.2),
        ]
    shapes += [shapely.box(-180, 89, 180, 90), shapely.box(-180, -90, 180, -89.5), shapely.box(-20, 88, 40, 90)]
    return _zones(shapes)


def globe(seed: int) -> ZoneSet:
    """Return large zones over the whole earth: boxes, circles, stars of 10 m to 1,000 km, over the meridian too."""
    random = np.random.default_rng(seed)
    shapes = [
        shapely.box(-180, -90, 180, 90),
        shapely.box(0, -90, 180, 90),
        shapely.Point(100, 0).buffer(45),
        shapely.Point(-175, 10).buffer(30, quad_segs=64),
        shapely.box(10, 40, 20, 50),
    ]
    for _ in range(600):
        corners = int(random.integers(3, 40))
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        radius = 10 ** random.uniform(-4, 1) * random.uniform(0.3, 1, corners)
        lon, lat = random.uniform(-180, 180), random.uniform(-85, 85)
        ring = np.column_stack([lon + radius * np.cos(angle), np.clip(lat + radius * np.sin(angle), -90, 90)])
        shapes.append(shapely.Polygon(ring))
    return _zones(shape for shape in shapes if shape.is_valid and shape.area > 0)


def _zones(shapes: Iterator[shapely.Polygon] | list[shapely.Polygon]) -> ZoneSet:
    return ZoneSet.of(
        Zone(f"zone-{number:04}", ZoneKind.CONGESTION, "", shapely.orient_polygons(shape))
        for number, shape in enumerate(shapes)
    )


if __name__ == "__main__":
    sys.exit(main())
