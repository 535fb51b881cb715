"""Recorded drives as cases: zones across the way, decoys beside it; the recording itself is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from shapely import affinity

from benchmarks.quality.findings import Ground, Moments
from benchmarks.quality.frame import Frame, Metres
from benchmarks.quality.score import Record
from benchmarks.quality.sensing import Motions, Sensing, sense
from benchmarks.quality.truth import stays_of, visits_of
from geo_engine.ingest.convert import TrackFormat, convert_track
from geo_engine.model import FloatColumn, IntColumn, PingBatch
from geo_engine.testing import noon_ms

__all__ = ["RECORDINGS", "RecordedCase", "Recording", "read_recorded_case"]

_FASTEST_MPS: Final = 60.0  # what is faster is a jump of the receiver, not of the car
_AROUND_S: Final = 2
_ZONE_M: Final = (80.0, 70.0)  # along and across the way
_SEED: Final = 5


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of recorded tracks and how it is used.

    Attributes:
        name: what it is called in tables.
        file: path below the folder of recordings.
        source: its format.
        copies: every track is driven so often, each time with errors of its own.
        every_m: a zone or a decoy stands every so many metres of the way.
        zoned: one track of so many has zones along it; where many share a street, zones of all would be a crowd.
    """

    name: str
    file: str
    source: TrackFormat
    copies: int
    every_m: float
    zoned: int = 1


RECORDINGS: Final = (
    Recording("envirocar", "traj/envirocar_track_1.json", TrackFormat.ENVIROCAR, 20, 450.0),
    Recording("barefoot", "traj/barefoot_x0001-001.json", TrackFormat.BAREFOOT, 20, 350.0),
    Recording("pneuma", "traj/pneuma_sparsify_1hz.csv", TrackFormat.PNEUMA, 4, 250.0, zoned=8),
)


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """A recording with zones along it.

    Attributes:
        name: of the recording.
        frame: its flat frame.
        motions: the tracks second by second, copies included.
        shapes: zones and decoys in metres.
        record: the visits.
    """

    name: str
    frame: Frame
    motions: Motions
    shapes: tuple[shapely.Polygon, ...]
    record: Record

    def ground(self) -> Ground:
        """Return what a way may know; there is no map of these places."""
        return Ground(tuple(shapely.transform(shape, self.frame.to_degrees) for shape in self.shapes))

    def pings(self, sensing: Sensing) -> PingBatch:
        """Return what phones would have reported."""
        return sense(self.motions, sensing, self.frame, start_ms=noon_ms, seed=_SEED)[0]


def read_recorded_case(recording: Recording, folder: Path) -> RecordedCase:
    """Read a recording and place zones along it; the same file gives the same case.

    Raises:
        PingFileError: the file cannot be read.
    """
    batch = convert_track(folder / recording.file, recording.source).batch
    frame = Frame(float(np.median(batch.lon)), float(np.median(batch.lat)))
    place = frame.to_metres(np.column_stack([batch.lon, batch.lat]))
    tracks = [_each_second(*_plausible(batch.time_ms[rows], place[rows])) for rows in _rows_by_track(batch.u7)]
    shapes = tuple(_along(tracks[:: recording.zoned], recording.every_m))
    every = [track for track in tracks for _ in range(recording.copies)]
    motions = _motions(every)
    visits = visits_of(stays_of(motions.place_m, shapes))
    length_s = np.array([len(track) for track in every])
    moments = Moments(visits.user, visits.zone, noon_ms + visits.time_s.astype(np.int64) * 1000)
    record = Record(moments, noon_ms, noon_ms + length_s * 1000, length_s.sum() / 3600.0)
    return RecordedCase(recording.name, frame, motions, shapes, record)


def _rows_by_track(u7: IntColumn) -> Iterator[IntColumn]:
    for user in np.unique(u7):
        yield np.flatnonzero(u7 == user)


def _plausible(time_ms: IntColumn, place: Metres) -> tuple[FloatColumn, Metres]:
    """Order the points of a track by time and leave out those no car can have reached; times become seconds."""
    order = np.argsort(time_ms, kind="stable")
    kept = [int(order[0])]
    for row in order[1:].tolist():
        seconds = (time_ms[row] - time_ms[kept[-1]]) / 1000.0
        if seconds > 0 and np.hypot(*(place[row] - place[kept[-1]])) <= _FASTEST_MPS * seconds:
            kept.append(row)
    return (time_ms[kept] - time_ms[kept[0]]) / 1000.0, place[kept]


def _each_second(at_s: FloatColumn, place: Metres) -> Metres:
    seconds = np.arange(int(at_s[-1]) + 1)
    return np.column_stack([np.interp(seconds, at_s, place[:, axis]) for axis in (0, 1)])


def _motions(tracks: list[Metres]) -> Motions:
    """Lay tracks side by side; a shorter one is filled up with NaN. Motion is taken over two seconds to either side."""
    place = np.full((max(map(len, tracks)), len(tracks), 2), np.nan)
    speed, heading = np.full(place.shape[:2], np.nan), np.full(place.shape[:2], np.nan)
    for column, track in enumerate(tracks):
        seconds = np.arange(len(track))
        after, before = np.minimum(seconds + _AROUND_S, len(track) - 1), np.maximum(seconds - _AROUND_S, 0)
        way = track[after] - track[before]
        place[: len(track), column] = track
        speed[: len(track), column] = np.hypot(way[:, 0], way[:, 1]) / np.maximum(after - before, 1)
        heading[: len(track), column] = np.degrees(np.arctan2(way[:, 0], way[:, 1])) % 360.0
    return Motions(place, speed, heading)


def _along(tracks: list[Metres], every_m: float) -> Iterator[shapely.Polygon]:
    """Yield a zone across the way and a decoy beside it in turns, at even distances of every track."""
    rng = np.random.default_rng(_SEED)
    for track in tracks:
        line = shapely.LineString(track)
        for number, at_m in enumerate(np.arange(every_m, line.length, every_m).tolist()):
            here, there = (shapely.get_coordinates(line.interpolate(at_m + step))[0] for step in (0.0, 10.0))
            way = there - here
            beside_m = 0.0 if number % 2 == 0 else rng.uniform(40.0, 70.0) + _ZONE_M[1] / 2
            drawn = affinity.translate(_box(*_ZONE_M), 0.0, float(rng.choice([-1.0, 1.0])) * beside_m)
            turned = affinity.rotate(drawn, np.arctan2(way[1], way[0]), origin=(0, 0), use_radians=True)
            yield affinity.translate(turned, *here)


def _box(along_m: float, across_m: float) -> shapely.Polygon:
    return shapely.box(-along_m / 2, -across_m / 2, along_m / 2, across_m / 2)
