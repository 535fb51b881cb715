"""Decisions about warnings in columns; an ``Alert`` with its words is made when somebody looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

import numpy as np

from geo_engine.alerting.columns import ColumnSequence
from geo_engine.alerting.kernels import SENT_REASON
from geo_engine.alerting.wording import Facts, warning_text
from geo_engine.geodesy.measure import compass_point
from geo_engine.model import (
    Alert,
    AlertReason,
    BoolColumn,
    CodeColumn,
    FloatColumn,
    IntColumn,
    Language,
    SuppressReason,
    ZoneKind,
)
from geo_engine.zones.zoneset import Zone, ZoneSet

__all__ = ["Alerts"]

_TRIGGERS: Final = tuple(AlertReason)
_REASONS: Final = tuple(SuppressReason)
_LANGUAGES: Final = tuple(Language)
_KINDS: Final = tuple(ZoneKind)


@dataclass(frozen=True, slots=True, eq=False)
class Alerts(ColumnSequence[Alert]):
    """Decisions in columns, in the order they were made.

    Attributes:
        zones: the zone set that was in force.
        u7: int64.
        time_ms: int64, event time of the ping that made it due.
        zone: int64, position in ``zones``.
        visit_ms: int64, event time at which the visit began.
        reason: int8, position in ``SuppressReason``, ``-1`` = sent.
        trigger: int8, position in ``AlertReason``.
        lon: float64, position of the user.
        lat: float64.
        distance_m: float64 metres to the border, 0 when inside.
        bearing_deg: float64 degrees towards the border, NaN when inside.
        eta_s: float64 seconds to the border, 0 when inside.
        may_apply: bool, the vehicle is not known well enough to be sure.
        expires_at_ms: int64, after this moment the warning is pointless.
        language: int8, position in ``Language``.
    """

    zones: ZoneSet
    u7: IntColumn
    time_ms: IntColumn
    zone: IntColumn
    visit_ms: IntColumn
    reason: CodeColumn
    trigger: CodeColumn
    lon: FloatColumn
    lat: FloatColumn
    distance_m: FloatColumn
    bearing_deg: FloatColumn
    eta_s: FloatColumn
    may_apply: BoolColumn
    expires_at_ms: IntColumn
    language: CodeColumn

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.u7)

    @property
    def send(self) -> BoolColumn:
        """Which decisions go to the outbox."""
        sent: BoolColumn = self.reason == SENT_REASON
        return sent

    def take(self, rows: IntColumn) -> Self:
        """Return the given rows."""
        columns = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "zones"}
        return type(self)(zones=self.zones, **columns)

    def counts(self) -> dict[tuple[ZoneKind, AlertReason | SuppressReason], int]:
        """Return the number of decisions per kind of zone and reason; a sent one has its trigger for a reason.

        Cost: one pass over the columns and one look at the zone of each decision; no alert is made.
        """
        kinds = np.array([_KINDS.index(zone.kind) for zone in map(self._zone, np.unique(self.zone).tolist())], np.int64)
        reasons: tuple[AlertReason | SuppressReason, ...] = (*_TRIGGERS, *_REASONS)
        code = np.where(self.send, self.trigger, self.reason + len(_TRIGGERS))
        kind = kinds[np.unique(self.zone, return_inverse=True)[1]]
        found = np.bincount(kind * len(reasons) + code, minlength=len(_KINDS) * len(reasons)).tolist()
        return {
            (_KINDS[pair // len(reasons)], reasons[pair % len(reasons)]): count
            for pair, count in enumerate(found)
            if count
        }

    def item(self, row: int) -> Alert:
        """Make one alert with its words. Cost: about 15 us."""
        zone = self._zone(int(self.zone[row]))
        u7, time_ms, visit_ms = int(self.u7[row]), int(self.time_ms[row]), int(self.visit_ms[row])
        trigger = _TRIGGERS[self.trigger[row]]
        suppressed = None if self.reason[row] == SENT_REASON else _REASONS[self.reason[row]]
        language = _LANGUAGES[self.language[row]]
        bearing = None if np.isnan(self.bearing_deg[row]) else float(self.bearing_deg[row])
        facts = Facts(
            zone_name=zone.name_en if language is Language.EN and zone.name_en is not None else zone.name,
            kind=zone.kind,
            trigger=trigger,
            distance_m=float(self.distance_m[row]),
            bearing_deg=bearing,
            eta_s=float(self.eta_s[row]),
            may_apply=bool(self.may_apply[row]),
            advisory=zone.enforced_from_ms is not None and time_ms < zone.enforced_from_ms,
            advice=zone.advice,
        )
        return Alert(
            alert_id=_alert_id(u7, zone.zone_id, visit_ms, _note(trigger, suppressed)),
            u7=u7,
            time_ms=time_ms,
            zone_id=zone.zone_id,
            zone_name=facts.zone_name,
            kind=zone.kind,
            visit_ms=visit_ms,
            send=suppressed is None,
            reason=trigger.value if suppressed is None else suppressed.value,
            trigger=trigger,
            lon=float(self.lon[row]),
            lat=float(self.lat[row]),
            distance_m=facts.distance_m,
            bearing_deg=bearing,
            compass="" if bearing is None else compass_point(bearing),
            eta_s=facts.eta_s,
            may_apply=facts.may_apply,
            text=warning_text(facts, language),
            revision=self.zones.revision,
            expires_at_ms=int(self.expires_at_ms[row]),
            advice=zone.advice,
        )

    def _zone(self, position: int) -> Zone:
        return self.zones.zones[position]


def _note(trigger: AlertReason, suppressed: SuppressReason | None) -> str:
    """Return what a decision beside the one of its visit is told apart by: the visit may be decided once more."""
    if suppressed is SuppressReason.STALE_PING:
        return "|stale_ping"
    return "|vehicle_changed" if trigger is AlertReason.VEHICLE_CHANGED else ""


def _alert_id(u7: int, zone_id: str, visit_ms: int, note: str) -> str:
    """Return the dedupe key: one and the same for a (user, zone, visit), in every process and at every restart.

    The note that a ping came too late has a key of its own, because the visit may still be warned about; and so has a
    warning due to a change of vehicle or consent, because the visit may have been decided without one before.
    """
    return blake2b(f"{u7}|{zone_id}|{visit_ms}{note}".encode(), digest_size=16).hexdigest()
