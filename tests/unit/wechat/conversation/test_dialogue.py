"""The state of a dialogue: kept for some minutes, for so many people, and no longer."""

from __future__ import annotations

from geo_engine.testing import noon_ms
from geo_engine.wechat.conversation.dialogue import EXPIRES_MS, Dialogues, State
from geo_engine.wechat.conversation.intents import Intent


def waiting(at_ms: int = noon_ms) -> State:
    return State(at_ms, confirms=Intent.FORGET_ME)


def test_a_state_is_kept_until_it_expires() -> None:
    dialogues = Dialogues()
    dialogues.put(1, waiting())
    assert dialogues.of(1, noon_ms + EXPIRES_MS - 1) == waiting()
    assert dialogues.of(1, noon_ms + EXPIRES_MS) == State(noon_ms + EXPIRES_MS)
    assert dialogues.of(2, noon_ms) == State(noon_ms)


def test_what_expired_is_not_kept_even_when_its_person_is_never_asked_about_again() -> None:
    dialogues = Dialogues()
    for u7 in range(100):
        dialogues.put(u7, waiting(noon_ms + u7))
    dialogues.put(200, waiting(noon_ms + 50 + EXPIRES_MS))
    assert len(dialogues) == 50


def test_beyond_so_many_people_the_silent_ones_go_first() -> None:
    dialogues = Dialogues(at_most=2)
    for u7 in (1, 2):
        dialogues.put(u7, waiting())
    dialogues.put(1, waiting(noon_ms + 1))
    dialogues.put(3, waiting(noon_ms + 2))
    assert [dialogues.of(u7, noon_ms + 2).confirms is not None for u7 in (1, 2, 3)] == [True, False, True]


def test_who_is_forgotten_starts_anew() -> None:
    dialogues = Dialogues()
    dialogues.put(1, waiting())
    dialogues.forget(1)
    dialogues.forget(2)
    assert dialogues.of(1, noon_ms) == State(noon_ms)
