"""What time alone brings, without a ping: users who went silent, and zones that come into force on users inside."""

from __future__ import annotations

import numpy as np

from geo_engine.model import IntColumn
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import EVENT, EXIT, LOST, OPENED, Events
from geo_engine.tracking.sets import EMPTY_SET, ZoneSets
from geo_engine.tracking.state import NEVER_MS, PLACED, UserRows, seen_at

__all__ = ["first_silence_ms", "opened_on_the_spot", "silent_users"]


def first_silence_ms(users: UserRows, *, restored_ms: int, lost_after_ms: int) -> int:
    """Return the earliest moment at which somebody inside may have been silent for too long, ``NEVER_MS`` = nobody."""
    from_ms = int(users.inside_from_ms.min())
    return NEVER_MS if from_ms == NEVER_MS else max(from_ms, restored_ms) + lost_after_ms


def silent_users(
    users: UserRows, sets: ZoneSets, *, now_ms: int, restored_ms: int, lost_after_ms: int
) -> tuple[Events, int]:
    """Close the memberships of users who are silent for too long.

    Args:
        users: written: those users are inside nothing any more.
        sets: the sets the rows name.
        now_ms: moment of judging.
        restored_ms: silence counts from here at the earliest.
        lost_after_ms: the silence after which a user has left.

    Returns:
        (exits with reason ``lost`` at the moment the silence was too long, number of memberships closed).
        Cost: 50 us for each block of 4,096 rows in which somebody may be due, nothing else.
    """
    if now_ms < first_silence_ms(users, restored_ms=restored_ms, lost_after_ms=lost_after_ms):
        return np.zeros(0, dtype=EVENT), 0
    due = np.maximum(users.inside_from_ms, restored_ms) <= now_ms - lost_after_ms
    gone = [
        _silent_of_block(users, block, now_ms - lost_after_ms, restored_ms) for block in np.flatnonzero(due).tolist()
    ]
    u7 = np.concatenate(gone) if gone else np.empty(0, dtype=np.int64)
    held = sets.zones_of(users.rows["inside"][u7])
    users.rows["inside"][u7] = EMPTY_SET
    rows = users.rows[u7[held.query]]
    time_ms = np.maximum(rows["time_ms"], restored_ms) + lost_after_ms
    lon, lat = seen_at(rows)
    return make_events(u7[held.query], time_ms, held.zone, lon, lat, EXIT, reason=LOST), len(held)


def _silent_of_block(users: UserRows, block: int, horizon_ms: int, restored_ms: int) -> IntColumn:
    """Return the users inside whose last sign is not after the horizon, and renew the block's earliest moment."""
    where = users.block_rows(block)
    rows = users.rows[where]
    inside = np.flatnonzero(rows["inside"] != EMPTY_SET)
    last_ms = rows["time_ms"][inside]
    gone = np.maximum(last_ms, restored_ms) <= horizon_ms
    users.inside_from_ms[block] = last_ms[~gone].min(initial=NEVER_MS)
    users_gone: IntColumn = inside[gone] + where.start
    return users_gone


def opened_on_the_spot(  # noqa: PLR0913 - the state, the openings and the moments between which they count
    users: UserRows,
    sets: ZoneSets,
    opening_ms: IntColumn,
    opening_zone: IntColumn,
    *,
    after_ms: int,
    silence_counts_from_ms: int,
    lost_after_ms: int | None,
) -> Events:
    """Find the users who stand inside zones that came into force after ``after_ms`` and after their last ping.

    Args:
        users: the state.
        sets: the sets the rows name.
        opening_ms: moments at which zones came into force.
        opening_zone: which zones.
        after_ms: earlier openings were looked at before.
        silence_counts_from_ms: silence counts from here at the earliest.
        lost_after_ms: a user silent for longer at the opening is not there any more.

    Returns:
        ``OPENED`` events at the moment of the opening. Cost: nothing without an opening, else a pass over the rows in
        use (50 ms for ten million).
    """
    fresh = opening_ms > after_ms
    if not fresh.any():
        return np.zeros(0, dtype=EVENT)
    opening_ms, opening_zone = opening_ms[fresh], opening_zone[fresh]
    wanted = np.zeros(int(max(sets.members.max(initial=0), opening_zone.max())) + 1, dtype=np.bool_)
    wanted[opening_zone] = True
    holds = sets.holding(wanted)
    blocks = [users.block_rows(block) for block in np.flatnonzero(users.inside_from_ms != NEVER_MS).tolist()]
    parts = [np.flatnonzero(holds[users.rows["inside"][where]]) + where.start for where in blocks]
    u7 = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    rows = users.rows[u7]
    held = sets.zones_of(rows["inside"])
    query, zone, moment = _at_openings(held.query, held.zone, opening_ms, opening_zone)
    last_ms = rows["time_ms"][query]
    counts = (moment > last_ms) & ((rows["flags"][query] & PLACED) != 0)
    if lost_after_ms is not None:
        counts &= moment <= np.maximum(last_ms, silence_counts_from_ms) + lost_after_ms
    query, zone, moment = query[counts], zone[counts], moment[counts]
    return make_events(u7[query], moment, zone, rows["lon"][query], rows["lat"][query], OPENED)


def _at_openings(
    query: IntColumn, zone: IntColumn, opening_ms: IntColumn, opening_zone: IntColumn
) -> tuple[IntColumn, IntColumn, IntColumn]:
    """Join (query, zone) pairs to the openings of their zones."""
    order = np.lexsort((opening_ms, opening_zone))
    opening_ms, opening_zone = opening_ms[order], opening_zone[order]
    low, high = np.searchsorted(opening_zone, zone), np.searchsorted(opening_zone, zone, side="right")
    row = np.repeat(np.arange(len(query)), high - low)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(high - low) - (high - low), high - low)
    return query[row], zone[row], opening_ms[low[row] + offset]
