"""What was said a moment ago: a question that waits for a place, a word that waits for a yes; it expires."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from geo_engine.meetings.service import Wanted
from geo_engine.wechat.conversation.intents import Intent, Meant

__all__ = ["Dialogues", "Spot", "State"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place somebody sent in the chat: WGS-84 degrees and when."""

    lon: float
    lat: float
    time_ms: int


@dataclass(frozen=True, slots=True)
class State:
    """Where the dialogue with one person stands.

    Attributes:
        at_ms: when it was left so.
        waits: what is answered as soon as a place comes; None = nothing waits.
        confirms: what a yes confirms; None = nothing.
        wanted: the meeting that only lacks its venue.
        spot: the place sent last.
        zone_id: the zone last spoken of, which "do not warn me here again" is about.
    """

    at_ms: int
    waits: Meant | None = None
    confirms: Intent | None = None
    wanted: Wanted | None = None
    spot: Spot | None = None
    zone_id: str | None = field(default=None)


EXPIRES_MS: Final = 10 * 60_000


class Dialogues:
    """The state of each person's dialogue, in memory, for some minutes. One thread at a time.

    A place sent in the chat is kept here for as long and nowhere else.
    """

    def __init__(self, *, expires_ms: int = EXPIRES_MS, at_most: int = 100_000) -> None:
        """Start with nobody.

        Args:
            expires_ms: after this silence everything is forgotten.
            at_most: people remembered; beyond, those who were silent longest are forgotten.
        """
        self._expires_ms, self._at_most = expires_ms, at_most
        self._states: OrderedDict[int, State] = OrderedDict()

    def __len__(self) -> int:
        """Return how many people are remembered."""
        return len(self._states)

    def of(self, u7: int, now_ms: int) -> State:
        """Return where the dialogue stands; a fresh state when it is new or expired."""
        state = self._states.get(u7)
        if state is not None and now_ms - state.at_ms < self._expires_ms:
            return state
        self._states.pop(u7, None)
        return State(now_ms)

    def put(self, u7: int, state: State) -> None:
        """Keep where the dialogue stands now."""
        self._states[u7] = state
        self._states.move_to_end(u7)
        # The first ones were silent longest: what has expired goes, whoever it was.
        while self._states:
            first, oldest = next(iter(self._states.items()))
            if len(self._states) <= self._at_most and state.at_ms - oldest.at_ms < self._expires_ms:
                break
            del self._states[first]

    def forget(self, u7: int) -> None:
        """Forget somebody."""
        self._states.pop(u7, None)
