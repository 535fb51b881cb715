"""Where members of open meetings are, in memory only: nothing of it is ever written, and a restart forgets it."""

from __future__ import annotations

from geo_engine.meetings.meeting import Sighting

__all__ = ["Sightings"]


class Sightings:
    """The last position of each member who shares.

    Several threads may use it: each touch of the dictionary is one step of the interpreter.
    """

    def __init__(self) -> None:
        """Start with nobody seen."""
        self._seen: dict[int, Sighting] = {}

    def put(self, u7: int, seen: Sighting) -> None:
        """Note where somebody is; what is older than the known position changes nothing."""
        known = self._seen.get(u7)
        if known is None or known.time_ms <= seen.time_ms:
            self._seen[u7] = seen

    def of(self, u7: int) -> Sighting | None:
        """Return where somebody was seen last, None = nowhere."""
        return self._seen.get(u7)

    def users(self) -> list[int]:
        """Return who is remembered."""
        return list(self._seen)

    def forget(self, u7: int) -> None:
        """Forget where somebody is."""
        self._seen.pop(u7, None)
