"""A start after an end: the state that was kept, the journal behind it, and what the store knows."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Final

from api.state_file import Kept, StateFile
from api.workers.ingest import IngestWorker
from geo_engine.alerting.policy import Policy
from geo_engine.alerting.quota import Arbiter, QuotaUse
from geo_engine.engine import Engine
from geo_engine.errors import SnapshotError
from geo_engine.journal import Journal
from geo_engine.store.protocol import Store

__all__ = ["go_on", "load_state", "open_journal", "quota_uses", "read_state", "replay"]

_log: Final = logging.getLogger(__name__)

_MEMORY_MS = 24 * 3600 * 1000
"""How far back visits are read at a start: longer than any cooldown."""


def read_state(state: StateFile) -> Kept | None:
    """Return what was kept, None when there is nothing that can be used."""
    try:
        return state.read()
    except (SnapshotError, OSError) as error:
        _log.warning("%s cannot be read: %s", state.path, error)
        return None


def load_state(engine: Engine, state: StateFile, kept: Kept | None, now_ms: int | None) -> int:
    """Give the engine the last kept state and return its place in the journal.

    Without it, or with one of other zones, the journal behind it and the store's visits must do.
    """
    if kept is None:
        return 0
    try:
        engine.load(kept.snapshot, now_ms=now_ms)
    except SnapshotError as error:
        _log.warning("%s is not taken up, users begin anew where the store knows nothing: %s", state.path, error)
    return kept.position


def open_journal(state: StateFile, store: Store, kept: Kept | None, revision: int, now_ms: int) -> Journal | None:
    """Open the journal beside an embedded store, and say what in it cannot be used."""
    if state.journal is None:
        return None
    known = max(store.journal_position(), 0 if kept is None else kept.position)
    journal = Journal(state.journal, after=known, revision=revision, now_ms=now_ms)
    for damage in journal.damages:
        _log.warning("%s", damage)
    position, first = 0 if kept is None else kept.position, journal.first()
    if first is not None and first > position + 1:
        _log.warning("records %d to %d of the journal are missing: the state is older", position + 1, first - 1)
    return journal


def replay(ingest: IngestWorker, position: int) -> None:
    """Have everything behind the state judged again, as it was judged."""
    began_s = time.monotonic()
    count = ingest.recover(position)
    if count:
        _log.info("%d records of the journal judged again in %.1f s", count, time.monotonic() - began_s)


def quota_uses(store: Store, arbiter: Arbiter, now_ms: int) -> list[QuotaUse]:
    """Return what the store knows of the quota, of today and of the days the arbiter learns from."""
    return store.quota_uses(Policy().day_of(now_ms) - 2 * arbiter.limits.days)


def go_on(engine: Engine, store: Store, now_ms: int) -> int:
    """Give the engine what the store knows, after the state and the journal; return the number of open visits.

    State and journal know everybody; the visits of the store are the last resort, where these were lost or damaged.
    A visit of a zone that is gone is closed: nobody can leave what does not exist.
    """
    policy = engine.config.policy
    day_ms = (policy.day_of(now_ms) * 86_400 - policy.day_offset_s) * 1000
    visits = store.open_visits(now_ms - _MEMORY_MS)
    gone = [visit for visit in visits if visit.open and visit.zone_id not in engine.zones.position]
    store.commit([], [replace(visit, open=False, inside=False, last_ms=now_ms) for visit in gone], now_ms=now_ms)
    engine.restore(visits, store.sent_today(day_ms), now_ms=now_ms)
    engine.wishes.replace(store.mutes(now_ms), store.quiet_hours().items())
    return sum(visit.open for visit in visits) - len(gone)
