"""What happens at a border: a vehicle parked beside it, one that drives over it, and zones narrower than a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from benchmarks.quality.findings import Forecaster, Ground, Moments
from benchmarks.quality.frame import Frame
from benchmarks.quality.sensing import Motions, Sensing, sense
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, PingBatch
from geo_engine.testing import noon_ms

__all__ = ["COUNTED", "Delay", "enter_delays", "narrow_found", "parked_per_hour", "switches"]

_FRAME: Final = Frame(114.3, 30.6)
_SIGMA_M: Final = 10.0
_BESIDE_M: Final = 10.0
_SIDE_M: Final = 800.0
_PARKED: Final = 100
_ENTER_MPS: Final = 60 / 3.6
_STEP_M: Final = 130.0
_CHORD_M: Final = 20.0
_SEED: Final = 11

COUNTED: Final = {"point by point": (1, 0.0), "three in a row": (3, 0.0), "two of two, gated by accuracy": (2, 1.0)}
"""The ways others judge sides by: so many pings in a row, each so many times its accuracy away from the border."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Pings from the first one truly inside to the one that showed the enter; below 0 = before it.

    Attributes:
        median: of all users.
        p95: 95 % of the users had no more.
        late_share: share of the users with more than two pings.
        missed: users whose enter never showed.
    """

    median: float
    p95: float
    late_share: float
    missed: int


def switches(depth_m: FloatColumn, accuracy_m: FloatColumn, in_a_row: int, gate: float) -> BoolColumn:
    """Return (pings, users) where a counted side changes; users begin outside.

    Args:
        depth_m: (pings, users) metres inside, negative outside.
        accuracy_m: the same of the accuracy reported.
        in_a_row: so many pings must agree.
        gate: each must lie more than so many times its accuracy away from the border.
    """
    inside = np.zeros(depth_m.shape[1], dtype=np.bool_)
    runs = np.zeros((2, depth_m.shape[1]), dtype=np.int64)
    found = np.zeros(depth_m.shape, dtype=np.bool_)
    for row, (depth, accuracy) in enumerate(zip(depth_m, accuracy_m, strict=True)):
        clear = np.stack([-depth > gate * accuracy, depth > gate * accuracy])
        runs = np.where(clear, runs + 1, 0)
        now = np.where(runs[1] >= in_a_row, True, np.where(runs[0] >= in_a_row, False, inside))
        found[row] = now != inside
        inside = now
    return found


def parked_per_hour(way: Forecaster, *, hours: float = 10.0) -> dict[str, float]:
    """Return false transitions per hour of vehicles parked 10 m outside a straight edge, sigma 10 m, every 5 s."""
    pings = _parked(round(hours * 3600))
    found = way.find(pings, _one_zone())
    all_hours = _PARKED * hours
    depth_m, accuracy_m = _depths(pings, _PARKED)
    others = {name: switches(depth_m, accuracy_m, *rule).sum() / all_hours for name, rule in COUNTED.items()}
    return {way.name: (len(found.entries) + len(found.exits)) / all_hours, **others}


def enter_delays(way: Forecaster, *, users: int = 300) -> dict[str, Delay]:
    """Return the delay of a true enter at 60 km/h, sigma 10 m, every 5 s."""
    seconds = np.arange(120)
    place = np.zeros((len(seconds), users, 2))
    place[:, :, 0] = (_ENTER_MPS * (seconds - 60))[:, None]
    motions = Motions(place, np.full(place.shape[:2], _ENTER_MPS), np.full(place.shape[:2], 90.0))
    pings, second = sense(motions, Sensing(5, _SIGMA_M), _FRAME, start_ms=noon_ms, seed=_SEED)
    first = np.full(users, len(seconds))
    np.minimum.at(first, pings.u7[second >= 60], second[second >= 60])
    depth_m, accuracy_m = _depths(pings, users)
    time_s = second[np.lexsort((second, pings.u7))].reshape(users, -1).T
    delays = {way.name: _delay(_first_s(way.find(pings, _one_zone()).entries, users), first)}
    for name, rule in COUNTED.items():
        changed = switches(depth_m, accuracy_m, *rule)
        shown = np.where(changed.any(axis=0), time_s[changed.argmax(axis=0), np.arange(users)], np.nan)
        delays[name] = _delay(shown, first)
    return delays


def narrow_found(way: Forecaster, *, sigma_m: float, users: int = 40) -> Mapping[str, int]:
    """Count which zones 20 m deep are noticed by vehicles that move 130 m between two pings, every 5 s."""
    seconds = np.arange(600)
    speed_mps = _STEP_M / 5.0
    place = np.zeros((len(seconds), users, 2))
    place[:, :, 0] = (speed_mps * seconds)[:, None]
    motions = Motions(place, np.full(place.shape[:2], speed_mps), np.full(place.shape[:2], 90.0))
    pings, _ = sense(motions, Sensing(5, sigma_m), _FRAME, start_ms=noon_ms, seed=_SEED)
    begins_m = np.arange(400.0, speed_mps * len(seconds) - 400.0, 437.0)
    zones = tuple(_placed(shapely.box(begin_m, -150.0, begin_m + _CHORD_M, 150.0)) for begin_m in begins_m)
    found = way.find(pings, Ground(zones)).entries
    pairs = np.unique(found.u7 * len(zones) + found.zone)
    return {"visits": users * len(zones), "found": len(pairs), "entries": len(found)}


def _parked(seconds: int) -> PingBatch:
    place = np.zeros((seconds, _PARKED, 2))
    place[:, :, 0] = -_BESIDE_M
    still = np.zeros(place.shape[:2])
    return sense(Motions(place, still, still), Sensing(5, _SIGMA_M), _FRAME, start_ms=noon_ms, seed=_SEED)[0]


def _one_zone() -> Ground:
    """Return the zone of both experiments; its west edge is at 0 m east."""
    return Ground((_placed(shapely.box(0.0, -_SIDE_M, 2 * _SIDE_M, _SIDE_M)),))


def _placed(shape: shapely.Polygon) -> shapely.Polygon:
    moved: shapely.Polygon = shapely.transform(shape, _FRAME.to_degrees)
    return moved


def _depths(pings: PingBatch, users: int) -> tuple[FloatColumn, FloatColumn]:
    """Return metres east of the edge and accuracy, (pings, users)."""
    order = np.lexsort((pings.time_ms, pings.u7))
    east_m = _FRAME.to_metres(np.column_stack([pings.lon, pings.lat]))[order, 0]
    return east_m.reshape(users, -1).T, pings.accuracy_m[order].reshape(users, -1).T


def _first_s(entries: Moments, users: int) -> FloatColumn:
    found = np.full(users, np.inf)
    np.minimum.at(found, entries.u7, (entries.time_ms - noon_ms) / 1000.0)
    return np.where(np.isinf(found), np.nan, found)


def _delay(shown_s: FloatColumn, first_s: IntColumn) -> Delay:
    pings = (shown_s - first_s) / 5.0
    there = pings[~np.isnan(pings)]
    if not len(there):
        return Delay(float("nan"), float("nan"), 1.0, len(shown_s))
    late = int((there > 2.0).sum()) + int(np.isnan(pings).sum())
    return Delay(
        float(np.median(there)), float(np.percentile(there, 95)), late / len(pings), int(np.isnan(pings).sum())
    )
