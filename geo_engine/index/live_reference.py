"""The reference sets of live positions: libspatialindex's R-tree, and measuring everybody."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pyproj import Geod
from rtree.index import Index

from geo_engine.geodesy.measure import distance_m
from geo_engine.index.live_protocol import Asked, Neighbours, Source, in_order
from geo_engine.model import FloatColumn, IntColumn

__all__ = ["BrutePositions", "RtreePositions"]

_GEOD: Final = Geod(ellps="WGS84")
_EQUATOR_M_PER_DEG: Final = 111_319.490793
_LEAST_M_PER_DEG_LAT: Final = 110_574.0
_SLACK: Final = 1.0 + 2e-6
_MARGIN_DEG: Final = 1e-9
_FIRST_RADIUS_M: Final = 250.0


class BrutePositions:
    """The oracle: the geodesic (Karney 2013) from every query to everybody. It shares no geometry with the others.

    Cost: about 1 us times queries times positions.
    """

    def __init__(self, ids: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike) -> None:
        """Keep the columns; there is nothing to build."""
        self._source = Source.of(ids, lon, lat)

    def __len__(self) -> int:
        """Return the number of positions on earth."""
        return len(self._source.ids)

    def nearest(
        self, lon: npt.ArrayLike, lat: npt.ArrayLike, k: npt.ArrayLike, *, within_m: npt.ArrayLike | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of each query."""
        return self._measured(Asked.nearest(lon, lat, k, within_m, len(self)))

    def within(self, lon: npt.ArrayLike, lat: npt.ArrayLike, radius_m: npt.ArrayLike) -> Neighbours:
        """Return everybody within the radius of each query."""
        return self._measured(Asked.within(lon, lat, radius_m))

    def _measured(self, asked: Asked) -> Neighbours:
        count = len(self)
        query = np.repeat(np.arange(len(asked)), count)
        lon, lat = np.tile(self._source.lon, len(asked)), np.tile(self._source.lat, len(asked))
        metres = np.asarray(_GEOD.inv(asked.lon[query], asked.lat[query], lon, lat)[2], dtype=np.float64)
        return in_order(asked, query, np.tile(self._source.ids, len(asked)), metres)


class RtreePositions:
    """Positions in a bulk-loaded libspatialindex R-tree, asked with boxes that hold the circles.

    Building takes about 1 us a position, a query some 10 us; the nearest are found by doubling a radius, so that one
    asked from another continent measures everybody.
    """

    def __init__(self, ids: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike) -> None:
        """Bulk-load the tree with row numbers."""
        self._source = Source.of(ids, lon, lat)
        if len(self):
            places = np.column_stack([self._source.lon, self._source.lat])
            self._tree = Index((np.arange(len(self), dtype=np.int64), places, places))

    def __len__(self) -> int:
        """Return the number of positions on earth."""
        return len(self._source.ids)

    def nearest(
        self, lon: npt.ArrayLike, lat: npt.ArrayLike, k: npt.ArrayLike, *, within_m: npt.ArrayLike | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of each query."""
        asked = Asked.nearest(lon, lat, k, within_m, len(self))
        radius_m = np.minimum(np.full(len(asked), _FIRST_RADIUS_M), asked.limit_m)
        queries, rows = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        left = np.arange(len(asked))
        while len(left):
            query, row = self._candidates(asked.take(left), radius_m)
            close = self._metres(asked, left[query], row) <= radius_m[query]
            enough = np.bincount(query[close], minlength=len(left)) >= asked.k[left]
            done = enough | (radius_m >= asked.limit_m[left])
            queries.append(left[query[done[query]]])
            rows.append(row[done[query]])
            left, radius_m = left[~done], np.minimum(2.0 * radius_m[~done], asked.limit_m[left[~done]])
        query, row = np.concatenate(queries), np.concatenate(rows)
        return in_order(asked, query, self._source.ids[row], self._metres(asked, query, row))

    def within(self, lon: npt.ArrayLike, lat: npt.ArrayLike, radius_m: npt.ArrayLike) -> Neighbours:
        """Return everybody within the radius of each query."""
        asked = Asked.within(lon, lat, radius_m)
        query, row = self._candidates(asked, asked.limit_m)
        return in_order(asked, query, self._source.ids[row], self._metres(asked, query, row))

    def _metres(self, asked: Asked, query: IntColumn, row: IntColumn) -> FloatColumn:
        return distance_m(asked.lon[query], asked.lat[query], self._source.lon[row], self._source.lat[row])

    def _candidates(self, asked: Asked, radius_m: FloatColumn) -> tuple[IntColumn, IntColumn]:
        """Return (query, row) pairs whose position lies in the box round the circle, each once."""
        if not len(self) or not len(asked):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        dlat = radius_m * _SLACK / _LEAST_M_PER_DEG_LAT + _MARGIN_DEG
        highest = np.minimum(np.abs(asked.lat) + dlat, 90.0)
        parallel_m = _EQUATOR_M_PER_DEG * np.cos(np.radians(highest))
        with np.errstate(divide="ignore"):
            dlon = np.where(highest < 90.0, np.minimum(radius_m * _SLACK / parallel_m, 180.0), 180.0) + _MARGIN_DEG
        # A box over the 180 degree meridian is asked for once on each side; a position on it lies in one of them.
        turns = np.array([-360.0, 0.0, 360.0])
        middle = (asked.lon[:, None] + turns).ravel()
        query = np.repeat(np.arange(len(asked)), len(turns))
        low = np.column_stack([middle - dlon[query], asked.lat[query] - dlat[query]])
        high = np.column_stack([middle + dlon[query], asked.lat[query] + dlat[query]])
        reaches = (low[:, 0] <= 180.0) & (high[:, 0] >= -180.0)
        # rtree leaves intersection_v without types.
        found, counts = self._tree.intersection_v(low[reaches], high[reaches])  # type: ignore[no-untyped-call]
        pairs = np.repeat(query[reaches], counts.astype(np.int64)) * len(self) + found.astype(np.int64)
        return np.divmod(np.unique(pairs), len(self))
