"""When a forecast is worth a warning: the policy of approaches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from geo_engine.compiled import uncounted
from geo_engine.errors import ConfigurationError
from geo_engine.model import BoolColumn, CodeColumn, FloatColumn
from geo_engine.tracking.foresight import BY_HEADING, BY_PLACE, BY_ROAD
from geo_engine.tracking.learnt import Scope

__all__ = ["LEARNT", "ON_ROADS", "UNLEARNT", "ApproachPolicy", "Tier", "is_due"]


@dataclass(frozen=True, slots=True)
class Tier:
    """A warning is due when an entry is so likely and so near.

    Attributes:
        least_chance: probability to enter within 180 s.
        most_eta_s: seconds until then.
    """

    least_chance: float
    most_eta_s: float


LEARNT: Final = (Tier(0.12, 23.0), Tier(0.35, 32.0))
"""For places where the traffic was learnt: what is likely is said early, what is not must be near. Set on three
simulated cities (``benchmarks/quality``): recall 0.94 to 0.96, median lead 31 s."""
ON_ROADS: Final = (Tier(0.11, 23.0), Tier(0.35, 32.0))
"""For known roads; set on the same cities."""
UNLEARNT: Final = (Tier(0.0, 30.0),)
"""For places where only the heading is known: whatever lies in the cone and is near."""
_USUAL_S: Final = 30.0
_ON_ROADS: Final = 5.0 / 6.0
"""Chances on roads are mixed with others before they are judged."""
_OTHERS_TAKE: Final = 2.3
"""What others took so much longer for than the longest tier allows is near for nobody: on simulated cities the same
warnings come of twice as many records."""


@dataclass(frozen=True, slots=True)
class ApproachPolicy:
    """Which forecasts are approaches; any tier is enough.

    Attributes:
        learnt: tiers where the traffic was learnt.
        on_roads: tiers where the road is known.
        unlearnt: tiers where neither is.
        interval_s: the interval of pings the tiers are meant for.
        per_second: so many seconds are added to every limit for each second by which a user's pings are further apart:
            the next chance to warn comes later.
        most_interval_s: a longer interval counts as this.
        min_speed_mps: slower is standing: its heading is noise.
    """

    learnt: tuple[Tier, ...] = LEARNT
    on_roads: tuple[Tier, ...] = ON_ROADS
    unlearnt: tuple[Tier, ...] = UNLEARNT
    interval_s: float = 5.0
    per_second: float = 1.0
    most_interval_s: float = 20.0
    min_speed_mps: float = 2.0

    def __post_init__(self) -> None:
        for _, tier in self._tiers:
            if not (0.0 <= tier.least_chance <= 1.0 and tier.most_eta_s > 0.0):
                message = f"found {tier}, expected a chance of 0 to 1 and an eta above 0"
                raise ConfigurationError(message)

    @classmethod
    def reaching(cls, ahead_s: float) -> Self:
        """Return the usual policy with every limit stretched so that it looks ``ahead_s`` ahead, 30 = as it is."""
        usual, stretch = cls(), ahead_s / _USUAL_S
        learnt, on_roads, unlearnt = (
            tuple(replace(tier, most_eta_s=tier.most_eta_s * stretch) for tier in tiers)
            for tiers in (usual.learnt, usual.on_roads, usual.unlearnt)
        )
        return replace(usual, learnt=learnt, on_roads=on_roads, unlearnt=unlearnt)

    @property
    def _tiers(self) -> list[tuple[int, Tier]]:
        """Every tier with what it is for: ``BY_HEADING`` .. ``BY_ROAD``."""
        groups = ((BY_HEADING, self.unlearnt), (BY_PLACE, self.learnt), (BY_ROAD, self.on_roads))
        return [(source, tier) for source, tiers in groups for tier in tiers]

    @property
    def horizon_s(self) -> float:
        """The longest time ahead at which a warning can be due."""
        longest_s = max((tier.most_eta_s for _, tier in self._tiers), default=0.0)
        return longest_s + self.per_second * (self.most_interval_s - self.interval_s)

    @property
    def cone_s(self) -> float:
        """How far to look where nothing was learnt, seconds, at the usual interval."""
        return max((tier.most_eta_s for tier in self.unlearnt), default=0.0)

    @property
    def scope(self) -> Scope:
        """What is worth keeping in a forecast for these tiers."""
        least, least_on_roads = (
            min((tier.least_chance for tier in tiers), default=1.0) for tiers in (self.learnt, self.on_roads)
        )
        longest_s = max((tier.most_eta_s for tier in (*self.learnt, *self.on_roads)), default=0.0)
        return Scope(least, least_on_roads * _ON_ROADS, longest_s * _OTHERS_TAKE)

    def table(self) -> FloatColumn:
        """Return the tiers for ``is_due``: (tiers, 3) what it is for, least chance, most seconds."""
        rows = [(source, tier.least_chance, tier.most_eta_s) for source, tier in self._tiers]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def later_s(self, elapsed_s: FloatColumn) -> FloatColumn:
        """Return the seconds to add to every limit for users whose ping before was so long ago; NaN = unknown."""
        over_s = np.clip(np.nan_to_num(elapsed_s) - self.interval_s, 0.0, self.most_interval_s - self.interval_s)
        return np.asarray(self.per_second * over_s)

    def reach_s(self, elapsed_s: FloatColumn) -> FloatColumn:
        """Return how far to look where nothing was learnt, seconds."""
        return np.asarray(self.later_s(elapsed_s) + self.cone_s)

    def due(self, chance: FloatColumn, eta_s: FloatColumn, source: CodeColumn, elapsed_s: FloatColumn) -> BoolColumn:
        """Say which forecasts are worth a warning.

        Args:
            chance: probability to enter within 180 s.
            eta_s: seconds until then.
            source: how it is known, ``BY_HEADING`` .. ``BY_ROAD``.
            elapsed_s: seconds since the user's ping before; NaN = it is the first.
        """
        limit_s = eta_s - self.later_s(elapsed_s)
        found = np.zeros(len(chance), dtype=np.bool_)
        for of, tier in self._tiers:
            found |= (source == of) & (chance >= tier.least_chance) & (limit_s <= tier.most_eta_s)
        return found


@uncounted
def is_due(tiers: FloatColumn, chance: float, limit_s: float, source: int) -> bool:
    """Say whether one forecast is worth a warning: ``ApproachPolicy.due`` for kernels.

    Args:
        tiers: ``ApproachPolicy.table``.
        chance: probability to enter within 180 s.
        limit_s: seconds until then, less ``ApproachPolicy.later_s``.
        source: how it is known, ``BY_HEADING`` .. ``BY_ROAD``.
    """
    for row in range(len(tiers)):
        if tiers[row, 0] == source and chance >= tiers[row, 1] and limit_s <= tiers[row, 2]:
            return True
    return False
