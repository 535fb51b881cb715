"""States of the traffic and the counting of moves between them, one step at a time, as compiled kernels.

A state is a cell of about 80 m and one of eight headings: a number of 40 bits, so nothing is kept of where nobody
drives. A move is a state and the state a step later, told relative to it: 55 bits. Moves are counted in a hash table
with open addressing and linear probing (Knuth 1998, The Art of Computer Programming 3, 6.4, algorithm L).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, uncounted
from geo_engine.model import FloatColumn, IntColumn

__all__ = [
    "CELLS_A_SIDE",
    "DRIVEN",
    "HEADINGS",
    "LEAST_MOVE_MS",
    "MOST_MOVE_MS",
    "MOVING_MPS",
    "ROWS_PER_DEGREE",
    "TILES_A_DEGREE",
    "DrivenStep",
    "DrivenSteps",
    "MoveColumns",
    "add_moves",
    "add_steps",
    "columns_per_degree",
    "count_step",
    "heading_of",
    "moved_into",
    "sample_of",
    "slots_of",
    "state_of",
    "steps_in",
]

ROWS_PER_DEGREE: Final = 1_408
"""Rows of cells in a degree of latitude: a row is 79 m; a multiple of ``CELLS_A_SIDE``."""
CELLS_A_SIDE: Final = 16
"""Cells along a side of a tile; no cell lies in two degrees."""
TILES_A_DEGREE: Final = ROWS_PER_DEGREE // CELLS_A_SIDE
"""Tiles along a side of a degree; fewer lie side by side away from the equator."""
HEADINGS: Final = 8
"""Headings told apart: north, north-east and so on, each 45 degrees wide."""
MOVING_MPS: Final = 2.0
"""Slower is standing: a heading is noise."""
LEAST_MOVE_MS: Final = 3_000
"""A shorter step does not show a move: it ends where it began."""
MOST_MOVE_MS: Final = 20_000
"""A longer step hides the way between its ends."""

_COLUMN_BITS: Final = 19
_HEADING_BITS: Final = 3
_MOVE_BITS: Final = 15
_REACH: Final = 31
_USED: Final = np.int64(1 << 60)
_TAN_22_5: Final = 0.41421356237309503
_PARTS: Final = 16.0


class MoveColumns(NamedTuple):
    """The table of moves as strided views of its records; its length is a power of two.

    Attributes:
        key: int64: the move and a bit that is always set; 0 = free.
        seen: float32: how often it was seen, less with age.
        seconds: float32: sum of the seconds it took.
        east: float32: sum of the share of the cell west of where it began, 0 .. 1.
        north: float32: the same of the cell south.
    """

    key: IntColumn
    seen: npt.NDArray[np.float32]
    seconds: npt.NDArray[np.float32]
    east: npt.NDArray[np.float32]
    north: npt.NDArray[np.float32]


class DrivenSteps(NamedTuple):
    """Steps of drivers between two believed positions, in columns; who drove is not among them.

    Attributes:
        lon0: longitude of the begin, degrees.
        lat0: latitude of the begin.
        east0_mps: velocity there; NaN = unknown.
        north0_mps: the same, to the north.
        lon1: longitude of the end.
        lat1: latitude of the end.
        east1_mps: velocity there.
        north1_mps: the same, to the north.
        elapsed_ms: time between both.
    """

    lon0: FloatColumn
    lat0: FloatColumn
    east0_mps: FloatColumn
    north0_mps: FloatColumn
    lon1: FloatColumn
    lat1: FloatColumn
    east1_mps: FloatColumn
    north1_mps: FloatColumn
    elapsed_ms: IntColumn


DRIVEN: Final = np.dtype(
    [
        ("lon0", np.float64),
        ("lat0", np.float64),
        ("lon1", np.float64),
        ("lat1", np.float64),
        ("east0_mps", np.float32),
        ("north0_mps", np.float32),
        ("east1_mps", np.float32),
        ("north1_mps", np.float32),
        ("elapsed_ms", np.int32),
    ],
    align=True,
)
"""One of ``DrivenSteps`` as a record, 56 bytes."""


def steps_in(records: npt.NDArray[np.void]) -> DrivenSteps:
    """Return ``DRIVEN`` records as columns, strided views."""
    return DrivenSteps(*(records[name] for name in DrivenSteps._fields))


class DrivenStep(NamedTuple):
    """One of ``DrivenSteps``."""

    lon0: float
    lat0: float
    east0_mps: float
    north0_mps: float
    lon1: float
    lat1: float
    east1_mps: float
    north1_mps: float
    elapsed_ms: int


def columns_per_degree() -> FloatColumn:
    """Return the columns of cells in a degree of longitude, for each degree of latitude from the south pole: (181,).

    Cells are about square; a multiple of ``CELLS_A_SIDE``, so that tiles fill a degree.
    """
    middle_deg = np.arange(181) - 89.5
    tiles = np.rint(ROWS_PER_DEGREE / CELLS_A_SIDE * np.cos(np.radians(middle_deg)))
    return np.asarray(np.maximum(tiles, 1.0) * CELLS_A_SIDE, dtype=np.float64)


@uncounted
def sample_of(u7: int, time_ms: int) -> int:
    """Return a number whose low bits are spread over the steps: of a user, of a moment, in whatever order they come."""
    return int(time_ms) // 1000 + int(u7) * 7919


@uncounted
def heading_of(east: float, north: float) -> int:
    """Return which of the eight headings a direction falls into: 0 = north, 2 = east."""
    across, along = abs(east), abs(north)
    if across < along * _TAN_22_5:
        return 0 if north > 0.0 else 4
    if along < across * _TAN_22_5:
        return 2 if east > 0.0 else 6
    if north > 0.0:
        return 1 if east > 0.0 else 7
    return 3 if east > 0.0 else 5


@uncounted
def state_of(columns: FloatColumn, lon: float, lat: float, heading: int) -> int:
    """Return the state of a place in -180 .. 180, -90 .. 90 and a heading."""
    a_degree = columns[int(lat + 90.0)]
    # The 180 degree meridian belongs to the first column, the pole to the last row.
    column = int((lon + 180.0) * a_degree) % int(360.0 * a_degree)
    row = min(int((lat + 90.0) * ROWS_PER_DEGREE), 180 * ROWS_PER_DEGREE - 1)
    return (((row << _COLUMN_BITS) + column) << _HEADING_BITS) + heading


@uncounted
def _slot_of(key: int, slots: int) -> int:
    """Return the slot a key is looked for first (multiplicative hashing, Knuth 1998); nothing overflows in 63 bits."""
    return int((((key ^ (key >> 29)) & 0x7FFFFFFF) * 0x9E3779B1) >> 24) & (slots - 1)


@uncounted
def count_step(table: MoveColumns, columns: FloatColumn, step: DrivenStep) -> int:
    """Count a step as a move, where it is one.

    Time stands still for who stands: a step between two standing positions is none. Where one end stands, it has the
    heading of the other.

    Returns:
        1 when a free slot was taken by it, else 0. The table must have a free slot. Cost: one access to memory.
    """
    lon0, lat0, east0_mps, north0_mps, lon1, lat1, east1_mps, north1_mps, elapsed_ms = step
    if not LEAST_MOVE_MS <= elapsed_ms <= MOST_MOVE_MS:
        return 0
    least = MOVING_MPS * MOVING_MPS
    moves0 = east0_mps * east0_mps + north0_mps * north0_mps >= least
    moves1 = east1_mps * east1_mps + north1_mps * north1_mps >= least
    if not (moves0 or moves1):
        return 0
    heading1 = heading_of(east1_mps, north1_mps) if moves1 else heading_of(east0_mps, north0_mps)
    heading0 = heading_of(east0_mps, north0_mps) if moves0 else heading1
    if lon1 - lon0 > 180.0:
        lon1 -= 360.0
    elif lon1 - lon0 < -180.0:
        lon1 += 360.0
    # Both ends in the columns of the degree the step begins in.
    per_degree = columns[int(lat0 + 90.0)]
    x0, y0 = (lon0 + 180.0) * per_degree, (lat0 + 90.0) * ROWS_PER_DEGREE
    x1, y1 = (lon1 + 180.0) * per_degree, (lat1 + 90.0) * ROWS_PER_DEGREE
    aside, ahead = int(np.floor(x1)) - int(x0), int(y1) - int(y0)
    if not (-_REACH <= aside <= _REACH and -_REACH <= ahead <= _REACH):
        return 0
    key = state_of(columns, lon0, lat0, heading0) << _MOVE_BITS
    key += ((aside + _REACH) << 9) + ((ahead + _REACH) << 3) + heading1
    # In sixteenths sums are exact, so that the order of the steps does not matter.
    place = (np.rint((x0 - int(x0)) * _PARTS) / _PARTS, np.rint((y0 - int(y0)) * _PARTS) / _PARTS)
    return _add(table, key, 1.0, np.rint(elapsed_ms / 1000.0 * _PARTS) / _PARTS, place)


@uncounted
def _add(table: MoveColumns, key: int, seen: float, seconds: float, place: tuple[float, float]) -> int:
    slots = len(table.key)
    at = _slot_of(key, slots)
    marked = key | _USED
    while table.key[at] != marked and table.key[at] != 0:
        at = (at + 1) & (slots - 1)
    fresh = int(table.key[at] == 0)
    table.key[at] = marked
    table.seen[at] += seen
    table.seconds[at] += seconds
    table.east[at] += place[0]
    table.north[at] += place[1]
    return fresh


@bare
def add_steps(table: MoveColumns, columns: FloatColumn, steps: DrivenSteps, first: int, room: int) -> tuple[int, int]:
    """Count steps from ``first`` on until ``room`` slots were taken; return (step to go on with, slots taken)."""
    taken, k = 0, first
    while k < len(steps.lon0) and taken < room:
        step = DrivenStep(
            steps.lon0[k], steps.lat0[k], steps.east0_mps[k], steps.north0_mps[k],
            steps.lon1[k], steps.lat1[k], steps.east1_mps[k], steps.north1_mps[k], steps.elapsed_ms[k],
        )  # fmt: skip
        taken += count_step(table, columns, step)
        k += 1
    return k, taken


@bare
def add_moves(table: MoveColumns, moves: MoveColumns, share: float) -> int:
    """Add ``share`` of other moves to a table with room for all of them; return the slots taken."""
    taken = 0
    for k in range(len(moves.key)):
        if moves.key[k] != 0:
            seen, seconds = np.float64(moves.seen[k]), np.float64(moves.seconds[k])
            east, north = np.float64(moves.east[k]), np.float64(moves.north[k])
            if share < 1.0:
                # Down to whole sixteenths, the means as they are to that: so what is rare does get forgotten.
                left = np.floor(seen * share * _PARTS) / _PARTS
                part = left / seen
                seen, seconds = left, np.rint(seconds * part * _PARTS) / _PARTS
                east, north = np.rint(east * part * _PARTS) / _PARTS, np.rint(north * part * _PARTS) / _PARTS
            taken += _add(table, moves.key[k] & ~_USED, seen, seconds, (east, north))
    return taken


def slots_of(states: IntColumn) -> IntColumn:
    """Return where states lie when tiles of 16 x 16 cells follow one another, degree by degree: 2,048 slots a tile."""
    heading, cell = states % HEADINGS, states // HEADINGS
    row, column = cell >> _COLUMN_BITS, cell & ((1 << _COLUMN_BITS) - 1)
    per_degree = columns_per_degree()[row // ROWS_PER_DEGREE].astype(np.int64)
    inner_row, inner_column = row % ROWS_PER_DEGREE, column % per_degree
    degree = (row // ROWS_PER_DEGREE) * 360 + column // per_degree
    tile = (degree * TILES_A_DEGREE + inner_row // CELLS_A_SIDE) * TILES_A_DEGREE + inner_column // CELLS_A_SIDE
    inner = (inner_row % CELLS_A_SIDE) * CELLS_A_SIDE + inner_column % CELLS_A_SIDE
    return np.asarray((tile * CELLS_A_SIDE**2 + inner) * HEADINGS + heading)


def moved_into(columns: FloatColumn, keys: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return (state, the state a step later) of the moves with these keys."""
    move = keys & ((1 << _MOVE_BITS) - 1)
    state = (keys & ~_USED) >> _MOVE_BITS
    cell = state >> _HEADING_BITS
    row, column = cell >> _COLUMN_BITS, cell & ((1 << _COLUMN_BITS) - 1)
    to_row = np.clip(row + ((move >> 3) & 63) - _REACH, 0, 180 * ROWS_PER_DEGREE - 1)
    to_column = column + ((move >> 9) & 63) - _REACH
    # Another degree of latitude has other columns; the map goes round.
    own, other = columns[row // ROWS_PER_DEGREE], columns[to_row // ROWS_PER_DEGREE]
    moved = np.where(own == other, to_column, np.floor((to_column + 0.5) * other / own).astype(np.int64))
    moved %= (other * 360.0).astype(np.int64)
    return state, (((to_row << _COLUMN_BITS) + moved) << _HEADING_BITS) + (move & 7)
