"""The stores of the contract suites, and rows to put into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL

from geo_engine import testing
from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.model import (
    Alert,
    TransitionKind,
    TransitionReason,
    Vehicle,
    Visit,
)
from geo_engine.store import Person, Store, TransitionRecord
from geo_engine.store.lifecycle import OutboxState
from geo_engine.store.sql import SqlStore

T0 = 1_700_000_000_000
LEASE = 60_000
ACCEPTED = SendResult(Outcome.ACCEPTED, errcode=0, msg_id="4711")
RETRY = SendResult(Outcome.RETRY, errcode=-1, detail="system busy")
REFUSED = SendResult(Outcome.REFUSED, errcode=43004, detail="require subscribe")
UNKNOWN = SendResult(Outcome.UNKNOWN, detail="timed out")
STOP = SendResult(Outcome.STOP, errcode=40164, detail="invalid ip")


def an_alert(number: int = 1, u7: int = 7, **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "alert_id": f"{number:032x}",
        "u7": u7,
        "time_ms": T0,
        "visit_ms": T0 - 5_000,
        "text": "420米，长江二桥货车禁行🚛",
        "expires_at_ms": T0 + 120_000,
        "advice": "改走白沙洲大桥",
    }
    return testing.an_alert(**values | changes)


def a_visit(u7: int = 7, zone_id: str = "erqiao", **changes: Any) -> Visit:
    values: dict[str, Any] = {
        "visit_ms": T0,
        "last_ms": T0,
        "open": True,
        "inside": False,
        "decided": True,
        "sent_ms": None,
    }
    return Visit(u7=u7, zone_id=zone_id, **values | changes)


def a_transition(u7: int = 7, after_ms: int = 0, kind: str = "enter", **changes: Any) -> TransitionRecord:
    values: dict[str, Any] = {
        "zone_id": "erqiao",
        "reason": TransitionReason.MOVED,
        "lon": 114.3,
        "lat": 30.6,
        "revision": 1,
    }
    return TransitionRecord(u7=u7, time_ms=T0 + after_ms, kind=TransitionKind(kind), **values | changes)


def a_person(u7: int = 7, open_id: str | None = "", **vehicle: Any) -> Person:
    return Person(u7, f"o-{u7}" if open_id == "" else open_id, Vehicle(u7, **vehicle))


def consent(store: Store, u7: int, granted: bool = True) -> None:
    store.set_consent(u7, "warnings", granted, "2026-11", T0, "wechat-menu")


def sql(path: Path) -> SqlStore:
    return SqlStore(URL.create("sqlite", database=str(path)))


def claimed(store: Store, now_ms: int = T0, limit: int = 100) -> list[Message]:
    return store.claim(now_ms, limit=limit, lease_ms=LEASE)


def numbers(messages: list[Message]) -> list[int]:
    return [int(message.client_msg_id, 16) for message in messages]


def state_of(store: Store, number: int = 1) -> OutboxState | None:
    return next(found.state for found in store.decisions(limit=2_000) if found.alert.alert_id == f"{number:032x}")
