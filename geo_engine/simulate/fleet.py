"""The vehicles of the simulator: a seeded mix of trucks, coaches and cars with plates of Wuhan and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from geo_engine.model import BoolColumn, FloatColumn, IntColumn, Language, Vehicle, VehicleClass, VehicleKind

__all__ = ["FIRST_U7", "Fleet"]

FIRST_U7: Final = 1001
"""The number of the first simulated user; the others follow without a gap."""


@dataclass(frozen=True, slots=True)
class _Model:
    share: float
    kind: VehicleKind
    size_class: VehicleClass | None
    lightest_t: float
    heaviest_t: float
    service: str | None = None


_MODELS: Final = (
    _Model(0.16, VehicleKind.GOODS, VehicleClass.HEAVY, 14.0, 49.0),
    _Model(0.13, VehicleKind.GOODS, VehicleClass.MEDIUM, 4.6, 12.0),
    _Model(0.13, VehicleKind.GOODS, VehicleClass.LIGHT, 1.9, 4.5),
    _Model(0.02, VehicleKind.GOODS, VehicleClass.LIGHT, 2.5, 4.5, "postal"),
    _Model(0.02, VehicleKind.GOODS, VehicleClass.MICRO, 1.0, 1.8),
    _Model(0.07, VehicleKind.TRACTOR, VehicleClass.HEAVY, 25.0, 55.0),
    _Model(0.05, VehicleKind.SPECIAL_WORK, VehicleClass.HEAVY, 14.0, 31.0),
    _Model(0.02, VehicleKind.SPECIAL_WORK, VehicleClass.MEDIUM, 5.0, 12.0, "sanitation"),
    _Model(0.01, VehicleKind.SPECIAL_WORK, VehicleClass.HEAVY, 14.0, 25.0, "emergency"),
    _Model(0.04, VehicleKind.HAZMAT, VehicleClass.HEAVY, 18.0, 49.0),
    _Model(0.01, VehicleKind.LOW_SPEED, VehicleClass.LIGHT, 1.5, 4.0),
    _Model(0.04, VehicleKind.COACH, None, 8.0, 18.0),
    _Model(0.30, VehicleKind.CAR, None, 1.2, 2.6),
)

_NOT_TRUCKS: Final = frozenset({VehicleKind.CAR, VehicleKind.COACH})

_ORIGINS: Final = (("鄂A", 0.6), ("鄂B", 0.06), ("鄂F", 0.06), ("豫A", 0.07), ("湘A", 0.07), ("皖A", 0.05))
_FARTHER_ORIGINS: Final = (("赣A", 0.04), ("粤B", 0.03), ("苏A", 0.02))
_PLATE_SIGNS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"

# A few of the profiles are incomplete and a few people have not agreed, as in real life.
_UNKNOWN_SHARE: Final = 0.03
_NO_CONSENT_SHARE: Final = 0.03
_ENGLISH_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Fleet:
    """Vehicles as draws in columns; the profiles are made when asked for.

    Attributes:
        model: row in the table of vehicle models.
        weight_share: place between the lightest and the heaviest of the model, ``0 .. 1``.
        origin: row in the table of plate origins.
        plate_signs: five signs per vehicle, rows in the table of signs.
        luck: four uniform draws per vehicle: weight known, plate known, consent, language.
    """

    model: IntColumn
    weight_share: FloatColumn
    origin: IntColumn
    plate_signs: IntColumn
    luck: FloatColumn

    @classmethod
    def draw(cls, users: int, rng: np.random.Generator) -> Fleet:
        """Draw ``users`` vehicles; 65 % of them are trucks of some kind."""
        origins = _ORIGINS + _FARTHER_ORIGINS
        return cls(
            model=_choose([model.share for model in _MODELS], users, rng),
            weight_share=rng.random(users),
            origin=_choose([share for _, share in origins], users, rng),
            plate_signs=rng.integers(0, len(_PLATE_SIGNS), (users, 5)),
            luck=rng.random((users, 4)),
        )

    @property
    def truck(self) -> BoolColumn:
        """Say of each vehicle whether it is a truck: anything but a car or a coach."""
        return np.array([model.kind not in _NOT_TRUCKS for model in _MODELS])[self.model]

    def vehicles(self) -> list[Vehicle]:
        """Return the profiles, ordered by u7. Cost: 5 us a vehicle."""
        return [self._vehicle(row) for row in range(len(self.model))]

    def _vehicle(self, row: int) -> Vehicle:
        model = _MODELS[self.model[row]]
        weight_known, plate_known, consent, language = (float(draw) for draw in self.luck[row])
        weight_t = model.lightest_t + float(self.weight_share[row]) * (model.heaviest_t - model.lightest_t)
        return Vehicle(
            u7=FIRST_U7 + row,
            kind=model.kind,
            # Who does not know the weight does not know the class either: it follows from the weight.
            size_class=model.size_class if weight_known >= _UNKNOWN_SHARE else None,
            gross_weight_t=round(weight_t, 1) if weight_known >= _UNKNOWN_SHARE else None,
            plate=self._plate(row) if plate_known >= _UNKNOWN_SHARE else None,
            service=model.service,
            consent_warnings=consent >= _NO_CONSENT_SHARE,
            language=Language.EN if language < _ENGLISH_SHARE else Language.ZH,
        )

    def _plate(self, row: int) -> str:
        prefix = (_ORIGINS + _FARTHER_ORIGINS)[self.origin[row]][0]
        return prefix + "".join(_PLATE_SIGNS[sign] for sign in self.plate_signs[row])


def _choose(shares: Sequence[float], count: int, rng: np.random.Generator) -> IntColumn:
    bounds = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(bounds, rng.random(count), side="right").astype(np.int64)
