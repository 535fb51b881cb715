"""The chat of an account, joined from store, engine and channel."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from api.chat.handler import ChatHandler, ChatParts
from api.chat.inviting import Inviter
from api.chat.my_data import MyData
from api.chat.ports import Agreements, Around, LastSeen, MutedZones, Persons, QuietTimes, Told
from api.chat.rounds import Rounds
from api.chat.speaking import Speaker
from api.people import People
from api.workers.ingest import IngestWorker
from geo_engine.alerting.policy import QuietHours
from geo_engine.answers.places import PlaceBook
from geo_engine.meetings.service import MeetingDesk
from geo_engine.store.protocol import Store
from geo_engine.wechat.channels import Account
from geo_engine.wechat.client import WECHAT_QR_BASE, WeChatApi
from geo_engine.wechat.conversation import Conversation, Ports, TalkSettings
from geo_engine.wechat.conversation.dialogue import Dialogues
from geo_engine.wechat.sender import ChannelSender
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Chat", "ChatNeeds", "join_chat"]


@dataclass(frozen=True, slots=True)
class ChatNeeds:
    """What the chat is joined from.

    Attributes:
        store: the memory.
        ingest: the door to the engine.
        people: the door to people.
        zones: where people are warned.
        api: the account's calls.
        account: what it can send with.
        key: signs scenes of meetings and links to data.
        public_url: where WeChat's browser sees the service, None = nowhere.
        has_page: there is a page on which vehicles are bound.
        clock: the time of day, epoch milliseconds UTC.
        quiet_hours: those of the policy, for people who have none of their own.
        qr_base: scheme and host that show the pictures of QR codes.
    """

    store: Store
    ingest: IngestWorker
    people: People
    zones: ZoneSet
    api: WeChatApi
    account: Account
    key: bytes
    public_url: str | None
    has_page: bool
    clock: Callable[[], int]
    quiet_hours: QuietHours
    qr_base: str = WECHAT_QR_BASE


@dataclass(frozen=True, slots=True)
class Chat:
    """The joined chat: what handles messages, sends warnings, goes round, and makes the file of one's data."""

    handler: ChatHandler
    sender: ChannelSender
    rounds: Rounds
    my_data: MyData


def join_chat(needs: ChatNeeds) -> Chat:
    """Join the chat; nothing runs before its rounds are started."""
    store, clock = needs.store, needs.clock
    persons = Persons(store, needs.people, lambda: desk)
    desk = MeetingDesk(store.meetings, [needs.key], consents=persons.may_be_seen)
    last_seen = LastSeen(needs.ingest, persons.may_locate)
    settings, dialogues = TalkSettings(), Dialogues()
    my_data = MyData(store, needs.key, needs.public_url, clock)
    bind_link = f"{(needs.public_url or '').rstrip('/')}/bind" if needs.has_page else None
    ports = Ports(
        people=persons,
        places=PlaceBook.of_zones(needs.zones),
        whereabouts=last_seen,
        rules=Around(needs.zones, persons.vehicle, settings.zones_m),
        warnings=Told(store),
        mutes=MutedZones(store, needs.ingest, needs.zones, clock),
        quiet=QuietTimes(persons, needs.people, needs.quiet_hours),
        exporter=my_data,
        eraser=persons,
        consents=persons,
        meetings=desk,
        random=secrets.token_bytes,
        handlers=(Agreements(persons, needs.people, dialogues, bind_link),),
    )
    conversation = Conversation(ports, settings, dialogues)
    speaker = Speaker(needs.api, store, clock)
    long_term = frozenset(template.template_id for template in needs.account.long_term)
    parts = ChatParts(
        store,
        needs.people,
        persons,
        desk,
        conversation,
        speaker,
        clock,
        bind_link=bind_link,
        long_term=long_term,
        inviter=Inviter(needs.api, needs.qr_base, clock),
    )
    handler = ChatHandler(parts)
    sender = ChannelSender(needs.api, store, needs.account, clock, on_gone=handler.gone)
    return Chat(handler, sender, Rounds(desk, last_seen, handler, clock, sender.learn_quota, store), my_data)
