"""The engine as the benchmarks use it, in one place: what is built, fed and swapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from benchmarks.city import Fleet
from geo_engine.engine import Decisions, Engine, EngineConfig
from geo_engine.index.batches import match_by_tile
from geo_engine.index.cells import CellIndex
from geo_engine.index.protocol import ZoneIndex
from geo_engine.model import FloatColumn, PingBatch
from geo_engine.revision import Prepared
from geo_engine.tracking.learning import Learning
from geo_engine.warming import warm_up
from geo_engine.zones.zoneset import ZoneSet

__all__ = [
    "INDEX",
    "Matcher",
    "edited",
    "learn",
    "make_engine",
    "make_index",
    "matcher",
    "prepare",
    "publish",
    "snapshots",
    "step",
]

INDEX: Final[Callable[[ZoneSet], ZoneIndex]] = CellIndex
"""The index of the engine."""

_STEPS: Final = 100_000
"""A measurement warms up for some ticks, where a service has ten minutes of them: as many steps as it would keep of a
period are learnt of all, and of the next ones the same small part as there."""

Matcher = Callable[[FloatColumn, FloatColumn], object]


@dataclass(frozen=True, slots=True)
class Snapshots:
    """How an engine is written to one buffer and made from it again."""

    take: Callable[[Engine], Any]
    restore: Callable[[Any, ZoneSet, Fleet], Engine]


def make_index(zones: ZoneSet) -> ZoneIndex:
    """Build the index the engine matches with."""
    return INDEX(zones)


def matcher(index: ZoneIndex) -> Matcher:
    """Return what matches a batch in the cheapest form the engine itself works with."""
    if isinstance(index, CellIndex):
        cells = index.cells
        return lambda lon, lat: match_by_tile(cells, lon, lat)
    return index.containing


def make_engine(zones: ZoneSet, fleet: Fleet) -> Engine:
    """Build an engine that knows the vehicles of a fleet, everyone having agreed; the kernels are ready."""
    warm_up()
    config = EngineConfig(learning=Learning(steps_a_period=_STEPS))
    engine = Engine(zones, config=config, default_vehicle=fleet.default, index=INDEX)
    for number, vehicle in enumerate(fleet.models[1:], start=1):
        engine.put_fleet(np.flatnonzero(fleet.model_of == number), vehicle)
    return engine


def learn(engine: Engine) -> None:
    """Forecast from now on with what was learnt of the traffic so far."""
    engine.learn_now()


def step(engine: Engine, batch: PingBatch, now_ms: int) -> Decisions:
    """Judge a batch."""
    return engine.process(batch, now_ms)


def prepare(engine: Engine, zones: ZoneSet) -> Prepared:
    """Compile another set of zones beside the running one."""
    return engine.prepare(zones)


def publish(engine: Engine, ready: Prepared, now_ms: int) -> None:
    """Put it in force."""
    engine.publish(ready, now_ms)


def snapshots() -> Snapshots:
    """Return how snapshots are made."""

    def restore(buffer: bytearray, zones: ZoneSet, fleet: Fleet) -> Engine:
        engine = make_engine(zones, fleet)
        engine.load(buffer)
        return engine

    return Snapshots(Engine.snapshot, restore)


def edited(zones: ZoneSet, row: int) -> ZoneSet:
    """Return the next revision, in which one zone is drawn 11 m further east."""
    changed = list(zones.zones)
    zone = changed[row]
    changed[row] = replace(zone, geometry=shapely.transform(zone.geometry, _east))
    return ZoneSet.of(changed, revision=zones.revision + 1)


def _east(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    moved: npt.NDArray[np.float64] = corners + np.array([1e-4, 0.0])
    return moved
