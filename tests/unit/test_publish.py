"""Zones edited under people: who is told what, exactly once, and what must go on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo_engine import Decisions, Engine, EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.errors import ConfigurationError
from geo_engine.index import CellIndex, RtreeIndex, ZoneIndex
from geo_engine.model import AlertReason, TransitionKind, TransitionReason, VehicleKind, Visit, ZoneKind
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone
from tests.contract.trackers import assert_same
from tests.examples import examples

DRIVER = Vehicle(u7=0, kind=VehicleKind.GOODS, plate="鄂A12345")
TRUCKS = AppliesTo(kinds=frozenset({VehicleKind.GOODS}))
CARS = AppliesTo(kinds=frozenset({VehicleKind.CAR}))
CLOSED = Schedule.parse("20:00-21:00", "Asia/Shanghai")
OPEN = Schedule.parse("08:00-21:00", "Asia/Shanghai")
INDEXES = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["cells", "rtree"])

Z = box_zone("z", applies_to=TRUCKS)
EAST = replace(Z, geometry=shapely.box(114.31, 30.59, 114.33, 30.61))
WIDE = replace(Z, geometry=shapely.box(114.29, 30.59, 114.33, 30.61))


class Town:
    """An engine with somebody who stands at one place, and every transition and warning so far."""

    def __init__(self, *zones: Zone, index: Callable[[ZoneSet], ZoneIndex] = CellIndex, **options: object) -> None:
        self.engine = Engine(ZoneSet.of(zones), index=index, **{"default_vehicle": DRIVER, **options})
        self.now_ms = noon_ms
        self.said: list[tuple[str, str, str]] = []
        self.warned: list[tuple[str, AlertReason]] = []

    def hear(self, step: Decisions) -> None:
        happened = step.transitions
        for zone, kind, reason in zip(happened.zone, happened.kinds(), happened.reasons(), strict=True):
            self.said.append((step.zones.zones[int(zone)].zone_id, kind.value, reason.value))
        self.warned += [(alert.zone_id, alert.trigger) for alert in step.alerts if alert.send]

    def stand(self, *, lon: float = 114.305, seconds: float = 5.0, u7: int = 1) -> Town:
        self.now_ms += round(seconds * 1000)
        self.hear(self.engine.process(PingBatch.from_columns([u7], [self.now_ms], [lon], [30.6]), self.now_ms))
        return self

    def edit(self, *zones: Zone) -> Town:
        self.now_ms += 1000
        for step in self.engine.publish(ZoneSet.of(zones, revision=self.engine.zones.revision + 1), self.now_ms):
            self.hear(step)
        return self


@INDEXES
def test_zone_added_over_a_standing_user_is_entered_and_warned_about_once(index: Callable) -> None:
    town = Town(index=index).stand().edit(Z).stand().stand()
    assert town.said == [("z", "enter", "zone_changed")]
    assert town.warned == [("z", AlertReason.ZONE_CHANGED)]


@INDEXES
@pytest.mark.parametrize(
    ("silent_s", "lost_after_s", "entered"), [(898.0, 900.0, 1), (899.0, 900.0, 0), (9000.0, None, 1)]
)
def test_user_silent_for_too_long_does_not_enter_a_new_zone(
    index: Callable, silent_s: float, lost_after_s: float | None, entered: int
) -> None:
    town = Town(index=index, config=EngineConfig(lost_after_s=lost_after_s)).stand()
    town.now_ms += round(silent_s * 1000)
    town.edit(Z)
    assert town.said == [("z", "enter", "zone_changed")] * entered
    assert len(town.warned) == entered


@INDEXES
def test_zone_removed_under_a_standing_user_is_left_once(index: Callable) -> None:
    town = Town(Z, index=index).stand().edit().stand()
    assert town.said == [("z", "enter", "moved"), ("z", "exit", "zone_changed")]
    assert town.engine.process(PingBatch.empty(), town.now_ms + 10**7).inside == 0


@INDEXES
@pytest.mark.parametrize(
    ("before", "after", "edit_says", "warned"),
    [
        (Z, EAST, [("z", "exit", "zone_changed")], []),
        (EAST, Z, [("z", "enter", "zone_changed")], [("z", AlertReason.ZONE_CHANGED)]),
        (Z, WIDE, [], []),
        (Z, replace(Z, name="other", advice="turn"), [], []),
        (replace(Z, applies_to=CARS), Z, [], [("z", AlertReason.WINDOW_OPENED)]),
        (replace(Z, schedule=CLOSED), replace(Z, schedule=OPEN), [], [("z", AlertReason.WINDOW_OPENED)]),
        (replace(Z, applies_to=CARS), WIDE, [], [("z", AlertReason.WINDOW_OPENED)]),
        (replace(Z, kind=ZoneKind.VENUE), Z, [], [("z", AlertReason.WINDOW_OPENED)]),
        (Z, replace(Z, applies_to=CARS), [], []),
        (Z, replace(Z, schedule=CLOSED), [], []),
        (replace(Z, schedule=OPEN), replace(Z, schedule=CLOSED), [], []),
    ],
)
def test_edit_of_a_zone_under_a_standing_truck(
    index: Callable, before: Zone, after: Zone, edit_says: list, warned: list
) -> None:
    town = Town(before, index=index).stand()
    town.said.clear()
    town.warned.clear()
    town.edit(after)
    assert town.said == edit_says
    assert town.warned == warned
    town.stand().stand()
    assert town.said == edit_says
    assert town.warned == warned


def test_truck_that_drives_on_after_the_edit_leaves_and_enters_as_the_new_shape_says() -> None:
    town = Town(Z).stand().edit(EAST).stand(lon=114.3099).stand(lon=114.3102).stand(lon=114.3302, seconds=60)
    kinds = [(kind, reason) for _, kind, reason in town.said if kind != "approach"]
    assert kinds == [("enter", "moved"), ("exit", "zone_changed"), ("enter", "moved"), ("exit", "moved")]


@INDEXES
def test_other_zones_in_front_move_positions_and_nothing_else(index: Callable) -> None:
    town = Town(Z, box_zone("zz", kind=ZoneKind.VENUE), index=index).stand()
    town.edit(*(box_zone(f"a{n}", west=10.0 + n, east=10.5 + n) for n in range(70)), Z, box_zone("zz"))
    town.stand().edit(Z, box_zone("zz")).stand()
    assert town.said == [("z", "enter", "moved"), ("zz", "enter", "moved")]
    assert town.warned == [("z", AlertReason.ENTER), ("zz", AlertReason.WINDOW_OPENED)]
    town.stand(lon=114.32, seconds=60.0)
    assert sorted(town.said[2:]) == [("z", "exit", "moved"), ("zz", "exit", "moved")]


def test_cooldown_is_kept_when_positions_move() -> None:
    town = Town(Z).stand().stand(lon=114.2995, seconds=60.0).edit(box_zone("a", west=10.0, east=11.0), Z)
    town.stand(seconds=60.0)
    assert town.warned == [("z", AlertReason.ENTER)]


def test_zone_put_back_is_entered_again_but_not_the_same_visit() -> None:
    town = Town(Z).stand().edit().edit(Z).edit()
    assert [(kind, reason) for _, kind, reason in town.said] == [
        ("enter", "moved"),
        ("exit", "zone_changed"),
        ("enter", "zone_changed"),
        ("exit", "zone_changed"),
    ]


def test_what_was_prepared_against_another_revision_is_refused() -> None:
    town = Town(Z).stand()
    prepared = town.engine.prepare(ZoneSet.of([WIDE], revision=2))
    town.edit(EAST)
    with pytest.raises(ValueError, match="prepared against revision 1, expected 2"):
        town.engine.publish(prepared, town.now_ms)
    assert town.engine.zones.zones == (EAST,)


def test_same_zones_published_again_say_nothing() -> None:
    town = Town(Z).stand()
    town.said.clear()
    town.edit(Z)
    assert (town.said, town.engine.zones.revision) == ([], 2)


@INDEXES
def test_restored_user_without_a_position_stays_inside_until_the_first_ping_tells(index: Callable) -> None:
    visit = Visit(1, "z", noon_ms - 9000, noon_ms - 5000, open=True, inside=True, decided=True, sent_ms=noon_ms - 9000)
    for after, first in ((WIDE, []), (EAST, [("z", "exit", "moved")]), (replace(Z, schedule=OPEN), [])):
        town = Town(Z, index=index)
        town.engine.restore([visit], {1: 1}, now_ms=noon_ms)
        town.edit(after)
        assert town.said == []
        town.stand()
        assert (town.said, town.warned) == (first, [])


def test_restored_user_without_a_position_leaves_a_zone_that_is_gone() -> None:
    visit = Visit(1, "z", noon_ms - 9000, noon_ms - 5000, open=True, inside=True, decided=True)
    town = Town(Z)
    town.engine.restore([visit], {}, now_ms=noon_ms)
    assert town.edit().stand().said == [("z", "exit", "zone_changed")]


def test_restored_user_is_warned_by_the_first_ping_when_the_terms_changed_before_it() -> None:
    visit = Visit(1, "z", noon_ms - 9000, noon_ms - 5000, open=True, inside=True, decided=False)
    town = Town(replace(Z, applies_to=CARS))
    town.engine.restore([visit], {}, now_ms=noon_ms)
    town.edit(Z)
    assert town.warned == []
    assert len(town.stand().warned) == 1


def test_new_plate_rule_judges_everybody_anew() -> None:
    locals_only = replace(Z, applies_to=AppliesTo(plate_prefixes_except=("鄂A",)))
    strangers = [Vehicle(u7=2, kind=VehicleKind.GOODS, plate="湘B00001"), Vehicle(u7=3, plate="鄂A00001")]
    town = Town(replace(Z, applies_to=CARS), vehicles=strangers)
    town.engine.put_fleet(np.array([4, 5]), Vehicle(u7=0, kind=VehicleKind.GOODS, plate="粤B1"))
    town.engine.put_vehicles([Vehicle(u7=5, plate="鄂A2")])
    for u7 in range(1, 6):
        town.stand(u7=u7, seconds=0.001)
    town.now_ms += 1000
    ended, begun = town.engine.publish(ZoneSet.of([locals_only], revision=2), town.now_ms)
    assert len(ended.alerts) == 0
    assert [alert.u7 for alert in begun.alerts if alert.send] == [2, 4]


def test_vehicle_told_between_preparing_and_publishing_counts() -> None:
    town = Town(replace(Z, applies_to=CARS)).stand()
    prepared = town.engine.prepare(ZoneSet.of([replace(Z, applies_to=TRUCKS)], revision=2))
    town.engine.put_vehicles([Vehicle(u7=1, kind=VehicleKind.CAR)])
    _, begun = town.engine.publish(prepared, town.now_ms + 1000)
    assert len(begun.alerts) == 0
    prepared = town.engine.prepare(ZoneSet.of([Z], revision=3))
    town.engine.put_fleet(np.array([1]), DRIVER)
    for step in town.engine.publish(prepared, town.now_ms + 2000):
        town.hear(step)
    town.stand(lon=114.32, seconds=90.0).stand(seconds=90.0)
    assert town.warned == [("z", AlertReason.VEHICLE_CHANGED)]


def test_zones_that_tell_too_many_vehicles_apart_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo_engine.zones.applicability.MAX_PROFILES", 2)
    town = Town(Z).stand()
    many_plates = [
        replace(Z, zone_id=f"{n}", applies_to=AppliesTo(plate_prefixes_except=(f"鄂A{n}",))) for n in range(3)
    ]
    prepared = town.engine.prepare(ZoneSet.of(many_plates, revision=2))
    town.engine.put_vehicles(Vehicle(u7=number, plate=f"鄂A{number % 3}") for number in range(10, 20))
    for zones in (prepared, ZoneSet.of(many_plates, revision=2)):
        with pytest.raises(ConfigurationError, match="more than 2 kinds of vehicle"):
            town.engine.publish(zones, town.now_ms)
    assert town.engine.zones.revision == 1
    assert town.stand(lon=114.3102, seconds=30.0).said == [("z", "enter", "moved"), ("z", "exit", "moved")]


def test_opening_of_the_old_zones_is_told_before_the_edit_ends_them() -> None:
    soon = replace(Z, schedule=Schedule.parse("12:01-13:00", "Asia/Shanghai"))
    town = Town(soon).stand(seconds=55.0)
    ended, begun = town.engine.publish(ZoneSet.of([], revision=2), noon_ms + 62_000)
    assert [alert.trigger for alert in ended.alerts] == [AlertReason.WINDOW_OPENED]
    assert ended.transitions.reasons() == (TransitionReason.ZONE_CHANGED,)
    assert (len(begun.transitions), begun.inside, begun.next_deadline_ms) == (0, 0, None)


def shop(zone_id: str, lon: float, lat: float = 30.6) -> Zone:
    return Zone(zone_id, ZoneKind.VENUE, zone_id, shapely.Point(lon, lat))


_SHOPS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 12), max_size=6)


@examples(40)
@given(editions=st.lists(_SHOPS, min_size=2, max_size=4))
def test_nearest_venue_is_one_of_the_published_ones(editions: list[dict[str, int]]) -> None:
    def zones(shops: dict[str, int]) -> ZoneSet:
        return ZoneSet.of([Z, *(shop(name, 114.3 + step * 0.001) for name, step in shops.items())])

    users = np.arange(14)
    pings = PingBatch.from_columns(users, [noon_ms] * 14, 114.3 + users * 0.001 + 1e-5, [30.6] * 14)
    engine = Engine(zones(editions[0]))
    engine.process(pings, noon_ms)
    for number, edition in enumerate(editions[1:], start=1):
        engine.publish(zones(edition), noon_ms + number)
        fresh = Engine(zones(edition))
        fresh.process(pings, noon_ms)
        assert engine.nearest_venues(users).tolist() == fresh.nearest_venues(users).tolist()


def test_zone_that_becomes_a_venue_is_one_and_many_venues_at_once_are_found() -> None:
    point = shop("v", 114.3)
    town = Town(replace(point, kind=ZoneKind.CONGESTION)).stand(lon=114.3)
    assert town.engine.nearest_venues(np.array([1, 2])).tolist() == [-1, -1]
    assert town.edit(point).engine.nearest_venues(np.array([1, 2])).tolist() == [0, -1]
    town.edit(*(shop(f"v{n:02}", 114.2 + n * 0.01) for n in range(50)))
    assert town.engine.nearest_venues(np.array([1, 2])).tolist() == [10, -1]


_EDITIONS = (
    (),
    (Z,),
    (EAST,),
    (WIDE, box_zone("a", west=114.304, east=114.306, kind=ZoneKind.VENUE)),
    (box_zone("a"), replace(Z, schedule=Schedule.parse("12:01-12:03,12:04-13:00", "Asia/Shanghai"))),
    (box_zone("a", west=10.0, east=11.0), replace(Z, applies_to=CARS), box_zone("zz", kind=ZoneKind.CONSTRUCTION)),
)
_ACTS = st.lists(
    st.tuples(
        st.sampled_from([0, 1000, 5000, 30_000, 120_000, 950_000]),
        st.one_of(
            st.integers(0, len(_EDITIONS) - 1),
            st.lists(
                st.tuples(st.integers(1, 3), st.floats(114.295, 114.335), st.sampled_from([0, 0, 500, 20_000])),
                min_size=1,
                max_size=3,
            ),
        ),
    ),
    max_size=14,
)


@INDEXES
@examples(60)
@given(acts=_ACTS)
def test_every_enter_has_one_exit_and_no_zone_warns_twice_whatever_is_edited(index: Callable, acts: list) -> None:
    engine = Engine(
        ZoneSet.of(_EDITIONS[1]),
        config=EngineConfig(jumps=None, policy=Policy(daily_cap=255)),
        default_vehicle=DRIVER,
        index=index,
    )
    now_ms, inside = noon_ms, dict[tuple[int, str], int]()
    for pause_ms, act in [*acts, (10**6, 0)]:
        now_ms += pause_ms
        if isinstance(act, int):
            zones = ZoneSet.of(_EDITIONS[act], revision=engine.zones.revision + 1)
            steps: tuple[Decisions, ...] = engine.publish(zones, now_ms)
        else:
            u7, lon, age_ms = (np.array(column) for column in zip(*act, strict=True))
            pings = PingBatch.from_columns(u7, now_ms - age_ms, lon, np.full(len(act), 30.6))
            steps = (engine.process(pings, now_ms),)
        for step in steps:
            happened = step.transitions
            for row, (kind, reason) in enumerate(zip(happened.kinds(), happened.reasons(), strict=True)):
                key = (int(happened.u7[row]), step.zones.zones[happened.zone[row]].zone_id)
                if kind is TransitionKind.EXIT:
                    assert inside.pop(key) <= happened.time_ms[row] or reason is TransitionReason.MOVED
                    continue
                assert key not in inside
                if kind is TransitionKind.ENTER:
                    inside[key] = happened.time_ms[row]
            alerts = [(alert.u7, alert.zone_id, alert.visit_ms) for alert in step.alerts if alert.send]
            assert len(alerts) == len(set(alerts))
        assert steps[-1].inside == len(inside)
    assert not inside


@examples(40)
@given(acts=_ACTS)
def test_edits_say_the_same_over_any_index(acts: list) -> None:
    towns = [Town(*_EDITIONS[1], index=index) for index in (CellIndex, RtreeIndex)]
    for town in towns:
        for pause_ms, act in acts:
            town.now_ms += pause_ms
            if isinstance(act, int):
                town.edit(*_EDITIONS[act])
            else:
                for u7, lon, _ in act:
                    town.stand(u7=u7, lon=lon, seconds=1.0)
    assert towns[0].said == towns[1].said
    assert towns[0].warned == towns[1].warned


def test_drive_through_an_edited_town_is_the_drive_through_the_edited_zones() -> None:
    town, fresh = Town(EAST), Town(WIDE)
    town.edit(WIDE)
    drive = straight_drive(1, pings=60, start_ms=noon_ms + 5000)
    for one in (town, fresh):
        for row in range(len(drive)):
            one.hear(one.engine.process(drive.take(slice(row, row + 1)), int(drive.time_ms[row])))
    assert town.said == fresh.said
    assert town.warned == fresh.warned


def test_preparing_in_another_thread_changes_nothing_until_it_is_published() -> None:
    quiet, busy = Town(Z), Town(Z)
    editions = [ZoneSet.of(zones, revision=2) for zones in _EDITIONS]
    drive = straight_drive(1, pings=60)
    with ThreadPoolExecutor(1) as pool:
        prepared = pool.map(busy.engine.prepare, editions * 2)
        for town in (busy, quiet):
            for row in range(len(drive)):
                town.hear(town.engine.process(drive.take(slice(row, row + 1)), int(drive.time_ms[row])))
        last = [*prepared][-1]
    assert busy.said == quiet.said
    ended, begun = busy.engine.publish(last, int(drive.time_ms[-1]))
    expected = quiet.engine.publish(editions[-1], int(drive.time_ms[-1]))
    assert_same(ended, expected[0])
    assert_same(begun, expected[1])


def test_what_was_prepared_before_an_edit_and_its_withdrawal_is_refused() -> None:
    town = Town(Z, box_zone("y"))
    running = town.engine.zones
    prepared = town.engine.prepare(ZoneSet.of([replace(Z, name="other"), box_zone("y")], revision=2))
    town.engine.publish(ZoneSet.of([box_zone("y")], revision=3), town.now_ms)
    town.engine.publish(running, town.now_ms)
    with pytest.raises(ValueError, match="prepared against revision 1"):
        town.engine.publish(prepared, town.now_ms)
