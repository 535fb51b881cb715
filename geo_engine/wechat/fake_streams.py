"""Streams of LOCATION events: simulated people who are in the conversation and move along a track."""

from __future__ import annotations

import csv
import io
import json
import math
import threading
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from geo_engine.errors import ConfigurationError
from geo_engine.geodesy.datum import Datum
from geo_engine.geodesy.measure import distance_m
from geo_engine.wechat.fake import FakeWeChat
from geo_engine.wechat.fake_people import FakePeople

__all__ = ["FakeStreams", "FakeTrack"]

_EVERY_S: Final = 5.0
_WORKERS: Final = 8
_TICK_S: Final = 0.05
_TIMES: Final = {"time_s": 1_000.0, "time_ms": 1.0}


@dataclass(frozen=True, slots=True)
class FakeTrack:
    """Where somebody is how long after the start: WGS-84, milliseconds ascending from 0; straight lines between."""

    lon: tuple[float, ...]
    lat: tuple[float, ...]
    time_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no track."""
        pairs = pairwise(self.time_ms)
        good = all(before < after for before, after in pairs) and len(self.lon) == len(self.lat) == len(self.time_ms)
        on_earth = all(abs(x) <= 180.0 and abs(y) <= 90.0 for x, y in zip(self.lon, self.lat, strict=False))
        if not self.lon or not good or not on_earth or not all(map(math.isfinite, self.time_ms)):
            message = (
                f"track: found {len(self.lon)} places, expected at least one, on earth, each later than the one before"
            )
            raise ConfigurationError(message)

    @classmethod
    def along(cls, places: Sequence[tuple[float, float]], speed_mps: float) -> FakeTrack:
        """Return the track of somebody who passes these places (lon, lat) at a steady speed; who stays there repeats.

        Raises:
            ConfigurationError: the speed is not positive, or the places are none.
        """
        if not speed_mps > 0.0 or not math.isfinite(speed_mps):
            message = f"speed_mps: found {speed_mps}, expected metres per second above 0"
            raise ConfigurationError(message)
        kept = [one for number, one in enumerate(places) if number == 0 or one != places[number - 1]]
        times = [0.0]
        for before, after in pairwise(kept):
            times.append(times[-1] + 1000.0 * float(distance_m(*before, *after)) / speed_mps)
        return cls(tuple(x for x, _ in kept), tuple(y for _, y in kept), tuple(times[: len(kept)]))

    @classmethod
    def read(cls, text: str, *, speed_mps: float | None = None) -> FakeTrack:
        """Read a track.

        Args:
            text: CSV with the columns ``lon``, ``lat`` and ``time_s`` or ``time_ms`` (from any start), or GeoJSON: a
                LineString, or a Feature with one, whose property ``times_ms`` may hold a time for each place.
            speed_mps: for GeoJSON without times.

        Raises:
            ConfigurationError: it is neither, or something is missing; the text says what.
        """
        return _from_geojson(text, speed_mps) if text.lstrip().startswith("{") else _from_csv(text)

    @property
    def lasts_ms(self) -> float:
        """Return how long it takes."""
        return self.time_ms[-1]

    def at(self, after_ms: float) -> tuple[float, float]:
        """Return lon and lat so long after the start; beyond the end, its last place."""
        index = bisect_right(self.time_ms, after_ms)
        if index == 0 or index == len(self.time_ms):
            last = max(index - 1, 0)
            return self.lon[last], self.lat[last]
        begin_ms, end_ms = self.time_ms[index - 1], self.time_ms[index]
        share = (after_ms - begin_ms) / (end_ms - begin_ms)
        ends = ((line[index - 1], line[index]) for line in (self.lon, self.lat))
        lon, lat = (before + share * (after - before) for before, after in ends)
        return lon, lat


def _from_csv(text: str) -> FakeTrack:
    rows = list(csv.DictReader(io.StringIO(text.strip())))
    column = next((name for name in _TIMES if rows and name in rows[0]), None)
    if column is None or "lon" not in rows[0] or "lat" not in rows[0]:
        found = ", ".join(str(name) for name in rows[0]) if rows else "no row"
        message = f"track: found {found}, expected CSV with the columns lon, lat and time_s or time_ms, or GeoJSON"
        raise ConfigurationError(message)
    values = [
        [_number(row[name], f"row {number}, {name}") for name in ("lon", "lat", column)]
        for number, row in enumerate(rows, 2)
    ]
    begin = values[0][2]
    return FakeTrack(
        tuple(lon for lon, _, _ in values),
        tuple(lat for _, lat, _ in values),
        tuple(_TIMES[column] * (time - begin) for _, _, time in values),
    )


def _from_geojson(text: str, speed_mps: float | None) -> FakeTrack:
    try:
        found = json.loads(text)
    except ValueError as error:
        message = f"track: {error}, expected GeoJSON"
        raise ConfigurationError(message) from None
    feature = found.get("features", [found])[0] if isinstance(found.get("features", [found]), list) else found
    geometry = feature.get("geometry", feature) if isinstance(feature, dict) else None
    if not isinstance(geometry, dict) or geometry.get("type") != "LineString":
        message = "track: found no LineString, expected one, or a Feature with one"
        raise ConfigurationError(message)
    places = [_place(place, number) for number, place in enumerate(geometry.get("coordinates") or [])]
    times = (feature.get("properties") or {}).get("times_ms")
    if times is not None:
        if not isinstance(times, list) or len(times) != len(places) or not times:
            message = f"track: found times_ms that are not {len(places)}, expected one for each place"
            raise ConfigurationError(message)
        begun = [_number(time, "times_ms") for time in times]
        after = tuple(time - begun[0] for time in begun)
        return FakeTrack(tuple(x for x, _ in places), tuple(y for _, y in places), after)
    if speed_mps is None:
        message = "track: found neither times_ms nor a speed, expected one of them"
        raise ConfigurationError(message)
    return FakeTrack.along(places, speed_mps)


def _place(place: object, number: int) -> tuple[float, float]:
    if not isinstance(place, list) or len(place) < 2:
        message = f"track, place {number}: found {place!r}, expected [lon, lat]"
        raise ConfigurationError(message)
    return _number(place[0], f"place {number}, lon"), _number(place[1], f"place {number}, lat")


def _number(value: object, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is none is refused below
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        message = f"track, {where}: found {value!r}, expected a number"
        raise ConfigurationError(message)
    return number


@dataclass(slots=True)
class _Stream:
    track: FakeTrack
    datum: Datum | None
    accuracy_m: float
    every_ms: int
    start_ms: int
    due_ms: int


class FakeStreams:
    """Pushes a LOCATION event of everybody on a track every five seconds of the account's clock, until its end.

    One person has one stream; they go in real time with the clock, and ``run_due`` after a jump of it pushes what
    was skipped, each event with its own time. Safe for several threads.
    """

    def __init__(self, account: FakeWeChat, people: FakePeople) -> None:
        self.pushed = 0
        self._account, self._people = account, people
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="fake-wechat-phone")
        self._thread: threading.Thread | None = None

    def start(
        self,
        person: str,
        track: FakeTrack,
        *,
        datum: Datum | None = None,
        accuracy_m: float = 30.0,
        every_s: float = _EVERY_S,
    ) -> str:
        """Let a person enter the conversation and move; the first event is due at once. Return their OpenID.

        Args:
            person: an OpenID, or a name as ``FakePeople.phone`` takes it.
            track: where they go.
            datum: of the events; None = that of the account.
            accuracy_m: what the events say.
            every_s: seconds between two events, at least 1: two in one second are one to WeChat.

        Raises:
            ConfigurationError: the interval is shorter.
        """
        if not every_s >= 1.0:
            message = f"every_s: found {every_s}, expected at least 1"
            raise ConfigurationError(message)
        open_id, now_ms = self._people.phone(person).open_id, self._account.now_ms()
        with self._lock:
            self._streams[open_id] = _Stream(track, datum, accuracy_m, round(1000 * every_s), now_ms, now_ms)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fake-wechat-streams", daemon=True)
                self._thread.start()
        return open_id

    def stop(self, person: str | None = None) -> None:
        """Let a person, or everybody, leave the conversation: nothing more is reported."""
        with self._lock:
            if person is None:
                self._streams.clear()
            else:
                self._streams.pop(self._people.phone(person).open_id, None)

    def moving(self) -> tuple[str, ...]:
        """Return who is on a track."""
        with self._lock:
            return tuple(self._streams)

    def run_due(self) -> int:
        """Push every event that is due by the account's clock, each person's in their order; return how many."""
        with self._turn:
            pushed = 0
            while due := self._due(self._account.now_ms()):
                pushed += sum(self._pool.map(self._report, due))
            self.pushed += pushed
            return pushed

    def _report(self, due: tuple[str, _Stream, int]) -> int:
        open_id, stream, due_ms = due
        lon, lat = stream.track.at(due_ms - stream.start_ms)
        self._people.phone(open_id).is_at(lon, lat, accuracy_m=stream.accuracy_m, datum=stream.datum, time_ms=due_ms)
        return 1

    def close(self) -> None:
        """End every stream and the thread."""
        self.stop()
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown()

    def _due(self, now_ms: int) -> list[tuple[str, _Stream, int]]:
        """Return the next event of everybody who has one due, and move their streams on."""
        with self._lock:
            due = [(open_id, one, one.due_ms) for open_id, one in self._streams.items() if one.due_ms <= now_ms]
            for open_id, stream, _ in due:
                stream.due_ms += stream.every_ms
                if stream.due_ms - stream.start_ms > stream.track.lasts_ms:
                    del self._streams[open_id]
            return due

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_S):
            self.run_due()
