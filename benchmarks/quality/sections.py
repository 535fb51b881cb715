"""The parts of the quality benchmark, each a function from cases and ways to a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.quality.baselines import HeadingBlind, Ray, Ring
from benchmarks.quality.borders import enter_delays, narrow_found, parked_per_hour
from benchmarks.quality.ceiling import ceiling
from benchmarks.quality.city_case import CityCase
from benchmarks.quality.engine_way import EngineWay
from benchmarks.quality.findings import Forecaster
from benchmarks.quality.misses import false_by_cause, missed_by_cause
from benchmarks.quality.recorded_case import RECORDINGS, read_recorded_case
from benchmarks.quality.score import Score, Verdict, best_precision, hull, judge, score
from benchmarks.quality.sensing import Sensing

__all__ = [
    "BASELINES",
    "HEADLINE",
    "SENSINGS",
    "Contenders",
    "borders",
    "causes",
    "conditions",
    "curves",
    "recorded",
    "recorded_recall",
    "targets",
]

Document = dict[str, Any]

BASELINES: Final[tuple[Forecaster, ...]] = (Ring(300.0), Ray(45.0), HeadingBlind(30.0))
"""What others do, at the thresholds that are named in the comparison; the last one at its best."""
HEADLINE: Final = Sensing(5, 10.0)
"""The condition of the curve and of the targets."""
SENSINGS: Final = tuple(Sensing(every_s, sigma_m) for every_s in (5, 15) for sigma_m in (5.0, 10.0, 20.0))

_FAMILIES: Final[Mapping[str, Sequence[Forecaster]]] = {
    "geo_engine": (EngineWay(), *EngineWay().sweep),
    "buffer ring": tuple(Ring(distance_m) for distance_m in (100.0, 150.0, 200.0, 300.0, 400.0, 600.0)),
    "straight ray": tuple(Ray(ahead_s) for ahead_s in (15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0)),
    "heading-blind": tuple(HeadingBlind(ahead_s) for ahead_s in (15.0, 20.0, 30.0, 45.0, 60.0, 90.0)),
}


@dataclass(frozen=True, slots=True)
class Contenders:
    """Ways that are measured beside the engine and the baselines.

    Attributes:
        plain: are given zones and the pings of another day, as the engine and the baselines are.
        mapped: are given the roads too.
    """

    plain: tuple[Forecaster, ...] = ()
    mapped: tuple[Forecaster, ...] = ()


def conditions(case: CityCase, contenders: Contenders, sensings: Sequence[Sensing] = SENSINGS) -> list[Document]:
    """Score every way under every condition, with the ceiling's precision at the same recall."""
    rows: list[Document] = []
    for sensing in sensings:
        tops = hull(list(ceiling(case.outlook(sensing), case.record).values()))
        for name, found in _scores(case, sensing, contenders).items():
            top = best_precision(tops, found.recall)
            rows.append(
                {"every_s": sensing.every_s, "sigma_m": sensing.sigma_m, "way": name}
                | found.document()
                | {"ceiling_precision": _number(top), "share_of_ceiling": _number(found.precision / top)}
            )
    return rows


def _scores(case: CityCase, sensing: Sensing, contenders: Contenders) -> dict[str, Score]:
    pings, ground = case.pings(sensing), case.ground(sensing)
    found = {
        way.name: score(way.find(pings, ground).warnings, case.record)
        for way in (EngineWay(), *contenders.plain, *BASELINES)
    }
    mapped = replace(ground, roads=case.streets.roads())
    return found | {way.name: score(way.find(pings, mapped).warnings, case.record) for way in contenders.mapped}


def curves(case: CityCase, contenders: Contenders, sensing: Sensing = HEADLINE) -> dict[str, list[Score]]:
    """Return recall and precision of every way, threshold by threshold; the ceiling as its hull, by falling recall."""
    pings, ground = case.pings(sensing), case.ground(sensing)
    found = {"ceiling": hull(list(ceiling(case.outlook(sensing), case.record).values()))}
    families = {name: (ways, ground) for name, ways in _FAMILIES.items()}
    families |= {way.name: (_swept(way), ground) for way in contenders.plain}
    mapped = replace(ground, roads=case.streets.roads())
    families |= {way.name: (_swept(way), mapped) for way in contenders.mapped}
    for name, (ways, known) in families.items():
        found[name] = [score(way.find(pings, known).warnings, case.record) for way in ways]
    return found


def _swept(way: Forecaster) -> Sequence[Forecaster]:
    """Return a way and, where its ``sweep`` tells them, the same at other thresholds."""
    others: tuple[Forecaster, ...] = getattr(way, "sweep", ())
    return (way, *others)


def targets(
    rows: Sequence[Document], lines: Mapping[str, Sequence[Score]], way: str, *, roads: bool = False
) -> Document:
    """Hold a way to the targets at 10 m and 5 s.

    Args:
        rows: what ``conditions`` found.
        lines: what ``curves`` found: a baseline is beaten when some threshold gives more precision at its recall.
        way: name of the way in both.
        roads: the way knows the roads.
    """
    at = {row["way"]: row for row in rows if (row["every_s"], row["sigma_m"]) == (HEADLINE.every_s, HEADLINE.sigma_m)}
    own, share = at[way], 0.9 if roads else 0.8
    beaten = {
        other.name: best_precision(lines[way], at[other.name]["recall"]) > at[other.name]["precision"]
        for other in BASELINES
    }
    return {
        "way": way,
        "recall at least 0.93": own["recall"] >= 0.93,
        f"precision at least {share} of the ceiling": (own["share_of_ceiling"] or 0.0) >= share,
        "lead median at least 30 s": (own["lead_median_s"] or 0.0) >= 30.0,
        "lead p10 at least 18 s": (own["lead_p10_s"] or 0.0) >= 18.0,
        "above it at its own recall": beaten,
    }


def causes(case: CityCase, way: Forecaster, sensing: Sensing = HEADLINE) -> tuple[Verdict, Document]:
    """Judge a way and say under which cause its missed visits and false warnings fall."""
    verdict = judge(way.find(case.pings(sensing), case.ground(sensing)).warnings, case.record)
    document = {
        "way": way.name,
        "visits": len(verdict.visits),
        "missed": missed_by_cause(case, verdict),
        "warnings": len(verdict.warnings),
        "false": false_by_cause(case, verdict),
    }
    return verdict, document


def recorded(folder: Path, contenders: Contenders, sensings: Sequence[Sensing] = SENSINGS) -> list[Document]:
    """Score every way that needs no map on the recorded drives."""
    rows = []
    for recording in RECORDINGS:
        case = read_recorded_case(recording, folder)
        for sensing in sensings:
            pings = case.pings(sensing)
            for way in (EngineWay(), *contenders.plain, *BASELINES):
                found = score(way.find(pings, case.ground()).warnings, case.record)
                start = {"recording": case.name, "every_s": sensing.every_s, "sigma_m": sensing.sigma_m}
                rows.append(start | {"way": way.name} | found.document())
    return rows


def recorded_recall(rows: Sequence[Document]) -> dict[str, float]:
    """Return the recall of each way over all recordings together, at 10 m and 5 s."""
    at = [row for row in rows if (row["every_s"], row["sigma_m"]) == (HEADLINE.every_s, HEADLINE.sigma_m)]
    found = {}
    for way in dict.fromkeys(row["way"] for row in at):
        own = [row for row in at if row["way"] == way]
        warned = sum(row["recall"] * row["visits"] for row in own)
        found[way] = round(warned / sum(row["visits"] for row in own), 4)
    return found


def borders(way: Forecaster, *, hours: float = 10.0) -> Document:
    """Return the figures at borders: parked beside one, driving over one, and zones narrower than a step."""
    return {
        "parked_false_transitions_per_hour": {
            name: round(float(value), 2) for name, value in parked_per_hour(way, hours=hours).items()
        },
        "enter_delay_pings": {name: asdict(delay) for name, delay in enter_delays(way).items()},
        "narrow_zones": {f"sigma {sigma_m:.0f} m": dict(narrow_found(way, sigma_m=sigma_m)) for sigma_m in (0.0, 10.0)},
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
