"""Public test tools: a clock that is moved by hand, a sink that records, tracks with known truth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import shapely

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.geodesy.measure import destination
from geo_engine.model import Alert, AlertReason, PingBatch, ZoneKind
from geo_engine.zones.rule import EVERYONE, AppliesTo
from geo_engine.zones.schedule import ALWAYS, Schedule
from geo_engine.zones.zone import Zone

__all__ = ["ManualClock", "RecordingSender", "an_alert", "box_zone", "noon_ms", "straight_drive"]

noon_ms = 1_792_382_400_000
"""2026-10-19T04:00:00Z, a Monday: noon in Wuhan."""


class ManualClock:
    """A clock that stands still until it is advanced. Calling it gives epoch milliseconds UTC."""

    def __init__(self, now_ms: int = noon_ms) -> None:
        """Start at ``now_ms``."""
        self.now_ms = now_ms

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms

    def advance(self, seconds: float) -> int:
        """Move on and return the new time."""
        self.now_ms += round(seconds * 1000)
        return self.now_ms


class RecordingSender:
    """A channel that keeps what it is given. Safe for several threads.

    Args:
        answer: makes the answer to a message; by default every message is accepted.
    """

    def __init__(self, answer: Callable[[Message], SendResult] | None = None) -> None:
        self._answer = answer or (lambda message: SendResult(Outcome.ACCEPTED, msg_id=message.client_msg_id))
        self._lock = threading.Lock()
        self.messages: list[Message] = []

    def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
        """Record ``message`` and answer, unless it must not leave."""
        why = why_not()
        if why:
            return SendResult(Outcome.RETRY, detail=f"not sent: {why}")
        with self._lock:
            self.messages.append(message)
        return self._answer(message)


def an_alert(**changes: object) -> Alert:
    """Return a decision to warn about a bridge 420 m ahead, with the given fields changed."""
    alert = Alert(
        alert_id="0" * 32,
        u7=1234,
        time_ms=noon_ms,
        zone_id="erqiao",
        zone_name="长江二桥货车禁行",
        kind=ZoneKind.TRUCK_RESTRICTION,
        visit_ms=noon_ms,
        send=True,
        reason=AlertReason.APPROACH,
        trigger=AlertReason.APPROACH,
        lon=114.3,
        lat=30.6,
        distance_m=420.0,
        bearing_deg=45.0,
        compass="NE",
        eta_s=27.0,
        may_apply=False,
        text="东北方向420米，长江二桥货车禁行",
        revision=1,
        expires_at_ms=noon_ms + 90_000,
    )
    return replace(alert, **changes)  # type: ignore[arg-type]  # a field of another type is the caller's test


def box_zone(
    zone_id: str,
    *,
    west: float = 114.30,
    east: float = 114.31,
    kind: ZoneKind = ZoneKind.TRUCK_RESTRICTION,
    applies_to: AppliesTo = EVERYONE,
    schedule: Schedule = ALWAYS,
) -> Zone:
    """Return a zone from ``west`` to ``east`` between 30.59 and 30.61 degrees north."""
    shape = shapely.box(west, 30.59, east, 30.61)
    return Zone(zone_id, kind, f"zone {zone_id}", shape, applies_to=applies_to, schedule=schedule)


def straight_drive(  # noqa: PLR0913 - a test names what it varies, all else has a default
    u7: int,
    *,
    pings: int,
    lon: float = 114.28,
    lat: float = 30.6,
    bearing_deg: float = 90.0,
    speed_mps: float = 15.0,
    start_ms: int = noon_ms,
    every_s: float = 5.0,
    noise_m: float = 0.0,
    seed: int = 0,
) -> PingBatch:
    """Return the pings of a straight drive at constant speed, with optional white noise. WGS-84."""
    seconds = np.arange(pings) * every_s
    east, north = destination(
        np.full(pings, lon), np.full(pings, lat), np.full(pings, bearing_deg), seconds * speed_mps
    )
    if noise_m:
        rng = np.random.Generator(np.random.PCG64(seed))
        direction, reach = rng.uniform(0.0, 360.0, pings), np.abs(rng.normal(0.0, noise_m, pings))
        east, north = destination(east, north, direction, reach)
    return PingBatch.from_columns(np.full(pings, u7), start_ms + seconds * 1000, east, north)
