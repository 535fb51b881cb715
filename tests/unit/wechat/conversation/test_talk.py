"""What people ask in the chat and what they are answered, each with the case in which there is nothing to answer."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geo_engine.alerting.policy import QuietHours
from geo_engine.answers.places import Place
from geo_engine.geodesy.datum import Datum, from_wgs84
from geo_engine.model import Language, Vehicle, VehicleKind
from geo_engine.testing import box_zone
from geo_engine.wechat.conversation import Clicked, Located, Texted
from geo_engine.wechat.conversation.dialogue import EXPIRES_MS
from geo_engine.wechat.conversation.intents import Intent
from geo_engine.wechat.conversation.texts import REFUSALS, TEXTS
from geo_engine.zones.rule import GOODS_KINDS, AppliesTo
from geo_engine.zones.schedule import Schedule
from tests.unit.wechat.conversation.talking import ANNA, BEN, CARL, HERE, MINUTE_MS, STORES, Chat, away

GEOD = Geod(ellps="WGS84")


@pytest.fixture
def chat() -> Chat:
    return Chat()


# ---- the nearest places


def test_a_question_and_then_a_location_is_answered_with_metres_direction_minutes_and_a_map(chat: Chat) -> None:
    assert "请发送您的位置" in chat.say("最近的店")
    said = chat.send()
    azimuth, _, metres = GEOD.inv(*HERE, STORES[0].lon, STORES[0].lat)
    first = said.split("\n")[1]
    assert first.startswith(f"1. 汉口门店 {round(metres)}米，东北{round(azimuth):03d}°，步行约")
    assert re.search(r"步行约10分钟，驾车约2分钟", first)
    lon, lat = (float(one) for one in from_wgs84(STORES[0].lon, STORES[0].lat, Datum.GCJ02))
    assert f"marker=coord:{lat:.6f},{lon:.6f};" in unquote(first)
    assert first.endswith("地图</a>")
    assert said.count("\n") == 3


def test_every_distance_said_is_that_of_pyproj_to_a_metre() -> None:
    for bearing in range(0, 360, 20):
        lon, lat = away(50.0 + bearing * 20, bearing)
        said = Chat(places=[Place("p", "店", lon, lat)])
        said_m = re.search(r"(\d+)米", said.send())
        assert said_m is not None
        assert abs(int(said_m[1]) - GEOD.inv(*HERE, lon, lat)[2]) < 1.0


def test_beyond_ten_kilometres_kilometres_are_said() -> None:
    assert "12.3公里" in Chat(places=[Place("p", "店", *away(12_345.0))]).send()
    assert "9999米" in Chat(places=[Place("p", "店", *away(9_999.0))]).send()


def test_a_location_alone_is_answered_with_the_nearest(chat: Chat) -> None:
    assert chat.send().startswith("离您最近：\n1. 汉口门店")


def test_a_recent_position_of_the_engine_answers_at_once_and_an_old_one_does_not(chat: Chat) -> None:
    chat.stand(ago_ms=2 * MINUTE_MS)
    assert chat.say("附近").startswith("离您最近")
    chat.stand(ago_ms=2 * MINUTE_MS + 1)
    assert "请发送您的位置" in chat.say("附近")


def test_a_location_sent_is_used_for_the_next_question_and_then_forgotten(chat: Chat) -> None:
    chat.send()
    chat.now_ms += 2 * MINUTE_MS
    assert chat.say("附近").startswith("离您最近")
    chat.now_ms += 1
    assert "请发送" in chat.say("附近")


def test_without_consent_one_is_asked_for_the_place_once_and_told_why(chat: Chat) -> None:
    chat.stand()
    chat.located.clear()
    assert "没有同意定位" in chat.say("附近")
    assert chat.send().startswith("离您最近")


def test_where_nothing_is_near_that_is_said(chat: Chat) -> None:
    assert chat.send((100.0, 20.0)) == "附近没有门店或场所。"
    assert Chat(places=[]).send() == "附近没有门店或场所。"


def test_a_place_of_a_name_is_looked_for_and_one_that_is_not_there_is_said(chat: Chat) -> None:
    chat.stand()
    said = chat.say("最近的加油站在哪里？")
    assert "江汉加油站" in said
    assert "汉口门店" not in said
    assert chat.say("最近的医院") == "附近没有叫“医院”的地方。"


def test_the_name_asked_for_is_remembered_until_the_location_comes(chat: Chat) -> None:
    chat.say("最近的加油站")
    said = chat.send()
    assert "江汉加油站" in said
    assert "汉口门店" not in said


def test_a_question_that_waited_too_long_is_forgotten(chat: Chat) -> None:
    chat.say("限行")
    chat.now_ms += EXPIRES_MS
    assert chat.send().startswith("离您最近")


def test_a_location_that_is_not_on_earth_is_refused_and_the_question_still_waits(chat: Chat) -> None:
    chat.say("最近的加油站")
    for place in ((float("nan"), 30.0), (514.3, 30.0), (114.0, -130.5)):
        assert chat.send(place) == TEXTS["bad_location"][0]
    assert "江汉加油站" in chat.send()


def test_a_name_with_a_tag_in_it_makes_no_tag() -> None:
    said = Chat(places=[Place("p", '<a href="x">店</a>', *away(100.0))]).send()
    assert said.count("<a ") == 1
    assert "＜a href" in said


def test_english_is_spoken_when_asked_for_and_chinese_again(chat: Chat) -> None:
    assert chat.say("english").startswith("English it is.")
    chat.stand()
    said = chat.say("nearest")
    assert "Hankou Store" in said
    assert re.search(r"\d+ m, northeast \d{3}°, about \d+ min on foot, \d+ min by car", said)
    assert chat.say("中文").startswith("已切换为中文")
    assert chat.languages == {ANNA: Language.ZH}


# ---- zones around me


def test_the_zones_of_now_and_today_have_a_line_each() -> None:
    zones = [
        box_zone("now", schedule=Schedule.parse("07:00-22:00")),
        box_zone("later", west=114.31, east=114.32, schedule=Schedule.parse("16:30-19:00")),
        box_zone("tomorrow", schedule=Schedule.parse("07:00-09:00")),
    ]
    chat = Chat(zones=zones)
    chat.stand()
    head, now, later = chat.say("限行").split("\n")
    assert head == "附近5000米内，对您的车辆："
    assert now == f"1. zone now，{round(GEOD.inv(*HERE, 114.30, 30.60)[2])}米，东090°，现在禁行，至22:00"
    assert later.endswith("东090°，今天16:30起禁行，至19:00")


def test_inside_a_zone_that_is_said_and_an_unknown_vehicle_may_be_meant() -> None:
    chat = Chat(zones=[box_zone("a")])
    chat.stand((114.305, 30.60))
    chat.languages[ANNA] = Language.EN
    assert chat.say("zones").endswith("1. zone a, you are inside, closed now, until further notice")


def test_who_drives_something_else_or_stands_far_away_is_told_that_nothing_applies() -> None:
    chat = Chat(zones=[box_zone("a", applies_to=AppliesTo(kinds=GOODS_KINDS))])
    chat.stand()
    assert "zone a" in chat.say("限行")
    chat.vehicles[ANNA] = Vehicle(ANNA)
    assert chat.say("限行").endswith("（车辆资料不全，可能适用）")
    chat.vehicles[ANNA] = Vehicle(ANNA, kind=VehicleKind.CAR)
    assert chat.say("限行") == "附近5000米内，现在和今天没有对您车辆的限行。"
    del chat.vehicles[ANNA]
    chat.stand((100.0, 20.0))
    assert "没有对您车辆的限行" in chat.say("限行")


def test_zones_without_a_location_ask_for_it_and_answer_when_it_comes() -> None:
    chat = Chat(zones=[box_zone("a")])
    assert "请发送您的位置" in chat.hear(Clicked("zones")).text
    assert "zone a" in chat.send()


def test_many_zones_are_cut_at_a_line_and_counted() -> None:
    zones = [box_zone(f"{'很长的名字' * 6}{number}") for number in range(30)]
    chat = Chat(zones=zones)
    chat.stand()
    said = chat.say("限行")
    assert len(said.encode()) <= 2048
    told = said.split("\n")
    assert told[-1] == f"…还有{30 - (len(told) - 2)}条"


# ---- warnings


def test_my_warnings_are_listed_the_newest_first_and_none_is_said_too(chat: Chat) -> None:
    assert chat.say("我的提醒") == "还没有给您发过提醒。"
    chat.warn("a", "b")
    assert chat.say("我的提醒").split("\n") == ["最近的提醒：", "10-19 11:59:00 前方b", "10-19 11:59:00 前方a"]
    assert chat.say("我的提醒", BEN) == "还没有给您发过提醒。"


@pytest.mark.parametrize("said", [Texted("不再提醒此区域"), Clicked("mute"), Texted("别再提醒")])
def test_after_a_warning_its_zone_is_muted(chat: Chat, said: Texted | Clicked) -> None:
    chat.warn("a", "b")
    assert "区域b" in chat.hear(said).text
    assert chat.muted == {ANNA: ["b"]}


def test_the_zone_just_warned_about_is_meant_and_not_the_newest_in_the_store(chat: Chat) -> None:
    chat.warn("a", "b")
    chat.talk.warned(ANNA, "c", chat.now_ms)
    assert "区域c" in chat.say("不再提醒此区域")


def test_a_zone_is_muted_by_name_among_those_warned_about(chat: Chat) -> None:
    chat.warn("a", "b")
    assert "区域a" in chat.say("不再提醒 区域a")
    assert chat.say("不再提醒 区域z") == TEXTS["mute_what"][0]
    assert chat.muted == {ANNA: ["a"]}


def test_without_a_recent_warning_nothing_is_muted(chat: Chat) -> None:
    assert chat.say("不再提醒") == TEXTS["mute_what"][0]
    chat.warn("a", ago_ms=86_400_001)
    assert chat.say("不再提醒") == TEXTS["mute_what"][0]
    chat.warn("b", u7=BEN)
    assert chat.say("不再提醒") == TEXTS["mute_what"][0]
    assert chat.muted == {}


@pytest.mark.parametrize(
    ("said", "hours"),
    [
        ("免打扰 22:00-07:00", "22:00-07:00"),
        ("免打扰22点到7点半", "22:00-07:30"),
        ("免打擾 ２１：３０～６：００", "21:30-06:00"),
        ("勿扰 13-14", "13:00-14:00"),
        ("免打扰 从23:00到24:00", "23:00-00:00"),
        ("quiet 22:00-07:00", "22:00-07:00"),
        ("Quiet hours from 0:00 to 6:00", "00:00-06:00"),
    ],
)
def test_own_quiet_hours_are_set_and_restrictions_are_named_as_what_still_comes(
    chat: Chat, said: str, hours: str
) -> None:
    answer = chat.say(said)
    assert chat.quiet.kept == {ANNA: QuietHours.parse(hours)}
    assert hours in answer
    assert "货车禁限行照常提醒" in answer
    assert "之后也不补发" in answer


@pytest.mark.parametrize(
    "said", ["免打扰 晚上", "免打扰 25:00-07:00", "免打扰 22:60-07:00", "免打扰 22:00-22:00", "免打扰 0:00-24:00"]
)
def test_hours_that_are_none_are_said_back_and_change_nothing(chat: Chat, said: str) -> None:
    chat.say("免打扰 21:00-06:00")
    answer = chat.say(said)
    assert answer.startswith(f"没有听懂时段“{said.removeprefix('免打扰 ')}”")
    assert "免打扰 22:00-07:00" in answer
    assert chat.quiet.kept == {ANNA: QuietHours.parse("21:00-06:00")}


@pytest.mark.parametrize(
    "said", [Texted("免打扰 关闭"), Texted("关闭免打扰"), Texted("quiet off"), Clicked("no_quiet")]
)
def test_quiet_hours_are_switched_off_also_those_of_the_service(chat: Chat, said: Texted | Clicked) -> None:
    assert "没有免打扰时段" in chat.hear(said).text
    assert chat.quiet.kept == {ANNA: QuietHours(0, 0)}


def test_the_usual_hours_are_taken_up_again(chat: Chat) -> None:
    chat.say("免打扰 关闭")
    assert "默认时段：每天22:00-07:00" in chat.say("免打扰 默认")
    assert chat.quiet.kept == {}


def test_the_word_alone_says_which_hours_hold_and_changes_nothing(chat: Chat) -> None:
    assert "按默认时段：每天22:00-07:00" in chat.say("免打扰")
    chat.quiet.usual = QuietHours(0, 0)
    answer = chat.hear(Clicked("quiet")).text
    assert "没有免打扰时段" in answer
    assert "免打扰 关闭" in answer
    chat.say("免打扰 01:00-05:00")
    assert "是每天01:00-05:00" in chat.say("免打扰？")
    chat.languages[ANNA] = Language.EN
    assert chat.say("quiet").startswith("Your quiet hours are 01:00-05:00 every day (Beijing time). In them you")
    assert chat.quiet.kept == {ANNA: QuietHours(60, 300)}


def test_the_help_names_quiet_hours_in_both_languages(chat: Chat) -> None:
    assert "免打扰 22:00-07:00" in chat.say("帮助")
    chat.languages[ANNA] = Language.EN
    assert "quiet 22:00-07:00" in chat.say("help")


def test_a_mute_is_taken_back_and_without_one_that_is_said(chat: Chat) -> None:
    assert chat.say("恢复提醒") == "您没有屏蔽任何区域。"
    chat.muted[ANNA] = ["a", "b"]
    assert "区域b" in chat.say("恢复提醒")
    assert "区域a" in chat.say("恢复提醒 区域a")
    assert chat.muted == {ANNA: []}


# ---- one's own data


def test_my_data_is_a_link_to_a_file_and_a_failure_is_said(chat: Chat) -> None:
    assert "https://x.example/1.json" in chat.say("我的数据")
    assert chat.hear(Texted("我的数据")).private
    chat.can_export = False
    assert not chat.hear(Texted("我的数据")).private
    assert chat.say("我的数据") == TEXTS["no_export"][0]


def test_forget_me_asks_first_and_erases_at_a_yes(chat: Chat) -> None:
    meeting = chat.meet(BEN)
    chat.hear(Located(*HERE), ANNA)
    assert "确认删除" in chat.say("忘记我")
    assert chat.erased == []
    assert chat.say("确认删除") == "已删除您的全部数据。"
    assert chat.erased == [ANNA]
    assert (len(chat.dialogues), chat.sightings.users(), chat.desk.of(BEN, chat.now_ms)) == (0, [], [])
    assert chat.desk.members(meeting.meeting_id) == []


@pytest.mark.parametrize("other", ["不", "附近", "什么", "忘记"])
def test_anything_but_a_yes_keeps_everything(chat: Chat, other: str) -> None:
    chat.say("忘记我")
    chat.say(other)
    assert chat.say("确认") == "现在没有需要确认的事。"
    assert chat.erased == []


@pytest.mark.parametrize("text", ["好的", "OK", "谢谢！", "收到", "thank you"])
def test_who_says_thanks_or_all_right_gets_no_menu_and_changes_nothing(chat: Chat, text: str) -> None:
    assert chat.say(text) == "好的，一路平安。"
    # But to a question "all right" is a yes.
    chat.say("忘记我")
    chat.say(text)
    assert chat.erased == ([ANNA] if text in {"好的", "OK"} else [])


@pytest.mark.parametrize("text", ["你好", "您好！", "在吗？", "Hello", "hi"])
def test_a_greeting_is_answered_with_what_can_be_asked(chat: Chat, text: str) -> None:
    assert chat.say(text) == TEXTS["help"][0]


def test_eight_letters_that_make_a_sentence_are_no_code_of_a_meeting(chat: Chat) -> None:
    assert chat.say("where am i").startswith(TEXTS["not_understood"][0])
    assert chat.say("7K3M9QZX") == "没有这个会议，请检查会议码或二维码。"


def test_a_book_of_dialogues_with_nobody_in_it_is_the_one_that_is_used(chat: Chat) -> None:
    chat.say("忘记我")
    assert chat.dialogues.of(ANNA, chat.now_ms).confirms is Intent.FORGET_ME


def test_a_yes_that_comes_too_late_or_out_of_nothing_or_of_somebody_else_erases_nothing(chat: Chat) -> None:
    assert chat.say("是") == "现在没有需要确认的事。"
    chat.say("忘记我")
    assert chat.say("确认删除", BEN) == "现在没有需要确认的事。"
    chat.now_ms += EXPIRES_MS
    assert chat.say("确认删除") == "现在没有需要确认的事。"
    assert chat.erased == []


def test_an_erasure_that_failed_is_not_called_done(chat: Chat) -> None:
    chat.can_erase = False
    chat.say("忘记我")
    assert chat.say("确认删除") == TEXTS["not_forgotten"][0]


def test_stop_withdraws_consent_and_hides_from_companions(chat: Chat) -> None:
    meeting = chat.meet(BEN)
    chat.hear(Located(*HERE), BEN)
    assert chat.say("停止", BEN).startswith("已停止")
    assert (chat.withdrawn, chat.sightings.users()) == ([BEN], [])
    member = chat.desk.member(meeting.meeting_id, BEN)
    assert member is not None
    assert not member.shares
    assert "请发送一次位置" in chat.say("附近", BEN)


# ---- never silence


@pytest.mark.parametrize("said", ["天气怎么样", "", "😀", "asdf", "/::)"])
def test_what_is_not_understood_is_answered_with_the_menu(chat: Chat, said: str) -> None:
    assert chat.say(said) == f"没有听懂。\n{TEXTS['help'][0]}"


def test_a_strange_menu_key_is_answered_with_the_menu_and_help_without_an_excuse(chat: Chat) -> None:
    assert "没有听懂" in chat.hear(Clicked("gone")).text
    assert chat.say("帮助") == TEXTS["help"][0]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("intent", list(Intent))
def test_every_intent_is_answered_in_both_languages_also_when_there_is_nothing_to_say(
    chat: Chat, intent: Intent, language: Language
) -> None:
    chat.languages[CARL] = language
    said = chat.hear(Clicked(intent.value), CARL).text
    chinese = sum("\u4e00" <= char <= "\u9fff" for char in said)
    wanted = Language.EN if intent is Intent.LANGUAGE_EN else Language.ZH if intent is Intent.LANGUAGE_ZH else language
    assert (chinese > len(said) / 3) == (wanted is Language.ZH)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(list(Intent))), max_size=8))
def test_no_talk_breaks_it_and_everything_is_answered_within_the_limit(said: list) -> None:
    chat = Chat(zones=[box_zone("a")])
    for one in said:
        chat.hear(Clicked(one.value) if isinstance(one, Intent) else Texted(one))


def test_a_store_that_is_away_is_said_and_the_dialogue_stands_where_it_stood(chat: Chat) -> None:
    chat.say("忘记我")
    chat.store_is_away = True
    answer = chat.hear(Texted("我的提醒"))
    assert (answer.text, answer.failed) == (TEXTS["busy"][0], "store test: away")
    chat.store_is_away = False
    assert chat.say("确认删除") == "已删除您的全部数据。"
    assert chat.hear(Texted("帮助")).failed == ""


def test_another_part_of_the_conversation_is_asked_first(chat: Chat) -> None:
    chat.handler_says = "请发送车牌"
    assert chat.say("附近") == "请发送车牌"
    chat.handler_says = None
    assert chat.say("附近") != "请发送车牌"


def test_a_long_answer_of_another_part_is_cut_too(chat: Chat) -> None:
    chat.handler_says = "字" * 2000
    assert len(chat.say("附近").encode()) <= 2048


def test_every_sentence_is_there_in_both_languages_with_the_same_gaps() -> None:
    for key, (zh, en) in [*TEXTS.items(), *((reason.value, pair) for reason, pair in REFUSALS.items())]:
        assert set(re.findall(r"\{(\w+)\}", zh)) == set(re.findall(r"\{(\w+)\}", en)), key
        assert zh != en
    assert max(len(text.encode()) for pair in TEXTS.values() for text in pair) < 1_000


def test_of_many_zones_the_first_ten_are_named_and_the_rest_is_counted() -> None:
    zones = [box_zone(f"z{k:02}", west=114.29 + k / 1000, east=114.2905 + k / 1000) for k in range(13)]
    for count, last in ((13, "…还有3条"), (10, "10. ")):
        chat = Chat(zones=zones[:count])
        chat.stand()
        lines = chat.say("限行").split("\n")
        assert lines[-1].startswith(last)
        assert sum(". " in line for line in lines) == 10
