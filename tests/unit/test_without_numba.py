"""The library without the optional extra ``fast``: it imports, and decides the same."""

from __future__ import annotations

import json
import subprocess
import sys

STREAM = """
import json, sys
if sys.argv[1] == "hidden":
    sys.modules["numba"] = None
import numpy as np
from geo_engine import Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.compiled import COMPILED
from geo_engine.model import VehicleKind, ZoneKind
from geo_engine.testing import box_zone, noon_ms, straight_drive
from geo_engine.zones.schedule import Schedule

soon = Schedule.parse("12:01-13:00", "Asia/Shanghai")
zones = [box_zone("a", schedule=soon), box_zone("b", west=114.305, east=114.32), box_zone("v", kind=ZoneKind.VENUE)]
engine = Engine(ZoneSet.of(zones), default_vehicle=Vehicle(u7=0, kind=VehicleKind.GOODS))
drives = [straight_drive(u7, pings=40, lon=114.28 + u7 * 0.005, speed_mps=12.0 + u7, noise_m=3.0) for u7 in range(4)]
pings = PingBatch.concat(drives)
said = []
def hear(step):
    happened = step.transitions
    metres = np.round(np.nan_to_num(happened.distance_m), 3)
    columns = (happened.time_ms, happened.u7, happened.zone, happened.kind, metres)
    said.append([[column.tolist() for column in columns], step.accepted, step.inside, step.next_deadline_ms])
    said.append([[alert.alert_id, alert.reason, alert.text] for alert in step.alerts])
for moment in np.unique(pings.time_ms):
    hear(engine.process(pings.take(pings.time_ms == moment), int(moment)))
    if moment == noon_ms + 100_000:
        edited = ZoneSet.of([*zones[1:], box_zone("0", west=114.29, east=114.30)], revision=2)
        for step in engine.publish(edited, int(moment)):
            hear(step)
hear(engine.process(PingBatch.empty(), noon_ms + 10**7))
fresh = Engine(engine.zones)
fresh.load(engine.snapshot())
print(json.dumps({"compiled": COMPILED, "users": fresh.positions()[0].tolist(), "said": said}))
"""


def decided(numba: str) -> dict:
    run = subprocess.run([sys.executable, "-c", STREAM, numba], capture_output=True, check=False, text=True)
    assert run.returncode == 0, run.stderr
    found: dict = json.loads(run.stdout)
    return found


def test_library_without_numba_decides_as_with_it() -> None:
    without, usual = decided("hidden"), decided("as it is")
    assert without.pop("compiled") is False
    usual.pop("compiled")
    assert without == usual
    assert sum(len(alerts) for alerts in without["said"][1::2]) > 4
