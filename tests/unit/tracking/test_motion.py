"""Motion and look-ahead: whom the device tells, whom the steps tell, and who is standing."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo_engine import Engine, EngineConfig, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.policy import Policy
from geo_engine.model import AlertReason, VehicleKind, ZoneKind
from geo_engine.testing import box_zone, straight_drive
from geo_engine.tracking.approach_policy import ApproachPolicy
from geo_engine.tracking.motion import Motion
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.zone import Zone
from tests.unit.tracking.walks import walk


def motion_of(pings: PingBatch) -> list[Motion]:
    return [motion for _, motion in walk(pings)]


def speeds(motion: list[Motion]) -> list[float]:
    return [float(one.speed_mps[0]) for one in motion]


@pytest.mark.parametrize("bearing_deg", [0.0, 45.0, 90.0, 200.0, 315.0])
def test_two_positions_tell_speed_and_direction(bearing_deg: float) -> None:
    motion = motion_of(straight_drive(1, pings=3, bearing_deg=bearing_deg, speed_mps=12.0))
    assert np.isnan(speeds(motion)[0])
    # The state keeps whole centimetres a second, and half a centimetre is 0.02 degrees of 12 m.
    assert speeds(motion)[1:] == pytest.approx([12.0, 12.0], abs=0.01)
    heading = np.degrees(np.arctan2(motion[2].east_mps, motion[2].north_mps)) % 360.0
    assert heading == pytest.approx([bearing_deg], abs=0.07)


def test_device_is_believed_before_the_positions() -> None:
    pings = PingBatch.from_columns(
        [1, 1],
        [10**12, 10**12 + 5000],
        [114.0, 114.0],
        [30.0, 30.0],
        speed_mps=[20.0, 20.0],
        heading_deg=[90.0, np.nan],
    )
    motion = motion_of(pings)
    assert speeds(motion)[0] == pytest.approx(20.0)
    assert speeds(motion)[1] == 0.0  # a speed without a heading points nowhere


def test_long_silence_tells_nothing_about_the_speed() -> None:
    motion = motion_of(straight_drive(1, pings=2, every_s=120.0))
    assert np.isnan(speeds(motion)).all()


def test_motion_over_the_date_line_goes_the_short_way() -> None:
    motion = motion_of(straight_drive(1, pings=2, lon=179.9999, lat=0.0, speed_mps=30.0))
    assert speeds(motion)[1] == pytest.approx(30.0, rel=1e-4)


def foreseen(pings: PingBatch, *, ahead_s: float = 30.0, zone: Zone | None = None) -> list[tuple[int, float]]:
    """Return (ping, distance) of the borders a driver is found to approach."""
    config = EngineConfig(approach=ApproachPolicy.reaching(ahead_s), policy=Policy(stale_after_s=None))
    engine = Engine(
        ZoneSet.of([zone or box_zone("z")]), config=config, default_vehicle=Vehicle(u7=0, kind=VehicleKind.GOODS)
    )
    found = []
    for row in range(len(pings)):
        step = engine.process(pings.take(slice(row, row + 1)), int(pings.time_ms[row]))
        found += [(row, alert.distance_m) for alert in step.alerts if alert.trigger is AlertReason.APPROACH]
    return found


def test_border_is_seen_within_the_look_ahead_and_not_beyond() -> None:
    drive = straight_drive(1, pings=2, lon=114.29, speed_mps=10.0)  # 957 m before the border, less one step
    ((row, distance_m),) = foreseen(drive, ahead_s=95.0)
    assert row == 1
    assert distance_m == pytest.approx(908.0, abs=3.0)
    assert foreseen(drive, ahead_s=85.0) == []


def test_standing_user_looks_nowhere() -> None:
    assert foreseen(straight_drive(1, pings=3, lon=114.2999, speed_mps=1.0)) == []


def test_zone_that_concerns_nobody_is_not_looked_for() -> None:
    drive = straight_drive(1, pings=3, lon=114.299, speed_mps=10.0)
    assert len(foreseen(drive)) == 1
    assert foreseen(drive, zone=box_zone("z", applies_to=AppliesTo(kinds=frozenset({VehicleKind.CAR})))) == []


def test_zone_the_user_is_in_is_not_ahead() -> None:
    assert foreseen(straight_drive(1, pings=3, lon=114.305, speed_mps=10.0)) == []


def test_turn_is_looked_along_at_once() -> None:
    to_the_corner = straight_drive(1, pings=3, lon=114.3005, lat=30.5905, bearing_deg=270.0, speed_mps=10.0)
    corner_ms = int(to_the_corner.time_ms[-1])
    onward = straight_drive(
        1, pings=2, lon=float(to_the_corner.lon[-1]), lat=30.5905, bearing_deg=0.0, start_ms=corner_ms, speed_mps=10.0
    )
    zone = Zone("z", ZoneKind.TRUCK_RESTRICTION, "z", shapely.box(114.29, 30.593, 114.31, 30.6))
    turned = PingBatch.concat([to_the_corner, onward.take(slice(1, 2))])
    assert [row for row, _ in foreseen(turned, zone=zone)] == [3]
