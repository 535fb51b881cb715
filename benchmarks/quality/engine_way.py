"""The engine as a way of warning: driven as ``geo-engine replay`` drives it, every approach decision counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from benchmarks.quality.findings import Findings, Ground, Moments
from geo_engine.alerting.alerts import Alerts
from geo_engine.alerting.policy import Policy
from geo_engine.engine import Engine, EngineConfig
from geo_engine.model import (
    AlertReason,
    IntColumn,
    PingBatch,
    SuppressReason,
    TransitionKind,
    Transitions,
    Vehicle,
    ZoneKind,
)
from geo_engine.tracking.approach_policy import ApproachPolicy, Tier
from geo_engine.tracking.roads import road_net
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ColdEngineWay", "EngineWay", "replayed"]

_BATCH: Final = 65_536
_APPROACH: Final = tuple(AlertReason).index(AlertReason.APPROACH)
_NOT_COUNTED: Final = frozenset({SuppressReason.NO_CONSENT, SuppressReason.PULL_ONLY, SuppressReason.STALE_PING})
"""A decision suppressed for one of these is about no warning; all other reasons are the policy's restraint."""
_HELD_BACK: Final = tuple(code for code, reason in enumerate(SuppressReason) if reason not in _NOT_COUNTED)
_KINDS: Final = tuple(TransitionKind)


def replayed() -> EngineConfig:
    """Return the configuration of the ``replay`` command: the default one, but for the age of old pings."""
    return EngineConfig(policy=Policy(stale_after_s=None), max_lag_s=None)


@dataclass(frozen=True, slots=True)
class EngineWay:
    """The engine with a configuration. It lives through the other day first, and drives on roads where it has a map.

    Attributes:
        config: how it reads positions and what it pushes.
        name: what it is called in tables.
    """

    config: EngineConfig = field(default_factory=replayed)
    name: str = "geo_engine"

    @property
    def sweep(self) -> tuple[EngineWay, ...]:
        """The same at other thresholds."""
        tiers = (
            (Tier(low, eta_s), Tier(high, 1.5 * eta_s))
            for low, high in ((0.02, 0.3), (0.06, 0.3), (0.12, 0.45), (0.18, 0.6), (0.3, 0.7), (0.5, 0.8))
            for eta_s in (20.0, 24.0, 30.0, 40.0)
        )
        return tuple(replace(self, config=_foreseeing(self.config, learnt=some, on_roads=some)) for some in tiers)

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Replay the pings; warnings are approach decisions that are sent or held back by the policy."""
        net = None if ground.roads is None else road_net(ground.roads)
        engine = Engine(_zone_set(ground), config=self.config, default_vehicle=Vehicle(u7=0), roads=net)
        if ground.history is not None:
            for batch, now_ms in _batches(_the_day_before(ground.history)):
                engine.process(batch, now_ms)
            engine.learn_now()
        number = np.array([int(zone.zone_id) for zone in engine.zones.zones], dtype=np.int64)
        warnings, entries, exits = [], [], []
        for batch, now_ms in _batches(pings):
            decisions = engine.process(batch, now_ms)
            warnings.append(_warned(decisions.alerts, number))
            entries.append(_of_kinds(decisions.transitions, number, TransitionKind.ENTER, TransitionKind.CROSS))
            exits.append(_of_kinds(decisions.transitions, number, TransitionKind.EXIT))
        return Findings(_joined(warnings), _joined(entries), _joined(exits))


@dataclass(frozen=True, slots=True)
class ColdEngineWay(EngineWay):
    """The engine on its first day: it learns while it warns."""

    name: str = "geo_engine, first hour"

    def find(self, pings: PingBatch, ground: Ground) -> Findings:
        """Replay without the other day."""
        return EngineWay(self.config).find(pings, replace(ground, history=None))


def _foreseeing(config: EngineConfig, **tiers: tuple[Tier, ...]) -> EngineConfig:
    return replace(config, approach=replace(config.approach or ApproachPolicy(), **tiers))


def _the_day_before(pings: PingBatch) -> PingBatch:
    return replace(pings, time_ms=pings.time_ms - 86_400_000)


def _zone_set(ground: Ground) -> ZoneSet:
    zones = [
        Zone(f"{number:04d}", ZoneKind.TRUCK_RESTRICTION, f"zone {number}", shape)
        for number, shape in enumerate(ground.zones)
    ]
    return ZoneSet.of(zones)


def _batches(pings: PingBatch) -> Iterator[tuple[PingBatch, int]]:
    """Yield pings, ordered by time, with the moment of judging; a moment is never torn apart."""
    low = 0
    while low < len(pings):
        last_ms = pings.time_ms[min(low + _BATCH, len(pings)) - 1]
        high = int(np.searchsorted(pings.time_ms, last_ms, side="right"))
        yield pings.take(slice(low, high)), int(last_ms)
        low = high


def _warned(alerts: Alerts, number: IntColumn) -> Moments:
    counted = alerts.send | np.isin(alerts.reason, _HELD_BACK)
    rows = np.flatnonzero(counted & (alerts.trigger == _APPROACH))
    return Moments(alerts.u7[rows], number[alerts.zone[rows]], alerts.time_ms[rows])


def _of_kinds(found: Transitions, number: IntColumn, *kinds: TransitionKind) -> Moments:
    rows = np.flatnonzero(np.isin(found.kind, [_KINDS.index(kind) for kind in kinds]))
    return Moments(found.u7[rows], number[found.zone[rows]], found.time_ms[rows])


def _joined(parts: list[Moments]) -> Moments:
    if not parts:
        return Moments.none()
    return Moments(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("u7", "zone", "time_ms")))
