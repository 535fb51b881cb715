"""Exact signs of planar geometry on doubles: on which side of a line a point lies, whether two segments meet.

A fast determinant settles almost every call; where its rounding could hide the sign, the sum is formed without any
rounding (Shewchuk 1997, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates"). The
same source runs compiled and as plain Python.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import inlined, kernel

__all__ = ["exact_side", "segments_meet", "side"]

# Shewchuk's bound of the plain determinant, (3 + 16 eps) eps with eps = 2^-53, and a floor below which products may
# have lost bits to underflow.
_RELATIVE: Final = 3.3306690738754716e-16
_FLOOR: Final = 1e-290

# Dekker's constant, which cuts a double into two halves of 26 bits.
_SPLITTER: Final = 134217729.0

# Coordinates stay below 2^11 degrees: scaled like this neither their products nor the tails of those leave the range.
_SCALE: Final = 2.0**480


@inlined
def side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> int:
    """Return 1 when p lies left of the line from a to b, -1 right of it, 0 exactly on it. Cost: about 2 ns."""
    left = (ax - px) * (by - py)
    right = (ay - py) * (bx - px)
    found = left - right
    bound = _RELATIVE * (abs(left) + abs(right)) + _FLOOR
    if found > bound:
        return 1
    if found < -bound:
        return -1
    return exact_side(ax, ay, bx, by, px, py)


@kernel
def exact_side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> int:
    """Return what ``side`` returns, always by the exact sum of all 16 partial products. Cost: about 0.3 us."""
    total = np.zeros(16)
    used = 0
    if (ax == bx and ay == by) or (ax == px and ay == py) or (bx == px and by == py):
        return 0
    used = _add_product(total, used, ax, px, by, py, 1.0)
    used = _add_product(total, used, ay, py, bx, px, -1.0)
    for i in range(used - 1, -1, -1):
        if total[i] > 0.0:
            return 1
        if total[i] < 0.0:
            return -1
    return 0


@inlined
def segments_meet(  # noqa: PLR0913, PLR0917 - two segments are eight numbers
    px: float, py: float, qx: float, qy: float, ax: float, ay: float, bx: float, by: float
) -> bool:
    """Say whether the closed segments pq and ab have a point in common. Cost: about 3 ns when their boxes are apart."""
    if min(ax, bx) > max(px, qx) or max(ax, bx) < min(px, qx):
        return False
    if min(ay, by) > max(py, qy) or max(ay, by) < min(py, qy):
        return False
    if side(ax, ay, bx, by, px, py) * side(ax, ay, bx, by, qx, qy) > 0:
        return False
    return side(px, py, qx, qy, ax, ay) * side(px, py, qx, qy, bx, by) <= 0


@kernel
def _add_product(  # noqa: PLR0913, PLR0917 - four numbers, the sum and its sign
    total: npt.NDArray[np.float64], used: int, u: float, v: float, w: float, z: float, sign: float
) -> int:
    """Add ``sign * (u - v) * (w - z)`` to the expansion ``total`` without rounding; return its new length."""
    first, first_tail = _difference(u, v)
    second, second_tail = _difference(w, z)
    first, first_tail = first * _SCALE * sign, first_tail * _SCALE * sign
    second, second_tail = second * _SCALE, second_tail * _SCALE
    for a in (first_tail, first):
        for b in (second_tail, second):
            product, tail = _product(a, b)
            used = _grow(total, used, tail)
            used = _grow(total, used, product)
    return used


@inlined
def _difference(a: float, b: float) -> tuple[float, float]:
    """Return ``a - b`` rounded, and what rounding took away."""
    found = a - b
    lost_b = a - found
    lost_a = found + lost_b
    return found, (a - lost_a) + (lost_b - b)


@inlined
def _product(a: float, b: float) -> tuple[float, float]:
    """Return ``a * b`` rounded, and what rounding took away (Dekker 1971)."""
    found = a * b
    wide = _SPLITTER * a
    a_high = wide - (wide - a)
    a_low = a - a_high
    wide = _SPLITTER * b
    b_high = wide - (wide - b)
    b_low = b - b_high
    return found, a_low * b_low - (((found - a_high * b_high) - a_low * b_high) - a_high * b_low)


@inlined
def _grow(total: npt.NDArray[np.float64], used: int, term: float) -> int:
    """Add one double to a non-overlapping expansion ordered by size (Shewchuk's GROW-EXPANSION)."""
    carry = term
    for i in range(used):
        old = total[i]
        found = carry + old
        virtual = found - carry
        total[i] = (carry - (found - virtual)) + (old - virtual)
        carry = found
    total[used] = carry
    return used + 1
