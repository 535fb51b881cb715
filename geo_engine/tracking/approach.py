"""Who is about to reach a zone: a straight look-ahead along the heading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.protocol import Segments, ZoneIndex
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.motion import Motion
from geo_engine.tracking.steps import Steps

__all__ = [
    "CHANGED_CMPS",
    "CHANGED_SHARE",
    "PHASE",
    "Approaches",
    "LookAhead",
    "find_approaches",
    "is_due",
    "looks_now",
]

PHASE: Final = 7919
"""Spreads the moments of looking ahead over the users: milliseconds per u7, a prime."""
CHANGED_SHARE: Final = 0.5
"""A velocity that differs by more than this share of the one before looks along another way: a turn of 30 degrees does,
and half as fast again."""
CHANGED_CMPS: Final = 500.0
"""A smaller difference is the noise of three positions 5 s apart, 10 m each."""


@dataclass(frozen=True, slots=True)
class LookAhead:
    """How far to look.

    Attributes:
        lookahead_s: a border further away in time is not yet of interest.
        min_speed_mps: slower is standing: its heading is noise.
        every_s: a user who drives straight on is looked ahead for once in so many seconds: until then nothing comes
            into reach but what lay beyond the far end. Whoever starts, turns or speeds up is looked ahead for at once.
            0 = at every ping.
    """

    lookahead_s: float = 90.0
    min_speed_mps: float = 2.0
    every_s: float = 15.0


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


def is_due(steps: Steps, look: LookAhead | None) -> BoolColumn:
    """Say which pings are the first of a stretch of ``every_s``; the stretches of users begin at different moments."""
    if look is None or look.every_s <= 0.0:
        return np.ones(len(steps), dtype=np.bool_)
    every_ms = round(look.every_s * 1000)
    phase = steps.pings.u7 * PHASE
    due: BoolColumn = (steps.pings.time_ms + phase) // every_ms != (steps.before_ms + phase) // every_ms
    return due


def looks_now(steps: Steps, motion: Motion, look: LookAhead) -> BoolColumn:
    """Say at which pings to look ahead; depends on a user's own pings alone, not on how they are cut into batches."""
    old_east, old_north = motion.before_east_cmps, motion.before_north_cmps
    change = (motion.step_east_cmps - old_east) ** 2 + (motion.step_north_cmps - old_north) ** 2
    least = np.maximum(CHANGED_SHARE**2 * (old_east**2 + old_north**2), CHANGED_CMPS**2)
    looks: BoolColumn = is_due(steps, look) | ~(change <= least)  # what is unknown does not go straight on
    return looks


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
    rows = np.flatnonzero((speed >= look.min_speed_mps) & looks_now(steps, motion, look))
    rows = rows[np.asarray(wanted.any(axis=1))[profile[rows]]]
    east_m, north_m = metres_per_degree(steps.lat[rows])
    lon, lat = steps.lon[rows], steps.lat[rows]
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
