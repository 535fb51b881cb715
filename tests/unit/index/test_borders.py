"""Borders by cell: what a step touches, what lies in a cone ahead, and for whom it is looked at."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.index.border_grid import MOST_PROFILES, BorderGrid, mark_wanted, unmarked
from geo_engine.index.borders import touched_outside
from geo_engine.index.cells import CellIndex
from geo_engine.index.cone import Cone, Found, wanted_within
from geo_engine.model import ZoneKind
from geo_engine.testing import box_zone
from geo_engine.zones.zoneset import Zone, ZoneSet
from tests.unit.index.words import wanted_words

CORNERS = [shapely.box(10.0, 10.0, 10.1 + k / 1000, 10.1) for k in range(9)]
NOBODY = np.empty(0, dtype=np.int32)


def borders_of(*shapes: shapely.Geometry) -> BorderGrid:
    zones = [Zone(f"z{k:02}", ZoneKind.CONGESTION, "z", shape) for k, shape in enumerate(shapes)]
    return CellIndex(ZoneSet.of(zones)).borders


def touched(grid: BorderGrid, *way: float, but: tuple[int, ...] = ()) -> list[int]:
    out = np.empty(16, dtype=np.int64)
    members = np.array(but, dtype=np.int32)
    return sorted(out[: touched_outside(grid, *way, members, (0, len(but)), (0, 0), out)].tolist())


def marked_for(grid: BorderGrid, *wanted: list[int]) -> tuple[BorderGrid, npt.NDArray[np.uint64]]:
    """Return the borders marked for profiles that want these zones, and what they were marked with."""
    chosen = np.zeros((len(wanted), 16), dtype=bool)
    for profile, zones in enumerate(wanted):
        chosen[profile, zones] = True
    marked, words = unmarked(grid), wanted_words(chosen)
    mark_wanted(marked, words)
    return marked, words


def ahead(
    marked: tuple[BorderGrid, npt.NDArray[np.uint64]], lon: float, lat: float, *, east: float, profile: int = 0
) -> dict[int, float]:
    """Return the wanted zones in a cone of 100 m to the east (1) or the west (-1), and their distance in metres."""
    grid, words = marked
    lon_m, lat_m = (float(metres) for metres in metres_per_degree(lat))
    found = Found(np.empty(16, dtype=np.int64), np.empty(16), np.empty(16), np.empty(16))
    count = wanted_within(grid, Cone(lon, lat, lon_m, lat_m, east, 0.0, 0.9, 100.0), profile, words, found)
    return dict(zip(found.zone[:count].tolist(), found.distance_m[:count].tolist(), strict=True))


def test_border_is_touched_where_the_way_crosses_or_grazes_it_and_not_inside() -> None:
    grid = borders_of(shapely.box(10.0, 10.0, 10.5, 10.5))
    assert touched(grid, 9.9, 10.2, 10.1, 10.2) == [0]
    assert touched(grid, 9.9, 10.5, 10.6, 10.5) == [0]
    assert touched(grid, 10.4999, 10.3, 10.5, 10.3) == [0]
    assert touched(grid, 10.1, 10.1, 10.4, 10.4) == []
    assert touched(grid, 9.9, 10.6, 10.6, 10.6) == []


def test_zones_of_both_ends_are_left_out_and_others_are_not() -> None:
    grid = borders_of(*CORNERS)
    assert touched(grid, 9.999, 10.05, 10.001, 10.05) == list(range(9))
    assert touched(grid, 9.999, 10.05, 10.001, 10.05, but=(0, 8)) == list(range(1, 8))


def test_the_set_after_the_empty_one_is_not_taken_for_it() -> None:
    out = np.empty(4, dtype=np.int64)
    members = np.array([0], dtype=np.int32)
    # The empty set and the set that follows it begin at the same place.
    assert touched_outside(borders_of(CORNERS[0]), 9.999, 10.05, 10.001, 10.05, members, (0, 0), (0, 1), out) == 0


def test_only_wanted_borders_are_ahead_and_only_within_reach() -> None:
    marked = marked_for(borders_of(*CORNERS), [2, 7])
    found = ahead(marked, 9.9995, 10.05, east=1.0)
    assert sorted(found) == [2, 7]
    assert list(found.values()) == pytest.approx([0.0005 * float(metres_per_degree(10.05)[0])] * 2)
    assert ahead(marked, 9.9985, 10.05, east=1.0) == {}
    assert ahead(marked, 9.9995, 10.05, east=-1.0) == {}


def test_each_profile_finds_what_it_wants_and_not_what_another_wants() -> None:
    marked = marked_for(borders_of(*CORNERS), [2], [], [2, 7])
    assert [sorted(ahead(marked, 9.9995, 10.05, east=1.0, profile=profile)) for profile in range(3)] == [
        [2],
        [],
        [2, 7],
    ]


def test_profiles_that_share_a_bit_do_not_share_what_they_want() -> None:
    marked = marked_for(borders_of(*CORNERS), *[[]] * MOST_PROFILES, [0])
    assert sorted(ahead(marked, 9.9995, 10.05, east=1.0, profile=MOST_PROFILES)) == [0]
    assert ahead(marked, 9.9995, 10.05, east=1.0, profile=0) == {}


def test_borders_marked_anew_forget_what_was_wanted_before() -> None:
    grid, before = marked_for(borders_of(*CORNERS), [2])
    _, after = marked_for(grid, [7])
    assert sorted(ahead((grid, before), 9.9995, 10.05, east=1.0)) == [2]
    mark_wanted(grid, after)
    assert sorted(ahead((grid, after), 9.9995, 10.05, east=1.0)) == [7]
    mark_wanted(grid, wanted_words(np.zeros((1, 16), dtype=bool)))
    assert not grid.border["bits"].any()
    assert not grid.cell_bits.any()


def test_way_over_the_date_line_is_followed_on_the_other_side() -> None:
    grid = borders_of(shapely.box(-179.9, -1.0, -179.0, 1.0), shapely.box(179.0, -1.0, 179.9, 1.0))
    assert touched(grid, 179.95, 0.0, 180.15, 0.0) == [0]
    assert touched(grid, -179.95, 0.0, -180.15, 0.0) == [1]


def test_cone_over_the_date_line_finds_what_lies_on_the_other_side() -> None:
    shapes = shapely.box(-179.9997, -1.0, -179.0, 1.0), shapely.box(179.0, -1.0, 179.9997, 1.0)
    marked = marked_for(borders_of(*shapes), [0, 1])
    gap_m = 0.0005 * float(metres_per_degree(0.0)[0])
    assert ahead(marked, 179.9998, 0.0, east=1.0) == {0: pytest.approx(gap_m)}
    assert ahead(marked, -179.9998, 0.0, east=-1.0) == {1: pytest.approx(gap_m)}


def test_copy_is_marked_without_the_original() -> None:
    grid = borders_of(CORNERS[0])
    mark_wanted(unmarked(grid), wanted_words(np.ones((1, 16), dtype=bool)))
    assert not grid.border["bits"].any()
    assert not grid.cell_bits.any()


def test_borders_of_a_cell_lie_in_order_of_their_zones_also_after_edits() -> None:
    zones = [box_zone(f"z{n:02}", west=114.30 + n * 1e-4, east=114.31 + n * 1e-4) for n in range(40)]
    index = CellIndex(ZoneSet.of(zones))
    index = CellIndex(ZoneSet.of([*zones[5:], replace(zones[0], geometry=zones[7].geometry)]), index)
    grid, checked = index.borders, 0
    for first, end in pairwise(grid.cell_first.tolist()):
        assert (np.diff(grid.border["zone"][first:end]) >= 0).all()
        checked += end - first > 2
    assert checked > 10
