"""Which zones hold a point or touch a segment, and what is near, each behind one protocol."""

from geo_engine.index.brute import BruteForceIndex
from geo_engine.index.cells import CellIndex
from geo_engine.index.protocol import Pairs, ZoneIndex
from geo_engine.index.rtree import RtreeIndex
from geo_engine.index.venues import VenueIndex

__all__ = ["BruteForceIndex", "CellIndex", "Pairs", "RtreeIndex", "VenueIndex", "ZoneIndex"]
