"""True drives through the city, second by second: habits at junctions, signals, stops; nothing of them is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.quality.frame import Metres
from benchmarks.quality.streets import Streets
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = [
    "BRAKES",
    "GREEN_SHARE",
    "RED_S",
    "SPEEDS_UP",
    "STOPS_PER_S",
    "TURN_MPS",
    "Drives",
    "drive",
    "turn_mps",
]

GREEN_SHARE: Final = 0.55
"""Share of the drivers who need not stop at a signal."""
RED_S: Final = (4, 36)
"""Least and greatest wait at a red signal, seconds."""
SPEEDS_UP: Final = 1.6
"""Metres per second a driver gains each second."""
BRAKES: Final = 2.2
"""Metres per second a driver loses each second before a bend or a red signal."""
STOPS_PER_S: Final = 1 / 2400
"""How often a driver stops at the kerb, per second of driving."""
TURN_MPS: Final = 22 / 3.6
"""Speed in a right angle; sharper is slower, straight on needs no braking."""

_STOP_S: Final = (15, 91)
_SLOWEST_MPS: Final = 25 / 3.6
_FASTEST_MPS: Final = 60 / 3.6
_STOP_LINE_M: Final = 6.0


@dataclass(frozen=True, slots=True)
class Drives:
    """The truth: one row per second, one column per user, from second 0 on.

    Attributes:
        stretch: int64 (seconds, users).
        along_m: metres into the stretch.
        speed_mps: speed over ground.
        parked: the user stands at the kerb, which a signal is not.
        place: metres (seconds, users, 2).
        heading_deg: degrees from north.
    """

    stretch: IntColumn
    along_m: FloatColumn
    speed_mps: FloatColumn
    parked: BoolColumn
    place: Metres
    heading_deg: FloatColumn

    @property
    def seconds(self) -> int:
        """Number of seconds."""
        return len(self.stretch)

    @property
    def users(self) -> int:
        """Number of users."""
        return self.stretch.shape[1]


@dataclass(slots=True)
class _Drivers:
    """Where everybody is and what he will do; one row per user, changed in place every second."""

    stretch: IntColumn
    movement: IntColumn
    along_m: FloatColumn
    speed_mps: FloatColumn
    pace: FloatColumn
    red: BoolColumn
    hold_s: IntColumn
    parked: BoolColumn


def turn_mps(streets: Streets) -> FloatColumn:
    """Return the speed at which each movement is driven (stretches, movements)."""
    sharpness = np.clip(np.abs(streets.turning_deg) / 90.0, 0.0, 1.0)
    return np.asarray(_FASTEST_MPS + (TURN_MPS - _FASTEST_MPS) * sharpness)


def drive(streets: Streets, *, users: int, seconds: int, seed: int) -> Drives:
    """Let users drive about; the same arguments give the same drives. Cost: about 0.5 us a user and second."""
    rng = np.random.default_rng([seed, 2])
    drivers = _placed(streets, users, rng)
    bends_mps, habit = turn_mps(streets), np.cumsum(streets.chance, axis=1)
    shape = (seconds, users)
    stretch, parked = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.bool_)
    along_m, speed_mps = np.empty(shape), np.empty(shape)
    for second in range(seconds):
        stretch[second], parked[second] = drivers.stretch, drivers.parked
        along_m[second], speed_mps[second] = drivers.along_m, drivers.speed_mps
        _move(streets, drivers, bends_mps, rng)
        _pass_junctions(streets, drivers, habit, rng)
        _stop_at_kerb(drivers, rng)
    place, heading_deg = streets.place(stretch.ravel(), along_m.ravel())
    return Drives(stretch, along_m, speed_mps, parked, place.reshape(*shape, 2), heading_deg.reshape(shape))


def _placed(streets: Streets, users: int, rng: np.random.Generator) -> _Drivers:
    stretch = rng.integers(0, len(streets), users)
    pace = np.clip(rng.normal(1.0, 0.06, users), 0.85, 1.15)
    return _Drivers(
        stretch=stretch,
        movement=_chosen(np.cumsum(streets.chance, axis=1)[stretch], rng),
        along_m=rng.random(users) * streets.length_m[stretch],
        speed_mps=_cruise_mps(streets, stretch, pace),
        pace=pace,
        red=np.zeros(users, dtype=np.bool_),
        hold_s=np.zeros(users, dtype=np.int64),
        parked=np.zeros(users, dtype=np.bool_),
    )


def _chosen(habit: FloatColumn, rng: np.random.Generator) -> IntColumn:
    # Rounding may leave the last sum a hair below one; nobody shall choose what is not there.
    return np.asarray((rng.random((len(habit), 1)) * habit[:, -1:] >= habit).sum(axis=1))


def _cruise_mps(streets: Streets, stretch: IntColumn, pace: FloatColumn) -> FloatColumn:
    return np.clip(streets.speed_mps[stretch] * pace, _SLOWEST_MPS, _FASTEST_MPS)


def _move(streets: Streets, drivers: _Drivers, bends_mps: FloatColumn, rng: np.random.Generator) -> None:
    """Drive for one second: brake for bends and red signals, wait, speed up again."""
    holding = drivers.hold_s > 0
    drivers.hold_s -= holding
    drivers.parked &= drivers.hold_s > 0
    left_m = streets.length_m[drivers.stretch] - drivers.along_m
    line_m = np.maximum(left_m - _STOP_LINE_M, 0.0)
    end_mps = np.where(drivers.red, 0.0, bends_mps[drivers.stretch, drivers.movement])
    braking_mps = np.sqrt(end_mps**2 + 2.0 * BRAKES * np.where(drivers.red, line_m, left_m))
    aim_mps = np.minimum(_cruise_mps(streets, drivers.stretch, drivers.pace), np.maximum(braking_mps, 1.5))
    speed_mps = np.minimum(aim_mps, drivers.speed_mps + SPEEDS_UP)
    stops = drivers.red & ~holding & (speed_mps >= line_m)
    step_m = np.where(stops, line_m, speed_mps)
    drivers.along_m += np.where(holding, 0.0, step_m)
    drivers.speed_mps = np.where(holding | stops, 0.0, speed_mps)
    drivers.hold_s[stops] = rng.integers(*RED_S, len(stops))[stops]
    drivers.red &= ~stops


def _pass_junctions(streets: Streets, drivers: _Drivers, habit: FloatColumn, rng: np.random.Generator) -> None:
    rows = np.flatnonzero(drivers.along_m >= streets.length_m[drivers.stretch])
    drivers.along_m[rows] -= streets.length_m[drivers.stretch[rows]]
    entered = streets.following[drivers.stretch[rows], drivers.movement[rows]]
    drivers.stretch[rows] = entered
    drivers.movement[rows] = _chosen(habit[entered], rng)
    drivers.red[rows] = streets.signal[entered] & (rng.random(len(rows)) >= GREEN_SHARE)


def _stop_at_kerb(drivers: _Drivers, rng: np.random.Generator) -> None:
    stops = (rng.random(len(drivers.stretch)) < STOPS_PER_S) & (drivers.hold_s == 0)
    drivers.hold_s[stops] = rng.integers(*_STOP_S, len(stops))[stops]
    drivers.parked |= stops
