"""Ping files: every format there and back, bad rows beside good ones, files that are no ping files."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from geo_engine.errors import PingFileError
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.geodesy.measure import distance_m
from geo_engine.ingest import files
from geo_engine.ingest.files import PING_FILE_ENDINGS, read_pings, write_pings
from geo_engine.model import PingBatch

TIME_MS = 1_700_000_000_123
ISO = "2023-11-14T22:13:20.123Z"
HEADER = "u7,time,lon,lat\n"
GOOD_LINE = f"7,{TIME_MS},114.3,30.6\n"
GOOD_JSON = f'{{"u7":7,"time":{TIME_MS},"lon":114.3,"lat":30.6}}\n'


def sample() -> PingBatch:
    return PingBatch.from_columns(
        [7, 0, 9_999_999],
        [TIME_MS, 0, -1],
        [114.300000123, -180.0, 0.1 + 0.2],
        [30.6, 90.0, -0.0],
        speed_mps=[1.5, math.nan, 0.0],
        heading_deg=[math.nan, 359.9, 0.0],
    )


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("ending", [*PING_FILE_ENDINGS, ".CSV"])
def test_what_is_written_is_read_back_the_same(tmp_path: Path, ending: str) -> None:
    batch = sample()
    path = tmp_path / f"pings{ending}"
    write_pings(batch, path)
    decoded = read_pings(path)
    for name in PingBatch.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(decoded.batch, name), getattr(batch, name))
    first = 2 if ending.lower() == ".csv" else 1
    assert decoded.row.tolist() == [first, first + 1, first + 2]
    assert (decoded.faults, decoded.rejected) == ((), {})


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".csv"])
def test_batch_without_pings_is_written_and_read_back(tmp_path: Path, ending: str) -> None:
    write_pings(PingBatch.empty(), tmp_path / f"pings{ending}")
    assert len(read_pings(tmp_path / f"pings{ending}").batch) == 0


@pytest.mark.parametrize(
    "line",
    [
        f"7,{TIME_MS},114.3,30.6",
        f"7,{ISO},114.3,30.6",
        "7,2023-11-15T06:13:20.1234567+08:00,114.3,30.6",
        f"7.0,{TIME_MS}.0,114.3,30.6",
        f'"7","{ISO}","114.3","30.6"',
        f" 7 , {ISO} , 114.3 , 30.6 ",
        f"+7,{TIME_MS},+114.3,3.06e1",
    ],
)
def test_csv_line_is_read_in_every_notation(tmp_path: Path, line: str) -> None:
    batch = read_pings(written(tmp_path, "a.csv", HEADER + line)).batch
    assert (batch.u7.tolist(), batch.time_ms.tolist()) == ([7], [TIME_MS])
    assert (batch.lon.tolist(), batch.lat.tolist()) == ([114.3], [30.6])


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("7", ""),
        (f"7,{TIME_MS},114.3,30.6,9", ""),
        (f",{TIME_MS},114.3,30.6", "u7"),
        (f"99999999999999999999,{TIME_MS},114.3,30.6", "u7"),
        (f"7_0,{TIME_MS},114.3,30.6", "u7"),
        ("7,2023-11-14T22:13:20,114.3,30.6", "time"),
        ("7,,114.3,30.6", "time"),
        (f"7,{TIME_MS},,30.6", "lon"),
        (f"7,{TIME_MS},east,30.6", "lon"),
        (f'"7,{TIME_MS},114.3,30.6', ""),
        ("\x00", ""),
    ],
)
def test_bad_csv_line_is_named_by_its_number_and_its_neighbours_are_kept(tmp_path: Path, line: str, path: str) -> None:
    decoded = read_pings(written(tmp_path, "a.csv", f"{HEADER}{GOOD_LINE}{line}\n{GOOD_LINE}"))
    assert (decoded.row.tolist(), decoded.rejected) == ([2, 4], {"malformed": 1})
    (fault,) = decoded.faults
    assert (fault.where, fault.path) == ("a.csv line 3", path)


def test_csv_nan_and_infinity_pass_for_the_engine_to_judge(tmp_path: Path) -> None:
    text = f"{HEADER}7,{TIME_MS},nan,30.6\n7,{TIME_MS},114.3,inf\n7,{TIME_MS},1e400,1e308\n"
    fast = read_pings(written(tmp_path, "a.csv", text))
    careful = read_pings(written(tmp_path, "b.csv", text + "bad\n"))
    for decoded in (fast, careful):
        np.testing.assert_array_equal(decoded.batch.lon, [math.nan, 114.3, math.inf])
        np.testing.assert_array_equal(decoded.batch.lat, [30.6, math.inf, 1e308])


def test_csv_columns_come_in_any_order_beside_unknown_ones(tmp_path: Path) -> None:
    text = f"lat,name,u7,speed_mps,name,time,lon\r\n30.6,张三,7,-1,x,{ISO},114.3\r\n"
    batch = read_pings(written(tmp_path, "a.csv", b"\xef\xbb\xbf" + text.encode())).batch
    assert (batch.u7.tolist(), batch.lon.tolist(), batch.lat.tolist()) == ([7], [114.3], [30.6])
    assert math.isnan(batch.speed_mps[0])


def test_csv_text_that_is_not_utf8_keeps_its_numbers(tmp_path: Path) -> None:
    body = f"{HEADER.strip()},name\n7,{TIME_MS},114.3,30.6,".encode() + "武汉\n".encode("gb18030") + b"\xff\xfe\n"
    decoded = read_pings(written(tmp_path, "a.csv", body))
    assert (decoded.batch.u7.tolist(), decoded.rejected) == ([7], {"malformed": 1})


def test_empty_csv_lines_do_not_shift_the_numbers(tmp_path: Path) -> None:
    decoded = read_pings(written(tmp_path, "a.csv", f"{HEADER}{GOOD_LINE}\n\n{GOOD_LINE}"))
    assert (decoded.row.tolist(), decoded.rejected) == ([2, 5], {})


def test_json_lines_keep_the_lines_beside_a_bad_one(tmp_path: Path) -> None:
    bad = ["{", "null", "NaN", "[1]", '{"u7":1}', "[" * 100_000, '{"u7":1,"time":1,"lon":NaN,"lat":1}']
    text = GOOD_JSON + "".join(f"{line}\n" for line in bad) + "\n" + GOOD_JSON
    decoded = read_pings(written(tmp_path, "a.jsonl", text))
    assert (decoded.row.tolist(), decoded.rejected) == ([1, 10], {"malformed": len(bad)})
    assert [fault.where for fault in decoded.faults] == [f"a.jsonl line {number}" for number in range(2, 9)]


def test_only_the_block_with_the_bad_line_is_read_slowly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK_BYTES", 100)
    for name, header, good in (("a.csv", HEADER, GOOD_LINE), ("a.jsonl", "", GOOD_JSON)):
        first = 1 + len(header.splitlines())
        text = header + good * 50 + "bad\n" + good * 50
        decoded = read_pings(written(tmp_path, name, text))
        assert decoded.faults[0].where == f"{name} line {first + 50}"
        assert decoded.row.tolist() == [first + row for row in range(101) if row != 50]


def test_positions_of_a_file_come_back_in_wgs84(tmp_path: Path) -> None:
    lon, lat = from_wgs84(114.3, 30.6, Datum.GCJ02)
    path = tmp_path / "a.parquet"
    write_pings(PingBatch.from_columns([1], [TIME_MS], [lon], [lat]), path)
    batch = read_pings(path, datum=Datum.GCJ02).batch
    assert float(distance_m(batch.lon[0], batch.lat[0], 114.3, 30.6)) < 1e-3


def test_parquet_rows_without_a_position_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"u7": [1, 2], "time": [ISO, ISO], "lon": [1.0, None], "lat": [1.0, 1.0]}), path)
    decoded = read_pings(path)
    assert (decoded.row.tolist(), decoded.faults[0].where) == ([1], "a.parquet row 2")


def parquet_bytes(folder: Path) -> bytes:
    write_pings(sample(), folder / "whole.parquet")
    return (folder / "whole.parquet").read_bytes()


def test_cut_off_parquet_is_refused(tmp_path: Path) -> None:
    whole = parquet_bytes(tmp_path)
    for length in (4, len(whole) // 2, len(whole) - 1):
        with pytest.raises(PingFileError, match="a whole Parquet file"):
            read_pings(written(tmp_path, "a.parquet", whole[:length]))


def test_spoilt_parquet_is_refused_or_read_but_never_a_traceback(tmp_path: Path) -> None:
    whole = parquet_bytes(tmp_path)
    for place in range(4, len(whole), 37):
        spoilt = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        with suppress(PingFileError):
            read_pings(written(tmp_path, "a.parquet", spoilt))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "", "an empty file"),
        ("a.parquet", "", "an empty file"),
        ("a.arrow", "", "an empty file"),
        ("a.jsonl", "\n\n", "an empty file"),
        ("a.json", "{}", "an object of 0 fields"),
        ("a.csv", GOOD_LINE, "no such column"),
        ("a.csv", "u7,time,lon\n1,1,1\n", "no such column"),
        ("a.csv", "u7,u7,time,lon,lat\n1,1,1,1,1\n", "2 columns of this name"),
        ("a.parquet", "no parquet at all", None),
        ("a.arrow", "no arrow at all", None),
        ("a.txt", GOOD_LINE, "the ending .txt"),
        ("pings", GOOD_LINE, "the ending nothing"),
    ],
)
def test_file_that_cannot_be_read_at_all_is_refused_with_a_fault(
    tmp_path: Path, name: str, text: str, found: str | None
) -> None:
    with pytest.raises(PingFileError) as caught:
        read_pings(written(tmp_path, name, text))
    assert caught.value.faults[0].where == name
    assert found is None or caught.value.faults[0].found == found


def test_missing_file_and_folder_are_refused_with_a_fault(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("nowhere.csv", "folder.csv"):
        with pytest.raises(PingFileError, match="expected a file that can be read"):
            read_pings(tmp_path / name)


def test_unknown_ending_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(PingFileError, match=r"the ending \.xls"):
        write_pings(sample(), tmp_path / "a.xls")
