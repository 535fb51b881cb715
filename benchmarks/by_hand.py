"""What one would write without the engine: enter and exit of pings and zones with rtree and shapely."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from rtree.index import Index
from shapely.geometry.base import BaseGeometry

from benchmarks.workload import Pings

__all__ = ["Visits", "rtree_loop", "strtree_bulk", "visits_of_keys"]

Visits = set[tuple[int, int, str]]
"""Row of the ping, row of the zone, enter or exit."""
Keys = npt.NDArray[np.int64]
"""Row of the ping x number of zones + row of the zone."""


def rtree_loop(pings: Pings, zones: list[BaseGeometry]) -> Visits:
    """Ask an R-tree and the prepared polygons for each ping: the code that comes to mind first."""
    index = Index((row, zone.bounds, None) for row, zone in enumerate(zones))
    shapely.prepare(zones)
    inside: dict[int, set[int]] = {}
    visits: Visits = set()
    rows = zip(pings.u7.tolist(), pings.lon.tolist(), pings.lat.tolist(), strict=True)
    for row, (user, lon, lat) in enumerate(rows):
        point = shapely.Point(lon, lat)
        now = {zone for zone in index.intersection((lon, lat, lon, lat)) if zones[zone].covers(point)}
        before = inside.get(user, set())
        visits.update((row, zone, "enter") for zone in now - before)
        visits.update((row, zone, "exit") for zone in before - now)
        inside[user] = now
    return visits


def strtree_bulk(pings: Pings, zones: list[BaseGeometry]) -> tuple[Keys, Keys]:
    """Return the keys of enters and of exits: one bulk query, then set arithmetic on sorted pings."""
    shapely.prepare(zones)
    points = shapely.points(pings.lon, pings.lat)
    row, zone = shapely.STRtree(zones).query(points, predicate="intersects")
    count = len(zones)
    key = row * count + zone
    first = np.append(True, pings.u7[1:] != pings.u7[:-1])
    last = np.append(first[1:], True)
    enter = key[first[row] | ~np.isin(key - count, key)]
    leaving = ~last[row] & ~np.isin(key + count, key)
    return enter, key[leaving] + count


def visits_of_keys(enter: Keys, leave: Keys, zones: int) -> Visits:
    """Write the keys of ``strtree_bulk`` as visits."""
    pairs = [(key, "enter") for key in enter.tolist()] + [(key, "exit") for key in leave.tolist()]
    return {(*divmod(key, zones), kind) for key, kind in pairs}
