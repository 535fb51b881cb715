"""GeoJSON coordinates to columns: counted before anything is built, checked, put into WGS-84, unwrapped at 180."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.datum import Datum, to_wgs84
from geo_engine.model import FloatColumn
from geo_engine.zones.findings import Findings, describe

__all__ = [
    "DEFAULT_LIMITS",
    "NESTING",
    "Limits",
    "Path",
    "Size",
    "convert_coordinates",
    "measure",
    "read_positions",
    "unwrap",
]

Path = npt.NDArray[np.float64]
"""Positions as an array of n x 2 (lon, lat) degrees."""

NESTING: Final = {
    "Point": 0,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""The accepted geometry types and how many arrays surround a position in their coordinates."""

_WRITTEN_DECIMALS: Final = 8
"""A millimetre."""

# The west of China, where a swapped position is still a position: degrees as they look when swapped. The real land
# there, north of Norway and Russia, is ice.
_SWAPPED_X: Final = (27.0, 49.5)
_SWAPPED_Y: Final = (73.5, 90.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on a zone document, checked before any geometry is built.

    Attributes:
        document_bytes: length of the text.
        document_features: features in it.
        document_vertices: positions in it.
        zone_vertices: positions of one feature; ``is_valid`` of 10,000 takes about 11 ms.
        line_vertices: positions of the lines of one feature; checking a hostile line of 2,000 takes about 30 ms.
        zone_rings: rings or lines of one feature.
    """

    document_bytes: int = 20_000_000
    document_features: int = 50_000
    document_vertices: int = 500_000
    zone_vertices: int = 10_000
    line_vertices: int = 2_000
    zone_rings: int = 2_000

    @property
    def document_brackets(self) -> int:
        """The most ``[`` a document within the caps can hold: a ring takes four positions; the rest is properties."""
        return self.document_vertices * 3 // 2 + self.document_features


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Size:
    """How much a geometry holds: rings (or lines) and positions."""

    rings: int
    vertices: int


def measure(geometry: object) -> Size:
    """Count the rings and positions of a GeoJSON geometry without looking at a single position."""
    depth = NESTING.get(str(geometry.get("type")), 0) if isinstance(geometry, dict) else 0
    coordinates = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if depth == 0 or not isinstance(coordinates, list | tuple):
        return Size(0, 1)
    rings: list[object] = [coordinates]
    for _ in range(depth - 1):
        rings = list(chain.from_iterable(part for part in rings if isinstance(part, list | tuple)))
    return Size(len(rings), sum(len(ring) for ring in rings if isinstance(ring, list | tuple)))


def read_positions(raw: object, path: str, findings: Findings, *, datum: Datum, single: bool = False) -> Path | None:
    """Check an array of GeoJSON positions and return it in WGS-84; None after a fault.

    Every position holds two finite numbers, lon in -180 .. 180 and lat in -90 .. 90; further numbers (height) are
    dropped with a note. The first bad position is named, the others are counted.

    Args:
        raw: what stands in the document.
        path: JSON path of ``raw``.
        findings: takes faults and notes.
        datum: datum of the numbers.
        single: ``raw`` holds the one position of a Point, whose path carries no number.
    """

    def place(row: int) -> str:
        return path if single else f"{path}[{row}]"

    if not isinstance(raw, list | tuple):
        findings.fault(path, describe(raw), "an array of positions", "not_an_array")
        return None
    if not raw:
        findings.fault(path, "an empty array", "positions", "empty_coordinates")
        return None
    if not _are_positions(raw):
        _blame_shape(raw, place, findings)
        return None
    positions = _columns(raw)
    lon, lat = positions[:, 0], positions[:, 1]
    # NaN fails every comparison.
    bad = ~((np.abs(lon) <= 180.0) & (np.abs(lat) <= 90.0))
    if bad.any():
        _blame_range(raw, positions, bad, place, findings)
        return None
    if max(map(len, raw)) > 2:
        findings.note(path, f"{max(map(len, raw))} numbers a position", "lon, lat; the rest is dropped", "z_dropped")
    if _looks_swapped(lon, lat):
        found = f"[{lon[0]!s}, {lat[0]!s}] in the Arctic; swapped it lies in China"
        findings.fault(place(0), found, "lon before lat", "lon_lat_swapped")
        return None
    return np.stack(to_wgs84(lon, lat, datum), axis=1)


def convert_coordinates(raw: Any, datum: Datum) -> list[Any]:  # noqa: ANN401  # nested to any of four depths
    """Return the coordinates of a geometry in WGS-84, nested as they are, to a millimetre; heights stay.

    Args:
        raw: coordinates that ``read_positions`` accepts.
        datum: their datum.
    """
    if not isinstance(raw[0], list | tuple):
        position: list[Any] = convert_coordinates([raw], datum)[0]
        return position
    if isinstance(raw[0][0], list | tuple):
        return [convert_coordinates(part, datum) for part in raw]
    columns = _columns(raw)
    lon, lat = (column.round(_WRITTEN_DECIMALS).tolist() for column in to_wgs84(columns[:, 0], columns[:, 1], datum))
    return [[x, y, *position[2:]] for x, y, position in zip(lon, lat, raw, strict=True)]


def unwrap(positions: Path) -> Path:
    """Return positions whose longitudes run without a jump: a step of more than 180 degrees goes the short way round.

    The first position stays; the others may leave -180 .. 180. A ring that does not come back to its first longitude
    goes round a pole.
    """
    steps = np.diff(positions[:, 0])
    # Rounds half to even, so a step of exactly 180 degrees stays as it is written.
    turns = np.cumsum(np.round(steps / 360.0)) * 360.0
    if not turns.any():
        return positions
    lon: FloatColumn = positions[:, 0].copy()
    lon[1:] -= turns
    return np.stack([lon, positions[:, 1]], axis=1)


def _are_positions(raw: Sequence[object]) -> bool:
    """Say whether every entry is an array of at least two numbers. Cost: 0.1 us a position."""
    if not all(isinstance(entry, list | tuple) for entry in raw):
        return False
    entries: Sequence[Sequence[object]] = raw  # type: ignore[assignment]  # the line above proves it
    return min(map(len, entries)) >= 2 and set(map(type, chain.from_iterable(entries))) <= {int, float}


def _columns(raw: Iterable[Sequence[float]]) -> Path:
    pairs = [position[:2] for position in raw]
    try:
        return np.array(pairs, dtype=np.float64)
    except OverflowError:
        # A whole number beyond the range of a float: infinite for our purpose.
        clipped = [[max(-1e300, min(1e300, value)) for value in pair] for pair in pairs]
        return np.array(clipped, dtype=np.float64)


def _blame_shape(raw: Sequence[object], place: Callable[[int], str], findings: Findings) -> None:
    """Name the first entry that is no position; there is one, as ``_are_positions`` found."""
    row, position = next((row, position) for row, position in enumerate(raw) if not _are_positions([position]))
    if not isinstance(position, list | tuple) or len(position) < 2:
        findings.fault(place(row), describe(position), "a position [lon, lat]", "not_a_position")
        return
    axis, value = next((axis, value) for axis, value in enumerate(position) if type(value) not in (int, float))
    findings.fault(f"{place(row)}[{axis}]", describe(value), "a number", "not_a_number")


def _blame_range(
    raw: Sequence[Sequence[object]],
    positions: Path,
    bad: npt.NDArray[np.bool_],
    place: Callable[[int], str],
    findings: Findings,
) -> None:
    row = int(np.argmax(bad))
    axis = 0 if not abs(positions[row, 0]) <= 180.0 else 1
    value = raw[row][axis]
    others = int(bad.sum()) - 1
    found = describe(value) + (f" (and {others} more bad positions)" if others else "")
    where = f"{place(row)}[{axis}]"
    if not np.isfinite(positions[row, axis]):
        findings.fault(where, found, "a finite number of degrees", "not_finite")
    elif axis == 0:
        findings.fault(where, found, "a longitude in -180 .. 180", "lon_out_of_range")
    elif (np.abs(positions) <= (90.0, 180.0)).all():
        expected = "a latitude in -90 .. 90; with lon and lat swapped all positions fit"
        findings.fault(where, found, expected, "lon_lat_swapped")
    else:
        findings.fault(where, found, "a latitude in -90 .. 90", "lat_out_of_range")


def _looks_swapped(lon: FloatColumn, lat: FloatColumn) -> bool:
    return bool(
        _SWAPPED_X[0] <= lon.min()
        and lon.max() <= _SWAPPED_X[1]
        and _SWAPPED_Y[0] <= lat.min()
        and lat.max() <= _SWAPPED_Y[1]
    )
