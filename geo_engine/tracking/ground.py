"""What a tracker is given: limits that stay, the ground users move on, and the moment of a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from geo_engine.index.border_grid import BorderGrid
from geo_engine.index.protocol import ZoneIndex
from geo_engine.index.venues import VenueIndex
from geo_engine.model import BoolColumn, IntColumn, PingBatch
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.tracking.events import Events
from geo_engine.tracking.flow_kernels import DrivenSteps
from geo_engine.tracking.learnt import Forecast
from geo_engine.tracking.screening import Codes, JumpLimits
from geo_engine.tracking.sets import Numbers, ZoneSets
from geo_engine.tracking.validity import Validity

__all__ = ["Ground", "Limits", "Moment", "StepResult", "Tracker"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How positions are read. ``None`` switches a filter off.

    Attributes:
        approach: which forecasts are approaches; None = nothing is foreseen.
        venue_every_ms: how often a user's nearest venue is looked for.
        jumps: when a step is absurd.
        settles: noise is filtered; False = every ping is believed as it is.
        max_accuracy_m: vaguer positions are set aside.
        max_gap_ms: after a longer silence the straight way between two pings is no evidence of what was crossed.
        lost_after_ms: a user inside who is silent for longer has left.
        max_lag_ms: a ping that arrives later than this after its event time is late.
        future_tolerance_ms: how far ahead of ``now`` a device's clock may run.
        stale_after_ms: a ping older than this when it is judged raises no warning.
    """

    approach: ApproachPolicy | None = field(default_factory=ApproachPolicy)
    venue_every_ms: int = 15_000
    jumps: JumpLimits | None = field(default_factory=JumpLimits)
    settles: bool = True
    max_accuracy_m: float | None = 200.0
    max_gap_ms: int | None = 600_000
    lost_after_ms: int | None = 900_000
    max_lag_ms: int | None = 600_000
    future_tolerance_ms: int = 300_000
    stale_after_ms: int | None = 60_000


@dataclass(frozen=True, slots=True)
class Ground:
    """Zones and venues of one revision, ready to be matched.

    Attributes:
        index: the zones.
        borders: their borders by cell; nothing in it is marked.
        forecast: what is known of the ways of drivers.
        venues: the venues by place; positions are those of ``venue_zone``.
        venue_zone: position in the zone set of each venue.
        warnable: bool per zone: a warning can be about it.
        validity: which zones are there no more.
        combo_set: number of the set of zones of each combo of a compiled index, None = not made yet. Made beside the
            running revision, so that a publication need not. Retired zones are members still: a tracker leaves them
            out.
    """

    index: ZoneIndex
    borders: BorderGrid
    forecast: Forecast
    venues: VenueIndex
    venue_zone: IntColumn
    warnable: BoolColumn
    validity: Validity
    combo_set: Numbers | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When a step happens, and what may concern whom around then.

    Attributes:
        now_ms: moment of judging.
        before_now_ms: moment of the judging before.
        restored_ms: silence counts from here at the earliest.
        wanted_bits: uint64 (profiles, words): bit z of word z >> 6 = zone z may concern the profile while the users of
            the batch look ahead.
        opening_ms: moments at which zones came into force lately, ordered by moment, then zone.
        opening_zone: which zone it was.
        consented: a user of whom nothing was told agreed.
        learn_mask: of the numbers of steps (``sample_of``) these bits are 0 of those that are learnt; -1 = none is.
    """

    now_ms: int
    before_now_ms: int
    restored_ms: int
    wanted_bits: npt.NDArray[np.uint64]
    opening_ms: IntColumn
    opening_zone: IntColumn
    consented: bool
    learn_mask: int


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step found.

    Attributes:
        codes: int8 per ping of the batch: position in ``REASONS``, -1 = accepted.
        accepted: number of accepted pings.
        events: what happened, in no particular order but that of each user's pings.
        memberships: by how much the number of (user, zone) pairs inside changed.
        steps: steps to learn from.
    """

    codes: Codes
    accepted: int
    events: Events
    memberships: int
    steps: DrivenSteps


class Tracker(Protocol):
    """Moves users on by a batch of pings. All implementations give the same events on the same state."""

    def step(self, batch: PingBatch, moment: Moment) -> StepResult:
        """Judge the pings of a batch, write the users' rows and return what happened."""
        ...

    def rebase(self, ground: Ground, sets: ZoneSets) -> None:
        """Match against another ground from the next step on; the rows hold numbers of ``sets`` already."""
        ...
