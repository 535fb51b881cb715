"""A flat frame for the places of one case: straight stays straight, metres are metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.frame import metres_per_degree

__all__ = ["Frame", "Metres"]

Metres = npt.NDArray[np.float64]
"""float64 (..., 2): metres east and north of the origin of a frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Metres east and north of an origin, one scale for all of it: right to 0.2 % within 10 km and 55 degrees north.

    Attributes:
        lon: degrees east of the origin.
        lat: degrees north of the origin.
    """

    lon: float
    lat: float

    def to_degrees(self, metres: Metres) -> Metres:
        """Return lon, lat of places in metres."""
        return np.asarray(metres / self._scale() + (self.lon, self.lat))

    def to_metres(self, degrees: Metres) -> Metres:
        """Return places in metres of lon, lat."""
        return np.asarray((degrees - (self.lon, self.lat)) * self._scale())

    def _scale(self) -> tuple[float, float]:
        east_m, north_m = metres_per_degree(self.lat)
        return float(east_m), float(north_m)
