"""What pings that came late change in the history: the visits they uncover, never a warning and never the state.

A late ping lies between two positions that were judged already. The way between these two is judged anew, through the
late one, by the rules of the step: what now comes out and is not recorded is added with reason ``late``, and what is
recorded and does not come out (a cross of a zone in which the ping lies, an enter that happened sooner) is withdrawn.
Both ends stay as they were judged, so that each enter keeps exactly one exit, and a ping that comes twice changes
nothing the second time.

Two things differ from pings that come in order: a user counts as standing only while he stays near both neighbours, and
a zone that ended, was edited or lost its user on that stretch is left alone. Both neighbours must be known; until there
is a store of positions, only the last minutes since the start are (``recent``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from geo_engine.geodesy.measure import distance_m
from geo_engine.index.protocol import Pairs, Segments
from geo_engine.model import IntColumn
from geo_engine.tracking.events import CROSS, ENTER, EVENT, EXIT, LATE, MOVED, Events
from geo_engine.tracking.ground import Ground, Limits
from geo_engine.tracking.recent import PLACE, Places, Recent
from geo_engine.tracking.settling import FIRST_STILL_S, doubt_m, radius_m

__all__ = ["Mended", "mend"]

_NOTHING: Final = np.zeros(0, dtype=EVENT)
_STANDS_RADII: Final = 2.0
"""Nearer than so many radii of 68 % to both neighbours somebody stands; as in ``settling``."""


@dataclass(frozen=True, slots=True)
class Mended:
    """How late positions change the history.

    Attributes:
        added: transitions nobody recorded, with reason ``late`` and the event time of the ping that shows them.
        withdrawn: recorded transitions that did not happen so.
        placed: the late positions that found their place; from now on they are known ones.
        unplaced: number of late positions one of whose neighbours is not known, or that no vehicle could have reached.
    """

    added: Events
    withdrawn: Events
    placed: Places
    unplaced: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Late positions between two judged ones.

    Attributes:
        places: the position before (unless it is the user's first), the late ones, the position after.
        first: whether there is no position before.
        start: the zones he was inside at the position before.
        end: the zones he was inside at the position after.
        recorded: what is recorded on the way, without the position before.
    """

    places: Places
    first: bool
    start: frozenset[int]
    end: frozenset[int]
    recorded: Events

    @property
    def late(self) -> Places:
        """Return the late positions alone."""
        places: Places = self.places[0 if self.first else 1 : -1]
        return places


def mend(late: Places, recent: Recent, inside: Pairs, ground: Ground, limits: Limits) -> Mended:
    """Place late positions among what is known and say what they change. Nothing is written.

    Args:
        late: late positions in any order; repeats and those known already change nothing.
        recent: what is known of the users, up to and with this step.
        inside: the zones each user of ``np.unique(late["u7"])`` is inside now, by row there.
        ground: what positions are matched against.
        limits: which filters of the step are on.

    Returns:
        What changes. Cost: two passes over ``recent`` and about 0.4 ms for each late position.
    """
    users = np.unique(late["u7"])
    known, events = recent.of(users)
    of_each = zip(*(_by_user(part, users) for part in (late, known, events)), _by_row(inside, len(users)), strict=True)
    stretches: list[_Stretch] = []
    fresh = 0
    for u7, (came, mine, happened, now) in zip(users.tolist(), of_each, strict=True):
        unheard = _unheard(came, mine)
        fresh += len(unheard)
        for places, first in _gaps(unheard, mine):
            if first and recent.unsure(u7):
                continue
            kept = _reachable(places, first, limits)
            if len(kept) + first > 2:
                stretches.append(_stretch(kept, first, now, happened))
    placed = np.concatenate([np.zeros(0, dtype=PLACE), *(stretch.late for stretch in stretches)])
    added, withdrawn = _changes(stretches, ground, limits)
    return Mended(added, withdrawn, placed, fresh - len(placed))


def _by_user(records: npt.NDArray[np.void], users: IntColumn) -> list[npt.NDArray[np.void]]:
    """Return the records of each user; ``users`` are ascending and nobody else has any."""
    ordered = records[np.argsort(records["u7"], kind="stable")]
    return np.split(ordered, np.searchsorted(ordered["u7"], users[1:]))[: len(users)]


def _unheard(late: Places, known: Places) -> Places:
    """Return the late positions of a user by time, each moment once, without those known already."""
    late = late[np.lexsort((late["accuracy_m"], late["lat"], late["lon"], late["time_ms"]))]
    new = np.append(True, np.diff(late["time_ms"]) > 0) & ~np.isin(late["time_ms"], known["time_ms"])
    fresh: Places = late[new]
    return fresh


def _gaps(late: Places, known: Places) -> Iterator[tuple[Places, bool]]:
    """Yield (position before, late ones, position after) and whether there is none before, for each gap they fill."""
    gap = np.searchsorted(known["time_ms"], late["time_ms"])
    for after in np.unique(gap[gap < len(known)]).tolist():
        before = known[max(after - 1, 0) : after]
        yield np.concatenate([before, late[gap == after], known[after : after + 1]]), after == 0


def _reachable(places: Places, first: bool, limits: Limits) -> Places:
    """Return a stretch without the late positions no vehicle could have been at between the others."""
    if limits.jumps is None:
        return places
    kept = [] if first else [0]
    last = len(places) - 1
    for row in range(len(kept), last):
        if all(_near_enough(places, one, row, limits) for one in (*kept[-1:], last)):
            kept.append(row)
    reached: Places = places[[*kept, last]]
    return reached


def _near_enough(places: Places, one: int, other: int, limits: Limits) -> bool:
    elapsed_s = abs(int(places["time_ms"][one]) - int(places["time_ms"][other])) / 1000.0
    jumps = limits.jumps
    return jumps is None or _way_m(places[one], places[other]) <= jumps.max_speed_mps * elapsed_s + jumps.slack_m


def _way_m(start: np.void, end: np.void) -> float:
    ends = ([start["lon"]], [start["lat"]], [end["lon"]], [end["lat"]])
    return float(np.asarray(distance_m(*map(np.array, ends)))[0])


def _stretch(places: Places, first: bool, now: frozenset[int], happened: Events) -> _Stretch:
    end_ms = int(places["time_ms"][-1])
    start_ms = -1 if first else int(places["time_ms"][0])
    after_start = happened[happened["time_ms"] > start_ms]
    return _Stretch(
        places=places,
        first=first,
        start=frozenset() if first else _inside_before(now, after_start),
        end=_inside_before(now, happened[happened["time_ms"] > end_ms]),
        recorded=after_start[after_start["time_ms"] <= end_ms],
    )


def _inside_before(now: frozenset[int], since: Events) -> frozenset[int]:
    """Return the zones somebody was inside before the given events, from those he is inside after them."""
    inside = set(now)
    # Backwards: before an exit he was inside, before an enter he was not.
    for row in np.lexsort((since["kind"], since["time_ms"]))[::-1].tolist():
        zone, kind = int(since["zone"][row]), int(since["kind"][row])
        if kind == EXIT:
            inside.add(zone)
        elif kind == ENTER:
            inside.discard(zone)
    return frozenset(inside)


def _changes(stretches: list[_Stretch], ground: Ground, limits: Limits) -> tuple[Events, Events]:
    """Judge stretches anew; return (what is not recorded, what is recorded and did not happen)."""
    added, withdrawn = [_NOTHING], [_NOTHING]
    for stretch, found, touched in zip(stretches, *_matched(stretches, ground, limits), strict=True):
        end_ms = int(stretch.places["time_ms"][-1])
        other = (stretch.recorded["reason"] != MOVED) & (stretch.recorded["reason"] != LATE)
        ended = np.flatnonzero(ground.validity.until_ms <= end_ms)
        aside = {*stretch.recorded["zone"][other].tolist(), *ended.tolist()}
        told = stretch.recorded[~np.isin(stretch.recorded["zone"], list(aside))]
        shown = [event for event in _walk(stretch, found, touched, ground, limits) if event[1] not in aside]
        before = {(int(row["time_ms"]), int(row["zone"]), int(row["kind"])) for row in told}
        missing = [event for event in shown if event not in before]
        wrong = [(int(row["time_ms"]), int(row["zone"]), int(row["kind"])) not in set(shown) for row in told]
        added.append(_events(stretch, missing))
        withdrawn.append(told[np.array(wrong, dtype=np.bool_)])
    return np.concatenate(added), np.concatenate(withdrawn)


def _matched(
    stretches: list[_Stretch], ground: Ground, limits: Limits
) -> tuple[list[list[frozenset[int]]], list[list[frozenset[int]]]]:
    """Return per stretch and position the zones that hold it, and those the way from the position before touches."""
    sizes = [len(stretch.places) for stretch in stretches]
    places = np.concatenate([np.zeros(0, dtype=PLACE), *(stretch.places for stretch in stretches)])
    lon, lat = (np.ascontiguousarray(places[name]) for name in ("lon", "lat"))
    starts = np.cumsum([0, *sizes])[:-1]
    ways = np.setdiff1d(np.arange(len(places)), starts)
    if limits.max_gap_ms is not None:
        ways = ways[places["time_ms"][ways] - places["time_ms"][ways - 1] <= limits.max_gap_ms]
    met = ground.index.touching(Segments(lon[ways - 1], lat[ways - 1], lon[ways], lat[ways]))
    holding = _by_row(ground.index.containing(lon, lat), len(places))
    touched = _by_row(Pairs(ways[met.query], met.zone), len(places))
    cuts = list(zip(starts.tolist(), sizes, strict=True))
    return [holding[at : at + size] for at, size in cuts], [touched[at : at + size] for at, size in cuts]


def _by_row(pairs: Pairs, count: int) -> list[frozenset[int]]:
    zones = np.split(pairs.zone, np.searchsorted(pairs.query, np.arange(1, count)))
    return [frozenset(part.tolist()) for part in zones[:count]]


def _walk(  # the stretch, what its positions met, and by which rules
    stretch: _Stretch, found: list[frozenset[int]], touched: list[frozenset[int]], ground: Ground, limits: Limits
) -> list[tuple[int, int, int]]:
    """Return (time_ms, zone, kind) of what happened on a stretch."""
    state, last = stretch.start, len(stretch.places) - 1
    shown: list[tuple[int, int, int]] = []
    for row in range(0 if stretch.first else 1, last + 1):
        still = limits.settles and row < last and _stands(stretch, row)
        after = stretch.end if row == last else _believed(stretch.places[row], state, found[row], still, ground, limits)
        crossed = frozenset() if still else touched[row] - state - found[row] - after
        time_ms = int(stretch.places["time_ms"][row])
        for kind, zones in ((EXIT, state - after), (CROSS, crossed), (ENTER, after - state)):
            shown += [(time_ms, zone, kind) for zone in sorted(zones)]
        state = after
    return shown


def _stands(stretch: _Stretch, row: int) -> bool:
    """Say whether a late position is too near to both its neighbours to tell driving from noise."""
    here = stretch.places[row]
    reach_m = _STANDS_RADII * radius_m(float(here["accuracy_m"]))
    beside = [stretch.places[one] for one in (row - 1, row + 1) if one >= 0]
    return all(_way_m(here, other) < reach_m for other in beside)


def _believed(
    place: np.void, state: frozenset[int], found: frozenset[int], still: bool, ground: Ground, limits: Limits
) -> frozenset[int]:
    """Return the zones somebody is inside at a position: a border within the doubt changes nothing."""
    changed = sorted(state ^ found)
    if not (limits.settles and changed):
        return found
    radius = radius_m(float(place["accuracy_m"]))
    doubt = doubt_m(FIRST_STILL_S if still else 0, radius)
    count = len(changed)
    near = ground.index.near(
        np.full(count, place["lon"]), np.full(count, place["lat"]), np.array(changed), np.full(count, doubt)
    )
    return found ^ {zone for zone, doubtful in zip(changed, near.tolist(), strict=True) if doubtful}


def _events(stretch: _Stretch, missing: list[tuple[int, int, int]]) -> Events:
    """Return what is missing as events at the positions that show it."""
    events = np.zeros(len(missing), dtype=EVENT)
    for name in ("distance_m", "eta_s", "bearing_deg"):
        events[name] = np.nan
    for row, (time_ms, zone, kind) in enumerate(missing):
        place = stretch.places[np.searchsorted(stretch.places["time_ms"], time_ms)]
        for name in ("time_ms", "lon", "lat", "u7"):
            events[row][name] = place[name]
        events[row]["zone"], events[row]["kind"], events[row]["reason"] = zone, kind, LATE
    return events
