"""The simulated city as a case to measure: streets, zones, drives, truth, and what phones report of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.quality.ceiling import Chances, Outlook, chances_of, outlook
from benchmarks.quality.drives import Drives, drive
from benchmarks.quality.findings import Ground, Moments
from benchmarks.quality.grounds import Grounds, ZonePlan, build_grounds, spans_of
from benchmarks.quality.score import Record
from benchmarks.quality.sensing import Motions, Sensing, sense
from benchmarks.quality.streets import CITY, StreetPlan, Streets, build_streets
from benchmarks.quality.truth import Stays, stays_of, visits_of
from geo_engine.model import IntColumn, PingBatch
from geo_engine.testing import noon_ms

__all__ = ["FULL", "QUICK", "CityCase", "CityPlan", "build_city_case"]


@dataclass(frozen=True, slots=True)
class CityPlan:
    """How large the case is.

    Attributes:
        users: drivers.
        seconds: length of the record.
        streets: what the streets are drawn from.
        zones: how many zones.
        seed: seed of everything.
    """

    users: int = 300
    seconds: int = 3600
    streets: StreetPlan = field(default_factory=StreetPlan)
    zones: ZonePlan = field(default_factory=ZonePlan)
    seed: int = 1


FULL = CityPlan()
QUICK = replace(FULL, users=60, seconds=1500)


@dataclass(frozen=True, slots=True)
class CityCase:
    """The city with everything that is known of it.

    Attributes:
        plan: what it was drawn from.
        streets: the network and the habits.
        grounds: the zones.
        drives: the truth second by second.
        stays: when who was inside where.
        record: the visits.
        chances: what the oracle knows of every stretch.
    """

    plan: CityPlan
    streets: Streets
    grounds: Grounds
    drives: Drives
    stays: Stays
    record: Record
    chances: Chances

    def ground(self, sensing: Sensing | None = None, *, roads: bool = False) -> Ground:
        """Return what a way may know: the zones, with ``sensing`` another day's pings, with ``roads`` the map."""
        history = None if sensing is None else self.history(sensing)
        return Ground(self.grounds.polygons(), self.streets.roads() if roads else None, history)

    def pings(self, sensing: Sensing) -> PingBatch:
        """Return what phones report."""
        return self._sensed(sensing)[0]

    def history(self, sensing: Sensing) -> PingBatch:
        """Return the pings of another day: the same city and habits, other drives."""
        drives = drive(self.streets, users=self.plan.users, seconds=self.plan.seconds, seed=self.plan.seed + 1000)
        return replace(self, drives=drives, plan=replace(self.plan, seed=self.plan.seed + 1000)).pings(sensing)

    def outlook(self, sensing: Sensing) -> Outlook:
        """Return what the oracle thinks at the moments at which phones report."""
        pings, second = self._sensed(sensing)
        seen = outlook(self.chances, self.drives, self.stays, pings.u7, second)
        return replace(seen, at=Moments(seen.at.u7, seen.at.zone, seen.at.time_ms + noon_ms))

    def _sensed(self, sensing: Sensing) -> tuple[PingBatch, IntColumn]:
        motions = Motions(self.drives.place, self.drives.speed_mps, self.drives.heading_deg)
        return sense(motions, sensing, CITY, start_ms=noon_ms, seed=self.plan.seed)


def build_city_case(plan: CityPlan = FULL) -> CityCase:
    """Draw the city, drive through it and find out who visited what."""
    streets = build_streets(plan.streets, plan.seed)
    grounds = build_grounds(streets, plan.zones, plan.seed)
    drives = drive(streets, users=plan.users, seconds=plan.seconds, seed=plan.seed)
    stays = stays_of(drives.place, grounds.shapes)
    visits = visits_of(stays)
    record = Record(
        visits=Moments(visits.user, visits.zone, noon_ms + np.rint(visits.time_s * 1000).astype(np.int64)),
        start_ms=noon_ms,
        end_ms=np.full(plan.users, noon_ms + plan.seconds * 1000),
        hours=plan.users * plan.seconds / 3600.0,
    )
    return CityCase(
        plan, streets, grounds, drives, stays, record, chances_of(streets, spans_of(streets, grounds.shapes))
    )
