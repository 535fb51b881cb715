"""Measure how good warnings are: recall, precision and lead, beside what others do and what could be known at best.

    python -m benchmarks.quality [--quick] [--way MODULE:NAME] [--road-way MODULE:NAME] [--data ../shared/data]

A simulated city with known truth and recorded drives; definitions in ``benchmarks/quality/score.py``. Results are
written to ``benchmarks/results/quality*``; a quick run writes nothing unless ``--out`` names a folder.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.harness import RESULTS, console, machine, progress, write_json
from benchmarks.quality.city_case import FULL, QUICK, build_city_case
from benchmarks.quality.engine_way import ColdEngineWay, EngineWay
from benchmarks.quality.findings import Forecaster
from benchmarks.quality.pictures import draw_curves, draw_driver, telling_driver
from benchmarks.quality.score import Score, best_precision
from benchmarks.quality.sections import (
    HEADLINE,
    SENSINGS,
    Contenders,
    borders,
    causes,
    conditions,
    curves,
    recorded,
    recorded_recall,
    targets,
)

__all__ = ["Report", "main", "measure"]

_RECALLS = (0.98, 0.95, 0.93, 0.9, 0.87, 0.8, 0.73, 0.6)


class Report:
    """What a run found, as documents and pictures."""

    def __init__(self, document: dict[str, Any], pictures: Mapping[str, str]) -> None:
        """Keep them."""
        self.document = document
        self.pictures = pictures

    def write(self, folder: Path) -> None:
        """Write ``quality.json`` and the pictures."""
        write_json(folder / "quality.json", self.document)
        for name, picture in self.pictures.items():
            (folder / name).write_text(picture, encoding="utf-8")


def measure(contenders: Contenders, *, quick: bool, data: Path, tell: Callable[[str], None]) -> Report:
    """Run all sections; ``tell`` is told what comes next."""
    tell("the city")
    case = build_city_case(QUICK if quick else FULL)
    sensings = (HEADLINE,) if quick else SENSINGS
    tell("conditions")
    rows = conditions(case, contenders, sensings)
    tell("curves")
    lines = curves(case, contenders)
    way = EngineWay()
    verdict, why = causes(case, way)
    tell("recorded drives")
    drives = recorded(data, contenders, sensings) if data.is_dir() else []
    tell("borders")
    document = {
        "city": {"users": case.plan.users, "seconds": case.plan.seconds, "zones": len(case.grounds)},
        "ceiling_precision_at_recall": _at_recalls(lines["ceiling"]),
        "conditions": rows,
        "targets": [
            targets(rows, lines, EngineWay().name),
            *(targets(rows, lines, other.name, roads=True) for other in contenders.mapped),
        ],
        "curves": {name: [point.document() for point in points] for name, points in lines.items()},
        "causes": why,
        "recorded": drives,
        "recorded_recall": recorded_recall(drives),
        "borders": borders(way, hours=2.0 if quick else 10.0),
        "machine": machine(bandwidth=False),
    }
    note = f"Simulated city, {case.plan.users} drivers, a ping every 5 s, error 10 m; a point is a threshold."
    ringed = {row["way"]: (row["recall"], row["precision"]) for row in _headline(rows)}
    user = telling_driver(verdict, case.plan.users)
    pictures = {
        "quality.svg": draw_curves(lines, ringed, note),
        "quality_map.svg": draw_driver(case, verdict, user, f"{way.name}, a ping every 5 s, error 10 m"),
    }
    return Report(document, pictures)


def _headline(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if (row["every_s"], row["sigma_m"]) == (HEADLINE.every_s, HEADLINE.sigma_m)]


def _at_recalls(points: Sequence[Score]) -> dict[str, float | None]:
    found = {str(recall): best_precision(points, recall) for recall in _RECALLS}
    return {recall: None if value != value else round(value, 3) for recall, value in found.items()}  # noqa: PLR0124 - NaN


def _show(document: Mapping[str, Any]) -> None:
    """Print the tables."""
    columns = ("recall", "precision", "lead_median_s", "lead_p10_s", "per_user_hour")
    city = Table("every", "sigma", "way", *columns, "ceiling", "share", title="Simulated city")
    for row in document["conditions"]:
        figures = (*(row[name] for name in columns), row["ceiling_precision"], row["share_of_ceiling"])
        city.add_row(f"{row['every_s']} s", f"{row['sigma_m']:.0f} m", row["way"], *map(_figure, figures))
    drives = Table("recording", "every", "sigma", "way", *columns, title="Recorded drives")
    for row in document["recorded"]:
        own = [row[name] for name in columns]
        place = (row["recording"], f"{row['every_s']} s", f"{row['sigma_m']:.0f} m", row["way"])
        drives.add_row(*place, *map(_figure, own))
    console.print(city)
    console.print(drives if document["recorded"] else "Recorded drives: left out, the folder of recordings is absent")
    for name in ("ceiling_precision_at_recall", "targets", "causes", "recorded_recall", "borders"):
        console.print(name.replace("_", " "), document[name])


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) <= 1.0 else f"{value:.1f}"


def _way(place: str) -> Forecaster:
    """Return the way that a module holds under a name, or what a class of that name makes."""
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name)
    way: Forecaster = found() if isinstance(found, type) else found
    return way


def main() -> None:
    """Read the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few drivers and one condition, five seconds")
    parser.add_argument("--way", action="append", default=[], help="another way, without a map")
    parser.add_argument("--road-way", action="append", default=[], help="another way, given the roads too")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the recordings")
    parser.add_argument("--out", type=Path, help="where to write the results")
    options = parser.parse_args()
    contenders = Contenders(
        plain=(ColdEngineWay(), *map(_way, options.way)),
        mapped=(EngineWay(name="geo_engine, roads known"), *map(_way, options.road_way)),
    )
    with progress() as steps:
        report = measure(contenders, quick=options.quick, data=options.data, tell=steps.next)
    _show(report.document)
    out = options.out or (None if options.quick else RESULTS)
    if out is not None:
        report.write(out)


if __name__ == "__main__":
    main()
