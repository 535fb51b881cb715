"""Enrolment: consent is what the person last said, and silence changes nothing."""

from __future__ import annotations

import pytest

from api.bootstrap import Enrolment, enrol
from geo_engine.model import Vehicle
from geo_engine.store.memory import MemoryStore
from geo_engine.store.protocol import Person
from geo_engine.testing import noon_ms


def say(store: MemoryStore, consent: bool | None) -> bool:
    person = Person(7, "o" * 28, Vehicle(u7=7))
    enrol(store, [Enrolment(person, consent, "file people.jsonl", "file-1")], noon_ms)
    return store.people()[0].vehicle.consent_warnings


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ([None], False),
        ([True], True),
        ([False], False),
        ([True, None], True),
        ([True, False], False),
        ([True, False, None], False),
        ([True, False, True], True),
    ],
)
def test_last_word_holds_and_nobody_agreed_by_silence(said: list[bool | None], holds: bool) -> None:
    store = MemoryStore()
    assert [say(store, consent) for consent in said][-1] is holds
