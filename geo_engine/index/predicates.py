"""Exact signs of planar geometry on doubles: on which side of a line a point lies, whether two segments meet.

A fast determinant settles almost every call; where its rounding could hide the sign, the sum is formed without any
rounding (Shewchuk 1997, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates"). The
same source runs compiled and as plain Python.
"""

from __future__ import annotations

from typing import Final

from geo_engine.compiled import bare, uncounted

__all__ = ["exact_side", "segments_meet", "side"]

# Shewchuk's bound of the plain determinant, (3 + 16 eps) eps with eps = 2^-53, and a floor below which products may
# have lost bits to underflow.
_RELATIVE: Final = 3.3306690738754716e-16
_FLOOR: Final = 1e-290

# Dekker's constant, which cuts a double into two halves of 26 bits.
_SPLITTER: Final = 134217729.0

_MOST_PASSES: Final = 32
_ROUNDED_UP: Final = 1.0 + 2.0**-45

# Coordinates stay below 2^11 degrees: scaled like this neither their products nor the tails of those leave the range.
_SCALE: Final = 2.0**480


@uncounted
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


@bare
def exact_side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> int:
    """Return what ``side`` returns, always by the exact sum of all 16 partial products. Cost: about 0.3 us."""
    if (ax == bx and ay == by) or (ax == px and ay == py) or (bx == px and by == py):
        return 0
    terms = _product_terms(ax, px, by, py, 1.0) + _product_terms(ay, py, bx, px, -1.0)
    # Each pass keeps the sum and moves what rounding loses to the front; the last term ends up as the whole sum
    # rounded, and then outweighs the rest (Ogita, Rump, Oishi 2005, VecSum; at most 15 passes are needed).
    for _ in range(_MOST_PASSES):
        terms = _distilled(terms)
        rest = 0.0
        for term in terms[:15]:
            rest += abs(term)
        if abs(terms[15]) > rest * _ROUNDED_UP or rest == 0.0:
            break
    return int(terms[15] > 0.0) - int(terms[15] < 0.0)


@uncounted
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


@uncounted
def _product_terms(u: float, v: float, w: float, z: float, sign: float) -> tuple[float, ...]:
    """Return eight doubles whose exact sum is ``sign * (u - v) * (w - z)``, scaled."""
    first, first_tail = _difference(u, v)
    second, second_tail = _difference(w, z)
    first, first_tail = first * _SCALE * sign, first_tail * _SCALE * sign
    second, second_tail = second * _SCALE, second_tail * _SCALE
    a, b = _product(first_tail, second_tail)
    c, d = _product(first_tail, second)
    e, f = _product(first, second_tail)
    g, h = _product(first, second)
    return b, a, d, c, f, e, h, g


@uncounted
def _difference(a: float, b: float) -> tuple[float, float]:
    """Return ``a - b`` rounded, and what rounding took away."""
    found = a - b
    lost_b = a - found
    lost_a = found + lost_b
    return found, (a - lost_a) + (lost_b - b)


@uncounted
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


@uncounted
def _sum(a: float, b: float) -> tuple[float, float]:
    """Return ``a + b`` rounded, and what rounding took away (Knuth, TAOCP 2, 4.2.2)."""
    found = a + b
    virtual = found - a
    return found, (a - (found - virtual)) + (b - virtual)


@uncounted
def _distilled(t: tuple[float, ...]) -> tuple[float, ...]:
    """Return sixteen doubles of the same exact sum: fifteen rounding errors and the sum as one double."""
    s, e0 = _sum(t[0], t[1])
    s, e1 = _sum(s, t[2])
    s, e2 = _sum(s, t[3])
    s, e3 = _sum(s, t[4])
    s, e4 = _sum(s, t[5])
    s, e5 = _sum(s, t[6])
    s, e6 = _sum(s, t[7])
    s, e7 = _sum(s, t[8])
    s, e8 = _sum(s, t[9])
    s, e9 = _sum(s, t[10])
    s, e10 = _sum(s, t[11])
    s, e11 = _sum(s, t[12])
    s, e12 = _sum(s, t[13])
    s, e13 = _sum(s, t[14])
    s, e14 = _sum(s, t[15])
    return e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, s
