"""Who is concerned by which zone, and when: the two questions of the rules, answered for columns and as bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.model import Applicability, BoolColumn, FloatColumn, IntColumn, Vehicle
from geo_engine.zones.applicability import ApplicabilityMatrix
from geo_engine.zones.days import DateParity, Days
from geo_engine.zones.edit import Edit
from geo_engine.zones.numbering import Numbering, numbered
from geo_engine.zones.precedence import Precedence
from geo_engine.zones.timetable import Timetable
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Bits", "Question", "RuleBook"]

Bits = npt.NDArray[np.uint64]
"""A bit matrix (profiles x words): bit ``zone & 63`` of word ``zone >> 6``."""


_WHOM: Final = attrgetter("applies_to")


class Question(NamedTuple):
    """Does the rule of a zone apply to a vehicle at a moment and place? Columns of one length.

    Attributes:
        profile: profile of the vehicle.
        zone: the zone.
        time_ms: the moment.
        lon: the place in or at the border of the zone, WGS-84 degrees, NaN = not known.
        lat: the place.
    """

    profile: IntColumn
    zone: IntColumn
    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn

    def take(self, rows: IntColumn) -> Question:
        """Return the given rows."""
        return Question(self.profile[rows], self.zone[rows], self.time_ms[rows], self.lon[rows], self.lat[rows])


class RuleBook:
    """The rules of one zone set.

    A rule is a column: whom it concerns and when. Each zone has one; a zone by odd and even plates (单双号) has two,
    one for odd and one for even dates, and the second stands after those of all zones. So the date is a matter of
    the timetable, which flips at local midnight, and of no ping.

    Attributes:
        warnable: bool per zone: a warning can be about it. A venue is answered about, an exception is no closure:
            nobody is warned about either.
        numberings: the distinct rules of whom and of when, for the rules of the next set; None when a zone has two.
    """

    def __init__(
        self,
        zones: ZoneSet,
        default: Vehicle,
        ahead: BoolColumn | None = None,
        before: tuple[RuleBook, Edit] | None = None,
    ) -> None:
        """Judge the default vehicle (profile 0); look up schedules only when they are asked for.

        Args:
            zones: the zones.
            default: the vehicle of everybody else.
            ahead: bool per zone: people are told of it before they reach it; None = of every warnable one.
            before: the rules of an earlier set and what differs from it, so that only altered zones are read.
        """
        odd, rows, second = _halves(zones)
        self._zones, self._precedence = zones, Precedence(zones)
        self._zone_of_column = np.concatenate([np.arange(len(zones)), rows])
        self._second = np.full(len(zones), -1, dtype=np.int64)
        self._second[rows] = len(zones) + np.arange(len(rows))
        older, edit = (None, None) if before is None or second else (before[0].numberings, before[1])
        whom = numbered((*odd, *second), _WHOM, older and older[0], edit)
        self._matrix = ApplicabilityMatrix([zone.applies_to for zone in whom.example], default, whom.of_zone)
        self._timetable = Timetable(
            ZoneSet.of(odd) if second else zones,
            older and older[1],
            edit,
            more=second,
            closing=self._precedence.silences[self._zone_of_column],
        )
        self.numberings: tuple[Numbering, Numbering] | None = None if second else (whom, self._timetable.numbering)
        self._wanted: BoolColumn = np.zeros((0, len(self._zone_of_column)), dtype=np.bool_)
        self._wanted_bits: Bits = _packed(self._wanted[:, : len(zones)])
        self._active_bits: Bits = self._wanted_bits
        self._active_for: tuple[BoolColumn, BoolColumn] | None = None
        self.warnable: BoolColumn = zones.warnable & ~self._precedence.allows
        self._ahead: BoolColumn = self.warnable if ahead is None else self.warnable & ahead

    @property
    def next_change_ms(self) -> int:
        """First flip of a warnable zone's rule after the last ``advance``; see ``Timetable.next_change_ms``."""
        return self._timetable.next_change_ms

    def freed_by(self, edit: Edit, before: RuleBook) -> BoolColumn:
        """Say for each zone whether an edit changed what can silence it; see ``Precedence.freed_by``."""
        return self._precedence.freed_by(edit, before._precedence)

    @property
    def asks_for_places(self) -> bool:
        """Whether the answer to a question may depend on its place."""
        return bool(len(self._precedence.winner))

    def zone_id(self, zone: int) -> str:
        """Return the id of a zone."""
        return self._zones.zones[zone].zone_id

    def silencers(self, zone: int) -> list[int]:
        """Return the zones whose rules can silence that of a zone, at some place."""
        precedence = self._precedence
        found: list[int] = precedence.winner[precedence.loser == zone].tolist()
        return found

    def zone_of(self, zone_id: str) -> int | None:
        """Return the position of a zone, None when there is none of that id."""
        return self._zones.position.get(zone_id)

    def advance(self, now_ms: int) -> None:
        """Flip the rules whose moment has come; see ``Timetable.advance``."""
        self._timetable.advance(now_ms)

    def profile_of(self, vehicle: Vehicle) -> int:
        """Return the profile number of a vehicle, ``0 .. MAX_PROFILES - 1``.

        Raises:
            ConfigurationError: there are too many profiles.
        """
        return self._matrix.row_of(vehicle)

    def wanted(self) -> BoolColumn:
        """Return the matrix (profiles x zones) of zones to look ahead for on some date; made anew for new profiles."""
        return self._folded(self._wanted_columns())

    def wanted_bits(self) -> Bits:
        """Return ``wanted`` as bits: uint64 (profiles x words), at least one word. Made anew for new profiles."""
        if len(self._wanted_bits) != len(self._matrix.matrix):
            self._wanted_bits = _packed(self.wanted())
        return self._wanted_bits

    def active_bits(self, low_ms: int, high_ms: int) -> Bits:
        """Return ``wanted_bits`` of the zones that may be in force at some moment of [low_ms, high_ms].

        A bit that is not set is certain; one that is set may be out of force, so ``weigh`` the moment.
        The same array is returned until a rule flips or a profile is added. Cost: a few comparisons, else one pass.
        """
        opened, wanted = self._timetable.open_between(low_ms, high_ms), self._wanted_columns()
        known = self._active_for
        if known is None or known[0] is not opened or known[1] is not wanted:
            if len(self._zone_of_column) == len(self._zones):
                self._active_bits = self.wanted_bits() & _packed(opened.reshape(1, -1))
            else:
                self._active_bits = _packed(self._folded(wanted & opened))
            self._active_for = (opened, wanted)
        return self._active_bits

    def concern(self, profile: IntColumn, zone: IntColumn) -> IntColumn:
        """Return the ``Applicability`` of each (profile, zone) at any time, NO for zones nobody is warned about."""
        found = self._matrix.matrix[profile, zone]
        second = self._second[zone]
        if (second >= 0).any():
            found = np.maximum(found, np.where(second >= 0, self._matrix.matrix[profile, second], 0))
        return np.where(self.warnable[zone], found, 0).astype(np.int64)

    def weigh(self, question: Question) -> IntColumn:
        """Return the ``Applicability`` of each rule at its moment and place, NO where it is out of force or silenced.

        Exact for any moment. Cost: two look-ups a question; a test of the place only where a rule may be silenced.
        """
        concern = np.zeros(len(question.zone), dtype=np.int64)
        rows = np.flatnonzero(self.concern(question.profile, question.zone))
        asked = question.take(rows)
        found = np.where(self.warnable[asked.zone], self._in_force(asked.profile, asked.zone, asked.time_ms), 0)
        contested = np.flatnonzero((found > 0) & self._precedence.contested[asked.zone])
        if len(contested):
            self._silence(found, contested, asked)
        concern[rows] = found
        return concern

    def openings(self, after_ms: int, until_ms: int) -> tuple[IntColumn, IntColumn]:
        """Return (time_ms, zone) of the moments in (after_ms, until_ms] at which a zone may begin to apply to somebody.

        Those are the flips to open, of a zone by odd and even plates every flip to the other half, and what happens
        to an exception, for every zone it had silenced. Ordered by time, then zone; see ``Timetable.openings``.
        """
        time_ms, column = self._timetable.openings(after_ms, until_ms)
        if not len(column):
            return time_ms, column
        zone = self._zone_of_column[column]
        moments, zones = [time_ms[self.warnable[zone]]], [zone[self.warnable[zone]]]
        for row in np.flatnonzero(self._precedence.silences[zone]).tolist():
            freed = self._precedence.silenced_by(int(zone[row]))
            moments.append(np.full(len(freed), time_ms[row], dtype=np.int64))
            zones.append(freed)
        both = np.unique(np.stack([np.concatenate(moments), np.concatenate(zones)]), axis=1)
        return both[0], both[1]

    def freed_by_leaving(self, zone: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Return (row, zone) of the rules that may begin to apply to somebody who left the zone of a row."""
        rows = np.flatnonzero(self._precedence.silences[zone])
        freed = [self._precedence.silenced_by(int(zone[row])) for row in rows.tolist()]
        counts = [len(found) for found in freed]
        return np.repeat(rows, counts), np.concatenate([*freed, np.empty(0, dtype=np.int64)])

    def changes_ms(self, profile: int, zone: int, time_ms: int) -> int | None:
        """Return the first moment after ``time_ms`` at which a rule in force for a profile ends, None = never.

        Of a rule by odd and even plates that is the end of the dates that concern the vehicle; where both kinds of
        dates do (the plate is not known), that of its hours. Cost: that of ``Zone.next_change_ms``.
        """
        second = int(self._second[zone])
        if second >= 0:
            halves = [column for column in (zone, second) if self._matrix.matrix[profile, column]]
            if len(halves) == 1:
                return self._timetable.next_change_after_ms(halves[0], time_ms)
        return self._zones.zones[zone].next_change_ms(time_ms)

    def standing_at(self, profile: int, time_ms: int, lon: float, lat: float) -> list[Zone]:
        """Return the zones whose rules apply, or may apply, to a vehicle then and there; the one that wins first.

        Exceptions are among them, what they silence is not. Cost: some 50 us; for explanations.
        """
        rows = self._precedence.at(lon, lat)
        zone, count = np.array(rows, dtype=np.int64), len(rows)
        asked = Question(
            np.full(count, profile), zone, np.full(count, time_ms), np.full(count, lon), np.full(count, lat)
        )
        excepts = ~self.warnable[zone] & (self._in_force(asked.profile, zone, asked.time_ms) > 0)
        holds = excepts | (self.weigh(asked) > 0)
        return [self._zones.zones[row] for row, applies in zip(rows, holds.tolist(), strict=True) if applies]

    def _in_force(self, profile: IntColumn, zone: IntColumn, time_ms: IntColumn) -> IntColumn:
        """Return the ``Applicability`` of each rule at its moment, wherever, exceptions and venues included."""
        open_ = self._timetable.in_force(zone, time_ms)
        found = np.where(open_, self._matrix.matrix[profile, zone], 0).astype(np.int64)
        second = self._second[zone]
        rows = np.flatnonzero(second >= 0)
        if len(rows):
            open_ = self._timetable.in_force(second[rows], time_ms[rows])
            found[rows] = np.maximum(found[rows], np.where(open_, self._matrix.matrix[profile[rows], second[rows]], 0))
        return found

    def _silence(self, found: IntColumn, contested: IntColumn, asked: Question) -> None:
        """Lower what is silenced at its place: to NO for certain, to MAYBE when the exception may apply."""
        row, winner = self._precedence.standing(asked.zone[contested], asked.lon[contested], asked.lat[contested])
        row = contested[row]
        speaks = self._in_force(asked.profile[row], winner, asked.time_ms[row])
        # A rule that decides alone speaks as long as it is valid: where it does not close, it opens.
        for place in np.flatnonzero(self._precedence.decides[winner]).tolist():
            if self._zones.zones[int(winner[place])].valid_at(int(asked.time_ms[row[place]])):
                speaks[place] = Applicability.YES
        np.minimum.at(found, row, int(Applicability.YES) - speaks)

    def _wanted_columns(self) -> BoolColumn:
        if len(self._wanted) != len(self._matrix.matrix):
            self._wanted = (self._matrix.matrix > 0) & self._ahead[self._zone_of_column]
        return self._wanted

    def _folded(self, columns: BoolColumn) -> BoolColumn:
        """Join the second columns to those of their zones."""
        count = len(self._zones)
        if columns.shape[1] == count:
            return columns
        folded = columns[:, :count].copy()
        folded[:, self._zone_of_column[count:]] |= columns[:, count:]
        return folded


def _halves(zones: ZoneSet) -> tuple[Sequence[Zone], IntColumn, list[Zone]]:
    """Return the zones as they stand on odd dates, which of them stand otherwise on even dates, and those as they do.

    A zone without plates by date stands as it is, on every date. One that holds on odd or on even dates only has one
    half.
    """
    parities = enumerate(map(attrgetter("applies_to.tail_parity"), zones.zones))
    by_date = [row for row, parity in parities if parity is not None]
    if not by_date:
        return zones.zones, np.empty(0, dtype=np.int64), []
    odd, rows, even = list(zones.zones), list[int](), list[Zone]()
    for row in by_date:
        zone = odd[row]
        days = zone.schedule.days or Days()
        if days.dates is not None:
            odd[row] = replace(zone, applies_to=zone.applies_to.on_dates(odd=days.dates is DateParity.ODD))
            continue
        odd[row] = _half(zone, days, DateParity.ODD)
        rows.append(row)
        even.append(_half(zone, days, DateParity.EVEN))
    return odd, np.array(rows, dtype=np.int64), even


def _half(zone: Zone, days: Days, dates: DateParity) -> Zone:
    schedule = replace(zone.schedule, days=replace(days, dates=dates))
    return replace(zone, applies_to=zone.applies_to.on_dates(odd=dates is DateParity.ODD), schedule=schedule)


def _packed(matrix: BoolColumn) -> Bits:
    """Return the rows of a bool matrix as bits, 64 columns to a word."""
    rows, columns = matrix.shape
    padded = np.zeros((rows, max(1, -(-columns // 64)) * 64), dtype=np.bool_)
    padded[:, :columns] = matrix
    # Little end first on any machine: byte b of a word holds its bits 8 b .. 8 b + 7.
    words: Bits = np.packbits(padded, axis=1, bitorder="little").view(np.dtype("<u8")).astype(np.uint64, copy=False)
    return words
