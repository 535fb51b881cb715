"""Which rule wins where several meet: road beats area, later listed beats earlier, and an exception opens a closure."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.model import BoolColumn, FloatColumn, IntColumn, RuleEffect, ZoneKind
from geo_engine.zones.edit import GONE, Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Precedence"]

_RULES: Final = (ZoneKind.TRUCK_RESTRICTION, ZoneKind.CONSTRUCTION)
"""Kinds that are rules; a jam is a fact and no exception ends it."""

_TURNS: Final = (-360.0, 360.0)
_ROUNDING_DEG: Final = 1e-9


class Precedence:
    """The pairs of rules of one zone set of which one can silence the other, and which rules stand at a place.

    A rule silences another of the same kind when it is an exception or decides alone (``RuleEffect``), its shape meets
    the other's, it beats it, and the other is among ``exception_to`` where that is given. Two closures never silence
    each other: both are true.

    Attributes:
        allows: bool per zone: it is an exception.
        decides: bool per zone: it decides alone.
        silences: bool per zone: it can silence another.
        contested: bool per zone: another can silence it.
        winner: zone of each pair that can silence, ordered by ``loser``.
        loser: zone of each pair that can be silenced.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Find the pairs. Cost: nothing for a set of closures; else an R-tree of the zones."""
        self._zones = zones
        self._tree: tuple[IntColumn, shapely.STRtree] | None = None
        effects = enumerate(map(attrgetter("effect"), zones.zones))
        unusual = {row: effect for row, effect in effects if effect is not RuleEffect.CLOSED}
        self.allows, self.decides = (
            _mask([row for row, effect in unusual.items() if effect is asked], len(zones))
            for asked in (RuleEffect.ALLOWED, RuleEffect.DECIDES)
        )
        speaks = [row for row in unusual if zones.zones[row].kind in _RULES]
        self.winner, self.loser = self._pairs(np.array(speaks, dtype=np.int64))
        self.silences: BoolColumn = np.zeros(len(zones), dtype=np.bool_)
        self.contested: BoolColumn = np.zeros(len(zones), dtype=np.bool_)
        self.silences[self.winner], self.contested[self.loser] = True, True
        self._shapes: npt.NDArray[np.object_] = np.full(len(zones), None, dtype=object)
        for row in np.flatnonzero(self.silences).tolist():
            self._shapes[row] = zones.zones[row].geometry
        shapely.prepare(self._shapes[self.silences])
        self._over = _over_meridian(self._shapes)

    def standing(self, zone: IntColumn, lon: FloatColumn, lat: FloatColumn) -> tuple[IntColumn, IntColumn]:
        """Return (row, winner): the rules that can silence the zone of a row and cover its place."""
        low = np.searchsorted(self.loser, zone)
        count = np.searchsorted(self.loser, zone, side="right") - low
        row = np.repeat(np.arange(len(zone)), count)
        winner = self.winner[low[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)]
        covers = shapely.intersects_xy(self._shapes[winner], lon[row], lat[row])
        # A shape over the 180 degree meridian is unwrapped, so a place may lie in it one turn away.
        over = np.flatnonzero(self._over[winner] & ~covers)
        for turn in _TURNS if len(over) else ():
            covers[over] |= shapely.intersects_xy(self._shapes[winner[over]], lon[row[over]] + turn, lat[row[over]])
        return row[covers], winner[covers]

    def silenced_by(self, winner: int) -> IntColumn:
        """Return the zones a rule can silence."""
        beaten: IntColumn = self.loser[self.winner == winner]
        return beaten

    def freed_by(self, edit: Edit, before: Precedence) -> BoolColumn:
        """Say for each zone whether an edit changed what can silence it, so that it may apply where it did not.

        That is so when a rule that can silence it came or went (with its effect, its place in the order of listing, its
        being a road), or one that stays has another shape or other terms. Zones that are new are left out.

        Args:
            edit: what differs between the zones of ``before`` and these.
            before: the pairs of the earlier zones.
        """
        freed = np.zeros(len(self._zones), dtype=np.bool_)
        if not (len(self.winner) or len(before.winner)):
            return freed
        count = len(self._zones) + 1
        was = edit.position[before.loser] != GONE
        # A winner that is gone has a number that no winner has now.
        winner, loser = before.winner[was], edit.position[before.loser[was]]
        same = (edit.position[winner] != GONE) & ~edit.reshaped[winner]
        old = loser * count + np.where(same, edit.position[winner], count - 1)
        new = self.loser * count + self.winner
        other = np.setxor1d(old, new) // count
        freed[other] = True
        freed[self.loser[edit.rewritten[self.winner] | edit.shaped[self.winner]]] = True
        freed &= edit.before != GONE
        return freed

    def at(self, lon: float, lat: float) -> list[int]:
        """Return the rules whose shapes cover a place, the one that beats the others first. Cost: some 10 us."""
        if np.isnan(lon) or np.isnan(lat):
            return []
        if self._tree is None:
            rows = np.array([row for row, zone in enumerate(self._zones.zones) if zone.kind in _RULES], dtype=np.int64)
            self._tree = rows, shapely.STRtree([self._zones.zones[row].geometry for row in rows])
        rows, tree = self._tree
        places = shapely.points([lon, *(lon + turn for turn in _TURNS)], lat)
        found = np.unique(rows[tree.query(places, predicate="intersects")[1]]).tolist()
        return sorted(found, key=lambda row: (self._zones.zones[row].rank, row), reverse=True)

    def _pairs(self, speaks: IntColumn) -> tuple[IntColumn, IntColumn]:
        zones = self._zones.zones
        if not len(speaks):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        shapes = np.array([zone.geometry for zone in zones], dtype=object)
        query, loser = _meeting(shapes, shapes[speaks])
        winner = speaks[query]
        beats = np.array(
            [
                zones[one].kind is zones[other].kind
                and zones[other].effect is not RuleEffect.ALLOWED
                and zones[one].rank > zones[other].rank
                and (not zones[one].exception_to or zones[other].zone_id in zones[one].exception_to)
                for one, other in zip(winner.tolist(), loser.tolist(), strict=True)
            ],
            dtype=np.bool_,
        )
        pairs: npt.NDArray[np.int64] = np.unique(np.stack([loser[beats], winner[beats]]).astype(np.int64), axis=1)
        return pairs[1], pairs[0]


def _meeting(shapes: npt.NDArray[np.object_], asking: npt.NDArray[np.object_]) -> tuple[IntColumn, IntColumn]:
    """Return (row of ``asking``, row of ``shapes``) of the shapes that meet, also one turn round the globe."""
    tree = shapely.STRtree(shapes)
    found = [tree.query(asking, predicate="intersects")]
    if _over_meridian(shapes).any():
        for turn in _TURNS:
            moved = _moved(asking, np.array([turn, 0.0]))
            # Moving rounds; whether a place lies in both is asked of the shapes themselves.
            found.append(tree.query(moved, predicate="dwithin", distance=_ROUNDING_DEG))
    query, met = np.concatenate(found, axis=1)
    return query, met


def _moved(shapes: npt.NDArray[np.object_], by_deg: FloatColumn) -> npt.NDArray[np.object_]:
    moved: npt.NDArray[np.object_] = shapely.transform(shapes, lambda positions: positions + by_deg)
    return moved


def _over_meridian(shapes: npt.NDArray[np.object_]) -> BoolColumn:
    """Say which shapes reach the 180 degree meridian or run past it; a place on the other side may lie in them."""
    west, _, east, _ = shapely.bounds(shapes).reshape(-1, 4).T
    over: BoolColumn = (west <= -180.0) | (east >= 180.0)
    return over


def _mask(rows: list[int], count: int) -> BoolColumn:
    mask = np.zeros(count, dtype=np.bool_)
    mask[rows] = True
    return mask
