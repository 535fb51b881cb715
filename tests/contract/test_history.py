"""What every store promises about the history: only of who agreed, changed as told, erased when asked and when old."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geo_engine.errors import StoreError
from geo_engine.model import TransitionReason
from geo_engine.store import HISTORY, HistoryChange, Store, TransitionRecord
from tests.contract.stores import T0, a_transition, an_alert, sql

EVER = 2**62


def agree(store: Store, u7: int, granted: bool = True) -> None:
    store.set_consent(u7, HISTORY, granted, "v1", T0, "test")


def write(store: Store, *added: TransitionRecord, withdrawn: tuple[TransitionRecord, ...] = ()) -> None:
    store.commit([], [], now_ms=T0, history=[HistoryChange(added, withdrawn)])


def kept(store: Store, u7: int = 7) -> list[TransitionRecord]:
    return store.history(u7, 0, EVER)


def test_transitions_come_back_by_time_with_exits_before_enters(empty: Store) -> None:
    agree(empty, 7)
    enter, leave, cross = a_transition(after_ms=5), a_transition(after_ms=5, kind="exit", zone_id="z"), a_transition()
    cross = replace(a_transition(kind="cross"), lon=None, lat=None, reason=TransitionReason.LATE)
    write(empty, enter, leave, cross)
    assert kept(empty) == [cross, leave, enter]


def test_a_span_of_time_includes_its_start_and_not_its_end(empty: Store) -> None:
    agree(empty, 7)
    write(empty, *(a_transition(after_ms=after_ms) for after_ms in (0, 1, 2)))
    assert [record.time_ms - T0 for record in empty.history(7, T0, T0 + 2)] == [0, 1]


def test_nothing_is_written_of_who_did_not_agree_to_a_history(empty: Store) -> None:
    agree(empty, 7)
    empty.set_consent(8, "warnings", True, "v1", T0, "test")
    agree(empty, 9)
    agree(empty, 9, granted=False)
    write(empty, *(a_transition(u7) for u7 in (7, 8, 9, 10)))
    assert [len(kept(empty, u7)) for u7 in (7, 8, 9, 10)] == [1, 0, 0, 0]
    assert (empty.consenting(HISTORY), empty.consenting("warnings"), empty.consenting("never")) == ([7], [8], [])


def test_many_users_are_asked_for_their_consent(empty: Store) -> None:
    for u7 in range(0, 1_200, 2):
        agree(empty, u7)
    write(empty, *(a_transition(u7) for u7 in range(1_200)))
    assert [u7 for u7 in range(1_200) if kept(empty, u7)] == empty.consenting(HISTORY) == list(range(0, 1_200, 2))


def test_withdrawing_the_consent_erases_the_history_of_that_person_alone(empty: Store) -> None:
    for u7 in (7, 8):
        agree(empty, u7)
    write(empty, a_transition(7), a_transition(8))
    empty.set_consent(8, "warnings", False, "v1", T0, "test")
    agree(empty, 7, granted=False)
    assert (kept(empty, 7), len(kept(empty, 8))) == ([], 1)


def test_the_same_transition_again_changes_nothing(empty: Store) -> None:
    agree(empty, 7)
    first = a_transition()
    write(empty, first, replace(first, reason=TransitionReason.LATE))
    write(empty, replace(first, lon=1.0))
    assert kept(empty) == [first]


def test_a_withdrawn_transition_is_gone_and_what_was_never_there_may_be_withdrawn(empty: Store) -> None:
    agree(empty, 7)
    enter, cross = a_transition(after_ms=1), a_transition(after_ms=3, kind="cross")
    write(empty, enter, cross)
    late = replace(enter, time_ms=T0, reason=TransitionReason.LATE)
    write(empty, late, withdrawn=(enter, replace(cross, zone_id="other"), replace(cross, time_ms=T0)))
    assert kept(empty) == [late, cross]


def test_changes_are_made_in_their_order(empty: Store) -> None:
    agree(empty, 7)
    record = a_transition()
    empty.commit([], [], now_ms=T0, history=[HistoryChange([record]), HistoryChange((), [record])])
    assert kept(empty) == []
    empty.commit([], [], now_ms=T0, history=[HistoryChange((), [record]), HistoryChange([record])])
    assert kept(empty) == [record]


def test_old_transitions_are_dropped_and_counted(empty: Store) -> None:
    agree(empty, 7)
    write(empty, *(a_transition(after_ms=after_ms) for after_ms in (0, 5, 9)))
    assert empty.drop_history(T0 + 5) == 1
    assert [record.time_ms - T0 for record in kept(empty)] == [5, 9]
    assert empty.drop_history(T0 + 5) == 0


def test_history_is_written_with_the_decisions(empty: Store) -> None:
    agree(empty, 7)
    empty.commit([an_alert()], [], now_ms=T0, history=[HistoryChange([a_transition(np.int64(7))])])
    assert (len(kept(empty)), len(empty.decisions(limit=9))) == (1, 1)


def test_a_history_the_database_refuses_takes_the_decisions_of_its_commit_with_it(tmp_path: Path) -> None:
    store = sql(tmp_path / "store.db")
    agree(store, 7)
    with pytest.raises(StoreError):
        store.commit([an_alert()], [], now_ms=T0, history=[HistoryChange([a_transition(after_ms=2**70)])])
    assert (kept(store), store.decisions(limit=9)) == ([], [])
    store.close()
