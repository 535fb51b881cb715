"""The account's quota arbiter: which messages may leave when there are fewer calls a day than warnings.

100,000 template calls a day for ten million users are the scarce thing. The arbiter counts what is asked for and what
leaves, by grade and quarter of an hour, and holds back from each grade what the graver ones will still need today: as
much as they needed on any of the last days from this time on, scaled up when today is busier so far, plus a margin.
While nothing is known, everything less grave than a restriction waits, unless even every agreed user at their cap could
not use the quota up.

Pure: time is an argument, and the state is what ``uses`` returns and ``restore`` takes. Account-wide: one arbiter for
all engines of an account. Source of the idea: protection levels of revenue management (Littlewood, 1972): a lower class
is admitted while more is left than the higher ones are expected to ask for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from geo_engine.alerting.policy import Grade
from geo_engine.errors import ConfigurationError
from geo_engine.model import BoolColumn, CodeColumn, FloatColumn, IntColumn

__all__ = ["SLOTS", "Admission", "Arbiter", "Candidates", "QuotaLimits", "QuotaUse"]

SLOTS: Final = 96
"""Quarters of an hour in a day."""

_SLOT_MS: Final = 900_000
_DAY_MS: Final = 86_400_000
_GRADES: Final = len(Grade)
_ENOUGH: Final = 50
"""Below so many messages of an earlier day so far, the ratio of today to it says nothing."""
_BUSIEST: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Messages that ask for room at one moment, in columns.

    Attributes:
        grade: position in ``Grade``.
        eta_s: seconds until the person is at the border, 0 = inside.
    """

    grade: CodeColumn
    eta_s: FloatColumn


class Admission(Protocol):
    """Who says whether there is room for a message."""

    def admit(self, candidates: Candidates, now_ms: int) -> BoolColumn:
        """Say which messages may leave, and count them. ``now_ms`` never goes back to an earlier local day."""
        ...


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """What the account may send.

    Attributes:
        daily: calls of the channel's API on one local day.
        spare: share of them that is never given out, for attempts that have to be repeated.
        margin: the reserve is larger than the expected need by this share; by as much again, and half, while only one
            day is known.
        days: how many days are learned from.
        day_offset_s: local midnight, at which the channel counts anew, seconds east of UTC.
    """

    daily: int = 100_000
    spare: float = 0.02
    margin: float = 0.3
    days: int = 7
    day_offset_s: int = 8 * 3600

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to give out by mistake."""
        if self.daily < 0 or not 0.0 <= self.spare < 1.0 or self.margin < 0.0 or self.days < 1:
            message = (
                f"found a quota of {self.daily} calls, {self.spare:.0%} spare, {self.margin:.0%} margin, {self.days} "
                "days, expected 0 or more calls, a spare share below 1, a margin of 0 or more and at least one day"
            )
            raise ConfigurationError(message)

    @property
    def usable(self) -> int:
        """Return the calls that may be given out on one day."""
        return int(self.daily * (1.0 - self.spare))


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What one quarter of an hour brought in one grade.

    Attributes:
        day: number of the local day, counted from 1970.
        slot: quarter of the hour, 0 .. 95.
        grade: position in ``Grade``.
        asked: messages that asked for room.
        sent: those that got it.
    """

    day: int
    slot: int
    grade: int
    asked: int
    sent: int


class Arbiter:
    """Gives the day's calls to the gravest warnings. Not safe for several threads at once."""

    def __init__(self, limits: QuotaLimits, *, most_possible: float = np.inf) -> None:
        """Start knowing nothing.

        Args:
            limits: what the account may send.
            most_possible: more messages than this nobody could be sent on one day: agreed users times their cap.
        """
        self.limits = limits
        self.most_possible = most_possible
        self._day: int | None = None
        self._asked: dict[int, IntColumn] = {}
        self._sent: dict[int, IntColumn] = {}
        self._changed: set[tuple[int, int]] = set()

    def admit(self, candidates: Candidates, now_ms: int) -> BoolColumn:
        """Say which messages may leave: the graver first, then who is nearer in time. Cost: one sort of them."""
        day, slot = self._moment(now_ms)
        self._begin(day)
        grade = candidates.grade.astype(np.int64)
        asked = np.bincount(grade, minlength=_GRADES)
        room, left = self._room(now_ms), self.left()
        may = np.zeros(_GRADES, dtype=np.int64)
        for one in range(_GRADES):
            may[one] = min(asked[one], max(min(room[one], left) - int(may.sum()), 0))
        order = np.lexsort((np.arange(len(grade)), candidates.eta_s, grade))
        place: IntColumn = np.arange(len(grade)) - np.repeat(np.cumsum(asked) - asked, asked)
        admitted = np.zeros(len(grade), dtype=np.bool_)
        admitted[order] = place < may[grade[order]]
        self._asked[day][:, slot] += asked
        self._sent[day][:, slot] += may
        if len(grade):
            self._changed.add((day, slot))
        return admitted

    def left(self, now_ms: int | None = None) -> int:
        """Return how many messages may still leave on the day of ``now_ms``, None = that of the last call."""
        day = self._day if now_ms is None else self._moment(now_ms)[0]
        used = int(self._sent[day].sum()) if day in self._sent else 0
        return max(self.limits.usable - used, 0)

    def reserves(self, now_ms: int) -> FloatColumn:
        """Return per grade what is held back from it for graver ones."""
        day, slot = self._moment(now_ms)
        known = self._known_days(day, slot)[-self.limits.days :]
        # Never more than everybody's cap allows, less what they were sent already.
        used = float(self._sent[day].sum()) if day in self._sent else 0.0
        bound = max(self.most_possible - used, 0.0)
        if not known:
            # A restriction is never held back for what nobody has seen yet.
            return np.array([0.0, 0.0, *[bound] * (_GRADES - 2)])
        gone = slot + (now_ms + self.limits.day_offset_s * 1000) % _SLOT_MS / _SLOT_MS
        need = np.max([self._need(self._asked[one], day, gone) for one in known], axis=0)
        # Half a margin more while one day is known, a quarter with two: a day alone says little about the next.
        need *= 1.0 + self.limits.margin + 0.5 / len(known)
        need += 3.0 * np.sqrt(need)
        held: FloatColumn = np.minimum(np.concatenate([[0.0], np.cumsum(need)[:-1]]), bound)
        return held

    def uses(self) -> list[QuotaUse]:
        """Return what changed since the last ``saved``, to be stored with the decisions of the step."""
        return [
            QuotaUse(day, slot, grade, int(self._asked[day][grade, slot]), int(self._sent[day][grade, slot]))
            for day, slot in sorted(self._changed)
            for grade in range(_GRADES)
            if self._asked[day][grade, slot]
        ]

    def known(self) -> list[QuotaUse]:
        """Return everything it goes by, for a snapshot."""
        return [
            QuotaUse(day, int(slot), int(grade), int(asked[grade, slot]), int(self._sent[day][grade, slot]))
            for day, asked in sorted(self._asked.items())
            for grade, slot in np.argwhere(asked)
        ]

    def saved(self) -> None:
        """Note that what ``uses`` returned is stored."""
        self._changed.clear()

    def restore(self, uses: Iterable[QuotaUse]) -> None:
        """Continue after a restart."""
        for use in uses:
            self._make(use.day)
            self._asked[use.day][use.grade, use.slot] = use.asked
            self._sent[use.day][use.grade, use.slot] = use.sent
            self._day = use.day if self._day is None else max(self._day, use.day)

    def _moment(self, now_ms: int) -> tuple[int, int]:
        local_ms = now_ms + self.limits.day_offset_s * 1000
        return local_ms // _DAY_MS, local_ms % _DAY_MS // _SLOT_MS

    def _begin(self, day: int) -> None:
        if day == self._day:
            return
        self._make(day)
        self._day = day
        for old in [one for one in self._asked if one < day - 2 * self.limits.days]:
            del self._asked[old], self._sent[old]
        self._changed = {(one, slot) for one, slot in self._changed if one in self._asked}

    def _make(self, day: int) -> None:
        self._asked.setdefault(day, np.zeros((_GRADES, SLOTS), dtype=np.int64))
        self._sent.setdefault(day, np.zeros((_GRADES, SLOTS), dtype=np.int64))

    def _known_days(self, day: int, slot: int) -> list[int]:
        """Return the days before this one that tell what is to come from this slot on.

        The first day remembered may have begun in its middle: it tells nothing of what came before its first message.
        """
        known = sorted(one for one in self._asked if one < day)
        if known and known[0] == min(self._asked) and not self._asked[known[0]][:, : slot + 1].any():
            del known[0]
        return known

    def _need(self, asked: IntColumn, day: int, gone: float) -> FloatColumn:
        """Return per grade what is still needed if the rest of today is as that day was, as much busier as today is."""
        until = np.arange(SLOTS) + 1.0
        share_left = np.clip(until - gone, 0.0, 1.0)
        before = (asked * (1.0 - share_left)).sum(axis=1)
        today = self._asked[day].sum(axis=1) if day in self._asked else np.zeros(_GRADES)
        busier = np.where(before >= _ENOUGH, today / np.maximum(before, 1.0), 1.0)
        need: FloatColumn = (asked * share_left).sum(axis=1) * np.clip(busier, 1.0, _BUSIEST)
        return need

    def _room(self, now_ms: int) -> IntColumn:
        """Return per grade how many messages would leave the reserve of the graver ones whole."""
        room = np.maximum(self.left() - self.reserves(now_ms), 0.0)
        return np.minimum(room, self.limits.usable).astype(np.int64)
