"""Users on the streets of the made-up city, one ping each per tick of 5 s."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.city_streets import Streets, turned
from geo_engine.model import PingBatch
from geo_engine.testing import noon_ms

__all__ = ["TICK_MS", "Traffic"]

TICK_MS: Final = 5_000

_PARKED: Final = 0.3
_SLOWEST_MPS: Final = 5.0 / 3.6
_FASTEST_MPS: Final = 80.0 / 3.6
_STAYS: Final = np.float32(0.85)  # share of the last error in the next one
_ERROR_M: Final = np.float32(7.0)  # of either axis: 10 m in all
_CHUNK: Final = 1 << 16

_Floats = npt.NDArray[np.float32]
_Links = npt.NDArray[np.int64]


class Traffic:
    """Users ``0 .. users - 1`` who drive, turn at crossings, or stand.

    30 % are parked; the others drive at 5 to 80 km/h, with a new speed and often a new direction behind each crossing.
    Positions carry an error of about 10 m that changes slowly (AR(1)). Half of the devices tell speed and heading. All
    report once a tick, in an order that is new in every tick; state is 20 bytes a user. Cost: about 0.4 us a ping.

    Attributes:
        users: number of users.
        ticks: ticks made so far.
    """

    def __init__(self, streets: Streets, users: int, seed: int) -> None:
        """Place the users; the same for the same seed."""
        self.users = users
        self.ticks = 0
        self._streets = streets
        self._random = np.random.default_rng([seed, 4])
        self._state = np.empty((users, 5), dtype=np.float32)
        for first in range(0, users, _CHUNK):
            self._state[first : first + _CHUNK] = self._placed(min(_CHUNK, users - first))

    @property
    def now_ms(self) -> int:
        """The end of the last tick, epoch milliseconds: no ping made so far is later."""
        return noon_ms + self.ticks * TICK_MS

    def tick(self) -> PingBatch:
        """Move everyone by 5 s and return their pings. Besides its 56 bytes a ping, the batch costs 8 in passing."""
        order = self._random.permutation(self.users)
        time_ms = np.empty(self.users, dtype=np.int64)
        columns = np.empty((5, self.users))
        for first in range(0, self.users, _CHUNK):
            rows = slice(first, first + _CHUNK)
            columns[:, rows] = self._moved(order[rows])
            # Everyone has an own moment within the tick.
            time_ms[rows] = self.now_ms + order[rows] * 7_919 % TICK_MS
        self.ticks += 1
        lon, lat, speed_mps, heading_deg, accuracy_m = columns
        return PingBatch(order, time_ms, lon, lat, speed_mps, heading_deg, accuracy_m)

    def _placed(self, count: int) -> _Floats:
        """Return the state of new users: metres into the link, speed, both errors, link."""
        random, streets = self._random, self._streets
        link = streets.leaving(random, streets.some(random, count))
        speed = _speeds(random, count)
        speed[random.random(count) < _PARKED] = 0.0
        error = random.standard_normal((count, 2), dtype=np.float32) * _ERROR_M
        along = random.random(count, dtype=np.float32) * streets.length_m[link]
        # A link's number stays below 2^24, so that it is exact as a float32.
        return np.column_stack([along, speed, error, link.astype(np.float32)])

    def _moved(self, users: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.generic], ...]:
        """Move some users and return lon, lat, speed, heading, accuracy."""
        random, streets = self._random, self._streets
        state = self._state[users]
        along, speed, link = state[:, 0] + state[:, 1] * 5, state[:, 1], state[:, 4].astype(np.int64)
        over = np.flatnonzero(along >= streets.length_m[link])
        along[over] -= streets.length_m[link[over]]
        link[over] = self._turned(link[over])
        speed[over] = _speeds(random, len(over))
        fresh = random.standard_normal((len(users), 2), dtype=np.float32)
        error = state[:, 2:4] * _STAYS + fresh * (_ERROR_M * np.sqrt(1 - _STAYS**2))
        state[:, 0], state[:, 1], state[:, 2:4], state[:, 4] = along, speed, error, link
        self._state[users] = state
        start, end = streets.crossings[link >> 2], streets.crossings[streets.end[link]]
        share = (along / streets.length_m[link]).astype(np.float64)
        lon, lat = streets.to_degrees(start + (end - start) * share[:, None] + error)
        tells, drives = users % 2 == 0, speed > 0
        told_speed = np.where(tells, np.abs(speed + 0.1 * fresh[:, 0] * drives), np.nan)
        told_heading = np.where(tells & drives, (streets.heading_deg[link] + 3.0 * fresh[:, 1]) % 360.0, np.nan)
        accuracy = 5.0 + 10.0 * random.random(len(users), dtype=np.float32)
        return lon, lat, told_speed, told_heading, accuracy

    def _turned(self, link: _Links) -> _Links:
        """Return the links after the crossings: straight on mostly, to either side at times, never out of the city."""
        streets = self._streets
        draw = self._random.random(len(link), dtype=np.float32)
        quarters = np.where(draw < 0.15, 1, np.where(draw < 0.3, 3, 0))
        ahead = turned(streets.end[link].astype(np.int64) * 4 + (link & 3), quarters)
        return np.where(streets.end[ahead] >= 0, ahead, turned(ahead, 2))


def _speeds(random: np.random.Generator, count: int) -> _Floats:
    speeds: _Floats = random.uniform(_SLOWEST_MPS, _FASTEST_MPS, count).astype(np.float32)
    return speeds
