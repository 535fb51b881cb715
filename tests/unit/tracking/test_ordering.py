"""The order in which events are reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.tracking.events import EVENT
from geo_engine.tracking.ordering import in_order
from tests.examples import examples

_ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 5), st.integers(0, 9)), max_size=40)


@examples(60)
@given(rows=_ROWS, scale=st.sampled_from([1, 10**9, 10**17]), kernels=st.booleans())
def test_events_are_ordered_by_time_user_kind_zone(
    rows: list[tuple[int, int, int, int]], scale: int, kernels: bool
) -> None:
    events = np.zeros(len(rows), dtype=EVENT)
    for name, column in zip(("time_ms", "u7", "kind", "zone"), np.array(rows).reshape(-1, 4).T, strict=True):
        events[name] = column * (scale if name == "time_ms" else 1)
    found = [(e["time_ms"] // scale, e["u7"], e["kind"], e["zone"]) for e in in_order(events, compiled=kernels)]
    assert found == sorted(rows)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_one_event_are_in_order(count: int) -> None:
    assert len(in_order(np.zeros(count, dtype=EVENT))) == count


@pytest.mark.parametrize("kernels", [True, False])
def test_many_zones_at_one_moment_are_ordered_by_kind_then_zone(kernels: bool) -> None:
    events = np.zeros(60, dtype=EVENT)
    events["zone"], events["kind"] = np.arange(60)[::-1], np.arange(60) % 3
    found = in_order(events, compiled=kernels)
    assert found["kind"].tolist() == sorted(events["kind"].tolist())
    assert all(np.diff(found["zone"][found["kind"] == kind]).min() > 0 for kind in range(3))
