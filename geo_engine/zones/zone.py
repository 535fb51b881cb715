"""One zone: shape, kind, who it concerns, when it is in force."""

from __future__ import annotations

from dataclasses import dataclass

import shapely

from geo_engine.model import RoadLevel, RuleEffect, Severity, ZoneKind
from geo_engine.zones.rule import EVERYONE, AppliesTo
from geo_engine.zones.schedule import ALWAYS, Schedule

__all__ = ["Zone"]


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: shape, kind, who, when.

    Attributes:
        zone_id: id as staff wrote it, unique in the set.
        kind: what the zone is about.
        name: what the driver reads.
        geometry: Polygon or MultiPolygon in WGS-84 lon/lat (buffered lines and circles included), valid, 2-D,
            exterior rings counter-clockwise.
            A shape over the 180 degree meridian is unwrapped: its longitudes run past 180 (or below -180)
            without a jump; the first vertex of each polygon lies in -180 .. 180.
            A venue without a radius is a Point and is never matched.
        applies_to: who is concerned.
        schedule: when it is in force.
        valid_from_ms: first moment of validity, None = always was.
        valid_to_ms: end of validity (exclusive), None = until further notice.
        enforced_from_ms: before this moment a warning is advisory only, None = enforced at once.
        severity: how much it matters.
        advice: what staff advise, may be empty.
        name_en: English name, None = use ``name``.
        effect: what the rule does to the vehicles it applies to, and to the rules it beats.
        road: drawn as a line: a rule of a road beats one of an area.
        listed: place in the order of listing; of two roads, or two areas, the rule listed later beats the other.
        exception_to: ids of the zones it may silence, when it is no plain closure; empty = every one it beats.
        dwell_s: only who is inside for so many seconds is warned, 0 = everybody is, and before the border.
        level: which of several roads above one another the rule is about, None = no such difference.
    """

    zone_id: str
    kind: ZoneKind
    name: str
    geometry: shapely.Geometry
    applies_to: AppliesTo = EVERYONE
    schedule: Schedule = ALWAYS
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None
    enforced_from_ms: int | None = None
    severity: Severity = Severity.NORMAL
    advice: str = ""
    name_en: str | None = None
    effect: RuleEffect = RuleEffect.CLOSED
    road: bool = False
    listed: int = 0
    level: RoadLevel | None = None
    exception_to: frozenset[str] = frozenset()
    dwell_s: int = 0

    @property
    def rank(self) -> tuple[bool, int]:
        """Which of two rules at one place beats the other: the greater one."""
        return self.road, self.listed

    def valid_at(self, time_ms: int) -> bool:
        """Say whether ``time_ms`` lies between both ends of the validity."""
        if self.valid_from_ms is not None and time_ms < self.valid_from_ms:
            return False
        return self.valid_to_ms is None or time_ms < self.valid_to_ms

    def in_force_at(self, time_ms: int) -> bool:
        """Say whether the zone is valid and its schedule open at ``time_ms``."""
        return self.valid_at(time_ms) and self.schedule.is_open(time_ms)

    def next_change_ms(self, time_ms: int) -> int | None:
        """Return the first moment after ``time_ms`` at which ``in_force_at`` flips, None = never again.

        Looks at the schedule and at both ends of the validity; ``enforced_from_ms`` changes the wording of a warning,
        not whether the zone is in force. Cost: that of ``Schedule.next_change_ms``.
        """
        change_ms: int | None
        if self.valid_from_ms is not None and time_ms < self.valid_from_ms:
            starts_open = self.schedule.is_open(self.valid_from_ms)
            change_ms = self.valid_from_ms if starts_open else self.schedule.next_change_ms(self.valid_from_ms)
        else:
            change_ms = self.schedule.next_change_ms(time_ms)
        if self.valid_to_ms is None or (change_ms is not None and change_ms < self.valid_to_ms):
            return change_ms
        # The validity ends first: that is a flip only if the zone is in force until then.
        return self.valid_to_ms if self.in_force_at(time_ms) else None
