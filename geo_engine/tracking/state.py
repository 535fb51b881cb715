"""What the engine remembers of every user: one packed row per u7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.errors import SnapshotError
from geo_engine.model import U7_COUNT, FloatColumn, IntColumn

__all__ = [
    "BLOCK",
    "CONSENTED",
    "ENGLISH",
    "FRESH",
    "KEPT_FLAGS",
    "MOVING",
    "NEVER_MS",
    "PACKED_ROW",
    "PLACED",
    "TOLD",
    "WALKED",
    "UserRows",
    "centimetres",
    "refuse_strangers",
    "seen_at",
]

PACKED_ROW: Final = np.dtype(
    [
        # What nearly every ping reads comes first: it lies in one line of the cache more often than a whole row does.
        ("time_ms", np.int64),  # event time of the last accepted ping, 0 = never
        ("lon", np.float64),  # the doubles as they came, so that the segment test is exact; of who stands, their mean
        ("lat", np.float64),
        ("inside", np.int32),  # number of the interned set of zones the user is in, 0 = none
        ("back_lon", np.float32),  # degrees from where his way is not yet searched for crossings, 0 = from lon, lat
        ("back_lat", np.float32),
        ("east_cmps", np.int16),  # velocity over the last step, when MOVING
        ("north_cmps", np.int16),
        ("profile", np.int16),  # row of the applicability matrix
        ("flags", np.uint8),
        ("still_s", np.uint8),  # for how many seconds the user has stood, 0 = he drives
        ("jumps", np.uint8),  # pings set aside in a row as absurd
        ("sent", np.uint8),  # warnings sent on that day
        ("sent_day", np.uint16),  # local day, counted from 1970, on which the last warning was sent
        ("venue", np.int32),  # 1 + position of the nearest venue within reach, 0 = none
        ("jump_after_ms", np.int32),  # event time of the last ping set aside as absurd, after time_ms
    ],
    align=True,
)
"""One user's row, 56 bytes. All zero means "never heard of", so fresh memory needs no filling.

Filled up to a line of the cache, 64 bytes, a row would save 12 ns a ping and cost ten million users 80 MB more than
they may take.
"""

PLACED: Final = 1
"""Flag: lon, lat are known."""
FRESH: Final = 2
"""Flag: the last accepted ping was recent enough to warn when it was judged."""
CONSENTED: Final = 4
"""Flag: the user agreed to be warned."""
MOVING: Final = 8
"""Flag: east_cmps, north_cmps are known."""
TOLD: Final = 16
"""Flag: what the user agreed to and reads is known; without it the default vehicle answers for both."""
ENGLISH: Final = 32
"""Flag: the user reads English."""
WALKED: Final = 64
"""Flag: where the way of who stands is searched up to is a mean of his, not the one ping his stand began with."""
KEPT_FLAGS: Final = CONSENTED | TOLD | ENGLISH
"""What a ping does not change."""

BLOCK: Final = 4096
"""Rows in a block: what is saved and looked through together."""

NEVER_MS: Final = np.iinfo(np.int64).max

_FASTEST_CMPS: Final = 32_767


class UserRows:
    """The rows of the whole u7 space.

    The space is reserved at once; the system hands out zeroed pages only where a row is touched, so ten users cost a
    few pages, ten million 560 MB, and no row ever moves.

    Attributes:
        rows: one ``PACKED_ROW`` per u7.
        inside_from_ms: per block, a moment not after the last ping of any user there who is inside something,
            ``NEVER_MS`` when nobody is; it tells which blocks may hold a user who went silent.
        used: per block, whether any of its rows was written.
    """

    def __init__(self) -> None:
        """Start with nobody known."""
        self.rows: npt.NDArray[np.void] = np.zeros(U7_COUNT, dtype=PACKED_ROW)
        blocks = -(-U7_COUNT // BLOCK)
        self.inside_from_ms: IntColumn = np.full(blocks, NEVER_MS, dtype=np.int64)
        self.used: npt.NDArray[np.bool_] = np.zeros(blocks, dtype=np.bool_)

    def mark(self, u7: IntColumn) -> None:
        """Note that the rows of these users were written and that those inside are to be watched for silence."""
        block = u7 // BLOCK
        self.used[block] = True
        rows = self.rows[u7]
        inside = rows["inside"] != 0
        np.minimum.at(self.inside_from_ms, block[inside], rows["time_ms"][inside])

    def positions(self) -> tuple[IntColumn, FloatColumn, FloatColumn]:
        """Return (u7, lon, lat) of every user with a known last position. Cost: a pass over the blocks in use."""
        parts = [np.empty(0, dtype=np.int64)]
        for block in np.flatnonzero(self.used).tolist():
            where = self.block_rows(block)
            parts.append(np.flatnonzero(self.rows["flags"][where] & PLACED) + where.start)
        u7 = np.concatenate(parts)
        return u7, self.rows["lon"][u7], self.rows["lat"][u7]

    def forget_places(self, u7: IntColumn) -> None:
        """Know no more where these users are, how they move and which venue is near; all else stays."""
        rows = self.rows[u7]
        rows["flags"] &= ~np.uint8(PLACED | MOVING | WALKED)
        for name in ("venue", "jumps", "still_s", "back_lon", "back_lat"):
            rows[name] = 0
        self.rows[u7] = rows

    def saved(self) -> dict[str, npt.NDArray[Any] | list[npt.NDArray[Any]]]:
        """Return the blocks in use for a snapshot; ``rows`` comes as views of them."""
        blocks = np.flatnonzero(self.used)
        rows = [self.rows[:0], *(self.rows[self.block_rows(block)] for block in blocks.tolist())]
        return {"blocks": blocks, "inside_from_ms": self.inside_from_ms[blocks], "rows": rows}

    def load(self, arrays: Mapping[str, npt.NDArray[Any]], set_number: npt.NDArray[np.int32]) -> None:
        """Take up saved blocks; ``set_number`` is the number here of each set they name.

        What is told of users rather than seen (profile, consent, language) stays as it is here.

        Raises:
            SnapshotError: the rows have other fields; nothing is taken up then.
        """
        if arrays["rows"].dtype != PACKED_ROW:
            found, expected = ((kind.itemsize, kind.names) for kind in (arrays["rows"].dtype, PACKED_ROW))
            message = "found a snapshot with user rows of {} bytes {}, expected {} bytes {}"
            raise SnapshotError(message.format(*found, *expected))
        at = 0
        for block, from_ms in zip(arrays["blocks"].tolist(), arrays["inside_from_ms"].tolist(), strict=True):
            here = self.rows[self.block_rows(block)]
            told, profile = here["flags"] & KEPT_FLAGS, here["profile"].copy()
            here[:] = arrays["rows"][at : at + len(here)]
            here["flags"] = (here["flags"] & ~np.uint8(KEPT_FLAGS)) | told
            here["profile"], here["inside"] = profile, set_number[here["inside"]]
            self.used[block], self.inside_from_ms[block] = True, from_ms
            at += len(here)

    def block_rows(self, block: int) -> slice:
        """Return where the rows of a block lie."""
        return slice(block * BLOCK, min((block + 1) * BLOCK, U7_COUNT))


def seen_at(rows: npt.NDArray[np.void]) -> tuple[FloatColumn, FloatColumn]:
    """Return (lon, lat) at which the users of these rows are believed to be, NaN where no position is known."""
    placed = (rows["flags"] & PLACED) != 0
    return np.where(placed, rows["lon"], np.nan), np.where(placed, rows["lat"], np.nan)


def centimetres(velocity_mps: FloatColumn) -> FloatColumn:
    """Round a velocity to what a row keeps, so that a step weighs the same inside a batch and across two batches."""
    kept: FloatColumn = np.clip(np.rint(velocity_mps * 100.0), -_FASTEST_CMPS, _FASTEST_CMPS)
    return kept


def refuse_strangers(u7: IntColumn) -> None:
    """Refuse numbers that are no row: one below zero would be somebody else's.

    Raises:
        ValueError: a u7 is out of range.
    """
    if len(u7) and not (u7.min() >= 0 and u7.max() < U7_COUNT):
        message = f"found users {u7.min()} .. {u7.max()}, expected 0 .. {U7_COUNT - 1}"
        raise ValueError(message)
