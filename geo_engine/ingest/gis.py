"""Zone files of GIS programs, in and out: GeoPackage, Shapefile, KML, GeoParquet, GeoJSON, through geopandas.

geopandas is imported inside the functions only: it costs a second and 85 MB, and the serving path never needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from geo_engine.errors import ConfigurationError, Fault, ZoneDocumentError
from geo_engine.model import ZoneKind
from geo_engine.zones.findings import Findings, describe
from geo_engine.zones.foreign import ImportedZones, keep_good_zones, zone_feature
from geo_engine.zones.properties import ZONE_PROPERTIES

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["GisFields", "GisFormat", "read_gis", "write_gis"]

_WGS84: Final = "EPSG:4326"
_NAMES: Final = tuple(spec.name for spec in ZONE_PROPERTIES)
_NESTED: Final = ("applies_to", "exempt", "days", "exception_to")
"""Properties that are no plain value; they stand in a column as JSON text."""

_SHAPEFILE_NAME_CHARACTERS: Final = 10
_SHAPEFILE_TEXT_BYTES: Final = 254
_FULL_NAME: Final = {name[:_SHAPEFILE_NAME_CHARACTERS]: name for name in _NAMES}

_KML_COLUMNS: Final = frozenset(
    {
        *("Description", "description", "timestamp", "begin", "end", "altitudeMode", "tessellate", "extrude"),
        *("visibility", "drawOrder", "icon", "snippet"),
    }
)
"""Columns every KML file has; they say how to draw."""


class GisFormat(StrEnum):
    """A format zones can be written to."""

    GPKG = "gpkg"
    SHP = "shp"
    KML = "kml"
    PARQUET = "parquet"


_DRIVERS: Final = {GisFormat.GPKG: "GPKG", GisFormat.SHP: "ESRI Shapefile", GisFormat.KML: "LIBKML"}


@dataclass(frozen=True, slots=True)
class GisFields:
    """What to take from a file that was not made for us.

    Attributes:
        kind: kind of the zones that have none of their own.
        id_field: column to take the id from.
        name_field: column to take the name from.
    """

    kind: str | None = None
    id_field: str = "id"
    name_field: str = "name"


def read_gis(path: Path, *, fields: GisFields | None = None) -> ImportedZones:
    """Read a file that geopandas can read as a zone document, in WGS-84.

    Columns are matched to our properties by name, in a Shapefile also by their first ten characters; ``applies_to``
    and ``exempt`` are read from JSON text. Other columns are noted and left out. All layers of the file are read.

    Args:
        path: the file; its format is known from its content, GeoParquet from the suffix ``.parquet``.
        fields: which columns to take for id and name, and the kind where none is given.

    Raises:
        ZoneDocumentError: the file cannot be read or names no coordinate system; carries one fault.
        ConfigurationError: geopandas is not installed.
    """
    where = str(path)
    fields = fields or GisFields()
    findings = Findings(where)
    features: list[Mapping[str, object] | None] = []
    for frame in _read_layers(path):
        features += _features(frame, path, fields, findings)
    return keep_good_zones(features, findings.faults, findings.notes, where=where)


def write_gis(document: Mapping[str, Any], path: Path, gis_format: GisFormat) -> tuple[Fault, ...]:
    """Write a zone document to ``path``; return notes on what the format cannot hold.

    Shapes and properties come back from GeoPackage, GeoParquet and KML as they went; polygons beside multipolygons
    come back as multipolygons. A Shapefile shortens names to ten characters (``read_gis`` knows them again).

    Args:
        document: a FeatureCollection that passes ``read_zone_document``.
        path: the file to write; overwritten when it exists.
        gis_format: the format.

    Raises:
        ZoneDocumentError: a Shapefile cannot hold the zones: more than one type of shape, or text of more than 254
            bytes.
        ConfigurationError: geopandas is not installed.
        OSError: the file cannot be written.
    """
    features = document["features"]
    if not features:
        raise ZoneDocumentError([Fault(str(path), "", "no zones", "at least one zone to write", "no_features")])
    findings = Findings(str(path))
    if gis_format is GisFormat.SHP:
        _check_shapefile(features, findings)
        if findings.faults:
            raise ZoneDocumentError(findings.faults)
    frame = _frame(features)
    try:
        _write(frame, path, gis_format)
    except RuntimeError as error:
        # What pyogrio raises for a folder it may not write to, a full disk and the like.
        raise OSError(" ".join(str(error).split())) from error
    if not path.exists():
        # The KML driver says nothing when it fails.
        message = "nothing was written; does the folder exist, and may you write to it?"
        raise OSError(message)
    return tuple(findings.notes)


def _write(frame: GeoDataFrame, path: Path, gis_format: GisFormat) -> None:
    if gis_format is GisFormat.PARQUET:
        frame.to_parquet(path)
    elif gis_format is GisFormat.SHP:
        short = {name: name[:_SHAPEFILE_NAME_CHARACTERS] for name in frame.columns if name in _NAMES}
        frame.rename(columns=short).to_file(path, driver=_DRIVERS[gis_format], engine="pyogrio", encoding="utf-8")
    else:
        path.unlink(missing_ok=True)
        frame.to_file(path, driver=_DRIVERS[gis_format], engine="pyogrio")


def _geopandas() -> Any:  # noqa: ANN401  # an untyped package
    try:
        import geopandas  # noqa: PLC0415  # costs a second; only these commands need it
    except ImportError as error:
        message = "geopandas is not installed; it comes with the extra: pip install 'geo-engine[analysis]'"
        raise ConfigurationError(message) from error
    return geopandas


def _read_layers(path: Path) -> Iterable[GeoDataFrame]:
    geopandas = _geopandas()
    from pyogrio import list_layers  # noqa: PLC0415  # as above

    if not path.exists():
        raise ZoneDocumentError([Fault(str(path), "", "no such file", "a readable file", "unreadable_file")])
    try:
        if path.suffix in (".parquet", ".geoparquet"):
            frames = [geopandas.read_parquet(path)]
        else:
            layers = [name for name, shape in list_layers(path) if shape is not None]
            frames = [geopandas.read_file(path, layer=name, engine="pyogrio") for name in layers]
    except (ValueError, RuntimeError, OSError) as error:
        found = " ".join(str(error).split())[:200]
        expected = "a file of zones geopandas can read"
        raise ZoneDocumentError([Fault(str(path), "", found, expected, "unreadable_file")]) from error
    return [_in_wgs84(frame, path) for frame in frames]


def _in_wgs84(frame: GeoDataFrame, path: Path) -> GeoDataFrame:
    if frame.crs is None:
        expected = "a file that names its coordinate system (a Shapefile needs its .prj)"
        raise ZoneDocumentError([Fault(str(path), "", "no coordinate system", expected, "unknown_crs")])
    return frame.to_crs(_WGS84)


def _features(
    frame: GeoDataFrame, path: Path, fields: GisFields, findings: Findings
) -> list[Mapping[str, object] | None]:
    holder = frame.geometry.name
    columns: list[str] = [str(column) for column in frame.columns if column != holder]
    names = {column: _property_name(column, path, fields) for column in columns}
    if _lacks_columns(frame, names, fields, findings):
        return [None] * len(frame)
    for column, name in names.items():
        if not name and not (path.suffix == ".kml" and column in _KML_COLUMNS):
            found, expected = f"the column {describe(column)}", "a property of a zone; it is left out"
            findings.note("", found, expected, "unknown_property")
    features: list[Mapping[str, object] | None] = []
    # KML gives every position a height of 0, which is none.
    if _has_height(frame):
        findings.note("", "positions with a height", "lon, lat; the rest is dropped", "z_dropped")
    for shape, row in zip(frame.geometry.force_2d(), frame[columns].to_dict("records"), strict=True):
        properties = {name: _plain(name, row[column]) for column, name in names.items() if name}
        zone_id = properties.pop("id", None)
        properties["kind"] = properties.get("kind") or fields.kind
        features.append(zone_feature(zone_id, shape.__geo_interface__ if shape else None, properties))
    return features


def _lacks_columns(frame: GeoDataFrame, names: Mapping[str, str], fields: GisFields, findings: Findings) -> bool:
    """Say whether no row can become a zone, because no column gives it an id, a name or a kind; with one fault."""
    filled = {name for column, name in names.items() if name and frame[column].notna().any()}
    asked = {"id": fields.id_field, "name": fields.name_field} | ({} if fields.kind else {"kind": "kind"})
    lacking = [name for name in asked if name not in filled]
    if not lacking or frame.empty:
        return False
    found = f"no values in a column {', '.join(asked[name] for name in lacking)}"
    options = " ".join(_option(name, names) for name in lacking)
    expected = f"{options} (columns of the file: {', '.join(names) or 'none'}; {len(frame)} features are left out)"
    findings.fault("", found, expected, "missing_column")
    return True


def _option(name: str, columns: Iterable[str]) -> str:
    """Return the option that supplies a property, with the column whose name comes nearest."""
    if name == "kind":
        return f"--kind {'|'.join(ZoneKind)}"
    return f"--{name}-field {next((column for column in columns if column.lower().endswith(name)), 'COLUMN')}"


def _has_height(frame: GeoDataFrame) -> bool:
    heights = frame.geometry.get_coordinates(include_z=True)["z"].fillna(0.0)
    return bool((heights != 0.0).any())


def _property_name(column: str, path: Path, fields: GisFields) -> str:
    """Return the property a column holds, empty for none."""
    if column == fields.id_field:
        return "id"
    if column == fields.name_field or (path.suffix == ".kml" and column == "Name"):
        return "name"
    if path.suffix == ".shp":
        column = _FULL_NAME.get(column, column)
    return column if column in _NAMES else ""


def _plain(name: str, value: object) -> object:
    """Return a cell as JSON holds it; empty cells (None, NaN, NaT) are None."""
    if value is None or value != value:  # noqa: PLR0124  # NaN and NaT are the values that differ from themselves
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if name in _NESTED and isinstance(value, str):
        try:
            parsed: object = json.loads(value)
        except ValueError:
            return value
        return parsed
    item: Callable[[], object] | None = getattr(value, "item", None)
    return item() if item else value


def _frame(features: Iterable[Mapping[str, Any]]) -> GeoDataFrame:
    geopandas = _geopandas()
    from shapely.geometry import shape  # noqa: PLC0415  # beside geopandas, which needs it

    rows = []
    for feature in features:
        properties = feature["properties"]
        zone_id = feature.get("id", properties.get("id"))
        known = {name: properties[name] for name in _NAMES if properties.get(name) is not None}
        texts = {name: json.dumps(known[name], ensure_ascii=False) for name in _NESTED if name in known}
        rows.append({"id": str(zone_id)} | known | texts)
    columns = [name for name in ("id", *_NAMES) if any(name in row for row in rows)]
    table = {name: [row.get(name) for row in rows] for name in columns}
    shapes = [shape(feature["geometry"]) for feature in features]
    return geopandas.GeoDataFrame(table, geometry=shapes, crs=_WGS84)


def _check_shapefile(features: Iterable[Mapping[str, Any]], findings: Findings) -> None:
    types = {feature["geometry"]["type"].removeprefix("Multi") for feature in features}
    if len(types) > 1:
        expected = "one type of shape in a Shapefile; split the zones or write gpkg"
        findings.fault("", " and ".join(sorted(types)), expected, "mixed_geometry")
    for row, feature in enumerate(features):
        for name, value in feature["properties"].items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            size = len(text.encode())
            if name in _NAMES and size > _SHAPEFILE_TEXT_BYTES:
                expected = f"at most {_SHAPEFILE_TEXT_BYTES} bytes in a Shapefile; write gpkg"
                findings.fault(f"$.features[{row}].properties.{name}", f"{size} bytes", expected, "text_too_long")
    for name in _NAMES:
        short = name[:_SHAPEFILE_NAME_CHARACTERS]
        if short != name and any(feature["properties"].get(name) is not None for feature in features):
            findings.note("", f"the property {name}", f"{short}, as a Shapefile shortens it", "name_shortened")
