"""Other ways to find the zones that hold each ping, measured on the same zones and pings.

    python -m benchmarks.alternatives [--zones 2700] [--pings 20000] [--rounds 3] [--tile38 HOST:PORT]

In this process: a loop over rtree and prepared shapely zones, ``geopandas.sjoin``, the bulk query of shapely's STRtree
and what an expert makes of it. With a server, when one is installed: PostGIS, Redis, Tile38 (see ``servers``). All must
find the same number of (ping, zone) pairs. What is not there is told in one line and left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import shapely
from rich.table import Table
from rtree.index import Index

from benchmarks.city import FULL, City
from benchmarks.harness import Rounds, console, pin_to_one_core
from benchmarks.servers import AbsentError, Matched, PostGis, RedisGeo, RedisStore, Tile38
from geo_engine.index.protocol import ZoneIndex
from geo_engine.model import FloatColumn, ZoneKind
from geo_engine.zones.zoneset import ZoneSet

__all__ = [
    "LIBRARY",
    "IndexWay",
    "Matched",
    "RtreeLoop",
    "SJoin",
    "StrtreeBulk",
    "StrtreeExpert",
    "Way",
    "compare",
    "open_servers",
    "shapes_of",
]


class Way(Protocol):
    """One way to match. It is built with the zones, which is not timed."""

    name: str

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Find the zones of a batch; only that is timed, not what brings the columns into the form it takes."""
        ...


Shapes = npt.NDArray[np.object_]


def shapes_of(zones: ZoneSet) -> Shapes:
    """Return the shapes of all zones that can be matched, in the order of the set."""
    return np.array([zone.geometry for zone in zones.zones if zone.kind is not ZoneKind.VENUE], dtype=object)


class RtreeLoop:
    """Ask rtree for each ping, then the prepared zones: the code that comes to mind first."""

    name = "rtree + prepared shapely, per ping"

    def __init__(self, shapes: Shapes) -> None:
        """Build the tree and prepare the zones."""
        self._shapes = list(shapes)
        self._tree = Index((row, shape.bounds, None) for row, shape in enumerate(self._shapes))
        shapely.prepare(shapes)

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Loop over the pings."""
        places = list(zip(lon.tolist(), lat.tolist(), strict=True))
        start = time.perf_counter()
        pairs = 0
        for x, y in places:
            point = shapely.Point(x, y)
            pairs += sum(self._shapes[row].covers(point) for row in self._tree.intersection((x, y, x, y)))
        return Matched(pairs, time.perf_counter() - start)


class SJoin:
    """``geopandas.sjoin`` of a batch."""

    name = "geopandas.sjoin"

    def __init__(self, shapes: Shapes) -> None:
        """Make a frame of the zones and build its index."""
        import geopandas  # noqa: PLC0415 - takes a second, and is an extra

        self._geopandas = geopandas
        self._zones = geopandas.GeoDataFrame(geometry=shapes, crs=4326)
        self._zones.sindex  # noqa: B018 - built at its first use, which shall not be timed

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Join a frame of points."""
        start = time.perf_counter()
        points = self._geopandas.GeoDataFrame(geometry=shapely.points(lon, lat), crs=4326)
        pairs = len(self._geopandas.sjoin(points, self._zones, predicate="intersects"))
        return Matched(pairs, time.perf_counter() - start)


class StrtreeBulk:
    """One bulk query of shapely's STRtree, which prepares the points instead of the zones."""

    name = "shapely STRtree, bulk query"

    def __init__(self, shapes: Shapes) -> None:
        """Build the tree."""
        self._tree = shapely.STRtree(shapes)

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Query all points at once."""
        start = time.perf_counter()
        pairs = self._tree.query(shapely.points(lon, lat), predicate="intersects").shape[1]
        return Matched(pairs, time.perf_counter() - start)


class StrtreeExpert:
    """The boxes from the STRtree, then prepared zones against coordinates: the best use of shapely known here."""

    name = "shapely STRtree, boxes + intersects_xy"

    def __init__(self, shapes: Shapes) -> None:
        """Build the tree and prepare the zones."""
        self._shapes = shapes
        self._tree = shapely.STRtree(shapes)
        shapely.prepare(shapes)

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Query the boxes and settle the candidates."""
        start = time.perf_counter()
        row, zone = self._tree.query(shapely.points(lon, lat))
        pairs = int(np.count_nonzero(shapely.intersects_xy(self._shapes[zone], lon[row], lat[row])))
        return Matched(pairs, time.perf_counter() - start)


class IndexWay:
    """A zone index of the engine, asked for the pairs of a batch."""

    def __init__(self, name: str, index: ZoneIndex) -> None:
        """Take a built index."""
        self.name = name
        self._index = index

    def match(self, lon: FloatColumn, lat: FloatColumn) -> Matched:
        """Ask for the zones of a batch."""
        start = time.perf_counter()
        pairs = len(self._index.containing(lon, lat))
        return Matched(pairs, time.perf_counter() - start)


LIBRARY: Final = (RtreeLoop, SJoin, StrtreeBulk, StrtreeExpert)
"""The ways that need no server, the slowest first."""


@contextmanager
def open_servers(shapes: Shapes, tile38: str | None, *, start: bool = True) -> Iterator[tuple[list[Way], list[str]]]:
    """Start or reach the servers that are there; yield their ways and a line for each one left out.

    Args:
        shapes: the zones.
        tile38: where a Tile38 answers.
        start: start PostGIS and Redis; False leaves them out.
    """
    ways: list[Way] = []
    skipped: list[str] = []
    with ExitStack() as stack:
        for make in (PostGis, RedisStore, RedisGeo):
            if not start:
                skipped.append(f"skipped: {make.name}: not asked for")
                continue
            try:
                ways.append(stack.enter_context(make(shapes)))
            except AbsentError as absent:
                skipped.append(f"skipped: {make.name}: {absent}")
        try:
            ways.append(stack.enter_context(Tile38(shapes, tile38)))
        except AbsentError as absent:
            skipped.append(f"skipped: {Tile38.name}: {absent}")
        yield ways, skipped


def compare(ways: Sequence[Way], lon: FloatColumn, lat: FloatColumn, *, rounds: int) -> tuple[list[Rounds], int]:
    """Measure every way on the same pings after one round of warm-up and return the rounds and the pairs.

    Raises:
        RuntimeError: two ways find different numbers of pairs.
    """
    found: dict[str, int] = {}
    took = []
    for way in ways:
        matched = [way.match(lon, lat) for _ in range(rounds + 1)][1:]
        pairs = {one.pairs for one in matched} - {None}
        found.update((way.name, count) for count in pairs if count is not None)
        took.append(Rounds(way.name, len(lon), tuple(one.seconds for one in matched)))
    if len(set(found.values())) > 1:
        message = f"the ways disagree on the number of pairs: {found}"
        raise RuntimeError(message)
    return took, next(iter(found.values()), 0)


def main() -> None:
    """Compare all ways and print a table."""
    parser = argparse.ArgumentParser(description="Measure other ways of matching.")
    parser.add_argument("--zones", type=int, default=FULL)
    parser.add_argument("--pings", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tile38", metavar="HOST:PORT", help="a Tile38 server whose data may be overwritten")
    arguments = parser.parse_args()
    # A server that is started here inherits the core, so nobody works on two.
    pin_to_one_core()
    city = City()
    shapes = shapes_of(city.zones(arguments.zones))
    batch = city.traffic(arguments.pings).tick()
    with open_servers(shapes, arguments.tile38) as (servers, skipped):
        ways: list[Way] = [*(make(shapes) for make in LIBRARY), *servers]
        took, pairs = compare(ways, batch.lon, batch.lat, rounds=arguments.rounds)
    table = Table("way", "ns per ping", "pings/s", "x loop", title=f"{arguments.pings:,} pings, {pairs:,} pairs")
    for rounds in took:
        ratio = took[0].ns_per_item / rounds.ns_per_item
        table.add_row(rounds.name, f"{rounds.ns_per_item:,.0f}", f"{rounds.per_second:,.0f}", f"{ratio:.1f}")
    console.print(table)
    for line in skipped:
        print(line)


if __name__ == "__main__":
    main()
