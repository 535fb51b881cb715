"""Decisions about warnings in columns; an ``Alert`` with its words is made when somebody looks at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from geo_engine.alerting.columns import ColumnSequence
from geo_engine.alerting.digests import Digests
from geo_engine.alerting.kernels import SENT_REASON
from geo_engine.alerting.permits import Permits
from geo_engine.alerting.rulewords import Evidence, evidence_text, rule_words
from geo_engine.alerting.weighing import place_of
from geo_engine.alerting.wishes import Wishes
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
    RuleEffect,
    SuppressReason,
    ZoneKind,
)
from geo_engine.zones.rulebook import RuleBook
from geo_engine.zones.zoneset import Zone, ZoneSet

__all__ = ["Alerts"]

_SHARED: Final = frozenset({"zones", "digests", "profile", "rules", "permits", "wishes"})
"""Fields that are not columns of every row, or may be absent."""
_MOST_OTHERS: Final = 5
"""More rules than this nobody reads while driving."""
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
        row: int64, the decision's place in ``digests``.
        digests: which of the decisions of the step are told by one message.
        profile: int64, profile of the user's vehicle under ``rules``.
        rules: the rules it was judged by, so that the words can name every rule that applied; None = name none.
        permits: who need not be told of which of them.
        wishes: who does not want to hear of which of them.
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
    row: IntColumn
    digests: Digests
    profile: IntColumn | None = None
    rules: RuleBook | None = None
    permits: Permits | None = None
    wishes: Wishes | None = None

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
        names = [name for name in self.__dataclass_fields__ if name not in _SHARED]
        profile = None if self.profile is None else self.profile[rows]
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        return replace(self, profile=profile, **columns)

    def by_rules(self, rules: RuleBook, permits: Permits, wishes: Wishes, profiles: npt.NDArray[np.int16]) -> Self:
        """Return the decisions with what they were made by; ``profiles`` is the profile of every u7."""
        return replace(self, rules=rules, permits=permits, wishes=wishes, profile=profiles[self.u7].astype(np.int64))

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
        """Make one alert with its words. Cost: about 25 us; 50 to 100 us more when it is sent, to name other rules."""
        zone = self._zone(int(self.zone[row]))
        u7, visit_ms = int(self.u7[row]), int(self.visit_ms[row])
        suppressed = None if self.reason[row] == SENT_REASON else _REASONS[self.reason[row]]
        language = _LANGUAGES[self.language[row]]
        others = self.digests.others(int(self.row[row])) if suppressed is None else []
        # When the rule changes is asked of its schedule, which is dear: only for words that somebody reads.
        until_ms = self._until_ms(row, zone) if suppressed is None else None
        also_names = tuple(_name_of(self._zone(other), language) for other in others)
        facts = self._facts(row, zone, until_ms, also_names)
        return Alert(
            alert_id=_alert_id(u7, zone.zone_id, visit_ms, suppressed),
            u7=u7,
            time_ms=facts.time_ms,
            zone_id=zone.zone_id,
            zone_name=facts.zone_name,
            kind=zone.kind,
            visit_ms=visit_ms,
            send=suppressed is None,
            reason=facts.trigger.value if suppressed is None else suppressed.value,
            trigger=facts.trigger,
            lon=float(self.lon[row]),
            lat=float(self.lat[row]),
            distance_m=facts.distance_m,
            bearing_deg=facts.bearing_deg,
            compass="" if facts.bearing_deg is None else compass_point(facts.bearing_deg),
            eta_s=facts.eta_s,
            may_apply=facts.may_apply,
            text=warning_text(facts, language),
            revision=self.zones.revision,
            expires_at_ms=int(self.expires_at_ms[row]),
            advice=zone.advice,
            why=evidence_text(zone, Evidence(facts.time_ms, facts.trigger, self.zones.revision), language),
            until_ms=until_ms,
            told_by=self._told_by(row, u7),
            also=len(others),
            also_names=also_names,
            opens_ms=facts.opens_ms,
        )

    def _facts(self, row: int, zone: Zone, until_ms: int | None, also: tuple[str, ...]) -> Facts:
        language, time_ms = _LANGUAGES[self.language[row]], int(self.time_ms[row])
        # What the same message tells anyway is not named twice.
        standing = self._standing(row, zone, language) if self.reason[row] == SENT_REASON else ()
        return Facts(
            zone_name=_name_of(zone, language),
            kind=zone.kind,
            trigger=_TRIGGERS[self.trigger[row]],
            distance_m=float(self.distance_m[row]),
            bearing_deg=None if np.isnan(self.bearing_deg[row]) else float(self.bearing_deg[row]),
            eta_s=float(self.eta_s[row]),
            may_apply=bool(self.may_apply[row]),
            advisory=zone.enforced_from_ms is not None and time_ms < zone.enforced_from_ms,
            advice=zone.advice,
            time_ms=time_ms,
            until_ms=until_ms,
            tells_end=bool(self.reason[row] == SENT_REASON),
            timezone=zone.schedule.timezone,
            who=rule_words(zone, language).who,
            also=also,
            level=zone.level,
            others=tuple(name for name in standing if name not in also),
            opens_ms=self._opens_ms(row, zone),
            dwell_s=zone.dwell_s,
        )

    def _opens_ms(self, row: int, zone: Zone) -> int | None:
        """Return when the rule begins, if that is on the way to the border; None = before, or not asked."""
        time_ms, matters_ms = int(self.time_ms[row]), self._matters_ms(row)
        if self.reason[row] != SENT_REASON or matters_ms == time_ms or zone.in_force_at(time_ms):
            return None
        opens_ms = zone.next_change_ms(time_ms)
        return opens_ms if opens_ms is not None and opens_ms <= matters_ms else None

    def _matters_ms(self, row: int) -> int:
        """Return when the rule matters to the user: now, or when they are at the border."""
        return int(self.time_ms[row]) + int(self.eta_s[row] * 1000)

    def _until_ms(self, row: int, zone: Zone) -> int | None:
        """Return when the rule ends or pauses for the user's vehicle, None = until further notice."""
        if self.rules is None or self.profile is None:
            return zone.next_change_ms(self._matters_ms(row))
        return self.rules.changes_ms(int(self.profile[row]), int(self.zone[row]), self._matters_ms(row))

    def _told_by(self, row: int, u7: int) -> str:
        teller = self.digests.teller(int(self.row[row]))
        return "" if teller is None else _alert_id(u7, self._zone(teller[0]).zone_id, teller[1], None)

    def _standing(self, row: int, zone: Zone, language: Language) -> tuple[str, ...]:
        """Return the names of the other rules that apply where and when this one matters."""
        if self.rules is None or self.profile is None:
            return ()
        one = slice(row, row + 1)
        lon, lat = place_of(self.lon[one], self.lat[one], self.bearing_deg[one], self.distance_m[one])
        when_ms = self._matters_ms(row)
        standing = self.rules.standing_at(int(self.profile[row]), when_ms, float(lon[0]), float(lat[0]))
        names = dict.fromkeys(
            _name_of(other, language)
            for other in standing
            if other.zone_id != zone.zone_id and self._may_name(row, other, when_ms)
        )
        return tuple(names)[:_MOST_OTHERS]

    def _may_name(self, row: int, zone: Zone, when_ms: int) -> bool:
        """Say whether a rule is a closure to the user, and one he wants to hear of."""
        u7, zone_id = int(self.u7[row]), zone.zone_id
        if zone.effect is RuleEffect.ALLOWED or (
            self.permits is not None and self.permits.allows(u7, zone_id, when_ms)
        ):
            return False
        return self.wishes is None or not self.wishes.mutes(u7, zone_id, int(self.time_ms[row]))

    def _zone(self, position: int) -> Zone:
        return self.zones.zones[position]


def _name_of(zone: Zone, language: Language) -> str:
    return zone.name_en if language is Language.EN and zone.name_en is not None else zone.name


def _alert_id(u7: int, zone_id: str, visit_ms: int, suppressed: SuppressReason | None) -> str:
    """Return the dedupe key: one and the same for a (user, zone, visit), in every process and at every restart.

    The note that a ping came too late has a key of its own, because the visit may still be warned about.
    """
    note = "|stale_ping" if suppressed is SuppressReason.STALE_PING else ""
    return blake2b(f"{u7}|{zone_id}|{visit_ms}{note}".encode(), digest_size=16).hexdigest()
