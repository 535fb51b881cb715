"""The sender that chooses: each message takes the cheapest way its person left open, and nobody is told twice."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, assert_never

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.policy import grade_of
from geo_engine.alerting.reach import (
    Begun,
    Channel,
    Dispatch,
    DispatchState,
    Grant,
    Reach,
    ReachLedger,
    Standing,
)
from geo_engine.errors import StoreError
from geo_engine.model import Severity
from geo_engine.wechat.channels import Account, Choice, Means, NoChannel, WhyNot, choose
from geo_engine.wechat.client import (
    CUSTOM_SEND,
    SUBSCRIBE_SEND,
    TEMPLATE_SEND,
    Quota,
    WeChatApi,
    subscription_body,
    template_body,
)
from geo_engine.wechat.errcodes import Effect, errcode_rule

__all__ = ["MAX_TEXT_BYTES", "ChannelSender", "customer_body"]

MAX_TEXT_BYTES: Final = 2_048
"""Longest text of a customer-service message in UTF-8; more is 45002."""

_log: Final = logging.getLogger(__name__)
_PATHS: Final = {
    Channel.CUSTOMER_SERVICE: CUSTOM_SEND,
    Channel.ONE_TIME: SUBSCRIBE_SEND,
    Channel.LONG_TERM: SUBSCRIBE_SEND,
    Channel.TEMPLATE: TEMPLATE_SEND,
}
_MOST_TRIES: Final = 6
"""Ways tried for one message in one attempt: every errcode that opens the next closes one, so few are ever needed."""
_CALM_MS: Final = 4 * 3_600_000
_CLOSED_MS: Final = 3_600_000
_CLOCK_SKEW_MS: Final = 10_000
"""Our clock may be ahead of WeChat's; a follow just after a refusal must win over it."""
_DAY_MS: Final = 86_400_000
_BEIJING_MS: Final = 8 * 3_600_000
_FALLS_BACK: Final = frozenset({Effect.GRANT_SPENT, Effect.WINDOW_CLOSED, Effect.CHANNEL_CLOSED})
_STANDINGS: Final = {
    Effect.GONE: Standing.GONE,
    Effect.UNWANTED: Standing.UNWANTED,
    Effect.WRONG_ID: Standing.WRONG_ID,
}


def customer_body(open_id: str, text: str) -> dict[str, object]:
    """Return the body of a customer-service message, the text cut to what WeChat takes between two characters."""
    cut = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
    return {"touser": open_id, "msgtype": "text", "text": {"content": cut}}


class ChannelSender:
    """A ``MessageSender`` over all channels of one account. Safe for many threads and several processes.

    Messages to one person never overlap in this process; between processes the outbox sees to it. Before a message
    leaves, its way is noted in the ledger. After an attempt of unknown outcome a template message is repeated as it
    was (WeChat drops the repeat by its ``client_msg_id``); any other way knows no such key and is never repeated.

    Cost: two to three transactions of the ledger and one request.

    Args:
        api: the account's calls.
        ledger: what is known of people.
        account: what the account can send with.
        clock: epoch milliseconds.
        on_gone: told of an OpenID that no longer follows: its data is to be deleted.
        on_alarm: told of a result an operator must hear of.
    """

    def __init__(
        self,
        api: WeChatApi,
        ledger: ReachLedger,
        account: Account,
        clock: Callable[[], int],
        *,
        on_gone: Callable[[str], None] = lambda _open_id: None,
        on_alarm: Callable[[SendResult], None] = lambda _result: None,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._page = account.page
        self._on_gone = on_gone
        self._on_alarm = on_alarm
        self._turns = _Turns()
        self._lock = threading.Lock()
        self._closed_until_ms: dict[Channel, int] = {}
        self._left: dict[Channel, int] = {}
        self._left_day = 0
        self._counted: Counter[str] = Counter()

    def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
        """Try to send ``message`` once by the cheapest way; never raises for what WeChat answers."""
        with self._turns.of(message.open_id):
            try:
                return self._send(message, why_not)
            except StoreError as error:
                # Before anything left: what fails afterwards is caught where it happens.
                return SendResult(Outcome.RETRY, detail=f"not sent: {error}")

    def counts(self) -> dict[str, int]:
        """Return ``sent.<channel>``, ``errcode.<number>`` and ``no_way.<why>``, those that happened."""
        with self._lock:
            return dict(sorted(self._counted.items()))

    def closed(self) -> dict[Channel, int]:
        """Return the channels that take nothing for now, and until when."""
        now_ms = self._clock()
        with self._lock:
            return {channel: until_ms for channel, until_ms in self._closed_until_ms.items() if until_ms > now_ms}

    def learn_quota(self) -> dict[Channel, Quota]:
        """Ask WeChat what is left of the day's calls; what it does not say counts as enough. For a timer."""
        answers = {path: self._api.quota(path) for path in dict.fromkeys(_PATHS[channel] for channel in self._own())}
        found: dict[Channel, Quota] = {}
        for channel in self._own():
            answer = answers[_PATHS[channel]]
            if isinstance(answer, Quota):
                found[channel] = answer
        with self._lock:
            self._left = {channel: quota.left for channel, quota in found.items()}
            self._left_day = _day(self._clock())
        return found

    def _own(self) -> list[Channel]:
        """Return the channels the account has."""
        account = self._account
        has = {
            Channel.CUSTOMER_SERVICE: account.customer_service,
            Channel.ONE_TIME: bool(account.one_time),
            Channel.LONG_TERM: bool(account.long_term),
            Channel.TEMPLATE: account.template is not None,
        }
        return [channel for channel in Channel if has[channel]]

    def _send(self, message: Message, why_not: Callable[[], str]) -> SendResult:
        earlier = self._ledger.dispatch(message.client_msg_id) if message.attempts else None
        last: SendResult | None = None
        for _ in range(_MOST_TRIES):
            now_ms = self._clock()
            reach = self._ledger.reach(message.open_id)
            choice = self._choose(message, reach, earlier, now_ms)
            if isinstance(choice, SendResult):
                return choice
            if isinstance(choice, NoChannel):
                return self._no_way(choice, last, now_ms)
            begun = self._begin(message, choice, now_ms)
            earlier = begun.earlier
            if not begun.ok:
                continue
            result = self._call(choice, message, why_not)
            if _left(result):
                result = replace(result, channel=choice.channel)
            self._settle(message, choice, result)
            last = result
            if not self._react(message, choice, reach, result):
                return result
        return last or SendResult(Outcome.RETRY, detail="not sent: its way was taken by others every time")

    def _choose(
        self, message: Message, reach: Reach, earlier: Dispatch | None, now_ms: int
    ) -> Choice | NoChannel | SendResult:
        """Return the way of this attempt; an earlier one of unknown outcome leaves no choice."""
        if earlier is not None and earlier.state is DispatchState.TAKEN:
            taken = "taken by an earlier attempt"
            return SendResult(Outcome.ACCEPTED, errcode=0, detail=taken, msg_id=earlier.msg_id, channel=earlier.channel)
        account = self._account
        if earlier is not None and earlier.state is DispatchState.UNDER_WAY:
            template = account.template
            same = template is not None and template.template_id == earlier.template_id
            if earlier.channel is not Channel.TEMPLATE or not same:
                detail = f"an attempt by {earlier.channel} has an unknown outcome; it is not repeated"
                way = earlier.channel
                return SendResult(Outcome.UNKNOWN, detail=detail, in_doubt=True, repeatable=False, channel=way)
            account = Account(template=template, customer_service=False)
        grade = grade_of(message.alert.kind, Severity.NORMAL)
        expires_at_ms = message.alert.expires_at_ms
        return choose(reach, account, self._means(now_ms), grade=grade, expires_at_ms=expires_at_ms, now_ms=now_ms)

    def _means(self, now_ms: int) -> Means:
        with self._lock:
            # A new day has a new quota, whatever was left of the last.
            left = dict(self._left) if self._left_day == _day(now_ms) else {}
            return Means(dict(self._closed_until_ms), left)

    def _begin(self, message: Message, choice: Choice, now_ms: int) -> Begun:
        template_id = "" if choice.template is None else choice.template.template_id
        dispatch = Dispatch(message.client_msg_id, message.open_id, choice.channel, now_ms, template_id)
        return self._ledger.begin(dispatch, choice.spends)

    def _call(self, choice: Choice, message: Message, why_not: Callable[[], str]) -> SendResult:
        page = self._page
        path, attempts = _PATHS[choice.channel], message.attempts
        body = _body(choice, message, page)
        result = self._api.send_body(path, body, attempts=attempts, why_not=why_not)
        if page and result.errcode is not None and errcode_rule(result.errcode).effect is Effect.WITHOUT_PAGE:
            self._count(f"errcode.{result.errcode}")
            self._alarm(result)
            self._page = ""
            result = self._api.send_body(path, _body(choice, message, ""), attempts=attempts, why_not=why_not)
        return result

    def _settle(self, message: Message, choice: Choice, result: SendResult) -> None:
        """Note what became of the attempt; an outcome in doubt stays under way."""
        taken = result.outcome is Outcome.ACCEPTED
        if taken:
            self._count(f"sent.{choice.channel.value}")
            with self._lock:
                if choice.channel in self._left:
                    self._left[choice.channel] -= 1
        # A template message that was taken may be repeated harmlessly, so it needs no further write.
        if result.in_doubt or (taken and choice.channel is Channel.TEMPLATE):
            return
        state = DispatchState.TAKEN if taken else DispatchState.NOT_TAKEN
        self._noting(lambda: self._ledger.settle(message.client_msg_id, state, result.msg_id))

    def _react(self, message: Message, choice: Choice, reach: Reach, result: SendResult) -> bool:
        """Change what the errcode says is to be changed; return whether the message may take another way now."""
        if not result.errcode:
            return False
        rule = errcode_rule(result.errcode)
        # A quota of the token's own call says nothing about the channel.
        effect = rule.effect if result.reached else Effect.NONE
        self._count(f"errcode.{result.errcode}")
        if rule.alarm:
            self._alarm(result)
        self._noting(lambda: self._apply(effect, message.open_id, choice, reach))
        if effect is Effect.CHANNEL_CLOSED:
            self._close(choice.channel, result)
        if effect is Effect.GONE:
            self._on_gone(message.open_id)
        return effect in _FALLS_BACK

    def _apply(self, effect: Effect, open_id: str, choice: Choice, reach: Reach) -> None:
        now_ms = self._clock()
        if effect in _STANDINGS:
            self._ledger.set_standing(open_id, _STANDINGS[effect], now_ms - _CLOCK_SKEW_MS)
        elif effect is Effect.CALM:
            self._ledger.calm(open_id, now_ms + _CALM_MS)
        elif effect is Effect.GRANT_SPENT and isinstance(choice.spends, Grant):
            self._ledger.refuse(open_id, choice.spends.template_id, choice.spends.at_ms)
        elif effect is Effect.WINDOW_CLOSED:
            for window in reach.windows:
                self._ledger.close_window(open_id, window)

    def _close(self, channel: Channel, result: SendResult) -> None:
        rest_ms = _CLOSED_MS if result.retry_after_s is None else round(result.retry_after_s * 1_000)
        with self._lock:
            until_ms = max(self._closed_until_ms.get(channel, 0), self._clock() + rest_ms)
            self._closed_until_ms[channel] = until_ms

    def _no_way(self, found: NoChannel, last: SendResult | None, now_ms: int) -> SendResult:
        """Return what having no way means, in the words of the errcode that closed the last one if there was one."""
        self._count(f"no_way.{found.why.value}")
        detail = f"no way: {found.why.value}" if last is None else last.detail
        errcode, way = (None, None) if last is None else (last.errcode, last.channel)
        match found.why:
            case WhyNot.CLOSED:
                wait_s = None if found.again_ms is None else max(found.again_ms - now_ms, 0) / 1_000
                return SendResult(Outcome.RETRY, errcode, detail, retry_after_s=wait_s, channel=way)
            case WhyNot.EXPIRED:
                return SendResult(Outcome.RETRY, errcode, f"not sent: {detail}", channel=way)
            case WhyNot.GONE | WhyNot.UNWANTED | WhyNot.WRONG_ID | WhyNot.TOO_FREQUENT | WhyNot.QUOTA | WhyNot.NO_WAY:
                return SendResult(Outcome.REFUSED, errcode, detail, channel=way)
            case _:
                assert_never(found.why)

    def _noting(self, write: Callable[[], None]) -> None:
        """Write what is known after a call; the answer of the channel counts even when the store is away."""
        try:
            write()
        except StoreError as error:
            self._count("not_noted")
            _log.error("wechat: what became of a message could not be noted: %s", error)

    def _alarm(self, result: SendResult) -> None:
        _log.error("wechat: %s", result.detail)
        self._on_alarm(result)

    def _count(self, name: str) -> None:
        with self._lock:
            self._counted[name] += 1


def _left(result: SendResult) -> bool:
    """Say whether a call got to the channel, or may have."""
    answered = result.errcode is not None and result.reached
    return answered or result.in_doubt or result.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)


def _body(choice: Choice, message: Message, page: str) -> dict[str, object]:
    if choice.template is None:
        return customer_body(message.open_id, message.alert.text)
    if choice.channel is Channel.TEMPLATE:
        return template_body(message, choice.template) | ({"url": page} if page else {})
    return subscription_body(message, choice.template) | ({"page": page} if page else {})


def _day(now_ms: int) -> int:
    """Return the number of the Beijing day, on which WeChat counts."""
    return (now_ms + _BEIJING_MS) // _DAY_MS


class _Turns:
    """One at a time per key; a key nobody waits for costs nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, waiting = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._locks[key]
                if waiting == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = (lock, waiting - 1)
