"""The history of those who want one: what each step adds to it, and what pings that came late mend in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from geo_engine.config import span_ms
from geo_engine.engine import Decisions, Engine
from geo_engine.model import PingBatch, RejectReason, TransitionKind, TransitionReason
from geo_engine.store.protocol import HistoryChange, TransitionRecord
from geo_engine.tracking.events import Events
from geo_engine.tracking.late import mend
from geo_engine.tracking.recent import PLACE, Places, Recent, events_of, places_of
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["History", "HistoryStep"]

_LATE: Final = tuple(RejectReason).index(RejectReason.LATE)
_KINDS: Final = tuple(TransitionKind)
_REASONS: Final = tuple(TransitionReason)
_LONGEST_LAG_MS: Final = 600_000
"""How late a ping may come where the engine itself sets no limit."""


_MOST_A_STEP: Final = 256
"""Late pings placed in one step, about 0.1 s; a gateway may send an hour's pings again at once."""
_MOST_WAITING: Final = 50_000


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """What one step means for the history.

    Attributes:
        change: what the store writes.
        added: kinds of the transitions that late pings added.
        withdrawn: kinds of the transitions that late pings took back.
        unplaced: late pings that could not be placed.
    """

    change: HistoryChange
    added: Sequence[TransitionKind] = ()
    withdrawn: Sequence[TransitionKind] = ()
    unplaced: int = 0


class History:
    """Turns steps of an engine into changes of the history. One thread owns it, the one that owns the engine.

    A late ping changes what is written, never the engine: it was rejected there, moved nobody and warned nobody.
    """

    def __init__(self, engine: Engine) -> None:
        """Follow nobody yet."""
        self._engine = engine
        self._limits = engine.config.limits()
        self._lag_ms = span_ms(engine.config.max_lag_s) or _LONGEST_LAG_MS
        # Of a ping that is as late as may be, the position before may be as old again.
        self._recent = Recent(keep_ms=2 * self._lag_ms)
        self._zones: ZoneSet = engine.zones
        self._late: Places = np.zeros(0, dtype=PLACE)

    @property
    def waiting(self) -> int:
        """Return how many late pings wait for the next steps; few are placed in one, or warnings would wait."""
        return len(self._late)

    def follow(self, u7: Sequence[int]) -> None:
        """Begin to keep the history of users who agreed to it."""
        users = np.array(sorted(set(u7)), dtype=np.int64)
        self._recent.follow(users, self._engine.last_known(users)[1] > 0)

    def forget(self, u7: Sequence[int]) -> None:
        """Stop keeping the history of users."""
        self._recent.forget(np.array(u7, dtype=np.int64))

    def step(self, batch: PingBatch, decisions: Decisions, now_ms: int) -> HistoryStep:
        """Take a step the engine just made, and return what it writes.

        Args:
            batch: the pings the engine was given.
            decisions: what it answered.
            now_ms: when.
        """
        lost = 0
        if decisions.zones is not self._zones:
            self._zones = decisions.zones
            self._recent.restart()
            lost, self._late = len(self._late), self._late[:0]
        events = events_of(decisions.transitions)
        events = events[self._recent.follows(events["u7"].astype(np.int64))]
        followed = self._recent.follows(batch.u7)
        used = followed.copy()
        used[decisions.rejects.row] = False
        self._recent.note(places_of(batch.take(used)), events)
        late = decisions.rejects.row[decisions.rejects.reason == _LATE]
        late = late[followed[late] & (batch.time_ms[late] >= now_ms - self._lag_ms)]
        waiting = np.concatenate([self._late, places_of(batch.take(late))])
        waiting = waiting[self._recent.follows(waiting["u7"])]
        now, self._late = waiting[:_MOST_A_STEP], waiting[_MOST_A_STEP:][:_MOST_WAITING]
        lost += len(waiting) - len(now) - len(self._late)
        found = self._mended(now, events) if len(now) else HistoryStep(HistoryChange(self._records(events)))
        self._recent.drop_old(now_ms)
        return replace(found, unplaced=found.unplaced + lost)

    def _mended(self, late: Places, events: Events) -> HistoryStep:
        """Return what a step writes that brought ``events`` and mends by late positions."""
        inside, _ = self._engine.last_known(np.unique(late["u7"]))
        mended = mend(late, self._recent, inside, self._engine.ground, self._limits)
        self._recent.note(mended.placed, mended.added[:0])
        self._recent.correct(mended.added, mended.withdrawn)
        # What this very step recorded may be withdrawn by it; then it is not written at all.
        gone = {_key(record) for record in mended.withdrawn}
        kept = events[[_key(record) not in gone for record in events]] if gone else events
        change = HistoryChange(self._records(np.concatenate([kept, mended.added])), self._records(mended.withdrawn))
        return HistoryStep(change, _kinds(mended.added), _kinds(mended.withdrawn), mended.unplaced)

    def _records(self, events: Events) -> list[TransitionRecord]:
        zones, revision = self._zones.zones, self._zones.revision
        names = ("u7", "time_ms", "zone", "kind", "reason", "lon", "lat")
        return [
            TransitionRecord(
                u7, time_ms, zones[zone].zone_id, _KINDS[kind], _REASONS[reason], *_place(lon, lat), revision
            )
            for u7, time_ms, zone, kind, reason, lon, lat in zip(
                *(events[name].tolist() for name in names), strict=True
            )
        ]


def _kinds(events: Events) -> list[TransitionKind]:
    return [_KINDS[kind] for kind in events["kind"].tolist()]


def _place(lon: float, lat: float) -> tuple[float | None, float | None]:
    return (None, None) if math.isnan(lon) or math.isnan(lat) else (lon, lat)


def _key(record: np.void) -> tuple[int, int, int, int]:
    return int(record["u7"]), int(record["time_ms"]), int(record["zone"]), int(record["kind"])
