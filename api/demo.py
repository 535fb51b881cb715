"""The demonstration beside the service: simulated trucks through the real door, and a ledger of lead times."""

from __future__ import annotations

import io
import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import urllib3

from geo_engine.alerting.message import Message
from geo_engine.engine import Decisions
from geo_engine.model import AlertReason, PingBatch, TransitionKind, ZoneKind
from geo_engine.simulate.traffic import Traffic
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Driver", "LeadTimes", "demo_open_id"]

_log: Final = logging.getLogger(__name__)
_ARROW: Final = "application/vnd.apache.arrow.stream"
_BEAT_S: Final = 1.0


def demo_open_id(u7: int) -> str:
    """Return an OpenID of the right form (28 characters) for the fake WeChat server."""
    return f"oSimulated{u7:018d}"


class Driver(threading.Thread):
    """Posts the pings of simulated traffic to the service once a second, as any other sender would."""

    def __init__(self, traffic: Traffic, url: str, clock: Callable[[], int]) -> None:
        """Prepare; ``start`` drives off."""
        super().__init__(name="driver", daemon=True)
        self._traffic = traffic
        self._url = url
        self._clock = clock
        self._stopping = threading.Event()
        self.pings = 0
        self.rejected: Counter[str] = Counter()
        self.errors = 0

    def stop(self) -> None:
        """Stop driving and wait for the last answer."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Post until stopped."""
        since_ms = self._clock()
        with urllib3.PoolManager(timeout=10.0, retries=False) as pool:
            while not self._stopping.wait(_BEAT_S):
                until_ms = self._clock()
                self._post(pool, self._traffic.pings_between(since_ms, until_ms))
                since_ms = until_ms

    def _post(self, pool: urllib3.PoolManager, batch: PingBatch) -> None:
        if not len(batch):
            return
        try:
            answer = pool.request("POST", self._url, body=_arrow(batch), headers={"Content-Type": _ARROW})
        except urllib3.exceptions.HTTPError as error:
            self.errors += 1
            _log.warning("posting %d pings failed: %s", len(batch), error)
            return
        if answer.status != 200:
            self.errors += 1
            _log.warning("posting %d pings was answered with %d", len(batch), answer.status)
            return
        counts = answer.json()
        self.pings += counts["accepted"]
        self.rejected.update(counts["rejected"])


def _arrow(batch: PingBatch) -> bytes:
    names = {"time_ms": "time"}
    columns = {names.get(name, name): getattr(batch, name) for name in PingBatch.__slots__}
    table = pa.table(columns)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@dataclass(frozen=True, slots=True)
class _Told:
    kind: ZoneKind
    delivered_ms: int


class LeadTimes:
    """Compares when a warning reached the phone with when the driver reached the border.

    Attributes:
        delivered: warnings the channel took, by kind of zone.
        leads_s: seconds from the phone to the border, of warnings ahead whose driver has entered since.
        late: warnings ahead that reached the phone after the border.
        inside: warnings to drivers who were inside when the rule first concerned them.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        """Start an empty ledger."""
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[tuple[int, str], _Told] = {}
        self._arrived_ms: dict[tuple[int, str], int] = {}
        self.delivered: Counter[ZoneKind] = Counter()
        self.leads_s: dict[ZoneKind, list[float]] = {kind: [] for kind in ZoneKind}
        self.late: Counter[ZoneKind] = Counter()
        self.inside: Counter[ZoneKind] = Counter()

    def delivered_now(self, message: Message) -> None:
        """Note a warning that the channel took."""
        alert = message.alert
        with self._lock:
            self.delivered[alert.kind] += 1
            key = (alert.u7, alert.zone_id)
            if alert.trigger is not AlertReason.APPROACH:
                self.inside[alert.kind] += 1
            elif self._arrived_ms.get(key, -1) >= alert.time_ms:
                self.late[alert.kind] += 1
            else:
                self._told[key] = _Told(alert.kind, self._clock())

    def moved(self, decisions: Decisions, zones: ZoneSet) -> None:
        """Note who entered, and how long before that he was told."""
        found = decisions.transitions
        with self._lock:
            for row, kind in enumerate(found.kinds()):
                if kind not in (TransitionKind.ENTER, TransitionKind.CROSS):
                    continue
                key = (int(found.u7[row]), zones.zones[int(found.zone[row])].zone_id)
                self._arrived_ms[key] = int(found.time_ms[row])
                told = self._told.pop(key, None)
                if told is None:
                    continue
                lead_s = (int(found.time_ms[row]) - told.delivered_ms) / 1000.0
                if lead_s > 0.0:
                    self.leads_s[told.kind].append(lead_s)
                else:
                    self.late[told.kind] += 1
