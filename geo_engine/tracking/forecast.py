"""From a chain and zones to what is looked up at every ping: per state the zones ahead, how likely, how soon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Pairs, Segments, ZoneIndex
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.tracking.chain import Chain
from geo_engine.tracking.forecast_kernels import SLICE_S, SLICES, Backward, Work, push_back
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["OUTLOOK", "Outlooks", "outlooks_of"]

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

_LEAST_CHANCE: Final = 0.06
_ROOM: Final = 32_768
"""States within 180 s of one zone; a city of 80 m cells has about 5,000."""
_FARTHEST_M: Final = 32_767.0


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


def outlooks_of(
    chain: Chain,
    zones: ZoneSet,
    index: ZoneIndex,
    *,
    least_chance: float = _LEAST_CHANCE,
    only: IntColumn | None = None,
) -> Outlooks:
    """Compute the zones ahead of every state of a chain.

    Args:
        chain: the chain.
        zones: the zones.
        index: their index.
        least_chance: what is less likely is left out.
        only: positions of the zones to compute, None = all that can be warned about.

    Cost: about 1 ms a zone in a city of 80 m cells, beside 0.2 us a move; releases the interpreter's lock meanwhile.
    """
    asked = zones.warnable.copy()
    if only is not None:
        asked[:] = False
        asked[only] = zones.warnable[only]
    entering, begun_inside = _entries(chain, index, asked)
    order = np.lexsort((chain.source, chain.target))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    states = len(chain.lon)
    moves = Backward(
        first=np.searchsorted(chain.target[order], np.arange(states + 1)).astype(np.int64),
        source=chain.source[order],
        share=chain.share[order],
        slices=np.clip(np.rint(chain.seconds[order] / SLICE_S), 1, SLICES).astype(np.int8),
    )
    work = Work(
        local=np.full(states, -1, dtype=np.int32),
        states=np.zeros(min(_ROOM, max(states, 1)), dtype=np.int32),
        mass=np.zeros((SLICES + 1, min(_ROOM, max(states, 1))), dtype=np.float32),
        barred=np.zeros(len(order), dtype=np.uint8),
    )
    chance, eta_s = np.zeros(len(work.states), dtype=np.float32), np.zeros(len(work.states), dtype=np.float32)
    first = np.searchsorted(entering.zone, np.arange(len(zones) + 1))
    parts: list[Outlooks] = []
    for zone in np.flatnonzero(np.diff(first)).tolist():
        these = slice(first[zone], first[zone + 1])
        rows = push_back(moves, rank[entering.query[these]], begun_inside[these], work, chance, eta_s)
        kept = np.flatnonzero(chance[:rows] >= least_chance)
        parts.append(_of_zone(chain, work.states[kept], zone, zones.zones[zone].geometry, (chance[kept], eta_s[kept])))
    return joined(parts)


def joined(parts: list[Outlooks]) -> Outlooks:
    """Return outlooks of several zones as one, in order."""
    if not parts:
        return Outlooks(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=OUTLOOK))
    state = np.concatenate([part.state for part in parts])
    outlook = np.concatenate([part.outlook for part in parts])
    order = np.lexsort((outlook["zone"], state))
    return Outlooks(state[order], outlook[order])


def _of_zone(
    chain: Chain, state: npt.NDArray[np.int32], zone: int, shape: shapely.Geometry, found: tuple[FloatColumn, FloatColumn]
) -> Outlooks:
    outlook = np.zeros(len(state), dtype=OUTLOOK)
    outlook["zone"] = zone
    outlook["chance"], outlook["eta_s"] = found
    outlook["east_m"], outlook["north_m"] = _way_to(chain.lon[state], chain.lat[state], shape)
    return Outlooks(state, outlook)


def _way_to(lon: FloatColumn, lat: FloatColumn, shape: shapely.Geometry) -> tuple[FloatColumn, FloatColumn]:
    """Return metres east and north to the nearest point of a shape, 0 inside."""
    lon_m, lat_m = metres_per_degree(lat)
    if not len(lon):
        return lon, lat
    # Nearest in metres, not in degrees: one scale for all places near one zone.
    scale = np.array([float(np.median(lon_m)), float(np.median(lat_m))])
    west = float(shape.bounds[0])
    near = lon + np.rint((west - lon) / 360.0) * 360.0
    flat = shapely.transform(shape, lambda degrees: degrees * scale)
    lines = shapely.shortest_line(shapely.points(near * scale[0], lat * scale[1]), flat)
    ends = shapely.get_coordinates(lines).reshape(-1, 2, 2)
    way = np.clip(np.rint(ends[:, 1] - ends[:, 0]), -_FARTHEST_M, _FARTHEST_M)
    return way[:, 0], way[:, 1]


def _entries(chain: Chain, index: ZoneIndex, asked: npt.NDArray[np.bool_]) -> tuple[Pairs, npt.NDArray[np.bool_]]:
    """Return the (move, zone) pairs of moves that enter zones, by zone, and whether each begins inside.

    A move that begins inside and ends outside leaves.
    """
    lon0, lat0, lon1, lat1 = (column[end] for end in (chain.source, chain.target) for column in (chain.lon, chain.lat))
    touched = index.touching(Segments(lon0, lat0, lon1, lat1))
    inside = index.containing(chain.lon, chain.lat)
    width = len(asked)
    held = inside.query * width + inside.zone
    begins = np.isin(chain.source[touched.query].astype(np.int64) * width + touched.zone, held)
    ends = np.isin(chain.target[touched.query].astype(np.int64) * width + touched.zone, held)
    kept = np.flatnonzero(asked[touched.zone] & ~(begins & ~ends))
    order = kept[np.argsort(touched.zone[kept], kind="stable")]
    return Pairs(touched.query[order], touched.zone[order]), begins[order]
