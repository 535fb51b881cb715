"""The memory of visits: when a visit begins, goes on and is over."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.alerting.judge import Judge, Judged
from geo_engine.alerting.kernels import FLAGS, INSIDE, KEY, LAST, NEVER, OPEN, SENT, WIDTH, put, slot_of, sweep
from geo_engine.alerting.policy import Policy
from geo_engine.alerting.visits import saved_records
from geo_engine.model import Visit
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.events import APPROACH, ENTER, EXIT
from geo_engine.zones.zoneset import ZoneSet
from tests.unit.alerting.happened import Happening, columns, judge_of

ZONES = ZoneSet.of([box_zone("z")])


def happen(judge: Judge, kind: int, after_ms: int, *, u7: int = 1) -> Judged:
    moment = noon_ms + after_ms
    return judge.walk(columns([Happening(moment, u7, kind)]), now_ms=moment)


def visit_of(judged: Judged) -> Visit:
    (visit,) = judged.visits
    return visit


def test_approach_and_enter_are_one_visit() -> None:
    judge = judge_of(ZONES)
    assert happen(judge, APPROACH, 1000).reported.tolist() == [True]
    visit = visit_of(happen(judge, ENTER, 6000))
    assert (visit.visit_ms, visit.inside) == (noon_ms + 1000, True)


def test_approach_holds_for_three_minutes_from_its_begin_and_begins_anew_after_them() -> None:
    judge = judge_of(ZONES)
    happen(judge, APPROACH, 1000)
    assert happen(judge, APPROACH, 100_000).reported.tolist() == [False]
    assert happen(judge, APPROACH, 181_000).reported.tolist() == [False]
    assert happen(judge, APPROACH, 181_001).reported.tolist() == [True]


def test_truck_that_creeps_towards_a_border_hears_of_it_once_and_the_cooldown_says_why_not_again() -> None:
    judge = judge_of(ZONES)
    jam = [happen(judge, APPROACH, seconds * 1000) for seconds in range(0, 600, 5)]
    alerts = [alert for step in jam for alert in step.alerts]
    assert [(alert.time_ms - noon_ms, alert.reason) for alert in alerts] == [
        (0, "approach"),
        (185_000, "cooldown"),
        (370_000, "cooldown"),
        (555_000, "cooldown"),
    ]
    assert len(happen(judge, ENTER, 600_000).alerts) == 0


def test_approach_that_lasts_longer_than_the_cooldown_is_told_of_again() -> None:
    judge = judge_of(ZONES, Policy(cooldown_s=300.0))
    jam = [happen(judge, APPROACH, seconds * 1000) for seconds in (0, 185, 370)]
    assert [alert.reason for step in jam for alert in step.alerts] == ["approach", "cooldown", "approach"]


def test_enter_within_the_cover_is_told_of_already_and_a_later_one_is_decided_about() -> None:
    for after_ms, decided in ((180_000, []), (180_001, [("enter", "cooldown")])):
        judge = judge_of(ZONES)
        happen(judge, APPROACH, 0)
        found = happen(judge, ENTER, after_ms).alerts
        assert [(alert.trigger.value, alert.reason) for alert in found] == decided


def test_approach_right_after_a_visit_is_covered_by_the_warning_of_that_visit() -> None:
    for back_ms, decided in ((180_000, []), (180_001, ["cooldown"])):
        judge = judge_of(ZONES)
        for kind, time_ms in ((APPROACH, 0), (ENTER, 20_000), (EXIT, 60_000)):
            happen(judge, kind, time_ms)
        assert [alert.reason for alert in happen(judge, APPROACH, back_ms).alerts] == decided


def test_driver_who_turned_away_is_told_again_only_when_he_comes_back_after_the_cooldown() -> None:
    for back_ms, reason in ((1_000_000, "cooldown"), (1_800_000, "approach")):
        judge = judge_of(ZONES)
        happen(judge, APPROACH, 0)
        visit = visit_of(again := happen(judge, APPROACH, back_ms))
        assert (visit.visit_ms, again.reported.tolist()) == (noon_ms + back_ms, [True])
        assert [alert.reason for alert in again.alerts] == [reason]


def test_long_stay_inside_is_one_visit_however_often_the_border_is_near() -> None:
    judge = judge_of(ZONES, Policy(cooldown_s=0.0))
    happen(judge, APPROACH, 0)
    happen(judge, ENTER, 10_000)
    later = [happen(judge, APPROACH, seconds * 1000) for seconds in range(200, 2000, 100)]
    assert sum(len(step.alerts) + len(step.visits) for step in later) == 0


def test_records_of_an_earlier_snapshot_are_read_without_the_column_that_is_gone() -> None:
    now = np.array([[1, 2, 3, 4, 6], [7, 8, 9, 10, 12]])
    earlier = np.array([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    assert saved_records(earlier.reshape(-1), None).tolist() == now.tolist()
    assert saved_records(now.reshape(-1), WIDTH).tolist() == now.tolist()


def test_visit_after_an_exit_is_a_new_one_that_remembers_the_last_warning() -> None:
    judge = judge_of(ZONES)
    happen(judge, ENTER, 1000)
    happen(judge, EXIT, 2000)
    again = happen(judge, ENTER, 3000)
    visit = visit_of(again)
    assert (visit.visit_ms, visit.sent_ms) == (noon_ms + 3000, noon_ms + 1000)
    assert [alert.reason for alert in again.alerts] == ["cooldown"]


def test_leaving_where_one_never_was_changes_nothing() -> None:
    assert len(happen(judge_of(ZONES), EXIT, 1000).visits) == 0


def test_exit_ends_a_visit_once() -> None:
    judge = judge_of(ZONES)
    happen(judge, ENTER, 1000)
    assert (visit_of(happen(judge, EXIT, 2000)).open, len(happen(judge, EXIT, 3000).visits)) == (False, 0)


def test_changes_are_handed_out_once() -> None:
    judge = judge_of(ZONES)
    assert len(happen(judge, ENTER, 1000).visits) == 1
    assert len(happen(judge, APPROACH, 1000, u7=2).visits) == 1


def test_old_closed_visits_are_forgotten_and_open_or_recent_ones_kept() -> None:
    judge = judge_of(ZONES)
    over = [Visit(u7, "z", 0, 0, open=False, inside=False, decided=True, sent_ms=1) for u7 in range(1100)]
    inside = Visit(5000, "z", 0, 0, open=True, inside=True, decided=True)
    recent = Visit(5001, "z", 0, 0, open=False, inside=False, decided=True, sent_ms=2_000_000)
    approach = Visit(5002, "z", 0, 2_000_000, open=True, inside=False, decided=True)
    unsent = Visit(5003, "z", 0, 2_999_999, open=False, inside=False, decided=True)
    judge.visits.restore([(visit, 0) for visit in (*over, inside, recent, approach, unsent)])
    judge.visits.forget_old(3_000_000)
    assert len(judge.visits) == 3
    assert [judge.visits.of(u7, 0) is not None for u7 in (0, 5000, 5001, 5002, 5003)] == [
        False,
        True,
        True,
        True,
        False,
    ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), start=st.integers(0, 1023), count=st.integers(0, 1024))
def test_sweep_drops_what_is_over_from_its_part_and_loses_nothing_else(seed: int, start: int, count: int) -> None:
    draw = np.random.Generator(np.random.PCG64(seed))
    rows = draw.choice(40_000, 600, replace=False)
    records = np.zeros((len(rows), WIDTH), dtype=np.int64)
    records[:, KEY] = 1 + ((rows // 4 << 24) | rows % 4)
    records[:, LAST], records[:, SENT] = draw.integers(0, 2000, (2, len(rows)))
    records[:, SENT] = np.where(draw.random(len(rows)) < 0.3, NEVER, records[:, SENT])
    records[:, FLAGS] = draw.choice([0, OPEN, OPEN | INSIDE], len(rows))
    table = np.zeros((1024, WIDTH), dtype=np.int64)
    assert put(table, records) == len(rows)
    removed = sweep(table, start, count, 1000)
    left = {tuple(record) for record in table[table[:, KEY] != 0].tolist()}
    everything = {tuple(record) for record in records.tolist()}
    over = {
        record
        for record in everything
        if not record[FLAGS] & INSIDE
        and ((record[SENT] == NEVER and not record[FLAGS] & OPEN) or max(record[LAST], record[SENT]) < 1000)
    }
    assert len(left) == len(rows) - removed
    assert everything - over <= left <= everything
    assert count < 1024 or left == everything - over
    # Each record that is left is found where the table looks for it.
    assert all(table[slot_of(table, record[KEY] - 1), KEY] == record[KEY] for record in left)


def test_table_that_is_used_for_long_does_not_grow_without_end() -> None:
    judge = judge_of(ZONES)
    for step in range(60):
        rows = [Happening(noon_ms + step * 60_000, u7, ENTER) for u7 in range(step * 100, step * 100 + 100)]
        gone = [row._replace(kind=EXIT, time_ms=row.time_ms + 1) for row in rows]
        judge.walk(columns([*rows, *gone]), now_ms=rows[0].time_ms)
        judge.visits.forget_old(rows[0].time_ms)
    # Half an hour of cooldown is 3,000 visits.
    assert 3000 <= len(judge.visits) <= 4500
    assert len(judge.visits.slots) == 8192


def test_visit_put_back_twice_is_one_visit_as_it_was_last() -> None:
    judge = judge_of(ZONES)
    for last_ms in (1000, 2000):
        judge.visits.restore([(Visit(1, "z", 1000, last_ms, open=True, inside=False, decided=True), 0)])
    assert len(judge.visits) == 1
    assert judge.visits.records()[0, LAST] == 2000


def test_records_of_one_table_fill_another() -> None:
    judge, other = judge_of(ZONES), judge_of(ZONES)
    for u7 in range(5):
        happen(judge, ENTER, u7, u7=u7)
    other.visits.put(judge.visits.records())
    assert sorted(other.visits.records().tolist()) == sorted(judge.visits.records().tolist())
    assert [other.visits.of(u7, 0) is not None for u7 in (0, 4, 5)] == [True, True, False]
