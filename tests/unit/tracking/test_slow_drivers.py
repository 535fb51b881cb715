"""Who drives slowly or is located vaguely seems to stand, and yet passes through no zone unnoticed."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo_engine import Engine, EngineConfig, PingBatch, ZoneSet
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.model import FloatColumn, TransitionKind, ZoneKind
from geo_engine.testing import noon_ms
from geo_engine.zones.zone import Zone

ENTER, EXIT, CROSS = TransitionKind.ENTER, TransitionKind.EXIT, TransitionKind.CROSS
_METRES = np.array([float(metres) for metres in metres_per_degree(30.6)])
_LENGTH_M = 2_600.0
_USERS = 12
_MEMORY = 0.85  # of an error in the one 5 s later, as in benchmarks/quality

NAN = float("nan")
DRIVES = pytest.mark.parametrize(
    ("speed_mps", "accuracy_m", "every_s"),
    [
        (1.0, NAN, 1.0),
        (1.0, 20.0, 10.0),
        (1.5, NAN, 5.0),
        (2.5, NAN, 5.0),
        (2.9, 5.0, 1.0),
        (4.5, 15.0, 5.0),
        (3.0, 100.0, 15.0),
        (4.0, 50.0, 5.0),
        (8.0, 50.0, 5.0),
        (12.0, 100.0, 5.0),
        (16.7, 15.0, 5.0),
    ],
)


def placed(shape: shapely.Geometry, bearing: float) -> shapely.Geometry:
    """Return a shape in metres along and left of a straight way as degrees."""
    turn = np.array([[np.cos(bearing), np.sin(bearing)], [-np.sin(bearing), np.cos(bearing)]])
    moved: shapely.Geometry = shapely.transform(shape, lambda at_m: [114.3, 30.6] + at_m @ turn / _METRES)
    return moved


def oblique_strips(seed: int, bearing: float) -> ZoneSet:
    """Return strips of 2 to 80 m across the way at any angle, some meeting, some ending short of the way."""
    random, at_m = np.random.default_rng(seed), 120.0
    zones: list[Zone] = []
    while at_m < _LENGTH_M:
        width_m = float(random.choice([2.0, 5.0, 10.0, 20.0, 40.0, 80.0]))
        slant_m, south_m = random.uniform(-60.0, 60.0), -150.0 if random.random() < 0.8 else 3.0
        top_m = at_m + slant_m
        shape = shapely.Polygon([(at_m, south_m), (at_m + width_m, south_m), (top_m + width_m, 150.0), (top_m, 150.0)])
        zones.append(Zone(f"{len(zones):03}", ZoneKind.TRUCK_RESTRICTION, "strip", placed(shape, bearing)))
        at_m += width_m + 60.0 + float(random.choice([1.0, 10.0, 30.0, 90.0]))
    return ZoneSet.of(zones)


def passed(zones: ZoneSet, begin: FloatColumn, end: FloatColumn) -> list[str]:
    """Return the zones whose inside a straight way crosses, in its order; degrees."""
    way = shapely.LineString([begin, end])
    parts = [(zone, shapely.intersection(way, zone.geometry)) for zone in zones.zones]
    met = [(shapely.line_locate_point(way, shapely.get_point(part, 0)), zone) for zone, part in parts if part.length]
    return [zone.zone_id for _, zone in sorted(met, key=lambda one: one[0])]


def drive_m(speed_mps: float, every_s: float) -> FloatColumn:
    """Return metres along the way at each ping: straight on, a halt of two minutes half way, and a fast end."""
    moves = np.full(round(_LENGTH_M / speed_mps / every_s) + 1, speed_mps * every_s)
    halt = np.zeros(round(120.0 / every_s))
    moves = np.concatenate(
        [[0.0], moves[: len(moves) // 2], halt, moves[len(moves) // 2 :], np.full(8, 20.0 * every_s)]
    )
    way_m: FloatColumn = np.cumsum(moves)
    return way_m


def told(  # noqa: PLR0917 - one argument per condition
    zones: ZoneSet,
    bearing: float,
    speed_mps: float,
    accuracy_m: float,
    every_s: float,
    sigma_m: float,
    config: EngineConfig | None = None,
) -> tuple[list[list[tuple[str, TransitionKind]]], list[list[str]]]:
    """Return what was told of each user, and which zones each passed through in truth."""
    random, engine = np.random.default_rng(1), Engine(zones, config=config)
    ahead_m, users = random.uniform(0.0, speed_mps * every_s, _USERS), np.arange(_USERS)
    way_m = drive_m(speed_mps, every_s)
    noise, kept = random.normal(0.0, 1.0, (_USERS, 2)) * sigma_m, _MEMORY ** (every_s / 5.0)
    found: list[list[tuple[str, TransitionKind]]] = [[] for _ in users]
    for number, along_m in enumerate(way_m):
        now_ms = noon_ms + round(number * every_s * 1000)
        at = shapely.points(np.column_stack([ahead_m + along_m, np.zeros(_USERS)]) + noise)
        lon, lat = shapely.get_coordinates(placed(at, bearing)).T
        speeds = np.full(_USERS, 20.0 if number >= len(way_m) - 8 else NAN)
        pings = PingBatch.from_columns(
            users, np.full(_USERS, now_ms), lon, lat, accuracy_m=np.full(_USERS, accuracy_m), speed_mps=speeds
        )
        step = engine.process(pings, now_ms).transitions
        for u7, zone, kind in zip(step.u7.tolist(), step.zone.tolist(), step.kinds(), strict=True):
            if kind is not TransitionKind.APPROACH:
                found[u7].append((zones.zones[zone].zone_id, kind))
        noise = kept * noise + np.sqrt(1.0 - kept * kept) * random.normal(0.0, 1.0, noise.shape) * sigma_m
    ends = [placed(shapely.LineString([(x, 0.0), (x + way_m[-1], 0.0)]), bearing).coords for x in ahead_m]
    return found, [passed(zones, np.array(way[0]), np.array(way[1])) for way in ends]


@DRIVES
@pytest.mark.parametrize("bearing", [0.0, 0.7, 3.5])
def test_every_zone_on_a_straight_way_is_told_in_order_and_once(
    speed_mps: float, accuracy_m: float, every_s: float, bearing: float
) -> None:
    zones = oblique_strips(3, bearing)
    found, true = told(zones, bearing, speed_mps, accuracy_m, every_s, 0.0)
    for mine, met in zip(found, true, strict=True):
        assert len(met) > 10
        # No others either: some strips end three metres beside the way.
        assert list(dict.fromkeys(zone for zone, _ in mine)) == met
        for zone_id in met:
            assert [kind for zone, kind in mine if zone == zone_id] in ([CROSS], [ENTER, EXIT])


def kinds_across(
    speed_mps: float, accuracy_m: float, every_s: float, config: EngineConfig | None = None
) -> list[list[TransitionKind]]:
    """Return what was told of each strip that reaches 150 m to both sides, at sigma 10 m, for each user on its way."""
    zones = oblique_strips(3, 0.0)
    across = {zone.zone_id for zone in zones.zones if zone.geometry.bounds[1] < 30.6 - 100.0 / _METRES[1]}
    found, true = told(zones, 0.0, speed_mps, accuracy_m, every_s, 10.0, config)
    asked = [[zone for zone in met if zone in across] for met in true]
    return [[kind for zone, kind in mine if zone == one] for mine, met in zip(found, asked, strict=True) for one in met]


@DRIVES
def test_every_zone_that_reaches_over_the_noise_is_told_and_hardly_one_twice(
    speed_mps: float, accuracy_m: float, every_s: float
) -> None:
    kinds = kinds_across(speed_mps, accuracy_m, every_s)
    assert len(kinds) > 200
    # Who halts within the error of the ping his stand began with may have come from elsewhere: one strip of all these.
    assert sum(one in ([CROSS], [ENTER, EXIT]) for one in kinds) >= 0.995 * len(kinds)


def test_without_the_filter_the_same_noise_tells_most_zones_more_than_once() -> None:
    kinds = kinds_across(1.0, NAN, 1.0, EngineConfig.exact())
    assert all(kinds)
    assert sum(one in ([CROSS], [ENTER, EXIT]) for one in kinds) < 0.5 * len(kinds)


def at_metres(east_m: list[float], *, west_m: float, width_m: float) -> list[tuple[int, TransitionKind]]:
    """Return (ping, transition) of a user with a ping every 5 s at such distances, beside one strip."""
    strip = shapely.box(west_m, -150.0, west_m + width_m, 150.0)
    zones = ZoneSet.of([Zone("strip", ZoneKind.TRUCK_RESTRICTION, "strip", placed(strip, 0.0))])
    engine = Engine(zones)
    found: list[tuple[int, TransitionKind]] = []
    for number, metres in enumerate(east_m):
        now_ms = noon_ms + number * 5000
        step = engine.process(PingBatch.from_columns([1], [now_ms], [114.3 + metres / _METRES[0]], [30.6]), now_ms)
        kinds = [kind for kind in step.transitions.kinds() if kind is not TransitionKind.APPROACH]
        found += [(number, kind) for kind in kinds]
    return found


def test_way_is_told_once_the_mean_is_two_radii_away_also_when_he_stands_on() -> None:
    creeping = [min(2.0 * number, 50.0) for number in range(60)]
    assert [kind for _, kind in at_metres(creeping, west_m=8.0, width_m=4.0)] == [CROSS]
    assert at_metres([min(metres, 25.0) for metres in creeping], west_m=8.0, width_m=4.0) == []


@pytest.mark.parametrize(("stands_s", "kinds"), [(60.0, [CROSS]), (300.0, [])])
def test_ping_at_which_a_stand_began_counts_for_no_more_than_its_error_after_three_minutes(
    stands_s: float, kinds: list[TransitionKind]
) -> None:
    # The first ping is 12 m off, on the other side of a strip.
    pings = [-12.0, *[0.0] * round(stands_s / 5.0), *[60.0 * number for number in range(1, 5)]]
    assert [kind for _, kind in at_metres(pings, west_m=-9.0, width_m=3.0)] == kinds


def test_zone_entered_and_left_at_a_walk_is_not_passed_through_as_well() -> None:
    walking = [1.5 * 5.0 * number - 60.0 for number in range(40)] + [400.0, 500.0]
    assert [kind for _, kind in at_metres(walking, west_m=0.0, width_m=120.0)] == [ENTER, EXIT]
