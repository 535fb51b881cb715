"""Users who are inside a zone while what is known of them changes: a rule may begin to concern them where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from geo_engine.index.protocol import Pairs
from geo_engine.model import BoolColumn, IntColumn, Permit
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import EVENT, RETOLD, Events
from geo_engine.tracking.sets import EMPTY_SET, ZoneSets
from geo_engine.tracking.state import CONSENTED, PLACED, TOLD, UserRows
from geo_engine.zones.edit import Edit
from geo_engine.zones.rulebook import RuleBook

__all__ = ["PermitsOf", "Retold", "outlasting"]

Held = Mapping[int, tuple[Permit, ...]]
PermitsOf = Callable[[IntColumn], Held]
"""Returns the permits of those of the given users who hold any."""

_NOTES = np.dtype([("u7", np.int64), ("profile", np.int16), ("consents", np.bool_), ("told", np.int32)])


class Retold:
    """Notes who was told about anew while inside, and says at the next step whom a rule began to concern by that.

    What is told before the first step after a start is not new to anybody, only to the engine: it is not noted.
    """

    def __init__(self, users: UserRows, permits_of: PermitsOf, *, default_consents: bool) -> None:
        """Note nothing yet; ``default_consents`` answers for users nobody told about."""
        self._users = users
        self._permits_of = permits_of
        self._default_consents = default_consents
        self._notes: list[npt.NDArray[np.void]] = []
        self._permits: list[Held] = []
        self._watches = False

    def rest(self) -> None:
        """Forget all notes and note nothing until the next step: the state was restored."""
        self._notes, self._permits, self._watches = [], [], False

    def note(self, u7: IntColumn) -> None:
        """Note what is known of users before it changes. Cost: nothing but for those who are inside a zone."""
        if not self._watches:
            return
        asked = u7[self._users.rows["inside"][u7] != EMPTY_SET]
        notes = np.zeros(len(asked), dtype=_NOTES)
        notes["u7"], notes["profile"] = asked, self._users.rows["profile"][asked]
        notes["consents"] = self._consents(asked)
        notes["told"] = len(self._permits)
        self._permits.append(self._permits_of(asked))
        self._notes.append(notes)

    def forget(self, u7: IntColumn) -> None:
        """Drop the notes about some users."""
        self._notes = [notes[~np.isin(notes["u7"], u7)] for notes in self._notes]

    def events(self, sets: ZoneSets, rules: RuleBook, now_ms: int) -> tuple[Events, Pairs]:
        """Return what the notes since the step before brought about, and drop them.

        Args:
            sets: the sets the rows name.
            rules: the rules; the profiles noted and those in the rows are theirs.
            now_ms: moment of the step; the users who went silent by then are inside nothing any more.

        Returns:
            (``RETOLD`` events, (user, zone) of those who agreed to be warned only now). An event stands for a rule that
            concerned the user less before: his vehicle was another, he had not agreed, or he held a permit. One that he
            holds now is asked about when the event is weighed.
        """
        self._watches = True
        if not self._notes:
            return np.zeros(0, dtype=EVENT), Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        every = np.concatenate(self._notes)
        self._notes = []
        permits, self._permits = self._permits, []
        # Of several notes about one user the first tells what his last step was judged by.
        notes = every[np.unique(every["u7"], return_index=True)[1]]
        rows = self._users.rows[notes["u7"]]
        held = sets.zones_of(rows["inside"])
        was, row = notes[held.query], rows[held.query]
        agreed = (self._consents(notes["u7"]) & ~notes["consents"])[held.query]
        before = rules.concern(was["profile"].astype(np.int64), held.zone)
        after = rules.concern(row["profile"].astype(np.int64), held.zone)
        freely = (before == 0) | _permitted(was, held.zone, permits, rules, now_ms)
        begins = np.flatnonzero((after > 0) & (freely | agreed) & ((row["flags"] & PLACED) != 0))
        u7, zone, row = was["u7"][begins], held.zone[begins], row[begins]
        events = make_events(u7, np.full(len(u7), now_ms), zone, row["lon"], row["lat"], RETOLD)
        return events, Pairs(u7[agreed[begins]], zone[agreed[begins]])

    def _consents(self, u7: IntColumn) -> BoolColumn:
        flags = self._users.rows["flags"][u7]
        consents: BoolColumn = np.where(flags & TOLD, (flags & CONSENTED) != 0, self._default_consents)
        return consents


def _permitted(
    notes: npt.NDArray[np.void], zone: IntColumn, permits: list[Held], rules: RuleBook, now_ms: int
) -> BoolColumn:
    """Say which (note, zone) a permit allowed at ``now_ms``, going by what was held when the note was made."""
    allowed = np.zeros(len(notes), dtype=np.bool_)
    if not any(permits):
        return allowed
    every = zip(notes["told"].tolist(), notes["u7"].tolist(), zone.tolist(), strict=True)
    for row, (told, u7, place) in enumerate(every):
        allowed[row] = any(permit.allows(rules.zone_id(place), now_ms) for permit in permits[told].get(u7, ()))
    return allowed


def outlasting(events: Events, edit: Edit) -> Events:
    """Leave out ``RETOLD`` events of zones that an edit changes at this moment: the new rule judges those users."""
    changed = edit.reshaped.copy()
    changed[edit.before[edit.rewritten]] = True
    ends: BoolColumn = (events["kind"] == RETOLD) & changed[events["zone"]]
    return events[~ends] if ends.any() else events
