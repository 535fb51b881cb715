"""Webhooks over real HTTP: signed, at least once, tried again, set aside, and never in anybody's way."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from api.clocks import Clocks, wall_clock_ms
from api.metrics import Metrics
from api.workers.webhooks import WebhookSettings, WebhookWorker
from geo_engine.model import TransitionKind
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.store import HISTORY, HistoryChange, Store
from geo_engine.store.memory import MemoryStore
from geo_engine.store.messages import Direction, NewMessage
from geo_engine.store.sql import SqlStore
from geo_engine.testing import ManualClock
from geo_engine.webhooks.endpoint import Endpoint, read_endpoints
from tests.contract.stores import T0, a_person, a_transition, sql

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()


@dataclass
class Receiver:
    """Another system: keeps what it is posted and answers as it is told, 204 in the end."""

    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False
    url: str = ""

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def kinds(self) -> list[str]:
        return [body["type"].removeprefix("geo-engine.") for body in self.bodies()]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one.got.append((dict(self.headers.items()), body))
            if one.hangs:
                one.hang.wait(20)
            with suppress(OSError):
                self.send_response(one.answers.pop(0) if one.answers else 204)
                for name, value in one.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    one.url = f"http://127.0.0.1:{server.server_address[1]}/hook?key=hidden"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield one
    one.hang.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "postgres":
        made = SqlStore(request.getfixturevalue("postgres_url"))
    else:
        made = MemoryStore() if request.param == "memory" else sql(tmp_path / "store.db")
    made.put_people([a_person(7), a_person(8)])
    yield made
    made.close()


Start = Callable[..., WebhookWorker]


@pytest.fixture
def start(store: Store, receiver: Receiver) -> Iterator[Start]:
    """Join a worker that posts to the receiver; its queue goes by a clock of the test."""
    made: list[WebhookWorker] = []

    def join(
        clock: ManualClock, secrets: str = SECRET, metrics: Metrics | None = None, **settings: Any
    ) -> WebhookWorker:
        chosen = WebhookSettings(**{"timeout_s": 0.5} | settings)
        clocks = Clocks(wall_clock_ms, clock)
        made.append(
            WebhookWorker(store.webhooks, endpoints(receiver, secrets), clocks, metrics or Metrics(), settings=chosen)
        )
        return made[-1]

    yield join
    receiver.hang.set()
    for worker in made:
        worker.stop()


def endpoints(receiver: Receiver, secrets: str = SECRET) -> list[Endpoint]:
    return read_endpoints(receiver.url, secrets)


def a_push(number: int = 1, u7: int = 7, **changes: Any) -> NewMessage:
    values: dict[str, Any] = {"event_ms": T0, "recorded_ms": T0, "text": "秘密 13800138000", "channel": "callback"}
    return NewMessage(f"in:{number}", u7, Direction.IN, "text", **values | changes)


def outcomes(metrics: Metrics) -> dict[str, float]:
    (family,) = metrics.webhooks.collect()
    found = family.samples
    return {one.labels["outcome"]: one.value for one in found if one.name.endswith("_total")}


def test_an_event_arrives_signed_by_both_secrets_and_shows_nobody(
    store: Store, start: Start, receiver: Receiver
) -> None:
    clock = ManualClock(T0)
    worker = start(clock, f"{SECRET},{OLD}")
    store.messages.note([a_push(zones=("桥",))])
    assert worker.run_once(clock()) == 1
    ((headers, body),) = receiver.got
    for secret in (SECRET, OLD):
        Webhook(secret).verify(body, headers)
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    event = json.loads(body)
    assert (event["id"], event["source"], event["subject"]) == (headers["webhook-id"], "urn:geo-engine", "message/1")
    assert event["data"] == {
        "u7": 7,
        "message": 1,
        "direction": "in",
        "kind": "text",
        "zones": ["桥"],
        "channel": "callback",
        "outcome": "received",
        "errcode": None,
    }
    # Neither text nor phone nor OpenID leaves.
    for hidden in ("秘密", "13800138000", "o-7"):
        assert hidden not in body.decode()
    assert (worker.run_once(clock()), store.webhooks.counts()) == (0, {"waiting": 0, "dead": 0})


def test_without_a_receiver_no_event_is_written(store: Store) -> None:
    WebhookWorker(store.webhooks, [], Clocks(), Metrics()).run_once(T0)
    store.messages.note([a_push()])
    assert store.webhooks.counts() == {"waiting": 0, "dead": 0}


def test_a_zone_is_told_of_who_agreed_to_a_history_until_they_do_not(
    store: Store, start: Start, receiver: Receiver
) -> None:
    clock = ManualClock(T0)
    worker = start(clock)
    store.set_consent(7, HISTORY, True, "v1", T0, "test")
    moves = [a_transition(7), a_transition(8), a_transition(7, 5, "exit"), a_transition(7, 6, "dwell")]
    store.commit([], [], now_ms=T0, history=[HistoryChange(moves)])
    worker.run_once(clock())
    assert sorted(receiver.kinds()) == ["zone.entered", "zone.exited"]
    assert receiver.bodies()[0]["data"]["u7"] == 7
    store.commit([], [], now_ms=T0, history=[HistoryChange([a_transition(7, 9, "cross")], [a_transition(7)])])
    store.messages.note([a_push()])
    # The no comes before the events left: they are gone, and the receiver is told to forget.
    store.set_consent(7, HISTORY, False, "v1", T0, "test")
    worker.run_once(clock())
    assert sorted(receiver.kinds()[2:]) == ["history.withdrawn", "message.received"]
    assert TransitionKind.CROSS.value not in json.dumps(receiver.bodies())


def test_an_erasure_takes_waiting_events_along_and_tells_the_receiver_to_forget(
    store: Store, start: Start, receiver: Receiver
) -> None:
    clock = ManualClock(T0)
    worker = start(clock)
    store.messages.note([a_push(1, 7), a_push(2, 8)])
    for _ in range(2):
        store.begin_erasure(Erasure("e" * 32, 7, ErasureReason.UNSUBSCRIBED, T0))
    worker.run_once(clock())
    told = [(body["type"].removeprefix("geo-engine."), body["data"]["u7"]) for body in receiver.bodies()]
    assert sorted(told) == [("message.received", 8), ("person.erased", 7)]


@pytest.mark.parametrize("status", [500, 503, 404, 301, 307])
def test_what_is_not_taken_is_tried_again_later_with_the_same_id(
    store: Store, start: Start, receiver: Receiver, status: int
) -> None:
    """A redirect is not followed: it is a no like any other."""
    clock, metrics = ManualClock(T0), Metrics()
    receiver.answers, receiver.headers = [status], {"Location": receiver.url}
    worker = start(clock, metrics=metrics)
    store.messages.note([a_push()])
    assert (worker.run_once(clock()), worker.run_once(clock())) == (1, 0)
    clock.advance(2.4)
    assert worker.run_once(clock()) == 0
    clock.advance(2.7)
    assert worker.run_once(clock()) == 1
    first, second = (headers["webhook-id"] for headers, _ in receiver.got)
    assert first == second
    assert outcomes(metrics) == {"failed": 1.0, "taken": 1.0}
    assert store.webhooks.counts() == {"waiting": 0, "dead": 0}


def test_waits_double_and_the_receivers_own_wish_counts(store: Store, start: Start, receiver: Receiver) -> None:
    clock = ManualClock(T0)
    receiver.answers = [503, 503, 503]
    worker = start(clock)
    store.messages.note([a_push()])
    waits = []
    receiver.headers = {"Retry-After": ""}
    assert worker.run_once(clock()) == 1
    for wish in ("120", "soon", ""):
        began = clock()
        receiver.headers = {"Retry-After": wish}
        while not worker.run_once(clock()):
            clock.advance(0.5)
        waits.append((clock() - began) / 1000)
    assert 2.5 <= waits[0] <= 5.5
    assert 119.5 <= waits[1] <= 120.5
    assert 10.0 <= waits[2] <= 20.5


def test_a_receiver_that_hangs_is_left_after_the_time_limit_and_stops_nobody(
    store: Store, start: Start, receiver: Receiver
) -> None:
    clock, metrics = ManualClock(T0), Metrics()
    worker = start(clock, metrics=metrics)
    receiver.hangs = True
    store.messages.note([a_push()])
    began = time.monotonic()
    thread = threading.Thread(target=worker.run_once, args=(clock(),))
    thread.start()
    _until(lambda: bool(receiver.got))
    store.messages.note([a_push(2)])  # the store is free meanwhile
    thread.join()
    assert 0.4 <= time.monotonic() - began < 5.0
    assert outcomes(metrics) == {"failed": 1.0}
    receiver.hang.set()
    receiver.hangs = False
    clock.advance(6)
    assert worker.run_once(clock()) == 2


def test_who_is_gone_is_told_nothing_more_until_the_next_start(store: Store, start: Start, receiver: Receiver) -> None:
    clock, metrics = ManualClock(T0), Metrics()
    worker = start(clock, metrics=metrics)
    receiver.answers = [410]
    store.messages.note([a_push()])
    worker.run_once(clock())
    store.messages.note([a_push(2)])
    clock.advance(10_000)
    assert (worker.run_once(clock()), len(receiver.got)) == (0, 1)
    assert outcomes(metrics) == {"gone": 1.0, "dead": 1.0}
    assert store.webhooks.counts() == {"waiting": 0, "dead": 1}
    again = start(clock)
    store.messages.note([a_push(3)])
    assert again.run_once(clock()) == 1


def test_what_nobody_takes_in_time_is_set_aside_counted_and_erased_later(
    store: Store, start: Start, receiver: Receiver
) -> None:
    clock, metrics = ManualClock(T0), Metrics()
    receiver.answers = [500] * 9
    worker = start(clock, metrics=metrics, lasts_ms=60_000, keep_dead_ms=600_000)
    store.messages.note([a_push()])
    worker.run_once(clock())
    clock.advance(61)
    assert (worker.run_once(clock()), store.webhooks.counts()) == (0, {"waiting": 0, "dead": 1})
    assert outcomes(metrics) == {"failed": 1.0, "dead": 1.0}
    clock.advance(660)
    worker.run_once(clock())
    assert store.webhooks.counts() == {"waiting": 0, "dead": 0}


def test_nobody_listening_is_a_failure_and_no_error(store: Store, start: Start, receiver: Receiver) -> None:
    clock, metrics = ManualClock(T0), Metrics()
    receiver.url = "http://127.0.0.1:1/x"
    worker = start(clock, metrics=metrics)
    store.messages.note([a_push()])
    assert worker.run_once(clock()) == 1
    assert (outcomes(metrics), store.webhooks.counts()["waiting"]) == ({"failed": 1.0}, 1)


def test_two_receivers_get_each_event_once_under_one_id(store: Store, receiver: Receiver) -> None:
    clock = ManualClock(T0)
    both = read_endpoints(f"{receiver.url} {receiver.url}&two", f"{SECRET} {OLD}")
    worker = WebhookWorker(store.webhooks, both, Clocks(wall_clock_ms, clock), Metrics())
    store.messages.note([a_push()])
    assert worker.run_once(clock()) == 2
    (one, body), (two, same) = receiver.got
    assert (one["webhook-id"], body) == (two["webhook-id"], same)
    assert one["webhook-signature"] != two["webhook-signature"]
    worker.stop()


def test_the_thread_posts_by_itself_and_stops(store: Store, start: Start, receiver: Receiver) -> None:
    worker = start(ManualClock(T0), idle_s=0.02)
    store.messages.note([a_push(number) for number in range(50)])
    worker.start()
    assert _until(lambda: len(receiver.got) == 50)
    assert _until(lambda: store.webhooks.counts()["waiting"] == 0)
    worker.stop()


_DYING: str = """
import sys
from api.clocks import Clocks, wall_clock_ms
from api.metrics import Metrics
from api.workers.webhooks import WebhookSettings, WebhookWorker
from geo_engine.webhooks.endpoint import read_endpoints
from tests.integration.test_webhooks import SECRET, a_push
from tests.contract.stores import a_person, sql
store = sql(sys.argv[1])
store.put_people([a_person(7)])
settings = WebhookSettings(batch=1, at_once=1, timeout_s=float(sys.argv[3]))
worker = WebhookWorker(store.webhooks, read_endpoints(sys.argv[2], SECRET), Clocks(), Metrics(), settings=settings)
store.messages.note([a_push(recorded_ms=wall_clock_ms())])
worker.start()
worker._threads[0].join()
"""


def test_an_event_outlives_the_death_of_its_process(tmp_path: Path, receiver: Receiver) -> None:
    """Killed in the middle of the call: the row is still there, and the next process posts it under the same id."""
    path = tmp_path / "store.db"
    receiver.hangs = True
    root = Path(__file__).parents[2]
    dying = subprocess.Popen(
        [sys.executable, "-c", _DYING, str(path), receiver.url, "2"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    try:
        assert _until(lambda: bool(receiver.got), 60.0)
    finally:
        dying.send_signal(signal.SIGKILL)
        dying.wait()
    receiver.hang.set()
    receiver.hangs = False
    store = sql(path)
    assert store.webhooks.counts() == {"waiting": 1, "dead": 0}
    worker = WebhookWorker(store.webhooks, endpoints(receiver), Clocks(), Metrics())
    # It is the other's until the lease is over.
    assert worker.run_once(wall_clock_ms()) == 0
    assert worker.run_once(wall_clock_ms() + 60_000) == 1
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
    assert store.webhooks.counts() == {"waiting": 0, "dead": 0}
    worker.stop()
    store.close()


def _until(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()
