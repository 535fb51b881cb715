"""Runs recorded pings through the engine and writes what it decided: the same step as the live service."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from geo_engine.engine import Decisions, Engine
from geo_engine.ingest.decode import Decoded
from geo_engine.model import EARLIEST_TIME_MS, LATEST_TIME_MS, Alert, AlertReason, IntColumn, Transitions
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ReplaySummary", "alert_row", "iso_ms", "replay"]

BATCH_PINGS = 65_536


@dataclass(slots=True)
class ReplaySummary:
    """The counts of a replay, written to ``summary.json``."""

    pings: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    engine_seconds: float = 0.0

    def add(self, decisions: Decisions, seconds: float) -> None:
        """Count one step."""
        self.accepted += decisions.accepted
        self.rejected.update(decisions.rejects.counts())
        for (change, _), count in decisions.transitions.counts().items():
            self.transitions[change.value] += count
        for (kind, reason), count in decisions.alerts.counts().items():
            if isinstance(reason, AlertReason):
                self.alerts[kind.value] += count
            else:
                self.suppressed[reason.value] += count
        self.engine_seconds += seconds

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as design.md section 4 names its fields."""
        return {
            "pings": self.pings,
            "accepted": self.accepted,
            "rejected": dict(sorted(self.rejected.items())),
            "transitions": dict(sorted(self.transitions.items())),
            "alerts": dict(sorted(self.alerts.items())),
            "suppressed": dict(sorted(self.suppressed.items())),
            "pings_per_s": round(self.pings / self.engine_seconds) if self.engine_seconds else 0,
            "engine_seconds": round(self.engine_seconds, 3),
        }


def replay(engine: Engine, decoded: Decoded, out: Path, *, progress: Callable[[int], None]) -> ReplaySummary:
    """Replay pings in event time and write transitions, alerts, rejects and the summary into ``out``.

    The pings are cut into batches where the time changes, so neither the order of the rows nor the size of the
    batches shows in the result. ``progress`` is told the number of pings done after each batch.

    Raises:
        OSError: ``out`` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    summary = ReplaySummary(pings=len(decoded.batch) + sum(decoded.rejected.values()))
    summary.rejected.update(decoded.rejected)
    with (
        (out / "transitions.jsonl").open("w", encoding="utf-8", newline="\n") as transitions,
        (out / "alerts.jsonl").open("w", encoding="utf-8", newline="\n") as alerts,
        (out / "rejects.jsonl").open("w", encoding="utf-8", newline="\n") as rejects,
    ):
        for fault in decoded.faults:
            _write(
                rejects,
                {"where": fault.where, "reason": fault.reason, "found": fault.found, "expected": fault.expected},
            )
        for rows, now_ms in _batches(decoded.batch.time_ms):
            batch = decoded.batch.take(rows)
            began = time.perf_counter()
            decisions = engine.process(batch, now_ms)
            summary.add(decisions, time.perf_counter() - began)
            _write_transitions(transitions, decisions.transitions, engine.zones)
            for alert in decisions.alerts:
                _write(alerts, alert_row(alert))
            for row, reason in zip(decisions.rejects.row.tolist(), decisions.rejects.reasons(), strict=True):
                place = {"row": int(decoded.row[rows[row]]), "u7": int(batch.u7[row]), "reason": reason.value}
                _write(rejects, place)
            progress(len(rows))
    (out / "summary.json").write_text(
        json.dumps(summary.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return summary


def _batches(time_ms: IntColumn) -> Iterator[tuple[IntColumn, int]]:
    """Yield (rows, now) in event time; pings of one moment are never torn apart."""
    order = np.argsort(time_ms, kind="stable")
    ordered = time_ms[order]
    now_ms, low = EARLIEST_TIME_MS, 0
    while low < len(ordered):
        high = min(low + BATCH_PINGS, len(ordered))
        high = int(np.searchsorted(ordered, ordered[high - 1], side="right"))
        # A ping from the year 2100 is rejected; it must not move the clock that tells who went silent.
        sane = ordered[low:high][(ordered[low:high] < LATEST_TIME_MS)]
        now_ms = max(now_ms, int(sane[-1])) if len(sane) else now_ms
        yield order[low:high], now_ms
        low = high


def iso_ms(time_ms: int) -> str:
    """Return a moment as ISO 8601 UTC with milliseconds."""
    return f"{np.datetime64(time_ms, 'ms')}Z"


def _write_transitions(sink: IO[str], found: Transitions, zones: ZoneSet) -> None:
    kinds, reasons = found.kinds(), found.reasons()
    columns = (found.u7, found.time_ms, found.zone, found.lon, found.lat, found.distance_m, found.eta_s)
    for row, (u7, time_ms, zone, lon, lat, distance_m, eta_s) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        _write(
            sink,
            {
                "u7": u7,
                "time": iso_ms(time_ms),
                "zone": zones.zones[zone].zone_id,
                "transition": kinds[row].value,
                "lon": _known(lon),
                "lat": _known(lat),
                "distance_m": _known(distance_m, 1),
                "eta_s": _known(eta_s, 1),
                "revision": zones.revision,
                "reason": reasons[row].value,
            },
        )


def alert_row(alert: Alert) -> dict[str, Any]:
    """Return a decision as a row of ``alerts.jsonl``."""
    return {
        "alert_id": alert.alert_id,
        "u7": alert.u7,
        "time": iso_ms(alert.time_ms),
        "zone": alert.zone_id,
        "kind": alert.kind.value,
        "decision": "send" if alert.send else "suppress",
        "reason": alert.reason,
        "distance_m": round(alert.distance_m, 1),
        "bearing_deg": None if alert.bearing_deg is None else round(alert.bearing_deg, 1),
        "compass": alert.compass,
        "eta_s": round(alert.eta_s, 1),
        "text": alert.text,
        "trigger": alert.trigger.value,
        "lon": _known(alert.lon),
        "lat": _known(alert.lat),
        "revision": alert.revision,
        "until": None if alert.until_ms is None else iso_ms(alert.until_ms),
        "why": alert.why,
        "also": alert.also,
        "told_by": alert.told_by,
        "opens": None if alert.opens_ms is None else iso_ms(alert.opens_ms),
    }


def _known(value: float, digits: int | None = None) -> float | None:
    if math.isnan(value):
        return None
    return value if digits is None else round(value, digits)


def _write(sink: IO[str], row: dict[str, Any]) -> None:
    sink.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
