"""Packs a batch for the compiled step: what can be used, users by map tile, each user's pings in order of time."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, uncounted
from geo_engine.model import EARLIEST_TIME_MS, LATEST_TIME_MS, U7_COUNT, FloatColumn, IntColumn, RejectReason
from geo_engine.tracking.screening import REASONS

__all__ = ["PING", "TILES", "BatchColumns", "Screen", "arrange"]

PING: Final = np.dtype(
    [
        ("time_ms", np.int64),
        ("lon", np.float64),
        ("lat", np.float64),
        ("speed_mps", np.float64),
        ("heading_deg", np.float64),
        ("accuracy_m", np.float64),
        ("u7", np.int32),
        ("row", np.int32),  # row in the caller's batch
    ],
    align=True,
)

_U7: Final = REASONS.index(RejectReason.U7_OUT_OF_RANGE)
_NOT_FINITE: Final = REASONS.index(RejectReason.NOT_FINITE)
_LON: Final = REASONS.index(RejectReason.LON_OUT_OF_RANGE)
_LAT: Final = REASONS.index(RejectReason.LAT_OUT_OF_RANGE)
_TIME: Final = REASONS.index(RejectReason.TIME_OUT_OF_RANGE)
_FUTURE: Final = REASONS.index(RejectReason.FUTURE)
_LATE: Final = REASONS.index(RejectReason.LATE)
_INACCURATE: Final = REASONS.index(RejectReason.INACCURATE)

TILES: Final = 8192
"""Buckets of map tiles a batch is sorted into; tiles far apart may share one, which costs locality only."""
_TILES_PER_DEGREE: Final = 64.0


class BatchColumns(NamedTuple):
    """The columns of a ``PingBatch``."""

    u7: IntColumn
    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    speed_mps: FloatColumn
    heading_deg: FloatColumn
    accuracy_m: FloatColumn


class Screen(NamedTuple):
    """What rules a ping out by its own values; a filter that is off has a limit nothing reaches."""

    latest_ms: int
    late_ms: int
    max_accuracy_m: float


@uncounted
def _fault(batch: BatchColumns, i: int, screen: Screen) -> int:  # noqa: PLR0911 - one for each reason
    """Return the code of the first reason that rules ping ``i`` out, -1 when none does."""
    if batch.u7[i] < 0 or batch.u7[i] >= U7_COUNT:
        return _U7
    lon, lat = batch.lon[i], batch.lat[i]
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return _NOT_FINITE
    if lon > 180.0 or lon < -180.0:
        return _LON
    if lat > 90.0 or lat < -90.0:
        return _LAT
    time_ms = batch.time_ms[i]
    if time_ms < EARLIEST_TIME_MS or time_ms >= LATEST_TIME_MS:
        return _TIME
    if time_ms > screen.latest_ms:
        return _FUTURE
    if time_ms < screen.late_ms:
        return _LATE
    if batch.accuracy_m[i] > screen.max_accuracy_m:
        return _INACCURATE
    return -1


@uncounted
def _differ(a: float, b: float) -> int:
    """Compare two numbers as a sort does, NaN last."""
    if a < b:
        return -1
    if a > b:
        return 1
    return int(math.isnan(a)) - int(math.isnan(b))


@uncounted
def _comes_before(batch: BatchColumns, i: int, j: int) -> bool:
    """Say whether ping i is ordered before ping j of the same user: by time, ties by accuracy and position."""
    if batch.time_ms[i] != batch.time_ms[j]:
        return bool(batch.time_ms[i] < batch.time_ms[j])
    order = _differ(batch.accuracy_m[i], batch.accuracy_m[j])
    if order == 0:
        order = _differ(batch.lon[i], batch.lon[j])
    if order == 0:
        order = _differ(batch.lat[i], batch.lat[j])
    if order == 0:
        order = _differ(batch.speed_mps[i], batch.speed_mps[j])
    if order == 0:
        order = _differ(batch.heading_deg[i], batch.heading_deg[j])
    return order < 0


@bare
def _sort_run(batch: BatchColumns, run: npt.NDArray[np.int32], spare: npt.NDArray[np.int32], count: int) -> None:
    """Order one user's pings in place: a merge sort that costs one pass when they are in order already."""
    ordered = True
    for k in range(1, count):
        if _comes_before(batch, run[k], run[k - 1]):
            ordered = False
            break
    width = 1
    while width < count and not ordered:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            left, right = low, middle
            for k in range(low, high):
                if left < middle and (right >= high or not _comes_before(batch, run[right], run[left])):
                    spare[k] = run[left]
                    left += 1
                else:
                    spare[k] = run[right]
                    right += 1
        for k in range(count):
            run[k] = spare[k]
        width *= 2


@bare
def arrange(  # noqa: PLR0915 - fused kernel; work arrays come from outside, so nothing is allocated
    batch: BatchColumns,
    screen: Screen,
    codes: npt.NDArray[np.int8],
    slot: npt.NDArray[np.int32],
    work: npt.NDArray[np.int32],
    starts: IntColumn,
    pings: npt.NDArray[np.void],
) -> int:
    """Screen a batch and pack its usable pings: users by map tile, each user's pings together and in order of time.

    A counting sort by the tile of each user's first ping. Pings of one user are chained through ``slot``, so several
    per batch cost nothing extra when they come in order of time.

    Args:
        batch: pings in any order.
        screen: what rules a ping out.
        codes: written: reason code per ping, -1 = usable.
        slot: one number per u7, all zero before and after.
        work: room for 6 x pings numbers.
        starts: room for ``TILES + 1`` numbers.
        pings: written: the packed pings.

    Returns:
        The number of usable pings. Cost: about 30 ns a ping.
    """
    count = len(batch.u7)
    head, tail, following = work[:count], work[count : 2 * count], work[2 * count : 3 * count]
    tile, run, spare = work[3 * count : 4 * count], work[4 * count : 5 * count], work[5 * count :]
    starts[:] = 0
    users = 0
    for i in range(count):
        code = _fault(batch, i, screen)
        codes[i] = code
        if code >= 0:
            continue
        u7 = batch.u7[i]
        known = slot[u7]
        following[i] = -1
        if known == 0:
            column = int((batch.lon[i] + 180.0) * _TILES_PER_DEGREE)
            line = int((batch.lat[i] + 90.0) * _TILES_PER_DEGREE)
            bucket = (line * 167 + column) & (TILES - 1)
            head[users] = i
            tail[users] = i
            tile[users] = bucket
            starts[bucket + 1] += 1
            users += 1
            slot[u7] = users
        else:
            following[tail[known - 1]] = i
            tail[known - 1] = i
            starts[tile[known - 1] + 1] += 1
    for bucket in range(TILES):
        starts[bucket + 1] += starts[bucket]
    usable = int(starts[TILES])
    for user in range(users):
        i = head[user]
        slot[batch.u7[i]] = 0
        length = 0
        while i >= 0:
            run[length] = i
            length += 1
            i = following[i]
        if length > 1:
            _sort_run(batch, run, spare, length)
        k = starts[tile[user]]
        for at in range(length):
            i = run[at]
            pings[k]["time_ms"] = batch.time_ms[i]
            pings[k]["lon"] = batch.lon[i]
            pings[k]["lat"] = batch.lat[i]
            pings[k]["speed_mps"] = batch.speed_mps[i]
            pings[k]["heading_deg"] = batch.heading_deg[i]
            pings[k]["accuracy_m"] = batch.accuracy_m[i]
            pings[k]["u7"] = batch.u7[i]
            pings[k]["row"] = i
            k += 1
        starts[tile[user]] = k
    return usable
