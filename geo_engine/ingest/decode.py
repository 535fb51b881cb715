"""Pings from JSON and Arrow bytes to columns; a bad row is named and counted and never drops its neighbours.

Every door works the same way: a block of rows is read by columns at full speed; only when that fails the rows of
that block are read one by one, by ``read_row``, which says what is wrong with a row.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from geo_engine.errors import Fault, PingFileError
from geo_engine.geodesy.datum import Datum, to_wgs84
from geo_engine.ingest.arrow_heads import announced_rows
from geo_engine.ingest.rows import OPTIONAL_FIELDS, REQUIRED_FIELDS, BadField, Row, iso_ms, load_json, read_row, shown
from geo_engine.model import FloatColumn, IntColumn, PingBatch, RejectReason

__all__ = [
    "Decoded",
    "PingCollector",
    "PingRecord",
    "add_table",
    "batch_of_arrow",
    "batch_of_records",
    "check_columns",
    "decode_arrow",
    "decode_json",
    "unreadable",
]

Convert = Callable[[FloatColumn, FloatColumn, Datum], tuple[FloatColumn, FloatColumn]]
"""Brings lon and lat from a datum to WGS-84."""

_FAULTS_KEPT: Final = 100
_MOST_SECONDS: Final = 2**63 // 1000
_BLOCK_ROWS: Final = 65_536
_UNREADABLE: Final = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)


class PingRecord(msgspec.Struct, gc=False, omit_defaults=True):
    """One ping as it stands in JSON; the order of the fields is that of ``PingBatch``."""

    u7: int
    time: int | str
    lon: float
    lat: float
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pings that could be read and what became of the others.

    Attributes:
        batch: the readable pings in the order of the source, WGS-84. Ranges are not judged here: a latitude of 91,
            a year 1970 or a NaN in a column passes and is screened by the engine.
        row: int64, for each ping of ``batch`` the row or line of the source, counted from 1.
        faults: what was wrong with the first hundred unreadable rows, one fault each.
        rejected: all unreadable rows, counted by reason.
    """

    batch: PingBatch
    row: IntColumn
    faults: tuple[Fault, ...]
    rejected: dict[str, int]


class PingCollector:
    """Gathers blocks of pings and single rows into one ``Decoded``.

    Args:
        where: what a fault calls the source.
        unit: how a person counts in the source, ``row`` or ``line``.
        datum: datum of the positions; ``result`` converts them to WGS-84.
        finite: refuse NaN and infinite positions as malformed (JSON has no such numbers); else they pass.
        convert: how; the exact way by default, ``DatumTables.to_wgs84`` for a stream.
    """

    def __init__(
        self, where: str, *, unit: str, datum: Datum, finite: bool = False, convert: Convert = to_wgs84
    ) -> None:
        self._where = where
        self._unit = unit
        self._datum = datum
        self._convert = convert
        self._finite = finite
        self._batches: list[PingBatch] = []
        self._rows: list[IntColumn] = []
        self._faults: list[Fault] = []
        self._malformed = 0

    def add_block(self, batch: PingBatch, first: int) -> None:
        """Take a block whose rows are all good and lie one after the other in the source, from row ``first``."""
        self._batches.append(batch)
        self._rows.append(np.arange(first, first + len(batch), dtype=np.int64))

    def add_rows(self, rows: Iterable[tuple[int, object]]) -> None:
        """Take rows one by one, as ``(row, fields)``; a bad one ends in a fault. Cost: about 3 us a row."""
        good: list[Row] = []
        numbers: list[int] = []
        for number, fields in rows:
            found = read_row(fields, finite=self._finite)
            if isinstance(found, BadField):
                self.refuse(number, found)
            else:
                good.append(found)
                numbers.append(number)
        if good:
            self._batches.append(_batch_of_rows(good))
            self._rows.append(np.array(numbers, dtype=np.int64))

    def refuse(self, number: int, bad: BadField) -> None:
        """Count a row that cannot be read, and keep its fault when it is among the first hundred."""
        self._malformed += 1
        if len(self._faults) < _FAULTS_KEPT:
            where = f"{self._where} {self._unit} {number}"
            self._faults.append(Fault(where, bad.name, shown(bad.given), bad.expected, RejectReason.MALFORMED.value))

    def result(self) -> Decoded:
        """Join what was gathered, convert it to WGS-84 and forget negative or impossible optional values."""
        batch = _cleaned(PingBatch.concat(self._batches), self._datum, self._convert)
        row = np.concatenate([*self._rows, np.empty(0, dtype=np.int64)])
        rejected = {RejectReason.MALFORMED.value: self._malformed} if self._malformed else {}
        return Decoded(batch, row, tuple(self._faults), rejected)


def decode_json(
    body: bytes,
    *,
    where: str = "body",
    datum: Datum = Datum.WGS84,
    max_rows: int | None = None,
    convert: Convert = to_wgs84,
) -> Decoded:
    """Decode a JSON list of ping objects.

    Unknown fields are ignored. A row with a missing field, a wrong type (text for a number, NaN), an integer beyond
    64 bits or a time without zone is rejected as malformed. Bytes that are not UTF-8 only spoil the text they
    stand in.

    Cost: about 0.4 us a ping; 3 us when a row is bad, for then all are read one by one.

    Args:
        body: the document.
        where: what a fault calls the source.
        datum: datum of the positions.
        max_rows: a longer list is refused; None = any length.
        convert: how positions are brought to WGS-84; see ``PingCollector``.

    Raises:
        PingFileError: the whole is not a JSON list (empty, cut off, another type, nested too deeply).
    """
    collector = PingCollector(where, unit="row", datum=datum, finite=True, convert=convert)
    try:
        collector.add_block(batch_of_records(_LIST_DECODER.decode(body)), first=1)
    except (*_UNREADABLE, RecursionError):
        collector.add_rows(enumerate(_rows_of_document(body, where, max_rows), start=1))
    return collector.result()


def decode_arrow(
    body: bytes,
    *,
    where: str = "body",
    datum: Datum = Datum.WGS84,
    max_rows: int | None = None,
    convert: Convert = to_wgs84,
) -> Decoded:
    """Decode an Arrow IPC stream or file, recognised by its first bytes.

    ``time`` may be whole numbers (epoch ms), a timestamp with zone, or ISO 8601 text with zone. Unknown columns are
    ignored; a null in a required column, a time without zone and text for a number are rejected as malformed.

    Cost: about 20 ns a ping; 3 us in each block of 65,536 rows that holds a bad one.

    Args:
        body: the stream or file.
        where: what a fault calls the source.
        datum: datum of the positions.
        max_rows: for a body of a stranger: only a plain stream of at most so many rows is unpacked.
        convert: how positions are brought to WGS-84; see ``PingCollector``.

    Raises:
        PingFileError: the whole is not Arrow (empty, cut off), a required column is missing or doubled, or it is more
            than ``max_rows`` allows.
    """
    try:
        if max_rows is not None:
            _check_heads(body, where, max_rows)
        source = pa.BufferReader(body)
        reader = pa.ipc.open_file(source) if body.startswith(b"ARROW1") else pa.ipc.open_stream(source)
        table = reader.read_all()
        # The bytes come from a stranger: offsets that point outside their buffers must not reach a kernel.
        table.validate(full=True)
    except (*_UNREADABLE, MemoryError, struct.error, IndexError) as error:
        raise unreadable(where, shown(error), "an Arrow IPC stream or file") from error
    collector = PingCollector(where, unit="row", datum=datum, convert=convert)
    add_table(collector, table, where)
    return collector.result()


def _check_heads(body: bytes, where: str, max_rows: int) -> None:
    rows, compressed = announced_rows(body)
    if compressed:
        raise unreadable(where, "compressed buffers", "a plain Arrow stream")
    if rows > max_rows:
        raise unreadable(where, f"{rows} rows", f"at most {max_rows} in one batch")


def add_table(collector: PingCollector, table: pa.Table, where: str) -> None:
    """Add the ping columns of an Arrow table to ``collector``, rows counted from 1.

    Raises:
        PingFileError: a required column is missing, or a ping column stands there twice.
    """
    names = check_columns(table.schema.names, where)
    empty = [name for name in REQUIRED_FIELDS if pa.types.is_null(table.schema.field(name).type)]
    if empty and table.num_rows:
        raise PingFileError([Fault(where, name, "a column of nulls", "values", "missing_column") for name in empty])
    table = _known_types(table.select(names))
    first = 1
    for block in table.to_batches(max_chunksize=_BLOCK_ROWS):
        try:
            collector.add_block(batch_of_arrow(block), first)
        except _UNREADABLE:
            collector.add_rows(enumerate(_plain(block).to_pylist(), start=first))
        first += block.num_rows


def _known_types(table: pa.Table) -> pa.Table:
    """Return the table with forms of text and whole numbers that other programs write in the plain ones."""
    for place, column in enumerate(table.schema):
        if pa.types.is_string_view(column.type):
            table = table.set_column(place, column.name, table.column(place).cast(pa.large_string()))
        elif pa.types.is_decimal(column.type) and column.type.scale == 0 and column.type.precision <= 18:
            table = table.set_column(place, column.name, table.column(place).cast(pa.int64()))
    return table


def check_columns(names: Iterable[str], where: str) -> list[str]:
    """Return the ping columns among ``names``.

    Raises:
        PingFileError: a required one is missing, or one stands there twice.
    """
    given = list(names)
    faults = [
        Fault(where, name, "no such column", f"columns {', '.join(REQUIRED_FIELDS)}", "missing_column")
        for name in REQUIRED_FIELDS
        if name not in given
    ]
    wanted: list[str] = [name for name in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS) if name in given]
    faults += [
        Fault(where, name, f"{given.count(name)} columns of this name", "one", "duplicate_column")
        for name in wanted
        if given.count(name) > 1
    ]
    if faults:
        raise PingFileError(faults)
    return wanted


def batch_of_records(records: list[PingRecord]) -> PingBatch:
    """Turn records into columns; fails with ``ValueError`` or ``OverflowError`` when one of them is not fit."""
    count = len(records)
    times = [record.time for record in records]
    if not all(type(time) is int for time in times):
        times = [time if isinstance(time, int) else iso_ms(time) for time in times]

    def floats(name: str) -> FloatColumn:
        # NumPy reads None as NaN.
        return np.array([getattr(record, name) for record in records], dtype=np.float64)

    return PingBatch(
        u7=np.fromiter((record.u7 for record in records), np.int64, count),
        time_ms=np.fromiter(times, np.int64, count),
        lon=floats("lon"),
        lat=floats("lat"),
        speed_mps=floats("speed_mps"),
        heading_deg=floats("heading_deg"),
        accuracy_m=floats("accuracy_m"),
    )


def batch_of_arrow(block: pa.RecordBatch) -> PingBatch:
    """Turn an Arrow block into columns; fails with an Arrow error or ``ValueError`` when a row is not fit."""
    columns: dict[str, Any] = {name: block.column(name) for name in block.schema.names}
    optional = {name: _float_column(columns[name]) for name in OPTIONAL_FIELDS if name in columns}
    lon, lat = columns["lon"], columns["lat"]
    if lon.null_count or lat.null_count:
        message = "a position is missing"
        raise ValueError(message)
    return PingBatch.from_columns(
        _int_column(columns["u7"]), _time_column(columns["time"]), _float_column(lon), _float_column(lat), **optional
    )


def unreadable(where: str, found: str, expected: str) -> PingFileError:
    """Return the error of a source that cannot be read at all."""
    return PingFileError([Fault(where, "", found, expected, "unreadable")])


_LIST_DECODER: Final = msgspec.json.Decoder(list[PingRecord])


def _rows_of_document(body: bytes, where: str, max_rows: int | None) -> list[object]:
    expected = "a JSON list of pings"
    if not body.strip():
        raise unreadable(where, "an empty document", expected)
    try:
        document = load_json(body.decode("utf-8-sig", errors="replace"))
    except RecursionError as error:
        raise unreadable(where, "a document nested too deeply", expected) from error
    except ValueError as error:
        raise unreadable(where, shown(error), expected) from error
    if not isinstance(document, list):
        raise unreadable(where, shown(document), expected)
    if max_rows is not None and len(document) > max_rows:
        raise unreadable(where, f"{len(document)} rows", f"at most {max_rows} in one batch")
    return document


def _batch_of_rows(rows: list[Row]) -> PingBatch:
    u7, time_ms, lon, lat, speed_mps, heading_deg, accuracy_m = zip(*rows, strict=True)
    return PingBatch.from_columns(
        u7, time_ms, lon, lat, speed_mps=speed_mps, heading_deg=heading_deg, accuracy_m=accuracy_m
    )


def _cleaned(batch: PingBatch, datum: Datum, convert: Convert) -> PingBatch:
    """Convert positions in range to WGS-84; phones send -1 for an unknown speed, heading or accuracy: make it NaN."""
    lon, lat = batch.lon, batch.lat
    if datum is not Datum.WGS84:
        lon, lat = lon.copy(), lat.copy()
        rows = (np.abs(lon) <= 180.0) & (np.abs(lat) <= 90.0)
        lon[rows], lat[rows] = convert(lon[rows], lat[rows], datum)
    return PingBatch(
        u7=batch.u7,
        time_ms=batch.time_ms,
        lon=lon,
        lat=lat,
        speed_mps=_within(batch.speed_mps, math.inf),
        heading_deg=_within(batch.heading_deg, 360.0),
        accuracy_m=_within(batch.accuracy_m, math.inf),
    )


def _within(column: FloatColumn, highest: float) -> FloatColumn:
    return np.where((column >= 0.0) & (column <= highest) & (column < math.inf), column, np.nan)


def _int_column(column: pa.Array) -> IntColumn:
    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        message = f"expected whole numbers, got {column.type} with {column.null_count} nulls"
        raise ValueError(message)
    return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _time_column(column: pa.Array) -> IntColumn:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # Text without zone does not convert to a timestamp with one: the rows are then read one by one.
        column = column.cast(pa.timestamp("ns", "UTC"))
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        if column.null_count:
            message = "a time is missing"
            raise ValueError(message)
        per_ms = {"s": 0.001, "ms": 1, "us": 1_000, "ns": 1_000_000}[column.type.unit]
        ticks = np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
        return _seconds_as_ms(ticks) if per_ms < 1 else ticks // int(per_ms)
    return _int_column(column)


def _seconds_as_ms(seconds: IntColumn) -> IntColumn:
    """Return milliseconds; a second beyond what 64 bits can hold stays beyond any calendar instead of wrapping."""
    return np.clip(seconds, -_MOST_SECONDS, _MOST_SECONDS) * 1000


def _float_column(column: pa.Array) -> FloatColumn:
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        message = f"expected numbers, got {kind}"
        raise ValueError(message)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _plain(block: pa.RecordBatch) -> pa.RecordBatch:
    """Return the block with every column in a form that becomes plain Python values whatever it holds."""
    return pa.RecordBatch.from_arrays([_plain_column(column) for column in block.columns], names=block.schema.names)


def _plain_column(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_column(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return _plain_time(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # As bytes: text of a file need not be UTF-8, and Python's text must be.
        return column.cast(pa.large_binary())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return column
    return pa.array([f"a value of type {kind}"] * len(column))


def _plain_time(column: pa.Array) -> pa.Array:
    """Return times with a zone as milliseconds; without one they stay text, for the fault to show."""
    kind = column.type
    if kind.tz is None:
        return column.cast(pa.string())
    if kind.unit == "s" and not column.null_count:
        return pa.array(_seconds_as_ms(np.asarray(column.cast(pa.int64()).to_numpy())))
    # Python's datetime cannot hold every one of them.
    return column.cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())
