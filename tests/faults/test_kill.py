"""``kill -9`` of the running service at random instants: what was decided is delivered, once.

The fake WeChat server is a process of its own and survives; the service is started, killed and started again on the
same store. ``FAULT_KILLS`` sets the number of kills (default 3; the acceptance run uses 20).
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

pytestmark = [pytest.mark.network, pytest.mark.slow]

KILLS = int(os.environ.get("FAULT_KILLS", "3"))
COMMAND = [sys.executable, "-m", "api"]
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Account:
    """A fake WeChat server in a process of its own."""

    url: str
    app_id: str
    secret: str
    log: Path


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    log = tmp_path / "deliveries.jsonl"
    command = [*COMMAND, "fake-wechat", "--port", "0", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        words = (process.stdout.readline() + process.stdout.readline()).replace(",", " ").split()
        url = next(word for word in words if word.startswith("http")).rstrip("/")
        yield Account(url, words[words.index("id") + 1], words[-1], log)
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def start(account: Account, store: Path, users: int, output: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "GEO_ENGINE_WECHAT_APP_ID": account.app_id,
        "GEO_ENGINE_WECHAT_APP_SECRET": account.secret,
        "GEO_ENGINE_WECHAT_API_BASE": account.url,
        "GEO_ENGINE_COOLDOWN_S": "20",  # short, so that the drivers go on giving cause for warnings
    }
    command = [*COMMAND, "run", "--store", f"sqlite:///{store}", "--port", "0", "--users", str(users), "--seed", "11"]
    with output.open("a") as sink:
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, text=True)


def sent_decisions(store: Path) -> dict[str, str]:
    """Return alert id -> outbox state of every committed decision to send."""
    with sqlite3.connect(store) as connection:
        rows = connection.execute(
            "select decision.alert_id, outbox.state from decision left join outbox using (alert_id) where send"
        ).fetchall()
    connection.close()
    return dict(rows)


def decided(store: Path) -> int:
    return len(sent_decisions(store)) if store.exists() else 0


def deliveries(account: Account) -> Counter[str]:
    rows = urllib3.request("GET", f"{account.url}/_fake/messages").json()
    messages = rows["messages"] if isinstance(rows, dict) else rows
    return Counter(message["client_msg_id"] for message in messages)


def test_every_committed_decision_is_delivered_once_however_often_the_service_is_killed(
    account: Account, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store, output = tmp_path / "store.db", tmp_path / "output.txt"
    chance = random.Random(5)
    for _ in range(KILLS):
        process = start(account, store, 120, output)
        before, limit = decided(store), time.monotonic() + 60
        # Kill while there is work: some time after the first new decision of this start is on disk.
        while decided_or_zero(store) <= before and time.monotonic() < limit:
            assert process.poll() is None, output.read_text()
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 2.0))
        process.kill()
        process.wait()
    starts = output.read_text().count("/openapi.json")
    last = start(account, store, 1, output)
    while output.read_text().count("/openapi.json") == starts:
        assert last.poll() is None, output.read_text()
        time.sleep(0.1)
    settled = time.monotonic() + 60
    while time.monotonic() < settled and set(sent_decisions(store).values()) & {"pending", "sending"}:
        time.sleep(0.5)
    last.send_signal(signal.SIGTERM)
    assert last.wait(30) == 0, output.read_text()

    decisions, delivered = sent_decisions(store), deliveries(account)
    record_property("kills", KILLS)
    record_property("decisions", len(decisions))
    assert len(decisions) > KILLS
    assert set(decisions.values()) == {"delivered"}
    assert set(delivered) == set(decisions)
    assert set(delivered.values()) == {1}


def decided_or_zero(store: Path) -> int:
    """Count decisions while the service may still be making its tables."""
    try:
        return decided(store)
    except sqlite3.OperationalError:
        return 0
