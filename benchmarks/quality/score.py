"""Recall, precision and lead of warnings, by the definitions of the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from benchmarks.quality.findings import COVER_MS, Moments, first_of_each_cover, keys_of
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["LEAST_LEAD_MS", "Record", "Score", "Verdict", "best_precision", "hull", "judge", "score"]

LEAST_LEAD_MS: Final = 15_000
"""A visit is warned of in time when the warning came so long before it, and not longer before than ``COVER_MS``."""


@dataclass(frozen=True, slots=True)
class Record:
    """The truth warnings are held to.

    Attributes:
        visits: visits, in any order.
        start_ms: begin of the record.
        end_ms: end of the record of each user, by u7: later nothing is known.
        hours: hours of all users together.
    """

    visits: Moments
    start_ms: int
    end_ms: IntColumn
    hours: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Each warning and each visit by itself.

    Attributes:
        warnings: the warnings that count: not covered by an earlier one, their cover not cut off by the record's end.
        came_true: per warning, a visit followed within its cover.
        visits: the visits, ordered by user, zone, time.
        in_time: per visit, a warning came 15 to 180 s before.
        lead_s: per visit, seconds from the first warning within 180 s before it; NaN = there was none.
    """

    warnings: Moments
    came_true: BoolColumn
    visits: Moments
    in_time: BoolColumn
    lead_s: FloatColumn


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a way.

    Attributes:
        recall: visits warned of in time / visits.
        precision: warnings that came true / warnings; NaN without warnings.
        lead_median_s: of all visits that were warned of at all, be it too late.
        lead_p10_s: a tenth of them had less.
        per_user_hour: warnings.
        visits: number of visits.
        warnings: number of warnings.
    """

    recall: float
    precision: float
    lead_median_s: float
    lead_p10_s: float
    per_user_hour: float
    visits: int
    warnings: int

    def document(self) -> dict[str, float | int | None]:
        """Return what is written down of it."""
        values = asdict(self)
        return {name: _rounded(value) for name, value in values.items()}


def judge(warnings: Moments, record: Record) -> Verdict:
    """Hold warnings to the visits. A warning at the very moment of the entry is no forecast of it."""
    visit_keys = np.sort(keys_of(record.visits.u7, record.visits.zone, record.visits.time_ms, record.start_ms))
    visits = record.visits.take(
        np.argsort(keys_of(record.visits.u7, record.visits.zone, record.visits.time_ms, record.start_ms))
    )
    keys = keys_of(warnings.u7, warnings.zone, warnings.time_ms, record.start_ms)
    order = np.argsort(keys, kind="stable")
    order = order[first_of_each_cover(keys[order])]
    keys = keys[order]
    followed = _any_between(visit_keys, keys + 1, keys + COVER_MS)
    in_time = _any_between(keys, visit_keys - COVER_MS, visit_keys - LEAST_LEAD_MS)
    first = np.searchsorted(keys, visit_keys - COVER_MS, side="left")
    lead_ms = np.full(len(visit_keys), np.nan)
    warned = _any_between(keys, visit_keys - COVER_MS, visit_keys - 1)
    lead_ms[warned] = visit_keys[warned] - keys[first[warned]]
    whole = warnings.time_ms[order] + COVER_MS <= record.end_ms[warnings.u7[order]]
    return Verdict(warnings.take(order[whole]), followed[whole], visits, in_time, lead_ms / 1000.0)


def score(warnings: Moments, record: Record) -> Score:
    """Return the figures of a way's warnings."""
    verdict = judge(warnings, record)
    leads = verdict.lead_s[~np.isnan(verdict.lead_s)]
    return Score(
        recall=_mean(verdict.in_time),
        precision=_mean(verdict.came_true),
        lead_median_s=float(np.median(leads)) if len(leads) else float("nan"),
        lead_p10_s=float(np.percentile(leads, 10)) if len(leads) else float("nan"),
        per_user_hour=len(verdict.warnings) / record.hours,
        visits=len(verdict.visits),
        warnings=len(verdict.warnings),
    )


def hull(points: Sequence[Score]) -> list[Score]:
    """Return the points no other one beats in both recall and precision, by falling recall."""
    found: list[Score] = []
    for point in sorted(points, key=lambda point: (-point.recall, -point.precision)):
        if point.warnings and (not found or point.precision > found[-1].precision):
            found.append(point)
    return found


def best_precision(points: Sequence[Score], recall: float) -> float:
    """Return the greatest precision reached at this recall or a greater one; NaN = no point has so much recall."""
    return max((point.precision for point in points if point.recall >= recall), default=float("nan"))


def _any_between(sorted_keys: IntColumn, low: IntColumn, high: IntColumn) -> BoolColumn:
    found: BoolColumn = np.searchsorted(sorted_keys, high, side="right") > np.searchsorted(sorted_keys, low)
    return found


def _mean(values: BoolColumn) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _rounded(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return None if np.isnan(value) else round(value, 4)
