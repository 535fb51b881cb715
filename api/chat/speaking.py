"""Answers on their way: customer-service messages inside the windows a person opened, none of them told twice."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.alerting.reach import Channel, Dispatch, DispatchState, ReachLedger, Standing, Window
from geo_engine.store.messages import was_attempted
from geo_engine.wechat.channels import WINDOWS, messages_left
from geo_engine.wechat.client import CUSTOM_SEND, WeChatApi
from geo_engine.wechat.errcodes import Effect, errcode_rule
from geo_engine.wechat.sender import customer_body

__all__ = ["Attempted", "NotSpoken", "Speaker"]

_log: Final = logging.getLogger(__name__)
_TRIES: Final = 3


Attempted = Callable[[SendResult], None]


def _nobody(_result: SendResult) -> None:
    """Tell nobody."""


class NotSpoken(Exception):  # noqa: N818 - what to do: try again
    """The answer certainly did not leave and may leave later."""


class Speaker:
    """Sends answers through one account. Safe for many threads.

    Args:
        api: the account's calls.
        ledger: windows and attempts; an answer uses up a window as a warning does.
        clock: epoch milliseconds UTC.
    """

    def __init__(self, api: WeChatApi, ledger: ReachLedger, clock: Callable[[], int]) -> None:
        self._api, self._ledger, self._clock = api, ledger, clock

    def say(self, open_id: str, text: str, key: str, on_attempt: Attempted = _nobody) -> bool:
        """Send an answer; ``key`` names it, and an answer of a key leaves once. Return whether it reached WeChat.

        ``on_attempt`` is told of each attempt that WeChat saw, or may have, also of one of an earlier call.

        False: nobody may be answered (no window is open), or nobody knows what became of it.

        Raises:
            NotSpoken: it did not leave, and trying again may help.
            StoreError: the ledger is away; it did not leave.
        """
        message_id = "a" + hashlib.sha256(f"{open_id} {key}".encode()).hexdigest()[:31]
        earlier = self._ledger.dispatch(message_id)
        if earlier is not None and earlier.state is not DispatchState.NOT_TAKEN:
            on_attempt(_earlier(earlier))
            return earlier.state is DispatchState.TAKEN
        for _ in range(_TRIES):
            window = self._window(open_id)
            if window is None:
                _log.info("chat: an answer has no window and is dropped")
                return False
            dispatch = Dispatch(message_id, open_id, Channel.CUSTOMER_SERVICE, self._clock())
            if not self._ledger.begin(dispatch, window).ok:
                continue  # a warning took this place; look again
            result = self._send(open_id, text)
            if was_attempted(result):
                on_attempt(result)
            if not result.in_doubt and result.outcome is not Outcome.UNKNOWN:
                taken = result.outcome is Outcome.ACCEPTED
                self._ledger.settle(
                    message_id, DispatchState.TAKEN if taken else DispatchState.NOT_TAKEN, result.msg_id
                )
            if result.errcode and errcode_rule(result.errcode).effect is Effect.WINDOW_CLOSED:
                self._ledger.close_window(open_id, window)
                continue
            return self._came_to(result)
        return False

    def say_goodbye(self, open_id: str, text: str, on_attempt: Attempted = _nobody) -> None:
        """Send the last answer to somebody who was just erased: no ledger knows of it, and it is not repeated."""
        result = self._send(open_id, text)
        if was_attempted(result):
            on_attempt(result)
        if result.outcome is not Outcome.ACCEPTED:
            _log.warning("chat: the word that everything is erased did not arrive: %s", result.detail)

    def _send(self, open_id: str, text: str) -> SendResult:
        result = self._api.send_body(CUSTOM_SEND, customer_body(open_id, text))
        left = result.in_doubt or (result.errcode is not None and result.reached)
        return replace(result, channel=Channel.CUSTOMER_SERVICE) if left else result

    def _window(self, open_id: str) -> Window | None:
        reach, now_ms = self._ledger.reach(open_id), self._clock()
        if reach.standing is not Standing.OPEN:
            return None
        usable = [window for window in reach.windows if messages_left(window, now_ms)]
        return min(usable, key=lambda window: window.opened_ms + WINDOWS[window.trigger].lasts_ms, default=None)

    def _came_to(self, result: SendResult) -> bool:
        match result.outcome:
            case Outcome.ACCEPTED:
                return True
            case Outcome.RETRY if not result.in_doubt:
                raise NotSpoken(result.detail)
            case Outcome.STOP:
                raise NotSpoken(result.detail)
            case _:
                _log.warning("chat: an answer did not arrive, or nobody knows: %s", result.detail)
                return False


def _earlier(attempt: Dispatch) -> SendResult:
    """Return what is known of an attempt of an earlier call."""
    if attempt.state is DispatchState.TAKEN:
        taken = "taken by an earlier attempt"
        return SendResult(Outcome.ACCEPTED, 0, taken, attempt.msg_id, channel=attempt.channel)
    return SendResult(Outcome.UNKNOWN, detail="an earlier attempt has an unknown outcome", channel=attempt.channel)
