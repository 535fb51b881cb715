"""Memberships: which users are inside which zones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.index.protocol import Pairs
from geo_engine.tracking.state import InsideSets

_CHANGES = st.lists(
    st.dictionaries(st.integers(0, 9_999_999), st.sets(st.integers(0, 2**24 - 1), max_size=4), max_size=5)
)


@given(_CHANGES)
def test_memberships_are_those_last_set(changes: list[dict[int, set[int]]]) -> None:
    inside, expected = InsideSets(), dict[int, set[int]]()
    for change in changes:
        users = np.array(sorted(change), dtype=np.int64)
        pairs = [(row, zone) for row, u7 in enumerate(sorted(change)) for zone in sorted(change[u7])]
        columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        inside.replace(users, Pairs(columns[:, 0], columns[:, 1]))
        expected.update(change)
    everyone = np.array(sorted(expected), dtype=np.int64)
    found = inside.of(everyone)
    assert list(zip(everyone[found.query].tolist(), found.zone.tolist(), strict=True)) == [
        (u7, zone) for u7 in sorted(expected) for zone in sorted(expected[u7])
    ]
    assert inside.users().tolist() == sorted(u7 for u7, zones in expected.items() if zones)
    assert len(inside) == sum(map(len, expected.values()))


def test_user_nobody_knows_is_inside_nothing() -> None:
    assert len(InsideSets().of(np.array([5]))) == 0
