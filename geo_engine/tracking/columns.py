"""The step in NumPy columns: the readable twin of the compiled step, and what runs where Numba is absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.kernels import degree_table
from geo_engine.index.border_grid import mark_wanted, unmarked
from geo_engine.index.protocol import Pairs
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch, RejectReason
from geo_engine.tracking.driven import driven_steps
from geo_engine.tracking.events import APPROACH, CROSS, ENTER, EVENT, EXIT, LOST, MOVED, OPENED, OWED, Events
from geo_engine.tracking.flow_kernels import DRIVEN, steps_in
from geo_engine.tracking.foresight import Movers, foresee
from geo_engine.tracking.ground import Ground, Limits, Moment, StepResult
from geo_engine.tracking.motion import Motion, estimate_motion
from geo_engine.tracking.outlook_table import ahead_room
from geo_engine.tracking.screening import REASONS, Codes, absurd_jumps, arrange, screen
from geo_engine.tracking.sets import ZoneSets
from geo_engine.tracking.settling import settle
from geo_engine.tracking.state import FRESH, KEPT_FLAGS, MOVING, PLACED, WALKED, UserRows, seen_at
from geo_engine.tracking.steps import Steps
from geo_engine.tracking.transitions import chosen, joined, listed, without
from geo_engine.tracking.wanted import Wanted, wanted_of

__all__ = ["ColumnTracker", "make_events"]

_Round = tuple[list[Events], int, npt.NDArray[np.void]]
"""What happened, by how much the number of memberships changed, and the steps to learn from."""

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

    A batch is taken in rounds: in each the next ping of every user, all at once. Cost: a few microseconds per ping, and
    some hundred per round.
    """

    def __init__(self, rows: UserRows, sets: ZoneSets, ground: Ground, limits: Limits) -> None:
        """Join the parts; the tracker writes ``rows`` and ``sets``."""
        self._users = rows
        self._limits = limits
        self._frame = degree_table()
        self.rebase(ground, sets)

    def rebase(self, ground: Ground, sets: ZoneSets) -> None:
        """Match against another ground from the next step on; the rows hold numbers of ``sets`` already."""
        self._ground, self._sets = ground, sets
        self._borders = unmarked(ground.borders)
        self._wanted: Wanted | None = None
        self._ahead = ahead_room(max(len(ground.warnable), 1))

    def step(self, batch: PingBatch, moment: Moment) -> StepResult:
        """Judge the pings of a batch, write the users' rows and return what happened."""
        limits = self._limits
        codes = screen(
            batch,
            latest_ms=moment.now_ms + limits.future_tolerance_ms,
            late_ms=None if limits.max_lag_ms is None else moment.now_ms - limits.max_lag_ms,
            max_accuracy_m=limits.max_accuracy_m,
        )
        ordered = self._in_order(batch, codes)
        parts, memberships, driven = [np.zeros(0, dtype=EVENT)], 0, [np.zeros(0, dtype=DRIVEN)]
        for rows in _rounds(batch.u7[ordered]):
            events, change, steps = self._round(batch, ordered[rows], codes, moment)
            parts += events
            memberships += change
            driven.append(steps)
        accepted = ordered[codes[ordered] < 0]
        users = np.unique(batch.u7[accepted])
        self._users.mark(users)
        parts.append(self._opened_since(users, moment))
        return StepResult(codes, len(accepted), np.concatenate(parts), memberships, steps_in(np.concatenate(driven)))

    def _in_order(self, batch: PingBatch, codes: Codes) -> IntColumn:
        """Return the usable pings by user and time; repeats and latecomers are set aside."""
        usable = np.flatnonzero(codes < 0)
        ordered, repeated, late = arrange(batch, usable, self._users.rows["time_ms"][batch.u7[usable]])
        codes[repeated] = REASONS.index(RejectReason.DUPLICATE)
        codes[late] = REASONS.index(RejectReason.LATE)
        return ordered

    def _round(self, batch: PingBatch, rows: IntColumn, codes: Codes, moment: Moment) -> _Round:
        """Take one ping each of some users."""
        pings = batch.take(rows)
        steps = Steps.of(pings, self._users.rows[pings.u7])
        if self._limits.jumps is not None:
            absurd, anchored = absurd_jumps(steps, self._limits.jumps)
            codes[rows[absurd]] = REASONS.index(RejectReason.SPEED_JUMP)
            self._count_jumps(steps.take(absurd))
            steps = replace(steps, joined=steps.joined & ~anchored).take(~absurd)
        if self._limits.max_gap_ms is not None:
            steps = replace(steps, joined=steps.joined & (steps.elapsed_ms <= self._limits.max_gap_ms))
        doubt = np.zeros(len(steps))
        if self._limits.settles:
            steps, doubt = settle(steps)
        return self._moved(steps, doubt, moment)

    def _moved(self, steps: Steps, doubt: FloatColumn, moment: Moment) -> _Round:
        """Match believed steps and write their users' rows."""
        held = self._sets.zones_of(steps.before["inside"])
        silent = self._silent(steps, moment)
        lost, kept = chosen(held, silent[held.query]), chosen(held, ~silent[held.query])
        found = self._found(steps, kept)
        left, entered = without(kept, found), without(found, kept)
        if self._limits.settles:
            left, entered = (chosen(one, ~self._near(steps, one, doubt)) for one in (left, entered))
        now = without(joined(kept, entered), left)
        searched = self._searched(steps, silent, left, entered)
        crossed = self._crossed(steps, searched, kept, found)
        motion = estimate_motion(steps)
        events = [
            self._lost_on_the_way(steps, lost, moment),
            _at_steps(steps, left, EXIT),
            _at_steps(steps, crossed, CROSS),
            _at_steps(steps, entered, ENTER),
            self._owed(steps, moment, without(kept, left)),
            self._opened(steps, held, moment),
            # Nobody approaches what he is in, or has just left.
            self._approaching(steps, motion, moment, joined(now, found, kept, crossed)),
        ]
        driven = driven_steps(steps, motion, moment)
        change = self._move_on(steps, motion, now, moment)
        self._search_later(steps, silent, searched)
        return events, change, driven

    def _found(self, steps: Steps, kept: Pairs) -> Pairs:
        """Return the zones each user is in; of who stands, a ping in the zones he is in anyway is no reason to ask."""
        there = self._holding(steps.pings.lon, steps.pings.lat)
        differs = np.zeros(len(steps), dtype=np.bool_)
        for pairs in (without(there, kept), without(kept, there)):
            differs[pairs.query] = True
        asked = np.flatnonzero((differs | steps.walked) & (steps.still_s > 0))
        if len(asked) == 0:
            return there
        believed = self._holding(steps.lon[asked], steps.lat[asked])
        again = np.isin(there.query, asked)
        return joined(chosen(there, ~again), Pairs(asked[believed.query], believed.zone))

    def _holding(self, lon: FloatColumn, lat: FloatColumn) -> Pairs:
        """Return the zones that hold each position and have not ended."""
        found = self._ground.index.containing(lon, lat)
        return chosen(found, ~self._ground.validity.retired[found.zone])

    def _near(self, steps: Steps, pairs: Pairs, doubt: FloatColumn) -> BoolColumn:
        """Say of which pairs the border is within the doubt."""
        rows = pairs.query
        return self._ground.index.near(steps.lon[rows], steps.lat[rows], pairs.zone, doubt[rows])

    def _count_jumps(self, absurd: Steps) -> None:
        """Note absurd pings in the rows; the same one sent again counts once."""
        users, after_ms = absurd.pings.u7, absurd.elapsed_ms
        again = (absurd.before["jumps"] > 0) & (after_ms <= absurd.before["jump_after_ms"])
        users, after_ms = users[~again], after_ms[~again]
        self._users.rows["jumps"][users] += 1
        self._users.rows["jump_after_ms"][users] = np.minimum(after_ms, 2_147_483_647)

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
        lon, lat = seen_at(steps.before[rows])
        return make_events(steps.pings.u7[rows], time_ms, lost.zone, lon, lat, EXIT, reason=LOST)

    def _searched(self, steps: Steps, silent: BoolColumn, left: Pairs, entered: Pairs) -> BoolColumn:
        """Say whose way is searched for crossings now: noise passes through nothing, and nothing is told twice."""
        moved = steps.walked.copy()
        moved[left.query] = moved[entered.query] = True
        searched: BoolColumn = steps.joined & ~silent & moved
        return searched

    def _crossed(self, steps: Steps, searched: BoolColumn, kept: Pairs, found: Pairs) -> Pairs:
        """Return the zones passed through or touched with neither end inside."""
        ways = np.flatnonzero(searched)
        touched = self._ground.index.touching(steps.segments(ways))
        return without(Pairs(ways[touched.query], touched.zone), kept, found)

    def _search_later(self, steps: Steps, silent: BoolColumn, searched: BoolColumn) -> None:
        """Note in the rows up to where the ways are searched."""
        rows, u7 = self._users.rows, steps.pings.u7
        pending = steps.joined & ~silent & ~searched
        for name, way_deg in zip(("back_lon", "back_lat"), steps.unsearched_deg(), strict=True):
            rows[name][u7] = np.where(pending, way_deg, 0.0)
        walks = steps.joined & (steps.still_s > 0) & (searched | steps.was_walking)
        rows["flags"][u7] |= np.where(walks, WALKED, 0).astype(np.uint8)

    def _owed(self, steps: Steps, moment: Moment, stayed: Pairs) -> Events:
        """Find users who stayed inside while their pings became recent enough to warn."""
        due = steps.known & self._fresh(steps.pings.time_ms, moment) & ~steps.was_fresh
        return _at_steps(steps, chosen(stayed, due[stayed.query] & self._ground.warnable[stayed.zone]), OWED)

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
            np.where(steps.placed, steps.before[name], here) for name, here in (("lon", steps.lon), ("lat", steps.lat))
        )
        row, zone, opening_ms = _openings(held, steps.before_ms, until_ms, moment)
        return make_events(steps.pings.u7[row], opening_ms, zone, lon[row], lat[row], OPENED)

    def _opened_since(self, users: IntColumn, moment: Moment) -> Events:
        """Find the zones that had come into force already when a late ping showed that the user was inside."""
        rows = self._users.rows[users]
        time_ms = rows["time_ms"].astype(np.int64)
        until_ms = np.minimum(moment.before_now_ms, self._lost_at(time_ms))
        row, zone, opening_ms = _openings(self._sets.zones_of(rows["inside"]), time_ms, until_ms, moment)
        return make_events(users[row], opening_ms, zone, rows["lon"][row], rows["lat"][row], OPENED)

    def _lost_at(self, since_ms: IntColumn) -> IntColumn:
        if self._limits.lost_after_ms is None:
            return np.full(len(since_ms), np.iinfo(np.int64).max)
        return since_ms + self._limits.lost_after_ms

    def _approaching(self, steps: Steps, motion: Motion, moment: Moment, here: Pairs) -> Events:
        """Find users about to reach a zone that may concern them and in which they are not."""
        policy = self._limits.approach
        if policy is None:
            return _at_steps(steps, _NO_PAIRS, APPROACH)
        profile = self._users.rows["profile"][steps.pings.u7].astype(np.int64)
        drives = (motion.speed_mps >= policy.min_speed_mps) & np.asarray(moment.wanted_bits.any(axis=1))[profile]
        rows = np.flatnonzero(drives)
        elapsed_s = np.where(steps.joined, steps.elapsed_ms / 1000.0, np.nan)[rows]
        movers = Movers(
            lon=steps.lon[rows],
            lat=steps.lat[rows],
            east_mps=motion.east_mps[rows],
            north_mps=motion.north_mps[rows],
            speed_mps=motion.speed_mps[rows],
            told_deg=motion.told_deg[rows],
            reach_s=policy.reach_s(elapsed_s),
            profile=profile[rows],
        )
        wanted = self._wanting(moment.wanted_bits)
        found = foresee(self._ground.forecast.known, self._borders, self._frame, movers, wanted, self._ahead)
        due = policy.due(found.chance, found.eta_s, found.source, elapsed_s[found.query])
        pairs = Pairs(rows[found.query], found.zone)
        kept = np.flatnonzero(due & ~listed(pairs, here))
        ahead = (found.distance_m[kept], found.eta_s[kept], found.bearing_deg[kept])
        return _at_steps(steps, Pairs(pairs.query[kept], pairs.zone[kept]), APPROACH, ahead=ahead)

    def _wanting(self, bits: npt.NDArray[np.uint64]) -> Wanted:
        """Return what profiles want, the borders marked with it; the rules give the same array until it changes."""
        if self._wanted is None or self._wanted.bits is not bits:
            mark_wanted(self._borders, bits)
            self._wanted = wanted_of(bits, self._ground.forecast.groups)
        return self._wanted

    def _move_on(self, steps: Steps, motion: Motion, now: Pairs, moment: Moment) -> int:
        """Write the steps into the rows; return the change of the number of memberships."""
        state = steps.before.copy()
        inside = self._sets.intern(now, len(steps))
        gained = int(self._sets.sizes[inside].sum() - self._sets.sizes[state["inside"]].sum())
        fresh = self._fresh(steps.pings.time_ms, moment)
        moving = ~np.isnan(motion.step_east_cmps)
        state["flags"] = state["flags"] & KEPT_FLAGS | PLACED | np.where(fresh, FRESH, 0) | np.where(moving, MOVING, 0)
        state["east_cmps"] = np.where(moving, motion.step_east_cmps, state["east_cmps"])
        state["north_cmps"] = np.where(moving, motion.step_north_cmps, state["north_cmps"])
        state["time_ms"], state["inside"], state["jumps"] = steps.pings.time_ms, inside, 0
        state["lon"], state["lat"], state["still_s"] = steps.lon, steps.lat, steps.still_s
        due = np.flatnonzero(steps.due(self._limits.venue_every_ms))
        state["venue"][due] = self._ground.venues.nearest(steps.lon[due], steps.lat[due])[0] + 1
        self._users.rows[steps.pings.u7] = state
        return gained


def _rounds(u7: IntColumn) -> Iterator[IntColumn]:
    """Yield the rows of every user's first ping, of their second, and so on; ``u7`` is in order."""
    first = np.flatnonzero(np.diff(u7, prepend=-1))
    rank = np.arange(len(u7)) - np.repeat(first, np.diff(np.append(first, len(u7))))
    order = np.argsort(rank, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(rank[order])) + 1) if len(u7) else ()


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


def _at_steps(
    steps: Steps, pairs: Pairs, kind: int, *, ahead: tuple[FloatColumn, FloatColumn, FloatColumn] | None = None
) -> Events:
    pings, rows = steps.pings, pairs.query
    return make_events(
        pings.u7[rows], pings.time_ms[rows], pairs.zone, steps.lon[rows], steps.lat[rows], kind, ahead=ahead
    )
