"""The learnt flow as a way of warning of its own: the engine's modules without its filters and visits.

make bench-quality ARGS="--way benchmarks.quality.flow_way:FlowWay --road-way benchmarks.quality.flow_way:RoadWay"
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from benchmarks.quality.baselines import Steps, steps_of
from benchmarks.quality.findings import Findings, Ground, Moments
from geo_engine.geodesy.kernels import degree_table
from geo_engine.index.border_grid import mark_wanted, unmarked
from geo_engine.index.cells import CellIndex, wanted_words
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch, ZoneKind
from geo_engine.tracking import flow_kernels
from geo_engine.tracking.approach_policy import ON_ROADS_UNLEARNT, ApproachPolicy, Tier
from geo_engine.tracking.chain import Chain, learnt_chain
from geo_engine.tracking.flow import Flow
from geo_engine.tracking.forecast import Outlooks, Prepared, outlooks_of
from geo_engine.tracking.foresight import Foreseen, Known, Movers, foresee
from geo_engine.tracking.outlook_table import ahead_room, outlook_table
from geo_engine.tracking.road_kernels import no_roads, road_table
from geo_engine.tracking.roads import RoadFlow, road_net
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ColdFlowWay", "ColdRoadWay", "FlowWay", "RoadWay", "Seen", "drivers_steps", "learnt_flow", "seen_of"]


@dataclass(frozen=True, slots=True)
class Seen:
    """Pings of all users, ordered by user, then time.

    Attributes:
        steps: places in metres, velocities.
        lon: degrees.
        lat: degrees.
        elapsed_s: since the ping before; NaN = the first.
    """

    steps: Steps
    lon: FloatColumn
    lat: FloatColumn
    elapsed_s: FloatColumn


def seen_of(pings: PingBatch) -> Seen:
    """Order pings and find out how they move."""
    order = np.lexsort((pings.time_ms, pings.u7))
    steps = steps_of(pings)
    elapsed_s = np.where(steps.first, np.nan, np.diff(steps.time_ms, prepend=steps.time_ms[:1]) / 1000.0)
    return Seen(steps, pings.lon[order], pings.lat[order], elapsed_s)


def learnt_flow(seen: Seen) -> Flow:
    """Learn from pings."""
    flow = Flow()
    flow.learn(drivers_steps(seen))
    return flow


def drivers_steps(seen: Seen) -> flow_kernels.DrivenSteps:
    """Return the steps between the pings of each user."""
    end = np.flatnonzero(~seen.steps.first)
    begin = end - 1
    east, north = np.nan_to_num(seen.steps.velocity_mps).T.copy()
    ends = [(seen.lon[row], seen.lat[row], east[row], north[row]) for row in (begin, end)]
    return flow_kernels.DrivenSteps(*ends[0], *ends[1], seen.steps.time_ms[end] - seen.steps.time_ms[begin])


def _zone_set(ground: Ground) -> ZoneSet:
    zones = (
        Zone(f"{number:04d}", ZoneKind.TRUCK_RESTRICTION, f"zone {number}", shape)
        for number, shape in enumerate(ground.zones)
    )
    return ZoneSet.of(zones)


@dataclass(frozen=True, slots=True)
class FlowWay:
    """The learnt flow, and the cone where nothing was learnt.

    Attributes:
        policy: when a forecast is a warning.
        least_chance: what is less likely is not kept in the table.
        name: what it is called in tables.
    """

    policy: ApproachPolicy = field(default_factory=ApproachPolicy)
    least_chance: float = 0.1
    name: str = "learnt flow"

    @property
    def sweep(self) -> tuple[FlowWay, ...]:
        """The same at other thresholds."""
        return tuple(
            replace(
                self,
                policy=replace(self.policy, learnt=(Tier(low, eta_s), Tier(high, 1.5 * eta_s))),
                least_chance=min(low, self.least_chance),
            )
            for low, high in ((0.02, 0.3), (0.06, 0.3), (0.12, 0.45), (0.18, 0.6), (0.3, 0.7), (0.5, 0.8))
            for eta_s in (20.0, 24.0, 30.0, 40.0)
        )

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Forecast at every ping of a moving user who is outside."""
        seen = seen_of(pings)
        rows, found = self.forecasts(seen, ground)
        row = rows[found.query]
        due = self.policy.due(found.chance, found.eta_s, found.learnt, seen.elapsed_s[row])
        row, zone = row[due], found.zone[due]
        inside = shapely.intersects_xy(np.array(ground.zones)[zone], seen.lon[row], seen.lat[row])
        warnings = Moments(seen.steps.u7[row[~inside]], zone[~inside], seen.steps.time_ms[row[~inside]])
        return Findings(warnings, Moments.none(), Moments.none())

    def forecasts(self, seen: Seen, ground: Ground) -> tuple[IntColumn, Foreseen]:
        """Return the rows that move and what lies ahead of them."""
        zones = _zone_set(ground)
        index = CellIndex(zones)
        known = self.known(zones, index, ground)
        wanted = wanted_words(np.ones((1, len(zones)), dtype=np.bool_))
        borders = unmarked(index.borders)
        mark_wanted(borders, wanted)
        moving: BoolColumn = seen.steps.speed_mps >= flow_kernels.MOVING_MPS
        rows = np.flatnonzero(moving)
        east, north = seen.steps.velocity_mps[rows].T.copy()
        reach_s = self.policy.reach_s(seen.elapsed_s[rows])
        movers = Movers(seen.lon[rows], seen.lat[rows], east, north, reach_s, np.zeros(len(rows), dtype=np.int64))
        return rows, foresee(known, borders, degree_table(), movers, wanted, ahead_room(len(zones)))

    def outlooks(self, chain: Chain, zones: ZoneSet, index: CellIndex) -> Outlooks:
        """Return the zones ahead of every state."""
        return outlooks_of(Prepared.of(chain), zones, index, least_chance=self.least_chance)

    def known(self, zones: ZoneSet, index: CellIndex, ground: Ground) -> Known:
        """Return what was learnt on the other day."""
        flow = Flow() if ground.history is None else learnt_flow(seen_of(ground.history))
        learnt = learnt_chain(flow.moves())
        return Known(outlook_table(learnt, self.outlooks(learnt.chain, zones, index)), no_roads())


@dataclass(frozen=True, slots=True)
class ColdFlowWay(FlowWay):
    """The same on its first day: nothing is learnt yet."""

    name: str = "cone, nothing learnt"

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Forecast without the other day."""
        return FlowWay(self.policy, self.least_chance).find(pings, replace(ground, history=None))


@dataclass(frozen=True, slots=True)
class RoadWay(FlowWay):
    """The roads with learnt turns; the flow where there is no road."""

    name: str = "roads, learnt turns"

    def known(self, zones: ZoneSet, index: CellIndex, ground: Ground) -> Known:
        """Return what was learnt on the other day, on the roads."""
        net = road_net(ground.roads or ())
        roads = RoadFlow(net)
        if ground.history is not None:
            roads.learn(drivers_steps(seen_of(ground.history)))
        table = road_table(net.grid, self.outlooks(roads.chain(), zones, index))
        return FlowWay.known(self, zones, index, ground)._replace(roads=table)


@dataclass(frozen=True, slots=True)
class ColdRoadWay(RoadWay):
    """The roads on the first day."""

    policy: ApproachPolicy = field(default_factory=lambda: ApproachPolicy(learnt=ON_ROADS_UNLEARNT))
    name: str = "roads, nothing learnt"

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Forecast without the other day."""
        return RoadWay(self.policy, self.least_chance).find(pings, replace(ground, history=None))
