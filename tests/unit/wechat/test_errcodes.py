"""The reaction to each errcode, a test per row, written apart from the table."""

from __future__ import annotations

import pytest

from geo_engine.alerting.message import Outcome
from geo_engine.alerting.reach import Standing
from geo_engine.wechat.errcodes import (
    ERRCODES,
    TOKEN_ERRCODES,
    Effect,
    errcode_rule,
    http_status_outcome,
    receipt_standing,
)

EXPECTED = {
    Outcome.RETRY: [-1, 40037, 43108, 45011],
    Outcome.REFUSED: [
        *(40003, 47003, 40249, 45168, 41030, 43004, 43019, 48002, 43101, 43117, 45015, 45047),
        99999,  # not in the table
    ],
    Outcome.STOP: [
        *(40001, 40014, 42001, 40164, 89501, 89503, 89506, 89507, 40125, 40013, 40243, 45009, 48001, 48004, 50002)
    ],
}
ROWS = [(errcode, outcome) for outcome, errcodes in EXPECTED.items() for errcode in errcodes]


@pytest.mark.parametrize(("errcode", "outcome"), ROWS)
def test_an_errcode_leads_to_its_outcome(errcode: int, outcome: Outcome) -> None:
    assert errcode_rule(errcode).outcome is outcome


EFFECTS = {
    Effect.WRONG_ID: {40003},
    Effect.GONE: {43004},
    Effect.UNWANTED: {43019, 48002},
    Effect.GRANT_SPENT: {43101},
    Effect.WINDOW_CLOSED: {45015, 45047},
    Effect.CALM: {43117},
    Effect.WITHOUT_PAGE: {41030},
    Effect.CHANNEL_CLOSED: {40037, 45009, 45011, 48001, 48004, 50002},
}
ALARMS = {
    *(40001, 40014, 42001, 40164, 89501, 89503, 89506, 89507, 40125, 40013, 40243),
    *(40037, 47003, 40249, 45168, 41030, 45009, 48001, 48004, 50002, 99999),
}


@pytest.mark.parametrize("errcode", [errcode for errcode, _ in ROWS])
def test_an_errcode_changes_what_its_row_says_and_nothing_else(errcode: int) -> None:
    expected = next((effect for effect, errcodes in EFFECTS.items() if errcode in errcodes), Effect.NONE)
    assert errcode_rule(errcode).effect is expected


@pytest.mark.parametrize("errcode", [errcode for errcode, _ in ROWS])
def test_an_operator_hears_of_what_needs_one_and_of_nothing_else(errcode: int) -> None:
    assert errcode_rule(errcode).alarm is (errcode in ALARMS)


@pytest.mark.parametrize(
    ("errcode", "seconds"),
    [(-1, None), (40037, 60.0), (43108, 2.0), (45009, 600.0), (45011, 60.0), (40164, None), (48001, None)],
)
def test_an_errcode_waits_as_its_row_says(errcode: int, seconds: float | None) -> None:
    assert errcode_rule(errcode).retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "standing"),
    [("failed:user block", Standing.UNWANTED), ("failed: system failed", None), ("success", None), ("", None)],
)
def test_a_receipt_says_of_a_person_only_that_they_blocked_us(status: str, standing: Standing | None) -> None:
    assert receipt_standing(status) is standing


def test_every_row_of_the_table_has_its_test() -> None:
    assert set(ERRCODES) == {errcode for errcode, _ in ROWS} - {99999}


@pytest.mark.parametrize("errcode", sorted(ERRCODES))
def test_every_row_tells_the_operator_what_it_means(errcode: int) -> None:
    assert errcode_rule(errcode).meaning


def test_only_an_unknown_template_is_judged_otherwise_later() -> None:
    assert [errcode for errcode, rule in ERRCODES.items() if rule.later is not None] == [40037]
    assert errcode_rule(40037).later is Outcome.STOP


def test_token_errcodes_are_the_three_of_a_bad_token() -> None:
    assert {40001, 40014, 42001} == TOKEN_ERRCODES


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.STOP),
        (403, Outcome.STOP),
        (404, Outcome.STOP),
        (408, Outcome.UNKNOWN),
        (429, Outcome.RETRY),
        (500, Outcome.RETRY),
        (502, Outcome.RETRY),
        (503, Outcome.RETRY),
        (504, Outcome.UNKNOWN),
    ],
)
def test_an_http_status_leads_to_its_outcome(status: int, outcome: Outcome) -> None:
    assert http_status_outcome(status) is outcome
