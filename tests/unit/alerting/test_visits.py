"""The book of visits: when a visit begins, goes on and is over."""

from __future__ import annotations

from geo_engine.alerting.visits import VisitBook, VisitRecord

KEY = (1, 7)


def book() -> VisitBook:
    return VisitBook(reset_ms=300_000, remember_ms=1_800_000)


def test_approach_and_enter_are_one_visit() -> None:
    visits = book()
    _, begins = visits.approach(KEY, 1000)
    record = visits.enter(KEY, 6000)
    assert begins
    assert record.visit_ms == 1000
    assert record.inside


def test_renewed_approach_goes_on_and_a_forgotten_one_begins_anew() -> None:
    visits = book()
    visits.approach(KEY, 1000)
    assert visits.approach(KEY, 301_000)[1] is False
    assert visits.approach(KEY, 601_001)[1] is True


def test_visit_after_an_exit_is_a_new_one_that_remembers_the_last_warning() -> None:
    visits = book()
    visits.enter(KEY, 1000)
    visits.decided(KEY, sent_ms=1000)
    visits.leave(KEY, 2000)
    record = visits.enter(KEY, 3000)
    assert (record.visit_ms, record.decided, record.sent_ms) == (3000, False, 1000)


def test_user_inside_is_known_and_one_who_left_is_not() -> None:
    visits = book()
    visits.enter(KEY, 1000)
    assert visits.inside(KEY) is not None
    visits.leave(KEY, 2000)
    assert visits.inside(KEY) is None


def test_leaving_where_one_never_was_changes_nothing() -> None:
    visits = book()
    visits.leave(KEY, 1000)
    assert list(visits.take_changed()) == []


def test_changes_are_handed_out_once_in_order() -> None:
    visits = book()
    visits.enter((2, 1), 1000)
    visits.enter((1, 9), 1000)
    visits.approach((1, 9), 1500)
    assert [key for key, _ in visits.take_changed()] == [(1, 9), (2, 1)]
    assert list(visits.take_changed()) == []


def test_old_closed_visits_are_forgotten_and_open_or_recent_ones_kept() -> None:
    visits = book()
    for u7 in range(1100):
        visits.restore((u7, 0), VisitRecord(0, 0, open=False))
    visits.restore((5000, 0), VisitRecord(0, 0, inside=True))
    visits.restore((5001, 0), VisitRecord(0, 0, open=False, sent_ms=2_000_000))
    visits.forget_old(3_000_000)
    assert len(visits) == 2
