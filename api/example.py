"""Where the example city lies: inside the installed package, or at the root of a source checkout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from geo_engine.errors import Fault, InputError
from geo_engine.simulate.network import RoadNetwork

__all__ = ["data_dir", "example_network", "zones_dir"]

_PACKAGE: Final = Path(__file__).resolve().parent


def zones_dir() -> Path:
    """Return the folder of the example city's zone files."""
    return _content("zones")


def data_dir() -> Path:
    """Return the folder of what else the example city needs: roads, water, vehicle profiles."""
    return _content("data")


def example_network() -> RoadNetwork:
    """Return the roads of the example city, which the simulator drives on.

    Raises:
        InputError: the file cannot be read or is not a road network.
    """
    path = data_dir() / "roads.geojson"
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError([Fault(str(path), "", str(error), "a readable GeoJSON file", "unreadable")]) from error
    return RoadNetwork.from_geojson(document, source=str(path))


def _content(name: str) -> Path:
    packaged = _PACKAGE / "_example" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
