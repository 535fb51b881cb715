"""What every store promises about the history of messages: kept once, found by any field, erased and counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.alerting.reach import Channel, Dispatch
from geo_engine.model import Vehicle
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.store import HISTORY, Person, Store
from geo_engine.store.messages import (
    Cursor,
    Direction,
    MessageFilter,
    MessageOutcome,
    MessageRecord,
    NewMessage,
    hashed,
    without_code,
)
from geo_engine.store.messages_sql import _query
from tests.contract.stores import T0, an_alert, claimed, consent, sql

DAY = 86_400_000
EVERYTHING = MessageFilter()


def a_message(number: int = 1, u7: int = 7, **changes: Any) -> NewMessage:
    values: dict[str, Any] = {
        "direction": Direction.IN,
        "kind": "text",
        "event_ms": T0 + number,
        "recorded_ms": T0 + number,
        "text": f"message {number}",
        "channel": "callback",
    }
    return NewMessage(key=f"in:{number}", u7=u7, **values | changes)


def found(store: Store, wanted: MessageFilter = EVERYTHING, **paging: Any) -> list[MessageRecord]:
    return store.messages.search(wanted, **{"limit": 100} | paging)


def texts(store: Store, **wanted: Any) -> list[str]:
    return [record.message.text for record in found(store, MessageFilter(**wanted))]


def agree(store: Store, u7: int = 7, granted: bool = True) -> None:
    store.set_consent(u7, HISTORY, granted, "v1", T0, "test")


def send(store: Store, result: SendResult, number: int = 1, *, retry_at_ms: int | None = None, **alert: Any) -> None:
    """Commit a warning, claim it and record what came of it."""
    store.commit([an_alert(number, **alert)], [], now_ms=T0)
    (message,) = claimed(store)
    store.finish(message.outbox_id, result, now_ms=T0 + 50, retry_at_ms=retry_at_ms)


def accepted(msg_id: str = "4711", channel: Channel = Channel.TEMPLATE) -> SendResult:
    return SendResult(Outcome.ACCEPTED, errcode=0, msg_id=msg_id, channel=channel)


# ---- who, when, where, what, why, how


def test_a_message_comes_back_with_the_phone_and_plate_of_its_moment(store: Store) -> None:
    vehicle = Vehicle(7, plate="鄂A1")
    store.put_people([Person(7, "o-7", vehicle)])
    store.set_phone(7, "13800138000", T0)
    agree(store)
    said = a_message(
        zones=("z2", "z1"), lon=114.3, lat=30.6, datum="gcj02", title="光谷", why="w", cause="c", detail="d"
    )
    assert store.messages.note([said]) == 1
    store.set_phone(7, "13900139000", T0)
    store.put_people([Person(7, "o-7", replace(vehicle, plate="鄂B2"))])
    assert found(store) == [MessageRecord(1, replace(said, zones=("z1", "z2")), "13800138000", "鄂A1")]


def test_of_somebody_without_phone_and_vehicle_neither_is_kept(store: Store) -> None:
    store.messages.note([a_message()])
    assert [(one.phone, one.plate) for one in found(store)] == [(None, None)]


def test_a_place_is_kept_only_of_who_consents_to_a_history(store: Store) -> None:
    agree(store, 7)
    store.messages.note([a_message(1, 7, lon=114.3, lat=30.6, datum="wgs84")])
    store.messages.note([a_message(2, 8, lon=114.3, lat=30.6, datum="wgs84")])
    places = {one.message.u7: (one.message.lon, one.message.lat, one.message.datum) for one in found(store)}
    assert places == {7: (114.3, 30.6, "wgs84"), 8: (None, None, "")}


def test_withdrawing_the_consent_to_a_history_erases_places_and_keeps_the_messages(store: Store) -> None:
    for u7 in (7, 8):
        agree(store, u7)
        store.messages.note([a_message(u7, u7, lon=114.3, lat=30.6, datum="wgs84")])
    agree(store, 7, granted=False)
    assert {one.message.u7: one.message.lon for one in found(store)} == {7: None, 8: 114.3}


def test_a_warning_is_in_the_history_from_the_moment_its_attempt_is_recorded(store: Store) -> None:
    agree(store)
    send(store, accepted(), why="rule 7-22")
    (record,) = found(store)
    alert = an_alert(1, why="rule 7-22")
    assert record.message == NewMessage(
        key=f"warning:{alert.alert_id}",
        u7=7,
        direction=Direction.OUT,
        kind="warning",
        event_ms=T0 + 50,
        recorded_ms=T0 + 50,
        text=alert.text,
        title=alert.zone_name,
        zones=(alert.zone_id,),
        lon=alert.lon,
        lat=alert.lat,
        datum="wgs84",
        why=f"{alert.trigger.value}: rule 7-22",
        cause=alert.alert_id,
        channel="template",
        outcome=MessageOutcome.ACCEPTED,
        errcode=0,
        msg_id="4711",
    )


def test_a_message_that_tells_of_several_zones_is_found_by_each(store: Store) -> None:
    first = an_alert(1, also=1, also_names=("桥",))
    second = an_alert(2, zone_id="bridge", send=False, told_by=first.alert_id)
    third = an_alert(3, zone_id="other", send=False)
    store.commit([first, second, third], [], now_ms=T0)
    (message,) = claimed(store)
    store.finish(message.outbox_id, accepted(), now_ms=T0, retry_at_ms=None)
    assert len(found(store, MessageFilter(zone_id="bridge"))) == 1
    assert len(found(store, MessageFilter(zone_id=first.zone_id))) == 1
    assert found(store, MessageFilter(zone_id="other")) == []


# ---- one row per message that was attempted


def test_a_message_that_never_left_is_not_in_the_history(store: Store) -> None:
    send(store, SendResult(Outcome.RETRY, detail="not sent: no token"), retry_at_ms=T0 + 100)
    assert (found(store), store.messages.tally()) == ([], {})


def test_attempts_of_one_message_are_one_row_with_the_last_outcome(store: Store) -> None:
    busy = SendResult(Outcome.RETRY, errcode=-1, detail="busy", channel=Channel.TEMPLATE)
    send(store, busy, retry_at_ms=T0 + 100)
    assert [(one.message.outcome, one.message.errcode) for one in found(store)] == [(MessageOutcome.RETRY, -1)]
    (message,) = claimed(store, T0 + 100)
    store.finish(message.outbox_id, accepted(channel=Channel.ONE_TIME), now_ms=T0 + 200, retry_at_ms=None)
    (record,) = found(store)
    kept = record.message
    assert (kept.outcome, kept.attempts, kept.channel, kept.errcode) == (MessageOutcome.ACCEPTED, 2, "one_time", 0)
    assert list(store.messages.tally().values()) == [1]


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (SendResult(Outcome.REFUSED, errcode=43004, channel=Channel.TEMPLATE), MessageOutcome.REFUSED),
        (SendResult(Outcome.RETRY, errcode=-1, channel=Channel.TEMPLATE), MessageOutcome.RETRIES_SPENT),
        (SendResult(Outcome.UNKNOWN, channel=Channel.ONE_TIME), MessageOutcome.OUTCOME_UNKNOWN),
    ],
)
def test_a_message_that_ended_says_why(store: Store, result: SendResult, outcome: MessageOutcome) -> None:
    send(store, result)
    assert [one.message.outcome for one in found(store)] == [outcome]


def test_an_attempted_message_that_expires_or_loses_its_consent_says_so(store: Store) -> None:
    busy = SendResult(Outcome.RETRY, errcode=-1, channel=Channel.TEMPLATE)
    send(store, busy, 1, retry_at_ms=T0 + 1_000)
    consent(store, 7, granted=False)
    send(store, busy, 2, u7=8, retry_at_ms=T0 + 119_000)
    store.expire(T0 + 10**6)
    outcomes = {one.message.u7: one.message.outcome for one in found(store)}
    assert outcomes == {7: MessageOutcome.NO_CONSENT, 8: MessageOutcome.EXPIRED}


@pytest.mark.parametrize("on_its_way", [True, False])
def test_a_message_whose_sender_died_is_in_the_history_if_it_was_on_its_way(store: Store, on_its_way: bool) -> None:
    store.commit([an_alert()], [], now_ms=T0)
    claimed(store)
    if on_its_way:
        store.begin(Dispatch(an_alert().alert_id, "o-7", Channel.CUSTOMER_SERVICE, T0), None)
    store.end_leases(T0 + 1)
    assert found(store) == []
    store.expire(T0 + 10**6)
    kept = [(one.message.outcome, one.message.channel) for one in found(store)]
    assert kept == ([(MessageOutcome.OUTCOME_UNKNOWN, "customer_service")] if on_its_way else [])


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("success", MessageOutcome.DELIVERED), ("failed:user block", MessageOutcome.RECEIPT_FAILED)],
)
@pytest.mark.parametrize("early", [False, True])
def test_a_receipt_closes_its_message_also_when_it_comes_first(
    store: Store, status: str, outcome: MessageOutcome, early: bool
) -> None:
    if early:
        store.receipt("4711", status, T0 + 20)
    send(store, accepted())
    if not early:
        store.receipt("4711", status, T0 + 20)
    store.receipt("4711", "failed: something later", T0 + 90)
    (record,) = found(store)
    assert (record.message.outcome, record.receipt, record.receipt_ms) == (outcome, status, T0 + 20)


def test_a_receipt_of_another_message_changes_nothing(store: Store) -> None:
    send(store, accepted())
    store.receipt("4712", "success", T0 + 20)
    assert [(one.message.outcome, one.receipt) for one in found(store)] == [(MessageOutcome.ACCEPTED, None)]


def test_a_repeated_push_is_kept_once_as_it_was(store: Store) -> None:
    assert store.messages.note([a_message(), a_message()]) == 1
    assert store.messages.note([a_message(text="other", recorded_ms=T0 + 99)]) == 0
    assert texts(store) == ["message 1"]
    assert store.messages.note([]) == 0


# ---- searching


@pytest.fixture
def talk(store: Store) -> Store:
    """Messages of three persons in both directions."""
    store.put_people([Person(8, "o-8", Vehicle(8, plate="鄂A2"))])
    store.set_phone(9, "13800138000", T0)
    store.messages.note(
        [
            a_message(1, 7, text="100% sure"),
            a_message(2, 8, text="Where is the 门店?", zones=("shop", "z")),
            a_message(3, 9, text="1000", kind="click"),
            a_message(4, 7, text="100 m", direction=Direction.OUT, kind="answer", zones=("z",), why="NEAREST"),
        ]
    )
    return store


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [4, 3, 2, 1]),
        ({"u7": 7}, [4, 1]),
        ({"u7": 6}, []),
        ({"plate": "鄂A2"}, [2]),
        ({"plate": "鄂A"}, []),
        ({"phone": "13800138000"}, [3]),
        ({"zone_id": "z"}, [4, 2]),
        ({"zone_id": "z", "u7": 7}, [4]),
        ({"zone_id": "none"}, []),
        ({"kind": "click"}, [3]),
        ({"direction": Direction.OUT}, [4]),
        ({"since_ms": T0 + 2, "until_ms": T0 + 4}, [3, 2]),
        ({"zone_id": "z", "since_ms": T0 + 3}, [4]),
        ({"text": "100%"}, [1]),
        ({"text": "1_0"}, []),
        ({"text": "/"}, []),
        ({"text": "nearest"}, [4]),
        ({"text": "WHERE"}, [2]),
        ({"text": "门店"}, [2]),
        ({"text": "100", "direction": Direction.IN, "u7": 7}, [1]),
    ],
)
def test_messages_are_found_by_any_field(talk: Store, wanted: dict[str, Any], numbers: list[int]) -> None:
    assert [one.number for one in found(talk, MessageFilter(**wanted))] == numbers


def test_pages_follow_one_another_without_gap_or_repeat_also_within_one_moment(store: Store) -> None:
    store.messages.note([a_message(number, event_ms=T0 + number // 3, zones=("z",)) for number in range(11)])
    for wanted in (EVERYTHING, MessageFilter(zone_id="z"), MessageFilter(u7=7, zone_id="z")):
        pages: list[int] = []
        after: Cursor | None = None
        while page := found(store, wanted, limit=4, after=after):
            pages += [one.number for one in page]
            after = page[-1].cursor
        assert pages == list(range(11, 0, -1))
    assert found(store, limit=-1) == []


@pytest.mark.parametrize(
    "wanted",
    [
        *({name: value} for name, value in (("u7", 7), ("phone", "1"), ("plate", "1"), ("kind", "text"))),
        *({"direction": Direction.IN}, {"zone_id": "z"}, {"since_ms": 1, "until_ms": 9}, {}),
        {"zone_id": "z", "since_ms": 1},
        {"u7": 7, "since_ms": 1, "until_ms": 9},
    ],
)
def test_an_index_gives_the_order_so_a_page_costs_a_page(tmp_path: Path, wanted: dict[str, Any]) -> None:
    sql(tmp_path / "store.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    for after in (None, Cursor(5, 5)):
        statement = (
            _query(MessageFilter(**wanted), after).limit(10).compile(engine, compile_kwargs={"literal_binds": True})
        )
        with engine.connect() as connection:
            plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
        assert not any("TEMP B-TREE" in step for step in plan), plan
        assert any("USING" in step for step in plan), plan
        assert not wanted or not any(step.startswith("SCAN") and "INDEX" not in step for step in plan), plan
    engine.dispose()


# ---- what stays


def test_an_erasure_leaves_nothing_but_the_tally(store: Store) -> None:
    store.messages.note([a_message(1, 7, zones=("z",)), a_message(2, 8, zones=("z",))])
    store.begin_erasure(Erasure("e" * 32, 7, ErasureReason.UNSUBSCRIBED, T0))
    assert [one.message.u7 for one in found(store)] == [8]
    assert [one.message.u7 for one in found(store, MessageFilter(zone_id="z"))] == [8]
    # Somebody's last push is handled when they are gone: it is counted, and nobody is named.
    assert store.messages.note([a_message(3, 7, kind="unsubscribe")]) == 0
    store.finish_erasure(7, T0)
    assert [one.message.u7 for one in found(store)] == [8]
    day = (T0 + 8 * 3_600_000) // DAY
    assert store.messages.tally() == {(day, Direction.IN, "text"): 2, (day, Direction.IN, "unsubscribe"): 1}


def test_a_late_outcome_of_an_erased_person_writes_nothing(store: Store) -> None:
    store.commit([an_alert()], [], now_ms=T0)
    (message,) = claimed(store)
    store.begin_erasure(Erasure("e" * 32, 7, ErasureReason.UNSUBSCRIBED, T0))
    store.finish(message.outbox_id, accepted(), now_ms=T0, retry_at_ms=None)
    assert found(store) == []


def test_retention_goes_by_kind_and_the_time_of_the_message(store: Store) -> None:
    kinds = ("text", "warning", "click", "new")
    store.messages.note([a_message(n, kind=kind, event_ms=T0 + n, zones=("z",)) for n, kind in enumerate(kinds)])
    assert store.messages.drop({"text": T0, "warning": T0 + 2, "click": T0 + 2}, T0 + 4) == 2
    assert [one.message.kind for one in found(store)] == ["click", "text"]
    assert store.messages.drop({}, T0 + 2) == 1
    assert [one.message.kind for one in found(store, MessageFilter(zone_id="z"))] == ["click"]
    assert sum(store.messages.tally().values()) == 4


def test_keys_show_nothing_and_codes_are_hidden() -> None:
    assert hashed("o" * 28, "1") != hashed("o" * 28 + "1", "")
    assert "o" * 28 not in hashed("o" * 28)
    assert (without_code(" 123456 "), without_code("1234567"), without_code("12345 6")) == (
        "******",
        "1234567",
        "12345 6",
    )
