"""Distance, bearing, destination and compass word between positions on the WGS-84 ellipsoid."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from pyproj import Geod

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import BoolColumn, FloatColumn, Language

__all__ = ["bearing_deg", "compass_point", "compass_word", "destination", "distance_m"]

_GEOD: Final = Geod(ellps="WGS84")

# The local frame is used up to this distance and latitude; beyond them the geodesic itself is computed.
_FRAME_LIMIT_M: Final = 10_000.0
_FRAME_LIMIT_LAT_DEG: Final = 70.0

_POINTS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_WORDS: Final = {
    Language.ZH: ("北", "东北", "东", "东南", "南", "西南", "西", "西北"),
    Language.EN: ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"),
}


def distance_m(lon0: npt.ArrayLike, lat0: npt.ArrayLike, lon1: npt.ArrayLike, lat1: npt.ArrayLike) -> FloatColumn:
    """Return the length in metres of the geodesic between two positions, the short way over the 180 degree meridian.

    Below 10 km and 70 degrees of latitude it is the ellipsoidal equirectangular distance at mid-latitude: off by
    less than 1e-6 m within 300 m, 0.7 mm within 10 km at the latitude of Wuhan, 1 cm at worst. Beyond, it is the
    geodesic (Karney 2013, through pyproj). A position that is not finite gives NaN, without a warning.

    Cost: about 100 ns a pair below the limits, 800 ns beyond.

    Args:
        lon0: degrees east of the first position, WGS-84; a number or array-like, broadcast with the others.
        lat0: degrees north of the first position.
        lon1: degrees east of the second position.
        lat1: degrees north of the second position.

    Returns:
        Metres, in the broadcast shape (numbers give an array without axes: call ``float``).
    """
    a_lon, a_lat, b_lon, b_lat = _broadcast(lon0, lat0, lon1, lat1)
    east_m, north_m, _, far = _local_offset(a_lon, a_lat, b_lon, b_lat)
    result = np.asarray(np.hypot(east_m, north_m))
    if far.any():
        result[far] = _GEOD.inv(a_lon[far], a_lat[far], b_lon[far], b_lat[far])[2]
    return result


def bearing_deg(lon0: npt.ArrayLike, lat0: npt.ArrayLike, lon1: npt.ArrayLike, lat1: npt.ArrayLike) -> FloatColumn:
    """Return the direction in which to leave the first position to reach the second, the short way.

    Degrees clockwise from true north, ``0 <= b < 360``: the azimuth of the geodesic at its start, off by less than
    0.0001 degrees for pairs of 1 m to 10 km below 70 degrees of latitude (local frame with half the convergence of
    the meridians taken off), exact beyond (pyproj). The same position twice gives 0; a position that is not finite
    gives NaN, without a warning. From a pole the result follows the longitude given for the pole.

    Args, shape and cost as ``distance_m``.
    """
    a_lon, a_lat, b_lon, b_lat = _broadcast(lon0, lat0, lon1, lat1)
    east_m, north_m, half_convergence_deg, far = _local_offset(a_lon, a_lat, b_lon, b_lat)
    azimuth = np.asarray(np.degrees(np.arctan2(east_m, north_m)) - half_convergence_deg)
    if far.any():
        azimuth[far] = _GEOD.inv(a_lon[far], a_lat[far], b_lon[far], b_lat[far])[0]
    turned = np.asarray(np.mod(azimuth, 360.0))
    turned[turned >= 360.0] = 0.0  # the remainder of -1e-15 rounds up to 360 itself
    same = (east_m == 0.0) & (north_m == 0.0)
    turned[same] = 0.0
    return turned


def destination(
    lon: npt.ArrayLike, lat: npt.ArrayLike, bearing_deg: npt.ArrayLike, distance_m: npt.ArrayLike
) -> tuple[FloatColumn, FloatColumn]:
    """Return where one arrives after ``distance_m`` metres along the geodesic that starts at ``bearing_deg``.

    Exact (Karney 2013, through pyproj); a negative distance goes backwards; anything not finite gives NaN, without
    a warning. Cost: about 400 ns a position.

    Args:
        lon: degrees east of the start, WGS-84; all arguments are numbers or array-likes that broadcast.
        lat: degrees north of the start.
        bearing_deg: degrees clockwise from true north.
        distance_m: metres.

    Returns:
        ``(lon, lat)`` in degrees, longitude in ``-180 .. 180``.
    """
    start_lon, start_lat, azimuth, length_m = _broadcast(lon, lat, bearing_deg, distance_m)
    known = np.isfinite(start_lon) & np.isfinite(start_lat) & np.isfinite(azimuth) & np.isfinite(length_m)
    end_lon = np.full(known.shape, np.nan)
    end_lat = np.full(known.shape, np.nan)
    if known.any():
        end_lon[known], end_lat[known], _ = _GEOD.fwd(
            start_lon[known], start_lat[known], azimuth[known], length_m[known]
        )
    return end_lon, end_lat


def compass_point(bearing_deg: float) -> str:
    """Return the nearest of the eight winds (``N``, ``NE``, ...); a bearing half-way goes to the next one clockwise.

    A bearing that is not finite, which means unknown, gives an empty text.
    """
    wind = _wind(bearing_deg)
    return "" if wind is None else _POINTS[wind]


def compass_word(bearing_deg: float, language: Language) -> str:
    """Return the nearest of the eight winds as a word of ``language`` (``东北``, ``northeast``); unknown is empty."""
    wind = _wind(bearing_deg)
    return "" if wind is None else _WORDS[language][wind]


def _wind(bearing_deg: float) -> int | None:
    if not math.isfinite(bearing_deg):
        return None
    return int(((bearing_deg % 360.0) + 22.5) // 45.0) % 8


def _broadcast(*values: npt.ArrayLike) -> tuple[FloatColumn, ...]:
    return tuple(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)))


def _local_offset(
    lon0: FloatColumn, lat0: FloatColumn, lon1: FloatColumn, lat1: FloatColumn
) -> tuple[FloatColumn, FloatColumn, FloatColumn, BoolColumn]:
    """Return the offset east and north in metres, half the convergence in degrees, and which pairs are too far."""
    with np.errstate(invalid="ignore"):
        dlon = lon1 - lon0
        # Whole turns are taken off by subtraction: a difference below 180 degrees keeps every bit.
        dlon = dlon - 360.0 * np.rint(dlon / 360.0)
        dlat = lat1 - lat0
        mid_lat = 0.5 * (lat0 + lat1)
        half_convergence_deg = np.asarray(0.5 * dlon * np.sin(np.radians(mid_lat)))
        mx, my = metres_per_degree(mid_lat)
        east_m = np.asarray(dlon * mx)
        north_m = np.asarray(dlat * my)
        near = (np.hypot(east_m, north_m) < _FRAME_LIMIT_M) & (np.abs(mid_lat) < _FRAME_LIMIT_LAT_DEG)
    return east_m, north_m, half_convergence_deg, np.asarray(~near & np.isfinite(east_m) & np.isfinite(north_m))
