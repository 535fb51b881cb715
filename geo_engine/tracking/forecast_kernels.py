"""How likely drivers are to enter a zone, and when: computed backwards over a chain, as compiled kernels.

The probability of a first entry within so many steps of time obeys the backward equations of a Markov chain (Norris
1997, Markov Chains, 1.3); they are solved by pushing the mass of an entry back along the moves, slice by slice of time,
and only where it is worth mentioning (Andersen et al. 2007, Local Computation of PageRank Contributions).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["SLICES", "SLICE_S", "Backward", "Work", "nearest_points", "push_back"]

SLICE_S: Final = 5.0
"""Length of a slice of time, seconds."""
SLICES: Final = 36
"""Slices looked ahead: 180 s."""

_WORTH: Final = 5e-4
"""Less mass than this is not pushed on; what that loses changes recall and precision by less than 0.002."""


class Backward(NamedTuple):
    """The moves of a chain, ordered by where they end.

    Attributes:
        first: int64 (states + 1,): where the moves that end at a state begin.
        source: int32 per move.
        share: float32 per move.
        slices: int8 per move: how long it takes, at least 1.
    """

    first: IntColumn
    source: npt.NDArray[np.int32]
    share: npt.NDArray[np.float32]
    slices: npt.NDArray[np.int8]


class Work(NamedTuple):
    """Work arrays of ``push_back``, cleared again by it.

    Attributes:
        local: int32 per state: its row in ``mass``; -1 = none yet.
        states: int32: the state of each row.
        mass: float32 (``SLICES`` + 1, rows): probability to enter in a slice.
        barred: uint8 per move: 1 = it enters the zone and is gone along no further.
    """

    local: npt.NDArray[np.int32]
    states: npt.NDArray[np.int32]
    mass: npt.NDArray[np.float32]
    barred: npt.NDArray[np.uint8]


@bare
def push_back(  # noqa: C901, PLR0912, PLR0915 - one dynamic programme: seed, push, clear
    moves: Backward,
    entering: IntColumn,
    begun_inside: npt.NDArray[np.bool_],
    work: Work,
    chance: npt.NDArray[np.float32],
    eta_s: npt.NDArray[np.float32],
) -> int:
    """Find the states from which a zone is entered within ``SLICES``, with probability and mean time.

    Args:
        moves: the chain backwards.
        entering: moves that enter the zone.
        begun_inside: per such move, whether its begin is inside already: entered at once.
        work: work arrays; rows in ``work.states`` are the answer's.
        chance: written per row: probability to enter within ``SLICES``.
        eta_s: written per row: seconds until the entry, mean of those who enter.

    Returns:
        The number of rows. Where there is no room for more states the least likely ways are missing.
    """
    room = work.mass.shape[1]
    rows = 0
    for k in range(len(entering)):
        move = entering[k]
        work.barred[move] = 1
        state = moves.source[move]
        row = work.local[state]
        if row < 0:
            if rows >= room:
                continue
            row = rows
            work.local[state], work.states[row] = row, state
            rows += 1
        # On average half of the way is behind, so mass of slice 1 stands for the first half slice.
        half = 0 if begun_inside[k] else (moves.slices[move] + 1) // 2
        work.mass[half, row] += moves.share[move]
    for now in range(SLICES + 1):
        row = 0
        while row < rows:
            mass = work.mass[now, row]
            if mass >= _WORTH:
                state = work.states[row]
                for at in range(moves.first[state], moves.first[state + 1]):
                    then = now + moves.slices[at]
                    if work.barred[at] != 0 or then > SLICES:
                        continue
                    source = moves.source[at]
                    into = work.local[source]
                    if into < 0:
                        if rows >= room:
                            continue
                        into = rows
                        work.local[source], work.states[into] = into, source
                        rows += 1
                    work.mass[then, into] += mass * moves.share[at]
            row += 1
    for row in range(rows):
        total, weighted = 0.0, 0.0
        for now in range(SLICES + 1):
            total += work.mass[now, row]
            weighted += work.mass[now, row] * max(now - 0.5, 0.0)
            work.mass[now, row] = 0.0
        work.local[work.states[row]] = -1
        chance[row] = min(total, 1.0)
        eta_s[row] = weighted / max(total, 1e-9) * SLICE_S
    for k in range(len(entering)):
        work.barred[entering[k]] = 0
    return rows


@bare
def nearest_points(places: FloatColumn, edges: FloatColumn, ways: FloatColumn) -> None:
    """Write the way from each place to the nearest point of any edge.

    Args:
        places: (places, 2) metres.
        edges: (edges, 4) metres: both ends.
        ways: written: (places, 2) metres; 0 without edges.
    """
    for k in range(len(places)):
        nearest = np.inf
        ways[k, 0], ways[k, 1] = 0.0, 0.0
        for j in range(len(edges)):
            ax, ay = edges[j, 0] - places[k, 0], edges[j, 1] - places[k, 1]
            way_x, way_y = edges[j, 2] - edges[j, 0], edges[j, 3] - edges[j, 1]
            length = way_x * way_x + way_y * way_y
            part = min(max(-(ax * way_x + ay * way_y) / length, 0.0), 1.0) if length > 0.0 else 0.0
            x, y = ax + part * way_x, ay + part * way_y
            if x * x + y * y < nearest:
                nearest = x * x + y * y
                ways[k, 0], ways[k, 1] = x, y
