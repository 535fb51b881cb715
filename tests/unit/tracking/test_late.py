"""Late pings mend the history: it reads as if they had come in order, nobody is warned, nothing changes twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from api.workers.history import History
from geo_engine import Decisions, Engine, EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.kinds import TransitionKind, TransitionReason
from geo_engine.model import RejectReason, VehicleKind, Visit, ZoneKind
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import HISTORY, TransitionRecord
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.zones.zone import Zone

EXACT = replace(EngineConfig.exact(), max_lag_s=600.0)
KEPT, OTHER = 1, 2
Told = tuple[int, str, str, int]


class Bench:
    """An engine whose history is kept for one of two users, as the service keeps it."""

    def __init__(self, zones: Sequence[Zone], config: EngineConfig | None = None, engine: Engine | None = None) -> None:
        drivers = [Vehicle(u7, kind=VehicleKind.GOODS) for u7 in (KEPT, OTHER)]
        self.engine = engine or Engine(ZoneSet.of(zones), config=config, vehicles=drivers)
        self.history = History(self.engine)
        self.history.follow([KEPT])
        self.store = MemoryStore()
        self.store.set_consent(KEPT, HISTORY, True, "v1", noon_ms, "test")
        self.mended: list[TransitionKind] = []
        self.unplaced = 0

    def step(self, batch: PingBatch, now_ms: int) -> Decisions:
        decisions = self.engine.process(batch, now_ms)
        found = self.history.step(batch, decisions, now_ms)
        self.store.commit([], [], now_ms=now_ms, history=[found.change])
        self.mended += [*found.added, *found.withdrawn]
        self.unplaced += found.unplaced
        return decisions

    def each(self, pings: PingBatch, order: Iterable[int]) -> list[Decisions]:
        """Give the pings one by one, at the moment when the last of them may have come."""
        return [self.step(pings.take(np.array([row])), int(pings.time_ms.max()) + 1_000) for row in order]

    def records(self) -> list[TransitionRecord]:
        return self.store.history(KEPT, 0, 2**62)

    def told(self) -> list[Told]:
        """What the history says, without why and where."""
        return [(record.time_ms, record.zone_id, record.kind.value, record.u7) for record in self.records()]


def drive(u7: int = KEPT) -> PingBatch:
    """A drive from 1 km before the zone ``z`` to beyond it."""
    return straight_drive(u7, pings=50, lon=114.29)


def displaced(count: int, most: int, seed: int = 5) -> list[int]:
    """An order in which no ping comes more than ``most`` places too late."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.argsort(np.arange(count) + rng.uniform(0, most, count), kind="stable").tolist()


def test_pings_out_of_order_by_forty_seconds_leave_the_history_they_would_have_left_in_order() -> None:
    pings = drive()
    zones = [box_zone("z"), box_zone("narrow", west=114.295, east=114.2951)]
    straight, mixed = Bench(zones), Bench(zones)
    straight.each(pings, range(len(pings)))
    decided = mixed.each(pings, displaced(len(pings), 8))
    assert sum(len(one.rejects) for one in decided) > 10
    assert {(zone, kind) for _, zone, kind, _ in straight.told()} == {
        ("z", "enter"),
        ("z", "exit"),
        ("narrow", "cross"),
    }
    assert mixed.told() == straight.told()
    assert mixed.unplaced == 0


def test_what_late_pings_show_is_marked_and_stands_at_their_time() -> None:
    pings = drive()
    bench = Bench([box_zone("z")], EXACT)
    inside = [row for row, lon in enumerate(pings.lon.tolist()) if 114.30 <= lon <= 114.31]
    late = inside[1:2]
    bench.each(pings, [row for row in range(len(pings)) if row not in inside])
    assert [record.kind for record in bench.records()] == ["cross"]
    bench.each(pings, late)
    after = inside[-1] + 1
    assert bench.told() == [
        (int(pings.time_ms[late[0]]), "z", "enter", KEPT),
        (int(pings.time_ms[after]), "z", "exit", KEPT),
    ]
    assert {record.reason for record in bench.records()} == {TransitionReason.LATE}
    assert bench.records()[0].lon == pytest.approx(float(pings.lon[late[0]]))


def test_a_late_ping_outside_shows_that_a_zone_was_left_and_entered_again() -> None:
    lon = [114.301, 114.302, 114.303, 114.304, 114.305]
    lat = [30.600, 30.600, 30.620, 30.600, 30.600]
    pings = PingBatch.from_columns([KEPT] * 5, noon_ms + np.arange(5) * 30_000, lon, lat)
    bench = Bench([box_zone("z")], EXACT)
    bench.each(pings, [0, 1, 3, 4])
    assert [kind for _, _, kind, _ in bench.told()] == ["enter"]
    bench.each(pings, [2])
    assert [(kind, (time_ms - noon_ms) // 30_000) for time_ms, _, kind, _ in bench.told()] == [
        ("enter", 0),
        ("exit", 2),
        ("enter", 3),
    ]


def test_a_late_ping_may_be_the_first_one_of_its_user() -> None:
    pings = straight_drive(KEPT, pings=4, lon=114.305, speed_mps=5.0)
    bench = Bench([box_zone("z")], EXACT)
    bench.each(pings, [1, 2, 0, 3])
    assert bench.told() == [(noon_ms, "z", "enter", KEPT)]


def test_late_pings_never_decide_nor_move_anybody() -> None:
    pings = drive()
    bench = Bench([box_zone("z")])
    outside = [row for row, lon in enumerate(pings.lon.tolist()) if not 114.30 <= lon <= 114.31]
    bench.each(pings, outside)
    before, inside = bench.engine.snapshot(), bench.engine.last_known(np.array([KEPT]))[0].zone.tolist()
    decided = bench.each(pings, [row for row in range(len(pings)) if row not in outside])
    assert sum(len(one.alerts) + len(one.transitions) + one.accepted for one in decided) == 0
    assert {reason for one in decided for reason in one.rejects.reasons()} == {RejectReason.LATE}
    assert bench.engine.last_known(np.array([KEPT]))[0].zone.tolist() == inside
    assert bench.engine.snapshot() == before
    assert bench.mended


def test_late_pings_outside_every_zone_add_nothing() -> None:
    pings = straight_drive(KEPT, pings=40, lon=114.29, lat=30.7)
    bench = Bench([box_zone("z")])
    decided = bench.each(pings, displaced(len(pings), 8))
    assert sum(len(one.rejects) for one in decided) > 10
    assert (bench.told(), bench.mended, bench.unplaced) == ([], [], 0)


def test_the_same_late_pings_again_add_nothing() -> None:
    pings = drive()
    bench = Bench([box_zone("z")])
    order = displaced(len(pings), 8)
    bench.each(pings, order)
    told, mended = bench.records(), len(bench.mended)
    bench.each(pings, order)
    assert (bench.records(), len(bench.mended)) == (told, mended)
    assert mended > 0


def test_a_step_with_late_pings_beside_others_is_the_same_as_one_by_one() -> None:
    pings = PingBatch.concat([drive(), drive(u7=OTHER)])
    order = np.array(displaced(len(pings), 30))
    alone, together = Bench([box_zone("z")]), Bench([box_zone("z")])
    alone.each(drive(), range(50))
    for first in range(0, len(pings), 7):
        together.step(pings.take(order[first : first + 7]), int(pings.time_ms.max()) + 1_000)
    assert together.told() == alone.told()


def test_more_late_pings_than_a_step_places_are_placed_in_the_next_ones() -> None:
    pings = straight_drive(KEPT, pings=600, lon=114.29, every_s=0.5, speed_mps=10.0)
    straight, mixed = Bench([box_zone("z")], EXACT), Bench([box_zone("z")], EXACT)
    now_ms = int(pings.time_ms.max()) + 1_000
    straight.step(pings, now_ms)
    mixed.step(pings.take(np.array([0, 599])), now_ms)
    mixed.step(pings.take(np.arange(1, 599)), now_ms)
    assert mixed.history.waiting == 598 - 256
    while mixed.history.waiting:
        mixed.step(PingBatch.empty(), now_ms)
    assert mixed.told() == straight.told()
    assert (mixed.unplaced, len(straight.told())) == (0, 2)


def test_nothing_is_kept_of_who_did_not_agree() -> None:
    pings = drive(u7=OTHER)
    bench = Bench([box_zone("z")])
    bench.each(pings, displaced(len(pings), 8))
    assert (bench.store.history(OTHER, 0, 2**62), bench.unplaced) == ([], 0)


def test_a_late_ping_no_vehicle_could_have_sent_is_left_out() -> None:
    pings = straight_drive(KEPT, pings=10, lon=114.29, lat=30.7)
    bench = Bench([box_zone("z")])
    bench.each(pings, range(len(pings)))
    absurd = PingBatch.from_columns([KEPT], [int(pings.time_ms[5]) + 1_000], [114.305], [30.60])
    bench.each(absurd, [0])
    assert (bench.told(), bench.unplaced) == ([], 1)


@pytest.mark.parametrize("config", [EXACT, EngineConfig()], ids=["exact", "filtered"])
def test_a_late_ping_near_a_border_is_judged_by_the_filters_of_the_step(config: EngineConfig) -> None:
    beside = straight_drive(KEPT, pings=10, lon=114.29, lat=30.61003)
    grazing = PingBatch.from_columns(
        beside.u7, beside.time_ms + 2_500, beside.lon + 0.0004, np.full(len(beside), 30.60998)
    ).take(np.arange(3, 6))
    pings = PingBatch.concat([beside, grazing])
    zone = box_zone("z", west=114.28)
    straight, mixed = Bench([zone], config), Bench([zone], config)
    straight.each(pings, np.argsort(pings.time_ms).tolist())
    mixed.each(pings, range(len(pings)))
    kinds = ["enter", "exit"] if config is EXACT else ["cross"]
    assert [kind for _, _, kind, _ in straight.told()] == kinds * 3
    assert mixed.told() == straight.told()


def test_late_pings_from_before_a_restart_are_counted_and_change_nothing() -> None:
    pings = drive()
    first = Bench([box_zone("z")])
    first.each(pings, range(0, 20))
    second = Bench([box_zone("z")], engine=first.engine)
    second.each(pings, [25, 10, 24])
    # 10 lies before all that is known since the start, 24 behind it as well: nobody knows what came between.
    assert (second.mended, second.unplaced) == ([], 2)


def test_a_visit_taken_up_after_a_restart_is_not_entered_again_by_a_late_ping() -> None:
    engine = Engine(ZoneSet.of([box_zone("z")]), config=EXACT)
    seen_ms = noon_ms + 60_000
    engine.restore([Visit(KEPT, "z", noon_ms, seen_ms, open=True, inside=True, decided=False)], {}, now_ms=seen_ms)
    bench = Bench([], engine=engine)
    pings = straight_drive(KEPT, pings=3, lon=114.305, start_ms=seen_ms + 5_000)
    bench.each(pings, [1, 0, 2])
    assert (bench.told(), bench.unplaced) == ([], 1)


def test_a_late_ping_from_before_other_zones_changes_nothing() -> None:
    pings = drive()
    bench = Bench([box_zone("elsewhere", west=115.0, east=115.1)])
    outside = [row for row, lon in enumerate(pings.lon.tolist()) if not 114.30 <= lon <= 114.31]
    bench.each(pings, outside)
    bench.engine.publish(ZoneSet.of([box_zone("z")], revision=2), int(pings.time_ms.max()) + 1_000)
    bench.each(pings, [row for row in range(len(pings)) if row not in outside])
    assert (bench.told(), bench.mended) == ([], [])
    assert bench.unplaced > 0


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_order_within_the_limit_leaves_the_history_of_the_right_order(data: st.DataObject) -> None:
    places = data.draw(
        st.lists(st.tuples(st.integers(-3, 13), st.integers(-3, 8)), min_size=2, max_size=14), label="places"
    )
    order = data.draw(st.permutations(range(len(places))), label="order")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(places)), max_size=3), label="cuts"))
    lon = [114.3 + 0.001 * east + 0.0003 for east, _ in places]
    lat = [30.6 + 0.001 * north + 0.0003 for _, north in places]
    pings = PingBatch.from_columns([KEPT] * len(places), noon_ms + np.arange(len(places)) * 5_000, lon, lat)
    triangle = Zone("t", ZoneKind.CONGESTION, "t", shapely.Polygon([(114.3, 30.6), (114.31, 30.6), (114.305, 30.606)]))
    strip = Zone("s", ZoneKind.TRUCK_RESTRICTION, "s", shapely.box(114.3045, 30.59, 114.3047, 30.62))
    straight, mixed = Bench([triangle, strip], EXACT), Bench([triangle, strip], EXACT)
    straight.each(pings, range(len(pings)))
    for part in np.split(np.array(order), cuts):
        mixed.step(pings.take(part), int(pings.time_ms.max()) + 1_000)
    assert mixed.told() == straight.told()
    assert mixed.unplaced == 0
    assert_alternates(mixed.records())


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_with_noise_and_filters_each_enter_still_has_one_exit(seed: int) -> None:
    pings = straight_drive(KEPT, pings=60, lon=114.297, speed_mps=8.0, noise_m=12.0, seed=seed % 1000)
    bench = Bench([box_zone("z"), box_zone("small", west=114.303, east=114.3036)])
    bench.each(pings, displaced(len(pings), 8, seed))
    assert_alternates(bench.records())


def assert_alternates(records: list[TransitionRecord]) -> None:
    inside: set[str] = set()
    for record in records:
        if record.kind is TransitionKind.ENTER:
            assert record.zone_id not in inside
            inside.add(record.zone_id)
        elif record.kind is TransitionKind.EXIT:
            inside.remove(record.zone_id)
