"""The made-up demand of a city: who comes upon which zones, minute by minute, seeded and in columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from geo_engine.alerting.happenings import Happenings, Places
from geo_engine.model import IntColumn, Severity, ZoneKind
from geo_engine.tracking.events import APPROACH, ENTER, EXIT
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["MIDNIGHT_MS", "Demand", "Plan", "city_zones"]

MIDNIGHT_MS: Final = 1_792_339_200_000
"""2026-10-19 00:00 in Wuhan, a Monday."""
_MINUTES: Final = 1440
_TRUCKS: Final = 0.02
_PROFESSIONALS: Final = 0.002
"""Share of users who are on the road all day; they come upon zones ten to fifty times as often."""
_ROUND_TRIP: Final = 0.15
"""Share of encounters that happen again within half an hour."""
_STALE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated.

    Attributes:
        users: u7 from 0.
        truck_encounters: encounters with zones per truck and day.
        car_encounters: per other user and day.
        busier: per day, how many times as many truck encounters there are from noon on.
        seed: of all randomness.
    """

    users: int = 10_000_000
    truck_encounters: float = 1.8
    car_encounters: float = 0.6
    busier: tuple[float, ...] = (1.0, 1.0, 1.0, 1.5)
    seed: int = 5

    @property
    def days(self) -> int:
        """Return the number of days."""
        return len(self.busier)


def city_zones() -> ZoneSet:
    """Return 2,000 truck restrictions, 200 road works and 500 congestions; every tenth is severe."""
    kinds = [ZoneKind.TRUCK_RESTRICTION] * 2000 + [ZoneKind.CONSTRUCTION] * 200 + [ZoneKind.CONGESTION] * 500
    square = shapely.box(114.30, 30.59, 114.31, 30.61)
    return ZoneSet.of(
        Zone(f"z{n:04d}", kind, f"zone {n}", square, severity=Severity.HIGH if n % 10 == 0 else Severity.NORMAL)
        for n, kind in enumerate(kinds)
    )


@dataclass(frozen=True, slots=True)
class _Met:
    """Users who come upon zones at a second of a minute, in columns."""

    u7: IntColumn
    zone: IntColumn
    second: IntColumn
    kind: int

    def take(self, rows: IntColumn) -> _Met:
        return _Met(self.u7[rows], self.zone[rows], self.second[rows], self.kind)

    def as_(self, kind: int) -> _Met:
        return _Met(self.u7, self.zone, self.second, kind)


class Demand:
    """The happenings of every minute, as the engine hands them to the judge."""

    def __init__(self, plan: Plan, pushed: np.ndarray) -> None:
        """Prepare the users; ``pushed`` says per zone of ``city_zones`` whether it may be pushed about."""
        self._plan, self._pushed = plan, pushed
        self._rng = np.random.Generator(np.random.PCG64(plan.seed))
        self._trucks = max(int(plan.users * _TRUCKS), 10)
        self._coming: dict[int, list[_Met]] = defaultdict(list)

    def consenting(self) -> IntColumn:
        """Return who agreed to be warned: two in five of the truck drivers, one in four of the others."""
        share = np.where(np.arange(self._plan.users) < self._trucks, 0.4, 0.25)
        return np.flatnonzero(self._rng.random(self._plan.users) < share)

    def minutes(self) -> Iterator[tuple[int, Happenings]]:
        """Yield (now, happenings) of every minute."""
        for minute in range(self._plan.days * _MINUTES):
            self._meet(minute)
            now_ms = MIDNIGHT_MS + (minute + 1) * 60_000 - 1
            met = self._coming.pop(minute, [])
            if met:
                yield now_ms, self._happenings(met, now_ms - 59_999)

    def _meet(self, minute: int) -> None:
        plan, day = self._plan, minute // _MINUTES
        clock = minute % _MINUTES / 60
        busier = plan.busier[day] if clock >= 12 else 1.0
        trucks, cars = self._trucks, plan.users - self._trucks
        # Trucks drive all day, a little more before noon; others in two peaks. Both sum to about one over a day.
        by_truck = (0.4 + 0.9 * np.exp(-(((clock - 11) / 6.5) ** 2))) / _MINUTES * busier
        peaks = np.exp(-(((clock - 8) / 1.5) ** 2)) + np.exp(-(((clock - 18) / 2) ** 2))
        by_car = (0.35 + 2.5 * peaks) / _MINUTES
        self._encounter(minute, 0, trucks, plan.truck_encounters * by_truck, (0.6, 0.75))
        self._encounter(minute, trucks, cars, plan.car_encounters * by_car, (0.0, 0.3))

    def _encounter(self, minute: int, first: int, users: int, rate: float, shares: tuple[float, float]) -> None:
        rng = self._rng
        count = int(rng.poisson(users * rate))
        busy = rng.random(count) < 0.08
        u7 = first + np.where(
            busy, rng.integers(0, max(int(users * _PROFESSIONALS), 1), count), rng.integers(0, users, count)
        )
        who = np.repeat(np.arange(count), 1 + rng.binomial(3, 0.12, count))
        what, where = rng.random(len(who)), rng.random(len(who)) ** 2
        zone = np.select(
            [what < shares[0], what < shares[1]], [where * 2000, 2000 + where * 200], 2200 + where * 500
        ).astype(np.int64)
        pair = np.unique(who * 4096 + zone)
        met = _Met(u7[pair // 4096], pair % 4096, rng.integers(0, 12, count)[pair // 4096] * 5, APPROACH)
        self._schedule(minute, met)
        again = np.flatnonzero(rng.random(len(pair)) < _ROUND_TRIP)
        self._schedule(minute + int(rng.integers(6, 26)), met.take(again))

    def _schedule(self, minute: int, met: _Met) -> None:
        """Let users approach the zones that are pushed, enter a minute later and leave after two more."""
        if minute < self._plan.days * _MINUTES:
            self._coming[minute].append(met.take(np.flatnonzero(self._pushed[met.zone])))
        self._coming[minute + 1].append(met.as_(ENTER))
        self._coming[minute + 3].append(met.as_(EXIT))

    def _happenings(self, met: list[_Met], start_ms: int) -> Happenings:
        u7, zone, second = (np.concatenate([getattr(one, name) for one in met]) for name in ("u7", "zone", "second"))
        kind = np.concatenate([np.full(len(one.u7), one.kind, dtype=np.int8) for one in met])
        late = self._rng.random(len(u7)) < _STALE
        time_ms = start_ms + second * 1000 - np.where(late, 90_000, 0)
        order = np.lexsort((zone, kind, u7, time_ms))
        u7, zone, kind, time_ms = u7[order], zone[order], kind[order], time_ms[order]
        approaching = kind == APPROACH
        distance_m = np.where(approaching, 300.0 + (u7 * 7919 + zone * 104_729) % 1000, np.nan)
        nothing = np.zeros(len(u7))
        return Happenings(
            at=Places(u7, time_ms, zone, nothing, nothing),
            kind=kind,
            reason=np.zeros(len(u7), dtype=np.int8),
            due=kind != EXIT,
            unsure=np.zeros(len(u7), dtype=np.bool_),
            distance_m=distance_m,
            eta_s=distance_m / 13.0,
            bearing_deg=np.where(approaching, 90.0, np.nan),
        )
