"""What the engine is told besides pings, as records of the journal: a replay must tell it the same in the same order.

What somebody drove before stands in the record as well. The store knows only what holds now; to replay from a snapshot
on, the engine must first be told what held then, and that is the "before" of the first record about each person.
"""

from __future__ import annotations

import msgspec
import numpy as np

from geo_engine.alerting.policy import QuietHours
from geo_engine.engine import Engine
from geo_engine.model import Mute, Vehicle

__all__ = [
    "Forgotten",
    "HistoryKept",
    "KeptQuiet",
    "Muted",
    "Told",
    "Unmuted",
    "VehicleTold",
    "Wish",
    "WishesTold",
    "decode",
    "encode",
    "wish",
]


class VehicleTold(msgspec.Struct, frozen=True, tag="vehicle"):
    """What somebody drives and agreed to, and what was known before."""

    vehicle: Vehicle
    before: Vehicle


class Forgotten(msgspec.Struct, frozen=True, tag="forget"):
    """Somebody is forgotten; what was known of them goes with this record at the next snapshot."""

    before: Vehicle


class HistoryKept(msgspec.Struct, frozen=True, tag="history"):
    """Somebody's history is kept from now on, or no more."""

    u7: int
    granted: bool


class Muted(msgspec.Struct, frozen=True, tag="mute"):
    """Somebody wants to hear no more of a zone."""

    mute: Mute


class Unmuted(msgspec.Struct, frozen=True, tag="unmute"):
    """Somebody wants to hear of a zone again."""

    u7: int
    zone_id: str


class KeptQuiet(msgspec.Struct, frozen=True, tag="quiet"):
    """Somebody's own quiet hours, None = those of the policy."""

    u7: int
    hours: QuietHours | None


class WishesTold(msgspec.Struct, frozen=True, tag="wishes"):
    """All somebody wants to hear, in the place of what was known."""

    u7: int
    mutes: tuple[Mute, ...]
    hours: QuietHours | None


Wish = Muted | Unmuted | KeptQuiet | WishesTold
Told = VehicleTold | Forgotten | HistoryKept | Wish

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Told] = msgspec.msgpack.Decoder(Told)


def encode(told: Told) -> bytes:
    """Return it as bytes."""
    return _encoder.encode(told)


def decode(payload: bytes) -> Told:
    """Return what ``encode`` was given.

    Raises:
        ValueError: it is nothing this version knows.
    """
    return _decoder.decode(payload)


def wish(engine: Engine, told: Wish) -> None:
    """Tell the engine what somebody wants to hear."""
    if isinstance(told, Muted):
        engine.mute(told.mute.u7, told.mute.zone_id, told.mute.until_ms)
    elif isinstance(told, Unmuted):
        engine.unmute(told.u7, told.zone_id)
    elif isinstance(told, WishesTold):
        engine.wishes.forget(np.array([told.u7]))
        for mute in told.mutes:
            engine.mute(mute.u7, mute.zone_id, mute.until_ms)
        engine.keep_quiet(told.u7, told.hours)
    else:
        engine.keep_quiet(told.u7, told.hours)
