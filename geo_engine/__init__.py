"""Location tracking and alerting: which zones is a user in, where are they heading, who must be warned."""

from geo_engine.engine import Decisions, Engine, EngineConfig
from geo_engine.model import PingBatch, Vehicle
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Decisions", "Engine", "EngineConfig", "PingBatch", "Vehicle", "ZoneSet", "__version__"]

__version__ = "0.1.0"
