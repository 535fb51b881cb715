"""``geo-engine simulate``: write the pings of a seeded fleet in the example city to a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress

from api.console import err, fail_on_faults
from api.example import example_network
from geo_engine.errors import InputError
from geo_engine.ingest.files import write_pings
from geo_engine.model import PingBatch, Vehicle
from geo_engine.simulate.traffic import Traffic

__all__ = ["simulate", "vehicle_lines"]

# A Monday, 07:55 in Wuhan: the morning peak is on. Fixed, so that the same seed gives the same bytes on any day.
_START: Final = "2026-11-02T07:55:00+08:00"
_MINUTE_MS: Final = 60_000


def simulate(
    out: Annotated[Path, typer.Option(help="Ping file to write: .parquet, .arrow, .csv or .jsonl.")],
    users: Annotated[int, typer.Option(min=1, max=9_998_000, help="Number of vehicles.")] = 200,
    minutes: Annotated[float, typer.Option(min=0.0, help="Length of the simulated time.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same file.")] = 1,
    vehicles: Annotated[Path | None, typer.Option(help="Also write the vehicle profiles here (JSON Lines).")] = None,
    start: Annotated[str, typer.Option(help="First moment, ISO 8601 with a time zone.")] = _START,
) -> None:
    """Drive trucks and cars through the example city and write what their phones report every five seconds."""
    start_ms = _time_ms(start)
    try:
        network = example_network()
    except InputError as error:
        fail_on_faults(error.faults)
        raise
    traffic = Traffic(network, users=users, seed=seed, start_ms=start_ms)
    pings = _drive(traffic, start_ms, round(minutes * _MINUTE_MS))
    try:
        write_pings(pings, out)
        if vehicles is not None:
            vehicles.write_text("".join(vehicle_lines(traffic.vehicles())), encoding="utf-8")
    except (OSError, InputError) as error:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(code=1) from error
    err.print(f"{len(pings)} pings of {users} users -> {out}", markup=False, highlight=False, soft_wrap=True)


def vehicle_lines(vehicles: Iterable[Vehicle]) -> Iterable[str]:
    """Yield one JSON line per vehicle with the keys of a vehicles file; what is unknown is left out."""
    for vehicle in vehicles:
        row = {
            "u7": vehicle.u7,
            "kind": vehicle.kind,
            "class": vehicle.size_class,
            "gross_weight_t": vehicle.gross_weight_t,
            "plate": vehicle.plate,
            "service": vehicle.service,
            "consent": vehicle.consent_warnings,
            "language": vehicle.language,
        }
        known = {key: value for key, value in row.items() if value is not None}
        yield json.dumps(known, ensure_ascii=False) + "\n"


def _time_ms(text: str) -> int:
    message = f"found {text!r}, expected ISO 8601 with a time zone, e.g. {_START}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(message, param_hint="--start") from error
    if moment.tzinfo is None:
        raise typer.BadParameter(message, param_hint="--start")
    return round(moment.timestamp() * 1000)


def _drive(traffic: Traffic, start_ms: int, length_ms: int) -> PingBatch:
    batches: list[PingBatch] = []
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("driving", total=length_ms)
        for begin_ms in range(0, length_ms, _MINUTE_MS):
            end_ms = min(begin_ms + _MINUTE_MS, length_ms)
            batches.append(traffic.pings_between(start_ms + begin_ms, start_ms + end_ms))
            progress.update(task, completed=end_ms)
    return PingBatch.concat(batches)
