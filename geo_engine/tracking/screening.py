"""Which pings can be used at all: ranges, order, duplicates, absurd jumps. Every refusal has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.errors import ConfigurationError
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
from geo_engine.tracking.steps import Steps

__all__ = ["JumpLimits", "absurd_jumps", "arrange", "screen"]

REASONS: Final = tuple(RejectReason)
"""A reason as a small number is its position here; -1 is "accepted"."""

Codes = npt.NDArray[np.int8]

_MOST_JUMPS: Final = 255


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
        believe_after: so many absurd pings in a row mean that the old place was wrong, or the user travelled unseen;
            at most 255: a user's row counts in eight bits.
    """

    max_speed_mps: float = 75.0
    slack_m: float = 30.0
    believe_after: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.believe_after <= _MOST_JUMPS:
            message = f"found believe_after {self.believe_after}, expected 0 .. {_MOST_JUMPS}"
            raise ConfigurationError(message)


def absurd_jumps(steps: Steps, limits: JumpLimits) -> tuple[BoolColumn, BoolColumn]:
    """Find pings that no vehicle could have reached from where its user was believed to be.

    Returns:
        (absurd, anchored): pings to set aside; pings at a new place that is believed without a way to it.
    """
    before = steps.before
    way_m = np.asarray(distance_m(before["lon"], before["lat"], steps.pings.lon, steps.pings.lat))
    far = steps.placed & (way_m > limits.max_speed_mps * (steps.elapsed_ms / 1000.0) + limits.slack_m)
    believed = before["jumps"] >= limits.believe_after
    return far & ~believed, far & believed
