"""Interned sets of zones: each distinct set is kept once, and a user's row holds only its number."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.index.protocol import Pairs
from geo_engine.model import BoolColumn, IntColumn

__all__ = ["EMPTY_SET", "Hashes", "Numbers", "ZoneSets", "mixed"]

EMPTY_SET: Final = 0
"""Number of the empty set."""

Numbers = npt.NDArray[np.int32]
"""A column of numbers of sets."""

Hashes = npt.NDArray[np.uint64]


_Arrays = tuple[IntColumn, Numbers, Hashes, Numbers]
"""Begins of the sets, their members, their sums in order, the set of each sum."""
_EMPTY: Final[_Arrays] = (
    np.zeros(2, dtype=np.int64),
    np.empty(0, dtype=np.int32),
    np.zeros(1, dtype=np.uint64),
    np.zeros(1, dtype=np.int32),
)


class ZoneSets:
    """Sets of zone positions by number; number 0 is the empty set. Sets are only ever added.

    A set is found by the sum of a 64-bit mix of its members: two sets among a million share a sum with a probability
    of 3e-8; the members are compared, and such a pair would be an error, not a wrong answer.

    Attributes:
        shared: so many sets, the first ones, have the numbers they have in the base.
    """

    def __init__(self, base: ZoneSets | None = None) -> None:
        """Start with the empty set, or with the sets of ``base``, which may grow in another thread meanwhile."""
        # Never written in place and replaced together, so that a copy is one reading.
        self._arrays: _Arrays = _EMPTY if base is None else base._arrays
        self.shared = len(self)

    @property
    def first(self) -> IntColumn:
        """Return where the members of each set begin in ``members``: int64 (sets + 1,)."""
        return self._arrays[0]

    @property
    def members(self) -> Numbers:
        """Return the zone positions of all sets, ascending inside a set: int32."""
        return self._arrays[1]

    @property
    def sums(self) -> tuple[Hashes, Numbers]:
        """Return the sums of the sets, ascending, and which set each is of: for kernels that look a set up."""
        return self._arrays[2], self._arrays[3]

    def __len__(self) -> int:
        """Return the number of distinct sets."""
        return len(self.first) - 1

    @property
    def sizes(self) -> IntColumn:
        """Return the number of members of every set."""
        return np.diff(self.first)

    def zones_of(self, numbers: Numbers) -> Pairs:
        """Return (row in ``numbers``, zone) of every member of the given sets, ordered by row, then zone."""
        low = self.first[numbers]
        count = self.first[numbers.astype(np.int64) + 1] - low
        row = np.repeat(np.arange(len(numbers)), count)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return Pairs(row, self.members[low[row] + offset].astype(np.int64))

    def intern(self, members: Pairs, count: int) -> Numbers:
        """Return the number of each of ``count`` sets, given as pairs (row of the set, zone) in order.

        Cost: a sort of the distinct sums; nothing per set in Python, but for two sets of one sum.
        """
        size = np.bincount(members.query, minlength=count)
        first = np.concatenate([[0], np.cumsum(size)])
        hashes = _sums(members.zone, first)
        distinct, example, which = np.unique(hashes, return_index=True, return_inverse=True)
        _, _, sums, by_sum = self._arrays
        place = np.minimum(np.searchsorted(sums, distinct), len(sums) - 1)
        known = sums[place] == distinct
        numbers = np.where(known, by_sum[place], 0).astype(np.int32)
        new = np.flatnonzero(~known)
        numbers[new] = len(self) + np.arange(len(new))
        self._add(members.zone, first, example[new], distinct[new])
        found = numbers[which.reshape(-1)]
        self._check(found, members.zone, first)
        return found

    def renumbering(self, first: IntColumn, members: Numbers) -> Numbers:
        """Take in the sets of another numbering; return the number here of each number there."""
        row = np.repeat(np.arange(len(first) - 1), np.diff(first))
        return self.intern(Pairs(row, members.astype(np.int64)), len(first) - 1)

    def holding(self, wanted: BoolColumn) -> BoolColumn:
        """Say for every set whether it has a member that is wanted (bool per zone)."""
        counts = np.concatenate([[0], np.cumsum(wanted[self.members])])
        held: BoolColumn = counts[self.first[1:]] > counts[self.first[:-1]]
        return held

    def less(self, gone: BoolColumn) -> Numbers:
        """Return for every set the number of what is left of it without the ``gone`` zones (bool per zone)."""
        left = np.arange(len(self), dtype=np.int32)
        touched = np.flatnonzero(self.holding(gone)).astype(np.int32)
        if len(touched):
            every = self.zones_of(touched)
            stays = ~gone[every.zone]
            left[touched] = self.intern(Pairs(every.query[stays], every.zone[stays]), len(touched))
        return left

    def _add(self, zones: IntColumn, first: IntColumn, rows: IntColumn, hashes: Hashes) -> None:
        size = first[rows + 1] - first[rows]
        take = np.repeat(first[rows], size) + np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        number = np.arange(len(self), len(self) + len(rows), dtype=np.int32)
        first_, members, sums, by_sum = self._arrays
        all_sums = np.concatenate([sums, hashes])
        order = np.argsort(all_sums, kind="stable")
        self._arrays = (
            np.concatenate([first_, first_[-1] + np.cumsum(size)]),
            np.concatenate([members, zones[take].astype(np.int32)]),
            all_sums[order],
            np.concatenate([by_sum, number])[order],
        )

    def _check(self, found: Numbers, zones: IntColumn, first: IntColumn) -> None:
        """Raise when a set that was found by its sum has other members.

        Raises:
            RuntimeError: two sets have one sum: with the mix used here that takes 2^32 sets.
        """
        ours = self.first[found.astype(np.int64)]
        size = np.diff(first)
        if (self.sizes[found] != size).any() or (
            self.members[np.repeat(ours - first[:-1], size) + np.arange(len(zones))] != zones
        ).any():
            message = "two different sets of zones share a 64-bit sum"
            raise RuntimeError(message)


def mixed(x: Any) -> Any:  # noqa: ANN401 - a number in a kernel, a column outside
    """Return the mix of a zone position (uint64, a number or a column): splitmix64, Steele et al. 2014."""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _sums(zones: IntColumn, first: IntColumn) -> Hashes:
    """Return the sum of the mixed members of each set, 0 for the empty one."""
    mixes = mixed(zones.astype(np.uint64))
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixes, dtype=np.uint64)])
    sums: Hashes = total[first[1:]] - total[first[:-1]]
    return sums
