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
from geo_engine.tracking.learnt import Forecast
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
    most_moves: int = 2_500_000
    half_life_s: float = 14 * 86_400.0

    def __post_init__(self) -> None:
        if not (self.every_s >= 1.0 and self.steps_a_period > 0 and self.grown_by >= 0.0):
            message = f"found {self}, expected a period of a second or more, and some steps in it"
            raise ConfigurationError(message)


class Lesson(NamedTuple):
    """What was learnt up to a moment; never written again.

    Attributes:
        flow: of places and headings.
        roads: of roads; None = there is no map.
    """

    flow: Flow
    roads: RoadFlow | None

    def forecast(self, zones: ZoneSet, index: ZoneIndex) -> Forecast:
        """Make a forecast for zones. Cost: see ``outlooks_of``."""
        return Forecast.of(self.flow, self.roads, zones, index)

    def saved(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return everything as arrays for a snapshot."""
        arrays = self.flow.saved() | ({} if self.roads is None else self.roads.saved())
        return {f"{name}_{key}": array for key, array in arrays.items()}


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

    def __init__(self, learning: Learning, net: RoadNet | None = None, background: Background = at_once) -> None:
        """Know nothing yet but the roads."""
        self._learning = learning
        self._background = background
        self._now = Lesson(
            Flow(most_moves=learning.most_moves, half_life_s=learning.half_life_s),
            None if net is None else RoadFlow(net, half_life_s=learning.half_life_s),
        )
        self._in_force = self._copied()
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

    def first_forecast(self, zones: ZoneSet, index: ZoneIndex) -> Forecast:
        """Return the forecast of what is in force for zones."""
        return self._in_force.forecast(zones, index)

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
            found, self._in_force = self._coming.ready(), self._coming.lesson
            self._coming = None
        self._age(moment_ms // _DAY_MS)
        if self._fresh and self._fresh >= self._learning.grown_by * (self._known + self._fresh):
            lesson = self._copied()
            self._known, self._fresh = self._known + self._fresh, 0.0
            self._coming = _Coming(lesson, self._background(lambda: lesson.forecast(zones, index)))
        self._sample()
        self.next_ms = moment_ms + self._every_ms
        return found

    def learn_now(self, zones: ZoneSet, index: ZoneIndex) -> Forecast:
        """Make a forecast of everything learnt so far, in force at once. Cost: see ``outlooks_of``."""
        self._in_force, self._coming = self._copied(), None
        self._known, self._fresh = self._known + self._fresh, 0.0
        self._sample()
        return self.first_forecast(zones, index)

    def edited(self, edit: Edit, zones: ZoneSet, index: ZoneIndex) -> None:
        """Let a forecast that is being made be one of the zones after an edit."""
        if self._coming is not None:
            before = self._coming.ready
            self._coming.ready = self._background(lambda: before().after(edit, zones, index))

    def saved(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return numbers and arrays for a snapshot."""
        numbers = {
            "next_ms": self.next_ms,
            "aged_day": self._aged_day,
            "mask": self.mask,
            "known": self._known,
            "fresh": self._fresh,
            "period": self._period,
            "coming": self._coming is not None,
        }
        arrays = self._now.saved("now") | self._in_force.saved("force")
        return numbers, arrays | ({} if self._coming is None else self._coming.lesson.saved("coming"))

    def load(
        self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], zones: ZoneSet, index: ZoneIndex
    ) -> Forecast:
        """Go on from a snapshot; return the forecast in force. Cost: that of making it anew."""
        self._now, self._in_force = self._read("now", arrays), self._read("force", arrays)
        self.next_ms, self.mask, self._aged_day = numbers["next_ms"], numbers["mask"], numbers["aged_day"]
        self._known, self._fresh, self._period = numbers["known"], numbers["fresh"], numbers["period"]
        self._coming = None
        if numbers["coming"]:
            lesson = self._read("coming", arrays)
            self._coming = _Coming(lesson, self._background(lambda: lesson.forecast(zones, index)))
        return self.first_forecast(zones, index)

    def _read(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Lesson:
        own = {key.removeprefix(f"{name}_"): array for key, array in arrays.items() if key.startswith(f"{name}_")}
        lesson = self._copied()
        lesson.flow.load(own)
        if lesson.roads is not None:
            lesson.roads.load(own)
        return lesson

    def _copied(self) -> Lesson:
        return Lesson(self._now.flow.copy(), None if self._now.roads is None else self._now.roads.copy())

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
