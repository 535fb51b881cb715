"""Ping files in and out: Parquet, Arrow IPC, CSV, JSON Lines and a JSON list, told apart by the file's ending."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.csv as arrow_csv
from pyarrow import parquet

from geo_engine.geodesy.datum import Datum
from geo_engine.ingest.decode import (
    Decoded,
    PingCollector,
    PingRecord,
    add_table,
    batch_of_arrow,
    batch_of_records,
    check_columns,
    decode_arrow,
    decode_json,
    unreadable,
)
from geo_engine.ingest.rows import OPTIONAL_FIELDS, BadField, load_json, shown
from geo_engine.model import PingBatch

__all__ = ["PING_FILE_ENDINGS", "read_pings", "write_pings"]

_BLOCK_BYTES: Final = 4 << 20
_BOM: Final = b"\xef\xbb\xbf"
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,25}")
_EXPECTED_LINE: Final = "a JSON object on one line"


def read_pings(path: Path, *, datum: Datum = Datum.WGS84) -> Decoded:
    """Read a ping file whole, by its ending: .parquet, .arrow, .ipc, .feather, .csv, .jsonl, .ndjson, .json.

    Rows that cannot be read are counted and named (CSV and JSON Lines by line of the file, the header being line 1;
    the others by row) and the good ones beside them are kept; a CSV whose text is not UTF-8 keeps its numbers. A CSV
    record is one line. Columns that are no ping fields are ignored. Ranges are not judged here.

    Cost: the file is held in memory; about 20 ns a ping for Parquet and Arrow, 0.2 us for CSV, 0.5 us for JSON;
    some 5 us a ping in each block of 4 MB (65,536 rows) that holds a bad one.

    Args:
        path: the file.
        datum: datum of its positions; they come back as WGS-84.

    Raises:
        PingFileError: the file cannot be read at all: it is missing, empty, cut off, of unknown ending or not what
            its ending says, or a required column is missing.
    """
    reader = _READERS.get(path.suffix.lower())
    where = path.name
    if reader is None:
        raise unreadable(where, f"the ending {path.suffix or 'nothing'}", f"one of {' '.join(PING_FILE_ENDINGS)}")
    try:
        body = path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error.strerror or "an unreadable file", "a file that can be read") from error
    if not body.strip():
        raise unreadable(where, "an empty file", "pings")
    return reader(body, where, datum)


def write_pings(batch: PingBatch, path: Path) -> None:
    """Write pings to a file that ``read_pings`` reads back the same, by its ending; an existing file is replaced.

    ``time`` is written as epoch milliseconds; an unknown value is null or empty.

    Args:
        batch: the pings, WGS-84.
        path: where to; its folder must exist.

    Raises:
        PingFileError: the ending is unknown.
        OSError: the file cannot be written.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        found = f"the ending {path.suffix or 'nothing'}"
        raise unreadable(path.name, found, f"one of {' '.join(PING_FILE_ENDINGS)}")
    writer(batch, path)


def _read_parquet(body: bytes, where: str, datum: Datum) -> Decoded:
    try:
        file = parquet.ParquetFile(pa.BufferReader(body))
        names = check_columns(file.schema_arrow.names, where)
        table = file.read(columns=names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(where, shown(error), "a whole Parquet file") from error
    collector = PingCollector(where, unit="row", datum=datum)
    add_table(collector, table, where)
    return collector.result()


def _read_arrow(body: bytes, where: str, datum: Datum) -> Decoded:
    return decode_arrow(body, where=where, datum=datum)


def _read_json(body: bytes, where: str, datum: Datum) -> Decoded:
    return decode_json(body, where=where, datum=datum)


def _read_csv(body: bytes, where: str, datum: Datum) -> Decoded:
    header, _, records = body.removeprefix(_BOM).partition(b"\n")
    columns = [name.strip() for name in _fields(header.decode("utf-8", errors="replace").rstrip("\r"))]
    names = check_columns(columns, where)
    collector = PingCollector(where, unit="line", datum=datum)
    for first, block in _blocks(records, first=2):
        try:
            collector.add_block(_csv_block(block, columns, names), first)
        except (pa.ArrowException, ValueError):
            _add_csv_lines(collector, block, first, columns)
    return collector.result()


def _csv_block(block: bytes, columns: list[str], names: list[str]) -> PingBatch:
    """Read lines of CSV by columns; fails when one line is not fit or is empty (line numbers would slip)."""
    kinds = dict.fromkeys(names, pa.float64())
    kinds["u7"] = pa.int64()
    try:
        table = _arrow_csv(block, columns, names, kinds | {"time": pa.int64()})
    except pa.ArrowInvalid:
        table = _arrow_csv(block, columns, names, kinds | {"time": pa.string()})
    if table.num_rows != _line_count(block):
        message = "a line is empty"
        raise ValueError(message)
    return batch_of_arrow(table.combine_chunks().to_batches()[0])


def _arrow_csv(block: bytes, columns: list[str], names: list[str], kinds: dict[str, pa.DataType]) -> pa.Table:
    return arrow_csv.read_csv(
        pa.BufferReader(block),
        read_options=arrow_csv.ReadOptions(column_names=columns, use_threads=False, block_size=2 * len(block)),
        convert_options=arrow_csv.ConvertOptions(
            column_types=kinds, include_columns=names, null_values=[""], strings_can_be_null=True
        ),
    )


def _add_csv_lines(collector: PingCollector, block: bytes, first: int, columns: list[str]) -> None:
    def rows() -> Iterator[tuple[int, object]]:
        for number, line in _lines(block, first):
            values = _fields(line)
            if len(values) == len(columns):
                yield number, {name: _csv_value(text) for name, text in zip(columns, values, strict=True)}
            else:
                collector.refuse(number, BadField("", len(values), f"{len(columns)} columns"))

    collector.add_rows(rows())


def _read_json_lines(body: bytes, where: str, datum: Datum) -> Decoded:
    collector = PingCollector(where, unit="line", datum=datum, finite=True)
    for first, block in _blocks(body.removeprefix(_BOM), first=1):
        try:
            records = _RECORD_DECODER.decode_lines(block)
            batch = batch_of_records(records)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
            _add_json_lines(collector, block, first)
            continue
        if len(batch) == _line_count(block):
            collector.add_block(batch, first)
        else:
            _add_json_lines(collector, block, first)
    return collector.result()


def _add_json_lines(collector: PingCollector, block: bytes, first: int) -> None:
    def rows() -> Iterator[tuple[int, object]]:
        for number, line in _lines(block, first):
            try:
                yield number, load_json(line)
            except (ValueError, RecursionError):
                collector.refuse(number, BadField("", line, _EXPECTED_LINE))

    collector.add_rows(rows())


def _blocks(body: bytes, *, first: int) -> Iterator[tuple[int, bytes]]:
    """Yield the body in pieces of whole lines, each with the number of its first line."""
    start = 0
    while start < len(body):
        end = body.find(b"\n", min(start + _BLOCK_BYTES, len(body) - 1)) + 1 or len(body)
        block = body[start:end]
        yield first, block
        first += _line_count(block)
        start = end


def _line_count(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _lines(block: bytes, first: int) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty with their numbers; bytes that are not UTF-8 become a replacement sign."""
    for number, line in enumerate(block.split(b"\n"), start=first):
        if line.strip():
            yield number, line.decode("utf-8", errors="replace").strip()


def _fields(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return [line]


def _csv_value(text: str) -> int | float | str | None:
    text = text.strip()
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _table(batch: PingBatch) -> pa.Table:
    columns = {
        "u7": pa.array(batch.u7),
        "time": pa.array(batch.time_ms),
        "lon": pa.array(batch.lon),
        "lat": pa.array(batch.lat),
    }
    # NaN becomes null: other programs then see an unknown value, not a number.
    return pa.table(columns | {name: pa.array(getattr(batch, name), from_pandas=True) for name in OPTIONAL_FIELDS})


def _records(batch: PingBatch) -> Iterator[PingRecord]:
    columns: list[list[Any]] = [batch.u7.tolist(), batch.time_ms.tolist(), batch.lon.tolist(), batch.lat.tolist()]
    columns += [
        [None if isnan(value) else value for value in getattr(batch, name).tolist()] for name in OPTIONAL_FIELDS
    ]
    return (PingRecord(*row) for row in zip(*columns, strict=True))


def _write_parquet(batch: PingBatch, path: Path) -> None:
    parquet.write_table(_table(batch), path)


def _write_arrow(batch: PingBatch, path: Path) -> None:
    table = _table(batch)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _write_csv(batch: PingBatch, path: Path) -> None:
    table = _table(batch)
    with path.open("wb") as sink:
        # The header is written by hand: Arrow would put every name in quotes.
        sink.write(",".join(table.schema.names).encode() + b"\n")
        arrow_csv.write_csv(table, sink, arrow_csv.WriteOptions(include_header=False))


def _write_json_lines(batch: PingBatch, path: Path) -> None:
    path.write_bytes(msgspec.json.Encoder().encode_lines(_records(batch)))


def _write_json(batch: PingBatch, path: Path) -> None:
    path.write_bytes(msgspec.json.encode(list(_records(batch))))


_RECORD_DECODER: Final = msgspec.json.Decoder(PingRecord)

_READERS: Final[dict[str, Callable[[bytes, str, Datum], Decoded]]] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".ipc": _read_arrow,
    ".feather": _read_arrow,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
}

_WRITERS: Final[dict[str, Callable[[PingBatch, Path], None]]] = {
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
    ".ipc": _write_arrow,
    ".feather": _write_arrow,
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".ndjson": _write_json_lines,
    ".json": _write_json,
}

PING_FILE_ENDINGS: Final = tuple(_READERS)
