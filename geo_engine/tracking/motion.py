"""Where a user is heading and how fast, from the device or from the last two steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import BoolColumn, FloatColumn
from geo_engine.tracking.start import Start
from geo_engine.tracking.state import centimetres
from geo_engine.tracking.steps import Steps

__all__ = ["Motion", "estimate_motion"]

_MAX_STEP_MS = 60_000
_MIN_STEP_MS = 500  # over a shorter step the error of the two positions is larger than the way between them
_MAX_SPEED_MPS = 75.0  # no vehicle we serve is faster: what says so is noise, and would look far beyond any zone ahead


@dataclass(frozen=True, slots=True)
class Motion:
    """Velocity per ping, metres per second east and north; NaN = unknown.

    ``step_east_cmps`` and ``step_north_cmps`` are the plain displacement over the last step in centimetres per second,
    rounded as the state keeps it; the next step is averaged with it. ``before_east_cmps`` and ``before_north_cmps`` are
    those of the step before.
    """

    east_mps: FloatColumn
    north_mps: FloatColumn
    step_east_cmps: FloatColumn
    step_north_cmps: FloatColumn
    before_east_cmps: FloatColumn
    before_north_cmps: FloatColumn

    @property
    def speed_mps(self) -> FloatColumn:
        """Return the speed over ground."""
        return np.hypot(self.east_mps, self.north_mps)


def estimate_motion(steps: Steps, start: Start) -> Motion:
    """Estimate the velocity at each ping.

    The device's own speed and heading are used where both are given and credible: they come from Doppler and beat
    differences of positions. Otherwise the last two steps are averaged, which halves the noise of one. A speed no
    vehicle has is unknown: it would look tens of kilometres ahead.
    """
    east, north = _step_velocity(steps)
    earlier_east, earlier_north = _shifted(east, steps, start, "east_cmps"), _shifted(north, steps, start, "north_cmps")
    mean_east = np.where(np.isnan(earlier_east), east, (east + earlier_east) / 2.0) / 100.0
    mean_north = np.where(np.isnan(earlier_north), north, (north + earlier_north) / 2.0) / 100.0
    heading = np.radians(steps.pings.heading_deg)
    told: BoolColumn = ~np.isnan(heading) & (steps.pings.speed_mps <= _MAX_SPEED_MPS)
    speed = np.where(told, steps.pings.speed_mps, np.nan)
    east_mps = np.where(told, speed * np.sin(heading), mean_east)
    north_mps = np.where(told, speed * np.cos(heading), mean_north)
    credible = np.hypot(east_mps, north_mps) <= _MAX_SPEED_MPS
    return Motion(
        east_mps=np.where(credible, east_mps, np.nan),
        north_mps=np.where(credible, north_mps, np.nan),
        step_east_cmps=east,
        step_north_cmps=north,
        before_east_cmps=earlier_east,
        before_north_cmps=earlier_north,
    )


def _step_velocity(steps: Steps) -> tuple[FloatColumn, FloatColumn]:
    elapsed_ms = steps.pings.time_ms - steps.before_ms
    usable = steps.joined & (elapsed_ms >= _MIN_STEP_MS) & (elapsed_ms <= _MAX_STEP_MS)
    seconds = np.where(usable, elapsed_ms, np.nan) / 1000.0
    lon_step = steps.pings.lon - steps.before_lon
    lon_step = np.where(lon_step > 180.0, lon_step - 360.0, np.where(lon_step < -180.0, lon_step + 360.0, lon_step))
    east_m, north_m = metres_per_degree((steps.pings.lat + steps.before_lat) / 2.0)
    return (
        centimetres(lon_step * east_m / seconds),
        centimetres((steps.pings.lat - steps.before_lat) * north_m / seconds),
    )


def _shifted(step: FloatColumn, steps: Steps, start: Start, name: str) -> FloatColumn:
    """Return the velocity of the step before each step."""
    earlier = np.full(len(steps), np.nan)
    earlier[1:] = step[:-1]
    return np.where(steps.first, getattr(start, name), earlier)
