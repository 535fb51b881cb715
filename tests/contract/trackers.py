"""Engines with the tracker one asks for, and what it means that two of them decide alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geo_engine import Decisions, Engine, EngineConfig, PingBatch, ZoneSet
from geo_engine.index import ZoneIndex
from geo_engine.tracking.columns import ColumnTracker
from geo_engine.tracking.fused import FusedTracker
from tests.contract.streams import DRIVER, USERS, VEHICLES, WORLD

__all__ = ["assert_alike", "assert_same", "engine_with", "told"]

BUILT: dict[Callable[[ZoneSet], ZoneIndex], ZoneIndex] = {}
"""The indexes of the world, each built once: they do not change."""


def engine_with(
    index: Callable[[ZoneSet], ZoneIndex], *, fused: bool, config: EngineConfig, zones: ZoneSet = WORLD
) -> Engine:
    """Return an engine whose tracker is the one named, compiled or not."""
    if zones is WORLD and index not in BUILT:
        BUILT[index] = index(WORLD)
    built = BUILT[index] if zones is WORLD else index(zones)
    engine = Engine(zones, config=config, vehicles=VEHICLES, default_vehicle=DRIVER, index=lambda _: built)
    kind = FusedTracker if fused else ColumnTracker
    # The engine takes the fused step only where it is compiled; here it must run uncompiled as well.
    if type(engine._tracker) is not kind:
        engine._tracker = kind(engine._users, engine._running.sets, engine._running.ground, config.limits())
    return engine


def assert_same(ours: Decisions, theirs: Decisions) -> None:
    """Compare two steps of two engines: everything exactly, lengths to a micrometre."""
    for name in ("u7", "time_ms", "zone", "kind", "reason", "lon", "lat"):
        np.testing.assert_array_equal(getattr(ours.transitions, name), getattr(theirs.transitions, name), name)
    for name in ("distance_m", "eta_s"):
        found, expected = getattr(ours.transitions, name), getattr(theirs.transitions, name)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6, err_msg=name)
    assert [told(alert) for alert in ours.alerts] == [told(alert) for alert in theirs.alerts]
    for name in ("distance_m", "eta_s"):
        found, expected = ([getattr(alert, name) for alert in step.alerts] for step in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6, err_msg=name)
    assert list(ours.visits) == list(theirs.visits)
    assert ours.rejects.row.tolist() == theirs.rejects.row.tolist()
    assert ours.rejects.reasons() == theirs.rejects.reasons()
    assert (ours.accepted, ours.inside) == (theirs.accepted, theirs.inside)
    assert ours.next_deadline_ms == theirs.next_deadline_ms


def told(alert: object) -> list[object]:
    names = ("alert_id", "u7", "time_ms", "zone_id", "visit_ms", "send", "reason", "trigger", "compass", "may_apply")
    return [getattr(alert, name) for name in (*names, "revision", "text")]


def assert_alike(engines: tuple[Engine, Engine], stream: list[tuple[PingBatch, int]]) -> None:
    """Feed both engines and compare all they say, and what they remember of the users at the end."""
    one, other = engines
    for batch, now_ms in stream:
        assert_same(one.process(batch, now_ms), other.process(batch, now_ms))
    for ours, theirs in zip(one.positions(), other.positions(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    users = np.array(USERS)
    np.testing.assert_array_equal(one.nearest_venues(users), other.nearest_venues(users))
