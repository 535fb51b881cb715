"""Two relays in two processes on one store: one token, and nobody is told twice, also when one of them is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from geo_engine.alerting.reach import Trigger
from geo_engine.model import Vehicle
from geo_engine.store import OutboxState, Person, Store
from geo_engine.store.open import open_store
from geo_engine.testing import an_alert
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

pytestmark = [pytest.mark.network, pytest.mark.enable_socket, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = 30
EACH = 4


def open_id(u7: int) -> str:
    return f"o{u7:027d}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with start_fake_wechat() as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path, server: FakeServer) -> Iterator[Store]:
    """A store in which everybody has warnings that wait, and every other person an open window."""
    store, at_ms = open_store(str(path)), now_ms()
    store.put_people([Person(u7, open_id(u7), Vehicle(u7)) for u7 in range(PEOPLE)])
    for u7 in range(PEOPLE):
        store.set_consent(u7, "warnings", True, "v1", at_ms, "test")
        if u7 % 2:
            server.state.touch(open_id(u7), "message")
            store.open_window(open_id(u7), Trigger.MESSAGE, at_ms)
    times = {"time_ms": at_ms, "visit_ms": at_ms, "expires_at_ms": at_ms + 300_000}
    alerts = [
        an_alert(alert_id=f"{number:08x}{u7:024x}", u7=u7, text=f"{number:08x}{u7:024x}", **times)
        for number in range(EACH)
        for u7 in range(PEOPLE)
    ]
    store.commit(alerts, [], now_ms=at_ms)
    yield store
    store.close()


@contextmanager
def a_relay(path: Path, server: FakeServer) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.faults.relay_process", str(path), server.url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def end(process: subprocess.Popen[str]) -> dict[str, dict[str, int]]:
    output, _ = process.communicate(timeout=30)
    found: dict[str, dict[str, int]] = json.loads(output)
    return found


def wait_until(store: Store, limit_s: float, **most: int) -> None:
    """Wait until at most so many messages are in the named states."""
    deadline = time.monotonic() + limit_s
    while any(store.counts()[f"outbox.{state}"] > number for state, number in most.items()):
        assert time.monotonic() < deadline, store.counts()
        time.sleep(0.02)


def shown(server: FakeServer) -> Counter[str]:
    return Counter(found.client_msg_id or found.data["text"] for found in server.state.deliveries())


def test_two_processes_share_one_token_and_send_every_message_once(
    path: Path, server: FakeServer, store: Store
) -> None:
    # The token takes a while, so that both certainly ask for it at the same time.
    server.state.faults.add(FakeFault(FaultKind.HANG, path="stable_token", seconds=1.5, times=1, taken=True))
    with ExitStack() as stack:
        processes = [stack.enter_context(a_relay(path, server)) for _ in range(2)]
        for process in processes:
            wait_until_ready(process)
        wait_until(store, 60, pending=0, sending=0)
        counts = [end(process) for process in processes]
    tokens = server.state.tokens
    assert (tokens.normal_calls, tokens.forced_calls) == (1, 0)
    assert store.counts()["outbox.delivered"] == PEOPLE * EACH
    assert Counter(shown(server).values()) == {1: PEOPLE * EACH}
    assert sum(found.duplicates for found in server.state.deliveries()) == 0
    assert min(found["relay"]["accepted"] for found in counts) > 0
    assert [found["relay"]["errors"] for found in counts] == [0, 0]


def test_the_other_goes_on_when_one_is_killed_and_nobody_is_told_twice(
    path: Path, server: FakeServer, store: Store
) -> None:
    # Every third answer is slow, so that the kill finds messages whose answer nobody will read.
    for _ in range(20):
        for channel in ("custom/send", "template/send"):
            server.state.faults.add(FakeFault(FaultKind.HANG, path=channel, seconds=0.5, times=1, taken=True))
    with ExitStack() as stack:
        first, second = (stack.enter_context(a_relay(path, server)) for _ in range(2))
        for process in (first, second):
            wait_until_ready(process)
        wait_until(store, 30, pending=PEOPLE * EACH - 12)
        first.kill()
        first.wait()
        wait_until(store, 60, pending=0, sending=0)
        end(second)
    told = shown(server)
    assert set(told.values()) == {1}
    for record in store.decisions(limit=1_000):
        # Only a message without a dedupe key may stay unknown; it is named so and was not repeated.
        assert record.state in (OutboxState.DELIVERED, OutboxState.UNKNOWN)
        if record.state is OutboxState.DELIVERED:
            assert told[record.alert.alert_id] == 1
        else:
            assert record.alert.u7 % 2 == 1
    assert store.counts()["outbox.unknown"] <= 8
    assert server.state.tokens.normal_calls == 1
