"""The errors of the library and the fault record that bad input ends in.

GeoEngineError
├── InputError            bad input; carries every fault found, exit code 3, HTTP 400/422
│   ├── ZoneDocumentError
│   ├── PingFileError
│   ├── RoadFileError
│   └── VehicleFileError
├── ConfigurationError    settings that cannot work together; refused at start
├── SnapshotError         a saved state that cannot be taken up
└── StoreError            the store refused or is away
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "ConfigurationError",
    "Fault",
    "GeoEngineError",
    "InputError",
    "PingFileError",
    "RoadFileError",
    "SnapshotError",
    "StoreError",
    "VehicleFileError",
    "ZoneDocumentError",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input: where, what was found, what was expected.

    Attributes:
        where: the source and the place a person would look at, e.g. ``zones/bridges.geojson feature 3 (erqiao)``
            or ``pings.csv line 17``.
        path: the JSON path or column of the value, e.g. ``$.features[3].geometry.coordinates[0][2]``; may be empty.
        found: the offending value, shortened, or what it amounts to.
        expected: what would have been accepted.
        reason: a short stable name for counting, e.g. ``lat_out_of_range``.
    """

    where: str
    path: str
    found: str
    expected: str
    reason: str

    def __str__(self) -> str:
        """Return the one line a person reads."""
        place = f"{self.where} {self.path}".strip()
        return f"{place}: found {self.found}, expected {self.expected} [{self.reason}]"


class GeoEngineError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(GeoEngineError):
    """Input that cannot be used; ``faults`` holds one entry per place that is wrong."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the faults; the message lists them one a line."""
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ZoneDocumentError(InputError):
    """A zone document holds faults."""


class PingFileError(InputError):
    """A ping file cannot be read at all (single bad rows are rejects, not errors)."""


class RoadFileError(InputError):
    """A road file cannot be read at all, or holds no road."""


class VehicleFileError(InputError):
    """A vehicle file holds faults."""


class ConfigurationError(GeoEngineError):
    """Settings are missing or cannot work together."""


class SnapshotError(GeoEngineError):
    """A saved state that is damaged, of another version, or of other zones."""


class StoreError(GeoEngineError):
    """The store refused a request or cannot be reached."""
