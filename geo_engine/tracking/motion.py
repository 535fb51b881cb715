"""Where a user is heading and how fast, from the device or from the last step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_engine.model import BoolColumn, FloatColumn
from geo_engine.tracking.state import centimetres
from geo_engine.tracking.steps import Steps

__all__ = ["Motion", "estimate_motion"]

_MAX_STEP_MS = 60_000
_MIN_STEP_MS = 500  # over a shorter step the error of the two positions is larger than the way between them
_MAX_SPEED_MPS = 75.0  # no vehicle we serve is faster: what says so is noise, and would look far beyond any zone ahead


@dataclass(frozen=True, slots=True)
class Motion:
    """Velocity per ping, metres per second east and north, and speed over ground; NaN = unknown.

    The speed of a device is kept as it was told, so that a limit means the same whatever the heading.
    ``told_deg`` is the device's heading where it is used.
    ``step_east_cmps`` and ``step_north_cmps`` are the plain displacement over the last step in centimetres per second,
    rounded as the state keeps it.
    """

    east_mps: FloatColumn
    north_mps: FloatColumn
    speed_mps: FloatColumn
    told_deg: FloatColumn
    step_east_cmps: FloatColumn
    step_north_cmps: FloatColumn


def estimate_motion(steps: Steps) -> Motion:
    """Estimate the velocity at each ping.

    The device's own speed and heading are used where both are given and credible: they come from Doppler and beat
    differences of positions. Otherwise it is that of the last step: a mean of two would be calmer, but point the old
    way after a turn, and warned worse on simulated cities. A speed no vehicle has is unknown: it would look tens of
    kilometres ahead.
    """
    east, north = _step_velocity(steps)
    device_mps, heading_deg = steps.pings.speed_mps, steps.pings.heading_deg
    told: BoolColumn = (heading_deg >= 0.0) & (heading_deg <= 360.0)
    told &= (device_mps >= 0.0) & (device_mps <= _MAX_SPEED_MPS)
    speed, heading = np.where(told, device_mps, np.nan), np.radians(np.where(told, heading_deg, np.nan))
    east_mps = np.where(told, speed * np.sin(heading), east / 100.0)
    north_mps = np.where(told, speed * np.cos(heading), north / 100.0)
    speed_mps = np.where(told, speed, np.sqrt(east_mps * east_mps + north_mps * north_mps))
    credible = speed_mps <= _MAX_SPEED_MPS
    return Motion(
        east_mps=np.where(credible, east_mps, np.nan),
        north_mps=np.where(credible, north_mps, np.nan),
        speed_mps=np.where(credible, speed_mps, np.nan),
        told_deg=np.where(told, heading_deg, np.nan),
        step_east_cmps=east,
        step_north_cmps=north,
    )


def _step_velocity(steps: Steps) -> tuple[FloatColumn, FloatColumn]:
    elapsed_ms = steps.elapsed_ms
    usable = steps.joined & (elapsed_ms >= _MIN_STEP_MS) & (elapsed_ms <= _MAX_STEP_MS)
    seconds = np.where(usable, elapsed_ms, np.nan) / 1000.0
    return centimetres(steps.east_m / seconds), centimetres(steps.north_m / seconds)
