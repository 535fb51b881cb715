"""From events to what the rules say about them: who is concerned, where and when it matters, and by leave of whom."""

from __future__ import annotations

import numpy as np

from geo_engine.alerting.people import People
from geo_engine.geodesy.measure import destination
from geo_engine.model import BoolColumn, FloatColumn, IntColumn
from geo_engine.tracking.columns import make_events
from geo_engine.tracking.events import ENTER, EXIT, LOST, OPENED, OWED, Events
from geo_engine.tracking.sets import Numbers, ZoneSets
from geo_engine.zones.edit import Edit
from geo_engine.zones.rulebook import Question, RuleBook

__all__ = ["concern_of", "freed_events", "newly_concerned", "next_change_ms", "openings", "place_of"]

_BEYOND_BORDER_M = 1.0
"""A border belongs to both sides; a step further only one zone is left."""


def concern_of(rules: RuleBook, people: People, profile: IntColumn, events: Events) -> IntColumn:
    """Return the ``Applicability`` of the rule of each event to its user, when and where it would matter to him.

    Args:
        rules: the rules.
        people: who has a permit.
        profile: profile of the user of each event.
        events: enters, approaches, openings.
    """
    zone = events["zone"].astype(np.int64)
    when_ms = events["time_ms"] + np.nan_to_num(events["eta_s"] * 1000).astype(np.int64)
    lon, lat = events["lon"], events["lat"]
    if rules.asks_for_places:
        lon, lat = place_of(lon, lat, events["bearing_deg"], events["distance_m"])
    concern = rules.weigh(Question(profile, zone, when_ms, lon, lat))
    held = people.permits.held_by(events["u7"])
    for row in np.flatnonzero(held & (concern > 0)).tolist():
        if people.permits.allows(int(events["u7"][row]), rules.zone_id(int(zone[row])), int(when_ms[row])):
            concern[row] = 0
    return concern


def place_of(
    lon: FloatColumn, lat: FloatColumn, bearing_deg: FloatColumn, distance_m: FloatColumn
) -> tuple[FloatColumn, FloatColumn]:
    """Return where a rule would matter: just behind the border ahead, or where the user is."""
    ahead = np.flatnonzero(~np.isnan(bearing_deg))
    if not len(ahead):
        return lon, lat
    east, north = lon.copy(), lat.copy()
    reach_m = distance_m[ahead] + _BEYOND_BORDER_M
    east[ahead], north[ahead] = destination(lon[ahead], lat[ahead], bearing_deg[ahead], reach_m)
    return east, north


def freed_events(rules: RuleBook, events: Events, sets: ZoneSets, inside: Numbers) -> Events:
    """Find who left an exception while inside a zone it had opened to him: a warning may be owed from then on.

    Args:
        rules: the rules.
        events: what happened.
        sets: the sets of zones.
        inside: per u7 the number of the set the user is inside after the events.
    """
    if not rules.asks_for_places:
        return events[:0]
    left = events[(events["kind"] == EXIT) & (events["reason"] != LOST)]
    row, zone = rules.freed_by_leaving(left["zone"].astype(np.int64))
    if not len(row):
        return events[:0]
    held = sets.zones_of(inside[left["u7"][row]])
    ends_inside = np.zeros(len(row), dtype=np.bool_)
    ends_inside[held.query[held.zone == zone[held.query]]] = True
    stays = _inside_then(left[row], zone, ends_inside, events)
    gone = left[row[stays]]
    return make_events(gone["u7"], gone["time_ms"], zone[stays], gone["lon"], gone["lat"], OWED)


def _inside_then(left: Events, zone: IntColumn, ends_inside: BoolColumn, events: Events) -> BoolColumn:
    """Say for each exit whether its user was inside ``zone`` right after it, from what happened to him there later.

    Not from where he is at the end alone: how pings are cut into batches must not show.
    """
    moves = events[((events["kind"] == EXIT) | (events["kind"] == ENTER)) & np.isin(events["u7"], left["u7"])]
    later: dict[tuple[int, int], list[tuple[int, bool]]] = {}
    for u7, place, time_ms, kind in zip(
        moves["u7"].tolist(), moves["zone"].tolist(), moves["time_ms"].tolist(), moves["kind"].tolist(), strict=True
    ):
        later.setdefault((u7, place), []).append((time_ms, kind == EXIT))
    stays = ends_inside.copy()
    keys = zip(left["u7"].tolist(), zone.tolist(), left["time_ms"].tolist(), strict=True)
    for row, (u7, place, time_ms) in enumerate(keys):
        then = [move for move in later.get((u7, place), ()) if move[0] >= time_ms]
        if then:
            # Who leaves at that moment is out, and who enters at it is weighed for that.
            first = min(then)
            stays[row] = first[1] and first[0] > time_ms
    return stays


def newly_concerned(rules: RuleBook, people: People, profiles: Numbers, edit: Edit, events: Events) -> Events:
    """Leave out, of zones whose winners alone an edit changed, those users whom the rule concerned before it too.

    Such a zone is what it was, and whoever it concerned has been told what there was to tell.

    Args:
        rules: the rules before the edit.
        people: who has a permit.
        profiles: profile of every u7 under ``rules``.
        edit: what differs.
        events: what the edit began, zones by their new positions.
    """
    zone = events["zone"]
    asked = np.flatnonzero((events["kind"] == OPENED) & edit.freed[zone] & ~edit.rewritten[zone])
    if not len(asked):
        return events
    before = events[asked]
    before["zone"] = edit.before[before["zone"]]
    told = concern_of(rules, people, profiles[before["u7"]].astype(np.int64), before) > 0
    return np.delete(events, asked[told])


def openings(rules: RuleBook, people: People, after_ms: int, until_ms: int) -> tuple[IntColumn, IntColumn]:
    """Return (time_ms, zone) at which a zone may begin to apply to somebody inside, ends of permits included."""
    time_ms, zone = rules.openings(after_ms, until_ms)
    ends = [(end_ms, rules.zone_of(zone_id)) for end_ms, zone_id in people.permits.ends_between(after_ms, until_ms)]
    known = [(end_ms, row) for end_ms, row in ends if row is not None]
    if not known:
        return time_ms, zone
    both = np.concatenate([np.stack([time_ms, zone]), np.array(known, dtype=np.int64).T], axis=1)
    both = np.unique(both, axis=1)
    return both[0], both[1]


def next_change_ms(rules: RuleBook, people: People, now_ms: int) -> int:
    """Return the first moment after the last judging at which a rule flips or a permit ends."""
    end_ms = people.permits.next_end_ms(now_ms)
    return rules.next_change_ms if end_ms is None else min(rules.next_change_ms, end_ms)
