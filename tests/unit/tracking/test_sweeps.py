"""What time alone brings: silence, and rules that begin to apply."""

from __future__ import annotations

import numpy as np
import pytest

from geo_engine.index.protocol import Pairs
from geo_engine.testing import noon_ms
from geo_engine.tracking.events import EXIT, LOST, OPENED
from geo_engine.tracking.sets import ZoneSets
from geo_engine.tracking.state import BLOCK, NEVER_MS, PLACED, UserRows
from geo_engine.tracking.sweeps import first_silence_ms, opened_on_the_spot, silent_users

LOST_MS = 900_000
FAR = 3 * BLOCK + 2


def town(last_s: dict[int, float], *, placed: bool = True) -> tuple[UserRows, ZoneSets]:
    """Return users who were last heard of at seconds after noon, inside zone 0 and, if odd, zone 2 as well."""
    users, sets = UserRows(), ZoneSets()
    for u7, second in last_s.items():
        zones = np.array([0, 2] if u7 % 2 else [0])
        users.rows["inside"][u7] = sets.intern(Pairs(np.zeros(len(zones), dtype=np.int64), zones), 1)[0]
        users.rows["time_ms"][u7] = noon_ms + round(second * 1000)
        users.rows["lon"][u7], users.rows["lat"][u7] = 114.0 + u7 * 1e-6, 30.6
        users.rows["flags"][u7] = PLACED if placed else 0
    users.mark(np.array(list(last_s), dtype=np.int64))
    return users, sets


def gone(users: UserRows, sets: ZoneSets, after_s: float, *, restored_ms: int = 0) -> list[tuple[int, int, int]]:
    events, closed = silent_users(
        users, sets, now_ms=noon_ms + round(after_s * 1000), restored_ms=restored_ms, lost_after_ms=LOST_MS
    )
    assert closed == len(events)
    assert set(events["kind"].tolist()) <= {EXIT}
    assert set(events["reason"].tolist()) <= {LOST}
    return [(int(e["u7"]), int(e["zone"]), int(e["time_ms"]) - noon_ms) for e in events]


def test_nobody_inside_is_never_silent() -> None:
    users, sets = UserRows(), ZoneSets()
    assert first_silence_ms(users, restored_ms=0, lost_after_ms=LOST_MS) == NEVER_MS
    assert gone(users, sets, 10**6) == []


def test_silent_user_leaves_every_zone_once_at_the_moment_the_silence_was_too_long() -> None:
    users, sets = town({1: 0.0, 2: 10.0, FAR: 20.0})
    assert first_silence_ms(users, restored_ms=0, lost_after_ms=LOST_MS) == noon_ms + LOST_MS
    assert gone(users, sets, 899.999) == []
    assert gone(users, sets, 912.0) == [(1, 0, 900_000), (1, 2, 900_000), (2, 0, 910_000)]
    assert gone(users, sets, 912.0) == []
    assert first_silence_ms(users, restored_ms=0, lost_after_ms=LOST_MS) == noon_ms + 920_000
    assert gone(users, sets, 920.0) == [(FAR, 0, 920_000)]
    assert first_silence_ms(users, restored_ms=0, lost_after_ms=LOST_MS) == NEVER_MS


def test_silence_counts_from_the_restart() -> None:
    users, sets = town({2: -800.0})
    assert gone(users, sets, 100.0, restored_ms=noon_ms) == []
    assert gone(users, sets, 900.0, restored_ms=noon_ms) == [(2, 0, 900_000)]


def test_user_who_moved_on_meanwhile_is_not_silent() -> None:
    users, sets = town({2: 0.0})
    users.rows["time_ms"][2] = noon_ms + 60_000
    assert gone(users, sets, 900.0) == []
    assert first_silence_ms(users, restored_ms=0, lost_after_ms=LOST_MS) == noon_ms + 960_000


@pytest.mark.parametrize("placed", [True, False])
def test_place_of_the_exit_is_where_he_was_last_seen_if_that_is_known(placed: bool) -> None:
    users, sets = town({2: 0.0}, placed=placed)
    events, _ = silent_users(users, sets, now_ms=noon_ms + LOST_MS, restored_ms=0, lost_after_ms=LOST_MS)
    assert np.isnan(events["lon"]).tolist() == [not placed]


def opened(
    users: UserRows,
    sets: ZoneSets,
    *openings: tuple[float, int],
    after_s: float = -1.0,
    lost_after_ms: int | None = LOST_MS,
) -> list[tuple[int, int, int]]:
    events = opened_on_the_spot(
        users,
        sets,
        np.array([noon_ms + round(second * 1000) for second, _ in openings], dtype=np.int64),
        np.array([zone for _, zone in openings], dtype=np.int64),
        after_ms=noon_ms + round(after_s * 1000),
        silence_counts_from_ms=0,
        lost_after_ms=lost_after_ms,
    )
    assert set(events["kind"].tolist()) <= {OPENED}
    return sorted((int(e["u7"]), int(e["zone"]), int(e["time_ms"]) - noon_ms) for e in events)


def test_opening_finds_those_inside_that_zone_wherever_their_rows_are() -> None:
    users, sets = town({1: 0.0, 2: 0.0, FAR: 0.0})
    assert opened(users, sets, (60.0, 2), (120.0, 2), (60.0, 1)) == [(1, 2, 60_000), (1, 2, 120_000)]
    assert opened(users, sets, (60.0, 0)) == [(1, 0, 60_000), (2, 0, 60_000), (FAR, 0, 60_000)]
    assert opened(users, sets, (60.0, 77)) == []
    assert opened(users, sets) == []


def test_opening_that_was_looked_at_before_or_precedes_the_last_ping_is_not_told() -> None:
    users, sets = town({2: 50.0})
    assert opened(users, sets, (50.0, 0)) == []
    assert opened(users, sets, (60.0, 0), after_s=60.0) == []
    assert opened(users, sets, (60.0, 0), after_s=59.9) == [(2, 0, 60_000)]


def test_user_silent_for_too_long_is_not_there_when_the_window_opens() -> None:
    users, sets = town({2: 0.0})
    assert opened(users, sets, (900.0, 0)) == [(2, 0, 900_000)]
    assert opened(users, sets, (900.001, 0)) == []
    assert opened(users, sets, (9000.0, 0), lost_after_ms=None) == [(2, 0, 9_000_000)]


def test_user_whose_place_is_unknown_is_told_by_his_first_ping_and_not_before() -> None:
    users, sets = town({2: 0.0}, placed=False)
    assert opened(users, sets, (60.0, 0)) == []
