"""What every store promises about numbers, phones, codes, vehicles, consent records and erasure."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import StoreError
from geo_engine.model import Language, Mute, PlateColour, Vehicle, VehicleKind
from geo_engine.people.codes import MOST_TRIES, PendingCode
from geo_engine.people.consents import ConsentRecord
from geo_engine.people.erasure import Erasure, ErasureReason, Tombstone
from geo_engine.people.identity import REST_MS, OwnedVehicle
from geo_engine.store import HistoryChange, Store
from geo_engine.store.lifecycle import OutboxState
from tests.contract.stores import ACCEPTED, T0, a_person, a_transition, a_visit, an_alert, claimed, consent, state_of

ANNE, BO, CY = (letter * 28 for letter in "abc")
TRUCK = Vehicle(0, VehicleKind.GOODS, plate="鄂A11111", gross_weight_t=25.0, plate_colour=PlateColour.YELLOW)
CAR = Vehicle(0, VehicleKind.CAR, plate="鄂A22222")


def follow(store: Store, open_id: str, at_ms: int = T0) -> int:
    return store.follow(open_id, Language.ZH, at_ms)


def erasure(u7: int, at_ms: int = T0) -> Erasure:
    return Erasure(f"{u7:032x}", u7, ErasureReason.UNSUBSCRIBED, at_ms)


def erase(store: Store, u7: int, at_ms: int = T0) -> None:
    store.begin_erasure(erasure(u7, at_ms))
    store.finish_erasure(u7, at_ms)


# ---- numbers


def test_new_people_get_dense_numbers_and_keep_them(empty: Store) -> None:
    assert [follow(empty, one) for one in (ANNE, BO, ANNE, CY)] == [0, 1, 0, 2]
    assert (empty.u7_of(BO), empty.u7_of("d" * 28)) == (1, None)


def test_a_new_person_has_an_open_id_and_a_language_and_agreed_to_nothing(empty: Store) -> None:
    u7 = empty.follow(ANNE, Language.EN, T0)
    assert empty.person(u7) == a_person(u7, open_id=ANNE, language=Language.EN, consent_warnings=False)
    assert empty.consents(u7) == []


def test_following_again_changes_nothing_of_what_is_known(empty: Store) -> None:
    empty.put_people([a_person(5, open_id=ANNE, plate="鄂A11111", consent_warnings=False)])
    assert follow(empty, ANNE) == 5
    assert empty.person(5) == a_person(5, open_id=ANNE, plate="鄂A11111", consent_warnings=False)


def test_a_new_number_lies_above_those_of_a_fleet(empty: Store) -> None:
    empty.put_people([a_person(1000)])
    assert follow(empty, ANNE) == 1001


def test_a_number_somebody_else_once_agreed_under_is_not_given_away(empty: Store) -> None:
    consent(empty, 0)
    assert follow(empty, ANNE) == 1


def test_when_the_last_number_is_taken_gaps_are_filled(empty: Store) -> None:
    empty.put_people([a_person(0), a_person(1), a_person(3), a_person(9_999_999)])
    assert [follow(empty, one) for one in (ANNE, BO)] == [2, 4]


def test_many_threads_that_bring_one_person_make_one(empty: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: follow(empty, ANNE), range(32))) == {0}
    assert len(empty.people()) == 1


def test_a_number_is_not_used_again_before_its_erasure_is_complete_and_has_rested(empty: Store) -> None:
    follow(empty, ANNE)
    empty.begin_erasure(erasure(0))
    assert follow(empty, BO) == 1
    empty.finish_erasure(0, T0)
    assert follow(empty, CY, T0 + REST_MS - 1) == 2
    assert follow(empty, ANNE, T0 + REST_MS) == 0


def test_the_number_freed_first_is_used_first_and_once(empty: Store) -> None:
    for one in (ANNE, BO, CY):
        follow(empty, one)
    erase(empty, 2, T0)
    erase(empty, 0, T0 + 1)
    later = T0 + REST_MS + 1
    assert [follow(empty, letter * 28, later) for letter in "def"] == [2, 0, 3]


def test_a_rested_number_that_a_fleet_took_meanwhile_is_left_to_it(empty: Store) -> None:
    follow(empty, ANNE)
    erase(empty, 0)
    empty.put_people([a_person(0)])
    assert follow(empty, BO, T0 + REST_MS) == 1


# ---- codes and phones


def pending(u7: int = 0, at_ms: int = T0, phone: str = "13800000000") -> PendingCode:
    return PendingCode(u7, phone, "digest", at_ms)


def test_a_code_comes_back_with_each_try_counted(empty: Store) -> None:
    assert empty.try_code(0) is None
    assert empty.put_code(pending(), ["a", "b"]) == 0
    assert [empty.try_code(0) for _ in range(2)] == [replace(pending(), tries=number) for number in (1, 2)]


def test_tries_at_once_are_all_counted(empty: Store) -> None:
    empty.put_code(pending(), ["a"])
    with ThreadPoolExecutor(8) as pool:
        tries = [found.tries for found in pool.map(lambda _: empty.try_code(0), range(40)) if found]
    assert sorted(tries) == list(range(1, 41))
    assert sum(count <= MOST_TRIES for count in tries) == MOST_TRIES


def test_a_second_code_within_a_minute_is_not_kept_and_one_after_it_replaces_the_first(empty: Store) -> None:
    empty.put_code(pending(), ["a"])
    assert empty.put_code(pending(at_ms=T0 + 59_999, phone="13900000000"), ["a"]) == 1
    assert empty.try_code(0) == replace(pending(), tries=1)
    later = pending(at_ms=T0 + 60_000, phone="13900000000")
    assert empty.put_code(later, ["a"]) == 0
    assert empty.try_code(0) == replace(later, tries=1)


def test_the_limit_of_any_key_holds_and_another_key_is_free(empty: Store) -> None:
    empty.put_code(pending(0), ["anne", "phone"])
    assert empty.put_code(pending(1, T0 + 1), ["bo", "phone"]) == 59_999
    assert empty.put_code(pending(1, T0 + 1), ["bo", "other"]) == 0


def test_a_bound_phone_uses_up_the_code(empty: Store) -> None:
    empty.put_code(pending(), ["a"])
    empty.set_phone(0, "13800000000", T0)
    assert (empty.phone_of(0), empty.try_code(0), empty.phone_of(1)) == ("13800000000", None, None)


def test_a_phone_goes_to_whoever_proved_it_last(empty: Store) -> None:
    empty.set_phone(0, "13800000000", T0)
    empty.set_phone(0, "13900000000", T0)
    empty.set_phone(1, "13900000000", T0)
    assert [empty.phone_of(u7) for u7 in (0, 1)] == [None, "13900000000"]


# ---- vehicles


def owner(store: Store, open_id: str = ANNE) -> int:
    return follow(store, open_id)


def plates(store: Store, u7: int) -> list[tuple[str | None, bool]]:
    return [(owned.vehicle.plate, owned.active) for owned in store.vehicles_of(u7)]


def driven(store: Store, u7: int) -> str | None:
    person = store.person(u7)
    assert person is not None
    return person.vehicle.plate


def test_a_vehicle_comes_back_as_it_was_put_and_is_the_one_that_is_driven(empty: Store) -> None:
    u7 = owner(empty)
    truck = replace(TRUCK, u7=u7, consent_warnings=False)
    number = empty.put_vehicle(truck, T0)
    assert empty.vehicles_of(u7) == [OwnedVehicle(number, truck, active=True)]
    person = empty.person(u7)
    assert person is not None
    assert person.vehicle == truck
    assert person.open_id == ANNE


def test_of_several_vehicles_one_is_active(empty: Store) -> None:
    u7 = owner(empty)
    first = empty.put_vehicle(replace(TRUCK, u7=u7), T0)
    empty.put_vehicle(replace(CAR, u7=u7), T0)
    assert plates(empty, u7) == [("鄂A11111", False), ("鄂A22222", True)]
    assert empty.activate_vehicle(u7, first)
    assert plates(empty, u7) == [("鄂A11111", True), ("鄂A22222", False)]
    assert driven(empty, u7) == "鄂A11111"


def test_a_vehicle_of_somebody_else_cannot_be_driven_or_removed(empty: Store) -> None:
    anne, bo = owner(empty), owner(empty, BO)
    number = empty.put_vehicle(replace(TRUCK, u7=anne), T0)
    assert not empty.activate_vehicle(bo, number)
    assert not empty.remove_vehicle(bo, number)
    assert not empty.activate_vehicle(anne, number + 1)
    assert (plates(empty, anne), driven(empty, bo)) == ([("鄂A11111", True)], None)


def test_a_vehicle_of_nobody_is_refused(empty: Store) -> None:
    with pytest.raises(StoreError, match="found no person 5"):
        empty.put_vehicle(replace(TRUCK, u7=5), T0)


def test_when_the_active_vehicle_goes_the_one_bound_last_takes_its_place_and_then_none(empty: Store) -> None:
    u7 = owner(empty)
    empty.set_language(u7, Language.EN)
    numbers = [empty.put_vehicle(replace(one, u7=u7, language=Language.EN), T0) for one in (TRUCK, CAR)]
    assert empty.remove_vehicle(u7, numbers[1])
    assert (plates(empty, u7), driven(empty, u7)) == ([("鄂A11111", True)], "鄂A11111")
    assert empty.remove_vehicle(u7, numbers[0])
    assert not empty.remove_vehicle(u7, numbers[0])
    person = empty.person(u7)
    assert person is not None
    assert person.vehicle == Vehicle(u7, language=Language.EN, consent_warnings=False)


def test_removing_a_vehicle_that_is_not_driven_changes_nothing_else(empty: Store) -> None:
    u7 = owner(empty)
    first = empty.put_vehicle(replace(TRUCK, u7=u7), T0)
    empty.put_vehicle(replace(CAR, u7=u7), T0)
    assert empty.remove_vehicle(u7, first)
    assert (plates(empty, u7), driven(empty, u7)) == ([("鄂A22222", True)], "鄂A22222")


def test_a_language_holds_for_the_person_and_every_vehicle(empty: Store) -> None:
    u7 = owner(empty)
    first = empty.put_vehicle(replace(TRUCK, u7=u7), T0)
    empty.put_vehicle(replace(CAR, u7=u7), T0)
    empty.set_language(u7, Language.EN)
    empty.activate_vehicle(u7, first)
    person = empty.person(u7)
    assert person is not None
    assert person.vehicle.language is Language.EN


# ---- consent records


def test_consent_records_are_added_never_changed(empty: Store) -> None:
    consent(empty, 1)
    empty.set_consent(1, "history", True, "2027-01", T0 + 1, "page")
    consent(empty, 1, False)
    consent(empty, 2)
    assert empty.consents(1) == [
        ConsentRecord(1, "warnings", True, "2026-11", T0, "wechat-menu"),
        ConsentRecord(1, "history", True, "2027-01", T0 + 1, "page"),
        ConsentRecord(1, "warnings", False, "2026-11", T0, "wechat-menu"),
    ]


# ---- erasure


def everything(store: Store, u7: int, number: int) -> None:
    """Leave a row of a person in every table that can hold one."""
    store.put_people([a_person(u7, open_id=f"{u7:028d}", plate="鄂A11111")])
    for purpose in ("warnings", "history", "companions"):
        store.set_consent(u7, purpose, True, "2026-11", T0, "page")
    store.put_vehicle(replace(CAR, u7=u7), T0)
    store.set_phone(u7, f"1380000{u7:04d}", T0)
    store.put_code(pending(u7), [f"key {u7}"])
    store.set_mute(Mute(u7, "erqiao"), T0)
    store.set_quiet_hours(u7, QuietHours.parse("21:00-06:00"), T0)
    history = [HistoryChange([a_transition(u7)])]
    alerts = [an_alert(number, u7), an_alert(number + 1, u7, send=False)]
    store.commit(alerts, [a_visit(u7, sent_ms=T0)], now_ms=T0, history=history)


def traces(store: Store, u7: int) -> dict[str, object]:
    found: dict[str, object] = {
        "person": store.person(u7),
        "open_id": store.u7_of(f"{u7:028d}"),
        "phone": store.phone_of(u7),
        "vehicles": store.vehicles_of(u7),
        "consents": store.consents(u7),
        "code": store.try_code(u7),
        "mutes": [mute for mute in store.mutes(T0) if mute.u7 == u7],
        "quiet hours": store.quiet_hours().get(u7),
        "decisions": store.decisions(limit=99, u7=u7),
        "visits": [visit for visit in store.open_visits(0) if visit.u7 == u7],
        "history": store.history(u7, 0, 2**62),
        "sent today": store.sent_today(0).get(u7),
        "agreed": [u7 for purpose in ("warnings", "history", "companions") if u7 in store.consenting(purpose)],
    }
    return {name: value for name, value in found.items() if value}


def test_an_erased_person_leaves_nothing_but_a_tombstone_and_others_stay(empty: Store) -> None:
    everything(empty, 1, 1)
    everything(empty, 2, 11)
    before = traces(empty, 2)
    assert len(traces(empty, 1)) == 13
    (sent, _) = claimed(empty)
    empty.finish(sent.outbox_id, ACCEPTED, now_ms=T0, retry_at_ms=None)
    empty.receipt("4711", "success", T0)
    empty.begin_erasure(erasure(1))
    assert traces(empty, 1) == {}
    assert (empty.erasures(), empty.tombstones()) == ([erasure(1)], [])
    stone = Tombstone(erasure(1).erasure_id, ErasureReason.UNSUBSCRIBED, T0 + 5)
    assert empty.finish_erasure(1, T0 + 5) == stone
    assert (traces(empty, 1), empty.erasures(), empty.tombstones()) == ({}, [], [stone])
    left = traces(empty, 2)
    assert left.keys() == before.keys()
    assert left["vehicles"] == before["vehicles"]
    assert state_of(empty, 11) is OutboxState.SENDING
    counts = empty.counts()
    assert (counts["receipt.matched"], counts["receipt.unmatched"]) == (0, 0)


def test_what_is_written_about_a_person_while_they_are_erased_leaves_too(empty: Store) -> None:
    everything(empty, 1, 1)
    empty.begin_erasure(erasure(1))
    empty.commit([an_alert(3, 1)], [a_visit(1)], now_ms=T0)
    assert traces(empty, 1)
    empty.finish_erasure(1, T0)
    assert traces(empty, 1) == {}


def test_whoever_follows_again_while_erased_is_a_new_person_and_stays(empty: Store) -> None:
    anne = follow(empty, ANNE)
    empty.begin_erasure(erasure(anne))
    again = follow(empty, ANNE)
    empty.put_vehicle(replace(CAR, u7=again), T0)
    empty.finish_erasure(anne, T0)
    assert again != anne
    assert (empty.u7_of(ANNE), len(empty.vehicles_of(again))) == (again, 1)


def test_an_erasure_that_begins_again_keeps_its_first_reason_and_moment(empty: Store) -> None:
    follow(empty, ANNE)
    empty.begin_erasure(erasure(0))
    empty.begin_erasure(Erasure("f" * 32, 0, ErasureReason.ASKED, T0 + 9))
    assert empty.erasures() == [erasure(0)]


def test_an_erasure_that_never_began_does_not_end(empty: Store) -> None:
    follow(empty, ANNE)
    assert empty.finish_erasure(0, T0) is None
    assert (empty.u7_of(ANNE), empty.tombstones()) == (0, [])


def test_messages_after_an_erasure_have_numbers_of_their_own(empty: Store) -> None:
    for u7, number in ((1, 1), (2, 11)):
        everything(empty, u7, number)
    erase(empty, 2)
    everything(empty, 3, 21)
    ids = [message.outbox_id for message in claimed(empty)]
    assert len(ids) == 2
    assert ids[1] > 2


def test_the_limit_of_a_phone_outlives_the_erasure_for_a_day_and_no_longer(empty: Store) -> None:
    follow(empty, ANNE)
    empty.put_code(pending(), ["phone"])
    erase(empty, 0)
    assert empty.put_code(pending(1, T0 + 1), ["phone"]) > 0
    assert empty.put_code(pending(1, T0 + 86_400_000), ["phone"]) == 0


def test_many_numbers_are_found_at_once_and_strangers_are_left_out(empty: Store) -> None:
    known = {f"o-{number:026d}": empty.follow(f"o-{number:026d}", Language.ZH, T0) for number in range(1_200)}
    assert empty.numbers_of([*known, "o-stranger"]) == known
    assert empty.numbers_of([]) == {}
