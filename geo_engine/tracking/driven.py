"""The steps of drivers that are learnt from, in columns: the twin of what the compiled step writes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo_engine.model import BoolColumn, FloatColumn
from geo_engine.tracking.flow_kernels import DRIVEN, LEAST_MOVE_MS, MOST_MOVE_MS, MOVING_MPS, sample_of
from geo_engine.tracking.ground import Moment
from geo_engine.tracking.motion import Motion
from geo_engine.tracking.state import CONSENTED, TOLD
from geo_engine.tracking.steps import Steps

__all__ = ["driven_steps"]


def driven_steps(steps: Steps, motion: Motion, moment: Moment) -> npt.NDArray[np.void]:
    """Return the steps of drivers who agreed, as ``DRIVEN`` records; of many only a sample."""
    rows = np.flatnonzero(_agreed(steps, moment) & _sampled(steps, moment) & _drives(steps, motion))
    old_east, old_north = _before_cmps(steps)
    records = np.zeros(len(rows), dtype=DRIVEN)
    columns = {
        "lon0": steps.before["lon"],
        "lat0": steps.before["lat"],
        "lon1": steps.lon,
        "lat1": steps.lat,
        "east0_mps": old_east / 100.0,
        "north0_mps": old_north / 100.0,
        "east1_mps": motion.step_east_cmps / 100.0,
        "north1_mps": motion.step_north_cmps / 100.0,
        "elapsed_ms": steps.elapsed_ms,
    }
    for name, column in columns.items():
        records[name] = column[rows]
    return records


def _agreed(steps: Steps, moment: Moment) -> BoolColumn:
    flags = steps.before["flags"]
    agreed: BoolColumn = ((flags & CONSENTED) != 0) | (moment.consented & ((flags & TOLD) == 0))
    return agreed


def _sampled(steps: Steps, moment: Moment) -> BoolColumn:
    if moment.learn_mask < 0:
        return np.zeros(len(steps), dtype=np.bool_)
    number = steps.pings.time_ms // 1000 + steps.pings.u7 * (sample_of(1, 0) - sample_of(0, 0))
    sampled: BoolColumn = number & moment.learn_mask == 0
    return sampled


def _drives(steps: Steps, motion: Motion) -> BoolColumn:
    east, north = motion.step_east_cmps, motion.step_north_cmps
    old_east, old_north = _before_cmps(steps)
    fastest = np.maximum(east * east + north * north, old_east * old_east + old_north * old_north)
    lasting = (steps.elapsed_ms >= LEAST_MOVE_MS) & (steps.elapsed_ms <= MOST_MOVE_MS)
    drives: BoolColumn = ~np.isnan(east) & lasting & (fastest >= (100.0 * MOVING_MPS) ** 2)
    return drives


def _before_cmps(steps: Steps) -> tuple[FloatColumn, FloatColumn]:
    east, north = steps.velocity_before
    return np.nan_to_num(east), np.nan_to_num(north)
