"""The service in two processes on one store, an engine and a door: one token, nothing lost, nobody told twice."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

from geo_engine.model import Vehicle, VehicleKind
from geo_engine.people.consents import Purpose, granted_now
from geo_engine.store import OutboxState, Store
from geo_engine.store.open import open_store
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from tests.faults.pushing import EAST_M, Phones, Process, running, until, zones_file

pytestmark = [pytest.mark.network, pytest.mark.enable_socket, pytest.mark.slow]

PEOPLE = [f"oPair{'p' * 21}{number:02d}" for number in range(16)]
BORDER_DEG = 114.2994
ZONE = "东湖货车禁行"
TURNS = 9


@dataclass
class Pair:
    """An engine and a door on one store, and the phones of people who agreed and drive trucks."""

    server: FakeServer
    path: Path
    phones: Phones
    store: Store
    stack: ExitStack
    starts: int = 0
    sink: list[Path] = field(default_factory=list)

    @property
    def engine(self) -> Process:
        return self.phones.doors[0]

    @property
    def door(self) -> Process:
        return self.phones.doors[1]

    def start(self, *arguments: str) -> Process:
        self.starts += 1
        output = self.path.with_name(f"output{self.starts}.txt")
        self.sink.append(output)
        return self.stack.enter_context(running(self.server, self.path, output, *arguments))

    def start_engine(self) -> Process:
        return self.start("--zones", str(self.path.with_name("zones.geojson")), "--users", "0")

    def drive(self, turn: int) -> None:
        """Let everybody report where they are: 20 m/s eastwards to the border, so far away that a warning is due."""
        for number, open_id in enumerate(PEOPLE):
            self.phones.is_at(open_id, BORDER_DEG + (-330.0 + 20.0 * turn - number) / EAST_M)

    def settle(self) -> None:
        """Wait until nothing is under way any more."""
        assert until(lambda: self.store.inbox.counts()["waiting"] == 0), self.store.inbox.counts()
        assert until(lambda: self.waiting_warnings() == 0, 30.0), self.store.counts()

    def waiting_warnings(self) -> int:
        counts = self.store.counts()
        return counts["outbox.pending"] + counts["outbox.sending"]

    def warned(self) -> dict[str, OutboxState | None]:
        """Return the text of each decision to send, and what became of it."""
        decided = [one for one in self.store.decisions(limit=1_000) if one.alert.send]
        return {one.alert.alert_id: one.state for one in decided}

    def shown_warnings(self) -> Counter[str]:
        """Return how often each warning reached a phone, by its id or, of a customer-service message, its text."""
        by_text = {
            (one.alert.u7, one.alert.text): one.alert.alert_id
            for one in self.store.decisions(limit=1_000)
            if one.alert.send
        }
        shown: Counter[str] = Counter()
        for found in self.server.state.deliveries():
            u7 = self.store.u7_of(found.open_id)
            text = found.data.get("text", "")
            if found.client_msg_id:
                shown[found.client_msg_id] += 1
            elif u7 is not None and (u7, text) in by_text:
                shown[by_text[u7, text]] += 1
        return shown

    def answers(self, word: str) -> Counter[str]:
        """Return how many answers with a word in them each person got."""
        return Counter(
            found.open_id for found in self.server.state.deliveries() if word in "\n".join(found.data.values())
        )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    zones_file(tmp_path / "zones.geojson")
    path = tmp_path / "store.db"
    with start_fake_wechat() as server, ExitStack() as stack:
        phones = Phones(server, [], random.Random(5))
        store: Store | None = None
        made = Pair(server, path, phones, store, stack)  # type: ignore[arg-type]  # opened below
        phones.doors.append(made.start_engine())
        phones.doors.append(made.start("--door"))
        made.store = open_store(str(path), create=False)
        stack.callback(made.store.close)
        for open_id in PEOPLE:
            phones.follows(open_id)
        assert until(lambda: all(len(phones.texts(open_id)) == 1 for open_id in PEOPLE)), made.answers("")
        yield made


def put_trucks(pair: Pair) -> None:
    """Bind a truck to everybody as a door does, and wait until the engine has heard."""
    beside = open_store(str(pair.path), create=False, notes=True)
    for open_id in PEOPLE:
        u7 = beside.u7_of(open_id)
        assert u7 is not None
        beside.put_vehicle(Vehicle(u7, kind=VehicleKind.GOODS), time.time_ns() // 1_000_000)
    beside.close()
    assert until(lambda: pair.store.shared.changes(1) == [])


def test_pushes_to_either_process_are_answered_and_warned_about_once_with_one_token(pair: Pair) -> None:
    put_trucks(pair)
    # WeChat is slow, so that one process has not sent all before the other looks.
    for channel in ("custom/send", "template/send"):
        pair.server.state.faults.add(FakeFault(FaultKind.HANG, path=channel, seconds=0.7, times=60, taken=True))
    asked = 0
    for turn in range(TURNS):
        began = time.monotonic()
        pair.drive(turn)
        if turn == 2:
            for open_id in PEOPLE:
                # WeChat's repeat crosses its first try: both processes get the same push.
                pair.phones.says(open_id, "附近", every=True)
                asked += 1
        time.sleep(max(0.0, 1.05 - (time.monotonic() - began)))
    pair.settle()
    assert len(pair.warned()) >= len(PEOPLE)
    assert set(pair.warned().values()) == {OutboxState.DELIVERED}
    assert pair.shown_warnings() == Counter(pair.warned().keys())
    assert until(lambda: pair.answers("光谷门店").total() == asked)
    assert set(pair.answers("光谷门店").values()) == {1}
    tokens = pair.server.state.tokens
    assert (tokens.normal_calls, tokens.forced_calls) == (1, 0)
    # Both took pushes and both sent.
    for process in pair.phones.doors:
        page = urllib3.request("GET", f"{process.url}/metrics").data.decode()
        taken = re.findall(r'geo_engine_wechat_pushes_total\{kind="\w+"\} (\d+)', page)
        assert sum(map(int, taken)) > len(PEOPLE)
        assert urllib3.request("GET", f"{process.url}/readyz").json()["ready"] is True
        [accepted] = re.findall(r'geo_engine_relay\{outcome="accepted"\} (\d+)', page)
        assert int(accepted) > 0


def test_a_door_that_is_killed_loses_nothing_and_its_messages_go_on_at_once(pair: Pair) -> None:
    put_trucks(pair)
    # Slow answers of WeChat, so that the kill finds attempts nobody will read the answer of.
    for channel in ("custom/send", "template/send"):
        pair.server.state.faults.add(FakeFault(FaultKind.HANG, path=channel, seconds=0.4, times=20, taken=True))
    for turn in range(TURNS):
        began = time.monotonic()
        pair.drive(turn)
        if turn == 3:
            for open_id in PEOPLE:
                pair.phones.says(open_id, "附近")
        if turn == 4:
            pair.door.kill()
            killed = time.monotonic()
        time.sleep(max(0.0, 1.05 - (time.monotonic() - began)))
    pair.settle()
    assert time.monotonic() - killed < 30.0  # not the minute of a lease
    assert pair.phones.repeated > 0
    no_warning_is_lost_or_told_twice(pair)
    assert until(lambda: set(pair.answers("光谷门店")) == set(PEOPLE))
    assert set(pair.answers("光谷门店").values()) == {1}
    assert pair.server.state.tokens.normal_calls == 1


def test_an_engine_that_is_killed_finds_what_the_door_took_meanwhile(pair: Pair) -> None:
    put_trucks(pair)
    for turn in range(5):
        began = time.monotonic()
        pair.drive(turn)
        time.sleep(max(0.0, 1.05 - (time.monotonic() - began)))
    pair.engine.kill()
    for open_id in PEOPLE:
        pair.phones.says(open_id, "会场")
    assert pair.phones.repeated > 0
    assert pair.store.inbox.counts()["waiting"] >= len(PEOPLE)
    pair.phones.doors[0] = pair.start_engine()
    pair.settle()
    no_warning_is_lost_or_told_twice(pair)
    assert until(lambda: set(pair.answers("现在没有会议")) == set(PEOPLE)), pair.answers("现在没有会议")
    assert set(pair.answers("现在没有会议").values()) == {1}
    assert pair.server.state.tokens.normal_calls == 1


def no_warning_is_lost_or_told_twice(pair: Pair) -> None:
    """Every warning ended; only one without a dedupe key, whose sender died, may be unknown, and is not repeated."""
    warned, shown = pair.warned(), pair.shown_warnings()
    assert len(warned) >= 1
    assert set(warned.values()) <= {OutboxState.DELIVERED, OutboxState.UNKNOWN}
    assert set(shown.values()) <= {1}
    for alert_id, state in warned.items():
        assert state is OutboxState.UNKNOWN or shown[alert_id] == 1
    with sqlite3.connect(pair.path) as connection:
        keyless = {
            alert_id
            for (alert_id,) in connection.execute("SELECT client_msg_id FROM dispatch WHERE channel != 'template'")
        }
    connection.close()
    assert {alert_id for alert_id, state in warned.items() if state is OutboxState.UNKNOWN} <= keyless


# ---- pages on either process


def test_a_page_begun_at_one_process_goes_on_at_the_other_and_a_no_holds_in_the_engine(pair: Pair) -> None:
    person = PEOPLE[0]
    put_trucks(pair)
    http = urllib3.PoolManager(retries=False, timeout=5.0)
    body = json.dumps({"openid": person, "snapshot": False}).encode()
    assert http.request("POST", f"{pair.server.url}/_fake/phone", body=body).status == 200
    away = http.request("GET", f"{pair.engine.url}/bind", redirect=False)
    browser = away.headers["set-cookie"].partition(";")[0]
    sent = http.request("GET", away.headers["location"].partition("#")[0], redirect=False)
    back = sent.headers["location"].removeprefix("http://pages.example")
    # The state was made by the engine's process; the door takes it, and then nobody any more.
    entered = http.request("GET", pair.door.url + back, headers={"cookie": browser}, redirect=False)
    assert entered.status == 303
    assert http.request("GET", pair.engine.url + back, headers={"cookie": browser}, redirect=False).status == 403
    session = next(
        cookie.partition(";")[0] for cookie in entered.headers.getlist("set-cookie") if cookie.startswith("geo_bind=")
    )
    page = http.request("GET", f"{pair.engine.url}/bind", headers={"cookie": session})
    assert page.status == 200
    [csrf, *_] = re.findall(r'name="csrf" value="([^"]+)"', page.data.decode())
    # Withdraws everything at the door; the engine judges no position of theirs a second later.
    form = {"cookie": session, "content-type": "application/x-www-form-urlencoded"}
    saved = http.request(
        "POST", f"{pair.door.url}/bind/consents", body=f"csrf={csrf}".encode(), headers=form, redirect=False
    )
    assert saved.status == 303
    u7 = pair.store.u7_of(person)
    assert u7 is not None
    assert granted_now(pair.store.consents(u7))[Purpose.WARNINGS] is False
    time.sleep(1.0)
    before = rejected(pair.engine)
    pair.phones.is_at(person, 114.2990)
    assert until(lambda: rejected(pair.engine) == before + 1, 5.0)
    # What the form said is on the page of the other process, once.
    shown = http.request("GET", f"{pair.engine.url}/bind", headers={"cookie": session}).data.decode()
    again = http.request("GET", f"{pair.door.url}/bind", headers={"cookie": session}).data.decode()
    assert len(shown) > len(again)
    # Erased at the door: the engine completes it.
    http.request("POST", f"{pair.door.url}/bind/erase", body=f"csrf={csrf}&sure=yes".encode(), headers=form)
    assert pair.store.u7_of(person) is None
    assert until(lambda: pair.store.shared.changes(1) == [], 5.0)
    assert http.request("GET", f"{pair.engine.url}/bind", headers={"cookie": session}, redirect=False).status == 302


def rejected(process: Process) -> int:
    page = urllib3.request("GET", f"{process.url}/metrics").data.decode()
    found = re.search(r'geo_engine_pings_rejected_total\{reason="no_consent"\} (\d+)', page)
    return int(found[1]) if found else 0


def test_pings_belong_to_the_engine_and_a_door_says_so(pair: Pair) -> None:
    answer = urllib3.request("POST", f"{pair.door.url}/v1/pings", body=b"[]", retries=False)
    assert answer.status == 503
    assert "process of the engine" in answer.json()["detail"]


def test_a_second_engine_is_refused_and_told_of_doors(pair: Pair) -> None:
    output = pair.path.with_name("second.txt")
    with pytest.raises(AssertionError), running(pair.server, pair.path, output, "--users", "0"):
        pass
    assert f"in use by process {pair.engine.popen.pid}" in output.read_text()
    assert "--door" in output.read_text()


# ---- doors that cannot be


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--users", "5"), "--users"), (("--vehicles", "x"), "--vehicles"), ((), "db upgrade")],
)
def test_a_door_with_work_of_the_engine_or_without_a_store_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    output = tmp_path / "output.txt"
    with (
        start_fake_wechat() as server,
        pytest.raises(AssertionError),
        running(server, tmp_path / "none.db", output, "--door", *arguments),
    ):
        pass
    assert said in output.read_text()
    assert "Traceback" not in output.read_text()
