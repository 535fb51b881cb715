"""What each errcode of WeChat means for an outbox message: one table, no branches.

Sources: Tencent's API pages and the code lists of two client libraries. A code that is not listed was answered by
WeChat, so the message was not taken; it is refused rather than repeated blindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from geo_engine.alerting.message import Outcome

__all__ = ["ERRCODES", "TOKEN_ERRCODES", "ErrcodeRule", "errcode_rule", "http_status_outcome"]


@dataclass(frozen=True, slots=True)
class ErrcodeRule:
    """The reaction to one errcode.

    Attributes:
        outcome: what becomes of the message at its first attempt.
        meaning: one line for the operator.
        retry_after_s: RETRY: seconds to wait, None = the relay's own back-off. STOP: seconds after which the block
            may have ended by itself, None = only an operator can end it.
        later: what becomes of it at a later attempt, None = the same.
    """

    outcome: Outcome
    meaning: str
    retry_after_s: float | None = None
    later: Outcome | None = None


TOKEN_ERRCODES: Final = frozenset({40001, 40014, 42001})
"""The token is bad or expired: it is renewed once and the call repeated once before the rule below counts."""

_TOKEN = ErrcodeRule(Outcome.STOP, "token refused although it was just renewed; is the account used elsewhere?")
_ADDRESS = ErrcodeRule(Outcome.STOP, "this server's IP address is not on the account's list (errmsg names it)")
_ACCOUNT = ErrcodeRule(Outcome.STOP, "app id or secret wrong or frozen")
_FORBIDDEN = ErrcodeRule(Outcome.STOP, "the account may not use this interface")
_CONTENT = ErrcodeRule(Outcome.REFUSED, "content blocked by WeChat, to be reviewed")
_UNWANTED = ErrcodeRule(Outcome.REFUSED, "the user does not want messages; stop pushing to them")
_WINDOW = ErrcodeRule(Outcome.REFUSED, "the reply window is closed or used up")

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
    40003: ErrcodeRule(Outcome.REFUSED, "the OpenID is wrong or of another account"),
    # Also seen for some minutes without cause, so the first one is not yet the operator's problem.
    40037: ErrcodeRule(Outcome.RETRY, "template id unknown to the account", retry_after_s=60.0, later=Outcome.STOP),
    47003: ErrcodeRule(Outcome.REFUSED, "a field breaks its rule (errmsg names it): a bug of the formatter"),
    40249: _CONTENT,
    45168: _CONTENT,
    41030: ErrcodeRule(Outcome.REFUSED, "the page path of the message is wrong"),
    43004: ErrcodeRule(Outcome.REFUSED, "the user does not follow the account; their data is to be deleted"),
    43019: _UNWANTED,
    48002: _UNWANTED,
    43101: ErrcodeRule(Outcome.REFUSED, "the user refused or the grant is spent"),
    43108: ErrcodeRule(Outcome.RETRY, "another message to this user is under way", retry_after_s=2.0),
    43117: ErrcodeRule(Outcome.REFUSED, "too many messages to this user; cool down for hours"),
    # The quota returns at midnight, and the code was also seen far below it: ask again now and then.
    45009: ErrcodeRule(Outcome.STOP, "daily quota used up", retry_after_s=600.0),
    45011: ErrcodeRule(Outcome.RETRY, "too many calls this minute", retry_after_s=60.0),
    45015: _WINDOW,
    45047: _WINDOW,
    48001: _FORBIDDEN,
    48004: _FORBIDDEN,
    50002: _FORBIDDEN,
}
"""errcode -> reaction. Token codes appear here with what follows when renewing did not help."""

_UNLISTED: Final = ErrcodeRule(Outcome.REFUSED, "errcode not known to this version")


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
