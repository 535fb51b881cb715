"""Live positions: who is nearest and who is within a radius, of users, venues and stores at one moment.

``GridPositions`` is the default (docs/decisions/0004-live-positions.md says why); the others answer the same.
"""

from geo_engine.index.live_grid import GridPositions
from geo_engine.index.live_hilbert import HilbertPositions
from geo_engine.index.live_protocol import Neighbours, Positions
from geo_engine.index.live_reference import BrutePositions, RtreePositions

__all__ = [
    "BrutePositions",
    "GridPositions",
    "HilbertPositions",
    "LivePositions",
    "Neighbours",
    "Positions",
    "RtreePositions",
]

LivePositions = GridPositions
"""The default."""
