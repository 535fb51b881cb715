"""The compiled step: screens, orders and packs a batch, then moves every user on ping by ping and writes events.

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
from geo_engine.index.borders import BorderGrid, touched_outside, wanted_ahead
from geo_engine.index.kernels import Cells, combo_at, combo_zones
from geo_engine.index.venues import VenueGrid, nearest_venue
from geo_engine.model import (
    EARLIEST_TIME_MS,
    LATEST_TIME_MS,
    U7_COUNT,
    BoolColumn,
    FloatColumn,
    IntColumn,
    RejectReason,
)
from geo_engine.tracking.approach import PHASE, SPED_UP, TURNED_COS
from geo_engine.tracking.events import APPROACH, CROSS, ENTER, EXIT, LOST, MOVED, OPENED, OWED
from geo_engine.tracking.screening import REASONS
from geo_engine.tracking.state import BLOCK, FRESH, KEPT_FLAGS, MOVING, PLACED

__all__ = ["PING", "BatchColumns", "EventColumns", "Located", "PingColumns", "RowColumns", "Screen", "Walk", "World", "arrange"]
__all__ += ["TILES", "advance", "combo_members"]

PING: Final = np.dtype(
    [
        ("time_ms", np.int64),
        ("lon", np.float64),
        ("lat", np.float64),
        ("speed_mps", np.float64),
        ("heading_deg", np.float64),
        ("u7", np.int32),
        ("row", np.int32),  # row in the caller's batch
    ],
    align=True,
)

_U7: Final = REASONS.index(RejectReason.U7_OUT_OF_RANGE)
_NOT_FINITE: Final = REASONS.index(RejectReason.NOT_FINITE)
_LON: Final = REASONS.index(RejectReason.LON_OUT_OF_RANGE)
_LAT: Final = REASONS.index(RejectReason.LAT_OUT_OF_RANGE)
_TIME: Final = REASONS.index(RejectReason.TIME_OUT_OF_RANGE)
_FUTURE: Final = REASONS.index(RejectReason.FUTURE)
_LATE: Final = REASONS.index(RejectReason.LATE)
_INACCURATE: Final = REASONS.index(RejectReason.INACCURATE)
_DUPLICATE: Final = REASONS.index(RejectReason.DUPLICATE)
_SPEED_JUMP: Final = REASONS.index(RejectReason.SPEED_JUMP)

TILES: Final = 8192
"""Buckets of map tiles a batch is sorted into; tiles far apart may share one, which costs locality only."""
_TILES_PER_DEGREE: Final = 64.0

BLOCK_PINGS: Final = 512
"""Pings that are matched together before their users move on: their rows fit into the second-level cache."""

_FRAME_LIMIT_M: Final = 10_000.0
_FRAME_LIMIT_LAT_DEG: Final = 70.0
_MAX_STEP_MS: Final = 60_000
_MIN_STEP_MS: Final = 500
_MAX_SPEED_MPS: Final = 75.0
_FASTEST_CMPS: Final = 32_767.0


class BatchColumns(NamedTuple):
    """The columns of a ``PingBatch``."""

    u7: IntColumn
    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    speed_mps: FloatColumn
    heading_deg: FloatColumn
    accuracy_m: FloatColumn


class Screen(NamedTuple):
    """What rules a ping out by its own values; a filter that is off has a limit nothing reaches."""

    latest_ms: int
    late_ms: int
    max_accuracy_m: float


class PingColumns(NamedTuple):
    """The fields of a ``PING`` column, as strided views."""

    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    speed_mps: FloatColumn
    heading_deg: FloatColumn
    u7: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]


class RowColumns(NamedTuple):
    """The fields of the ``PACKED_ROW`` column and its blocks, as strided views."""

    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    inside: npt.NDArray[np.int32]
    venue: npt.NDArray[np.int32]
    jump_after_ms: npt.NDArray[np.int32]
    east_cmps: npt.NDArray[np.int16]
    north_cmps: npt.NDArray[np.int16]
    profile: npt.NDArray[np.int16]
    jumps: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    inside_from_ms: IntColumn
    used: BoolColumn


class EventColumns(NamedTuple):
    """The fields of an ``EVENT`` column, as strided views."""

    time_ms: IntColumn
    lon: FloatColumn
    lat: FloatColumn
    distance_m: FloatColumn
    eta_s: FloatColumn
    bearing_deg: FloatColumn
    u7: npt.NDArray[np.int32]
    zone: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]


class World(NamedTuple):
    """What users are matched against, and which of it can concern whom.

    Attributes:
        cells: the compiled zone index.
        combo_set: number of the inside-set of each combination of ``cells``.
        borders: its borders by cell, marked with ``wanted``.
        venues: venues by place.
        set_first: where the members of a set begin.
        set_members: zone positions.
        wanted: uint64 (profiles, words): bit z of word z >> 6 = zone z may concern the profile and may be in force.
        wants_any: whether a profile wants any zone.
        warnable: whether a zone can be warned about.
        opening_first: int64 (zones + 1,): where the openings of a zone begin in ``opening_ms``.
        opening_ms: moments at which a zone came into force lately, ascending per zone.
    """

    cells: Cells
    combo_set: npt.NDArray[np.int32]
    borders: BorderGrid
    venues: VenueGrid
    set_first: IntColumn
    set_members: npt.NDArray[np.int32]
    wanted: npt.NDArray[np.uint64]
    wants_any: BoolColumn
    warnable: BoolColumn
    opening_first: IntColumn
    opening_ms: IntColumn


class Located(NamedTuple):
    """Where the packed pings are.

    Attributes:
        now_set: inside-set at each ping, -1 = not numbered beforehand.
        venue: 1 + number of the nearest venue, 0 = none.
    """

    now_set: npt.NDArray[np.int32]
    venue: npt.NDArray[np.int32]


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
        look_s: length of the look-ahead.
        look_min_mps: slower is standing.
        look_every_ms: how often a user who drives straight on is looked ahead for.
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
    look_s: float
    look_min_mps: float
    look_every_ms: int


@uncounted
def _fault(batch: BatchColumns, i: int, screen: Screen) -> int:
    """Return the code of the first reason that rules ping ``i`` out, -1 when none does."""
    if batch.u7[i] < 0 or batch.u7[i] >= U7_COUNT:
        return _U7
    lon, lat = batch.lon[i], batch.lat[i]
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return _NOT_FINITE
    if lon > 180.0 or lon < -180.0:
        return _LON
    if lat > 90.0 or lat < -90.0:
        return _LAT
    time_ms = batch.time_ms[i]
    if time_ms < EARLIEST_TIME_MS or time_ms >= LATEST_TIME_MS:
        return _TIME
    if time_ms > screen.latest_ms:
        return _FUTURE
    if time_ms < screen.late_ms:
        return _LATE
    if batch.accuracy_m[i] > screen.max_accuracy_m:
        return _INACCURATE
    return -1


@uncounted
def _differ(a: float, b: float) -> int:
    """Compare two numbers as a sort does, NaN last."""
    if a < b:
        return -1
    if a > b:
        return 1
    return int(math.isnan(a)) - int(math.isnan(b))


@uncounted
def _comes_before(batch: BatchColumns, i: int, j: int) -> bool:
    """Say whether ping i is ordered before ping j of the same user: by time, ties by accuracy and position."""
    if batch.time_ms[i] != batch.time_ms[j]:
        return bool(batch.time_ms[i] < batch.time_ms[j])
    order = _differ(batch.accuracy_m[i], batch.accuracy_m[j])
    if order == 0:
        order = _differ(batch.lon[i], batch.lon[j])
    if order == 0:
        order = _differ(batch.lat[i], batch.lat[j])
    if order == 0:
        order = _differ(batch.speed_mps[i], batch.speed_mps[j])
    if order == 0:
        order = _differ(batch.heading_deg[i], batch.heading_deg[j])
    return order < 0


@bare
def _sort_run(batch: BatchColumns, run: npt.NDArray[np.int32], spare: npt.NDArray[np.int32], count: int) -> None:
    """Order one user's pings in place: a merge sort that costs one pass when they are in order already."""
    ordered = True
    for k in range(1, count):
        if _comes_before(batch, run[k], run[k - 1]):
            ordered = False
            break
    width = 1
    while width < count and not ordered:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            left, right = low, middle
            for k in range(low, high):
                if left < middle and (right >= high or not _comes_before(batch, run[right], run[left])):
                    spare[k] = run[left]
                    left += 1
                else:
                    spare[k] = run[right]
                    right += 1
        for k in range(count):
            run[k] = spare[k]
        width *= 2


@bare
def arrange(  # noqa: PLR0913 - work arrays are arguments so that a step allocates nothing per ping
    batch: BatchColumns,
    screen: Screen,
    codes: npt.NDArray[np.int8],
    slot: npt.NDArray[np.int32],
    work: npt.NDArray[np.int32],
    starts: IntColumn,
    pings: PingColumns,
) -> int:
    """Screen a batch and pack its usable pings: users by map tile, each user's pings together and in order of time.

    A counting sort by the tile of each user's first ping. Pings of one user are chained through ``slot``, so several
    per batch cost nothing extra when they come in order of time.

    Args:
        batch: pings in any order.
        screen: what rules a ping out.
        codes: written: reason code per ping, -1 = usable.
        slot: one number per u7, all zero before and after.
        work: room for 6 x pings numbers.
        starts: room for ``TILES + 1`` numbers.
        pings: written: the packed pings.

    Returns:
        The number of usable pings. Cost: about 30 ns a ping.
    """
    count = len(batch.u7)
    head, tail, following = work[:count], work[count : 2 * count], work[2 * count : 3 * count]
    tile, run, spare = work[3 * count : 4 * count], work[4 * count : 5 * count], work[5 * count :]
    starts[:] = 0
    users = 0
    for i in range(count):
        code = _fault(batch, i, screen)
        codes[i] = code
        if code >= 0:
            continue
        u7 = batch.u7[i]
        known = slot[u7]
        following[i] = -1
        if known == 0:
            column = int((batch.lon[i] + 180.0) * _TILES_PER_DEGREE)
            line = int((batch.lat[i] + 90.0) * _TILES_PER_DEGREE)
            bucket = (line * 167 + column) & (TILES - 1)
            head[users] = i
            tail[users] = i
            tile[users] = bucket
            starts[bucket + 1] += 1
            users += 1
            slot[u7] = users
        else:
            following[tail[known - 1]] = i
            tail[known - 1] = i
            starts[tile[known - 1] + 1] += 1
    for bucket in range(TILES):
        starts[bucket + 1] += starts[bucket]
    usable = starts[TILES]
    for user in range(users):
        i = head[user]
        slot[batch.u7[i]] = 0
        length = 0
        while i >= 0:
            run[length] = i
            length += 1
            i = following[i]
        if length > 1:
            _sort_run(batch, run, spare, length)
        k = starts[tile[user]]
        for at in range(length):
            i = run[at]
            pings.time_ms[k] = batch.time_ms[i]
            pings.lon[k] = batch.lon[i]
            pings.lat[k] = batch.lat[i]
            pings.speed_mps[k] = batch.speed_mps[i]
            pings.heading_deg[k] = batch.heading_deg[i]
            pings.u7[k] = batch.u7[i]
            pings.row[k] = i
            k += 1
        starts[tile[user]] = k
    return usable


@uncounted
def _locate(  # noqa: PLR0917 - what is read and what is written
    world: World, pings: PingColumns, rows: RowColumns, first: int, end: int, located: Located
) -> tuple[int, int]:
    """Match the pings of a block, and bring their users' rows into the cache meanwhile.

    Pings do not depend on one another here, so the processor waits for the memory of many at once; one by one, each
    would wait by itself.

    Returns:
        (pings whose cell holds too many borders to number their set, which have -1; a number that only keeps the
        reading of the rows from being left out).
    """
    unknown, touched = 0, 0
    for k in range(first, end):
        u7 = pings.u7[k]
        touched += rows.time_ms[u7] + rows.flags[u7]
        lon, lat = pings.lon[k], pings.lat[k]
        combo = combo_at(world.cells, lon, lat)
        if combo < 0:
            located.now_set[k] = -1
            unknown += 1
        else:
            located.now_set[k] = world.combo_set[combo]
        located.venue[k] = nearest_venue(world.venues, lon, lat, world.venues.within_m)[0] + 1
    return unknown, touched


@uncounted
def _write(  # noqa: PLR0913 - one argument per field
    events: EventColumns,
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
    events.time_ms[n] = time_ms
    events.lon[n] = lon
    events.lat[n] = lat
    events.distance_m[n] = np.nan
    events.eta_s[n] = np.nan
    events.bearing_deg[n] = np.nan
    events.u7[n] = u7
    events.zone[n] = zone
    events.kind[n] = kind
    events.reason[n] = reason
    return n + 1


@uncounted
def _in_set(world: World, number: int, zone: int) -> bool:
    """Say whether a zone is a member of a set. Sets are small, a scan beats a search."""
    for at in range(world.set_first[number], world.set_first[number + 1]):
        if world.set_members[at] == zone:
            return True
    return False


@bare
def _write_openings(  # noqa: PLR0913 - who, where and between which moments
    events: EventColumns,
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


@uncounted
def _too_far(way_m: float, elapsed_ms: int, walk: Walk) -> bool:
    return way_m > walk.jump_mps * (elapsed_ms / 1000.0) + walk.jump_slack_m


@bare
def advance(  # noqa: C901, PLR0912, PLR0913, PLR0915 - a fused kernel: what one ping does to one row, start to end
    pings: PingColumns,
    place: Located,
    first: int,
    located: int,
    count: int,
    codes: npt.NDArray[np.int8],
    rows: RowColumns,
    world: World,
    walk: Walk,
    events: EventColumns,
    n_events: int,
    scratch_zone: IntColumn,
    scratch_fraction: FloatColumn,
    room: int,
    tally: IntColumn,
) -> tuple[int, int, int]:
    """Move users on by the packed pings from ``first`` on, and write what happened.

    Args:
        pings: packed by ``arrange``.
        place: written block by block; -1 in ``now_set`` is to be settled by the caller.
        first: where to begin.
        located: pings up to here have their place.
        count: number of packed pings.
        codes: written for pings that are not used.
        rows: the state.
        world: zones, venues, rules.
        walk: limits and moments.
        events: room for events.
        n_events: events written already.
        scratch_zone: room for as many zones as there are.
        scratch_fraction: the same.
        room: most events one ping can cause; without that much room left the walk stops.
        tally: added to: accepted pings, change of the number of (user, zone) memberships, a number without meaning.

    Returns:
        (ping to go on with, pings that have their place, events written). It stops before the end where room is
        missing or where a place is to be settled. Cost: 50 ns for a standing user, about 150 ns with a look-ahead.
    """
    capacity = len(events.time_ms)
    set_first, set_members = world.set_first, world.set_members
    n = n_events
    accepted = 0
    memberships = 0
    k = first
    while k < count:
        if n + room > capacity:
            break
        if k >= located:
            located = min(k + BLOCK_PINGS, count)
            unknown, touched = _locate(world, pings, rows, k, located, place)
            tally[2] += touched
            if unknown > 0:
                break
        u7 = pings.u7[k]
        time_ms, lon, lat = pings.time_ms[k], pings.lon[k], pings.lat[k]
        before_ms = rows.time_ms[u7]
        if time_ms <= before_ms:
            codes[pings.row[k]] = _LATE if time_ms < before_ms else _DUPLICATE
            k += 1
            continue
        if k > 0 and pings.u7[k - 1] == u7 and pings.time_ms[k - 1] == time_ms:
            codes[pings.row[k]] = _DUPLICATE
            k += 1
            continue
        flags = rows.flags[u7]
        known = before_ms > 0
        placed = (flags & PLACED) != 0
        elapsed_ms = time_ms - before_ms
        before_lon, before_lat = rows.lon[u7], rows.lat[u7]
        # The way from the last believed place, and whether a vehicle can have made it.
        east_m, north_m = 0.0, 0.0
        anchored = False
        if placed:
            lon_step = lon - before_lon
            if lon_step > 180.0:
                lon_step -= 360.0
            elif lon_step < -180.0:
                lon_step += 360.0
            mid_lat = (before_lat + lat) * 0.5
            lon_m, lat_m = degree_lengths(mid_lat)
            east_m, north_m = lon_step * lon_m, (lat - before_lat) * lat_m
            if walk.jump_believe_after >= 0:
                way_m = math.sqrt(east_m * east_m + north_m * north_m)
                if way_m >= _FRAME_LIMIT_M or abs(mid_lat) >= _FRAME_LIMIT_LAT_DEG:
                    way_m = geodesic_m(before_lon, before_lat, lon, lat)
                if _too_far(way_m, elapsed_ms, walk):
                    if rows.jumps[u7] < walk.jump_believe_after:
                        codes[pings.row[k]] = _SPEED_JUMP
                        if rows.jumps[u7] == 0 or elapsed_ms > rows.jump_after_ms[u7]:
                            rows.jumps[u7] += 1
                            rows.jump_after_ms[u7] = min(elapsed_ms, 2_147_483_647)
                        k += 1
                        continue
                    anchored = True
        accepted += 1
        before = rows.inside[u7]
        now = place.now_set[k]
        joined = placed and not anchored and elapsed_ms <= walk.gap_ms
        fresh = walk.now_ms - time_ms <= walk.fresh_ms
        from_lon, from_lat = (before_lon, before_lat) if placed else (np.nan, np.nan)
        held = before
        since_ms = max(before_ms, walk.restored_ms)
        silent = known and time_ms - since_ms > walk.lost_ms
        if before != 0:
            if before_ms < walk.newest_opening_ms:
                until_ms = min(time_ms, since_ms + walk.lost_ms)
                seen_lon, seen_lat = (before_lon, before_lat) if placed else (lon, lat)
                n = _write_openings(events, n, world, before, u7, before_ms, until_ms, seen_lon, seen_lat)
            if silent:
                for at in range(set_first[before], set_first[before + 1]):
                    moment = since_ms + walk.lost_ms
                    n = _write(events, n, u7, moment, set_members[at], EXIT, LOST, from_lon, from_lat)
                held = 0
        # Enter and exit: the difference of two ascending lists.
        if held != now:
            left, left_end = set_first[held], set_first[held + 1]
            come, come_end = set_first[now], set_first[now + 1]
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
                if world.warnable[zone] and _in_set(world, now, zone):
                    n = _write(events, n, u7, time_ms, zone, OWED, MOVED, lon, lat)
        # Zones passed through or touched between both pings, with neither inside.
        if joined and not silent and (lon != before_lon or lat != before_lat):
            to_lon = lon
            if lon - before_lon > 180.0:
                to_lon = lon - 360.0
            elif lon - before_lon < -180.0:
                to_lon = lon + 360.0
            met = touched_outside(
                world.borders, before_lon, before_lat, to_lon, lat, set_members,
                (set_first[now], set_first[now + 1]), (set_first[held], set_first[held + 1]), scratch_zone,
            )  # fmt: skip
            for at in range(met):
                n = _write(events, n, u7, time_ms, scratch_zone[at], CROSS, MOVED, lon, lat)
        # Velocity: the device's own where credible, else the mean of the last two steps.
        moves = joined and _MIN_STEP_MS <= elapsed_ms <= _MAX_STEP_MS
        east, north = 0.0, 0.0
        mean_east, mean_north = np.nan, np.nan
        if moves:
            seconds = elapsed_ms / 1000.0
            east = min(max(np.rint(east_m / seconds * 100.0), -_FASTEST_CMPS), _FASTEST_CMPS)
            north = min(max(np.rint(north_m / seconds * 100.0), -_FASTEST_CMPS), _FASTEST_CMPS)
            mean_east, mean_north = east, north
            if (flags & MOVING) != 0:
                mean_east = (east + rows.east_cmps[u7]) / 2.0
                mean_north = (north + rows.north_cmps[u7]) / 2.0
            mean_east, mean_north = mean_east / 100.0, mean_north / 100.0
        profile = rows.profile[u7]
        looks = walk.look_s > 0.0 and world.wants_any[profile]
        if looks and walk.look_every_ms > 0 and moves and (flags & MOVING) != 0:
            # Straight on at the same speed, and looked ahead for a moment ago: the same is ahead as then.
            phase = u7 * PHASE
            if (time_ms + phase) // walk.look_every_ms == (before_ms + phase) // walk.look_every_ms:
                old_east, old_north = float(rows.east_cmps[u7]), float(rows.north_cmps[u7])
                new, old = math.sqrt(east * east + north * north), math.sqrt(old_east**2 + old_north**2)
                looks = east * old_east + north * old_north < TURNED_COS * new * old or new > SPED_UP * old
        if looks:
            told_mps, heading_deg = pings.speed_mps[k], pings.heading_deg[k]
            if told_mps <= _MAX_SPEED_MPS and not math.isnan(heading_deg):
                heading = math.radians(heading_deg)
                mean_east, mean_north = told_mps * math.sin(heading), told_mps * math.cos(heading)
            speed_mps = math.sqrt(mean_east * mean_east + mean_north * mean_north)
            if walk.look_min_mps <= speed_mps <= _MAX_SPEED_MPS:
                lon_m, lat_m = degree_lengths(lat)
                reach = mean_east * walk.look_s / max(lon_m, 1.0)
                end_lon = lon + min(max(reach, -90.0), 90.0)
                end_lat = min(max(lat + mean_north * walk.look_s / lat_m, -90.0), 90.0)
                met = wanted_ahead(
                    world.borders, lon, lat, end_lon, end_lat, profile, world.wanted, scratch_zone, scratch_fraction
                )
                for at in range(met):
                    zone = scratch_zone[at]
                    if scratch_fraction[at] > 0.0 and not _in_set(world, now, zone):
                        eta_s = scratch_fraction[at] * walk.look_s
                        n = _write(events, n, u7, time_ms, zone, APPROACH, MOVED, lon, lat)
                        events.distance_m[n - 1] = eta_s * speed_mps
                        events.eta_s[n - 1] = eta_s
                        events.bearing_deg[n - 1] = math.degrees(math.atan2(mean_east, mean_north)) % 360.0
        # The row moves on.
        flags = (flags & KEPT_FLAGS) | PLACED
        if fresh:
            flags |= FRESH
        if moves:
            flags |= MOVING
            rows.east_cmps[u7] = int(east)
            rows.north_cmps[u7] = int(north)
        rows.time_ms[u7] = time_ms
        rows.lon[u7] = lon
        rows.lat[u7] = lat
        rows.venue[u7] = place.venue[k]
        rows.jumps[u7] = 0
        rows.flags[u7] = flags
        rows.used[u7 // BLOCK] = True
        if before != now:
            rows.inside[u7] = now
            memberships += (set_first[now + 1] - set_first[now]) - (set_first[before + 1] - set_first[before])
        if now != 0:
            rows.inside_from_ms[u7 // BLOCK] = min(rows.inside_from_ms[u7 // BLOCK], time_ms)
            last = k + 1 >= count or pings.u7[k + 1] != u7
            if last and time_ms < walk.newest_opening_ms and time_ms < walk.before_now_ms:
                until_ms = min(walk.before_now_ms, time_ms + walk.lost_ms)
                n = _write_openings(events, n, world, now, u7, time_ms, until_ms, lon, lat)
        k += 1
    tally[0] += accepted
    tally[1] += memberships
    return k, located, n


@kernel
def combo_members(cells: Cells, zones: int) -> tuple[IntColumn, IntColumn]:
    """Return (combo, zone) of every member of every combo's set, ordered by combo, then zone. ``zones``: how many."""
    room = np.empty(max(zones, 1), dtype=np.int64)
    total = 0
    combos = len(cells.combo_leaf)
    for combo in range(combos):
        total += combo_zones(cells, combo, room)
    query, zone = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    used = 0
    for combo in range(combos):
        count = combo_zones(cells, combo, room)
        for k in range(count):
            query[used] = combo
            zone[used] = room[k]
            used += 1
    return query, zone
