"""Bad zone documents: each ends in one named fault, and the good feature beside it is kept."""

from __future__ import annotations

import json
import time
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.zones.coordinates import Limits
from geo_engine.zones.document import read_zone_document
from tests.unit.zones.documents import GOOD, SQUARE, collection, feature, line, point, polygon

C = "geometry.coordinates"
WUHAN = np.array([114.0, 30.0])


def square_with(third: object) -> list[object]:
    """Return the square with another third position."""
    return [*SQUARE[:2], third, *SQUARE[3:]]


def ring(*positions: tuple[object, object]) -> list[list[object]]:
    return [list(position) for position in positions]


@pytest.mark.parametrize(
    ("geometry", "path", "reason"),
    [
        (None, "geometry", "null_geometry"),
        (7, "geometry", "not_a_geometry"),
        ({"type": "GeometryCollection", "geometries": []}, "geometry.type", "unsupported_geometry"),
        ({"type": "MultiPoint", "coordinates": [[114, 30]]}, "geometry.type", "unsupported_geometry"),
        ({"type": ["Polygon"], "coordinates": []}, "geometry.type", "unsupported_geometry"),
        ({"type": "Polygon"}, C, "not_an_array"),
        (polygon(), C, "empty_coordinates"),
        (polygon([]), f"{C}[0]", "empty_coordinates"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, f"{C}[0]", "empty_coordinates"),
        (line(), C, "empty_coordinates"),
        (point(), C, "empty_coordinates"),
        (polygon("ring"), f"{C}[0]", "not_an_array"),
        (polygon(square_with(7)), f"{C}[0][2]", "not_a_position"),
        (polygon(square_with([114])), f"{C}[0][2]", "not_a_position"),
        (polygon(square_with(["114.1", 30])), f"{C}[0][2][0]", "not_a_number"),
        (polygon(square_with([114.1, True])), f"{C}[0][2][1]", "not_a_number"),
        (polygon(square_with([114.1, None])), f"{C}[0][2][1]", "not_a_number"),
        (polygon(square_with([nan, 30])), f"{C}[0][2][0]", "not_finite"),
        (polygon(square_with([114.1, inf])), f"{C}[0][2][1]", "not_finite"),
        (polygon(square_with([1e308, 30])), f"{C}[0][2][0]", "lon_out_of_range"),
        (polygon(square_with([10**400, 30])), f"{C}[0][2][0]", "lon_out_of_range"),
        (polygon(square_with([114.1, -91])), f"{C}[0][2][1]", "lat_out_of_range"),
        (polygon([[lat, lon] for lon, lat in SQUARE]), f"{C}[0][0][1]", "lon_lat_swapped"),
        (polygon(ring((39.4, 76.0), (39.5, 76.0), (39.5, 76.1), (39.4, 76.0))), f"{C}[0][0]", "lon_lat_swapped"),
        (polygon(SQUARE[:3]), f"{C}[0]", "too_few_points"),
        (polygon(SQUARE[:4]), f"{C}[0]", "unclosed_ring"),
        (polygon(ring((0, 0), (1, 1), (2, 2), (0, 0))), C, "zero_area"),
        (polygon([[114, 30]] * 4), C, "zero_area"),
        (polygon(ring((0, 0), (1, 1), (1, 0), (0, 1), (0, 0))), C, "self_intersection"),
        (polygon(SQUARE, ring((120, 30), (121, 30), (121, 31), (120, 30))), C, "hole_outside_shell"),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]}, C, "self_intersection"),
        (polygon(ring((0, 80), (120, 80), (-120, 80), (0, 80))), f"{C}[0]", "ring_around_pole"),
        (
            polygon(ring((0, 0), (170, 0), (-20, 0), (150, 10), (-20, 20), (170, 20), (0, 0))),
            f"{C}[0]",
            "wider_than_earth",
        ),
        (line([114, 30]), C, "too_few_points"),
        (line([114, 30], [114, 30]), C, "zero_length"),
        (line([0, 0], [90, 0]), C, "line_too_long"),
        (line([114, 30], [nan, 30]), f"{C}[1][0]", "not_finite"),
        ({"type": "MultiLineString", "coordinates": [[[1, 1], [1, 2]], [[1, 1]]]}, f"{C}[1]", "too_few_points"),
        (point([114, 30]), C, "not_a_position"),
        (point(114, nan), f"{C}[1]", "not_finite"),
        (polygon([[114, 30]] * 10_001), "geometry", "too_many_vertices"),
        (line(*[[114 + row * 1e-4, 30] for row in range(2_001)]), "geometry", "too_many_vertices"),
        (polygon(SQUARE, *[SQUARE[:1]] * 2_001), "geometry", "too_many_rings"),
        (polygon(SQUARE, *[[[114, 30]] * 4] * 20_000), "geometry", "too_many_vertices"),
    ],
)
def test_bad_geometry_is_one_fault_and_the_good_feature_is_kept(geometry: object, path: str, reason: str) -> None:
    document = read_zone_document(collection(feature(geometry, width_m=10), GOOD), where="city.geojson")
    assert [zone.zone_id for zone in document.zones] == ["good"]
    assert document.rows == (1,)
    assert [(fault.where, fault.path, fault.reason) for fault in document.faults] == [
        ("city.geojson feature 0 (bad)", f"$.features[0].{path}", reason)
    ]


def test_bow_tie_is_reported_with_its_place() -> None:
    bow_tie = polygon(ring((0, 0), (1, 1), (1, 0), (0, 1), (0, 0)))
    (fault,) = read_zone_document(collection(feature(bow_tie))).faults
    assert "0.5 0.5" in fault.found


def test_further_bad_positions_of_a_ring_are_counted_not_listed() -> None:
    (fault,) = read_zone_document(collection(feature(polygon([[nan, 30]] * 5)))).faults
    assert "and 4 more" in fault.found


@pytest.mark.parametrize(
    ("properties", "path", "reason"),
    [
        ({"kind": None}, ".kind", "missing_property"),
        ({"kind": "truck_restrictions"}, ".kind", "unknown_value"),
        ({"kind": 7}, ".kind", "wrong_type"),
        ({"name": None}, ".name", "missing_property"),
        ({"name": "  "}, ".name", "bad_text"),
        ({"name": "x" * 101}, ".name", "text_too_long"),
        ({"name": "a\x00b"}, ".name", "bad_character"),
        ({"name": "\ud800"}, ".name", "bad_character"),
        ({"name": ["x"]}, ".name", "wrong_type"),
        ({"name_en": 7}, ".name_en", "wrong_type"),
        ({"width_m": -5}, ".width_m", "out_of_range"),
        ({"width_m": 0}, ".width_m", "out_of_range"),
        ({"width_m": "20"}, ".width_m", "wrong_type"),
        ({"width_m": True}, ".width_m", "wrong_type"),
        ({"width_m": nan}, ".width_m", "not_finite"),
        ({"radius_m": 1e308}, ".radius_m", "out_of_range"),
        ({"radius_m": 10**400}, ".radius_m", "out_of_range"),
        ({"severity": "hihg"}, ".severity", "unknown_value"),
        ({"schedule": "Mo-Fr 07:00-09:00; PH off"}, ".schedule", "bad_schedule"),
        ({"schedule": "seven to nine"}, ".schedule", "bad_schedule"),
        ({"schedule": 7}, ".schedule", "wrong_type"),
        ({"timezone": "Wuhan"}, ".timezone", "unknown_timezone"),
        ({"valid_from": "2026-11-20"}, ".valid_from", "bad_time"),
        ({"valid_from": "2026-11-20T07:00:00"}, ".valid_from", "bad_time"),
        ({"valid_from": "2024/09/08 05:30:00.000"}, ".valid_from", "bad_time"),
        ({"valid_from": "2026-02-30T07:00:00Z"}, ".valid_from", "bad_time"),
        ({"valid_from": "2026-11-20T07:00:00+99:00"}, ".valid_from", "bad_time"),
        ({"valid_from": 1_794_758_400_000}, ".valid_from", "wrong_type"),
        (
            {"valid_from": "2026-11-20T07:00:00+08:00", "valid_to": "2026-11-19T23:00:00Z"},
            ".valid_to",
            "empty_validity",
        ),
        ({"exempt": "emergency"}, ".exempt", "wrong_type"),
        ({"exempt": []}, ".exempt", "wrong_length"),
        ({"exempt": ["emergency", "Fire Brigade"]}, ".exempt[1]", "bad_text"),
        ({"applies_to": "trucks"}, ".applies_to", "wrong_type"),
        ({"applies_to": {"vehicle_kind": ["goods"]}}, ".applies_to", "unknown_condition"),
        ({"applies_to": {"axles": 3}}, ".applies_to", "unknown_condition"),
        ({"applies_to": {"vehicle_kinds": ["lorry"]}}, ".applies_to.vehicle_kinds[0]", "unknown_value"),
        ({"applies_to": {"vehicle_classes": [7]}}, ".applies_to.vehicle_classes[0]", "wrong_type"),
        ({"applies_to": {"gross_weight_over_t": "4.5"}}, ".applies_to.gross_weight_over_t", "wrong_type"),
        ({"applies_to": {"plate_prefixes": [""]}}, ".applies_to.plate_prefixes[0]", "bad_text"),
        ({"applies_to": {"plate_prefixes": ["鄂A", "鄂a"]}}, ".applies_to.plate_prefixes[1]", "bad_text"),
        ({"applies_to": {"plate_prefixes": ["A"]}}, ".applies_to.plate_prefixes[0]", "bad_text"),
        ({"applies_to": {"plate_prefixes": ["鄂A·1"]}}, ".applies_to.plate_prefixes[0]", "bad_text"),
        ({"applies_to": {"plate_prefixes": ["鄂 A"]}}, ".applies_to.plate_prefixes[0]", "bad_text"),
        ({"applies_to": {"plate_prefixes_except": ["鄂Ａ"]}}, ".applies_to.plate_prefixes_except[0]", "bad_text"),
        ({"applies_to": {"any_of": [{"axles": 3}]}}, ".applies_to.any_of[0]", "unknown_condition"),
        ({"applies_to": {"except": [{"seats_over": 9.5}]}}, ".applies_to.except[0].seats_over", "not_whole"),
        ({"applies_to": {"except": [{"seats_over": 9}, {}]}}, ".applies_to.except[1]", "no_condition"),
        ({"applies_to": {"any_of": [{"seats_over": None}]}}, ".applies_to.any_of[0]", "no_condition"),
        ({"applies_to": {"plate_tail_digits": [10]}}, ".applies_to.plate_tail_digits[0]", "out_of_range"),
        ({"applies_to": {"any_of": [{"plate_tail_parity": "as_date"}]}}, ".applies_to.any_of[0]", "unknown_condition"),
        ({"days": {"holidays": "off"}}, ".days", "unknown_day_rule"),
        ({"days": {"holiday": "maybe"}}, ".days.holiday", "bad_schedule"),
        ({"days": {"dates": "prime"}}, ".days.dates", "unknown_value"),
        ({"days": "off"}, ".days", "wrong_type"),
        ({"effect": "open"}, ".effect", "unknown_value"),
        ({"exception_to": ["ring3"]}, ".exception_to", "no_exception"),
        ({"effect": "allowed", "exception_to": [3]}, ".exception_to[0]", "wrong_type"),
        ({"boundary_road": "included"}, ".boundary_width_m", "missing_property"),
        ({"boundary_width_m": 40}, ".boundary_road", "missing_property"),
        ({"schedules": "07:00-09:00"}, "", "misspelt_property"),
    ],
)
def test_bad_property_is_one_fault_and_the_good_feature_is_kept(
    properties: dict[str, object], path: str, reason: str
) -> None:
    document = read_zone_document(collection(GOOD, feature(polygon(SQUARE), **properties)))
    assert [zone.zone_id for zone in document.zones] == ["good"]
    assert [(fault.path, fault.reason) for fault in document.faults] == [(f"$.features[1].properties{path}", reason)]


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"schedules": "24/7"}, "schedule (did you mean that?)"),
        ({"applies_to": {"vehicle_kind": ["goods"]}}, "vehicle_kinds (did you mean that?)"),
        ({"kind": "truck_restrictions"}, "did you mean truck_restriction?"),
        ({"days": {"holidays": "off"}}, "holiday (did you mean that?)"),
        ({"applies_to": {"plate_prefixes": ["鄂a"]}}, "found '鄂a', expected text of 1 to 8 characters: a Chinese"),
        ({"schedule": "07:00~09:00"}, "on, expected opening_hours text such as 07:00-22:00; - instead of '~' [bad_sch"),
        ({"valid_from": "2026-11-20"}, "RFC 3339 with an offset"),
    ],
)
def test_fault_says_what_was_expected(properties: dict[str, object], words: str) -> None:
    (fault,) = read_zone_document(collection(feature(polygon(SQUARE), **properties))).faults
    assert words in str(fault)


@pytest.mark.parametrize("prefix", ["京", "鄂A", "鄂A12", "鄂AD12345", "鄂A1234挂", "京A123警", "粤Z1234港"])
def test_beginning_of_a_real_plate_is_accepted(prefix: str) -> None:
    document = read_zone_document(collection(feature(polygon(SQUARE), applies_to={"plate_prefixes": [prefix]})))
    assert document.faults == ()
    assert document.zones[0].applies_to.plate_prefixes == (prefix,)


@pytest.mark.parametrize(
    ("properties", "noted"),
    [
        ({"schedule": "off"}, True),
        ({"schedule": "2020 Jan 1-2020 Dec 31 07:00-09:00"}, True),
        ({"schedule": "Su", "valid_from": "2026-11-16T00:00:00+08:00", "valid_to": "2026-11-22T00:00:00+08:00"}, True),
        ({"schedule": "Su", "valid_from": "2026-11-16T00:00:00+08:00", "valid_to": "2026-11-23T00:00:00+08:00"}, False),
        ({"schedule": "2020 Jan 1-2020 Dec 31", "valid_from": "2020-01-01T00:00:00+08:00"}, False),
        ({"schedule": "07:00-09:00", "valid_to": "2020-01-01T00:00:00+08:00"}, False),
        ({"schedule": "07:00-09:00", "valid_from": "0001-01-01T00:00:00Z", "timezone": "America/New_York"}, False),
        ({"schedule": "off", "valid_from": "9999-12-31T23:59:59Z"}, False),
        ({"schedule": "07:00-09:00"}, False),
        ({}, False),
    ],
)
def test_zone_that_is_never_in_force_is_noted_and_kept(properties: dict[str, object], noted: bool) -> None:
    document = read_zone_document(collection(feature(polygon(SQUARE), **properties)))
    assert len(document.zones) == 1
    assert [(note.path, note.reason) for note in document.notes] == [
        ("$.features[0].properties.schedule", "never_in_force")
    ] * noted


def test_unknown_property_is_a_note_and_null_counts_as_absent() -> None:
    document = read_zone_document(collection(feature(polygon(SQUARE), OBJECTID=5, FID=None, days=None, schedule=None)))
    assert len(document.zones) == 1
    assert [(note.reason, "OBJECTID" in note.found) for note in document.notes] == [("unknown_property", True)]


@pytest.mark.parametrize(
    ("bad", "path", "reason"),
    [
        (7, "$.features[0]", "not_a_feature"),
        (None, "$.features[0]", "not_a_feature"),
        (polygon(SQUARE), "$.features[0]", "not_a_feature"),
        (feature(polygon(SQUARE), zone_id=None), "$.features[0].id", "missing_id"),
        (feature(polygon(SQUARE), zone_id=""), "$.features[0].id", "bad_id"),
        (feature(polygon(SQUARE), zone_id="a\nb"), "$.features[0].id", "bad_id"),
        (feature(polygon(SQUARE), zone_id="\ud800"), "$.features[0].id", "bad_id"),
        (feature(polygon(SQUARE), zone_id="x" * 101), "$.features[0].id", "bad_id"),
        (feature(polygon(SQUARE), zone_id=1.5), "$.features[0].id", "bad_id"),
        (feature(polygon(SQUARE), zone_id=True), "$.features[0].id", "bad_id"),
        (feature(polygon(SQUARE), zone_id=10**5000), "$.features[0].id", "bad_id"),
        ({**GOOD, "id": "x", "properties": None}, "$.features[0].properties", "no_properties"),
    ],
)
def test_bad_feature_is_one_fault_and_the_good_feature_is_kept(bad: object, path: str, reason: str) -> None:
    document = read_zone_document(collection(bad, GOOD))
    assert [zone.zone_id for zone in document.zones] == ["good"]
    assert [(fault.path, fault.reason) for fault in document.faults] == [(path, reason)]


def test_second_feature_with_an_id_is_a_fault() -> None:
    document = read_zone_document(collection(GOOD, GOOD, feature(polygon(SQUARE), zone_id=3)))
    assert [zone.zone_id for zone in document.zones] == ["good", "3"]
    assert [(fault.path, fault.reason) for fault in document.faults] == [("$.features[1].id", "duplicate_id")]


def test_id_is_taken_from_the_properties_when_the_feature_has_none() -> None:
    document = read_zone_document(collection(feature(polygon(SQUARE), zone_id=None, id=7.0)))
    assert [zone.zone_id for zone in document.zones] == ["7"]


def test_text_numbers_become_text_ids() -> None:
    (zone,) = read_zone_document(collection(feature(polygon(SQUARE), zone_id=42))).zones
    assert zone.zone_id == "42"


GEOMETRY_COLLECTIONS = '{"type":"GeometryCollection","geometries":[' * 900 + "]}" * 900


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "empty_document"),
        (b"  \n", "empty_document"),
        (b"\xef\xbb\xbf", "empty_document"),
        (b"{", "not_json"),
        (b"null", "not_a_feature_collection"),
        (b"[]", "not_a_feature_collection"),
        (json.dumps(polygon(SQUARE)), "not_a_feature_collection"),
        ('{"type":"FeatureCollection"}', "not_an_array"),
        ('{"type":"FeatureCollection","features":{}}', "not_an_array"),
        ('{"type":"FeatureCollection","type":"Feature","features":[]}', "repeated_name"),
        (b'{"type":"Feature\xb3"}', "not_utf8"),
        (json.dumps(collection(GOOD)).encode("utf-16"), "not_utf8"),
        ("[" * 100_000, "nested_too_deep"),
        (json.dumps(feature("GEOMETRY")).replace('"GEOMETRY"', GEOMETRY_COLLECTIONS), "nested_too_deep"),
        ('{"type":' + "9" * 5_000 + "}", "number_too_long"),
        (b" " * 20_000_001, "document_too_large"),
        ("[" * 900_000, "too_many_vertices"),
        (collection(*[GOOD] * 50_001), "too_many_features"),
        (collection(feature(polygon([[114, 30]] * 1_000_000))), "too_many_vertices"),
    ],
)
def test_unusable_document_is_one_fault(source: object, reason: str) -> None:
    document = read_zone_document(source)
    assert document.zones == ()
    assert [fault.reason for fault in document.faults] == [reason]


def test_not_utf8_names_the_byte() -> None:
    (fault,) = read_zone_document(b'\xef\xbb\xbf{"name":"\xce\xe4"}').faults
    assert fault.found == "byte 0xce at offset 12"


@pytest.mark.parametrize("encoding", ["gbk", "gb18030"])
def test_gbk_is_recognised(encoding: str) -> None:
    (fault,) = read_zone_document('{"name":"武汉长江二桥"}'.encode(encoding)).faults
    assert fault.expected == "UTF-8 text; it looks like GBK; save the file as UTF-8"


@pytest.mark.parametrize("source", [b'{"type":"Feature\xb3"}', '{"name":"武汉"}'.encode("utf-16")])
def test_other_bytes_are_not_called_gbk(source: bytes) -> None:
    (fault,) = read_zone_document(source).faults
    assert (fault.expected, fault.reason) == ("UTF-8 text", "not_utf8")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1,}', "a comma before } at line 1 column 8"),
        ('{"a": [1,\n  2,\n ]}', "a comma before ] at line 2 column 4"),
        ("[1,,]", "Expecting value at line 1 column 4"),
        ("[1 2]", "Expecting ',' delimiter at line 1 column 4"),
        ("[1,", "Expecting value at line 1 column 4"),
    ],
)
def test_comma_after_the_last_value_is_called_by_its_name(text: str, found: str) -> None:
    (fault,) = read_zone_document(text).faults
    assert (fault.found, fault.reason) == (found, "not_json")


@pytest.mark.parametrize("value", [[], 7, None, True])
def test_parsed_value_that_is_no_object_is_a_fault(value: object) -> None:
    assert [fault.reason for fault in read_zone_document(value).faults] == ["not_a_feature_collection"]


def test_coordinates_nested_900_deep_are_a_fault() -> None:
    text = json.dumps(collection(feature(polygon("RING")), GOOD)).replace('"RING"', "[" * 900 + "]" * 900)
    document = read_zone_document(text)
    assert [fault.reason for fault in document.faults] == ["not_a_position"]
    assert len(document.zones) == 1


@pytest.mark.parametrize("name", ["id", "geometry", "kind", "gross_weight_over_t", "coordinates"])
def test_repeated_name_is_a_fault_of_its_feature(name: str) -> None:
    bad = json.dumps(feature(polygon(SQUARE), applies_to={"gross_weight_over_t": 3}))
    bad = bad.replace(f'"{name}":', f'"{name}": null, "{name}":')
    document = read_zone_document(f'{{"type":"FeatureCollection","features":[{bad},{json.dumps(GOOD)}]}}')
    assert [fault.reason for fault in document.faults] == ["repeated_name"]
    assert [zone.zone_id for zone in document.zones] == ["good"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("seats_over", ".applies_to.any_of[1]"),
        ("axles_over", ".applies_to.except[0]"),
        ("vehicle_kinds", ".applies_to.any_of[0]"),
        ("dates", ".days"),
    ],
)
def test_name_repeated_deep_inside_a_rule_is_a_fault_of_that_place(name: str, path: str) -> None:
    rule = {"any_of": [{"vehicle_kinds": ["car"]}, {"seats_over": 9}], "except": [{"axles_over": 3}]}
    good = json.dumps(feature(polygon(SQUARE), applies_to=rule, days={"dates": "odd"}, other={"a": 1}))
    bad = good.replace(f'"{name}":', f'"{name}": null, "{name}":').replace('"a": 1', '"a": 1, "a": 2')
    document = read_zone_document(f'{{"type":"FeatureCollection","features":[{bad},{json.dumps(GOOD)}]}}')
    assert [(fault.path, fault.reason) for fault in document.faults] == [
        (f"$.features[0].properties{path}", "repeated_name")
    ]
    assert read_zone_document(f'{{"type":"FeatureCollection","features":[{good}]}}').faults == ()


def test_byte_order_mark_is_skipped() -> None:
    assert len(read_zone_document(b"\xef\xbb\xbf" + json.dumps(collection(GOOD)).encode()).zones) == 1
    assert len(read_zone_document("\ufeff" + json.dumps(collection(GOOD))).zones) == 1


def test_nan_in_json_text_is_a_fault_of_its_feature_only() -> None:
    text = json.dumps(collection(feature(polygon([[nan, 30], *SQUARE[1:]])), GOOD))
    document = read_zone_document(text)
    assert [fault.reason for fault in document.faults] == ["not_finite"]
    assert len(document.zones) == 1


@pytest.mark.parametrize(
    "name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326", "urn:ogc:def:crs:EPSG::4490"]
)
def test_crs_of_lon_lat_degrees_is_accepted(name: str) -> None:
    document = read_zone_document({**collection(GOOD), "crs": {"type": "name", "properties": {"name": name}}})
    assert len(document.zones) == 1
    assert document.faults == ()


@pytest.mark.parametrize(
    "crs",
    [{"type": "name", "properties": {"name": "EPSG:3857"}}, {"type": "link"}, "EPSG:4326", {"properties": {"name": 1}}],
)
def test_any_other_crs_is_a_fault(crs: object) -> None:
    document = read_zone_document({**collection(GOOD), "crs": crs})
    assert document.zones == ()
    assert [fault.reason for fault in document.faults] == ["unknown_crs"]


def test_single_feature_is_a_document_of_one_zone() -> None:
    document = read_zone_document(GOOD)
    assert [zone.zone_id for zone in document.zones] == ["good"]
    (fault,) = read_zone_document(feature(None)).faults
    assert fault.path == "$.geometry"


def test_objects_that_are_not_json_are_faults_too() -> None:
    document = read_zone_document(collection(feature(polygon([{1, 2}]), name={3}), GOOD))
    assert [(fault.found, fault.reason) for fault in document.faults] == [
        ("a set", "wrong_type"),
        ("a set", "not_a_position"),
    ]


def test_condition_that_is_null_counts_as_absent() -> None:
    document = read_zone_document(collection(feature(polygon(SQUARE), applies_to={"gross_weight_over_t": None})))
    assert document.zones[0].applies_to.gross_weight_over_t is None


def test_empty_collection_is_a_note() -> None:
    document = read_zone_document(collection())
    assert (document.zones, document.faults) == ((), ())
    assert [note.reason for note in document.notes] == ["no_features"]


def test_height_is_dropped_with_a_note() -> None:
    document = read_zone_document(collection(feature(polygon([[*position, 12.5] for position in SQUARE]))))
    assert not document.zones[0].geometry.has_z
    assert [note.reason for note in document.notes] == ["z_dropped"]


def test_clockwise_ring_is_accepted_and_turned() -> None:
    clockwise = read_zone_document(collection(feature(polygon(SQUARE[::-1]))))
    assert clockwise.notes == ()
    assert clockwise.zones[0].geometry.exterior.is_ccw  # type: ignore[attr-defined]  # a Polygon
    assert clockwise.zones[0].geometry.equals(read_zone_document(collection(GOOD)).zones[0].geometry)


def test_ring_that_touches_itself_in_a_hole_is_what_shapely_says() -> None:
    touching = polygon(SQUARE, ring((114.0, 30.05), (114.05, 30.02), (114.05, 30.08), (114.0, 30.05)))
    assert len(read_zone_document(collection(feature(touching))).zones) == 1


@pytest.mark.parametrize(
    ("geometry", "properties", "reason"),
    [
        (line([114, 30], [114.1, 30]), {}, "missing_width"),
        (point(114, 30), {}, "missing_radius"),
    ],
)
def test_line_and_point_need_their_size(geometry: object, properties: dict[str, object], reason: str) -> None:
    (fault,) = read_zone_document(collection(feature(geometry, **properties))).faults
    assert fault.reason == reason


def test_venue_without_radius_stays_a_point() -> None:
    (zone,) = read_zone_document(collection(feature(point(114.3, 30.5), kind="venue"))).zones
    assert zone.geometry.geom_type == "Point"


def test_size_on_another_shape_is_noted() -> None:
    document = read_zone_document(collection(feature(polygon(SQUARE), width_m=10, radius_m=10)))
    assert [note.reason for note in document.notes] == ["unused_property", "unused_property"]
    assert len(document.zones) == 1


def test_coordinates_are_brought_to_wgs84() -> None:
    lon, lat = from_wgs84(*np.array(SQUARE).T, Datum.GCJ02)
    shifted = collection(feature(polygon(np.stack([lon, lat], axis=1).tolist())))
    (zone,) = read_zone_document(shifted, datum=Datum.GCJ02).zones
    (plain,) = read_zone_document(collection(GOOD)).zones
    assert zone.geometry.equals_exact(plain.geometry, 1e-9, normalize=True)


def test_caps_are_those_of_the_caller() -> None:
    limits = Limits(zone_vertices=4)
    (fault,) = read_zone_document(collection(GOOD), limits=limits).faults
    assert fault.reason == "too_many_vertices"


def _hostile() -> dict[str, object]:
    rng = np.random.default_rng(1)
    turn = np.linspace(0.0, 2.0 * np.pi, 9_999)
    spiky = 0.1 * (1.0 + 0.5 * (np.arange(9_999) % 2))
    jagged = np.stack([114 + spiky * np.cos(turn), 30 + spiky * np.sin(turn)], axis=1)
    walk = np.cumsum(rng.normal(0, 1e-4, (2_000, 2)), axis=0) + WUHAN
    dense = np.cumsum(rng.normal(0, 1e-6, (2_000, 2)), axis=0) + WUHAN
    zigzag = np.stack([114 + np.arange(2_000) * 1e-5, 30 + np.arange(2_000) % 2 * 1e-2], axis=1)
    scatter = rng.uniform(0.0, 0.2, (2_000, 2)) + WUHAN
    tangle = (rng.uniform(0.0, 1.0, (9_999, 2)) + WUHAN).tolist()
    lines = {"walk": walk, "dense": dense, "zigzag": zigzag, "scatter": scatter}
    return {
        "million_vertices": json.dumps(collection(feature(polygon([[1, 1]] * 1_000_000)))),
        "million_vertices_parsed": collection(feature(polygon([[1, 1]] * 1_000_000))),
        "holes": collection(feature(polygon(SQUARE, *[[[114, 30]] * 4] * 20_000))),
        "tangle": collection(feature(polygon([*tangle, tangle[0]]))),
        "jagged": collection(feature(polygon([*jagged[:-1].tolist(), jagged[0].tolist()]))),
        **{
            f"{name}_{width}": collection(feature(line(*positions.tolist()), width_m=width))
            for name, positions in lines.items()
            for width in (10, 1_000)
        },
    }


@pytest.mark.parametrize("name", sorted(_hostile()))
def test_hostile_document_costs_little(name: str) -> None:
    source = _hostile()[name]
    begin = time.process_time()
    read_zone_document(source)  # type: ignore[arg-type]  # text or object
    # Measured 1 to 100 ms; without the caps some of these take minutes. Generous, as the machine may be busy.
    assert time.process_time() - begin < 1.0


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["kind", "name", "applies_to", "exempt", "schedule", "valid_from", "width_m", "radius_m", "id"])


@settings(max_examples=300, deadline=None)
@given(
    geometry=st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Point", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]),
            "coordinates": JSON_VALUES,
        }
    )
    | JSON_VALUES,
    properties=st.dictionaries(NAMES, JSON_VALUES, max_size=5) | JSON_VALUES,
    zone_id=JSON_VALUES,
)
def test_any_json_ends_in_zones_or_faults_never_in_an_error(
    geometry: object, properties: object, zone_id: object
) -> None:
    bad = {"type": "Feature", "id": zone_id, "geometry": geometry, "properties": properties}
    for source in (collection(bad, GOOD), json.dumps(collection(bad, GOOD))):
        document = read_zone_document(source)
        assert "good" in {zone.zone_id for zone in document.zones} or zone_id == "good"
        assert len(document.zones) == 2 or document.faults


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_faults_never_in_an_error(source: bytes) -> None:
    assert read_zone_document(source).faults
