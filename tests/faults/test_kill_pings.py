"""``kill -9`` and a full disk under a stream of pings: what was answered 2xx is known after the next start.

The service is a process of its own. Right after a start the state of the engine is on disk, so it can be read from
outside what the service knows before any further ping. ``FAULT_KILLS`` sets the number of kills (default 3).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import urllib3

from api.state_file import StateFile
from geo_engine import Engine, PingBatch, Vehicle
from geo_engine.ingest.zonefiles import load_zone_files
from geo_engine.model import VehicleKind
from tests.integration.test_pings_door import ZONES

pytestmark = [pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("FAULT_KILLS", "3"))
USERS, SENDERS = 2000, 8
BORDER_LON, DEG_PER_S = 114.30, 20.0 / 95_900.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class World:
    """A store, the service on it, and everything its senders were answered."""

    folder: Path
    begun_ms: int = field(default_factory=now_ms)
    url: str = ""
    process: subprocess.Popen[str] | None = None
    acknowledged: dict[int, int] = field(default_factory=dict)
    sent: list[PingBatch] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    ready_s: list[float] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "disk" / "store.db"

    def prepare(self) -> None:
        (self.folder / "disk").mkdir(exist_ok=True)
        (self.folder / "zones").mkdir()
        (self.folder / "zones" / "zones.geojson").write_text(json.dumps(ZONES), encoding="utf-8")
        people = ({"u7": u7, "open_id": f"o{u7:027d}", "kind": "goods", "consent": True} for u7 in range(USERS))
        (self.folder / "people.jsonl").write_text("".join(json.dumps(one) + "\n" for one in people), encoding="utf-8")

    def start(self) -> None:
        output = self.folder / "output.txt"
        known = output.read_text(encoding="utf-8").count("/openapi.json") if output.exists() else 0
        command = [sys.executable, "-m", "api", "run", "--store", f"sqlite:///{self.store}", "--port", "0"]
        command += ["--zones", str(self.folder / "zones"), "--users", "0"]
        command += ["--vehicles", str(self.folder / "people.jsonl")]
        began = time.monotonic()
        with output.open("a", encoding="utf-8") as sink:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, text=True)
        while output.read_text(encoding="utf-8").count("/openapi.json") == known:
            assert self.process.poll() is None, output.read_text(encoding="utf-8")
            time.sleep(0.02)
        self.ready_s.append(time.monotonic() - began)
        line = [one for one in output.read_text(encoding="utf-8").splitlines() if "/openapi.json" in one][-1]
        self.url = next(word for word in line.split() if word.startswith("http"))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, (self.folder / "output.txt").read_text(encoding="utf-8")

    def batch(self, users: range) -> PingBatch:
        """Return where everybody of ``users`` is now: they drive east, one after another, at 20 m/s."""
        at_ms, u7 = now_ms(), np.array(users)
        east = BORDER_LON - 0.003 - 0.00002 * (u7 % 100) + DEG_PER_S * (at_ms - self.begun_ms) / 1000.0
        return PingBatch.from_columns(u7, np.full(len(u7), at_ms), east, np.full(len(u7), 30.6))

    def post(self, pool: urllib3.PoolManager, batch: PingBatch) -> int:
        rows = zip(batch.u7.tolist(), batch.time_ms.tolist(), batch.lon.tolist(), batch.lat.tolist(), strict=True)
        body = json.dumps([{"u7": u7, "time": at, "lon": lon, "lat": lat} for u7, at, lon, lat in rows])
        try:
            answer = pool.request(
                "POST", f"{self.url}/v1/pings", body=body, headers={"content-type": "application/json"}, retries=False
            )
        except urllib3.exceptions.HTTPError:
            return 0
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
        if answer.status == 200:
            self.rejected.update(answer.json()["rejected"])
        return answer.status

    def send(self, users: range, ended: threading.Event) -> None:
        """Report until told to end; a batch that was not answered 2xx is sent again, as a phone does."""
        with urllib3.PoolManager(timeout=10.0) as pool:
            while not ended.is_set():
                batch = self.batch(users)
                self.sent.append(batch)
                while (status := self.post(pool, batch)) != 200:
                    self.answers[status] += 1
                    if ended.wait(0.05):
                        return
                self.answers[status] += 1
                # Of one user only one thread ever sends.
                self.acknowledged.update(dict.fromkeys(users, int(batch.time_ms[0])))
                ended.wait(0.7)

    def known_ms(self) -> dict[int, int]:
        """Return when everybody was last heard, by the state on disk."""
        kept = StateFile(f"sqlite:///{self.store}").read()
        assert kept is not None
        engine = Engine(load_zone_files([self.folder / "zones"]).zone_set)
        engine.load(kept.snapshot)
        users = np.arange(USERS)
        return dict(enumerate(engine.last_positions(users)[2].tolist()))

    def lost(self) -> list[int]:
        known = self.known_ms()
        return [u7 for u7, at_ms in self.acknowledged.items() if known[u7] < at_ms]

    def warned(self) -> Counter[int]:
        """Return how many messages about the zone are due to everybody."""
        with closing(sqlite3.connect(self.store)) as database:
            return Counter(u7 for (u7,) in database.execute("select u7 from decision where send"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.prepare()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def expected_warnings(sent: list[PingBatch], zones: Path) -> set[int]:
    """Return who is warned when the same pings are judged without any kill."""
    fleet = [Vehicle(u7=u7, kind=VehicleKind.GOODS) for u7 in range(USERS)]
    engine = Engine(load_zone_files([zones]).zone_set, vehicles=fleet)
    warned: set[int] = set()
    for batch in sorted(sent, key=lambda one: int(one.time_ms[0])):
        found = engine.process(batch, int(batch.time_ms[0])).alerts
        warned |= {alert.u7 for alert in found if alert.send}
    return warned


def test_no_acknowledged_ping_and_no_decision_is_lost_however_often_the_service_is_killed(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    chance, ended = random.Random(3), threading.Event()
    world.start()
    share = USERS // SENDERS
    parts = [range(first, first + share) for first in range(0, USERS, share)]
    for _ in range(KILLS):
        ended.clear()
        senders = [threading.Thread(target=world.send, args=(users, ended)) for users in parts]
        for one in senders:
            one.start()
        time.sleep(chance.uniform(0.5, 3.0))
        world.kill()
        # Nobody is answered any more; what the senders hold unanswered is sent after the start.
        ended.set()
        for one in senders:
            one.join()
        assert world.acknowledged
        world.start()
        assert world.lost() == []
    ended.clear()
    senders = [threading.Thread(target=world.send, args=(users, ended)) for users in parts]
    for one in senders:
        one.start()
    # Until the last driver has reached the border.
    time.sleep(max(0.0, 0.006 / DEG_PER_S - (now_ms() - world.begun_ms) / 1000.0))
    ended.set()
    for one in senders:
        one.join()
    world.stop()
    assert world.lost() == []
    warned = world.warned()
    assert set(warned) == expected_warnings(world.sent, world.folder / "zones")
    assert set(warned.values()) == {1}
    assert len(warned) > USERS // 2
    assert world.rejected.keys() <= {"duplicate"}, "a ping that was rejected moves nobody"
    record_property("kills", KILLS)
    record_property("acknowledged_pings", world.answers[200] * share)
    record_property("ready_s", max(world.ready_s))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_a_full_disk_is_answered_503_and_nothing_answered_2xx_is_lost(world: World) -> None:
    disk = world.folder / "disk"
    if run("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk)):
        pytest.skip("this machine mounts no tmpfs")
    try:
        world.start()
        with urllib3.PoolManager(timeout=10.0) as pool:
            assert report(world, pool) == 200
            filler = disk / "filler"
            fill(filler)
            refused = [report(world, pool) for _ in range(400)]
            assert refused[-5:] == [503] * 5
            filler.unlink()
            began = time.monotonic()
            while report(world, pool) != 200:
                assert time.monotonic() - began < 10.0
                time.sleep(0.1)
        world.kill()
        world.start()
        assert world.lost() == []
        world.kill()
    finally:
        assert run("umount", "--lazy", str(disk)) == 0


def report(world: World, pool: urllib3.PoolManager) -> int:
    batch = world.batch(range(USERS))
    status = world.post(pool, batch)
    if status == 200:
        world.acknowledged.update(dict.fromkeys(range(USERS), int(batch.time_ms[0])))
    return status


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            return


def run(*command: str) -> int:
    return subprocess.run(command, check=False, capture_output=True).returncode
