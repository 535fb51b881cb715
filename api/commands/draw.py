"""``geo-engine draw``: make a map picture of a replay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.console import err, fail_on_faults
from api.example import data_dir
from api.picture import BaseMap, WarningMark, draw_replay
from api.svg import Box
from geo_engine.errors import Fault, InputError
from geo_engine.ingest.files import read_pings
from geo_engine.ingest.zonefiles import load_zone_files

__all__ = ["draw", "read_marks"]


def draw(
    zones: Annotated[Path, typer.Option(help="Zone file (GeoJSON) or folder of zone files.")],
    pings: Annotated[Path, typer.Option(help="The pings that were replayed.")],
    alerts: Annotated[Path, typer.Option(help="The alerts.jsonl of the replay.")],
    out: Annotated[Path, typer.Option(help="SVG file to write.")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees; default: all that moved.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="Folder with water.geojson and roads.geojson; default: the example city.")
    ] = None,
) -> None:
    """Draw water, roads, zones, tracks and where each warning came as one SVG file."""
    box = None if bbox is None else _box(bbox)
    try:
        loaded = load_zone_files([zones])
        fail_on_faults(loaded.faults)
        folder = base or data_dir()
        picture = draw_replay(
            loaded.zone_set.zones,
            read_pings(pings).batch,
            read_marks(alerts),
            base=BaseMap(water=_layer(folder / "water.geojson"), roads=_layer(folder / "roads.geojson")),
            box=box,
        )
    except InputError as error:
        fail_on_faults(error.faults)
        raise
    try:
        out.write_text(picture, encoding="utf-8", newline="\n")
    except OSError as error:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(code=1) from error


def read_marks(path: Path) -> list[WarningMark]:
    """Read ``alerts.jsonl``.

    Raises:
        InputError: the file cannot be read; every line that is no alert is named.
    """
    marks: list[WarningMark] = []
    faults: list[Fault] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        try:
            marks.append(WarningMark.from_row(json.loads(line), where=f"{path} line {number}"))
        except InputError as error:
            faults += error.faults
        except ValueError as error:
            faults.append(Fault(f"{path} line {number}", "", str(error), "a JSON object", "malformed"))
    if faults:
        raise InputError(faults)
    return marks


def _layer(path: Path) -> Mapping[str, Any]:
    """Read one file of the base map; a folder need not have it."""
    if not path.exists():
        return {}
    try:
        document = json.loads(_text(path))
    except ValueError as error:
        raise InputError([Fault(str(path), "", str(error), "GeoJSON", "malformed")]) from error
    if not isinstance(document, dict):
        raise InputError([Fault(str(path), "$", type(document).__name__, "a FeatureCollection", "malformed")])
    return document


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault(str(path), "", str(error), "a readable UTF-8 file", "unreadable")]) from error


def _box(text: str) -> Box:
    message = f"found {text!r}, expected west,south,east,north in degrees"
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(message, param_hint="--bbox") from error
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise typer.BadParameter(message, param_hint="--bbox")
    return west, south, east, north
