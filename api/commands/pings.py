"""``geo-engine pings``: look at a ping file, and turn recorded tracks of other programs into one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from api.console import Exit, fail_on_faults
from geo_engine.errors import Fault, InputError
from geo_engine.geodesy.calibrate import Calibration, Enough, Reports, Verdict
from geo_engine.geodesy.calibrate import calibrate as find_datum
from geo_engine.geodesy.datum import Datum
from geo_engine.ingest.convert import PNEUMA_START, TrackFormat, convert_track
from geo_engine.ingest.files import PING_FILE_ENDINGS, read_pings, write_pings
from geo_engine.ingest.rows import epoch_ms
from geo_engine.model import U7_COUNT, PingBatch

__all__ = ["app", "calibrate", "check", "convert"]

app = typer.Typer(name="pings", help="Check ping files; convert recorded tracks; find a datum.", no_args_is_help=True)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="The recorded track.")],
    source: Annotated[TrackFormat, typer.Option("--from", help="Its format.")],
    out: Annotated[Path, typer.Option(help="Ping file to write; its ending tells the format.")],
    u7: Annotated[int, typer.Option(min=0, max=U7_COUNT - 1, help="u7 of the first track.")] = 1,
    start: Annotated[
        str, typer.Option(help="RFC 3339 moment a pneuma recording began; its times count from zero.")
    ] = PNEUMA_START,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Convert a recorded track to a ping file."""
    start_ms = epoch_ms(start)
    if start_ms is None:
        message = f"found {start!r}, expected a moment with zone, e.g. {PNEUMA_START}"
        raise typer.BadParameter(message, param_hint="--start")
    if out.suffix.lower() not in PING_FILE_ENDINGS:
        message = f"found {out.name!r}, expected a name that ends in one of {' '.join(PING_FILE_ENDINGS)}"
        raise typer.BadParameter(message, param_hint="--out")
    try:
        converted = convert_track(file, source, first_u7=u7, start_ms=start_ms)
    except InputError as error:
        fail_on_faults(error.faults)
        raise
    if not len(converted.batch):
        fail_on_faults(converted.faults or [_no_pings(file)])
    try:
        write_pings(converted.batch, out)
    except OSError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(Exit.FAILED) from error
    summary = _summary(converted.batch, converted.rejected) | {"tracks": converted.tracks}
    _report(summary, converted.faults, as_json=as_json)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The ping file.")],
    datum: Annotated[Datum, typer.Option(help="Datum of the positions in the file.")] = Datum.WGS84,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Say how much of a ping file can be read and name the rows that cannot."""
    try:
        decoded = read_pings(file, datum=datum)
    except InputError as error:
        fail_on_faults(error.faults)
        raise
    if not len(decoded.batch):
        fail_on_faults(decoded.faults or [_no_pings(file)])
    _report(_summary(decoded.batch, decoded.rejected), decoded.faults, as_json=as_json)


@app.command()
def calibrate(
    known: Annotated[Path, typer.Argument(help="Ping file of positions in a known datum, as they came.")],
    unknown: Annotated[
        Path, typer.Argument(help="Ping file of the same people by the source in question, as it came.")
    ],
    known_datum: Annotated[Datum, typer.Option(help="Datum of the first file.")] = Datum.GCJ02,
    within: Annotated[float, typer.Option(min=0.0, help="Seconds between the two reports of a pair, at most.")] = 30.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the finding as JSON.")] = False,
) -> None:
    """Say in which datum a source reports, by positions of the same people at the same time in a known datum.

    Location messages of WeChat are GCJ-02; what its LOCATION event is, WeChat does not say. Exit code 1: not clear.
    """
    found = find_datum(_reports(known), _reports(unknown), known_datum=known_datum, enough=Enough(within_s=within))
    if as_json:
        typer.echo(json.dumps(_finding(found)))
    else:
        _tell(found)
    if found.verdict is not Verdict.CLEAR:
        raise typer.Exit(Exit.FAILED)


def _reports(file: Path) -> Reports:
    """Read positions as they stand in a file: declared as WGS-84, nothing is converted."""
    try:
        decoded = read_pings(file)
    except InputError as error:
        fail_on_faults(error.faults)
        raise
    for fault in decoded.faults:
        typer.echo(str(fault), err=True)
    if not len(decoded.batch):
        fail_on_faults([_no_pings(file)])
    batch = decoded.batch
    return Reports(batch.u7.astype(np.int64), batch.time_ms, batch.lon, batch.lat)


def _finding(found: Calibration) -> dict[str, object]:
    fits = [
        {"datum": fit.datum, "median_m": round(fit.median_m, 1), "p90_m": round(fit.p90_m, 1), "wins": fit.wins}
        for fit in found.fits
    ]
    return {
        "verdict": found.verdict,
        "datum": found.datum,
        "pairs": found.pairs,
        "users": found.users,
        "fits": fits,
    }


def _tell(found: Calibration) -> None:
    typer.echo(f"{found.pairs} pairs of {found.users} people")
    for fit in found.fits:
        typer.echo(f"{fit.datum:8} median {fit.median_m:7.1f} m, p90 {fit.p90_m:7.1f} m, best of {fit.wins} pairs")
    typer.echo(f"datum     {found.datum or '-'} ({found.verdict.replace('_', ' ')})")


def _summary(batch: PingBatch, rejected: dict[str, int]) -> dict[str, object]:
    return {
        "pings": len(batch),
        "rejected": rejected,
        "users": len(np.unique(batch.u7)),
        "first": _moment(int(batch.time_ms.min())),
        "last": _moment(int(batch.time_ms.max())),
    }


def _moment(time_ms: int) -> str:
    """Return the time as ISO 8601, or the bare number when it is beyond the calendar."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return str(time_ms)


def _report(summary: dict[str, object], faults: Iterable[Fault], *, as_json: bool) -> None:
    for fault in faults:
        typer.echo(str(fault), err=True)
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))
        return
    for name, value in summary.items():
        shown = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
        typer.echo(f"{name:9} {shown or '-'}")


def _no_pings(file: Path) -> Fault:
    return Fault(file.name, "", "no ping", "at least one", "no_pings")
