"""What every set of live positions answers: who is nearest, and who is within a radius, in exact metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from geo_engine.model import FloatColumn, IntColumn

__all__ = ["Asked", "Neighbours", "Positions", "Source", "in_order"]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who was found near which query, in columns, ordered by query, then distance, then id.

    Attributes:
        query: int64, row of the query.
        id: int64, as given when the positions were built.
        distance_m: float64, metres as ``geodesy.distance_m`` measures them.
    """

    query: IntColumn
    id: IntColumn
    distance_m: FloatColumn

    def __len__(self) -> int:
        """Return the number of neighbours found, over all queries."""
        return len(self.query)


class Positions(Protocol):
    """Where everybody is at one moment; built once from columns, then read-only, and replaced by the next moment's.

    Distances are those of ``geodesy.distance_m`` to 1e-6 m: the local frame below 10 km and 70 degrees of latitude,
    the geodesic beyond. Positions that are not on earth are never found, and a query that is not has no neighbours.
    The 180 degree meridian and the poles are places as any other.
    """

    def __len__(self) -> int:
        """Return the number of positions on earth."""
        ...

    def nearest(
        self, lon: npt.ArrayLike, lat: npt.ArrayLike, k: npt.ArrayLike, *, within_m: npt.ArrayLike | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of each query, fewer when there are no more; of equally far ones the smaller ids.

        Args:
            lon: degrees east of the queries, WGS-84.
            lat: degrees north.
            k: how many; one number or a column. Less than 1 finds nobody.
            within_m: metres up to which they count; one number, a column, or None for any distance.
        """
        ...

    def within(self, lon: npt.ArrayLike, lat: npt.ArrayLike, radius_m: npt.ArrayLike) -> Neighbours:
        """Return everybody at most ``radius_m`` metres (one number or a column) from each query."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """The columns positions are built from: ids, degrees east and north; only rows on earth."""

    ids: IntColumn
    lon: FloatColumn
    lat: FloatColumn

    @classmethod
    def of(cls, ids: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Source:
        """Take the columns and leave out rows that are not on earth; columns of the right type are not copied.

        Raises:
            ValueError: the columns are not one-dimensional and of the same length.
        """
        source = cls(
            np.ascontiguousarray(ids, dtype=np.int64),
            np.ascontiguousarray(lon, dtype=np.float64),
            np.ascontiguousarray(lat, dtype=np.float64),
        )
        shapes = {source.ids.shape, source.lon.shape, source.lat.shape}
        if len(shapes) > 1 or source.ids.ndim != 1:
            message = f"got columns of shapes {sorted(shapes)}, expected three of the same length"
            raise ValueError(message)
        known = (np.abs(source.lon) <= 180.0) & (np.abs(source.lat) <= 90.0)
        if known.all():
            return source
        return cls(source.ids[known], source.lon[known], source.lat[known])


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries in columns of the same length: only those that can find somebody, with their row in the caller's batch.

    ``limit_m`` is never above the largest distance on earth, ``k`` is 0 when everybody within the limit is asked for.
    """

    row: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    limit_m: FloatColumn
    k: IntColumn

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.row)

    @classmethod
    def nearest(
        cls, lon: npt.ArrayLike, lat: npt.ArrayLike, k: npt.ArrayLike, within_m: npt.ArrayLike | None, count: int
    ) -> Asked:
        """Queries for the nearest ``k`` of ``count`` positions."""
        limit = np.inf if within_m is None else within_m
        lons, lats, limits = _columns(lon, lat, limit)
        wanted = np.broadcast_to(np.minimum(np.asarray(k, dtype=np.int64), count), lons.shape)
        return cls._of(lons, lats, limits, wanted, wanted > 0)

    @classmethod
    def within(cls, lon: npt.ArrayLike, lat: npt.ArrayLike, radius_m: npt.ArrayLike) -> Asked:
        """Queries for everybody within a radius."""
        lons, lats, limits = _columns(lon, lat, radius_m)
        return cls._of(lons, lats, limits, np.zeros(len(lons), dtype=np.int64), np.True_)

    @classmethod
    def _of(
        cls,
        lon: FloatColumn,
        lat: FloatColumn,
        limit: FloatColumn,
        k: IntColumn,
        wanted: npt.NDArray[np.bool_] | np.bool_,
    ) -> Asked:
        row = np.flatnonzero((np.abs(lat) <= 90.0) & np.isfinite(lon) & (limit >= 0.0) & wanted)
        lon = lon[row]
        lon = np.where(np.abs(lon) > 180.0, lon - 360.0 * np.rint(lon / 360.0), lon)
        return cls(row, lon, lat[row], np.minimum(limit[row], _ALL_OF_EARTH_M), k[row])

    def take(self, chosen: IntColumn) -> Asked:
        """Return some of the queries."""
        return Asked(self.row[chosen], self.lon[chosen], self.lat[chosen], self.limit_m[chosen], self.k[chosen])


_ALL_OF_EARTH_M = 20_100_000.0


def _columns(lon: npt.ArrayLike, lat: npt.ArrayLike, limit: npt.ArrayLike) -> list[FloatColumn]:
    columns = np.broadcast_arrays(*(np.asarray(values, dtype=np.float64) for values in (lon, lat, limit)))
    if columns[0].ndim != 1:
        message = f"got queries of shape {columns[0].shape}, expected columns"
        raise ValueError(message)
    return list(columns)


def in_order(asked: Asked, query: IntColumn, ids: IntColumn, distance_m: FloatColumn) -> Neighbours:
    """Keep what lies within each query's limit and is among its ``k`` nearest, in the order of ``Neighbours``.

    Args:
        asked: the queries.
        query: position in ``asked`` of each candidate.
        ids: id of each candidate.
        distance_m: metres between the two.
    """
    near = distance_m <= asked.limit_m[query]
    query, ids, distance_m = query[near], ids[near], distance_m[near]
    order = np.lexsort((ids, distance_m, query))
    query, ids, distance_m = query[order], ids[order], distance_m[order]
    counts = np.bincount(query, minlength=len(asked))
    rank = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    k = asked.k[query]
    wanted = (k == 0) | (rank < k)
    return Neighbours(asked.row[query[wanted]], ids[wanted], distance_m[wanted])
