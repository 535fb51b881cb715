"""The ceiling: what could be known at best before the driver himself has decided.

An oracle that sees the true place, knows the network, the habits at every junction and how long signals take. For each
directed stretch and zone it computes the distribution of the time until the zone is first entered, by dynamic
programming over the Markov chain of turns; it warns when P(entry within 180 s) >= theta and the expected time <= eta.
The expected time is the median of the time driven: a mean would mix the short way with those round many corners, and
time spent waiting would make the warning late for whoever finds the signals green. Both cost precision at high recall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.quality.drives import BRAKES, GREEN_SHARE, RED_S, SPEEDS_UP, STOPS_PER_S, Drives, turn_mps
from benchmarks.quality.findings import COVER_MS, Moments
from benchmarks.quality.grounds import Spans
from benchmarks.quality.score import Record, Score, score
from benchmarks.quality.streets import MOVEMENTS, Streets
from benchmarks.quality.truth import OUTSIDE_S, Stays
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["ETAS_S", "THETAS", "Chances", "Outlook", "ceiling", "chances_of", "outlook"]

_PERCENT: Final = (1, 2, 3, 5, 8, 10, 12, 14, 16, 18, 20, 25, 30, 37, 45, 55, 65, 75, 85, 92, 97)
THETAS: Final = tuple(percent / 100 for percent in _PERCENT)
ETAS_S: Final = (18, 20, 22, 24, 26, 28, 30, 32, 35, 38, 42, 46, 52, 60, 75, 100, 140)

_BIN_S: Final = 3.0
_BINS: Final = round(COVER_MS / 1000 / _BIN_S)
_LEAST: Final = 0.01
"""A zone less likely is none of a stretch's outlook."""
_LOSS_S: Final = 1.0 / BRAKES + 1.0 / SPEEDS_UP
"""Seconds it takes to brake by one metre per second and to speed up again."""


@dataclass(frozen=True, slots=True)
class Chances:
    """When zones are first entered after a stretch was left at its end.

    Attributes:
        zone: zones with streets in them; the columns below have one entry each.
        entry_m: (stretches, zones) metres into the stretch at which the zone begins, inf = it is not on it.
        speed_mps: expected speed per stretch.
        wait_s: expected time lost at the end of the stretch: signal and bends.
        length_m: of the stretch.
        summed: (stretches, zones, bins) probability of entering until the end of each bin of 3 s.
        median_s: (stretches, zones) half of those who enter within 180 s have entered by then.
    """

    zone: IntColumn
    entry_m: FloatColumn
    speed_mps: FloatColumn
    wait_s: FloatColumn
    length_m: FloatColumn
    summed: FloatColumn
    median_s: FloatColumn


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the oracle thinks at each ping about each zone it may come to, ordered by user, zone, time.

    Attributes:
        at: user, zone and time.
        chance: P(visit within 180 s).
        eta_s: median seconds until then, if it comes.
    """

    at: Moments
    chance: FloatColumn
    eta_s: FloatColumn


def ceiling(seen: Outlook, record: Record) -> dict[tuple[float, float], Score]:
    """Return the score of the oracle for every (theta, eta)."""
    scores = {}
    for theta in THETAS:
        likely = np.flatnonzero(seen.chance >= theta)
        for eta_s in ETAS_S:
            rows = likely[seen.eta_s[likely] <= eta_s]
            scores[theta, float(eta_s)] = score(seen.at.take(rows), record)
    return scores


def chances_of(streets: Streets, spans: Spans) -> Chances:
    """Compute the chances of all stretches and zones at once. Cost: 0.1 s for 600 stretches and 56 zones on them."""
    zone = np.unique(spans.zone)
    column = np.searchsorted(zone, spans.zone)
    entry_m = np.full((len(streets), len(zone)), np.inf)
    np.minimum.at(entry_m, (spans.stretch, column), spans.begin_m)
    wait_s = _bend_loss_s(streets) + np.where(streets.signal, (1.0 - GREEN_SHARE) * (sum(RED_S) - 1) / 2.0, 0.0)
    took = _durations(streets)
    entering = _entering(entry_m, streets.speed_mps)
    passed = np.isinf(entry_m)
    mass = np.zeros((_BINS, len(streets), len(zone)))
    for moment in range(_BINS):
        begun = entering[moment].copy()
        for back in range(1, min(took.shape[1], moment + 1)):
            begun += took[:, back, None] * mass[moment - back] * passed
        for movement in range(MOVEMENTS):
            mass[moment] += streets.chance[:, movement, None] * begun[streets.following[:, movement]]
    summed = np.cumsum(np.moveaxis(mass, 0, 2), axis=2)
    median_s = (summed < summed[:, :, -1:] / 2.0).sum(axis=2) * _BIN_S
    return Chances(zone, entry_m, streets.speed_mps, wait_s, streets.length_m, summed, median_s)


def _bend_loss_s(streets: Streets) -> FloatColumn:
    """Return the time the bend at the end of each stretch costs on average.

    While the speed changes evenly between v and v - d, the time lost on the way of duration t is t * d / (2 * v).
    """
    slower_mps = np.maximum(streets.speed_mps[:, None] - turn_mps(streets), 0.0)
    lost_s = slower_mps**2 / streets.speed_mps[:, None] * _LOSS_S / 2.0
    return np.asarray((streets.chance * lost_s).sum(axis=1))


def _durations(streets: Streets) -> FloatColumn:
    """Return (stretches, bins): how long a stretch takes; the missing rest of each row is who stops at the kerb."""
    drive_s = streets.length_m / streets.speed_mps + _bend_loss_s(streets)
    reds_s = np.arange(*RED_S)
    took = np.zeros((len(streets), round((drive_s.max() + RED_S[1]) / _BIN_S) + 2))
    _spread(took, drive_s, np.where(streets.signal, GREEN_SHARE, 1.0))
    for red_s in reds_s:
        _spread(took, drive_s + red_s, np.where(streets.signal, (1.0 - GREEN_SHARE) / len(reds_s), 0.0))
    return np.asarray(took * np.exp(-STOPS_PER_S * drive_s)[:, None])


def _spread(took: FloatColumn, seconds: FloatColumn, weight: FloatColumn) -> None:
    """Add weights at moments, each shared by the two bins around it so that the mean stays."""
    low = np.floor(seconds / _BIN_S).astype(np.int64)
    share = seconds / _BIN_S - low
    rows = np.arange(len(took))
    took[rows, low] += weight * (1.0 - share)
    took[rows, low + 1] += weight * share


def _entering(entry_m: FloatColumn, speed_mps: FloatColumn) -> FloatColumn:
    """Return (bins, stretches, zones): 1 in the bin in which a zone on the stretch is reached from its begin."""
    stretch, column = np.nonzero(np.isfinite(entry_m))
    moment = np.rint(entry_m[stretch, column] / speed_mps[stretch] / _BIN_S).astype(np.int64)
    found = np.zeros((_BINS, *entry_m.shape))
    found[np.minimum(moment, _BINS - 1), stretch, column] = 1.0
    return found


def outlook(chances: Chances, drives: Drives, stays: Stays, user: IntColumn, second: IntColumn) -> Outlook:
    """Say what the oracle thinks at the given moments of users; who stands at the kerb is not thought about."""
    driving = np.flatnonzero(~drives.parked[second, user])
    order = driving[np.lexsort((second[driving], user[driving]))]
    parts = [_looked(chances, drives, user[rows], second[rows]) for rows in np.array_split(order, 24)]
    users, zone, seconds, chance, eta_s = (np.concatenate(column) for column in zip(*parts, strict=True))
    outside_s = _outside_s(stays, users, zone, seconds)
    # An entry sooner than 60 s after the last stay is no visit, whatever its chance.
    kept = np.flatnonzero((outside_s >= 0) & (outside_s + eta_s >= OUTSIDE_S))
    kept = kept[np.lexsort((seconds[kept], zone[kept], users[kept]))]
    return Outlook(Moments(users[kept], zone[kept], seconds[kept] * 1000), chance[kept], eta_s[kept])


def _looked(
    chances: Chances, drives: Drives, user: IntColumn, second: IntColumn
) -> tuple[IntColumn, IntColumn, IntColumn, FloatColumn, FloatColumn]:
    """Return user, zone, second, chance and expected seconds of all zones in reach of some moments."""
    stretch, along_m = drives.stretch[second, user], drives.along_m[second, user]
    ping, column = np.nonzero((chances.summed[stretch, :, -1] >= _LEAST) | np.isfinite(chances.entry_m[stretch]))
    on, at_m = stretch[ping], along_m[ping]
    speed_mps = chances.speed_mps[on]
    ahead_m = chances.entry_m[on, column] - at_m
    left_s = (chances.length_m[on] - at_m) / speed_mps
    last = np.clip(((COVER_MS / 1000 - left_s - chances.wait_s[on]) / _BIN_S).astype(np.int64), 0, _BINS - 1)
    chance = chances.summed[on, column, last]
    eta_s = left_s + chances.median_s[on, column]
    here = np.isfinite(ahead_m) & (ahead_m >= 0.0)
    chance, eta_s = np.where(here, 1.0, chance), np.where(here, ahead_m / speed_mps, eta_s)
    kept = np.flatnonzero(chance >= _LEAST)
    return user[ping[kept]], chances.zone[column[kept]], second[ping[kept]], chance[kept], eta_s[kept]


def _outside_s(stays: Stays, user: IntColumn, zone: IntColumn, second: IntColumn) -> IntColumn:
    """Return for how long users are outside zones at moments, below 0 = they are inside."""
    pair = (stays.user * 4096 + stays.zone) << 24
    key = (user * 4096 + zone) << 24
    row = np.searchsorted(pair + stays.begin_s, key + second, side="right") - 1
    known = (row >= 0) & (pair[np.maximum(row, 0)] == key)
    return np.where(known, second - stays.end_s[np.maximum(row, 0)], second)
