"""What users do not want to hear: zones they muted, and quiet hours of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from geo_engine.alerting.kernels import QUIET_ZONE, Table, put, slot_of
from geo_engine.alerting.policy import QuietHours
from geo_engine.model import IntColumn, Mute
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["FOREVER_MS", "Wishes"]

FOREVER_MS: Final = int(np.iinfo(np.int64).max)
"""End of a mute without an end."""

_ZONE_BITS: Final = 24
_SMALLEST: Final = 64
_MOST_FULL: Final = 0.5
_DAY_MIN: Final = 1440


class Wishes:
    """Wishes by user: an open-addressing hash table of 16 bytes an entry, asked only when a warning is due.

    By zone id at the border, by position inside. A mute of a zone that is not in the set is put aside and holds again
    when the zone comes back.

    Attributes:
        slots: the table the kernels read: ``1 + (u7 << 24 | zone)``, 0 = free; and the end of the mute, or of the
            zone ``QUIET_ZONE`` ``1 + 1440 * from_min + until_min``; 0 = taken back. Replaced as a whole when it grows.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Start with nobody having said anything."""
        self._zones = zones
        self._aside: dict[tuple[int, str], int] = {}
        self._used = 0
        self.slots: Table = np.zeros((_SMALLEST, 2), dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of mutes and quiet hours that are kept."""
        return int(np.count_nonzero(self.slots[:, 1])) + len(self._aside)

    def mute(self, mute: Mute) -> None:
        """Let a user hear no more of a zone; replaces an earlier mute of it."""
        position = self._zones.position.get(mute.zone_id)
        until_ms = FOREVER_MS if mute.until_ms is None else mute.until_ms
        if position is None:
            self._aside[mute.u7, mute.zone_id] = until_ms
        else:
            self._set(mute.u7, position, until_ms)

    def unmute(self, u7: int, zone_id: str) -> None:
        """Let a user hear of a zone again."""
        self._aside.pop((u7, zone_id), None)
        position = self._zones.position.get(zone_id)
        if position is not None:
            self._set(u7, position, 0)

    def mutes(self, u7: int, zone_id: str, time_ms: int) -> bool:
        """Say whether a user wants to hear nothing of a zone at a moment. Cost: a look-up."""
        position = self._zones.position.get(zone_id)
        if position is None:
            return time_ms < self._aside.get((u7, zone_id), 0)
        slot = slot_of(self.slots, u7 << _ZONE_BITS | position)
        return bool(self.slots[slot, 0] != 0 and time_ms < self.slots[slot, 1])

    def keep_quiet(self, u7: int, hours: QuietHours | None) -> None:
        """Set a user's own quiet hours; None = those of the policy hold again."""
        self._set(u7, QUIET_ZONE, 0 if hours is None else 1 + _DAY_MIN * hours.from_min + hours.until_min)

    def forget(self, u7: IntColumn) -> None:
        """Drop everything users said. Cost: a pass over the table."""
        entries, gone = self.entries(), set(u7.tolist())
        self._refill(entries[~np.isin((entries[:, 0] - 1) >> _ZONE_BITS, u7)])
        self._aside = {key: until_ms for key, until_ms in self._aside.items() if key[0] not in gone}

    def replace(self, mutes: Iterable[Mute], quiet: Iterable[tuple[int, QuietHours]]) -> None:
        """Forget everything and take this instead: after a restart the store knows best."""
        self._aside = {}
        self._refill(self.slots[:0])
        for mute in mutes:
            self.mute(mute)
        for u7, hours in quiet:
            self.keep_quiet(u7, hours)

    def rezone(self, zones: ZoneSet, moved: IntColumn) -> None:
        """Follow the zones to their positions in another set; ``moved`` is -1 for one that is gone."""
        entries, old = self.entries(), self._zones
        zone = (entries[:, 0] - 1) & QUIET_ZONE
        about_zone = zone != QUIET_ZONE
        places = zone.copy()
        places[about_zone] = moved[zone[about_zone]]
        for key, until_ms in entries[places < 0].tolist():
            self._aside[(key - 1) >> _ZONE_BITS, old.zones[(key - 1) & QUIET_ZONE].zone_id] = until_ms
        entries[:, 0] = 1 + ((entries[:, 0] - 1) >> _ZONE_BITS << _ZONE_BITS | places)
        self._zones = zones
        self._refill(entries[places >= 0])
        back = [key for key in self._aside if key[1] in zones.position]
        for u7, zone_id in back:
            self._set(u7, zones.position[zone_id], self._aside.pop((u7, zone_id)))

    def entries(self) -> Table:
        """Return the entries that hold, in no order: what a snapshot keeps."""
        entries: Table = self.slots[self.slots[:, 1] != 0]
        return entries

    def aside(self) -> list[tuple[int, str, int]]:
        """Return (u7, zone id, end) of the mutes of zones that are not in the set."""
        return [(u7, zone_id, until_ms) for (u7, zone_id), until_ms in sorted(self._aside.items())]

    def load(self, entries: Table, aside: Iterable[tuple[int, str, int]]) -> None:
        """Take up what a snapshot kept, with the zones it was taken with."""
        self._refill(entries.copy())
        self._aside = {(u7, zone_id): until_ms for u7, zone_id, until_ms in aside}

    def _set(self, u7: int, zone: int, value: int) -> None:
        if self._used + 1 > _MOST_FULL * len(self.slots):
            self._refill(self.entries(), spare=self._used)
        key = u7 << _ZONE_BITS | zone
        slot = slot_of(self.slots, key)
        # A wish that is taken back keeps its slot until the table grows, or the ones behind it would be lost.
        self._used += self.slots[slot, 0] == 0
        self.slots[slot] = key + 1, value

    def _refill(self, entries: Table, *, spare: int = 0) -> None:
        capacity = max(_SMALLEST, 1 << int(np.ceil(np.log2((len(entries) + spare + 1) / _MOST_FULL))))
        self.slots = np.zeros((capacity, 2), dtype=np.int64)
        self._used = put(self.slots, entries)
