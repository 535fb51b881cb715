"""Which way a message may take to a person: windows, grants and quota as pure rules, the cheapest way first.

Windows (Tencent, customer-service messages): 5 messages in 48 h after a message of the person, 3 in one minute after a
click on a menu, a follow, or a scanned code. Where a person opened several, this counts each for itself and uses up
the shortest first; Tencent does not say whether they add up, and the channel's own answer (45015, 45047) corrects it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from geo_engine.alerting.policy import Grade
from geo_engine.alerting.reach import Channel, Grant, Reach, Standing, Trigger, Window
from geo_engine.wechat.template import Template

__all__ = [
    "WINDOWS",
    "Account",
    "Choice",
    "Means",
    "NoChannel",
    "WhyNot",
    "WindowRule",
    "choose",
    "messages_left",
    "trigger_of",
]

_WINDOW_MARGIN_MS: Final = 6_000
"""A window that ends sooner is not used: the call itself may take 5 s."""


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How many messages a trigger allows, and for how long."""

    messages: int
    lasts_ms: int


WINDOWS: Final[dict[Trigger, WindowRule]] = {
    Trigger.MESSAGE: WindowRule(5, 48 * 3_600_000),
    Trigger.CLICK: WindowRule(3, 60_000),
    Trigger.FOLLOW: WindowRule(3, 60_000),
    Trigger.SCAN: WindowRule(3, 60_000),
}

_MESSAGES: Final = frozenset({"text", "image", "voice", "video", "shortvideo", "location", "link"})
_EVENTS: Final = {
    "CLICK": Trigger.CLICK,
    "scancode_push": Trigger.CLICK,
    "scancode_waitmsg": Trigger.CLICK,
    "subscribe": Trigger.FOLLOW,
    "SCAN": Trigger.SCAN,
}


def trigger_of(msg_type: str, event: str = "") -> Trigger | None:
    """Return the window a push opens, None for one that opens none: LOCATION, VIEW, a receipt, anything unknown."""
    if msg_type == "event":
        return _EVENTS.get(event)
    return Trigger.MESSAGE if msg_type in _MESSAGES else None


def messages_left(window: Window, now_ms: int) -> int:
    """Return how many customer-service messages ``window`` still allows at ``now_ms``."""
    rule = WINDOWS[window.trigger]
    is_open = now_ms + _WINDOW_MARGIN_MS < window.opened_ms + rule.lasts_ms
    return max(rule.messages - window.used, 0) if is_open else 0


class WhyNot(StrEnum):
    """Why there is no way to a person."""

    GONE = "gone"
    UNWANTED = "unwanted"
    WRONG_ID = "wrong_id"
    EXPIRED = "expired"
    TOO_FREQUENT = "too_frequent"
    """The channel asked us to be calm, and this is not grave enough."""
    QUOTA = "quota"
    """What is left of the day's calls is kept for graver messages."""
    CLOSED = "closed"
    """The way there is closed for now."""
    NO_WAY = "no_way"
    """No window, no grant, and no template."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the account can send with.

    Attributes:
        template: the approved template message, None = none.
        one_time: subscription templates that are accepted once per message, in the order of preference.
        long_term: those accepted for good.
        customer_service: it may send customer-service messages.
        reserve: calls of a channel's day that only the gravest get.
        page: address a card opens, empty = none.
    """

    template: Template | None = None
    one_time: tuple[Template, ...] = ()
    long_term: tuple[Template, ...] = ()
    customer_service: bool = True
    reserve: int = 0
    page: str = ""


@dataclass(frozen=True, slots=True)
class Means:
    """What the channels allow at the moment.

    Attributes:
        closed_until_ms: channels that take nothing until then.
        left: calls left today per channel; one that is missing is not known and counts as enough.
    """

    closed_until_ms: Mapping[Channel, int] = field(default_factory=dict)
    left: Mapping[Channel, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """The way a message takes.

    Attributes:
        channel: the way.
        template: what it is written with, None for a customer-service message.
        spends: the window or grant it uses, None for a template message.
    """

    channel: Channel
    template: Template | None = None
    spends: Window | Grant | None = None


@dataclass(frozen=True, slots=True)
class NoChannel:
    """There is no way; ``again_ms`` is when one may open, None = not before something happens."""

    why: WhyNot
    again_ms: int | None = None


_REFUSED: Final = {
    Standing.GONE: WhyNot.GONE,
    Standing.UNWANTED: WhyNot.UNWANTED,
    Standing.WRONG_ID: WhyNot.WRONG_ID,
}


def choose(
    reach: Reach, account: Account, means: Means, *, grade: Grade, expires_at_ms: int, now_ms: int
) -> Choice | NoChannel:
    """Return the cheapest way that is open, or why there is none.

    Args:
        reach: what is known of the person.
        account: what the account can send with.
        means: what the channels allow at the moment.
        grade: how grave the message is.
        expires_at_ms: when it becomes pointless.
        now_ms: epoch milliseconds.
    """
    grave = grade <= Grade.RESTRICTION
    barred = _barred(reach, grave, expires_at_ms, now_ms)
    if barred is not None:
        return barred
    ways = _ways(reach, account, now_ms)
    open_ways = [way for way in ways if means.closed_until_ms.get(way.channel, 0) <= now_ms]
    kept = 0 if grave else account.reserve
    for way in open_ways:
        if means.left.get(way.channel, kept + 1) > kept:
            return way
    if not ways:
        return NoChannel(WhyNot.NO_WAY)
    if open_ways:
        return NoChannel(WhyNot.QUOTA)
    return NoChannel(WhyNot.CLOSED, min(means.closed_until_ms[way.channel] for way in ways))


def _barred(reach: Reach, grave: bool, expires_at_ms: int, now_ms: int) -> NoChannel | None:
    """Return why no channel at all may carry the message."""
    if reach.standing in _REFUSED:
        return NoChannel(_REFUSED[reach.standing])
    if now_ms >= expires_at_ms:
        return NoChannel(WhyNot.EXPIRED)
    if now_ms < reach.calm_until_ms and not grave:
        return NoChannel(WhyNot.TOO_FREQUENT, reach.calm_until_ms)
    return None


def _ways(reach: Reach, account: Account, now_ms: int) -> list[Choice]:
    """Return every way the person left open, the cheapest first."""
    ways: list[Choice] = []
    if account.customer_service:
        ways += [Choice(Channel.CUSTOMER_SERVICE, None, window) for window in _usable(reach, now_ms)]
    grants = {grant.template_id: grant for grant in reach.grants if grant.left != 0}
    for channel, templates in ((Channel.ONE_TIME, account.one_time), (Channel.LONG_TERM, account.long_term)):
        for template in templates:
            if template.template_id in grants:
                ways.append(Choice(channel, template, grants[template.template_id]))
    if account.template is not None:
        ways.append(Choice(Channel.TEMPLATE, account.template))
    return ways


def _usable(reach: Reach, now_ms: int) -> list[Window]:
    """Return the windows with messages left, the one that ends first in front."""
    found = [window for window in reach.windows if messages_left(window, now_ms)]
    return sorted(found, key=lambda window: window.opened_ms + WINDOWS[window.trigger].lasts_ms)
