"""Screening: what is refused, in which order, and how a jump is told from a journey."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine.errors import ConfigurationError
from geo_engine.model import PingBatch, RejectReason
from geo_engine.testing import noon_ms, straight_drive
from geo_engine.tracking.screening import REASONS, JumpLimits, absurd_jumps, arrange, screen
from geo_engine.tracking.state import PACKED_ROW, PLACED
from geo_engine.tracking.steps import Steps


def reasons(batch: PingBatch, *, max_accuracy_m: float | None = None) -> list[RejectReason | None]:
    codes = screen(batch, latest_ms=noon_ms, late_ms=None, max_accuracy_m=max_accuracy_m)
    return [None if code < 0 else REASONS[code] for code in codes.tolist()]


def test_first_fault_of_a_ping_names_it() -> None:
    batch = PingBatch.from_columns([-1, 1], [0, noon_ms], [999.0, 114.0], [999.0, 30.0])
    assert reasons(batch) == [RejectReason.U7_OUT_OF_RANGE, None]


@pytest.mark.parametrize(("lon", "lat"), [(180.0, 90.0), (-180.0, -90.0), (0.0, 0.0)])
def test_places_at_the_ends_of_the_ranges_are_usable(lon: float, lat: float) -> None:
    assert reasons(PingBatch.from_columns([9_999_999], [noon_ms], [lon], [lat])) == [None]


def test_accuracy_counts_only_where_it_is_reported_and_limited() -> None:
    batch = PingBatch.from_columns([1, 2], [noon_ms] * 2, [114.0] * 2, [30.0] * 2, accuracy_m=[500.0, np.nan])
    assert reasons(batch, max_accuracy_m=200.0) == [RejectReason.INACCURATE, None]
    assert reasons(batch) == [None, None]


def test_pings_are_ordered_by_user_and_time_and_the_more_accurate_twin_is_kept() -> None:
    batch = PingBatch.from_columns(
        [2, 1, 1, 1],
        [noon_ms, noon_ms + 5, noon_ms, noon_ms],
        [1.0, 2.0, 3.0, 4.0],
        [0.0] * 4,
        accuracy_m=[1.0, 1.0, 9.0, 3.0],
    )
    rows, repeated, late = arrange(batch, np.arange(4), np.zeros(4, dtype=np.int64))
    assert rows.tolist() == [3, 1, 0]
    assert repeated.tolist() == [2]
    assert late.tolist() == []


def test_known_time_is_a_repeat_and_an_earlier_one_is_late() -> None:
    batch = PingBatch.from_columns([1, 1, 1], [noon_ms - 1, noon_ms, noon_ms + 1], [0.0] * 3, [0.0] * 3)
    rows, repeated, late = arrange(batch, np.arange(3), np.full(3, noon_ms))
    assert (rows.tolist(), repeated.tolist(), late.tolist()) == ([2], [1], [0])


def jumped(kmh: float, **known: float) -> tuple[bool, bool]:
    """Return (absurd, anchored) of a ping 5 s after another at such a speed; ``known`` are fields of the row."""
    place, there = straight_drive(1, pings=2, speed_mps=kmh / 3.6).lon.tolist()
    row = np.zeros(1, dtype=PACKED_ROW)
    for name, value in {"flags": PLACED, "time_ms": noon_ms, "lon": place, "lat": 30.6, **known}.items():
        row[name] = value
    ping = PingBatch.from_columns([1], [noon_ms + 5000], [there], [30.6])
    absurd, anchored = absurd_jumps(Steps.of(ping, row), JumpLimits())
    return bool(absurd[0]), bool(anchored[0])


def test_ordinary_drive_has_no_jump() -> None:
    assert jumped(110.0) == (False, False)


@pytest.mark.parametrize("kmh", [545.0, 1693.0, 3304.0])
def test_absurd_speeds_of_real_tracks_are_set_aside(kmh: float) -> None:
    assert jumped(kmh) == (True, False)


def test_place_is_believed_after_several_jumps() -> None:
    assert jumped(3304.0, jumps=2) == (True, False)
    assert jumped(3304.0, jumps=3) == (False, True)


def test_user_never_heard_of_can_be_anywhere() -> None:
    assert jumped(3304.0, flags=0, time_ms=0) == (False, False)


@pytest.mark.parametrize("believe_after", [-1, 256])
def test_count_of_jumps_that_no_row_can_keep_is_refused(believe_after: int) -> None:
    with pytest.raises(ConfigurationError, match=r"expected 0 \.\. 255"):
        JumpLimits(believe_after=believe_after)
