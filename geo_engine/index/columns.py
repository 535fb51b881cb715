"""Point look-ups in the compiled cells by NumPy and shapely, for machines without compiled kernels."""

from __future__ import annotations

import numpy as np
import shapely

from geo_engine.index.entries import Entries
from geo_engine.index.exact import unique_pairs
from geo_engine.index.kernels import Cells
from geo_engine.index.protocol import Pairs
from geo_engine.model import BoolColumn, FloatColumn, IntColumn

__all__ = ["containing_by_columns"]


def containing_by_columns(cells: Cells, entries: Entries, zone_count: int, lon: FloatColumn, lat: FloatColumn) -> Pairs:
    """Return the zones that hold each point: true hits from the cells, the others by shapely, all in columns.

    Cost: about 0.2 us a point, and 1 us for each border in its cell.
    """
    leaf = _leaves_at(cells, lon, lat)
    head = cells.page[leaf].astype(np.int64)
    query = np.repeat(np.arange(len(lon)), head[:, 3])
    within = np.arange(len(query)) - np.repeat(np.cumsum(head[:, 3]) - head[:, 3], head[:, 3])
    zone = cells.hits[head[query, 2] + within].astype(np.int64)
    shape_of = np.full(zone_count, None, dtype=object)
    shape_of[entries.zone] = entries.geometry
    queries, zones = [query], [zone]
    at, row = leaf + 1, np.arange(len(lon))
    for ordinal in range(int(head[:, 1].max(initial=0))):
        more = head[row, 1] > ordinal
        row, at = row[more], at[more]
        counts, packed = cells.page[at, 2].astype(np.int64), cells.page[at, 3].astype(np.int64)
        turn = ((packed >> 1) & 3) * 360.0 - 360.0
        inside: BoolColumn = shapely.intersects_xy(shape_of[packed >> 3], lon[row] - turn, lat[row])
        queries.append(row[inside])
        zones.append((packed >> 3)[inside])
        at = at + 1 + (counts & ((1 << 26) - 1))
    return unique_pairs(np.concatenate(queries), np.concatenate(zones), zone_count)


def _leaves_at(cells: Cells, lon: FloatColumn, lat: FloatColumn) -> IntColumn:
    """Return the leaf of each position: four gathers, the later ones only where a cell is split."""
    column = np.clip(((lon + 180.0) * 4096.0).astype(np.int64), 0, 1_474_559)
    row = np.clip(((lat + 90.0) * 4096.0).astype(np.int64), 0, 737_279)
    value = cells.root[(row >> 12) * 360 + (column >> 12)].astype(np.int64)
    for table, bits, shift in ((cells.table1, 5, 7), (cells.table2, 4, 3), (cells.table3, 3, 0)):
        split = np.flatnonzero(value < 0)
        mask = (1 << bits) - 1
        place = (((row[split] >> shift) & mask) << bits) + ((column[split] >> shift) & mask)
        value[split] = table[((-1 - value[split]) << (2 * bits)) + place]
    return value
