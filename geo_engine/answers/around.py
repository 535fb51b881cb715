"""The zones around somebody that concern his vehicle now or later today: where, how far, from when, until when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import shapely

from geo_engine.alerting.weighing import place_of
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.geodesy.measure import bearing_deg, distance_m
from geo_engine.kinds import Applicability
from geo_engine.model import Vehicle
from geo_engine.zones.rulebook import Question, RuleBook
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ZoneAround", "ZonesAround"]

_TURNS: Final = (0.0, -360.0, 360.0)
_STEPS: Final = 48
"""Flips of one zone that are looked at in a day; a schedule with more is followed no further."""


@dataclass(frozen=True, slots=True)
class ZoneAround:
    """A zone near somebody whose rule applies to his vehicle now or later today.

    Attributes:
        zone: the zone.
        distance_m: metres to its border, 0 = he is inside.
        bearing_deg: direction of the nearest point of the border, None = he is inside.
        from_ms: when it begins to apply, None = it applies now.
        until_ms: when it ends or pauses, None = until further notice, or not before 2100.
        may_apply: the vehicle is not known well enough to be sure.
    """

    zone: Zone
    distance_m: float
    bearing_deg: float | None
    from_ms: int | None
    until_ms: int | None
    may_apply: bool


@dataclass(frozen=True, slots=True)
class _Near:
    """A zone in reach: its row, metres and direction, and the place by which its rule is judged."""

    row: int
    distance_m: float
    bearing_deg: float | None
    lon: float
    lat: float


class ZonesAround:
    """Answers for one zone set. It has rules of its own, so the engine's thread is never asked.

    Not safe for several threads at once: looking a schedule up is remembered.
    """

    def __init__(self, zones: ZoneSet) -> None:
        """Index the zones one can be warned about. Cost: that of a rule book and of an R-tree; see ``RuleBook``."""
        self.zones = zones
        self._rules = RuleBook(zones, Vehicle(u7=0))
        rows = np.flatnonzero(self._rules.warnable)
        self._rows = rows
        self._tree = shapely.STRtree(np.array([zones.zones[row].geometry for row in rows], dtype=object))

    def around(
        self, vehicle: Vehicle, lon: float, lat: float, now_ms: int, *, within_m: float, at_most: int = 50
    ) -> list[ZoneAround]:
        """Return the zones in reach that apply, or may apply, to a vehicle now or before midnight of the zone's clock.

        Exceptions, permits, holidays and odd and even plates count as they do for warnings. Those that apply now come
        first, then by distance.

        Args:
            vehicle: what is driven.
            lon: degrees east, WGS-84.
            lat: degrees north.
            now_ms: the moment, epoch milliseconds UTC.
            within_m: how far around.
            at_most: so many zones whose rule concerns the vehicle at any time are looked at, the nearest ones.

        Cost: some 0.4 ms a zone that is looked at (12 ms for 27 of the example city).

        Raises:
            ConfigurationError: the zones tell too many vehicles apart.
        """
        if not (math.isfinite(lon) and math.isfinite(lat)):
            return []
        profile = self._rules.profile_of(vehicle)
        reached = [near for near in self._near(lon, lat, within_m) if self._concerns(profile, near.row)]
        nearest = sorted(reached, key=lambda near: (near.distance_m, near.row))[: max(at_most, 0)]
        found = [self._judged(near, vehicle, profile, now_ms) for near in nearest]
        told = [one for one in found if one is not None]
        return sorted(told, key=lambda one: (one.from_ms is not None, one.distance_m, one.zone.zone_id))

    def _near(self, lon: float, lat: float, within_m: float) -> list[_Near]:
        """Return the zones in reach; distances are those of the geodesic to the nearest point of the border."""
        mx, my = (float(scale) for scale in metres_per_degree(lat))
        # The frame shrinks a degree of longitude by up to 2 % over 100 km; a wider box costs nothing.
        dlon, dlat = 1.1 * within_m / max(mx, 1.0) + 1e-6, 1.1 * within_m / my + 1e-6
        found: dict[int, _Near] = {}
        for turn in _TURNS:
            here = lon + turn
            box = shapely.box(here - dlon, lat - dlat, here + dlon, lat + dlat)
            for row in self._rows[self._tree.query(box, predicate="intersects")].tolist():
                near = _nearest(self.zones.zones[row].geometry, row, here, lat, mx / my)
                if near.distance_m <= within_m and (row not in found or near.distance_m < found[row].distance_m):
                    found[row] = near
        return list(found.values())

    def _concerns(self, profile: int, row: int) -> bool:
        """Say whether the rule of a zone concerns a vehicle at any time."""
        return bool(self._rules.concern(np.array([profile]), np.array([row]))[0])

    def _judged(self, near: _Near, vehicle: Vehicle, profile: int, now_ms: int) -> ZoneAround | None:
        zone = self.zones.zones[near.row]
        end_ms = _midnight_ms(now_ms, zone.schedule.timezone)
        moments = [now_ms, *self._flips(near.row, vehicle, now_ms, end_ms)]
        concern = self._weigh(near, vehicle, profile, moments)
        begins = next((place for place, applies in enumerate(concern) if applies), None)
        if begins is None:
            return None
        ends = next((moments[place] for place in range(begins + 1, len(moments)) if not concern[place]), None)
        if ends is None:
            ends = self._end_after(near, vehicle, profile, moments[-1])
        return ZoneAround(
            zone,
            near.distance_m,
            near.bearing_deg,
            from_ms=None if begins == 0 else moments[begins],
            until_ms=ends,
            may_apply=concern[begins] == Applicability.MAYBE,
        )

    def _flips(self, row: int, vehicle: Vehicle, after_ms: int, until_ms: int) -> list[int]:
        """Return the moments in (after, until) at which it may change whether the zone concerns the vehicle."""
        zone = self.zones.zones[row]
        silencers = [self.zones.zones[other] for other in self._rules.silencers(row)]
        moments = {permit.until_ms for permit in vehicle.permits if permit.zone_id == zone.zone_id}
        moments |= {permit.from_ms for permit in vehicle.permits if permit.zone_id == zone.zone_id}
        for rule in (zone, *silencers):
            moment = rule.next_change_ms(after_ms)
            for _ in range(_STEPS):
                if moment is None or moment >= until_ms:
                    break
                moments.add(moment)
                moment = rule.next_change_ms(moment)
        return sorted(moment for moment in moments if after_ms < moment < until_ms)

    def _weigh(self, near: _Near, vehicle: Vehicle, profile: int, moments: list[int]) -> list[int]:
        count = len(moments)
        asked = Question(
            np.full(count, profile),
            np.full(count, near.row),
            np.array(moments, dtype=np.int64),
            np.full(count, near.lon),
            np.full(count, near.lat),
        )
        concern: list[int] = self._rules.weigh(asked).tolist()
        zone_id = self.zones.zones[near.row].zone_id
        return [
            0 if any(permit.allows(zone_id, moment) for permit in vehicle.permits) else applies
            for applies, moment in zip(concern, moments, strict=True)
        ]

    def _end_after(self, near: _Near, vehicle: Vehicle, profile: int, time_ms: int) -> int | None:
        """Return when a rule that applies at ``time_ms`` ends, as a warning says it; a permit may end it earlier."""
        zone_id = self.zones.zones[near.row].zone_id
        end_ms = self._rules.changes_ms(profile, near.row, time_ms)
        permits = [one.from_ms for one in vehicle.permits if one.zone_id == zone_id and one.from_ms > time_ms]
        return min((moment for moment in (end_ms, *permits) if moment is not None), default=None)


def _nearest(shape: shapely.Geometry, row: int, lon: float, lat: float, squeeze: float) -> _Near:
    """Return how far a shape is and the place by which its rule is judged: his own inside, else just beyond the border.

    A degree of longitude is made as long as one of latitude here, so that "nearest" means metres; straight edges stay
    straight.
    """
    here = shapely.Point(lon, lat)
    if shapely.intersects(shape, here):
        return _Near(row, 0.0, None, lon, lat)
    scaled = shapely.transform(shape, lambda positions: positions * np.array([squeeze, 1.0]))
    line = shapely.shortest_line(scaled, shapely.Point(lon * squeeze, lat))
    border_lon, border_lat = shapely.get_coordinates(line)[0].tolist()
    border_lon /= squeeze
    metres = float(distance_m(lon, lat, border_lon, border_lat))
    bearing = float(bearing_deg(lon, lat, border_lon, border_lat))
    east, north = place_of(*(np.array([value]) for value in (lon, lat, bearing, metres)))
    return _Near(row, metres, bearing, float(east[0]), float(north[0]))


def _midnight_ms(now_ms: int, timezone: str) -> int:
    """Return the end of the day of ``now_ms`` by a clock."""
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
    tomorrow = local.date() + timedelta(days=1)
    return round(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZoneInfo(timezone)).timestamp() * 1000)
