"""Pings from JSON and Arrow bytes: what is read, what is refused and that neighbours are kept."""

from __future__ import annotations

import io
import json
import math
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.errors import InputError, PingFileError
from geo_engine.geodesy.datum import Datum, from_wgs84, to_wgs84
from geo_engine.geodesy.measure import distance_m
from geo_engine.geodesy.table import DatumTables
from geo_engine.ingest.decode import Decoded, decode_arrow, decode_json

GOOD: dict[str, Any] = {"u7": 7, "time": 1_700_000_000_123, "lon": 114.3, "lat": 30.6}
TIME_MS = 1_700_000_000_123
ISO = "2023-11-14T22:13:20.123Z"


def decode_rows(*rows: object, datum: Datum = Datum.WGS84) -> Decoded:
    return decode_json(json.dumps(rows).encode(), datum=datum)


def arrow_bytes(table: pa.Table, *, file: bool = False) -> bytes:
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def arrow_table(**columns: object) -> pa.Table:
    base: dict[str, object] = {"u7": [1, 2], "time": [TIME_MS, TIME_MS], "lon": [114.3, 114.4], "lat": [30.6, 30.7]}
    return pa.table(base | columns)


def test_json_list_becomes_columns() -> None:
    decoded = decode_rows(GOOD, GOOD | {"u7": 8, "speed_mps": 3, "heading_deg": 90.5, "accuracy_m": 5, "battery": 0.5})
    assert decoded.batch.u7.tolist() == [7, 8]
    assert decoded.batch.time_ms.tolist() == [TIME_MS, TIME_MS]
    assert decoded.batch.lon.tolist() == [114.3, 114.3]
    assert decoded.batch.lat.tolist() == [30.6, 30.6]
    assert math.isnan(decoded.batch.speed_mps[0])
    assert [decoded.batch.speed_mps[1], decoded.batch.heading_deg[1], decoded.batch.accuracy_m[1]] == [3.0, 90.5, 5.0]
    assert decoded.row.tolist() == [1, 2]
    assert (decoded.faults, decoded.rejected) == ((), {})


def test_empty_list_is_an_empty_batch() -> None:
    decoded = decode_json(b"[]")
    assert (len(decoded.batch), decoded.row.tolist(), decoded.rejected) == (0, [], {})


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        (ISO, TIME_MS),
        ("2023-11-15T06:13:20.123+08:00", TIME_MS),
        ("2023-11-15 06:13:20.123456+0800", TIME_MS),
        ("1969-12-31T23:59:59.9999Z", -1),
    ],
)
def test_iso_time_with_zone_is_read(text: str, time_ms: int) -> None:
    assert decode_rows(GOOD | {"time": text}).batch.time_ms.tolist() == [time_ms]


def test_whole_numbers_written_as_decimals_are_read() -> None:
    decoded = decode_json(b'[{"u7": 7.0, "time": 1.700000000123e12, "lon": 114, "lat": 30}]')
    assert (decoded.batch.u7.tolist(), decoded.batch.time_ms.tolist()) == ([7], [TIME_MS])


BAD_ROWS = [
    pytest.param("null", "", id="null-row"),
    pytest.param("3", "", id="number-row"),
    pytest.param("[1,2]", "", id="list-row"),
    pytest.param("{}", "u7", id="empty-object"),
    pytest.param('{"u7":1,"time":1,"lon":1}', "lat", id="missing-lat"),
    pytest.param('{"u7":1,"time":1,"lon":null,"lat":1}', "lon", id="null-lon"),
    pytest.param('{"u7":"1","time":1,"lon":1,"lat":1}', "u7", id="text-as-u7"),
    pytest.param('{"u7":true,"time":1,"lon":1,"lat":1}', "u7", id="true-as-u7"),
    pytest.param('{"u7":1.5,"time":1,"lon":1,"lat":1}', "u7", id="half-u7"),
    pytest.param('{"u7":9223372036854775808,"time":1,"lon":1,"lat":1}', "u7", id="u7-beyond-64-bits"),
    pytest.param('{"u7":' + "9" * 5000 + ',"time":1,"lon":1,"lat":1}', "u7", id="u7-of-5000-digits"),
    pytest.param('{"u7":1,"time":1e300,"lon":1,"lat":1}', "time", id="time-beyond-64-bits"),
    pytest.param('{"u7":1,"time":"1700000000000","lon":1,"lat":1}', "time", id="number-as-text-time"),
    pytest.param('{"u7":1,"time":"2023-11-14T22:13:20","lon":1,"lat":1}', "time", id="time-without-zone"),
    pytest.param('{"u7":1,"time":"yesterday","lon":1,"lat":1}', "time", id="time-in-words"),
    pytest.param('{"u7":1,"time":"2023-02-30T00:00:00Z","lon":1,"lat":1}', "time", id="no-such-day"),
    pytest.param('{"u7":1,"time":1,"lon":"114.3","lat":1}', "lon", id="text-as-lon"),
    pytest.param('{"u7":1,"time":1,"lon":NaN,"lat":1}', "lon", id="nan-literal"),
    pytest.param('{"u7":1,"time":1,"lon":1,"lat":-Infinity}', "lat", id="infinity-literal"),
    pytest.param('{"u7":1,"time":1,"lon":1e400,"lat":1}', "lon", id="beyond-a-double"),
    pytest.param('{"u7":1,"time":1,"lon":1,"lat":1,"speed_mps":"fast"}', "speed_mps", id="text-as-speed"),
    pytest.param('{"u7":1,"time":"\\ud800","lon":1,"lat":1}', "time", id="lone-surrogate"),
    pytest.param('{"u7":1,"time":"\\u001b[31m","lon":1,"lat":1}', "time", id="terminal-control"),
]


@pytest.mark.parametrize(("row", "path"), BAD_ROWS)
def test_bad_row_is_named_and_its_neighbours_are_kept(row: str, path: str) -> None:
    good = json.dumps(GOOD)
    decoded = decode_json(f"[{good},{row},{good}]".encode(), where="phone")
    assert decoded.batch.u7.tolist() == [7, 7]
    assert decoded.row.tolist() == [1, 3]
    assert decoded.rejected == {"malformed": 1}
    (fault,) = decoded.faults
    assert (fault.where, fault.path, fault.reason) == ("phone row 2", path, "malformed")
    assert fault.found
    assert fault.expected
    assert str(fault).isprintable()
    str(fault).encode()


@pytest.mark.parametrize("value", [91.0, -200.0, 1e308, -0.0])
def test_numbers_out_of_range_pass_for_the_engine_to_judge(value: float) -> None:
    decoded = decode_rows(GOOD | {"lat": value, "u7": 12_345_678, "time": -5})
    assert decoded.batch.lat.tolist() == [value]
    assert (decoded.batch.u7.tolist(), decoded.batch.time_ms.tolist()) == ([12_345_678], [-5])


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("speed_mps", -1, math.nan),
        ("speed_mps", 0, 0.0),
        ("heading_deg", -1, math.nan),
        ("heading_deg", 360.0, 360.0),
        ("heading_deg", 360.5, math.nan),
        ("accuracy_m", -1, math.nan),
        ("accuracy_m", None, math.nan),
        ("accuracy_m", 1e308, 1e308),
    ],
)
def test_impossible_optional_value_is_unknown(name: str, given: float | None, kept: float) -> None:
    decoded = decode_rows(GOOD | {name: given})
    assert getattr(decoded.batch, name).tolist() == pytest.approx([kept], nan_ok=True)
    assert decoded.rejected == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"null",
        b"{}",
        b'"pings"',
        b"17",
        b"[",
        b'[{"u7":1,',
        b"<pings/>",
        b"\xff\xfe\x00\x01",
        b"[" * 2_000_000,
        b'[{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}]",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_body_that_is_no_list_is_refused_with_a_fault(body: bytes) -> None:
    with pytest.raises(PingFileError) as caught:
        decode_json(body, where="phone")
    (fault,) = caught.value.faults
    assert (fault.where, fault.reason, fault.expected) == ("phone", "unreadable", "a JSON list of pings")


def test_byte_order_mark_is_skipped() -> None:
    assert len(decode_json(b"\xef\xbb\xbf" + json.dumps([GOOD]).encode()).batch) == 1


def test_bytes_that_are_not_utf8_only_spoil_the_text_they_stand_in() -> None:
    good = json.dumps(GOOD)
    body = f'[{good},{{"u7":1,"time":"'.encode() + b'\xff","lon":1,"lat":1},' + good.encode() + b"]"
    decoded = decode_json(body)
    assert (decoded.row.tolist(), decoded.rejected) == ([1, 3], {"malformed": 1})


def test_all_rejects_are_counted_but_only_a_hundred_faults_kept() -> None:
    decoded = decode_rows(*[None] * 150, GOOD)
    assert decoded.rejected == {"malformed": 150}
    assert len(decoded.faults) == 100
    assert decoded.row.tolist() == [151]


def test_reversed_and_doubled_rows_are_kept_in_order() -> None:
    decoded = decode_rows(GOOD | {"time": 3}, GOOD | {"time": 2}, GOOD | {"time": 2})
    assert decoded.batch.time_ms.tolist() == [3, 2, 2]


def test_batch_of_ten_megabytes_is_decoded_with_one_bad_row() -> None:
    row = json.dumps(GOOD | {"speed_mps": 12.345678, "heading_deg": 123.456789}).encode()
    count = 10_000_000 // (len(row) + 1)
    decoded = decode_json(b"[" + b",".join([row] * count) + b",null]")
    assert len(decoded.batch) == count
    assert decoded.rejected == {"malformed": 1}


@pytest.mark.parametrize("datum", [Datum.GCJ02, Datum.BD09, Datum.CGCS2000])
def test_positions_come_back_in_wgs84(datum: Datum) -> None:
    lon, lat = from_wgs84(114.3, 30.6, datum)
    decoded = decode_rows(GOOD | {"lon": float(lon), "lat": float(lat)}, GOOD | {"lat": 91.0}, datum=datum)
    assert float(distance_m(decoded.batch.lon[0], decoded.batch.lat[0], 114.3, 30.6)) < 1e-3
    assert (decoded.batch.lon[1], decoded.batch.lat[1]) == (114.3, 91.0)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_value_in_any_field_is_read_or_named(value: object) -> None:
    for name in GOOD:
        decoded = decode_rows(GOOD | {name: value}, GOOD)
        assert len(decoded.batch) + sum(decoded.rejected.values()) == 2
        assert len(decoded.batch) >= 1


@given(st.binary(max_size=200))
def test_any_bytes_end_in_pings_or_a_ping_file_error(body: bytes) -> None:
    for decode in (decode_json, decode_arrow):
        with suppress(PingFileError):
            decode(body)


@pytest.mark.parametrize("file", [False, True], ids=["stream", "file"])
def test_arrow_becomes_columns(file: bool) -> None:
    decoded = decode_arrow(arrow_bytes(arrow_table(speed_mps=[1.5, None], note=["a", "b"]), file=file))
    assert decoded.batch.u7.tolist() == [1, 2]
    assert decoded.batch.lon.tolist() == [114.3, 114.4]
    assert decoded.batch.speed_mps.tolist() == pytest.approx([1.5, math.nan], nan_ok=True)
    assert (decoded.row.tolist(), decoded.rejected) == ([1, 2], {})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([TIME_MS] * 2, pa.timestamp("ms", "UTC")),
        pa.array([TIME_MS * 1000 + 7] * 2, pa.timestamp("us", "Asia/Shanghai")),
        pa.array([TIME_MS * 1_000_000 + 7] * 2, pa.timestamp("ns", "UTC")),
        pa.array([ISO] * 2),
        pa.array([ISO] * 2, pa.large_string()),
        pa.array([ISO] * 2).dictionary_encode(),
        pa.array([float(TIME_MS)] * 2),
        pa.array([TIME_MS] * 2, pa.uint64()),
    ],
    ids=lambda column: str(column.type),
)
def test_arrow_time_is_read_in_every_form(column: pa.Array) -> None:
    assert decode_arrow(arrow_bytes(arrow_table(time=column))).batch.time_ms.tolist() == [TIME_MS] * 2


def test_arrow_timestamp_of_whole_seconds_is_read() -> None:
    column = pa.array([1_700_000_000] * 2, pa.timestamp("s", "UTC"))
    assert decode_arrow(arrow_bytes(arrow_table(time=column))).batch.time_ms.tolist() == [1_700_000_000_000] * 2


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("u7", pa.array([1, None])),
        ("u7", pa.array([1, 2**63], pa.uint64())),
        ("u7", pa.array([1.0, 1.5])),
        ("time", pa.array([ISO, "2023-11-14T22:13:20"])),
        ("time", pa.array([TIME_MS, None], pa.timestamp("ms", "UTC"))),
        ("lon", pa.array([114.3, None])),
        ("lat", pa.array([Decimal("30.6"), None], pa.decimal128(10, 6))),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_bad_arrow_row_is_named_and_its_neighbour_kept(name: str, column: pa.Array) -> None:
    decoded = decode_arrow(arrow_bytes(arrow_table(**{name: column})))
    assert (decoded.row.tolist(), decoded.rejected) == ([1], {"malformed": 1})
    (fault,) = decoded.faults
    assert (fault.where, fault.path) == ("body row 2", name)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("time", pa.array([TIME_MS] * 2, pa.timestamp("ms"))),
        ("time", pa.array([2**62] * 2, pa.timestamp("s"))),
        ("time", pa.array([19_000] * 2, pa.date32())),
        ("lon", pa.array(["114.3", "114.3"])),
        ("lon", pa.array([True, True])),
        ("lat", pa.array([[1.0], [1.0]])),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_arrow_column_of_a_wrong_type_rejects_its_rows(name: str, column: pa.Array) -> None:
    decoded = decode_arrow(arrow_bytes(arrow_table(**{name: column})))
    assert (len(decoded.batch), decoded.rejected) == (0, {"malformed": 2})
    assert {fault.path for fault in decoded.faults} == {name}


def test_arrow_nan_and_infinity_pass_for_the_engine_to_judge() -> None:
    decoded = decode_arrow(arrow_bytes(arrow_table(lon=[math.nan, 1e308], lat=[math.inf, 30.0])), datum=Datum.GCJ02)
    assert np.isnan(decoded.batch.lon[0])
    assert decoded.batch.lat.tolist() == [math.inf, 30.0]
    assert decoded.rejected == {}


def test_arrow_rows_of_later_blocks_keep_their_numbers() -> None:
    count = 70_000
    columns = {"u7": np.arange(count), "time": np.full(count, TIME_MS), "lon": np.zeros(count)}
    lat = pa.array([None if row == 69_999 else 1.0 for row in range(count)])
    decoded = decode_arrow(arrow_bytes(pa.table(columns | {"lat": lat})))
    assert decoded.faults[0].where == "body row 70000"
    assert decoded.row.tolist() == list(range(1, count))


@pytest.mark.parametrize("file", [False, True], ids=["stream", "file"])
def test_cut_off_arrow_is_refused(file: bool) -> None:
    whole = arrow_bytes(arrow_table(), file=file)
    for body in (whole[: len(whole) // 2], whole[:10], b""):
        with pytest.raises(PingFileError):
            decode_arrow(body)


def test_missing_and_doubled_arrow_columns_are_named() -> None:
    table = pa.table([[1], [1], [2.0]], names=["u7", "u7", "lon"])
    with pytest.raises(PingFileError) as caught:
        decode_arrow(arrow_bytes(table))
    reasons = [(fault.path, fault.reason) for fault in caught.value.faults]
    assert reasons == [("time", "missing_column"), ("lat", "missing_column"), ("u7", "duplicate_column")]


@pytest.mark.parametrize("file", [False, True], ids=["stream", "file"])
def test_spoilt_arrow_is_refused_or_read_but_never_a_traceback(file: bool) -> None:
    whole = arrow_bytes(arrow_table(time=[ISO, "soon"]), file=file)
    for place in range(len(whole)):
        for value in (0x00, 0xFF):
            with suppress(PingFileError):
                decode_arrow(whole[:place] + bytes([value]) + whole[place + 1 :])


def arrow_body(table: pa.Table, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def good_table(rows: int) -> pa.Table:
    return pa.table({"u7": range(rows), "time": [TIME_MS] * rows, "lon": [114.3] * rows, "lat": [30.5] * rows})


def test_few_bytes_that_announce_many_rows_are_refused_unread() -> None:
    body = arrow_body(pa.table({name: pa.nulls(10**9) for name in ("u7", "time", "lon", "lat")}))
    assert len(body) < 1000
    with pytest.raises(PingFileError, match="1000000000 rows, expected at most 1000"):
        decode_arrow(body, max_rows=1000)


def test_stream_within_the_limit_is_read_and_one_row_more_is_not() -> None:
    assert len(decode_arrow(arrow_body(good_table(10)), max_rows=10).batch) == 10
    with pytest.raises(PingFileError, match="11 rows"):
        decode_arrow(arrow_body(good_table(11)), max_rows=10)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_stream_of_a_stranger_is_refused_and_that_of_a_file_is_read(compression: str) -> None:
    body = arrow_body(good_table(1000), compression)
    with pytest.raises(PingFileError, match="compressed"):
        decode_arrow(body, max_rows=10_000)
    assert len(decode_arrow(body).batch) == 1000


def test_required_column_without_any_value_is_named() -> None:
    table = good_table(2).set_column(3, "lat", pa.nulls(2))
    with pytest.raises(PingFileError, match="a column of nulls"):
        decode_arrow(arrow_body(table))


def test_dictionary_columns_count_their_rows_too() -> None:
    text = pa.array(["2026-10-19T04:00:00Z"] * 5).dictionary_encode()
    body = arrow_body(good_table(5).set_column(1, "time", text))
    assert len(decode_arrow(body, max_rows=100).batch) == 5


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 700), value=st.integers(0, 255))
def test_changed_header_byte_never_ends_in_anything_but_a_named_error(at: int, value: int) -> None:
    body = bytearray(arrow_body(good_table(3)))
    body[min(at, len(body) - 1)] = value
    with suppress(InputError):
        decode_arrow(bytes(body), max_rows=100)


def test_json_list_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(PingFileError, match="3 rows, expected at most 2"):
        decode_json(b"[0,0,0]", max_rows=2)


def test_text_and_whole_numbers_of_other_programs_are_read() -> None:
    times = pa.array(["2026-10-19T04:00:00Z"]).cast(pa.string_view())
    users = pa.array([Decimal(7)], pa.decimal128(18, 0))
    table = pa.table({"u7": users, "time": times, "lon": [114.3], "lat": [30.5]})
    assert decode_arrow(arrow_body(table)).batch.u7.tolist() == [7]


def test_time_that_would_wrap_around_stays_beyond_the_calendar() -> None:
    table = good_table(1).set_column(1, "time", pa.array([18446744073709551], pa.timestamp("s", "UTC")))
    assert decode_arrow(arrow_body(table)).batch.time_ms[0] > 4_102_444_800_000


@pytest.mark.parametrize("door", ["json", "arrow"])
def test_a_stream_may_be_converted_by_table_and_a_file_is_converted_exactly(door: str) -> None:
    tables = DatumTables(np.array([(114.0, 30.0, 114.6, 30.6)]))
    rows = [{"u7": 7, "time": TIME_MS, "lon": 114.31, "lat": 30.52}]
    if door == "json":
        body, decode = json.dumps(rows).encode(), decode_json
    else:
        body, decode = arrow_bytes(arrow_table(lon=[114.31, 114.31], lat=[30.52, 30.52])), decode_arrow
    exact = decode(body, datum=Datum.GCJ02).batch
    by_table = decode(body, datum=Datum.GCJ02, convert=tables.to_wgs84).batch
    assert exact.lon[0] == to_wgs84(114.31, 30.52, Datum.GCJ02)[0]
    assert by_table.lon[0] != exact.lon[0]
    assert float(distance_m(by_table.lon[0], by_table.lat[0], exact.lon[0], exact.lat[0])) <= 0.005
