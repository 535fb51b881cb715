"""Which rules concern which vehicles, as a matrix of vehicle profiles by rules."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.errors import ConfigurationError
from geo_engine.model import IntColumn, Vehicle
from geo_engine.zones.rule import AppliesTo, Measure, plate_tail_digit

__all__ = ["MAX_PROFILES", "ApplicabilityMatrix"]

MAX_PROFILES: Final = 32_767
"""A user's row keeps the profile in 16 bits. Vehicles every rule judges alike share one, so dozens are usual."""

_Key = tuple[object, ...]

_ASKED_FOR: Final = {
    "plate_colours": "plate_colour",
    "energies": "energy",
    "bodies": "body",
    "goods": "goods",
}
"""Lists of a rule, and the field of the vehicle each asks for. Kind and class are always looked at."""


class ApplicabilityMatrix:
    """Judges each distinct vehicle once against every rule.

    Two vehicles share a row when every rule judges them alike. To find the row without judging, vehicles no rule can
    tell apart share a key: of the plate only as many characters count as the longest prefix any rule asks for, of a
    measure only which limits it exceeds, of a field no rule asks for nothing. So ten million vehicles make some
    hundred keys and a few dozen rows. Row 0 is the default vehicle, which stands for users about whom nothing was said.
    """

    def __init__(self, rules: Sequence[AppliesTo], default: Vehicle, rule_of_column: IntColumn | None = None) -> None:
        """Judge the default vehicle; others are judged when they first appear.

        Args:
            rules: the rules; of a rule by date one of ``AppliesTo.on_dates``.
            default: the vehicle of everybody else.
            rule_of_column: the rule of each column, None = one column for each rule.
        """
        self._rules = list(rules)
        self._rule_of_column = np.arange(len(rules)) if rule_of_column is None else rule_of_column
        self._key = _KeyMaker(part for rule in self._rules for part in rule.parts())
        self._row_of_key: dict[_Key, int] = {}
        self._row_of_judged: dict[bytes, int] = {}
        self._space: npt.NDArray[np.int8] = np.zeros((4, len(self._rule_of_column)), dtype=np.int8)
        self.row_of(default)

    @property
    def matrix(self) -> npt.NDArray[np.int8]:
        """``Applicability`` by (profile, rule)."""
        return self._space[: len(self._row_of_judged)]

    def row_of(self, vehicle: Vehicle) -> int:
        """Return the matrix row of a vehicle, adding it when it is the first that is judged so.

        Cost: one look-up; for a new key one judgement per distinct rule and, for a new row, a pass over the columns.

        Raises:
            ConfigurationError: the rules tell more than ``MAX_PROFILES`` vehicles apart.
        """
        key = self._key.of(vehicle)
        row = self._row_of_key.get(key)
        if row is None:
            row = self._row_of_key[key] = self._judge(vehicle)
        return row

    def _judge(self, vehicle: Vehicle) -> int:
        judged = np.array([rule.judge(vehicle) for rule in self._rules], dtype=np.int8)
        known = self._row_of_judged.get(judged.tobytes())
        if known is not None:
            return known
        row = len(self._row_of_judged)
        if row >= MAX_PROFILES:
            message = (
                f"found more than {MAX_PROFILES} kinds of vehicle that the zones tell apart, expected fewer: "
                "shorten the plate prefixes of the zones"
            )
            raise ConfigurationError(message)
        if row == len(self._space):
            self._space = np.concatenate([self._space, np.zeros_like(self._space)])
        self._space[row] = judged[self._rule_of_column]
        self._row_of_judged[judged.tobytes()] = row
        return row


class _KeyMaker:
    """Makes one key for all vehicles that none of the given sets of conditions can tell apart."""

    def __init__(self, parts: Iterable[AppliesTo]) -> None:
        listed = list(parts)
        prefixes = [len(prefix) for part in listed for prefix in (*part.plate_prefixes, *part.plate_prefixes_except)]
        self._plate_length = max(prefixes, default=0)
        self._asks_for_tail = any(part.tail_digits for part in listed)
        self._services = frozenset(service for part in listed for service in (*part.exempt, *part.services))
        self._fields = [field for name, field in _ASKED_FOR.items() if any(getattr(part, name) for part in listed)]
        stages = {part.emission_stage_at_most for part in listed}
        bounds: dict[str, set[float]] = {"emission_stage": {stage for stage in stages if stage is not None}}
        for part in listed:
            if part.gross_weight_over_t is not None:
                bounds.setdefault(Measure.GROSS_WEIGHT, set()).add(part.gross_weight_over_t)
            for limit in part.limits:
                bounds.setdefault(limit.measure, set()).add(limit.bound)
        self._bounds = [(name, sorted(found)) for name, found in bounds.items() if found]

    def of(self, vehicle: Vehicle) -> _Key:
        """Return the key of a vehicle."""
        return (
            vehicle.kind,
            vehicle.size_class,
            # A limit asks whether a value is above it, so a value on a limit belongs below it.
            *(_place(getattr(vehicle, name), bounds) for name, bounds in self._bounds),
            None if vehicle.plate is None else vehicle.plate[: self._plate_length],
            plate_tail_digit(vehicle.plate) if self._asks_for_tail else None,
            vehicle.service if vehicle.service in self._services else None,
            *(getattr(vehicle, field) for field in self._fields),
        )


def _place(value: float | None, bounds: list[float]) -> int | None:
    return None if value is None else bisect_left(bounds, value)
