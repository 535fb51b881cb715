"""A restart from a snapshot: everything goes on as if there had been none, but for what was told meanwhile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.recfunctions import repack_fields

from geo_engine import Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.errors import SnapshotError
from geo_engine.index import CellIndex, RtreeIndex
from geo_engine.model import RejectReason, SuppressReason, VehicleKind, Visit, ZoneKind
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.tracking.snapshot import pack, unpack
from geo_engine.tracking.state import PACKED_ROW
from tests.contract.streams import CONFIGS, DRIVER, USERS, VEHICLES, WORLD, batches_of, streams
from tests.contract.trackers import assert_alike, engine_with
from tests.examples import examples

Z = box_zone("z")


def engine_of(*zones: ZoneSet, vehicles: tuple[Vehicle, ...] = ()) -> Engine:
    return Engine(ZoneSet.of([Z]), default_vehicle=DRIVER, vehicles=vehicles)


@examples(50)
@given(
    stream=streams,
    cut=st.integers(0, 6),
    config=st.sampled_from(list(CONFIGS.values())),
    fused=st.tuples(st.booleans(), st.booleans()),
)
def test_stream_goes_on_after_a_restart_as_without_it(
    stream: list, cut: int, config: object, fused: tuple[bool, bool]
) -> None:
    batches = batches_of(stream)
    one = engine_with(CellIndex, fused=fused[0], config=config)
    for batch, now_ms in batches[:cut]:
        one.process(batch, now_ms)
    # The snapshot does not say which tracker wrote it, so any can go on from it.
    other = engine_with(CellIndex, fused=fused[1], config=config)
    other.load(bytes(one.snapshot()))
    assert_alike((one, other), batches[cut:])
    assert_alike((one, other), [(PingBatch.empty(), batches[-1][1] + 10**7)])


def test_vehicles_may_be_told_after_the_load_as_well() -> None:
    first = Engine(WORLD, vehicles=VEHICLES, default_vehicle=DRIVER)
    drive = straight_drive(1, pings=20, lon=114.299)
    for row in range(10):
        first.process(drive.take(slice(row, row + 1)), int(drive.time_ms[row]))
    second = Engine(WORLD, default_vehicle=DRIVER)
    second.load(first.snapshot())
    second.put_vehicles(VEHICLES)
    assert_alike((first, second), [(drive.take(slice(10, 20)), int(drive.time_ms[19]))])


def test_consent_withdrawn_after_the_snapshot_stays_withdrawn() -> None:
    first = engine_of()
    saved = first.snapshot()
    second = engine_of(vehicles=(Vehicle(u7=1, consent_warnings=False),))
    second.load(saved)
    (alert,) = second.process(straight_drive(1, pings=1, lon=114.305), noon_ms).alerts
    assert alert.reason == SuppressReason.NO_CONSENT


def test_consent_and_vehicle_of_the_snapshot_do_not_speak_for_a_user_who_is_told_about_again() -> None:
    first = engine_of(vehicles=(Vehicle(u7=1, consent_warnings=False),))
    first.process(straight_drive(1, pings=1), noon_ms)
    second = engine_of(vehicles=(replace(DRIVER, u7=1),))
    second.load(first.snapshot())
    later = straight_drive(1, pings=1, lon=114.2999, start_ms=noon_ms + 300_000)
    second.process(later, noon_ms + 300_000)
    inside = straight_drive(1, pings=1, lon=114.301, start_ms=noon_ms + 305_000)
    (alert,) = second.process(inside, noon_ms + 305_000).alerts
    assert alert.send


def test_warnings_of_the_day_are_still_counted() -> None:
    first = engine_of()
    first.restore([], {1: 20}, now_ms=noon_ms)
    first.process(straight_drive(1, pings=1), noon_ms)
    second = engine_of()
    second.load(first.snapshot())
    step = second.process(straight_drive(1, pings=1, lon=114.305, start_ms=noon_ms + 600_000), noon_ms + 600_000)
    assert [alert.reason for alert in step.alerts] == [SuppressReason.CAP]


def test_count_of_a_user_who_was_restored_and_not_seen_yet_is_in_the_snapshot() -> None:
    first, second = engine_of(), engine_of()
    first.restore([], {8000: 20}, now_ms=noon_ms)
    second.load(first.snapshot())
    step = second.process(straight_drive(8000, pings=1, lon=114.305), noon_ms)
    assert [alert.reason for alert in step.alerts] == [SuppressReason.CAP]


@pytest.mark.parametrize(("told_ms", "lost_after_s"), [(None, 900), (noon_ms + 1_800_000, 2700)])
def test_silence_counts_from_the_restart_only_where_nobody_could_be_heard(
    told_ms: int | None, lost_after_s: int
) -> None:
    first, second = engine_of(), engine_of()
    first.process(straight_drive(1, pings=1, lon=114.305), noon_ms)
    second.load(first.snapshot(), now_ms=told_ms)
    step = second.process(PingBatch.empty(), noon_ms + 1_800_001)
    assert len(step.transitions) == (told_ms is None)
    gone = [*step.transitions.time_ms, *second.process(PingBatch.empty(), noon_ms + 10**7).transitions.time_ms]
    assert gone == [noon_ms + lost_after_s * 1000]


def test_restored_users_without_a_position_are_in_the_snapshot() -> None:
    visit = Visit(1, "z", noon_ms - 9000, noon_ms - 5000, open=True, inside=True, decided=True)
    first, second = engine_of(), engine_of()
    first.restore([visit], {}, now_ms=noon_ms)
    second.load(first.snapshot())
    assert_alike((first, second), [(PingBatch.empty(), noon_ms + 899_999), (PingBatch.empty(), noon_ms + 900_000)])


def test_ten_users_make_a_small_snapshot() -> None:
    engine = engine_of()
    users = np.arange(10)
    engine.process(PingBatch.from_columns(users, [noon_ms] * 10, [114.305] * 10, [30.6] * 10), noon_ms)
    assert len(engine.snapshot()) < 300_000
    assert len(Engine(ZoneSet.of([Z])).snapshot()) < 100_000


@pytest.mark.parametrize(("seen_s", "reasons"), [(600, ()), (-1, (RejectReason.SPEED_JUMP,))])
def test_place_before_the_last_visit_makes_no_speed_jump(seen_s: int, reasons: tuple) -> None:
    first, second = engine_of(), engine_of()
    stood = straight_drive(1, pings=1, lon=114.305)
    for second_s in (0, 5):
        first.process(replace(stood, time_ms=stood.time_ms + second_s * 1000), noon_ms + second_s * 1000)
    second.load(first.snapshot(), now_ms=noon_ms + 600_000)
    seen = Visit(1, "z", noon_ms, noon_ms + seen_s * 1000, open=True, inside=False, decided=True)
    second.restore([seen], {}, now_ms=noon_ms + 601_000)
    assert len(second.positions()[0]) == len(reasons)
    # 20 km away; five seconds after the visit, or ten after the snapshot.
    at_ms = noon_ms + max(seen_s * 1000, 10_000) + 5000
    step = second.process(straight_drive(1, pings=1, lon=114.5, start_ms=at_ms), noon_ms + 610_000)
    assert step.rejects.reasons() == reasons
    assert [kind.value for kind in step.transitions.kinds()] in ([], ["exit"])


@pytest.mark.parametrize("left_out", ["back_lon", "still_s"])
def test_snapshot_with_rows_of_another_layout_is_refused_and_changes_nothing(left_out: str) -> None:
    first, second = engine_of(), engine_of()
    first.process(straight_drive(1, pings=1, lon=114.305), noon_ms)
    facts, arrays = unpack(first.snapshot())
    names = [name for name in PACKED_ROW.names or () if name != left_out]
    old = pack(facts, {**arrays, "rows": repack_fields(arrays["rows"][names])})
    with pytest.raises(SnapshotError, match=r"found a snapshot with user rows of .* expected 56 bytes"):
        second.load(old)
    assert len(second.positions()[0]) == 0


@pytest.mark.parametrize("zones", [[], [Z, box_zone("y")], [box_zone("y")]])
def test_snapshot_of_other_zones_is_refused(zones: list) -> None:
    with pytest.raises(SnapshotError, match="found a snapshot of 1 zones with other ids"):
        Engine(ZoneSet.of(zones)).load(engine_of().snapshot())


def test_damaged_snapshot_is_refused_and_changes_nothing() -> None:
    first, second = engine_of(), engine_of()
    first.process(straight_drive(1, pings=1, lon=114.305), noon_ms)
    saved = first.snapshot()
    for broken in (saved[:-1], saved[: len(saved) // 2], b"", bytes(saved[:-70]) + b"\1" + bytes(saved[-69:])):
        with pytest.raises(SnapshotError):
            second.load(broken)
    assert len(second.positions()[0]) == 0
    assert second.process(PingBatch.empty(), noon_ms).inside == 0


def test_snapshot_after_an_edit_belongs_to_the_edited_zones() -> None:
    first = Engine(ZoneSet.of([Z]), default_vehicle=DRIVER, index=RtreeIndex)
    first.process(straight_drive(1, pings=1, lon=114.305), noon_ms)
    edited = ZoneSet.of([box_zone("a", kind=ZoneKind.VENUE), Z], revision=2)
    first.publish(edited, noon_ms + 1000)
    second = Engine(edited, default_vehicle=DRIVER)
    second.load(first.snapshot())
    assert_alike(
        (first, second), [(straight_drive(1, pings=9, lon=114.3095, start_ms=noon_ms + 30_000), noon_ms + 75_000)]
    )


def test_vehicle_kinds_are_those_of_the_new_engine() -> None:
    first = engine_of(vehicles=(Vehicle(u7=USERS[-1], kind=VehicleKind.CAR),))
    second = engine_of()
    second.load(first.snapshot())
    assert len(second.process(straight_drive(USERS[-1], pings=1, lon=114.305), noon_ms).alerts) == 1
