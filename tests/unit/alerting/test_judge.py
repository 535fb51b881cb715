"""The compiled walk: equal to deciding one by one, in columns, through growth and restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_engine.alerting.alerts import Alerts
from geo_engine.alerting.judge import Judge, zone_facts
from geo_engine.alerting.policy import Policy, QuietHours
from geo_engine.alerting.quota import Candidates
from geo_engine.errors import ConfigurationError
from geo_engine.model import AlertReason, BoolColumn, Language, Mute, Severity, SuppressReason, Visit, ZoneKind
from geo_engine.testing import box_zone, noon_ms
from geo_engine.tracking.events import APPROACH, DWELLED, ENTER, EXIT, OPENED, OWED
from geo_engine.zones.schedule import Schedule
from geo_engine.zones.zoneset import ZoneSet
from tests.unit.alerting.happened import Clerk, Decision, Happening, columns, judge_of, users

KINDS = (
    ZoneKind.TRUCK_RESTRICTION,
    ZoneKind.CONSTRUCTION,
    ZoneKind.CONGESTION,
    ZoneKind.CONGESTION,
    ZoneKind.TRUCK_RESTRICTION,
    ZoneKind.TRUCK_RESTRICTION,
)
ZONES = ZoneSet.of(
    replace(box_zone(f"z{n}", kind=kind), severity=Severity.HIGH if n == 3 else Severity.NORMAL, dwell_s=300 * (n == 5))
    for n, kind in enumerate(KINDS)
)
CONSENTS = {2: True, 3: False}  # of user 1 nothing is known
_SECONDS = st.integers(0, 30).map(lambda n: noon_ms + n * 60_000)
_ROWS = st.lists(
    st.builds(
        Happening,
        time_ms=_SECONDS,
        u7=st.integers(1, 3),
        kind=st.sampled_from([*range(EXIT, OWED + 1), DWELLED]),
        zone=st.integers(0, len(KINDS) - 1),
        due=st.booleans(),
        distance_m=st.sampled_from([50.0, 100.0, 900.0]),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda row: (row.time_ms, row.u7, row.zone),
)
_POLICIES = st.builds(
    Policy,
    cooldown_s=st.sampled_from([0.0, 300.0, 1800.0]),
    daily_cap=st.sampled_from([0, 1, 3, 255]),
    stale_after_s=st.sampled_from([None, 60.0, 600.0]),
    cap_reserve=st.sampled_from([0, 1, 5]),
    quiet_hours=st.sampled_from([QuietHours(0, 0), QuietHours(725, 735), QuietHours(1200, 745)]),
    quiet_exempt_kinds=st.sampled_from([frozenset(), frozenset({ZoneKind.TRUCK_RESTRICTION})]),
)
_MUTES = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(0, len(KINDS) - 1)), _SECONDS, max_size=4)
_QUIET = st.dictionaries(st.integers(1, 3), st.sampled_from([QuietHours(5, 5), QuietHours(722, 728)]), max_size=2)


def decisions_of(alerts: Alerts) -> list[Decision]:
    return [
        Decision(
            alert.u7,
            alert.time_ms,
            ZONES.position[alert.zone_id],
            alert.visit_ms,
            None if alert.send else SuppressReason(alert.reason),
            alert.trigger,
        )
        for alert in alerts
    ]


@pytest.mark.parametrize("default", [True, False])
@settings(max_examples=150, deadline=None)
@given(rows=_ROWS, policy=_POLICIES, cuts=st.lists(_SECONDS, max_size=3).map(sorted), mutes=_MUTES, quiet=_QUIET)
def test_walk_decides_as_deciding_one_by_one_does(
    rows: list[Happening],
    policy: Policy,
    cuts: list[int],
    mutes: dict[tuple[int, int], int],
    quiet: dict[int, QuietHours],
    default: bool,
) -> None:
    # What approaches or stayed is due: of these nothing else comes to the judge.
    rows = [row._replace(due=row.due or row.kind in {APPROACH, DWELLED}) for row in rows]
    judge = judge_of(ZONES, policy, consented=default)
    clerk = Clerk(ZONES, policy, CONSENTS, default, mutes=mutes, quiet=quiet)
    judge.wishes.replace([Mute(u7, f"z{zone}", until) for (u7, zone), until in mutes.items()], quiet.items())
    judge.tell(users(*CONSENTS), np.array(list(CONSENTS.values())), np.zeros(len(CONSENTS), dtype=bool))
    for low, high in zip([0, *cuts], [*cuts, noon_ms + 10**7], strict=True):
        part = [row for row in rows if low <= row.time_ms < high]
        if not part:
            continue
        now_ms = max(row.time_ms for row in part)
        found = judge.walk(columns(part), now_ms=now_ms)
        reported, decisions, changed = clerk.walk(part, now_ms)
        assert found.reported.tolist() == reported
        assert decisions_of(found.alerts) == decisions
        assert {(visit.u7, ZONES.position[visit.zone_id]) for visit in found.visits} >= changed
        for visit in found.visits:
            note = clerk.notes[visit.u7, ZONES.position[visit.zone_id]]
            seen = (visit.visit_ms, visit.last_ms, visit.open, visit.inside, visit.decided, visit.sent_ms)
            assert seen == (note.visit_ms, note.last_ms, note.open, note.inside, note.decided, note.sent_ms)


@settings(max_examples=50, deadline=None)
@given(rows=_ROWS, cut=_SECONDS)
def test_judge_that_is_restarted_from_its_visits_decides_as_one_that_ran_on(rows: list[Happening], cut: int) -> None:
    before, after = [r for r in rows if r.time_ms < cut], [r for r in rows if r.time_ms >= cut]
    if not before or not after:
        return
    policy = Policy(stale_after_s=None, daily_cap=2)
    first, second = judge_of(ZONES, policy), judge_of(ZONES, policy)
    done = first.walk(columns(before), now_ms=cut)
    sent: dict[int, int] = {}
    for alert in done.alerts:
        sent[alert.u7] = sent.get(alert.u7, 0) + alert.send
    second.restore([(visit, ZONES.position[visit.zone_id]) for visit in done.visits], sent, now_ms=cut)
    one, two = (judge.walk(columns(after), now_ms=cut + 10**7) for judge in (first, second))
    assert decisions_of(one.alerts) == decisions_of(two.alerts)
    assert one.visits == two.visits


def test_what_is_not_due_leaves_no_trace_but_is_reported() -> None:
    judge = judge_of(ZONES)
    found = judge.walk(columns([Happening(noon_ms, 1, ENTER, due=False), Happening(noon_ms, 2, EXIT)]), now_ms=noon_ms)
    assert found.reported.tolist() == [True, True]
    assert (len(found.alerts), len(found.visits), len(judge.visits)) == (0, 0, 0)


def test_enter_that_is_not_due_still_belongs_to_the_approach_before_it() -> None:
    judge = judge_of(ZONES)
    judge.walk(columns([Happening(noon_ms, 1, APPROACH)]), now_ms=noon_ms)
    found = judge.walk(columns([Happening(noon_ms + 5000, 1, ENTER, due=False)]), now_ms=noon_ms)
    (visit,) = found.visits
    assert (visit.visit_ms, visit.inside) == (noon_ms, True)


def test_window_that_opens_begins_a_visit_of_one_who_entered_unnoticed() -> None:
    judge = judge_of(ZONES)
    judge.walk(columns([Happening(noon_ms, 1, ENTER, due=False)]), now_ms=noon_ms)
    found = judge.walk(columns([Happening(noon_ms + 5000, 1, OPENED)]), now_ms=noon_ms + 5000)
    (alert,), (visit,) = found.alerts, found.visits
    assert (alert.trigger, alert.visit_ms) == (AlertReason.WINDOW_OPENED, noon_ms + 5000)
    assert (visit.inside, visit.decided) == (True, True)
    assert not found.reported.any()


def test_window_that_opens_finds_the_visit_of_an_approach_that_led_inside() -> None:
    judge = judge_of(ZONES)
    judge.walk(columns([Happening(noon_ms, 1, APPROACH)]), now_ms=noon_ms)
    found = judge.walk(columns([Happening(noon_ms + 5000, 1, OPENED)]), now_ms=noon_ms + 5000)
    (visit,) = found.visits
    assert (visit.visit_ms, visit.last_ms, visit.inside, len(found.alerts)) == (noon_ms, noon_ms + 5000, True, 0)


def test_nearer_of_two_bans_is_decided_first_when_the_cap_leaves_room_for_one() -> None:
    judge = judge_of(ZONES, Policy(daily_cap=1))
    rows = [Happening(noon_ms, 1, APPROACH, 0, distance_m=900.0), Happening(noon_ms, 1, APPROACH, 4, distance_m=50.0)]
    assert [(a.zone_id, a.send) for a in judge.walk(columns(rows), now_ms=noon_ms).alerts] == [
        ("z4", True),
        ("z0", False),
    ]


def test_two_users_at_one_moment_do_not_share_a_cap() -> None:
    judge = judge_of(ZONES, Policy(daily_cap=1))
    rows = [Happening(noon_ms, u7, ENTER, zone) for u7 in (1, 2) for zone in (0, 1)]
    assert judge.walk(columns(rows), now_ms=noon_ms).alerts.send.tolist() == [True, False, True, False]


def test_ping_that_came_too_late_to_be_of_use_leaves_the_visit_to_one_in_time() -> None:
    judge = judge_of(ZONES, Policy(stale_after_s=600.0, grace_s=120.0))
    late = judge.walk(columns([Happening(noon_ms, 1, ENTER)]), now_ms=noon_ms + 120_000)
    assert [alert.reason for alert in late.alerts] == ["stale_ping"]
    owed = judge.walk(columns([Happening(noon_ms + 5000, 1, OWED)]), now_ms=noon_ms + 121_000)
    assert [alert.reason for alert in owed.alerts] == ["enter"]


def test_cap_starts_anew_at_local_midnight() -> None:
    judge = judge_of(ZONES, Policy(daily_cap=1, cooldown_s=0.0, stale_after_s=None))
    midnight_ms = noon_ms + 12 * 3600_000
    rows = [Happening(at, 1, ENTER, zone) for at, zone in ((noon_ms, 0), (midnight_ms - 1, 1), (midnight_ms, 4))]
    assert judge.walk(columns(rows), now_ms=midnight_ms).alerts.send.tolist() == [True, False, True]


def test_daily_cap_that_a_row_cannot_count_is_refused() -> None:
    assert Policy(daily_cap=255).daily_cap == 255
    with pytest.raises(ConfigurationError, match="256"):
        Policy(daily_cap=256)


def test_count_of_a_restart_is_that_of_today_only() -> None:
    for days, sent in ((0, False), (1, True)):
        judge = judge_of(ZONES, Policy(daily_cap=3))
        judge.restore([], {1: 3}, now_ms=noon_ms - days * 86_400_000)
        assert judge.walk(columns([Happening(noon_ms, 1, ENTER)]), now_ms=noon_ms).alerts.send.tolist() == [sent]


def test_consent_that_is_withdrawn_holds_against_the_default_and_language_is_the_users() -> None:
    judge = judge_of(ZONES, consented=True)
    judge.tell(users(1, 2), np.array([True, True]), np.array([False, True]))
    judge.tell(users(1), np.array([False]), np.array([False]))
    found = judge.walk(columns([Happening(noon_ms, u7, ENTER) for u7 in (1, 2, 3)]), now_ms=noon_ms)
    assert [alert.reason for alert in found.alerts] == ["no_consent", "enter", "enter"]
    assert found.alerts.language.tolist() == [
        tuple(Language).index(one) for one in (Language.ZH, Language.EN, Language.ZH)
    ]


def test_table_grows_and_keeps_every_visit() -> None:
    judge = judge_of(ZONES)
    count = 5000
    found = judge.walk(columns([Happening(noon_ms, u7, ENTER, u7 % 2) for u7 in range(count)]), now_ms=noon_ms)
    assert len(judge.visits) == len(found.visits) == count
    assert len(judge.visits.slots) * 0.6 >= count
    again = judge.walk(columns([Happening(noon_ms + 1, u7, OPENED, u7 % 2) for u7 in range(count)]), now_ms=noon_ms)
    assert (len(again.alerts), len(again.visits), len(judge.visits)) == (0, 0, count)
    assert judge.visits.slots.dtype.itemsize * judge.visits.slots.shape[1] == 40


@settings(max_examples=60, deadline=None)
@given(rows=_ROWS, later=_ROWS)
def test_walk_over_what_matters_alone_is_the_walk_over_everything(
    rows: list[Happening], later: list[Happening]
) -> None:
    judge = judge_of(ZONES)
    before = judge.walk(columns(rows), now_ms=noon_ms)
    happenings = columns(later)
    known = judge.visits.knows(happenings.at.u7, happenings.at.zone)
    pairs = list(zip(happenings.at.u7.tolist(), happenings.at.zone.tolist(), strict=True))
    assert known.tolist() == [judge.visits.of(*pair) is not None for pair in pairs]
    due = {pair for pair, is_due in zip(pairs, happenings.due.tolist(), strict=True) if is_due}
    matters = np.array([remembered or pair in due for pair, remembered in zip(pairs, known.tolist(), strict=True)])
    kept = [row for row, matter in zip(sorted(later), matters.tolist(), strict=True) if matter]
    if not kept:
        return
    part = columns(kept)
    twin = judge_of(ZONES)
    twin.visits.put(judge.visits.records())
    counts: dict[int, int] = {}
    for alert in before.alerts:
        counts[alert.u7] = counts.get(alert.u7, 0) + alert.send
    twin.restore([], counts, now_ms=noon_ms)
    whole, less = judge.walk(happenings, now_ms=noon_ms), twin.walk(part, now_ms=noon_ms)
    assert whole.alerts == less.alerts
    assert whole.visits == less.visits
    assert whole.reported[matters].tolist() == less.reported.tolist()
    assert whole.reported[~matters].tolist() == (happenings.kind[~matters] < APPROACH).tolist()


def test_visits_follow_their_zones_to_another_set_and_end_with_them() -> None:
    judge = judge_of(ZONES)
    judge.walk(columns([Happening(noon_ms, 1, ENTER, 0), Happening(noon_ms, 1, ENTER, 4)]), now_ms=noon_ms)
    fewer = ZoneSet.of([zone for zone in ZONES.zones if zone.zone_id in {"z1", "z4"}], revision=2)
    judge.rezone(fewer, zone_facts(fewer, judge._policy), np.array([-1, 0, -1, -1, 1, -1]), noon_ms)
    found = judge.walk(columns([Happening(noon_ms + 9, 1, OPENED, 1), Happening(noon_ms + 10, 1, EXIT, 1)]), now_ms=9)
    assert len(judge.visits) == 1
    assert [(visit.zone_id, visit.visit_ms, visit.open) for visit in found.visits] == [("z4", noon_ms, False)]


def test_zones_of_one_moment_are_told_in_one_message_the_gravest_first() -> None:
    judge = judge_of(ZONES, Policy(daily_cap=1, cap_reserve=0))
    rows = [Happening(noon_ms, 1, APPROACH, zone, distance_m=50.0 + zone) for zone in (1, 3, 4)]
    first = judge.walk(columns(rows), now_ms=noon_ms)
    message, *others = first.alerts
    assert [alert.zone_id for alert in first.alerts] == ["z4", "z1", "z3"]
    assert (message.send, message.also, message.told_by) == (True, 2, "")
    assert [(alert.reason, alert.told_by) for alert in others] == [("digested", message.alert_id)] * 2
    assert "另有2处：zone z1、zone z3" in message.text
    assert [first.alerts[1:][0].told_by, first.alerts.take(np.array([0]))[0].also] == [message.alert_id, 2]
    # It counts once, and none of the zones is told again within its cooldown.
    assert judge._people.sent[1] == 1
    again = [Happening(noon_ms + 400_000, 1, APPROACH, zone) for zone in (1, 3, 4)]
    assert [a.reason for a in judge.walk(columns(again), now_ms=noon_ms + 400_000).alerts] == ["cooldown"] * 3


def test_zone_of_another_user_or_moment_has_a_message_of_its_own() -> None:
    rows = [Happening(noon_ms, 1, ENTER, 0), Happening(noon_ms + 1, 1, ENTER, 1), Happening(noon_ms, 2, ENTER, 1)]
    found = judge_of(ZONES).walk(columns(rows), now_ms=noon_ms).alerts
    assert [(alert.send, alert.also) for alert in found] == [(True, 0)] * 3


class Refusing:
    """A quota with room for some messages only, by their place in the step."""

    def __init__(self, *places: int) -> None:
        self.places = places

    def admit(self, candidates: Candidates, now_ms: int) -> BoolColumn:
        admitted: BoolColumn = np.isin(np.arange(len(candidates.grade)), self.places)
        return admitted


def test_message_without_room_in_the_quota_is_a_decision_and_counts_nowhere() -> None:
    judge = judge_of(ZONES, Policy(daily_cap=2, cap_reserve=0, cooldown_s=600.0), admission=Refusing())
    rows = [Happening(noon_ms, 1, ENTER, 0), Happening(noon_ms, 1, ENTER, 1), Happening(noon_ms, 1, ENTER, 2)]
    found = judge.walk(columns(rows), now_ms=noon_ms)
    assert [(alert.reason, alert.told_by) for alert in found.alerts] == [
        ("quota", ""),
        ("quota", ""),
        ("pull_only", ""),
    ]
    assert [(visit.decided, visit.sent_ms) for visit in found.visits] == [(True, None)] * 2
    assert judge._people.sent[1] == 0
    # The same visit is not decided again, the next one is.
    stays = [Happening(noon_ms + 1, 1, OPENED, 0)]
    assert len(judge.walk(columns(stays), now_ms=noon_ms).alerts) == 0
    judge._admission = None
    back = [Happening(noon_ms + 2, 1, EXIT, 0), Happening(noon_ms + 3, 1, ENTER, 0)]
    assert [alert.send for alert in judge.walk(columns(back), now_ms=noon_ms + 3).alerts] == [True]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_refused_messages_leave_the_admitted_one_of_the_same_person_counted(place: int) -> None:
    judge = judge_of(ZONES, Policy(cooldown_s=0.0), admission=Refusing(place))
    rows = [Happening(noon_ms + n, 1, kind, 0) for n, kind in enumerate([ENTER, EXIT, ENTER, EXIT, ENTER])]
    found = judge.walk(columns(rows), now_ms=noon_ms + 9)
    assert [alert.send for alert in found.alerts] == [place == n for n in range(3)]
    assert judge._people.sent[1] == 1
    assert [visit.sent_ms for visit in found.visits] == [noon_ms + 2 * place]


def test_end_of_the_rule_is_asked_only_for_what_is_sent() -> None:
    zones = ZoneSet.of([box_zone("z", schedule=Schedule.parse("07:00-22:00"))])
    judge = judge_of(zones, Policy(daily_cap=1))
    (sent,) = judge.walk(columns([Happening(noon_ms, 1, ENTER)]), now_ms=noon_ms).alerts
    assert sent.until_ms == noon_ms + 36_000_000
    assert "至22:00" in sent.text
    judge.walk(columns([Happening(noon_ms + 1, 1, EXIT)]), now_ms=noon_ms + 1)
    (again,) = judge.walk(columns([Happening(noon_ms + 2, 1, ENTER)]), now_ms=noon_ms + 2).alerts
    assert (again.reason, again.until_ms) == ("cooldown", None)
    assert again.why.startswith("适用于所有车辆；时段07:00-22:00；")


def some_alerts(judge: Judge | None = None) -> Alerts:
    rows = [Happening(noon_ms, u7, kind, zone) for u7, kind, zone in ((1, APPROACH, 0), (1, ENTER, 2), (2, ENTER, 1))]
    return (judge or judge_of(ZONES)).walk(columns(rows), now_ms=noon_ms).alerts


def test_decisions_are_a_sequence_that_makes_alerts_when_asked() -> None:
    found = some_alerts()
    made = list(found)
    assert found == made
    assert found == tuple(made)
    assert found != made[:2]
    assert found != "alerts"
    assert found != len(made)
    assert (found[0], found[-1]) == (made[0], made[-1])
    assert found[1:] == made[1:]
    with pytest.raises(IndexError):
        found[3]
    assert (made[0].distance_m, made[0].eta_s, made[0].compass) == (100.0, 10.0, "NE")
    assert (made[1].distance_m, made[1].eta_s, made[1].bearing_deg, made[1].compass) == (0.0, 0.0, None, "")
    assert made[0].expires_at_ms == noon_ms + 130_000


def test_decisions_are_counted_by_kind_and_reason_without_making_them() -> None:
    assert some_alerts().counts() == {
        (ZoneKind.TRUCK_RESTRICTION, AlertReason.APPROACH): 1,
        (ZoneKind.CONGESTION, SuppressReason.PULL_ONLY): 1,
        (ZoneKind.CONSTRUCTION, AlertReason.ENTER): 1,
    }
    assert some_alerts()[:0].counts() == {}


def test_id_of_an_alert_is_the_one_it_always_was() -> None:
    first, *_ = some_alerts()
    assert first.alert_id == "03b954a7a66ec529027e35c0078d03ac"


def test_changed_visits_are_ordered_by_user_and_zone() -> None:
    rows = [Happening(noon_ms, 2, ENTER, 1), Happening(noon_ms + 1, 1, ENTER, 4), Happening(noon_ms + 2, 1, ENTER, 0)]
    visits = judge_of(ZONES).walk(columns(rows), now_ms=noon_ms).visits
    assert [(visit.u7, visit.zone_id) for visit in visits] == [(1, "z0"), (1, "z4"), (2, "z1")]
    assert visits[0] == Visit(1, "z0", noon_ms + 2, noon_ms + 2, True, True, True, noon_ms + 2)
    assert visits[1:] == list(visits)[1:]
