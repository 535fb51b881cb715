"""The ways others warn: a ring round the zone, a straight ray, and a forecast that does not look at the heading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from benchmarks.quality.findings import Findings, Ground, Moments
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch

__all__ = ["HeadingBlind", "Ray", "Ring", "Steps", "steps_of"]

_SLOWEST_MPS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Steps:
    """Pings of all users in a flat frame, ordered by user, then time.

    Attributes:
        u7: user.
        time_ms: event time.
        place_m: metres (pings, 2).
        velocity_mps: (pings, 2) as the device told it, else of the last two steps; NaN = unknown.
        first: the ping is its user's first.
    """

    u7: IntColumn
    time_ms: IntColumn
    place_m: FloatColumn
    velocity_mps: FloatColumn
    first: BoolColumn

    @property
    def speed_mps(self) -> FloatColumn:
        """Speed over ground."""
        return np.asarray(np.hypot(self.velocity_mps[:, 0], self.velocity_mps[:, 1]))


@dataclass(frozen=True, slots=True)
class Ring:
    """Warns when a user comes within a distance of a zone: a geofence with a buffer, as most services have it."""

    distance_m: float = 300.0

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"buffer ring {self.distance_m:.0f} m"

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Return the entries into the rings as warnings."""
        steps, zones = steps_of(pings), _flat(pings, ground)
        row, zone = shapely.STRtree(zones).query(
            shapely.points(steps.place_m), predicate="dwithin", distance=self.distance_m
        )
        width = len(zones)
        pair = row * width + zone
        # It was in the ring before when the ping before of the same user was.
        stayed = np.isin(pair - width, pair) & ~steps.first[row]
        return _only_warnings(steps, row[~stayed], zone[~stayed])


@dataclass(frozen=True, slots=True)
class Ray:
    """Warns when the straight way ahead meets a zone within a time."""

    ahead_s: float = 45.0

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"straight ray {self.ahead_s:.0f} s"

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Return every ping at which a ray meets a zone the user is not in."""
        steps, zones = steps_of(pings), _flat(pings, ground)
        drives = np.flatnonzero(steps.speed_mps >= _SLOWEST_MPS)
        start = steps.place_m[drives]
        rays = shapely.linestrings(np.stack([start, start + self.ahead_s * steps.velocity_mps[drives]], axis=1))
        row, zone = shapely.STRtree(zones).query(rays, predicate="intersects")
        return _outside_only(steps, zones, drives[row], zone)


@dataclass(frozen=True, slots=True)
class HeadingBlind:
    """Warns when a zone is near enough to be reached in a time at the current speed, wherever it lies.

    So does ``ForecastGeofenceEvents`` of Amazon Location Service: "Heading direction is not considered in the current
    version" (its API reference, ForecastedEvent).
    """

    ahead_s: float = 30.0

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"heading-blind {self.ahead_s:.0f} s"

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Return every ping at which a zone is in reach that the user is not in."""
        steps, zones = steps_of(pings), _flat(pings, ground)
        drives = np.flatnonzero(steps.speed_mps >= _SLOWEST_MPS)
        reach_m = steps.speed_mps[drives] * self.ahead_s
        points = shapely.points(steps.place_m[drives])
        row, zone = shapely.STRtree(zones).query(points, predicate="dwithin", distance=reach_m)
        return _outside_only(steps, zones, drives[row], zone)


def steps_of(pings: PingBatch) -> Steps:
    """Order pings by user and time and find out how they move."""
    order = np.lexsort((pings.time_ms, pings.u7))
    u7, time_ms = pings.u7[order], pings.time_ms[order]
    place_m = np.column_stack([pings.lon[order], pings.lat[order]]) * _scale(pings.lat)
    first = np.concatenate([[True], u7[1:] != u7[:-1]])
    heading = np.radians(pings.heading_deg[order])
    told = pings.speed_mps[order][:, None] * np.column_stack([np.sin(heading), np.cos(heading)])
    # A device that stands tells no heading, and no direction is meant.
    stands = pings.speed_mps[order] < _SLOWEST_MPS
    measured = np.where(stands[:, None], 0.0, _measured_mps(place_m, time_ms, first))
    return Steps(u7, time_ms, place_m, np.where(np.isnan(told), measured, told), first)


def _measured_mps(place_m: FloatColumn, time_ms: IntColumn, first: BoolColumn) -> FloatColumn:
    """Return the mean velocity over the last two steps, over one where there is no more."""
    row = np.arange(len(first))
    begin = np.maximum.accumulate(np.where(first, row, 0))
    back = np.maximum(row - 2, begin)
    seconds = np.where(back < row, time_ms - time_ms[back], np.nan)[:, None] / 1000.0
    return np.asarray((place_m - place_m[back]) / seconds)


def _scale(lat: FloatColumn) -> FloatColumn:
    """Return metres per degree east and north, one for all pings: the places of a case lie close together."""
    east_m, north_m = metres_per_degree(float(np.median(lat)))
    return np.array([float(east_m), float(north_m)])


def _flat(pings: PingBatch, ground: Ground) -> list[shapely.Polygon]:
    scale = _scale(pings.lat)
    return [shapely.transform(zone, lambda degrees: degrees * scale) for zone in ground.zones]


def _outside_only(steps: Steps, zones: list[shapely.Polygon], row: IntColumn, zone: IntColumn) -> Findings:
    inside = shapely.intersects_xy(np.array(zones)[zone], *steps.place_m[row].T)
    return _only_warnings(steps, row[~inside], zone[~inside])


def _only_warnings(steps: Steps, row: IntColumn, zone: IntColumn) -> Findings:
    return Findings(Moments(steps.u7[row], zone, steps.time_ms[row]), Moments.none(), Moments.none())
