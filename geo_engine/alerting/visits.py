"""The memory of visits: one warning per visit, and what a restart needs to keep it so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from geo_engine.alerting.columns import ColumnSequence
from geo_engine.alerting.kernels import (
    CHANGED,
    DECIDED,
    FLAGS,
    INSIDE,
    KEY,
    NEVER,
    OPEN,
    SENT,
    VISIT,
    WIDTH,
    Table,
    home_of,
    put,
    slot_of,
    sweep,
)
from geo_engine.model import BoolColumn, IntColumn, Visit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["VisitChanges", "VisitTable", "saved_records"]

_ZONE_BITS: Final = 24
_ZONE_MASK: Final = (1 << _ZONE_BITS) - 1
_SMALLEST: Final = 1024
_MOST_FULL: Final = 0.6
"""Above this share of used slots a look-up walks too far."""
_SWEEP_LEAST: Final = 64
_SWEEP_PER_RECORD: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class VisitChanges(ColumnSequence[Visit]):
    """Visits that began, changed or ended in a step, ordered by user and zone.

    Attributes:
        zones: the zone set the positions belong to.
        records: int64 (visits x 5), rows of the visit table.
    """

    zones: ZoneSet
    records: Table

    def __len__(self) -> int:
        """Return the number of visits."""
        return len(self.records)

    def take(self, rows: IntColumn) -> Self:
        """Return the given rows."""
        return type(self)(self.zones, self.records[rows])

    def item(self, row: int) -> Visit:
        """Make one visit."""
        key, visit_ms, last_ms, sent_ms, flags = self.records[row].tolist()
        return Visit(
            u7=(key - 1) >> _ZONE_BITS,
            zone_id=self.zones.zones[(key - 1) & _ZONE_MASK].zone_id,
            visit_ms=visit_ms,
            last_ms=last_ms,
            open=bool(flags & OPEN),
            inside=bool(flags & INSIDE),
            decided=bool(flags & DECIDED),
            sent_ms=None if sent_ms == NEVER else sent_ms,
        )


def saved_records(numbers: IntColumn, width: int | None) -> Table:
    """Return the records in a snapshot; ``width`` is what it says of their length, None = an earlier version's."""
    if width is not None:
        return numbers.reshape(-1, width)
    # They had one column more, when a visit was last stored, before the flags.
    return np.delete(numbers.reshape(-1, WIDTH + 1), FLAGS, axis=1)


class VisitTable:
    """Visits somebody was to be warned about, by user and zone: an open-addressing hash table of 40 bytes a record.

    Attributes:
        slots: the table the kernels work on; replaced as a whole when it grows or forgets.
    """

    def __init__(self, *, remember_ms: int) -> None:
        """Start empty; ``remember_ms`` is how long a visit that was warned about is kept for the cooldown."""
        self._remember_ms = remember_ms
        self.slots: Table = np.zeros((_SMALLEST, WIDTH), dtype=np.int64)
        self._used = self._fresh = self._swept = 0

    def __len__(self) -> int:
        """Return the number of visits remembered."""
        return self._used

    def reserve(self, count: int) -> None:
        """Make room for so many more records. Cost: a pass over the table when it has to grow."""
        if self._used + count > _MOST_FULL * len(self.slots):
            self._refill(self.records(), spare=count)

    def added(self, count: int) -> None:
        """Count records that a kernel has added to ``slots``."""
        self._used += count
        self._fresh += count

    def records(self) -> Table:
        """Return the records alone, in no order: what a snapshot keeps."""
        records: Table = self.slots[self.slots[:, KEY] != 0]
        return records

    def put(self, records: Table) -> None:
        """Write records, each over the one of its user and zone: what a restart brings back."""
        self.reserve(len(records))
        self.added(put(self.slots, records))

    def restore(self, visits: list[tuple[Visit, int]]) -> None:
        """Put back visits from before a restart, each with the position of its zone."""
        rows = [
            (
                1 + (visit.u7 << _ZONE_BITS | zone),
                visit.visit_ms,
                visit.last_ms,
                NEVER if visit.sent_ms is None else visit.sent_ms,
                OPEN * visit.open | INSIDE * visit.inside | DECIDED * visit.decided,
            )
            for visit, zone in visits
        ]
        self.put(np.array(rows, dtype=np.int64).reshape(-1, WIDTH))

    def rezone(self, moved: IntColumn) -> None:
        """Follow the zones to their positions in another set.

        Args:
            moved: new position of every old zone, -1 when it is gone; visits of those are dropped.

        Cost: some 150 ns a visit, nothing when no old zone moved.
        """
        if np.array_equal(moved, np.arange(len(moved))):
            return
        records = self.records()
        key = records[:, KEY] - 1
        zone = moved[key & _ZONE_MASK]
        records[:, KEY] = 1 + ((key >> _ZONE_BITS) << _ZONE_BITS | zone)
        self._refill(records[zone >= 0])

    def of(self, u7: int, zone: int) -> IntColumn | None:
        """Return a copy of one record, None when nothing is remembered."""
        record = self.slots[slot_of(self.slots, u7 << _ZONE_BITS | zone)]
        return record.copy() if record[KEY] else None

    def knows(self, u7: IntColumn, zone: IntColumn) -> BoolColumn:
        """Say of which (user, zone) something is remembered. Cost: a few passes over the columns."""
        key, mask = u7 << _ZONE_BITS | zone, len(self.slots) - 1
        known = np.zeros(len(key), dtype=np.bool_)
        left, slot = np.arange(len(key)), np.asarray(home_of(key, mask))  # type: ignore[arg-type]  # of a column
        while len(left):
            held = self.slots[slot[left], KEY]
            same = held == key[left] + 1
            known[left[same]] = True
            left = left[~same & (held != 0)]
            slot[left] = (slot[left] + 1) & mask
        return known

    def reopen(self, u7: IntColumn, zone: IntColumn, now_ms: int) -> None:
        """Begin the visits of (user, zone) anew, unless a warning was sent in them already.

        What is decided then is another decision than the one before and has a key of its own.
        """
        for key in (u7 << _ZONE_BITS | zone).tolist():
            record = self.slots[slot_of(self.slots, key)]
            if record[KEY] and record[SENT] < record[VISIT]:
                record[VISIT] = now_ms
                record[FLAGS] &= ~DECIDED

    def forget(self, u7: IntColumn) -> None:
        """Drop all visits of users. Cost: a pass over the table."""
        records = self.records()
        kept = ~np.isin((records[:, KEY] - 1) >> _ZONE_BITS, u7)
        if not kept.all():
            self._refill(records[kept])

    def take_changed(self, slots: IntColumn) -> Table:
        """Return the records in the given slots, ordered by user and zone, and mark them as handed out."""
        self.slots[slots, FLAGS] &= ~CHANGED
        records = self.slots[slots]
        return records[np.argsort(records[:, KEY])]

    def forget_old(self, now_ms: int) -> None:
        """Drop visits that are over: at once when nothing was sent, after the cooldown when something was.

        An approach that led nowhere is over as well. Each call looks at a part of the table, eight slots for each
        record that came since the call before, so what is over takes an eighth of the slots at most and no call is
        long. Cost: some 20 ns for each of those records.
        """
        count = min(len(self.slots), _SWEEP_LEAST + _SWEEP_PER_RECORD * self._fresh)
        self._used -= sweep(self.slots, self._swept, count, now_ms - self._remember_ms)
        self._swept = (self._swept + count) % len(self.slots)
        self._fresh = 0

    def _refill(self, records: Table, *, spare: int = 0) -> None:
        """Begin a table anew, at most 0.3 full with the records and 0.6 with the spare room."""
        needed = max(2 * len(records), len(records) + spare) / _MOST_FULL
        capacity = max(_SMALLEST, 1 << int(np.ceil(np.log2(needed + 1.0))))
        self.slots = np.zeros((capacity, WIDTH), dtype=np.int64)
        self._used = put(self.slots, records)
        self._swept = 0
