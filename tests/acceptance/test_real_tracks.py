"""Exact replays of recorded tracks equal the oracle: nothing missing, nothing extra, in the same order."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.exactness_report import TRACKS, compare


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pings"), [("envirocar", 368), ("barefoot", 1_194), ("pneuma", 23_293)])
def test_an_exact_replay_of_a_recorded_track_equals_the_oracle(
    name: str, pings: int, shared_data: Path, tmp_path: Path
) -> None:
    comparison = compare(TRACKS[name], shared_data, tmp_path, spots=120)
    crossed = [row for row in comparison.expected if row.transition == "cross"]
    assert comparison.pings == pings, "the conversion lost or made up pings"
    assert comparison.expected, "the zones were placed so that there is something to find"
    assert crossed, "some visits must lie between two pings, or this test is too easy"
    assert comparison.missing().total() == 0
    assert comparison.extra().total() == 0
    assert comparison.found == comparison.expected, "the order of reporting differs"
