"""Make zones along and beside a recorded track, to hold exact replays against an oracle.

    python -m benchmarks.zones_along_track --pings pings.parquet --out zones.geojson [--spots 240] [--seed 7]

Along the way stand zones whose extent in the direction of travel ("chord") is 20, 50, 100 or 200 m: plain, with holes,
in two parts, concave, and narrow strips. Beside it stand decoys 5, 15 and 40 m off, and a few shapes touch a ping with
a vertex or an edge exactly. The id of a zone tells all that: ``0042-chord100-hole``, ``0043-decoy15-box``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import shapely
from shapely import affinity
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

__all__ = ["CHORDS_M", "main", "zones_along"]

CHORDS_M = (20, 50, 100, 200)
DECOY_GAPS_M = (5, 15, 40)
EXACT_TOUCHES = 12
METRES_PER_DEGREE = 111_320.0
Position = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the way: its position and where the way leads (radians from east, counter-clockwise)."""

    lon: float
    lat: float
    direction_rad: float

    def place(self, shape: BaseGeometry) -> BaseGeometry:
        """Move a shape drawn in metres (x along the way, y to its left, the spot at the origin) onto the map."""
        turned = affinity.rotate(shape, self.direction_rad, origin=(0, 0), use_radians=True)
        degrees_lat = 1 / METRES_PER_DEGREE
        degrees_lon = degrees_lat / math.cos(math.radians(self.lat))
        scaled = affinity.scale(turned, degrees_lon, degrees_lat, origin=(0, 0))
        return affinity.translate(scaled, self.lon, self.lat)


def box(chord_m: float, width_m: float = 60.0) -> shapely.Polygon:
    """Return a plain box over the way."""
    return shapely.box(-chord_m / 2, -width_m / 2, chord_m / 2, width_m / 2)


def with_hole(chord_m: float) -> BaseGeometry:
    """Return a box whose hole lies on the way."""
    return box(chord_m).difference(box(chord_m / 3, 20.0))


def in_two_parts(chord_m: float) -> BaseGeometry:
    """Return a zone of two parts with a gap between them on the way."""
    return box(chord_m).difference(box(chord_m / 4, 100.0))


def concave(chord_m: float) -> BaseGeometry:
    """Return a U that is open to the left: the way runs through both arms and the notch between them."""
    notch = affinity.translate(box(chord_m / 2, 60.0), 0.0, 20.0)
    return box(chord_m).difference(notch)


def strip(chord_m: float) -> BaseGeometry:
    """Return a slanted strip across the way, two metres wide and ``chord_m`` long."""
    return affinity.rotate(box(2.0, chord_m), -30.0, origin=(0, 0))


SHAPES = {"box": box, "hole": with_hole, "parts": in_two_parts, "concave": concave, "strip": strip}


def spots_on(tracks: list[list[Position]], count: int, random_source: random.Random) -> list[Spot]:
    """Choose places at even distances along all tracks together, each moved a little at random."""
    steps = [pair for track in tracks for pair in pairwise(track) if pair[0] != pair[1]]
    ends_m = list(accumulate(_length_m(*step) for step in steps))
    targets = [(number + random_source.random()) * ends_m[-1] / count for number in range(count)]
    found = []
    row = 0
    for target in targets:
        while ends_m[row] < target and row < len(steps) - 1:
            row += 1
        (lon, lat), (to_lon, to_lat) = steps[row]
        share = 1 - (ends_m[row] - target) / _length_m(*steps[row])
        direction = math.atan2(to_lat - lat, (to_lon - lon) * math.cos(math.radians(lat)))
        found.append(Spot(lon + share * (to_lon - lon), lat + share * (to_lat - lat), direction))
    return found


def zones_along(tracks: list[list[Position]], *, spots: int, seed: int) -> dict[str, Any]:
    """Return a FeatureCollection of valid zones along the tracks, the same for the same arguments."""
    random_source = random.Random(seed)
    placed = spots_on(tracks, spots, random_source)
    pings = [position for track in tracks for position in track]
    shapes = [*_over_and_beside(placed), *_touching(random_source.sample(pings, min(EXACT_TOUCHES, len(pings))))]
    features = [_feature(f"{number:04d}-{name}", geometry) for number, (name, geometry) in enumerate(shapes)]
    return {"type": "FeatureCollection", "features": features}


def _over_and_beside(spots: list[Spot]) -> Iterator[tuple[str, BaseGeometry]]:
    """Give every fourth spot a decoy and the others a zone over the way; chords and shapes take turns."""
    for number, spot in enumerate(spots):
        turn, place = divmod(number, 4)
        name, draw = list(SHAPES.items())[turn % len(SHAPES)]
        chord_m = CHORDS_M[(turn // len(SHAPES) + place) % len(CHORDS_M)]
        shape = draw(chord_m)
        if place < 3:
            group = "narrow" if draw is strip else f"chord{chord_m}"
            yield f"{group}-{name}", spot.place(shape)
            continue
        gap_m = DECOY_GAPS_M[turn % len(DECOY_GAPS_M)]
        beside = affinity.translate(shape, 0.0, gap_m - shape.bounds[1])
        yield f"decoy{gap_m}-{name}", spot.place(beside)


def _touching(pings: list[Position]) -> Iterator[tuple[str, BaseGeometry]]:
    """Shapes that have a ping exactly on a vertex or on an edge: such a ping is inside."""
    for number, (lon, lat) in enumerate(pings):
        size = 2.0e-4
        if number % 2:
            yield "touch-vertex", shapely.Polygon([(lon, lat), (lon + size, lat - size), (lon + size, lat + size)])
        else:
            yield "touch-edge", shapely.box(lon, lat - size, lon + size, lat + size)


def _feature(zone_id: str, geometry: BaseGeometry) -> dict[str, Any]:
    """Return the GeoJSON feature of a zone, its coordinates exact to the last bit."""
    if not geometry.is_valid or geometry.is_empty:
        message = f"zone {zone_id}: {shapely.is_valid_reason(geometry)}"
        raise ValueError(message)
    properties = {"kind": "truck_restriction", "name": zone_id}
    drawn = mapping(shapely.orient_polygons(geometry))
    return {"type": "Feature", "id": zone_id, "geometry": drawn, "properties": properties}


def _length_m(start: Position, end: Position) -> float:
    """Metres between two near positions, to a few per cent."""
    east = (end[0] - start[0]) * math.cos(math.radians(start[1]))
    return math.hypot(east, end[1] - start[1]) * METRES_PER_DEGREE


def _read_tracks(path: Path) -> list[list[Position]]:
    """Read the positions of each user in the order of time from a Parquet file of pings."""
    table = pq.read_table(path, columns=["u7", "time", "lon", "lat"]).sort_by(
        [("u7", "ascending"), ("time", "ascending")]
    )
    rows = zip(*(table.column(name).to_pylist() for name in ("u7", "lon", "lat")), strict=True)
    return [[(lon, lat) for _, lon, lat in group] for _, group in groupby(rows, key=lambda row: row[0])]


def main() -> None:
    """Read the command line, write the zones."""
    parser = argparse.ArgumentParser(description="Make zones along and beside a recorded track.")
    parser.add_argument("--pings", type=Path, required=True, help="Parquet file of pings")
    parser.add_argument("--out", type=Path, required=True, help="GeoJSON file to write")
    parser.add_argument("--spots", type=int, default=240, help="zones over and beside the way")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    zones = zones_along(_read_tracks(arguments.pings), spots=arguments.spots, seed=arguments.seed)
    arguments.out.write_text(json.dumps(zones), encoding="utf-8")
    print(f"{len(zones['features'])} zones written to {arguments.out}")


if __name__ == "__main__":
    main()
