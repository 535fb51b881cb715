"""Learns how the traffic goes while pings are judged, and from time to time makes a forecast of it.

What is learnt up to a moment is forecast with from the next moment on: in between there is time to compute it
elsewhere, and what is decided does not depend on how long that took. The moments are multiples of the period in event
time, so neither the order of the pings nor their cut into batches matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.errors import ConfigurationError
from geo_engine.index.protocol import ZoneIndex
from geo_engine.model import IntColumn
from geo_engine.tracking.flow import Flow
from geo_engine.tracking.flow_kernels import DrivenSteps
from geo_engine.tracking.learnt import Forecast, Scope
from geo_engine.tracking.roads import RoadFlow, RoadNet
from geo_engine.zones.edit import Edit
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Background", "Learner", "Learning", "Lesson", "Pupil", "at_once"]

Background = Callable[[Callable[[], Forecast]], Callable[[], Forecast]]
"""Computes a forecast elsewhere: is given what computes it, returns what waits for it."""

_DAY_MS: Final = 86_400_000
_NEVER_MS: Final = -1


def at_once(make: Callable[[], Forecast]) -> Callable[[], Forecast]:
    """Compute a forecast when it is asked for: nothing runs beside the engine."""
    return cache(make)


@dataclass(frozen=True, slots=True)
class Learning:
    """How the engine learns.

    Attributes:
        every_s: what was learnt is looked at so often; a forecast is made of it when enough is new.
        grown_by: share of everything learnt that must be new for that. A young engine renews its forecast every time,
            an old one every day or two.
        steps_a_period: more steps than this in a period teach nothing new: of the next one only a part is learnt.
        most_moves: room for so many different moves, see ``Flow``.
        half_life_s: after so long what was learnt counts half.
    """

    every_s: float = 600.0
    grown_by: float = 0.05
    steps_a_period: int = 4_000_000
    most_moves: int = 1_250_000
    half_life_s: float = 14 * 86_400.0

    def __post_init__(self) -> None:
        if not (self.every_s >= 1.0 and self.steps_a_period > 0 and self.grown_by >= 0.0):
            message = f"found {self}, expected a period of a second or more, and some steps in it"
            raise ConfigurationError(message)


class Lesson(NamedTuple):
    """What was learnt up to a moment; never written again, but for the one of now.

    Attributes:
        flow: of places and headings.
        roads: of roads; None = there is no map.
    """

    flow: Flow
    roads: RoadFlow | None

    def copy(self) -> Lesson:
        """Return what is known now. Cost: a copy of it."""
        return Lesson(self.flow.copy(), None if self.roads is None else self.roads.copy())

    def forecast(self, zones: ZoneSet, index: ZoneIndex, scope: Scope) -> Forecast:
        """Make a forecast for zones. Cost: see ``outlooks_of``."""
        return Forecast.of(self.flow.moves(), self.roads, zones, index, scope)


@dataclass(slots=True)
class _Coming:
    """A forecast that is being made.

    Attributes:
        lesson: of what.
        ready: waits for it.
    """

    lesson: Lesson
    ready: Callable[[], Forecast]


_NO_MOMENTS: Final = np.zeros(0, dtype=np.int64)


class Learner:
    """Learns steps and says when which forecast is in force. One per engine; what it holds of users is counts.

    Attributes:
        next_ms: the next moment to call ``renew``; before anything was judged it has no meaning.
        mask: of a step's number ``sample_of`` these bits are 0 where it is learnt.
    """

    def __init__(
        self, learning: Learning, scope: Scope, net: RoadNet | None = None, background: Background = at_once
    ) -> None:
        """Know nothing yet but the roads."""
        self._learning = learning
        self._scope = scope
        self._background = background
        self._now = Lesson(
            Flow(most_moves=learning.most_moves, half_life_s=learning.half_life_s),
            None if net is None else RoadFlow(net, half_life_s=learning.half_life_s),
        )
        self._coming: _Coming | None = None
        self._known, self._fresh, self._period = 0.0, 0.0, 0
        self._aged_day = 0
        self.mask = 0
        self.next_ms = _NEVER_MS

    def learn(self, steps: DrivenSteps) -> None:
        """Count steps of drivers. Cost: see ``Flow.learn``; with roads 0.5 us more a step."""
        count = len(steps.lon0)
        if count:
            self._now.flow.learn(steps)
            if self._now.roads is not None:
                self._now.roads.learn(steps)
            self._fresh += count
            self._period += count

    def moments(self, time_ms: IntColumn, until_ms: int) -> IntColumn:
        """Return the moments up to ``until_ms`` at which to ``renew`` while pings of such times are judged, ascending.

        At those left out nothing would change: no ping came in the period before, nor in the one before that.
        """
        if until_ms < self.next_ms:
            return _NO_MOMENTS
        every_ms = self._every_ms
        came = np.unique(time_ms[time_ms <= until_ms] // every_ms + 1) * every_ms
        if self.next_ms == _NEVER_MS:
            self.next_ms = int(came[0]) if len(came) else self._after(until_ms)
            self._aged_day = self.next_ms // _DAY_MS
        start = np.array([self.next_ms, self.next_ms + every_ms])
        asked = np.unique(np.concatenate([start, came, came + every_ms]))
        found: IntColumn = asked[(asked >= self.next_ms) & (asked <= until_ms)]
        return found

    def renew(self, moment_ms: int, running: Forecast, zones: ZoneSet, index: ZoneIndex) -> Forecast:
        """Go past one of the ``moments``; return the forecast from then on.

        Args:
            moment_ms: the moment.
            running: the forecast in force.
            zones: the zones.
            index: their index.
        """
        found = running
        if self._coming is not None:
            found, self._coming = self._coming.ready(), None
        self._age(moment_ms // _DAY_MS)
        if self._fresh and self._fresh >= self._learning.grown_by * (self._known + self._fresh):
            self._known, self._fresh = self._known + self._fresh, 0.0
            self._coming = self._making(self._now.copy(), zones, index)
        self._sample()
        self.next_ms = moment_ms + self._every_ms
        return found

    def learn_now(self, zones: ZoneSet, index: ZoneIndex) -> Forecast:
        """Make a forecast of everything learnt so far, in force at once. Cost: see ``outlooks_of``."""
        self._coming = None
        self._known, self._fresh = self._known + self._fresh, 0.0
        self._sample()
        return self._now.copy().forecast(zones, index, self._scope)

    def edited(self, edit: Edit, zones: ZoneSet, index: ZoneIndex) -> None:
        """Let a forecast that is being made be one of the zones after an edit."""
        if self._coming is not None:
            before = self._coming.ready
            self._coming.ready = self._background(lambda: before().after(edit, zones, index))

    def saved(self, running: Forecast) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return numbers and arrays for a snapshot; ``running`` is the forecast in force."""
        numbers = {
            "next_ms": self.next_ms,
            "aged_day": self._aged_day,
            "mask": self.mask,
            "known": self._known,
            "fresh": self._fresh,
            "period": self._period,
            "coming": self._coming is not None,
        }
        lessons = {"now": (self._now.flow.moves(), self._now.roads), "force": (running.moves, running.road_flow)}
        if self._coming is not None:
            lessons["coming"] = (self._coming.lesson.flow.moves(), self._coming.lesson.roads)
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, (moves, roads) in lessons.items():
            arrays[f"{name}_moves"] = moves
            arrays |= {} if roads is None else {f"{name}_{key}": array for key, array in roads.saved().items()}
        return numbers, arrays

    def load(
        self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], zones: ZoneSet, index: ZoneIndex
    ) -> Forecast:
        """Go on from a snapshot; return the forecast in force. Cost: that of making it anew."""
        self._now = self._read("now", arrays)
        self.next_ms, self.mask, self._aged_day = numbers["next_ms"], numbers["mask"], numbers["aged_day"]
        self._known, self._fresh, self._period = numbers["known"], numbers["fresh"], numbers["period"]
        self._coming = None
        if numbers["coming"]:
            self._coming = self._making(self._read("coming", arrays), zones, index)
        return self._read("force", arrays).forecast(zones, index, self._scope)

    def _read(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Lesson:
        lesson = self._now.copy()
        lesson.flow.load(arrays[f"{name}_moves"])
        if lesson.roads is not None:
            lesson.roads.load(
                {key.removeprefix(f"{name}_"): array for key, array in arrays.items() if key.startswith(f"{name}_")}
            )
        return lesson

    def _making(self, lesson: Lesson, zones: ZoneSet, index: ZoneIndex) -> _Coming:
        return _Coming(lesson, self._background(lambda: lesson.forecast(zones, index, self._scope)))

    def _age(self, day: int) -> None:
        """Let the days pass for what was learnt."""
        seconds = (day - self._aged_day) * _DAY_MS / 1000.0
        if seconds > 0.0:
            share = self._now.flow.age(seconds)
            if self._now.roads is not None:
                self._now.roads.age(seconds)
            self._known, self._fresh, self._aged_day = self._known * share, self._fresh * share, day

    def _sample(self) -> None:
        """Choose what part of the steps of the coming period is learnt: a power of two, by what there were in this."""
        seen = self._period * (self.mask + 1)
        self._period, self.mask = 0, 0
        while seen > self._learning.steps_a_period * (self.mask + 1):
            self.mask = 2 * self.mask + 1

    @property
    def _every_ms(self) -> int:
        return max(round(self._learning.every_s * 1000), 1)

    def _after(self, moment_ms: int) -> int:
        return (moment_ms // self._every_ms + 1) * self._every_ms


@dataclass(frozen=True, slots=True)
class Pupil:
    """A learner and the zones it forecasts for; without a learner nothing is learnt.

    Attributes:
        learner: the learner, None = nothing is learnt.
        zones: the zones.
    """

    learner: Learner | None
    zones: ZoneSet

    @property
    def mask(self) -> int:
        """Return which steps are learnt: see ``Moment.learn_mask``."""
        return -1 if self.learner is None else self.learner.mask

    def moments(self, time_ms: IntColumn, until_ms: int) -> IntColumn:
        """Return the moments to renew the forecast at."""
        return _NO_MOMENTS if self.learner is None else self.learner.moments(time_ms, until_ms)

    def learn(self, steps: DrivenSteps) -> None:
        """Learn from steps."""
        if self.learner is not None:
            self.learner.learn(steps)

    def renew(self, moments: IntColumn, running: Forecast, index: ZoneIndex) -> Forecast:
        """Go past some of the moments, ascending; return the forecast from then on."""
        if self.learner is not None:
            for moment_ms in moments.tolist():
                running = self.learner.renew(moment_ms, running, self.zones, index)
        return running
