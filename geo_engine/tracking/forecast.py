"""From a chain and zones to what is looked up at every ping: per state the zones ahead, how likely, how soon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Pairs, Segments, ZoneIndex
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.chain import Chain
from geo_engine.tracking.forecast_kernels import SLICE_S, SLICES, Backward, Work, nearest_points, push_back
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["OUTLOOK", "Outlooks", "Prepared", "fields_of", "outlooks_of"]

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
_STRIDED: Final = 2


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

    def after(self, position: IntColumn, fresh: Outlooks) -> Outlooks:
        """Return these after an edit of zones.

        Args:
            position: the new position of each zone; below 0 = it is gone or has another shape.
            fresh: the outlooks of zones that are new or have another shape, under their new positions.
        """
        moved = position[self.outlook["zone"]]
        kept = np.flatnonzero(moved >= 0)
        outlook, state = self.outlook[kept], self.state[kept]
        outlook["zone"] = moved[kept]
        # The order of the zones is that of their ids before and after, so what is kept is in order still.
        place = np.searchsorted(_order(state, outlook), _order(fresh.state, fresh.outlook))
        return Outlooks(np.insert(state, place, fresh.state), np.insert(outlook, place, fresh.outlook))

    def of_known(self, known: BoolColumn) -> Outlooks:
        """Return those of states that are known."""
        kept = np.flatnonzero(known[self.state])
        return Outlooks(self.state[kept], self.outlook[kept])


def fields_of(outlook: npt.NDArray[np.void]) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of ``OUTLOOK`` records as strided views, for kernels."""
    # Of fewer than two records they would be contiguous arrays, for which the kernels would be compiled once more.
    padded = outlook
    if len(outlook) < _STRIDED:
        padded = np.concatenate([outlook, np.zeros(_STRIDED - len(outlook), dtype=OUTLOOK)])
    return {name: padded[name] for name in OUTLOOK.names or ()}


def outlooks_of(
    prepared: Prepared,
    zones: ZoneSet,
    index: ZoneIndex,
    *,
    least_chance: float,
    most_eta_s: float,
    only: IntColumn | None = None,
) -> Outlooks:
    """Compute the zones ahead of every state of a chain.

    Args:
        prepared: the chain.
        zones: the zones.
        index: their index.
        least_chance: what is less likely is left out.
        most_eta_s: what is later is left out; the chance counts entries within 180 s all the same.
        only: positions of the zones to compute, None = all that can be warned about.

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
    # A learnt move is shorter than 32 cells, 0.023 degrees; a piece of a road is shorter still.
    reach_lat = 0.03
    for west, south, east, north in shapely.bounds([zones.zones[row].geometry for row in few]).reshape(-1, 4):
        reach_lon = reach_lat / max(np.cos(np.radians(max(abs(south), abs(north)))), 0.01)
        beside = (chain.lon - west + reach_lon) % 360.0 <= east - west + 2 * reach_lon
        near |= beside & (chain.lat >= south - reach_lat) & (chain.lat <= north + reach_lat)
    return np.flatnonzero(near[chain.source])


def _among(ordered: IntColumn, asked: IntColumn) -> BoolColumn:
    if not len(ordered):
        return np.zeros(len(asked), dtype=np.bool_)
    found: BoolColumn = ordered[np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)] == asked
    return found
