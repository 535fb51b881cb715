"""The way to a place: how far, in which direction, how many minutes on foot and by car, and where on a Chinese map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.geodesy.measure import bearing_deg, distance_m

__all__ = ["CITY", "MapLinks", "OpenLocation", "Pace", "Way", "open_location", "way_to"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast people get on, for minutes that are said as "about".

    Attributes:
        walk_mps: metres a second on foot.
        drive_mps: metres a second by car in a city, stops included.
        detour: how much longer streets are than the straight line.
    """

    walk_mps: float = 1.25
    drive_mps: float = 7.0
    detour: float = 1.3


CITY: Final = Pace()
"""4.5 km/h on foot, 25 km/h by car, streets 1.3 times the straight line: assumptions, not measured."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way from where somebody is to a place.

    Attributes:
        distance_m: metres in a straight line.
        bearing_deg: degrees clockwise from north; None on the spot, where there is no direction.
        walk_min: minutes on foot, rounded up.
        drive_min: minutes by car, rounded up.
    """

    distance_m: float
    bearing_deg: float | None
    walk_min: int
    drive_min: int


def way_to(lon0: float, lat0: float, lon1: float, lat1: float, pace: Pace = CITY) -> Way:
    """Return the way from one position to another, WGS-84 degrees; the distance is that of ``geodesy.distance_m``.

    Raises:
        ValueError: a position is not finite.
    """
    metres = float(distance_m(lon0, lat0, lon1, lat1))
    if not math.isfinite(metres):
        message = f"found the positions ({lon0}, {lat0}) and ({lon1}, {lat1}), expected finite degrees"
        raise ValueError(message)
    bearing = float(bearing_deg(lon0, lat0, lon1, lat1)) if metres >= _ON_THE_SPOT_M else None
    way_m = metres * pace.detour
    return Way(metres, bearing, _minutes(way_m / pace.walk_mps), _minutes(way_m / pace.drive_mps))


_ON_THE_SPOT_M: Final = 0.5


def _minutes(seconds: float) -> int:
    return max(1, math.ceil(seconds / 60.0))


@dataclass(frozen=True, slots=True)
class OpenLocation:
    """The arguments of WeChat's ``wx.openLocation``: GCJ-02 degrees, whatever datum we keep.

    Attributes:
        latitude: degrees north, GCJ-02.
        longitude: degrees east, GCJ-02.
        name: what the map shows.
    """

    latitude: float
    longitude: float
    name: str


def open_location(lon: float, lat: float, name: str) -> OpenLocation:
    """Return what ``wx.openLocation`` must be given to show a WGS-84 position."""
    east, north = from_wgs84(lon, lat, Datum.GCJ02)
    return OpenLocation(round(float(north), 6), round(float(east), 6), name)


@dataclass(frozen=True, slots=True)
class MapLinks:
    """Makes the link under which a phone shows a place on a map.

    Attributes:
        template: the link, with ``{lat}`` and ``{lon}`` in GCJ-02 degrees and ``{name}`` percent-encoded. The default
            opens Tencent's map (its URI API, marker); a page of one's own can call ``wx.openLocation`` with the same.
    """

    template: str = "https://apis.map.qq.com/uri/v1/marker?marker=coord:{lat},{lon};title:{name}&referer=geo_engine"

    def link(self, lon: float, lat: float, name: str) -> str:
        """Return the link for a WGS-84 position."""
        shown = open_location(lon, lat, name)
        title = quote(name[:_TITLE], safe="")
        return self.template.format(lat=f"{shown.latitude:.6f}", lon=f"{shown.longitude:.6f}", name=title)


_TITLE: Final = 20
