"""Which zones hold a point, touch a segment or lie ahead: one protocol, several implementations."""

from geo_engine.index.brute import BruteForceIndex
from geo_engine.index.cells import CellIndex
from geo_engine.index.protocol import Pairs, RayHits, ZoneIndex
from geo_engine.index.rtree import RtreeIndex

__all__ = ["BruteForceIndex", "CellIndex", "Pairs", "RayHits", "RtreeIndex", "ZoneIndex"]
