"""Interned sets of zones: equal sets have one number, different ones never share it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.index.protocol import Pairs
from geo_engine.tracking.sets import EMPTY_SET, ZoneSets
from tests.examples import examples

_ZONES = st.sets(st.one_of(st.integers(0, 9), st.integers(0, 2**24 - 1)), max_size=6)
_BATCHES = st.lists(st.lists(_ZONES, max_size=8), max_size=6)


def pairs_of(groups: list[set[int]]) -> Pairs:
    rows = [(row, zone) for row, group in enumerate(groups) for zone in sorted(group)]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Pairs(columns[:, 0], columns[:, 1])


def intern(sets: ZoneSets, groups: list[set[int]]) -> list[int]:
    return sets.intern(pairs_of(groups), len(groups)).tolist()


def members(sets: ZoneSets, number: int) -> set[int]:
    return set(sets.zones_of(np.array([number], dtype=np.int32)).zone.tolist())


@examples(80)
@given(_BATCHES)
def test_number_stands_for_exactly_the_members_it_was_given_for(batches: list[list[set[int]]]) -> None:
    sets, known = ZoneSets(), {frozenset[int](): EMPTY_SET}
    for groups in batches:
        for group, number in zip(groups, intern(sets, groups), strict=True):
            assert known.setdefault(frozenset(group), number) == number
            assert members(sets, number) == group
    assert len(sets) == len(known)
    assert len(set(known.values())) == len(known)
    assert sets.sizes.tolist() == [len(members(sets, number)) for number in range(len(sets))]


@examples(40)
@given(st.lists(_ZONES, max_size=8), st.lists(_ZONES, max_size=8))
def test_renumbering_gives_each_foreign_set_its_number_here(ours: list[set[int]], theirs: list[set[int]]) -> None:
    here, there = ZoneSets(), ZoneSets()
    intern(here, ours)
    intern(there, theirs)
    numbers = here.renumbering(there.first, there.members)
    assert [members(here, int(number)) for number in numbers] == [members(there, row) for row in range(len(there))]


def test_members_come_by_row_then_zone() -> None:
    sets = ZoneSets()
    numbers = sets.intern(pairs_of([{3, 1}, set(), {2}]), 3)
    pairs = sets.zones_of(numbers[[2, 0, 1, 0]])
    assert (pairs.query.tolist(), pairs.zone.tolist()) == ([0, 1, 1, 3, 3], [2, 1, 3, 1, 3])


def test_sets_that_hold_a_wanted_zone_are_told_from_the_others() -> None:
    sets = ZoneSets()
    numbers = intern(sets, [{0, 2}, {1}, set(), {2}])
    assert sets.holding(np.array([False, False, True]))[numbers].tolist() == [True, False, False, True]
    assert not sets.holding(np.zeros(3, dtype=np.bool_)).any()


def test_number_of_a_set_stays_when_others_come() -> None:
    sets = ZoneSets()
    (first,) = intern(sets, [{7}])
    intern(sets, [{zone} for zone in range(200)])
    assert intern(sets, [{7}]) == [first]


def test_two_sets_of_one_sum_are_an_error_and_not_a_wrong_answer() -> None:
    sets = ZoneSets()
    assert intern(sets, [{1}, {1}]) == [1, 1]
    # No two sets with one sum are known, so the set behind the sum is made another one.
    sets.members[0] = 2
    with pytest.raises(RuntimeError, match="share a 64-bit sum"):
        intern(sets, [{1}])
    with pytest.raises(RuntimeError, match="share a 64-bit sum"):
        intern(sets, [{2}, {1}])
