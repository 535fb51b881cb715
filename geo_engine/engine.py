"""The engine: one deterministic step from a batch of pings to transitions and decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from geo_engine.alerting.alerts import Alerts
from geo_engine.alerting.happenings import Happenings, Places
from geo_engine.alerting.judge import Judge
from geo_engine.alerting.people import People
from geo_engine.alerting.policy import QuietHours
from geo_engine.alerting.quota import Admission
from geo_engine.alerting.visits import VisitChanges
from geo_engine.alerting.weighing import concern_of, freed_events, newly_concerned, next_change_ms, openings
from geo_engine.alerting.wishes import Wishes
from geo_engine.compiled import COMPILED
from geo_engine.config import EngineConfig, milliseconds, span_ms
from geo_engine.errors import SnapshotError
from geo_engine.index.cells import CellIndex
from geo_engine.index.protocol import Pairs, ZoneIndex
from geo_engine.model import (
    EARLIEST_TIME_MS,
    LATEST_TIME_MS,
    FloatColumn,
    IntColumn,
    Language,
    Mute,
    PingBatch,
    Rejects,
    Transitions,
    Vehicle,
    Visit,
)
from geo_engine.revision import Prepared, Recipe, Revision
from geo_engine.tracking.columns import ColumnTracker
from geo_engine.tracking.erasure import erase, last_events
from geo_engine.tracking.events import APPROACH, ENTER, EVENT, Events
from geo_engine.tracking.expiry import Holders, edit_with_ends, step_past_ends
from geo_engine.tracking.fused import FusedTracker
from geo_engine.tracking.ground import Ground, Moment, StepResult, Tracker
from geo_engine.tracking.learning import Background, Learner, Pupil, at_once
from geo_engine.tracking.learnt import Forecast
from geo_engine.tracking.ordering import in_order
from geo_engine.tracking.rebase import carry_over, carry_venues
from geo_engine.tracking.retold import Retold, outlasting
from geo_engine.tracking.roads import RoadNet
from geo_engine.tracking.screening import Codes
from geo_engine.tracking.snapshot import pack, unpack
from geo_engine.tracking.state import NEVER_MS, UserRows, refuse_strangers, seen_at
from geo_engine.tracking.sweeps import first_silence_ms, opened_on_the_spot, silent_users
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Decisions", "Engine", "EngineConfig", "Prepared"]

_OPENINGS_MS: Final = 7 * 86_400_000
"""Openings further back are nobody's warning any more."""
_NO_CODES: Final = np.empty(0, dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one step brought.

    Attributes:
        zones: the zone set that positions in ``transitions`` and ``alerts`` belong to.
        accepted: pings that moved the state.
        rejects: pings that were not used, by their row in the batch.
        transitions: what happened, ordered by time, user, kind, zone.
        alerts: every decision about a warning, sent or suppressed.
        visits: visits about which a warning was due, as they began, changed or ended; the store keeps them.
        inside: number of (user, zone) pairs of users inside after the step.
        next_deadline_ms: moment at which the engine wants to be called even without pings, None = never.
    """

    zones: ZoneSet
    accepted: int
    rejects: Rejects
    transitions: Transitions
    alerts: Alerts
    visits: VisitChanges
    inside: int
    next_deadline_ms: int | None


class Engine:
    """Judges pings against one set of zones. Deterministic in (state, zones, batch, now); touches nothing outside.

    Not safe for several threads at once: one thread owns an engine. ``prepare`` alone may run in another one.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing it is joined from
        self,
        zones: ZoneSet,
        *,
        config: EngineConfig | None = None,
        vehicles: Iterable[Vehicle] = (),
        default_vehicle: Vehicle | None = None,
        index: Callable[[ZoneSet], ZoneIndex] = CellIndex,
        admission: Admission | None = None,
        roads: RoadNet | None = None,
        background: Background = at_once,
    ) -> None:
        """Build the index and start with an empty state.

        Args:
            zones: the zones to judge with.
            config: how positions are read and what may be pushed.
            vehicles: what is known of users.
            default_vehicle: stands for every other user; by default nothing is known and no consent is given.
            index: makes the zone index. The compiled step needs ``CellIndex`` and Numba; with any other index, or
                without Numba, the same step runs in NumPy columns.
            admission: the account's quota arbiter, None = there is room for every message.
            roads: the roads drivers follow, None = there is no map. Without Numba they are not looked at.
            background: computes forecasts beside the engine; by default they are computed in ``process``.
        """
        self.config = config or EngineConfig()
        default = default_vehicle or Vehicle(u7=0, consent_warnings=False)
        self._people = People(default)
        self._recipe = Recipe(index, self.config.policy, default, self.config.venue_within_m)
        self._running = Revision.of(zones, self._recipe)
        learning = self.config.learning if COMPILED and self.config.approach else None
        self._learner: Learner | None = None
        if learning is not None and self.config.approach is not None:
            self._learner = Learner(learning, self.config.approach.scope, roads, background)
            if roads is not None:
                self._foresee_with(self._learner.learn_now(zones, self._running.ground.index))
        self._users = UserRows()
        ground = self._running.ground
        tracker = ColumnTracker if ground.combo_set is None else FusedTracker
        self._tracker: Tracker = tracker(self._users, self._running.sets, ground, self.config.limits())
        self._judge = Judge(
            zones,
            self._running.facts,
            self._users.rows,
            self.config.policy,
            cover_ms=milliseconds(self.config.approach_cover_s),
            default=default,
            admission=admission,
        )
        self._retold = Retold(self._users, self._people.permits.of, default_consents=default.consent_warnings)
        self._memberships = 0
        self._judged_ms: int | None = None
        self._restored_ms = 0
        self.put_vehicles(vehicles)

    @property
    def zones(self) -> ZoneSet:
        """Return the zones the engine judges with."""
        return self._running.zones

    def put_vehicles(self, vehicles: Iterable[Vehicle]) -> None:
        """Set what is known of users: vehicle, consent, language.

        Whoever is inside a zone whose rule concerns him only now, whose permit was taken back, or who agrees only now
        to be warned, is warned at the next step, with trigger ``vehicle_changed``; that a rule concerns him no more is
        not said.

        Raises:
            ConfigurationError: the zones tell too many vehicles apart; then nothing is set.
            ValueError: a u7 is out of range; then nothing is set.
        """
        told = {vehicle.u7: vehicle for vehicle in vehicles}
        u7 = np.array(list(told), dtype=np.int64)
        refuse_strangers(u7)
        profiles = [self._running.rules.profile_of(vehicle) for vehicle in told.values()]
        self._retold.note(u7)
        self._people.put(told.values())
        self._users.rows["profile"][u7] = profiles
        self._tell(u7, list(told.values()))

    def put_fleet(self, u7: IntColumn, vehicle: Vehicle) -> None:
        """Set the same vehicle, consent and language for many users at once; ``vehicle.u7`` is not looked at.

        Cost: a few ns a user, where ``put_vehicles`` keeps an object for each.
        """
        refuse_strangers(u7)
        profile = self._running.rules.profile_of(vehicle)
        self._retold.note(u7)
        self._people.put_fleet(u7, vehicle)
        self._users.rows["profile"][u7] = profile
        self._judge.tell(
            u7,
            np.full(len(u7), vehicle.consent_warnings),
            np.full(len(u7), vehicle.language is Language.EN),
        )
        self._users.mark(u7)

    def vehicle_of(self, u7: int) -> Vehicle:
        """Return what is known of a user; of one nobody told about alone, the default vehicle under his number."""
        return self._people.vehicle_of(u7)

    @property
    def judged_ms(self) -> int | None:
        """Return the moment of the last step, None = there was none."""
        return self._judged_ms

    def _tell(self, u7: IntColumn, vehicles: list[Vehicle]) -> None:
        self._judge.tell(
            u7,
            np.array([vehicle.consent_warnings for vehicle in vehicles], dtype=np.bool_),
            np.array([vehicle.language is Language.EN for vehicle in vehicles], dtype=np.bool_),
        )
        self._users.mark(u7)

    @property
    def wishes(self) -> Wishes:
        """Return what users do not want to hear; the store keeps it and tells it again after a restart."""
        return self._judge.wishes

    def mute(self, u7: int, zone_id: str, until_ms: int | None) -> None:
        """Tell a user nothing more about a zone until a moment, None = until they take it back; also across edits."""
        refuse_strangers(np.array([u7]))
        self.wishes.mute(Mute(u7, zone_id, until_ms))

    def unmute(self, u7: int, zone_id: str) -> None:
        """Warn a user about a zone again."""
        refuse_strangers(np.array([u7]))
        self.wishes.unmute(u7, zone_id)

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        """Set a user's own quiet hours, None = those of the policy."""
        refuse_strangers(np.array([u7]))
        self.wishes.keep_quiet(u7, hours)

    def restore(self, visits: Iterable[Visit], sent_today: Mapping[int, int], *, now_ms: int) -> None:
        """Continue after a restart: who was inside, who was warned about what, how often today.

        Visits of zones that are no longer in the set are left out. Positions are not restored: the first ping of a
        user is judged as a point, and silence counts from ``now_ms``. After ``load`` the visits tell what is newer than
        the snapshot; what it knows beyond them stays.
        """
        positions = self.zones.position
        known = [(visit, positions[visit.zone_id]) for visit in visits if visit.zone_id in positions]
        self._judge.restore(known, sent_today, now_ms=now_ms)
        self._retold.rest()
        rows = self._users.rows
        members = self._members_after(known)
        users = np.unique(np.array([visit.u7 for visit, _ in known], dtype=np.int64))
        before_ms = rows["time_ms"][users]
        for visit, _ in known:
            rows["time_ms"][visit.u7] = max(int(rows["time_ms"][visit.u7]), visit.last_ms)
        # Where they were before they were last seen says nothing about the way from there.
        self._users.forget_places(users[rows["time_ms"][users] > before_ms])
        before = self._running.sets.sizes[rows["inside"][users]].sum()
        inside = self._running.sets.intern(Pairs(np.searchsorted(users, members[:, 0]), members[:, 1]), len(users))
        rows["inside"][users] = inside
        self._memberships += int(self._running.sets.sizes[inside].sum() - before)
        written = {*sent_today, *(visit.u7 for visit, _ in known)}
        self._users.mark(np.array(sorted(written), dtype=np.int64))
        self._restored_ms = self._judged_ms = now_ms

    def _members_after(self, known: list[tuple[Visit, int]]) -> IntColumn:
        """Return the (user, zone) pairs inside of all users with visits: their own sets, and what visits add or end."""
        users = np.unique(np.array([visit.u7 for visit, _ in known], dtype=np.int64))
        last_ms = dict(zip(users.tolist(), self._users.rows["time_ms"][users].tolist(), strict=True))
        held = self._running.sets.zones_of(self._users.rows["inside"][users])
        members = set(zip(users[held.query].tolist(), held.zone.tolist(), strict=True))
        for visit, zone in known:
            if visit.inside:
                members.add((visit.u7, zone))
            elif visit.last_ms >= last_ms[visit.u7]:
                members.discard((visit.u7, zone))
        return np.array(sorted(members), dtype=np.int64).reshape(-1, 2)

    def process(self, batch: PingBatch, now: int) -> Decisions:
        """Judge a batch of pings.

        Order and duplicates inside the batch change nothing. Cost: see ``benchmarks/results/hot_path.json``.

        Args:
            batch: WGS-84 pings in any order; unusable ones are rejected one by one.
            now: the moment of judging, epoch milliseconds UTC; never earlier than at the call before.

        Returns:
            Everything the step brought.
        """
        found = self._step(batch, now)
        return self._judged(found.events, now, found.codes, found.accepted)

    def _step(self, batch: PingBatch, now: int) -> StepResult:
        """Move the users on by a batch and to the moment ``now``."""
        self._running.rules.advance(now)
        moment = self._moment(batch, now)
        holders = Holders(self._users, self._running.sets, span_ms(self.config.lost_after_s))
        pupil = Pupil(self._learner, self.zones)
        found, ground = step_past_ends(self._tracker, holders, pupil, self._running.ground, batch, moment)
        self._running = self._running.with_ground(ground)
        self._memberships += found.memberships
        opened, lost = self._opened(moment), self._silent(now)
        retold, agreed = self._retold.events(self._running.sets, self._running.rules, now)
        self._judge.visits.reopen(agreed.query, agreed.zone, now)
        self._judged_ms = now
        freed = freed_events(self._running.rules, found.events, self._running.sets, self._users.rows["inside"])
        if not (len(opened) or len(lost) or len(freed) or len(retold)):
            return found
        return replace(found, events=np.concatenate([found.events, opened, lost, freed, retold]))

    def learn_now(self) -> None:
        """Forecast from the next batch on with everything learnt so far, before it would be time to.

        For measurements, and after a record of earlier days was replayed. Cost: see ``outlooks_of``, while it waits.
        """
        if self._learner is not None:
            self._foresee_with(self._learner.learn_now(self.zones, self._running.ground.index))
            self._tracker.rebase(self._running.ground, self._running.sets)

    def _foresee_with(self, forecast: Forecast) -> None:
        self._running = self._running.with_ground(replace(self._running.ground, forecast=forecast))

    def snapshot(self) -> bytearray:
        """Return everything the engine remembers of users as one buffer, for a restart with the same zones.

        What users drive, agreed to and read is not in it: that belongs to the store and is told again. Cost: a copy
        of the rows in use; nothing per user.
        """
        said, arrays = self._judge.saved()
        facts: dict[str, Any] = {
            "zones": [zone.zone_id for zone in self.zones.zones],
            "judged_ms": self._judged_ms,
            "restored_ms": self._restored_ms,
            "memberships": self._memberships,
            **said,
        }
        if self._learner is not None:
            facts["learnt"], learnt = self._learner.saved(self._running.ground.forecast)
            arrays |= learnt
        sets = self._running.sets
        return pack(facts, {**arrays, "set_first": sets.first, "set_members": sets.members, **self._users.saved()})

    def load(self, snapshot: bytes | bytearray | memoryview, *, now_ms: int | None = None) -> None:
        """Go on from a snapshot; the engine must be new and have the zones the snapshot was taken with.

        Vehicles may be told before or after. Cost: one copy; nothing per user.

        Args:
            snapshot: what ``snapshot`` returned.
            now_ms: silence counts from this moment at the earliest: nobody was heard while the engine was away. None
                = the pings since the snapshot will be given to the engine, as if it had not been away.

        Raises:
            SnapshotError: the buffer is damaged, of another version, or belongs to other zones.
        """
        facts, arrays = unpack(snapshot)
        if facts["zones"] != [zone.zone_id for zone in self.zones.zones]:
            message = (
                f"found a snapshot of {len(facts['zones'])} zones with other ids, expected the {len(self.zones)} zones "
                f"of revision {self.zones.revision}: start with the zones of the snapshot and publish these"
            )
            raise SnapshotError(message)
        number = self._running.sets.renumbering(arrays["set_first"], arrays["set_members"])
        self._users.load(arrays, number)
        self._judge.load(facts, arrays)
        self._memberships = facts["memberships"]
        self._judged_ms, self._restored_ms = facts["judged_ms"], facts["restored_ms"]
        self._retold.rest()
        if self._judged_ms is not None:
            self._running = self._running.at(self._judged_ms)
        if self._learner is not None and "learnt" in facts:
            self._foresee_with(self._learner.load(facts["learnt"], arrays, self.zones, self._running.ground.index))
        self._tracker.rebase(self._running.ground, self._running.sets)
        if now_ms is not None:
            self._restored_ms = now_ms

    def forget(self, u7: Iterable[int], now: int) -> Decisions:
        """Forget users altogether: row, visits, vehicle, permits, consent, mutes and quiet hours.

        Args:
            u7: whom; somebody never heard of is nothing to forget.
            now: the moment, as in ``process``; it moves the engine on like a call without pings.

        Returns:
            What the step brought, with an exit of reason ``erased`` for each zone such a user was inside. It is the
            last that is said of them, and the caller's to erase as well.

        Raises:
            ValueError: a u7 is out of range; then nothing is changed.
        """
        gone = np.unique(np.fromiter(u7, dtype=np.int64))
        refuse_strangers(gone)
        self._retold.forget(gone)
        found = self._step(PingBatch.empty(), now)
        events, exits = last_events(self._users, self._running.sets, gone, found.events, now)
        self._memberships -= exits
        ended = self._judged(events, now)
        erase(self._users, gone)
        self._judge.forget(gone)
        self._people.forget(gone)
        return ended

    def nearest_venues(self, u7: IntColumn) -> IntColumn:
        """Return the position in ``zones`` of the venue nearest to each user's last ping, -1 = none in reach."""
        venue = self._users.rows["venue"][u7].astype(np.int64) - 1
        return np.where(
            venue < 0, -1, self._running.ground.venue_zone[venue] if len(self._running.ground.venue_zone) else -1
        )

    def last_known(self, u7: IntColumn) -> tuple[Pairs, IntColumn]:
        """Return the zones each user is inside, by row of ``u7``, and when he was last heard, 0 = never."""
        rows = self._users.rows[u7]
        return self._running.sets.zones_of(rows["inside"]), rows["time_ms"].astype(np.int64)

    def last_positions(self, u7: IntColumn) -> tuple[FloatColumn, FloatColumn, IntColumn]:
        """Return (lon, lat, time_ms) of each user's last accepted ping; NaN and 0 where there was none."""
        rows = self._users.rows[u7]
        lon, lat = seen_at(rows)
        return lon, lat, rows["time_ms"].astype(np.int64)

    @property
    def ground(self) -> Ground:
        """Return what pings are matched against at present; for reading."""
        return self._running.ground

    def positions(self) -> tuple[IntColumn, FloatColumn, FloatColumn]:
        """Return (u7, lon, lat) of every user with a known last position; the live index is built from them."""
        return self._users.positions()

    def prepare(self, zones: ZoneSet) -> Prepared:
        """Compile other zones beside the running ones; only what changed is compiled anew.

        Reads the engine and writes nothing, so it may run in another thread while pings are judged.
        """
        # Read once: a publication may come in between, and then ``publish`` refuses what is made here.
        running, changes = self._running, self._people.changes
        revision, edit = running.successor(zones, self._recipe)
        # Looks every schedule up, which is dear: at the publication only those that flipped meanwhile are left.
        if self._judged_ms is not None:
            revision.rules.advance(self._judged_ms)
        return Prepared(revision, running, edit, self._people.profiles(revision.rules.profile_of), changes)

    def publish(self, zones: ZoneSet | Prepared, now: int) -> tuple[Decisions, Decisions]:
        """Judge with other zones from now on, between two batches.

        Memberships are carried over. What the edit itself ends and begins is reported with reason ``zone_changed``:
        a user inside a new zone is warned like one who entered it.

        Args:
            zones: the zones, or what ``prepare`` made of them.
            now: the moment, as in ``process``.

        Returns:
            (what ended under the old zones, what began under the new ones).

        Raises:
            ValueError: ``zones`` was prepared against another revision than the running one.
            ConfigurationError: they tell too many vehicles apart. Either way nothing is changed.
        """
        ready = zones if isinstance(zones, Prepared) else self.prepare(zones)
        # Not the zones alone: after an edit and its withdrawal these are the same, the sets are numbered anew.
        if ready.base.sets is not self._running.sets:
            was = ready.base.zones.revision
            message = f"found zones prepared against revision {was}, expected {self.zones.revision}"
            raise ValueError(message)
        # Whatever can be refused is refused before anything is changed.
        profiles = ready.profiles
        if ready.people_changes != self._people.changes:
            profiles = self._people.profiles(ready.revision.rules.profile_of)
        found = self._step(PingBatch.empty(), now)
        running, next_one = self._running, self._foreseeing(ready, now)
        edit = edit_with_ends(ready.edit, running.ground.validity, next_one.ground.validity, next_one.zones)
        exits, others, change = carry_over(
            self._users,
            running.sets,
            next_one.sets,
            next_one.ground.index,
            edit,
            now_ms=now,
            heard_after_ms=now - (span_ms(self.config.lost_after_s) or now),
        )
        profile_of = self._users.rows["profile"]
        others = newly_concerned(running.rules, self._people, profile_of, ready.edit, others)
        ended = self._judged(np.concatenate([outlasting(found.events, edit), exits]), now)
        self._memberships += change
        carry_venues(self._users, ready.edit, running.ground, next_one.ground)
        self._running = next_one
        self._tracker.rebase(next_one.ground, next_one.sets)
        if self._learner is not None:
            self._learner.edited(ready.edit, next_one.zones, next_one.ground.index)
        self._judge.rezone(next_one.zones, next_one.facts, ready.edit.position, now)
        for u7, profile in profiles:
            self._users.rows["profile"][u7] = profile
        next_one.rules.advance(now)
        return ended, self._judged(others, now)

    def _foreseeing(self, ready: Prepared, now: int) -> Revision:
        """Return a prepared revision as it stands now, with the forecast in force now."""
        found, forecast = ready.revision.at(now), self._running.ground.forecast
        if forecast is ready.base.ground.forecast:
            return found
        # It was renewed while the revision was prepared.
        after = forecast.after(ready.edit, found.zones, found.ground.index)
        return found.with_ground(replace(found.ground, forecast=after))

    def _moment(self, batch: PingBatch, now: int) -> Moment:
        """Return what may concern whom while this batch is judged."""
        lag_ms = span_ms(self.config.max_lag_s)
        earliest_ms = EARLIEST_TIME_MS if lag_ms is None else now - lag_ms
        latest_ms = min(now + milliseconds(self.config.future_tolerance_s), LATEST_TIME_MS)
        low_ms = min(max(int(batch.time_ms.min(initial=now)), earliest_ms), now)
        high_ms = max(min(int(batch.time_ms.max(initial=now)), latest_ms), now)
        before_ms = now if self._judged_ms is None else min(self._judged_ms, now)
        after_ms = max(min(low_ms, before_ms), now - _OPENINGS_MS)
        opening_ms, opening_zone = openings(self._running.rules, self._people, after_ms, max(high_ms, now))
        look_ms = milliseconds(self.config.approach.horizon_s) if self.config.approach else 0
        return Moment(
            now_ms=now,
            before_now_ms=before_ms,
            restored_ms=self._restored_ms,
            wanted_bits=self._running.rules.active_bits(low_ms, high_ms + look_ms),
            opening_ms=opening_ms,
            opening_zone=opening_zone,
            consented=self._people.default.consent_warnings,
            learn_mask=-1 if self._learner is None else self._learner.mask,
        )

    def _opened(self, moment: Moment) -> Events:
        past = moment.opening_ms <= moment.now_ms
        return opened_on_the_spot(
            self._users,
            self._running.sets,
            moment.opening_ms[past],
            moment.opening_zone[past],
            after_ms=moment.before_now_ms,
            silence_counts_from_ms=self._restored_ms,
            lost_after_ms=span_ms(self.config.lost_after_s),
        )

    def _silent(self, now: int) -> Events:
        """Close the visits of users who are silent for too long."""
        if self.config.lost_after_s is None:
            return np.zeros(0, dtype=EVENT)
        events, closed = silent_users(
            self._users,
            self._running.sets,
            now_ms=now,
            restored_ms=self._restored_ms,
            lost_after_ms=milliseconds(self.config.lost_after_s),
        )
        self._memberships -= closed
        return events

    def _judged(self, events: Events, now: int, codes: Codes = _NO_CODES, accepted: int = 0) -> Decisions:
        happenings = self._weigh(in_order(self._judge.with_stays(events, now)))
        judged = self._judge.walk(happenings, now_ms=now)
        self._judge.visits.forget_old(now)
        rejected = np.flatnonzero(codes >= 0)
        return Decisions(
            zones=self.zones,
            accepted=accepted,
            rejects=Rejects(rejected, codes[rejected]),
            transitions=happenings.transitions(np.flatnonzero(judged.reported)),
            alerts=judged.alerts.by_rules(
                self._running.rules, self._people.permits, self.wishes, self._users.rows["profile"]
            ),
            visits=judged.visits,
            inside=self._memberships,
            next_deadline_ms=self._next_deadline_ms(),
        )

    def _weigh(self, events: Events) -> Happenings:
        """Join events to the rules in force, and drop those that are only reasons to warn and give none."""
        zone, kind, u7 = events["zone"].astype(np.int64), events["kind"], events["u7"].astype(np.int64)
        # Of a zone that is never pushed it matters only that it was entered and nothing said.
        asked = np.flatnonzero((kind == ENTER) | ((kind > ENTER) & self._judge.facts.pushed[zone]))
        concern = np.zeros(len(events), dtype=np.int64)
        profile = self._users.rows["profile"][u7[asked]].astype(np.int64)
        concern[asked] = concern_of(self._running.rules, self._people, profile, events[asked])
        kept = np.flatnonzero((kind < APPROACH) | (concern > 0))
        columns = {name: events[name][kept] for name in ("time_ms", "lon", "lat")}
        return Happenings(
            at=Places(u7[kept], columns["time_ms"], zone[kept], columns["lon"], columns["lat"]),
            kind=kind[kept],
            reason=events["reason"][kept],
            due=concern[kept] > 0,
            unsure=concern[kept] == 1,
            distance_m=events["distance_m"][kept],
            eta_s=events["eta_s"][kept],
            bearing_deg=events["bearing_deg"][kept],
        )

    def _next_deadline_ms(self) -> int | None:
        if not self._memberships:
            return None
        deadline_ms = next_change_ms(self._running.rules, self._people, self._judged_ms or 0)
        if self.config.lost_after_s is not None:
            lost_after_ms = milliseconds(self.config.lost_after_s)
            silence_ms = first_silence_ms(self._users, restored_ms=self._restored_ms, lost_after_ms=lost_after_ms)
            deadline_ms = min(deadline_ms, silence_ms)
        deadline_ms = min(deadline_ms, self._running.ground.validity.next_ms, self._judge.stays.next_ms)
        return None if deadline_ms == NEVER_MS else deadline_ms
