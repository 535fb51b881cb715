"""Which zones can concern whom now, in the two forms that kernels ask: by zone, and by group of zones."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.zones.zoneset import ZoneSet

__all__ = ["GROUPS", "Groups", "Wanted", "wanted_of", "zone_groups"]

GROUPS: Final = 32

Groups = npt.NDArray[np.uint8]
"""Group of each zone, 0 .. 31."""


class Wanted(NamedTuple):
    """What each profile wants.

    Attributes:
        bits: uint64 (profiles, words): bit z & 63 of word z >> 6 = the profile wants zone z.
        groups: uint32 (profiles,): bit g = it wants a zone of group g.
    """

    bits: npt.NDArray[np.uint64]
    groups: npt.NDArray[np.uint32]


def zone_groups(zones: ZoneSet) -> Groups:
    """Return the group of each zone: those of one kind and rule share one, so that who wants one wants the others.

    With more than 32 of them some share a group that need not. What is nobody's warning is in group 0 and asked for by
    nobody. Cost: 1 us a zone.
    """
    number: dict[object, int] = {}
    found = np.zeros(len(zones), dtype=np.uint8)
    for row in np.flatnonzero(zones.warnable).tolist():
        zone = zones.zones[row]
        found[row] = number.setdefault((zone.kind, zone.applies_to), len(number)) % GROUPS
    return found


def wanted_of(bits: npt.NDArray[np.uint64], group: Groups) -> Wanted:
    """Join what profiles want of zones with what they want of groups."""
    octets = bits.astype("<u8").view(np.uint8)
    wanted = np.unpackbits(octets, axis=1, count=len(group), bitorder="little").astype(np.bool_)
    own = np.uint32(1) << group.astype(np.uint32)
    groups = np.bitwise_or.reduce(np.where(wanted, own[None, :], np.uint32(0)), axis=1, initial=np.uint32(0))
    return Wanted(bits, groups.astype(np.uint32))
