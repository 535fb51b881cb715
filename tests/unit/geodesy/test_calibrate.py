"""Which datum a source reports in: found from pairs with noise, and not claimed where it cannot be known."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine.geodesy.calibrate import HYPOTHESES, Enough, Reports, Verdict, calibrate, pair_up
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.geodesy.measure import destination
from geo_engine.testing import noon_ms


def pairs(
    datum: Datum,
    *,
    count: int = 60,
    noise_m: float = 20.0,
    users: int = 10,
    centre: tuple[float, float] = (114.3, 30.6),
    gap_s: float = 10.0,
    seed: int = 1,
) -> tuple[Reports, Reports]:
    """Location messages in GCJ-02 and events in ``datum`` of people who stand still, both with white noise."""
    drawn = np.random.default_rng(seed)
    lon, lat = centre[0] + drawn.normal(0.0, 0.05, count), centre[1] + drawn.normal(0.0, 0.05, count)
    u7, time_ms = drawn.integers(1, users + 1, count), noon_ms + np.arange(count) * 600_000

    def noisy(reported: Datum, after_s: float) -> Reports:
        reach = np.hypot(drawn.normal(0.0, noise_m, count), drawn.normal(0.0, noise_m, count))
        east, north = destination(lon, lat, drawn.uniform(0.0, 360.0, count), reach)
        return Reports(u7, time_ms + int(after_s * 1000), *from_wgs84(east, north, reported))

    return noisy(Datum.GCJ02, 0.0), noisy(datum, gap_s)


@pytest.mark.parametrize("datum", HYPOTHESES)
@pytest.mark.parametrize("seed", range(5))
def test_the_datum_is_found_from_pairs_with_twenty_metres_of_noise(datum: Datum, seed: int) -> None:
    found = calibrate(*pairs(datum, seed=seed))
    assert (found.verdict, found.datum, found.pairs, found.users) == (Verdict.CLEAR, datum, 60, 10)
    best, second = found.fits[0], found.fits[1]
    assert best.datum is datum
    assert best.median_m < 60.0
    assert second.median_m > 400.0
    assert best.wins == 60
    assert sum(fit.wins for fit in found.fits) == 60


def test_the_numbers_are_the_medians_of_the_distances() -> None:
    found = calibrate(*pairs(Datum.WGS84, noise_m=0.0))
    assert [found.fits[0].median_m, found.fits[0].p90_m] == pytest.approx([0.0, 0.0], abs=0.01)
    # What a wrong guess is in Wuhan.
    gcj = next(fit for fit in found.fits if fit.datum is Datum.GCJ02)
    assert gcj.median_m == pytest.approx(589.0, abs=30.0)


def test_too_few_pairs_or_people_are_not_enough_and_the_numbers_are_said_all_the_same() -> None:
    few = calibrate(*pairs(Datum.WGS84, count=19))
    assert (few.verdict, few.datum, few.pairs, len(few.fits)) == (Verdict.NOT_ENOUGH, None, 19, 3)
    assert calibrate(*pairs(Datum.WGS84, users=2)).verdict is Verdict.NOT_ENOUGH
    assert calibrate(*pairs(Datum.WGS84, count=19), enough=Enough(pairs=19)).datum is Datum.WGS84


def test_nothing_to_pair_is_not_enough() -> None:
    known, unknown = pairs(Datum.WGS84, gap_s=31.0)
    found = calibrate(known, unknown)
    assert (found.verdict, found.pairs, found.fits) == (Verdict.NOT_ENOUGH, 0, ())
    assert calibrate(*pairs(Datum.WGS84, gap_s=30.0)).pairs == 60


def test_abroad_the_datums_do_not_differ() -> None:
    found = calibrate(*pairs(Datum.WGS84, centre=(2.35, 48.85)))
    assert (found.verdict, found.datum) == (Verdict.NO_DIFFERENCE, None)


def test_without_any_noise_abroad_nothing_is_claimed_either() -> None:
    assert calibrate(*pairs(Datum.WGS84, centre=(2.35, 48.85), noise_m=0.0)).datum is None


def test_people_who_were_elsewhere_fit_no_datum() -> None:
    found = calibrate(*pairs(Datum.WGS84, noise_m=3_000.0))
    assert (found.verdict, found.datum) == (Verdict.NONE_FITS, None)


def test_each_message_is_paired_with_the_event_of_the_same_person_nearest_in_time() -> None:
    known = Reports(np.array([1, 2, 3]), np.array([100_000, 100_000, 100_000]), np.zeros(3), np.zeros(3))
    times = np.array([95_000, 103_000, 100_000, 140_000])
    unknown = Reports(np.array([1, 1, 4, 2]), times, np.zeros(4), np.zeros(4))
    mine, theirs = pair_up(known, unknown, within_s=30.0)
    assert (mine.tolist(), theirs.tolist()) == ([0], [1])
    mine, theirs = pair_up(known, unknown, within_s=40.0)
    assert (mine.tolist(), theirs.tolist()) == ([0, 1], [1, 3])


def test_what_is_not_a_position_is_left_out() -> None:
    known, unknown = pairs(Datum.GCJ02)
    broken = Reports(unknown.u7, unknown.time_ms, np.where(np.arange(60) < 5, np.nan, unknown.lon), unknown.lat)
    found = calibrate(known, broken)
    assert (found.pairs, found.datum) == (55, Datum.GCJ02)
