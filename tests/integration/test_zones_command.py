"""The commands ``zones check|import|export|schema`` on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.commands.zones import app
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.ingest.zonefiles import load_zone_files
from geo_engine.zones.schema import zone_file_schema

SHARED = Path(__file__).resolve().parents[2] / "../shared/data/zones"
SQUARE = [[114.0, 30.0], [114.1, 30.0], [114.1, 30.1], [114.0, 30.1], [114.0, 30.0]]


def zones(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def write(path: Path, *ids: object, ring: object = SQUARE) -> Path:
    features = [
        {
            "type": "Feature",
            "id": zone_id,
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"kind": "construction", "name": f"works {zone_id}"},
        }
        for zone_id in ids
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_check_prints_a_table_of_a_good_file(tmp_path: Path) -> None:
    result = zones("check", write(tmp_path / "a.geojson", "a", "b"))
    assert result.exit_code == 0
    assert "construction" in result.stdout
    assert "2 zones, 0 faults, 0 notes" in result.stdout
    assert result.stderr == ""


def test_check_prints_no_table_when_there_are_no_zones(tmp_path: Path) -> None:
    result = zones("check", tmp_path / "missing.geojson")
    assert result.stdout == "0 zones, 1 faults, 0 notes\n"
    assert len(result.stderr.splitlines()) == 1


def test_check_exits_3_with_one_line_for_each_fault(tmp_path: Path) -> None:
    result = zones("check", write(tmp_path / "a.geojson", "a", "a", None))
    assert result.exit_code == 3
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert "[duplicate_id]" in lines[0]
    assert "[missing_id]" in lines[1]


def test_check_as_json_is_one_object(tmp_path: Path) -> None:
    result = zones("check", "--json", write(tmp_path / "a.geojson", "a", None))
    summary = json.loads(result.stdout)
    assert result.exit_code == 3
    assert summary["zones"] == 1
    assert summary["kinds"] == {"construction": 1}
    assert summary["vertices"] == 5
    assert summary["bbox"] == [114.0, 30.0, 114.1, 30.1]
    assert [fault["reason"] for fault in summary["faults"]] == ["missing_id"]


def test_check_reads_a_folder_in_the_order_of_names_and_leaves_other_files_alone(tmp_path: Path) -> None:
    write(tmp_path / "b.geojson", "x")
    write(tmp_path / "a.geojson", "x", "y")
    for other in ("zone.schema.json", "readme.txt"):
        (tmp_path / other).write_text("{}", encoding="utf-8")
    result = zones("check", tmp_path)
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'b.geojson'} feature 0 (x)")
    assert "a.geojson" in line
    assert "2 zones, 1 faults" in result.stdout


@pytest.mark.parametrize("name", ["zones.json", "zones.GEOJSON"])
def test_check_names_a_file_of_a_folder_it_does_not_read(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.geojson", "x")
    other = write(tmp_path / name, "y")
    result = zones("check", tmp_path)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"note: {other}: ")
    assert "1 zones, 0 faults, 1 notes" in result.stdout
    assert zones("check", other).stderr == ""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "missing.geojson", "unreadable_file"),
        (lambda folder: folder, "no_zone_files"),
        (lambda folder: (folder / "empty.geojson").touch() or folder / "empty.geojson", "empty_document"),
    ],
)
def test_check_of_what_is_not_there_exits_3_without_a_traceback(tmp_path: Path, make: object, reason: str) -> None:
    result = zones("check", make(tmp_path))  # type: ignore[operator]  # a function of the table
    assert result.exit_code == 3
    assert f"[{reason}]" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_file_over_the_cap_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.geojson"
    with path.open("wb") as file:
        file.truncate(20_000_001)
    assert [fault.reason for fault in load_zone_files([path]).faults] == ["document_too_large"]


def test_usage_error_exits_2(tmp_path: Path) -> None:
    assert zones("check").exit_code == 2
    assert zones("import", "--from", "dxf", tmp_path, "--out", tmp_path / "x").exit_code == 2


@pytest.mark.parametrize(
    ("source", "pattern"),
    [("wzdx", "wzdx_*.geojson"), ("zfe", "fr_zfe_*.geojson")],
)
def test_public_files_are_imported_and_pass_the_check(tmp_path: Path, source: str, pattern: str) -> None:
    files = sorted(SHARED.glob(pattern))
    if not files:
        pytest.skip("the recorded data is not beside the project: ../shared/data/zones")
    for file in files:
        out = tmp_path / file.name
        imported = zones("import", "--from", source, file, "--out", out)
        assert imported.exit_code == 0, imported.stderr
        assert "0 rejected" in imported.stdout
        checked = zones("check", out)
        assert checked.exit_code == 0, checked.stderr
        count = len(json.loads(file.read_text(encoding="utf-8"))["features"])
        assert f"{count} zones, 0 faults" in checked.stdout


def test_file_of_a_map_service_is_imported_with_its_datum_and_then_checked(tmp_path: Path) -> None:
    lon, lat = from_wgs84(*zip(*SQUARE, strict=True), Datum.GCJ02)
    drawn = write(tmp_path / "drawn.geojson", "a", None, ring=[list(pair) for pair in zip(lon, lat, strict=True)])
    out = tmp_path / "out.geojson"
    result = zones("import", "--from", "geojson", drawn, "--datum", "gcj02", "--out", out)
    assert result.exit_code == 3
    assert "1 zones written" in result.stdout
    summary = json.loads(zones("check", "--json", out).stdout)
    assert (summary["bbox"], summary["faults"]) == ([114.0, 30.0, 114.1, 30.1], [])


def test_zone_file_is_imported_unchanged_without_a_datum(tmp_path: Path) -> None:
    source, out = write(tmp_path / "a.geojson", "a", "b"), tmp_path / "out.geojson"
    assert zones("import", "--from", "geojson", source, "--out", out).exit_code == 0
    assert json.loads(out.read_text(encoding="utf-8")) == json.loads(source.read_text(encoding="utf-8"))
    assert zones("import", "--from", "geojson", source, "--datum", "mars", "--out", out).exit_code == 2


def test_import_of_a_gis_file_takes_names_and_ids_from_its_columns(tmp_path: Path) -> None:
    file = SHARED / "mds_no-ride-zone.geojson"
    if not file.exists():
        pytest.skip("the recorded data is not beside the project: ../shared/data/zones")
    out = tmp_path / "out.geojson"
    options = ("--kind", "congestion", "--id-field", "FID", "--name-field", "NAME")
    assert zones("import", "--from", "gis", *options, file, "--out", out).exit_code == 0
    assert "Louisville Extreme Park" in out.read_text(encoding="utf-8")
    assert zones("check", out).exit_code == 0


def test_import_writes_the_good_zones_and_exits_3_when_others_are_rejected(tmp_path: Path) -> None:
    core = {"event_type": "work-zone", "road_names": ["A1"]}
    line = {"type": "LineString", "coordinates": SQUARE[:2]}
    feed = tmp_path / "feed.json"
    features = [
        {"type": "Feature", "id": "a", "geometry": line, "properties": {"core_details": core}},
        {"type": "Feature", "id": "b", "geometry": None, "properties": {"core_details": core}},
    ]
    feed.write_text(json.dumps({"features": features}), encoding="utf-8")
    out = tmp_path / "out.geojson"
    result = zones("import", "--from", "wzdx", feed, "--out", out)
    assert result.exit_code == 3
    assert "1 zones written" in result.stdout
    assert "feature 1 (b)" in result.stderr
    assert zones("check", out).exit_code == 0


@pytest.mark.parametrize("source", ["wzdx", "zfe", "osm", "gis", "geojson"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b'{"features": 7}'])
def test_import_of_an_unusable_file_exits_3_and_writes_nothing(
    tmp_path: Path, source: str, content: bytes | None
) -> None:
    file = tmp_path / "in.json"
    if content is not None:
        file.write_bytes(content)
    result = zones("import", "--from", source, file, "--out", tmp_path / "out.geojson")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out.geojson").exists()


def test_import_exits_1_when_the_result_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    properties = {"id": "z", "pl_critair": "V4"}
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE]}, "properties": properties}
    file.write_text(json.dumps({"features": [feature]}), encoding="utf-8")
    result = zones("import", "--from", "zfe", file, "--out", tmp_path / "no" / "such" / "folder.geojson")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"cannot write {tmp_path / 'no/such/folder.geojson'}: ")


@pytest.mark.parametrize("target", ["gpkg", "shp", "kml", "parquet"])
@pytest.mark.parametrize("folder", ["missing", "a.geojson"])
def test_export_exits_1_with_one_line_when_the_folder_takes_no_file(tmp_path: Path, target: str, folder: str) -> None:
    source = write(tmp_path / "a.geojson", "a")
    out = tmp_path / folder / f"out.{target}"
    result = zones("export", "--to", target, source, "--out", out)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"cannot write {out}: ")


@pytest.mark.parametrize("content", ["[]", "7", "null", '"text"'])
def test_export_of_json_that_is_no_collection_exits_3(tmp_path: Path, content: str) -> None:
    source = tmp_path / "a.geojson"
    source.write_text(content, encoding="utf-8")
    result = zones("export", "--to", "gpkg", source, "--out", tmp_path / "out.gpkg")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1


def test_export_writes_the_good_zones_and_exits_3_when_others_are_faulty(tmp_path: Path) -> None:
    source = write(tmp_path / "a.geojson", "a", None)
    result = zones("export", "--to", "gpkg", source, "--out", tmp_path / "out.gpkg")
    assert result.exit_code == 3
    assert "1 zones written" in result.stdout
    back = tmp_path / "back.geojson"
    assert zones("import", "--from", "gis", tmp_path / "out.gpkg", "--out", back).exit_code == 0
    assert zones("check", back).exit_code == 0


def test_export_of_nothing_exits_3_and_writes_nothing(tmp_path: Path) -> None:
    result = zones("export", "--to", "gpkg", tmp_path / "missing.geojson", "--out", tmp_path / "out.gpkg")
    assert result.exit_code == 3
    assert not (tmp_path / "out.gpkg").exists()


def test_export_of_an_empty_collection_exits_0_and_writes_nothing(tmp_path: Path) -> None:
    result = zones("export", "--to", "kml", write(tmp_path / "a.geojson"), "--out", tmp_path / "out.kml")
    assert result.exit_code == 0
    assert "nothing written" in result.stdout
    assert not (tmp_path / "out.kml").exists()


def test_export_of_a_folder_leaves_repeated_ids_out(tmp_path: Path) -> None:
    write(tmp_path / "a.geojson", "x")
    write(tmp_path / "b.geojson", "x", "y")
    result = zones("export", "--to", "parquet", tmp_path, "--out", tmp_path / "out.parquet")
    assert result.exit_code == 3
    assert "2 zones written" in result.stdout


def test_schema_is_printed() -> None:
    result = zones("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == zone_file_schema()


def line(**properties: object) -> dict[str, object]:
    shape = {"type": "LineString", "coordinates": SQUARE[:2]}
    values = {"kind": "truck_restriction", "name": "路", "width_m": 10, **properties}
    return {"type": "Feature", "id": "z", "geometry": shape, "properties": values}


PUBLIC = {
    "osm": line(applies_to={"gross_weight_over_t": 3.5}, schedule="22:00-06:00"),
    "zfe": line(
        applies_to={
            "gross_weight_over_t": 3.5,
            "any_of": [
                {"energies": ["petrol"], "emission_stage_at_most": 2},
                {"energies": ["diesel"], "emission_stage_at_most": 4},
            ],
        },
        valid_from="2026-01-01T00:00:00+01:00",
        effect="decides",
    ),
    "wzdx": line(
        kind="construction",
        valid_from="2026-01-01T00:00:00Z",
        valid_to="2026-02-01T00:00:00Z",
        applies_to={"height_over_m": 3.5},
    ),
}


@pytest.mark.parametrize("target", list(PUBLIC))
def test_zone_in_a_public_format_comes_back_as_the_same_rule(tmp_path: Path, target: str) -> None:
    source, there, back = tmp_path / "a.geojson", tmp_path / "there.json", tmp_path / "b.geojson"
    stranger = line(applies_to={"plate_prefixes": ["鄂A"]}) | {"id": "stranger"}
    source.write_text(json.dumps({"type": "FeatureCollection", "features": [PUBLIC[target], stranger]}), "utf-8")
    exported = zones("export", "--to", target, source, "--out", there)
    assert (exported.exit_code, exported.stdout) == (3, f"1 zones written to {there}\n")
    assert "[not_expressible]" in exported.stderr
    imported = zones("import", "--from", target, there, "--out", back)
    assert imported.exit_code == 0, imported.stderr
    first, second = (load_zone_files([path]).zone_set.zones for path in (source, back))
    assert second[0].applies_to == next(zone for zone in first if zone.zone_id == "z").applies_to
    assert (second[0].schedule.text, second[0].kind, second[0].effect) == (
        first[-1].schedule.text,
        first[-1].kind,
        first[-1].effect,
    )


def test_export_of_nothing_the_format_can_say_writes_no_file(tmp_path: Path) -> None:
    result = zones("export", "--to", "wzdx", write(tmp_path / "a.geojson", "a"), "--out", tmp_path / "feed.json")
    assert (result.exit_code, result.stdout) == (3, "no zones, nothing written\n")
    assert not (tmp_path / "feed.json").exists()


def test_day_calendar_beside_the_zones_is_read_and_a_faulty_one_is_named(tmp_path: Path) -> None:
    features = [line(days={"holiday": "off"})]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    assert "[no_day_calendar]" in zones("check", tmp_path).stderr
    year = {"holidays": ["2026-10-01"], "makeup_workdays": []}
    calendar = tmp_path / "day-calendar.json"
    calendar.write_text(json.dumps({"years": {"2026": year}}), "utf-8")
    result = zones("check", tmp_path)
    assert result.exit_code == 0
    assert "2027 and later" in result.stderr
    (zone,) = load_zone_files([tmp_path / "a.geojson"]).zone_set.zones
    assert not zone.in_force_at(1_790_820_000_000)
    calendar.write_text(json.dumps({"years": {"2026": {"holidays": ["soon"]}}}), "utf-8")
    assert zones("check", tmp_path).exit_code == 3
