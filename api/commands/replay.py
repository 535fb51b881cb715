"""``geo-engine replay``: a file of pings through the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.console import Exit, err, fail_on_faults, note_faults, out
from api.example import data_dir
from api.replay import ReplaySummary
from api.replay import replay as run_replay
from geo_engine.alerting.policy import Policy
from geo_engine.engine import Engine, EngineConfig
from geo_engine.errors import Fault, InputError
from geo_engine.geodesy.datum import Datum
from geo_engine.ingest.files import read_pings
from geo_engine.ingest.roads import read_roads
from geo_engine.ingest.vehicles import read_vehicles, vehicle_profiles
from geo_engine.ingest.zonefiles import CALENDAR_NOTES, load_zone_files
from geo_engine.model import Vehicle
from geo_engine.tracking.roads import RoadNet, road_net

__all__ = ["replay"]

_ROADS_OF_NO_USE: Final = Fault("--roads", "", "--exact beside it", "one of both: exact foresees nothing", "no_use")


def replay(
    pings: Annotated[Path, typer.Option(help="Parquet, Arrow, CSV, JSON Lines or JSON file of pings.")],
    zones: Annotated[Path, typer.Option(help="Zone file (GeoJSON) or folder of zone files.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for transitions, alerts, rejects and summary.")],
    vehicles: Annotated[Path | None, typer.Option(help="JSON Lines, one vehicle profile per u7.")] = None,
    default_vehicle: Annotated[
        str | None, typer.Option(help="Profile of users without a vehicle, e.g. heavy_truck.")
    ] = None,
    datum: Annotated[Datum, typer.Option(help="Datum of the positions in the file.")] = Datum.WGS84,
    *,
    roads: Annotated[
        Path | None,
        typer.Option(help="Roads drivers follow: GeoJSON LineStrings, or .osm / .osm.pbf (extra roads)."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Pure geometry: no noise or speed filter, no look-ahead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a file of pings through the engine and write what it decided."""
    try:
        decoded = read_pings(pings, datum=datum)
        loaded = load_zone_files([zones])
        fleet = read_vehicles(vehicles) if vehicles else None
        default = _default_vehicle(default_vehicle)
        net = None if roads is None else _roads(roads, exact=exact)
    except InputError as error:
        fail_on_faults(error.faults)
    fail_on_faults(loaded.faults)
    note_faults(note for note in loaded.notes if note.reason in CALENDAR_NOTES)
    if fleet is not None and note_faults(fleet.faults) and not fleet.vehicles:
        raise typer.Exit(Exit.BAD_INPUT)
    if not len(decoded.batch):
        fail_on_faults(decoded.faults or (_no_pings(pings),))
    # A replay judges old files: the age of a ping says nothing about the moment it was sent.
    policy = Policy(stale_after_s=None)
    engine = Engine(
        loaded.zone_set,
        config=EngineConfig.exact(policy) if exact else EngineConfig(policy=policy, max_lag_s=None),
        vehicles=fleet.vehicles if fleet else (),
        default_vehicle=default,
        roads=net,
    )
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TextColumn("pings"), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("replay", total=len(decoded.batch))
        summary = run_replay(engine, decoded, out_dir, progress=lambda count: bar.advance(task, count))
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False))
    else:
        out.print(_table(summary))


def _roads(path: Path, *, exact: bool) -> RoadNet:
    """Return the network of a file of roads; what in it is no road is said and left out."""
    if exact:
        raise InputError([_ROADS_OF_NO_USE])
    found = read_roads(path)
    note_faults(found.faults)
    return road_net(found.lines, found.one_way)


def _default_vehicle(name: str | None) -> Vehicle:
    """Return the named profile; every user of a replay has consented unless the vehicles file says otherwise."""
    if name is None:
        return Vehicle(u7=0, consent_warnings=True)
    profiles = vehicle_profiles(data_dir() / "vehicles.json")
    if name not in profiles:
        raise InputError(
            [Fault("--default-vehicle", "", repr(name), "one of " + ", ".join(sorted(profiles)), "unknown_vehicle")]
        )
    return profiles[name]


def _no_pings(path: Path) -> Fault:
    return Fault(str(path), "", "no ping", "at least one row", "no_pings")


def _table(summary: ReplaySummary) -> Table:
    table = Table(title="replay", show_header=False)
    for name, value in summary.as_dict().items():
        shown = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else f"{value:,}"
        table.add_row(name, shown or "-")
    return table
