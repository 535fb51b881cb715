"""Users carried from one revision of the zones to the next, and what the edit itself made them leave and enter."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.index.protocol import Pairs, ZoneIndex
from geo_engine.model import BoolColumn, IntColumn
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import ENTER, EXIT, OPENED, ZONE_CHANGED, Events
from geo_engine.tracking.ground import Ground
from geo_engine.tracking.sets import EMPTY_SET, ZoneSets
from geo_engine.tracking.state import NEVER_MS, PLACED, UserRows, seen_at
from geo_engine.tracking.transitions import listed
from geo_engine.zones.edit import GONE, Edit

__all__ = ["carry_over", "carry_venues"]

_MANY: Final = 32
"""From so many places on it is cheaper to match everybody than to look who is near one of them."""

_METRES_PER_DEGREE: Final = 110_000.0
"""A degree of latitude is nowhere shorter."""


def carry_over(  # noqa: PLR0913 - the state, both kinds of sets, the edit and two moments
    users: UserRows,
    sets: ZoneSets,
    new_sets: ZoneSets,
    index: ZoneIndex,
    edit: Edit,
    *,
    now_ms: int,
    heard_after_ms: int,
) -> tuple[Events, Events, int]:
    """Give every row its set of the new revision.

    Memberships of zones whose shape did not change are kept as they are. A user whose position is known is matched
    against the new shapes; one whose position is not known yet (after a restart) stays inside a zone that still exists.

    Args:
        users: written.
        sets: the sets the rows name now.
        new_sets: the sets they will name.
        index: the zones of the new revision.
        edit: what differs; of zones whose validity has ended, see ``expiry.edit_with_ends``.
        now_ms: moment of the edit.
        heard_after_ms: a user inside nothing who was last heard of at this moment or before is not there any more.

    Returns:
        (exits, others, change of the number of memberships): exits with reason ``zone_changed`` name zones by their
        old positions; enters with that reason, and ``OPENED`` for users who stay inside a zone whose terms or winners
        changed, by the new.
        Cost: a pass over the rows in use, 6 ms a million users, and a match of those in a changed place.
    """
    asked = _asked_users(users, sets.holding(edit.reshaped), edit, heard_after_ms)
    cases = _cases(users.rows[asked], sets, index, edit)
    number = new_sets.intern(cases.now, cases.cases)
    _renumber(users, sets, new_sets, edit)
    inside = number[cases.of_row]
    other = np.flatnonzero(users.rows["inside"][asked] != inside)
    users.rows["inside"][asked[other]] = inside[other]
    users.mark(asked[other])
    kept = Pairs(cases.was.query, edit.position[cases.was.zone])
    left = edit.reshaped[cases.was.zone] & ~listed(kept, cases.now)
    exits = _events(users, *_each(asked, cases, cases.was, left), EXIT, now_ms)
    enters = _events(users, *_each(asked, cases, cases.now, ~listed(cases.now, kept)), ENTER, now_ms)
    opened = _rewritten(users, new_sets, edit, now_ms)
    if len(opened):
        entered, told = (Pairs(one["u7"].astype(np.int64), one["zone"].astype(np.int64)) for one in (enters, opened))
        opened = opened[~listed(told, entered)]
    return exits, np.concatenate([enters, opened]), len(enters) - len(exits)


class _Cases(NamedTuple):
    """The distinct things that happen to users: most of them stand in a few sets of zones, so there are few.

    ``of_row`` the case of every asked user, below ``cases``; ``was`` and ``now`` the zones of each case, by old and by
    new positions.
    """

    of_row: IntColumn
    cases: int
    was: Pairs
    now: Pairs


def _cases(rows: npt.NDArray[np.void], sets: ZoneSets, index: ZoneIndex, edit: Edit) -> _Cases:
    """Tell apart what the asked users are inside of: what they keep, and changed zones that hold them."""
    placed = (rows["flags"] & PLACED) != 0
    known = np.flatnonzero(placed)
    found = index.containing(rows["lon"][known].copy(), rows["lat"][known].copy())
    changed = np.flatnonzero(edit.shaped[found.zone])
    hits = ZoneSets()
    hit = hits.intern(Pairs(known[found.query[changed]], found.zone[changed]), len(rows))
    key = (rows["inside"].astype(np.int64) * 2 + placed) * len(hits) + hit
    case, of_row = np.unique(key, return_inverse=True)
    was = sets.zones_of((case // (2 * len(hits))).astype(np.int32))
    came = hits.zones_of((case % len(hits)).astype(np.int32))
    unplaced = (case // len(hits) % 2 == 0)[was.query]
    stays = ~edit.reshaped[was.zone] | (unplaced & (edit.position[was.zone] != GONE))
    query = np.concatenate([was.query[stays], came.query])
    zone = np.concatenate([edit.position[was.zone[stays]], came.zone])
    order = np.lexsort((zone, query))
    return _Cases(of_row.reshape(-1), len(case), was, Pairs(query[order], zone[order]))


def _each(asked: IntColumn, cases: _Cases, pairs: Pairs, chosen: BoolColumn) -> tuple[IntColumn, IntColumn]:
    """Return (user, zone) for every user to whom one of the chosen (case, zone) pairs happens."""
    query, zone = pairs.query[chosen], pairs.zone[chosen]
    concerned = np.zeros(cases.cases, dtype=np.bool_)
    concerned[query] = True
    rows = np.flatnonzero(concerned[cases.of_row])
    case = cases.of_row[rows]
    first = np.searchsorted(query, np.arange(cases.cases + 1))
    count = (first[1:] - first[:-1])[case]
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(asked[rows], count), zone[np.repeat(first[case], count) + within]


def _renumber(users: UserRows, sets: ZoneSets, new_sets: ZoneSets, edit: Edit) -> None:
    """Give every row the number its set has among the new ones; the rows of asked users are written afterwards."""
    # Where no zone moved the new sets began as these, so that all numbers of that moment go on.
    first = new_sets.shared if edit.stays else EMPTY_SET + 1
    old = np.arange(first, len(sets), dtype=np.int32)
    if len(old) == 0:
        return
    every = sets.zones_of(old)
    stays = ~edit.reshaped[every.zone]
    number = np.arange(len(sets), dtype=np.int32)
    number[old] = new_sets.intern(Pairs(every.query[stays], edit.position[every.zone[stays]]), len(old))
    for block in np.flatnonzero(users.inside_from_ms != NEVER_MS).tolist():
        inside = users.rows["inside"][users.block_rows(block)]
        rows = np.flatnonzero(inside >= first)
        inside[rows] = number[inside[rows]]


def carry_venues(users: UserRows, edit: Edit, old: Ground, new: Ground) -> None:
    """Give every row its nearest venue among those of the new revision.

    Cost: a pass over the rows in use when venues came, went or moved, and a look-up for users who stood near them.
    """
    place = np.full(len(edit.shaped), GONE, dtype=np.int64)
    place[new.venue_zone] = np.arange(len(new.venue_zone))
    position = edit.position[old.venue_zone]
    stays = (position != GONE) & ~edit.reshaped[old.venue_zone]
    number = np.zeros(len(position) + 1, dtype=np.int32)
    number[1:][stays] = place[position[stays]] + 1
    fresh = np.ones(len(new.venue_zone), dtype=np.bool_)
    fresh[number[number > 0] - 1] = False
    bands = _bands_of(np.flatnonzero(fresh), edit, new)
    if len(bands) == 0 and np.array_equal(number, np.arange(len(number))):
        return
    for block in np.flatnonzero(users.used).tolist():
        rows = users.rows[users.block_rows(block)]
        venue = number[rows["venue"]]
        asked = (venue == 0) & (rows["venue"] > 0)
        for south, north in bands:
            asked |= (rows["lat"] >= south) & (rows["lat"] <= north)
        asked &= (rows["flags"] & PLACED) != 0
        venue[asked] = new.venues.nearest(rows["lon"][asked], rows["lat"][asked])[0] + 1
        rows["venue"] = venue


def _bands_of(fresh: IntColumn, edit: Edit, new: Ground) -> npt.NDArray[np.float64]:
    """Return (south, north) from where each fresh venue can be in reach; from anywhere when there are many."""
    zone = new.venue_zone[fresh]
    if len(zone) > _MANY or not edit.shaped[zone].all():
        return np.array([[-90.0, 90.0]])
    rank = np.cumsum(edit.shaped) - 1
    reach_deg = new.venues.grid.within_m / _METRES_PER_DEGREE
    bands: npt.NDArray[np.float64] = edit.bounds[rank[zone]][:, [1, 3]] + [-reach_deg, reach_deg]
    return bands


def _asked_users(users: UserRows, touched_set: BoolColumn, edit: Edit, heard_after_ms: int) -> IntColumn:
    """Return the users who are inside a changed zone or stand where one may be now."""
    parts = [np.empty(0, dtype=np.int64)]
    heard = max(heard_after_ms, 0)
    for block in np.flatnonzero(users.used).tolist():
        where = users.block_rows(block)
        rows = users.rows[where]
        asked = touched_set[rows["inside"]] if touched_set.any() else np.zeros(len(rows), dtype=np.bool_)
        near = _in_boxes(rows, edit.bounds)
        asked[near[(rows["inside"][near] != EMPTY_SET) | (rows["time_ms"][near] > heard)]] = True
        parts.append(np.flatnonzero(asked) + where.start)
    return np.concatenate(parts)


def _in_boxes(rows: npt.NDArray[np.void], bounds: npt.NDArray[np.float64]) -> IntColumn:
    """Return the rows whose positions lie in one of the boxes, some perhaps twice; of many boxes, all rows."""
    if len(bounds) > _MANY:
        return np.arange(len(rows))
    found, lat = [np.empty(0, dtype=np.int64)], rows["lat"]
    for west, south, east, north in bounds:
        band = np.flatnonzero((lat >= south) & (lat <= north))
        lon = rows["lon"][band]
        # A shape over the 180 degree meridian runs past it, so its longitudes are compared one turn away as well.
        turns = [turn for turn in (-360.0, 0.0, 360.0) if west + turn <= 180.0 and east + turn >= -180.0]
        found += [band[(lon >= west + turn) & (lon <= east + turn)] for turn in turns]
    return np.concatenate(found)


def _rewritten(users: UserRows, sets: ZoneSets, edit: Edit, now_ms: int) -> Events:
    """Find the users inside zones whose terms, or what can silence them, changed: they may be concerned from now on.

    One whose position is not known yet is told by his first ping.
    """
    changed = edit.rewritten | edit.freed
    holds = sets.holding(changed) if changed.any() else np.zeros(len(sets), dtype=np.bool_)
    parts = [np.empty(0, dtype=np.int64)]
    if holds.any():
        for block in np.flatnonzero(users.inside_from_ms != NEVER_MS).tolist():
            where = users.block_rows(block)
            rows = users.rows[where]
            parts.append(np.flatnonzero(holds[rows["inside"]] & ((rows["flags"] & PLACED) != 0)) + where.start)
    u7 = np.concatenate(parts)
    held = sets.zones_of(users.rows["inside"][u7])
    asked = changed[held.zone]
    return _events(users, u7[held.query[asked]], held.zone[asked], OPENED, now_ms)


def _events(users: UserRows, u7: IntColumn, zone: IntColumn, kind: int, now_ms: int) -> Events:
    rows = users.rows[u7]
    lon, lat = seen_at(rows)
    return make_events(u7, np.full(len(u7), now_ms), zone, lon, lat, kind, reason=ZONE_CHANGED)
