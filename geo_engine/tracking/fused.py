"""The compiled step behind the ``Tracker`` protocol: prepares arrays, calls the kernels, makes room."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.kernels import degree_table
from geo_engine.index.border_grid import mark_wanted, unmarked
from geo_engine.index.cells import CellIndex
from geo_engine.index.protocol import Pairs
from geo_engine.model import IntColumn, PingBatch
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.tracking.events import EVENT
from geo_engine.tracking.flow_kernels import DRIVEN, steps_in
from geo_engine.tracking.ground import Ground, Limits, Moment, StepResult
from geo_engine.tracking.kernels import Rows, Walk, World, advance, combo_members, locate
from geo_engine.tracking.outlook_table import ahead_room
from geo_engine.tracking.packing import PING, TILES, BatchColumns, Screen, arrange
from geo_engine.tracking.sets import Numbers, ZoneSets
from geo_engine.tracking.state import UserRows
from geo_engine.tracking.wanted import Wanted, wanted_of

__all__ = ["FusedTracker", "combo_sets"]

_FAR_MS: Final = 1 << 62
"""A span of time nothing reaches; a moment plus this still fits."""


class FusedTracker:
    """Answers the ``Tracker`` protocol with kernels over the compiled zone index.

    The work arrays are kept between steps, so that a step allocates next to nothing. Cost: see
    ``benchmarks/results/hot_path.json``.
    """

    def __init__(self, users: UserRows, sets: ZoneSets, ground: Ground, limits: Limits) -> None:
        """Join the parts; the tracker writes ``users`` and ``sets``."""
        self._users = users
        self._limits = limits
        # One number per user, for chaining the pings of a batch; pages are handed out where they are touched.
        self._slot = np.zeros(len(users.rows), dtype=np.int32)
        self._rows = Rows(users.rows, users.inside_from_ms, users.used)
        self._frame = degree_table()
        self._tiers = (limits.approach or ApproachPolicy()).table()
        self._room_for(0)
        self._events = np.zeros(1024, dtype=EVENT)
        self.rebase(ground, sets)

    def rebase(self, ground: Ground, sets: ZoneSets) -> None:
        """Match against another ground from the next step on; the rows hold numbers of ``sets`` already.

        Raises:
            TypeError: the ground's index is not compiled.
        """
        if not isinstance(ground.index, CellIndex):
            message = f"found a ground with {type(ground.index).__name__}, expected CellIndex"
            raise TypeError(message)
        self._ground, self._sets, self._index = ground, sets, ground.index
        made = ground.combo_set
        numbers = combo_sets(ground.index, len(ground.warnable), sets) if made is None else made
        self._combo_set = sets.less(ground.validity.retired)[numbers] if ground.validity.some else numbers
        self._borders = unmarked(ground.borders)
        self._wanted: Wanted | None = None
        self._no_openings: IntColumn = np.zeros(len(ground.warnable) + 1, dtype=np.int64)
        zones = max(len(ground.warnable), 1)
        self._scratch, self._ahead = np.zeros(zones, dtype=np.int64), ahead_room(zones)

    def step(self, batch: PingBatch, moment: Moment) -> StepResult:
        """Judge the pings of a batch, write the users' rows and return what happened."""
        self._room_for(len(batch))
        codes = np.empty(len(batch), dtype=np.int8)
        columns = BatchColumns(*(_readable(getattr(batch, name), name) for name in BatchColumns._fields))
        pings = self._pings
        count = arrange(columns, self._screen(moment), codes, self._slot, self._work, self._starts, pings)
        if locate(self._index.cells, self._combo_set, pings, count, self._now_set):
            self._locate_crowded(pings, count)
        tally = np.zeros(5, dtype=np.int64)
        events = self._advance(pings, count, codes, moment, tally)
        return StepResult(codes, int(tally[0]), events, int(tally[1]), steps_in(self._steps[: tally[4]]))

    def _advance(
        self, pings: npt.NDArray[np.void], count: int, codes: npt.NDArray[np.int8], moment: Moment, tally: IntColumn
    ) -> npt.NDArray[np.void]:
        world, walk = self._world(moment), self._walk(moment)
        # The most one ping can cause: leave and enter everything, cross or approach every zone, every opening.
        room = 4 * len(self._ground.warnable) + len(moment.opening_ms) + 16
        done, found = 0, 0
        while True:
            if len(self._events) < found + room:
                self._events = np.concatenate([self._events, np.zeros(len(self._events) + room, dtype=EVENT)])
            # The sums of sets run over on purpose; plain Python would warn.
            with np.errstate(over="ignore"):
                done, found = advance(
                    pings, self._now_set, done, count, codes, self._rows, world, walk, self._events, found,
                    self._steps, self._scratch, self._ahead, room, tally,
                )  # fmt: skip
            if tally[3]:
                members = np.unique(self._scratch[: tally[3]])
                self._sets.intern(Pairs(np.zeros(len(members), dtype=np.int64), members), 1)
                world = world._replace(**self._numbered())
            elif done >= count:
                return self._events[:found]

    def _numbered(self) -> dict[str, Any]:
        """Return the sets as the kernels read them; they grow."""
        sums, by_sum = self._sets.sums
        return {
            "set_first": self._sets.first,
            "set_members": self._sets.members,
            "set_sums": sums,
            "set_by_sum": by_sum,
        }

    def _room_for(self, pings: int) -> None:
        if pings == 0 or pings > len(self._pings):
            room = max(1024, pings + pings // 4)
            self._pings: npt.NDArray[np.void] = np.zeros(room, dtype=PING)
            self._work = np.zeros(6 * room, dtype=np.int32)
            self._now_set = np.zeros(room, dtype=np.int32)
            self._steps: npt.NDArray[np.void] = np.zeros(room, dtype=DRIVEN)
            self._starts = np.zeros(TILES + 1, dtype=np.int64)

    def _locate_crowded(self, pings: npt.NDArray[np.void], count: int) -> None:
        """Settle the pings in cells with so many borders that their sets are not numbered beforehand."""
        rows = np.flatnonzero(self._now_set[:count] < 0)
        pairs = self._index.containing(pings["lon"][rows], pings["lat"][rows])
        there = ~self._ground.validity.retired[pairs.zone]
        self._now_set[rows] = self._sets.intern(Pairs(pairs.query[there], pairs.zone[there]), len(rows))

    def _screen(self, moment: Moment) -> Screen:
        limits = self._limits
        return Screen(
            latest_ms=moment.now_ms + limits.future_tolerance_ms,
            late_ms=-_FAR_MS if limits.max_lag_ms is None else moment.now_ms - limits.max_lag_ms,
            max_accuracy_m=np.inf if limits.max_accuracy_m is None else limits.max_accuracy_m,
        )

    def _world(self, moment: Moment) -> World:
        wanted = self._wanting(moment.wanted_bits)
        opening_first = self._no_openings
        order = np.lexsort((moment.opening_ms, moment.opening_zone))
        if len(order):
            opening_first = np.searchsorted(moment.opening_zone[order], np.arange(len(opening_first)))
        return World(
            frame=self._frame,
            cells=self._index.cells,
            combo_set=self._combo_set,
            borders=self._borders,
            venues=self._ground.venues.grid,
            wanted=wanted,
            wants_any=np.asarray(moment.wanted_bits.any(axis=1)),
            known=self._ground.forecast.known,
            tiers=self._tiers,
            warnable=self._ground.warnable,
            retired=self._ground.validity.retired,
            opening_first=opening_first,
            opening_ms=moment.opening_ms[order],
            **self._numbered(),
        )

    def _wanting(self, bits: npt.NDArray[np.uint64]) -> Wanted:
        """Return what profiles want, the borders marked with it; the rules give the same array until it changes."""
        if self._wanted is None or self._wanted.bits is not bits:
            mark_wanted(self._borders, bits)
            self._wanted = wanted_of(bits, self._ground.forecast.groups)
        return self._wanted

    def _walk(self, moment: Moment) -> Walk:
        limits, approach, jumps = self._limits, self._limits.approach or ApproachPolicy(), self._limits.jumps
        return Walk(
            now_ms=moment.now_ms,
            before_now_ms=moment.before_now_ms,
            restored_ms=moment.restored_ms,
            lost_ms=_span(limits.lost_after_ms),
            gap_ms=_span(limits.max_gap_ms),
            fresh_ms=_span(limits.stale_after_ms),
            newest_opening_ms=int(moment.opening_ms.max(initial=-_FAR_MS)),
            jump_mps=jumps.max_speed_mps if jumps else 0.0,
            jump_slack_m=jumps.slack_m if jumps else 0.0,
            jump_believe_after=jumps.believe_after if jumps else -1,
            settles=limits.settles,
            foresees=limits.approach is not None,
            interval_s=approach.interval_s,
            most_interval_s=approach.most_interval_s,
            per_second=approach.per_second,
            min_speed_mps=approach.min_speed_mps,
            cone_s=approach.cone_s,
            venue_every_ms=limits.venue_every_ms,
            consented=moment.consented,
            learn_mask=moment.learn_mask,
        )


def combo_sets(index: CellIndex, zones: int, sets: ZoneSets, known: Numbers | None = None) -> Numbers:
    """Return the number in ``sets`` of the set of zones of each combo of an index of so many zones.

    ``known`` are the numbers of the first combos where those are known already.
    """
    first = 0 if known is None else len(known)
    query, zone = combo_members(index.cells, zones, first)
    found = sets.intern(Pairs(query - first, zone), index.combo_count - first)
    return found if known is None else np.concatenate([known, found])


def _readable(column: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return a column as the one kind of array the kernels are compiled for; a copy only where it must be.

    Columns that Arrow lent cannot be written and others can, and either may have gaps: each mixture would be compiled
    anew, in the middle of the service.
    """
    view = np.ascontiguousarray(column, dtype=np.int64 if name in {"u7", "time_ms"} else np.float64).view()
    view.flags.writeable = False
    return view


def _span(span_ms: int | None) -> int:
    return _FAR_MS if span_ms is None else span_ms
