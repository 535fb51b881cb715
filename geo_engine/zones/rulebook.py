"""Who is concerned by which zone, and when: the two questions of the rules, answered for columns and as bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo_engine.model import BoolColumn, IntColumn, Vehicle
from geo_engine.zones.applicability import ApplicabilityMatrix
from geo_engine.zones.edit import Edit
from geo_engine.zones.numbering import Numbering
from geo_engine.zones.timetable import Timetable
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Bits", "RuleBook"]

Bits = npt.NDArray[np.uint64]
"""A bit matrix (profiles x words): bit ``zone & 63`` of word ``zone >> 6``."""


class RuleBook:
    """The rules of one zone set.

    Attributes:
        warnable: bool per zone: a warning can be about it. A venue is answered about, never warned about.
        numberings: the distinct rules of whom and of when, for the rules of the next set.
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
        older, edit = (None, None) if before is None else (before[0].numberings, before[1])
        self._matrix = ApplicabilityMatrix(zones, default, older and older[0], edit)
        self._timetable = Timetable(zones, older and older[1], edit)
        self.numberings: tuple[Numbering, Numbering] = (self._matrix.numbering, self._timetable.numbering)
        self._wanted: BoolColumn = np.zeros((0, len(zones)), dtype=np.bool_)
        self._wanted_bits: Bits = _packed(self._wanted)
        self._active_bits: Bits = self._wanted_bits
        self._active_for: tuple[BoolColumn, Bits] | None = None
        self.warnable: BoolColumn = zones.warnable
        self._ahead: BoolColumn = self.warnable if ahead is None else self.warnable & ahead

    @property
    def next_change_ms(self) -> int:
        """First flip of a warnable zone's rule after the last ``advance``; see ``Timetable.next_change_ms``."""
        return self._timetable.next_change_ms

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
        """Return the matrix (profiles x zones) of zones to look ahead for; made anew for new profiles."""
        if len(self._wanted) != len(self._matrix.matrix):
            self._wanted = (self._matrix.matrix > 0) & self._ahead
        return self._wanted

    def wanted_bits(self) -> Bits:
        """Return ``wanted`` as bits: uint64 (profiles x words), at least one word. Made anew for new profiles."""
        if len(self._wanted_bits) != len(self._matrix.matrix):
            self._wanted_bits = _packed(self.wanted())
        return self._wanted_bits

    def active_bits(self, low_ms: int, high_ms: int) -> Bits:
        """Return ``wanted_bits`` of the zones that may be in force at some moment of [low_ms, high_ms].

        A bit that is not set is certain; one that is set may be out of force, so ask ``in_force`` for the moment.
        The same array is returned until a rule flips or a profile is added. Cost: a few comparisons, else one pass.
        """
        opened, wanted = self._timetable.open_between(low_ms, high_ms), self.wanted_bits()
        known = self._active_for
        if known is None or known[0] is not opened or known[1] is not wanted:
            self._active_bits = wanted & _packed(opened.reshape(1, -1))
            self._active_for = (opened, wanted)
        return self._active_bits

    def concern(self, profile: IntColumn, zone: IntColumn) -> IntColumn:
        """Return the ``Applicability`` of each (profile, zone), NO for zones nobody is warned about."""
        return np.where(self.warnable[zone], self._matrix.matrix[profile, zone], 0).astype(np.int64)

    def in_force(self, zone: IntColumn, time_ms: IntColumn) -> BoolColumn:
        """Say for each (zone, moment) whether the zone is in force then; exact for any moment."""
        return self._timetable.in_force(zone, time_ms)

    def openings(self, after_ms: int, until_ms: int) -> tuple[IntColumn, IntColumn]:
        """Return (time_ms, zone) of the flips to open in (after_ms, until_ms]; see ``Timetable.openings``."""
        return self._timetable.openings(after_ms, until_ms)


def _packed(matrix: BoolColumn) -> Bits:
    """Return the rows of a bool matrix as bits, 64 columns to a word."""
    rows, columns = matrix.shape
    padded = np.zeros((rows, max(1, -(-columns // 64)) * 64), dtype=np.bool_)
    padded[:, :columns] = matrix
    # Little end first on any machine: byte b of a word holds its bits 8 b .. 8 b + 7.
    words: Bits = np.packbits(padded, axis=1, bitorder="little").view(np.dtype("<u8")).astype(np.uint64, copy=False)
    return words
