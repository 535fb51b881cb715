"""What each errcode of WeChat means for a message, its person and its channel: one table, no branches.

Sources: Tencent's API pages and the code lists of two client libraries. A code that is not listed was answered by
WeChat, so the message was not taken; it is refused rather than repeated blindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from geo_engine.alerting.message import Outcome
from geo_engine.alerting.reach import Standing

__all__ = [
    "ERRCODES",
    "TOKEN_ERRCODES",
    "Effect",
    "ErrcodeRule",
    "errcode_rule",
    "http_status_outcome",
    "receipt_standing",
]


class Effect(StrEnum):
    """What an errcode changes beside the message itself."""

    NONE = "none"
    WRONG_ID = "wrong_id"
    """The OpenID is set aside."""
    GONE = "gone"
    """The person is marked as not following, and the deletion of their data begins."""
    UNWANTED = "unwanted"
    """Nothing is pushed to the person any more."""
    GRANT_SPENT = "grant_spent"
    """The ledger's grant becomes 0; the message may take another way."""
    WINDOW_CLOSED = "window_closed"
    """The ledger's windows of the person are forgotten; the message may take another way."""
    CALM = "calm"
    """For hours only the gravest is sent to the person."""
    WITHOUT_PAGE = "without_page"
    """The message is sent once more without its page."""
    CHANNEL_CLOSED = "channel_closed"
    """The channel rests; the message may take another way."""


@dataclass(frozen=True, slots=True)
class ErrcodeRule:
    """The reaction to one errcode.

    Attributes:
        outcome: what becomes of the message at its first attempt, when no other way is left.
        meaning: one line for the operator.
        retry_after_s: RETRY: seconds to wait, None = the relay's own back-off. STOP: seconds after which the block
            may have ended by itself, None = only an operator can end it.
        later: what becomes of it at a later attempt, None = the same.
        effect: what it changes beside the message.
        alarm: an operator must hear of it.
    """

    outcome: Outcome
    meaning: str
    retry_after_s: float | None = None
    later: Outcome | None = None
    effect: Effect = Effect.NONE
    alarm: bool = False


TOKEN_ERRCODES: Final = frozenset({40001, 40014, 42001})
"""The token is bad or expired: it is renewed once and the call repeated once before the rule below counts."""

_TOKEN = ErrcodeRule(
    Outcome.STOP, "token refused although it was just renewed; is the account used elsewhere?", alarm=True
)
_ADDRESS = ErrcodeRule(
    Outcome.STOP, "this server's IP address is not on the account's list (errmsg names it)", alarm=True
)
_ACCOUNT = ErrcodeRule(Outcome.STOP, "app id or secret wrong or frozen", alarm=True)
_FORBIDDEN = ErrcodeRule(
    Outcome.STOP, "the account may not use this interface", effect=Effect.CHANNEL_CLOSED, alarm=True
)
_CONTENT = ErrcodeRule(Outcome.REFUSED, "content blocked by WeChat, to be reviewed", alarm=True)
_UNWANTED = ErrcodeRule(
    Outcome.REFUSED, "the user does not want messages; stop pushing to them", effect=Effect.UNWANTED
)
_WINDOW = ErrcodeRule(Outcome.REFUSED, "the reply window is closed or used up", effect=Effect.WINDOW_CLOSED)

ERRCODES: Final[dict[int, ErrcodeRule]] = {
    -1: ErrcodeRule(Outcome.RETRY, "WeChat is busy"),
    40001: _TOKEN,
    40014: _TOKEN,
    42001: _TOKEN,
    40164: _ADDRESS,
    89501: _ADDRESS,
    89503: _ADDRESS,
    89506: _ADDRESS,
    89507: _ADDRESS,
    40125: _ACCOUNT,
    40013: _ACCOUNT,
    40243: _ACCOUNT,
    40003: ErrcodeRule(Outcome.REFUSED, "the OpenID is wrong or of another account", effect=Effect.WRONG_ID),
    # Also seen for some minutes without cause, so the first one is not yet the operator's problem.
    40037: ErrcodeRule(
        Outcome.RETRY,
        "template id unknown to the account",
        retry_after_s=60.0,
        later=Outcome.STOP,
        effect=Effect.CHANNEL_CLOSED,
        alarm=True,
    ),
    47003: ErrcodeRule(
        Outcome.REFUSED, "a field breaks its rule (errmsg names it): a bug of the formatter", alarm=True
    ),
    40249: _CONTENT,
    45168: _CONTENT,
    41030: ErrcodeRule(
        Outcome.REFUSED, "the page path of the message is wrong", effect=Effect.WITHOUT_PAGE, alarm=True
    ),
    43004: ErrcodeRule(
        Outcome.REFUSED, "the user does not follow the account; their data is to be deleted", effect=Effect.GONE
    ),
    43019: _UNWANTED,
    48002: _UNWANTED,
    43101: ErrcodeRule(Outcome.REFUSED, "the user refused or the grant is spent", effect=Effect.GRANT_SPENT),
    43108: ErrcodeRule(Outcome.RETRY, "another message to this user is under way", retry_after_s=2.0),
    43117: ErrcodeRule(Outcome.REFUSED, "too many messages to this user; cool down for hours", effect=Effect.CALM),
    # The quota returns at midnight, and the code was also seen far below it: ask again now and then.
    45009: ErrcodeRule(
        Outcome.STOP, "daily quota used up", retry_after_s=600.0, effect=Effect.CHANNEL_CLOSED, alarm=True
    ),
    45011: ErrcodeRule(Outcome.RETRY, "too many calls this minute", retry_after_s=60.0, effect=Effect.CHANNEL_CLOSED),
    45015: _WINDOW,
    45047: _WINDOW,
    48001: _FORBIDDEN,
    48004: _FORBIDDEN,
    50002: _FORBIDDEN,
}
"""errcode -> reaction. Token codes appear here with what follows when renewing did not help."""

_UNLISTED: Final = ErrcodeRule(Outcome.REFUSED, "errcode not known to this version", alarm=True)


def errcode_rule(errcode: int) -> ErrcodeRule:
    """Return the reaction to ``errcode``."""
    return ERRCODES.get(errcode, _UNLISTED)


def http_status_outcome(status: int) -> Outcome:
    """Return the outcome of an answer with an HTTP error status, which WeChat itself never gives.

    A gateway or a wrong address answered in its place. 504 and 408 say that the request went on and its answer did
    not come back; other 5xx and 429 that it was turned away; any other 4xx that the address is wrong.
    """
    if status in {408, 504}:
        return Outcome.UNKNOWN
    if status >= 500 or status == 429:
        return Outcome.RETRY
    return Outcome.STOP


def receipt_standing(status: str) -> Standing | None:
    """Return what a receipt's status says of the person: ``failed:user block`` = they want no messages."""
    return Standing.UNWANTED if "user block" in status.lower() else None
