"""What an edit of zones is, and how users are carried over it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from geo_engine.index import RtreeIndex
from geo_engine.index.protocol import Pairs
from geo_engine.model import ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.events import ENTER, EXIT, OPENED, ZONE_CHANGED
from geo_engine.tracking.rebase import carry_over
from geo_engine.tracking.sets import ZoneSets
from geo_engine.tracking.state import PLACED, UserRows
from geo_engine.zones.edit import Edit
from geo_engine.zones.rule import AppliesTo
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

A, B, C = box_zone("a"), box_zone("b", west=114.32, east=114.33), box_zone("c")
WIDER = replace(A, geometry=shapely.box(114.30, 30.59, 114.33, 30.61))
STRANGERS = AppliesTo(plate_prefixes_except=("鄂A",))


def edit_of(old: list[Zone], new: list[Zone]) -> Edit:
    return Edit.between(ZoneSet.of(old), ZoneSet.of(new))


@pytest.mark.parametrize(
    ("after", "position", "reshaped", "shaped", "rewritten"),
    [
        ([A, B], [0, 1], [False, False], [False, False], [False, False]),
        ([B], [-1, 0], [True, False], [False], [False]),
        ([A, box_zone("aa"), B], [0, 2], [False, False], [False, True, False], [False, False, False]),
        ([WIDER, B], [0, 1], [True, False], [True, False], [False, False]),
        ([replace(A, applies_to=STRANGERS), B], [0, 1], [False, False], [False, False], [True, False]),
        ([replace(WIDER, applies_to=STRANGERS), B], [0, 1], [True, False], [True, False], [True, False]),
        ([replace(A, name="other", advice="turn"), B], [0, 1], [False, False], [False, False], [False, False]),
        ([replace(A, valid_to_ms=noon_ms), B], [0, 1], [False, False], [False, False], [True, False]),
        ([replace(A, kind=ZoneKind.VENUE), B], [0, 1], [False, False], [False, False], [True, False]),
        ([box_zone("a"), B], [0, 1], [False, False], [False, False], [False, False]),
        ([], [-1, -1], [True, True], [], []),
    ],
)
def test_edit_tells_shape_from_terms_from_words(
    after: list[Zone], position: list[int], reshaped: list[bool], shaped: list[bool], rewritten: list[bool]
) -> None:
    edit = edit_of([A, B], after)
    assert edit.position.tolist() == position
    assert edit.reshaped.tolist() == reshaped
    assert edit.shaped.tolist() == shaped
    assert edit.rewritten.tolist() == rewritten
    assert len(edit.bounds) == sum(shaped)


def state_of(places: dict[int, tuple[float, float] | None], zones: list[Zone]) -> tuple[UserRows, ZoneSets]:
    """Return users at their places, inside what holds them; None = inside the first zone, place unknown."""
    users, sets = UserRows(), ZoneSets()
    index = RtreeIndex(ZoneSet.of(zones))
    for u7, place in places.items():
        users.rows["time_ms"][u7] = noon_ms
        zone = np.zeros(1, dtype=np.int64)
        if place is not None:
            users.rows["lon"][u7], users.rows["lat"][u7] = place
            users.rows["flags"][u7] = PLACED
            zone = index.containing(*np.array([place]).T.copy()).zone
        users.rows["inside"][u7] = sets.intern(Pairs(np.zeros(len(zone), dtype=np.int64), zone), 1)[0]
    users.mark(np.array(list(places)))
    return users, sets


def carried(
    places: dict[int, tuple[float, float] | None], old: list[Zone], new: list[Zone]
) -> tuple[list[tuple[int, str, int]], dict[int, list[str]], int]:
    """Return (events, who is inside what afterwards, change of the number of memberships)."""
    users, sets = state_of(places, old)
    before, after, new_sets = ZoneSet.of(old), ZoneSet.of(new), ZoneSets()
    exits, others, change = carry_over(
        users, sets, new_sets, RtreeIndex(after), Edit.between(before, after), now_ms=noon_ms + 1, heard_after_ms=0
    )
    assert {*exits["reason"].tolist(), *others["reason"].tolist()} <= {ZONE_CHANGED}
    told = [(int(e["u7"]), before.zones[e["zone"]].zone_id, int(e["kind"])) for e in exits]
    told += [(int(e["u7"]), after.zones[e["zone"]].zone_id, int(e["kind"])) for e in others]
    inside = {
        u7: [after.zones[zone].zone_id for zone in new_sets.zones_of(users.rows["inside"][[u7]]).zone] for u7 in places
    }
    return told, inside, change


IN, OUT = (114.305, 30.6), (114.325, 30.6)


@pytest.mark.parametrize(
    ("old", "new", "events", "inside"),
    [
        ([A], [A, C], [(1, "c", ENTER)], ["a", "c"]),
        ([A, C], [C], [(1, "a", EXIT)], ["c"]),
        ([A, C], [box_zone("0", west=10.0, east=11.0), A, C], [], ["a", "c"]),
        ([A], [WIDER], [], ["a"]),
        ([WIDER], [A], [], ["a"]),
        ([A], [replace(A, geometry=shapely.box(114.31, 30.59, 114.32, 30.61))], [(1, "a", EXIT)], []),
        ([A], [replace(A, applies_to=STRANGERS)], [(1, "a", OPENED)], ["a"]),
        ([A], [replace(WIDER, applies_to=STRANGERS)], [(1, "a", OPENED)], ["a"]),
        ([A], [replace(A, name="other")], [], ["a"]),
        ([A], [], [(1, "a", EXIT)], []),
        ([A], [replace(C, zone_id="b"), C], [(1, "a", EXIT), (1, "b", ENTER), (1, "c", ENTER)], ["b", "c"]),
    ],
)
def test_standing_user_is_told_what_the_edit_did_to_him(
    old: list[Zone], new: list[Zone], events: list[tuple[int, str, int]], inside: list[str]
) -> None:
    told, now, change = carried({1: IN, 5000: (0.0, 0.0)}, old, new)
    assert told == events
    assert now == {1: inside, 5000: []}
    assert change == len(inside) - len(old)


def test_zone_reshaped_onto_a_user_under_other_terms_is_an_enter_alone() -> None:
    told, inside, _ = carried({1: OUT}, [A], [replace(WIDER, applies_to=STRANGERS)])
    assert told == [(1, "a", ENTER)]
    assert inside == {1: ["a"]}


@pytest.mark.parametrize(
    ("new", "events", "inside"),
    [
        ([replace(A, geometry=shapely.box(10.0, 10.0, 11.0, 11.0))], [], ["a"]),
        ([replace(A, applies_to=STRANGERS)], [], ["a"]),
        ([B], [(1, "a", EXIT)], []),
        ([A, C], [], ["a"]),
    ],
)
def test_user_whose_place_is_unknown_stays_inside_what_still_exists(
    new: list[Zone], events: list[tuple[int, str, int]], inside: list[str]
) -> None:
    told, now, _ = carried({1: None}, [A], new)
    assert (told, now) == (events, {1: inside})


@pytest.mark.parametrize("lon", [179.999, -179.999, 180.0, -180.0])
@pytest.mark.parametrize("box", [(179.99, 180.01), (-180.01, -179.99)])
def test_edit_at_the_180_degree_meridian_reaches_users_on_both_sides(lon: float, box: tuple[float, float]) -> None:
    zone = Zone("line", ZoneKind.CONSTRUCTION, "line", shapely.box(box[0], -1.0, box[1], 1.0))
    told, _, _ = carried({1: (lon, 0.0), 2: (lon, 2.0), 3: (0.0, 0.0)}, [A], [A, zone])
    assert told == [(1, "line", ENTER)]
    told, _, _ = carried({1: (lon, 0.0), 2: (lon, 2.0)}, [A, zone], [A])
    assert told == [(1, "line", EXIT)]


def test_many_new_zones_at_once_are_entered_by_those_who_stand_in_them() -> None:
    many = [box_zone(f"z{n:03}", west=114.0 + n * 0.01, east=114.005 + n * 0.01) for n in range(60)]
    told, _, change = carried({1: (114.302, 30.6), 2: (114.307, 30.6)}, [], many)
    assert told == [(1, "z030", ENTER)]
    assert change == 1
