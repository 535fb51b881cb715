"""The engine: one deterministic step from a batch of pings to transitions and decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from geo_engine.alerting.alerts import Alerts
from geo_engine.alerting.happenings import APPROACH, CROSS, ENTER, EXIT, OPENED, OWED, Happenings, Places
from geo_engine.alerting.judge import Judge
from geo_engine.alerting.people import People
from geo_engine.alerting.policy import Policy
from geo_engine.alerting.visits import VisitChanges
from geo_engine.index.protocol import Pairs, ZoneIndex
from geo_engine.index.rtree import RtreeIndex
from geo_engine.model import (
    U7_COUNT,
    BoolColumn,
    IntColumn,
    Language,
    PingBatch,
    RejectReason,
    Rejects,
    TransitionReason,
    Transitions,
    Vehicle,
    Visit,
)
from geo_engine.tracking.approach import LookAhead, find_approaches
from geo_engine.tracking.motion import Motion, estimate_motion
from geo_engine.tracking.screening import REASONS, Codes, JumpLimits, absurd_jumps, arrange, screen
from geo_engine.tracking.state import PACKED_ROW, InsideSets, new_rows
from geo_engine.tracking.steps import Steps
from geo_engine.tracking.transitions import crossed, left_and_entered, zones_before
from geo_engine.zones.rulebook import RuleBook
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Decisions", "Engine", "EngineConfig"]

_NO_DEADLINE: Final = np.iinfo(np.int64).max
_NOTHING: Final = np.empty(0, dtype=np.int64)
_NO_PAIRS: Final = Pairs(_NOTHING, _NOTHING)
_NOWHERE: Final = Places(_NOTHING, _NOTHING, _NOTHING, np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How the engine reads positions. ``None`` switches a filter off.

    Attributes:
        look: how far ahead to look for a border; None = no approach.
        jumps: when a step is absurd.
        max_accuracy_m: vaguer positions are set aside.
        max_gap_s: after a longer silence the straight way between two pings is no evidence of what was crossed.
        lost_after_s: a user inside who is silent for longer has left: exit with reason ``lost``.
        max_lag_s: a ping that arrives later than this after its event time is late; must be below ``lost_after_s``,
            or a user who reports with such a lag would be lost and found at every ping. Replays switch it off.
        future_tolerance_s: how far ahead of ``now`` a device's clock may run.
        approach_reset_s: an approach that is not renewed for longer is over.
        policy: what may be pushed.
    """

    look: LookAhead | None = field(default_factory=LookAhead)
    jumps: JumpLimits | None = field(default_factory=JumpLimits)
    max_accuracy_m: float | None = 200.0
    max_gap_s: float | None = 600.0
    lost_after_s: float | None = 900.0
    max_lag_s: float | None = 600.0
    future_tolerance_s: float = 300.0
    approach_reset_s: float = 300.0
    policy: Policy = field(default_factory=Policy)

    @classmethod
    def exact(cls, policy: Policy | None = None) -> EngineConfig:
        """Return pure geometry: no filter, no look-ahead, nobody is ever lost."""
        return cls(
            look=None,
            jumps=None,
            max_accuracy_m=None,
            max_gap_s=None,
            lost_after_s=None,
            max_lag_s=None,
            policy=policy or Policy(),
        )


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one step brought.

    Attributes:
        accepted: pings that moved the state.
        rejects: pings that were not used, by their row in the batch.
        transitions: what happened, ordered by time, user, kind, zone.
        alerts: every decision about a warning, sent or suppressed.
        visits: visits that began, changed or ended; the store keeps them for a restart.
        inside: number of (user, zone) pairs of users inside after the step.
        next_deadline_ms: moment at which the engine wants to be called even without pings, None = never.
    """

    accepted: int
    rejects: Rejects
    transitions: Transitions
    alerts: Alerts
    visits: VisitChanges
    inside: int
    next_deadline_ms: int | None


class Engine:
    """Judges pings against one set of zones. Deterministic in (state, zones, batch, now); touches nothing outside.

    Not safe for several threads at once: one thread owns an engine.
    """

    def __init__(
        self,
        zones: ZoneSet,
        *,
        config: EngineConfig | None = None,
        vehicles: Iterable[Vehicle] = (),
        default_vehicle: Vehicle | None = None,
        index: Callable[[ZoneSet], ZoneIndex] = RtreeIndex,
    ) -> None:
        """Build the index and start with an empty state.

        Args:
            zones: the zones to judge with.
            config: how positions are read and what may be pushed.
            vehicles: what is known of users.
            default_vehicle: stands for every other user; by default nothing is known and no consent is given.
            index: makes the zone index.
        """
        self.zones = zones
        self.config = config or EngineConfig()
        self._people = People(default_vehicle or Vehicle(u7=0, consent_warnings=False))
        self._index = index(zones)
        self._rules = RuleBook(zones, self._people.default)
        self._rows = new_rows()
        self._inside = InsideSets()
        self._judge = Judge(
            zones,
            np.zeros(U7_COUNT, dtype=PACKED_ROW),
            self.config.policy,
            reset_ms=_ms(self.config.approach_reset_s),
            default=self._people.default,
        )
        self._deadline_ms: int = _NO_DEADLINE
        self._restored_ms = 0
        self.put_vehicles(vehicles)

    def put_vehicles(self, vehicles: Iterable[Vehicle]) -> None:
        """Set what is known of users: vehicle, consent, language."""
        known = list(vehicles)
        self._people.put(known)
        told = {vehicle.u7: vehicle for vehicle in known}
        self._judge.tell(
            np.array(list(told), dtype=np.int64),
            np.array([vehicle.consent_warnings for vehicle in told.values()], dtype=np.bool_),
            np.array([vehicle.language is Language.EN for vehicle in told.values()], dtype=np.bool_),
        )
        for vehicle in known:
            self._rows["profile"][vehicle.u7] = self._rules.profile_of(vehicle)

    def restore(self, visits: Iterable[Visit], sent_today: Mapping[int, int], *, now_ms: int) -> None:
        """Continue after a restart: who was inside, who was warned about what, how often today.

        Visits of zones that are no longer in the set are left out. Positions are not restored: the first ping of a
        user is judged as a point, and silence counts from ``now_ms``.
        """
        positions = self.zones.position
        known = [(visit, positions[visit.zone_id]) for visit in visits if visit.zone_id in positions]
        self._judge.restore(known, sent_today, now_ms=now_ms)
        for visit, _ in known:
            self._rows["time_ms"][visit.u7] = max(int(self._rows["time_ms"][visit.u7]), visit.last_ms)
        members = np.array([(one.u7, zone) for one, zone in known if one.inside], dtype=np.int64).reshape(-1, 2)
        users = np.unique(members[:, 0])
        self._inside.replace(users, Pairs(np.searchsorted(users, members[:, 0]), members[:, 1]))
        self._restored_ms = now_ms
        if len(users) and self.config.lost_after_s is not None:
            self._deadline_ms = now_ms + _ms(self.config.lost_after_s)

    def process(self, batch: PingBatch, now: int) -> Decisions:
        """Judge a batch of pings.

        Order and duplicates inside the batch change nothing. Cost: a few microseconds per ping (shapely on the
        candidates of the R-tree); see ``benchmarks/results``.

        Args:
            batch: WGS-84 pings in any order; unusable ones are rejected one by one.
            now: the moment of judging, epoch milliseconds UTC; never earlier than at the call before.

        Returns:
            Everything the step brought.
        """
        codes = screen(
            batch,
            latest_ms=now + _ms(self.config.future_tolerance_s),
            late_ms=None if self.config.max_lag_s is None else now - _ms(self.config.max_lag_s),
            max_accuracy_m=self.config.max_accuracy_m,
        )
        steps = self._accept(batch, codes)
        parts = self._movements(steps, now)
        parts.append(self._silences(now))
        happenings = Happenings.joined(parts)
        judged = self._judge.walk(happenings, now_ms=now)
        self._judge.visits.forget_old(now)
        rejected = np.flatnonzero(codes >= 0)
        return Decisions(
            accepted=len(steps),
            rejects=Rejects(rejected, codes[rejected]),
            transitions=happenings.transitions(np.flatnonzero(judged.reported)),
            alerts=judged.alerts,
            visits=judged.visits,
            inside=len(self._inside),
            next_deadline_ms=None if self._deadline_ms == _NO_DEADLINE else self._deadline_ms,
        )

    def _accept(self, batch: PingBatch, codes: Codes) -> Steps:
        """Order the usable pings, set repeats, latecomers and absurd jumps aside, and join them to their users."""
        usable = np.flatnonzero(codes < 0)
        rows, repeated, late = arrange(batch, usable, self._rows["time_ms"][batch.u7[usable]])
        codes[repeated] = REASONS.index(RejectReason.DUPLICATE)
        codes[late] = REASONS.index(RejectReason.LATE)
        pings = batch.take(rows)
        start = self._rows[pings.u7]
        anchored = np.zeros(len(pings), dtype=np.bool_)
        if self.config.jumps is not None:
            absurd, anchored = absurd_jumps(pings, start, self.config.jumps)
            codes[rows[absurd]] = REASONS.index(RejectReason.SPEED_JUMP)
            self._count_jumps(pings, absurd)
            pings, start, anchored = pings.take(~absurd), start[~absurd], anchored[~absurd]
        gap = self.config.max_gap_s
        return Steps.of(pings, start, anchored, max_gap_ms=None if gap is None else _ms(gap))

    def _count_jumps(self, pings: PingBatch, absurd: BoolColumn) -> None:
        """Remember how many absurd pings each user sent since the last believed one; a repeated one counts once."""
        believed = np.flatnonzero(~absurd)
        self._rows["jumps"][pings.u7[believed]] = 0
        last_believed = dict(zip(pings.u7[believed].tolist(), believed.tolist(), strict=True)) if absurd.any() else {}
        for row in np.flatnonzero(absurd).tolist():
            state = self._rows[int(pings.u7[row])]
            if row > last_believed.get(int(pings.u7[row]), -1) and pings.time_ms[row] > state["jump_ms"]:
                state["jumps"] = min(int(state["jumps"]) + 1, 255)
                state["jump_ms"] = pings.time_ms[row]

    def _movements(self, steps: Steps, now_ms: int) -> list[Happenings]:
        """Match the steps, move the state on, and return what happened."""
        start = self._rows[steps.pings.u7]
        now = self._index.containing(steps.pings.lon, steps.pings.lat)
        held = zones_before(steps, now, self._inside)
        silent = self._silent(steps)
        lost = Pairs(held.query[silent[held.query]], held.zone[silent[held.query]])
        before = Pairs(held.query[~silent[held.query]], held.zone[~silent[held.query]])
        left, entered = left_and_entered(before, now)
        ways = np.flatnonzero(steps.joined & ~silent)
        touched = self._index.touching(steps.segments(ways))
        passed = crossed(Pairs(ways[touched.query], touched.zone), before, now)
        motion = estimate_motion(steps, start)
        stayed = _common(before, now)
        parts = [
            self._lost_on_the_way(steps, lost),
            Happenings.plain(_places(steps, left), EXIT),
            Happenings.plain(_places(steps, passed), CROSS),
            self._ruled(_places(steps, entered), ENTER),
            *self._newly_due(steps, stayed, now_ms),
            self._approaching(steps, motion),
        ]
        self._move_on(steps, motion, now, now_ms)
        return parts

    def _silent(self, steps: Steps) -> BoolColumn:
        """Say which steps follow a silence long enough to have lost the user."""
        if self.config.lost_after_s is None:
            return np.zeros(len(steps), dtype=np.bool_)
        since = np.maximum(steps.before_ms, self._restored_ms)
        silent: BoolColumn = steps.known & (steps.pings.time_ms - since > _ms(self.config.lost_after_s))
        return silent

    def _lost_on_the_way(self, steps: Steps, lost: Pairs) -> Happenings:
        rows = lost.query
        since = np.maximum(steps.before_ms[rows], self._restored_ms)
        lost_ms = _ms(self.config.lost_after_s or 0.0)
        place = (np.where(steps.placed[rows], column[rows], np.nan) for column in (steps.before_lon, steps.before_lat))
        return Happenings.plain(
            Places(steps.pings.u7[rows], since + lost_ms, lost.zone, *place), EXIT, reason=TransitionReason.LOST
        )

    def _ruled(self, at: Places, kind: int) -> Happenings:
        """Return happenings with the rule that is in force at their time."""
        concern = self._rules.concern(self._rows["profile"][at.u7], at.zone)
        return Happenings.judged(at, kind, np.where(self._rules.in_force(at.zone, at.time_ms), concern, 0))

    def _newly_due(self, steps: Steps, stayed: Pairs, now_ms: int) -> tuple[Happenings, Happenings]:
        """Find users who stayed inside while the zone came into force, or while their pings became recent enough."""
        asked = self._rules.warnable[stayed.zone] & steps.known[stayed.query]
        rows, zone = stayed.query[asked], stayed.zone[asked]
        due = self._fresh(steps.pings.time_ms[rows], now_ms) & self._rules.in_force(zone, steps.pings.time_ms[rows])
        rows, zone = rows[due], zone[due]
        was_in_force = self._rules.in_force(zone, steps.before_ms[rows])
        remembered = self._rows["fresh"][steps.pings.u7[rows]]
        was_fresh = np.where(steps.first[rows], remembered, self._fresh(steps.before_ms[rows], now_ms))
        owed = was_in_force & ~was_fresh
        opened = Pairs(rows[~was_in_force], zone[~was_in_force])
        return (
            self._ruled(_places(steps, opened), OPENED),
            self._ruled(_places(steps, Pairs(rows[owed], zone[owed])), OWED),
        )

    def _fresh(self, time_ms: IntColumn, now_ms: int) -> BoolColumn:
        """Say which pings are recent enough to warn."""
        limit_s = self.config.policy.stale_after_s
        if limit_s is None:
            return np.ones(len(time_ms), dtype=np.bool_)
        fresh: BoolColumn = now_ms - time_ms <= _ms(limit_s)
        return fresh

    def _approaching(self, steps: Steps, motion: Motion) -> Happenings:
        """Find users about to reach a zone that concerns them and is in force when they arrive."""
        if self.config.look is None:
            return Happenings.plain(_places(steps, _NO_PAIRS), APPROACH)
        profile = self._rows["profile"][steps.pings.u7].astype(np.int64)
        wanted = self._rules.wanted()
        found = find_approaches(steps, motion, self._index, profile=profile, wanted=wanted, look=self.config.look)
        arrival_ms = steps.pings.time_ms[found.query] + (found.eta_s * 1000).astype(np.int64)
        met = np.flatnonzero(self._rules.in_force(found.zone, arrival_ms))
        query, zone = found.query[met], found.zone[met]
        return Happenings.judged(
            _places(steps, Pairs(query, zone)),
            APPROACH,
            self._rules.concern(profile[query], zone),
            ahead=(found.distance_m[met], found.eta_s[met], found.bearing_deg[met]),
        )

    def _move_on(self, steps: Steps, motion: Motion, now: Pairs, now_ms: int) -> None:
        """Write the last ping of every user into the state."""
        count = len(steps)
        if count == 0:
            return
        last = np.ones(count, dtype=np.bool_)
        last[:-1] = steps.first[1:]
        rows = np.flatnonzero(last)
        users = steps.pings.u7[rows]
        state = self._rows[users]
        state["time_ms"], state["placed"] = steps.pings.time_ms[rows], True
        state["lon"], state["lat"] = steps.pings.lon[rows], steps.pings.lat[rows]
        state["fresh"] = self._fresh(steps.pings.time_ms[rows], now_ms)
        state["moving"] = ~np.isnan(motion.step_east_mps[rows])
        state["east_mps"], state["north_mps"] = motion.step_east_mps[rows], motion.step_north_mps[rows]
        self._rows[users] = state
        stays = last[now.query]
        self._inside.replace(users, Pairs(np.searchsorted(rows, now.query[stays]), now.zone[stays]))
        if self.config.lost_after_s is not None and len(now):
            self._deadline_ms = min(
                self._deadline_ms, int(steps.pings.time_ms[rows].min()) + _ms(self.config.lost_after_s)
            )

    def _silences(self, now_ms: int) -> Happenings:
        """Close the visits of users who are silent for too long at ``now_ms``."""
        if self.config.lost_after_s is None or now_ms < self._deadline_ms:
            return Happenings.plain(_NOWHERE, EXIT)
        lost_ms = _ms(self.config.lost_after_s)
        users = self._inside.users()
        due_ms = np.maximum(self._rows["time_ms"][users], self._restored_ms) + lost_ms
        gone = due_ms <= now_ms
        waiting = due_ms[~gone]
        self._deadline_ms = int(waiting.min()) if len(waiting) else _NO_DEADLINE
        users, due_ms = users[gone], due_ms[gone]
        held = self._inside.of(users)
        self._inside.replace(users, _NO_PAIRS)
        state = self._rows[users[held.query]]
        place = (np.where(state["placed"], state[name], np.nan) for name in ("lon", "lat"))
        return Happenings.plain(
            Places(users[held.query], due_ms[held.query], held.zone, *place), EXIT, reason=TransitionReason.LOST
        )


def _common(before: Pairs, now: Pairs) -> Pairs:
    left, _ = left_and_entered(before, now)
    shared, _ = left_and_entered(before, left)
    return shared


def _places(steps: Steps, pairs: Pairs) -> Places:
    pings, rows = steps.pings, pairs.query
    return Places(pings.u7[rows], pings.time_ms[rows], pairs.zone, pings.lon[rows], pings.lat[rows])


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
