"""The cost of the callback: a thousand chats for two minutes, then as many positions as one core takes.

``python -m benchmarks.chat [--seconds 120] [--people 1000] [--events 40000] [--rounds 3] [--only chats|events]``

The service runs under uvicorn in a process of its own on core 0, with its store on a real disk; the load (sealed as
WeChat seals) and the fake WeChat server run on core 1. Results: ``results/chat.json`` and ``results/chat.svg``.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import urllib3
import uvloop

from benchmarks.bars import bar_chart
from benchmarks.chat_load import DEADLINE_S, Pushes, Told, Worked, chats, saturate
from benchmarks.harness import RESULTS, console, machine, write_json
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

_P99_MS: Final = 100.0
_BUDGET: Final = 0.5
_LINES: Final = 200
_WORDS: Final = ("附近", "限行", "我的提醒", "会场", "同伴", "菜单")
_PATHS: Final = {"callback": "/wechat", "empty": "/empty", "bare": "/bare"}
_TICKS_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and where it listens."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the seconds of processor it has used, all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_S


@contextmanager
def _serving(role: str, folder: Path, wechat: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.chat_child", role, f"sqlite:///{folder}/{role}.db", wechat, "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield Server(int(process.stdout.readline()), process.pid)


def _quantile_ms(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3, 2)


def _told(told: Told, server: Server, cpu_s: float, seconds: float, people: int) -> dict[str, Any]:
    ordered = sorted(told.latencies_s)
    return {
        "people": people,
        "seconds": seconds,
        "pushes": dict(sorted(told.kinds.items())),
        "callback_ms": {
            "p50": _quantile_ms(ordered, 0.5),
            "p99": _quantile_ms(ordered, 0.99),
            "p999": _quantile_ms(ordered, 0.999),
            "max": _quantile_ms(ordered, 1.0),
        },
        "deadline_s": DEADLINE_S,
        "deadlines_missed": told.missed,
        "not_taken": told.not_taken,
        "server_cpu_share": round((server.cpu_s() - cpu_s) / seconds, 3),
    }


def measure_chats(wechat: FakeServer, folder: Path, people: int, seconds: float) -> dict[str, Any]:
    """Let people chat with a whole service."""
    with _serving("engine", folder, wechat.url) as server:
        pushes = Pushes(FakeSettings().app_id, f"127.0.0.1:{server.port}")
        before_s = server.cpu_s()
        told = uvloop.run(chats(server.port, pushes, people, seconds, _WORDS, wechat.state.touch))
        found = _told(told, server, before_s, seconds, people)
        return found | {"messages_to_phones": len(wechat.state.deliveries())}


def measure_events(role: str, wechat: str, folder: Path, events: int, rounds: int) -> dict[str, Any]:
    """Saturate a server with LOCATION events, and in turns its two handlers that do nothing with the same requests."""
    worked: dict[str, list[tuple[Worked, float]]] = {name: [] for name in _PATHS}
    with _serving(role, folder, wechat) as server:
        pushes = Pushes(FakeSettings().app_id, f"127.0.0.1:{server.port}")
        # Each second of a person is another event; these are of the past, so that none is repeated.
        second = time.time_ns() // 10**9 - (rounds + 1) * len(_PATHS) * (events // 1_000 + 1)
        for turn in range(rounds + 1):
            for name, path in _PATHS.items():
                requests = [pushes.located(number % 1_000, second + number // 1_000, path) for number in range(events)]
                second += events // 1_000 + 1
                before_s = server.cpu_s()
                began_s = time.perf_counter()
                one = uvloop.run(saturate(server.port, requests, _LINES))
                if role == "engine":
                    # An engine is done when what it took is judged: an answer that only grows a queue is no rate.
                    _wait_until_judged(server)
                    one = replace(one, seconds=time.perf_counter() - began_s)
                if turn:  # the first round warms up
                    worked[name].append((one, server.cpu_s() - before_s))
    return {name: _events(found) for name, found in worked.items()}


def _wait_until_judged(server: Server) -> None:
    waiting = re.compile(rb'geo_engine_inbox\{state="waiting"\} ([0-9.e+]+)')
    while True:
        page = urllib3.request("GET", f"http://127.0.0.1:{server.port}/metrics").data
        found = waiting.search(page)
        if found is not None and float(found[1]) == 0.0:
            return
        time.sleep(0.02)


def _events(found: Sequence[tuple[Worked, float]]) -> dict[str, Any]:
    return {
        "events": found[0][0].answers,
        "rounds": len(found),
        "not_taken": sum(one.not_taken for one, _cpu in found),
        "per_second": {
            "min": round(min(one.per_second for one, _cpu in found)),
            "median": round(statistics.median(one.per_second for one, _cpu in found)),
            "max": round(max(one.per_second for one, _cpu in found)),
        },
        "cpu_us_per_event_median": round(statistics.median(cpu_s / one.answers for one, cpu_s in found) * 1e6, 1),
        "server_cpu_share_median": round(statistics.median(cpu_s / one.seconds for one, cpu_s in found), 2),
    }


def _verdict(found: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if "chats" in found:
        chat = found["chats"]
        said["p99_within_100_ms"] = chat["callback_ms"]["p99"] <= _P99_MS
        said["no_deadline_missed"] = chat["deadlines_missed"] == 0 and chat["not_taken"] == 0
    for role in ("door", "engine"):
        if role in found:
            rate = {name: found[role][name]["per_second"]["median"] for name in _PATHS}
            said[f"{role}_to_empty_route"] = round(rate["callback"] / rate["empty"], 3)
            said[f"{role}_to_bare_handler"] = round(rate["callback"] / rate["bare"], 3)
            # The strict reading too: a handler that does nothing and is reached past the router, as the callback is.
            for way in ("empty_route", "bare_handler"):
                said[f"{role}_keeps_the_budget_to_{way}"] = said[f"{role}_to_{way}"] >= _BUDGET
    return said


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["chats", "events"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {1})
    found: dict[str, Any] = {"machine": machine(), "cores": {"server": 0, "load": 1}}
    with tempfile.TemporaryDirectory() as folder, start_fake_wechat() as wechat:
        if asked.only != "events":
            found["chats"] = measure_chats(wechat, Path(folder), asked.people, asked.seconds)
            console.print(found["chats"])
        for role in () if asked.only == "chats" else ("door", "engine"):
            where = Path(folder) / role
            where.mkdir()
            found[role] = measure_events(role, wechat.url, where, asked.events, asked.rounds)
            console.print({role: found[role]})
    found["verdict"] = _verdict(found)
    console.print(found["verdict"])
    write_json(asked.results / "chat.json", found)
    if "door" in found:
        (asked.results / "chat.svg").write_text(_picture(found), encoding="utf-8")


def _picture(found: dict[str, Any]) -> str:
    rows = []
    names = {
        ("door", "bare"): "a handler past the router that does nothing",
        ("door", "empty"): "a route of the app that does nothing",
        ("door", "callback"): "the callback at a door: on disk",
        ("engine", "callback"): "the whole service: on disk and judged",
    }
    for (role, name), label in names.items():
        one = found[role][name]
        said = f"{one['per_second']['median']:,} /s · {one['cpu_us_per_event_median']:.0f} µs"
        rows.append((label, float(one["per_second"]["median"]), said))
    title = "LOCATION events per second on one core, sealed, over HTTP (more is better)"
    note = f"median of {found['door']['empty']['rounds']} rounds, {found['machine']['cpu']}; benchmarks/chat.py"
    return bar_chart(title, note, rows)


if __name__ == "__main__":
    main()
