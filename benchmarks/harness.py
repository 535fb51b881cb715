"""What all benchmarks share: one core, warm-up, rounds and their spread, the machine, results as JSON and pictures."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = [
    "RESULTS",
    "Rounds",
    "Steps",
    "console",
    "copy_bandwidth_gb_s",
    "facts",
    "machine",
    "measured",
    "pin_to_one_core",
    "progress",
    "resident_bytes",
    "write_json",
]

RESULTS: Final = Path(__file__).parent / "results"
"""Where results are committed."""

_MB: Final = 1_000_000
_PACKAGES: Final = ("numpy", "numba", "shapely", "rtree", "geopandas", "pyarrow")


@dataclass(frozen=True, slots=True)
class Rounds:
    """What one way took: items of one round and the seconds of every round, in their order."""

    name: str
    items: int
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds)

    @property
    def p99_s(self) -> float:
        """Seconds which 99 % of the rounds do not exceed (nearest rank)."""
        ordered = sorted(self.seconds)
        return ordered[max(-(-99 * len(ordered) // 100) - 1, 0)]

    @property
    def ns_per_item(self) -> float:
        """Nanoseconds per item of the median round."""
        return self.median_s / self.items * 1e9

    @property
    def best_ns_per_item(self) -> float:
        """Nanoseconds per item of the fastest round: the one least disturbed by others."""
        return min(self.seconds) / self.items * 1e9

    @property
    def per_second(self) -> float:
        """Items per second of the median round."""
        return self.items / self.median_s

    def document(self) -> dict[str, Any]:
        """Return what is written down of it."""
        return {
            "name": self.name,
            "items": self.items,
            "rounds": len(self.seconds),
            "ns_per_item": {
                "min": _three(self.best_ns_per_item),
                "median": _three(self.ns_per_item),
                "p99": _three(self.p99_s / self.items * 1e9),
                "max": _three(max(self.seconds) / self.items * 1e9),
            },
            "per_second_median": round(self.per_second),
        }


def measured(
    name: str,
    items: int,
    work: Callable[[Any], object],
    *,
    rounds: int,
    warm_up: int = 1,
    fresh: Callable[[], Any] = lambda: None,
) -> Rounds:
    """Measure ``work`` by the wall clock, round after round.

    Args:
        name: what it is called in tables.
        items: items (pings) of one round.
        work: what is measured; it is given what ``fresh`` made.
        rounds: rounds that count.
        warm_up: rounds before them that do not.
        fresh: makes the input of a round, outside the timing.
    """
    seconds = []
    for turn in range(warm_up + rounds):
        given = fresh()
        start = time.perf_counter()
        work(given)
        took = time.perf_counter() - start
        if turn >= warm_up:
            seconds.append(took)
    return Rounds(name, items, tuple(seconds))


def pin_to_one_core() -> int | None:
    """Keep this process on one core and return its number; None where the system has no such call.

    The last core is taken: the first one more often serves interrupts.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def copy_bandwidth_gb_s(megabytes: int = 256, rounds: int = 5) -> float:
    """Return how fast this core copies a large array, best round: bytes read plus bytes written, in 10^9 per second."""
    source = np.ones(megabytes * _MB // 8)
    target = np.zeros_like(source)
    took = measured("copy", source.nbytes, lambda _: np.copyto(target, source), rounds=rounds)
    return 2 * source.nbytes / min(took.seconds) / 1e9


def machine(*, core: int | None = None, bandwidth: bool = True) -> dict[str, str | int | float | None]:
    """Describe where the numbers are taken; the copy bandwidth is measured now (0.5 s)."""
    packages = {name: _version(name) for name in _PACKAGES}
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "pinned_to_core": core,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "copy_gb_per_s": round(copy_bandwidth_gb_s(), 1) if bandwidth else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: found for name, found in packages.items() if found},
    }


def resident_bytes() -> int:
    """Return the memory this process occupies now (RSS); 0 where /proc is not there."""
    status = Path("/proc/self/statm")
    if not status.is_file():
        return 0
    return int(status.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write results for people and programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


console: Final = Console(width=130)


class Steps:
    """A progress bar that is told what comes next."""

    def __init__(self, bar: Progress) -> None:
        """Begin at no step."""
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def expect(self, count: int) -> None:
        """Tell how many steps there are."""
        self._bar.update(self._task, total=count)

    def next(self, what: str) -> None:
        """Tell what is measured from now on."""
        self._bar.update(self._task, description=what)

    def done(self) -> None:
        """Count a step."""
        self._bar.advance(self._task)


@contextmanager
def progress() -> Iterator[Steps]:
    """Show a progress bar on a terminal while the block runs; nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Steps(bar)


def facts(values: Mapping[str, object], names: Sequence[str] = ()) -> str:
    """Return values as one line, all or those of ``names``."""
    return " · ".join(f"{name} {values[name]}" for name in names or values)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _three(value: float) -> float:
    """Round to three digits that count: a committed result shall not pretend more."""
    return float(f"{value:.3g}")
