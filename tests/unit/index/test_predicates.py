"""Exact signs: equal to the same determinant in fractions, whatever the doubles."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.index.predicates import exact_side, segments_meet, side

COORDINATE = st.one_of(
    # Products of two differences below 1e-150 degrees would leave the range of a double: no map has any.
    st.floats(-540.0, 540.0).filter(lambda value: value == 0.0 or abs(value) > 1e-100),
    st.sampled_from([0.0, 114.3, 114.30000000000001, 180.0, -180.0, 90.0, 30.6, 1e-100, -1e-17]),
)
POINT = st.tuples(COORDINATE, COORDINATE)


def true_side(*numbers: float) -> int:
    ax, ay, bx, by, px, py = map(Fraction, numbers)
    found = (ax - px) * (by - py) - (ay - py) * (bx - px)
    return (found > 0) - (found < 0)


def near(value: float, ulps: int) -> float:
    for _ in range(abs(ulps)):
        value = float(np.nextafter(value, np.inf if ulps > 0 else -np.inf))
    return value


@settings(max_examples=300, deadline=None)
@given(POINT, POINT, POINT)
def test_side_is_the_sign_of_the_exact_determinant(
    a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]
) -> None:
    assert side(*a, *b, *p) == exact_side(*a, *b, *p) == true_side(*a, *b, *p)


@settings(max_examples=300, deadline=None)
@given(POINT, POINT, st.floats(0.0, 1.0), st.integers(-3, 3), st.integers(-3, 3))
def test_side_is_exact_within_a_few_roundings_of_the_line(
    a: tuple[float, float], b: tuple[float, float], along: float, right: int, up: int
) -> None:
    x = near(a[0] + along * (b[0] - a[0]), right)
    y = near(a[1] + along * (b[1] - a[1]), up)
    assert side(*a, *b, x, y) == exact_side(*a, *b, x, y) == true_side(*a, *b, x, y)


@pytest.mark.parametrize(
    ("other", "meet"),
    [
        ((0.5, -1.0, 0.5, 1.0), True),
        ((1.0, 0.0, 2.0, 5.0), True),  # end on end
        ((0.25, 0.0, 0.75, 0.0), True),  # along it
        ((1.0 + 2**-52, 0.0, 2.0, 0.0), False),  # along it, one rounding further
        ((0.5, 0.0, 0.5, 0.0), True),  # a point on it
        ((0.5, 5e-324, 0.5, 1.0), False),
    ],
)
def test_segments_meet_when_they_share_a_point(other: tuple[float, float, float, float], meet: bool) -> None:
    assert segments_meet(0.0, 0.0, 1.0, 0.0, *other) is meet
    assert segments_meet(*other, 0.0, 0.0, 1.0, 0.0) is meet
