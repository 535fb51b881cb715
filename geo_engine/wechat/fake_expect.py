"""What a test asserts about the phones: sent to this person, in this time, so many times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from geo_engine.wechat.fake_model import Delivery

__all__ = ["Expected", "wait_for"]

_LOOK_S: Final = 0.02
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected to have reached a phone.

    Attributes:
        open_id: whose phone.
        contains: a piece of the text, ``""`` = any message.
        times: how often it was shown; None = at least once.
        channel: how it came, ``""`` = in any way.
        from_ms, until_ms: between these moments (the first included), epoch milliseconds of the account.
    """

    open_id: str
    contains: str = ""
    times: int | None = 1
    channel: str = ""
    from_ms: int = 0
    until_ms: int | None = None

    def found(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return the messages that fit."""
        return [one for one in deliveries if self._fits(one)]

    def is_met(self, deliveries: Sequence[Delivery]) -> bool:
        """Say whether they are as many as expected."""
        count = len(self.found(deliveries))
        return count >= 1 if self.times is None else count == self.times

    def problem(self, deliveries: Sequence[Delivery]) -> str:
        """Return what was found and expected, with what else reached the phone; empty = all is well."""
        if self.is_met(deliveries):
            return ""
        theirs = [one for one in deliveries if one.open_id == self.open_id]
        often = "at least once" if self.times is None else f"{self.times} times"
        lines = [f"{one.time_ms} {one.channel}: {' · '.join(one.data.values())}" for one in theirs[-_SHOWN:]]
        return (
            f"{self.open_id}: found {len(self.found(deliveries))} messages with {self.contains!r}"
            f"{f' by {self.channel}' if self.channel else ''}, expected it {often}; the phone shows "
            + ("\n  ".join([f"{len(theirs)} messages, the last:", *lines]) if theirs else "nothing")
        )

    def _fits(self, delivery: Delivery) -> bool:
        return (
            delivery.open_id == self.open_id
            and self.contains in "\n".join(delivery.data.values())
            and self.channel in {"", delivery.channel}
            and self.from_ms <= delivery.time_ms
            and (self.until_ms is None or delivery.time_ms < self.until_ms)
        )


def wait_for(expected: Expected, deliveries: Callable[[], Sequence[Delivery]], wait_s: float) -> str:
    """Return the problem there is after at most ``wait_s`` real seconds, as soon as there is none.

    With ``times=0``, and to be sure that nothing comes twice, the whole time is waited for.
    """
    deadline = time.monotonic() + wait_s
    early = expected.times is None or expected.times > 0
    while time.monotonic() < deadline:
        if early and expected.is_met(deliveries()):
            break
        time.sleep(_LOOK_S)
    return expected.problem(deliveries())
