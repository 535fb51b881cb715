"""The state as one buffer and back, column by column: nothing is done per user.

Layout: the magic bytes, the CRC-32 of all that follows and the length of the head (uint64 each, little-endian), the
head (JSON: version, what the caller adds, and name, type and length of each array), then the arrays one after another,
each at a multiple of 64 bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.errors import SnapshotError

__all__ = ["pack", "unpack"]

_MAGIC: Final = b"GEOENGIN"
_VERSION: Final = 2
_ALIGNMENT: Final = 64
_SEALED_AT: Final = len(_MAGIC) + 8
_HEAD_AT: Final = _SEALED_AT + 8

Arrays = dict[str, npt.NDArray[Any]]


def pack(facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any] | Sequence[npt.NDArray[Any]]]) -> bytearray:
    """Return facts (what JSON can say) and one-dimensional arrays as one buffer.

    An array may come in parts of one type, at least one; they are joined in the buffer, so that no second copy is made.
    Cost: one copy of every array and one pass for the checksum.
    """
    parts = {name: [array] if isinstance(array, np.ndarray) else array for name, array in arrays.items()}
    listed = [
        {"name": name, "type": _type_text(some[0].dtype), "count": sum(map(len, some))} for name, some in parts.items()
    ]
    head = json.dumps({"version": _VERSION, "facts": facts, "arrays": listed}).encode()
    start = _aligned(_HEAD_AT + len(head))
    buffer = bytearray(start + sum(_aligned(sum(part.nbytes for part in some)) for some in parts.values()))
    buffer[_HEAD_AT : _HEAD_AT + len(head)] = head
    at = start
    for some in parts.values():
        for part in some:
            np.frombuffer(buffer, dtype=part.dtype, count=len(part), offset=at)[:] = part
            at += part.nbytes
        at = _aligned(at)
    buffer[: len(_MAGIC)] = _MAGIC
    buffer[_SEALED_AT:_HEAD_AT] = len(head).to_bytes(8, "little")
    buffer[len(_MAGIC) : _SEALED_AT] = _checksum(memoryview(buffer)).to_bytes(8, "little")
    return buffer


def unpack(buffer: bytes | bytearray | memoryview) -> tuple[dict[str, Any], Arrays]:
    """Return the facts and the arrays of a buffer; the arrays are views into it.

    Raises:
        SnapshotError: the buffer is no snapshot, of another version, or damaged.
    """
    view = memoryview(buffer)
    if bytes(view[: len(_MAGIC)]) != _MAGIC:
        message = f"found a buffer that begins with {bytes(view[:8])!r}, expected {_MAGIC!r}: a snapshot of the engine"
        raise SnapshotError(message)
    checksum, length = (int.from_bytes(view[at : at + 8], "little") for at in (len(_MAGIC), len(_MAGIC) + 8))
    if len(view) < _HEAD_AT + length or checksum != _checksum(view):
        message = f"found a snapshot of {len(view)} bytes that was cut short or overwritten, expected a whole one"
        raise SnapshotError(message)
    head = json.loads(bytes(view[_HEAD_AT : _HEAD_AT + length]))
    if head["version"] != _VERSION:
        message = f"found a snapshot of version {head['version']}, expected {_VERSION}"
        raise SnapshotError(message)
    at = _aligned(_HEAD_AT + length)
    arrays: Arrays = {}
    for one in head["arrays"]:
        kind = _type_of(one["type"])
        arrays[one["name"]] = np.frombuffer(view, dtype=kind, count=one["count"], offset=at)
        at += _aligned(one["count"] * kind.itemsize)
    return head["facts"], arrays


def _checksum(view: memoryview) -> int:
    return zlib.crc32(view[_SEALED_AT:])


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _type_text(kind: np.dtype[Any]) -> Any:  # noqa: ANN401 - text, or names, types and offsets of fields
    if kind.names is None:
        return kind.str
    offsets = [kind.fields[name][1] for name in kind.names] if kind.fields else []
    texts = [kind[name].str for name in kind.names]
    return {"names": list(kind.names), "formats": texts, "offsets": offsets, "itemsize": kind.itemsize}


def _type_of(text: Any) -> np.dtype[Any]:  # noqa: ANN401 - see _type_text
    kind: np.dtype[Any] = np.dtype(text)
    return kind
