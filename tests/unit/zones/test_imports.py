"""WZDx feeds and French ZFE files become zone documents; what cannot is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.zones.document import read_zone_document
from geo_engine.zones.foreign import ImportedZones, in_wgs84, zones_from_geojson
from geo_engine.zones.wzdx import wzdx_from_zones, zones_from_wzdx
from geo_engine.zones.zfe import zfe_from_zones, zones_from_zfe

SHARED = Path(__file__).resolve().parents[4] / "shared/data/zones"

LINE = {"type": "LineString", "coordinates": [[-93.7, 41.6], [-93.6, 41.6]]}
SQUARE = [[2.3, 48.8], [2.4, 48.8], [2.4, 48.9], [2.3, 48.9], [2.3, 48.8]]


def work(core: dict[str, object] | None = None, geometry: object = LINE, **values: object) -> dict[str, object]:
    details = {"event_type": "work-zone", "road_names": ["I-80", "I-35"], "direction": "northbound"} | (core or {})
    dates = {"start_date": "2010-01-01T01:00:00Z", "end_date": "2010-01-02T01:00:00Z"}
    properties = {"core_details": details, "vehicle_impact": "all-lanes-closed"} | dates | values
    return {"type": "Feature", "id": "w", "geometry": geometry, "properties": properties}


def wzdx(*features: object) -> ImportedZones:
    return zones_from_wzdx({"feed_info": {}, "features": list(features)}, where="feed.json")


def properties_of(imported: ImportedZones, row: int = 0) -> dict[str, object]:
    return imported.document["features"][row]["properties"]  # type: ignore[no-any-return]  # JSON


def test_work_zone_becomes_a_construction_zone() -> None:
    imported = wzdx(work({"description": "Lane closed."}, lanes=[{"order": row} for row in range(4)]))
    assert (imported.faults, imported.notes) == ((), ())
    assert properties_of(imported) == {
        "kind": "construction",
        "name": "I-80 / I-35 northbound",
        "valid_from": "2010-01-01T01:00:00Z",
        "valid_to": "2010-01-02T01:00:00Z",
        "severity": "high",
        "advice": "Lane closed.",
        "width_m": 14.8,
        "note": "WZDx: vehicle_impact all-lanes-closed",
    }
    assert len(read_zone_document(imported.document).zones) == 1


@pytest.mark.parametrize(
    ("restrictions", "applies_to"),
    [
        ([], None),
        ([{"type": "no-parking"}], None),
        ([{"type": "gross-weight-limit", "value": 20_000, "unit": "pounds"}], {"gross_weight_over_t": 9.072}),
        (
            [
                {"type": "reduced-weight", "value": 10, "unit": "tons"},
                {"type": "gross-weight-limit", "value": 8_000, "unit": "kilograms"},
            ],
            {"gross_weight_over_t": 8.0},
        ),
    ],
)
def test_weight_limits_become_conditions(restrictions: list[object], applies_to: object) -> None:
    assert properties_of(wzdx(work(restrictions=restrictions))).get("applies_to") == applies_to


def test_no_trucks_on_a_lane_concerns_goods_kinds_and_is_kept_in_the_note() -> None:
    found = properties_of(wzdx(work(lanes=[{"restrictions": [{"type": "no-trucks"}]}])))
    kinds = found["applies_to"]["vehicle_kinds"]  # type: ignore[index]  # JSON
    assert "goods" in kinds
    assert "car" not in kinds
    assert "no-trucks" in str(found["note"])


@pytest.mark.parametrize("value", [True, False, 10**400, float("nan"), float("inf"), -3, "8", None, [8]])
def test_limit_that_is_no_number_is_noted_and_the_zone_kept_for_everybody(value: object) -> None:
    good = {"type": "reduced-height", "value": 400, "unit": "centimeters"}
    imported = wzdx(work(restrictions=[{"type": "reduced-weight", "value": value, "unit": "tons"}, good]))
    assert properties_of(imported)["applies_to"] == {"height_over_m": 4.0}
    assert [note.reason for note in imported.notes] == ["unknown_weight"]


def test_weight_in_an_unknown_unit_is_noted() -> None:
    imported = wzdx(work(restrictions=[{"type": "gross-weight-limit", "value": 3, "unit": "stones"}]))
    assert [note.reason for note in imported.notes] == ["unknown_weight"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (7, "not_a_feature"),
        ({"type": "Feature"}, "not_a_work_zone"),
        (work({"event_type": "detour"}), "not_a_work_zone"),
        (work(geometry={"type": "MultiPoint", "coordinates": [[1, 1], [1, 2]]}), "unsupported_geometry"),
        (work(geometry=None), "unsupported_geometry"),
        (work(geometry={"type": "LineString", "coordinates": [[1, 1]]}), "too_few_points"),
        (work({"road_names": []}), "missing_property"),
        (work(start_date="yesterday"), "bad_time"),
        (work(end_date="2009-01-01T00:00:00Z"), "empty_validity"),
    ],
)
def test_rejected_work_zone_is_named_and_the_good_one_kept(bad: object, reason: str) -> None:
    imported = wzdx(bad, {**work(), "id": "good"})
    assert [feature["id"] for feature in imported.document["features"]] == ["good"]
    assert [fault.reason for fault in imported.faults] == [reason]
    assert imported.faults[0].where.startswith("feed.json feature 0")


def test_fault_names_the_number_of_the_foreign_feature() -> None:
    imported = wzdx(work({"event_type": "detour"}), work(start_date="yesterday"))
    assert [fault.path for fault in imported.faults] == [
        "$.features[0].properties.core_details.event_type",
        "$.features[1].properties.valid_from",
    ]


@pytest.mark.parametrize("read", [zones_from_wzdx, zones_from_zfe, zones_from_geojson])
@pytest.mark.parametrize("source", [None, [], {}, {"features": 7}])
def test_a_file_of_another_kind_is_one_fault(read: object, source: object) -> None:
    imported = read(source)  # type: ignore[operator]  # one of three functions
    assert [fault.reason for fault in imported.faults] == ["not_a_feature_collection"]
    assert imported.document["features"] == []


WUHAN = [[114.0, 30.0], [114.1, 30.0], [114.1, 30.1], [114.0, 30.1], [114.0, 30.0]]
SHAPES = {
    "Polygon": [WUHAN],
    "MultiPolygon": [[WUHAN]],
    "LineString": WUHAN[:3],
    "MultiLineString": [WUHAN[:2]],
    "Point": WUHAN[0],
}


def own(geometry_type: str, coordinates: object) -> dict[str, object]:
    values = {"kind": "construction", "name": "路", "note": None, "OBJECTID": 5}
    sizes = {"width_m": 20} if "Line" in geometry_type else {"radius_m": 20} if geometry_type == "Point" else {}
    geometry = {"type": geometry_type, "coordinates": coordinates, "bbox": [0, 0, 0, 0]}
    return {"type": "Feature", "id": "z", "bbox": [0, 0, 0, 0], "geometry": geometry, "properties": values | sizes}


def shifted(coordinates: object, datum: Datum) -> object:
    lon, lat = from_wgs84(np.asarray(coordinates)[..., 0], np.asarray(coordinates)[..., 1], datum)
    return np.stack([lon, lat], axis=-1).tolist()


@pytest.mark.parametrize("datum", list(Datum))
@pytest.mark.parametrize("geometry_type", list(SHAPES))
def test_zone_file_is_brought_to_wgs84_with_its_properties_as_written(datum: Datum, geometry_type: str) -> None:
    source = own(geometry_type, shifted(SHAPES[geometry_type], datum))
    imported = in_wgs84(zones_from_geojson({"type": "FeatureCollection", "features": [source]}), datum)
    (feature,) = imported.document["features"]
    assert imported.faults == ()
    assert (feature["id"], feature["properties"]) == ("z", source["properties"])
    assert feature["geometry"]["type"] == geometry_type
    # A millimetre, as it is written.
    assert np.allclose(feature["geometry"]["coordinates"], SHAPES[geometry_type], rtol=0, atol=2e-8)
    assert "bbox" not in feature
    assert len(read_zone_document(imported.document).zones) == 1


def test_coordinates_in_wgs84_stay_as_written_and_heights_stay_in_every_datum() -> None:
    high = [[*position, 12.5] for position in WUHAN]
    imported = zones_from_geojson(own("Polygon", [high]))
    assert in_wgs84(imported, Datum.WGS84) is imported
    (feature,) = in_wgs84(imported, Datum.GCJ02).document["features"]
    moved = feature["geometry"]["coordinates"][0]
    assert [position[2] for position in moved] == [12.5] * 5
    assert moved[0] == moved[-1]
    assert abs(moved[0][0] - 114.0) > 0.003


def test_faulty_zone_of_our_format_is_named_and_the_good_one_kept() -> None:
    good = own("Polygon", [WUHAN])
    imported = zones_from_geojson({"type": "FeatureCollection", "features": [{**good, "id": None}, good]}, where="a")
    assert [feature["id"] for feature in imported.document["features"]] == ["z"]
    assert [fault.reason for fault in imported.faults] == ["missing_id"]
    assert imported.faults[0].where == "a feature 0"


def zfe(geometry: object = None, **values: object) -> ImportedZones:
    shape = geometry or {"type": "Polygon", "coordinates": [SQUARE]}
    properties = {"id": "Z-1", "date_debut": "2019-07-01", "date_fin": "2023-01-01", "pl_critair": "V4"} | values
    feature = {"type": "Feature", "geometry": shape, "properties": properties}
    return zones_from_zfe({"type": "FeatureCollection", "features": [feature]}, where="zfe.json")


def test_zfe_becomes_a_truck_restriction_in_paris_time() -> None:
    imported = zfe(pl_horaires="Mo-Fr 08:00-20:00")
    assert (imported.faults, imported.notes) == ((), ())
    assert properties_of(imported) == {
        "kind": "truck_restriction",
        "name": "ZFE Z-1",
        "applies_to": {
            "gross_weight_over_t": 3.5,
            "any_of": [
                {"energies": ["petrol"], "emission_stage_at_most": 2},
                {"energies": ["diesel"], "emission_stage_at_most": 4},
            ],
        },
        "schedule": "Mo-Fr 08:00-20:00",
        "timezone": "Europe/Paris",
        "valid_from": "2019-07-01T00:00:00+02:00",
        "valid_to": "2023-01-02T00:00:00+01:00",
        "note": "Crit'Air V4 and worse, heavy goods vehicles (pl)",
    }


@pytest.mark.parametrize(
    "hours", ["Mo-Fr 08:00-20:00; PH off", "PH,SH off; Mo-Fr 08:00-20:00", "Mo-Fr 08:00-20:00;PH closed"]
)
def test_holidays_off_become_a_day_rule_and_the_missing_calendar_is_noted(hours: str) -> None:
    imported = zfe(pl_horaires=hours)
    assert properties_of(imported)["schedule"] == "Mo-Fr 08:00-20:00"
    assert properties_of(imported)["days"] == {"holiday": "off", "makeup_workday": "weekend"}
    assert [note.reason for note in imported.notes] == ["no_day_calendar"]


def test_road_section_becomes_a_corridor() -> None:
    imported = zfe({"type": "LineString", "coordinates": SQUARE[:2]})
    assert properties_of(imported)["width_m"] == 10.0
    assert properties_of(imported)["effect"] == "decides"
    assert imported.faults == ()


@pytest.mark.parametrize("sticker", [["V3"], {"V3": 1}, 3, True, "V9"])
def test_zfe_class_that_is_none_is_named(sticker: object) -> None:
    imported = zfe(pl_critair=sticker)
    assert [fault.reason for fault in imported.faults] == ["unknown_critair"]
    assert zfe(pl_critair="V3").faults == ()


@pytest.mark.parametrize("bad", [7, {"type": "Feature"}, {"type": "Feature", "properties": None}])
def test_zfe_entry_that_is_no_feature_is_named(bad: object) -> None:
    imported = zones_from_zfe({"features": [bad]}, where="zfe.json")
    assert [(fault.where, fault.reason) for fault in imported.faults] == [("zfe.json feature 0", "not_a_feature")]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pl_critair": None}, "not_for_trucks"),
        ({"id": None}, "missing_id"),
        ({"pl_critair": "V9"}, "unknown_critair"),
        ({"pl_horaires": "Mo-Fr,PH 08:00-20:00"}, "bad_schedule"),
        ({"pl_horaires": 7}, "wrong_type"),
        ({"date_debut": "July 2019"}, "bad_time"),
        ({"date_fin": "9999-12-31"}, "bad_time"),
        ({"date_fin": "2019-01-01"}, "empty_validity"),
    ],
)
def test_rejected_zfe_zone_is_named(values: dict[str, object], reason: str) -> None:
    imported = zfe(**values)
    assert imported.document["features"] == []
    assert [fault.reason for fault in imported.faults] == [reason]


# ---- back into the public formats

MADE = {"publisher": "city", "update_date": "2026-11-25T08:00:00Z"}


def test_work_zone_comes_back_from_a_feed_of_ours() -> None:
    restrictions = [{"type": "no-trucks"}, {"type": "reduced-height", "value": 350, "unit": "centimeters"}]
    lanes = [{"order": row, "type": "general", "status": "closed"} for row in range(1, 5)]
    imported = wzdx(work({"description": "Closed."}, restrictions=restrictions, lanes=lanes))
    feed = wzdx_from_zones(imported.document, **MADE)
    assert feed.faults == ()
    back = zones_from_wzdx(feed.document)
    first, second = properties_of(imported), properties_of(back)
    assert second == first | {"note": second["note"]}
    assert second["applies_to"]["any_of"][1] == {"height_over_m": 3.5}  # type: ignore[index]  # JSON
    assert back.document["features"][0]["geometry"] == LINE


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "truck_restriction"},
        {"valid_to": None},
        {"schedule": "07:00-09:00"},
        {"exempt": ["emergency"]},
        {"dwell_s": 300},
        {"applies_to": {"plate_prefixes": ["鄂A"]}},
        {"applies_to": {"vehicle_kinds": ["goods"]}},
        {"applies_to": {"height_over_m": 3.5, "width_over_m": 2.5}},
    ],
)
def test_zone_a_feed_cannot_say_is_named_and_left_out(values: dict[str, object]) -> None:
    document = wzdx(work()).document
    document["features"][0]["properties"] |= values
    feed = wzdx_from_zones(document, **MADE)
    assert feed.document["features"] == []
    assert [fault.reason for fault in feed.faults] == ["not_expressible"]


def geometry_of(uri: str) -> Resource:
    """Stand in for a schema of geojson.org, which the recorded ones refer to: it looks at the type."""
    schema = {"properties": {"type": {"const": Path(uri).stem}}}
    return Resource.from_contents({"$schema": "http://json-schema.org/draft-07/schema#", **schema})


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/zones")
def test_feed_of_ours_passes_the_schema_of_wzdx() -> None:
    schemas = [json.loads(path.read_text(encoding="utf-8")) for path in (SHARED / "schema_wzdx42").glob("*.json")]
    known = Registry(retrieve=geometry_of).with_resources(
        [(schema["$id"], Resource.from_contents(schema)) for schema in schemas]
    )
    (feed_schema,) = [schema for schema in schemas if schema["$id"].endswith("WorkZoneFeed.json")]
    imported = [zones_from_wzdx(json.loads(path.read_text("utf-8"))) for path in SHARED.glob("wzdx_*.geojson")]
    assert imported
    for found in imported:
        feed = wzdx_from_zones(found.document, **MADE)
        assert feed.faults == ()
        assert list(Draft7Validator(feed_schema, registry=known).iter_errors(feed.document)) == []


@pytest.mark.parametrize("sticker", ["NC", "V5", "V4", "V3", "V2", "V1", "EL"])
@pytest.mark.parametrize("hours", ["24/7", "Mo-Fr 08:00-20:00", "Mo-Fr 08:00-20:00; PH off"])
def test_low_emission_zone_comes_back_from_the_french_schema(sticker: str, hours: str) -> None:
    imported = zfe(pl_critair=sticker, pl_horaires=hours)
    exported = zfe_from_zones(imported.document)
    assert exported.faults == ()
    assert exported.document["features"][0]["properties"] == {
        "id": "Z-1",
        "date_debut": "2019-07-01",
        "date_fin": "2023-01-01",
        "pl_critair": sticker,
        "pl_horaires": hours,
    }


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/zones")
@pytest.mark.parametrize("name", ["fr_zfe_zone_paris.geojson", "fr_zfe_special_roads.geojson"])
def test_recorded_low_emission_zones_come_back_as_far_as_trucks_go(name: str) -> None:
    source = json.loads((SHARED / name).read_text(encoding="utf-8"))
    exported = zfe_from_zones(zones_from_zfe(source).document)
    names = ("id", "date_debut", "date_fin", "pl_critair", "pl_horaires")
    for before, after in zip(source["features"], exported.document["features"], strict=True):
        assert after["properties"] == {key: before["properties"][key] for key in names if before["properties"].get(key)}
        assert after["geometry"] == before["geometry"]


@pytest.mark.parametrize(
    "values",
    [{"kind": "construction"}, {"applies_to": None}, {"valid_from": None}, {"exempt": ["emergency"]}, {"dwell_s": 300}],
)
def test_zone_the_french_schema_cannot_say_is_named_and_left_out(values: dict[str, object]) -> None:
    document = zfe().document
    document["features"][0]["properties"] |= values
    exported = zfe_from_zones(document)
    assert exported.document["features"] == []
    assert [fault.reason for fault in exported.faults] == ["not_expressible"]
