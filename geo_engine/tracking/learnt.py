"""A forecast in force: what lies ahead of every state for the zones of a revision, and what an edit makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from geo_engine.index.protocol import ZoneIndex
from geo_engine.model import BoolColumn, IntColumn
from geo_engine.tracking.chain import Chain, LearntChain, learnt_chain
from geo_engine.tracking.flow import MOVE
from geo_engine.tracking.forecast import Outlooks, Prepared, outlooks_of
from geo_engine.tracking.foresight import Known
from geo_engine.tracking.listing import Listing, listing_after, no_listing
from geo_engine.tracking.outlook_table import Layout, by_slot, layout_of, outlook_table
from geo_engine.tracking.road_kernels import RoadTable, no_roads
from geo_engine.tracking.roads import RoadFlow
from geo_engine.tracking.wanted import Groups, zone_groups
from geo_engine.zones.edit import Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Forecast", "Scope"]


class Scope(NamedTuple):
    """What is worth keeping in a forecast.

    Attributes:
        least_chance: what is less likely is nobody's warning.
        least_on_roads: the same on roads, whose chances are mixed with those of the place.
        most_eta_s: what others took longer for is nobody's warning either, however fast he drives.
    """

    least_chance: float = 0.12
    least_on_roads: float = 0.1
    most_eta_s: float = 75.0


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A chain and the zones ahead of its states.

    Attributes:
        prepared: the chain.
        known: bool per state: enough was seen there to be believed.
        layout: where its states are listed, None = as they are numbered.
        least_chance: see ``Scope``.
        most_eta_s: see ``Scope``.
        listing: the zones ahead of known states.
    """

    prepared: Prepared
    known: BoolColumn
    layout: Layout | None
    least_chance: float
    most_eta_s: float
    listing: Listing

    @classmethod
    def of_places(cls, learnt: LearntChain, layout: Layout, scope: Scope) -> Self:
        """Return the states of places and headings, nothing ahead yet."""
        listing = no_listing(layout.known)
        return cls(Prepared.of(learnt.chain), learnt.known, layout, scope.least_chance, scope.most_eta_s, listing)

    @classmethod
    def of_roads(cls, chain: Chain, scope: Scope) -> Self:
        """Return the pieces of roads, nothing ahead yet."""
        known = np.ones(len(chain.lon), dtype=np.bool_)
        listing = no_listing(np.ones(len(known) + 1, dtype=np.int32))
        return cls(Prepared.of(chain), known, None, scope.least_on_roads, scope.most_eta_s, listing)

    def after(self, position: IntColumn, only: IntColumn, zones: ZoneSet, index: ZoneIndex, groups: Groups) -> Self:
        """Return the same after an edit: ``only`` these zones are computed anew."""
        return replace(self, listing=listing_after(self.listing, position, self._ahead(only, zones, index), groups))

    def _ahead(self, only: IntColumn, zones: ZoneSet, index: ZoneIndex) -> Outlooks:
        if not len(self.known) or not len(only):
            return Outlooks.none()
        limits = {"least_chance": self.least_chance, "most_eta_s": self.most_eta_s}
        found = outlooks_of(self.prepared, zones, index, only=only, known=self.known, **limits)
        return found if self.layout is None else by_slot(self.layout, found)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of the ways of drivers, and what it means for the zones of a revision; immutable.

    Attributes:
        moves: what it was made of: ``Flow.moves``.
        road_flow: what it was made of on roads, None = there is no map.
        layout: where the states of places and headings lie.
        flow: the zones ahead of them.
        roads: the zones ahead of pieces of roads.
        warnable: bool per zone: it was forecast for.
        groups: group of each zone.
        known: all of it as the kernels read it.
    """

    moves: npt.NDArray[np.void]
    road_flow: RoadFlow | None
    layout: Layout
    flow: _Ahead
    roads: _Ahead | None
    warnable: BoolColumn
    groups: Groups
    known: Known

    @classmethod
    def of(
        cls,
        moves: npt.NDArray[np.void],
        road_flow: RoadFlow | None,
        zones: ZoneSet,
        index: ZoneIndex,
        scope: Scope | None = None,
    ) -> Self:
        """Make a forecast of what was learnt. Cost: see ``outlooks_of``, once for places and once for roads."""
        scope = scope or Scope()
        learnt = learnt_chain(moves)
        layout = layout_of(learnt)
        flow = _Ahead.of_places(learnt, layout, scope)
        roads = None if road_flow is None else _Ahead.of_roads(road_flow.chain(), scope)
        no_zone, groups = np.zeros(0, dtype=np.int64), zone_groups(zones)
        known = _known(layout, flow, road_flow, roads)
        blank = cls(moves, road_flow, layout, flow, roads, zones.warnable, groups, known)
        return blank._with(no_zone, np.flatnonzero(zones.warnable), zones, index)

    @classmethod
    def nothing(cls, zones: ZoneSet, index: ZoneIndex) -> Self:
        """Return the forecast of who has learnt nothing: there is none anywhere."""
        return cls.of(np.zeros(0, dtype=MOVE), None, zones, index)

    def after(self, edit: Edit, zones: ZoneSet, index: ZoneIndex) -> Self:
        """Return the same for the zones after an edit. Cost: see ``listing_after``, and that of what changed."""
        was = np.append(self.warnable, False)[edit.before]
        only = np.flatnonzero(zones.warnable & (edit.shaped | ~was))
        # What is computed anew, and what is nobody's warning any more, goes.
        stays = (edit.position >= 0) & ~edit.reshaped
        stays[stays] = zones.warnable[edit.position[stays]] & self.warnable[stays]
        return self._with(np.where(stays, edit.position, -1), only, zones, index)

    def _with(self, position: IntColumn, only: IntColumn, zones: ZoneSet, index: ZoneIndex) -> Self:
        groups = zone_groups(zones)
        flow = self.flow.after(position, only, zones, index, groups)
        roads = None if self.roads is None else self.roads.after(position, only, zones, index, groups)
        known = _known(self.layout, flow, self.road_flow, roads)
        return replace(self, flow=flow, roads=roads, warnable=zones.warnable, groups=groups, known=known)


def _known(layout: Layout, flow: _Ahead, road_flow: RoadFlow | None, roads: _Ahead | None) -> Known:
    on_roads = no_roads() if road_flow is None or roads is None else RoadTable(road_flow.net.grid, roads.listing)
    return Known(outlook_table(layout, flow.listing), on_roads)
