"""Who a zone concerns: conditions on a vehicle that are true, false, or not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from geo_engine.model import (
    Applicability,
    BodyType,
    Energy,
    PlateColour,
    Vehicle,
    VehicleClass,
    VehicleKind,
)

__all__ = ["EVERYONE", "GOODS_KINDS", "NEW_ENERGY", "AppliesTo", "Limit", "Measure", "TailParity", "plate_tail_digit"]

_YES, _NO, _MAYBE = Applicability.YES, Applicability.NO, Applicability.MAYBE


class Measure(StrEnum):
    """What of a vehicle a limit is about; the value is the name of the field of ``Vehicle``."""

    GROSS_WEIGHT = "gross_weight_t"
    LOAD = "load_t"
    AXLE_LOAD = "axle_load_t"
    AXLES = "axle_count"
    LENGTH = "length_m"
    WIDTH = "width_m"
    HEIGHT = "height_m"
    SEATS = "seats"


class TailParity(StrEnum):
    """Which plates a rule by odd and even dates (单双号限行) concerns. Letters do not count: the last digit does."""

    AS_DATE = "as_date"
    NOT_AS_DATE = "not_as_date"
    """Odd last digits on even dates and even ones on odd dates: "odd plates drive on odd dates"."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a measure: it holds above ``bound`` or, when ``above`` is false, up to and including it."""

    measure: Measure
    bound: float
    above: bool = True

    def judge(self, vehicle: Vehicle) -> Applicability:
        """Say whether the measure of ``vehicle`` is on this side of the bound."""
        value: float | None = getattr(vehicle, self.measure)
        if value is None:
            return _MAYBE
        return _YES if (value > self.bound) is self.above else _NO


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """Conditions on a vehicle; all given ones must hold, a list holds when one of its entries does.

    Attributes:
        kinds: vehicle kinds concerned; empty = every kind.
        classes: size classes concerned; empty = every class.
        gross_weight_over_t: concerned when the permitted gross weight is above this many tonnes.
        plate_prefixes: concerned when the plate begins with one of these (``鄂A``); empty = every plate.
        plate_prefixes_except: not concerned when the plate begins with one of these.
        exempt: services that are never concerned (``emergency``, ``sanitation`` ...).
        limits: bounds on measures.
        plate_colours: colours concerned; empty = every colour.
        tail_digits: concerned when the last digit of the plate is one of these; empty = every plate.
        tail_parity: concerned by the parity of that digit and of the date; needs ``on_dates`` before it is judged.
        energies: energies concerned; empty = every energy.
        emission_stage_at_most: concerned up to this emission stage.
        bodies: bodies concerned; empty = every body.
        goods: goods concerned; empty = whatever it carries. A hazmat vehicle carries ``hazmat`` when nothing is told,
            may carry it under any other word, and does not when it is ``empty``.
        services: concerned when it works for one of these; a vehicle without a service works for none.
        any_of: alternatives: one of them must hold too.
        unless: not concerned when all conditions of one of these hold (exceptions inside the rule).
    """

    kinds: frozenset[VehicleKind] = frozenset()
    classes: frozenset[VehicleClass] = frozenset()
    gross_weight_over_t: float | None = None
    plate_prefixes: tuple[str, ...] = ()
    plate_prefixes_except: tuple[str, ...] = ()
    exempt: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] = ()
    plate_colours: frozenset[PlateColour] = frozenset()
    tail_digits: frozenset[int] = frozenset()
    tail_parity: TailParity | None = None
    energies: frozenset[Energy] = frozenset()
    emission_stage_at_most: int | None = None
    bodies: frozenset[BodyType] = frozenset()
    goods: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    any_of: tuple[AppliesTo, ...] = ()
    unless: tuple[AppliesTo, ...] = ()

    def judge(self, vehicle: Vehicle) -> Applicability:
        """Say whether the rule concerns ``vehicle``; a field that is asked for and unknown gives ``MAYBE``.

        Unknown spreads as in three-valued logic (Kleene): what is refused by another condition is refused for
        certain, an exception that may hold leaves a doubt. The date is not asked: of a rule by the parity of the date
        judge ``on_dates``.
        """
        if vehicle.service is not None and vehicle.service in self.exempt:
            return _NO
        found = min(self._kind_and_size(vehicle), self._plate(vehicle), self._drive_and_use(vehicle))
        if self.any_of:
            found = min(found, max(choice.judge(vehicle) for choice in self.any_of))
        if self.unless:
            found = min(found, Applicability(_YES - max(case.judge(vehicle) for case in self.unless)))
        return found

    def on_dates(self, *, odd: bool) -> AppliesTo:
        """Return the rule as it stands on odd or on even dates; itself when the date does not matter."""
        if self.tail_parity is None:
            return self
        wanted = 1 if odd is (self.tail_parity is TailParity.AS_DATE) else 0
        digits = frozenset(digit for digit in self.tail_digits or range(10) if digit % 2 == wanted)
        return replace(self, tail_parity=None, tail_digits=digits or _NO_DIGIT)

    def parts(self) -> Iterator[AppliesTo]:
        """Return this and every set of conditions inside it."""
        yield self
        for inner in (*self.any_of, *self.unless):
            yield from inner.parts()

    def _kind_and_size(self, vehicle: Vehicle) -> Applicability:
        over_t = self.gross_weight_over_t
        heavy = _YES if over_t is None else Limit(Measure.GROSS_WEIGHT, over_t).judge(vehicle)
        sizes = (limit.judge(vehicle) for limit in self.limits)
        return min(_listed(vehicle.kind, self.kinds), _listed(vehicle.size_class, self.classes), heavy, *sizes)

    def _plate(self, vehicle: Vehicle) -> Applicability:
        plate = vehicle.plate
        inside = _listed(plate and plate.startswith(self.plate_prefixes), _TRUE if self.plate_prefixes else _ANY)
        except_ = self.plate_prefixes_except
        outside = _listed(plate and not plate.startswith(except_), _TRUE if except_ else _ANY)
        tail = _NO if self.tail_digits == _NO_DIGIT else _listed(plate_tail_digit(plate), self.tail_digits)
        return min(inside, outside, tail, _listed(vehicle.plate_colour, self.plate_colours))

    def _drive_and_use(self, vehicle: Vehicle) -> Applicability:
        stage, at_most = vehicle.emission_stage, self.emission_stage_at_most
        old = _YES if at_most is None else _listed(None if stage is None else stage <= at_most, _TRUE)
        return min(
            old,
            _listed(vehicle.energy, self.energies),
            _listed(vehicle.body, self.bodies),
            self._carries(vehicle),
            _listed(vehicle.service or "", self.services),
        )

    def _carries(self, vehicle: Vehicle) -> Applicability:
        hazmat = vehicle.kind is VehicleKind.HAZMAT
        found = _listed(vehicle.goods or ("hazmat" if hazmat else None), self.goods)
        # Nobody keeps a list of words for dangerous goods: what such a vehicle carries may be one of them by any name.
        if found is _NO and hazmat and "hazmat" in self.goods and vehicle.goods != _EMPTY:
            return _MAYBE
        return found


EVERYONE: Final = AppliesTo()

GOODS_KINDS: Final = frozenset(VehicleKind) - {VehicleKind.CAR, VehicleKind.COACH}
"""The kinds a truck restriction concerns when its file names none: everything but cars and coaches."""

NEW_ENERGY: Final = frozenset({Energy.PLUG_IN_HYBRID, Energy.ELECTRIC, Energy.HYDROGEN})
"""新能源: battery, plug-in hybrid, fuel cell."""

_NO_DIGIT: Final = frozenset({-1})
"""An impossible digit stands for "none of them": the empty set would mean every plate."""

_EMPTY: Final = "empty"
"""The one word for goods that clears a hazmat vehicle."""

_TRUE: Final = frozenset({True})
_ANY: Final[frozenset[object]] = frozenset()


def plate_tail_digit(plate: str | None) -> int | None:
    """Return the last digit of a plate, letters skipped (尾号为字母按最后一位数字); None = unknown or no digit."""
    digits = [sign for sign in plate or "" if sign in "0123456789"]
    return int(digits[-1]) if digits else None


def _listed(value: object, accepted: frozenset[object]) -> Applicability:
    """Say whether ``value`` is one of ``accepted``; None = unknown, nothing accepted = no condition."""
    if not accepted:
        return _YES
    if value is None:
        return _MAYBE
    return _YES if value in accepted else _NO
