"""Borders by cell: what a step touches, what lies ahead, and for whom it is looked at."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely

from geo_engine.index.border_grid import MOST_PROFILES, BorderGrid, mark_wanted, unmarked
from geo_engine.index.borders import touched_outside, wanted_ahead
from geo_engine.index.cells import CellIndex, wanted_words
from geo_engine.model import ZoneKind
from geo_engine.testing import box_zone
from geo_engine.zones.zoneset import Zone, ZoneSet

CORNERS = [shapely.box(10.0, 10.0, 10.1 + k / 1000, 10.1) for k in range(9)]
NOBODY = np.empty(0, dtype=np.int32)


def borders_of(*shapes: shapely.Geometry) -> BorderGrid:
    zones = [Zone(f"z{k:02}", ZoneKind.CONGESTION, "z", shape) for k, shape in enumerate(shapes)]
    return CellIndex(ZoneSet.of(zones)).borders


def touched(grid: BorderGrid, *way: float, but: tuple[int, ...] = ()) -> list[int]:
    out = np.empty(16, dtype=np.int64)
    members = np.array(but, dtype=np.int32)
    return sorted(out[: touched_outside(grid, *way, members, (0, len(but)), (0, 0), out)].tolist())


def ahead(grid: BorderGrid, *way: float, wanted: list[int], profile: int = 0, profiles: int = 1) -> dict[int, float]:
    chosen = np.zeros((profiles, 16), dtype=bool)
    chosen[profile, wanted] = True
    marked = unmarked(grid)
    mark_wanted(marked, wanted_words(chosen))
    zones, fractions = np.empty(16, dtype=np.int64), np.empty(16)
    count = wanted_ahead(marked, *way, profile, wanted_words(chosen), zones, fractions)
    return dict(zip(zones[:count].tolist(), fractions[:count].tolist(), strict=True))


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


def test_only_wanted_borders_are_ahead_at_the_fraction_where_they_are_met() -> None:
    found = ahead(borders_of(*CORNERS), 9.95, 10.05, 10.05, 10.05, wanted=[2, 7])
    assert sorted(found) == [2, 7]
    assert list(found.values()) == pytest.approx([0.5, 0.5])
    assert ahead(borders_of(*CORNERS), 9.95, 10.05, 9.96, 10.05, wanted=[2, 7]) == {}


def test_profiles_that_share_a_bit_do_not_share_what_they_want() -> None:
    grid = borders_of(CORNERS[0])
    assert ahead(grid, 9.95, 10.05, 10.05, 10.05, wanted=[0], profile=MOST_PROFILES, profiles=2 * MOST_PROFILES) != {}
    chosen = np.zeros((MOST_PROFILES + 1, 16), dtype=bool)
    chosen[MOST_PROFILES, 0] = True
    marked = unmarked(grid)
    mark_wanted(marked, wanted_words(chosen))
    zones, fractions = np.empty(16, dtype=np.int64), np.empty(16)
    assert wanted_ahead(marked, 9.95, 10.05, 10.05, 10.05, 0, wanted_words(chosen), zones, fractions) == 0


def test_way_over_the_date_line_is_followed_on_the_other_side() -> None:
    grid = borders_of(shapely.box(-179.9, -1.0, -179.0, 1.0), shapely.box(179.0, -1.0, 179.9, 1.0))
    assert touched(grid, 179.95, 0.0, 180.15, 0.0) == [0]
    assert touched(grid, -179.95, 0.0, -180.15, 0.0) == [1]
    assert ahead(grid, 179.95, 0.0, 180.15, 0.0, wanted=[0, 1]) == {0: pytest.approx(0.75)}


def test_copy_is_marked_without_the_original() -> None:
    grid = borders_of(CORNERS[0])
    mark_wanted(unmarked(grid), wanted_words(np.ones((1, 16), dtype=bool)))
    assert not grid.bits.any()
    assert not grid.cell_bits.any()


def test_borders_of_a_cell_lie_in_order_of_their_zones_also_after_edits() -> None:
    zones = [box_zone(f"z{n:02}", west=114.30 + n * 1e-4, east=114.31 + n * 1e-4) for n in range(40)]
    index = CellIndex(ZoneSet.of(zones))
    index = CellIndex(ZoneSet.of([*zones[5:], replace(zones[0], geometry=zones[7].geometry)]), index)
    grid, checked = index.borders, 0
    for first, end in pairwise(grid.cell_first.tolist()):
        assert (np.diff(grid.zone[first:end]) >= 0).all()
        checked += end - first > 2
    assert checked > 10
