"""What the kernels of live positions share: the frame of a query, the list of who was found, and its order."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import uncounted
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["Found", "Frame", "Queries", "box_of", "frame_at", "grown", "metres", "room", "sort_found"]

_SEMI_MAJOR_AXIS_M: Final = 6_378_137.0
_E2: Final = (2.0 - 1.0 / 298.257223563) / 298.257223563
_RAD: Final = math.pi / 180.0
_LEAST_M_PER_DEG_LAT: Final = 110_574.0
_SLACK: Final = 1.0 + 2e-6
_MARGIN_DEG: Final = 1e-9
_FEW: Final = 24


class Queries(NamedTuple):
    """Queries that stay in the local frame.

    Attributes:
        lon: degrees east, -180 .. 180.
        lat: degrees north.
        limit_m: metres, below 10 km.
        k: how many are wanted; 0 is everybody within the limit.
    """

    lon: FloatColumn
    lat: FloatColumn
    limit_m: FloatColumn
    k: IntColumn


class Found(NamedTuple):
    """Room for those who are found.

    Attributes:
        id: int64 ids, query by query.
        distance_m: float64, beside the ids.
        ends: int64 per query: where its part ends; each begins where the one before ends.
        spare_id: int64, as long as ``id``; for sorting.
        spare_m: float64, as long as ``id``.
        counts: int32, one longer than ``id``.
    """

    id: IntColumn
    distance_m: FloatColumn
    ends: IntColumn
    spare_id: IntColumn
    spare_m: FloatColumn
    counts: npt.NDArray[np.int32]


def room(size: int, queries: int) -> Found:
    """Return room for ``size`` found; pages that are never written cost nothing."""
    ends = np.zeros(queries, dtype=np.int64)
    counts = np.empty(size + 1, dtype=np.int32)
    return Found(
        np.empty(size, dtype=np.int64), np.empty(size), ends, np.empty(size, dtype=np.int64), np.empty(size), counts
    )


class Frame(NamedTuple):
    """Metres per degree round a query, as polynomials of the middle latitude in degrees from the query."""

    east0: float
    east1: float
    east2: float
    east3: float
    north0: float
    north1: float
    north2: float


@uncounted
def frame_at(lat: float) -> Frame:
    """Return the frame at a latitude; within 10 km it is that of ``geodesy/frame.py`` to 1e-9 m below 70 degrees.

    With M and N the radii of curvature, ``N cos`` falls by ``M sin`` per radian and M grows by ``3 e2 sin cos M / w2``;
    the polynomials are the Taylor series of the third and of the second degree.
    """
    sine, cosine = math.sin(lat * _RAD), math.cos(lat * _RAD)
    w2 = 1.0 - _E2 * sine * sine
    prime_vertical = _SEMI_MAJOR_AXIS_M / math.sqrt(w2)
    north = prime_vertical * (1.0 - _E2) / w2 * _RAD
    growth = 3.0 * _E2 * sine * cosine / w2
    north1 = north * growth
    north2 = north * (3.0 * _E2 * (cosine * cosine - sine * sine) / w2 + growth * growth * (5.0 / 3.0))
    east1 = -north * sine
    east2 = -(north1 * sine + north * cosine)
    east3 = -(north2 * sine + 2.0 * north1 * cosine - north * sine)
    return Frame(
        prime_vertical * cosine * _RAD,
        east1 * _RAD,
        east2 * (_RAD * _RAD / 2.0),
        east3 * (_RAD * _RAD * _RAD / 6.0),
        north,
        north1 * _RAD,
        north2 * (_RAD * _RAD / 2.0),
    )


@uncounted
def metres(frame: Frame, dlon: float, dlat: float) -> float:
    """Return the squared metres to a place ``dlon`` and ``dlat`` degrees away, the short way round the earth."""
    if dlon > 180.0:
        dlon -= 360.0
    elif dlon < -180.0:
        dlon += 360.0
    middle = 0.5 * dlat
    east_m = dlon * (frame.east0 + middle * (frame.east1 + middle * (frame.east2 + middle * frame.east3)))
    north_m = dlat * (frame.north0 + middle * (frame.north1 + middle * frame.north2))
    return east_m * east_m + north_m * north_m


@uncounted
def box_of(lat: float, radius_m: float) -> tuple[float, float]:
    """Return half the width and half the height in degrees of a box that holds the circle; below 70 degrees only.

    The height is true because a degree of latitude is nowhere shorter than 110,574 m, the width because the prime
    vertical radius is at least the equator's and the box's highest parallel is its shortest.
    """
    dlat = radius_m * _SLACK / _LEAST_M_PER_DEG_LAT + _MARGIN_DEG
    parallel_m = _SEMI_MAJOR_AXIS_M * _RAD * math.cos((abs(lat) + dlat) * _RAD)
    return radius_m * _SLACK / parallel_m + _MARGIN_DEG, dlat


@uncounted
def grown(radius_m: float, found: int, wanted: int) -> float:
    """Return the radius to try next when too few were found: by their density, within 1.3 to 3 times."""
    if found == 0:
        return 3.0 * radius_m
    return radius_m * min(3.0, max(1.3, math.sqrt(1.5 * wanted / found)))


@uncounted
def sort_found(found: Found, first: int, last: int) -> None:
    """Order a part by distance, then id.

    Few are inserted. More are dealt into as many buckets by their squared distance, which an even spread fills evenly,
    and then inserted; when one bucket is crowded they are sorted as a heap instead, so that a crowd on one spot costs
    no more than n log n.
    """
    if last - first > _FEW and _deal(found, first, last) > _FEW:
        _heap_sort(found, first, last)
    else:
        _insert(found, first, last)


@uncounted
def _after(found: Found, one: int, other: int) -> bool:
    one_m, other_m = found.distance_m[one], found.distance_m[other]
    return bool(one_m > other_m or (one_m == other_m and found.id[one] > found.id[other]))


@uncounted
def _insert(found: Found, first: int, last: int) -> None:
    for place in range(first + 1, last):
        distance_m, id_ = found.distance_m[place], found.id[place]
        slot = place
        while slot > first and (
            found.distance_m[slot - 1] > distance_m
            or (found.distance_m[slot - 1] == distance_m and found.id[slot - 1] > id_)
        ):
            found.distance_m[slot] = found.distance_m[slot - 1]
            found.id[slot] = found.id[slot - 1]
            slot -= 1
        found.distance_m[slot] = distance_m
        found.id[slot] = id_


@uncounted
def _deal(found: Found, first: int, last: int) -> int:
    """Deal a part into buckets of rising distance and return the size of the fullest."""
    size = last - first
    farthest = 0.0
    for place in range(first, last):
        farthest = max(farthest, found.distance_m[place])
    scale = (size - 1) / (farthest * farthest) if farthest > 0.0 else 0.0
    counts = found.counts
    for bucket in range(size + 1):
        counts[bucket] = 0
    for place in range(first, last):
        counts[_bucket(found.distance_m[place], scale, size) + 1] += 1
    fullest = 0
    for bucket in range(1, size + 1):
        fullest = max(fullest, int(counts[bucket]))
        counts[bucket] += counts[bucket - 1]
    for place in range(first, last):
        bucket = _bucket(found.distance_m[place], scale, size)
        slot = int(counts[bucket])
        counts[bucket] += 1
        found.spare_m[slot] = found.distance_m[place]
        found.spare_id[slot] = found.id[place]
    for slot in range(size):
        found.distance_m[first + slot] = found.spare_m[slot]
        found.id[first + slot] = found.spare_id[slot]
    return fullest


@uncounted
def _bucket(distance_m: float, scale: float, size: int) -> int:
    return min(int(distance_m * distance_m * scale), size - 1)


@uncounted
def _swap(found: Found, one: int, other: int) -> None:
    distance_m, id_ = found.distance_m[one], found.id[one]
    found.distance_m[one], found.id[one] = found.distance_m[other], found.id[other]
    found.distance_m[other], found.id[other] = distance_m, id_


@uncounted
def _sift(found: Found, first: int, root: int, size: int) -> None:
    """Let the entry at ``root`` sink in a heap whose farthest is on top."""
    while 2 * root + 1 < size:
        child = 2 * root + 1
        if child + 1 < size and _after(found, first + child + 1, first + child):
            child += 1
        if not _after(found, first + child, first + root):
            break
        _swap(found, first + root, first + child)
        root = child


@uncounted
def _heap_sort(found: Found, first: int, last: int) -> None:
    size = last - first
    for back in range(size // 2):
        _sift(found, first, size // 2 - 1 - back, size)
    for back in range(size - 1):
        _swap(found, first, last - 1 - back)
        _sift(found, first, 0, size - 1 - back)
