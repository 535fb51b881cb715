"""Who a zone concerns: vehicle kind, size class, gross weight, plate origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from geo_engine.model import Applicability, Vehicle, VehicleClass, VehicleKind

__all__ = ["EVERYONE", "GOODS_KINDS", "AppliesTo"]


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
    """

    kinds: frozenset[VehicleKind] = frozenset()
    classes: frozenset[VehicleClass] = frozenset()
    gross_weight_over_t: float | None = None
    plate_prefixes: tuple[str, ...] = ()
    plate_prefixes_except: tuple[str, ...] = ()
    exempt: frozenset[str] = frozenset()

    def judge(self, vehicle: Vehicle) -> Applicability:
        """Say whether the zone concerns ``vehicle``; a field that is asked for and unknown gives ``MAYBE``."""
        if vehicle.service is not None and vehicle.service in self.exempt:
            return Applicability.NO
        return min(
            _listed(vehicle.kind, self.kinds),
            _listed(vehicle.size_class, self.classes),
            _heavier(vehicle.gross_weight_t, self.gross_weight_over_t),
            _plate_in(vehicle.plate, self.plate_prefixes),
            _plate_not_in(vehicle.plate, self.plate_prefixes_except),
        )


EVERYONE: Final = AppliesTo()

GOODS_KINDS: Final = frozenset(VehicleKind) - {VehicleKind.CAR, VehicleKind.COACH}
"""The kinds a truck restriction concerns when its file names none: everything but cars and coaches."""


def _listed(
    value: VehicleKind | VehicleClass | None, accepted: frozenset[VehicleKind] | frozenset[VehicleClass]
) -> Applicability:
    if not accepted:
        return Applicability.YES
    if value is None:
        return Applicability.MAYBE
    return Applicability.YES if value in accepted else Applicability.NO


def _heavier(value_t: float | None, limit_t: float | None) -> Applicability:
    if limit_t is None:
        return Applicability.YES
    if value_t is None:
        return Applicability.MAYBE
    return Applicability.YES if value_t > limit_t else Applicability.NO


def _plate_in(plate: str | None, prefixes: tuple[str, ...]) -> Applicability:
    if not prefixes:
        return Applicability.YES
    if plate is None:
        return Applicability.MAYBE
    return Applicability.YES if plate.startswith(prefixes) else Applicability.NO


def _plate_not_in(plate: str | None, prefixes: tuple[str, ...]) -> Applicability:
    if not prefixes:
        return Applicability.YES
    if plate is None:
        return Applicability.MAYBE
    return Applicability.NO if plate.startswith(prefixes) else Applicability.YES
