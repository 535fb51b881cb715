"""Seeded traffic on example roads: what tests, demonstrations and benchmarks drive with."""

from geo_engine.simulate.network import RoadNetwork
from geo_engine.simulate.traffic import Traffic, simulate

__all__ = ["RoadNetwork", "Traffic", "simulate"]
