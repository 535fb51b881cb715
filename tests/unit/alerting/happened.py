"""Happenings for tests, and what a careful clerk with a notebook would make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from geo_engine.alerting.happenings import Happenings, Places
from geo_engine.alerting.judge import Judge, zone_facts
from geo_engine.alerting.policy import Candidate, Policy, QuietHours, Suppress, decide, grade_of
from geo_engine.alerting.quota import Admission
from geo_engine.model import AlertReason, IntColumn, SuppressReason, Vehicle
from geo_engine.tracking.events import APPROACH, CROSS, DWELLED, ENTER, OPENED
from geo_engine.tracking.state import PACKED_ROW
from geo_engine.zones.zoneset import ZoneSet


class Happening(NamedTuple):
    """One row; in the order of walking when sorted."""

    time_ms: int
    u7: int
    kind: int
    zone: int = 0
    due: bool = True
    distance_m: float = 100.0


def columns(rows: Sequence[Happening]) -> Happenings:
    """Return the rows, ordered, as the engine hands them to the judge."""
    ordered = sorted(rows)
    time_ms, u7, kind, zone, due, distance_m = (list(column) for column in zip(*ordered, strict=True))
    far = np.where(np.array(kind) == APPROACH, distance_m, np.nan)
    at = Places(*(np.array(column, dtype=np.int64) for column in (u7, time_ms, zone)), *np.zeros((2, len(ordered))))
    return Happenings(
        at=at,
        kind=np.array(kind, dtype=np.int8),
        reason=np.zeros(len(at), dtype=np.int8),
        due=np.array(due, dtype=np.bool_),
        unsure=np.zeros(len(at), dtype=np.bool_),
        distance_m=far,
        eta_s=far / 10.0,
        bearing_deg=far * 0.5,
    )


def judge_of(
    zones: ZoneSet,
    policy: Policy | None = None,
    *,
    consented: bool = True,
    cover_ms: int = 180_000,
    admission: Admission | None = None,
) -> Judge:
    """Return a judge about whose users nothing was told."""
    rows = np.zeros(10_000, dtype=PACKED_ROW)
    policy = policy or Policy()
    return Judge(
        zones,
        zone_facts(zones, policy),
        rows,
        policy,
        cover_ms=cover_ms,
        default=Vehicle(u7=0, consent_warnings=consented),
        admission=admission,
    )


class Decision(NamedTuple):
    """One decision: who, when, where, about which visit, why not (None = sent) and what made it due."""

    u7: int
    time_ms: int
    zone: int
    visit_ms: int
    reason: SuppressReason | None
    trigger: AlertReason


@dataclass
class _Note:
    visit_ms: int
    last_ms: int
    inside: bool = False
    open: bool = True
    decided: bool = False
    noted: bool = False
    sent_ms: int | None = None


@dataclass
class Clerk:
    """Judges happening by happening with ``decide``: the specification the compiled walk is held against."""

    zones: ZoneSet
    policy: Policy
    consents: dict[int, bool]
    default: bool
    cover_ms: int = 180_000
    mutes: dict[tuple[int, int], int] = field(default_factory=dict)
    quiet: dict[int, QuietHours] = field(default_factory=dict)
    notes: dict[tuple[int, int], _Note] = field(default_factory=dict)
    sent: dict[tuple[int, int], int] = field(default_factory=dict)

    def walk(self, rows: Sequence[Happening], now_ms: int) -> tuple[list[bool], list[Decision], set[tuple[int, int]]]:
        """Return which rows are reported, the decisions, and the (u7, zone) whose visit changed."""
        reported: list[bool] = []
        decisions: list[Decision] = []
        self.changed: set[tuple[int, int]] = set()
        ordered = sorted(rows)
        for moment in dict.fromkeys((row.time_ms, row.u7) for row in ordered):
            here = [row for row in ordered if (row.time_ms, row.u7) == moment]
            told = [self._note(row) for row in here]
            reported += told
            asks = [row for row, reported in zip(here, told, strict=True) if row.due and self._asks(row, reported)]
            due = [row for row in asks if row.kind > CROSS and self._is_open_question(row)]
            told_along = False
            for row in sorted(due, key=self._gravity):
                made = self._decide(row, now_ms, told_along=told_along)
                told_along |= any(one.reason is None for one in made)
                decisions += made
        return reported, decisions, self.changed

    def _is_pushed(self, row: Happening) -> bool:
        zone = self.zones.zones[row.zone]
        return self.policy.pushes(zone.kind, zone.severity)

    def _dwell_ms(self, row: Happening) -> int:
        return self.zones.zones[row.zone].dwell_s * 1000 if self._is_pushed(row) else 0

    def _stays(self, row: Happening) -> bool:
        note = self.notes.get((row.u7, row.zone))
        if note is None or not note.inside or note.decided:
            return False
        return row.time_ms - note.last_ms >= self._dwell_ms(row)

    def _asks(self, row: Happening, reported: bool) -> bool:
        """Say whether a stay is long enough, where one is asked for."""
        if row.kind == DWELLED:
            return reported
        dwell_ms = self._dwell_ms(row)
        if not dwell_ms:
            return True
        return row.kind not in {APPROACH, *range(CROSS + 1)} and (
            row.time_ms - self.notes[row.u7, row.zone].last_ms >= dwell_ms
        )

    def _is_open_question(self, row: Happening) -> bool:
        return not self.notes[row.u7, row.zone].decided if self._is_pushed(row) else row.kind == ENTER

    def _gravity(self, row: Happening) -> tuple[int, float, int]:
        zone = self.zones.zones[row.zone]
        return grade_of(zone.kind, zone.severity), row.distance_m if row.kind == APPROACH else 0.0, row.zone

    def _note(self, row: Happening) -> bool:
        key = (row.u7, row.zone)
        if not self._is_pushed(row):
            return row.kind <= ENTER
        note = self.notes.get(key)
        if row.kind <= CROSS:
            if note is not None and note.open:
                note.open, note.inside, note.last_ms = False, False, row.time_ms
                self.changed.add(key)
            return True
        over = note is None or (not note.inside and (not note.open or row.time_ms - note.visit_ms > self.cover_ms))
        if row.kind == DWELLED or (row.kind == APPROACH and self._dwell_ms(row)):
            return row.kind == DWELLED and self._stays(row)
        if over and (not row.due or self._is_covered(row, note)):
            return row.kind == ENTER
        if over:
            sent_ms = None if note is None else note.sent_ms
            self.notes[key] = _Note(row.time_ms, row.time_ms, inside=row.kind != APPROACH, sent_ms=sent_ms)
            self.changed.add(key)
            return row.kind in (ENTER, APPROACH)
        assert note is not None
        if row.kind == ENTER or (row.kind >= OPENED and row.due and not note.inside):
            note.last_ms = row.time_ms
            note.inside = True
        return row.kind == ENTER

    def _is_covered(self, row: Happening, note: _Note | None) -> bool:
        lately = note is not None and note.decided and row.time_ms - note.visit_ms <= self.cover_ms
        return row.kind == APPROACH and lately

    def _decide(self, row: Happening, now_ms: int, *, told_along: bool) -> list[Decision]:
        zone = self.zones.zones[row.zone]
        # What is never pushed has no visit: each enter is one.
        note = self.notes[row.u7, row.zone] if self._is_pushed(row) else _Note(row.time_ms, row.time_ms)
        today = (row.u7, self.policy.day_of(row.time_ms))
        candidate = Candidate(
            kind=zone.kind,
            severity=zone.severity,
            consented=self.consents.get(row.u7, self.default),
            time_ms=row.time_ms,
            last_sent_ms=note.sent_ms,
            sent_today=self.sent.get(today, 0),
            muted_until_ms=self.mutes.get((row.u7, row.zone)),
            quiet_hours=self.quiet.get(row.u7),
            eta_s=row.distance_m / 10.0 if row.kind == APPROACH else 0.0,
            told_along=told_along,
        )
        decision = decide(candidate, self.policy, now_ms=now_ms)
        reason = decision.reason if isinstance(decision, Suppress) else None
        if reason is SuppressReason.STALE_PING:
            if note.noted:
                return []
            note.noted = True
        else:
            note.decided = True
            if self._is_pushed(row):
                self.changed.add((row.u7, row.zone))
        if reason in {None, SuppressReason.DIGESTED}:
            note.sent_ms = row.time_ms
        if reason is None:
            self.sent[today] = self.sent.get(today, 0) + 1
        triggers = {
            APPROACH: AlertReason.APPROACH,
            OPENED: AlertReason.WINDOW_OPENED,
            DWELLED: AlertReason.DWELL,
        }
        trigger = triggers.get(row.kind, AlertReason.ENTER)
        return [Decision(row.u7, row.time_ms, row.zone, note.visit_ms, reason, trigger)]


def users(*u7: int) -> IntColumn:
    """Return a column of users."""
    return np.array(u7, dtype=np.int64)
