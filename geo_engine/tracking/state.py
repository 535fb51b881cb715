"""What the engine remembers of every user: one packed row per u7, and who is inside which zone."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.index.protocol import Pairs
from geo_engine.model import U7_COUNT, IntColumn

__all__ = [
    "CONSENTED",
    "ENGLISH",
    "FRESH",
    "NO_SPEED",
    "PACKED_ROW",
    "PLACED",
    "ROW",
    "TOLD",
    "InsideSets",
    "new_rows",
]

PACKED_ROW: Final = np.dtype(
    [
        ("time_ms", np.int64),  # event time of the last accepted ping, 0 = never
        ("lon", np.float64),
        ("lat", np.float64),
        ("inside", np.int32),  # number of the interned set of zones the user is in, 0 = none
        ("venue", np.int32),  # 1 + position of the nearest venue within reach, 0 = none
        ("jump_after_ms", np.int32),  # event time of the last ping set aside as absurd, after time_ms
        ("east_cmps", np.int16),  # velocity over the last step, NO_SPEED = unknown
        ("north_cmps", np.int16),
        ("profile", np.int16),  # row of the applicability matrix
        ("sent_day", np.uint16),  # local day, counted from 1970, on which the last warning was sent
        ("sent", np.uint8),  # warnings sent on that day
        ("jumps", np.uint8),  # pings set aside in a row as absurd
        ("flags", np.uint8),  # PLACED, FRESH, CONSENTED, TOLD, ENGLISH
        ("spare", np.uint8),
    ],
    align=True,
)
"""One user's row, 48 bytes. All zero means "never heard of" but for the velocity, which FLAGS tell apart."""

PLACED: Final = 1
"""Flag: lon, lat are known."""
FRESH: Final = 2
"""Flag: the last accepted ping was recent enough to warn when it was judged."""
CONSENTED: Final = 4
"""Flag: the user agreed to be warned."""
TOLD: Final = 8
"""Flag: what the user agreed to and reads is known; without it the default vehicle answers for both."""
ENGLISH: Final = 16
"""Flag: the user reads English."""
NO_SPEED: Final = -32768

ROW = np.dtype(
    [
        ("time_ms", np.int64),  # event time of the last accepted ping, 0 = never
        ("lon", np.float64),
        ("lat", np.float64),
        ("east_mps", np.float32),  # velocity over the last step
        ("north_mps", np.float32),
        ("profile", np.int32),  # row of the applicability matrix
        ("jump_ms", np.int64),  # event time of the last ping set aside as absurd
        ("jumps", np.uint8),  # pings set aside in a row as absurd
        ("fresh", np.bool_),  # the last accepted ping was recent enough to warn when it was judged
        ("placed", np.bool_),  # lon, lat are known
        ("moving", np.bool_),  # east_mps, north_mps are known
    ],
    align=True,
)
"""One user's row, 56 bytes. All zero means "never heard of", so fresh memory needs no filling."""

_ZONE_BITS = 24
_ZONE_MASK = (1 << _ZONE_BITS) - 1


def new_rows() -> npt.NDArray[np.void]:
    """Return the state of all users.

    The whole u7 space is reserved at once; the system hands out zeroed pages only where a row is touched,
    so ten users cost a few pages and no row ever moves.
    """
    return np.zeros(U7_COUNT, dtype=ROW)


class InsideSets:
    """Which users are inside which zones: one ordered array of (u7, zone) keys."""

    def __init__(self) -> None:
        """Start with nobody inside anything."""
        self._keys: IntColumn = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of (user, zone) memberships."""
        return len(self._keys)

    def users(self) -> IntColumn:
        """Return the users inside at least one zone, ordered."""
        return np.unique(self._keys >> _ZONE_BITS)

    def of(self, u7: IntColumn) -> Pairs:
        """Return (row in ``u7``, zone) of every membership of the given users."""
        low = np.searchsorted(self._keys, u7 << _ZONE_BITS)
        high = np.searchsorted(self._keys, (u7 + 1) << _ZONE_BITS)
        count = high - low
        row = np.repeat(np.arange(len(u7)), count)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return Pairs(row, self._keys[low[row] + offset] & _ZONE_MASK)

    def replace(self, u7: IntColumn, members: Pairs) -> None:
        """Set the memberships of the users ``u7`` (each once) to ``members`` (row in ``u7``, zone).

        Cost: one pass over all memberships.
        """
        kept = self._keys[~np.isin(self._keys >> _ZONE_BITS, u7)]
        added = (u7[members.query] << _ZONE_BITS) | members.zone
        self._keys = np.sort(np.concatenate([kept, added]))
