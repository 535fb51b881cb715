"""What differs between two revisions of the zones."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.model import BoolColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["GONE", "Edit"]

GONE: Final = -1
"""Position of a zone that a revision does not have."""

_ID: Final = operator.attrgetter("zone_id")
_TERMS: Final = operator.attrgetter("kind", "applies_to", "schedule", "valid_from_ms", "valid_to_ms", "effect")


@dataclass(frozen=True, slots=True)
class Edit:
    """What differs between two revisions of the zones.

    Attributes:
        position: int64 per old zone: its position in the new set, ``GONE`` = it has none.
        before: int64 per new zone: its position in the old set, ``GONE`` = it is new.
        reshaped: bool per old zone: gone, or its shape is another.
        shaped: bool per new zone: new, or its shape is another.
        altered: int64, positions in the new set of the zones that are new or not the very same object as before:
            nothing at all differs of the others.
        rewritten: bool per new zone: it was there before, but whom it concerns, when or its kind is another.
        freed: bool per new zone: it was there before, but what can silence it is another (``Precedence.freed_by``): a
            winner came or went, or was itself reshaped or rewritten. ``between`` knows of no precedence and sets none.
        bounds: float64 (shaped zones, 4): west, south, east, north of the new shapes.
    """

    position: IntColumn
    before: IntColumn
    reshaped: BoolColumn
    shaped: BoolColumn
    altered: IntColumn
    rewritten: BoolColumn
    freed: BoolColumn
    bounds: npt.NDArray[np.float64]

    @classmethod
    def between(cls, old: ZoneSet, new: ZoneSet) -> Edit:
        """Compare two sets. Cost: 0.2 us per zone, some us for those that are not the same object."""
        ids = map(_ID, new.zones)
        before = np.fromiter(map(old.position.get, ids, repeat(GONE)), dtype=np.int64, count=len(new))
        known = np.flatnonzero(before != GONE)
        position = np.full(len(old), GONE, dtype=np.int64)
        position[before[known]] = known
        reshaped, shaped = np.ones(len(old), dtype=np.bool_), np.ones(len(new), dtype=np.bool_)
        rewritten, same = np.zeros(len(new), dtype=np.bool_), np.zeros(len(new), dtype=np.bool_)
        was = map(old.zones.__getitem__, before[known].tolist())
        now = map(new.zones.__getitem__, known.tolist())
        same[known] = np.fromiter(map(operator.is_, was, now), dtype=np.bool_, count=len(known))
        reshaped[before[same]] = shaped[same] = False
        altered = np.flatnonzero(~same)
        for row in altered[before[altered] != GONE].tolist():
            one, other = old.zones[before[row]], new.zones[row]
            other_shape = not shapely.equals_identical(one.geometry, other.geometry)
            reshaped[before[row]] = shaped[row] = other_shape
            rewritten[row] = _TERMS(one) != _TERMS(other)
        shapes = np.array([new.zones[row].geometry for row in np.flatnonzero(shaped).tolist()], dtype=object)
        freed, bounds = np.zeros(len(new), dtype=np.bool_), shapely.bounds(shapes).reshape(-1, 4)
        return cls(position, before, reshaped, shaped, altered, rewritten, freed, bounds)

    @property
    def stays(self) -> bool:
        """Say whether every zone of either set has the same position in the other."""
        return len(self.position) == len(self.before) and bool((self.position == np.arange(len(self.position))).all())
