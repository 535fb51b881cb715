"""Finds out in which datum a source reports, by comparing it with positions of the same people in a known datum.

WeChat does not say in which datum its LOCATION event is (a wrong guess is half a kilometre in Wuhan). The same person's
location messages are picked on Tencent's map, so they are GCJ-02; who sends one stands near where the event says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from geo_engine.geodesy.datum import Datum, to_wgs84
from geo_engine.geodesy.measure import distance_m
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["HYPOTHESES", "Calibration", "Enough", "Fit", "Reports", "Verdict", "calibrate", "pair_up"]

HYPOTHESES: Final = (Datum.WGS84, Datum.GCJ02, Datum.BD09)
"""The datums a phone may report in; CGCS2000 cannot be told from WGS-84 by positions of phones."""


class Verdict(StrEnum):
    """Whether the datum is clear."""

    CLEAR = "clear"
    NOT_ENOUGH = "not_enough"
    """Too few pairs, or too few people."""
    NO_DIFFERENCE = "no_difference"
    """The datums do not differ where the pairs lie (outside China), or no more than the noise."""
    NONE_FITS = "none_fits"
    """Even the best datum is far off: people were not where they sent their place from, or it is another datum."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Positions somebody reported, in columns: u7, epoch milliseconds, degrees east and north."""

    u7: IntColumn
    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn

    def take(self, rows: IntColumn) -> Reports:
        """Return the given rows."""
        return Reports(self.u7[rows], self.time_ms[rows], self.lon[rows], self.lat[rows])


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a datum explains the pairs.

    Attributes:
        datum: the datum.
        median_m: median of the distances between both positions of a pair, if the source reports in this datum.
        p90_m: the distance that nine of ten pairs keep below.
        wins: pairs that fit this datum better than any other.
    """

    datum: Datum
    median_m: float
    p90_m: float
    wins: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found.

    Attributes:
        verdict: whether it is clear.
        datum: the datum that fits, None when it is not clear.
        fits: every hypothesis, the best first.
        pairs: pairs that were compared.
        users: people they come from.
    """

    verdict: Verdict
    datum: Datum | None
    fits: tuple[Fit, ...]
    pairs: int
    users: int


@dataclass(frozen=True, slots=True)
class Enough:
    """When the datum counts as clear.

    Attributes:
        within_s: how far apart in time the reports of a pair may be; who drives moves 15 m a second.
        pairs: fewer are not enough.
        users: a single phone proves nothing about the others.
        noise_m: what position noise and movement may amount to.
    """

    within_s: float = 30.0
    pairs: int = 20
    users: int = 3
    noise_m: float = 100.0


def pair_up(known: Reports, unknown: Reports, *, within_s: float) -> tuple[IntColumn, IntColumn]:
    """Return (row of ``known``, row of ``unknown``): for each known report the one of the same user nearest in time.

    Of two equally near the earlier is taken. Reports without one within ``within_s`` seconds are left out. Cost: two
    sorts.
    """
    order = np.lexsort((unknown.time_ms, unknown.u7))
    theirs = unknown.take(order)
    # The place of each known report among the others, by user and time.
    users, row = np.unique(np.concatenate([known.u7, theirs.u7]), return_inverse=True)
    asked, there = row[: len(known.u7)], row[len(known.u7) :]
    begin = np.searchsorted(there, np.arange(len(users)))
    end = np.searchsorted(there, np.arange(len(users)), side="right")
    best = np.full(len(asked), -1, dtype=np.int64)
    for place, user in enumerate(asked.tolist()):
        times = theirs.time_ms[begin[user] : end[user]]
        if not len(times):
            continue
        gaps = np.abs(times - known.time_ms[place])
        nearest = int(np.argmin(gaps))
        if gaps[nearest] <= within_s * 1000:
            best[place] = order[begin[user] + nearest]
    found = np.flatnonzero(best >= 0)
    return found, best[found]


def calibrate(
    known: Reports,
    unknown: Reports,
    *,
    known_datum: Datum = Datum.GCJ02,
    enough: Enough = Enough(),
) -> Calibration:
    """Say in which datum a source reports.

    It is clear when there are enough pairs, the best datum's median is at most ``enough.noise_m``, half that of the
    next one or less, and the best datum wins at least two of three pairs.

    Args:
        known: reports of which the datum is known, such as location messages.
        unknown: reports of the source in question, such as LOCATION events.
        known_datum: the datum of the former.
        enough: what is asked of the pairs.
    """
    mine, theirs = pair_up(known, unknown, within_s=enough.within_s)
    lon, lat = to_wgs84(known.lon[mine], known.lat[mine], known_datum)
    apart = np.empty((len(HYPOTHESES), len(mine)))
    for row, datum in enumerate(HYPOTHESES):
        apart[row] = distance_m(lon, lat, *to_wgs84(unknown.lon[theirs], unknown.lat[theirs], datum))
    apart = apart[:, np.isfinite(apart).all(axis=0)]
    pairs, users = apart.shape[1], len(np.unique(known.u7[mine]))
    if not pairs:
        return Calibration(Verdict.NOT_ENOUGH, None, (), 0, 0)
    wins = np.bincount(np.argmin(apart, axis=0), minlength=len(HYPOTHESES)).tolist()
    fits = [
        Fit(datum, float(np.median(row)), float(np.quantile(row, 0.9)), count)
        for datum, row, count in zip(HYPOTHESES, apart, wins, strict=True)
    ]
    ranked = tuple(sorted(fits, key=lambda fit: fit.median_m))
    many = pairs >= enough.pairs and users >= enough.users
    verdict = _verdict(ranked, pairs, enough.noise_m) if many else Verdict.NOT_ENOUGH
    return Calibration(verdict, ranked[0].datum if verdict is Verdict.CLEAR else None, ranked, pairs, users)


def _verdict(ranked: Sequence[Fit], pairs: int, noise_m: float) -> Verdict:
    best, second = ranked[0], ranked[1]
    if second.median_m < 2.0 * best.median_m or second.median_m - best.median_m < 1.0 or 3 * best.wins < 2 * pairs:
        return Verdict.NO_DIFFERENCE if best.median_m <= noise_m else Verdict.NONE_FITS
    return Verdict.CLEAR if best.median_m <= noise_m else Verdict.NONE_FITS
