"""A chain of places drivers go along: what forecasts are computed on, be it learnt cells or pieces of roads."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.model import FloatColumn, IntColumn
from geo_engine.tracking.flow import MOVE
from geo_engine.tracking.flow_kernels import HEADINGS, ROWS_PER_DEGREE, columns_per_degree, moved_into, slots_of

__all__ = ["Chain", "LearntChain", "learnt_chain"]

_KNOWN_FROM: Final = 2.0
"""A state that was left less often tells nothing; straight on is the better guess there."""


class Chain(NamedTuple):
    """States and the moves between them. Shares of a state's moves sum to 1, or it has none.

    Attributes:
        lon: mean place of each state, degrees.
        lat: the same.
        source: state a move begins at; ascending.
        target: state it ends at.
        share: float32: probability of the move among those of its source.
        seconds: float32: how long it takes.
    """

    lon: FloatColumn
    lat: FloatColumn
    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    share: npt.NDArray[np.float32]
    seconds: npt.NDArray[np.float32]


class LearntChain(NamedTuple):
    """A chain whose states are cells and headings.

    Attributes:
        chain: the chain.
        state: the state's number of 40 bits.
        slot: where it lies among the slots of all tiles (``slots_of``), ascending.
        known: bool: enough was seen there.
    """

    chain: Chain
    state: IntColumn
    slot: IntColumn
    known: npt.NDArray[np.bool_]


def learnt_chain(moves: npt.NDArray[np.void], *, known_from: float = _KNOWN_FROM) -> LearntChain:
    """Make a chain of counted moves.

    A state lies where the steps that left it began on average, which is on the road although the cell's middle is not.

    Args:
        moves: ``Flow.moves``: ``MOVE`` records.
        known_from: a state that was left less often is not known.

    Cost: 0.3 s for a million moves, a sort of them.
    """
    if moves.dtype != MOVE:
        message = f"found records of {moves.dtype.names}, expected {MOVE.names}"
        raise TypeError(message)
    begin, end = moved_into(columns_per_degree(), moves["key"])
    both = np.concatenate([begin, end])
    slot, first, number = np.unique(slots_of(both), return_index=True, return_inverse=True)
    state = both[first]
    source, target = number[: len(moves)], number[len(moves) :]
    count = moves["seen"].astype(np.float64)
    left = np.bincount(source, weights=count, minlength=len(state))
    seen = np.maximum(left, 1e-9)
    east = np.bincount(source, weights=moves["east"], minlength=len(state)) / seen
    north = np.bincount(source, weights=moves["north"], minlength=len(state)) / seen
    # Where nobody went on from, the middle of the cell stands for the place.
    lon, lat = _corner(state)
    per_degree = columns_per_degree()[((state >> 22) // ROWS_PER_DEGREE).astype(np.int64)]
    lon = lon + np.where(left > 0.0, east, 0.5) / per_degree
    lat = lat + np.where(left > 0.0, north, 0.5) / ROWS_PER_DEGREE
    order = np.argsort(source, kind="stable")
    source, target, count = source[order], target[order], count[order]
    chain = Chain(
        lon=lon,
        lat=lat,
        source=source.astype(np.int32),
        target=target.astype(np.int32),
        share=(count / seen[source]).astype(np.float32),
        seconds=(moves["seconds"][order] / np.maximum(count, 1e-9)).astype(np.float32),
    )
    return LearntChain(chain, state, slot, left >= known_from)


def _corner(state: IntColumn) -> tuple[FloatColumn, FloatColumn]:
    """Return lon, lat of the south-west corner of the cells of states."""
    cell = state // HEADINGS
    row, column = cell >> 19, cell & ((1 << 19) - 1)
    per_degree = columns_per_degree()[row // ROWS_PER_DEGREE]
    return column / per_degree - 180.0, row / ROWS_PER_DEGREE - 90.0
