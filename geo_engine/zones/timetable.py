"""Whether zones are in force: one bit per rule of time, flipped by a timer, and exact for any other moment."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from geo_engine.model import BoolColumn, IntColumn, ZoneKind
from geo_engine.zones.edit import Edit
from geo_engine.zones.numbering import Numbering, numbered
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["NEVER_MS", "Timetable"]

NEVER_MS: Final = int(np.iinfo(np.int64).max)
"""The moment of a flip that never comes."""

_LOOK_BACK_MS: Final = 3_600_000
"""How much of the past is known after the first call and after a leap: pings arrive up to some minutes late."""

_RULE: Final = attrgetter("schedule", "valid_from_ms", "valid_to_ms")


class _Stretches:
    """For every rule one stretch of time, ``from_ms <= t < until_ms``, in which nothing changes. Empty at first."""

    def __init__(self, count: int) -> None:
        self.from_ms: IntColumn = np.zeros(count, dtype=np.int64)
        self.until_ms: IntColumn = np.zeros(count, dtype=np.int64)
        self.open: BoolColumn = np.zeros(count, dtype=np.bool_)

    def look_up(self, rule: int, zone: Zone, moment: int) -> None:
        """Renew the stretch of a rule, from ``moment`` on; ``zone`` is any zone under that rule."""
        change = zone.next_change_ms(moment)
        self.from_ms[rule] = moment
        self.until_ms[rule] = NEVER_MS if change is None else change
        self.open[rule] = zone.in_force_at(moment)

    def take_over(self, rule: int, other: _Stretches) -> None:
        """Take the stretch of a rule from ``other``."""
        self.from_ms[rule], self.until_ms[rule] = other.from_ms[rule], other.until_ms[rule]
        self.open[rule] = other.open[rule]


class Timetable:
    """The rules of time of a zone set and which of them are open now.

    A rule of time is a distinct (schedule, valid_from_ms, valid_to_ms); zones share few of them. ``advance`` keeps
    for every rule of a zone one can be warned about the stretch around now, by a timer heap on its next flip: nothing
    is evaluated per question. Questions about other moments (a ping that came late, an arrival after the flip) are
    answered from one remembered stretch before and one after, else by the schedule itself, so they are exact for any
    moment. Venues are nobody's warning: their rules are looked up only when they are asked about.

    Attributes:
        rule_of_zone: int32 per zone, the number of its rule.
        numbering: the rules as the numbering they come from.
    """

    def __init__(
        self,
        zones: ZoneSet,
        before: Numbering | None = None,
        edit: Edit | None = None,
        *,
        more: Sequence[Zone] = (),
        closing: BoolColumn | None = None,
    ) -> None:
        """Number the rules; no schedule is evaluated before the first question.

        Args:
            zones: the zones.
            before: ``numbering`` of the timetable of an earlier set, so that only altered zones are read.
            edit: what differs from that set.
            more: zones numbered after those of the set, for rules of which a zone has a second one.
            closing: bool per zone, ``more`` included: its end of force is among ``openings`` too; None = of no zone.
        """
        every = (*zones.zones, *more)
        numbering = numbered(every, _RULE, before, edit)
        count = len(numbering.example)
        self.rule_of_zone = numbering.of_zone.astype(np.int32)
        self.numbering, self._example = numbering, numbering.example
        self._closing: BoolColumn = np.zeros(len(every), dtype=np.bool_) if closing is None else closing
        warnable = np.append(zones.warnable, [zone.kind is not ZoneKind.VENUE for zone in more]).astype(np.bool_)
        # Zones a warning can be about, grouped by rule, in order inside each group.
        self._by_rule = np.flatnonzero(warnable)[np.argsort(self.rule_of_zone[warnable], kind="stable")]
        self._group = np.searchsorted(self.rule_of_zone[self._by_rule], np.arange(count + 1))
        self._timed = np.flatnonzero(np.diff(self._group))
        self._past, self._now, self._later = _Stretches(count), _Stretches(count), _Stretches(count)
        self._heap: list[tuple[int, int]] = [(0, rule) for rule in self._timed.tolist()]
        self._quiet_ms = (NEVER_MS, 0)  # nothing flips after the first and before the second moment
        self._between: BoolColumn = np.ones(len(every), dtype=np.bool_)
        self._between_for: tuple[int, int, int, int] | None = None

    @property
    def next_change_ms(self) -> int:
        """First flip after the last ``advance`` of a rule one can be warned about, ``NEVER_MS`` = none.

        Before the first ``advance`` it is 0, because nothing is known yet.
        """
        return self._heap[0][0] if self._heap else NEVER_MS

    def advance(self, now_ms: int) -> None:
        """Flip every rule whose moment has come. An earlier ``now_ms`` than before changes nothing.

        Cost: one comparison when nothing flips; else one look-up of some 10 us per flip. A leap over days or years
        costs each rule the flips of its last hour alone. The first call looks every rule up.
        """
        if self.next_change_ms > now_ms:
            return
        now = self._now
        while self._heap[0][0] <= now_ms:
            rule = self._heap[0][1]
            zone = self._example[rule]
            self._past.take_over(rule, now)
            now.look_up(rule, zone, max(int(now.until_ms[rule]), now_ms - _LOOK_BACK_MS))
            while now.until_ms[rule] <= now_ms:
                self._past.take_over(rule, now)
                now.look_up(rule, zone, int(now.until_ms[rule]))
            heapq.heapreplace(self._heap, (int(now.until_ms[rule]), rule))
        self._quiet_ms = (int(now.from_ms[self._timed].max()), self.next_change_ms)
        self._between_for = None

    def in_force(self, zone: IntColumn, time_ms: IntColumn) -> BoolColumn:
        """Say for each (zone, moment) whether the zone is in force then; exact for any moment, past or future.

        Cost: one comparison where the stretch is known; else a sort, and one look-up per stretch that is asked about.
        """
        rule = self.rule_of_zone[zone].astype(np.int64)
        now = self._now
        before, after = time_ms < now.from_ms[rule], time_ms >= now.until_ms[rule]
        answer: BoolColumn = now.open[rule]
        for aside, known in ((before, self._past), (after, self._later)):
            rows = np.flatnonzero(aside)
            if len(rows):
                answer[rows] = self._ask(known, rule[rows], time_ms[rows])
        return answer

    def openings(self, after_ms: int, until_ms: int) -> tuple[IntColumn, IntColumn]:
        """Return (time_ms, zone) of every moment in (after_ms, until_ms] at which a zone comes into force.

        Only zones one can be warned about; of those marked ``closing`` the ends of force as well. Ordered by time, then
        zone.
        Cost: one comparison when no rule flips in between, else some look-ups for each rule that does.
        """
        times: list[IntColumn] = []
        zones: list[IntColumn] = []
        if not (after_ms >= self._quiet_ms[0] and until_ms < self._quiet_ms[1]):
            timed, now = self._timed, self._now
            asked = ~((now.from_ms[timed] <= after_ms) & (until_ms < now.until_ms[timed]))
            for rule in timed[asked].tolist():
                concerned = self._by_rule[self._group[rule] : self._group[rule + 1]]
                for moment, opens in _flips_of(self._example[rule], after_ms, until_ms):
                    told = concerned if opens else concerned[self._closing[concerned]]
                    zones.append(told)
                    times.append(np.full(len(told), moment, dtype=np.int64))
        if not zones:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        time_ms, zone = np.concatenate(times), np.concatenate(zones).astype(np.int64)
        order = np.lexsort((zone, time_ms))
        return time_ms[order], zone[order]

    def next_change_after_ms(self, zone: int, time_ms: int) -> int | None:
        """Return the first flip of a zone's rule after any moment, None = never; it is asked of the schedule."""
        return self._example[int(self.rule_of_zone[zone])].next_change_ms(time_ms)

    def open_between(self, low_ms: int, high_ms: int) -> BoolColumn:
        """Say for each zone whether it may be in force at some moment of [low_ms, high_ms].

        True is certain for stretches around now and a guess on the safe side elsewhere; False is always certain.
        The same array is returned until an answer could change, so a caller can tell by identity. Read-only.
        Cost: four comparisons as long as nothing changes, else a pass over rules and zones.
        """
        known = self._between_for
        if known is not None and known[0] <= low_ms < known[1] and known[2] <= high_ms < known[3]:
            return self._between
        now, timed = self._now, self._timed
        may = np.ones(len(now.open), dtype=np.bool_)
        begins, ends = now.from_ms[timed], now.until_ms[timed]
        # Only a closed stretch that holds the whole interval makes sure that the rule is not in force in it.
        may[timed] = now.open[timed] | (low_ms < begins) | (high_ms >= ends)
        self._between = may[self.rule_of_zone]
        self._between.flags.writeable = False
        self._between_for = (*_bracket(begins, low_ms), *_bracket(ends, high_ms))
        return self._between

    def _ask(self, known: _Stretches, rule: IntColumn, time_ms: IntColumn) -> BoolColumn:
        """Answer for moments outside the stretches around now, and remember the last stretch of each rule."""
        answer: BoolColumn = known.open[rule]
        left = np.flatnonzero((time_ms < known.from_ms[rule]) | (time_ms >= known.until_ms[rule]))
        left = left[np.lexsort((time_ms[left], rule[left]))]
        asked, moments = rule[left], time_ms[left]
        row = 0
        while row < len(left):
            number = int(asked[row])
            known.look_up(number, self._example[number], int(moments[row]))
            # The questions are in order, so all that fall into this stretch follow at once.
            same_rule = int(np.searchsorted(asked, number, side="right"))
            end = row + int(np.searchsorted(moments[row:same_rule], known.until_ms[number]))
            answer[left[row:end]] = known.open[number]
            row = end
        return answer


def _flips_of(zone: Zone, after_ms: int, until_ms: int) -> list[tuple[int, bool]]:
    """Return the moments in (after_ms, until_ms] at which one zone comes into force (True) or ends to be (False)."""
    found: list[tuple[int, bool]] = []
    is_open, moment = zone.in_force_at(after_ms), zone.next_change_ms(after_ms)
    while moment is not None and moment <= until_ms:
        is_open = not is_open
        found.append((moment, is_open))
        moment = zone.next_change_ms(moment)
    return found


def _bracket(moments: IntColumn, moment: int) -> tuple[int, int]:
    """Return the range around ``moment`` in which a comparison with any of ``moments`` gives the same answer."""
    lower, upper = moments[moments <= moment], moments[moments > moment]
    return (
        int(lower.max()) if len(lower) else int(np.iinfo(np.int64).min),
        int(upper.min()) if len(upper) else NEVER_MS,
    )
