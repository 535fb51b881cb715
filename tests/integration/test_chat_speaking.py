"""Answers on their way to the fake WeChat server: the window they use, once each, and what every errcode leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from api.chat.speaking import NotSpoken, Speaker
from api.clocks import wall_clock_ms
from geo_engine.alerting.reach import Dispatch, DispatchState, Reach, Standing, Trigger, Window
from geo_engine.store.memory import MemoryStore
from geo_engine.wechat.client import CUSTOM_SEND, WeChatApi
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

OPEN_ID = "o" + "a" * 27
FAKE = FakeSettings()


@dataclass
class World:
    """A speaker, the ledger and a phone."""

    server: FakeServer
    ledger: MemoryStore = field(default_factory=MemoryStore)
    ahead_ms: int = 0

    def __post_init__(self) -> None:
        api = WeChatApi(FAKE.app_id, FAKE.app_secret, self.server.url, timeout_s=1.0)
        self.speaker = Speaker(api, self.ledger, self.now_ms)

    def now_ms(self) -> int:
        return wall_clock_ms() + self.ahead_ms

    def touch(self, *triggers: Trigger, ours_only: bool = False) -> None:
        """Let the person do something; ``ours_only``: WeChat does not know of it."""
        for trigger in triggers:
            self.ledger.open_window(OPEN_ID, trigger, self.now_ms())
            if not ours_only:
                self.server.state.touch(OPEN_ID, trigger.value)

    def fault(self, kind: FaultKind = FaultKind.ERRCODE, **more: object) -> None:
        self.server.state.faults.add(FakeFault(kind, path=CUSTOM_SEND, **more))

    def phone(self) -> list[str]:
        return ["".join(found.data.values()) for found in self.server.state.deliveries(OPEN_ID)]

    def windows(self) -> dict[Trigger, int]:
        """Return how many messages each window carried."""
        return {one.trigger: one.used for one in self.ledger.reach(OPEN_ID).windows}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with start_fake_wechat(settings=FAKE) as running:
        yield running


@pytest.fixture
def world(server: FakeServer) -> World:
    server.state.reset()
    return World(server)


def test_an_answer_leaves_by_the_window_that_ends_first_and_once(world: World) -> None:
    world.touch(Trigger.MESSAGE, Trigger.CLICK)
    assert world.speaker.say(OPEN_ID, "好", "k1")
    assert world.speaker.say(OPEN_ID, "好", "k1"), "it has left, and is not sent again"
    assert world.phone() == ["好"]
    assert world.windows() == {Trigger.CLICK: 1, Trigger.MESSAGE: 0}


def test_the_same_text_of_another_question_leaves_too(world: World) -> None:
    world.touch(Trigger.MESSAGE)
    assert world.speaker.say(OPEN_ID, "好", "k1")
    assert world.speaker.say(OPEN_ID, "好", "k2")
    assert world.phone() == ["好", "好"]


def test_without_a_window_nobody_is_answered(world: World) -> None:
    assert not world.speaker.say(OPEN_ID, "好", "k1")
    world.touch(Trigger.CLICK)
    world.ahead_ms = 61_000
    assert not world.speaker.say(OPEN_ID, "好", "k1"), "a click is answered within a minute"
    world.touch(Trigger.MESSAGE)
    world.ledger.set_standing(OPEN_ID, Standing.UNWANTED, world.now_ms())
    assert not world.speaker.say(OPEN_ID, "好", "k1"), "they do not want to hear"
    assert world.phone() == []


def test_the_sixth_answer_to_one_message_is_dropped(world: World) -> None:
    world.touch(Trigger.MESSAGE)
    assert [world.speaker.say(OPEN_ID, "好", f"k{number}") for number in range(6)] == [True] * 5 + [False]
    assert len(world.phone()) == 5


@pytest.mark.parametrize("errcode", [-1, 45009, 45011, 40001])
def test_what_certainly_did_not_leave_gives_its_place_back_and_leaves_later(world: World, errcode: int) -> None:
    world.touch(Trigger.MESSAGE)
    # A refused token is renewed twice in one call.
    world.fault(errcode=errcode, times=3 if errcode == 40001 else 1)
    with pytest.raises(NotSpoken):
        world.speaker.say(OPEN_ID, "好", "k1")
    assert world.windows() == {Trigger.MESSAGE: 0}
    world.server.state.faults.clear()
    assert world.speaker.say(OPEN_ID, "好", "k1")
    assert world.phone() == ["好"]


@pytest.mark.parametrize("kind", [FaultKind.HTTP_500, FaultKind.HTML_200, FaultKind.CLOSE])
def test_of_an_answer_nobody_knows_about_there_is_no_second(world: World, kind: FaultKind) -> None:
    world.touch(Trigger.MESSAGE)
    world.fault(kind, taken=True)
    assert not world.speaker.say(OPEN_ID, "好", "k1")
    assert not world.speaker.say(OPEN_ID, "好", "k1")
    assert world.phone() == ["好"]
    assert world.windows() == {Trigger.MESSAGE: 1}, "the place may be used up"


def test_a_window_wechat_calls_closed_is_forgotten_and_the_next_one_is_used(world: World) -> None:
    world.touch(Trigger.CLICK, Trigger.MESSAGE)
    world.fault(errcode=45047, times=1)
    assert world.speaker.say(OPEN_ID, "好", "k1")
    assert world.windows() == {Trigger.MESSAGE: 1}
    assert world.phone() == ["好"]


def test_when_wechat_knows_of_no_window_nothing_leaves_and_ours_are_forgotten(world: World) -> None:
    world.touch(Trigger.MESSAGE, ours_only=True)
    assert not world.speaker.say(OPEN_ID, "好", "k1")
    assert world.ledger.reach(OPEN_ID) == Reach()


def test_a_text_wechat_refuses_is_not_tried_again(world: World) -> None:
    world.touch(Trigger.MESSAGE)
    world.fault(errcode=47003, times=1)
    assert not world.speaker.say(OPEN_ID, "好", "k1")
    assert world.windows() == {Trigger.MESSAGE: 0}


def test_after_a_crash_in_the_middle_of_it_an_answer_is_not_sent_again(world: World) -> None:
    world.touch(Trigger.MESSAGE)
    assert world.speaker.say(OPEN_ID, "好", "k1")
    [kept] = [one for one, _spent in world.ledger._dispatches.values()]
    # As the process left it that died between sending and noting.
    again = World(world.server)
    again.touch(Trigger.MESSAGE)
    under_way = Dispatch(kept.client_msg_id, OPEN_ID, kept.channel, kept.at_ms, state=DispatchState.UNDER_WAY)
    window: Window = again.ledger.reach(OPEN_ID).windows[0]
    assert again.ledger.begin(under_way, window).ok
    assert not again.speaker.say(OPEN_ID, "好", "k1")
    assert world.phone() == ["好"]


def test_the_last_word_to_somebody_erased_is_noted_nowhere(world: World) -> None:
    world.touch(Trigger.MESSAGE)
    world.ledger.forget_reach(OPEN_ID)
    world.speaker.say_goodbye(OPEN_ID, "已删除")
    assert world.phone() == ["已删除"]
    assert world.ledger.reach(OPEN_ID) == Reach()
    assert world.ledger._dispatches == {}


def test_a_last_word_that_does_not_arrive_is_a_line_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.touch(Trigger.MESSAGE)
    world.fault(errcode=-1, times=1)
    world.speaker.say_goodbye(OPEN_ID, "已删除")
    assert world.phone() == []
    assert "did not arrive" in caplog.text
