"""Permits: for whom, where, until when; and the moments at which they end."""

from __future__ import annotations

import numpy as np

from geo_engine.alerting.permits import Permits
from geo_engine.model import Permit

ONE, TWO = Permit("a", 100, 200), Permit("b", 150, 300)


def test_permit_holds_from_its_first_moment_up_to_its_end() -> None:
    permits = Permits()
    permits.put(7, (ONE, TWO))
    assert [permits.allows(7, "a", moment) for moment in (99, 100, 199, 200)] == [False, True, True, False]
    assert not permits.allows(7, "c", 150)
    assert not permits.allows(8, "a", 150)


def test_holders_are_known_until_their_permits_are_taken_away() -> None:
    permits = Permits()
    users = np.array([6, 7, 8])
    assert permits.held_by(users).tolist() == [False] * 3
    permits.put(7, (ONE,))
    permits.put(7, (ONE,))
    assert permits.held_by(users).tolist() == [False, True, False]
    permits.put(7, ())
    assert permits.held_by(users).tolist() == [False] * 3
    assert not permits.allows(7, "a", 150)


def test_ends_are_told_in_order_the_first_bound_excluded() -> None:
    permits = Permits()
    permits.put(7, (TWO,))
    permits.put(8, (ONE,))
    assert permits.ends_between(0, 1000) == [(200, "a"), (300, "b")]
    assert permits.ends_between(200, 300) == [(300, "b")]
    assert [permits.next_end_ms(moment) for moment in (0, 200, 300)] == [200, 300, None]
