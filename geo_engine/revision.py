"""Everything that follows from one set of zones, made at once and swapped at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely

from geo_engine.alerting.judge import zone_facts
from geo_engine.alerting.kernels import ZoneFacts
from geo_engine.alerting.people import Profiles
from geo_engine.alerting.policy import Policy
from geo_engine.compiled import COMPILED
from geo_engine.index.border_grid import BorderGrid
from geo_engine.index.cells import CellIndex
from geo_engine.index.protocol import ZoneIndex
from geo_engine.index.venues import VenueIndex
from geo_engine.model import Vehicle
from geo_engine.tracking.fused import combo_sets
from geo_engine.tracking.ground import Ground
from geo_engine.tracking.learnt import Forecast
from geo_engine.tracking.sets import Numbers, ZoneSets
from geo_engine.tracking.validity import Validity
from geo_engine.zones.edit import Edit
from geo_engine.zones.rulebook import RuleBook
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Prepared", "Recipe", "Revision"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a revision is made of zones; the same for all revisions of an engine.

    Attributes:
        make_index: makes the zone index.
        policy: what may be pushed.
        default: the vehicle of everybody of whom nothing is known.
        venue_within_m: a venue further away is not a user's nearest one.
    """

    make_index: Callable[[ZoneSet], ZoneIndex]
    policy: Policy
    default: Vehicle
    venue_within_m: float


@dataclass(frozen=True, slots=True)
class Revision:
    """What the engine judges with.

    Attributes:
        zones: the zones.
        ground: their index, and the venues.
        sets: the sets of zones that the users' rows name.
        facts: what the judge asks about zones.
        rules: whom they concern, and when.
    """

    zones: ZoneSet
    ground: Ground
    sets: ZoneSets
    facts: ZoneFacts
    rules: RuleBook

    @classmethod
    def of(cls, zones: ZoneSet, recipe: Recipe) -> Revision:
        """Make the first revision."""
        index, sets, facts = recipe.make_index(zones), ZoneSets(), zone_facts(zones, recipe.policy)
        ground = _ground(zones, index, recipe.venue_within_m)
        return cls(zones, _numbered(ground, sets), sets, facts, RuleBook(zones, recipe.default, facts.pushed))

    def successor(self, zones: ZoneSet, recipe: Recipe) -> tuple[Revision, Edit]:
        """Make the next revision and say what differs; only what changed is compiled anew. Nothing here is written."""
        edit = Edit.between(self.zones, zones)
        running = self.ground
        if isinstance(running.index, CellIndex) and recipe.make_index is CellIndex:
            index: ZoneIndex = CellIndex(zones, running.index, edit)
        else:
            index = recipe.make_index(zones)
        # Where no zone moved to another position, the sets and their numbers go on.
        sets = ZoneSets(self.sets if edit.stays else None)
        known = running.combo_set if edit.stays and isinstance(index, CellIndex) and index.combos_kept else None
        facts = zone_facts(zones, recipe.policy, (self.facts, edit))
        venues_stay = edit.stays and np.array_equal(self.zones.warnable, zones.warnable)
        if venues_stay and not np.any(edit.shaped & ~zones.warnable):
            # The venues go on as they are.
            ground = replace(running, index=index, warnable=zones.warnable, validity=_validity(zones))
        else:
            ground = _ground(zones, index, recipe.venue_within_m)
        forecast = running.forecast.after(edit, zones, index)
        ground = replace(ground, borders=_borders(zones, index), forecast=forecast)
        rules = RuleBook(zones, recipe.default, facts.pushed, (self.rules, edit))
        edit = replace(edit, freed=rules.freed_by(edit, self.rules))
        return Revision(zones, _numbered(ground, sets, known), sets, facts, rules), edit

    def at(self, now_ms: int) -> Revision:
        """Return the same revision with every zone retired whose validity has ended by ``now_ms``."""
        if now_ms < self.ground.validity.next_ms:
            return self
        return self.with_ground(replace(self.ground, validity=self.ground.validity.at(now_ms)))

    def with_ground(self, ground: Ground) -> Revision:
        """Return the same revision with the same zones as they stand now."""
        return self if ground is self.ground else replace(self, ground=ground)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A revision compiled beside the running one, ready to be published. Nothing in it changes any more.

    Attributes:
        revision: the new zones and what follows from them.
        base: the revision it was made from; the numbers of its sets go on.
        edit: what differs from ``base``.
        profiles: users and their profiles under the new rules.
        people_changes: ``People.changes`` when they were judged.
    """

    revision: Revision
    base: Revision
    edit: Edit
    profiles: Profiles
    people_changes: int


def _numbered(ground: Ground, sets: ZoneSets, known: Numbers | None = None) -> Ground:
    """Number the sets of zones of the index's combos, but for those that are known."""
    if not (COMPILED and isinstance(ground.index, CellIndex)):
        return replace(ground, combo_set=None)
    return replace(ground, combo_set=combo_sets(ground.index, len(ground.warnable), sets, known))


def _ground(zones: ZoneSet, index: ZoneIndex, venue_within_m: float) -> Ground:
    venue_zone = np.flatnonzero(~zones.warnable)
    centres = shapely.get_coordinates(shapely.centroid([zones.zones[row].geometry for row in venue_zone]))
    lon, lat = centres.reshape(-1, 2).T.copy()
    venues = VenueIndex((lon + 180.0) % 360.0 - 180.0, lat, within_m=venue_within_m)
    return Ground(
        index=index,
        borders=_borders(zones, index),
        forecast=Forecast.nothing(zones, index),
        venues=venues,
        venue_zone=venue_zone,
        warnable=zones.warnable,
        validity=_validity(zones),
    )


def _borders(zones: ZoneSet, index: ZoneIndex) -> BorderGrid:
    """Return the borders of an index, or of one made for them where it has none."""
    return index.borders if isinstance(index, CellIndex) else CellIndex(zones).borders


def _validity(zones: ZoneSet) -> Validity:
    return Validity.of(zone.valid_to_ms for zone in zones.zones)
