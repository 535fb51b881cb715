"""What of the chat goes into the history of messages, and what does not."""

from __future__ import annotations

import pytest

from api.chat.noting import NOBODY, Notes, heard, key_of, said
from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.alerting.reach import Channel
from geo_engine.errors import StoreError
from geo_engine.model import Language
from geo_engine.store import HISTORY
from geo_engine.store.memory import MemoryStore
from geo_engine.store.messages import Direction, MessageFilter, OutKind
from geo_engine.wechat.inbound import (
    AuthorizationEvent,
    FollowEvent,
    Inbound,
    Kind,
    LinkMessage,
    LocationMessage,
    LocationSelectEvent,
    MediaMessage,
    MenuEvent,
    OtherMessage,
    PingEvent,
    ScanCodeEvent,
    ScanEvent,
    SubscriptionEvent,
    SubscriptionItem,
    TemplateResult,
    TextMessage,
    UnfollowEvent,
)

OPEN_ID = "o" + "a" * 27
HEAD = (OPEN_ID, "gh_1", 1_700_000_000, OPEN_ID + "1700000000CLICK")
TAKEN = SendResult(Outcome.ACCEPTED, errcode=0, channel=Channel.CUSTOMER_SERVICE)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.follow(OPEN_ID, Language.ZH, 0)
    return made


def noted(store: MemoryStore, message: Inbound) -> list[tuple[str, str]]:
    Notes(store, message).write(1_700_000_001_000)
    return [(one.message.kind, one.message.text) for one in store.messages.search(MessageFilter(), limit=9)]


@pytest.mark.parametrize(
    ("message", "text", "title"),
    [
        (TextMessage(Kind.TEXT, *HEAD, "附近"), "附近", ""),
        (TextMessage(Kind.TEXT, *HEAD, "123456"), "******", ""),
        (MediaMessage(Kind.VOICE, *HEAD, "m", recognition="停止"), "停止", ""),
        (LinkMessage(Kind.LINK, *HEAD, "t", "d", "https://a.cn"), "d https://a.cn", "t"),
        (LocationMessage(Kind.LOCATION, *HEAD, 114.3, 30.5, label="光谷"), "光谷", ""),
        (LocationSelectEvent(Kind.LOCATION_SELECT, *HEAD, "k", 114.3, 30.5, label="光谷", poi="店"), "光谷", "店"),
        (MenuEvent(Kind.CLICK, *HEAD, "nearest"), "", "nearest"),
        (ScanCodeEvent(Kind.SCANCODE_WAITMSG, *HEAD, "scan", "qrcode", "m.1.secret"), "", "scan"),
        (ScanEvent(Kind.SCAN, *HEAD, "m.1.secret"), "", ""),
        (FollowEvent(Kind.SUBSCRIBE, *HEAD, "m.1.secret"), "", ""),
        (SubscriptionEvent(Kind.SUBSCRIPTION, *HEAD, (SubscriptionItem("T", "accept"),)), "", "T accept"),
        (AuthorizationEvent(Kind.AUTHORIZATION_REVOKE, *HEAD, "206"), "", "206"),
        (OtherMessage(Kind.OTHER, *HEAD, "newest", '{"a": 1}'), "", "newest"),
    ],
)
def test_a_push_is_kept_without_codes_and_without_keys_to_meetings(message: Inbound, text: str, title: str) -> None:
    kept = heard(message, 7, 5)
    assert (kept.text, kept.title, kept.kind, kept.u7, kept.recorded_ms) == (text, title, message.kind.value, 7, 5)
    assert (kept.event_ms, kept.direction, kept.channel) == (1_700_000_000_000, Direction.IN, "callback")
    # Keys of events are made of the OpenID.
    assert OPEN_ID not in repr(kept)
    assert "secret" not in repr(kept)


def test_a_place_somebody_sent_is_kept_in_wgs84_with_the_datum_it_came_in(store: MemoryStore) -> None:
    store.set_consent(0, HISTORY, True, "v1", 0, "test")
    Notes(store, LocationMessage(Kind.LOCATION, *HEAD, 114.3, 30.5)).write(0)
    (record,) = store.messages.search(MessageFilter(), limit=9)
    assert record.message.datum == "gcj02"
    assert record.message.lon is not None
    assert 300.0 < abs(record.message.lon - 114.3) * 95_800 < 700.0


def test_an_impossible_place_is_left_out() -> None:
    kept = heard(LocationMessage(Kind.LOCATION, *HEAD, 914.3, 30.5), 7, 0)
    assert (kept.lon, kept.lat, kept.datum) == (None, None, "")


@pytest.mark.parametrize(
    "message",
    [TemplateResult(Kind.TEMPLATE_RESULT, *HEAD, "1", "success"), PingEvent(Kind.PING, *HEAD, 114.3, 30.5)],
)
def test_reports_and_positions_are_no_messages(store: MemoryStore, message: Inbound) -> None:
    assert (noted(store, message), store.messages.tally()) == ([], {})


def test_of_a_stranger_only_the_tally_is_kept(store: MemoryStore) -> None:
    other = UnfollowEvent(Kind.UNSUBSCRIBE, "o" + "b" * 27, "gh_1", 1_700_000_000, "k")
    assert noted(store, other) == []
    assert [(kind, count) for (_, _, kind), count in store.messages.tally().items()] == [("unsubscribe", 1)]


def test_a_question_and_its_answer_are_linked_and_kept_once(store: MemoryStore) -> None:
    question = TextMessage(Kind.TEXT, *HEAD, "附近")
    for _ in range(2):
        notes = Notes(store, question)
        notes.add(
            said(
                0,
                "店 5米",
                TAKEN,
                key="k",
                why="w",
                now_ms=1,
                private=False,
                kind=OutKind.ANSWER,
                cause=key_of(question),
            )
        )
        notes.write(2)
    records = store.messages.search(MessageFilter(), limit=9)
    assert sorted((one.message.kind, one.message.cause) for one in records) == [
        ("answer", key_of(question)),
        ("text", ""),
    ]


def test_of_a_private_answer_no_word_is_kept() -> None:
    kept = said(7, "王 30米", TAKEN, key="k", why="w", now_ms=1, private=True, kind=OutKind.ANSWER)
    assert (kept.text, kept.title, kept.outcome.value) == ("", "not kept", "accepted")
    assert said(NOBODY, "x", TAKEN, key="k", why="w", now_ms=1, private=False, kind=OutKind.NOTICE).text == "x"


def test_a_store_that_is_away_is_an_error_unless_something_else_is_the_matter(store: MemoryStore) -> None:
    store.close()
    notes = Notes(store, TextMessage(Kind.TEXT, *HEAD, "附近"))
    with pytest.raises(StoreError):
        notes.write(0)
    notes.try_write(0)
