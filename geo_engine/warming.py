"""Has the kernels ready before the first ping."""

from __future__ import annotations

from dataclasses import replace

import shapely

from geo_engine.alerting.quota import Arbiter, QuotaLimits
from geo_engine.compiled import COMPILED
from geo_engine.engine import Engine
from geo_engine.model import EARLIEST_TIME_MS, PingBatch, Vehicle, ZoneKind
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["warm_up"]


def warm_up() -> None:
    """Compile every kernel, or load it from the cache, so that no ping waits for that.

    Judges a few made-up pings with an engine of its own. Cost: about a second with a warm cache, a minute without one;
    nothing without Numba.
    """
    if not COMPILED:
        return
    area = Zone("a", ZoneKind.TRUCK_RESTRICTION, "a", shapely.box(0.01, 0.0, 0.02, 0.01))
    venue = Zone("v", ZoneKind.VENUE, "v", shapely.Point(0.0, 0.0))
    # A quota of nothing refuses every message, so that taking one back is compiled too.
    refusing = Arbiter(QuotaLimits(daily=0))
    engine = Engine(ZoneSet.of([area, venue]), default_vehicle=Vehicle(u7=0), admission=refusing)
    engine.mute(3, "a", None)
    start_ms = EARLIEST_TIME_MS + 86_400_000
    for step in range(4):
        now = start_ms + step * 5_000
        engine.process(
            PingBatch.from_columns([1, 1, 2], [now, now - 1, now], [0.005 + 0.003 * step] * 3, [0.005] * 3), now
        )
    engine.learn_now()
    engine.publish(ZoneSet.of([replace(area, geometry=shapely.box(0.01, 0.0, 0.03, 0.01)), venue], revision=2), now)
    successor = Engine(engine.zones, default_vehicle=Vehicle(u7=0))
    successor.load(engine.snapshot())
