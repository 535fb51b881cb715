"""The history of messages as rows for people and as CSV or Parquet files."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from api.replay import iso_ms
from geo_engine.store.messages import MessageRecord

__all__ = ["COLUMNS", "history_row", "spreadsheet_text", "write_csv", "write_parquet"]

_NUMBERS: Final = ("number", "attempts", "errcode")
_PLACES: Final = ("lon", "lat")
_TIMES: Final = ("time", "recorded", "receipt_time")
COLUMNS: Final = (
    *("number", "time", "recorded", "u7", "phone", "plate", "direction", "kind", "channel", "outcome", "title", "text"),
    *("zones", "lon", "lat", "datum", "why", "cause", "attempts", "errcode", "detail", "msg_id", "receipt"),
    "receipt_time",
)
"""Columns of an export: who, when, what, where, why and how."""

_BEGINS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ROWS_A_GROUP: Final = 10_000


def history_row(record: MessageRecord) -> dict[str, Any]:
    """Return a message as a flat row; times are ISO 8601 UTC, ``u7`` has seven digits."""
    message = record.message
    return {
        "number": record.number,
        "time": iso_ms(message.event_ms),
        "recorded": iso_ms(message.recorded_ms),
        "u7": f"{message.u7:07d}",
        "phone": record.phone,
        "plate": record.plate,
        "direction": message.direction.value,
        "kind": str(message.kind),
        "channel": message.channel,
        "outcome": message.outcome.value,
        "title": message.title,
        "text": message.text,
        "zones": list(message.zones),
        "lon": message.lon,
        "lat": message.lat,
        "datum": message.datum,
        "why": message.why,
        "cause": message.cause,
        "attempts": message.attempts,
        "errcode": message.errcode,
        "detail": message.detail,
        "msg_id": message.msg_id,
        "receipt": record.receipt,
        "receipt_time": None if record.receipt_ms is None else iso_ms(record.receipt_ms),
    }


def spreadsheet_text(text: str) -> str:
    """Return ``text`` so that a spreadsheet shows it and never runs it: what begins like a formula gets a ``'``."""
    return f"'{text}" if text.lstrip(" ").startswith(_BEGINS_A_FORMULA) or text.startswith(_BEGINS_A_FORMULA) else text


def write_csv(records: Iterable[MessageRecord], path: Path) -> int:
    """Write a CSV file and return the number of rows.

    UTF-8 with a byte order mark: without it Excel on a Chinese system takes the file for GBK. People write the texts,
    so a cell that begins like a formula is made harmless; numbers stay numbers. Zones stand in one cell with spaces.

    Raises:
        OSError: the file is there already, or cannot be written; nothing is left of it.
    """
    written = 0
    with _new_file(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for record in records:
            row = history_row(record)
            writer.writerow([_cell(row[name]) for name in COLUMNS])
            written += 1
    return written


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = " ".join(value)
    return spreadsheet_text(value) if isinstance(value, str) else value


def write_parquet(records: Iterable[MessageRecord], path: Path) -> int:
    """Write a Parquet file and return the number of rows: texts as they are, times as timestamps, zones as lists.

    Raises:
        OSError: as ``write_csv``.
    """
    written = 0
    with _new_file(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
        for rows in _groups(records):
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
            written += len(rows)
    return written


def _field(name: str) -> tuple[str, Any]:
    if name in _TIMES:
        return name, pa.timestamp("ms", tz="UTC")
    if name in _PLACES:
        return name, pa.float64()
    if name == "zones":
        return name, pa.list_(pa.string())
    return name, pa.int64() if name in _NUMBERS else pa.string()


_SCHEMA: Final = pa.schema([_field(name) for name in COLUMNS])


def _groups(records: Iterable[MessageRecord]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for record in records:
        message = record.message
        times = {"time": message.event_ms, "recorded": message.recorded_ms, "receipt_time": record.receipt_ms}
        rows.append(history_row(record) | times)
        if len(rows) == _ROWS_A_GROUP:
            yield rows
            rows = []
    if rows:
        yield rows


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Give a file beside ``path`` that takes its place when all went well; only its owner can read it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # A link, not a rename: it refuses a name that is taken.
        os.link(temporary, path)
    finally:
        temporary.unlink()
