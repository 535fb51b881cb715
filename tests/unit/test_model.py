"""The columns of pings: how a batch is built, cut and joined, and what it refuses."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from geo_engine.model import PingBatch, RejectReason, Rejects, TransitionKind, TransitionReason, Transitions


def test_columns_nobody_gave_are_unknown() -> None:
    batch = PingBatch.from_columns([1], [2], [3.0], [4.0])
    assert np.isnan([batch.speed_mps[0], batch.heading_deg[0], batch.accuracy_m[0]]).all()


def test_columns_of_different_lengths_are_refused_with_the_lengths() -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        PingBatch.from_columns([1], [2, 3], [3.0], [4.0])


def test_arrow_table_is_read_with_timestamps_and_nulls() -> None:
    times = pa.array([1_792_382_400_000], pa.timestamp("ms", tz="UTC"))
    table = pa.table(
        {"u7": [7], "time": times, "lon": [114], "lat": [30.5], "accuracy_m": pa.array([None], pa.float64())}
    )
    batch = PingBatch.from_arrow(table)
    assert (batch.u7.tolist(), batch.time_ms.tolist(), batch.lon.tolist()) == ([7], [1_792_382_400_000], [114.0])
    assert np.isnan(batch.accuracy_m[0])
    assert batch.speed_mps.shape == (1,)


def test_arrow_table_without_a_required_value_is_refused() -> None:
    with pytest.raises(KeyError):
        PingBatch.from_arrow(pa.table({"u7": [1], "time": [1], "lon": [1.0]}))
    with pytest.raises(ValueError, match="found 1 nulls"):
        PingBatch.from_arrow(pa.table({"u7": pa.array([None], pa.int64()), "time": [1], "lon": [1.0], "lat": [1.0]}))


def test_joined_batches_keep_their_order_and_cutting_gives_them_back() -> None:
    one, two = PingBatch.from_columns([1], [2], [3.0], [4.0]), PingBatch.from_columns([5], [6], [7.0], [8.0])
    joined = PingBatch.concat([one, two])
    assert joined.u7.tolist() == [1, 5]
    assert joined.take(np.array([1])).lon.tolist() == [7.0]
    assert len(PingBatch.concat([])) == 0


def test_rejects_are_counted_by_reason_and_absent_reasons_are_not_listed() -> None:
    reasons = (RejectReason.LATE, RejectReason.MALFORMED, RejectReason.LATE)
    codes = np.array([tuple(RejectReason).index(reason) for reason in reasons], dtype=np.int8)
    rejects = Rejects(np.array([0, 4, 9]), codes)
    assert rejects.reasons() == reasons
    assert rejects.counts() == {"malformed": 1, "late": 2}
    assert len(rejects) == 3


def test_transitions_are_named_and_counted_by_kind_and_reason() -> None:
    nowhere = np.full(3, np.nan)
    found = Transitions(
        u7=np.arange(3),
        time_ms=np.arange(3),
        zone=np.arange(3),
        kind=np.array([2, 0, 2], dtype=np.int8),
        reason=np.array([0, 1, 0], dtype=np.int8),
        lon=nowhere,
        lat=nowhere,
        distance_m=nowhere,
        eta_s=nowhere,
    )
    moved, lost = TransitionReason.MOVED, TransitionReason.LOST
    assert found.kinds() == (TransitionKind.ENTER, TransitionKind.EXIT, TransitionKind.ENTER)
    assert found.reasons() == (moved, lost, moved)
    assert found.counts() == {(TransitionKind.EXIT, lost): 1, (TransitionKind.ENTER, moved): 2}
