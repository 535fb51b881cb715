"""Where ways first cross the edges of shapes."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geo_engine.index import crossings
from geo_engine.index.crossings import first_crossings

SQUARE = shapely.box(1.0, 0.0, 2.0, 1.0)
HOLED = shapely.Polygon(SQUARE.exterior.coords, [[(1.4, 0.4), (1.6, 0.4), (1.6, 0.6), (1.4, 0.6)]])
PARTS = shapely.MultiPolygon([shapely.box(3.0, 0.0, 4.0, 1.0), SQUARE])


def fractions(*pairs: tuple[tuple[float, float, float, float], shapely.Geometry]) -> list[float]:
    ways = np.array([way for way, _ in pairs])
    return first_crossings(ways, np.array([shape for _, shape in pairs], dtype=object)).tolist()


def test_first_of_several_crossings_is_returned_for_each_way_and_its_own_shape() -> None:
    across = (0.0, 0.5, 4.0, 0.5)
    assert fractions((across, SQUARE), (across, PARTS), (across, shapely.box(3, 0, 4, 1))) == [0.25, 0.25, 0.75]


def test_edge_of_a_hole_is_an_edge() -> None:
    assert fractions(((1.2, 0.5, 1.8, 0.5), HOLED)) == [pytest.approx(1 / 3)]


def test_way_that_touches_a_corner_meets_it_and_one_beside_it_does_not() -> None:
    touching, missing = fractions(((0.5, 0.5, 1.5, -0.5), SQUARE), ((0.5, 0.4, 1.5, -0.6), SQUARE))
    assert touching == 0.5
    assert np.isnan(missing)


def test_way_along_an_edge_meets_it_where_the_edge_begins() -> None:
    assert fractions(((0.0, 1.0, 4.0, 1.0), SQUARE)) == [0.25]


def test_way_of_no_length_meets_nothing() -> None:
    assert np.isnan(fractions(((0.5, 0.5, 0.5, 0.5), SQUARE))[0])


def test_many_ways_are_worked_off_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossings, "_ROWS_AT_ONCE", 7)
    pairs = [((0.0, 0.5, 4.0, 0.5), shape) for shape in (SQUARE, PARTS, HOLED) for _ in range(5)]
    assert fractions(*pairs) == [0.25] * 15


def test_no_ways_have_no_crossings() -> None:
    assert len(first_crossings(np.empty((0, 4)), np.empty(0, dtype=object))) == 0
