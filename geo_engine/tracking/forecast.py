"""From a chain and zones to what is looked up at every ping: per state the zones ahead, how likely, how soon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Pairs, Segments, ZoneIndex
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.chain import Chain
from geo_engine.tracking.forecast_kernels import SLICE_S, SLICES, Backward, Work, nearest_points, push_back
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["OUTLOOK", "Outlooks", "Prepared", "outlooks_of"]

OUTLOOK: Final = np.dtype(
    [
        ("zone", np.int32),
        ("chance", np.float32),  # of an entry within 180 s
        ("eta_s", np.float32),  # mean, of those who enter
        ("east_m", np.int16),  # from the state's place to the nearest point of the zone
        ("north_m", np.int16),
    ]
)
"""One zone ahead of a state, 16 bytes."""

_ROOM: Final = 32_768
"""States within 180 s of one zone; a city of 80 m cells has about 5,000."""
_FARTHEST_M: Final = 32_767.0
_FEW: Final = 64
_REACH_LAT: Final = 0.03
"""A learnt move is shorter than 32 cells, 0.023 degrees; a piece of a road is shorter still."""
_HALF_ROUND_DEG: Final = 180.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chain ready for forecasts; immutable, kept for the next edit of zones.

    Attributes:
        chain: the chain.
        moves: the chain backwards.
        rank: where each move of the chain is in ``moves``.
    """

    chain: Chain
    moves: Backward
    rank: IntColumn

    @classmethod
    def of(cls, chain: Chain) -> Prepared:
        """Order the moves by where they end. Cost: 0.2 s for a million of them."""
        order = np.argsort(chain.target, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        moves = Backward(
            first=np.searchsorted(chain.target[order], np.arange(len(chain.lon) + 1)).astype(np.int64),
            source=chain.source[order],
            share=chain.share[order],
            slices=np.clip(np.rint(chain.seconds[order] / SLICE_S), 1, SLICES).astype(np.int8),
        )
        return cls(chain, moves, rank)


@dataclass(frozen=True, slots=True)
class Outlooks:
    """Zones ahead of states, ordered by state, then zone.

    Attributes:
        state: row of the chain, ascending.
        outlook: ``OUTLOOK`` records.
    """

    state: npt.NDArray[np.int32]
    outlook: npt.NDArray[np.void]

    def __len__(self) -> int:
        """Return the number of outlooks."""
        return len(self.state)

    @classmethod
    def none(cls) -> Outlooks:
        """Return no outlooks."""
        return cls(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=OUTLOOK))


def outlooks_of(  # noqa: PLR0913 - a chain, zones, and four limits by name
    prepared: Prepared,
    zones: ZoneSet,
    index: ZoneIndex,
    *,
    least_chance: float,
    most_eta_s: float,
    only: IntColumn | None = None,
    known: BoolColumn | None = None,
) -> Outlooks:
    """Compute the zones ahead of the states of a chain.

    Args:
        prepared: the chain.
        zones: the zones.
        index: their index.
        least_chance: what is less likely is left out.
        most_eta_s: what is later is left out; the chance counts entries within 180 s all the same.
        only: positions of the zones to compute, None = all that can be warned about.
        known: bool per state: whether its outlooks are asked for, None = all are.

    Cost: a few ms a zone in a city of 80 m cells, beside 1 us a move; the interpreter's lock is held in between only.
    """
    chain = prepared.chain
    asked = zones.warnable.copy()
    if only is not None:
        asked[:] = False
        asked[only] = zones.warnable[only]
    entering, begun_inside = _entries(chain, zones, index, asked)
    states = len(chain.lon)
    rows = min(_ROOM, max(states, 1))
    work = Work(
        local=np.full(states, -1, dtype=np.int32),
        states=np.zeros(rows, dtype=np.int32),
        mass=np.zeros((SLICES + 1, rows), dtype=np.float32),
        barred=np.zeros(len(chain.source), dtype=np.uint8),
    )
    chance, eta_s = np.zeros(rows, dtype=np.float32), np.zeros(rows, dtype=np.float32)
    first = np.searchsorted(entering.zone, np.arange(len(zones) + 1))
    parts: list[Outlooks] = []
    for zone in np.flatnonzero(np.diff(first)).tolist():
        these = slice(first[zone], first[zone + 1])
        found = push_back(
            prepared.moves, prepared.rank[entering.query[these]], begun_inside[these], work, chance, eta_s
        )
        kept = np.flatnonzero((chance[:found] >= least_chance) & (eta_s[:found] <= most_eta_s))
        if known is not None:
            kept = kept[known[work.states[kept]]]
        state = work.states[kept]
        outlook = np.zeros(len(state), dtype=OUTLOOK)
        outlook["zone"], outlook["chance"], outlook["eta_s"] = zone, chance[kept], eta_s[kept]
        way_m = _ways_to(chain.lon[state], chain.lat[state], zones.zones[zone].geometry)
        outlook["east_m"], outlook["north_m"] = way_m.T
        parts.append(Outlooks(state, outlook))
    return _joined(parts)


def _joined(parts: list[Outlooks]) -> Outlooks:
    """Return outlooks of several zones as one, in order."""
    if not parts:
        return Outlooks.none()
    state = np.concatenate([part.state for part in parts])
    outlook = np.concatenate([part.outlook for part in parts])
    order = np.argsort(_order(state, outlook))
    return Outlooks(state[order], outlook[order])


def _order(state: npt.NDArray[np.int32], outlook: npt.NDArray[np.void]) -> IntColumn:
    """Return numbers in the order of states, then zones."""
    return np.asarray((state.astype(np.int64) << 32) + outlook["zone"])


def _ways_to(lon: FloatColumn, lat: FloatColumn, shape: shapely.Geometry) -> FloatColumn:
    """Return (places, 2) metres east and north to the nearest point of a shape's border."""
    ways = np.zeros((len(lon), 2))
    if len(lon):
        # Nearest in metres, not in degrees: one scale for all places near one zone.
        lon_m, lat_m = metres_per_degree(np.median(lat))
        scale = np.array([float(lon_m), float(lat_m)])
        points, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(shape)), return_index=True)
        # Each ring, and each place, on the side of the 180 degree meridian where the first place is.
        begin = np.searchsorted(ring, ring)
        points[:, 0] += np.rint((lon[0] - points[begin, 0]) / 360.0) * 360.0
        near = lon + np.rint((lon[0] - lon) / 360.0) * 360.0
        same = np.flatnonzero(ring[1:] == ring[:-1])
        flat = points * scale
        places = np.column_stack([near, lat]) * scale
        nearest_points(places, np.concatenate([flat[same], flat[same + 1]], axis=1), ways)
    return np.clip(np.rint(ways), -_FARTHEST_M, _FARTHEST_M)


def _entries(chain: Chain, zones: ZoneSet, index: ZoneIndex, asked: BoolColumn) -> tuple[Pairs, BoolColumn]:
    """Return the (move, zone) pairs of moves that enter zones, by zone, and whether each begins inside.

    A move that begins inside and ends outside leaves.
    """
    moves = _near(chain, zones, asked)
    source, target = chain.source[moves], chain.target[moves]
    touched = index.touching(Segments(chain.lon[source], chain.lat[source], chain.lon[target], chain.lat[target]))
    rows = np.flatnonzero(asked[touched.zone])
    move, zone = touched.query[rows], touched.zone[rows]
    used, place = np.unique(np.concatenate([source[move], target[move]]), return_inverse=True)
    inside = index.containing(chain.lon[used], chain.lat[used])
    held = np.sort(inside.query * len(zones) + inside.zone)
    begins, ends = (
        _among(held, place[part] * len(zones) + zone) for part in (slice(len(move)), slice(len(move), None))
    )
    kept = np.flatnonzero(~(begins & ~ends))
    order = kept[np.argsort(zone[kept], kind="stable")]
    return Pairs(moves[move[order]], zone[order]), begins[order]


def _near(chain: Chain, zones: ZoneSet, asked: BoolColumn) -> IntColumn:
    """Return the moves that may touch an asked zone: all of them, unless few zones are asked for."""
    few = np.flatnonzero(asked)
    if len(few) > _FEW:
        return np.arange(len(chain.source))
    near = np.zeros(len(chain.lon), dtype=np.bool_)
    shapes = shapely.bounds([zones.zones[row].geometry for row in few]).reshape(-1, 4)
    for west, south, east, north in shapes:
        reach_lon = _REACH_LAT / max(np.cos(np.radians(max(abs(south), abs(north)))), 0.01)
        # By latitude first: what is near there is little, and a remainder of a division dear.
        states = np.flatnonzero((chain.lat >= south - _REACH_LAT) & (chain.lat <= north + _REACH_LAT))
        near[states] |= (chain.lon[states] - west + reach_lon) % 360.0 <= east - west + 2 * reach_lon
    moves = np.flatnonzero(near[chain.source])
    return moves[_boxes_meet(chain, moves, shapes)]


def _boxes_meet(chain: Chain, moves: IntColumn, shapes: npt.NDArray[np.float64]) -> BoolColumn:
    """Say of each move whether its box meets one of the boxes of shapes, or crosses the 180 degree meridian."""
    source, target = chain.source[moves], chain.target[moves]
    west, east = np.minimum(chain.lon[source], chain.lon[target]), np.maximum(chain.lon[source], chain.lon[target])
    south, north = np.minimum(chain.lat[source], chain.lat[target]), np.maximum(chain.lat[source], chain.lat[target])
    meets = east - west > _HALF_ROUND_DEG
    for left, low, right, high in shapes:
        meets |= (west <= right) & (east >= left) & (south <= high) & (north >= low)
    return meets


def _among(ordered: IntColumn, asked: IntColumn) -> BoolColumn:
    if not len(ordered):
        return np.zeros(len(asked), dtype=np.bool_)
    found: BoolColumn = ordered[np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)] == asked
    return found
