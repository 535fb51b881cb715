"""The walk over what happened, compiled: visits in an open hash table, decisions in columns.

``geo_engine.alerting.policy.decide`` says in readable form what is decided here; a property test holds both together.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from geo_engine.alerting.policy import Grade
from geo_engine.compiled import bare, inlined, uncounted
from geo_engine.model import AlertReason, BoolColumn, CodeColumn, FloatColumn, IntColumn, SuppressReason
from geo_engine.tracking.events import APPROACH, CROSS, DWELLED, ENTER, OPENED, RETOLD
from geo_engine.tracking.state import CONSENTED, TOLD

__all__ = [
    "CHANGED",
    "DECIDED",
    "FLAGS",
    "INSIDE",
    "KEY",
    "LAST",
    "NEVER",
    "NOTED",
    "NO_MESSAGE",
    "OPEN",
    "QUIET_ZONE",
    "SENT",
    "SENT_REASON",
    "VISIT",
    "WIDTH",
    "Decided",
    "Happened",
    "Limits",
    "People",
    "Table",
    "ZoneFacts",
    "home_of",
    "judge",
    "put",
    "slot_of",
    "sweep",
    "unsend",
]

Table = IntColumn
"""int64 (slots x 5): the records of visits, each in the slot its key hashes to or in the next free one."""

KEY, VISIT, LAST, SENT, FLAGS = range(5)
"""Columns of a record: ``1 + (u7 << 24 | zone)``, 0 = a free slot; begin of the visit; when it began, led inside or
ended; the last warning or ``NEVER``; the flags below."""
WIDTH: Final = 5

OPEN: Final = 1
"""The visit goes on (approaching or inside)."""
INSIDE: Final = 2
"""The user is inside."""
DECIDED: Final = 4
"""A warning was decided for this visit."""
NOTED: Final = 8
"""That a warning came too late was noted for this visit, so it is not noted again."""
CHANGED: Final = 16
"""The record changed in this step; it stands in the list of changed slots."""

NEVER: Final = -1
"""In place of the moment of a warning that was never sent."""

SENT_REASON: Final = -1
"""In place of a position in ``SuppressReason``: the warning is sent."""

_NO_CONSENT: Final = tuple(SuppressReason).index(SuppressReason.NO_CONSENT)
_PULL_ONLY: Final = tuple(SuppressReason).index(SuppressReason.PULL_ONLY)
_COOLDOWN: Final = tuple(SuppressReason).index(SuppressReason.COOLDOWN)
_CAP: Final = tuple(SuppressReason).index(SuppressReason.CAP)
_STALE_PING: Final = tuple(SuppressReason).index(SuppressReason.STALE_PING)
_MUTED: Final = tuple(SuppressReason).index(SuppressReason.MUTED)
_QUIET_HOURS: Final = tuple(SuppressReason).index(SuppressReason.QUIET_HOURS)
_DIGESTED: Final = tuple(SuppressReason).index(SuppressReason.DIGESTED)
_BY_APPROACH: Final = tuple(AlertReason).index(AlertReason.APPROACH)
_BY_ENTER: Final = tuple(AlertReason).index(AlertReason.ENTER)
_BY_OPENING: Final = tuple(AlertReason).index(AlertReason.WINDOW_OPENED)
_BY_DWELL: Final = tuple(AlertReason).index(AlertReason.DWELL)
_BY_VEHICLE: Final = tuple(AlertReason).index(AlertReason.VEHICLE_CHANGED)

NO_MESSAGE: Final = -1
"""In place of the decision whose message tells of another one."""

_ZONE_BITS: Final = 24
_BLOCK: Final = 256
_NO_SLOT: Final = -1
"""In place of the slot of a visit where there is none: the zone is nobody's warning."""
_ZONE_MASK: Final = (1 << _ZONE_BITS) - 1

QUIET_ZONE: Final = _ZONE_MASK
"""In place of a zone in the key of a wish: the quiet hours of the user. No zone set is as large."""

_DAY_MIN: Final = 1440
_RESTRICTION: Final = int(Grade.RESTRICTION)


class Happened(NamedTuple):
    """Happenings in columns, ordered by time, u7, kind, zone; see ``Happenings``."""

    u7: IntColumn
    time_ms: IntColumn
    zone: IntColumn
    kind: CodeColumn
    due: BoolColumn
    distance_m: FloatColumn
    eta_s: FloatColumn


class ZoneFacts(NamedTuple):
    """What a decision asks of a zone, per zone.

    Attributes:
        pushed: it may be pushed about at all.
        rank: its ``Grade``, 0 = gravest.
        urgent: it is told of in quiet hours too.
        dwell_ms: only who is inside for so long is warned, 0 = everybody is, and before the border.
    """

    pushed: BoolColumn
    rank: CodeColumn
    urgent: BoolColumn
    dwell_ms: IntColumn


class Limits(NamedTuple):
    """The policy in numbers, and now.

    Attributes:
        cover_ms: how long an approach holds from its begin on.
        lower_cap: ``daily_cap`` for what is less grave than a restriction.
        stale_ms: infinite = neither age nor expiry matter.
        quiet_from_min: quiet hours of who has none of his own, in minutes after local midnight; equal = none.
    """

    now_ms: int
    cover_ms: int
    stale_ms: float
    grace_s: float
    cooldown_ms: float
    daily_cap: int
    lower_cap: int
    day_offset_s: int
    quiet_from_min: int
    quiet_until_min: int
    consented: bool


class People(NamedTuple):
    """The columns of the users' rows that a decision reads and writes; views into the state, indexed by u7.

    ``wishes`` is the table of what they do not want to hear: see ``geo_engine.alerting.wishes``.
    """

    flags: np.ndarray[tuple[int], np.dtype[np.uint8]]
    sent_day: np.ndarray[tuple[int], np.dtype[np.uint16]]
    sent: np.ndarray[tuple[int], np.dtype[np.uint8]]
    wishes: Table


class Decided(NamedTuple):
    """Room for what the walk finds, each column as long as the happenings.

    Attributes:
        reported: the happening is a transition to report.
        row: row of the happening behind each decision.
        slot: slot of the visit each decision is about; between walk and decision also of those that wait.
        visit_ms: begin of that visit.
        reason: position in ``SuppressReason``, ``SENT_REASON`` when the warning is sent.
        trigger: position in ``AlertReason``.
        message: decision whose message tells of this one, ``NO_MESSAGE`` when none does; of a sent one itself.
        before_ms: the last warning of the visit's record before this decision.
        changed: slots of the records that changed.
    """

    reported: BoolColumn
    row: IntColumn
    slot: IntColumn
    visit_ms: IntColumn
    reason: CodeColumn
    trigger: CodeColumn
    message: IntColumn
    before_ms: IntColumn
    changed: IntColumn


@inlined
def home_of(key: int, mask: int) -> int:
    """Return the slot a key hashes to; of a column of keys, where no kernel is compiled."""
    # Both factors are odd, so users who follow one another never meet; no product passes 2 ** 57.
    spread = (key >> _ZONE_BITS) * 2654435761 + (key & _ZONE_MASK) * 2246822519
    return (spread ^ (spread >> 29)) & mask


@uncounted
def slot_of(table: Table, key: int) -> int:
    """Return the slot of a key, or the free slot where it belongs. The table is never full."""
    mask = len(table) - 1
    slot = home_of(key, mask)
    while table[slot, KEY] != 0 and table[slot, KEY] != key + 1:
        slot = (slot + 1) & mask
    return slot


@bare
def put(table: Table, records: Table) -> int:
    """Write records into the table, a later one over an earlier one of its key; return how many keys are new."""
    added = 0
    for row in range(len(records)):
        slot = slot_of(table, records[row, KEY] - 1)
        if table[slot, KEY] == 0:
            added += 1
        for column in range(table.shape[1]):
            table[slot, column] = records[row, column]
    return added


@uncounted
def _is_over(table: Table, slot: int, horizon_ms: int) -> bool:
    """Say whether a visit need not be remembered: it ended without a warning, or everything about it is long past."""
    flags = table[slot, FLAGS]
    if flags & INSIDE:
        return False
    if flags & OPEN == 0 and table[slot, SENT] == NEVER:
        return True
    return bool(table[slot, LAST] < horizon_ms and table[slot, SENT] < horizon_ms)


@uncounted
def _remove(table: Table, slot: int) -> None:
    """Free a slot and close the gap: each record behind it that may stand there moves up (Knuth, 6.4 R)."""
    mask = len(table) - 1
    gap, place = slot, (slot + 1) & mask
    while table[place, KEY] != 0:
        # A record may move up to the gap unless its home lies behind it.
        if (place - home_of(table[place, KEY] - 1, mask)) & mask >= (place - gap) & mask:
            for column in range(WIDTH):
                table[gap, column] = table[place, column]
            gap = place
        place = (place + 1) & mask
    table[gap, KEY] = 0


@bare
def sweep(table: Table, start: int, count: int, horizon_ms: int) -> int:
    """Remove the visits that are over from ``count`` slots, from ``start`` on; return how many were removed.

    Cost: some 2 ns a slot and 50 ns a removal.
    """
    mask = len(table) - 1
    removed = 0
    for step in range(count):
        slot = (start + step) & mask
        # Another record may have moved up into the slot.
        while table[slot, KEY] != 0 and _is_over(table, slot, horizon_ms):
            _remove(table, slot)
            removed += 1
    return removed


@uncounted
def _touch(table: Table, slot: int, changed: IntColumn, count: int) -> int:
    """List a slot as changed unless it is; return the length of the list."""
    if table[slot, FLAGS] & CHANGED == 0:
        table[slot, FLAGS] |= CHANGED
        changed[count] = slot
        count += 1
    return count


@uncounted
def _leave(table: Table, slot: int, time_ms: int, changed: IntColumn, count: int) -> int:
    """Close the visit in a slot, when there is one and it is open; return the length of the list of changes."""
    if table[slot, KEY] == 0 or table[slot, FLAGS] & OPEN == 0:
        return count
    table[slot, FLAGS] &= ~(OPEN | INSIDE)
    table[slot, LAST] = time_ms
    return _touch(table, slot, changed, count)


@uncounted
def _begins(table: Table, slot: int, time_ms: int, cover_ms: int) -> bool:
    """Say whether a happening begins a visit: none is remembered, or the one that is has ended.

    An approach holds for so long from its begin on, renewed or not: whoever has not entered by then either turned away,
    and it is over quietly, or creeps on, and it is for the cooldown to say whether he hears of it again.
    """
    if table[slot, KEY] == 0:
        return True
    flags = table[slot, FLAGS]
    if flags & INSIDE:
        return False
    return bool(flags & OPEN == 0 or time_ms - table[slot, VISIT] > cover_ms)


@uncounted
def _covered(table: Table, slot: int, time_ms: int, cover_ms: int) -> bool:
    """Say whether the visit before, which is over, was decided about so lately that this approach is told already."""
    if table[slot, KEY] == 0 or time_ms - table[slot, VISIT] > cover_ms:
        return False
    return bool(table[slot, FLAGS] & (OPEN | DECIDED) == DECIDED)


@uncounted
def _begin(table: Table, slot: int, key: int, time_ms: int) -> int:
    """Begin a visit; only the time of the last warning is carried over. Return how many keys are new."""
    added = 0
    if table[slot, KEY] == 0:
        table[slot, KEY] = key + 1
        table[slot, SENT] = NEVER
        table[slot, FLAGS] = 0
        added = 1
    table[slot, VISIT] = time_ms
    table[slot, LAST] = time_ms
    table[slot, FLAGS] = OPEN | (table[slot, FLAGS] & CHANGED)
    return added


@uncounted
def _goes_on(table: Table, slot: int, kind: int, time_ms: int) -> bool:
    """Note a happening in the middle of a visit; say whether the store should hear of it."""
    # An approach that is renewed is the same as before. So is a visit known to be inside when the rule says something
    # new about its user.
    if kind == APPROACH or (kind >= OPENED and table[slot, FLAGS] & INSIDE):
        return False
    table[slot, LAST] = time_ms
    table[slot, FLAGS] |= INSIDE
    return True


@uncounted
def _has_dwelt(table: Table, slot: int, since_ms: int) -> bool:
    """Say whether the visit in a slot goes on inside since that moment at the latest, and nothing is decided yet."""
    flags = table[slot, FLAGS]
    return bool(table[slot, KEY] != 0 and flags & INSIDE and flags & DECIDED == 0 and table[slot, LAST] <= since_ms)


@uncounted
def _is_quiet(wishes: Table, u7: int, time_ms: int, limits: Limits) -> bool:
    """Say whether a moment lies in the quiet hours of a user: their own, or else those of the policy."""
    quiet_from, quiet_until = limits.quiet_from_min, limits.quiet_until_min
    own = slot_of(wishes, u7 << _ZONE_BITS | QUIET_ZONE)
    if wishes[own, 0] != 0 and wishes[own, 1] != 0:
        quiet_from, quiet_until = (wishes[own, 1] - 1) // _DAY_MIN, (wishes[own, 1] - 1) % _DAY_MIN
    minute = (time_ms // 1000 + limits.day_offset_s) // 60 % _DAY_MIN
    if quiet_from <= quiet_until:
        return bool(quiet_from <= minute < quiet_until)
    return bool(minute >= quiet_from or minute < quiet_until)


@uncounted
def _too_late(happened: Happened, row: int, limits: Limits) -> bool:
    """Say whether a warning comes too late: its ping is old, or its user is past the border for long."""
    time_ms = happened.time_ms[row]
    if limits.now_ms - time_ms > limits.stale_ms:
        return True
    eta_s = happened.eta_s[row] if happened.kind[row] == APPROACH else 0.0
    return bool(limits.now_ms >= time_ms + np.rint((eta_s + limits.grace_s) * 1000.0))


@uncounted
def _reason(  # noqa: PLR0913, PLR0917 - part of a fused kernel
    happened: Happened, row: int, zones: ZoneFacts, limits: Limits, people: People, last_ms: int, sent_today: int
) -> int:
    """Decide about one warning that may be pushed, to a user who agreed; the first reason against it wins.

    ``sent_today`` below zero: a message leaves anyway, and one zone more in it costs nothing.
    """
    u7, time_ms, zone = happened.u7[row], happened.time_ms[row], happened.zone[row]
    wish = slot_of(people.wishes, u7 << _ZONE_BITS | zone)
    if people.wishes[wish, 0] != 0 and time_ms < people.wishes[wish, 1]:
        return _MUTED
    if limits.stale_ms < np.inf and _too_late(happened, row, limits):
        return _STALE_PING
    if last_ms != NEVER and time_ms - last_ms < limits.cooldown_ms:
        return _COOLDOWN
    if not zones.urgent[zone] and _is_quiet(people.wishes, u7, time_ms, limits):
        return _QUIET_HOURS
    if sent_today >= (limits.daily_cap if zones.rank[zone] <= _RESTRICTION else limits.lower_cap):
        return _CAP
    return SENT_REASON if sent_today >= 0 else _DIGESTED


@uncounted
def _graver(happened: Happened, rank: CodeColumn, one: int, other: int) -> bool:
    """Say whether a happening's warning goes before another's: graver kind, then nearer, then by zone."""
    zone, zone2 = happened.zone[one], happened.zone[other]
    if rank[zone] != rank[zone2]:
        return bool(rank[zone] < rank[zone2])
    near = happened.distance_m[one] if happened.kind[one] == APPROACH else 0.0
    near2 = happened.distance_m[other] if happened.kind[other] == APPROACH else 0.0
    if near != near2:
        return bool(near < near2)
    return bool(zone < zone2)


@uncounted
def _trigger(kind: int) -> int:
    """Return what makes a warning due, by the kind of the happening."""
    if kind == APPROACH:
        return _BY_APPROACH
    if kind == RETOLD:
        return _BY_VEHICLE
    if kind == DWELLED:
        return _BY_DWELL
    return _BY_OPENING if kind == OPENED else _BY_ENTER


@bare
def _settle(  # noqa: PLR0913, PLR0915, PLR0917 - part of a fused kernel
    happened: Happened,
    zones: ZoneFacts,
    limits: Limits,
    people: People,
    table: Table,
    found: Decided,
    counts: tuple[int, int, int],
) -> tuple[int, int]:
    """Decide the warnings of one user and moment, the gravest first, so that a cap never costs a graver one.

    They wait in the rows ``decisions .. decisions + waiting`` of ``found``. ``counts`` is (decisions, waiting,
    changes); returned are the decisions and changes after it.
    """
    decisions, waiting, changes = counts
    rows, slots = found.row, found.slot
    for place in range(decisions + 1, decisions + waiting):
        row, slot = rows[place], slots[place]
        free = place
        while free > decisions and _graver(happened, zones.rank, row, rows[free - 1]):
            rows[free], slots[free] = rows[free - 1], slots[free - 1]
            free -= 1
        rows[free], slots[free] = row, slot
    made, message = decisions, NO_MESSAGE
    for place in range(decisions, decisions + waiting):
        row, slot = rows[place], slots[place]
        u7, time_ms = happened.u7[row], happened.time_ms[row]
        flags = np.int64(people.flags[u7])
        day = (time_ms // 1000 + limits.day_offset_s) // 86_400
        sent_today = np.int64(people.sent[u7]) * (np.int64(people.sent_day[u7]) == day)
        reason = _NO_CONSENT
        # Consent comes first: without it nothing else about the person may even be weighed.
        consents = flags & CONSENTED or (limits.consented and not flags & TOLD)
        if slot == _NO_SLOT:
            rows[made], slots[made] = row, slot
            found.visit_ms[made], found.trigger[made] = time_ms, _BY_ENTER
            found.reason[made] = _PULL_ONLY if consents else _NO_CONSENT
            found.message[made], found.before_ms[made] = NO_MESSAGE, NEVER
            made += 1
            continue
        if consents:
            asked = sent_today if message == NO_MESSAGE else -1
            reason = _reason(happened, row, zones, limits, people, table[slot, SENT], asked)
        if table[slot, FLAGS] & DECIDED or (reason == _STALE_PING and table[slot, FLAGS] & NOTED):
            continue
        rows[made], slots[made] = row, slot
        found.visit_ms[made], found.reason[made] = table[slot, VISIT], reason
        found.trigger[made] = _trigger(happened.kind[row])
        found.message[made], found.before_ms[made] = NO_MESSAGE, table[slot, SENT]
        made += 1
        if reason == _STALE_PING:
            # A ping that is too old does not settle the visit: the next one may be in time.
            table[slot, FLAGS] |= NOTED
            continue
        table[slot, FLAGS] |= DECIDED
        if reason == SENT_REASON:
            # The first one sent is the gravest: the others of this moment are told in its message.
            message = made - 1
            people.sent_day[u7], people.sent[u7] = day, sent_today + 1
        if reason in (SENT_REASON, _DIGESTED):
            table[slot, SENT] = time_ms
            found.message[made - 1] = message
        changes = _touch(table, slot, found.changed, changes)
    return made, changes


@bare
def unsend(
    happened: Happened, limits: Limits, people: People, table: Table, found: Decided, refused: IntColumn
) -> None:
    """Undo what the given decisions, in rising order, wrote when they were to be sent: nobody was told after all.

    The visits stay settled, so that a refused warning is refused once.
    """
    # Backwards, so that each finds the moment that it wrote itself.
    for place in range(len(refused) - 1, -1, -1):
        made = refused[place]
        row, slot = found.row[made], found.slot[made]
        u7, time_ms = happened.u7[row], happened.time_ms[row]
        if table[slot, SENT] == time_ms:
            table[slot, SENT] = found.before_ms[made]
        day = (time_ms // 1000 + limits.day_offset_s) // 86_400
        if found.message[made] == made and np.int64(people.sent_day[u7]) == day and people.sent[u7] > 0:
            people.sent[u7] -= 1


@bare
def judge(  # noqa: C901, PLR0912, PLR0915 - fused kernel: what one happening does to one visit
    happened: Happened, zones: ZoneFacts, limits: Limits, people: People, table: Table, found: Decided
) -> tuple[int, int, int, int]:
    """Walk happenings in order: keep the visits, decide the warnings that are due.

    Only what is due begins a visit; anything else moves or ends one that is remembered. So the table holds the visits
    somebody was to be warned about, and a happening that nobody is warned about costs one look into it.

    Returns:
        (records added to the table, decisions, changed records, a number without meaning). The table must have room
        for every happening that is due. Cost: some 20 ns a happening and 100 ns a decision, when the table is beyond
        the caches.
    """
    added = decisions = waiting = changes = touched = 0
    mask = len(table) - 1
    u7s, times, kinds, zone_of, due = happened.u7, happened.time_ms, happened.kind, happened.zone, happened.due
    for row in range(len(u7s)):
        if row % _BLOCK == 0:
            # The records of the next happenings are asked for together: one by one each would be waited for.
            for ahead in range(row, min(row + _BLOCK, len(u7s))):
                touched += table[home_of(u7s[ahead] << _ZONE_BITS | zone_of[ahead], mask), KEY]
        u7, time_ms, kind = u7s[row], times[row], kinds[row]
        found.reported[row] = kind < APPROACH
        if waiting and (u7 != u7s[row - 1] or time_ms != times[row - 1]):
            counts = (decisions, waiting, changes)
            decisions, changes = _settle(happened, zones, limits, people, table, found, counts)
            waiting = 0
        if not zones.pushed[zone_of[row]]:
            # Nobody is warned about it, so there is no visit to remember; that nothing was said is noted at the enter.
            if kind == ENTER and due[row]:
                found.row[decisions + waiting], found.slot[decisions + waiting] = row, _NO_SLOT
                waiting += 1
            continue
        dwell_ms = zones.dwell_ms[zone_of[row]]
        if dwell_ms and kind == APPROACH:
            # Passing through is nothing to be warned about there, and nobody knows yet who will stay.
            continue
        key = u7 << _ZONE_BITS | zone_of[row]
        slot = slot_of(table, key)
        if kind <= CROSS:  # an exit or a cross
            changes = _leave(table, slot, time_ms, found.changed, changes)
            continue
        if kind == DWELLED:
            # Two stays may be long enough at the same moment: that of the enter, and that of an opening then.
            again = waiting > 0 and found.slot[decisions + waiting - 1] == slot
            if not again and _has_dwelt(table, slot, time_ms - dwell_ms):
                found.reported[row] = True
                found.row[decisions + waiting], found.slot[decisions + waiting] = row, slot
                waiting += 1
            continue
        if _begins(table, slot, time_ms, limits.cover_ms):
            if not due[row] or (kind == APPROACH and _covered(table, slot, time_ms, limits.cover_ms)):
                continue
            added += _begin(table, slot, key, time_ms)
            if kind != APPROACH:
                table[slot, FLAGS] |= INSIDE
            changes = _touch(table, slot, found.changed, changes)
            found.reported[row] = kind <= APPROACH
        elif (kind < OPENED or due[row]) and _goes_on(table, slot, kind, time_ms):
            changes = _touch(table, slot, found.changed, changes)
        if due[row] and table[slot, FLAGS] & DECIDED == 0 and time_ms - table[slot, LAST] >= dwell_ms:
            found.row[decisions + waiting], found.slot[decisions + waiting] = row, slot
            waiting += 1
    if waiting:
        decisions, changes = _settle(happened, zones, limits, people, table, found, (decisions, waiting, changes))
    return added, decisions, changes, touched
