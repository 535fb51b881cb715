"""What every store promises about meetings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from geo_engine.errors import StoreError
from geo_engine.meetings import Meeting, Member
from geo_engine.meetings.protocol import VENUE
from geo_engine.store import Store
from geo_engine.store.schema import SCHEMA_VERSION
from tests.contract.stores import T0, sql

HOUR_MS = 3_600_000


def a_meeting(number: int = 1, organiser: int = 7, **changes: int | None) -> Meeting:
    begin_ms = T0 + number * HOUR_MS
    made = Meeting(
        f"meeting-{number:03d}",
        f"CODE{number:04d}",
        organiser,
        "周会",
        "会场",
        114.3,
        30.6,
        begin_ms,
        begin_ms + HOUR_MS,
    )
    return replace(made, **changes)


def a_member(meeting: Meeting, u7: int = 7, joined_ms: int = T0) -> Member:
    return Member(meeting.meeting_id, u7, f"人{u7}", joined_ms)


def put(store: Store, number: int = 1, organiser: int = 7, members: tuple[int, ...] = ()) -> Meeting:
    meeting = a_meeting(number, organiser)
    assert store.meetings.add(meeting, a_member(meeting, organiser))
    for u7 in members:
        assert store.meetings.put_member(a_member(meeting, u7, T0 + u7), at_most=99)
    return meeting


def test_a_meeting_comes_back_by_id_by_code_and_by_member(empty: Store) -> None:
    meeting = put(empty, members=(8,))
    desk = empty.meetings
    assert desk.meeting(meeting.meeting_id) == desk.by_code(meeting.code) == meeting
    assert desk.of(7) == desk.of(8) == [meeting]
    assert (desk.meeting("other"), desk.by_code("OTHER000"), desk.of(9), desk.members("other")) == (None, None, [], [])


def test_meetings_of_somebody_come_by_begin_and_members_by_joining(empty: Store) -> None:
    late, early = put(empty, 5), put(empty, 2, members=(9, 8))
    assert empty.meetings.of(7) == [early, late]
    assert [member.u7 for member in empty.meetings.members(early.meeting_id)] == [7, 8, 9]


def test_an_id_or_code_that_is_taken_adds_nothing(empty: Store) -> None:
    meeting = put(empty)
    for changes in ({"meeting_id": "fresh"}, {"code": "FRESH000"}):
        other = replace(meeting, organiser=9, **changes)
        assert not empty.meetings.add(other, a_member(other, 9))
    assert empty.meetings.of(9) == []
    assert empty.meetings.meeting(meeting.meeting_id) == meeting


def test_a_members_part_is_replaced_and_the_others_stay(empty: Store) -> None:
    meeting = put(empty, members=(8,))
    changed = replace(a_member(meeting, 8, T0 + 8), shares=True, notice_m=300.0, arrived_ms=T0 + 9)
    assert empty.meetings.put_member(changed, at_most=2)
    assert empty.meetings.members(meeting.meeting_id) == [a_member(meeting), changed]


def test_a_full_or_unknown_meeting_takes_nobody_and_its_members_may_still_change(empty: Store) -> None:
    meeting = put(empty, members=(8,))
    assert not empty.meetings.put_member(a_member(meeting, 9), at_most=2)
    assert not empty.meetings.put_member(Member("other", 9, "", T0), at_most=2)
    assert empty.meetings.put_member(replace(a_member(meeting, 8), shares=True), at_most=1)
    assert empty.meetings.of(9) == []


def test_who_leaves_is_gone_with_what_was_told_and_leaving_twice_is_said(empty: Store) -> None:
    meeting = put(empty, members=(8,))
    desk = empty.meetings
    assert desk.tell_once(meeting.meeting_id, 8, VENUE)
    assert desk.tell_once(meeting.meeting_id, 7, 8)
    assert desk.remove_member(meeting.meeting_id, 8)
    assert not desk.remove_member(meeting.meeting_id, 8)
    assert [member.u7 for member in desk.members(meeting.meeting_id)] == [7]
    desk.put_member(a_member(meeting, 8), at_most=9)
    assert desk.tell_once(meeting.meeting_id, 8, VENUE)
    assert desk.tell_once(meeting.meeting_id, 7, 8)


def test_each_thing_is_told_once_per_meeting_and_to_members_only(empty: Store) -> None:
    first, second = put(empty, 1, members=(8,)), put(empty, 2, members=(8,))
    desk = empty.meetings
    asked = [(first, 7, VENUE), (first, 7, VENUE), (first, 7, 8), (first, 8, 7), (first, 7, 8), (second, 7, 8)]
    assert [desk.tell_once(meeting.meeting_id, u7, about) for meeting, u7, about in asked] == [
        *(True, False, True),
        *(True, False, True),
    ]
    assert not desk.tell_once(first.meeting_id, 9, VENUE)
    assert not desk.tell_once("other", 7, VENUE)


def test_ending_keeps_the_first_moment(empty: Store) -> None:
    meeting = put(empty)
    empty.meetings.end(meeting.meeting_id, T0 + 5)
    empty.meetings.end(meeting.meeting_id, T0 + 9)
    empty.meetings.end("other", T0)
    found = empty.meetings.meeting(meeting.meeting_id)
    assert found is not None
    assert found.ended_ms == T0 + 5


def test_members_of_open_meetings_are_listed_once_and_those_of_others_are_not(empty: Store) -> None:
    first = put(empty, 1, members=(9, 8))
    empty.meetings.add(same := replace(a_meeting(3), from_ms=first.from_ms), a_member(same))
    put(empty, 8, organiser=5)
    desk = empty.meetings
    assert [desk.open_members(at) for at in (first.from_ms - 1, first.from_ms)] == [[], [7, 8, 9]]
    assert desk.open_members(first.until_ms) == [7]
    desk.end(first.meeting_id, first.from_ms + 1)
    assert desk.open_members(first.from_ms + 1) == [7]


def test_old_meetings_are_dropped_by_when_they_were_over_with_all_that_belongs_to_them(empty: Store) -> None:
    ended, over, running = put(empty, 9), put(empty, 1, members=(8,)), put(empty, 3)
    desk = empty.meetings
    desk.end(ended.meeting_id, T0)
    desk.tell_once(over.meeting_id, 8, VENUE)
    assert desk.drop(over.until_ms) == 1
    assert desk.drop(over.until_ms + 1) == 1
    assert desk.drop(over.until_ms + 1) == 0
    assert desk.of(7) == [running]
    assert (desk.of(8), desk.members(over.meeting_id), desk.by_code(over.code)) == ([], [], None)
    # The same id may be used again, and nothing of the old one is left.
    assert desk.add(over, a_member(over, 8))
    assert desk.tell_once(over.meeting_id, 8, VENUE)


def test_a_person_is_forgotten_with_the_meetings_they_organised_and_nobody_else(empty: Store) -> None:
    theirs, other = put(empty, 1, organiser=8, members=(7,)), put(empty, 2, organiser=7, members=(8, 9))
    desk = empty.meetings
    desk.tell_once(other.meeting_id, 7, 8)
    desk.tell_once(other.meeting_id, 7, 9)
    desk.forget(8)
    assert (desk.meeting(theirs.meeting_id), desk.of(8), desk.of(7)) == (None, [], [other])
    assert [member.u7 for member in desk.members(other.meeting_id)] == [7, 9]
    assert not desk.tell_once(other.meeting_id, 7, 9)
    desk.forget(8)


def test_a_closed_store_refuses(empty: Store) -> None:
    meeting = put(empty)
    desk = empty.meetings
    empty.close()
    with pytest.raises(StoreError, match="closed"):
        desk.of(7)
    with pytest.raises(StoreError, match="closed"):
        desk.end(meeting.meeting_id, T0)


def test_meetings_survive_a_restart(tmp_path: Path) -> None:
    store = sql(tmp_path / "store.db")
    meeting = put(store, members=(8,))
    store.close()
    store = sql(tmp_path / "store.db")
    assert store.meetings.by_code(meeting.code) == meeting
    assert [member.u7 for member in store.meetings.members(meeting.meeting_id)] == [7, 8]
    store.close()


def test_a_database_of_the_version_before_meetings_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    sql(path).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE outbox DROP COLUMN holder"))
        later = ("message_zone", "message", "message_tally", "webhook", "person_change", "spent_state", "page_session")
        for table in ("meeting_told", "meeting_member", "meeting", *later, "journal_mark"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE schema_version SET version = 8"))
    store = sql(path)
    put(store)
    store.close()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == SCHEMA_VERSION
    engine.dispose()


def test_no_table_of_meetings_has_room_for_where_a_member_is(tmp_path: Path) -> None:
    sql(tmp_path / "store.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with engine.connect() as connection:
        columns = {
            table: {column["name"] for column in inspect(connection).get_columns(table)}
            for table in ("meeting_member", "meeting_told")
        }
    engine.dispose()
    assert columns["meeting_member"] == {"meeting_id", "u7", "name", "joined_ms", "shares", "notice_m", "arrived_ms"}
    assert columns["meeting_told"] == {"meeting_id", "u7", "about"}
