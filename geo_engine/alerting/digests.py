"""Which decisions are told by the message of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from geo_engine.alerting.kernels import NO_MESSAGE, SENT_REASON, Decided
from geo_engine.model import IntColumn

__all__ = ["Digests"]


@dataclass(frozen=True, slots=True, eq=False)
class Digests:
    """The messages of one step that tell of several zones.

    Attributes:
        message: per decision the decision whose message tells of it, itself when it is sent alone or first, -1 = none.
        zone: per decision the position of its zone.
        visit_ms: per decision the begin of its visit.
        told: decisions that some message tells of, in order; so those of one message follow one another.
        told_in: the message of each of these.
    """

    message: IntColumn
    zone: IntColumn
    visit_ms: IntColumn
    told: IntColumn
    told_in: IntColumn

    @classmethod
    def of(cls, found: Decided, decisions: int, zone: IntColumn) -> Self:
        """Read them from what a walk found; a message that was refused tells nobody anything."""
        message = found.message[:decisions].copy()
        leaves = message != NO_MESSAGE
        leaves[leaves] = found.reason[message[leaves]] == SENT_REASON
        message[~leaves] = NO_MESSAGE
        told = np.flatnonzero(leaves)
        return cls(message, zone, found.visit_ms[:decisions].copy(), told, message[told])

    def teller(self, decision: int) -> tuple[int, int] | None:
        """Return (zone, begin of the visit) of the message that tells of a decision beside its own, None = none."""
        message = int(self.message[decision])
        if message in {NO_MESSAGE, decision}:
            return None
        return int(self.zone[message]), int(self.visit_ms[message])

    def others(self, decision: int) -> list[int]:
        """Return the zones that the message of a decision that is sent tells of beside its own, the gravest first."""
        first, end = np.searchsorted(self.told_in, [decision, decision + 1])
        zones: list[int] = self.zone[self.told[first + 1 : end]].tolist()
        return zones
