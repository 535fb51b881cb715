"""The workload of the hot path: a made-up city with zones, venues, vehicles and traffic, the same for the same seed.

    python -m benchmarks.city [--zones 2700] [--users 20000] [--ticks 6] [--seed 7] [--picture FILE]

The city lies round 114.30 E, 30.60 N: 40 x 40 km of turned, irregular streets. Zones come in the shares of 2,000
restrictions (1,940 closed road sections, 60 districts with holes), 500 congestion and 200 construction areas. Of more
zones than these 2,700, each is smaller, as in a finer map of the same city: the radius of areas shrinks with the root
of the number, road sections to single blocks; widths stay. The command prints how hard the workload is and draws it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from benchmarks.city_streets import KM, Streets
from benchmarks.city_traffic import Traffic
from geo_engine.model import FloatColumn, Vehicle, VehicleClass, VehicleKind, ZoneKind
from geo_engine.zones.rule import EVERYONE, GOODS_KINDS, AppliesTo
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["FULL", "SIZES", "City", "Fleet", "Hardness", "hardness", "main"]

FULL: Final = 2_700
SIZES: Final = (300, 2_700, 27_000)
"""Numbers of zones the benchmarks use."""

ROADS, DISTRICTS, CONGESTION = 1_940, 60, 500
VENUES: Final = 20_000
VENUE_CLUSTERS: Final = 50

_Rows = npt.NDArray[np.float64]

_SCHEDULES: Final = (
    "24/7",
    "24/7",
    "06:00-23:00",
    "07:00-22:00",
    "07:00-09:00,11:30-14:00,17:00-19:00",
    "Mo-Fr 06:30-20:00",
    "Mo-Sa 09:00-18:00",
    "Mo-Fr 07:00-09:00,16:30-18:30",
    "22:00-06:00",
    "Sa-Su 08:00-20:00",
)
"""The first pings come on a Monday at noon in Wuhan: the first seven are open then."""

_TRUCK_RULES: Final = (
    AppliesTo(kinds=GOODS_KINDS),
    AppliesTo(kinds=GOODS_KINDS, gross_weight_over_t=4.5),
    AppliesTo(kinds=frozenset({VehicleKind.GOODS}), classes=frozenset({VehicleClass.MEDIUM, VehicleClass.HEAVY})),
    AppliesTo(kinds=GOODS_KINDS, plate_prefixes_except=("鄂A",)),
    AppliesTo(kinds=GOODS_KINDS, gross_weight_over_t=12.0, exempt=frozenset({"emergency", "sanitation"})),
    AppliesTo(kinds=frozenset({VehicleKind.HAZMAT})),
)

_TRUCKS: Final = (
    Vehicle(0, VehicleKind.GOODS, VehicleClass.MICRO, 1.8, "鄂A"),
    Vehicle(0, VehicleKind.GOODS, VehicleClass.LIGHT, 4.4, "鄂A"),
    Vehicle(0, VehicleKind.GOODS, VehicleClass.LIGHT, 4.4, "湘B"),
    Vehicle(0, VehicleKind.GOODS, VehicleClass.MEDIUM, 9.0, "鄂A"),
    Vehicle(0, VehicleKind.GOODS, VehicleClass.HEAVY, 25.0, "豫C"),
    Vehicle(0, VehicleKind.TRACTOR, VehicleClass.HEAVY, 49.0, "鄂A"),
    Vehicle(0, VehicleKind.HAZMAT, VehicleClass.HEAVY, 31.0, "鄂D"),
    Vehicle(0, VehicleKind.GOODS, VehicleClass.HEAVY, 18.0, "鄂A", service="sanitation"),
)
_CAR: Final = Vehicle(0, VehicleKind.CAR, None, 1.9, "鄂A")
_UNKNOWN: Final = Vehicle(0)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The vehicles of all users: a few different ones, and which of them each user drives. All have agreed.

    Attributes:
        models: the different vehicles, their ``u7`` without meaning; the first one is the most common, a car.
        model_of: uint8 per user, position in ``models``.
    """

    models: tuple[Vehicle, ...]
    model_of: npt.NDArray[np.uint8]

    @property
    def default(self) -> Vehicle:
        """The most common vehicle, for an engine to take where it is told of no other."""
        return self.models[0]

    def others(self) -> Iterator[Vehicle]:
        """Yield the vehicle of every user who drives another. Cost: a microsecond each."""
        for u7 in np.flatnonzero(self.model_of).tolist():
            yield replace(self.models[self.model_of[u7]], u7=u7)


class City:
    """Streets, and what is made along them. Every method gives the same for the same arguments and seed."""

    def __init__(self, seed: int = 7) -> None:
        """Lay out the streets."""
        self.seed = seed
        self.streets = Streets(np.random.default_rng([seed, 0]))

    def zones(self, count: int = FULL, *, venues: int = 0) -> ZoneSet:
        """Make ``count`` zones and ``venues`` venues without a radius (points, never matched).

        Cost: about 0.1 ms a zone.
        """
        random = np.random.default_rng([self.seed, 1])
        scale = count / FULL
        districts, congested = round(DISTRICTS * scale), round(CONGESTION * scale)
        roads = round(ROADS * scale)
        works = max(count - districts - congested - roads, 0)
        shrink = min(1.0, scale**-0.5)
        parts = [
            *self._restrictions("district", self._districts(random, districts, shrink), random),
            *self._restrictions("road", self._road_sections(random, roads, shrink), random),
            *_plain("jam", ZoneKind.CONGESTION, self._congested(random, congested, shrink), random),
            *_plain("works", ZoneKind.CONSTRUCTION, self._works(random, works), random),
        ]
        lon, lat = self.venues(venues)
        points = [
            Zone(f"venue-{row:05d}", ZoneKind.VENUE, f"venue {row}", point)
            for row, point in enumerate(shapely.points(lon, lat))
        ]
        return ZoneSet.of([*parts, *points])

    def venues(self, count: int = VENUES) -> tuple[FloatColumn, FloatColumn]:
        """Return lon and lat of places worth visiting: 70 % of them in 50 clusters, the others along streets."""
        random = np.random.default_rng([self.seed, 2])
        centres = self.streets.places(random, VENUE_CLUSTERS)
        apart_m = random.uniform(80.0, 600.0, VENUE_CLUSTERS)
        cluster = random.integers(0, VENUE_CLUSTERS, count)
        clustered = centres[cluster] + random.normal(0.0, 1.0, (count, 2)) * apart_m[cluster][:, None]
        along = self.streets.places(random, count) + random.normal(0.0, 25.0, (count, 2))
        return self.streets.to_degrees(np.where((random.random(count) < 0.7)[:, None], clustered, along))

    def vehicles(self, users: int) -> Fleet:
        """Give every user a vehicle: 15 % trucks of several classes, 70 % cars, 15 % unknown."""
        random = np.random.default_rng([self.seed, 3])
        draw = random.random(users, dtype=np.float32)
        model = random.integers(2, 2 + len(_TRUCKS), users, dtype=np.uint8)
        model[draw >= 0.15] = 0
        model[draw >= 0.85] = 1
        return Fleet((_CAR, _UNKNOWN, *_TRUCKS), model)

    def traffic(self, users: int, seed: int = 1) -> Traffic:
        """Put ``users`` users on the streets; see ``Traffic``."""
        return Traffic(self.streets, users, seed)

    def _restrictions(self, name: str, shapes: npt.NDArray[np.object_], random: np.random.Generator) -> Iterator[Zone]:
        rules = random.integers(0, len(_TRUCK_RULES), len(shapes)).tolist()
        texts = random.integers(0, len(_SCHEDULES), len(shapes)).tolist()
        schedules = [Schedule.parse(text) for text in _SCHEDULES]
        for row, shape in enumerate(shapes):
            zone_id = f"{name}-{row:05d}"
            yield Zone(
                zone_id,
                ZoneKind.TRUCK_RESTRICTION,
                f"{name} {row}",
                shape,
                applies_to=_TRUCK_RULES[rules[row]],
                schedule=schedules[texts[row]],
            )

    def _districts(self, random: np.random.Generator, count: int, shrink: float) -> npt.NDArray[np.object_]:
        """Return areas of radius 1.2 to 5 km with 200 to 2,000 vertices and up to three holes."""
        centres = self.streets.places(random, count)
        return np.array([self._district(random, centre, shrink) for centre in centres], dtype=object)

    def _district(self, random: np.random.Generator, centre: _Rows, shrink: float) -> shapely.Polygon:
        radius_m = random.uniform(1.2, 5.0) * KM * shrink
        shell = _star(random, radius_m, int(random.integers(200, 2_001)))
        holes = []
        first = random.uniform(0.0, 2.0 * np.pi)
        for turn in range(int(random.integers(0, 4))):
            # A third of a turn apart, 0.4 of the radius from the centre and below 0.2 of it wide: holes never meet.
            angle = first + turn * 2.0 * np.pi / 3.0
            place = 0.4 * radius_m * np.array([np.cos(angle), np.sin(angle)])
            holes.append(place + _star(random, random.uniform(0.05, 0.18) * radius_m, int(random.integers(12, 80))))
        rings = [np.column_stack(self.streets.to_degrees(centre + ring)) for ring in (shell, *holes)]
        return shapely.orient_polygons(shapely.Polygon(rings[0], rings[1:]))

    def _road_sections(self, random: np.random.Generator, count: int, shrink: float) -> npt.NDArray[np.object_]:
        """Return stretches of one to four blocks of a street, 15 to 30 m to either side."""
        lines = self.streets.sections(random, count, blocks=max(round(4 * shrink), 1))
        return self._on_map(shapely.buffer(lines, random.uniform(15.0, 30.0, count), quad_segs=6))

    def _congested(self, random: np.random.Generator, count: int, shrink: float) -> npt.NDArray[np.object_]:
        """Return long, wide stretches of a street and, every third, a whole quarter."""
        lines = self.streets.sections(random, count, blocks=max(round(8 * shrink), 1))
        places = shapely.points(self.streets.places(random, count))
        quarter = np.arange(count) % 3 == 0
        reach_m = np.where(quarter, random.uniform(400.0, 1_500.0, count) * shrink, random.uniform(25.0, 60.0, count))
        return self._on_map(shapely.buffer(np.where(quarter, places, lines), reach_m, quad_segs=8))

    def _works(self, random: np.random.Generator, count: int) -> npt.NDArray[np.object_]:
        """Return crossings and short pieces of street under construction."""
        lines = self.streets.sections(random, count, blocks=1)
        return self._on_map(
            shapely.buffer(lines, random.uniform(8.0, 40.0, count), cap_style="flat", join_style="mitre")
        )

    def _on_map(self, shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        """Bring shapes drawn in metres to degrees."""
        placed = shapely.transform(shapes, lambda metres: np.column_stack(self.streets.to_degrees(metres)))
        turned: npt.NDArray[np.object_] = shapely.orient_polygons(placed)
        return turned


def _plain(name: str, kind: ZoneKind, shapes: npt.NDArray[np.object_], random: np.random.Generator) -> Iterator[Zone]:
    """Yield zones that concern everyone, half of them always."""
    texts = np.where(random.random(len(shapes)) < 0.5, 0, random.integers(0, len(_SCHEDULES), len(shapes))).tolist()
    schedules = [Schedule.parse(text) for text in _SCHEDULES]
    for row, shape in enumerate(shapes):
        yield Zone(
            f"{name}-{row:05d}", kind, f"{name} {row}", shape, applies_to=EVERYONE, schedule=schedules[texts[row]]
        )


def _star(random: np.random.Generator, radius_m: float, corners: int) -> _Rows:
    """Return the corners of a ring that is seen whole from the origin, with bays and with a rough edge, metres."""
    angle = np.sort(random.uniform(0.0, 1.0, corners) * 0.9 + np.arange(corners)) * (2.0 * np.pi / corners)
    bays = sum(
        random.uniform(0.0, 0.24 / turns) * np.cos(turns * angle + random.uniform(0.0, 2.0 * np.pi))
        for turns in (2, 3, 5, 9)
    )
    reach = radius_m * (0.9 + bays) * random.uniform(0.99, 1.0, corners)
    return np.column_stack([reach * np.cos(angle), reach * np.sin(angle)])


@dataclass(frozen=True, slots=True)
class Hardness:
    """How hard a workload is.

    Attributes:
        zones: zones that can be matched.
        vertices: of all of them.
        per_ping: zones that hold a ping, mean.
        most: zones that hold a ping, most.
        inside: share of the pings in at least one zone.
        enters: entered zones per ping and tick.
    """

    zones: int
    vertices: int
    per_ping: float
    most: int
    inside: float
    enters: float

    def text(self) -> str:
        """Return one line for people."""
        return (
            f"{self.zones:,} zones, {self.vertices:,} vertices; {self.per_ping:.2f} zones per ping (most {self.most}), "
            f"{self.inside:.0%} of the pings inside one, {self.enters:.1%} enters per ping"
        )


def hardness(zones: ZoneSet, traffic: Traffic, ticks: int = 4) -> Hardness:
    """Measure a workload with shapely, over ``ticks`` further ticks of the traffic. Cost: some 2 us per ping."""
    shapes = np.array([zone.geometry for zone in zones.zones if zone.kind is not ZoneKind.VENUE], dtype=object)
    shapely.prepare(shapes)
    tree = shapely.STRtree(shapes)
    count = len(shapes)
    before: npt.NDArray[np.int64] | None = None
    held, entered = [], []
    for _ in range(ticks):
        batch = traffic.tick()
        row, zone = tree.query(shapely.points(batch.lon, batch.lat))
        inside = shapely.intersects_xy(shapes[zone], batch.lon[row], batch.lat[row])
        row, zone = row[inside], zone[inside]
        held.append(np.bincount(row, minlength=len(batch)))
        now = np.sort(batch.u7[row] * count + zone)
        if before is not None:
            entered.append(1.0 - float(np.isin(now, before, assume_unique=True).mean()) if len(now) else 0.0)
        before = now
    each = np.concatenate(held)
    per_ping = float(each.mean())
    enters = per_ping * float(np.mean(entered)) if entered else float("nan")
    vertices = int(shapely.get_num_coordinates(shapes).sum())
    return Hardness(count, vertices, per_ping, int(each.max(initial=0)), float((each > 0).mean()), enters)


def main() -> None:
    """Print how hard the workload is and draw it."""
    from benchmarks.city_picture import draw_city  # noqa: PLC0415 - only the command draws

    parser = argparse.ArgumentParser(description="Describe and draw the workload of the hot path.")
    parser.add_argument("--zones", type=int, default=FULL)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--ticks", type=int, default=6)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--picture", type=Path, default=Path(__file__).parent / "results" / "city.svg")
    arguments = parser.parse_args()
    city = City(arguments.seed)
    zones = city.zones(arguments.zones)
    found = hardness(zones, city.traffic(arguments.users), arguments.ticks)
    print(found.text())
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    arguments.picture.write_text(draw_city(city, zones, found.text()), encoding="utf-8")
    print(f"drawn in {arguments.picture.name}")


if __name__ == "__main__":
    main()
