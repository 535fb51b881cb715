"""The engine as the benchmarks use it, in one place: what is built, fed and swapped.

A part the engine does not have is ``None`` here; the benchmarks leave it out and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from benchmarks.city import Fleet
from geo_engine.engine import Decisions, Engine
from geo_engine.index.protocol import ZoneIndex
from geo_engine.index.rtree import RtreeIndex
from geo_engine.model import FloatColumn, PingBatch
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["INDEX", "Matcher", "edited", "make_engine", "make_index", "matcher", "publisher", "snapshots", "step"]

INDEX: Final[Callable[[ZoneSet], ZoneIndex]] = RtreeIndex
"""The index of the engine."""

Matcher = Callable[[FloatColumn, FloatColumn], object]


@dataclass(frozen=True, slots=True)
class Snapshots:
    """How an engine is written to one buffer and made from it again."""

    take: Callable[[Engine], Any]
    restore: Callable[[Any, ZoneSet], Engine]


def make_index(zones: ZoneSet) -> ZoneIndex:
    """Build the index the engine matches with."""
    return INDEX(zones)


def matcher(index: ZoneIndex) -> Matcher:
    """Return what matches a batch in the cheapest form the engine itself works with."""
    found: Matcher = getattr(index, "match", index.containing)
    return found


def make_engine(zones: ZoneSet, fleet: Fleet) -> Engine:
    """Build an engine that knows the vehicles of a fleet, everyone having agreed to be warned."""
    return Engine(zones, vehicles=fleet.others(), default_vehicle=fleet.default, index=INDEX)


def step(engine: Engine, batch: PingBatch, now_ms: int) -> Decisions:
    """Judge a batch."""
    return engine.process(batch, now_ms)


def publisher(engine: Engine) -> Callable[[ZoneSet, int], object] | None:
    """Return what puts another set of zones in force."""
    return getattr(engine, "publish", None)


def snapshots() -> Snapshots | None:
    """Return how snapshots are made."""
    take, restore = getattr(Engine, "snapshot", None), getattr(Engine, "from_snapshot", None)
    return Snapshots(take, restore) if take is not None and restore is not None else None


def edited(zones: ZoneSet, row: int) -> ZoneSet:
    """Return the next revision, in which one zone is drawn 11 m further east."""
    changed = list(zones.zones)
    zone = changed[row]
    changed[row] = replace(zone, geometry=shapely.transform(zone.geometry, _east))
    return ZoneSet.of(changed, revision=zones.revision + 1)


def _east(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    moved: npt.NDArray[np.float64] = corners + np.array([1e-4, 0.0])
    return moved
