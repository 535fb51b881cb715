"""Zone shapes as index entries: one entry per 360 degree turn in which a shape reaches -180 .. 180."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo_engine.index.protocol import Segments
from geo_engine.model import FloatColumn, IntColumn
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Entries", "turned_segments"]

Geometries = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Entries:
    """Index entries in columns.

    A zone over the 180 degree meridian is kept unwrapped, so it needs a second entry one turn away. A query
    meets it as ``x - turn`` against the zone's own doubles, never against moved geometry: near the meridian
    adding 360 to a double of the same binade is exact, so the answer stays that of the original shape.

    Attributes:
        zone: position of the zone in the set.
        turn: degrees of longitude the entry is moved by (-360, 0 or 360).
        geometry: the zone's own prepared shape.
        bounds: float64 (n, 4): west, south, east, north, moved by ``turn``.
    """

    zone: IntColumn
    turn: FloatColumn
    geometry: Geometries
    bounds: npt.NDArray[np.float64]

    @classmethod
    def of(cls, zones: ZoneSet) -> Entries:
        """Make the entries of every area of ``zones``. Cost: prepares each shape once."""
        shapes = np.array([zone.geometry for zone in zones.zones], dtype=object)
        position = np.flatnonzero(shapely.get_dimensions(shapes) == 2)
        shapely.prepare(shapes[position])
        parts = [_turned(position, shapes[position], turn) for turn in (-360.0, 0.0, 360.0)]
        return cls(
            zone=np.concatenate([part.zone for part in parts]),
            turn=np.concatenate([part.turn for part in parts]),
            geometry=np.concatenate([part.geometry for part in parts]),
            bounds=np.concatenate([part.bounds for part in parts]),
        )

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.zone)


def _turned(position: npt.NDArray[np.intp], shapes: Geometries, turn: float) -> Entries:
    bounds = shapely.bounds(shapes).reshape(-1, 4) + np.array([turn, 0.0, turn, 0.0])
    reaches = (bounds[:, 2] >= -180.0) & (bounds[:, 0] <= 180.0)
    return Entries(
        zone=position[reaches].astype(np.int64),
        turn=np.full(int(reaches.sum()), turn),
        geometry=shapes[reaches],
        bounds=bounds[reaches],
    )


def turned_segments(segments: Segments) -> tuple[Segments, npt.NDArray[Any]]:
    """Return the segments unwrapped, those that leave -180 .. 180 also one turn back, and the row of each.

    Every place on a segment then lies in -180 .. 180 in at least one copy, where the entries cover all zones.
    """
    base = segments.unwrapped()
    east = np.flatnonzero(base.lon1 > 180.0)
    west = np.flatnonzero(base.lon1 < -180.0)
    row = np.concatenate([np.arange(len(base)), east, west])
    move = np.concatenate([np.zeros(len(base)), np.full(len(east), -360.0), np.full(len(west), 360.0)])
    copies = Segments(base.lon0[row] + move, base.lat0[row], base.lon1[row] + move, base.lat1[row])
    return copies, row
