"""The store in memory answers as the SQL store does, whatever the order of the calls."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import URL

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.reach import Channel, Dispatch
from geo_engine.errors import StoreError
from geo_engine.model import (
    Alert,
    AlertReason,
    SuppressReason,
    TransitionKind,
    TransitionReason,
    Vehicle,
    Visit,
    ZoneKind,
)
from geo_engine.store import HistoryChange, Person, TransitionRecord
from geo_engine.store.memory import MemoryStore
from geo_engine.store.messages import MessageFilter
from geo_engine.store.sql import SqlStore
from tests.postgres import Server, emptied

T0 = 1_700_000_000_000

users = st.integers(0, 3)
alerts = st.builds(
    lambda number, u7, send, life_ms, also: Alert(
        alert_id=f"{number:032x}",
        u7=u7,
        time_ms=T0 + number % 10,
        zone_id="z",
        zone_name="桥",
        kind=ZoneKind.TRUCK_RESTRICTION,
        visit_ms=T0,
        send=send,
        reason=AlertReason.APPROACH if send else SuppressReason.CAP,
        trigger=AlertReason.APPROACH,
        lon=114.0,
        lat=30.0,
        distance_m=1.0,
        bearing_deg=None,
        compass="",
        eta_s=0.0,
        may_apply=False,
        text="x",
        revision=1,
        expires_at_ms=T0 + life_ms,
        also=len(also),
        also_names=also,
        opens_ms=T0 + len(also) if also else None,
    ),
    st.integers(0, 30),
    users,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([60_000, 600_000, 3_600_000]),
    st.sampled_from([(), ("桥",), ('a "b", c', "路")]),
)
visits = st.builds(
    Visit,
    u7=users,
    zone_id=st.sampled_from(["a", "桥"]),
    visit_ms=st.just(T0),
    last_ms=st.integers(T0, T0 + 9),
    inside=st.booleans(),
    decided=st.booleans(),
    sent_ms=st.none() | st.integers(T0, T0 + 9),
)
people = st.builds(
    lambda u7, open_id: Person(u7, open_id, Vehicle(u7)), users, st.none() | st.sampled_from(["o-1", "o-2", "o-3"])
)
happened = st.lists(
    st.builds(
        TransitionRecord,
        u7=users,
        time_ms=st.integers(T0, T0 + 4),
        zone_id=st.sampled_from(["a", "桥"]),
        kind=st.sampled_from(list(TransitionKind)),
        reason=st.sampled_from(list(TransitionReason)),
        lon=st.none() | st.just(114.0),
        lat=st.none() | st.just(30.0),
        revision=st.integers(1, 2),
    ),
    max_size=4,
)
msg_ids = st.sampled_from(["m1", "m2"])
results = st.builds(SendResult, st.sampled_from(list(Outcome)).filter(lambda found: found is not Outcome.ACCEPTED))
results |= st.builds(SendResult, st.just(Outcome.ACCEPTED), msg_id=msg_ids)
ways = st.none() | st.sampled_from(list(Channel))


class Twins(RuleBasedStateMachine):
    """Both stores get the same calls; every answer and all that can be read must agree."""

    def database(self) -> SqlStore:
        """Open an empty database."""
        return SqlStore(URL.create("sqlite", database=str(Path(self.folder.name) / "store.db")))

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = (MemoryStore(), self.database())
        self.now_ms = T0
        self.claimed: list[Message] = []
        for store in self.stores:
            store.webhooks.tell(["a"], 10**9)

    @initialize()
    def somebody_to_warn(self) -> None:
        """Begin with two persons who can be warned, or most messages would never leave."""
        self.both("put_people", [Person(u7, f"o-{u7}", Vehicle(u7)) for u7 in (1, 2)])
        for u7 in (1, 2):
            self.both("set_consent", u7, "warnings", True, "v1", self.now_ms, "test")

    def teardown(self) -> None:
        """Close both and remove the file."""
        told = []
        for store in self.stores:
            rows = store.webhooks.claim("a", self.now_ms, limit=10_000, lease_ms=1)
            told.append(sorted((row.event.type, row.event.time_ms, row.event.data) for row in rows))
            store.close()
        assert told[0] == told[1]
        self.folder.cleanup()

    def both(self, name: str, *args: Any, **named: Any) -> Any:
        """Ask both stores and return their common answer; a refusal is an answer too."""
        answers = []
        for store in self.stores:
            try:
                answers.append(getattr(store, name)(*args, **named))
            except StoreError:
                answers.append(StoreError)
        assert answers[0] == answers[1], name
        return answers[0]

    @rule(some=st.lists(people, max_size=3))
    def put_people(self, some: list[Person]) -> None:
        """Some people, also with an open_id of somebody else."""
        self.both("put_people", some)

    @rule(u7=users, granted=st.sampled_from([True, True, False]), purpose=st.sampled_from(["warnings", "history"]))
    def set_consent(self, u7: int, granted: bool, purpose: str) -> None:
        """A consent record."""
        self.both("set_consent", u7, purpose, granted, "v1", self.now_ms, "test")

    @rule(some=st.lists(alerts, min_size=1, max_size=8), seen=st.lists(visits, max_size=3))
    def commit(self, some: list[Alert], seen: list[Visit]) -> None:
        """Some decisions and visits, also known ones."""
        self.both("commit", some, seen, now_ms=self.now_ms)

    @rule(changes=st.lists(st.builds(HistoryChange, happened, happened), max_size=3))
    def write_history(self, changes: list[HistoryChange]) -> None:
        """Changes of the history, also of what is not there."""
        self.both("commit", [], [], now_ms=self.now_ms, history=changes)

    @rule(after_ms=st.integers(0, 4))
    def drop_history(self, after_ms: int) -> None:
        """What is older is dropped."""
        self.both("drop_history", T0 + after_ms)

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        """Some messages."""
        self.claimed += self.both("claim", self.now_ms, limit=limit, lease_ms=30_000)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), way=st.sampled_from(list(Channel)))
    def begin(self, data: st.DataObject, way: Channel) -> None:
        """Note that a message is on its way."""
        message = data.draw(st.sampled_from(self.claimed))
        self.both("begin", Dispatch(message.client_msg_id, message.open_id, way, self.now_ms), None)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), result=results, way=ways, retry_s=st.none() | st.sampled_from([0, 5, 500]))
    def finish(self, data: st.DataObject, result: SendResult, way: Channel | None, retry_s: int | None) -> None:
        """Answer any message ever claimed: late and repeated answers are part of life."""
        message = data.draw(st.sampled_from(self.claimed))
        retry_at_ms = None if retry_s is None else self.now_ms + retry_s * 1_000
        result = replace(result, channel=way)
        self.both("finish", message.outbox_id, result, now_ms=self.now_ms, retry_at_ms=retry_at_ms)

    @rule(msg_id=msg_ids, status=st.sampled_from(["success", "failed:user block"]))
    def receipt(self, msg_id: str, status: str) -> None:
        """A receipt, also for nothing."""
        self.both("receipt", msg_id, status, self.now_ms)

    @rule(seconds=st.sampled_from([1, 5, 30, 400]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now_ms += seconds * 1_000

    @rule()
    def expire(self) -> None:
        """End what is over."""
        self.both("expire", self.now_ms)

    @rule(sha256=st.sampled_from(["a", "b"]))
    def zone_revision(self, sha256: str) -> None:
        """Publish zones."""
        self.both("zone_revision", sha256, self.now_ms)

    @invariant()
    def they_read_the_same(self) -> None:
        """Compare all that can be read."""
        self.both("people")
        self.both("counts")
        self.both("consenting", "history")
        for u7 in range(4):
            self.both("history", u7, T0, T0 + 4)
        kept = [store.messages.search(MessageFilter(), limit=100) for store in self.stores]
        assert kept[0] == kept[1]
        assert self.stores[0].messages.tally() == self.stores[1].messages.tally()
        assert self.stores[0].webhooks.counts() == self.stores[1].webhooks.counts()
        self.both("open_visits", T0 + 5)
        self.both("sent_today", T0 + 5)
        for found in self.both("decisions", limit=20):
            self.both("attempts", found.alert.alert_id)


class PostgresTwins(Twins):
    """The same with a server; what it holds is deleted before each try."""

    server: ClassVar[Server]

    def database(self) -> SqlStore:
        """Open the emptied database."""
        return SqlStore(emptied(self.server))


Twins.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a file for every try makes shrinking take minutes
    suppress_health_check=[HealthCheck.too_slow],
)
TestTwins = Twins.TestCase
PostgresTwins.TestCase.settings = settings(Twins.TestCase.settings, max_examples=8)


class TestPostgresTwins(PostgresTwins.TestCase):  # type: ignore[misc, valid-type]
    """The machine above with the server of the session."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres: Server) -> None:
        PostgresTwins.server = postgres
