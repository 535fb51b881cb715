"""The desk at which meetings are made, joined, left and ended; who sees whom; who is told that somebody is near."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from geo_engine.geodesy.measure import distance_m
from geo_engine.meetings.meeting import Meeting, Member, Refusal, Sighting, code_of, is_open, read_code, sees
from geo_engine.meetings.protocol import VENUE, MeetingStore
from geo_engine.meetings.scene import meeting_id_of, read_scene, scene_of
from geo_engine.meetings.sightings import Sightings

__all__ = ["Companion", "MeetingDesk", "MeetingRules", "NearNotice", "Wanted"]


@dataclass(frozen=True, slots=True)
class MeetingRules:
    """The limits of meetings.

    Attributes:
        longest_ms: how long a window may be.
        ahead_ms: how far ahead one may begin.
        members: how many may be in one, the organiser included.
        organised: meetings of one organiser that are not over.
        seen_ms: how old a position may be to be shown.
        kept_ms: how long a meeting is kept after its end, for "it is over".
        title: the longest title and name of a place.
        tries: wrong codes a person may try in ``tries_ms``.
        tries_ms: see ``tries``.
        nearest_m: the smallest radius of a notice; below it noise would decide.
        farthest_m: the largest.
    """

    longest_ms: int = 24 * 3_600_000
    ahead_ms: int = 30 * 86_400_000
    members: int = 50
    organised: int = 5
    seen_ms: int = 15 * 60_000
    kept_ms: int = 86_400_000
    title: int = 30
    tries: int = 5
    tries_ms: int = 10 * 60_000
    nearest_m: float = 50.0
    farthest_m: float = 5_000.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A meeting somebody wants to make; fields as those of ``Meeting``."""

    title: str
    place: str
    lon: float
    lat: float
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Companion:
    """A companion as a member may see them: who, where (None = not shown, or not seen lately), whether arrived."""

    meeting: Meeting
    member: Member
    seen: Sighting | None


@dataclass(frozen=True, slots=True)
class NearNotice:
    """Something to be told once: the venue (``other`` is None) or a companion is within a member's radius."""

    meeting: Meeting
    u7: int
    other: Member | None
    distance_m: float


def _everybody(_u7: int) -> bool:
    return True


class MeetingDesk:
    """Everything that can be done with meetings. Refusals are values. Several threads may ask.

    Positions of members are kept in memory only, of those who share and only while a meeting of theirs is open.
    """

    def __init__(
        self,
        store: MeetingStore,
        keys: Sequence[bytes],
        *,
        rules: MeetingRules | None = None,
        may_organise: Callable[[int], bool] = _everybody,
        consents: Callable[[int], bool] = _everybody,
        sightings: Sightings | None = None,
    ) -> None:
        """Join the parts.

        Args:
            store: where meetings are kept.
            keys: the key that signs scenes, then those it replaced, which are still accepted.
            rules: the limits.
            may_organise: says whether a u7 may make meetings.
            consents: says whether a u7 agrees, beside what they said in a meeting, to be seen by others at all.
            sightings: positions of members.
        """
        self._store, self._keys = store, tuple(keys)
        self.rules = rules or MeetingRules()
        self._may_organise, self._consents = may_organise, consents
        self._seen = sightings or Sightings()
        self._wrong: dict[int, list[int]] = {}

    # ---- making, joining, leaving

    def create(self, u7: int, name: str, wanted: Wanted, *, random: bytes, now_ms: int) -> Meeting | Refusal:
        """Make a meeting with its organiser as first member.

        Args:
            u7: the organiser.
            name: what the others call the organiser.
            wanted: what it shall be.
            random: 16 random bytes; id and code are made of them.
            now_ms: the moment.
        """
        refusal = self._refused(u7, wanted, now_ms)
        if refusal is not None:
            return refusal
        meeting = Meeting(
            meeting_id_of(random),
            code_of(random[8:]),
            u7,
            wanted.title.strip(),
            wanted.place.strip(),
            wanted.lon,
            wanted.lat,
            wanted.from_ms,
            wanted.until_ms,
        )
        # Sixteen random bytes that are taken are no accident: somebody gave the same ones twice.
        if not self._store.add(meeting, Member(meeting.meeting_id, u7, name, now_ms)):
            message = "found a meeting with the same id or code, expected fresh random bytes"
            raise ValueError(message)
        return meeting

    def _refused(self, u7: int, wanted: Wanted, now_ms: int) -> Refusal | None:
        rules = self.rules
        if not self._may_organise(u7):
            return Refusal.NOT_ALLOWED
        length_ms = wanted.until_ms - wanted.from_ms
        if not 0 < length_ms <= rules.longest_ms or wanted.until_ms <= now_ms:
            return Refusal.BAD_TIME
        if wanted.from_ms > now_ms + rules.ahead_ms:
            return Refusal.BAD_TIME
        if not (0 < len(wanted.title.strip()) <= rules.title):
            return Refusal.BAD_TITLE
        if not (abs(wanted.lon) <= 180.0 and abs(wanted.lat) <= 90.0 and wanted.place.strip()):
            return Refusal.BAD_PLACE
        mine = [one for one in self._store.of(u7) if one.organiser == u7 and now_ms < one.over_ms]
        return Refusal.TOO_MANY if len(mine) >= rules.organised else None

    def scene(self, meeting: Meeting) -> str:
        """Return the signed scene of a meeting's QR code; it holds as long as the meeting."""
        return scene_of(meeting.meeting_id, meeting.until_ms, self._keys[0])

    def join_by_scene(self, u7: int, name: str, scene: str, now_ms: int) -> Meeting | Refusal:
        """Join the meeting of a scanned QR code, also by the subscribe that followed the scan."""
        meeting_id = read_scene(scene, self._keys, now_ms)
        if isinstance(meeting_id, Refusal):
            return Refusal.OVER if meeting_id is Refusal.SCENE_EXPIRED else meeting_id
        return self._join(u7, name, self._store.meeting(meeting_id), now_ms)

    def join_by_code(self, u7: int, name: str, text: str, now_ms: int) -> Meeting | Refusal:
        """Join the meeting of a code somebody typed; wrong ones may be tried a few times only."""
        tried = [at for at in self._wrong.get(u7, ()) if at > now_ms - self.rules.tries_ms]
        if len(tried) >= self.rules.tries:
            return Refusal.TOO_MANY
        code = read_code(text)
        meeting = None if code is None else self._store.by_code(code)
        if meeting is None:
            # Whoever tried long ago is forgotten, so the memory holds the guessers of some minutes.
            self._wrong = {
                who: ats for who, ats in self._wrong.items() if ats[-1] > now_ms - self.rules.tries_ms and who != u7
            } | {u7: [*tried, now_ms]}
        return self._join(u7, name, meeting, now_ms)

    def _join(self, u7: int, name: str, meeting: Meeting | None, now_ms: int) -> Meeting | Refusal:
        if meeting is None:
            return Refusal.UNKNOWN
        if now_ms >= meeting.over_ms:
            return Refusal.OVER
        if self.member(meeting.meeting_id, u7) is not None:
            return meeting
        added = self._store.put_member(Member(meeting.meeting_id, u7, name, now_ms), at_most=self.rules.members)
        return meeting if added else Refusal.FULL

    def leave(self, u7: int, meeting_id: str, now_ms: int) -> Refusal | None:
        """Leave a meeting; what was known of the person there is gone. None = done."""
        left = self._store.remove_member(meeting_id, u7)
        if not self._open_to(u7, now_ms):
            self._seen.forget(u7)
        return None if left else Refusal.NOT_MEMBER

    def end(self, u7: int, meeting_id: str, now_ms: int) -> Refusal | None:
        """End a meeting before its time; its organiser may. None = done."""
        meeting = self._store.meeting(meeting_id)
        if meeting is None:
            return Refusal.UNKNOWN
        if meeting.organiser != u7:
            return Refusal.NOT_ALLOWED
        if now_ms >= meeting.over_ms:
            return Refusal.OVER
        self._store.end(meeting_id, now_ms)
        self._forget_strays(meeting_id, now_ms)
        return None

    # ---- a member's part

    def share(self, u7: int, meeting_id: str, now_ms: int, *, yes: bool) -> Refusal | None:
        """Say whether the others may see where one is, in the window of this meeting. None = done."""
        refusal = self._change(u7, meeting_id, now_ms, shares=yes)
        if not yes and not self._open_to(u7, now_ms):
            self._seen.forget(u7)
        return refusal

    def notify(self, u7: int, meeting_id: str, now_ms: int, *, within_m: float | None) -> Refusal | None:
        """Say from how near one wants to hear of venue and companions; it is kept inside the limits. None = never."""
        if within_m is not None:
            within_m = min(max(within_m, self.rules.nearest_m), self.rules.farthest_m)
        return self._change(u7, meeting_id, now_ms, notice_m=within_m)

    def arrive(self, u7: int, meeting_id: str, now_ms: int) -> Refusal | None:
        """Note that somebody has arrived; the first time counts. Outside the window nobody arrives. None = done."""
        meeting, member = self._store.meeting(meeting_id), self.member(meeting_id, u7)
        if meeting is None or member is None:
            return Refusal.NOT_MEMBER
        if not is_open(meeting, now_ms):
            return Refusal.OVER if now_ms >= meeting.over_ms else Refusal.NOT_YET
        if member.arrived_ms is not None:
            return None
        return self._change(u7, meeting_id, now_ms, arrived_ms=now_ms)

    def _change(self, u7: int, meeting_id: str, now_ms: int, **changes: bool | float | int | None) -> Refusal | None:
        meeting, member = self._store.meeting(meeting_id), self.member(meeting_id, u7)
        if meeting is None or member is None:
            return Refusal.NOT_MEMBER
        if now_ms >= meeting.over_ms:
            return Refusal.OVER
        changed = replace(member, **changes)  # type: ignore[arg-type]  # the three callers above name their field
        self._store.put_member(changed, at_most=self.rules.members)
        return None

    def member(self, meeting_id: str, u7: int) -> Member | None:
        """Return somebody's part in a meeting, None when they have none."""
        return next((one for one in self._store.members(meeting_id) if one.u7 == u7), None)

    def members(self, meeting_id: str) -> list[Member]:
        """Return who is in a meeting."""
        return self._store.members(meeting_id)

    def current(self, u7: int, now_ms: int) -> Meeting | None:
        """Return the meeting somebody means: the open one, of several the latest to begin, else the next to come."""
        mine = [one for one in self._store.of(u7) if now_ms < one.over_ms]
        opened = [one for one in mine if is_open(one, now_ms)]
        return opened[-1] if opened else next(iter(mine), None)

    def of(self, u7: int, now_ms: int) -> list[Meeting]:
        """Return somebody's meetings that are not over, by begin."""
        return [one for one in self._store.of(u7) if now_ms < one.over_ms]

    # ---- who sees whom

    def watched(self, now_ms: int) -> list[int]:
        """Return whose positions matter to a meeting now, ascending; of nobody else call ``saw``."""
        return self._store.open_members(now_ms)

    def saw(self, u7: int, lon: float, lat: float, time_ms: int, now_ms: int) -> list[NearNotice]:
        """Note where a member is and return whom to tell, each thing once per meeting.

        Of somebody who shares in no open meeting, or does not consent, nothing is kept; the notice about the venue is
        their own and needs no sharing. Cost: a query of the store; for somebody in no meeting that is all.
        """
        seen = Sighting(lon, lat, time_ms)
        opened = [one for one in self._store.of(u7) if is_open(one, now_ms)]
        if not (abs(lon) <= 180.0 and abs(lat) <= 90.0) or not opened:
            return []
        if now_ms - time_ms > self.rules.seen_ms or not self._consents(u7):
            return []
        notices: list[NearNotice] = []
        for meeting in opened:
            members = {one.u7: one for one in self._store.members(meeting.meeting_id)}
            me = members.pop(u7, None)
            if me is None:
                continue
            if me.shares:
                self._seen.put(u7, seen)
            notices += self._notices(meeting, me, members.values(), seen, now_ms)
        return notices

    def _notices(
        self, meeting: Meeting, me: Member, others: Iterable[Member], seen: Sighting, now_ms: int
    ) -> list[NearNotice]:
        """Return what comes near by this position: the venue to me, a companion to me, me to a companion."""
        found: list[NearNotice] = []
        to_venue_m = _apart_m(seen, Sighting(meeting.lon, meeting.lat, now_ms))
        if me.notice_m is not None and me.arrived_ms is None and to_venue_m <= me.notice_m:
            found += self._told(meeting, me.u7, None, to_venue_m)
        for other in others:
            theirs = self._sighting(meeting, me, other, now_ms)
            if theirs is None:
                continue
            apart_m = _apart_m(seen, theirs)
            for told, about in ((me, other), (other, me)):
                if told.notice_m is not None and apart_m <= told.notice_m:
                    found += self._told(meeting, told.u7, about, apart_m)
        return found

    def _told(self, meeting: Meeting, u7: int, other: Member | None, apart_m: float) -> list[NearNotice]:
        about = VENUE if other is None else other.u7
        first = self._store.tell_once(meeting.meeting_id, u7, about)
        return [NearNotice(meeting, u7, other, apart_m)] if first else []

    def companions(self, u7: int, meeting_id: str, now_ms: int) -> list[Companion] | Refusal:
        """Return the other members as somebody may see them, those whose place is shown first, then by joining."""
        meeting, me = self._store.meeting(meeting_id), self.member(meeting_id, u7)
        if meeting is None or me is None:
            return Refusal.NOT_MEMBER
        if not is_open(meeting, now_ms):
            return Refusal.OVER if now_ms >= meeting.over_ms else Refusal.NOT_YET
        others = [one for one in self._store.members(meeting_id) if one.u7 != u7]
        shown = [Companion(meeting, other, self._sighting(meeting, me, other, now_ms)) for other in others]
        return sorted(shown, key=lambda one: one.seen is None)

    def _sighting(self, meeting: Meeting, viewer: Member, other: Member, now_ms: int) -> Sighting | None:
        if not sees(meeting, viewer, other, now_ms):
            return None
        if not (self._consents(viewer.u7) and self._consents(other.u7)):
            return None
        seen = self._seen.of(other.u7)
        return seen if seen is not None and now_ms - seen.time_ms <= self.rules.seen_ms else None

    # ---- the end

    def sweep(self, now_ms: int) -> int:
        """Forget the positions of everybody whose meetings are over, and the meetings that were over long ago.

        Call it every minute or so. Positions that are not swept yet are shown to nobody either.

        Returns:
            How many meetings were erased.
        """
        for u7 in self._seen.users():
            if not self._open_to(u7, now_ms):
                self._seen.forget(u7)
        return self._store.drop(now_ms - self.rules.kept_ms)

    def hide(self, u7: int, now_ms: int) -> None:
        """Stop sharing in every meeting: part of withdrawing consent."""
        for meeting in self.of(u7, now_ms):
            self.share(u7, meeting.meeting_id, now_ms, yes=False)
        self._seen.forget(u7)

    def forget(self, u7: int) -> None:
        """Erase a person from all meetings: memberships, notices, position, and the meetings they organised."""
        self._seen.forget(u7)
        self._wrong.pop(u7, None)
        self._store.forget(u7)

    def _forget_strays(self, meeting_id: str, now_ms: int) -> None:
        for one in self._store.members(meeting_id):
            if not self._open_to(one.u7, now_ms):
                self._seen.forget(one.u7)

    def _open_to(self, u7: int, now_ms: int) -> bool:
        """Say whether somebody shares in a meeting that is open."""
        for meeting in self._store.of(u7):
            member = self.member(meeting.meeting_id, u7)
            if member is not None and member.shares and is_open(meeting, now_ms):
                return True
        return False


def _apart_m(one: Sighting, other: Sighting) -> float:
    return float(distance_m(one.lon, one.lat, other.lon, other.lat))
