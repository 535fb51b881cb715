"""Records and segments of the journal as bytes and back: no file, no clock.

A segment is a head and records one after another. All numbers are little-endian.

Head, 36 bytes: magic ``GEOJRNL1``, sequence number of the first record (uint64), of the record before it in the folder
(uint64; 0 = none), revision of the zone set (int64), CRC-32 of the 32 bytes before.
Record: magic ``GJR1``, length of the payload (uint32), sequence number (uint64), moment it was judged with (int64,
epoch ms), kind (uint32), CRC-32 of the 28 bytes before and the payload; then the payload.

CRC-32 (zlib's) because the enemy is a torn or flipped block, not a forger: it finds every burst of up to 32 bits, it is
in the standard library, and the snapshot of the engine uses it too. Whoever can write the file can write the store.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.model import FloatColumn, IntColumn, PingBatch

__all__ = [
    "HEAD_BYTES",
    "RECORD_BYTES",
    "Found",
    "Kind",
    "Record",
    "encode",
    "encode_head",
    "pack_pings",
    "scan",
    "unpack_pings",
]

_HEAD: Final = struct.Struct("<8sQQq")
_RECORD: Final = struct.Struct("<4sIQqI")
_CRC: Final = struct.Struct("<I")
_HEAD_MAGIC: Final = b"GEOJRNL1"
_RECORD_MAGIC: Final = b"GJR1"
HEAD_BYTES: Final = _HEAD.size + _CRC.size
RECORD_BYTES: Final = _RECORD.size + _CRC.size

_PINGS: Final = struct.Struct("<IHHq")
_OPTIONAL: Final = ("speed_mps", "heading_deg", "accuracy_m")
_SMALL_U7: Final = 1 << 8
_SMALL_TIME: Final = 1 << 9
_MOST_UINT32: Final = (1 << 32) - 1


class Kind(IntEnum):
    """What a record holds."""

    STEP = 1
    """A batch of pings the engine judged; without pings it was only told the time."""
    TOLD = 2
    """Something else the engine was told, such as what a person drives."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        sequence: its number; each is one more than the one before.
        now_ms: the moment the engine was given, epoch ms.
        kind: what the payload is; a number this version does not know is refused like damage.
        payload: packed pings of a ``STEP``, otherwise the caller's own bytes.
    """

    sequence: int
    now_ms: int
    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What a segment holds.

    Attributes:
        first: sequence number its head promises, None = the head itself is damaged.
        follows: number of the record before, as its head says.
        revision: revision of the zone set it was written under.
        records: the good records up to the end or the first damage.
        good_bytes: where the good prefix ends.
        why: what is wrong there; empty = the segment is whole.
    """

    first: int | None
    follows: int
    revision: int
    records: list[Record]
    good_bytes: int
    why: str


def encode_head(first: int, follows: int, revision: int) -> bytes:
    """Return the head of a segment."""
    head = _HEAD.pack(_HEAD_MAGIC, first, follows, revision)
    return head + _CRC.pack(zlib.crc32(head))


def encode(record: Record) -> bytes:
    """Return a record as bytes. Cost: a copy and a checksum of the payload."""
    head = _RECORD.pack(_RECORD_MAGIC, len(record.payload), record.sequence, record.now_ms, record.kind)
    return b"".join((head, _CRC.pack(zlib.crc32(record.payload, zlib.crc32(head))), record.payload))


def scan(data: bytes | memoryview) -> Found:
    """Read a segment up to its end or the first byte that cannot be right.

    A segment cut exactly between two records looks whole; that records are missing shows only by the numbers of the
    next segment, of the snapshot and of the store. Cost: a checksum of all bytes and a copy of the payloads.
    """
    view = memoryview(data)
    if len(view) < HEAD_BYTES:
        return Found(None, 0, 0, [], 0, f"found {len(view)} bytes, expected a head of {HEAD_BYTES}")
    magic, first, follows, revision = _HEAD.unpack_from(view)
    if magic != _HEAD_MAGIC or zlib.crc32(view[: _HEAD.size]) != _CRC.unpack_from(view, _HEAD.size)[0]:
        return Found(None, 0, 0, [], 0, "found a head that does not match its checksum")
    records: list[Record] = []
    at, why = HEAD_BYTES, ""
    while at < len(view) and not why:
        record, why = _record_at(view, at, first + len(records))
        if record is not None:
            records.append(record)
            at += RECORD_BYTES + len(record.payload)
    return Found(first, follows, revision, records, at, why)


def _record_at(view: memoryview, at: int, expected: int) -> tuple[Record | None, str]:
    """Return the record at a place, or None and what is wrong."""
    if len(view) - at < RECORD_BYTES:
        return None, f"found {len(view) - at} bytes, expected a record"
    magic, length, sequence, now_ms, kind = _RECORD.unpack_from(view, at)
    body = at + RECORD_BYTES
    if magic != _RECORD_MAGIC or body + length > len(view):
        return None, "found no whole record"
    payload = view[body : body + length]
    sealed = zlib.crc32(payload, zlib.crc32(view[at : at + _RECORD.size]))
    if sealed != _CRC.unpack_from(view, at + _RECORD.size)[0]:
        return None, "found a record that does not match its checksum"
    if sequence != expected:
        return None, f"found record {sequence}, expected {expected}"
    if kind not in set(Kind):
        return None, f"found a record of kind {kind}, expected one of {', '.join(str(int(one)) for one in Kind)}"
    return Record(sequence, now_ms, Kind(kind), bytes(payload)), ""


def pack_pings(batch: PingBatch) -> bytes:
    """Return a batch as columns: 24 bytes a ping, and 8 for each column besides place and time that holds anything.

    Lossless: NaN are kept bit for bit, and a u7 or a time that is out of all range too.
    """
    count = len(batch)
    first_ms = int(batch.time_ms.min(initial=np.iinfo(np.int64).max)) if count else 0
    flags, parts = 0, []
    if count and int(batch.u7.min()) >= 0 and int(batch.u7.max()) <= _MOST_UINT32:
        flags |= _SMALL_U7
    # In Python's integers, since the span of two int64 need not be one.
    if count and int(batch.time_ms.max()) - first_ms <= _MOST_UINT32:
        flags |= _SMALL_TIME
    parts.append(batch.u7.astype("<u4" if flags & _SMALL_U7 else "<i8").tobytes())
    times = batch.time_ms - first_ms if flags & _SMALL_TIME else batch.time_ms
    parts.append(times.astype("<u4" if flags & _SMALL_TIME else "<i8").tobytes())
    parts += [batch.lon.astype("<f8").tobytes(), batch.lat.astype("<f8").tobytes()]
    for bit, name in enumerate(_OPTIONAL):
        column = getattr(batch, name)
        if not np.isnan(column).all():
            flags |= 1 << bit
            parts.append(column.astype("<f8").tobytes())
    return b"".join((_PINGS.pack(count, flags, 0, first_ms if flags & _SMALL_TIME else 0), *parts))


def unpack_pings(payload: bytes) -> PingBatch:
    """Return the batch ``pack_pings`` packed.

    Raises:
        ValueError: the length is not what its head says. Behind a good checksum that is a fault of the program.
    """
    if len(payload) < _PINGS.size:
        message = f"found {len(payload)} bytes, expected at least {_PINGS.size} of a packed batch"
        raise ValueError(message)
    count, flags, _, first_ms = _PINGS.unpack_from(payload)
    kinds = ["<u4" if flags & _SMALL_U7 else "<i8", "<u4" if flags & _SMALL_TIME else "<i8", "<f8", "<f8"]
    kinds += ["<f8" for bit in range(len(_OPTIONAL)) if flags & 1 << bit]
    expected = _PINGS.size + count * sum(np.dtype(kind).itemsize for kind in kinds)
    if len(payload) != expected:
        message = f"found {len(payload)} bytes, expected {expected} for {count} packed pings"
        raise ValueError(message)
    columns = _columns(payload, kinds, count)
    u7, times = next(columns).astype(np.int64), next(columns).astype(np.int64) + first_ms
    lon, lat = _floats(next(columns)), _floats(next(columns))
    optional: dict[str, FloatColumn] = {
        name: _floats(next(columns)) for bit, name in enumerate(_OPTIONAL) if flags & 1 << bit
    }
    return PingBatch.from_columns(u7, times, lon, lat, **optional)


def _columns(payload: bytes, kinds: list[str], count: int) -> Iterator[IntColumn | FloatColumn]:
    at = _PINGS.size
    for kind in kinds:
        column: npt.NDArray[np.int64] | npt.NDArray[np.float64] = np.frombuffer(
            payload, dtype=kind, count=count, offset=at
        )
        yield column
        at += count * np.dtype(kind).itemsize


def _floats(column: IntColumn | FloatColumn) -> FloatColumn:
    return column.astype(np.float64)
