"""The commands ``geo-engine zones check|import|export``."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import shapely
import typer
from rich.console import Console
from rich.table import Table

from geo_engine.errors import ConfigurationError, Fault, ZoneDocumentError
from geo_engine.geodesy.datum import Datum
from geo_engine.ingest.gis import GisFields, GisFormat, read_gis, write_gis
from geo_engine.ingest.zonefiles import ZoneFiles, load_zone_files, read_zone_bytes, zone_file_paths
from geo_engine.zones.document import parse_zone_json, read_zone_document
from geo_engine.zones.foreign import ImportedZones, in_wgs84, zones_from_geojson
from geo_engine.zones.osm import osm_from_zones, zones_from_osm
from geo_engine.zones.schedule import DEFAULT_TIMEZONE
from geo_engine.zones.schema import zone_file_schema
from geo_engine.zones.wzdx import wzdx_from_zones, zones_from_wzdx
from geo_engine.zones.zfe import zfe_from_zones, zones_from_zfe

__all__ = ["ExportFormat", "ForeignFormat", "app"]

WORK_FAILED = 1
BAD_INPUT = 3

app = typer.Typer(help="Check zone files, import and export them.", no_args_is_help=True)


class ForeignFormat(StrEnum):
    """A format zones can be imported from."""

    WZDX = "wzdx"
    ZFE = "zfe"
    OSM = "osm"
    GIS = "gis"
    GEOJSON = "geojson"


class ExportFormat(StrEnum):
    """A format zones can be exported to."""

    GPKG = "gpkg"
    SHP = "shp"
    KML = "kml"
    PARQUET = "parquet"
    OSM = "osm"
    WZDX = "wzdx"
    ZFE = "zfe"


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Zone files, or folders of *.geojson.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    datum: Annotated[Datum, typer.Option(help="Datum of the coordinates.")] = Datum.WGS84,
) -> None:
    """Read zone files as the engine would and say everything that is wrong with them.

    Exit codes: 0 no fault, 3 faults (one line each).
    """
    loaded = load_zone_files(paths, datum=datum)
    if as_json:
        typer.echo(json.dumps(_summary(loaded), ensure_ascii=False, indent=2))
    else:
        _print_table(loaded)
        _print_lines("note: ", loaded.notes)
    _finish(loaded.faults)


@app.command(name="import")
def import_zones(
    file: Annotated[Path, typer.Argument(help="The file to import.", show_default=False)],
    source: Annotated[
        ForeignFormat,
        typer.Option("--from", help="Its format; osm = tags, gis = what geopandas can read, geojson = a zone file."),
    ],
    out: Annotated[Path, typer.Option(help="The zone file to write.", show_default=False)],
    *,
    kind: Annotated[str | None, typer.Option(help="gis: kind of zones that have none.")] = None,
    id_field: Annotated[str, typer.Option(help="gis: column that holds the id.")] = "id",
    name_field: Annotated[str, typer.Option(help="gis: column that holds the name.")] = "name",
    datum: Annotated[Datum, typer.Option(help="Datum of its coordinates; WGS-84 is written.")] = Datum.WGS84,
    timezone: Annotated[str, typer.Option(help="osm: time zone its times are read in.")] = DEFAULT_TIMEZONE,
) -> None:
    """Turn a foreign file, or a zone file in another datum, into a zone file in WGS-84.

    Good zones are written also when others are rejected.

    Exit codes: 0 every feature was imported, 3 features were rejected (one line each), 1 the file cannot be written.
    """
    readers: dict[ForeignFormat, Callable[[], ImportedZones]] = {
        ForeignFormat.WZDX: lambda: zones_from_wzdx(_read_foreign(file), where=str(file)),
        ForeignFormat.ZFE: lambda: zones_from_zfe(_read_foreign(file), where=str(file)),
        ForeignFormat.OSM: lambda: zones_from_osm(_read_foreign(file), where=str(file), timezone=timezone),
        ForeignFormat.GIS: lambda: read_gis(file, fields=GisFields(kind, id_field, name_field)),
        ForeignFormat.GEOJSON: lambda: zones_from_geojson(_read_foreign(file), where=str(file)),
    }
    with _reported(out):
        imported = in_wgs84(readers[source](), datum)
        count = len(imported.document["features"])
        if count:
            out.write_text(json.dumps(imported.document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    _print_lines("note: ", imported.notes)
    rejected = {fault.where for fault in imported.faults}
    typer.echo(f"{count} zones written to {out}, {len(rejected)} rejected" if count else "no zones, nothing written")
    _finish(imported.faults)


@app.command()
def export(
    paths: Annotated[list[Path], typer.Argument(help="Zone files, or folders of *.geojson.", show_default=False)],
    target: Annotated[ExportFormat, typer.Option("--to", help="The format to write.")],
    out: Annotated[Path, typer.Option(help="The file to write.", show_default=False)],
    publisher: Annotated[str, typer.Option(help="wzdx: who publishes the feed.")] = "geo_engine",
) -> None:
    """Write zones for a GIS program or in a public format, with the shapes as staff drew them.

    Good zones are written beside bad ones; one that the format has no words for is left out and named.

    Exit codes: 0 every zone was written, 3 zones were left out (one line each), 1 the file cannot be written.
    """
    faults = load_zone_files(paths).faults
    features = list(_good_features(paths))
    if not features:
        typer.echo("no zones, nothing written")
        _finish(faults)
        return
    document = {"type": "FeatureCollection", "features": features}
    if target.value in set(GisFormat):
        with _reported(out):
            notes = write_gis(document, out, GisFormat(target.value))
        _print_lines("note: ", notes)
        typer.echo(f"{len(features)} zones written to {out}")
    else:
        exported = _foreign(document, target, publisher)
        written = len(features) - len({fault.where for fault in exported.faults})
        with _reported(out):
            if written:
                out.write_text(json.dumps(exported.document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        typer.echo(f"{written} zones written to {out}" if written else "no zones, nothing written")
        faults = (*faults, *exported.faults)
    _finish(faults)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a zone file (zones/zone.schema.json)."""
    typer.echo(json.dumps(zone_file_schema(), ensure_ascii=False, indent=2))


def _foreign(document: dict[str, Any], target: ExportFormat, publisher: str) -> ImportedZones:
    """Return zones in a public format; a feed says when it was made."""
    if target is ExportFormat.OSM:
        return osm_from_zones(document)
    if target is ExportFormat.ZFE:
        return zfe_from_zones(document)
    made_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time.time_ns() // 1_000_000_000)
    return wzdx_from_zones(document, publisher=publisher, update_date=made_at.strftime("%Y-%m-%dT%H:%M:%SZ"))


@contextmanager
def _reported(out: Path) -> Iterator[None]:
    """Turn the errors of the work, which writes ``out``, into lines and exit codes."""
    try:
        yield
    except ZoneDocumentError as error:
        _finish(error.faults)
    except (ConfigurationError, OSError) as error:
        typer.echo(f"cannot write {out}: {error}" if isinstance(error, OSError) else str(error), err=True)
        raise typer.Exit(WORK_FAILED) from error


def _read_foreign(file: Path) -> object:
    return parse_zone_json(read_zone_bytes(file), where=str(file))


def _good_features(paths: Iterable[Path]) -> Iterator[object]:
    """Return the features as they stand in the files, the faulty and the repeated left out."""
    seen: set[str] = set()
    for path in paths:
        for file in zone_file_paths(path)[0]:
            try:
                parsed: Any = parse_zone_json(read_zone_bytes(file), where=str(file))
            except ZoneDocumentError:
                continue
            document = read_zone_document(parsed, where=str(file))
            for zone, row in zip(document.zones, document.rows, strict=True):
                if zone.zone_id not in seen:
                    seen.add(zone.zone_id)
                    yield parsed["features"][row] if parsed["type"] == "FeatureCollection" else parsed


def _summary(loaded: ZoneFiles) -> dict[str, object]:
    zones = loaded.zone_set.zones
    shapes = [zone.geometry for zone in zones]
    return {
        "zones": len(zones),
        "kinds": dict(sorted(Counter(zone.kind.value for zone in zones).items())),
        "vertices": int(shapely.get_num_coordinates(shapes).sum()) if shapes else 0,
        "bbox": [round(float(value), 6) for value in shapely.total_bounds(shapes)] if shapes else None,
        "faults": [_fault(fault) for fault in loaded.faults],
        "notes": [_fault(note) for note in loaded.notes],
    }


def _fault(fault: Fault) -> dict[str, str]:
    return {name: getattr(fault, name) for name in ("where", "path", "found", "expected", "reason")}


def _print_table(loaded: ZoneFiles) -> None:
    table = Table("kind", "zones", "vertices", "west south east north")
    by_kind: dict[str, list[shapely.Geometry]] = {}
    for zone in loaded.zone_set.zones:
        by_kind.setdefault(zone.kind.value, []).append(zone.geometry)
    for kind, shapes in sorted(by_kind.items()):
        box = " ".join(f"{value:.4f}" for value in shapely.total_bounds(shapes))
        table.add_row(kind, str(len(shapes)), str(int(shapely.get_num_coordinates(shapes).sum())), box)
    console = Console()
    if by_kind:
        console.print(table)
    console.print(f"{len(loaded.zone_set)} zones, {len(loaded.faults)} faults, {len(loaded.notes)} notes")


def _print_lines(prefix: str, faults: Iterable[Fault]) -> None:
    for fault in faults:
        typer.echo(f"{prefix}{fault}", err=True)


def _finish(faults: Iterable[Fault]) -> None:
    """Print one line for each fault and leave with the code for bad input when there is one."""
    faults = list(faults)
    _print_lines("", faults)
    if faults:
        raise typer.Exit(BAD_INPUT)
