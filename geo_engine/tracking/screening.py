"""Which pings can be used at all: ranges, order, duplicates, absurd jumps. Every refusal has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.measure import distance_m
from geo_engine.model import (
    EARLIEST_TIME_MS,
    LATEST_TIME_MS,
    U7_COUNT,
    BoolColumn,
    IntColumn,
    PingBatch,
    RejectReason,
)
from geo_engine.tracking.start import Start

__all__ = ["JumpLimits", "absurd_jumps", "arrange", "screen"]

REASONS: Final = tuple(RejectReason)
"""A reason as a small number is its position here; -1 is "accepted"."""

Codes = npt.NDArray[np.int8]


def screen(batch: PingBatch, *, latest_ms: int, late_ms: int | None, max_accuracy_m: float | None) -> Codes:
    """Return the reason code of each ping that its own values rule out, -1 for the others.

    Args:
        batch: pings in any order.
        latest_ms: a later event time is in the future.
        late_ms: an earlier event time comes too late to be judged, None = never.
        max_accuracy_m: a reported accuracy radius above this is too vague, None = any will do.
    """
    finite = np.isfinite(batch.lon) & np.isfinite(batch.lat)
    checks: list[tuple[RejectReason, BoolColumn]] = [
        (RejectReason.U7_OUT_OF_RANGE, (batch.u7 < 0) | (batch.u7 >= U7_COUNT)),
        (RejectReason.NOT_FINITE, ~finite),
        (RejectReason.LON_OUT_OF_RANGE, finite & (np.abs(batch.lon) > 180.0)),
        (RejectReason.LAT_OUT_OF_RANGE, finite & (np.abs(batch.lat) > 90.0)),
        (RejectReason.TIME_OUT_OF_RANGE, (batch.time_ms < EARLIEST_TIME_MS) | (batch.time_ms >= LATEST_TIME_MS)),
        (RejectReason.FUTURE, batch.time_ms > latest_ms),
    ]
    if late_ms is not None:
        checks.append((RejectReason.LATE, batch.time_ms < late_ms))
    if max_accuracy_m is not None:
        checks.append((RejectReason.INACCURATE, batch.accuracy_m > max_accuracy_m))
    codes = np.full(len(batch), -1, dtype=np.int8)
    for reason, failed in reversed(checks):
        codes[failed] = REASONS.index(reason)
    return codes


def arrange(batch: PingBatch, rows: IntColumn, last_ms: IntColumn) -> tuple[IntColumn, IntColumn, IntColumn]:
    """Order usable pings by user and time and set repeats and latecomers aside.

    The order is total (ties by accuracy, then position), so it does not depend on how the pings arrived.

    Args:
        batch: all pings.
        rows: the usable rows of ``batch``.
        last_ms: event time of the user's last accepted ping, per entry of ``rows``.

    Returns:
        (rows to use in order, duplicate rows, late rows).
    """
    u7, time_ms = batch.u7[rows], batch.time_ms[rows]
    late = (time_ms < last_ms).nonzero()[0]
    fresh = np.flatnonzero(time_ms > last_ms)
    known = np.flatnonzero(time_ms == last_ms)
    pings = rows[fresh]
    order = np.lexsort(
        (
            batch.heading_deg[pings],
            batch.speed_mps[pings],
            batch.lat[pings],
            batch.lon[pings],
            batch.accuracy_m[pings],
            time_ms[fresh],
            u7[fresh],
        )
    )
    ordered = pings[order]
    repeat = np.zeros(len(ordered), dtype=bool)
    repeat[1:] = (batch.u7[ordered][1:] == batch.u7[ordered][:-1]) & (
        batch.time_ms[ordered][1:] == batch.time_ms[ordered][:-1]
    )
    return ordered[~repeat], np.concatenate([ordered[repeat], rows[known]]), rows[late]


@dataclass(frozen=True, slots=True)
class JumpLimits:
    """When a step is absurd, and when the new place is believed all the same.

    Attributes:
        max_speed_mps: no vehicle we serve is faster.
        slack_m: position error granted on top.
        believe_after: so many absurd pings in a row mean that the old place was wrong, or the user travelled unseen.
    """

    max_speed_mps: float = 75.0
    slack_m: float = 30.0
    believe_after: int = 3


def absurd_jumps(batch: PingBatch, start: Start, limits: JumpLimits) -> tuple[BoolColumn, BoolColumn]:
    """Find pings that no vehicle could have reached from the user's last believed place.

    Args:
        batch: pings ordered by user and time.
        start: state of the user of each ping, as it was before the batch.
        limits: see ``JumpLimits``.

    Returns:
        (absurd, anchored): pings to set aside; pings at a new place that is believed without a way to it.
        Cost: one vectorised pass, and a loop over the pings of users with a suspicious step only.
    """
    count = len(batch)
    absurd, anchored = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    if count == 0:
        return absurd, anchored
    first = np.ones(count, dtype=bool)
    first[1:] = batch.u7[1:] != batch.u7[:-1]
    before = np.maximum(np.arange(count) - 1, 0)
    lon = np.where(first, start.lon, batch.lon[before])
    lat = np.where(first, start.lat, batch.lat[before])
    time_ms = np.where(first, start.time_ms, batch.time_ms[before])
    known = ~first | start.placed
    too_far = known & _too_far(lon, lat, time_ms, batch, np.arange(count), limits)
    suspects = np.unique(batch.u7[too_far | (first & (start.jumps > 0))])
    bounds = np.searchsorted(batch.u7, suspects), np.searchsorted(batch.u7, suspects, side="right")
    for low, high in zip(bounds[0].tolist(), bounds[1].tolist(), strict=True):
        _walk(batch, start, range(low, high), limits, (too_far, absurd, anchored))
    return absurd, anchored


def _walk(
    batch: PingBatch,
    start: Start,
    rows: range,
    limits: JumpLimits,
    marks: tuple[BoolColumn, BoolColumn, BoolColumn],
) -> None:
    """Walk one user's pings from believed place to believed place; leave the count of jumps at his last row."""
    too_far, absurd, anchored = marks
    home = rows[0]
    placed, jumps, jump_ms = bool(start.placed[home]), int(start.jumps[home]), int(start.jump_ms[home])
    believed = home - 1  # the row before the first stands for the place before the batch
    for row in rows:
        if row == believed + 1:
            far = bool(too_far[row])
        elif believed < home:
            first = slice(home, home + 1)
            place = (start.lon[first], start.lat[first], start.time_ms[first])
            far = placed and bool(_too_far(*place, batch, np.array([row]), limits)[0])
        else:
            last = slice(believed, believed + 1)
            place = (batch.lon[last], batch.lat[last], batch.time_ms[last])
            far = bool(_too_far(*place, batch, np.array([row]), limits)[0])
        if far and jumps < limits.believe_after:
            absurd[row] = True
            # The same absurd ping sent again counts once.
            if jumps == 0 or batch.time_ms[row] > jump_ms:
                jumps, jump_ms = jumps + 1, int(batch.time_ms[row])
            continue
        anchored[row] = far
        believed, jumps = row, 0
    last_row = rows[-1]
    start.jumps[last_row], start.jump_ms[last_row] = jumps, jump_ms


def _too_far(
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
    time_ms: IntColumn,
    batch: PingBatch,
    rows: IntColumn,
    limits: JumpLimits,
) -> BoolColumn:
    way_m = np.asarray(distance_m(lon, lat, batch.lon[rows], batch.lat[rows]))
    seconds = (batch.time_ms[rows] - time_ms) / 1000.0
    far: BoolColumn = way_m > limits.max_speed_mps * seconds + limits.slack_m
    return far
