"""Pushes that come twice, late, in another order or badly signed, through the callback over HTTP in safe mode.

Nothing is lost, nobody is told twice, and what was not signed in time is not taken.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from api.clocks import wall_clock_ms
from geo_engine.model import Vehicle
from geo_engine.store import Person
from geo_engine.testing import an_alert
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_people import FakePhone
from tests.e2e.running import KEY, Running, a_running_service

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

OLD_KEY: Final = "oldABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
RECEIPT: Final = "TEMPLATESENDJOBFINISH"


@dataclass
class World:
    """A running service; everybody is a person of one test only."""

    running: Running
    names: Iterator[int]

    def __post_init__(self) -> None:
        """Name the parts."""
        self.service, self.wechat = self.running.service, self.running.wechat
        self.store, self.faults = self.service.store, self.wechat.state.faults

    def somebody(self) -> FakePhone:
        """Return the phone of somebody new."""
        return self.wechat.phone(f"person {next(self.names)}")

    def enrolled(self) -> FakePhone:
        """Return the phone of somebody known, who has opened no window."""
        phone, u7 = self.somebody(), 500 + next(self.names)
        self.store.put_people([Person(u7, phone.open_id, Vehicle(u7))])
        self.store.set_consent(u7, "warnings", True, "v1", wall_clock_ms(), "test")
        return phone

    def warn(self, phone: FakePhone) -> str:
        """Let a warning to somebody wait; return its id."""
        now_ms, u7 = wall_clock_ms(), self.store.u7_of(phone.open_id)
        assert u7 is not None
        name = f"{next(self.names):032x}"
        times = {"time_ms": now_ms, "visit_ms": now_ms, "expires_at_ms": now_ms + 600_000}
        self.store.commit([an_alert(alert_id=name, u7=u7, **times)], [], now_ms=now_ms)
        self.service.relay.notify()
        return name

    def settled(self) -> bool:
        """Wait until every push is answered and every kept message handled."""
        pushes = self.wechat.pushes
        assert pushes is not None
        pushes.settle()
        return until(lambda: self.store.inbox.counts()["waiting"] == 0)

    def done(self) -> int:
        """Return how many messages were handled."""
        counts = self.store.inbox.counts()
        assert counts["failed"] == 0
        return counts["done"]


def until(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    fake = FakeSettings(receipt_copies=2, receipt_delay_s=0.05)
    with a_running_service(
        tmp_path_factory.mktemp("pushes"), fake, wechat_aes_key_previous=OLD_KEY, quiet_hours="", cooldown_s=0.0
    ) as running:
        yield World(running, itertools.count(1))


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    shared.faults.clear()
    yield shared
    shared.faults.clear()
    assert shared.settled()


FAULTS: Final = {
    "no fault": (),
    "each push twice at once": (FakeFault(FaultKind.DUPLICATE_PUSH, times=None),),
    "each push five times at once": (FakeFault(FaultKind.DUPLICATE_PUSH, times=None, count=4),),
    "each answer lost once": (FakeFault(FaultKind.LOSE_ANSWER, times=None),),
    "all answers lost": (FakeFault(FaultKind.LOSE_ANSWER, times=None, count=3),),
    "the follow after the texts": (FakeFault(FaultKind.REORDER_PUSH, path="subscribe", count=3),),
    "a text after two later ones": (FakeFault(FaultKind.REORDER_PUSH, path="text", count=2),),
    "reordered, then all twice": (
        FakeFault(FaultKind.REORDER_PUSH, path="text", times=2),
        FakeFault(FaultKind.DUPLICATE_PUSH, times=None),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_push_is_handled_once_and_every_question_answered_once(world: World, name: str) -> None:
    before, people = world.done(), [world.somebody() for _ in range(3)]
    for fault in FAULTS[name]:
        world.faults.add(fault)
    for phone in people:
        phone.follows()
        for word in ("我的提醒", "我的会议", "天气"):
            phone.says(word)
    assert world.settled()
    assert world.done() - before == 4 * len(people)
    for phone in people:
        for answer in ("还没有给您发过提醒", "您现在没有会议", "没有听懂"):
            world.wechat.expect(phone.open_id, answer, times=1, channel="customer_service")
        # The greeting is the answer to the push itself: when no answer arrives, neither does it.
        greeted = int(name != "all answers lost")
        world.wechat.expect(phone.open_id, "欢迎", times=greeted, channel="reply")
        assert len(phone.messages()) == 3 + greeted


@pytest.mark.parametrize("name", ["each push twice at once", "each answer lost once", "reordered"])
def test_positions_that_come_twice_or_late_leave_the_latest(world: World, name: str) -> None:
    reordered = (FakeFault(FaultKind.REORDER_PUSH, path="LOCATION", count=2),)
    phone = world.somebody()
    phone.says("同意")
    assert world.settled()
    before = world.done()
    for fault in FAULTS.get(name, reordered):
        world.faults.add(fault)
    now_ms = wall_clock_ms()
    for number in range(4):
        phone.is_at(114.30 + 0.001 * number, 30.50, time_ms=now_ms + 1000 * (number - 4))
        # In another batch: what comes later is then late, not sorted in.
        time.sleep(0.05)
    assert world.settled()
    assert world.done() - before == 4
    u7 = world.store.u7_of(phone.open_id)
    assert u7 is not None

    def lon() -> float:
        found = world.service.ingest.ask(lambda engine: engine.last_positions(np.array([u7]))).result(10.0)
        return float(found[0][0])

    assert until(lambda: abs(lon() - 114.303) < 1e-6), lon()


@pytest.mark.parametrize("count", [1, 3])
def test_receipts_that_come_repeatedly_and_late_close_their_attempt_once(world: World, count: int) -> None:
    matched = world.store.counts()["receipt.matched"]
    world.faults.add(FakeFault(FaultKind.REORDER_PUSH, path=RECEIPT, count=count, seconds=1.0))
    world.faults.add(FakeFault(FaultKind.DUPLICATE_PUSH, path=RECEIPT, times=None, count=2))
    people = [world.enrolled() for _ in range(3)]
    warnings = [world.warn(phone) for phone in people]
    for phone in people:
        world.wechat.expect(phone.open_id, channel="template", wait_s=20.0)
    assert until(lambda: world.store.counts()["receipt.matched"] == matched + 3)
    assert world.settled()
    for warning in warnings:
        [attempt] = world.store.attempts(warning)
        assert attempt.receipt == "success"
    assert world.store.counts()["receipt.unmatched"] == 0
    for phone in people:
        world.wechat.expect(phone.open_id, channel="template")


def test_who_leaves_while_a_message_is_on_its_way_gets_nothing_and_is_erased(world: World) -> None:
    phone = world.enrolled()
    phone.follows()
    world.settled()
    world.store.forget_reach(phone.open_id)  # no window: the warning goes as a template message
    told = len(phone.messages())
    world.faults.add(FakeFault(FaultKind.UNFOLLOW))
    world.warn(phone)
    assert until(lambda: world.store.u7_of(phone.open_id) is None)
    assert world.settled()
    assert [record.kind for record in phone.pushes()][-1] == "unsubscribe"
    assert len(phone.messages()) == told


def test_a_push_signed_by_a_clock_that_is_wrong_is_not_taken(world: World) -> None:
    phone, before = world.somebody(), world.done()
    for seconds in (-400.0, 400.0):
        world.faults.add(FakeFault(FaultKind.SKEW_PUSH, seconds=seconds))
        record = phone.says("我的提醒")
        assert record is not None
        assert (record.outcome, record.tries) == ("unavailable", 3)
        assert "403" in record.problem
    world.faults.add(FakeFault(FaultKind.SKEW_PUSH, seconds=-200.0))
    phone.says("我的提醒")
    world.wechat.expect(phone.open_id, "还没有给您发过提醒", wait_s=20.0)
    assert world.settled()
    assert world.done() == before + 1


def test_a_change_of_the_key_loses_nothing_and_a_foreign_key_opens_nothing(world: World) -> None:
    pushes, phone = world.wechat.pushes, world.somebody()
    assert pushes is not None
    target = pushes.target
    for key, outcome in ((OLD_KEY, "silent"), (KEY, "silent"), ("x" * 43, "unavailable")):
        pushes.retarget(replace(target, aes_key=key))
        record = phone.says("天气")
        assert record is not None
        assert record.outcome == outcome
    pushes.retarget(target)
    world.wechat.expect(phone.open_id, "没有听懂", times=2, wait_s=20.0)


def test_the_callback_answers_the_check_of_its_address(world: World) -> None:
    pushes = world.wechat.pushes
    assert pushes is not None
    assert pushes.check()
    target = pushes.target
    pushes.retarget(replace(target, token=f"not {target.token}"))
    assert not pushes.check()
    pushes.retarget(target)


def test_every_answer_came_inside_the_five_seconds(tmp_path: Path, world: World) -> None:
    pushes = world.wechat.pushes
    assert pushes is not None
    assert all(record.took_ms < 5_000 for record in pushes.records())
