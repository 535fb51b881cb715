"""The places of a zone set that people look for, stores and venues, and which of them are nearest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from geo_engine.answers.way import CITY, Pace, Way, way_to
from geo_engine.index.live import LivePositions
from geo_engine.kinds import Language, ZoneKind
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["NearPlace", "Place", "PlaceBook"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place people go to.

    Attributes:
        place_id: its id, that of its zone where it is one.
        name: what people call it.
        lon: WGS-84 degrees east.
        lat: degrees north.
        name_en: English name, None = use ``name``.
    """

    place_id: str
    name: str
    lon: float
    lat: float
    name_en: str | None = None

    def called(self, language: Language) -> str:
        """Return its name in a language."""
        return self.name_en if language is Language.EN and self.name_en else self.name


@dataclass(frozen=True, slots=True)
class NearPlace:
    """A place and the way to it."""

    place: Place
    way: Way


class PlaceBook:
    """Places by position and by name; built once, then read-only, so any thread may ask."""

    def __init__(self, places: Iterable[Place], pace: Pace = CITY) -> None:
        """Index the places.

        Args:
            places: the places; of one that is not on earth nobody is told.
            pace: how fast people get on.
        """
        self._places = tuple(places)
        self._pace = pace
        lon = np.array([place.lon for place in self._places], dtype=np.float64)
        lat = np.array([place.lat for place in self._places], dtype=np.float64)
        self._positions = LivePositions(np.arange(len(self._places)), lon, lat)

    @classmethod
    def of_zones(cls, zones: ZoneSet, pace: Pace = CITY) -> PlaceBook:
        """Take the venues of a zone set; a venue with a radius stands at the middle of its circle."""
        venues = [zone for zone in zones.zones if zone.kind is ZoneKind.VENUE]
        places = []
        for zone in venues:
            centre = shapely.centroid(zone.geometry)
            places.append(
                Place(zone.zone_id, zone.name, _wrapped(shapely.get_x(centre)), shapely.get_y(centre), zone.name_en)
            )
        return cls(places, pace)

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self._places)

    def nearest(
        self, lon: float, lat: float, k: int, *, wanted: str = "", within_m: float | None = None
    ) -> list[NearPlace]:
        """Return the ``k`` nearest places to a WGS-84 position, the nearest first.

        Args:
            lon: degrees east.
            lat: degrees north.
            k: how many at most.
            wanted: only places with this in either name, whatever the case; empty = every place.
            within_m: only places up to here, None = however far.
        """
        if wanted:
            found = [self._way(lon, lat, place) for place in self._places if _is_called(place, wanted)]
            near = [one for one in found if within_m is None or one.way.distance_m <= within_m]
            return sorted(near, key=lambda one: (one.way.distance_m, one.place.place_id))[: max(k, 0)]
        ids = self._positions.nearest([lon], [lat], k, within_m=within_m).id.tolist()
        return [self._way(lon, lat, self._places[row]) for row in ids]

    def named(self, name: str) -> Place | None:
        """Return the place of exactly this name, or else the one place that has it in its name, else None."""
        exact = [place for place in self._places if name.casefold() in (place.name.casefold(), _english(place))]
        found = exact or [place for place in self._places if _is_called(place, name)]
        return found[0] if name and len(found) == 1 else None

    def _way(self, lon: float, lat: float, place: Place) -> NearPlace:
        return NearPlace(place, way_to(lon, lat, place.lon, place.lat, self._pace))


def _english(place: Place) -> str:
    return (place.name_en or "").casefold()


def _is_called(place: Place, wanted: str) -> bool:
    return wanted.casefold() in place.name.casefold() or wanted.casefold() in _english(place)


def _wrapped(lon: float) -> float:
    return lon - 360.0 * round(lon / 360.0) if abs(lon) > 180.0 else lon
