"""Collects what is wrong (faults) and what is worth knowing (notes) while a zone document is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from geo_engine.errors import Fault

__all__ = ["Findings", "TextError", "describe"]

_SHOWN_CHARACTERS: Final = 60


class TextError(ValueError):
    """A text that is not in the grammar asked for.

    Attributes:
        found: what stands there.
        expected: what would have been accepted.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}, expected {expected}")
        self.found = found
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Findings:
    """The faults and notes of one source; ``at`` gives a view of the same lists for a place inside it.

    Attributes:
        where: the source and the place a person would look at.
        faults: what makes a feature or the document unusable.
        notes: what was accepted, but not as it stands.
    """

    where: str
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    def at(self, place: str) -> Findings:
        """Return the same findings, written down under ``place`` inside ``where``."""
        return replace(self, where=f"{self.where} {place}")

    def fault(self, path: str, found: str, expected: str, reason: str) -> None:
        """Write a fault down."""
        self.faults.append(Fault(self.where, path, found, expected, reason))

    def note(self, path: str, found: str, expected: str, reason: str) -> None:
        """Write a note down."""
        self.notes.append(Fault(self.where, path, found, expected, reason))


def describe(value: object) -> str:
    """Say in a few characters what a JSON value is. Constant cost, whatever the value holds."""
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…")
    if isinstance(value, list | tuple):
        return f"an array of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} members"
    if isinstance(value, int) and value.bit_length() > 200:
        # Writing out an integer of a million digits would cost minutes.
        return f"an integer of {value.bit_length()} bits"
    try:
        return json.dumps(value)
    except TypeError:
        return f"a {type(value).__name__}"
