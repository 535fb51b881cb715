"""Users carried from one revision of the zones to the next, and what the edit itself made them leave and enter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.index.protocol import Pairs, ZoneIndex
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import ENTER, EXIT, OPENED, ZONE_CHANGED, Events
from geo_engine.tracking.ground import Ground
from geo_engine.tracking.sets import EMPTY_SET, ZoneSets
from geo_engine.tracking.state import NEVER_MS, PLACED, UserRows
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Edit", "carry_over", "carry_venues"]

_GONE: Final = -1

_MANY: Final = 32
"""From so many places on it is cheaper to match everybody than to look who is near one of them."""

_METRES_PER_DEGREE: Final = 110_000.0
"""A degree of latitude is nowhere shorter."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What differs between two revisions of the zones.

    Attributes:
        position: int64 per old zone: its position in the new set, -1 = gone.
        reshaped: bool per old zone: gone, or its shape is another.
        shaped: bool per new zone: new, or its shape is another.
        rewritten: bool per new zone: it was there before, but whom it concerns, when or its kind is another.
        bounds: float64 (shaped zones, 4): west, south, east, north of the new shapes.
    """

    position: IntColumn
    reshaped: BoolColumn
    shaped: BoolColumn
    rewritten: BoolColumn
    bounds: npt.NDArray[np.float64]

    @classmethod
    def between(cls, old: ZoneSet, new: ZoneSet) -> Edit:
        """Compare two sets. Cost: 1 us per zone, more for zones whose shapes are equal but not the same object."""
        position = np.array([new.position.get(zone.zone_id, _GONE) for zone in old.zones], dtype=np.int64)
        reshaped = np.ones(len(old), dtype=np.bool_)
        shaped, rewritten = np.ones(len(new), dtype=np.bool_), np.zeros(len(new), dtype=np.bool_)
        for row, place in enumerate(position.tolist()):
            if place == _GONE:
                continue
            before, after = old.zones[row], new.zones[place]
            if before is after:
                reshaped[row] = shaped[place] = False
                continue
            same = before.geometry is after.geometry or shapely.equals_exact(before.geometry, after.geometry)
            reshaped[row] = shaped[place] = not same
            terms = ("kind", "applies_to", "schedule", "valid_from_ms", "valid_to_ms", "effect")
            rewritten[place] = any(getattr(before, name) != getattr(after, name) for name in terms)
        shapes = np.array([zone.geometry for zone in new.zones], dtype=object)[shaped]
        return cls(position, reshaped, shaped, rewritten, shapely.bounds(shapes).reshape(-1, 4))


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
        edit: what differs.
        now_ms: moment of the edit.
        heard_after_ms: a user inside nothing who was last heard of at this moment or before is not there any more.

    Returns:
        (exits, others, change of the number of memberships): exits with reason ``zone_changed`` name zones by their
        old positions; enters with that reason, and ``OPENED`` for users who stay inside a zone whose terms changed, by
        the new.
        Cost: a pass over the rows in use, 6 ms a million users, and a match of those in a changed place.
    """
    kept = _kept(sets, edit)
    number = new_sets.intern(kept, len(sets))
    lengths = np.bincount(kept.query, minlength=len(sets))
    touched_set = lengths != sets.sizes
    asked = _asked_users(users, touched_set, edit, heard_after_ms)
    before = users.rows["inside"][asked].copy()
    for block in np.flatnonzero(users.used).tolist():
        inside = users.rows["inside"][users.block_rows(block)]
        inside[:] = number[inside]
    now = _matched(users, asked, before, sets, index, edit)
    users.rows["inside"][asked] = new_sets.intern(now, len(asked))
    users.mark(asked)
    held = sets.zones_of(before)
    old_now = _pairs_in(edit.position[held.zone], held.query, now)
    left = edit.reshaped[held.zone] & ~old_now
    was = Pairs(held.query, edit.position[held.zone])
    came = ~_pairs_in(now.zone, now.query, was)
    exits = _events(users, asked, Pairs(held.query[left], held.zone[left]), EXIT, now_ms)
    enters = _events(users, asked, Pairs(now.query[came], now.zone[came]), ENTER, now_ms)
    opened = _rewritten(users, new_sets, edit, now_ms)
    entered = _pairs_in(
        opened["zone"], opened["u7"].astype(np.int64), Pairs(enters["u7"].astype(np.int64), enters["zone"])
    )
    others = np.concatenate([enters, opened[~entered]])
    return exits, others, int(came.sum()) - int(left.sum())


def _kept(sets: ZoneSets, edit: Edit) -> Pairs:
    """Return the members every old set keeps, by new positions."""
    every = sets.zones_of(np.arange(len(sets), dtype=np.int32))
    stays = ~edit.reshaped[every.zone]
    return Pairs(every.query[stays], edit.position[every.zone[stays]])


def carry_venues(users: UserRows, edit: Edit, old: Ground, new: Ground) -> None:
    """Give every row its nearest venue among those of the new revision.

    Cost: a pass over the rows in use when venues came, went or moved, and a look-up for users who stood near them.
    """
    place = np.full(len(edit.shaped), _GONE, dtype=np.int64)
    place[new.venue_zone] = np.arange(len(new.venue_zone))
    position = edit.position[old.venue_zone]
    stays = (position != _GONE) & ~edit.reshaped[old.venue_zone]
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
    for block in np.flatnonzero(users.used).tolist():
        where = users.block_rows(block)
        rows = users.rows[where]
        there = (rows["inside"] != EMPTY_SET) | (rows["time_ms"] > max(heard_after_ms, 0))
        asked = touched_set[rows["inside"]] | (there & _in_boxes(rows["lon"], rows["lat"], edit.bounds))
        parts.append(np.flatnonzero(asked) + where.start)
    return np.concatenate(parts)


def _in_boxes(lon: FloatColumn, lat: FloatColumn, bounds: npt.NDArray[np.float64]) -> BoolColumn:
    """Say which positions lie in one of the boxes; of many boxes a position may lie in any."""
    found = np.full(len(lon), len(bounds) > _MANY)
    for west, south, east, north in bounds[: 0 if len(bounds) > _MANY else None]:
        # A shape over the 180 degree meridian runs past it, so its longitudes are compared one turn away as well.
        for turn in (-360.0, 0.0, 360.0):
            if west + turn <= 180.0 and east + turn >= -180.0:
                found |= (lat >= south) & (lat <= north) & (lon >= west + turn) & (lon <= east + turn)
    return found


def _matched(
    users: UserRows, asked: IntColumn, before: npt.NDArray[np.int32], sets: ZoneSets, index: ZoneIndex, edit: Edit
) -> Pairs:
    """Return the zones of the new revision each asked user is inside: kept ones, and changed ones that hold him."""
    held = sets.zones_of(before)
    rows = users.rows[asked]
    placed = (rows["flags"] & PLACED) != 0
    stays = ~edit.reshaped[held.zone] | (~placed[held.query] & (edit.position[held.zone] != _GONE))
    known = np.flatnonzero(placed)
    found = index.containing(rows["lon"][known].copy(), rows["lat"][known].copy())
    changed = edit.shaped[found.zone]
    query = np.concatenate([held.query[stays], known[found.query[changed]]])
    zone = np.concatenate([edit.position[held.zone[stays]], found.zone[changed]])
    order = np.lexsort((zone, query))
    return Pairs(query[order], zone[order])


def _rewritten(users: UserRows, sets: ZoneSets, edit: Edit, now_ms: int) -> Events:
    """Find the users inside zones whose terms changed: they may be concerned from now on.

    One whose position is not known yet is told by his first ping.
    """
    holds = sets.holding(edit.rewritten) if edit.rewritten.any() else np.zeros(len(sets), dtype=np.bool_)
    parts = [np.empty(0, dtype=np.int64)]
    if holds.any():
        for block in np.flatnonzero(users.inside_from_ms != NEVER_MS).tolist():
            where = users.block_rows(block)
            rows = users.rows[where]
            parts.append(np.flatnonzero(holds[rows["inside"]] & ((rows["flags"] & PLACED) != 0)) + where.start)
    u7 = np.concatenate(parts)
    held = sets.zones_of(users.rows["inside"][u7])
    asked = edit.rewritten[held.zone]
    return _events(users, u7, Pairs(held.query[asked], held.zone[asked]), OPENED, now_ms)


def _events(users: UserRows, asked: IntColumn, pairs: Pairs, kind: int, now_ms: int) -> Events:
    u7 = asked[pairs.query]
    rows = users.rows[u7]
    placed = (rows["flags"] & PLACED) != 0
    lon, lat = (np.where(placed, rows[name], np.nan) for name in ("lon", "lat"))
    return make_events(u7, np.full(len(u7), now_ms), pairs.zone, lon, lat, kind, reason=ZONE_CHANGED)


def _pairs_in(zone: IntColumn, query: IntColumn, others: Pairs) -> BoolColumn:
    found: BoolColumn = np.isin((query << 24) | (zone & 0xFFFFFF), (others.query << 24) | (others.zone & 0xFFFFFF))
    return found
