"""Who is about to reach a zone: a straight look-ahead along the heading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Segments, ZoneIndex
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.motion import Motion
from geo_engine.tracking.steps import Steps

__all__ = ["Approaches", "LookAhead", "find_approaches"]


@dataclass(frozen=True, slots=True)
class LookAhead:
    """How far to look.

    Attributes:
        lookahead_s: a border further away in time is not yet of interest.
        min_speed_mps: slower is standing: its heading is noise.
    """

    lookahead_s: float = 90.0
    min_speed_mps: float = 2.0


@dataclass(frozen=True, slots=True)
class Approaches:
    """Zones ahead of pings, in columns: step row, zone, metres and seconds to the border, bearing to it."""

    query: IntColumn
    zone: IntColumn
    distance_m: FloatColumn
    eta_s: FloatColumn
    bearing_deg: FloatColumn

    def __len__(self) -> int:
        """Return the number of approaches."""
        return len(self.query)


def find_approaches(
    steps: Steps, motion: Motion, index: ZoneIndex, *, profile: IntColumn, wanted: BoolColumn, look: LookAhead
) -> Approaches:
    """Find the wanted zones that a user meets within the look-ahead if speed and heading stay as they are.

    Args:
        steps: the steps.
        motion: velocity at each step's end.
        index: zones.
        profile: row of ``wanted`` per step.
        wanted: bool (profiles x zones): zones a warning could be about.
        look: how far to look.

    Returns:
        Approaches, zones the user is already inside left out (their distance would be 0).
    """
    speed = motion.speed_mps
    rows = np.flatnonzero(speed >= look.min_speed_mps)
    rows = rows[np.asarray(wanted.any(axis=1))[profile[rows]]]
    east_m, north_m = metres_per_degree(steps.pings.lat[rows])
    lon, lat = steps.pings.lon[rows], steps.pings.lat[rows]
    # Near a pole a degree of longitude has no length; there is no road there to look along either.
    end_lon = lon + np.clip(motion.east_mps[rows] * look.lookahead_s / np.maximum(east_m, 1.0), -90.0, 90.0)
    end_lat = np.clip(lat + motion.north_mps[rows] * look.lookahead_s / north_m, -90.0, 90.0)
    hits = index.ahead(Segments(lon, lat, end_lon, end_lat), profile[rows], wanted)
    outside = hits.fraction > 0.0
    query = rows[hits.query[outside]]
    eta_s = hits.fraction[outside] * look.lookahead_s
    return Approaches(
        query=query,
        zone=hits.zone[outside],
        distance_m=eta_s * speed[query],
        eta_s=eta_s,
        bearing_deg=np.degrees(np.arctan2(motion.east_mps[query], motion.north_mps[query])) % 360.0,
    )
