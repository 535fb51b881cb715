"""Zones that end while a batch is judged: an opening before the end is told once to each whom it concerns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geo_engine import EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.index import CellIndex, RtreeIndex
from geo_engine.revision import Recipe, Revision
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.columns import ColumnTracker
from geo_engine.tracking.events import OPENED
from geo_engine.tracking.expiry import Holders, step_past_ends
from geo_engine.tracking.fused import FusedTracker
from geo_engine.tracking.ground import Moment
from geo_engine.tracking.learning import Pupil
from geo_engine.tracking.state import UserRows
from geo_engine.zones.schedule import Schedule

SECOND, MINUTE = 1000, 60_000
OPENS_MS, TOLD_MS, ENDS_MS, NOW_MS = (noon_ms + minutes * MINUTE for minutes in (1, 2, 5, 6))
BRIEF = replace(box_zone("z"), schedule=Schedule.parse("12:01-13:00"), valid_to_ms=ENDS_MS)
INSIDE, OUTSIDE = 114.305, 114.35
TRACKERS = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["compiled", "columns"])


class Street:
    """A tracker with one brief zone, in which user 1 stands since half a minute past noon."""

    def __init__(self, index: type) -> None:
        self.revision = Revision.of(ZoneSet.of([BRIEF]), Recipe(index, Policy(), Vehicle(u7=0), 5000.0))
        self.ground, self.users, limits = self.revision.ground, UserRows(), EngineConfig().limits()
        self.pupil = Pupil(None, self.revision.zones)
        kind = ColumnTracker if self.ground.combo_set is None else FusedTracker
        self.tracker = kind(self.users, self.revision.sets, self.ground, limits)
        self.hear((1, 30 * SECOND, INSIDE), before_ms=noon_ms, now_ms=noon_ms + 40 * SECOND)

    def hear(self, *pings: tuple[int, int, float], before_ms: int = TOLD_MS, now_ms: int = NOW_MS) -> list[tuple]:
        """Judge pings of (u7, milliseconds after noon, lon); return (u7, time) of every opening that was told."""
        u7, after_ms, lon = zip(*pings, strict=True) if pings else ((), (), ())
        rules = self.revision.rules
        rules.advance(now_ms)
        opening_ms, opening_zone = rules.openings(noon_ms - MINUTE, now_ms)
        bits = rules.active_bits(noon_ms, now_ms)
        moment = Moment(now_ms, before_ms, 0, bits, opening_ms, opening_zone, consented=True, learn_mask=-1)
        batch = PingBatch.from_columns(list(u7), [noon_ms + one for one in after_ms], list(lon), [30.6] * len(u7))
        holders = Holders(self.users, self.revision.sets, None)
        found, self.ground = step_past_ends(self.tracker, holders, self.pupil, self.ground, batch, moment)
        opened = found.events[found.events["kind"] == OPENED]
        return sorted(zip(opened["u7"].tolist(), opened["time_ms"].tolist(), strict=True))


@TRACKERS
@pytest.mark.parametrize(
    "pings",
    [
        [],
        [(2, 10 * SECOND, OUTSIDE)],
        [(2, -86_400_000, OUTSIDE)],
        [(1, 20 * SECOND, INSIDE)],
        [(1, 20 * SECOND, INSIDE), (2, 10 * SECOND, OUTSIDE)],
        [(2, 10 * SECOND, OUTSIDE), (3, 5 * MINUTE + SECOND, INSIDE)],
        [(4, 10 * SECOND, np.nan)],
    ],
    ids=["nobody", "early", "absurdly early", "late", "late and early", "early and after the end", "malformed"],
)
def test_early_or_rejected_ping_does_not_tell_an_opening_again(index: type, pings: list) -> None:
    assert Street(index).hear(*pings) == []


@TRACKERS
def test_opening_since_the_call_before_is_told_at_the_end_of_the_zone_to_whoever_is_inside(index: type) -> None:
    assert Street(index).hear((2, 10 * SECOND, OUTSIDE), before_ms=OPENS_MS - 1) == [(1, OPENS_MS)]


@TRACKERS
def test_opening_a_late_but_good_ping_uncovers_is_told_to_its_user_alone(index: type) -> None:
    assert Street(index).hear((2, 10 * SECOND, INSIDE)) == [(2, OPENS_MS)]
    assert Street(index).hear((2, 10 * SECOND, INSIDE), (2, 5 * MINUTE + SECOND, OUTSIDE)) == [(2, OPENS_MS)]
