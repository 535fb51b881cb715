"""Live positions in a packed Hilbert R-tree: sorted along the curve, then boxes of 16, then boxes of boxes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import COMPILED
from geo_engine.index.live_curve import curve_bits, curve_order, fill_curve_keys, radix_order
from geo_engine.index.live_hilbert_kernels import LiveTree, box_levels, fill_from_tree, gather
from geo_engine.index.live_kernels import Found, Queries
from geo_engine.index.live_levels import FANOUT, Levels
from geo_engine.index.live_protocol import Source
from geo_engine.index.live_search import Searched
from geo_engine.model import IntColumn

__all__ = ["HilbertPositions"]


class HilbertPositions(Searched):
    """A packed Hilbert R-tree (Kamel and Faloutsos 1994; laid out as in mourner/flatbush), rebuilt for every moment.

    It needs no size of cell, so crowds and empty land cost alike. Memory: 27 bytes a position.
    """

    def __init__(self, ids: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike, *, kernels: bool = COMPILED) -> None:
        """Build the tree.

        Args:
            ids: int64 ids, equal ones allowed.
            lon: degrees east, WGS-84; rows that are not on earth are left out.
            lat: degrees north.
            kernels: use the kernels; False builds and answers in NumPy.
        """
        source = Source.of(ids, lon, lat)
        self._kernels = kernels
        if not kernels:
            rows = curve_order(source.lon, source.lat)
            self._ids = source.ids[rows]
            self._places = np.column_stack([source.lon[rows], source.lat[rows]])
            return
        curve = curve_bits(source.lon, source.lat)
        key = np.empty(len(source.ids), dtype=np.int64)
        fill_curve_keys(source.lon, source.lat, curve, key)
        self._ids, self._places = np.empty_like(source.ids), np.empty((len(key), 2))
        order = radix_order(key, 2 * curve[0])
        gather(order, source.ids, source.lon, source.lat, self._ids, self._places)
        self._tree = _packed(curve, key[order[::FANOUT]], self._ids, self._places)

    def _fill(self, queries: Queries, begin: int, found: Found) -> int:
        if not len(self):
            found.ends[begin:] = 0
            return len(queries.lon)
        return fill_from_tree(self._tree, queries, begin, found)

    def _levels(self) -> Levels:
        return self._boxes

    @cached_property
    def _boxes(self) -> Levels:
        first = np.arange(0, len(self), FANOUT)
        return Levels(self._ids, self._places, first, np.minimum(len(self) - first, FANOUT))


def _packed(
    curve: tuple[int, float, float, float, float],
    leaf_keys: IntColumn,
    ids: IntColumn,
    places: npt.NDArray[np.float64],
) -> LiveTree:
    sizes = [-(-len(ids) // FANOUT)]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // FANOUT))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    boxes = np.empty((int(offsets[-1]), 4))
    tree = LiveTree(curve, leaf_keys, offsets, boxes, places, ids)
    box_levels(tree)
    return tree
