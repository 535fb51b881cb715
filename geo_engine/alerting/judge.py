"""From what happened to what is said: walks happenings in event order, keeps visits, decides warnings."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from geo_engine.alerting.happenings import APPROACH, CROSS, ENTER, EXIT, OPENED, Happenings
from geo_engine.alerting.people import People
from geo_engine.alerting.policy import Candidate, Policy, Suppress, decide
from geo_engine.alerting.visits import VisitBook, VisitRecord
from geo_engine.alerting.wording import Facts, warning_text
from geo_engine.geodesy.measure import compass_point
from geo_engine.model import Alert, AlertReason, BoolColumn, Language, SuppressReason, ZoneKind
from geo_engine.zones.zoneset import Zone, ZoneSet

__all__ = ["Judge"]

_PRIORITY: Final = {
    ZoneKind.TRUCK_RESTRICTION: 0,
    ZoneKind.CONSTRUCTION: 1,
    ZoneKind.CONGESTION: 2,
    ZoneKind.VENUE: 3,
}


class _Due(NamedTuple):
    """A warning that is due: the happening's row, the visit, the trigger and the zone."""

    row: int
    position: int
    zone: Zone
    record: VisitRecord
    trigger: AlertReason


class Judge:
    """Keeps visits and daily counts, and turns happenings into decisions. One per engine."""

    def __init__(self, zones: ZoneSet, people: People, policy: Policy, book: VisitBook) -> None:
        """Join the parts; the judge owns ``book``."""
        self._zones = zones
        self._people = people
        self._policy = policy
        self.book = book
        self._sent: dict[int, tuple[int, int]] = {}

    def restore_sent(self, u7: int, time_ms: int, count: int) -> None:
        """Put back how many warnings a user was sent on the local day of ``time_ms``."""
        self._sent[u7] = (self._policy.day_of(time_ms), count)

    def walk(self, happenings: Happenings, *, now_ms: int) -> tuple[BoolColumn, list[Alert]]:
        """Walk happenings in order.

        Returns:
            (reported, alerts): which happenings are transitions to report, and every decision made.
            Cost: about 1 us per happening and 20 us per decision, in Python; decisions are rare (one per visit).
        """
        reported = happenings.kind < OPENED
        alerts: list[Alert] = []
        due: list[_Due] = []
        moment = (-1, -1)
        columns = (happenings.at.u7, happenings.at.time_ms, happenings.kind, happenings.at.zone)
        for row, (u7, time_ms, kind, zone) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            if (u7, time_ms) != moment:
                self._settle(due, happenings, alerts, now_ms)
                moment = (u7, time_ms)
            if kind in (EXIT, CROSS):
                self.book.leave((u7, zone), time_ms)
                continue
            record, trigger, told = self._note(kind, (u7, zone), time_ms)
            reported[row] = told
            if record is not None and happenings.due[row] and not record.decided:
                due.append(_Due(row, zone, self._zones.zones[zone], record, trigger))
        self._settle(due, happenings, alerts, now_ms)
        return reported, alerts

    def _note(self, kind: int, key: tuple[int, int], time_ms: int) -> tuple[VisitRecord | None, AlertReason, bool]:
        """Write a happening into the book; return its visit, what it would trigger, and whether it is reported."""
        if kind == ENTER:
            return self.book.enter(key, time_ms), AlertReason.ENTER, True
        if kind == APPROACH:
            record, begins = self.book.approach(key, time_ms)
            return record, AlertReason.APPROACH, begins
        trigger = AlertReason.WINDOW_OPENED if kind == OPENED else AlertReason.ENTER
        return self.book.inside(key), trigger, False

    def _settle(self, due: list[_Due], happenings: Happenings, alerts: list[Alert], now_ms: int) -> None:
        """Decide the warnings one ping made due, the gravest first, so that a cap never costs a graver one."""
        due.sort(key=lambda one: (_PRIORITY[one.zone.kind], _distance(happenings, one), one.position))
        decided = (self._decide(one, happenings, now_ms) for one in due)
        alerts.extend(alert for alert in decided if alert is not None)
        due.clear()

    def _decide(self, due: _Due, happenings: Happenings, now_ms: int) -> Alert | None:
        """Decide one warning and remember it; None when it was too late already and that has been noted.

        A ping that is too old does not settle the visit: the next one may be in time.
        """
        u7, time_ms = int(happenings.at.u7[due.row]), int(happenings.at.time_ms[due.row])
        vehicle = self._people.vehicle(u7)
        day = self._policy.day_of(time_ms)
        sent_day, sent_count = self._sent.get(u7, (day, 0))
        sent_today = sent_count if sent_day == day else 0
        decision = decide(
            Candidate(
                kind=due.zone.kind,
                severity=due.zone.severity,
                consented=vehicle.consent_warnings,
                time_ms=time_ms,
                last_sent_ms=due.record.sent_ms,
                sent_today=sent_today,
            ),
            self._policy,
            now_ms=now_ms,
        )
        suppressed = decision.reason if isinstance(decision, Suppress) else None
        stale = suppressed is SuppressReason.STALE_PING
        if stale and due.record.noted:
            return None
        # The alert first: if its making failed, nothing would be remembered as said.
        alert = self._alert(due, happenings, suppressed=suppressed, language=vehicle.language)
        if stale:
            due.record.noted = True
            return alert
        if alert.send:
            self._sent[u7] = (day, sent_today + 1)
        self.book.decided((u7, due.position), sent_ms=time_ms if alert.send else None)
        return alert

    def _alert(
        self, due: _Due, happenings: Happenings, *, suppressed: SuppressReason | None, language: Language
    ) -> Alert:
        row, zone = due.row, due.zone
        u7, time_ms = int(happenings.at.u7[row]), int(happenings.at.time_ms[row])
        ahead = due.trigger is AlertReason.APPROACH
        bearing = float(happenings.bearing_deg[row]) if ahead else None
        eta_s = float(happenings.eta_s[row]) if ahead else 0.0
        may_apply = bool(happenings.unsure[row])
        english = language is Language.EN and zone.name_en is not None
        facts = Facts(
            zone_name=(zone.name_en or zone.name) if english else zone.name,
            kind=zone.kind,
            trigger=due.trigger,
            distance_m=_distance(happenings, due),
            bearing_deg=bearing,
            eta_s=eta_s,
            may_apply=may_apply,
            advisory=zone.enforced_from_ms is not None and time_ms < zone.enforced_from_ms,
            advice=zone.advice,
        )
        return Alert(
            alert_id=_alert_id(u7, zone.zone_id, due.record.visit_ms, suppressed),
            u7=u7,
            time_ms=time_ms,
            zone_id=zone.zone_id,
            zone_name=facts.zone_name,
            kind=zone.kind,
            visit_ms=due.record.visit_ms,
            send=suppressed is None,
            reason=due.trigger.value if suppressed is None else suppressed.value,
            trigger=due.trigger,
            lon=float(happenings.at.lon[row]),
            lat=float(happenings.at.lat[row]),
            distance_m=facts.distance_m,
            bearing_deg=bearing,
            compass="" if bearing is None else compass_point(bearing),
            eta_s=eta_s,
            may_apply=may_apply,
            text=warning_text(facts, language),
            revision=self._zones.revision,
            expires_at_ms=time_ms + round((eta_s + self._policy.grace_s) * 1000),
            advice=zone.advice,
        )


def _distance(happenings: Happenings, due: _Due) -> float:
    return float(happenings.distance_m[due.row]) if due.trigger is AlertReason.APPROACH else 0.0


def _alert_id(u7: int, zone_id: str, visit_ms: int, suppressed: SuppressReason | None) -> str:
    """Return the dedupe key: one and the same for a (user, zone, visit), in every process and at every restart.

    The note that a ping came too late has a key of its own, because the visit may still be warned about.
    """
    note = "|stale_ping" if suppressed is SuppressReason.STALE_PING else ""
    return blake2b(f"{u7}|{zone_id}|{visit_ms}{note}".encode(), digest_size=16).hexdigest()
