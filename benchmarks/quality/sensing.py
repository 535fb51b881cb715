"""What phones report of true places: every few seconds, with errors that neighbouring reports share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.quality.frame import Frame, Metres
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch

__all__ = ["MEMORY", "RADIUS_68", "Motions", "Sensing", "autoregression", "sense"]

MEMORY: Final = 0.85
"""Share of an error in the one 5 s later. Chosen so that a vehicle 10 m beside an edge, sigma 10 m, changes sides 76
times an hour when judged point by point: the reference value the ways of judging are compared at."""
RADIUS_68: Final = 1.515
"""Radius that holds 68 % of a round normal distribution, in standard deviations of one axis."""

_STEP_S: Final = 5.0
_HEADING_ERROR_DEG: Final = 3.0
_SPEED_ERROR_MPS: Final = 0.3
_TELLS_HEADING_MPS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Sensing:
    """How places are reported.

    Attributes:
        every_s: seconds between two reports of a user, a whole number.
        sigma_m: standard deviation of the error of one axis.
        tells: of every ten users so many have devices that tell speed and heading.
    """

    every_s: int
    sigma_m: float
    tells: int = 5


@dataclass(frozen=True, slots=True)
class Motions:
    """True motion, a row a second and a column a user.

    Attributes:
        place_m: metres (seconds, users, 2) in a local frame; NaN = not on record.
        speed_mps: metres per second.
        heading_deg: degrees from north.
    """

    place_m: Metres
    speed_mps: FloatColumn
    heading_deg: FloatColumn


def autoregression(count: int, width: int, memory: float, rng: np.random.Generator) -> FloatColumn:
    """Return (count, width) AR(1) processes of unit variance, stationary from the first row on."""
    found = rng.standard_normal((count, width))
    fresh = np.sqrt(1.0 - memory**2)
    for row in range(1, count):
        found[row] = memory * found[row - 1] + fresh * found[row]
    return found


def sense(motions: Motions, sensing: Sensing, frame: Frame, *, start_ms: int, seed: int) -> tuple[PingBatch, IntColumn]:
    """Report motions as pings.

    Args:
        motions: the truth.
        sensing: how it is reported.
        frame: what the places are metres of.
        start_ms: epoch milliseconds of the first row.
        seed: seed of the errors.

    Returns:
        Pings ordered by time, and the row of the truth behind each. ``u7`` is the column of the user. Everybody reports
        at a moment of the own within the interval.
    """
    rng = np.random.default_rng([seed, sensing.every_s, round(sensing.sigma_m * 10)])
    seconds, users = motions.speed_mps.shape
    turns = seconds // sensing.every_s
    phase = rng.integers(0, sensing.every_s, users)
    second = (np.arange(turns)[:, None] * sensing.every_s + phase).ravel()
    user = np.tile(np.arange(users), turns)
    memory = MEMORY ** (sensing.every_s / _STEP_S)
    error_m = autoregression(turns, 2 * users, memory, rng).reshape(-1, 2) * sensing.sigma_m
    place_m = motions.place_m[second, user] + error_m
    speed_mps, heading_deg = _told(motions, second, user, user % 10 < sensing.tells, rng)
    accuracy_m = RADIUS_68 * sensing.sigma_m * rng.uniform(0.9, 1.1, len(user))
    lon, lat = frame.to_degrees(place_m).T
    there = np.flatnonzero(~np.isnan(lon))
    rows = there[np.argsort(second[there], kind="stable")]
    pings = PingBatch(
        user[rows],
        start_ms + second[rows] * 1000,
        lon[rows],
        lat[rows],
        speed_mps[rows],
        heading_deg[rows],
        accuracy_m[rows],
    )
    return pings, second[rows]


def _told(
    motions: Motions, second: IntColumn, user: IntColumn, tells: BoolColumn, rng: np.random.Generator
) -> tuple[FloatColumn, FloatColumn]:
    """Return speeds and headings as devices tell them: from Doppler, so independent of the error of the place."""
    true_mps = motions.speed_mps[second, user]
    drives = true_mps > _TELLS_HEADING_MPS
    speed = np.abs(true_mps + rng.normal(0.0, _SPEED_ERROR_MPS, len(user)) * drives)
    heading = (motions.heading_deg[second, user] + rng.normal(0.0, _HEADING_ERROR_DEG, len(user))) % 360.0
    return np.where(tells, speed, np.nan), np.where(tells & drives, heading, np.nan)
