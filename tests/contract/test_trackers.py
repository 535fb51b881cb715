"""The contract of every tracker: the compiled step and the columns decide the same, whatever the pings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geo_engine import Decisions, Engine, EngineConfig, PingBatch, ZoneSet
from geo_engine.compiled import COMPILED
from geo_engine.index import BruteForceIndex, CellIndex, RtreeIndex, ZoneIndex
from geo_engine.model import RejectReason, Visit, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.fused import FusedTracker
from geo_engine.tracking.packing import arrange
from geo_engine.tracking.screening import JumpLimits
from geo_engine.zones.schedule import Schedule
from tests.contract.streams import CONFIGS, batches_of, slow_drives, streams, visits
from tests.contract.trackers import assert_alike, engine_with, told
from tests.examples import examples


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@examples(60)
@given(stream=streams, stored=visits)
def test_compiled_step_decides_as_the_columns_do(config: EngineConfig, stream: list, stored: list[Visit]) -> None:
    engines = (engine_with(CellIndex, fused=True, config=config), engine_with(RtreeIndex, fused=False, config=config))
    for engine in engines:
        engine.restore(stored, {1: 1}, now_ms=noon_ms - 10_000)
    assert_alike(engines, batches_of(stream))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@examples(30)
@given(stream=slow_drives)
def test_compiled_step_decides_as_the_columns_do_of_slow_and_vague_drivers(config: EngineConfig, stream: list) -> None:
    engines = (engine_with(CellIndex, fused=True, config=config), engine_with(RtreeIndex, fused=False, config=config))
    assert_alike(engines, batches_of(stream))


@pytest.mark.parametrize("index", [BruteForceIndex, CellIndex], ids=["brute", "cells"])
@examples(15)
@given(stream=streams, config=st.sampled_from(list(CONFIGS.values())))
def test_columns_over_any_index_decide_as_the_compiled_step_does(
    index: Callable[[ZoneSet], ZoneIndex], stream: list, config: EngineConfig
) -> None:
    engines = (engine_with(CellIndex, fused=True, config=config), engine_with(index, fused=False, config=config))
    assert_alike(engines, batches_of(stream))


KINDS = pytest.mark.parametrize("fused", [True, False], ids=["fused", "columns"])


def in_parts(engine: Engine, pings: PingBatch, cuts: list[int]) -> list[Decisions]:
    """Feed pings in order of time, cut between moments at the given places."""
    moments = np.unique(pings.time_ms)
    bounds = sorted({0, len(moments), *(cut % (len(moments) + 1) for cut in cuts)})
    steps = []
    for low, high in pairwise(bounds):
        part = pings.take(np.isin(pings.time_ms, moments[low:high]))
        steps.append(engine.process(part, int(part.time_ms.max())))
    return steps


def reported(steps: list[Decisions]) -> list[tuple]:
    columns = ("time_ms", "u7", "zone", "kind", "reason", "lon", "lat")
    rows = [zip(*(getattr(step.transitions, name).tolist() for name in columns), strict=True) for step in steps]
    return [tuple(map(str, row)) for step in rows for row in step]


@KINDS
@pytest.mark.parametrize("name", ["exact", "replay", "brief", "learning"])
@examples(40)
@given(stream=streams, cuts=st.lists(st.integers(0, 100), max_size=12), order=st.randoms(use_true_random=False))
def test_batches_of_any_size_in_any_order_give_the_same_transitions_and_warnings(
    fused: bool, name: str, stream: list, cuts: list[int], order: Random
) -> None:
    pings = PingBatch.concat([batch for batch, _ in batches_of(stream)])
    assume(len(pings))
    rows = [*range(len(pings)), *range(0, len(pings), 3)]
    order.shuffle(rows)
    one, other = (engine_with(CellIndex, fused=fused, config=CONFIGS[name]) for _ in range(2))
    whole = in_parts(one, pings, [])
    parts = in_parts(other, pings.take(np.array(rows)), cuts)
    assert reported(whole) == reported(parts)
    # A warning may be decided in another step, but not otherwise.
    assert [told(alert) for step in whole for alert in step.alerts] == [
        told(alert) for step in parts for alert in step.alerts
    ]
    assert whole[-1].inside == parts[-1].inside


def stand(u7: int, at_s: list[float], *, lon: float = 114.305) -> PingBatch:
    """Return pings of a user who stands still, at seconds after noon."""
    count = len(at_s)
    return PingBatch.from_columns(
        [u7] * count, [noon_ms + round(s * 1000) for s in at_s], [lon] * count, [30.6] * count
    )


def opening_zone(hours: str = "12:01-13:00") -> ZoneSet:
    return ZoneSet.of([box_zone("z", schedule=Schedule.parse(hours, "Asia/Shanghai"))])


@KINDS
def test_opening_that_a_late_ping_uncovers_is_told_also_when_an_absurd_ping_follows_it(fused: bool) -> None:
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=opening_zone())
    engine.process(PingBatch.empty(), noon_ms + 62_000)
    absurd = PingBatch.from_columns([0], [noon_ms + 31_000], [114.9], [30.6])
    step = engine.process(PingBatch.concat([stand(0, [30.0]), absurd]), noon_ms + 63_000)
    assert step.rejects.reasons() == (RejectReason.SPEED_JUMP,)
    assert [(alert.time_ms, alert.trigger.value, alert.send) for alert in step.alerts] == [
        (noon_ms + 60_000, "window_opened", True)
    ]


@KINDS
def test_absurd_ping_alone_tells_no_opening_again(fused: bool) -> None:
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=opening_zone())
    engine.process(stand(0, [30.0]), noon_ms + 30_000)
    assert len(engine.process(PingBatch.empty(), noon_ms + 62_000).alerts) == 1
    step = engine.process(stand(0, [31.0], lon=114.9), noon_ms + 63_000)
    assert step.rejects.reasons() == (RejectReason.SPEED_JUMP,)
    assert (len(step.alerts), len(step.transitions)) == (0, 0)


@KINDS
def test_same_absurd_ping_sent_again_counts_once(fused: bool) -> None:
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=opening_zone())
    engine.process(stand(0, [0.0]), noon_ms)
    for _ in range(6):
        assert engine.process(stand(0, [1.0], lon=116.0), noon_ms + 1000).accepted == 0
    taken = [engine.process(stand(0, [second], lon=116.0), noon_ms + 9000).accepted for second in (2.0, 3.0, 4.0)]
    assert taken == [0, 0, 1]


@KINDS
def test_opening_before_the_user_left_is_told_and_one_after_is_not(fused: bool) -> None:
    for left_s, warnings in ((59.0, 0), (61.0, 1)):
        engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=opening_zone())
        pings = PingBatch.concat([stand(0, [0.0]), stand(0, [left_s], lon=114.3101)])
        step = engine.process(pings, noon_ms + 65_000)
        assert len(step.alerts) == warnings


@KINDS
def test_block_is_watched_from_the_last_ping_and_not_from_one_before_it(fused: bool) -> None:
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=opening_zone())
    step = engine.process(stand(0, [0.0, 5.0, 10.0]), noon_ms + 10_000)
    assert step.next_deadline_ms == noon_ms + 60_000
    step = engine.process(PingBatch.empty(), noon_ms + 3_600_000 - 1)
    assert step.transitions.time_ms.tolist() == [noon_ms + 910_000]


@KINDS
def test_more_events_than_the_room_at_hand_are_all_reported(fused: bool) -> None:
    stack = ZoneSet.of([box_zone(f"z{n:03}", kind=ZoneKind.VENUE) for n in range(300)])
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=stack)
    pings = PingBatch.concat([stand(u7, [0.0, 5.0]) for u7 in range(12)])
    step = engine.process(pings, noon_ms + 5000)
    assert len(step.transitions) == step.inside == 12 * 300
    assert np.unique(step.transitions.u7 * 1000 + step.transitions.zone).size == 3600


@KINDS
@pytest.mark.parametrize("believe_after", [0, 2, 255])
def test_new_place_is_believed_after_exactly_so_many_absurd_pings(fused: bool, believe_after: int) -> None:
    config = EngineConfig(jumps=JumpLimits(believe_after=believe_after))
    engine = engine_with(CellIndex, fused=fused, config=config, zones=opening_zone())
    engine.process(stand(0, [0.0]), noon_ms)
    # Each ping comes alone, so that the count passes through the row.
    taken = [engine.process(stand(0, [n / 1000], lon=116.0), noon_ms + n).accepted for n in range(1, believe_after + 2)]
    assert taken == [0] * believe_after + [1]


@KINDS
def test_each_unusable_ping_is_rejected_by_its_first_fault(fused: bool) -> None:
    good = {"u7": 0, "time_ms": noon_ms, "lon": 114.305, "lat": 30.6, "accuracy_m": 5.0}
    faults: list[tuple[dict[str, float], RejectReason]] = [
        ({"u7": -1, "lon": 999.0}, RejectReason.U7_OUT_OF_RANGE),
        ({"u7": 10_000_000}, RejectReason.U7_OUT_OF_RANGE),
        ({"lon": np.nan, "lat": 91.0}, RejectReason.NOT_FINITE),
        ({"lat": -np.inf}, RejectReason.NOT_FINITE),
        ({"lon": 180.1}, RejectReason.LON_OUT_OF_RANGE),
        ({"lon": -180.1, "lat": 91.0}, RejectReason.LON_OUT_OF_RANGE),
        ({"lat": 90.1}, RejectReason.LAT_OUT_OF_RANGE),
        ({"lat": -90.1}, RejectReason.LAT_OUT_OF_RANGE),
        ({"time_ms": 0}, RejectReason.TIME_OUT_OF_RANGE),
        ({"time_ms": 4_102_444_800_000}, RejectReason.TIME_OUT_OF_RANGE),
        ({"time_ms": noon_ms + 300_001, "accuracy_m": 900.0}, RejectReason.FUTURE),
        ({"time_ms": noon_ms - 600_001, "accuracy_m": 900.0}, RejectReason.LATE),
        ({"accuracy_m": 200.1}, RejectReason.INACCURATE),
    ]
    rows = [good, *({**good, **fault} for fault, _ in faults)]
    columns = {name: [row[name] for row in rows] for name in good}
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=opening_zone())
    step = engine.process(PingBatch.from_columns(**columns), noon_ms)
    assert step.rejects.row.tolist() == list(range(1, len(rows)))
    assert step.rejects.reasons() == tuple(reason for _, reason in faults)
    assert (step.accepted, step.inside) == (1, 1)


@KINDS
def test_without_limits_any_step_is_one_and_crosses_what_lies_on_its_way(fused: bool) -> None:
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig.exact(), zones=opening_zone())
    step = engine.process(PingBatch.concat([stand(0, [0.0], lon=100.0), stand(0, [1.0], lon=120.0)]), noon_ms + 1000)
    assert [kind.value for kind in step.transitions.kinds()] == ["cross"]
    over_the_line = PingBatch.concat([stand(0, [2.0], lon=-100.0), stand(0, [3.0], lon=130.0)])
    assert len(engine.process(over_the_line, noon_ms + 3000).transitions) == 0


@KINDS
@pytest.mark.parametrize(
    ("speed_mps", "heading_deg"), [(20.0, np.inf), (20.0, -np.inf), (-np.inf, 90.0), (-1.0, 270.0)]
)
def test_what_no_device_can_mean_is_not_believed(fused: bool, speed_mps: float, heading_deg: float) -> None:
    engine = engine_with(CellIndex, fused=fused, config=EngineConfig(), zones=ZoneSet.of([box_zone("z")]))
    ping = PingBatch.from_columns([0], [noon_ms], [114.299], [30.6], speed_mps=[speed_mps], heading_deg=[heading_deg])
    step = engine.process(ping, noon_ms)
    assert (step.accepted, len(step.transitions)) == (1, 0)


def test_fused_step_refuses_an_index_that_is_not_compiled() -> None:
    engine = engine_with(RtreeIndex, fused=False, config=EngineConfig())
    with pytest.raises(TypeError, match="found a ground with RtreeIndex, expected CellIndex"):
        FusedTracker(engine._users, engine._running.sets, engine._running.ground, engine.config.limits())


@pytest.mark.skipif(not COMPILED, reason="kernels are not compiled here")
def test_no_layout_of_the_columns_is_compiled_anew() -> None:
    engine = engine_with(CellIndex, fused=True, config=EngineConfig())
    engine.process(stand(0, [0.0, 1.0]), noon_ms + 1000)
    before = len(arrange.signatures)
    lent = stand(0, [2.0, 3.0])
    for column in (lent.lon, lent.time_ms):
        column.flags.writeable = False
    small = PingBatch(*(np.asarray(getattr(stand(0, [8.0]), name)) for name in PingBatch.__slots__))
    for batch in (
        lent,
        stand(0, [4.0, 5.0, 6.0, 7.0]).take(slice(0, 4, 2)),
        replace(small, u7=small.u7.astype(np.int32)),
    ):
        assert engine.process(batch, noon_ms + 9000).accepted == len(batch)
    assert len(arrange.signatures) == before
