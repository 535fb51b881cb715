"""``geo-engine run`` as a stranger starts it: a process, real HTTP, the fake WeChat server, signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

pytestmark = [pytest.mark.network]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "api", "run"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.slow
def test_city_runs_warns_drivers_before_the_border_and_ends_clean(tmp_path: Path) -> None:
    done = run("--store", f"sqlite:///{tmp_path / 'store.db'}", "--port", "0", "--for", "40", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    # Nothing but what is said about the kernels at the start.
    said = [line for line in done.stderr.splitlines() if " INFO api.bootstrap: " not in line]
    assert said == []
    assert "kernels ready after" in done.stderr
    assert re.search(r"^u7 \d{7} · .+ · \d+ m ahead, [NSEW]{1,2} · \d+ s · sent$", done.stdout, re.MULTILINE)
    told = re.search(
        r"truck_restriction: delivered (\d+).* ahead: (\d+) entered after .*lead time min ([\d.]+) s", done.stdout
    )
    assert told is not None, done.stdout
    assert int(told[1]) > 0
    assert int(told[2]) > 0
    assert float(told[3]) > 0.0
    assert "errors: 0" in done.stdout


def test_term_signal_drains_and_ends_with_zero(tmp_path: Path) -> None:
    command = [*COMMAND, "--store", str(tmp_path / "store.db"), "--port", "0", "--users", "20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        url = re.search(r"http://\S+", greeting)
        assert url is not None, greeting
        assert urllib3.request("GET", f"{url[0]}/readyz", timeout=5.0).json()["ready"] is True
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert "errors: 0" in rest


def test_messages_page_shows_what_a_driver_received(tmp_path: Path) -> None:
    command = [*COMMAND, "--store", str(tmp_path / "store.db"), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        page = ""
        for line in process.stdout:
            page = page or next(iter(re.findall(r"received: (http://\S+)", line)), "")
            if line.endswith("· sent\n"):
                break
        assert "货车" in urllib3.request("GET", page, timeout=5.0).data.decode()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0


def test_faulty_zone_file_is_named_and_ends_with_three(tmp_path: Path) -> None:
    bad = tmp_path / "bad.geojson"
    bad.write_text('{"type": "FeatureCollection", "features": [{"type": "Feature", "id": "x", "geometry": null}]}')
    done = run("--zones", str(bad), "--store", "memory:", "--port", "0", "--for", "1")
    assert done.returncode == 3
    assert "bad.geojson" in done.stderr
    assert "expected" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_setting_is_named_and_ends_with_three() -> None:
    done = run("--for", "1", GEO_ENGINE_LOOKAHEAD_S="-5")
    assert done.returncode == 3
    assert "GEO_ENGINE_LOOKAHEAD_S" in done.stderr


def test_taken_port_is_said_and_ends_with_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("--store", str(tmp_path / "s.db"), "--port", port, "--for", "1")
    assert done.returncode == 1
    assert port in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("store", ["postgresql://localhost/x", "sqlite://", "/"])
def test_store_that_cannot_be_opened_is_said_and_ends_with_one(store: str) -> None:
    done = run("--store", store, "--port", "0", "--for", "1")
    assert done.returncode == 1
    assert "cannot run" in done.stderr
    assert "Traceback" not in done.stderr


def test_second_service_on_one_store_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    store = str(tmp_path / "store.db")
    command = [*COMMAND, "--store", store, "--port", "0", "--users", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = run("--store", store, "--port", "0", "--for", "1")
        first.send_signal(signal.SIGTERM)
        first.stdout.read()
        assert first.wait(20) == 0
    assert second.returncode == 1
    assert f"in use by process {first.pid}" in second.stderr
    assert run("--store", store, "--port", "0", "--users", "0", "--for", "0").returncode == 0


def test_store_in_a_folder_that_is_missing_is_not_made_by_a_typing_error(tmp_path: Path) -> None:
    done = run("--store", str(tmp_path / "mistyped" / "store.db"), "--port", "0", "--for", "1")
    assert done.returncode == 1
    assert "mistyped" in done.stderr
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--users", "-3"], "--users"), (["--for", "-5"], "--for"), (["--port", "99999"], "--port")],
)
def test_impossible_option_is_named_and_ends_with_two(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
