"""Seeded traffic: trucks and cars that drive along roads and report themselves every five seconds, as phones do.

The same network, seed, number of users and start give the same pings, however the time is cut into calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import U7_COUNT, BoolColumn, FloatColumn, IntColumn, PingBatch, Vehicle
from geo_engine.simulate.fleet import FIRST_U7, Fleet
from geo_engine.simulate.network import RoadNetwork

__all__ = ["TICK_MS", "Traffic", "simulate"]

TICK_MS: Final = 5_000
"""Every user reports once per tick, each at his own moment of it."""

_TICK_S: Final = TICK_MS / 1000

# Driving. Speeds stay in 20 .. 80 km/h unless the vehicle stands.
_SLOWEST_MPS: Final = 20 / 3.6
_FASTEST_MPS: Final = 80 / 3.6
_SPEED_GAIN: Final = 0.4
_RED_LIGHT_SHARE: Final = 0.3
_RED_LIGHT_TICKS: Final = (2, 11)
_STOP_LINE_M: Final = 8.0
_PARKING_SHARE: Final = 1 / 1500
_PARKING_TICKS: Final = (24, 121)
_PARKED_AT_START_SHARE: Final = 0.05

# This share of the trucks starts so that a bridge or tunnel is 30 .. 90 s ahead: a short demonstration shows warnings.
_BOUND_SHARE: Final = 0.4
_BOUND_S: Final = (30.0, 90.0)

# The device. Noise is a first-order autoregression per axis: neighbouring fixes err alike, as in street canyons.
_NOISE_M: Final = 8.0
_NOISE_MEMORY: Final = 0.92
_RADIUS_68: Final = 1.515
"""Radius that holds 68 % of a round two-dimensional normal distribution, in standard deviations of one axis."""
_TELLS_MOTION_SHARE: Final = 0.85
_HEADING_NOISE_DEG: Final = 2.5
_SILENCE_SHARE: Final = 1 / 400
_SILENCE_TICKS: Final = (4, 37)


@dataclass(slots=True)
class _Drivers:
    """Where everybody is and what he is about to do; one row per user, changed in place at every tick."""

    stretch: IntColumn
    following: IntColumn
    along_m: FloatColumn
    speed_mps: FloatColumn
    stops_ahead: BoolColumn
    hold_ticks: IntColumn
    silent_ticks: IntColumn
    noise_east: FloatColumn
    noise_north: FloatColumn


@dataclass(frozen=True, slots=True)
class _Habits:
    """What does not change about a driver and his device."""

    pace: FloatColumn
    phase_ms: IntColumn
    noise_m: FloatColumn
    tells_motion: BoolColumn


class Traffic:
    """A fleet on a road network that is moved forward in time, tick by tick.

    Args:
        network: the roads.
        users: number of vehicles.
        seed: seed of everything that is random.
        start_ms: epoch milliseconds UTC at which the first tick begins.

    Raises:
        ValueError: there are no users, or more than there are numbers for.
    """

    def __init__(self, network: RoadNetwork, *, users: int, seed: int, start_ms: int) -> None:
        if not 1 <= users <= U7_COUNT - FIRST_U7:
            message = f"users must be in 1 .. {U7_COUNT - FIRST_U7}, got {users}"
            raise ValueError(message)
        self._network = network
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._fleet = Fleet.draw(users, self._rng)
        self._habits = _draw_habits(users, self._rng)
        self._drivers = _place(network, self._fleet.truck, self._habits.pace, self._rng)
        self._next_tick_ms = start_ms
        self._waiting = PingBatch.empty()

    def vehicles(self) -> list[Vehicle]:
        """Return the profile of every vehicle, ordered by u7."""
        return self._fleet.vehicles()

    def pings_between(self, t0_ms: int, t1_ms: int) -> PingBatch:
        """Return the pings of ``t0_ms <= time < t1_ms``, ordered by time and user.

        Time only moves forward: pings before ``t0_ms`` that were never asked for are lost, pings before the end of
        an earlier call do not come again. Cost: about 1 us a ping from some thousand users on, memory for one call.
        """
        batches = [self._waiting]
        while self._next_tick_ms < t1_ms:
            batches.append(self._tick())
        batch = PingBatch.concat(batches)
        later = batch.time_ms >= t1_ms
        self._waiting = batch.take(later)
        due = batch.take(~later & (batch.time_ms >= t0_ms))
        return due.take(np.lexsort((due.u7, due.time_ms)))

    def _tick(self) -> PingBatch:
        """Let everybody report once, then drive for one tick."""
        pings = _report(self._network, self._drivers, self._habits, self._next_tick_ms, self._rng)
        _drive(self._network, self._drivers, self._habits.pace, self._rng)
        _disturb(self._drivers, self._rng)
        self._next_tick_ms += TICK_MS
        return pings


def simulate(network: RoadNetwork, *, users: int, minutes: float, seed: int, start_ms: int) -> PingBatch:
    """Return the pings of ``users`` vehicles over ``minutes`` minutes, ordered by time and user.

    The same arguments give the same batch, bit for bit (one NumPy release, one processor family).
    """
    traffic = Traffic(network, users=users, seed=seed, start_ms=start_ms)
    return traffic.pings_between(start_ms, start_ms + round(minutes * 60_000))


def _draw_habits(users: int, rng: np.random.Generator) -> _Habits:
    return _Habits(
        pace=rng.uniform(0.85, 1.1, users),
        phase_ms=rng.integers(0, TICK_MS, users),
        noise_m=_NOISE_M * rng.lognormal(0.0, 0.2, users),
        tells_motion=rng.random(users) < _TELLS_MOTION_SHARE,
    )


def _cruise_mps(network: RoadNetwork, stretch: IntColumn, pace: FloatColumn) -> FloatColumn:
    return np.clip(network.speed_mps[stretch] * pace, _SLOWEST_MPS, _FASTEST_MPS)


def _place(network: RoadNetwork, truck: BoolColumn, pace: FloatColumn, rng: np.random.Generator) -> _Drivers:
    """Put everybody somewhere on the roads, long roads getting more, and a share of the trucks before a crossing."""
    users = len(truck)
    shares = np.cumsum(network.length_m) / network.length_m.sum()
    stretch = np.minimum(np.searchsorted(shares, rng.random(users), side="right"), len(network) - 1)
    following = network.turn(stretch, rng.random(users))
    along_m = rng.random(users) * network.length_m[stretch]
    parked = rng.random(users) < _PARKED_AT_START_SHARE
    bound = truck & (rng.random(users) < _BOUND_SHARE)
    feeder, crossing = network.feeders()
    lead_s = rng.uniform(*_BOUND_S, users)
    if len(feeder):
        pair = (rng.random(users) * len(feeder)).astype(np.int64)
        stretch = np.where(bound, feeder[pair], stretch)
        following = np.where(bound, crossing[pair], following)
        ahead_m = lead_s * _cruise_mps(network, stretch, pace)
        along_m = np.where(bound, np.maximum(network.length_m[stretch] - ahead_m, 0.0), along_m)
        parked &= ~bound
    hold_ticks = np.where(parked, rng.integers(*_PARKING_TICKS, users), 0)
    return _Drivers(
        stretch=stretch.astype(np.int64),
        following=following,
        along_m=along_m,
        speed_mps=np.where(parked, 0.0, _cruise_mps(network, stretch, pace)),
        stops_ahead=np.zeros(users, dtype=np.bool_),
        hold_ticks=hold_ticks,
        silent_ticks=np.zeros(users, dtype=np.int64),
        noise_east=rng.standard_normal(users),
        noise_north=rng.standard_normal(users),
    )


def _report(
    network: RoadNetwork, drivers: _Drivers, habits: _Habits, tick_ms: int, rng: np.random.Generator
) -> PingBatch:
    users = len(drivers.stretch)
    lon, lat, heading_deg = network.place(drivers.stretch, drivers.along_m)
    mx, my = metres_per_degree(lat)
    moving = habits.tells_motion & (drivers.speed_mps > 0.0)
    heading_deg = np.mod(heading_deg + rng.normal(0.0, _HEADING_NOISE_DEG, users), 360.0)
    speed_mps = np.abs(drivers.speed_mps + rng.normal(0.0, 0.3, users) * moving)
    pings = PingBatch(
        u7=np.arange(FIRST_U7, FIRST_U7 + users),
        time_ms=tick_ms + habits.phase_ms,
        lon=lon + drivers.noise_east * habits.noise_m / mx,
        lat=lat + drivers.noise_north * habits.noise_m / my,
        speed_mps=np.where(habits.tells_motion, speed_mps, np.nan),
        heading_deg=np.where(moving, heading_deg, np.nan),
        accuracy_m=np.round(_RADIUS_68 * habits.noise_m * rng.uniform(0.9, 1.1, users), 1),
    )
    return pings.take(drivers.silent_ticks == 0)


def _drive(network: RoadNetwork, drivers: _Drivers, pace: FloatColumn, rng: np.random.Generator) -> None:
    """Move everybody for one tick, over as many junctions as it takes."""
    users = len(drivers.stretch)
    holding = drivers.hold_ticks > 0
    drivers.hold_ticks -= holding
    aim_mps = _cruise_mps(network, drivers.stretch, pace)
    speed_mps = drivers.speed_mps + _SPEED_GAIN * (aim_mps - drivers.speed_mps) + rng.normal(0.0, 0.4, users)
    drivers.speed_mps = np.where(holding, 0.0, np.clip(speed_mps, 0.0, _FASTEST_MPS))
    drivers.along_m += drivers.speed_mps * _TICK_S
    _stop_at_lights(network, drivers, rng)
    while (arrived := np.flatnonzero(drivers.along_m >= network.length_m[drivers.stretch])).size:
        _pass_junction(network, drivers, arrived, rng)
    parks = (rng.random(users) < _PARKING_SHARE) & (drivers.hold_ticks == 0) & ~network.crossing[drivers.stretch]
    drivers.hold_ticks[parks] = rng.integers(*_PARKING_TICKS, users)[parks]


def _stop_at_lights(network: RoadNetwork, drivers: _Drivers, rng: np.random.Generator) -> None:
    line_m = np.maximum(network.length_m[drivers.stretch] - _STOP_LINE_M, 0.0)
    stops = drivers.stops_ahead & (drivers.along_m >= line_m)
    drivers.along_m = np.where(stops, line_m, drivers.along_m)
    drivers.hold_ticks[stops] = rng.integers(*_RED_LIGHT_TICKS, len(stops))[stops]
    drivers.speed_mps[stops] = 0.0
    drivers.stops_ahead &= ~stops


def _pass_junction(network: RoadNetwork, drivers: _Drivers, rows: IntColumn, rng: np.random.Generator) -> None:
    drivers.along_m[rows] -= network.length_m[drivers.stretch[rows]]
    entered = drivers.following[rows]
    drivers.stretch[rows] = entered
    following = network.turn(entered, rng.random(len(rows)))
    drivers.following[rows] = following
    # Nobody waits before a bridge: its ramps are free of lights.
    red = rng.random(len(rows)) < _RED_LIGHT_SHARE
    drivers.stops_ahead[rows] = red & network.signal[entered] & ~network.crossing[following]


def _disturb(drivers: _Drivers, rng: np.random.Generator) -> None:
    """Let the noise wander and the silences begin and pass."""
    users = len(drivers.stretch)
    fresh = np.sqrt(1.0 - _NOISE_MEMORY**2)
    drivers.noise_east = _NOISE_MEMORY * drivers.noise_east + fresh * rng.standard_normal(users)
    drivers.noise_north = _NOISE_MEMORY * drivers.noise_north + fresh * rng.standard_normal(users)
    drivers.silent_ticks -= drivers.silent_ticks > 0
    falls_silent = (rng.random(users) < _SILENCE_SHARE) & (drivers.silent_ticks == 0)
    drivers.silent_ticks[falls_silent] = rng.integers(*_SILENCE_TICKS, users)[falls_silent]
