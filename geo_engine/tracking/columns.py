"""The step in NumPy columns: the readable twin of the compiled step, and what runs where Numba is absent."""

from __future__ import annotations

from typing import Final

import numpy as np

from geo_engine.index.protocol import Pairs
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch, RejectReason
from geo_engine.tracking.approach import find_approaches
from geo_engine.tracking.events import APPROACH, CROSS, ENTER, EVENT, EXIT, LOST, MOVED, OPENED, OWED, Events
from geo_engine.tracking.ground import Ground, Limits, Moment, StepResult
from geo_engine.tracking.motion import Motion, estimate_motion
from geo_engine.tracking.screening import REASONS, Codes, absurd_jumps, arrange, screen
from geo_engine.tracking.sets import ZoneSets
from geo_engine.tracking.start import Start
from geo_engine.tracking.state import FRESH, KEPT_FLAGS, MOVING, PLACED, UserRows
from geo_engine.tracking.steps import Steps
from geo_engine.tracking.transitions import crossed, left_and_entered, zones_before

__all__ = ["ColumnTracker", "make_events"]

_NO_PAIRS: Final = Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def make_events(  # noqa: PLR0913 - one argument per field
    u7: IntColumn,
    time_ms: IntColumn,
    zone: IntColumn,
    lon: FloatColumn,
    lat: FloatColumn,
    kind: int,
    *,
    reason: int = MOVED,
    ahead: tuple[FloatColumn, FloatColumn, FloatColumn] | None = None,
) -> Events:
    """Pack columns into events; ``ahead`` is (distance_m, eta_s, bearing_deg)."""
    events = np.zeros(len(u7), dtype=EVENT)
    unknown = np.full(len(u7), np.nan)
    columns = {"u7": u7, "time_ms": time_ms, "zone": zone, "lon": lon, "lat": lat}
    names = ("distance_m", "eta_s", "bearing_deg")
    for name, column in (*columns.items(), *zip(names, ahead or (unknown,) * 3, strict=True)):
        events[name] = column
    events["kind"], events["reason"] = kind, reason
    return events


class ColumnTracker:
    """Answers the ``Tracker`` protocol with whole-column arithmetic and any ``ZoneIndex``.

    Cost: a few microseconds per ping.
    """

    def __init__(self, rows: UserRows, sets: ZoneSets, ground: Ground, limits: Limits) -> None:
        """Join the parts; the tracker writes ``rows`` and ``sets``."""
        self._users = rows
        self._sets = sets
        self._ground = ground
        self._limits = limits

    def rebase(self, ground: Ground, sets: ZoneSets) -> None:
        """Match against another ground from the next step on; the rows hold numbers of ``sets`` already."""
        self._ground, self._sets = ground, sets

    def step(self, batch: PingBatch, moment: Moment) -> StepResult:
        """Judge the pings of a batch, write the users' rows and return what happened."""
        limits = self._limits
        codes = screen(
            batch,
            latest_ms=moment.now_ms + limits.future_tolerance_ms,
            late_ms=None if limits.max_lag_ms is None else moment.now_ms - limits.max_lag_ms,
            max_accuracy_m=limits.max_accuracy_m,
        )
        steps, start = self._accept(batch, codes)
        if len(steps) == 0:
            return StepResult(codes, 0, np.zeros(0, dtype=EVENT), 0)
        now = self._ground.index.containing(steps.pings.lon, steps.pings.lat)
        kept = self._sets.zones_of(self._users.rows["inside"][steps.pings.u7[steps.first]])
        held = zones_before(steps, now, kept)
        silent = self._silent(steps, moment)
        lost = Pairs(held.query[silent[held.query]], held.zone[silent[held.query]])
        before = Pairs(held.query[~silent[held.query]], held.zone[~silent[held.query]])
        left, entered = left_and_entered(before, now)
        motion = estimate_motion(steps, start)
        parts = [
            self._lost_on_the_way(steps, lost, moment),
            _at_pings(steps, left, EXIT),
            _at_pings(steps, self._crossed(steps, silent, before, now), CROSS),
            _at_pings(steps, entered, ENTER),
            self._owed(steps, start, moment, _common(before, now)),
            self._opened(steps, held, moment),
            self._approaching(steps, motion, moment, now),
        ]
        memberships = self._move_on(steps, motion, now, moment)
        parts.append(self._opened_since(steps, now, moment))
        return StepResult(codes, len(steps), np.concatenate(parts), memberships)

    def _accept(self, batch: PingBatch, codes: Codes) -> tuple[Steps, Start]:
        """Order the usable pings, set repeats, latecomers and absurd jumps aside, and join them to their users."""
        rows = self._users.rows
        usable = np.flatnonzero(codes < 0)
        ordered, repeated, late = arrange(batch, usable, rows["time_ms"][batch.u7[usable]])
        codes[repeated] = REASONS.index(RejectReason.DUPLICATE)
        codes[late] = REASONS.index(RejectReason.LATE)
        pings = batch.take(ordered)
        start = Start.of(rows, pings.u7)
        anchored = np.zeros(len(pings), dtype=np.bool_)
        if self._limits.jumps is not None:
            absurd, anchored = absurd_jumps(pings, start, self._limits.jumps)
            codes[ordered[absurd]] = REASONS.index(RejectReason.SPEED_JUMP)
            believed = ~absurd
            counted = (pings, start)
            pings, start, anchored = pings.take(believed), start.take(believed), anchored[believed]
            self._count_jumps(*counted, pings)
        return Steps.of(pings, start, anchored, max_gap_ms=self._limits.max_gap_ms), start

    def _count_jumps(self, pings: PingBatch, start: Start, believed: PingBatch) -> None:
        """Keep how many absurd pings each user sent since the last believed one."""
        last = np.append(pings.u7[1:] != pings.u7[:-1], np.ones(min(len(pings), 1), dtype=np.bool_))
        users = pings.u7[last]
        # The believed time of a user is that of his last believed ping, or the one in his row.
        time_ms = self._users.rows["time_ms"][users].astype(np.int64)
        at = np.searchsorted(believed.u7, users, side="right") - 1
        moved = (at >= 0) & (believed.u7[np.maximum(at, 0)] == users) if len(believed) else np.zeros(len(users), bool)
        time_ms[moved] = believed.time_ms[at[moved]]
        self._users.rows["jumps"][users] = start.jumps[last]
        after = np.where(start.jumps[last] > 0, start.jump_ms[last] - time_ms, 0)
        self._users.rows["jump_after_ms"][users] = np.clip(after, 0, 2_147_483_647)

    def _silent(self, steps: Steps, moment: Moment) -> BoolColumn:
        """Say which steps follow a silence long enough to have lost the user."""
        if self._limits.lost_after_ms is None:
            return np.zeros(len(steps), dtype=np.bool_)
        since = np.maximum(steps.before_ms, moment.restored_ms)
        silent: BoolColumn = steps.known & (steps.pings.time_ms - since > self._limits.lost_after_ms)
        return silent

    def _lost_on_the_way(self, steps: Steps, lost: Pairs, moment: Moment) -> Events:
        rows = lost.query
        time_ms = np.maximum(steps.before_ms[rows], moment.restored_ms) + (self._limits.lost_after_ms or 0)
        lon, lat = (np.where(steps.placed, column, np.nan)[rows] for column in (steps.before_lon, steps.before_lat))
        return make_events(steps.pings.u7[rows], time_ms, lost.zone, lon, lat, EXIT, reason=LOST)

    def _crossed(self, steps: Steps, silent: BoolColumn, before: Pairs, now: Pairs) -> Pairs:
        ways = np.flatnonzero(steps.joined & ~silent)
        touched = self._ground.index.touching(steps.segments(ways))
        return crossed(Pairs(ways[touched.query], touched.zone), before, now)

    def _owed(self, steps: Steps, start: Start, moment: Moment, stayed: Pairs) -> Events:
        """Find users who stayed inside while their pings became recent enough to warn."""
        was_fresh = np.where(steps.first, start.fresh, self._fresh(steps.before_ms, moment))
        due = steps.known & self._fresh(steps.pings.time_ms, moment) & ~was_fresh
        asked = due[stayed.query] & self._ground.warnable[stayed.zone]
        return _at_pings(steps, Pairs(stayed.query[asked], stayed.zone[asked]), OWED)

    def _fresh(self, time_ms: IntColumn, moment: Moment) -> BoolColumn:
        """Say which pings are recent enough to warn."""
        limit_ms = self._limits.stale_after_ms
        if limit_ms is None:
            return np.ones(len(time_ms), dtype=np.bool_)
        fresh: BoolColumn = moment.now_ms - time_ms <= limit_ms
        return fresh

    def _opened(self, steps: Steps, held: Pairs, moment: Moment) -> Events:
        """Find the zones that came into force on users inside them before each ping."""
        since = np.maximum(steps.before_ms, moment.restored_ms)
        until_ms = np.minimum(steps.pings.time_ms, self._lost_at(since))
        lon, lat = (
            np.where(steps.placed, before, here)
            for before, here in ((steps.before_lon, steps.pings.lon), (steps.before_lat, steps.pings.lat))
        )
        row, zone, opening_ms = _openings(held, steps.before_ms, until_ms, moment)
        return make_events(steps.pings.u7[row], opening_ms, zone, lon[row], lat[row], OPENED)

    def _opened_since(self, steps: Steps, now: Pairs, moment: Moment) -> Events:
        """Find the zones that had come into force already when a late ping showed that the user was inside."""
        last = np.append(steps.first[1:], np.ones(1, dtype=np.bool_))
        stays = Pairs(now.query[last[now.query]], now.zone[last[now.query]])
        until_ms = np.minimum(moment.before_now_ms, self._lost_at(steps.pings.time_ms))
        row, zone, opening_ms = _openings(stays, steps.pings.time_ms, until_ms, moment)
        return make_events(steps.pings.u7[row], opening_ms, zone, steps.pings.lon[row], steps.pings.lat[row], OPENED)

    def _lost_at(self, since_ms: IntColumn) -> IntColumn:
        if self._limits.lost_after_ms is None:
            return np.full(len(since_ms), np.iinfo(np.int64).max)
        return since_ms + self._limits.lost_after_ms

    def _approaching(self, steps: Steps, motion: Motion, moment: Moment, now: Pairs) -> Events:
        """Find users about to reach a zone that may concern them."""
        if self._limits.look is None:
            return _at_pings(steps, _NO_PAIRS, APPROACH)
        profile = self._users.rows["profile"][steps.pings.u7].astype(np.int64)
        octets = moment.wanted_bits.astype("<u8").view(np.uint8)
        wanted = np.unpackbits(octets, axis=1, count=len(self._ground.warnable), bitorder="little").astype(np.bool_)
        found = find_approaches(
            steps, motion, self._ground.index, profile=profile, wanted=wanted, look=self._limits.look
        )
        pairs = Pairs(found.query, found.zone)
        outside = ~np.isin(_key(pairs), _key(now))
        ahead = (found.distance_m[outside], found.eta_s[outside], found.bearing_deg[outside])
        return _at_pings(steps, Pairs(pairs.query[outside], pairs.zone[outside]), APPROACH, ahead=ahead)

    def _move_on(self, steps: Steps, motion: Motion, now: Pairs, moment: Moment) -> int:
        """Write the last ping of every user into the state; return the change of the number of memberships."""
        last = np.append(steps.first[1:], np.ones(1, dtype=np.bool_))
        rows = np.flatnonzero(last)
        users = steps.pings.u7[rows]
        state = self._users.rows[users]
        stays = last[now.query]
        inside = self._sets.intern(Pairs(np.searchsorted(rows, now.query[stays]), now.zone[stays]), len(rows))
        gained = int(self._sets.sizes[inside].sum() - self._sets.sizes[state["inside"]].sum())
        flags = state["flags"] & KEPT_FLAGS
        fresh = self._fresh(steps.pings.time_ms[rows], moment)
        moving = ~np.isnan(motion.step_east_cmps[rows])
        state["flags"] = flags | PLACED | np.where(fresh, FRESH, 0) | np.where(moving, MOVING, 0)
        state["east_cmps"] = np.where(moving, motion.step_east_cmps[rows], state["east_cmps"])
        state["north_cmps"] = np.where(moving, motion.step_north_cmps[rows], state["north_cmps"])
        state["time_ms"], state["inside"] = steps.pings.time_ms[rows], inside
        state["lon"], state["lat"] = steps.pings.lon[rows], steps.pings.lat[rows]
        state["venue"] = self._ground.venues.nearest(state["lon"], state["lat"])[0] + 1
        self._users.rows[users] = state
        self._users.mark(users)
        return gained


def _openings(held: Pairs, after_ms: IntColumn, until_ms: IntColumn, moment: Moment) -> tuple[IntColumn, ...]:
    """Return (row, zone, moment) of each opening of a held zone in ``(after_ms, until_ms]`` of its row."""
    rows, zones, moments = [], [], []
    for opening_ms, zone in zip(moment.opening_ms.tolist(), moment.opening_zone.tolist(), strict=True):
        row = held.query[held.zone == zone]
        row = row[(after_ms[row] < opening_ms) & (opening_ms <= until_ms[row])]
        rows.append(row)
        zones.append(np.full(len(row), zone))
        moments.append(np.full(len(row), opening_ms))
    nothing = np.empty(0, dtype=np.int64)
    return tuple(np.concatenate([nothing, *parts]).astype(np.int64) for parts in (rows, zones, moments))


def _at_pings(
    steps: Steps, pairs: Pairs, kind: int, *, ahead: tuple[FloatColumn, FloatColumn, FloatColumn] | None = None
) -> Events:
    pings, rows = steps.pings, pairs.query
    return make_events(
        pings.u7[rows], pings.time_ms[rows], pairs.zone, pings.lon[rows], pings.lat[rows], kind, ahead=ahead
    )


def _common(before: Pairs, now: Pairs) -> Pairs:
    left, _ = left_and_entered(before, now)
    shared, _ = left_and_entered(before, left)
    return shared


def _key(pairs: Pairs) -> IntColumn:
    return (pairs.query << 24) | pairs.zone
