"""From what happened to what is said: keeps visits and decides warnings, in columns from end to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.alerting import kernels
from geo_engine.alerting.alerts import Alerts
from geo_engine.alerting.digests import Digests
from geo_engine.alerting.happenings import Happenings
from geo_engine.alerting.policy import Policy, grade_of
from geo_engine.alerting.quota import Admission, Candidates
from geo_engine.alerting.stays import Stays
from geo_engine.alerting.visits import VisitChanges, VisitTable, saved_records
from geo_engine.alerting.wishes import Wishes
from geo_engine.compiled import COMPILED
from geo_engine.model import (
    AlertReason,
    BoolColumn,
    CodeColumn,
    IntColumn,
    Language,
    SuppressReason,
    Vehicle,
    Visit,
    ZoneKind,
)
from geo_engine.tracking.events import APPROACH, ZONE_CHANGED, Events
from geo_engine.tracking.state import CONSENTED, ENGLISH, TOLD
from geo_engine.zones.edit import Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Judge", "Judged", "zone_facts"]

_BY_ENTER, _BY_EDIT = (tuple(AlertReason).index(reason) for reason in (AlertReason.ENTER, AlertReason.ZONE_CHANGED))
_QUOTA: Final = tuple(SuppressReason).index(SuppressReason.QUOTA)
_ZH, _EN = (tuple(Language).index(language) for language in (Language.ZH, Language.EN))


@dataclass(frozen=True, slots=True)
class Judged:
    """What a walk brought.

    Attributes:
        reported: bool per happening: it is a transition to report.
        alerts: every decision made, in order.
        visits: visits that began, changed or ended.
    """

    reported: BoolColumn
    alerts: Alerts
    visits: VisitChanges


class Judge:
    """Keeps visits and daily counts, and turns happenings into decisions. One per engine.

    What it knows of a user (consent, language, warnings sent today) stands in the user's row of the state; the judge
    writes no other fields of it.

    Attributes:
        visits: the visits remembered.
        wishes: what users do not want to hear.
        stays: users inside zones that warn only who stays.
        facts: what matters of each zone.
    """

    def __init__(  # noqa: PLR0913 - the parts it joins
        self,
        zones: ZoneSet,
        facts: kernels.ZoneFacts,
        rows: npt.NDArray[np.void],
        policy: Policy,
        *,
        cover_ms: int,
        default: Vehicle,
        admission: Admission | None = None,
    ) -> None:
        """Join the parts.

        Args:
            zones: the zones warned about.
            facts: what matters of each, from ``zone_facts``.
            rows: the state of all users (``PACKED_ROW``), indexed by u7.
            policy: what may be pushed.
            cover_ms: how long an approach holds from its begin on; one that is seen later begins a new visit.
            default: stands for every user about whom nothing was told.
            admission: asked for room in the account's quota for every message; None = there is always room.
        """
        self._policy = policy
        self._cover_ms = cover_ms
        self._default = default
        self._admission = admission
        self.wishes, self.stays = Wishes(zones), Stays()
        self._people = kernels.People(rows["flags"], rows["sent_day"], rows["sent"], self.wishes.slots)
        self.visits = VisitTable(remember_ms=max(round(policy.cooldown_s * 1000), cover_ms))
        self._zones, self.facts = zones, facts

    def tell(self, u7: IntColumn, consented: BoolColumn, english: BoolColumn) -> None:
        """Note what users agreed to and which language they read; each user once. Cost: a few ns a user."""
        flags = self._people.flags
        told = TOLD | np.where(consented, CONSENTED, 0) | np.where(english, ENGLISH, 0)
        flags[u7] = (flags[u7] & ~np.uint8(TOLD | CONSENTED | ENGLISH)) | told.astype(np.uint8)

    def restore(self, visits: Iterable[tuple[Visit, int]], sent_today: Mapping[int, int], *, now_ms: int) -> None:
        """Continue after a restart: visits with the position of their zone, and warnings sent on this local day."""
        self.visits.restore([(visit, zone) for visit, zone in visits if self.facts.pushed[zone]])
        users = np.fromiter(sent_today, dtype=np.int64, count=len(sent_today))
        counts = np.fromiter(sent_today.values(), dtype=np.int64, count=len(sent_today))
        self._people.sent_day[users] = self._policy.day_of(now_ms)
        self._people.sent[users] = np.minimum(counts, 255)

    def forget(self, u7: IntColumn) -> None:
        """Forget users: visits, stays and wishes. Cost: a pass over each."""
        self.visits.forget(u7)
        self.stays.forget(u7)
        self.wishes.forget(u7)

    def with_stays(self, events: Events, now_ms: int) -> Events:
        """Return the events and the stays that are long enough by now, and note those that begin; in no order."""
        return self.stays.join(events, self.facts.dwell_ms, now_ms)

    def saved(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return what a snapshot keeps: facts that JSON can say, and one-dimensional arrays."""
        facts = {"wishes_aside": self.wishes.aside(), "visit_width": kernels.WIDTH}
        visits, wishes = (records.reshape(-1) for records in (self.visits.records(), self.wishes.entries()))
        return facts, {"visits": visits, "wishes": wishes, "stays": self.stays.saved()}

    def load(self, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on with what ``saved`` returned; an earlier version's snapshot knows of no wishes and stays."""
        self.visits.put(saved_records(arrays["visits"], facts.get("visit_width")))
        if "wishes" in arrays:
            self.wishes.load(arrays["wishes"].reshape(-1, 2), facts["wishes_aside"])
        if "stays" in arrays:
            self.stays.load(arrays["stays"])

    def rezone(self, zones: ZoneSet, facts: kernels.ZoneFacts, moved: IntColumn, now_ms: int) -> None:
        """Go on with another zone set; ``moved`` is the new position of every old zone, -1 when it is gone."""
        # Zones that may not be pushed about any more have no visits; those that never might have none anyway.
        ended = self.facts.pushed & (moved >= 0)
        ended[ended] = ~facts.pushed[moved[ended]]
        self.visits.rezone(np.where(ended, -1, moved))
        self.wishes.rezone(zones, moved)
        self.stays.rezone(moved, self.facts.dwell_ms, facts.dwell_ms, now_ms)
        self._zones, self.facts = zones, facts

    def walk(self, happenings: Happenings, *, now_ms: int) -> Judged:
        """Walk happenings, ordered by time, user, kind, zone.

        Only a happening that is due begins a visit; the others move or end one that is remembered.
        Cost: see ``kernels.judge``; no Python per happening or decision. Where kernels are not compiled, some 100 us
        for each happening that is due or belongs to a visit, and next to nothing for the others.
        """
        return self._walk(happenings, now_ms) if COMPILED else self._walk_what_matters(happenings, now_ms)

    def _walk_what_matters(self, happenings: Happenings, now_ms: int) -> Judged:
        """Leave the happenings that could change nothing out of the walk, which is dear uncompiled."""
        rows = np.flatnonzero(self._matters(happenings))
        part = self._walk(happenings.take(rows), now_ms)
        reported: BoolColumn = happenings.kind < APPROACH
        reported[rows] = part.reported
        return Judged(reported, part.alerts, part.visits)

    def _matters(self, happenings: Happenings) -> BoolColumn:
        """Say which happenings are due or belong to a visit that is remembered or may begin in this step."""
        at, due = happenings.at, happenings.due
        key = at.u7 << 24 | at.zone
        matters: BoolColumn = due | np.isin(key, key[due]) | self.visits.knows(at.u7, at.zone)
        return matters

    def _walk(self, happenings: Happenings, now_ms: int) -> Judged:
        count = len(happenings)
        self.visits.reserve(int(np.count_nonzero(happenings.due)))
        found = kernels.Decided(
            reported=np.empty(count, dtype=np.bool_),
            row=np.empty(count, dtype=np.int64),
            slot=np.empty(count, dtype=np.int64),
            visit_ms=np.empty(count, dtype=np.int64),
            reason=np.empty(count, dtype=np.int8),
            trigger=np.empty(count, dtype=np.int8),
            message=np.empty(count, dtype=np.int64),
            before_ms=np.empty(count, dtype=np.int64),
            changed=np.empty(count, dtype=np.int64),
        )
        happened, limits = _happened(happenings), self._limits(now_ms)
        people = self._people._replace(wishes=self.wishes.slots)
        added, decisions, changes, _ = kernels.judge(happened, self.facts, limits, people, self.visits.slots, found)
        self.visits.added(added)
        refused = self._refuse(happenings, found, decisions, now_ms)
        if len(refused):
            kernels.unsend(happened, limits, people, self.visits.slots, found, refused)
        changed = self.visits.take_changed(found.changed[:changes])
        return Judged(found.reported, self._alerts(happenings, found, decisions), VisitChanges(self._zones, changed))

    def _refuse(self, happenings: Happenings, found: kernels.Decided, decisions: int, now_ms: int) -> IntColumn:
        """Take back the messages the quota has no room for; return the decisions that change, in order."""
        reason, message = found.reason[:decisions], found.message[:decisions]
        sent = np.flatnonzero(reason == kernels.SENT_REASON)
        if self._admission is None or not len(sent):
            return sent[:0]
        row = found.row[sent]
        eta_s = np.where(happenings.kind[row] == APPROACH, happenings.eta_s[row], 0.0)
        candidates = Candidates(self.facts.rank[happenings.at.zone[row]], eta_s)
        leaves = np.zeros(decisions, dtype=np.bool_)
        leaves[sent] = self._admission.admit(candidates, now_ms)
        # What would have been told along is not told either, for the same reason.
        told = np.flatnonzero(message != kernels.NO_MESSAGE)
        refused: IntColumn = told[~leaves[message[told]]]
        reason[refused] = _QUOTA
        return refused

    def _limits(self, now_ms: int) -> kernels.Limits:
        policy = self._policy
        return kernels.Limits(
            now_ms=now_ms,
            cover_ms=self._cover_ms,
            stale_ms=np.inf if policy.stale_after_s is None else float(policy.stale_after_s * 1000),
            grace_s=float(policy.grace_s),
            cooldown_ms=float(policy.cooldown_s * 1000),
            daily_cap=policy.daily_cap,
            lower_cap=policy.lower_cap,
            day_offset_s=policy.day_offset_s,
            quiet_from_min=policy.quiet_hours.from_min,
            quiet_until_min=policy.quiet_hours.until_min,
            consented=self._default.consent_warnings,
        )

    def _alerts(self, happenings: Happenings, found: kernels.Decided, decisions: int) -> Alerts:
        row = found.row[:decisions]
        at = happenings.at.take(row)
        ahead = happenings.kind[row] == APPROACH
        eta_s = np.where(ahead, happenings.eta_s[row], 0.0)
        trigger = found.trigger[:decisions]
        # Who did not move has not entered anything.
        edited = (trigger == _BY_ENTER) & (happenings.reason[row] == ZONE_CHANGED)
        return Alerts(
            zones=self._zones,
            u7=at.u7,
            time_ms=at.time_ms,
            zone=at.zone,
            visit_ms=found.visit_ms[:decisions].copy(),
            reason=found.reason[:decisions].copy(),
            trigger=np.where(edited, _BY_EDIT, trigger).astype(np.int8),
            lon=at.lon,
            lat=at.lat,
            distance_m=np.where(ahead, happenings.distance_m[row], 0.0),
            bearing_deg=np.where(ahead, happenings.bearing_deg[row], np.nan),
            eta_s=eta_s,
            may_apply=happenings.unsure[row],
            expires_at_ms=at.time_ms + np.rint((eta_s + self._policy.grace_s) * 1000).astype(np.int64),
            language=self._language(at.u7),
            row=np.arange(decisions),
            digests=Digests.of(found, decisions, at.zone),
        )

    def _language(self, u7: IntColumn) -> npt.NDArray[np.int8]:
        flags = self._people.flags[u7]
        default = _EN if self._default.language is Language.EN else _ZH
        spoken = np.where(flags & ENGLISH, _EN, _ZH)
        return np.where(flags & TOLD, spoken, default).astype(np.int8)


def zone_facts(
    zones: ZoneSet, policy: Policy, before: tuple[kernels.ZoneFacts, Edit] | None = None
) -> kernels.ZoneFacts:
    """Return what a judge asks about zones. Only those that may be pushed are looked ahead for and have visits.

    Args:
        zones: the zones.
        policy: what may be pushed.
        before: the facts of an earlier set and what differs from it, so that only altered zones are read.
    """
    facts = kernels.ZoneFacts(*_blank(len(zones)))
    asked: Iterable[int] = range(len(zones))
    if before is not None:
        known, edit = before
        # A new zone finds the value behind the last one.
        columns: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = zip(known, _blank(1), strict=True)
        facts = kernels.ZoneFacts(*(np.append(column, blank)[edit.before] for column, blank in columns))
        asked = edit.altered.tolist()
    for row in asked:
        zone = zones.zones[row]
        facts.pushed[row] = zone.kind is not ZoneKind.VENUE and policy.pushes(zone.kind, zone.severity)
        facts.rank[row] = grade_of(zone.kind, zone.severity)
        facts.urgent[row] = zone.kind in policy.quiet_exempt_kinds
        facts.dwell_ms[row] = zone.dwell_s * 1000
    return facts


def _blank(count: int) -> tuple[BoolColumn, CodeColumn, BoolColumn, IntColumn]:
    pushed, urgent = np.zeros((2, count), dtype=np.bool_)
    return pushed, np.zeros(count, dtype=np.int8), urgent, np.zeros(count, dtype=np.int64)


def _happened(happenings: Happenings) -> kernels.Happened:
    """Bring the columns into the one form the kernel is compiled for; a copy only where they differ."""
    at = happenings.at

    def column(values: npt.NDArray[Any], kind: type) -> npt.NDArray[Any]:
        return np.ascontiguousarray(values, dtype=kind)

    return kernels.Happened(
        u7=column(at.u7, np.int64),
        time_ms=column(at.time_ms, np.int64),
        zone=column(at.zone, np.int64),
        kind=column(happenings.kind, np.int8),
        due=column(happenings.due, np.bool_),
        distance_m=column(happenings.distance_m, np.float64),
        eta_s=column(happenings.eta_s, np.float64),
    )
