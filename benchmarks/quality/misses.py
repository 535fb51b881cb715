"""Why warnings fail: each missed visit and each false warning under one cause, by what truly happened."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from benchmarks.quality.city_case import CityCase
from benchmarks.quality.findings import COVER_MS, Moments, keys_of
from benchmarks.quality.score import Verdict
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["false_by_cause", "missed_by_cause"]

_TURNED_DEG: Final = 30.0
_CRAWLS_M: Final = 60.0
_LONG_AGO_MS: Final = 600_000


def missed_by_cause(case: CityCase, verdict: Verdict) -> dict[str, int]:
    """Count the missed visits under the first cause that holds.

    - ``warned too early``: a warning 180 to 600 s before, so the visit was thought to be announced;
    - ``turned in the last 15 s``: the way 15 s before led elsewhere (more than 30 degrees);
    - ``stood or crawled``: less than 60 m in the minute before the last 15 s;
    - ``late``: the way was straight, the warning came within 15 s;
    - ``unseen``: none of these, and no warning.
    """
    missed = np.flatnonzero(~verdict.in_time)
    user, second = verdict.visits.u7[missed], _seconds(case, verdict.visits.time_ms[missed])
    before = np.maximum(second - 15, 0)
    heading = case.drives.heading_deg
    turned = np.abs(_turn(heading[before, user], heading[second, user])) > _TURNED_DEG
    way = case.drives.place[before, user] - case.drives.place[np.maximum(second - 75, 0), user]
    crawled = np.hypot(way[:, 0], way[:, 1]) < _CRAWLS_M
    causes = {
        "warned too early": _warned_before(verdict, missed),
        "turned in the last 15 s": turned,
        "stood or crawled": crawled,
        "late": ~np.isnan(verdict.lead_s[missed]),
        "unseen": np.ones(len(missed), dtype=np.bool_),
    }
    return _first_cause(causes)


def false_by_cause(case: CityCase, verdict: Verdict) -> dict[str, int]:
    """Count the false warnings under the first cause that holds.

    - ``decoy``: the zone is one nobody drives into;
    - ``came later``: a visit followed, 180 to 600 s later;
    - ``entry that is no visit``: the user entered within 180 s, less than 60 s after he was inside;
    - ``turned away``: 45 s later he drove in another direction by more than 30 degrees, or stood;
    - ``passed by``: none of these.
    """
    rows = np.flatnonzero(~verdict.came_true)
    at = verdict.warnings.take(rows)
    second = _seconds(case, at.time_ms)
    later = np.minimum(second + 45, case.drives.seconds - 1)
    heading, place = case.drives.heading_deg, case.drives.place
    way = place[later, at.u7] - place[second, at.u7]
    turned = np.abs(_turn(heading[second, at.u7], heading[later, at.u7])) > _TURNED_DEG
    stays = Moments(case.stays.user, case.stays.zone, case.record.start_ms + case.stays.begin_s * 1000)
    causes = {
        "decoy": np.isin(np.array(case.grounds.sort)[at.zone], ("parallel", "behind")),
        "entry that is no visit": _followed(at, stays, 0, COVER_MS),
        "came later": _followed(at, case.record.visits, COVER_MS, _LONG_AGO_MS),
        "turned away": turned | (np.hypot(way[:, 0], way[:, 1]) < _CRAWLS_M),
        "passed by": np.ones(len(rows), dtype=np.bool_),
    }
    return _first_cause(causes)


def _followed(at: Moments, events: Moments, low_ms: int, high_ms: int) -> BoolColumn:
    """Say after which moments an event of the same user and zone came within a span of time."""
    start_ms = int(min(at.time_ms.min(initial=0), events.time_ms.min(initial=0)))
    wanted = keys_of(at.u7, at.zone, at.time_ms, start_ms)
    known = np.sort(keys_of(events.u7, events.zone, events.time_ms, start_ms))
    found: BoolColumn = np.searchsorted(known, wanted + high_ms, side="right") > np.searchsorted(known, wanted + low_ms)
    return found


def _warned_before(verdict: Verdict, missed: IntColumn) -> BoolColumn:
    at = verdict.visits.take(missed)
    back = Moments(at.u7, at.zone, at.time_ms - _LONG_AGO_MS)
    return _followed(back, verdict.warnings, 0, _LONG_AGO_MS - COVER_MS)


def _seconds(case: CityCase, time_ms: IntColumn) -> IntColumn:
    return np.asarray((time_ms - case.record.start_ms) // 1000)


def _turn(before_deg: FloatColumn, after_deg: FloatColumn) -> FloatColumn:
    return np.asarray((after_deg - before_deg + 180.0) % 360.0 - 180.0)


def _first_cause(causes: dict[str, BoolColumn]) -> dict[str, int]:
    names = list(causes)
    first = np.argmax(np.stack(list(causes.values())), axis=0)
    counted = Counter(first.tolist())
    return {name: counted[number] for number, name in enumerate(names)}
