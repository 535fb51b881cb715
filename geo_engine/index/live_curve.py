"""The Hilbert curve over degrees, and the order of positions along it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import kernel, uncounted
from geo_engine.model import FloatColumn, IntColumn

__all__ = [
    "curve_bits",
    "curve_keys",
    "curve_order",
    "fill_curve_keys",
    "hilbert_key",
    "hilbert_step",
    "key_of_cell",
    "radix_order",
]

_FINE_BITS: Final = 22
_COARSE_BITS: Final = 16
_COARSE_EXTENT_DEG: Final = 2.0
_BLOCK: Final = 512
_DIGIT_BITS: Final = 11
_DIGITS: Final = 1 << _DIGIT_BITS


def hilbert_step(x: Any, y: Any, key: Any, shift: Any, full: Any) -> Any:  # noqa: ANN401 - numbers, or columns of them
    """Append one digit of the way along the curve to ``key`` and return ``x``, ``y`` and ``key`` for the next.

    In the two lower quadrants the rest of the way is mirrored along a diagonal. Masks stand for branches, so that it
    runs on numbers and on columns alike, and on several numbers at once.
    """
    right, up = (x >> shift) & 1, (y >> shift) & 1
    flip = -(right & (1 - up)) & full
    x, y = x ^ flip, y ^ flip
    swap = (x ^ y) & -(1 - up)
    return x ^ swap, y ^ swap, (key << 2) | ((3 * right) ^ up)


_step = uncounted(hilbert_step)


def hilbert_key(x: IntColumn, y: IntColumn, bits: int) -> IntColumn:
    """Return the place along the Hilbert curve of cells ``x``, ``y`` of a square of ``2**bits`` cells a side.

    The curve of Hilbert (1891), digit by digit from the coarsest.
    """
    key = np.zeros_like(x)
    for back in range(bits):
        x, y, key = hilbert_step(x, y, key, bits - 1 - back, (1 << bits) - 1)
    return key


@uncounted
def key_of_cell(x: int, y: int, bits: int) -> int:
    """Return ``hilbert_key`` of one cell, for kernels."""
    key = 0
    for back in range(bits):
        x, y, key = _step(x, y, key, bits - 1 - back, (1 << bits) - 1)
    return key


def curve_bits(lon: FloatColumn, lat: FloatColumn) -> tuple[int, float, float, float, float]:
    """Return the bits a side, the west and south edge and the cells per degree of a curve over all positions.

    16 bits a side over a city are cells of a metre or two, 22 bits round the earth of 10 m.
    """
    if not len(lon):
        return _COARSE_BITS, 0.0, 0.0, 1.0, 1.0
    west, south, width, height = lon.min(), lat.min(), np.ptp(lon), np.ptp(lat)
    bits = _COARSE_BITS if max(width, height) <= _COARSE_EXTENT_DEG else _FINE_BITS
    side = float((1 << bits) - 1)
    return bits, float(west), float(south), side / max(float(width), 1e-9), side / max(float(height), 1e-9)


def curve_keys(lon: FloatColumn, lat: FloatColumn) -> IntColumn:
    """Return the place of each position along a curve over all of them, in NumPy."""
    bits, west, south, per_lon, per_lat = curve_bits(lon, lat)
    x, y = ((lon - west) * per_lon).astype(np.int64), ((lat - south) * per_lat).astype(np.int64)
    return np.asarray(hilbert_key(x, y, bits), dtype=np.int64)


def curve_order(lon: FloatColumn, lat: FloatColumn) -> IntColumn:
    """Return the rows in the order of the curve, in NumPy."""
    return np.argsort(curve_keys(lon, lat), kind="stable")


@kernel
def fill_curve_keys(
    lon: FloatColumn, lat: FloatColumn, curve: tuple[int, float, float, float, float], key: IntColumn
) -> None:
    """Do as ``curve_keys`` with the ``curve_bits`` given."""
    bits, west, south, per_lon, per_lat = curve
    x, y, part = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    full = (1 << bits) - 1
    for first in range(0, len(lon), _BLOCK):
        size = min(_BLOCK, len(lon) - first)
        for row in range(size):
            x[row] = int((lon[first + row] - west) * per_lon)
            y[row] = int((lat[first + row] - south) * per_lat)
            part[row] = 0
        # Digit by digit over a block, because this inner loop becomes vector instructions: 5 times as fast.
        for back in range(bits):
            shift = bits - 1 - back
            for row in range(size):
                x[row], y[row], part[row] = _step(x[row], y[row], part[row], shift, full)
        for row in range(size):
            key[first + row] = part[row]


@kernel
def radix_order(key: IntColumn, bits: int) -> npt.NDArray[np.int32]:
    """Return the rows in the order of their keys of ``bits`` bits, equal ones as they stand.

    A radix sort by digits of 11 bits from the lowest (Knuth, TAOCP 3, 5.2.5).
    """
    count = len(key)
    order, other_order = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    source, other_key = key.copy(), np.empty(count, dtype=np.int64)
    for row in range(count):
        order[row] = row
    starts = np.empty(_DIGITS + 1, dtype=np.int64)
    for shift in range(0, bits, _DIGIT_BITS):
        starts[:] = 0
        for row in range(count):
            starts[((source[row] >> shift) & (_DIGITS - 1)) + 1] += 1
        for digit in range(1, _DIGITS):
            starts[digit] += starts[digit - 1]
        for row in range(count):
            digit = (source[row] >> shift) & (_DIGITS - 1)
            slot = starts[digit]
            starts[digit] = slot + 1
            other_key[slot] = source[row]
            other_order[slot] = order[row]
        source, other_key = other_key, source
        order, other_order = other_order, order
    return order
