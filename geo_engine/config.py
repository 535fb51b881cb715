"""How an engine reads positions, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from geo_engine.alerting.policy import Policy
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.tracking.ground import Limits
from geo_engine.tracking.learning import Learning
from geo_engine.tracking.screening import JumpLimits

__all__ = ["EngineConfig", "milliseconds", "span_ms"]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How the engine reads positions. ``None`` switches a filter off.

    Attributes:
        approach: which forecasts are approaches; None = nothing is foreseen.
        learning: how it is learnt where the traffic goes; None = not at all. Needs Numba.
        jumps: when a step is absurd.
        settles: noise is filtered: the mean of who stands, no border within the doubt. False = every ping is believed.
        max_accuracy_m: vaguer positions are set aside.
        max_gap_s: after a longer silence the straight way between two pings is no evidence of what was crossed.
        lost_after_s: a user inside who is silent for longer has left: exit with reason ``lost``.
        max_lag_s: a ping that arrives later than this after its event time is late; must be below ``lost_after_s``,
            or a user who reports with such a lag would be lost and found at every ping. Replays switch it off.
        future_tolerance_s: how far ahead of ``now`` a device's clock may run.
        approach_cover_s: an approach holds so long from its begin on; then it is over, and if the user still heads for
            the border the cooldown decides about another warning.
        venue_within_m: a venue further away is not a user's nearest one.
        venue_every_s: how often a user's nearest venue is looked for.
        policy: what may be pushed.
    """

    approach: ApproachPolicy | None = field(default_factory=ApproachPolicy)
    learning: Learning | None = field(default_factory=Learning)
    jumps: JumpLimits | None = field(default_factory=JumpLimits)
    settles: bool = True
    max_accuracy_m: float | None = 200.0
    max_gap_s: float | None = 600.0
    lost_after_s: float | None = 900.0
    max_lag_s: float | None = 600.0
    future_tolerance_s: float = 300.0
    approach_cover_s: float = 180.0
    venue_within_m: float = 300.0
    venue_every_s: float = 15.0
    policy: Policy = field(default_factory=Policy)

    @classmethod
    def exact(cls, policy: Policy | None = None) -> EngineConfig:
        """Return pure geometry: no filter, no look-ahead, nobody is ever lost."""
        return cls(
            approach=None,
            learning=None,
            venue_every_s=0.0,
            jumps=None,
            settles=False,
            max_accuracy_m=None,
            max_gap_s=None,
            lost_after_s=None,
            max_lag_s=None,
            policy=policy or Policy(),
        )

    def limits(self) -> Limits:
        """Return what the tracker needs, in milliseconds."""
        return Limits(
            approach=self.approach,
            venue_every_ms=milliseconds(self.venue_every_s),
            jumps=self.jumps,
            settles=self.settles,
            max_accuracy_m=self.max_accuracy_m,
            max_gap_ms=span_ms(self.max_gap_s),
            lost_after_ms=span_ms(self.lost_after_s),
            max_lag_ms=span_ms(self.max_lag_s),
            future_tolerance_ms=milliseconds(self.future_tolerance_s),
            stale_after_ms=span_ms(self.policy.stale_after_s),
        )


def milliseconds(seconds: float) -> int:
    """Return a span in whole milliseconds."""
    return round(seconds * 1000)


def span_ms(seconds: float | None) -> int | None:
    """Return a span in whole milliseconds, None = without end."""
    return None if seconds is None else milliseconds(seconds)
