"""The handler of the chat: each message or event of a person becomes its effects, and its answer where it wants one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from api.chat.inviting import Inviter
from api.chat.noting import NOBODY, PASSIVE, Notes, key_of, said
from api.chat.ports import Persons
from api.chat.speaking import NotSpoken, Speaker
from api.chat.words import greeting_to
from api.people import People
from api.workers.inbound import NothingKept
from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.alerting.reach import Standing, Trigger
from geo_engine.errors import StoreError
from geo_engine.geodesy.datum import to_wgs84
from geo_engine.meetings.service import MeetingDesk, NearNotice
from geo_engine.people.erasure import ErasureReason
from geo_engine.people.identity import is_open_id
from geo_engine.people.keywords import WishAct, wish_of
from geo_engine.store.messages import NewMessage, OutKind
from geo_engine.store.protocol import Store
from geo_engine.wechat.conversation import Clicked, Conversation, Heard, Located, Scanned, Texted
from geo_engine.wechat.conversation.phrases import notice_text
from geo_engine.wechat.errcodes import receipt_standing
from geo_engine.wechat.inbound import (
    AuthorizationEvent,
    FollowEvent,
    Inbound,
    Kind,
    LinkMessage,
    LocationMessage,
    MediaMessage,
    MenuEvent,
    ScanCodeEvent,
    ScanEvent,
    SubscriptionEvent,
    TemplateResult,
    TextMessage,
    UnfollowEvent,
)

__all__ = ["ChatHandler", "ChatParts", "heard_in"]

_log: Final = logging.getLogger(__name__)
_WINDOW_OF: Final = {
    **dict.fromkeys(
        (Kind.TEXT, Kind.IMAGE, Kind.VOICE, Kind.VIDEO, Kind.SHORTVIDEO, Kind.LINK, Kind.LOCATION), Trigger.MESSAGE
    ),
    **dict.fromkeys((Kind.CLICK, Kind.SCANCODE_PUSH, Kind.SCANCODE_WAITMSG), Trigger.CLICK),
    Kind.SUBSCRIBE: Trigger.FOLLOW,
    Kind.SCAN: Trigger.SCAN,
}
_UNFOLLOWS: Final = frozenset({Kind.UNSUBSCRIBE})
_LEAVING: Final = frozenset({Kind.UNSUBSCRIBE, Kind.AUTHORIZATION_CANCELLATION, Kind.AUTHORIZATION_REVOKE})
_CONFIRMED: Final = Texted("确认删除")
_MOST_UNSENT: Final = 10_000
_MOST_LEFT: Final = 10_000


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What the handler is joined from.

    Attributes:
        store: the journal, the ledger and the receipts.
        people: the door to people.
        persons: who they are.
        desk: meetings.
        conversation: answers.
        speaker: sends answers.
        clock: the time of day, epoch milliseconds UTC.
        bind_link: where people bind a vehicle, None = there is no page.
        long_term: templates that are accepted for good.
        inviter: has QR codes made, None = there are none.
    """

    store: Store
    people: People
    persons: Persons
    desk: MeetingDesk
    conversation: Conversation
    speaker: Speaker
    clock: Callable[[], int]
    bind_link: str | None = None
    long_term: frozenset[str] = frozenset()
    inviter: Inviter | None = None


@dataclass(frozen=True, slots=True)
class _Unsent:
    """An answer: its text, whether it is the last word to somebody erased, and whether its words may be kept."""

    text: str
    goodbye: bool = False
    private: bool = False


class ChatHandler:
    """An ``InboundHandler`` for everything but positions. Safe for many threads.

    The conversation takes one message at a time; calls to WeChat are made outside of it, so a slow one holds up
    its person only. An answer that could not leave is kept until the message is tried again: what it was about is done
    and is not done twice.
    """

    def __init__(self, parts: ChatParts) -> None:
        """Join the parts."""
        self._parts = parts
        self._lock = threading.Lock()
        self._unsent: dict[str, _Unsent] = {}
        self._left: dict[str, int] = {}

    def handle(self, message: Inbound, now_ms: int) -> None:  # noqa: ARG002 - windows and dialogues go by the time of day
        """Handle a message; see ``InboundHandler.handle``. What came of it goes into the history of messages."""
        notes, handled = Notes(self._parts.store, message), False
        try:
            parting = self._handle(message, notes)
            handled = True
        except NothingKept:
            handled = True
            notes.count(self._parts.clock())
            raise
        finally:
            if not handled:
                notes.try_write(self._parts.clock())
        if parting:
            # Whoever is gone must not come back because a line is missing.
            notes.try_write(self._parts.clock())
        else:
            notes.write(self._parts.clock())
        self._unsent.pop(message.key, None)

    def _handle(self, message: Inbound, notes: Notes) -> bool:
        """Handle a message; return whether it was the last of somebody who was erased.

        Raises:
            NothingKept: nothing of it is to be kept.
        """
        if self._is_from_before_they_left(message):
            raise NothingKept
        match message:
            case UnfollowEvent():
                self._leaves(message, ErasureReason.UNSUBSCRIBED)
            case AuthorizationEvent():
                self._authorization(message)
            case SubscriptionEvent():
                self._subscription(message)
            case TemplateResult():
                self._receipt(message)
            case _ if is_open_id(message.openid):
                return self._answers(message, notes)
            case _:
                raise NothingKept
        return False

    def greeting(self, message: Inbound) -> str | None:
        """Return what whoever follows is told in the answer to the push itself, which costs no window; else None.

        It may be asked before the push is handled, and once more for each repeat of it.

        Raises:
            StoreError: the store is away.
        """
        return greeting_to(message, self._parts.store, self._parts.bind_link)

    def warned(self, u7: int, zone_id: str) -> None:
        """Note that a person was just warned about a zone: "do not warn me here again" is then about it."""
        try:
            with self._lock:
                self._parts.conversation.warned(u7, zone_id, self._parts.clock())
        except StoreError as error:
            _log.warning("chat: a warning is not known to the dialogue: %s", error)

    def gone(self, open_id: str) -> None:
        """Erase somebody of whom WeChat says that they do not follow any more."""
        try:
            self._erase(open_id, ErasureReason.UNSUBSCRIBED)
        except StoreError as error:
            _log.error("chat: somebody who left could not be erased yet, their next push or send will: %s", error)

    def forgotten(self, u7: int) -> None:
        """Forget somebody whom a page, or another process, erased: what stands in memory of them."""
        self._parts.desk.forget(u7)
        with self._lock:
            self._parts.conversation.forget(u7)

    def notify(self, notices: Iterable[NearNotice]) -> None:
        """Tell members of a meeting that the venue or a companion is near; who has no window open is not told."""
        noted: list[NewMessage] = []
        for notice in notices:
            try:
                self._notify(notice, noted)
            except (NotSpoken, StoreError) as error:
                _log.warning("chat: somebody could not be told that something is near: %s", error)
        try:
            self._parts.store.messages.note(noted)
        except StoreError as error:
            _log.warning("chat: notices are not in the history: %s", error)

    def _notify(self, notice: NearNotice, noted: list[NewMessage]) -> None:
        parts, other = self._parts, notice.other
        open_id = parts.persons.open_id(notice.u7)
        if open_id is None:
            return
        text = notice_text(notice, parts.persons.language(notice.u7))
        key = f"near {notice.meeting.meeting_id} {'venue' if other is None else other.u7}"

        def attempted(result: SendResult) -> None:
            why = f"near in a meeting: {'the venue' if other is None else 'a companion'}"
            kept = said(
                notice.u7,
                text,
                result,
                key=f"{open_id} {key}",
                why=why,
                now_ms=parts.clock(),
                private=other is not None,
                kind=OutKind.NOTICE,
            )
            noted.append(kept)

        parts.speaker.say(open_id, text, key, attempted)

    # ---- answers

    def _answers(self, message: Inbound, notes: Notes) -> bool:
        store, key = self._parts.store, message.key
        if isinstance(message, FollowEvent):
            store.set_standing(message.openid, Standing.OPEN, message.time_s * 1000)
        trigger = _WINDOW_OF.get(message.kind)
        if trigger is None:
            self._known(message)
            return False
        unsent = self._unsent.get(key)
        u7 = None
        if unsent is None:
            # Also of an erased person whose message is handled once more: whoever writes, follows.
            u7 = self._parts.people.follow(message.openid)
            store.open_window(message.openid, trigger, message.time_s * 1000)
            self._note_greeting(u7, message, notes)
            unsent = self._answer(u7, message)
        if unsent is None:
            return False
        with self._lock:
            self._unsent[key] = unsent
            if len(self._unsent) > _MOST_UNSENT:  # those of messages that were set aside
                del self._unsent[next(iter(self._unsent))]
        if u7 is None:
            u7 = store.u7_of(message.openid)
        text, goodbye, private = unsent.text, unsent.goodbye, unsent.private

        def attempted(result: SendResult) -> None:
            kept = said(
                NOBODY if u7 is None or goodbye else u7,
                text,
                result,
                key=f"{message.openid} {key}",
                why=f"answer to {message.kind.value}",
                now_ms=self._parts.clock(),
                private=private,
                kind=OutKind.ANSWER,
                cause=key_of(message),
            )
            notes.add(kept)

        if goodbye:
            self._parts.speaker.say_goodbye(message.openid, text, attempted)
        else:
            self._parts.speaker.say(message.openid, text, key, attempted)
        return goodbye

    def _note_greeting(self, u7: int, message: Inbound, notes: Notes) -> None:
        """Note what the answer to the push itself said; a repeat of the push said the same."""
        text = self.greeting(message)
        if text is None:
            return
        kept = said(
            u7,
            text,
            SendResult(Outcome.ACCEPTED),
            key=f"{message.openid} {message.key} greeting",
            why=f"answer to {message.kind.value}",
            now_ms=self._parts.clock(),
            private=False,
            kind=OutKind.ANSWER,
            cause=key_of(message),
        )
        notes.add(replace(kept, channel=PASSIVE))

    def _answer(self, u7: int, message: Inbound) -> _Unsent | None:
        """Return what is answered; None = nothing."""
        parts, now_ms = self._parts, self._parts.clock()
        heard = heard_in(message)
        if heard is None:
            return None
        with self._lock:
            answer = parts.conversation.answer(u7, heard, now_ms)
        if answer.failed:
            _log.warning("chat: a message could not be answered: %s", answer.failed)
        self.notify(answer.notices)
        text = answer.text
        if parts.inviter is not None:
            text = parts.inviter.completed(answer, parts.persons.language(u7))
        return _Unsent(text, parts.store.u7_of(message.openid) is None, answer.private)

    # ---- leaving

    def _leaves(self, message: Inbound, reason: ErasureReason) -> None:
        """Erase who leaves, unless they came back since: then this is the late word of an earlier time.

        Raises:
            NothingKept: they left.
        """
        left_ms, reach = message.time_s * 1000, self._parts.store.reach(message.openid)
        back = [one.opened_ms for one in reach.windows if one.trigger is Trigger.FOLLOW or message.kind in _UNFOLLOWS]
        # The window may be used up and forgotten; that they follow stands for longer.
        back += [reach.standing_ms] if reach.standing is Standing.OPEN else []
        if any(moment_ms > left_ms for moment_ms in back):
            return
        with self._lock:
            self._left.pop(message.openid, None)
            self._left[message.openid] = left_ms
            if len(self._left) > _MOST_LEFT:
                del self._left[next(iter(self._left))]
        self._erase(message.openid, reason)
        raise NothingKept

    def _is_from_before_they_left(self, message: Inbound) -> bool:
        """Say whether a push that comes late tells of a time that was erased: it must not bring the person back.

        Remembered in memory, for as many as left last; WeChat's own repeats come within seconds.
        """
        left_ms = self._left.get(message.openid)
        if left_ms is None or message.kind in _LEAVING:
            return False
        said_ms = message.time_s * 1000
        return said_ms < left_ms or (said_ms == left_ms and not isinstance(message, FollowEvent))

    def _erase(self, open_id: str, reason: ErasureReason) -> None:
        parts = self._parts
        u7 = parts.store.u7_of(open_id)
        if u7 is None:
            parts.store.forget_reach(open_id)
            return
        parts.people.erase(u7, reason)
        self.forgotten(u7)

    def _known(self, message: Inbound) -> None:
        """Return when we know whose push it is; of a stranger nothing is kept, nor how to reach them.

        Raises:
            NothingKept: a stranger's.
        """
        if self._parts.store.u7_of(message.openid) is None:
            self._parts.store.forget_reach(message.openid)
            raise NothingKept

    def _authorization(self, message: AuthorizationEvent) -> None:
        if message.kind is Kind.AUTHORIZATION_CANCELLATION:
            self._leaves(message, ErasureReason.CANCELLED)
        elif message.kind is Kind.AUTHORIZATION_REVOKE and message.revokes_location:
            self._leaves(message, ErasureReason.LOCATION_REVOKED)
        else:
            self._known(message)

    # ---- receipts and grants

    def _receipt(self, message: TemplateResult) -> None:
        store = self._parts.store
        store.receipt(message.msg_id, message.status, message.time_s * 1000)
        self._known(message)
        standing = receipt_standing(message.status)
        if standing is not None:
            store.set_standing(message.openid, standing, message.time_s * 1000)

    def _subscription(self, message: SubscriptionEvent) -> None:
        store, at_ms = self._parts.store, message.time_s * 1000
        self._known(message)
        for item in message.items:
            if message.kind is Kind.SUBSCRIPTION_RESULT:
                if item.msg_id is not None:
                    store.receipt(item.msg_id, item.status, at_ms)
            elif item.status != "accept":
                store.refuse(message.openid, item.template_id, at_ms)
            elif message.kind is Kind.SUBSCRIPTION:
                for_good = item.template_id in self._parts.long_term
                store.accept(message.openid, item.template_id, at_ms, for_good=for_good)


def heard_in(message: Inbound) -> Heard | None:
    """Return what a push says to the conversation, None when it says nothing that is answered by it.

    A picture or another thing nobody can read is an empty text, which the conversation answers with its help.
    """
    match message:
        case TextMessage() | MediaMessage() | LinkMessage():
            return _texted(message)
        case LocationMessage():
            lon, lat = to_wgs84([message.lon], [message.lat], message.datum)
            return Located(float(lon[0]), float(lat[0]), message.label)
        case MenuEvent() if message.kind is Kind.CLICK:
            return Clicked(message.menu_key)
        case ScanCodeEvent() | ScanEvent() | FollowEvent():
            return _scanned(message)
        case _:
            return None


def _texted(message: TextMessage | MediaMessage | LinkMessage) -> Texted:
    if isinstance(message, LinkMessage):
        return Texted("")
    text = message.text if isinstance(message, TextMessage) else message.recognition
    wish = wish_of(text)
    return _CONFIRMED if wish is not None and wish.act is WishAct.CONFIRM_ERASURE else Texted(text)


def _scanned(message: ScanCodeEvent | ScanEvent | FollowEvent) -> Scanned | None:
    """Return the scene; of who follows without one, and of a code the person's own phone opened, nothing."""
    if isinstance(message, ScanCodeEvent):
        return Scanned(message.scan_result) if message.kind is Kind.SCANCODE_WAITMSG else None
    if isinstance(message, FollowEvent):
        return Scanned(message.scene) if message.scene else None
    return Scanned(message.scene or "")
