"""Numbers what many zones share, so that it is judged once and not per zone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from geo_engine.model import IntColumn
from geo_engine.zones.edit import Edit
from geo_engine.zones.zone import Zone

__all__ = ["Numbering", "numbered"]


@dataclass(frozen=True, slots=True)
class Numbering:
    """The distinct values of something zones have.

    Attributes:
        of_zone: int64 per zone: the number of its value.
        example: per number a zone that has the value.
    """

    of_zone: IntColumn
    example: tuple[Zone, ...]


def numbered(
    zones: Sequence[Zone], key: Callable[[Zone], Hashable], before: Numbering | None = None, edit: Edit | None = None
) -> Numbering:
    """Number the values of ``key``.

    Args:
        zones: the zones, in the order of their set.
        key: returns the value; must see nothing but the zone.
        before: the numbering of an earlier set, for ``edit``.
        edit: what differs from that set; zones that are the very same are not asked again.

    Cost: 1 us per zone, a tenth of that for zones that are the same as before.
    """
    if before is None or edit is None:
        of_zone, asked, example = np.zeros(len(zones), dtype=np.int64), np.arange(len(zones)), list[Zone]()
    else:
        # A new zone finds the number behind the last one; it is asked for its own.
        of_zone, asked, example = np.append(before.of_zone, 0)[edit.before], edit.altered, list(before.example)
    numbers = {key(zone): number for number, zone in enumerate(example)}
    for row in asked.tolist():
        zone = zones[row]
        number = numbers.setdefault(key(zone), len(numbers))
        of_zone[row] = number
        if number == len(example):
            example.append(zone)
    # Values that no zone has any more are left out; an altered zone of an earlier set is still a fine example.
    used, compact = np.unique(of_zone, return_inverse=True)
    return Numbering(compact.reshape(-1), tuple(example[number] for number in used.tolist()))
