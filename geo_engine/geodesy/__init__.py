"""Geodesy on the WGS-84 ellipsoid: datums, the local metric frame, distance, bearing, compass word."""

from geo_engine.geodesy.datum import Datum, from_wgs84, to_wgs84
from geo_engine.geodesy.frame import metres_per_degree
from geo_engine.geodesy.measure import bearing_deg, compass_point, compass_word, destination, distance_m
from geo_engine.geodesy.table import DatumTable, DatumTables

__all__ = [
    "Datum",
    "DatumTable",
    "DatumTables",
    "bearing_deg",
    "compass_point",
    "compass_word",
    "destination",
    "distance_m",
    "from_wgs84",
    "metres_per_degree",
    "to_wgs84",
]
