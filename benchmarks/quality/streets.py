"""The streets of the simulator: a crooked grid in metres, and at every junction drivers with a habit.

What makes warning hard is all in here: ahead of each junction one movement dominates, but not always the straight one,
so neither geometry alone nor habit alone tells where a driver goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from benchmarks.quality.frame import Frame, Metres
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["CITY", "MOVEMENTS", "StreetPlan", "Streets", "build_streets"]

CITY: Final = Frame(114.3, 30.6)
"""The frame of the city; its origin is the south-west corner."""
MOVEMENTS: Final = 4
"""Room for so many movements behind one stretch."""

_MAIN_EVERY: Final = 4
_MAIN_MPS: Final = (46 / 3.6, 57 / 3.6)
_SMALL_MPS: Final = (27 / 3.6, 45 / 3.6)
_STRAIGHT_DEG: Final = 35.0


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """What the streets are drawn from.

    The defaults are tuned, together with those of ``ZonePlan``, to a city that is hard in the way real ones are: the
    ceiling falls from precision 0.8 at recall 0.87 to about 0.55 at 0.98. Longer blocks and stronger habits raise it;
    straighter habits help the ray; decoys and short blocks cost the ring.

    Attributes:
        side: junctions along one side of the city.
        block_m: mean distance of neighbouring junctions.
        crooked_m: how far a junction may lie off the grid.
        missing_share: share of the grid's streets that do not exist: what makes junctions of three arms.
        straight_share: junction arms at which going straight on is the habit, where that is possible.
        habit: least and greatest share of drivers who follow the habit of an arm.
        signal_share: share of the junctions with signals.
    """

    side: int = 14
    block_m: float = 390.0
    crooked_m: float = 58.0
    missing_share: float = 0.16
    straight_share: float = 0.85
    habit: tuple[float, float] = (0.5, 0.82)
    signal_share: float = 0.25


@dataclass(frozen=True, slots=True)
class Streets:
    """Directed stretches between junctions in columns; ``stretch ^ 1`` is the same one the other way.

    Attributes:
        junctions: metres (junctions, 2).
        line: metres (stretches, 3, 2): begin, a bend, end.
        part_m: lengths of the two parts of each line.
        begin: junction a stretch begins at.
        end: junction it ends at.
        speed_mps: what drivers aim at.
        signal: the stretch ends at a signal.
        following: (stretches, ``MOVEMENTS``) stretches that can follow.
        chance: probability of each, 0 where there is none.
        turning_deg: how far each turns, 0 = straight on.
    """

    junctions: Metres
    line: Metres
    part_m: FloatColumn
    begin: IntColumn
    end: IntColumn
    speed_mps: FloatColumn
    signal: BoolColumn
    following: IntColumn
    chance: FloatColumn
    turning_deg: FloatColumn

    def __len__(self) -> int:
        """Return the number of directed stretches."""
        return len(self.begin)

    @property
    def length_m(self) -> FloatColumn:
        """Metres of each stretch."""
        return np.asarray(self.part_m.sum(axis=1))

    def place(self, stretch: IntColumn, along_m: FloatColumn) -> tuple[Metres, FloatColumn]:
        """Return the places ``along_m`` metres into stretches, and the headings there in degrees from north."""
        second = along_m > self.part_m[stretch, 0]
        part = second.astype(np.int64)
        start, end = self.line[stretch, part], self.line[stretch, part + 1]
        share = (along_m - np.where(second, self.part_m[stretch, 0], 0.0)) / self.part_m[stretch, part]
        way = end - start
        return start + way * share[:, None], np.degrees(np.arctan2(way[:, 0], way[:, 1])) % 360.0

    def lines(self) -> list[shapely.LineString]:
        """Return each street once, as a line in metres."""
        return list(shapely.linestrings(self.line[::2]))

    def roads(self) -> tuple[shapely.LineString, ...]:
        """Return each street once, as a line in degrees: all that a map would tell, and no habit."""
        return tuple(shapely.transform(line, CITY.to_degrees) for line in self.lines())


def build_streets(plan: StreetPlan, seed: int) -> Streets:
    """Draw the streets of a city; the same plan and seed give the same one."""
    rng = np.random.default_rng([seed, 1])
    side = plan.side
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    junctions = grid * plan.block_m + rng.uniform(-plan.crooked_m, plan.crooked_m, (side * side, 2))
    pairs = _pairs(plan, rng)
    begin = np.column_stack([pairs[:, 0], pairs[:, 1]]).reshape(-1)
    end = np.column_stack([pairs[:, 1], pairs[:, 0]]).reshape(-1)
    line = _lines(junctions, pairs, rng)
    following, turning_deg = _followers(begin, end, line)
    signals = rng.random(side * side) < plan.signal_share
    return Streets(
        junctions=junctions,
        line=line,
        part_m=np.asarray(np.hypot(*np.moveaxis(np.diff(line, axis=1), -1, 0))),
        begin=begin,
        end=end,
        speed_mps=np.repeat(_speeds(pairs, side, rng), 2),
        signal=signals[end],
        following=np.maximum(following, 0),
        chance=_habits(following, turning_deg, plan, rng),
        turning_deg=turning_deg,
    )


def _pairs(plan: StreetPlan, rng: np.random.Generator) -> IntColumn:
    """Return the streets as pairs of junctions; a junction keeps at least two of its arms."""
    number = np.arange(plan.side**2).reshape(plan.side, plan.side)
    east = np.column_stack([number[:, :-1].ravel(), number[:, 1:].ravel()])
    north = np.column_stack([number[:-1].ravel(), number[1:].ravel()])
    pairs = np.concatenate([east, north])
    arms = np.bincount(pairs.ravel())
    kept = np.ones(len(pairs), dtype=np.bool_)
    # A main street has no gaps: only what is not on a main line may be missing.
    main = _on_main_line(pairs, plan.side)
    for row in rng.permutation(len(pairs))[: round(2 * plan.missing_share * len(pairs))]:
        spare = arms[pairs[row]].min() > 2
        if spare and not main[row] and kept.sum() > (1 - plan.missing_share) * len(pairs):
            kept[row] = False
            arms[pairs[row]] -= 1
    return np.asarray(pairs[kept], dtype=np.int64)


def _on_main_line(pairs: IntColumn, side: int) -> BoolColumn:
    """Say which streets lie on every fourth row or column of the grid."""
    row, column = np.divmod(pairs, side)
    along_row = (row[:, 0] == row[:, 1]) & (row[:, 0] % _MAIN_EVERY == 1)
    along_column = (column[:, 0] == column[:, 1]) & (column[:, 0] % _MAIN_EVERY == 1)
    return np.asarray(along_row | along_column)


def _speeds(pairs: IntColumn, side: int, rng: np.random.Generator) -> FloatColumn:
    main = _on_main_line(pairs, side)
    return np.where(main, rng.uniform(*_MAIN_MPS, len(pairs)), rng.uniform(*_SMALL_MPS, len(pairs)))


def _lines(junctions: Metres, pairs: IntColumn, rng: np.random.Generator) -> Metres:
    """Bend every street a little in its middle; both directions share the bend."""
    start, end = junctions[pairs[:, 0]], junctions[pairs[:, 1]]
    way = end - start
    aside = np.column_stack([-way[:, 1], way[:, 0]]) * rng.normal(0.0, 0.035, len(pairs))[:, None]
    bend = start + way * rng.uniform(0.4, 0.6, len(pairs))[:, None] + aside
    both = np.stack([np.stack([start, bend, end], axis=1), np.stack([end, bend, start], axis=1)], axis=1)
    return both.reshape(-1, 3, 2)


def _followers(begin: IntColumn, end: IntColumn, line: Metres) -> tuple[IntColumn, FloatColumn]:
    """Return what can follow each stretch (-1 = nothing more) and how far each movement turns."""
    leaving: dict[int, list[int]] = {}
    for stretch, junction in enumerate(begin.tolist()):
        leaving.setdefault(junction, []).append(stretch)
    following = np.full((len(begin), MOVEMENTS), -1, dtype=np.int64)
    for stretch, junction in enumerate(end.tolist()):
        ways = [other for other in leaving[junction] if other != stretch ^ 1]
        following[stretch, : len(ways)] = ways
    out = line[:, 1] - line[:, 0]
    arriving = line[:, 2] - line[:, 1]
    before = np.arctan2(arriving[:, 0], arriving[:, 1])
    after = np.arctan2(out[:, 0], out[:, 1])
    turning = np.degrees(after[np.maximum(following, 0)] - before[:, None])
    return following, np.where(following < 0, 180.0, (turning + 180.0) % 360.0 - 180.0)


def _habits(following: IntColumn, turning_deg: FloatColumn, plan: StreetPlan, rng: np.random.Generator) -> FloatColumn:
    """Give each arm a habit: the share of the dominant movement, the rest divided among the others."""
    there = following >= 0
    straightest = np.argmin(np.where(there, np.abs(turning_deg), np.inf), axis=1)
    rows = np.arange(len(following))
    goes_straight = np.abs(turning_deg[rows, straightest]) < _STRAIGHT_DEG
    goes_straight &= rng.random(len(rows)) < plan.straight_share
    anywhere = np.argmax(np.where(there, rng.random(following.shape), -1.0), axis=1)
    dominant = np.where(goes_straight, straightest, anywhere)
    weights = np.where(there, rng.uniform(0.5, 1.0, following.shape), 0.0)
    weights[rows, dominant] = 0.0
    others = weights.sum(axis=1, keepdims=True)
    habit = np.where(others[:, 0] > 0.0, rng.uniform(*plan.habit, len(rows)), 1.0)
    chance = weights / np.where(others > 0.0, others, 1.0) * (1.0 - habit)[:, None]
    chance[rows, dominant] = habit
    return np.asarray(chance)
