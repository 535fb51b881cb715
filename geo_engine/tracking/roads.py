"""Known roads as a chain: directed pieces, what follows each, and how often the traffic takes which turn.

Lines that share a vertex meet there, as the ways of OpenStreetMap do. Where nothing was learnt straight on is likelier
than turning; turns and speeds are then learnt from steps of drivers, again as counts without users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.chain import Chain
from geo_engine.tracking.flow_kernels import LEAST_MOVE_MS, MOST_MOVE_MS, MOVING_MPS, DrivenSteps
from geo_engine.tracking.forecast_kernels import SLICE_S
from geo_engine.tracking.road_kernels import RoadGrid, road_grid, snap_all

__all__ = ["RoadFlow", "RoadNet", "road_net"]

_PIECE_M: Final = 80.0
_UNTOLD_MPS: Final = 10.0
_PRIOR_TURNS: Final = 1.5
_PRIOR_S: Final = 30.0
_SOFTNESS_DEG: Final = 40.0
_SAME_PLACE: Final = 1e7


@dataclass(frozen=True, slots=True)
class RoadNet:
    """Directed pieces of roads, some 80 m each; an edge is the pieces between two junctions. Immutable.

    Attributes:
        lon: (pieces, 2) begin and end, degrees; a piece is straight.
        lat: the same.
        length_m: along the road, which may bend within a piece.
        edge: edge of each piece; the pieces of an edge follow one another.
        first: first piece of each edge, and the number of pieces behind the last.
        turn_from: edge each turn leaves, ascending.
        turn_into: edge it goes on with.
        prior: probability of each turn where nothing was learnt.
        grid: pieces by place.
    """

    lon: FloatColumn
    lat: FloatColumn
    length_m: FloatColumn
    edge: IntColumn
    first: IntColumn
    turn_from: IntColumn
    turn_into: IntColumn
    prior: FloatColumn
    grid: RoadGrid

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.edge)


def road_net(lines: Sequence[shapely.LineString], one_way: BoolColumn | None = None) -> RoadNet:
    """Join lines to a network.

    Args:
        lines: roads in degrees, lon lat.
        one_way: per line, whether it is driven in its own direction only; None = none is.

    Cost: about 20 us a vertex.
    """
    parts, back = _parts(lines, np.zeros(len(lines), dtype=np.bool_) if one_way is None else one_way)
    edges = [part for part, also_back in zip(parts, back, strict=True) for part in _directions(part, also_back)]
    reverse = _reverse_of(back)
    pieces = [_pieces(edge) for edge in edges]
    first = np.concatenate([[0], np.cumsum([len(piece) - 1 for piece, _ in pieces])]).astype(np.int64)
    ends = [np.stack([piece[:-1], piece[1:]], axis=1) for piece, _ in pieces]
    joined = np.concatenate(ends) if ends else np.zeros((0, 2, 2))
    turn_from, turn_into, prior = _turns(edges, reverse)
    lon, lat = joined[:, :, 0].copy(), joined[:, :, 1].copy()
    return RoadNet(
        lon=lon,
        lat=lat,
        length_m=np.concatenate([np.full(len(piece) - 1, length_m) for piece, length_m in pieces])
        if pieces
        else np.zeros(0),
        edge=np.repeat(np.arange(len(edges)), np.diff(first)),
        first=first,
        turn_from=turn_from,
        turn_into=turn_into,
        prior=prior,
        grid=road_grid(lon, lat),
    )


def _parts(lines: Sequence[shapely.LineString], one_way: BoolColumn) -> tuple[list[FloatColumn], list[bool]]:
    """Cut lines at the vertices they share; return the parts and whether each is driven back too."""
    seen: dict[tuple[int, int], int] = {}
    points = [shapely.get_coordinates(line) for line in lines]
    names = [[_name(place) for place in line] for line in points]
    for line in names:
        for row, at in enumerate(line):
            seen[at] = seen.get(at, 0) + (2 if row in {0, len(line) - 1} else 1)
    parts, back = [], []
    for place, name, single in zip(points, names, one_way.tolist(), strict=True):
        cuts = [row for row in range(len(name)) if seen[name[row]] > 1]
        for begin, end in pairwise(cuts):
            part = place[begin : end + 1]
            if _length_m(part)[-1] > 0.0:
                parts.append(part)
                back.append(not single)
    return parts, back


def _name(place: FloatColumn) -> tuple[int, int]:
    return round(float(place[0]) * _SAME_PLACE), round(float(place[1]) * _SAME_PLACE)


def _directions(part: FloatColumn, back: bool) -> list[FloatColumn]:
    return [part, part[::-1]] if back else [part]


def _reverse_of(back: list[bool]) -> list[int]:
    """Return for each directed edge the number of the same one the other way, -1 = it is one-way."""
    found: list[int] = []
    for two_way in back:
        found += [len(found) + 1, len(found)] if two_way else [-1]
    return found


def _length_m(line: FloatColumn) -> FloatColumn:
    """Return metres from the begin of a line to each vertex."""
    lon_m, lat_m = metres_per_degree(line[:, 1].mean())
    return np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(line[:, 0]) * lon_m, np.diff(line[:, 1]) * lat_m))])


def _pieces(edge: FloatColumn) -> tuple[FloatColumn, float]:
    """Return the ends of the pieces of an edge, (pieces + 1, 2), and the length of one."""
    at_m = _length_m(edge)
    count = max(round(at_m[-1] / _PIECE_M), 1)
    cuts_m = np.linspace(0.0, at_m[-1], count + 1)
    return np.column_stack([np.interp(cuts_m, at_m, edge[:, axis]) for axis in (0, 1)]), float(at_m[-1] / count)


def _turns(edges: list[FloatColumn], reverse: list[int]) -> tuple[IntColumn, IntColumn, FloatColumn]:
    """Return every turn; back where one came from only where nothing else goes on."""
    leaving: dict[tuple[int, int], list[int]] = {}
    for number, edge in enumerate(edges):
        leaving.setdefault(_name(edge[0]), []).append(number)
    turn_from: list[int] = []
    turn_into: list[int] = []
    prior: list[float] = []
    for number, edge in enumerate(edges):
        onward = leaving.get(_name(edge[-1]), [])
        ways = [other for other in onward if other != reverse[number]] or onward
        arriving = _heading_deg(edge[-2], edge[-1])
        turning = np.array([abs((_heading_deg(*edges[way][:2]) - arriving + 180.0) % 360.0 - 180.0) for way in ways])
        weight = np.exp(-turning / _SOFTNESS_DEG)
        turn_from += [number] * len(ways)
        turn_into += ways
        prior += (weight / weight.sum()).tolist() if ways else []
    return np.array(turn_from, dtype=np.int64), np.array(turn_into, dtype=np.int64), np.array(prior)


def _heading_deg(start: FloatColumn, end: FloatColumn) -> float:
    lon_m, lat_m = metres_per_degree(float(start[1]))
    return float(np.degrees(np.arctan2((end[0] - start[0]) * lon_m, (end[1] - start[1]) * lat_m)))


class RoadFlow:
    """Turns and speeds learnt on a network. Depends on what was learnt and the ages in between alone."""

    def __init__(self, net: RoadNet, *, half_life_s: float = 14 * 86_400.0) -> None:
        """Know nothing yet but the network."""
        self.net = net
        self._half_life_s = half_life_s
        self._turns = np.zeros(len(net.turn_from))
        edges = len(net.first) - 1
        self._metres, self._seconds = np.zeros(edges), np.zeros(edges)
        self._key = net.turn_from * max(edges, 1) + net.turn_into
        self._order = np.argsort(self._key)

    def learn(self, steps: DrivenSteps) -> None:
        """Count the turns steps of drivers took and how fast they went. Cost: about 0.5 us a step."""
        least = MOVING_MPS**2
        moves = (steps.east0_mps**2 + steps.north0_mps**2 >= least) & (
            steps.east1_mps**2 + steps.north1_mps**2 >= least
        )
        moves &= (steps.elapsed_ms >= LEAST_MOVE_MS) & (steps.elapsed_ms <= MOST_MOVE_MS)
        grid, net = self.net.grid, self.net
        begin, begin_m = snap_all(grid, steps.lon0, steps.lat0, steps.east0_mps, steps.north0_mps)
        end, end_m = snap_all(grid, steps.lon1, steps.lat1, steps.east1_mps, steps.north1_mps)
        rows = np.flatnonzero(moves & (begin >= 0) & (end >= 0))
        edge0, edge1 = net.edge[begin[rows]], net.edge[end[rows]]
        self._count_turns(edge0, edge1)
        same = edge0 == edge1
        rows, edge = rows[same], edge0[same]
        way_m = (end[rows] - begin[rows]) * net.length_m[end[rows]] + end_m[rows] - begin_m[rows]
        # In sixteenths, whose sums are exact: the order of the steps does not matter.
        np.add.at(self._metres, edge, _sixteenths(np.maximum(way_m, 0.0)))
        np.add.at(self._seconds, edge, _sixteenths(steps.elapsed_ms[rows] / 1000.0))

    def _count_turns(self, edge0: IntColumn, edge1: IntColumn) -> None:
        if not len(self._key):
            return
        asked = edge0 * (len(self.net.first) - 1) + edge1
        ordered = self._key[self._order]
        place = np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)
        found = (ordered[place] == asked) & (edge0 != edge1)
        np.add.at(self._turns, self._order[place[found]], 1.0)

    def copy(self) -> RoadFlow:
        """Return one that knows the same and learns apart."""
        other = RoadFlow(self.net, half_life_s=self._half_life_s)
        other.load(self.saved())
        return other

    def age(self, seconds: float) -> None:
        """Let time pass: what was learnt counts less."""
        share = 0.5 ** (max(seconds, 0.0) / self._half_life_s)
        for column in (self._turns, self._metres, self._seconds):
            column[:] = _sixteenths(column * share)

    def chain(self) -> Chain:
        """Return the pieces as a chain."""
        net = self.net
        counted = self._turns + _PRIOR_TURNS * net.prior
        total = np.bincount(net.turn_from, weights=counted, minlength=len(net.first) - 1)
        mps = (self._metres + _PRIOR_S * _UNTOLD_MPS) / (self._seconds + _PRIOR_S)
        last = np.zeros(len(net), dtype=np.bool_)
        last[net.first[1:] - 1] = True
        onward = np.flatnonzero(~last)
        source = np.concatenate([onward, net.first[net.turn_from + 1] - 1])
        target = np.concatenate([onward + 1, net.first[net.turn_into]])
        share = np.concatenate([np.ones(len(onward)), counted / np.maximum(total[net.turn_from], 1e-9)])
        seconds = (net.length_m[source] / mps[net.edge[source]] + net.length_m[target] / mps[net.edge[target]]) / 2.0
        return _in_slices(net, source, target, share, seconds)

    def saved(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learnt as arrays for a snapshot."""
        return {"road_turns": self._turns, "road_metres": self._metres, "road_seconds": self._seconds}

    def load(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Know what was saved, where it was learnt on a network of the same size; else nothing."""
        kept = [arrays.get(name) for name in self.saved()]
        mine = (self._turns, self._metres, self._seconds)
        if all(array is not None and len(array) == len(own) for array, own in zip(kept, mine, strict=True)):
            for array, own in zip(kept, mine, strict=True):
                own[:] = array


def _sixteenths(column: FloatColumn) -> FloatColumn:
    return np.asarray(np.rint(column * 16.0) / 16.0)


def _in_slices(net: RoadNet, source: IntColumn, target: IntColumn, share: FloatColumn, seconds: FloatColumn) -> Chain:
    """Return a chain whose moves last whole slices of time: one between two is both, in the shares that keep the mean.

    Rounding each would add up along a road.
    """
    slices = np.maximum(seconds / SLICE_S, 1.0)
    low = np.floor(slices)
    part = slices - low
    shares, lasts = np.concatenate([share * (1.0 - part), share * part]), np.concatenate([low, low + 1.0])
    kept = np.flatnonzero(shares > 0.0)
    order = kept[np.argsort(np.tile(source, 2)[kept], kind="stable")]
    return Chain(
        lon=net.lon.mean(axis=1),
        lat=net.lat.mean(axis=1),
        source=np.tile(source, 2)[order].astype(np.int32),
        target=np.tile(target, 2)[order].astype(np.int32),
        share=shares[order].astype(np.float32),
        seconds=(lasts[order] * SLICE_S).astype(np.float32),
    )
