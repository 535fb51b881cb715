"""Who and when, answered for columns: equal to asking each zone, and asked as seldom as possible."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.model import LATEST_TIME_MS, Applicability, Vehicle, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.zones.applicability import ApplicabilityMatrix
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.rulebook import RuleBook
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.timetable import Timetable
from geo_engine.zones.zoneset import ZoneSet

TEXTS = ["24/7", "Mo-Fr 07:00-09:00,17:00-19:00", "22:00-06:00", "2026 Oct 19", "off"]
SET = ZoneSet.of([box_zone(str(n), schedule=Schedule.parse(text, "Asia/Shanghai")) for n, text in enumerate(TEXTS)])
_QUESTIONS = st.lists(
    st.tuples(st.integers(0, len(TEXTS) - 1), st.integers(noon_ms - 10**9, noon_ms + 10**9)), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_QUESTIONS, min_size=1, max_size=3))
def test_timetable_answers_as_each_zone_does_whatever_was_asked_before(batches: list) -> None:
    timetable = Timetable(SET)
    for questions in batches:
        zone, time_ms = (np.array(column) for column in zip(*questions, strict=True))
        expected = [SET.zones[one].in_force_at(moment) for one, moment in questions]
        assert timetable.in_force(zone, time_ms).tolist() == expected


def test_timetable_answers_beyond_the_last_change() -> None:
    timetable = Timetable(SET)
    assert timetable.in_force(np.array([0, 4]), np.full(2, LATEST_TIME_MS + 600_000)).tolist() == [True, False]


OUTSIDERS = AppliesTo(plate_prefixes_except=("鄂A",))
LOCALS = AppliesTo(plate_prefixes=("鄂A",))


def test_vehicles_no_rule_can_tell_apart_share_a_profile() -> None:
    matrix = ApplicabilityMatrix(ZoneSet.of([box_zone("z", applies_to=OUTSIDERS)]), Vehicle(u7=0))
    first = matrix.row_of(Vehicle(u7=1, plate="鄂A11111"))
    assert matrix.row_of(Vehicle(u7=2, plate="鄂A22222")) == first
    assert matrix.row_of(Vehicle(u7=3, plate="京A11111")) != first
    assert len(matrix.matrix) == 3


def test_matrix_holds_what_each_rule_says() -> None:
    zones = ZoneSet.of([box_zone("a", applies_to=OUTSIDERS), box_zone("b", applies_to=LOCALS)])
    matrix = ApplicabilityMatrix(zones, Vehicle(u7=0))
    local = matrix.row_of(Vehicle(u7=1, plate="鄂A11111"))
    assert matrix.matrix[local].tolist() == [Applicability.NO, Applicability.YES]
    assert matrix.matrix[0].tolist() == [Applicability.MAYBE, Applicability.MAYBE]


def test_nobody_is_warned_about_a_venue_whatever_its_rule_says() -> None:
    trucks = AppliesTo(kinds=frozenset({VehicleKind.GOODS}))
    zones = ZoneSet.of([box_zone("ban", applies_to=trucks), box_zone("venue", kind=ZoneKind.VENUE)])
    rules = RuleBook(zones, Vehicle(u7=0, kind=VehicleKind.GOODS))
    assert rules.wanted().tolist() == [[True, False]]
    concern = rules.concern(np.array([0, 0]), np.array([0, 1]))
    assert concern.tolist() == [Applicability.YES, Applicability.NO]
    assert rules.profile_of(Vehicle(u7=1, kind=VehicleKind.CAR)) == 1
    assert rules.wanted()[1].tolist() == [False, False]
