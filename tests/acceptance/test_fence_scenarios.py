"""Every scenario of the recorded fence cases is true, on both trackers where a tracker is concerned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from geo_engine import Decisions, Engine, EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.index import CellIndex, RtreeIndex, ZoneIndex
from geo_engine.model import Permit, RejectReason, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.companions import CompanionChange, Companions, Seen
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zone import Zone

TRACKERS = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["compiled", "columns"])
Index = Callable[[ZoneSet], ZoneIndex]

EMPTY = Vehicle(u7=1, kind=VehicleKind.GOODS, gross_weight_t=10.0)
LADEN = replace(EMPTY, gross_weight_t=30.0)
HEAVY = box_zone("z", applies_to=AppliesTo(gross_weight_over_t=12.0))
Z = box_zone("z")
INSIDE, OUTSIDE = 114.305, 114.3201


class Scene:
    """An engine, the clock, and all that was said: transitions with their moments, and warnings."""

    def __init__(self, index: Index, *zones: Zone, vehicle: Vehicle = LADEN) -> None:
        self.engine = Engine(
            ZoneSet.of(zones), index=index, default_vehicle=vehicle, config=EngineConfig(approach=None)
        )
        self.said: list[tuple[int, str, str, float]] = []
        self.warned: list[str] = []
        self.last = self.engine.process(PingBatch.empty(), noon_ms - 1000)

    def hear(self, step: Decisions) -> Scene:
        happened, self.last = step.transitions, step
        for u7, kind, reason, time_ms in zip(
            happened.u7.tolist(), happened.kinds(), happened.reasons(), happened.time_ms.tolist(), strict=True
        ):
            self.said.append((u7, kind.value, reason.value, (time_ms - noon_ms) / 1000))
        self.warned += [alert.trigger.value for alert in step.alerts if alert.send]
        return self

    def at(self, second: float, lon: float | None = None, *, u7: int = 1) -> Scene:
        """Go on to a second after noon, with a ping there or without one."""
        now_ms = noon_ms + round(second * 1000)
        pings = PingBatch.empty() if lon is None else PingBatch.from_columns([u7], [now_ms], [lon], [30.6])
        return self.hear(self.engine.process(pings, now_ms))

    def edit(self, second: float, *zones: Zone) -> Scene:
        now_ms = noon_ms + round(second * 1000)
        for step in self.engine.publish(ZoneSet.of(zones, revision=self.engine.zones.revision + 1), now_ms):
            self.hear(step)
        return self


def lost_inside(index: Index) -> None:
    scene = Scene(index, Z).at(0, INSIDE).at(2000).at(2005, INSIDE)
    assert scene.said == [(1, "enter", "moved", 0), (1, "exit", "lost", 900), (1, "enter", "moved", 2005)]


def user_erased_inside(index: Index) -> None:
    scene = Scene(index, Z).at(0, INSIDE).at(1, INSIDE, u7=2)
    before = scene.engine.process(PingBatch.empty(), noon_ms + 2000).inside
    scene.hear(scene.engine.forget([1], noon_ms + 3000))
    assert scene.said[-1:] == [(1, "exit", "erased", 3)]
    assert [(visit.u7, visit.open) for visit in scene.last.visits] == [(1, False)]
    assert (before, scene.last.inside) == (2, 1)
    assert not scene.engine._users.rows[1:2].tobytes().strip(b"\0")
    assert {int(key) - 1 >> 24 for key in scene.engine._judge.visits.records()[:, 0]} == {2}
    heir = Engine(scene.engine.zones, index=index, default_vehicle=LADEN)
    heir.load(scene.engine.snapshot())
    assert heir.positions()[0].tolist() == [2]
    assert scene.engine.forget([1], noon_ms + 4000).transitions.u7.tolist() == []


def zone_expires(index: Index) -> None:
    ends = replace(Z, valid_to_ms=noon_ms + 60_000)
    scene = Scene(index, ends).at(0, INSIDE)
    assert scene.last.next_deadline_ms == noon_ms + 60_000
    scene.at(65, INSIDE).at(70, INSIDE).at(75, OUTSIDE).at(80, INSIDE).at(85, 114.28)
    assert scene.said == [(1, "enter", "moved", 0), (1, "exit", "zone_changed", 60)]


def zone_deleted(index: Index) -> None:
    scene = Scene(index, Z)
    for u7 in (1, 2, 3):
        scene.at(u7, INSIDE, u7=u7)
    scene.edit(10).at(15, INSIDE)
    assert scene.said[3:] == [(u7, "exit", "zone_changed", 10) for u7 in (1, 2, 3)]


def zone_around_user(index: Index) -> None:
    for vehicle, warned in ((LADEN, ["zone_changed"]), (EMPTY, [])):
        scene = Scene(index, vehicle=vehicle).at(0, INSIDE).edit(5, HEAVY).at(10, INSIDE).at(60, OUTSIDE)
        assert scene.said == [(1, "enter", "zone_changed", 5), (1, "exit", "moved", 60)]
        assert scene.warned == warned


def zone_moved_onto_user(index: Index) -> None:
    away = replace(Z, geometry=shapely.box(114.40, 30.59, 114.41, 30.61))
    scene = Scene(index, away).at(0, INSIDE).edit(5, Z).at(60, OUTSIDE)
    assert scene.said == [(1, "enter", "zone_changed", 5), (1, "exit", "moved", 60)]


def vehicle_turns_laden(index: Index) -> None:
    scene = Scene(index, HEAVY, vehicle=EMPTY).at(0, INSIDE)
    assert scene.warned == []
    for second, vehicle in ((10, LADEN), (20, EMPTY), (30, LADEN)):
        scene.engine.put_vehicles([vehicle])
        scene.at(second)
    assert scene.warned == ["vehicle_changed"]
    assert scene.said == [(1, "enter", "moved", 0)]


def window_opens(index: Index) -> None:
    banned = replace(Z, schedule=Schedule.parse("12:01-13:00", "Asia/Shanghai"))
    scene = Scene(index, banned).at(0, INSIDE).at(62).at(70, INSIDE)
    assert scene.warned == ["window_opened"]
    assert scene.said == [(1, "enter", "moved", 0)]


def jitter(index: Index) -> None:
    scene = Scene(index, Z)
    ten_m = 10.0 / 95_800.0
    for step in range(100):
        now_ms = noon_ms + step * 5000
        lon = 114.31 + (ten_m if step % 2 else -ten_m)
        batch = PingBatch.from_columns([1], [now_ms], [lon], [30.6], accuracy_m=[15.0])
        scene.hear(scene.engine.process(batch, now_ms))
    kinds = [kind for _, kind, *_ in scene.said]
    assert kinds in ([], ["enter"])


def bad_coordinates(index: Index) -> None:
    scene = Scene(index, Z).at(0, INSIDE)
    before = scene.engine._users.rows[1].copy()
    bad = PingBatch.from_columns([1] * 3, [noon_ms + 5000 + n for n in range(3)], [INSIDE, 181.0, np.nan], [91, 30, 30])
    scene.hear(scene.engine.process(bad, noon_ms + 6000))
    assert scene.last.rejects.reasons() == (
        RejectReason.LAT_OUT_OF_RANGE,
        RejectReason.LON_OUT_OF_RANGE,
        RejectReason.NOT_FINITE,
    )
    assert len(scene.said) == 1
    assert scene.engine._users.rows[1] == before


def seen(lon: float, lat: float, time_ms: int) -> Seen:
    return Seen(np.array([lon]), np.array([lat]), np.array([time_ms]))


def companion_corner(_: Index) -> None:
    # 950 m east and 950 m north: inside a square of 1000 m, 1343 m away.
    pair = Companions(np.array([1000.0]))
    corner = seen(114.3 + 950.0 / 95_850.0, 30.6 + 950.0 / 110_860.0, noon_ms)
    assert pair.step(seen(114.3, 30.6, noon_ms), corner, noon_ms).changes() == ()
    beside = seen(114.3 + 950.0 / 95_850.0, 30.6, noon_ms)
    assert pair.step(seen(114.3, 30.6, noon_ms), beside, noon_ms).changes() == (CompanionChange.NEAR,)


def companion_once(_: Index) -> None:
    def said(steps: list[tuple[int, float, float]]) -> list[str]:
        """Steps are (second, metres apart, age of the other's ping in seconds)."""
        pair = Companions(np.array([1000.0]))
        told: list[str] = []
        for second, metres, age_s in steps:
            now_ms = noon_ms + second * 1000
            other = seen(114.3 + metres / 95_850.0, 30.6, now_ms - round(age_s * 1000))
            told += pair.step(seen(114.3, 30.6, now_ms), other, now_ms).changes()
        return told

    together = [(5 * n, 990.0 + 15.0 * (n % 2), 0.0) for n in range(10)]
    assert said(together) == ["near"]
    assert said([*together, (60, 1200.0, 0.0), (65, 1300.0, 0.0)]) == ["near", "far"]
    assert said([*together, (950, 900.0, 905.0), (955, 900.0, 910.0)]) == ["near", "lost"]


SCENARIOS: dict[str, Callable[[Index], None]] = {
    "lost-inside": lost_inside,
    "user-erased-inside": user_erased_inside,
    "zone-expires": zone_expires,
    "zone-deleted": zone_deleted,
    "zone-around-user": zone_around_user,
    "zone-moved-onto-user": zone_moved_onto_user,
    "vehicle-turns-laden": vehicle_turns_laden,
    "window-opens": window_opens,
    "jitter": jitter,
    "companion-corner": companion_corner,
    "companion-once": companion_once,
    "bad-coordinates": bad_coordinates,
}


@TRACKERS
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_true(index: Index, name: str) -> None:
    SCENARIOS[name](index)


def test_every_recorded_scenario_has_its_test(shared_data: Path) -> None:
    cases = json.loads((shared_data / "vectors/fence_cases.json").read_text(encoding="utf-8"))
    assert {scenario["id"] for scenario in cases["scenarios"]} == set(SCENARIOS)


@TRACKERS
def test_zone_that_ends_is_left_once_whether_pings_come_alone_or_together(index: Index) -> None:
    ends = replace(Z, valid_to_ms=noon_ms + 60_000)
    scene = Scene(index, ends)
    seconds = [0, 30, 59, 60, 65]
    batch = PingBatch.from_columns([1] * 5, [noon_ms + s * 1000 for s in seconds], [INSIDE] * 5, [30.6] * 5)
    scene.hear(scene.engine.process(batch, noon_ms + 70_000))
    assert scene.said == [(1, "enter", "moved", 0), (1, "exit", "zone_changed", 60)]
    assert (scene.last.inside, scene.last.accepted) == (0, 5)


@TRACKERS
def test_user_lost_before_the_zone_ends_leaves_it_lost(index: Index) -> None:
    scene = Scene(index, replace(Z, valid_to_ms=noon_ms + 1_000_000)).at(0, INSIDE).at(2000)
    assert scene.said[1:] == [(1, "exit", "lost", 900)]


@TRACKERS
def test_an_edit_may_end_a_zone_and_bring_it_back(index: Index) -> None:
    ended = replace(Z, valid_to_ms=noon_ms + 1000)
    scene = Scene(index, Z).at(0, INSIDE).edit(5, ended).at(10, INSIDE).edit(15, Z).at(20, INSIDE)
    assert [(kind, reason, second) for _, kind, reason, second in scene.said] == [
        ("enter", "moved", 0),
        ("exit", "zone_changed", 5),
        ("enter", "zone_changed", 15),
    ]


@TRACKERS
def test_zone_that_has_ended_stays_gone_after_a_restart(index: Index) -> None:
    ends = replace(Z, valid_to_ms=noon_ms + 60_000)
    scene = Scene(index, ends).at(0, INSIDE).at(61)
    heir = Engine(ZoneSet.of([ends]), index=index, default_vehicle=LADEN, config=EngineConfig(approach=None))
    heir.load(scene.engine.snapshot())
    scene.engine = heir
    scene.at(62, INSIDE)
    assert len(scene.said) == 2
    assert scene.last.inside == 0


@TRACKERS
def test_who_agrees_while_inside_is_warned_once(index: Index) -> None:
    scene = Scene(index, Z, vehicle=replace(LADEN, consent_warnings=False)).at(0, INSIDE)
    assert scene.warned == []
    for second, consents in ((10, True), (20, False), (30, True)):
        scene.engine.put_vehicles([replace(LADEN, consent_warnings=consents)])
        scene.at(second)
    assert scene.warned == ["vehicle_changed"]


@TRACKERS
def test_who_is_lost_is_not_warned_about_his_new_vehicle(index: Index) -> None:
    scene = Scene(index, HEAVY, vehicle=EMPTY).at(0, INSIDE)
    scene.engine.put_vehicles([LADEN])
    assert scene.at(1000).warned == []


def test_venue_that_has_ended_is_not_entered() -> None:
    shop = box_zone("v", kind=ZoneKind.VENUE)
    scene = Scene(CellIndex, replace(shop, valid_to_ms=noon_ms)).at(5, INSIDE)
    assert scene.said == []


@TRACKERS
def test_of_a_forgotten_user_nobody_knows_mutes_or_permits(index: Index) -> None:
    permit = Permit("z", noon_ms - 1000, noon_ms + 3_600_000)
    scene = Scene(index, Z)
    scene.engine.put_vehicles([replace(LADEN, permits=(permit,))])
    scene.engine.mute(1, "z", None)
    scene.hear(scene.engine.forget([1], noon_ms))
    assert len(scene.engine.wishes.entries()) == 0
    assert scene.at(5, INSIDE).warned == ["enter"]


@TRACKERS
def test_each_decision_of_a_visit_that_is_reopened_has_a_key_of_its_own(index: Index) -> None:
    scene = Scene(index, Z, vehicle=replace(LADEN, consent_warnings=False)).at(0, INSIDE)
    keys = [alert.alert_id for alert in scene.last.alerts]
    scene.engine.mute(1, "z", None)
    for second, consents in ((10, True), (20, False), (30, True)):
        if second == 30:
            scene.engine.unmute(1, "z")
        scene.engine.put_vehicles([replace(LADEN, consent_warnings=consents)])
        keys += [alert.alert_id for alert in scene.at(second).last.alerts]
    assert scene.warned == ["vehicle_changed"]
    assert len(keys) == len(set(keys)) == 3
