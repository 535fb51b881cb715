"""The kernels of ``HilbertPositions``: boxes of 16, and collecting those round a query."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel, uncounted
from geo_engine.index.live_curve import key_of_cell
from geo_engine.index.live_kernels import Found, Frame, Queries, box_of, frame_at, metres, sort_found
from geo_engine.index.live_levels import FANOUT
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["LiveTree", "box_levels", "fill_from_tree", "gather"]

_BEYOND_M: Final = 1e6


class LiveTree(NamedTuple):
    """A packed tree as arrays; node i of a level has the nodes ``16 i .. 16 i + 15`` of the level below.

    Attributes:
        curve: ``curve_bits`` of the positions.
        leaf_keys: int64: place on the curve of each leaf's first position.
        offsets: int64 (levels + 1): first box of each level, leaves first.
        boxes: float64 (nodes, 4): west, south, east, north.
        places: float64 (positions, 2): lon and lat; leaf i has the positions ``16 i .. 16 i + 15``.
        ids: int64 per position.
    """

    curve: tuple[int, float, float, float, float]
    leaf_keys: IntColumn
    offsets: IntColumn
    boxes: npt.NDArray[np.float64]
    places: npt.NDArray[np.float64]
    ids: IntColumn


@kernel
def gather(
    order: npt.NDArray[np.int32],
    ids: IntColumn,
    lon: FloatColumn,
    lat: FloatColumn,
    to_ids: IntColumn,
    places: npt.NDArray[np.float64],
) -> None:
    """Copy the positions into an order."""
    for slot in range(len(order)):
        row = order[slot]
        to_ids[slot] = ids[row]
        places[slot, 0] = lon[row]
        places[slot, 1] = lat[row]


@kernel
def box_levels(tree: LiveTree) -> None:
    """Fill the boxes of all levels."""
    offsets, boxes, places = tree.offsets, tree.boxes, tree.places
    for node in range(len(boxes)):
        boxes[node, 0] = boxes[node, 1] = np.inf
        boxes[node, 2] = boxes[node, 3] = -np.inf
    for place in range(len(places)):
        node = place // FANOUT
        boxes[node, 0] = min(boxes[node, 0], places[place, 0])
        boxes[node, 1] = min(boxes[node, 1], places[place, 1])
        boxes[node, 2] = max(boxes[node, 2], places[place, 0])
        boxes[node, 3] = max(boxes[node, 3], places[place, 1])
    for level in range(len(offsets) - 2):
        for child in range(offsets[level], offsets[level + 1]):
            node = offsets[level + 1] + (child - offsets[level]) // FANOUT
            boxes[node, 0] = min(boxes[node, 0], boxes[child, 0])
            boxes[node, 1] = min(boxes[node, 1], boxes[child, 1])
            boxes[node, 2] = max(boxes[node, 2], boxes[child, 2])
            boxes[node, 3] = max(boxes[node, 3], boxes[child, 3])


@uncounted
def _gap(low: float, high: float, value: float) -> float:
    return max(low - value, value - high, 0.0)


@uncounted
def _lon_gap(tree: LiveTree, node: int, lon: float, dlon: float) -> float:
    """Return the degrees between a meridian and a box, over the 180 degree meridian where the query reaches it."""
    west, east = tree.boxes[node, 0], tree.boxes[node, 2]
    gap = _gap(west, east, lon)
    if lon + dlon > 180.0:
        gap = min(gap, _gap(west, east, lon - 360.0))
    elif lon - dlon < -180.0:
        gap = min(gap, _gap(west, east, lon + 360.0))
    return gap


@uncounted
def _collect(  # noqa: PLR0913, PLR0917 - fused kernel: the loops of one look-up
    tree: LiveTree, lon: float, lat: float, radius_m: float, frame: Frame, found: Found, begin: int, stack: IntColumn
) -> int:
    """Write everybody within the radius from ``begin`` on; return where they end, -1 when there is no room.

    A box is entered when the ellipse with the half axes of the circle's box reaches it: inside the circle's box a
    degree is nowhere shorter than there, so no box with a part in the circle is passed by.
    """
    dlon, dlat = box_of(lat, radius_m)
    per_lon, per_lat = 1.0 / dlon, 1.0 / dlat
    end, room = begin, len(found.id)
    level = len(tree.offsets) - 2
    # An entry holds a level in its lowest 4 bits and the node's number in that level above them.
    stack[0] = level
    height = 1
    while height > 0:
        height -= 1
        level = stack[height] & 15
        node = stack[height] >> 4
        if level > 0:
            last = min((node + 1) * FANOUT, tree.offsets[level] - tree.offsets[level - 1])
            for child in range(node * FANOUT, last):
                box = tree.offsets[level - 1] + child
                across = _lon_gap(tree, box, lon, dlon) * per_lon
                along = _gap(tree.boxes[box, 1], tree.boxes[box, 3], lat) * per_lat
                if across * across + along * along <= 1.0:
                    stack[height] = (child << 4) | (level - 1)
                    height += 1
            continue
        first, last = node * FANOUT, min((node + 1) * FANOUT, len(tree.ids))
        if end + last - first > room:
            return -1
        for place in range(first, last):
            # Everybody is written down and only who is near is kept: cheaper than a branch nobody can foresee. Beyond
            # the box the polynomials may mean nothing.
            north = tree.places[place, 1] - lat
            distance_m = math.sqrt(metres(frame, tree.places[place, 0] - lon, north))
            found.distance_m[end] = distance_m
            found.id[end] = tree.ids[place]
            end += (distance_m <= radius_m) & (abs(north) <= dlat)
    return end


@uncounted
def _leaf_of(tree: LiveTree, lon: float, lat: float) -> int:
    """Return the leaf in which the curve comes by the query."""
    bits, west, south, per_lon, per_lat = tree.curve
    side = (1 << bits) - 1.0
    x = int(min(max((lon - west) * per_lon, 0.0), side))
    y = int(min(max((lat - south) * per_lat, 0.0), side))
    key = key_of_cell(x, y, bits)
    low, high = 0, len(tree.leaf_keys)
    while high - low > 1:
        middle = (low + high) >> 1
        if tree.leaf_keys[middle] <= key:
            low = middle
        else:
            high = middle
    return low


@uncounted
def _first_radius(  # noqa: PLR0913, PLR0917 - fused kernel
    tree: LiveTree, lon: float, lat: float, wanted: int, frame: Frame, found: Found, begin: int
) -> float:
    """Return a radius that holds ``wanted`` positions: the ``wanted``-th distance among those near on the curve.

    The curve has no leaps, so neighbours on it are neighbours in space. -1 when there is no room to measure.
    """
    leaf = _leaf_of(tree, lon, lat)
    first = max(leaf * FANOUT - wanted, 0)
    last = min((leaf + 1) * FANOUT + wanted, len(tree.ids))
    if begin + last - first > len(found.id):
        return -1.0
    for place in range(first, last):
        dlat = tree.places[place, 1] - lat
        squared = metres(frame, tree.places[place, 0] - lon, dlat)
        # Far away the polynomials mean nothing, and such a position is no help.
        found.distance_m[begin + place - first] = math.sqrt(squared) if abs(dlat) < 0.1 else _BEYOND_M
        found.id[begin + place - first] = 0
    sort_found(found, begin, begin + last - first)
    return float(found.distance_m[begin + wanted - 1]) * (1.0 + 1e-9)


@kernel
def fill_from_tree(tree: LiveTree, queries: Queries, begin: int, found: Found) -> int:
    """Answer the queries from ``begin`` on, each in its order; return the first one that finds no room."""
    ends = found.ends
    stack = np.empty(16 * FANOUT, dtype=np.int64)
    end = ends[begin - 1] if begin > 0 else 0
    for query in range(begin, len(queries.lon)):
        lon, lat, radius_m = queries.lon[query], queries.lat[query], queries.limit_m[query]
        wanted = int(queries.k[query])
        frame = frame_at(lat)
        if wanted > 0:
            radius_m = min(radius_m, _first_radius(tree, lon, lat, wanted, frame, found, end))
        if radius_m < 0.0:
            return query
        last = _collect(tree, lon, lat, radius_m, frame, found, end, stack)
        if last < 0:
            return query
        sort_found(found, end, last)
        if wanted > 0:
            last = min(last, end + wanted)
        ends[query] = last
        end = last
    return len(queries.lon)
