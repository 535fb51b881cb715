"""The state as one buffer and back, column by column: nothing is done per user.

Layout: the magic bytes, the length of the head (uint64, little-endian), the head (JSON: version, what the caller adds,
and name, type and shape of each array), then the arrays one after another, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.errors import SnapshotError

__all__ = ["pack", "unpack"]

_MAGIC: Final = b"GEOENGIN"
_VERSION: Final = 1
_ALIGNMENT: Final = 64

Arrays = dict[str, npt.NDArray[Any]]


def pack(facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytearray:
    """Return facts (what JSON can say) and one-dimensional arrays as one buffer. Cost: one copy of every array."""
    listed = [
        {"name": name, "type": _type_text(array.dtype), "count": len(array)} for name, array in arrays.items()
    ]
    head = json.dumps({"version": _VERSION, "facts": facts, "arrays": listed}).encode()
    start = _aligned(len(_MAGIC) + 8 + len(head))
    ends = np.cumsum([_aligned(array.nbytes) for array in arrays.values()], dtype=np.int64)
    buffer = bytearray(start + (int(ends[-1]) if len(ends) else 0))
    buffer[: len(_MAGIC)] = _MAGIC
    buffer[len(_MAGIC) : len(_MAGIC) + 8] = len(head).to_bytes(8, "little")
    buffer[len(_MAGIC) + 8 : len(_MAGIC) + 8 + len(head)] = head
    at = start
    for array in arrays.values():
        np.frombuffer(buffer, dtype=array.dtype, count=len(array), offset=at)[:] = array
        at += _aligned(array.nbytes)
    return buffer


def unpack(buffer: bytes | bytearray | memoryview) -> tuple[dict[str, Any], Arrays]:
    """Return the facts and the arrays of a buffer; the arrays are views into it.

    Raises:
        SnapshotError: the buffer is no snapshot, of another version, or too short.
    """
    view = memoryview(buffer)
    if bytes(view[: len(_MAGIC)]) != _MAGIC:
        message = f"found a buffer that begins with {bytes(view[:8])!r}, expected a snapshot of the engine"
        raise SnapshotError(message)
    length = int.from_bytes(view[len(_MAGIC) : len(_MAGIC) + 8], "little")
    at = len(_MAGIC) + 8
    try:
        head = json.loads(bytes(view[at : at + length]))
    except ValueError as error:
        message = "the head of the snapshot cannot be read: it was cut short or overwritten"
        raise SnapshotError(message) from error
    if head["version"] != _VERSION:
        message = f"found a snapshot of version {head['version']}, expected {_VERSION}"
        raise SnapshotError(message)
    at = _aligned(at + length)
    arrays: Arrays = {}
    for one in head["arrays"]:
        kind = _type_of(one["type"])
        if at + one["count"] * kind.itemsize > len(view):
            message = f"the snapshot ends inside {one['name']}: found {len(view)} bytes, expected more"
            raise SnapshotError(message)
        arrays[one["name"]] = np.frombuffer(view, dtype=kind, count=one["count"], offset=at)
        at += _aligned(one["count"] * kind.itemsize)
    return head["facts"], arrays


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _type_text(kind: np.dtype[Any]) -> Any:  # noqa: ANN401 - text, or names, types and offsets of fields
    if kind.names is None:
        return kind.str
    offsets = [kind.fields[name][1] for name in kind.names] if kind.fields else []
    texts = [kind[name].str for name in kind.names]
    return {"names": list(kind.names), "formats": texts, "offsets": offsets, "itemsize": kind.itemsize}


def _type_of(text: Any) -> np.dtype[Any]:  # noqa: ANN401 - see _type_text
    return np.dtype(text)
