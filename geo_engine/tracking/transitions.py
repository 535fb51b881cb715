"""Enter, exit and cross: the difference between the zones before and the zones now, and what the way touched."""

from __future__ import annotations

import numpy as np

from geo_engine.index.protocol import Pairs
from geo_engine.model import IntColumn
from geo_engine.tracking.steps import Steps

__all__ = ["crossed", "left_and_entered", "zones_before"]


def zones_before(steps: Steps, now: Pairs, kept: Pairs) -> Pairs:
    """Return the zones each step started in.

    Args:
        steps: the steps.
        now: zones that hold each ping.
        kept: memberships before the batch, by the number of the user among those of the batch.
    """
    starts = np.flatnonzero(steps.first)
    follower = now.query + 1
    inner = follower < len(steps)
    inner[inner] &= ~steps.first[follower[inner]]
    query = np.concatenate([starts[kept.query], follower[inner]])
    zone = np.concatenate([kept.zone, now.zone[inner]])
    order = np.lexsort((zone, query))
    return Pairs(query[order], zone[order])


def left_and_entered(before: Pairs, now: Pairs) -> tuple[Pairs, Pairs]:
    """Return the zones each step left and the zones it entered."""
    return _minus(before, [now]), _minus(now, [before])


def crossed(touched: Pairs, before: Pairs, now: Pairs) -> Pairs:
    """Return the zones a step touched with neither end inside."""
    return _minus(touched, [before, now])


_SHIFT = 24  # a zone position fits 24 bits


def _minus(pairs: Pairs, others: list[Pairs]) -> Pairs:
    key = _key(pairs)
    for other in others:
        key = key[~np.isin(key, _key(other), kind="sort")]
    return Pairs(key >> _SHIFT, key & ((1 << _SHIFT) - 1))


def _key(pairs: Pairs) -> IntColumn:
    return (pairs.query << _SHIFT) | pairs.zone
