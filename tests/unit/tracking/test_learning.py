"""Learning while pings are judged: all turn north at a crossing, and the next one is warned of what lies there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import shapely

from geo_engine import Engine, EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.compiled import COMPILED
from geo_engine.errors import ConfigurationError
from geo_engine.index import CellIndex, RtreeIndex, ZoneIndex
from geo_engine.model import AlertReason, ZoneKind
from geo_engine.testing import noon_ms, straight_drive
from geo_engine.tracking.chain import learnt_chain
from geo_engine.tracking.forecast import Prepared, outlooks_of
from geo_engine.tracking.learning import Learner, Learning
from geo_engine.tracking.learnt import Forecast
from geo_engine.tracking.roads import road_net
from geo_engine.zones.edit import Edit
from geo_engine.zones.zone import Zone

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is learnt where kernels are not compiled")

CROSSING_LON, LAT = 114.300, 30.6005
NORTH_BOX = shapely.box(114.299, 30.6030, 114.301, 30.61)
NORTH = Zone("north", ZoneKind.TRUCK_RESTRICTION, "north", NORTH_BOX)
AHEAD = Zone("ahead", ZoneKind.TRUCK_RESTRICTION, "ahead", shapely.box(114.3005, 30.6000, 114.31, 30.6010))
ZONES = ZoneSet.of([NORTH, AHEAD])
CONFIG = EngineConfig(max_lag_s=None, policy=Policy(stale_after_s=None))
INDEXES = pytest.mark.parametrize("index", [CellIndex, RtreeIndex], ids=["fused", "columns"])
HOUR_MS = 3_600_000


def turning(u7: int, start_ms: int) -> PingBatch:
    """Return a drive east to the crossing and north from there on."""
    back = straight_drive(u7, pings=20, lon=CROSSING_LON, lat=LAT, bearing_deg=270.0, start_ms=start_ms)
    east = PingBatch.from_columns(back.u7, back.time_ms, back.lon[::-1], back.lat[::-1])
    north = straight_drive(u7, pings=8, lon=CROSSING_LON, lat=LAT, bearing_deg=0.0, start_ms=int(east.time_ms[-1]))
    return PingBatch.concat([east, north.take(slice(1, 8))])


def history(start_ms: int, drivers: int = 12) -> PingBatch:
    """Return drivers who set out one after the other."""
    return PingBatch.concat([turning(u7, start_ms + u7 * 20_000) for u7 in range(1, drivers + 1)])


def run(engine: Engine, pings: PingBatch) -> list[tuple[str, float]]:
    """Feed pings moment by moment; return zone and seconds of each approach."""
    found = []
    for moment in np.unique(pings.time_ms).tolist():
        step = engine.process(pings.take(pings.time_ms == moment), moment)
        found += [(alert.zone_id, alert.eta_s) for alert in step.alerts if alert.trigger is AlertReason.APPROACH]
    return found


def learner_of(engine: Engine) -> Learner:
    assert engine._learner is not None
    return engine._learner


def places(found: list[tuple[str, float]]) -> list[str]:
    return [zone_id for zone_id, _ in found]


def engine_of(
    index: Callable[[ZoneSet], ZoneIndex] = CellIndex, *, consents: bool = True, config: EngineConfig = CONFIG
) -> Engine:
    return Engine(ZONES, config=config, index=index, default_vehicle=Vehicle(u7=0, consent_warnings=consents))


def learnt(index: Callable[[ZoneSet], ZoneIndex] = CellIndex) -> Engine:
    engine = engine_of(index)
    run(engine, history(noon_ms - HOUR_MS))
    engine.learn_now()
    return engine


@INDEXES
def test_driver_is_warned_of_the_zone_where_others_turned_and_not_of_the_one_straight_ahead(
    index: Callable[[ZoneSet], ZoneIndex],
) -> None:
    warned = run(learnt(index), turning(99, noon_ms))
    assert places(warned) == ["north"]
    assert 15.0 <= warned[0][1] <= 32.0


@INDEXES
def test_driver_is_warned_of_what_lies_straight_ahead_where_nothing_was_learnt(
    index: Callable[[ZoneSet], ZoneIndex],
) -> None:
    assert "ahead" in places(run(engine_of(index), turning(99, noon_ms)))


def test_nothing_is_learnt_from_drivers_who_did_not_agree() -> None:
    engine = engine_of(consents=False)
    run(engine, history(noon_ms - HOUR_MS))
    engine.learn_now()
    engine.put_vehicles([Vehicle(u7=99, consent_warnings=True)])
    assert "ahead" in places(run(engine, turning(99, noon_ms)))


def test_forecast_is_renewed_by_itself_in_the_second_period_after() -> None:
    engine = engine_of()
    begin_ms = noon_ms - noon_ms % 600_000
    run(engine, history(begin_ms - 590_000))
    assert "ahead" in places(run(engine, turning(98, begin_ms + 10_000)))
    assert places(run(engine, turning(99, begin_ms + 610_000))) == ["north"]


def test_forecast_computed_elsewhere_is_the_same_and_not_in_force_earlier() -> None:
    asked: list[Callable[[], Forecast]] = []

    def elsewhere(make: Callable[[], Forecast]) -> Callable[[], Forecast]:
        asked.append(make)
        made = make()
        return lambda: made

    begin_ms = noon_ms - noon_ms % 600_000
    pings = PingBatch.concat(
        [history(begin_ms - 590_000), turning(98, begin_ms + 10_000), turning(99, begin_ms + 610_000)]
    )
    one = engine_of()
    other = Engine(ZONES, config=CONFIG, default_vehicle=Vehicle(u7=0), background=elsewhere)
    assert run(one, pings) == run(other, pings)
    assert asked


def test_one_large_batch_renews_the_forecast_at_the_same_moments() -> None:
    begin_ms = noon_ms - noon_ms % 600_000
    pings = PingBatch.concat(
        [history(begin_ms - 590_000), turning(98, begin_ms + 10_000), turning(99, begin_ms + 610_000)]
    )
    step = engine_of().process(pings, int(pings.time_ms.max()))
    ours = [(alert.zone_id, alert.eta_s) for alert in step.alerts if alert.trigger is AlertReason.APPROACH]
    assert ours == run(engine_of(), pings)


@INDEXES
def test_what_was_learnt_survives_a_snapshot(index: Callable[[ZoneSet], ZoneIndex]) -> None:
    before = learnt(index)
    run(before, turning(50, noon_ms - 300_000))
    after = engine_of(index)
    after.load(before.snapshot())
    assert run(after, turning(99, noon_ms)) == run(before, turning(99, noon_ms)) != []


def test_forecast_on_its_way_survives_a_snapshot() -> None:
    begin_ms = noon_ms - noon_ms % 600_000
    before, after = engine_of(), engine_of()
    run(before, PingBatch.concat([history(begin_ms - 590_000), turning(98, begin_ms + 10_000)]))
    after.load(before.snapshot())
    drive = turning(99, begin_ms + 610_000)
    assert places(run(after, drive)) == places(run(before, drive)) == ["north"]


@INDEXES
def test_zone_drawn_later_is_foreseen_at_once_and_one_that_is_gone_no_more(
    index: Callable[[ZoneSet], ZoneIndex],
) -> None:
    engine = learnt(index)
    moved = replace(NORTH, geometry=shapely.box(114.299, 30.6045, 114.301, 30.61))
    engine.publish(ZoneSet.of([AHEAD, moved, replace(NORTH, zone_id="a")], revision=2), noon_ms - 1)
    assert set(places(run(engine, turning(99, noon_ms)))) == {"a", "north"}
    engine.publish(ZoneSet.of([AHEAD], revision=3), noon_ms + HOUR_MS)
    assert run(engine, turning(97, noon_ms + HOUR_MS + 1)) == []


def test_zone_drawn_while_a_forecast_is_made_is_in_it() -> None:
    begin_ms = noon_ms - noon_ms % 600_000
    engine = engine_of()
    run(engine, PingBatch.concat([history(begin_ms - 590_000), turning(98, begin_ms + 10_000)]))
    moved = replace(NORTH, geometry=shapely.box(114.299, 30.6025, 114.301, 30.61))
    engine.publish(ZoneSet.of([moved], revision=2), begin_ms + 300_000)
    assert places(run(engine, turning(99, begin_ms + 610_000))) == ["north"]


def test_known_road_is_followed_before_anything_was_learnt() -> None:
    road = shapely.LineString([(114.28, LAT), (CROSSING_LON, LAT), (CROSSING_LON, 30.61)])
    engine = Engine(ZONES, config=CONFIG, default_vehicle=Vehicle(u7=0), roads=road_net([road]))
    assert places(run(engine, turning(99, noon_ms))) == ["north"]


def test_edited_forecast_is_that_of_the_new_zones() -> None:
    moves = learner_of(learnt())._now.flow.moves()
    parts = shapely.MultiPolygon(
        [shapely.box(114.299, 30.6035, 114.301, 30.6040), shapely.box(114.29, 30.61, 114.3, 30.62)]
    )
    new = ZoneSet.of([replace(AHEAD, kind=ZoneKind.VENUE), replace(NORTH, geometry=parts), replace(AHEAD, zone_id="z")])
    index = CellIndex(new)
    fresh = Forecast.of(moves, None, new, index)
    edited = Forecast.of(moves, None, ZONES, CellIndex(ZONES)).after(Edit.between(ZONES, new), new, index)
    records = fresh.flow.listing.records
    assert records
    np.testing.assert_array_equal(edited.flow.listing.states, fresh.flow.listing.states)
    np.testing.assert_array_equal(edited.flow.listing.ahead[:records], fresh.flow.listing.ahead[:records])


def test_way_to_a_zone_of_two_parts_leads_to_the_nearer_one_also_beyond_the_180_degree_meridian() -> None:
    moves = learner_of(learnt())._now.flow.moves()
    prepared = Prepared.of(learnt_chain(moves).chain)
    far = shapely.box(-114.0, 30.0, -113.9, 30.1)
    for geometry in (NORTH_BOX, shapely.MultiPolygon([NORTH_BOX, far]), shapely.MultiPolygon([far, NORTH_BOX])):
        zones = ZoneSet.of([replace(NORTH, geometry=geometry)])
        found = outlooks_of(prepared, zones, CellIndex(zones), least_chance=0.1, most_eta_s=75.0).outlook
        assert len(found)
        assert np.hypot(found["east_m"].astype(float), found["north_m"].astype(float)).max() < 3_000


def test_of_more_steps_than_teach_anything_only_a_part_is_learnt() -> None:
    engine = engine_of(config=replace(CONFIG, learning=Learning(steps_a_period=10)))
    begin_ms = noon_ms - noon_ms % 600_000
    run(engine, history(begin_ms - 590_000))
    run(engine, turning(98, begin_ms + 1_000))
    assert learner_of(engine_of()).mask == 0
    assert learner_of(engine).mask > 0
    run(engine, turning(97, begin_ms + 601_000).take(slice(0, 4)))
    run(engine, turning(96, begin_ms + 1_201_000))
    assert learner_of(engine).mask == 0


@pytest.mark.parametrize("wrong", [{"every_s": 0.0}, {"steps_a_period": 0}, {"grown_by": -1.0}])
def test_senseless_learning_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="expected a period"):
        Learning(**wrong)
