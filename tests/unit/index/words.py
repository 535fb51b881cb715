"""Who wants to hear of which zones, as the borders of the index take it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["wanted_words"]


def wanted_words(wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Return a bool matrix (groups, zones) as bits, uint64 (groups, words): zone z is bit z & 63 of word z >> 6."""
    groups, zones = wanted.shape
    padded = np.zeros((groups, max(-(-zones // 64), 1) * 64), dtype=bool)
    padded[:, :zones] = wanted
    words: npt.NDArray[np.uint64] = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
    return words
