"""Consent: off until said, the last word counts, every purpose has words."""

from __future__ import annotations

import pytest

from geo_engine.model import Language
from geo_engine.people.consents import CONSENT_TEXTS, ConsentRecord, Purpose, granted_now
from geo_engine.store import HISTORY, WARNINGS


def record(purpose: str, granted: bool) -> ConsentRecord:
    return ConsentRecord(7, purpose, granted, "2026-11", 1, "page")


def test_without_a_record_everything_is_off() -> None:
    assert granted_now([]) == dict.fromkeys(Purpose, False)


def test_the_record_added_last_counts_and_each_purpose_stands_alone() -> None:
    said = [record("warnings", True), record("history", True), record("warnings", False), record("mars", True)]
    expected = {Purpose.WARNINGS: False, Purpose.HISTORY: True, Purpose.COMPANIONS: False}
    assert granted_now(said) == expected


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_has_words_of_its_own_in_every_language(purpose: Purpose, language: Language) -> None:
    text = CONSENT_TEXTS[purpose][language]
    others = [CONSENT_TEXTS[other][language] for other in Purpose if other is not purpose]
    assert text.title
    assert text.sentence
    assert text not in others


def test_purposes_are_those_the_store_acts_on() -> None:
    assert {WARNINGS, HISTORY} <= {purpose.value for purpose in Purpose}
