"""The desk of meetings: made, joined, left, ended; who sees whom; who is told; what is forgotten."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from geo_engine.geodesy.measure import destination
from geo_engine.meetings import Meeting, MeetingDesk, MeetingRules, Refusal
from geo_engine.meetings.service import Companion, NearNotice, Wanted
from geo_engine.meetings.sightings import Sightings
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import noon_ms

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
ANNA, BEN, CARL = 1, 2, 3
VENUE = (114.30, 30.60)
WANTED = Wanted("周会", "会场", *VENUE, noon_ms, noon_ms + HOUR_MS)
KEY = b"k" * 32


class House:
    """A desk with its parts in reach."""

    def __init__(self, **rules: int | float) -> None:
        self.unseen: set[int] = set()
        self.organisers = {ANNA, BEN, CARL}
        self.sightings = Sightings()
        self.store = MemoryStore()
        self.desk = MeetingDesk(
            self.store.meetings,
            [KEY],
            rules=replace(MeetingRules(), **rules),
            may_organise=lambda u7: u7 in self.organisers,
            consents=lambda u7: u7 not in self.unseen,
            sightings=self.sightings,
        )
        self._made = 0

    def make(self, u7: int = ANNA, now_ms: int = noon_ms - HOUR_MS, wanted: Wanted = WANTED) -> Meeting | Refusal:
        self._made += 1
        return self.desk.create(
            u7, f"人{u7}", wanted, random=hashlib.sha256(bytes([self._made])).digest()[:16], now_ms=now_ms
        )

    def meeting(self, *members: int, shares: bool = True) -> Meeting:
        made = self.make()
        assert isinstance(made, Meeting)
        for u7 in members:
            assert self.desk.join_by_code(u7, f"人{u7}", made.code, noon_ms - HOUR_MS) == made
        for u7 in (ANNA, *members) if shares else ():
            assert self.desk.share(u7, made.meeting_id, noon_ms - HOUR_MS, yes=True) is None
        return made

    def saw(self, u7: int, metres: float, at_ms: int = noon_ms, bearing: float = 90.0, **when: int) -> list[NearNotice]:
        """Somebody is seen so many metres from the venue."""
        lon, lat = (float(one) for one in destination(*VENUE, bearing, metres))
        return self.desk.saw(u7, lon, lat, when.get("time_ms", at_ms), at_ms)

    def seen_by(self, u7: int, meeting: Meeting, at_ms: int = noon_ms) -> list[int]:
        found = self.desk.companions(u7, meeting.meeting_id, at_ms)
        return [one.member.u7 for one in found if one.seen is not None] if isinstance(found, list) else []


@pytest.fixture
def house() -> House:
    return House()


# ---- making


def test_a_meeting_is_made_with_its_organiser_as_member_who_does_not_share_yet(house: House) -> None:
    made = house.make()
    assert isinstance(made, Meeting)
    [member] = house.desk.members(made.meeting_id)
    assert (member.u7, member.shares, member.notice_m, member.arrived_ms) == (ANNA, False, None, None)
    assert house.desk.of(ANNA, noon_ms) == [made]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"until_ms": noon_ms}, Refusal.BAD_TIME),
        ({"until_ms": noon_ms - 1}, Refusal.BAD_TIME),
        ({"until_ms": noon_ms + 24 * HOUR_MS + 1}, Refusal.BAD_TIME),
        ({"until_ms": noon_ms + 24 * HOUR_MS}, None),
        ({"from_ms": noon_ms - 3 * HOUR_MS, "until_ms": noon_ms - HOUR_MS}, Refusal.BAD_TIME),
        ({"from_ms": noon_ms + 31 * 24 * HOUR_MS, "until_ms": noon_ms + 31 * 24 * HOUR_MS + 1}, Refusal.BAD_TIME),
        ({"title": "  "}, Refusal.BAD_TITLE),
        ({"title": "字" * 31}, Refusal.BAD_TITLE),
        ({"title": "字" * 30}, None),
        ({"lon": 181.0}, Refusal.BAD_PLACE),
        ({"lat": float("nan")}, Refusal.BAD_PLACE),
        ({"place": ""}, Refusal.BAD_PLACE),
    ],
)
def test_a_meeting_that_cannot_be_is_refused_by_name(house: House, changes: dict, refusal: Refusal | None) -> None:
    made = house.make(wanted=replace(WANTED, **changes))
    assert made is refusal if refusal else isinstance(made, Meeting)


def test_who_may_not_organise_makes_none(house: House) -> None:
    house.organisers.discard(BEN)
    assert house.make(BEN) is Refusal.NOT_ALLOWED
    assert house.desk.of(BEN, noon_ms) == []


def test_one_organiser_makes_only_so_many_that_are_not_over() -> None:
    house = House(organised=2)
    first, second = house.make(), house.make()
    assert isinstance(first, Meeting)
    assert isinstance(second, Meeting)
    assert house.make() is Refusal.TOO_MANY
    house.desk.end(ANNA, first.meeting_id, noon_ms)
    assert isinstance(house.make(now_ms=noon_ms), Meeting)


def test_random_bytes_given_twice_are_a_mistake_and_said(house: House) -> None:
    random = bytes(range(16))
    house.desk.create(ANNA, "", WANTED, random=random, now_ms=noon_ms)
    with pytest.raises(ValueError, match="expected fresh random bytes"):
        house.desk.create(BEN, "", WANTED, random=random, now_ms=noon_ms)


# ---- joining and leaving


def test_people_join_by_code_and_by_both_ways_of_the_qr_code(house: House) -> None:
    meeting = house.meeting(BEN)
    scene = house.desk.scene(meeting)
    assert house.desk.join_by_scene(CARL, "丙", f"qrscene_{scene}", noon_ms) == meeting
    assert house.desk.join_by_scene(4, "丁", scene, noon_ms) == meeting
    assert {member.u7 for member in house.desk.members(meeting.meeting_id)} == {ANNA, BEN, CARL, 4}


def test_joining_again_changes_nothing(house: House) -> None:
    meeting = house.meeting(BEN)
    before = house.desk.members(meeting.meeting_id)
    assert house.desk.join_by_code(BEN, "别名", meeting.code, noon_ms) == meeting
    assert house.desk.members(meeting.meeting_id) == before


def test_who_joins_does_not_share_by_that(house: House) -> None:
    meeting = house.meeting(BEN, shares=False)
    member = house.desk.member(meeting.meeting_id, BEN)
    assert member is not None
    assert not member.shares


def test_a_wrong_code_a_foreign_scene_and_a_meeting_that_is_over_are_refused(house: House) -> None:
    meeting = house.meeting()
    scene = house.desk.scene(meeting)
    assert house.desk.join_by_code(BEN, "", "00000000", noon_ms) is Refusal.UNKNOWN
    assert house.desk.join_by_code(BEN, "", "not a code", noon_ms) is Refusal.UNKNOWN
    assert (
        house.desk.join_by_scene(BEN, "", scene[:-1] + ("A" if scene[-1] != "A" else "B"), noon_ms) is Refusal.UNKNOWN
    )
    assert house.desk.join_by_code(BEN, "", meeting.code, meeting.until_ms) is Refusal.OVER
    assert house.desk.join_by_scene(BEN, "", scene, meeting.until_ms) is Refusal.OVER
    assert house.desk.of(BEN, noon_ms) == []


def test_a_full_meeting_takes_nobody_more() -> None:
    house = House(members=2)
    meeting = house.meeting(BEN)
    assert house.desk.join_by_code(CARL, "", meeting.code, noon_ms) is Refusal.FULL


def test_codes_cannot_be_guessed_at_will_and_others_may_go_on_meanwhile(house: House) -> None:
    meeting = house.meeting()
    tries = [house.desk.join_by_code(BEN, "", f"0000000{number}", noon_ms + number) for number in range(7)]
    assert tries == [Refusal.UNKNOWN] * 5 + [Refusal.TOO_MANY] * 2
    assert house.desk.join_by_code(BEN, "", meeting.code, noon_ms + 9) is Refusal.TOO_MANY
    assert house.desk.join_by_code(CARL, "", meeting.code, noon_ms + 9) == meeting
    assert house.desk.join_by_code(BEN, "", meeting.code, noon_ms + 10 * MINUTE_MS + 5) == meeting


def test_who_leaves_is_seen_no_more_and_cannot_leave_twice(house: House) -> None:
    meeting = house.meeting(BEN)
    house.saw(BEN, 100.0)
    assert house.seen_by(ANNA, meeting) == [BEN]
    assert house.desk.leave(BEN, meeting.meeting_id, noon_ms) is None
    assert (house.seen_by(ANNA, meeting), house.sightings.users()) == ([], [])
    assert house.desk.leave(BEN, meeting.meeting_id, noon_ms) is Refusal.NOT_MEMBER


def test_only_the_organiser_ends_a_meeting_and_only_once(house: House) -> None:
    meeting = house.meeting(BEN)
    assert house.desk.end(BEN, meeting.meeting_id, noon_ms) is Refusal.NOT_ALLOWED
    assert house.desk.end(ANNA, "other", noon_ms) is Refusal.UNKNOWN
    assert house.desk.end(ANNA, meeting.meeting_id, noon_ms) is None
    assert house.desk.end(ANNA, meeting.meeting_id, noon_ms) is Refusal.OVER


# ---- who sees whom


def test_companions_see_one_another_inside_the_window_only(house: House) -> None:
    meeting = house.meeting(BEN)
    assert house.saw(BEN, 100.0, noon_ms - 1) == []
    assert house.sightings.users() == []
    assert house.desk.companions(ANNA, meeting.meeting_id, noon_ms - 1) is Refusal.NOT_YET
    house.saw(BEN, 100.0)
    assert house.seen_by(ANNA, meeting) == [BEN]
    assert house.desk.companions(ANNA, meeting.meeting_id, meeting.until_ms) is Refusal.OVER


def test_who_is_not_a_member_sees_nobody(house: House) -> None:
    meeting = house.meeting(BEN)
    house.saw(BEN, 100.0)
    assert house.desk.companions(CARL, meeting.meeting_id, noon_ms) is Refusal.NOT_MEMBER


@pytest.mark.parametrize("shy", [ANNA, BEN])
def test_without_sharing_one_neither_sees_nor_is_seen(house: House, shy: int) -> None:
    meeting = house.meeting(BEN)
    for u7 in (ANNA, BEN):
        house.saw(u7, 100.0)
    house.desk.share(shy, meeting.meeting_id, noon_ms, yes=False)
    assert (house.seen_by(ANNA, meeting), house.seen_by(BEN, meeting)) == ([], [])
    assert shy not in house.sightings.users()


@pytest.mark.parametrize("shy", [ANNA, BEN])
def test_without_consent_one_neither_sees_nor_is_seen_and_nothing_is_kept(house: House, shy: int) -> None:
    meeting = house.meeting(BEN)
    house.unseen.add(shy)
    for u7 in (ANNA, BEN):
        house.saw(u7, 100.0)
    assert (house.seen_by(ANNA, meeting), house.seen_by(BEN, meeting)) == ([], [])
    assert house.sightings.users() == [u7 for u7 in (ANNA, BEN) if u7 != shy]


def test_a_position_is_not_shown_when_it_is_old(house: House) -> None:
    meeting = house.meeting(BEN)
    house.saw(BEN, 100.0)
    assert house.seen_by(ANNA, meeting, noon_ms + 15 * MINUTE_MS) == [BEN]
    assert house.seen_by(ANNA, meeting, noon_ms + 15 * MINUTE_MS + 1) == []
    assert house.saw(BEN, 100.0, noon_ms + 40 * MINUTE_MS, time_ms=noon_ms + 20 * MINUTE_MS) == []
    assert house.seen_by(ANNA, meeting, noon_ms + 40 * MINUTE_MS) == []


def test_a_late_position_does_not_replace_a_newer_one(house: House) -> None:
    meeting = house.meeting(BEN)
    house.saw(BEN, 100.0, noon_ms + 5_000)
    house.saw(BEN, 900.0, noon_ms + 6_000, time_ms=noon_ms)
    found = house.desk.companions(ANNA, meeting.meeting_id, noon_ms + 6_000)
    assert isinstance(found, list)
    assert found[0].seen is not None
    assert found[0].seen.time_ms == noon_ms + 5_000


def test_those_in_sight_are_named_first(house: House) -> None:
    meeting = house.meeting(BEN, CARL)
    house.saw(CARL, 100.0)
    found = house.desk.companions(ANNA, meeting.meeting_id, noon_ms)
    assert isinstance(found, list)
    assert [(type(one), one.member.u7) for one in found] == [(Companion, CARL), (Companion, BEN)]


# ---- notices


def test_the_venue_is_told_once_to_who_wants_it_when_it_comes_within_the_radius(house: House) -> None:
    meeting = house.meeting(BEN)
    house.desk.notify(BEN, meeting.meeting_id, noon_ms, within_m=300.0)
    assert house.saw(BEN, 301.0) == []
    [notice] = house.saw(BEN, 299.0)
    assert (notice.u7, notice.other, round(notice.distance_m)) == (BEN, None, 299)
    assert house.saw(BEN, 900.0) == house.saw(BEN, 100.0) == []
    assert house.saw(ANNA, 10.0, bearing=270.0)[0].u7 == BEN
    assert house.saw(ANNA, 10.0) == []


def test_a_companion_is_told_once_to_each_who_wants_it(house: House) -> None:
    meeting = house.meeting(BEN, CARL)
    house.desk.notify(BEN, meeting.meeting_id, noon_ms, within_m=300.0)
    assert house.saw(ANNA, 2_000.0) == []
    [notice] = house.saw(BEN, 2_200.0)
    assert (notice.u7, notice.other and notice.other.u7, round(notice.distance_m)) == (BEN, ANNA, 200)
    # Whoever of the two moves: the one who asked is told, and not again.
    assert house.saw(ANNA, 2_190.0) == []
    [notice] = house.saw(CARL, 2_100.0)
    assert (notice.u7, notice.other and notice.other.u7) == (BEN, CARL)


def test_nobody_is_told_of_somebody_who_does_not_share(house: House) -> None:
    meeting = house.meeting(BEN)
    house.desk.share(ANNA, meeting.meeting_id, noon_ms, yes=False)
    house.desk.notify(BEN, meeting.meeting_id, noon_ms, within_m=300.0)
    house.saw(ANNA, 2_000.0)
    assert house.saw(BEN, 2_000.0) == []


def test_nothing_is_told_outside_the_window_nor_to_who_takes_it_back(house: House) -> None:
    meeting = house.meeting(BEN)
    house.desk.notify(BEN, meeting.meeting_id, noon_ms - 10, within_m=300.0)
    assert house.saw(BEN, 100.0, noon_ms - 5) == []
    house.desk.notify(BEN, meeting.meeting_id, noon_ms, within_m=None)
    assert house.saw(BEN, 100.0) == []
    house.desk.notify(BEN, meeting.meeting_id, noon_ms, within_m=300.0)
    assert len(house.saw(BEN, 100.0)) == 1
    assert house.saw(BEN, 100.0, meeting.until_ms) == []


def test_who_has_arrived_is_not_told_of_the_venue(house: House) -> None:
    meeting = house.meeting(BEN)
    house.desk.notify(BEN, meeting.meeting_id, noon_ms, within_m=300.0)
    house.desk.arrive(BEN, meeting.meeting_id, noon_ms)
    assert house.saw(BEN, 10.0) == []


def test_the_radius_is_kept_inside_its_limits(house: House) -> None:
    meeting = house.meeting()
    for asked, kept in ((1.0, 50.0), (300.0, 300.0), (1e9, 5_000.0)):
        house.desk.notify(ANNA, meeting.meeting_id, noon_ms, within_m=asked)
        member = house.desk.member(meeting.meeting_id, ANNA)
        assert member is not None
        assert member.notice_m == kept


@pytest.mark.parametrize("place", [(181.0, 30.0), (float("nan"), 30.0), (114.0, 91.0)])
def test_a_position_that_is_not_on_earth_is_not_kept(house: House, place: tuple[float, float]) -> None:
    house.meeting(BEN)
    assert house.desk.saw(BEN, *place, noon_ms, noon_ms) == []
    assert house.sightings.users() == []


# ---- arriving


def test_arriving_is_noted_once_inside_the_window_by_members(house: House) -> None:
    meeting = house.meeting(BEN)
    assert house.desk.arrive(BEN, meeting.meeting_id, noon_ms - 1) is Refusal.NOT_YET
    assert house.desk.arrive(CARL, meeting.meeting_id, noon_ms) is Refusal.NOT_MEMBER
    assert house.desk.arrive(BEN, meeting.meeting_id, noon_ms + 5) is None
    assert house.desk.arrive(BEN, meeting.meeting_id, noon_ms + 9) is None
    member = house.desk.member(meeting.meeting_id, BEN)
    assert member is not None
    assert member.arrived_ms == noon_ms + 5
    assert house.desk.arrive(ANNA, meeting.meeting_id, meeting.until_ms) is Refusal.OVER


# ---- the end


def test_a_meeting_ends_by_itself_and_its_positions_are_forgotten(house: House) -> None:
    meeting = house.meeting(BEN)
    house.saw(BEN, 100.0, meeting.until_ms - 1)
    house.desk.sweep(meeting.until_ms - 1)
    assert house.sightings.users() == [BEN]
    assert house.desk.sweep(meeting.until_ms) == 0
    assert house.sightings.users() == []
    assert house.desk.current(BEN, meeting.until_ms) is None


def test_ending_early_forgets_at_once_and_who_is_in_another_open_meeting_stays(house: House) -> None:
    first, second = house.meeting(BEN, CARL), house.meeting(BEN)
    for u7 in (BEN, CARL):
        house.saw(u7, 100.0)
    house.desk.end(ANNA, first.meeting_id, noon_ms + 1)
    assert house.sightings.users() == [BEN]
    assert house.seen_by(ANNA, second, noon_ms + 1) == [BEN]


def test_a_meeting_is_erased_a_day_after_its_end(house: House) -> None:
    meeting = house.meeting()
    assert house.desk.sweep(meeting.until_ms + 24 * HOUR_MS) == 0
    assert house.desk.sweep(meeting.until_ms + 24 * HOUR_MS + 1) == 1
    assert house.desk.join_by_code(BEN, "", meeting.code, meeting.until_ms) is Refusal.UNKNOWN


def test_who_is_forgotten_is_nowhere_and_their_meetings_are_gone(house: House) -> None:
    meeting = house.meeting(BEN)
    house.saw(BEN, 100.0)
    house.desk.forget(BEN)
    assert (house.sightings.users(), house.seen_by(ANNA, meeting)) == ([], [])
    house.desk.forget(ANNA)
    assert house.desk.join_by_code(CARL, "", meeting.code, noon_ms) is Refusal.UNKNOWN


def test_hiding_stops_the_sharing_of_every_meeting(house: House) -> None:
    first, second = house.meeting(BEN), house.meeting(BEN)
    house.saw(BEN, 100.0)
    house.desk.hide(BEN, noon_ms)
    assert house.seen_by(ANNA, first) == house.seen_by(ANNA, second) == house.sightings.users() == []
    house.saw(BEN, 100.0)
    assert house.sightings.users() == []


def test_the_current_meeting_is_the_open_one_else_the_next(house: House) -> None:
    later = house.make(wanted=replace(WANTED, from_ms=noon_ms + 3 * HOUR_MS, until_ms=noon_ms + 4 * HOUR_MS))
    now = house.meeting()
    assert house.desk.current(ANNA, noon_ms - 1) == now
    assert house.desk.current(ANNA, noon_ms) == now
    assert house.desk.current(ANNA, now.until_ms) == later
    assert house.desk.current(BEN, noon_ms) is None


def test_only_members_of_open_meetings_are_watched(house: House) -> None:
    meeting = house.meeting(BEN)
    assert [house.desk.watched(at) for at in (noon_ms - 1, noon_ms, meeting.until_ms)] == [[], [ANNA, BEN], []]
