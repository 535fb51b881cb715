"""What people do not want to hear and what the account has used up outlive the process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from api.bootstrap import Service, bootstrap
from api.chat.ports import MutedZones, Persons, QuietTimes
from api.clocks import Clocks
from api.settings import Settings
from geo_engine.alerting.policy import QuietHours
from geo_engine.meetings.service import MeetingDesk
from geo_engine.model import Vehicle, VehicleKind
from geo_engine.people.consents import ConsentChannel, Purpose
from geo_engine.people.erasure import ErasureReason
from geo_engine.testing import ManualClock, RecordingSender, noon_ms, straight_drive
from tests.integration.test_pings_door import ZONES, enrolled

PEOPLE = [enrolled(u7, f"o{u7:027d}", Vehicle(u7=u7, kind=VehicleKind.GOODS)) for u7 in (1, 2, 3)]


WORKS_LON = 114.505
WORKS = {
    "type": "Feature",
    "id": "works",
    "properties": {"kind": "construction", "name": "施工"},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[114.5, 30.59], [114.51, 30.59], [114.51, 30.61], [114.5, 30.61], [114.5, 30.59]]],
    },
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "zones.geojson").write_text(
        json.dumps({**ZONES, "features": [*ZONES["features"], WORKS]}), encoding="utf-8"
    )
    running: list[Service] = []

    def started(now_ms: int = noon_ms, **settings: object) -> Service:
        while running:
            running.pop().stop(1.0)
        chosen = Settings(store=f"sqlite:///{tmp_path / 'store.db'}", zones=zones, **settings)
        clock = ManualClock(now_ms)
        service = bootstrap(chosen, RecordingSender(), clocks=Clocks(clock, clock), people=PEOPLE)
        service.start()
        running.append(service)
        return service

    yield started
    while running:
        running.pop().stop(1.0)


def muted_by(service: Service) -> MutedZones:
    """Return what the chat mutes zones by."""
    return MutedZones(service.store, service.ingest, service.zones, lambda: noon_ms)


def reasons(service: Service, u7: int, at_ms: int = noon_ms, *, lon: float = 114.305) -> list[str]:
    service.ingest.submit(straight_drive(u7, pings=1, lon=lon, start_ms=at_ms)).result(10)
    return [record.alert.reason for record in service.store.decisions(limit=9, u7=u7)]


def test_a_mute_said_while_the_service_runs_holds_at_once_and_after_a_restart(start: Callable[..., Service]) -> None:
    service = start()
    muted_by(service).mute(1, "bridge", noon_ms)
    muted_by(service).mute(2, "bridge", noon_ms)
    assert reasons(service, 1) == ["muted"]
    muted_by(service).unmute(2, "bridge")
    again = start()
    assert reasons(again, 2) == ["enter"]
    later_ms = noon_ms + 1_000_000
    leave = straight_drive(1, pings=1, lon=114.32, start_ms=later_ms - 5_000)
    later = start(later_ms)
    later.ingest.submit(leave).result(10)
    assert reasons(later, 1, later_ms)[0] == "muted"


def test_everything_a_person_said_can_be_erased(start: Callable[..., Service]) -> None:
    service = start()
    muted_by(service).mute(1, "bridge", noon_ms)
    for enrolment in PEOPLE[:2]:
        service.people.keep_quiet(enrolment.person.open_id, QuietHours(0, 60))
    service.people.erase(1, ErasureReason.ASKED)
    assert reasons(service, 1) == [], "nobody's pings are judged"
    assert (service.store.mutes(noon_ms), list(service.store.quiet_hours())) == ([], [2])


def quiet_by(service: Service) -> QuietTimes:
    """Return what the chat sets own quiet hours by."""
    desk = MeetingDesk(service.store.meetings, [b"k" * 32])
    return QuietTimes(Persons(service.store, service.people, lambda: desk), service.people, QuietHours(0, 0))


def test_own_quiet_hours_hold_at_once_and_leave_restrictions_alone(start: Callable[..., Service]) -> None:
    service = start(quiet_hours="")
    quiet = quiet_by(service)
    for u7, hours in ((1, "11:00-13:00"), (2, "11:00-12:00"), (3, "11:00-13:00")):
        quiet.keep(u7, QuietHours.parse(hours))
    assert [quiet.own(u7) for u7 in (1, 2)] == [QuietHours(660, 780), QuietHours(660, 720)]
    # It is noon: the first's hours go on, the second's have just ended.
    assert [reasons(service, u7, lon=WORKS_LON) for u7 in (1, 2)] == [["quiet_hours"], ["enter"]]
    assert reasons(service, 3) == ["enter"], "a restriction is told of in quiet hours too"
    quiet.keep(3, None)
    assert quiet.own(3) is None


def test_own_quiet_hours_outlive_the_process_and_no_hours_lift_those_of_the_service(
    start: Callable[..., Service],
) -> None:
    first = quiet_by(start(quiet_hours="11:00-13:00"))
    first.keep(1, QuietHours(0, 0))
    first.keep(2, QuietHours.parse("01:00-02:00"))
    again = start(quiet_hours="11:00-13:00")
    assert [reasons(again, u7, lon=WORKS_LON) for u7 in (1, 2, 3)] == [["enter"], ["enter"], ["quiet_hours"]]
    assert quiet_by(again).own(9) is None
    quiet_by(again).keep(9, QuietHours(0, 0))
    assert list(again.store.quiet_hours()) == [1, 2], "of nobody nothing is kept"


def test_a_wish_of_nobody_costs_the_pings_beside_it_nothing(start: Callable[..., Service]) -> None:
    service = start()
    service.ingest.tell(lambda engine: engine.mute(-1, "bridge", None))
    assert reasons(service, 1) == ["enter"]


def samples_of(service: Service) -> list[Sample]:
    families = text_string_to_metric_families(service.metrics.page(waiting=0, relay={}, store={}).decode())
    return [sample for family in families for sample in family.samples]


def quota_left(service: Service) -> float:
    (value,) = [sample.value for sample in samples_of(service) if sample.name == "geo_engine_quota_left"]
    return value


def test_calls_used_before_a_restart_stay_used_until_midnight(start: Callable[..., Service]) -> None:
    first = start(daily_quota=2)
    # Nothing was committed yet, and the gauge is right all the same. One of two calls is kept for repeated attempts.
    assert quota_left(first) == 1.0
    assert reasons(first, 1) == ["enter"]
    second = start(noon_ms + 60_000, daily_quota=2)
    assert quota_left(second) == 0.0
    assert reasons(second, 2, noon_ms + 60_000) == ["quota"]
    assert quota_left(second) == 0.0
    samples = samples_of(second)
    assert [s.value for s in samples if s.labels.get("reason") == "quota" and s.name.endswith("_total")] == [1.0]
    tomorrow_ms = noon_ms + 12 * 3_600_000
    third = start(tomorrow_ms, daily_quota=2)
    assert reasons(third, 3, tomorrow_ms) == ["enter"]


def test_a_history_is_kept_from_the_consent_on_also_after_a_restart_until_it_is_withdrawn(
    start: Callable[..., Service],
) -> None:
    service = start()
    reasons(service, 2)
    service.people.agree(PEOPLE[0].person.open_id, Purpose.HISTORY, ConsentChannel.PAGE)
    reasons(service, 1)
    assert [record.kind.value for record in service.store.history(1, 0, noon_ms + 1)] == ["enter"]
    later_ms = noon_ms + 60_000
    later = start(later_ms)
    later.ingest.submit(straight_drive(1, pings=1, lon=114.32, start_ms=later_ms)).result(10)
    assert [record.kind.value for record in later.store.history(1, 0, later_ms + 1)] == ["enter", "exit"]
    later.people.withdraw(PEOPLE[0].person.open_id, [Purpose.HISTORY], ConsentChannel.PAGE)
    reasons(later, 1, later_ms + 20_000)
    assert [later.store.history(u7, 0, later_ms * 2) for u7 in (1, 2)] == [[], []]
