"""The words of a warning in both languages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine.alerting.wording import Facts, rounded_m, warning_text
from geo_engine.model import AlertReason, Language, ZoneKind

AHEAD = Facts(
    zone_name="长江二桥",
    kind=ZoneKind.TRUCK_RESTRICTION,
    trigger=AlertReason.APPROACH,
    distance_m=417.0,
    bearing_deg=47.0,
    eta_s=27.4,
    may_apply=False,
    advisory=False,
    advice="请绕行天兴洲大桥",
)


def test_warning_ahead_says_where_how_far_how_soon_and_what_to_do() -> None:
    assert warning_text(AHEAD, Language.ZH) == "东北方向420米，长江二桥（货车禁行），约27秒到达。请绕行天兴洲大桥。"
    english = warning_text(replace(AHEAD, zone_name="Second Bridge", advice="Use another bridge."), Language.EN)
    assert english == "420 m ahead, northeast: Second Bridge is closed to your vehicle, 27 s. Use another bridge."


def test_warning_inside_names_no_direction() -> None:
    inside = replace(AHEAD, trigger=AlertReason.ENTER, bearing_deg=None, distance_m=0.0, eta_s=0.0, advice="")
    assert warning_text(inside, Language.ZH) == "您已进入长江二桥（货车禁行）。"
    assert warning_text(inside, Language.EN) == "You are in 长江二桥, closed to your vehicle."
    opened = replace(inside, trigger=AlertReason.WINDOW_OPENED)
    assert warning_text(opened, Language.ZH) == "您所在的长江二桥现在开始货车禁行。"
    assert "from now on" in warning_text(opened, Language.EN)


@pytest.mark.parametrize(
    ("language", "words"), [(Language.ZH, ("可能适用", "尚未执法")), (Language.EN, ("may apply", "Advisory"))]
)
def test_doubt_and_advisory_are_said_only_when_they_hold(language: Language, words: tuple[str, str]) -> None:
    doubtful = warning_text(replace(AHEAD, may_apply=True, advisory=True), language)
    plain = warning_text(AHEAD, language)
    assert all(word in doubtful for word in words)
    assert not any(word in plain for word in words)


@pytest.mark.parametrize(("metres", "said"), [(0.4, 0), (9.4, 9), (14.9, 10), (15.1, 20), (424.9, 420)])
def test_distance_is_rounded_as_people_say_it(metres: float, said: int) -> None:
    assert rounded_m(metres) == said
