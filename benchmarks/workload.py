"""The workload of the throughput benchmark: simulated pings and zones in a Wuhan box, seeded, made with NumPy only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

__all__ = ["PINGS_PER_USER", "Pings", "simulated_pings", "simulated_zones"]

WEST, SOUTH, EAST, NORTH = 114.10, 30.40, 114.60, 30.80
METRES_PER_DEGREE = 111_320.0
PINGS_PER_USER = 200
STEP_S = 5
START_MS = 1_772_416_800_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pings:
    """Pings in columns, each user's rows together and in the order of time."""

    u7: npt.NDArray[np.int64]
    time_ms: npt.NDArray[np.int64]
    lon: Floats
    lat: Floats
    speed_mps: Floats
    heading_deg: Floats

    def head(self, count: int) -> Pings:
        """Return the first ``count`` pings."""
        return Pings(**{name: getattr(self, name)[:count] for name in self.__dataclass_fields__})


def simulated_pings(count: int, seed: int) -> Pings:
    """Users who drive through a Wuhan box in gentle turns, at 0 to 22 m/s, with stops; the same for the same seed."""
    random = np.random.default_rng(seed)
    users = -(-count // PINGS_PER_USER)
    shape = (users, PINGS_PER_USER)
    heading = random.uniform(0, 360, (users, 1)) + np.cumsum(random.normal(0, 6, shape), axis=1)
    cruising = random.uniform(5, 20, (users, 1)) + np.cumsum(random.normal(0, 0.5, shape), axis=1)
    standing = (np.arange(PINGS_PER_USER) + random.integers(0, 60, (users, 1))) % 60 < 8
    speed = np.where(standing, 0.0, np.clip(cruising, 0, 22))
    step_deg = speed * STEP_S / METRES_PER_DEGREE
    radians = np.radians(heading)
    east = np.cumsum(step_deg * np.sin(radians), axis=1) / np.cos(np.radians((SOUTH + NORTH) / 2))
    north = np.cumsum(step_deg * np.cos(radians), axis=1)
    lon = random.uniform(WEST, EAST, (users, 1)) + east
    lat = random.uniform(SOUTH, NORTH, (users, 1)) + north
    times = START_MS + 1000 * (STEP_S * np.arange(PINGS_PER_USER) + random.integers(0, STEP_S, (users, 1)))
    u7 = np.broadcast_to(np.arange(users)[:, None], shape)
    columns = (u7, times, lon, lat, speed, heading % 360)
    return Pings(*(np.ascontiguousarray(column).ravel() for column in columns)).head(count)


def simulated_zones(count: int, seed: int) -> dict[str, Any]:
    """Zones in a Wuhan box: three fifths stars of 50 m to 2 km, the others road strips, with holes and in two parts."""
    random = np.random.default_rng(seed)
    features = []
    for number in range(count):
        center = (random.uniform(WEST, EAST), random.uniform(SOUTH, NORTH))
        geometry = _shape(number % 5, random, center)
        zone_id = f"zone-{number:04d}"
        properties = {"kind": "truck_restriction", "name": zone_id}
        drawn = json.loads(shapely.to_geojson(shapely.orient_polygons(geometry)))
        features.append({"type": "Feature", "id": zone_id, "geometry": drawn, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _shape(turn: int, random: np.random.Generator, center: tuple[float, float]) -> shapely.Geometry:
    """Draw one zone; every fifth is a strip along a road, every fifth has a hole, every fifth two parts."""
    radius_m = float(np.exp(random.uniform(np.log(50), np.log(2000))))
    if turn == 0:
        length_m, angle = random.uniform(200, 1500), random.uniform(0, np.pi)
        return _on_map(np.array([(-1, -0.02), (1, -0.02), (1, 0.02), (-1, 0.02)]) * length_m / 2, center, angle)
    star = _on_map(_star(random, radius_m), center)
    if turn == 1:
        return shapely.difference(star, _on_map(_star(random, radius_m / 4), center))
    if turn == 2:
        aside = (center[0] + 3 * radius_m / METRES_PER_DEGREE, center[1])
        return shapely.union_all([star, _on_map(_star(random, radius_m), aside)])
    return star


def _star(random: np.random.Generator, radius_m: float) -> Floats:
    """Return the corners of a star-shaped ring around the origin, metres."""
    corners = int(random.integers(8, 60))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radii = radius_m * random.uniform(0.7, 1.0, corners)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])


def _on_map(ring_m: Floats, center: tuple[float, float], angle: float = 0.0) -> shapely.Geometry:
    """Turn a ring drawn in metres and put it at ``center`` (lon, lat)."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    metres_lon = METRES_PER_DEGREE * np.cos(np.radians(center[1]))
    return shapely.Polygon((ring_m @ turn) / (metres_lon, METRES_PER_DEGREE) + center)
