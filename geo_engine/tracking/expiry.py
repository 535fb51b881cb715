"""What happens at moments between pings: zones whose validity ends, and forecasts that are renewed.

Who is inside a zone that ends leaves it at that moment, and nobody meets it any more.

A ping is judged by its own time: the pings of a call are taken in parts, cut at each end of a validity that has come,
and between two parts the zones that ended are taken out of the users' rows. So it makes no difference how the pings are
cut into calls; so too where forecasts are renewed. Two things come too late for that: a ping from before the end that
arrives in a later call finds the zone gone, and one from the future (a fast clock) finds it there until its end has
come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from geo_engine.model import BoolColumn, IntColumn, PingBatch
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import APPROACH, CROSS, EVENT, EXIT, LOST, ZONE_CHANGED, Events
from geo_engine.tracking.flow_kernels import DRIVEN, steps_in
from geo_engine.tracking.ground import Ground, Moment, StepResult, Tracker
from geo_engine.tracking.learning import Pupil
from geo_engine.tracking.sets import ZoneSets
from geo_engine.tracking.state import NEVER_MS, UserRows, seen_at
from geo_engine.tracking.sweeps import opened_on_the_spot
from geo_engine.tracking.validity import Validity
from geo_engine.zones.edit import GONE, Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Holders", "edit_with_ends", "step_past_ends"]


@dataclass(frozen=True, slots=True)
class Holders:
    """The users, and the sets of zones their rows name.

    Attributes:
        users: the state; written.
        sets: the sets; they grow.
        lost_after_ms: a user silent for longer has left before any later end, None = nobody is ever lost.
    """

    users: UserRows
    sets: ZoneSets
    lost_after_ms: int | None


def step_past_ends(
    tracker: Tracker, holders: Holders, pupil: Pupil, ground: Ground, batch: PingBatch, moment: Moment
) -> tuple[StepResult, Ground]:
    """Judge the pings of a batch, learn from them, and let the zones go whose validity ends by ``moment.now_ms``.

    Args:
        tracker: judges the pings; it is given the ground anew when zones go or the forecast is renewed.
        holders: the users the tracker writes.
        pupil: learns from the pings.
        ground: what the tracker matches against.
        batch: the pings.
        moment: when they are judged.

    Returns:
        (what happened, the ground from now on). Exits of zones that ended have the reason ``zone_changed`` and the
        moment of the end; of a user who was silent for too long before it, ``lost`` and that moment.
        Cost: one comparison as long as no zone ends and none is retired; else a pass over the events, and at an end a
        pass over the rows in use and one more step of the tracker.
    """
    ends = ground.validity.ends_until(moment.now_ms)
    renewals = pupil.moments(batch.time_ms, moment.now_ms)
    if not (len(ends) or len(renewals)):
        found = tracker.step(batch, moment)
        pupil.learn(found.steps)
        return _without_retired(found, ground.validity), ground
    cuts = np.unique(np.concatenate([ends, renewals]))
    part = np.searchsorted(cuts, batch.time_ms, side="right")
    nothing = steps_in(np.zeros(0, dtype=DRIVEN))
    # Of a ping that was not judged yet the code is that of a reject: it uncovers nothing.
    total = StepResult(np.zeros(len(batch), dtype=np.int8), 0, np.zeros(0, dtype=EVENT), 0, nothing)
    # Before the last part nobody's last ping is known yet, so what a late one uncovers is told at the end.
    waiting = replace(moment, before_now_ms=0)
    passed = 0
    for number in np.unique(np.append(part, len(cuts))).tolist():
        before, behind, passed = ground, cuts[passed:number], number
        if np.isin(behind, ends).any():
            heard = batch.take(np.flatnonzero(total.codes < 0))
            ground, left, exits = _retire(holders, ground, moment, int(behind[-1]), heard)
            total = _joined(total, left, -exits)
        forecast = pupil.renew(behind[np.isin(behind, renewals)], ground.forecast, ground.index)
        if forecast is not ground.forecast:
            ground = replace(ground, forecast=forecast)
        if ground is not before:
            tracker.rebase(ground, holders.sets)
        rows = np.flatnonzero(part == number)
        judging = replace(moment if number == len(cuts) else waiting, learn_mask=pupil.mask)
        found = _without_retired(tracker.step(batch.take(rows), judging), ground.validity)
        pupil.learn(found.steps)
        total.codes[rows] = found.codes
        total = _joined(replace(total, accepted=total.accepted + found.accepted), found.events, found.memberships)
    early = batch.take(np.flatnonzero((part < len(cuts)) & (total.codes < 0)))
    if len(early):
        opened = _openings(holders, moment, moment.opening_ms <= moment.before_now_ms, early)
        late = np.setdiff1d(early.u7, batch.u7[(part == len(cuts)) & (total.codes < 0)])
        total = _joined(total, opened[np.isin(opened["u7"], late)], 0)
    return total, ground


def _joined(total: StepResult, events: Events, memberships: int) -> StepResult:
    """Add to a step; the events are copied, for a tracker may use their place again."""
    return replace(total, events=np.concatenate([total.events, events]), memberships=total.memberships + memberships)


def _without_retired(found: StepResult, validity: Validity) -> StepResult:
    """Leave out that somebody crossed or nears a zone that is not there: the borders are in the index still."""
    if not validity.some:
        return found
    kind = found.events["kind"]
    meets = ((kind == CROSS) | (kind == APPROACH)) & validity.retired[found.events["zone"]]
    return replace(found, events=found.events[~meets]) if meets.any() else found


def _retire(
    holders: Holders, ground: Ground, moment: Moment, until_ms: int, heard: PingBatch
) -> tuple[Ground, Events, int]:
    """Let the zones go that end by ``until_ms``; return (the ground without them, what happened, number of exits).

    ``heard`` are the pings of the call that moved somebody before that.
    """
    validity = ground.validity.at(until_ms)
    gone: BoolColumn = validity.retired & ~ground.validity.retired
    # That the rule of such a zone began to apply is told before it goes: afterwards nobody is found inside.
    opened = _openings(holders, moment, gone[moment.opening_zone], heard)
    exits = _leave(holders, gone, validity.until_ms, moment.restored_ms)
    return replace(ground, validity=validity), np.concatenate([opened, exits]), len(exits)


def _openings(holders: Holders, moment: Moment, chosen: BoolColumn, heard: PingBatch) -> Events:
    """Find the users inside zones that came into force after their last ping and were not told of it before.

    What opened up to the call before was told then to everybody but those who were heard since, by pings from before
    it; a ping of somebody else, or one that was not used, tells nothing anew.
    """
    since_ms = min(moment.before_now_ms, int(heard.time_ms.min(initial=moment.before_now_ms)) - 1)
    opened = opened_on_the_spot(
        holders.users,
        holders.sets,
        moment.opening_ms[chosen],
        moment.opening_zone[chosen],
        after_ms=since_ms,
        silence_counts_from_ms=moment.restored_ms,
        lost_after_ms=holders.lost_after_ms,
    )
    return opened[(opened["time_ms"] > moment.before_now_ms) | np.isin(opened["u7"], heard.u7)]


def _leave(holders: Holders, gone: BoolColumn, until_ms: IntColumn, restored_ms: int) -> Events:
    """Take the zones that are gone out of the users' rows; return the exits."""
    users, sets = holders.users, holders.sets
    holds, left = sets.holding(gone), sets.less(gone)
    parts = [np.empty(0, dtype=np.int64)]
    for block in np.flatnonzero(users.inside_from_ms != NEVER_MS).tolist() if holds.any() else []:
        where = users.block_rows(block)
        parts.append(np.flatnonzero(holds[users.rows["inside"][where]]) + where.start)
    u7 = np.concatenate(parts)
    held = sets.zones_of(users.rows["inside"][u7])
    users.rows["inside"][u7] = left[users.rows["inside"][u7]]
    ended = gone[held.zone]
    user, zone = u7[held.query[ended]], held.zone[ended]
    rows = users.rows[user]
    last_ms, end_ms = rows["time_ms"].astype(np.int64), until_ms[zone]
    lost_ms = np.full(len(user), NEVER_MS)
    if holders.lost_after_ms is not None:
        lost_ms = np.maximum(last_ms, restored_ms) + holders.lost_after_ms
    lon, lat = seen_at(rows)
    # Nobody leaves before he was last seen inside: a fast clock may have said so after the end.
    time_ms = np.where(lost_ms < end_ms, lost_ms, np.maximum(end_ms, last_ms))
    exits = make_events(user, time_ms, zone, lon, lat, EXIT, reason=ZONE_CHANGED)
    exits["reason"][lost_ms < end_ms] = LOST
    return exits


def edit_with_ends(edit: Edit, was: Validity, now: Validity, zones: ZoneSet) -> Edit:
    """Return what differs between two revisions when retired zones count as not there.

    A zone that an edit ends is gone, one that it brings back is new, and one that is retired before and after is
    nobody's matter.

    Args:
        edit: what differs between the revisions.
        was: validity under the old one.
        now: validity under the new one.
        zones: the new zones.
    """
    if not (was.some or now.some):
        return edit
    known, kept = np.flatnonzero(edit.before != GONE), np.flatnonzero(edit.position != GONE)
    shaped, reshaped = edit.shaped.copy(), edit.reshaped.copy()
    shaped[known] |= was.retired[edit.before[known]]
    shaped &= ~now.retired
    ended = np.zeros(len(reshaped), dtype=np.bool_)
    ended[kept] = now.retired[edit.position[kept]] & ~was.retired[kept]
    bounds = edit.bounds
    if not np.array_equal(shaped, edit.shaped):
        shapes = np.array([zones.zones[row].geometry for row in np.flatnonzero(shaped).tolist()], dtype=object)
        bounds = shapely.bounds(shapes).reshape(-1, 4)
    return replace(
        edit,
        position=np.where(ended, GONE, edit.position),
        reshaped=reshaped | ended,
        shaped=shaped,
        bounds=bounds,
    )
