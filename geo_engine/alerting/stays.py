"""Stays in zones that are warned about only after a while: the moments at which they will be long enough.

Who comes into such a zone is noted with the moment at which his stay would be long enough, and that is all: when it has
come the judge looks whether the visit goes on still. So neither a ping nor an exit costs anything here.
"""

from __future__ import annotations

import numpy as np

from geo_engine.model import BoolColumn, IntColumn
from geo_engine.tracking.events import APPROACH, DWELLED, ENTER, EVENT, MOVED, Events
from geo_engine.tracking.state import NEVER_MS

__all__ = ["Stays"]


class Stays:
    """Future ``DWELLED`` events. One per engine.

    The position of such an event is that of the event that brought the user inside: it does not depend on how later
    pings are cut into batches.
    """

    def __init__(self) -> None:
        """Start with nobody staying anywhere."""
        self._coming: Events = np.zeros(0, dtype=EVENT)

    def __len__(self) -> int:
        """Return the number of stays noted, also of users who have left since."""
        return len(self._coming)

    @property
    def next_ms(self) -> int:
        """Return the first moment at which a stay may be long enough, ``NEVER_MS`` = none."""
        return int(self._coming["time_ms"].min(initial=NEVER_MS))

    def join(self, events: Events, dwell_ms: IntColumn, now_ms: int) -> Events:
        """Note the stays that begin in ``events``; return these and the stays that are long enough by ``now_ms``.

        Args:
            events: what happened.
            dwell_ms: per zone how long one must stay, 0 = it is warned about at once.
            now_ms: the moment of judging.

        Cost: a look at every zone while nobody stays and none asks for it; else a pass over events and stays.
        """
        if not len(self._coming) and not dwell_ms.any():
            return events
        kind, wait_ms = events["kind"], dwell_ms[events["zone"]]
        begun = events[(kind >= ENTER) & (kind != APPROACH) & (wait_ms > 0)]
        begun["time_ms"] += dwell_ms[begun["zone"]]
        begun["kind"], begun["reason"] = DWELLED, MOVED
        coming = np.concatenate([self._coming, begun])
        ripe: BoolColumn = coming["time_ms"] <= now_ms
        self._coming = coming[~ripe]
        return np.concatenate([events, coming[ripe]])

    def rezone(self, moved: IntColumn, was_ms: IntColumn, dwell_ms: IntColumn, now_ms: int) -> None:
        """Follow the zones to another set, in which one must stay for another time.

        Args:
            moved: new position of every old zone, -1 when it is gone.
            was_ms: per old zone how long one had to stay.
            dwell_ms: the same per new zone.
            now_ms: a stay that is long enough by the new rule ends now, not in the past.
        """
        old = self._coming["zone"].astype(np.int64)
        there = moved[old] >= 0
        coming, old = self._coming[there], old[there]
        coming["zone"] = moved[old]
        coming["time_ms"] = np.maximum(coming["time_ms"] - was_ms[old] + dwell_ms[coming["zone"]], now_ms)
        self._coming = coming

    def forget(self, u7: IntColumn) -> None:
        """Drop the stays of users."""
        self._coming = self._coming[~np.isin(self._coming["u7"], u7)]

    def saved(self) -> Events:
        """Return what a snapshot keeps."""
        return self._coming

    def load(self, saved: Events) -> None:
        """Go on with what a snapshot kept."""
        self._coming = saved.copy()
