"""What lies ahead of drivers: by what was learnt where something was, else within a wide cone. In columns.

One step's ``look_ahead`` is what the compiled step calls; ``foresee`` calls it for columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel, uncounted
from geo_engine.geodesy.kernels import degree_lengths
from geo_engine.index.border_grid import BorderGrid
from geo_engine.index.cone import Cone, Found, wanted_within
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.tracking.outlook_table import (
    UNKNOWN,
    Ahead,
    Mover,
    OutlookTable,
    blend_chances,
    forecast_at,
    velocity_of,
)
from geo_engine.tracking.road_kernels import RoadTable, forecast_on_road
from geo_engine.tracking.wanted import Wanted

__all__ = ["BY_HEADING", "BY_PLACE", "BY_ROAD", "Foreseen", "Known", "Movers", "foresee", "look_ahead"]

BY_HEADING, BY_PLACE, BY_ROAD = range(3)
"""How a forecast is known: a guess from the heading alone, what others did at that place, what is known of the road."""

_HALF_CONE_COSINE: Final = 0.5
_CONE_CHANCE: Final = 0.5
_FLOW_SHARE: Final = 0.2
"""Weight of the learnt flow on a known road: it knows how drivers slow down and pull over before they turn."""


class Known(NamedTuple):
    """What was learnt, and of what.

    Attributes:
        flow: forecasts by cell and heading.
        roads: forecasts by road, asked first; ``no_roads`` without a map.
    """

    flow: OutlookTable
    roads: RoadTable


class Movers(NamedTuple):
    """Moving users in columns: see ``Mover``."""

    lon: FloatColumn
    lat: FloatColumn
    east_mps: FloatColumn
    north_mps: FloatColumn
    speed_mps: FloatColumn
    told_deg: FloatColumn
    reach_s: FloatColumn
    profile: IntColumn


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Zones ahead of movers, in columns, ordered by mover.

    Attributes:
        query: row of the mover.
        zone: position of the zone.
        chance: probability to enter it within 180 s.
        eta_s: seconds until then.
        distance_m: straight metres to the nearest point of its border.
        bearing_deg: direction of that point, degrees from north.
        source: int8: how it is known, ``BY_HEADING`` .. ``BY_ROAD``.
    """

    query: IntColumn
    zone: IntColumn
    chance: FloatColumn
    eta_s: FloatColumn
    distance_m: FloatColumn
    bearing_deg: FloatColumn
    source: npt.NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of (mover, zone) pairs."""
        return len(self.query)


@uncounted
def look_ahead(
    known: Known, borders: BorderGrid, frame: FloatColumn, mover: Mover, wanted: Wanted, ahead: Ahead
) -> tuple[int, int]:
    """Write the wanted zones ahead of one moving user.

    Args:
        known: what was learnt.
        borders: borders marked with ``wanted``, for where nothing was.
        frame: metres per degree by latitude.
        mover: who, and where to; of somebody who stands, or of whom that is not known, nothing is foreseen.
        wanted: what profiles want.
        ahead: written from the front; room for every zone.

    Returns:
        (number of zones, how they are known: ``BY_HEADING`` .. ``BY_ROAD``). Zones the user is inside may be among
        them.
    """
    if not mover.speed_mps > 0.0:
        return 0, BY_HEADING
    count = forecast_on_road(known.roads, frame, mover, wanted, ahead)
    if count != UNKNOWN:
        blend_chances(known.flow, mover, _FLOW_SHARE, ahead, count)
        return count, BY_ROAD
    count = forecast_at(known.flow, frame, mover, wanted, ahead)
    if count != UNKNOWN:
        return count, BY_PLACE
    lon_m, lat_m = degree_lengths(frame, mover.lat)
    east_mps, north_mps = velocity_of(mover)
    x, y = east_mps / mover.speed_mps, north_mps / mover.speed_mps
    reach_m = mover.speed_mps * mover.reach_s
    cone = Cone(mover.lon, mover.lat, lon_m, lat_m, x, y, _HALF_CONE_COSINE, reach_m)
    found = Found(ahead.zone, ahead.distance_m, ahead.east_m, ahead.north_m)
    count = wanted_within(borders, cone, mover.profile, wanted.bits, found)
    for at in range(count):
        ahead.eta_s[at] = ahead.distance_m[at] / mover.speed_mps
        # Straight ahead is likelier than aside: of no use for a choice, but not without meaning.
        cosine = (x * ahead.east_m[at] + y * ahead.north_m[at]) / max(ahead.distance_m[at], 1e-9)
        ahead.chance[at] = _CONE_CHANCE * max(cosine, 0.0)
    return count, BY_HEADING


@kernel
def _foresee(
    known: Known, borders: BorderGrid, frame: FloatColumn, movers: Movers, wanted: Wanted, ahead: Ahead
) -> tuple[IntColumn, FloatColumn, int]:
    ints, floats = np.empty((1024, 3), dtype=np.int64), np.empty((1024, 4))
    total = 0
    for k in range(len(movers.lon)):
        mover = Mover(
            movers.lon[k], movers.lat[k], movers.east_mps[k], movers.north_mps[k],
            movers.speed_mps[k], movers.told_deg[k], movers.reach_s[k], movers.profile[k],
        )  # fmt: skip
        count, source = look_ahead(known, borders, frame, mover, wanted, ahead)
        if total + count > len(ints):
            ints = np.concatenate((ints, np.empty((len(ints) + count, 3), dtype=np.int64)))
            floats = np.concatenate((floats, np.empty((len(floats) + count, 4))))
        for at in range(count):
            ints[total, 0], ints[total, 1], ints[total, 2] = k, ahead.zone[at], source
            floats[total, 0], floats[total, 1] = ahead.chance[at], ahead.eta_s[at]
            floats[total, 2] = ahead.distance_m[at]
            floats[total, 3] = math.degrees(math.atan2(ahead.east_m[at], ahead.north_m[at])) % 360.0
            total += 1
    return ints, floats, total


def foresee(
    known: Known, borders: BorderGrid, frame: FloatColumn, movers: Movers, wanted: Wanted, ahead: Ahead
) -> Foreseen:
    """Return the wanted zones ahead of moving users; arguments as of ``look_ahead``."""
    ints, floats, total = _foresee(known, borders, frame, movers, wanted, ahead)
    query, zone, source = ints[:total].T
    chance, eta_s, distance_m, bearing_deg = floats[:total].T
    return Foreseen(query, zone, chance, eta_s, distance_m, bearing_deg, source.astype(np.int8))
