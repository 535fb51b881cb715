"""The rows of the state: what they keep, what is saved of them, and what a load must not overwrite."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine.tracking.snapshot import pack, unpack
from geo_engine.tracking.state import (
    BLOCK,
    CONSENTED,
    ENGLISH,
    MOVING,
    NEVER_MS,
    PACKED_ROW,
    PLACED,
    TOLD,
    UserRows,
    centimetres,
)

U7 = np.array([5, BLOCK, 9_999_999])
"""Users of three blocks, the last of them a short one."""


def written() -> UserRows:
    users = UserRows()
    users.rows["time_ms"][U7] = [10, 20, 30]
    users.rows["lon"][U7], users.rows["lat"][U7] = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    users.rows["flags"][U7] = [PLACED, 0, PLACED | MOVING | CONSENTED]
    users.rows["inside"][U7] = [1, 2, 0]
    users.rows["profile"][U7] = 7
    users.mark(U7)
    return users


def saved_of(users: UserRows) -> dict:
    """Return what a snapshot gives back of what it was given."""
    return unpack(pack({}, users.saved()))[1]


def test_a_row_takes_no_more_than_64_bytes() -> None:
    assert PACKED_ROW.itemsize <= 56


def test_positions_are_those_of_users_seen_and_of_nobody_else() -> None:
    u7, lon, lat = written().positions()
    assert (u7.tolist(), lon.tolist(), lat.tolist()) == ([5, 9_999_999], [1.0, 3.0], [4.0, 6.0])
    assert [len(column) for column in UserRows().positions()] == [0, 0, 0]


def test_blocks_with_somebody_inside_know_the_earliest_last_ping() -> None:
    users = written()
    assert users.inside_from_ms[U7 // BLOCK].tolist() == [10, 20, NEVER_MS]
    assert np.count_nonzero(users.used) == 3


def test_saved_blocks_come_back_under_the_new_numbers_of_their_sets() -> None:
    users = UserRows()
    users.load(saved_of(written()), np.array([0, 3, 9], dtype=np.int32))
    assert users.rows["inside"][U7].tolist() == [3, 9, 0]
    assert users.rows["time_ms"][U7].tolist() == [10, 20, 30]
    assert users.inside_from_ms[U7 // BLOCK].tolist() == [10, 20, NEVER_MS]
    assert users.positions()[0].tolist() == [5, 9_999_999]


def test_what_was_told_of_a_user_is_not_overwritten_by_a_load() -> None:
    users = UserRows()
    users.rows["flags"][9_999_999] = TOLD | ENGLISH
    users.rows["profile"][5] = 3
    users.load(saved_of(written()), np.arange(3, dtype=np.int32))
    assert users.rows["flags"][9_999_999] == PLACED | MOVING | TOLD | ENGLISH
    assert users.rows["profile"][U7].tolist() == [3, 0, 0]


def test_nothing_written_saves_nothing() -> None:
    saved = saved_of(UserRows())
    assert [len(array) for array in saved.values()] == [0, 0, 0]
    users = UserRows()
    users.load(saved, np.zeros(1, dtype=np.int32))
    assert not users.used.any()


@pytest.mark.parametrize(("velocity_mps", "kept"), [(1.234, 123.0), (-0.006, -1.0), (1e9, 32_767.0), (-1e9, -32_767.0)])
def test_velocity_is_kept_in_whole_centimetres_within_the_room_of_a_row(velocity_mps: float, kept: float) -> None:
    assert centimetres(np.array([velocity_mps])).tolist() == [kept]
