"""Zones go out to the formats of GIS programs and come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import geopandas
import pandas
import pytest
import shapely

from geo_engine.errors import ConfigurationError, ZoneDocumentError
from geo_engine.ingest import gis
from geo_engine.ingest.gis import GisFields, GisFormat, read_gis, write_gis
from geo_engine.zones.document import read_zone_document
from geo_engine.zones.zone import Zone

SQUARE = [[114.0, 30.0], [114.1, 30.0], [114.1, 30.1], [114.0, 30.1], [114.0, 30.0]]
HOLE = [[114.02, 30.02], [114.04, 30.02], [114.04, 30.04], [114.02, 30.02]]

AREA = {
    "type": "Feature",
    "id": "二桥",
    "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
    "properties": {
        "kind": "truck_restriction",
        "name": "长江二桥货车禁行",
        "name_en": "Second bridge",
        "applies_to": {"vehicle_classes": ["heavy"], "gross_weight_over_t": 4.5, "plate_prefixes_except": ["鄂A"]},
        "exempt": ["emergency"],
        "schedule": "Mo-Fr 07:00-09:00; Sa off",
        "timezone": "Asia/Shanghai",
        "valid_from": "2026-11-20T07:00:00+08:00",
        "valid_to": "2027-11-20T07:00:00Z",
        "enforced_from": "2026-12-01T00:00:00+08:00",
        "severity": "high",
        "advice": "改走二七长江大桥",
        "note": "illustrative",
    },
}
PLAIN = {
    "type": "Feature",
    "id": 7,
    "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
    "properties": {"kind": "construction", "name": "works"},
}
LINE = {
    "type": "Feature",
    "id": "line",
    "geometry": {"type": "LineString", "coordinates": SQUARE[:3]},
    "properties": {"kind": "construction", "name": "line", "width_m": 12.5},
}
POINT = {
    "type": "Feature",
    "id": "point",
    "geometry": {"type": "Point", "coordinates": SQUARE[0]},
    "properties": {"kind": "congestion", "name": "point", "radius_m": 250},
}


def collection(*features: object) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": list(features)}


def zones_of(document: dict[str, object]) -> dict[str, Zone]:
    read = read_zone_document(document)
    assert read.faults == ()
    return {zone.zone_id: zone for zone in read.zones}


def assert_same(found: dict[str, Zone], expected: dict[str, Zone]) -> None:
    assert found.keys() == expected.keys()
    for zone_id, zone in expected.items():
        other = found[zone_id]
        assert shapely.equals(zone.geometry, other.geometry)
        fields = (name for name in Zone.__dataclass_fields__ if name != "geometry")
        assert all(getattr(zone, name) == getattr(other, name) for name in fields)


@pytest.mark.parametrize("gis_format", [GisFormat.GPKG, GisFormat.KML, GisFormat.PARQUET])
def test_zones_of_every_shape_come_back_as_they_went(tmp_path: Path, gis_format: GisFormat) -> None:
    document = collection(AREA, PLAIN, LINE, POINT)
    path = tmp_path / f"zones.{gis_format}"
    assert write_gis(document, path, gis_format) == ()
    imported = read_gis(path)
    assert (imported.faults, imported.notes) == ((), ())
    assert_same(zones_of(imported.document), zones_of(document))


def test_shapefile_shortens_names_and_they_are_known_again(tmp_path: Path) -> None:
    document = collection(AREA, PLAIN)
    path = tmp_path / "zones.shp"
    notes = write_gis(document, path, GisFormat.SHP)
    assert [(note.reason, note.found) for note in notes] == [("name_shortened", "the property enforced_from")]
    imported = read_gis(path)
    assert (imported.faults, imported.notes) == ((), ())
    assert_same(zones_of(imported.document), zones_of(document))


def test_shapefile_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    long = {**PLAIN, "properties": {**PLAIN["properties"], "advice": "绕" * 100}}  # type: ignore[dict-item]  # JSON
    with pytest.raises(ZoneDocumentError) as error:
        write_gis(collection(long, LINE), tmp_path / "zones.shp", GisFormat.SHP)
    assert [fault.reason for fault in error.value.faults] == ["mixed_geometry", "text_too_long"]
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "zones.gpkg"
    write_gis(collection(AREA), path, GisFormat.GPKG)
    write_gis(collection(PLAIN), path, GisFormat.GPKG)
    assert list(zones_of(read_gis(path).document)) == ["7"]


def test_other_coordinate_system_is_brought_to_wgs84(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"id": ["a"], "name": ["x"], "kind": ["construction"]}, geometry=[shapely.Polygon(SQUARE)], crs="EPSG:4326"
    )
    path = tmp_path / "projected.gpkg"
    frame.to_crs("EPSG:4547").to_file(path)
    (zone,) = zones_of(read_gis(path).document).values()
    assert shapely.equals_exact(zone.geometry, shapely.Polygon(SQUARE), 1e-8)


def test_missing_coordinate_system_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "zones.shp"
    write_gis(collection(PLAIN), path, GisFormat.SHP)
    path.with_suffix(".prj").unlink()
    with pytest.raises(ZoneDocumentError) as error:
        read_gis(path)
    assert error.value.faults[0].reason == "unknown_crs"


def test_columns_of_another_program_are_named_once_and_left_out(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {"FID": [1, 2], "TITLE": ["a", "b"], "Area": [1.0, None]},
        geometry=[shapely.Polygon(SQUARE), None],
        crs="EPSG:4326",
    )
    path = tmp_path / "other.parquet"
    frame.to_parquet(path)
    imported = read_gis(path, fields=GisFields(kind="congestion", id_field="FID", name_field="TITLE"))
    assert list(zones_of(imported.document)) == ["1"]
    assert [note.found for note in imported.notes] == ["the column 'Area'"]
    assert [(fault.reason, fault.path) for fault in imported.faults] == [("null_geometry", "$.features[1].geometry")]


@pytest.mark.parametrize(
    ("fields", "found", "expected"),
    [
        (
            GisFields(kind="congestion"),
            "no values in a column id, name",
            "--id-field FID --name-field NAME (columns of the file: FID, NAME, Area; 2 features are left out)",
        ),
        (
            GisFields(kind="congestion", id_field="FID", name_field="TITLE"),
            "no values in a column TITLE",
            "--name-field NAME (columns of the file: FID, NAME, Area; 2 features are left out)",
        ),
        (
            GisFields(id_field="FID", name_field="NAME"),
            "no values in a column kind",
            "--kind truck_restriction|congestion|construction|venue (columns of the file: FID, NAME, Area; "
            "2 features are left out)",
        ),
    ],
)
def test_missing_columns_are_one_fault_with_the_options_to_type(
    tmp_path: Path, fields: GisFields, found: str, expected: str
) -> None:
    frame = geopandas.GeoDataFrame(
        {"FID": [1, 2], "NAME": ["a", "b"], "Area": [1.0, None]},
        geometry=[shapely.Polygon(SQUARE)] * 2,
        crs="EPSG:4326",
    )
    path = tmp_path / "other.parquet"
    frame.to_parquet(path)
    imported = read_gis(path, fields=fields)
    assert imported.document["features"] == []
    assert [(fault.found, fault.expected, fault.reason) for fault in imported.faults] == [
        (found, expected, "missing_column")
    ]
    assert read_gis(path, fields=GisFields("congestion", "FID", "NAME")).faults == ()


def test_height_is_dropped_with_one_note(tmp_path: Path) -> None:
    high = shapely.Polygon([(*position, 12.0) for position in SQUARE])
    frame = geopandas.GeoDataFrame(
        {"id": ["a", "b"], "name": ["x", "y"], "kind": ["venue", "venue"]}, geometry=[high, high], crs="EPSG:4326"
    )
    path = tmp_path / "high.gpkg"
    frame.to_file(path)
    imported = read_gis(path)
    assert [note.reason for note in imported.notes] == ["z_dropped"]
    assert len(zones_of(imported.document)) == 2


def test_dates_of_a_gis_program_are_read_and_bad_json_text_is_a_fault(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(
        {
            "id": ["a", "b"],
            "name": ["x", "y"],
            "kind": ["venue", "venue"],
            "valid_from": pandas.to_datetime(["2026-11-20T07:00:00+08:00", None], utc=True),
            "applies_to": [None, "{heavy}"],
        },
        geometry=[shapely.Polygon(SQUARE)] * 2,
        crs="EPSG:4326",
    )
    path = tmp_path / "dates.parquet"
    frame.to_parquet(path)
    imported = read_gis(path)
    (zone,) = zones_of(imported.document).values()
    assert zone.valid_from_ms == 1_795_129_200_000
    assert [(fault.path, fault.reason) for fault in imported.faults] == [
        ("$.features[1].properties.applies_to", "wrong_type")
    ]


def test_nothing_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ZoneDocumentError, match="no zones"):
        write_gis(collection(), tmp_path / "zones.gpkg", GisFormat.GPKG)


@pytest.mark.parametrize("name", ["x.gpkg", "x.shp", "x.kml", "x.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"not a file of this kind"])
def test_unreadable_file_is_one_fault(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ZoneDocumentError) as error:
        read_gis(path)
    assert [fault.reason for fault in error.value.faults] == ["unreadable_file"]


def test_geopandas_is_not_imported_until_it_is_needed() -> None:
    code = f"import sys, {gis.__name__}, api.commands.zones; sys.exit('geopandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_geopandas_is_said_with_the_command_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(ConfigurationError, match=r"geo-engine\[analysis\]"):
        read_gis(tmp_path / "zones.gpkg")
