"""Users who are to be forgotten: they leave what they are inside of, and their rows are as if nobody had been there."""

from __future__ import annotations

import numpy as np

from geo_engine.model import IntColumn
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import ERASED, EXIT, Events
from geo_engine.tracking.sets import EMPTY_SET, ZoneSets
from geo_engine.tracking.state import BLOCK, NEVER_MS, UserRows, seen_at

__all__ = ["erase", "last_events"]


def last_events(users: UserRows, sets: ZoneSets, u7: IntColumn, events: Events, now_ms: int) -> tuple[Events, int]:
    """Return what is said last of users who are to be forgotten; writes nothing.

    Args:
        users: the state.
        sets: the sets the rows name.
        u7: whom to forget, each once.
        events: what happened in the step before.
        now_ms: the moment.

    Returns:
        (those events and an exit with reason ``erased`` from each zone one of the users is inside of, the number of
        these exits). Of the users nothing but exits is kept: nobody is warned who is to be forgotten.
    """
    kept = events[(events["kind"] == EXIT) | ~np.isin(events["u7"], u7)]
    exits = _exits(users, sets, u7, now_ms)
    return np.concatenate([kept, exits]), len(exits)


def _exits(users: UserRows, sets: ZoneSets, u7: IntColumn, now_ms: int) -> Events:
    rows = users.rows[u7]
    held = sets.zones_of(rows["inside"])
    lon, lat = seen_at(rows[held.query])
    # A fast clock may have placed the user there a little after now.
    time_ms = np.maximum(rows["time_ms"][held.query], now_ms)
    return make_events(u7[held.query], time_ms, held.zone, lon, lat, EXIT, reason=ERASED)


def erase(users: UserRows, u7: IntColumn) -> None:
    """Make the rows of users all zero, and keep no moment of theirs. Cost: a pass over each of their blocks."""
    users.rows[u7] = np.zeros(1, dtype=users.rows.dtype)
    for block in np.unique(u7 // BLOCK).tolist():
        rows = users.rows[users.block_rows(block)]
        inside = rows["inside"] != EMPTY_SET
        users.inside_from_ms[block] = rows["time_ms"][inside].min(initial=NEVER_MS)
