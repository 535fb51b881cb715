"""How a person can be reached through the account: what a channel and a store both need to know of it.

Values and two ports, no rules: which channel may carry what is decided in ``geo_engine.wechat.channels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = [
    "Begun",
    "Channel",
    "Dispatch",
    "DispatchState",
    "Grant",
    "Reach",
    "ReachLedger",
    "SharedToken",
    "Standing",
    "TokenShelf",
    "Trigger",
    "Window",
]


class Channel(StrEnum):
    """The ways a message can take, the cheapest first."""

    CUSTOMER_SERVICE = "customer_service"
    """An answer in the conversation: free, but only for a while after the person did something."""
    ONE_TIME = "one_time"
    """A subscription notification the person accepted once."""
    LONG_TERM = "long_term"
    """A subscription notification the person accepted for good."""
    TEMPLATE = "template"
    """A template message: goes to every follower, on a daily quota."""


class Trigger(StrEnum):
    """What a person did that opens a window for customer-service messages."""

    MESSAGE = "message"
    CLICK = "click"
    FOLLOW = "follow"
    SCAN = "scan"


class Standing(StrEnum):
    """Whether a person may be written to at all."""

    OPEN = "open"
    GONE = "gone"
    """They do not follow the account; their data is to be deleted."""
    UNWANTED = "unwanted"
    """They do not want messages (blacklist, reception switched off, blocked)."""
    WRONG_ID = "wrong_id"
    """The channel does not know this OpenID."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window for customer-service messages.

    Attributes:
        trigger: what opened it.
        opened_ms: when, by the channel's clock; a later trigger of the same kind replaces it.
        used: messages sent in it.
    """

    trigger: Trigger
    opened_ms: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person accepted of one subscription template.

    Attributes:
        template_id: the template.
        left: messages it still allows, None = accepted for good.
        at_ms: when they last said something about it.
    """

    template_id: str
    left: int | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What is known of one person; nothing known = they can be written to.

    Attributes:
        standing: whether they may be written to at all.
        calm_until_ms: until then only the gravest, because the channel found us too frequent.
        windows: the last one of each trigger.
        grants: one per template they said something about.
        standing_ms: when their standing was said, 0 = nothing was.
    """

    standing: Standing = Standing.OPEN
    calm_until_ms: int = 0
    windows: tuple[Window, ...] = ()
    grants: tuple[Grant, ...] = ()
    standing_ms: int = 0


class DispatchState(StrEnum):
    """What is known of the last attempt to send a message."""

    UNDER_WAY = "under_way"
    """It is leaving, or nobody knows what became of it."""
    NOT_TAKEN = "not_taken"
    """It certainly did not leave."""
    TAKEN = "taken"
    """The channel took it."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The last attempt of one message: written before it leaves, so that a crash does not tell a person twice.

    Attributes:
        client_msg_id: the message.
        open_id: the person.
        channel: the way it takes.
        at_ms: when it was written.
        template_id: the template, empty for a customer-service message.
        state: what became of it.
        msg_id: the channel's number once it was taken.
    """

    client_msg_id: str
    open_id: str
    channel: Channel
    at_ms: int
    template_id: str = ""
    state: DispatchState = DispatchState.UNDER_WAY
    msg_id: str | None = None

    def may_be_followed_by(self, other: Dispatch) -> bool:
        """Say whether ``other`` may leave after this attempt without telling the person twice.

        Only template messages carry a dedupe key: one of unknown outcome may be repeated as it was, any other not.
        """
        same = (self.channel, self.template_id) == (other.channel, other.template_id)
        repeats = same and self.channel is Channel.TEMPLATE
        return self.state is DispatchState.NOT_TAKEN or (self.state is DispatchState.UNDER_WAY and repeats)


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer of ``ReachLedger.begin``.

    Attributes:
        ok: the message may leave now.
        earlier: the attempt that forbids it; None with ``ok`` False = the window or grant changed, choose again.
    """

    ok: bool
    earlier: Dispatch | None = None


@dataclass(frozen=True, slots=True)
class SharedToken:
    """The access token as all processes see it.

    Attributes:
        value: the token, empty = none yet. It is in no repr.
        renew_at_ms: from then on it must be asked for anew.
        version: grows with every change; whoever changes it names the one they saw.
        lease_until_ms: somebody is renewing it until then.
        forced_at_ms: when the channel was last made to give a new one, None = never.
    """

    value: str = ""
    renew_at_ms: int = 0
    version: int = 0
    lease_until_ms: int = 0
    forced_at_ms: int | None = None

    def __repr__(self) -> str:
        """Leave the token out, so that it cannot slip into a log."""
        return f"SharedToken(version={self.version}, renew_at_ms={self.renew_at_ms})"


class TokenShelf(Protocol):
    """Where the processes of one account keep their common access token. Raises ``StoreError`` when it is away."""

    def shared_token(self, account: str) -> SharedToken:
        """Return the token of an account; version 0 when there was none yet."""
        ...

    def swap_token(self, account: str, token: SharedToken, *, seen: int) -> bool:
        """Write ``token`` if the version is still ``seen``; say whether it was written. Compare-and-swap."""
        ...


class ReachLedger(Protocol):
    """The memory of windows, grants, standings and attempts, by OpenID.

    Every writing method is one transaction and may be called from any thread and process. What is older than what is
    known already, or the same again, changes nothing: pushes come twice and out of order. Raises ``StoreError`` when
    the store is away.
    """

    def reach(self, open_id: str) -> Reach:
        """Return what is known of a person: windows by trigger, grants by template."""
        ...

    def set_standing(self, open_id: str, standing: Standing, at_ms: int) -> None:
        """Note whether a person may be written to; what was said last (by ``at_ms``, then by writing) counts."""
        ...

    def calm(self, open_id: str, until_ms: int) -> None:
        """Write to a person only what is gravest until a moment; never shortens what was set before."""
        ...

    def open_window(self, open_id: str, trigger: Trigger, at_ms: int) -> None:
        """Open a window anew, unless it was opened at ``at_ms`` or later already."""
        ...

    def close_window(self, open_id: str, window: Window) -> None:
        """Forget a window the channel calls closed or used up, unless it was opened anew since."""
        ...

    def accept(self, open_id: str, template_id: str, at_ms: int, *, for_good: bool = False) -> None:
        """Note that a person accepted a template: one message more, or for good.

        Of two acceptances with the same ``at_ms`` one counts, and none that is older than the last word: a grant too
        few costs a free message, a grant too many a refusal of the channel.
        """
        ...

    def refuse(self, open_id: str, template_id: str, at_ms: int) -> None:
        """Note that a grant is used up or withdrawn, unless something was said of it after ``at_ms``."""
        ...

    def begin(self, dispatch: Dispatch, spends: Window | Grant | None) -> Begun:
        """Note an attempt that leaves now and take its message out of ``spends``, which must be as it was seen."""
        ...

    def settle(self, client_msg_id: str, state: DispatchState, msg_id: str | None = None) -> None:
        """Note what became of the attempt under way; NOT_TAKEN gives back what it took out of a window or grant."""
        ...

    def dispatch(self, client_msg_id: str) -> Dispatch | None:
        """Return the last attempt of a message, None when there was none."""
        ...

    def drop_dispatches(self, before_ms: int) -> int:
        """Erase attempts written before a moment, and return how many there were: the retention.

        A message whose attempt is erased may leave once more, so the moment must be older than any message that waits.
        """
        ...

    def forget_reach(self, open_id: str) -> None:
        """Erase everything about a person: part of erasing the person."""
        ...
