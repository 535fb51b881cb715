"""One user's pings, step by step, each beside the row that the one before left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geo_engine.model import PingBatch
from geo_engine.tracking.motion import Motion, estimate_motion
from geo_engine.tracking.state import MOVING, PACKED_ROW, PLACED
from geo_engine.tracking.steps import Steps

__all__ = ["walk"]


def walk(pings: PingBatch, *, max_gap_ms: int = 600_000) -> list[tuple[Steps, Motion]]:
    """Return each step and the motion at its end; positions are believed as they are."""
    row = np.zeros(1, dtype=PACKED_ROW)
    taken = []
    for number in range(len(pings)):
        steps = Steps.of(pings.take(slice(number, number + 1)), row.copy())
        steps = replace(steps, joined=steps.joined & (steps.elapsed_ms <= max_gap_ms))
        motion = estimate_motion(steps)
        taken.append((steps, motion))
        moving = not np.isnan(motion.step_east_cmps[0])
        row["time_ms"], row["lon"], row["lat"] = steps.pings.time_ms, steps.lon, steps.lat
        row["flags"] = PLACED | MOVING * moving
        row["east_cmps"], row["north_cmps"] = np.nan_to_num([motion.step_east_cmps[0], motion.step_north_cmps[0]])
    return taken
