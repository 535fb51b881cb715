"""The words of a warning in both languages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine import Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.wording import Facts, rounded_m, warning_text
from geo_engine.model import AlertReason, Language, ZoneKind
from geo_engine.testing import box_zone, noon_ms

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
    time_ms=noon_ms,
    until_ms=noon_ms + 10 * 3_600_000,
    who="重型货车",
)
INSIDE = replace(AHEAD, trigger=AlertReason.ENTER, bearing_deg=None, distance_m=0.0, eta_s=0.0, advice="")


def test_warning_ahead_says_where_how_far_until_when_what_to_do_and_whom_it_concerns() -> None:
    assert warning_text(AHEAD, Language.ZH) == (
        "东北方向420米，长江二桥（货车禁行），约27秒到达，至22:00。请绕行天兴洲大桥。适用于您的车辆：重型货车。"
    )
    english = replace(AHEAD, zone_name="Second Bridge", advice="Use another bridge.", who="heavy goods vehicles")
    assert warning_text(english, Language.EN) == (
        "420 m ahead, northeast: Second Bridge is closed to your vehicle, 27 s, until 22:00. Use another bridge. "
        "The rule applies to your vehicle: heavy goods vehicles."
    )


def test_warning_inside_names_no_direction_and_says_to_leave() -> None:
    everyone = replace(INSIDE, who="", until_ms=None)
    assert warning_text(everyone, Language.ZH) == "您已进入长江二桥（货车禁行），长期有效。请尽快驶离。"
    assert warning_text(everyone, Language.EN) == (
        "You are in 长江二桥, closed to your vehicle, until further notice. Leave by the shortest way."
    )
    opened = replace(INSIDE, trigger=AlertReason.WINDOW_OPENED)
    assert warning_text(opened, Language.ZH).startswith("您所在的长江二桥现在开始货车禁行，至22:00。")
    assert "from now on" in warning_text(opened, Language.EN)


def test_roadworks_without_an_end_do_not_speak_of_one() -> None:
    works = replace(AHEAD, kind=ZoneKind.CONSTRUCTION, until_ms=None, advice="", who="")
    assert warning_text(works, Language.ZH) == "东北方向420米，长江二桥（施工），约27秒到达。请减速慢行。"
    assert warning_text(works, Language.EN).endswith("is under construction, 27 s. Slow down.")


@pytest.mark.parametrize(
    ("also", "chinese", "english"),
    [
        (("甲桥",), "另有1处：甲桥。", "And 1 more: 甲桥."),
        (("甲桥", "乙路"), "另有2处：甲桥、乙路。", "And 2 more: 甲桥, 乙路."),
        (("甲桥", "乙路", "丙隧道"), "另有3处：甲桥、乙路等。", "And 3 more: 甲桥, 乙路 and others."),
    ],
)
def test_further_zones_are_counted_and_the_gravest_two_named(also: tuple[str, ...], chinese: str, english: str) -> None:
    digest = replace(AHEAD, also=also)
    assert chinese in warning_text(digest, Language.ZH)
    assert english in warning_text(digest, Language.EN)
    assert "另有" not in warning_text(AHEAD, Language.ZH)
    assert "more" not in warning_text(AHEAD, Language.EN)


@pytest.mark.parametrize(
    ("language", "words"), [(Language.ZH, ("可能适用于", "尚未执法")), (Language.EN, ("may apply", "Advisory"))]
)
def test_doubt_and_advisory_are_said_only_when_they_hold(language: Language, words: tuple[str, str]) -> None:
    doubtful = warning_text(replace(AHEAD, may_apply=True, advisory=True), language)
    plain = warning_text(AHEAD, language)
    assert all(word in doubtful for word in words)
    assert not any(word in plain for word in words)


@pytest.mark.parametrize(("metres", "said"), [(0.4, 0), (9.4, 9), (14.9, 10), (15.1, 20), (424.9, 420)])
def test_distance_is_rounded_as_people_say_it(metres: float, said: int) -> None:
    assert rounded_m(metres) == said


def test_warning_that_nobody_is_sent_claims_no_end() -> None:
    engine = Engine(ZoneSet.of([box_zone("z"), box_zone("other")]), default_vehicle=Vehicle(u7=0))
    pings = PingBatch.from_columns([1], [noon_ms], [114.305], [30.6])
    sent, digested = engine.process(pings, noon_ms).alerts
    assert (sent.send, "长期有效" in sent.text) == (True, True)
    assert (digested.send, "长期有效" in digested.text) == (False, False)
