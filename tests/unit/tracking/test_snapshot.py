"""The state as one buffer: it comes back whole or not at all."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.errors import SnapshotError
from geo_engine.tracking.snapshot import pack, unpack
from geo_engine.tracking.state import PACKED_ROW
from tests.examples import examples

ROWS = np.zeros(3, dtype=PACKED_ROW)
ROWS["time_ms"], ROWS["lon"] = [1, 2, 3], [0.5, -0.0, np.nan]
FACTS = {"zones": ["江北", "z"], "judged_ms": None, "memberships": 3}
ARRAYS = {"rows": ROWS, "first": np.arange(5), "none": np.empty(0, dtype=np.int32), "used": np.array([True, False])}


def test_facts_and_arrays_come_back_bit_by_bit() -> None:
    facts, arrays = unpack(bytes(pack(FACTS, ARRAYS)))
    assert facts == FACTS
    assert {name: (array.dtype, array.tobytes()) for name, array in arrays.items()} == {
        name: (array.dtype, array.tobytes()) for name, array in ARRAYS.items()
    }


def test_nothing_can_be_packed() -> None:
    assert unpack(pack({}, {})) == ({}, {})


def test_parts_of_an_array_are_joined() -> None:
    _, arrays = unpack(pack({}, {"rows": [ROWS[:1], ROWS[:0], ROWS[1:]], "first": np.arange(3)}))
    assert arrays["rows"].tobytes() == ROWS.tobytes()
    assert arrays["first"].tolist() == [0, 1, 2]


def test_arrays_begin_where_a_processor_likes_them_to() -> None:
    buffer = pack(FACTS, ARRAYS)
    _, arrays = unpack(buffer)
    base = np.frombuffer(buffer, dtype=np.uint8).ctypes.data
    assert {(array.ctypes.data - base) % 64 for array in arrays.values()} == {0}


@examples(200)
@given(data=st.data())
def test_cut_or_overwritten_buffer_is_refused(data: st.DataObject) -> None:
    whole = bytes(pack(FACTS, ARRAYS))
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        broken = whole[:at]
    else:
        broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    with pytest.raises(SnapshotError):
        unpack(broken)


@pytest.mark.parametrize("foreign", [b"", b"GEOENGIN", b"PAR1" * 20, b"GEOENGIN" + b"\xff" * 40, b"\0" * 100])
def test_foreign_buffer_is_refused(foreign: bytes) -> None:
    with pytest.raises(SnapshotError, match="found a"):
        unpack(foreign)


def test_snapshot_of_another_version_is_named() -> None:
    text = bytes(pack(FACTS, {})).replace(b'{"version": 2', b'{"version": 1')
    resealed = text[:8] + zlib.crc32(text[16:]).to_bytes(8, "little") + text[16:]
    with pytest.raises(SnapshotError, match="found a snapshot of version 1, expected 2"):
        unpack(resealed)
