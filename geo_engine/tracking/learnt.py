"""A forecast in force: what lies ahead of every state for the zones of a revision, and what an edit makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from geo_engine.index.protocol import ZoneIndex
from geo_engine.model import BoolColumn, IntColumn
from geo_engine.tracking.chain import Chain, LearntChain, learnt_chain
from geo_engine.tracking.flow import Flow
from geo_engine.tracking.forecast import Outlooks, Prepared, outlooks_of
from geo_engine.tracking.foresight import Known
from geo_engine.tracking.outlook_table import outlook_table
from geo_engine.tracking.road_kernels import RoadGrid, no_roads, road_table
from geo_engine.tracking.roads import RoadFlow
from geo_engine.zones.edit import Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Forecast"]


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A chain and the zones ahead of its states."""

    prepared: Prepared
    outlooks: Outlooks

    @classmethod
    def of(cls, chain: Chain, zones: ZoneSet, index: ZoneIndex) -> Self:
        prepared = Prepared.of(chain)
        return cls(prepared, outlooks_of(prepared, zones, index) if len(chain.source) else Outlooks.none())

    def after(self, position: IntColumn, only: IntColumn, zones: ZoneSet, index: ZoneIndex) -> Self:
        """Return the same after an edit: ``only`` these zones are computed anew."""
        if not len(self.prepared.chain.source):
            return self
        fresh = outlooks_of(self.prepared, zones, index, only=only) if len(only) else Outlooks.none()
        return replace(self, outlooks=self.outlooks.after(position, fresh))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of the ways of drivers, and what it means for the zones of a revision; immutable.

    Attributes:
        learnt: states of places and headings.
        flow: the zones ahead of them.
        grid: pieces of roads by place, and what lies ahead of them; None = there is no map.
        roads: the same of pieces of roads.
        warnable: bool per zone: it was forecast for.
        known: all of it as the kernels read it.
    """

    learnt: LearntChain
    flow: _Ahead
    grid: RoadGrid | None
    roads: _Ahead | None
    warnable: BoolColumn
    known: Known

    @classmethod
    def of(cls, flow: Flow, roads: RoadFlow | None, zones: ZoneSet, index: ZoneIndex) -> Self:
        """Make a forecast of what was learnt. Cost: see ``outlooks_of``, once for places and once for roads."""
        learnt = learnt_chain(flow.moves())
        ahead = _Ahead.of(learnt.chain, zones, index)
        grid = None if roads is None else roads.net.grid
        on_roads = None if roads is None else _Ahead.of(roads.chain(), zones, index)
        return cls(learnt, ahead, grid, on_roads, zones.warnable, _known(learnt, ahead, grid, on_roads))

    @classmethod
    def nothing(cls, zones: ZoneSet, index: ZoneIndex) -> Self:
        """Return the forecast of who has learnt nothing: there is none anywhere."""
        return cls.of(Flow(), None, zones, index)

    def after(self, edit: Edit, zones: ZoneSet, index: ZoneIndex) -> Self:
        """Return the same for the zones after an edit. Cost: see ``outlooks_of`` of the zones that changed."""
        was = np.append(self.warnable, False)[edit.before]
        only = np.flatnonzero(zones.warnable & (edit.shaped | ~was))
        # What is computed anew, and what is nobody's warning any more, goes.
        stays = (edit.position >= 0) & ~edit.reshaped
        stays[stays] = zones.warnable[edit.position[stays]] & was[edit.position[stays]]
        position = np.where(stays, edit.position, -1)
        flow = self.flow.after(position, only, zones, index)
        roads = None if self.roads is None else self.roads.after(position, only, zones, index)
        known = _known(self.learnt, flow, self.grid, roads)
        return replace(self, flow=flow, roads=roads, warnable=zones.warnable, known=known)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the table a ping looks things up in."""
        return self.known.flow.nbytes


def _known(learnt: LearntChain, flow: _Ahead, grid: RoadGrid | None, roads: _Ahead | None) -> Known:
    table = no_roads() if grid is None or roads is None else road_table(grid, roads.outlooks)
    return Known(outlook_table(learnt, flow.outlooks), table)
