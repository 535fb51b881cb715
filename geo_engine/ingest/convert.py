"""Recorded tracks of other programs to pings: enviroCar GeoJSON, Barefoot JSON, pNEUMA CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from geo_engine.errors import Fault
from geo_engine.geodesy.datum import Datum
from geo_engine.ingest.decode import PingCollector, unreadable
from geo_engine.ingest.rows import BadField, iso_ms, load_json, shown
from geo_engine.model import PingBatch

__all__ = ["PNEUMA_START", "Converted", "TrackFormat", "convert_track"]

PNEUMA_START: Final = "2018-10-24T08:30:00+03:00"
"""Start of the pNEUMA recordings of 2018-10-24 in Athens; the files count their time from zero."""

_MPS_PER_KMH: Final = 1.0 / 3.6
_WKT_POINT: Final = re.compile(r"\s*POINT\s*\(\s*([-+.0-9eE]+)\s+([-+.0-9eE]+)\s*\)\s*", re.IGNORECASE)
_PNEUMA_COLUMNS: Final = ("track_id", "lon", "lat", "speed", "time")


class TrackFormat(StrEnum):
    """A foreign format of recorded tracks."""

    ENVIROCAR = "envirocar"
    BAREFOOT = "barefoot"
    PNEUMA = "pneuma"


@dataclass(frozen=True, slots=True)
class Converted:
    """The pings of a recording.

    Attributes:
        batch: the pings in the order of the source, WGS-84.
        faults: what was wrong with the first hundred points left out.
        rejected: points left out, counted by reason.
        tracks: the u7 given to each track, by the track's name in the source, in order of first appearance.
    """

    batch: PingBatch
    faults: tuple[Fault, ...]
    rejected: dict[str, int]
    tracks: dict[str, int]


class _Tracks(dict[str, int]):
    """Numbers the tracks one after the other, in order of first appearance."""

    def __init__(self, first_u7: int) -> None:
        self._first_u7 = first_u7

    def __missing__(self, track: str) -> int:
        return self.setdefault(track, self._first_u7 + len(self))


_Point = dict[str, object] | BadField
_Reader = Callable[[str, str, _Tracks, int], Iterator[tuple[int, _Point]]]


def convert_track(path: Path, source: TrackFormat, *, first_u7: int = 1, start_ms: int | None = None) -> Converted:
    """Read a recorded track and number its vehicles.

    - enviroCar: GeoJSON points with ``properties.time``; speed and heading from the phenomenons "GPS Speed" (km/h) and
      "GPS Bearing" (deg). "GPS Accuracy" is taken when its unit is metres; files that call it "%" leave it unknown.
    - Barefoot: a JSON list of ``{point: "POINT(lon lat)", time: "2014-09-10 06:54:07+0200", id}``.
    - pNEUMA: CSV ``track_id,lon,lat,speed,time``, speed in km/h, time counted from 1970-01-01 00:00:00: it is added
      to ``start_ms``.

    Args:
        path: the file.
        source: its format.
        first_u7: the u7 of the first track; the following get the following numbers.
        start_ms: epoch milliseconds at which a pNEUMA recording began; default ``PNEUMA_START``.

    Raises:
        PingFileError: the file cannot be read at all.
    """
    where = path.name
    text = _text_of(path)
    unit = "line" if source is TrackFormat.PNEUMA else "point"
    collector = PingCollector(where, unit=unit, datum=Datum.WGS84, finite=True)
    tracks = _Tracks(first_u7)
    points = _POINTS[source](text, where, tracks, iso_ms(PNEUMA_START) if start_ms is None else start_ms)
    collector.add_rows(_good_points(points, collector))
    decoded = collector.result()
    return Converted(decoded.batch, decoded.faults, decoded.rejected, dict(tracks))


def _text_of(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise unreadable(str(path), error.strerror or "an unreadable file", "a file that can be read") from error
    if not text.strip():
        raise unreadable(path.name, "an empty file", "a recorded track")
    return text


def _good_points(points: Iterator[tuple[int, _Point]], collector: PingCollector) -> Iterator[tuple[int, object]]:
    for number, point in points:
        if isinstance(point, BadField):
            collector.refuse(number, point)
        else:
            yield number, point


def _envirocar_points(text: str, where: str, tracks: _Tracks, _start_ms: int) -> Iterator[tuple[int, _Point]]:
    document = _json_of(text, where, "an enviroCar GeoJSON FeatureCollection")
    features = _member(document, "features")
    if not isinstance(features, list):
        raise unreadable(where, shown(document), "an enviroCar GeoJSON FeatureCollection")
    track = _member(document, "properties", "id")
    u7 = tracks[track if isinstance(track, str) else where]
    for number, feature in enumerate(features, start=1):
        coordinates = _member(feature, "geometry", "coordinates")
        if not isinstance(coordinates, list) or len(coordinates) < 2:
            yield number, BadField("geometry.coordinates", coordinates, "[lon, lat]")
            continue
        phenomenon = partial(_phenomenon, feature)
        yield (
            number,
            {
                "u7": u7,
                "time": _member(feature, "properties", "time"),
                "lon": coordinates[0],
                "lat": coordinates[1],
                "speed_mps": phenomenon("GPS Speed", "km/h", _MPS_PER_KMH),
                "heading_deg": phenomenon("GPS Bearing", "deg", 1.0),
                "accuracy_m": phenomenon("GPS Accuracy", "m", 1.0),
            },
        )


def _barefoot_points(text: str, where: str, tracks: _Tracks, _start_ms: int) -> Iterator[tuple[int, _Point]]:
    document = _json_of(text, where, "a Barefoot JSON list")
    if not isinstance(document, list):
        raise unreadable(where, shown(document), "a Barefoot JSON list")
    for number, sample in enumerate(document, start=1):
        point = _member(sample, "point")
        found = _WKT_POINT.fullmatch(point) if isinstance(point, str) else None
        lon, lat = (_decimal(value) for value in found.groups()) if found else (None, None)
        if lon is None or lat is None:
            yield number, BadField("point", point, "POINT(lon lat)")
            continue
        track = _member(sample, "id")
        u7 = tracks[track if isinstance(track, str) else where]
        yield number, {"u7": u7, "time": _member(sample, "time"), "lon": lon, "lat": lat}


def _pneuma_points(text: str, where: str, tracks: _Tracks, start_ms: int) -> Iterator[tuple[int, _Point]]:
    lines = text.split("\n")
    columns = [name.strip() for name in lines[0].split(",")]
    missing = [name for name in _PNEUMA_COLUMNS if name not in columns]
    if missing:
        raise unreadable(where, f"no column {', '.join(missing)}", f"a header {','.join(_PNEUMA_COLUMNS)}")
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        values = line.strip().split(",")
        if len(values) != len(columns):
            yield number, BadField("", len(values), f"{len(columns)} columns")
            continue
        row = dict(zip(columns, values, strict=True))
        yield number, _pneuma_point(row, tracks, start_ms)


def _pneuma_point(row: dict[str, str], tracks: _Tracks, start_ms: int) -> _Point:
    try:
        elapsed_ms = iso_ms(row["time"].strip() + "Z")
    except ValueError:
        return BadField("time", row["time"], "a time counted from 1970-01-01 00:00:00.000")
    lon, lat, speed_kmh = (_decimal(row[name]) for name in ("lon", "lat", "speed"))
    if lon is None or lat is None:
        name = "lon" if lon is None else "lat"
        return BadField(name, row[name], "degrees as a number")
    speed_mps = None if speed_kmh is None else speed_kmh * _MPS_PER_KMH
    u7 = tracks[row["track_id"]]
    return {"u7": u7, "time": start_ms + elapsed_ms, "lon": lon, "lat": lat, "speed_mps": speed_mps}


def _json_of(text: str, where: str, expected: str) -> object:
    try:
        return load_json(text)
    except RecursionError as error:
        raise unreadable(where, "a document nested too deeply", expected) from error
    except ValueError as error:
        raise unreadable(where, shown(error), expected) from error


def _member(value: object, *names: str) -> object:
    """Return the member reached by ``names``, None when there is none."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _phenomenon(feature: object, name: str, unit: str, factor: float) -> float | None:
    measured = _member(feature, "properties", "phenomenons", name)
    value = _member(measured, "value")
    if isinstance(value, bool) or not isinstance(value, int | float) or _member(measured, "unit") != unit:
        return None
    return value * factor


def _decimal(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_POINTS: Final[dict[TrackFormat, _Reader]] = {
    TrackFormat.ENVIROCAR: _envirocar_points,
    TrackFormat.BAREFOOT: _barefoot_points,
    TrackFormat.PNEUMA: _pneuma_points,
}
