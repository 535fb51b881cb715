"""Companions: near once, far once, lost once, by the true distance."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine.geodesy.measure import distance_m
from geo_engine.testing import noon_ms
from geo_engine.tracking.companions import CompanionChange, Companions, Seen

LOST_MS, SLACK_M = 900_000, 50.0


def brute(history: list[tuple[float, int, int]], radius_m: float) -> list[str]:
    """Say what one pair is told, step by step; each step is (metres apart, earlier sign, now)."""
    near, told = False, []
    for apart_m, first_ms, now_ms in history:
        there = first_ms > 0 and first_ms + LOST_MS > now_ms
        comes = there and apart_m <= (radius_m + SLACK_M if near else radius_m)
        if comes != near:
            told.append("near" if comes else "far" if there else "lost")
        near = comes
    return told


@pytest.mark.parametrize("seed", range(10))
def test_each_of_many_pairs_is_told_what_it_would_be_told_alone(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    count = 40
    radius_m = drawn.uniform(100.0, 2000.0, count)
    pairs = Companions(radius_m, slack_m=SLACK_M, lost_after_ms=LOST_MS)
    told: list[list[str]] = [[] for _ in range(count)]
    history: list[list[tuple[float, int, int]]] = [[] for _ in range(count)]
    for step in range(30):
        now_ms = noon_ms + step * 60_000
        one, other = (
            Seen(
                114.3 + drawn.normal(0.0, 0.008, count),
                30.6 + drawn.normal(0.0, 0.008, count),
                np.where(drawn.random(count) < 0.05, 0, now_ms - drawn.integers(0, 1_000_000, count)),
            )
            for _ in range(2)
        )
        found = pairs.step(one, other, now_ms)
        for pair, change in zip(found.pair.tolist(), found.changes(), strict=True):
            told[pair].append(change.value)
        apart_m = distance_m(one.lon, one.lat, other.lon, other.lat)
        first_ms = np.minimum(one.time_ms, other.time_ms)
        for pair in range(count):
            history[pair].append((float(apart_m[pair]), int(first_ms[pair]), now_ms))
    assert told == [brute(one, radius) for one, radius in zip(history, radius_m.tolist(), strict=True)]
    assert {change for one in told for change in one} == {change.value for change in CompanionChange}


def test_noise_at_the_radius_says_near_once_and_without_slack_it_flaps() -> None:
    for slack_m, count in ((50.0, 1), (0.0, 10)):
        pair = Companions(np.array([1000.0]), slack_m=slack_m)
        told = 0
        for step in range(10):
            now_ms = noon_ms + step * 5000
            here = Seen(np.array([114.3]), np.array([30.6]), np.array([now_ms]))
            apart_deg = (995.0 + 10.0 * (step % 2)) / 95_850.0
            told += len(pair.step(here, Seen(here.lon + apart_deg, here.lat, here.time_ms), now_ms).pair)
        assert told == count


def test_silence_is_lost_at_its_moment_and_who_was_never_near_is_not_lost() -> None:
    here = Seen(np.array([114.3] * 2), np.array([30.6] * 2), np.array([noon_ms] * 2))
    other = Seen(np.array([114.3, 114.5]), here.lat, here.time_ms)
    pairs = Companions(np.array([1000.0] * 2))
    assert pairs.step(here, other, noon_ms).pair.tolist() == [0]
    found = pairs.step(here, other, noon_ms + LOST_MS + 5000)
    assert (found.pair.tolist(), found.changes()) == ([0], (CompanionChange.LOST,))
    assert found.time_ms.tolist() == [noon_ms + LOST_MS]
