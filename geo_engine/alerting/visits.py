"""The memory of visits: one warning per visit, and what a restart needs to keep it so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["VisitBook", "VisitRecord"]

Key = tuple[int, int]  # u7, zone position


@dataclass(slots=True)
class VisitRecord:
    """One user at one zone. Mutable on purpose: it belongs to the book alone.

    Attributes:
        visit_ms: event time at which the visit (approach or enter) began; its number.
        last_ms: event time at which it was last seen.
        open: the visit goes on (approaching or inside).
        inside: the user is inside.
        decided: a warning was decided for this visit.
        sent_ms: event time of the last warning sent for this user and zone, None = never.
        kept_ms: event time at which the visit was last handed out to be stored.
        noted: a warning that came too late to be sent was noted for this visit, so no second one is.
    """

    visit_ms: int
    last_ms: int
    open: bool = True
    inside: bool = False
    decided: bool = False
    sent_ms: int | None = None
    kept_ms: int = 0
    noted: bool = False

    def restart(self, time_ms: int) -> None:
        """Begin a new visit; only the time of the last warning is carried over."""
        self.visit_ms = self.last_ms = time_ms
        self.open, self.inside, self.decided, self.noted = True, False, False, False


class VisitBook:
    """Visits by user and zone. An approach that is not renewed for ``reset_ms`` is over."""

    def __init__(self, *, reset_ms: int, remember_ms: int) -> None:
        """Start empty.

        Args:
            reset_ms: an approach not seen for longer begins a new visit the next time.
            remember_ms: how long a closed visit is kept for the cooldown.
        """
        self._reset_ms = reset_ms
        self._remember_ms = max(remember_ms, reset_ms)
        self._records: dict[Key, VisitRecord] = {}
        self._changed: set[Key] = set()
        self._purge_at = 1024

    def __len__(self) -> int:
        """Return the number of visits remembered."""
        return len(self._records)

    def restore(self, key: Key, record: VisitRecord) -> None:
        """Put back a visit from before a restart."""
        self._records[key] = record

    def approach(self, key: Key, time_ms: int) -> tuple[VisitRecord, bool]:
        """Note that the user heads for the zone; return the visit and whether it begins with this."""
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = VisitRecord(time_ms, time_ms)
            begins = True
        else:
            begins = not record.inside and (not record.open or time_ms - record.last_ms > self._reset_ms)
            if begins:
                record.restart(time_ms)
        record.last_ms = time_ms
        # The store hears of a long approach now and then, or a restart would take it for one that is over.
        if begins or time_ms - record.kept_ms > self._reset_ms // 2:
            record.kept_ms = time_ms
            self._changed.add(key)
        return record, begins

    def enter(self, key: Key, time_ms: int) -> VisitRecord:
        """Note that the user is inside; an approach that led here belongs to the same visit."""
        record, _ = self.approach(key, time_ms)
        record.inside = True
        self._changed.add(key)
        return record

    def leave(self, key: Key, time_ms: int) -> None:
        """Note that the user is outside again (exit, lost or crossed): the visit is over."""
        record = self._records.get(key)
        if record is None or not record.open:
            return
        record.open = record.inside = False
        record.last_ms = time_ms
        self._changed.add(key)

    def inside(self, key: Key) -> VisitRecord | None:
        """Return the visit of a user who is inside, None when there is none."""
        record = self._records.get(key)
        return record if record is not None and record.inside else None

    def decided(self, key: Key, *, sent_ms: int | None) -> None:
        """Note that a warning was decided for the visit; ``sent_ms`` when it is sent."""
        record = self._records[key]
        record.decided = True
        if sent_ms is not None:
            record.sent_ms = sent_ms
        self._changed.add(key)

    def take_changed(self) -> Iterator[tuple[Key, VisitRecord]]:
        """Yield visits that began, changed or ended since the last call, ordered by user and zone."""
        changed, self._changed = sorted(self._changed), set()
        for key in changed:
            yield key, self._records[key]

    def forget_old(self, now_ms: int) -> None:
        """Drop closed visits whose cooldown is over. Cost: a pass over all visits, only each time they doubled."""
        if len(self._records) < self._purge_at:
            return
        horizon = now_ms - self._remember_ms
        self._records = {
            key: record
            for key, record in self._records.items()
            if record.inside or record.last_ms >= horizon or (record.sent_ms or 0) >= horizon
        }
        self._purge_at = max(1024, 2 * len(self._records))
