"""The policy over whole days: ten million users, 100,000 messages a day; who is told what, and what is held back.

The happenings are made up (``policy_demand``), the decisions are those of the engine: its judge, its policy, its
arbiter. ``python -m benchmarks.policy_day`` writes ``results/policy_day.json`` and ``.svg``. Cost: about two minutes
and 2 GB; ``--users 100000 --quota 1000`` for a quick look.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness import RESULTS, console, machine, pin_to_one_core, write_json
from benchmarks.policy_demand import MIDNIGHT_MS, Demand, Plan, city_zones
from benchmarks.policy_picture import draw
from geo_engine.alerting.alerts import Alerts
from geo_engine.alerting.judge import Judge, zone_facts
from geo_engine.alerting.kernels import SENT_REASON
from geo_engine.alerting.policy import Grade, Policy, QuietHours
from geo_engine.alerting.quota import Admission, Arbiter, Candidates, QuotaLimits
from geo_engine.model import BoolColumn, IntColumn, Mute, SuppressReason, Vehicle
from geo_engine.tracking.state import PACKED_ROW

__all__ = ["Day", "FirstCome", "main", "run", "simulate"]

_REASONS: Final = tuple(SuppressReason)
_DIGESTED: Final = _REASONS.index(SuppressReason.DIGESTED)
_QUOTA: Final = _REASONS.index(SuppressReason.QUOTA)
_GRADES: Final = len(Grade)
_DAY_MS: Final = 86_400_000


class FirstCome:
    """No arbiter: whoever comes first is served while the day's calls last. What the arbiter is compared with."""

    def __init__(self, limits: QuotaLimits) -> None:
        self._limits = limits
        self._day = self._left = -1

    def admit(self, candidates: Candidates, now_ms: int) -> BoolColumn:
        """Say which messages may leave."""
        day = (now_ms + self._limits.day_offset_s * 1000) // _DAY_MS
        if day != self._day:
            self._day, self._left = day, self._limits.usable
        admitted: BoolColumn = np.arange(len(candidates.grade)) < self._left
        self._left -= int(admitted.sum())
        return admitted


@dataclass(slots=True)
class Day:
    """What one local day brought.

    Attributes:
        decided: decisions by grade and outcome; the last column is "sent".
        by_hour: messages by hour and grade.
        per_user: messages of every user.
        told: (user, zone, moment) of everything that was told, sent or digested.
        quiet: messages less grave than a restriction in the quiet hours of somebody who has none of their own.
    """

    per_user: np.ndarray
    decided: IntColumn = field(default_factory=lambda: np.zeros((_GRADES, len(_REASONS) + 1), dtype=np.int64))
    by_hour: IntColumn = field(default_factory=lambda: np.zeros((24, _GRADES), dtype=np.int64))
    told: list[IntColumn] = field(default_factory=list)
    quiet: int = 0

    def add(self, alerts: Alerts, grade: IntColumn, own_hours: BoolColumn, policy: Policy) -> None:
        """Count the decisions of a step."""
        code = np.where(alerts.reason == SENT_REASON, len(_REASONS), alerts.reason).astype(np.int64)
        np.add.at(self.decided, (grade, code), 1)
        sent = alerts.send
        minute = (alerts.time_ms + policy.day_offset_s * 1000) % _DAY_MS // 60_000
        np.add.at(self.by_hour, (minute[sent] // 60, grade[sent]), 1)
        np.add.at(self.per_user, alerts.u7[sent], 1)
        asleep = (minute >= policy.quiet_hours.from_min) | (minute < policy.quiet_hours.until_min)
        self.quiet += int((sent & asleep & (grade > Grade.RESTRICTION) & ~own_hours[alerts.u7]).sum())
        told = sent | (alerts.reason == _DIGESTED)
        self.told.append(np.stack([alerts.u7[told] << 24 | alerts.zone[told], alerts.time_ms[told]]))

    def document(self, policy: Policy, before: Day | None = None) -> dict[str, Any]:
        """Return what is written down, with the promises checked; ``before`` is the day before, for the cooldown."""
        sent = self.decided[:, -1]
        lost = self.decided[:, _QUOTA]
        grave, lower = slice(0, Grade.CONSTRUCTION), slice(Grade.CONSTRUCTION, None)
        counts = np.bincount(self.per_user, minlength=1)
        return {
            "sent": {grade.name.lower(): int(sent[grade]) for grade in Grade},
            "refused_for_quota": {grade.name.lower(): int(lost[grade]) for grade in Grade},
            "suppressed": {
                reason.value: int(self.decided[:, code].sum())
                for code, reason in enumerate(_REASONS)
                if self.decided[:, code].any()
            },
            "messages": int(sent.sum()),
            "restrictions_lost_while_a_lower_grade_was_sent": int(lost[grave].sum()) if sent[lower].any() else 0,
            "users_above_the_cap": int((self.per_user > policy.daily_cap).sum()),
            "most_to_one_user": int(self.per_user.max()),
            "told_again_within_the_cooldown": self._repeated(round(policy.cooldown_s * 1000), before),
            "lower_grades_in_quiet_hours": self.quiet,
            "users_by_messages": {str(n): int(count) for n, count in enumerate(counts.tolist()) if count},
            "messages_by_hour": [
                {grade.name.lower(): int(row[grade]) for grade in Grade if row[grade]} for row in self.by_hour
            ],
        }

    def _repeated(self, cooldown_ms: int, before: Day | None) -> int:
        """Count what was told on this day within the cooldown of an earlier time, also one before midnight."""
        earlier, today = _joined(before.told if before else []), _joined(self.told)
        key, time_ms = np.concatenate([earlier, today], axis=1)
        order = np.lexsort((time_ms, key))
        again = (np.diff(key[order]) == 0) & (np.diff(time_ms[order]) < cooldown_ms)
        return int((again & (order[1:] >= earlier.shape[1])).sum())


def _joined(told: list[IntColumn]) -> IntColumn:
    return np.concatenate(told, axis=1) if told else np.zeros((2, 0), dtype=np.int64)


def simulate(plan: Plan, admission: Admission, policy: Policy) -> tuple[list[Day], int]:
    """Live through the days of a plan; return them and the number of happenings."""
    zones = city_zones()
    facts = zone_facts(zones, policy)
    rows = np.zeros(plan.users, dtype=PACKED_ROW)
    nobody = Vehicle(u7=0, consent_warnings=False)
    judge = Judge(zones, facts, rows, policy, cover_ms=180_000, default=nobody, admission=admission)
    demand = Demand(plan, facts.pushed)
    own_hours = _say_wishes(judge, demand, plan)
    days = [Day(np.zeros(plan.users, dtype=np.uint8)) for _ in range(plan.days)]
    count, grade = 0, facts.rank.astype(np.int64)
    for now_ms, happenings in demand.minutes():
        alerts = judge.walk(happenings, now_ms=now_ms).alerts
        judge.visits.forget_old(now_ms)
        count += len(happenings)
        days[(now_ms - MIDNIGHT_MS) // _DAY_MS].add(alerts, grade[alerts.zone], own_hours, policy)
    return days, count


def _say_wishes(judge: Judge, demand: Demand, plan: Plan) -> BoolColumn:
    """Let users agree, mute zones, and set hours of their own; return who has hours of their own."""
    agreed = demand.consenting()
    judge.tell(agreed, np.ones(len(agreed), dtype=np.bool_), np.zeros(len(agreed), dtype=np.bool_))
    rng = np.random.Generator(np.random.PCG64(plan.seed + 1))
    # Who comes upon restrictions every day mutes them: truck drivers, who have the lowest numbers.
    who = np.repeat(agreed[: len(agreed) // 50], 3)
    for u7, zone in zip(who.tolist(), (rng.random(len(who)) ** 2 * 2000).astype(int).tolist(), strict=True):
        judge.wishes.mute(Mute(u7, f"z{zone:04d}"))
    own_hours = np.zeros(plan.users, dtype=np.bool_)
    for u7 in rng.choice(agreed, len(agreed) // 50, replace=False).tolist():
        judge.wishes.keep_quiet(u7, QuietHours(23 * 60, 6 * 60))
        own_hours[u7] = True
    return own_hours


def run(plan: Plan, daily: int) -> dict[str, Any]:
    """Simulate with the arbiter, without it, with half the quota, and on a day out of measure."""
    policy, limits = Policy(), QuotaLimits(daily=daily)
    ways: Mapping[str, tuple[Plan, Admission]] = {
        "arbiter": (plan, Arbiter(limits)),
        "first_come": (replace(plan, busier=plan.busier[:2]), FirstCome(limits)),
        "half_the_quota": (replace(plan, busier=plan.busier[:2]), Arbiter(replace(limits, daily=daily // 2))),
        "three_times_busier": (replace(plan, busier=(1.0, 1.0, 3.0)), Arbiter(limits)),
    }
    found: dict[str, Any] = {"users": plan.users, "quota": daily, "cap": policy.daily_cap, "seed": plan.seed}
    found["busier_from_noon"] = list(plan.busier)
    for name, (days_of, admission) in ways.items():
        began = time.perf_counter()
        days, happenings = simulate(days_of, admission, policy)
        found[name] = {
            "days": [day.document(policy, before) for before, day in zip([None, *days], days, strict=False)],
            "happenings": happenings,
            "seconds": round(time.perf_counter() - began, 1),
        }
        console.print(f"{name}: {happenings:,} happenings in {found[name]['seconds']} s")
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=Plan().users)
    parser.add_argument("--quota", type=int, default=QuotaLimits().daily)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    pin_to_one_core()
    found = run(Plan(users=options.users), options.quota)
    write_json(options.results / "policy_day.json", {"machine": machine(), **found})
    (options.results / "policy_day.svg").write_text(draw(found), encoding="utf-8")
    for number, day in enumerate(found["arbiter"]["days"], start=1):
        kept = day["restrictions_lost_while_a_lower_grade_was_sent"], day["users_above_the_cap"]
        console.print(f"day {number}: {day['messages']:,} messages {day['sent']}, broken promises {kept}")


if __name__ == "__main__":
    main()
