"""What users do not want to hear: by zone id at the border, through growth, edits and restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geo_engine.alerting.kernels import QUIET_ZONE, slot_of
from geo_engine.alerting.policy import Policy, QuietHours
from geo_engine.alerting.wishes import FOREVER_MS, Wishes
from geo_engine.engine import Engine, EngineConfig
from geo_engine.errors import ConfigurationError
from geo_engine.model import Mute, SuppressReason, Vehicle, ZoneKind
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.zones.zoneset import ZoneSet

A, B, C = (box_zone(name) for name in "abc")
ZONES = ZoneSet.of([A, B])
NIGHT_MS = noon_ms + 11 * 3_600_000


def ends_of(wishes: Wishes, u7: int, *positions: int) -> list[int]:
    slots = (slot_of(wishes.slots, u7 << 24 | position) for position in positions)
    return [int(wishes.slots[slot, 1]) if wishes.slots[slot, 0] else 0 for slot in slots]


def reasons(engine: Engine, u7: int = 1, at_ms: int = noon_ms) -> list[str]:
    step = engine.process(straight_drive(u7, pings=1, lon=114.305, start_ms=at_ms), at_ms)
    return [alert.reason for alert in step.alerts]


def engine_of(zones: ZoneSet | None = None, **policy: object) -> Engine:
    config = EngineConfig(policy=Policy(**policy))
    return Engine(zones or ZoneSet.of([A]), default_vehicle=Vehicle(u7=0), config=config)


def test_a_muted_zone_is_not_told_and_others_are() -> None:
    engine = engine_of(ZONES, cooldown_s=0.0)
    engine.mute(1, "a", None)
    assert reasons(engine) == [SuppressReason.MUTED, "enter"]
    assert reasons(engine, u7=2) == ["enter", SuppressReason.DIGESTED]


@pytest.mark.parametrize(("until_ms", "expected"), [(noon_ms + 1, "muted"), (noon_ms, "enter"), (None, "muted")])
def test_a_mute_holds_up_to_its_end(until_ms: int | None, expected: str) -> None:
    engine = engine_of()
    engine.mute(1, "a", until_ms)
    assert reasons(engine) == [expected]


def test_a_mute_that_is_taken_back_is_over() -> None:
    engine = engine_of()
    engine.mute(1, "a", None)
    engine.unmute(1, "a")
    engine.unmute(1, "no such zone")
    assert reasons(engine) == ["enter"]
    assert len(engine.wishes) == 0


def test_a_mute_follows_its_zone_through_edits_and_waits_while_the_zone_is_gone() -> None:
    wishes = Wishes(ZONES)
    wishes.mute(Mute(1, "a"))
    wishes.mute(Mute(1, "b", 77))
    wishes.mute(Mute(2, "c", 99))
    wishes.keep_quiet(1, QuietHours(60, 120))
    edited = ZoneSet.of([C, B], revision=2)
    wishes.rezone(edited, np.array([-1, edited.position["b"]]))
    assert ends_of(wishes, 1, edited.position["b"], edited.position["c"], QUIET_ZONE) == [77, 0, 1 + 60 * 1440 + 120]
    assert ends_of(wishes, 2, edited.position["c"]) == [99]
    assert wishes.aside() == [(1, "a", FOREVER_MS)]
    back = ZoneSet.of([A, B], revision=3)
    moved = np.array([back.position.get(zone.zone_id, -1) for zone in edited.zones])
    wishes.rezone(back, moved)
    assert ends_of(wishes, 1, back.position["a"], back.position["b"]) == [FOREVER_MS, 77]
    assert wishes.aside() == [(2, "c", 99)]


def test_a_mute_survives_the_publication_of_other_zones() -> None:
    engine = engine_of()
    engine.mute(1, "a", None)
    engine.publish(ZoneSet.of([box_zone("0"), A], revision=2), noon_ms - 1000)
    assert sorted(reasons(engine)) == ["enter", "muted"]


def test_wishes_are_in_the_snapshot_and_the_store_knows_better() -> None:
    engine, second = engine_of(), engine_of()
    engine.mute(1, "a", None)
    engine.mute(3, "elsewhere", 5)
    engine.keep_quiet(2, QuietHours(0, 60))
    second.load(engine.snapshot())
    assert len(second.wishes) == 3
    assert second.wishes.aside() == [(3, "elsewhere", 5)]
    second.wishes.replace([], [])
    assert reasons(second) == ["enter"]
    assert len(second.wishes) == 0


def test_everything_a_user_said_is_forgotten_together_and_nothing_of_others() -> None:
    wishes = Wishes(ZONES)
    for u7 in (1, 2):
        wishes.mute(Mute(u7, "a"))
        wishes.mute(Mute(u7, "gone"))
        wishes.keep_quiet(u7, QuietHours(1, 2))
    wishes.forget(np.array([1]))
    assert (len(wishes), wishes.aside()) == (3, [(2, "gone", FOREVER_MS)])
    assert ends_of(wishes, 1, 0, QUIET_ZONE) == [0, 0]


def test_the_table_grows_and_keeps_every_wish() -> None:
    wishes = Wishes(ZONES)
    for u7 in range(2000):
        wishes.mute(Mute(u7, "ab"[u7 % 2], u7 + 1))
    for u7 in range(0, 2000, 2):
        wishes.unmute(u7, "a")
    for u7 in range(2000, 4000):
        wishes.mute(Mute(u7, "b", u7 + 1))
    assert len(wishes) == 3000
    assert [ends_of(wishes, u7, 0, 1) for u7 in (0, 1, 3999)] == [[0, 0], [0, 2], [0, 4000]]


@pytest.mark.parametrize("u7", [-1, 10_000_000])
def test_a_wish_of_nobody_is_refused(u7: int) -> None:
    with pytest.raises(ValueError, match="expected 0"):
        engine_of().mute(u7, "a", None)


@pytest.mark.parametrize(
    ("kind", "hours", "expected"),
    [
        (ZoneKind.CONSTRUCTION, None, "quiet_hours"),
        (ZoneKind.TRUCK_RESTRICTION, None, "enter"),
        (ZoneKind.CONSTRUCTION, QuietHours(0, 0), "enter"),
        (ZoneKind.CONSTRUCTION, QuietHours(22 * 60, 23 * 60), "enter"),
        (ZoneKind.CONSTRUCTION, QuietHours(23 * 60, 5), "quiet_hours"),
    ],
)
def test_quiet_hours_hold_back_what_is_less_than_a_restriction(
    kind: ZoneKind, hours: QuietHours | None, expected: str
) -> None:
    engine = engine_of(ZoneSet.of([replace(A, kind=kind)]))
    engine.keep_quiet(1, hours)
    assert reasons(engine, at_ms=NIGHT_MS) == [expected]


def test_own_quiet_hours_that_are_taken_back_leave_those_of_the_policy() -> None:
    engine = engine_of(ZoneSet.of([replace(A, kind=ZoneKind.CONSTRUCTION)]))
    engine.keep_quiet(1, QuietHours(0, 0))
    engine.keep_quiet(1, None)
    assert reasons(engine, at_ms=NIGHT_MS) == ["quiet_hours"]


@pytest.mark.parametrize(
    ("text", "expected"), [("22:00-07:00", (1320, 420)), ("", (0, 0)), (" 00:00-23:59", (0, 1439))]
)
def test_quiet_hours_are_read_from_a_text(text: str, expected: tuple[int, int]) -> None:
    hours = QuietHours.parse(text)
    assert (hours.from_min, hours.until_min) == expected


@pytest.mark.parametrize("text", ["22-7", "24:00-07:00", "22:00–07:00", "22:60-07:00", "always"])
def test_other_texts_are_no_quiet_hours(text: str) -> None:
    with pytest.raises(ConfigurationError, match="22:00-07:00"):
        QuietHours.parse(text)
    with pytest.raises(ConfigurationError, match="1439"):
        QuietHours(0, 1440)


def test_mute_is_known_by_zone_id_until_its_end_also_of_a_zone_that_is_not_there() -> None:
    wishes = Wishes(ZoneSet.of([box_zone("a")]))
    for zone_id in ("a", "gone"):
        wishes.mute(Mute(7, zone_id, 100))
        assert (wishes.mutes(7, zone_id, 99), wishes.mutes(7, zone_id, 100)) == (True, False)
        assert not wishes.mutes(8, zone_id, 99)
        wishes.unmute(7, zone_id)
        assert not wishes.mutes(7, zone_id, 99)
