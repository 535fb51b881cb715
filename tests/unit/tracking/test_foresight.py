"""What is foreseen of drivers: along learnt ways, along roads, in a cone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.kernels import degree_table
from geo_engine.index.border_grid import mark_wanted, unmarked
from geo_engine.index.cells import CellIndex
from geo_engine.model import ZoneKind
from geo_engine.tracking.approach_policy import ApproachPolicy, Tier, is_due
from geo_engine.tracking.chain import Chain, LearntChain, learnt_chain
from geo_engine.tracking.flow import Flow
from geo_engine.tracking.flow_kernels import DrivenSteps
from geo_engine.tracking.forecast import Outlooks, Prepared, outlooks_of
from geo_engine.tracking.foresight import BY_HEADING, BY_PLACE, BY_ROAD, Foreseen, Known, Movers, foresee
from geo_engine.tracking.listing import Listing, listing_after, no_listing
from geo_engine.tracking.outlook_table import ahead_room, by_slot, layout_of, outlook_table
from geo_engine.tracking.road_kernels import RoadTable, no_roads
from geo_engine.tracking.roads import RoadFlow, RoadNet, road_net
from geo_engine.tracking.wanted import wanted_of, zone_groups
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet
from tests.unit.index.words import wanted_words

LON, LAT = 114.3, 30.6
LIMITS = {"least_chance": 0.1, "most_eta_s": 120.0}
EAST, NORTH = 1.0 / 95_893.0, 1.0 / 110_862.0
"""Degrees of a metre."""


def at(east_m: float, north_m: float) -> tuple[float, float]:
    return LON + east_m * EAST, LAT + north_m * NORTH


def box(west_m: float, south_m: float, east_m: float, north_m: float) -> shapely.Polygon:
    return shapely.box(*at(west_m, south_m), *at(east_m, north_m))


def zone_set(*shapes: shapely.Polygon) -> ZoneSet:
    return ZoneSet.of(Zone(str(row), ZoneKind.CONSTRUCTION, str(row), shape) for row, shape in enumerate(shapes))


def drives(*ways: list[tuple[float, float]], times: int = 1) -> DrivenSteps:
    """DrivenSteps of drivers who go from corner to corner, 50 m every 5 s."""
    parts = []
    for way in ways:
        line = shapely.LineString(way)
        places = np.array([line.interpolate(m).coords[0] for m in np.arange(0.0, line.length, 50.0)])
        velocity = np.diff(places, axis=0, prepend=places[:1] * 2 - places[1:2]) / 5.0
        parts.append(np.column_stack([places[:-1], velocity[:-1], places[1:], velocity[1:]]))
    rows = np.tile(np.concatenate(parts), (times, 1)).T
    lon0, lat0, lon1, lat1 = LON + rows[0] * EAST, LAT + rows[1] * NORTH, LON + rows[4] * EAST, LAT + rows[5] * NORTH
    return DrivenSteps(
        lon0,
        lat0,
        rows[2].copy(),
        rows[3].copy(),
        lon1,
        lat1,
        rows[6].copy(),
        rows[7].copy(),
        np.full(len(lon0), 5_000),
    )


def learnt(*some: DrivenSteps) -> LearntChain:
    flow = Flow()
    for steps in some:
        flow.learn(steps)
    return learnt_chain(flow.moves())


def known_of(chain: LearntChain, zones: ZoneSet) -> Known:
    outlooks = outlooks_of(Prepared.of(chain.chain), zones, CellIndex(zones), known=chain.known, **LIMITS)
    layout = layout_of(chain)
    listing = listed(layout.known, by_slot(layout, outlooks), zones)
    return Known(outlook_table(layout, listing), no_roads())


def listed(known: npt.NDArray[np.int32], outlooks: Outlooks, zones: ZoneSet) -> Listing:
    return listing_after(no_listing(known), np.zeros(0, dtype=np.int64), outlooks, zone_groups(zones))


def ahead_of(
    known: Known,
    zones: ZoneSet,
    place_m: tuple[float, float],
    velocity: tuple[float, float],
    wanted: list[bool] | None = None,
) -> Foreseen:
    words = wanted_words(np.array([wanted or [True] * len(zones)]))
    borders = unmarked(CellIndex(zones).borders)
    mark_wanted(borders, words)
    lon, lat = at(*place_m)
    columns = (np.array([value]) for value in (lon, lat, *velocity, np.hypot(*velocity), np.nan, 30.0))
    one = Movers(*columns, np.zeros(1, dtype=np.int64))
    return foresee(known, borders, degree_table(), one, wanted_of(words, zone_groups(zones)), ahead_room(len(zones)))


ROUND_THE_CORNER = zone_set(box(480.0, 300.0, 520.0, 340.0))
TURN = [(0.0, 0.0), (500.0, 0.0), (500.0, 800.0)]
ON = [(0.0, 0.0), (1_500.0, 0.0)]


def test_a_zone_round_the_corner_is_foreseen_where_drivers_turn() -> None:
    found = ahead_of(
        known_of(learnt(drives(TURN, times=3)), ROUND_THE_CORNER), ROUND_THE_CORNER, (250.0, 0.0), (10.0, 0.0)
    )
    assert found.zone.tolist() == [0]
    assert (found.source == BY_PLACE).all()
    assert found.chance[0] == pytest.approx(1.0, abs=0.02)
    assert found.distance_m[0] == pytest.approx(np.hypot(230.0, 300.0), abs=2.0)
    assert found.bearing_deg[0] == pytest.approx(np.degrees(np.arctan2(230.0, 300.0)), abs=1.0)
    # A quarter of 55 s along the road, three quarters of 38 s straight.
    assert found.eta_s[0] == pytest.approx(42.0, abs=3.0)


def test_a_zone_round_the_corner_is_not_foreseen_where_nobody_turns() -> None:
    found = ahead_of(
        known_of(learnt(drives(ON, times=3)), ROUND_THE_CORNER), ROUND_THE_CORNER, (250.0, 0.0), (10.0, 0.0)
    )
    assert len(found) == 0


def test_the_chance_is_the_share_of_those_who_turned() -> None:
    chain = learnt(drives(TURN, times=3), drives(ON, times=9))
    found = ahead_of(known_of(chain, ROUND_THE_CORNER), ROUND_THE_CORNER, (250.0, 0.0), (10.0, 0.0))
    assert found.chance[0] == pytest.approx(0.25, abs=0.01)


def test_who_comes_from_the_other_side_or_leaves_is_told_nothing() -> None:
    zones = zone_set(box(400.0, -30.0, 600.0, 30.0))
    known = known_of(learnt(drives(ON, times=3)), zones)
    assert len(ahead_of(known, zones, (250.0, 0.0), (10.0, 0.0))) == 1
    assert len(ahead_of(known, zones, (710.0, 0.0), (10.0, 0.0))) == 0


def test_a_zone_nobody_wants_is_not_told() -> None:
    zones = zone_set(box(400.0, -30.0, 600.0, 30.0), box(300.0, -30.0, 350.0, 30.0))
    known = known_of(learnt(drives(ON, times=3)), zones)
    assert ahead_of(known, zones, (150.0, 0.0), (10.0, 0.0)).zone.tolist() == [0, 1]
    assert ahead_of(known, zones, (150.0, 0.0), (10.0, 0.0), [False, True]).zone.tolist() == [1]


@pytest.mark.parametrize(("velocity", "seen"), [((10.0, 0.0), 1), ((7.0, 7.0), 1), ((0.0, 10.0), 0), ((-10.0, 0.0), 0)])
def test_where_nothing_was_learnt_the_cone_tells_what_is_ahead(velocity: tuple[float, float], seen: int) -> None:
    zones = zone_set(box(200.0, -20.0, 300.0, 20.0))
    found = ahead_of(known_of(learnt(), zones), zones, (0.0, 0.0), velocity)
    assert len(found) == seen
    assert (found.source == BY_HEADING).all()
    if seen:
        assert found.distance_m[0] == pytest.approx(200.0, abs=1.0)
        assert found.bearing_deg[0] == pytest.approx(90.0, abs=0.5)


def test_the_cone_ends_at_its_reach() -> None:
    zones = zone_set(box(310.0, -20.0, 400.0, 20.0))
    assert len(ahead_of(known_of(learnt(), zones), zones, (0.0, 0.0), (10.0, 0.0))) == 0
    assert len(ahead_of(known_of(learnt(), zones), zones, (20.0, 0.0), (10.0, 0.0))) == 1


def test_a_wall_whose_nearest_point_is_beside_the_cone_is_met_on_the_axis() -> None:
    zones = zone_set(box(-3_000.0, 50.0, 3_000.0, 80.0))
    slanting = ahead_of(known_of(learnt(), zones), zones, (0.0, 0.0), (9.4, 3.4))
    assert slanting.zone.tolist() == [0]
    assert slanting.distance_m[0] == pytest.approx(np.hypot(50.0 * 9.4 / 3.4, 50.0), rel=0.01)


def test_the_cone_is_that_of_shapely() -> None:
    rng = np.random.default_rng(4)
    zones = zone_set(*(box(x, y, x + 25.0, y + 25.0) for x, y in rng.uniform(-500.0, 500.0, (40, 2))))
    known = known_of(learnt(), zones)
    flat = [shapely.transform(zone.geometry, lambda p: (p - (LON, LAT)) / (EAST, NORTH)) for zone in zones.zones]
    for _ in range(25):
        place, heading = rng.uniform(-300.0, 300.0, 2), rng.uniform(0.0, 2 * np.pi)
        direction = np.array([np.sin(heading), np.cos(heading)])
        found = set(ahead_of(known, zones, tuple(place), tuple(10.0 * direction)).zone.tolist())
        sure, maybe = set(), set()
        for row, shape in enumerate(flat):
            edge = shape.exterior
            near = np.array(shapely.shortest_line(shapely.Point(place), edge).coords[1]) - place
            distance = np.hypot(*near)
            fan = [
                place + 299.0 * np.array([np.sin(heading + a), np.cos(heading + a)])
                for a in np.radians(np.linspace(-59, 59, 60))
            ]
            if distance < 299.0 and near @ direction > 0.51 * distance:
                sure.add(row)
            if edge.intersects(shapely.Polygon([place, *fan]).buffer(8.0)):
                maybe.add(row)
        assert sure <= found <= maybe | sure


def brute_force(chain: Chain, entering: dict[int, bool], slices: int = 36) -> np.ndarray:
    """Probability to enter within 180 s by the forward equations, state by state."""
    steps = np.clip(np.rint(chain.seconds / 5.0), 1, 36).astype(int)
    by_time = np.zeros((slices + 1, len(chain.lon)))
    for now in range(slices + 1):
        for move in range(len(chain.source)):
            if move in entering:
                half = 0 if entering[move] else (steps[move] + 1) // 2
                by_time[now, chain.source[move]] += chain.share[move] * (now >= half)
            elif now >= steps[move]:
                by_time[now, chain.source[move]] += chain.share[move] * by_time[now - steps[move], chain.target[move]]
    return by_time[-1]


def test_chances_are_those_of_the_forward_equations() -> None:
    rng = np.random.default_rng(2)
    ways = [[tuple(rng.integers(0, 4, 2) * 200.0) for _ in range(5)] for _ in range(12)]
    ways = [[*dict.fromkeys(way)] for way in ways]
    chain = learnt(*(drives(way, times=2) for way in ways if len(way) > 1)).chain
    zones = zone_set(box(170.0, 170.0, 230.0, 230.0))
    line = zones.zones[0].geometry
    entering = {}
    for move, (a, b) in enumerate(zip(chain.source.tolist(), chain.target.tolist(), strict=True)):
        start, end = shapely.Point(chain.lon[a], chain.lat[a]), shapely.Point(chain.lon[b], chain.lat[b])
        inside, ends = line.covers(start), line.covers(end)
        if line.intersects(shapely.LineString([start, end])) and not (inside and not ends):
            entering[move] = inside
    expected = brute_force(chain, entering)
    found = outlooks_of(Prepared.of(chain), zones, CellIndex(zones), least_chance=0.05, most_eta_s=1e9)
    assert len(found) > 20
    assert found.outlook["chance"] == pytest.approx(expected[found.state], abs=0.02)
    assert set(np.flatnonzero(expected > 0.07)) <= set(found.state.tolist())


def test_one_zone_of_many_is_computed_alone() -> None:
    chain = Prepared.of(learnt(drives(ON, TURN, times=3)).chain)
    zones = zone_set(box(400.0, -30.0, 450.0, 30.0), box(480.0, 300.0, 520.0, 340.0), box(900.0, -30.0, 950.0, 30.0))
    index = CellIndex(zones)
    every = outlooks_of(chain, zones, index, **LIMITS)
    alone = outlooks_of(chain, zones, index, only=np.array([1]), **LIMITS)
    assert len(alone)
    assert np.array_equal(alone.outlook, every.outlook[every.outlook["zone"] == 1])


def lines(listing: Listing) -> list[tuple[int, ...]]:
    """(state, zone) of each record, in order."""
    counts = np.diff(listing.states["begin"] >> 1)
    state = np.repeat(np.arange(len(counts)), counts)
    return list(zip(state.tolist(), listing.ahead["zone"][: listing.records].tolist(), strict=True))


def test_a_listing_after_an_edit_is_that_made_anew() -> None:
    chain = learnt(drives(ON, TURN, times=3))
    zones = zone_set(box(400.0, -30.0, 450.0, 30.0), box(480.0, 300.0, 520.0, 340.0), box(900.0, -30.0, 950.0, 30.0))
    known = np.append(chain.known, 0).astype(np.int32)
    every = outlooks_of(Prepared.of(chain.chain), zones, CellIndex(zones), known=chain.known, **LIMITS)
    second = every.outlook["zone"] == 1
    listing, groups = listed(known, every, zones), zone_groups(zones)
    assert listing.records == len(every)
    # The zone in the middle goes, and comes back.
    without = listing_after(listing, np.array([0, -1, 1]), Outlooks.none(), groups)
    left = every.outlook["zone"][~second] // 2
    assert lines(without) == list(zip(every.state[~second].tolist(), left.tolist(), strict=True))
    alone = Outlooks(every.state[second], every.outlook[second])
    again = listing_after(without, np.array([0, 2]), alone, groups)
    assert lines(again) == lines(listing)
    assert np.array_equal(again.states, listing.states)
    assert np.array_equal(again.ahead[: listing.records], listing.ahead[: listing.records])
    assert not listing_after(listing, np.array([-1, -1, -1]), Outlooks.none(), groups).states["groups"].any()


CROSS = (
    shapely.LineString([at(-800.0, 0.0), at(0.0, 0.0), at(800.0, 0.0)]),
    shapely.LineString([at(0.0, -800.0), at(0.0, 0.0), at(0.0, 800.0)]),
)


def on_roads(net: RoadNet, zones: ZoneSet, steps: DrivenSteps | None = None) -> Known:
    roads = RoadFlow(net)
    if steps is not None:
        roads.learn(steps)
    found = outlooks_of(Prepared.of(roads.chain()), zones, CellIndex(zones), **LIMITS)
    pieces = np.ones(len(net.grid.lon0) + 1, dtype=np.int32)
    return known_of(learnt(), zones)._replace(roads=RoadTable(net.grid, listed(pieces, found, zones)))


def test_roads_meet_where_they_share_a_vertex() -> None:
    net = road_net(CROSS)
    assert len(net.first) - 1 == 8
    assert np.bincount(net.turn_from).max() == 3
    assert np.bincount(net.turn_from, weights=net.prior) == pytest.approx(1.0)


def test_a_bridge_without_a_shared_vertex_is_no_junction() -> None:
    net = road_net([shapely.LineString([at(-800.0, 0.0), at(800.0, 0.0)]), CROSS[1]])
    assert len(net.first) - 1 == 4


def test_a_one_way_road_is_driven_one_way() -> None:
    assert len(road_net(CROSS, np.array([True, False])).first) - 1 == 6


def test_straight_on_is_likelier_than_turning_until_turns_are_learnt() -> None:
    zones = zone_set(box(200.0, -30.0, 260.0, 30.0), box(-30.0, 200.0, 30.0, 260.0))
    net = road_net(CROSS)
    before = ahead_of(on_roads(net, zones), zones, (-150.0, 3.0), (10.0, 0.0))
    assert (before.source == BY_ROAD).all()
    assert before.zone[np.argmax(before.chance)] == 0
    turned = drives([(-400.0, 0.0), (0.0, 0.0), (0.0, 400.0)], times=40)
    after = ahead_of(on_roads(net, zones, turned), zones, (-150.0, 3.0), (10.0, 0.0))
    assert after.zone[np.argmax(after.chance)] == 1
    assert after.chance.max() > 0.9


def test_off_the_roads_the_cone_answers() -> None:
    zones = zone_set(box(200.0, 390.0, 260.0, 410.0))
    found = ahead_of(on_roads(road_net(CROSS), zones), zones, (100.0, 400.0), (10.0, 0.0))
    assert found.zone.tolist() == [0]
    assert (found.source == BY_HEADING).all()


def turn_share(roads: RoadFlow) -> float:
    return float(np.bincount(roads.net.turn_from, weights=roads.saved()["road_turns"]).max())


def test_what_was_learnt_on_roads_survives_a_restart_and_fades() -> None:
    net = road_net(CROSS)
    roads, other = RoadFlow(net, half_life_s=10.0), RoadFlow(net)
    roads.learn(drives([(-400.0, 0.0), (0.0, 0.0), (0.0, 400.0)], times=4))
    other.load(roads.saved())
    assert np.array_equal(other.chain().share, roads.chain().share)
    assert turn_share(roads) == 4.0
    roads.age(20.0)
    assert turn_share(roads) == 1.0


def test_what_was_learnt_on_another_network_is_not_taken_up() -> None:
    roads = RoadFlow(road_net(CROSS))
    roads.load({name: np.ones(3) for name in roads.saved()})
    assert turn_share(roads) == 0.0


def due(policy: ApproachPolicy, chance: float, eta_s: float, source: int, elapsed_s: float = 5.0) -> bool:
    """Ask the columns and the kernel."""
    columns = (np.array([value]) for value in (chance, eta_s, source, elapsed_s))
    found = bool(policy.due(*columns)[0])
    limit_s = eta_s - float(policy.later_s(np.array([elapsed_s]))[0])
    assert is_due(policy.table(), chance, limit_s, source) is found
    return found


@pytest.mark.parametrize(
    ("chance", "eta_s", "source", "expected"),
    [
        (0.2, 20.0, BY_PLACE, True),
        (0.2, 30.0, BY_PLACE, False),
        (0.5, 30.0, BY_PLACE, True),
        (0.05, 5.0, BY_PLACE, False),
        (0.115, 20.0, BY_PLACE, False),
        (0.115, 20.0, BY_ROAD, True),
        (0.05, 29.0, BY_HEADING, True),
        (0.5, 31.0, BY_HEADING, False),
    ],
)
def test_a_warning_is_due_when_it_is_likely_and_near(chance: float, eta_s: float, source: int, expected: bool) -> None:
    assert due(ApproachPolicy(), chance, eta_s, source) is expected


def test_who_reports_seldom_is_warned_earlier() -> None:
    assert not due(ApproachPolicy(), 0.2, 30.0, BY_PLACE, 5.0)
    assert due(ApproachPolicy(), 0.2, 30.0, BY_PLACE, 15.0)
    assert not due(ApproachPolicy(), 0.2, 30.0, BY_PLACE, np.nan)


def test_a_tier_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a chance"):
        ApproachPolicy(learnt=(Tier(1.5, 20.0),))


@pytest.mark.parametrize("velocity", [(0.0, 0.0), (float("nan"), float("nan"))])
def test_of_who_stands_or_moves_nobody_knows_how_nothing_is_foreseen(velocity: tuple[float, float]) -> None:
    zones = zone_set(box(10.0, -10.0, 40.0, 10.0))
    unlearnt = known_of(learnt(), zones)
    assert ahead_of(unlearnt, zones, (0.0, 0.0), (10.0, 0.0)).zone.tolist() == [0]
    assert ahead_of(unlearnt, zones, (0.0, 0.0), velocity).zone.tolist() == []
