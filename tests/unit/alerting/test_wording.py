"""The words of a warning in both languages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine import Engine, PingBatch, Vehicle, ZoneSet
from geo_engine.alerting.rulewords import opens_text
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
        "420 m ahead, northeast: Second Bridge is closed to your vehicle, you arrive in 27 s, until 22:00. Use another "
        "bridge. "
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


def test_warning_about_a_rule_that_begins_before_the_arrival_says_in_how_long_and_at_what_time() -> None:
    soon = replace(AHEAD, eta_s=800.0, distance_m=9000.0, opens_ms=noon_ms + 12 * 60_000 + 59_000)
    assert warning_text(soon, Language.ZH).startswith(
        "东北方向9000米，长江二桥12分钟后开始货车禁行（12:12），约800秒到达，至22:00。"
    )
    assert warning_text(soon, Language.EN).startswith(
        "9000 m ahead, northeast: 长江二桥 closes to your vehicle in 12 minutes (12:12), you arrive in 800 s, until"
    )
    assert "开始" not in warning_text(AHEAD, Language.ZH)
    works = replace(soon, kind=ZoneKind.CONSTRUCTION)
    assert "长江二桥 will be under construction in 12 minutes (12:12)" in warning_text(works, Language.EN)


@pytest.mark.parametrize(
    ("left_ms", "chinese", "english"),
    [
        (59_999, "59秒后", "in 59 s"),
        (60_000, "1分钟后", "in 1 minute"),
        (119_999, "1分钟后", "in 1 minute"),
        (3_600_000, "60分钟后", "in 60 minutes"),
    ],
)
def test_time_left_is_rounded_down(left_ms: int, chinese: str, english: str) -> None:
    said = [opens_text(noon_ms + left_ms, noon_ms, "Asia/Shanghai", language)[0] for language in Language]
    assert said == [chinese, english]


def test_warning_of_one_who_did_not_move_says_what_changed_instead() -> None:
    for trigger, chinese, english in (
        (
            AlertReason.VEHICLE_CHANGED,
            "您的车辆或授权有变更，您所在的长江二桥（货车禁行）现在与您有关，至22:00。请尽快驶离。",
            "Your vehicle or consent has changed, and you are in 长江二桥, closed to your vehicle, until 22:00.",
        ),
        (
            AlertReason.ZONE_CHANGED,
            "长江二桥（货车禁行）刚有变更，您现在在其中，至22:00。请尽快驶离。",
            "长江二桥 has just been changed, and you are in it now: it is closed to your vehicle, until 22:00.",
        ),
    ):
        told = replace(INSIDE, trigger=trigger)
        assert warning_text(told, Language.ZH).startswith(chinese)
        assert warning_text(told, Language.EN).startswith(english)
        assert "您已进入" not in warning_text(told, Language.ZH)
        assert "Leave by the shortest way" in warning_text(told, Language.EN)


def test_roadworks_without_an_end_do_not_speak_of_one() -> None:
    works = replace(AHEAD, kind=ZoneKind.CONSTRUCTION, until_ms=None, advice="", who="")
    assert warning_text(works, Language.ZH) == "东北方向420米，长江二桥（施工），约27秒到达。请减速慢行。"
    assert warning_text(works, Language.EN).endswith("is under construction, you arrive in 27 s. Slow down.")


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
