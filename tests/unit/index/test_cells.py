"""The compiled cells: combos, small buffers, and compiling on top of an older index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import shapely

from geo_engine.index import CellIndex, RtreeIndex
from geo_engine.index.batches import match_by_tile
from geo_engine.index.border_grid import mark_wanted, unmarked
from geo_engine.index.kernels import combo_at, combo_zones, zones_at
from geo_engine.index.protocol import Segments
from geo_engine.model import FloatColumn, IntColumn, ZoneKind
from geo_engine.zones.zoneset import Zone, ZoneSet
from tests.unit.index.words import wanted_words

# Nine boxes with one corner in common: more borders in its cell than combos are made for.
CORNERS = [shapely.box(10.0, 10.0, 10.1 + k / 100, 10.1 + k / 100) for k in range(9)]


def zone(zone_id: str, shape: shapely.Geometry) -> Zone:
    return Zone(zone_id, ZoneKind.CONGESTION, zone_id, shapely.orient_polygons(shape))


def star(random: np.random.Generator) -> shapely.Geometry:
    corners = int(random.integers(3, 30))
    angle, radius = np.linspace(0, 2 * np.pi, corners, endpoint=False), 10 ** random.uniform(-3.0, -1.3)
    x, y = random.uniform(9.5, 10.5, 2)
    radii = radius * random.uniform(0.5, 1.0, corners)
    return shapely.Polygon(np.column_stack([x + radii * np.cos(angle), y + radii * np.sin(angle)]))


def stars(count: int, seed: int) -> list[Zone]:
    random = np.random.default_rng(seed)
    return [zone(f"s{number:04}", star(random)) for number in range(count)]


def places(count: int, seed: int) -> tuple[FloatColumn, FloatColumn]:
    return tuple(np.random.default_rng(seed).uniform(9.5, 10.5, (2, count)))  # type: ignore[return-value]


def same_answers(index: CellIndex, zones: ZoneSet, seed: int) -> bool:
    lon, lat = places(4000, seed)
    ways = Segments(lon[:-1], lat[:-1], lon[:-1] + (lon[1:] - lon[:-1]) / 30, lat[:-1] + (lat[1:] - lat[:-1]) / 30)
    oracle = RtreeIndex(zones)
    points, met = oracle.containing(lon, lat), oracle.touching(ways)
    ours, ours_met = index.containing(lon, lat), index.touching(ways)
    columns: Iterable[tuple[IntColumn, IntColumn]] = (
        (points.query, ours.query),
        (points.zone, ours.zone),
        (met.query, ours_met.query),
        (met.zone, ours_met.zone),
    )
    return all(np.array_equal(expected, found) for expected, found in columns)


def test_combo_names_the_zones_that_hold_the_position() -> None:
    zones = ZoneSet.of(stars(60, seed=1))
    index = CellIndex(zones)
    lon, lat = places(300, seed=2)
    out, other = np.empty(60, dtype=np.int64), np.empty(60, dtype=np.int64)
    for x, y in zip(lon.tolist(), lat.tolist(), strict=True):
        combo = combo_at(index.cells, x, y)
        count = zones_at(index.cells, x, y, out)
        assert out[:count].tolist() == index.containing(np.array([x]), np.array([y])).zone.tolist()
        assert -1 <= combo < index.combo_count
        if combo >= 0:
            assert combo_zones(index.cells, combo, other) == count
            assert other[:count].tolist() == out[:count].tolist()


def test_match_by_tile_gives_the_combo_of_each_position() -> None:
    index = CellIndex(ZoneSet.of(stars(40, seed=1)))
    lon, lat = places(600, seed=3)
    one_by_one = [combo_at(index.cells, x, y) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    assert match_by_tile(index.cells, lon, lat).tolist() == one_by_one


def test_cell_with_many_borders_has_no_combo_but_its_zones() -> None:
    index = CellIndex(ZoneSet.of(zone(f"c{k}", shape) for k, shape in enumerate(CORNERS)))
    out = np.empty(9, dtype=np.int64)
    assert combo_at(index.cells, 10.0, 10.0) == -1
    assert zones_at(index.cells, 10.0, 10.0, out) == 9
    assert out.tolist() == list(range(9))
    assert combo_at(index.cells, 10.05, 10.05) >= 0


def test_room_that_is_too_small_is_told_and_filled() -> None:
    index = CellIndex(ZoneSet.of(zone(f"c{k}", shape) for k, shape in enumerate(CORNERS)))
    out = np.empty(2, dtype=np.int64)
    assert zones_at(index.cells, 10.05, 10.05, out) == 9
    assert out.tolist() == [0, 1]


def test_hundreds_of_edits_answer_as_a_fresh_compile() -> None:
    random = np.random.default_rng(7)
    zones = ZoneSet.of(stars(60, seed=4))
    index = CellIndex(zones)
    for number in range(60):
        changed = list(zones.zones)
        which = int(random.integers(0, len(changed)))
        if number % 3 == 0:
            changed[which] = replace(changed[which], geometry=shapely.orient_polygons(star(random)))
        elif number % 3 == 1:
            del changed[which]
        else:
            changed.append(zone(f"{'as'[number % 2]}{number:04}x", star(random)))
        zones = ZoneSet.of(changed)
        index = CellIndex(zones, index)
        if number % 10 == 9:
            assert same_answers(index, zones, seed=number)
    assert same_answers(index, zones, seed=99)


def test_edit_recompiles_only_what_changed_and_leaves_the_older_index_alone() -> None:
    zones = ZoneSet.of(stars(80, seed=4))
    older = CellIndex(zones)
    moved = replace(zones.zones[3], geometry=shapely.box(9.9, 9.9, 9.91, 9.91))
    edited = ZoneSet.of([*zones.zones[:3], moved, *zones.zones[4:]])
    index, twin = CellIndex(edited, older), CellIndex(edited, older)
    assert index.combos_kept
    assert index.changed_zones.tolist() == [3]
    assert same_answers(older, zones, seed=1)
    assert same_answers(index, edited, seed=1)
    assert same_answers(twin, edited, seed=1)
    assert CellIndex(edited, index).changed_zones.tolist() == []


def test_index_is_compiled_afresh_when_most_zones_changed() -> None:
    index = CellIndex(ZoneSet.of(stars(80, seed=5)), CellIndex(ZoneSet.of(stars(80, seed=4))))
    assert not index.combos_kept
    assert same_answers(index, ZoneSet.of(stars(80, seed=5)), seed=1)


def test_last_zone_can_leave_and_the_first_one_come() -> None:
    alone = ZoneSet.of(stars(1, seed=1))
    empty = CellIndex(ZoneSet.of([]), CellIndex(alone))
    assert len(empty.containing(*places(100, seed=1))) == 0
    assert same_answers(CellIndex(alone, empty), alone, seed=1)


def test_reference_point_avoids_the_lines_of_edges() -> None:
    # Spikes whose edges all point at the place where the first reference point of the cell would lie.
    random = np.random.default_rng(3)
    column, row = (10.0 + 180.0) * 4096, (10.0 + 90.0) * 4096
    along = 0.3819660112501051
    x = (column + 4096 * (0.0617 + 0.8713 * along)) / 4096 - 180.0
    y = (row + 4096 * (0.0531 + 0.8839 * (1.0 - along * along))) / 4096 - 90.0
    spikes = [zone("a", shapely.Polygon([(x - 0.02, y), (x - 0.01, y), (x - 0.015, y + 0.01)]))]
    spikes.append(zone("b", shapely.Polygon([(x, y + 0.01), (x + 0.01, y + 0.02), (x, y + 0.02)])))
    zones = ZoneSet.of(spikes)
    lon, lat = x + random.uniform(-0.03, 0.03, 2000), y + random.uniform(-0.03, 0.03, 2000)
    ours, oracle = CellIndex(zones).containing(lon, lat), RtreeIndex(zones).containing(lon, lat)
    assert ours.query.tolist() == oracle.query.tolist()
    assert ours.zone.tolist() == oracle.zone.tolist()


def test_zones_that_only_dead_cells_name_are_beyond_no_array() -> None:
    """The last zone goes without moving another; later edits then move positions that its dead cells do not know."""
    shapes = [shapely.box(10.0 + k, 10.0, 10.5 + k, 10.5) for k in range(130)]
    zones = {f"z{k:03}": zone(f"z{k:03}", shape) for k, shape in enumerate(shapes)}
    index = CellIndex(ZoneSet.of(zones.values()))
    for gone in ("z129", "z128", "z000", "z001"):
        del zones[gone]
        index = CellIndex(ZoneSet.of(zones.values()), previous=index)
        words = wanted_words(np.ones((2, 1), dtype=bool))
        mark_wanted(unmarked(index.borders), words)
    left = ZoneSet.of(zones.values())
    lon, lat = np.array([10.25 + k for k in range(130)]), np.full(130, 10.25)
    assert index.containing(lon, lat).zone.tolist() == CellIndex(left).containing(lon, lat).zone.tolist()
