"""Records of the journal: what is written is read, and what was changed on the way is never taken for it."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.journal.records import Kind, Record, encode, encode_head, pack_pings, scan, unpack_pings
from geo_engine.model import PingBatch

NAMES = ("u7", "time_ms", "lon", "lat", "speed_mps", "heading_deg", "accuracy_m")
int64 = st.integers(-(2**63), 2**63 - 1)
float64 = st.floats(width=64)


def small_journal() -> tuple[bytes, list[Record]]:
    """Return a segment of twelve records, with pings and without, and what is in it."""
    chance = np.random.default_rng(7)
    records = []
    for row in range(12):
        count = row % 4
        batch = PingBatch.from_columns(
            chance.integers(0, 10_000_000, count),
            1_790_000_000_000 + chance.integers(0, 5000, count),
            chance.uniform(114.0, 115.0, count),
            chance.uniform(30.0, 31.0, count),
            accuracy_m=chance.uniform(3.0, 50.0, count) if row % 2 else None,
        )
        kind, payload = (Kind.TOLD, b"told %d" % row) if row % 5 == 4 else (Kind.STEP, pack_pings(batch))
        records.append(Record(40 + row, 1_790_000_000_000 + row, kind, payload))
    return encode_head(40, 39, 3) + b"".join(map(encode, records)), records


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(int64, int64, *([float64] * 5)), max_size=20))
def test_a_packed_batch_comes_back_bit_for_bit(rows: list[tuple[float, ...]]) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    batch = PingBatch.from_columns(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        columns[2],
        columns[3],
        speed_mps=columns[4],
        heading_deg=columns[5],
        accuracy_m=columns[6],
    )
    back = unpack_pings(pack_pings(batch))
    for name in NAMES:
        # By value: a column without any number is not stored, so which NaN it was is not kept.
        np.testing.assert_array_equal(getattr(back, name), getattr(batch, name))


def test_a_ping_without_speed_heading_and_accuracy_takes_24_bytes() -> None:
    one, two = (PingBatch.from_columns(range(n), range(n), [1.0] * n, [2.0] * n) for n in (100, 200))
    assert len(pack_pings(two)) - len(pack_pings(one)) == 100 * 24


@pytest.mark.parametrize("payload", [b"", b"short", pack_pings(PingBatch.from_columns([1], [2], [3], [4]))[:-1]])
def test_a_packed_batch_of_another_length_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        unpack_pings(payload)


def test_a_whole_segment_is_read_to_its_end() -> None:
    data, records = small_journal()
    found = scan(data)
    assert (found.first, found.follows, found.revision, found.good_bytes, found.why) == (40, 39, 3, len(data), "")
    assert found.records == records


def test_every_truncation_keeps_the_records_before_it_and_is_noticed_inside_a_record() -> None:
    data, records = small_journal()
    ends = {len(data[: scan(data[:at]).good_bytes]) for at in range(len(data) + 1)}
    for at in range(len(data)):
        found = scan(data[:at])
        assert found.records == records[: len(found.records)]
        # Cut between two records it looks whole: the numbers behind it tell, not the segment itself.
        assert bool(found.why) == (at not in ends or at == 0)
    assert len(ends) == len(records) + 2


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one of the faults disks and programs make."""
    at, length = chance.randrange(len(data)), chance.choice([1, 1, 2, 4, 16, 64, 512])
    other = chance.randrange(len(data))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
        lambda: data[:at] + chance.randbytes(min(length, len(data) - at)) + data[at + length :],
        lambda: data[:at] + bytes(min(length, len(data) - at)) + data[at + length :],
        lambda: data[:at] + data[at + length :],
        lambda: data[:at] + chance.randbytes(length) + data[at:],
        lambda: data[:at] + data[other : other + length] + data[at + length :],
        lambda: data + chance.randbytes(length),
        lambda: data[:at] + data[at : at + length] + data[at:],
    )
    return chance.choice(ways)()


def test_of_ten_thousand_mutations_none_is_taken_for_what_was_written() -> None:
    data, records = small_journal()
    ends = {len(encode_head(40, 39, 3)) + sum(len(encode(one)) for one in records[:n]) for n in range(len(records) + 1)}
    chance, changed, cut = random.Random(11), 0, 0
    while changed < 10_000:
        damaged = mutated(data, chance)
        if damaged == data:
            continue
        if data.startswith(damaged) and len(damaged) in ends:
            cut += 1  # a cut between two records, see the test above
            continue
        changed += 1
        found = scan(damaged)
        assert found.why, "the damage went unnoticed"
        assert found.records == records[: len(found.records)], "wrong data was given out"
    assert cut < 100


def test_a_record_out_of_its_turn_or_of_an_unknown_kind_ends_the_good_prefix() -> None:
    _, records = small_journal()
    head = encode_head(40, 39, 3)
    assert scan(head + encode(records[0]) + encode(records[2])).why == "found record 42, expected 41"
    stranger = bytearray(encode(records[0]))
    assert scan(head + bytes(stranger)).why == ""
    odd = Record(40, 0, 9, b"")  # type: ignore[arg-type]  # a version to come
    assert "kind 9" in scan(head + encode(odd)).why
