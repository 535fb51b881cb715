"""The compiled step: moves every user on by the packed pings, one by one, and writes events.

Everything a step needs lies in the user's row, so a ping needs no memory of the pings before it in the batch; the step
can stop at any ping when the room for events ends, and go on there. The column version of the same rules is
``tracking.columns``; a contract test holds both to the same events.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from geo_engine.compiled import bare, kernel, uncounted
from geo_engine.geodesy.kernels import degree_lengths, geodesic_m
from geo_engine.index.border_grid import BorderGrid
from geo_engine.index.borders import border_near, touched_outside
from geo_engine.index.kernels import Cells, combo_at, combo_zones, zones_at
from geo_engine.index.venues import VenueGrid, nearest_venue
from geo_engine.model import BoolColumn, FloatColumn, IntColumn, RejectReason
from geo_engine.tracking.approach_policy import is_due
from geo_engine.tracking.events import APPROACH, CROSS, ENTER, EXIT, LOST, MOVED, OPENED, OWED
from geo_engine.tracking.flow_kernels import LEAST_MOVE_MS, MOST_MOVE_MS, MOVING_MPS, sample_of
from geo_engine.tracking.foresight import Known, look_ahead
from geo_engine.tracking.outlook_table import Ahead, Mover, OutlookTable, ask_for_forecast
from geo_engine.tracking.screening import REASONS
from geo_engine.tracking.sets import mixed
from geo_engine.tracking.settling import FIRST_STILL_S, LONGEST_STILL_S, doubt_m, radius_m, settled, still_for, walked
from geo_engine.tracking.state import BLOCK, CONSENTED, FRESH, KEPT_FLAGS, MOVING, PLACED, TOLD, WALKED
from geo_engine.tracking.steps import PHASE
from geo_engine.tracking.wanted import Wanted

__all__ = ["Rows", "Walk", "World", "advance", "combo_members", "locate"]

_LATE: Final = REASONS.index(RejectReason.LATE)
_DUPLICATE: Final = REASONS.index(RejectReason.DUPLICATE)
_SPEED_JUMP: Final = REASONS.index(RejectReason.SPEED_JUMP)

BLOCK_PINGS: Final = 512
"""Pings that are matched together before their users move on: their rows fit into the second-level cache."""

_FRAME_LIMIT_M: Final = 10_000.0
_FRAME_LIMIT_LAT_DEG: Final = 70.0
_MAX_STEP_MS: Final = 60_000
_MIN_STEP_MS: Final = 500
_MAX_SPEED_MPS: Final = 75.0
_FASTEST_CMPS: Final = 32_767.0
_DRIVES_CMPS: Final = 100.0 * MOVING_MPS


class Rows(NamedTuple):
    """What is remembered of users.

    Attributes:
        rows: ``PACKED_ROW`` records.
        inside_from_ms: of ``UserRows``.
        used: of ``UserRows``.
    """

    rows: npt.NDArray[np.void]
    inside_from_ms: IntColumn
    used: BoolColumn


class World(NamedTuple):
    """What users are matched against, and which of it can concern whom.

    Attributes:
        frame: metres per degree by latitude.
        cells: the zones by cell.
        combo_set: number of the set of zones of each combo.
        borders: the borders of zones by cell, marked with ``wanted``.
        venues: venues by place.
        set_first: where the members of a set begin.
        set_members: zone positions.
        set_sums: sums of all sets, ascending.
        set_by_sum: which set each is of.
        wanted: zones that may concern a profile and may be in force.
        wants_any: whether a profile wants any zone.
        known: what is known of the ways of drivers.
        tiers: which forecasts are approaches: ``ApproachPolicy.table``.
        warnable: whether a zone can be warned about.
        retired: whether a zone is not there any more; ``combo_set`` knows it already.
        opening_first: int64 (zones + 1,): where the openings of a zone begin in ``opening_ms``.
        opening_ms: moments at which a zone came into force lately, ascending per zone.
    """

    frame: FloatColumn
    cells: Cells
    combo_set: npt.NDArray[np.int32]
    borders: BorderGrid
    venues: VenueGrid
    set_first: IntColumn
    set_members: npt.NDArray[np.int32]
    set_sums: npt.NDArray[np.uint64]
    set_by_sum: npt.NDArray[np.int32]
    wanted: Wanted
    wants_any: BoolColumn
    known: Known
    tiers: FloatColumn
    warnable: BoolColumn
    retired: BoolColumn
    opening_first: IntColumn
    opening_ms: IntColumn


class Walk(NamedTuple):
    """The numbers of ``EngineConfig`` and of the moment, in milliseconds; what is off has a limit nothing reaches.

    Attributes:
        now_ms: moment of judging.
        before_now_ms: moment of the judging before.
        restored_ms: silence counts from here at the earliest.
        lost_ms: silence after which a user has left.
        gap_ms: longest silence over which the way between two pings is evidence.
        fresh_ms: greatest age of a ping that may warn.
        newest_opening_ms: no zone came into force after this.
        jump_mps: fastest believable speed.
        jump_slack_m: position error granted on top.
        jump_believe_after: so many absurd pings in a row are believed.
        settles: noise is filtered: see ``tracking/settling.py``.
        foresees: zones ahead are looked for; the next four are those of ``ApproachPolicy``.
        interval_s: interval of pings the tiers are meant for.
        most_interval_s: a longer one counts as this.
        per_second: seconds added to the limits for each second by which pings are further apart.
        min_speed_mps: slower is standing.
        cone_s: how far to look where nothing was learnt.
        venue_every_ms: how often a user's nearest venue is looked for.
        consented: a user of whom nothing was told agreed.
        learn_mask: of a step's ``sample_of`` these bits are 0 where it is learnt; -1 = none is.
    """

    now_ms: int
    before_now_ms: int
    restored_ms: int
    lost_ms: int
    gap_ms: int
    fresh_ms: int
    newest_opening_ms: int
    jump_mps: float
    jump_slack_m: float
    jump_believe_after: int
    settles: bool
    foresees: bool
    interval_s: float
    most_interval_s: float
    per_second: float
    min_speed_mps: float
    cone_s: float
    venue_every_ms: int
    consented: bool
    learn_mask: int


@bare
def locate(
    cells: Cells,
    combo_set: npt.NDArray[np.int32],
    pings: npt.NDArray[np.void],
    count: int,
    now_set: npt.NDArray[np.int32],
) -> int:
    """Write the number of the inside-set at each packed ping; -1 where the cell holds too many borders to number them.

    Pings do not depend on one another here, so the processor waits for the memory of many at once.

    Returns:
        How many are -1. Cost: about 35 ns a ping in map order.
    """
    unknown = 0
    for k in range(count):
        combo = combo_at(cells, pings[k]["lon"], pings[k]["lat"])
        if combo < 0:
            now_set[k] = -1
            unknown += 1
        else:
            now_set[k] = combo_set[combo]
    return unknown


@uncounted
def _ask_for(pings: npt.NDArray[np.void], rows: Rows, table: OutlookTable, first: int, end: int, foresees: bool) -> int:
    """Bring what a block's pings will read into the cache together; one by one, each would be waited for.

    Returns a number that only keeps the reading from being left out.
    """
    touched = 0
    for k in range(first, end):
        touched += rows.rows[pings[k]["u7"]]["time_ms"] + rows.rows[pings[k]["u7"]]["flags"]
    if foresees:
        for k in range(first, end):
            touched += ask_for_forecast(table, pings[k]["lon"], pings[k]["lat"])
    return touched


@uncounted
def _write(
    events: npt.NDArray[np.void],
    n: int,
    u7: int,
    time_ms: int,
    zone: int,
    kind: int,
    reason: int,
    lon: float,
    lat: float,
) -> int:
    """Write an event without a distance; return the number of events."""
    event = events[n]
    event["time_ms"] = time_ms
    event["lon"] = lon
    event["lat"] = lat
    event["distance_m"] = np.nan
    event["eta_s"] = np.nan
    event["bearing_deg"] = np.nan
    event["u7"] = u7
    event["zone"] = zone
    event["kind"] = kind
    event["reason"] = reason
    return n + 1


@uncounted
def _in_set(world: World, number: int, zone: int) -> bool:
    """Say whether a zone is a member of a set. Sets are small, a scan beats a search."""
    for at in range(world.set_first[number], world.set_first[number + 1]):  # noqa: SIM110 - a kernel has no generator
        if world.set_members[at] == zone:
            return True
    return False


@uncounted
def _among(zones: IntColumn, count: int, zone: int) -> bool:
    for at in range(count):  # noqa: SIM110 - a kernel has no generator
        if zones[at] == zone:
            return True
    return False


@bare
def _write_openings(
    events: npt.NDArray[np.void],
    n: int,
    world: World,
    number: int,
    u7: int,
    after_ms: int,
    until_ms: int,
    lon: float,
    lat: float,
) -> int:
    """Write an event for each time a zone of the set came into force in ``(after_ms, until_ms]``."""
    for at in range(world.set_first[number], world.set_first[number + 1]):
        zone = world.set_members[at]
        for opening in range(world.opening_first[zone], world.opening_first[zone + 1]):
            moment = world.opening_ms[opening]
            if after_ms < moment <= until_ms:
                n = _write(events, n, u7, moment, zone, OPENED, MOVED, lon, lat)
    return n


@bare
def _end_run(
    pings: npt.NDArray[np.void], k: int, codes: npt.NDArray[np.int8], rows: Rows, world: World, walk: Walk,
    events: npt.NDArray[np.void], n: int,
) -> int:  # fmt: skip
    """Do what counts once a user's last ping of the batch is behind him, used or not; return the number of events.

    His block is watched for silence from his last accepted ping on. When that one came late, the zones he is inside
    may have come into force since, at moments that were looked at before it came.
    """
    u7 = pings[k]["u7"]
    row = rows.rows[u7]
    time_ms, inside = row["time_ms"], row["inside"]
    block = u7 // BLOCK
    rows.inside_from_ms[block] = min(rows.inside_from_ms[block], time_ms)
    if time_ms >= walk.newest_opening_ms or time_ms >= walk.before_now_ms:
        return n
    # Openings after a ping of an earlier batch were told when they came.
    accepted = k
    while accepted >= 0 and pings[accepted]["u7"] == u7 and codes[pings[accepted]["row"]] >= 0:
        accepted -= 1
    if accepted >= 0 and pings[accepted]["u7"] == u7:
        until_ms = min(walk.before_now_ms, time_ms + walk.lost_ms)
        n = _write_openings(events, n, world, inside, u7, time_ms, until_ms, row["lon"], row["lat"])
    return n


@uncounted
def _too_far(way_m: float, elapsed_ms: int, walk: Walk) -> bool:
    return way_m > walk.jump_mps * (elapsed_ms / 1000.0) + walk.jump_slack_m


_mixed = uncounted(mixed)


@uncounted
def _short_way(step: float) -> float:
    """Return a step of longitude the short way round."""
    if step > 180.0:
        return step - 360.0
    return step + 360.0 if step < -180.0 else step


@uncounted
def _toward(lon: float, step: float, part: float) -> float:
    """Go a part of a step of longitude and stay in -180 .. 180."""
    there = lon + step * part
    if there > 180.0:
        there -= 360.0
    elif there < -180.0:
        there += 360.0
    return there


@bare
def _number_of(world: World, zones: IntColumn, count: int) -> int:
    """Return the number of the set of zones, -1 - count when it has none yet."""
    total = np.uint64(0)
    for at in range(count):
        total += _mixed(np.uint64(zones[at]))
    low, high = 0, len(world.set_sums)
    while low < high:
        middle = (low + high) // 2
        if world.set_sums[middle] < total:
            low = middle + 1
        else:
            high = middle
    if low < len(world.set_sums) and world.set_sums[low] == total:
        return int(world.set_by_sum[low])
    return -1 - count


@bare
def _set_at(world: World, lon: float, lat: float, scratch: IntColumn) -> int:
    """Return the number of the set of zones at a position, or as ``_number_of`` with the zones in ``scratch``."""
    combo = combo_at(world.cells, lon, lat)
    if combo >= 0:
        return int(world.combo_set[combo])
    count = 0
    for at in range(zones_at(world.cells, lon, lat, scratch)):
        if not world.retired[scratch[at]]:
            scratch[count] = scratch[at]
            count += 1
    return _number_of(world, scratch, count)


@bare
def _convinced(world: World, held: int, now: int, lon: float, lat: float, doubt: float, scratch: IntColumn) -> int:
    """Return the set of zones a user is in beyond doubt, or as ``_number_of`` with the zones in ``scratch``.

    A zone he was in he leaves, and one he was not in he enters, when its border is further away than the doubt.
    """
    lon_m, lat_m = degree_lengths(world.frame, lat)
    left, left_end = world.set_first[held], world.set_first[held + 1]
    come, come_end = world.set_first[now], world.set_first[now + 1]
    count, open_left, open_come = 0, 0, 0
    while left < left_end or come < come_end:
        if come >= come_end or (left < left_end and world.set_members[left] < world.set_members[come]):
            zone = world.set_members[left]
            left += 1
            if border_near(world.borders, lon, lat, zone, doubt, lon_m, lat_m):
                scratch[count] = zone
                count += 1
                open_left += 1
        elif left >= left_end or world.set_members[come] < world.set_members[left]:
            zone = world.set_members[come]
            come += 1
            if border_near(world.borders, lon, lat, zone, doubt, lon_m, lat_m):
                open_come += 1
            else:
                scratch[count] = zone
                count += 1
        else:
            scratch[count] = world.set_members[left]
            count += 1
            left += 1
            come += 1
    if open_left + open_come == 0:
        return now
    return _number_of(world, scratch, count)


@bare
def advance(  # noqa: C901, PLR0912, PLR0915 - a fused kernel: what one ping does to one row, start to end
    pings: npt.NDArray[np.void],
    now_set: npt.NDArray[np.int32],
    first: int,
    count: int,
    codes: npt.NDArray[np.int8],
    rows: Rows,
    world: World,
    walk: Walk,
    events: npt.NDArray[np.void],
    n_events: int,
    steps: npt.NDArray[np.void],
    scratch_zone: IntColumn,
    ahead: Ahead,
    room: int,
    tally: IntColumn,
) -> tuple[int, int]:
    """Move users on by the packed pings from ``first`` on, and write what happened.

    Args:
        pings: packed by ``arrange``.
        now_set: inside-set at each ping.
        first: where to begin.
        count: number of packed pings.
        codes: written for pings that are not used.
        rows: the state.
        world: zones, venues, rules.
        walk: limits and moments.
        events: room for events.
        n_events: events written already.
        steps: room for as many steps as pings: those to learn from are written behind the ``tally[4]`` there are.
        scratch_zone: room for as many zones as there are.
        ahead: the same.
        room: most events one ping can cause; without that much room left the walk stops.
        tally: added to: accepted pings, change of the number of (user, zone) memberships, a number without meaning.
            ``tally[3]`` is written: 0, or the size of a set that has no number yet. ``tally[4]``: number of steps.

    Returns:
        (ping to go on with, events written). It stops before the end where room is missing, or a set of zones has no
        number: its members are the first ``tally[3]`` of ``scratch_zone``.
        Cost: 50 ns for a standing user, about 150 ns with a look-ahead.
    """
    capacity = len(events)
    set_first, set_members = world.set_first, world.set_members
    n = n_events
    accepted = 0
    memberships = 0
    asked = 0
    tally[3] = 0
    k = first
    while k < count:
        if n + room > capacity:
            break
        if k >= asked:
            asked = min(k + BLOCK_PINGS, count)
            tally[2] += _ask_for(pings, rows, world.known.flow, k, asked, walk.foresees)
        u7 = pings[k]["u7"]
        time_ms, lon, lat = pings[k]["time_ms"], pings[k]["lon"], pings[k]["lat"]
        last = k + 1 >= count or pings[k + 1]["u7"] != u7
        row = rows.rows[u7]
        before_ms = row["time_ms"]
        code = -1
        if time_ms <= before_ms:
            code = _LATE if time_ms < before_ms else _DUPLICATE
        elif k > 0 and pings[k - 1]["u7"] == u7 and pings[k - 1]["time_ms"] == time_ms:
            code = _DUPLICATE
        flags = row["flags"]
        known = before_ms > 0
        placed = (flags & PLACED) != 0
        elapsed_ms = time_ms - before_ms
        before_lon, before_lat = row["lon"], row["lat"]
        # The way from the last believed place, and whether a vehicle can have made it.
        east_m, north_m = 0.0, 0.0
        anchored = False
        if placed and code < 0:
            lon_step = _short_way(lon - before_lon)
            mid_lat = (before_lat + lat) * 0.5
            lon_m, lat_m = degree_lengths(world.frame, mid_lat)
            east_m, north_m = lon_step * lon_m, (lat - before_lat) * lat_m
            if walk.jump_believe_after >= 0:
                way_m = math.sqrt(east_m * east_m + north_m * north_m)
                if way_m >= _FRAME_LIMIT_M or abs(mid_lat) >= _FRAME_LIMIT_LAT_DEG:
                    way_m = geodesic_m(before_lon, before_lat, lon, lat)
                if _too_far(way_m, elapsed_ms, walk):
                    anchored = row["jumps"] >= walk.jump_believe_after
                    if not anchored:
                        code = _SPEED_JUMP
                        # The same absurd ping sent again counts once.
                        if row["jumps"] == 0 or elapsed_ms > row["jump_after_ms"]:
                            row["jumps"] += 1
                            row["jump_after_ms"] = min(elapsed_ms, 2_147_483_647)
        if code >= 0:
            codes[pings[k]["row"]] = code
            if last and row["inside"] != 0:
                n = _end_run(pings, k, codes, rows, world, walk, events, n)
            k += 1
            continue
        before = row["inside"]
        now = now_set[k]
        joined = placed and not anchored and elapsed_ms <= walk.gap_ms
        since_ms = max(before_ms, walk.restored_ms)
        silent = known and time_ms - since_ms > walk.lost_ms
        held = 0 if silent else before
        # From where on his way is not yet searched for crossings.
        begun_lon, begun_lat = lon, lat
        if joined:
            begun_lon = _toward(before_lon, -row["back_lon"], 1.0)
            begun_lat = min(max(before_lat - row["back_lat"], -90.0), 90.0)
        target, still_s, moved, searched = now, 0, False, joined and not silent
        if walk.settles:
            radius = radius_m(pings[k]["accuracy_m"])
            still_s = FIRST_STILL_S
            if joined:
                onward = (flags & MOVING) != 0 and east_m * row["east_cmps"] + north_m * row["north_cmps"] > 0.0
                way_m = math.sqrt(east_m * east_m + north_m * north_m)
                still_s = still_for(row["still_s"], way_m, onward, pings[k]["speed_mps"], radius, elapsed_ms)
                if still_s == 0 and row["still_s"] >= LONGEST_STILL_S and (flags & WALKED) == 0:
                    # He stood for minutes: the mean is where he was, the one ping his stand began with may not be.
                    begun_lon, begun_lat = before_lon, before_lat
                if still_s > 0:
                    part = settled(still_s, elapsed_ms)
                    east_m, north_m = east_m * part, north_m * part
                    lon, lat = _toward(before_lon, lon_step, part), before_lat + (lat - before_lat) * part
                    back_lon, back_lat = _short_way(lon - begun_lon), lat - begun_lat
                    moved = walked(back_lon * lon_m, back_lat * lat_m, radius)
                    searched = searched and moved
                    # A ping in the zones he is in anyway is no reason to doubt that.
                    if held != now or moved:
                        now = _set_at(world, lon, lat, scratch_zone)
                        if now < 0:
                            tally[3] = -1 - now
                            break
            target = now
            if held != now:
                target = _convinced(world, held, now, lon, lat, doubt_m(still_s, radius), scratch_zone)
                if target < 0:
                    tally[3] = -1 - target
                    break
        # Who enters or leaves while he seems to stand has moved; no zone on that way may be told about again later.
        searched = searched or (held != target and joined and not silent)
        accepted += 1
        fresh = walk.now_ms - time_ms <= walk.fresh_ms
        from_lon, from_lat = (before_lon, before_lat) if placed else (np.nan, np.nan)
        if before != 0:
            if before_ms < walk.newest_opening_ms:
                until_ms = min(time_ms, since_ms + walk.lost_ms)
                seen_lon, seen_lat = (before_lon, before_lat) if placed else (lon, lat)
                n = _write_openings(events, n, world, before, u7, before_ms, until_ms, seen_lon, seen_lat)
            if silent:
                for at in range(set_first[before], set_first[before + 1]):
                    moment = since_ms + walk.lost_ms
                    n = _write(events, n, u7, moment, set_members[at], EXIT, LOST, from_lon, from_lat)
        # Enter and exit: the difference of two ascending lists.
        if held != target:
            left, left_end = set_first[held], set_first[held + 1]
            come, come_end = set_first[target], set_first[target + 1]
            while left < left_end or come < come_end:
                if come >= come_end or (left < left_end and set_members[left] < set_members[come]):
                    n = _write(events, n, u7, time_ms, set_members[left], EXIT, MOVED, lon, lat)
                    left += 1
                elif left >= left_end or set_members[come] < set_members[left]:
                    n = _write(events, n, u7, time_ms, set_members[come], ENTER, MOVED, lon, lat)
                    come += 1
                else:
                    left += 1
                    come += 1
        if held != 0 and fresh and known and (flags & FRESH) == 0:
            for at in range(set_first[held], set_first[held + 1]):
                zone = set_members[at]
                if world.warnable[zone] and _in_set(world, target, zone):
                    n = _write(events, n, u7, time_ms, zone, OWED, MOVED, lon, lat)
        # Zones passed through or touched between both ends of the way, with neither inside.
        crossed = 0
        if searched and (lon != begun_lon or lat != begun_lat):
            to_lon = lon
            if lon - begun_lon > 180.0:
                to_lon = lon - 360.0
            elif lon - begun_lon < -180.0:
                to_lon = lon + 360.0
            crossed = touched_outside(
                world.borders, begun_lon, begun_lat, to_lon, lat, set_members,
                (set_first[now], set_first[now + 1]), (set_first[held], set_first[held + 1]), scratch_zone,
            )  # fmt: skip
            for at in range(crossed):
                n = _write(events, n, u7, time_ms, scratch_zone[at], CROSS, MOVED, lon, lat)
        phase = np.int64(u7) * PHASE
        # One division instead of two: a multiple lies between both moments when it is nearer than the step is long.
        if walk.venue_every_ms <= 0 or (time_ms + phase) % walk.venue_every_ms < elapsed_ms:
            row["venue"] = nearest_venue(world.venues, lon, lat, world.venues.within_m)[0] + 1
        # Velocity: the device's own where credible, else that of the last step.
        moves = joined and _MIN_STEP_MS <= elapsed_ms <= _MAX_STEP_MS
        east, north = 0.0, 0.0
        if moves:
            seconds = elapsed_ms / 1000.0
            east = min(max(np.rint(east_m / seconds * 100.0), -_FASTEST_CMPS), _FASTEST_CMPS)
            north = min(max(np.rint(north_m / seconds * 100.0), -_FASTEST_CMPS), _FASTEST_CMPS)
            if walk.learn_mask >= 0 and sample_of(u7, time_ms) & walk.learn_mask == 0:
                told = (flags & TOLD) != 0
                agreed = (flags & CONSENTED) != 0 or (walk.consented and not told)
                old_east, old_north = 0.0, 0.0
                if (flags & MOVING) != 0:
                    old_east, old_north = float(row["east_cmps"]), float(row["north_cmps"])
                fastest = max(east * east + north * north, old_east * old_east + old_north * old_north)
                if agreed and LEAST_MOVE_MS <= elapsed_ms <= MOST_MOVE_MS and fastest >= _DRIVES_CMPS * _DRIVES_CMPS:
                    step = steps[tally[4]]
                    step["lon0"], step["lat0"], step["lon1"], step["lat1"] = before_lon, before_lat, lon, lat
                    step["east0_mps"], step["north0_mps"] = old_east / 100.0, old_north / 100.0
                    step["east1_mps"], step["north1_mps"] = east / 100.0, north / 100.0
                    step["elapsed_ms"] = elapsed_ms
                    tally[4] += 1
        profile = row["profile"]
        if walk.foresees and world.wants_any[profile]:
            told_mps, told_deg = pings[k]["speed_mps"], pings[k]["heading_deg"]
            east_mps, north_mps = east / 100.0, north / 100.0
            if 0.0 <= told_mps <= _MAX_SPEED_MPS and 0.0 <= told_deg <= 360.0:
                speed_mps = told_mps
            else:
                told_deg = np.nan
                speed_mps = math.sqrt(east_mps * east_mps + north_mps * north_mps)
            if walk.min_speed_mps <= speed_mps <= _MAX_SPEED_MPS:
                # Whoever reports rarely must be warned earlier.
                interval_s = elapsed_ms / 1000.0 if joined else 0.0
                over_s = min(max(interval_s - walk.interval_s, 0.0), walk.most_interval_s - walk.interval_s)
                later_s = walk.per_second * over_s
                mover = Mover(lon, lat, east_mps, north_mps, speed_mps, told_deg, later_s + walk.cone_s, profile)
                met, source = look_ahead(world.known, world.borders, world.frame, mover, world.wanted, ahead)
                for at in range(met):
                    zone = ahead.zone[at]
                    if not is_due(world.tiers, ahead.chance[at], ahead.eta_s[at] - later_s, source):
                        continue
                    # Nobody approaches what he is in, or has just left.
                    here = _in_set(world, now, zone) or _in_set(world, target, zone) or _in_set(world, held, zone)
                    if not here and not _among(scratch_zone, crossed, zone):
                        n = _write(events, n, u7, time_ms, zone, APPROACH, MOVED, lon, lat)
                        events[n - 1]["distance_m"] = ahead.distance_m[at]
                        events[n - 1]["eta_s"] = ahead.eta_s[at]
                        toward_deg = math.degrees(math.atan2(ahead.east_m[at], ahead.north_m[at]))
                        events[n - 1]["bearing_deg"] = toward_deg % 360.0
        # The row moves on.
        walks = joined and still_s > 0 and (searched or (flags & WALKED) != 0)
        flags = (flags & KEPT_FLAGS) | PLACED
        if walks:
            flags |= WALKED
        if fresh:
            flags |= FRESH
        if moves:
            flags |= MOVING
            row["east_cmps"] = int(east)
            row["north_cmps"] = int(north)
        row["time_ms"] = time_ms
        row["lon"] = lon
        row["lat"] = lat
        row["jumps"] = 0
        row["still_s"] = still_s
        pending = joined and not silent and not searched
        row["back_lon"] = _short_way(lon - begun_lon) if pending else 0.0
        row["back_lat"] = lat - begun_lat if pending else 0.0
        row["flags"] = flags
        rows.used[u7 // BLOCK] = True
        if before != target:
            row["inside"] = target
            memberships += (set_first[target + 1] - set_first[target]) - (set_first[before + 1] - set_first[before])
        if last and target != 0:
            n = _end_run(pings, k, codes, rows, world, walk, events, n)
        k += 1
    tally[0] += accepted
    tally[1] += memberships
    return k, n


@kernel
def combo_members(cells: Cells, zones: int, first: int) -> tuple[IntColumn, IntColumn]:
    """Return (combo, zone) of every member of the sets of all combos from ``first`` on, of so many ``zones``.

    Combos of cells that an edit left behind are asked for by nobody and may name zones that are gone,
    out of order: left out.
    """
    room = np.empty(max(zones, 1), dtype=np.int64)
    total = 0
    combos = len(cells.combo_leaf)
    for combo in range(first, combos):
        total += min(combo_zones(cells, combo, room), len(room))
    query, zone = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    used = 0
    for combo in range(first, combos):
        above = -1
        for k in range(min(combo_zones(cells, combo, room), len(room))):
            if above < room[k] < zones:
                query[used], zone[used] = combo, room[k]
                above = room[k]
                used += 1
    return query[:used].copy(), zone[:used].copy()
