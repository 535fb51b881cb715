"""Enter, exit and cross: the difference between the zones before and the zones now, and what the way touched."""

from __future__ import annotations

from typing import Final

import numpy as np

from geo_engine.index.protocol import Pairs
from geo_engine.model import BoolColumn, IntColumn

__all__ = ["chosen", "joined", "listed", "without"]

_SHIFT: Final = 24  # a zone position fits 24 bits


def without(pairs: Pairs, *others: Pairs) -> Pairs:
    """Return the pairs that are in none of the others."""
    key = _key(pairs)
    for other in others:
        key = key[~np.isin(key, _key(other), kind="sort")]
    return _pairs(key)


def joined(*parts: Pairs) -> Pairs:
    """Return the pairs that are in one of the parts, in order, each once."""
    return _pairs(np.unique(np.concatenate([_key(part) for part in parts])))


def listed(pairs: Pairs, others: Pairs) -> BoolColumn:
    """Say which pairs are among the others."""
    found: BoolColumn = np.isin(_key(pairs), _key(others), kind="sort")
    return found


def chosen(pairs: Pairs, which: BoolColumn) -> Pairs:
    """Return the pairs of which ``which`` is true."""
    return Pairs(pairs.query[which], pairs.zone[which])


def _pairs(key: IntColumn) -> Pairs:
    return Pairs(key >> _SHIFT, key & ((1 << _SHIFT) - 1))


def _key(pairs: Pairs) -> IntColumn:
    return (pairs.query << _SHIFT) | pairs.zone
