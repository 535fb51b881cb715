"""What is learnt of the traffic: how often drivers go on from where to where, and how long it takes.

A Markov chain over places and headings, counted from the traffic's own positions, needs no map (Krumm 2008, A Markov
Model for Driver Turn Prediction; Ashbrook and Starner 2003). What is kept are counts of moves between cells of 80 m:
no user, no time, no track. A move that was seen less often than ``least_seen`` is used for nothing and not handed out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.tracking.flow_kernels import DrivenSteps, MoveColumns, add_moves, add_steps, columns_per_degree

__all__ = ["MOVE", "Flow"]

MOVE: Final = np.dtype(
    [
        ("key", np.int64),
        ("seen", np.float32),
        ("seconds", np.float32),
        ("east", np.float32),
        ("north", np.float32),
    ]
)
"""One counted move, 24 bytes; see ``MoveColumns``."""

_FIRST_SLOTS: Final = 1 << 12
_FULL: Final = 0.6
"""Share of taken slots up to which a look-up stays short."""
_FORGOTTEN: Final = 0.3
"""A move that was seen once is forgotten after 1.7 half-lives."""


class Flow:
    """Counted moves; grows up to a limit, then forgets what is rare.

    Depends on the steps that were learnt and the ages in between alone: no clock, no chance, and not on the order of
    the steps, whose sums are exact up to a million each.
    """

    def __init__(self, *, most_moves: int = 1_250_000, half_life_s: float = 14 * 86_400.0) -> None:
        """Know nothing yet.

        Args:
            most_moves: room for so many different moves: 24 bytes each, twice that with the free slots. A city of
                500,000 states has about two million.
            half_life_s: after so long a move counts half, so that habits follow changes.
        """
        self._most_slots = 1 << int(np.ceil(np.log2(max(most_moves / _FULL, _FIRST_SLOTS))))
        self._half_life_s = half_life_s
        self._columns = columns_per_degree()
        self._records = np.zeros(_FIRST_SLOTS, dtype=MOVE)
        self._taken = 0

    def __len__(self) -> int:
        """Return the number of different moves."""
        return self._taken

    def learn(self, steps: DrivenSteps) -> None:
        """Count steps of drivers. Cost: about 30 ns each while the table fits into the cache, one miss more beyond."""
        # One kind of array: views of records, and of one record, would be compiled for once more each.
        columns: dict[str, Any] = {
            name: np.ascontiguousarray(column, dtype=np.int64 if name == "elapsed_ms" else np.float64)
            for name, column in steps._asdict().items()
        }
        steps = DrivenSteps(**columns)
        done = 0
        while done < len(steps.lon0):
            room = int(_FULL * len(self._records)) - self._taken
            if room <= 0:
                self._make_room()
                continue
            done, taken = add_steps(_columns(self._records), self._columns, steps, done, room)
            self._taken += taken

    def age(self, seconds: float) -> float:
        """Let time pass: every move counts less, what was seen once long ago is forgotten; return the share left."""
        share: float = 0.5 ** (max(seconds, 0.0) / self._half_life_s)
        if share < 1.0:
            self._put(self._records[self._records["seen"] * share >= _FORGOTTEN], share, len(self._records))
        return share

    def copy(self) -> Flow:
        """Return one that knows the same and learns apart. Cost: a copy of the table."""
        other = Flow(half_life_s=self._half_life_s)
        other._most_slots, other._records, other._taken = self._most_slots, self._records.copy(), self._taken
        return other

    def moves(self, least_seen: float = 0.0) -> npt.NDArray[np.void]:
        """Return the moves seen at least so often, as ``MOVE`` records ordered by key: the same for the same counts."""
        kept = self._records[(self._records["key"] != 0) & (self._records["seen"] >= least_seen)]
        ordered: npt.NDArray[np.void] = kept[np.argsort(kept["key"])]
        return ordered

    def load(self, moves: npt.NDArray[np.void]) -> None:
        """Know what ``moves`` told and nothing else."""
        slots = _FIRST_SLOTS
        while slots * _FULL < len(moves):
            slots *= 2
        # A copy, because columns of a snapshot cannot be written and the kernels are compiled for those that can.
        self._put(np.array(moves, dtype=MOVE), 1.0, slots)

    def _make_room(self) -> None:
        slots = len(self._records)
        if slots < self._most_slots:
            self._put(self._records, 1.0, 2 * slots)
            return
        # At the limit the rare half goes, whatever its age.
        kept = self._records[self._records["key"] != 0]
        order = np.lexsort((kept["key"], -kept["seen"]))
        self._put(kept[order[: len(order) // 2]], 1.0, slots)

    def _put(self, moves: npt.NDArray[np.void], share: float, slots: int) -> None:
        records = np.zeros(slots, dtype=MOVE)
        self._taken = add_moves(_columns(records), _columns(moves), share)
        self._records = records


def _columns(records: npt.NDArray[np.void]) -> MoveColumns:
    return MoveColumns(*(records[name] for name in MoveColumns._fields))
