"""Meetings in the chat: made, joined by code and by both QR ways, shared, told, left, ended; and every refusal."""

from __future__ import annotations

import re

import pytest
from pyproj import Geod

from geo_engine.meetings import Meeting
from geo_engine.model import Language
from geo_engine.wechat.conversation import Located, Scanned, Texted
from geo_engine.wechat.conversation.dialogue import EXPIRES_MS
from geo_engine.wechat.conversation.phrases import notice_text, with_invitation
from geo_engine.wechat.conversation.texts import TEXTS
from geo_engine.wechat.conversation.turn import Invitation
from tests.unit.wechat.conversation.talking import ANNA, BEN, CARL, HERE, HOUR_MS, MINUTE_MS, Chat, away

GEOD = Geod(ellps="WGS84")


@pytest.fixture
def chat() -> Chat:
    return Chat()


def only_meeting(chat: Chat, u7: int = ANNA) -> Meeting:
    [meeting] = chat.desk.of(u7, chat.now_ms)
    return meeting


# ---- making


def test_a_meeting_is_made_by_one_line_and_a_location(chat: Chat) -> None:
    assert chat.say("开会 周会 14:00-15:30") == TEXTS["create_where"][0]
    answer = chat.hear(Located(*away(500.0), "江汉路1号"))
    said = answer.text
    meeting = only_meeting(chat)
    assert (meeting.title, meeting.place, meeting.organiser) == ("周会", "江汉路1号", ANNA)
    assert (meeting.from_ms, meeting.until_ms) == (chat.now_ms + 2 * HOUR_MS, chat.now_ms + 3.5 * HOUR_MS)
    assert "周会，10-19 14:00-15:30，江汉路1号" in said
    assert meeting.code in said
    assert answer.invitation == Invitation(chat.desk.scene(meeting), meeting.until_ms)


def test_the_venue_may_be_a_place_by_name(chat: Chat) -> None:
    chat.say("开会 周会 14:00-15:30")
    chat.say("武昌门店")
    assert (only_meeting(chat).place, only_meeting(chat).lat) == ("武昌门店", 30.53)


def test_a_name_that_is_nobodys_or_several_is_asked_again(chat: Chat) -> None:
    chat.say("开会 周会 14:00-15:30")
    assert "没有找到唯一叫“长城”的场所" in chat.say("长城")
    chat.say("汉口门店")
    assert only_meeting(chat).place == "汉口门店"


def test_who_organises_is_invited_again_when_asking_for_meetings_and_others_are_not(chat: Chat) -> None:
    meeting = chat.meet(BEN)
    assert chat.hear(Texted("我的会议")).invitation == Invitation(chat.desk.scene(meeting), meeting.until_ms)
    assert chat.hear(Texted("我的会议"), BEN).invitation is None
    assert chat.hear(Texted("同伴")).invitation is None


@pytest.mark.parametrize("language", list(Language))
def test_the_qr_code_is_the_last_line_and_never_cut(language: Language) -> None:
    link = "https://qr.example/" + "t" * 90
    for text in ("会", "会" * 2_000):
        whole = with_invitation(text, link, language)
        assert whole.endswith(link)
        assert len(whole.encode()) <= 2048
        assert "\n" in whole


@pytest.mark.parametrize("line", ["开会", "开会 周会", "开会 14:00-15:00", "开会 周会 25:00-26:00"])
def test_a_line_without_title_or_time_is_answered_with_how(chat: Chat, line: str) -> None:
    assert chat.say(line) == TEXTS["create_how"][0]
    chat.send()
    assert chat.desk.of(ANNA, chat.now_ms) == []


def test_a_meeting_given_up_or_left_too_long_is_not_made(chat: Chat) -> None:
    chat.say("开会 周会 14:00-15:30")
    chat.say("取消")
    assert chat.send().startswith("离您最近")
    chat.say("开会 周会 14:00-15:30")
    chat.now_ms += EXPIRES_MS
    chat.send()
    assert chat.desk.of(ANNA, chat.now_ms) == []


def test_who_may_not_organise_is_told(chat: Chat) -> None:
    chat.organisers.clear()
    chat.say("开会 周会 14:00-15:30")
    assert chat.send() == "只有会议组织者可以这样做。"
    assert chat.desk.of(ANNA, chat.now_ms) == []


# ---- joining


@pytest.mark.parametrize("how", ["加入 {}", "join {}", "{}", "加入会议{}"])
def test_people_join_by_code(chat: Chat, how: str) -> None:
    meeting = chat.meet()
    said = chat.say(how.format(meeting.code.lower()), BEN)
    assert said.startswith("您已加入：周会")
    assert TEXTS["share_ask"][0] in said
    assert only_meeting(chat, BEN) == meeting


@pytest.mark.parametrize("prefix", ["", "qrscene_"])
def test_people_join_by_scanning_whether_they_follow_already_or_not(chat: Chat, prefix: str) -> None:
    meeting = chat.meet()
    assert chat.hear(Scanned(prefix + chat.desk.scene(meeting)), BEN).text.startswith("您已加入：周会")
    assert only_meeting(chat, BEN) == meeting


def test_a_forged_scene_joins_nothing_and_one_of_something_else_is_a_greeting(chat: Chat) -> None:
    scene = chat.desk.scene(chat.meet())
    assert "没有这个会议" in chat.hear(Scanned(scene[:-2] + "AA"), BEN).text
    assert chat.hear(Scanned("last_trade_no_4711"), BEN).text == TEXTS["help"][0]
    assert chat.hear(Scanned(""), BEN).text == TEXTS["help"][0]
    assert chat.desk.of(BEN, chat.now_ms) == []


def test_a_wrong_code_and_none_and_one_of_a_meeting_that_is_over_are_told(chat: Chat) -> None:
    meeting = chat.meet()
    assert "没有这个会议" in chat.say("加入 00000000", BEN)
    assert chat.say("加入", BEN) == TEXTS["join_how"][0]
    chat.now_ms = meeting.until_ms
    assert chat.say(f"加入 {meeting.code}", BEN) == "这个会议已经结束。"


# ---- the venue and the companions


def test_the_venue_is_told_with_the_way_there(chat: Chat) -> None:
    chat.meet(at=away(700.0, 180.0))
    chat.stand()
    said = chat.say("会场在哪")
    metres = GEOD.inv(*HERE, *away(700.0, 180.0))[2]
    assert f"{round(metres)}米，南180°，步行约13分钟" in said
    assert "地图</a>" in said


def test_without_a_location_the_venue_is_told_all_the_same_and_the_way_when_it_comes(chat: Chat) -> None:
    chat.meet(at=away(700.0))
    said = chat.say("会场")
    assert "会场" in said
    assert "请发送您的位置" in said
    assert "700米" in chat.send()


@pytest.mark.parametrize(
    "asked", ["会场", "同伴", "我到了", "退出会议", "共享位置", "靠近提醒 300", "结束会议", "我的会议", "停止共享"]
)
def test_who_is_in_no_meeting_is_told_so(chat: Chat, asked: str) -> None:
    chat.meet()
    assert chat.say(asked, BEN) == TEXTS["no_meeting"][0]


def test_companions_are_told_by_name_metres_direction_and_how_long_ago(chat: Chat) -> None:
    chat.meet(BEN, CARL)
    chat.hear(Located(*away(300.0, 0.0)), BEN)
    chat.stand()
    chat.now_ms += MINUTE_MS
    said = chat.say("同伴").split("\n")
    assert said[0] == "“周会”的同伴："
    assert re.match(r"本：300米，北000°，步行约6分钟，驾车约1分钟，1分钟前 <a href", said[1])
    assert said[2] == "卡尔：位置未共享或未知"


def test_a_location_message_in_a_meeting_tells_venue_companions_and_stores(chat: Chat) -> None:
    chat.meet(BEN, at=away(700.0))
    chat.hear(Located(*away(300.0)), BEN)
    said = chat.send()
    assert [word in said for word in ("700米", "本：300米", "1. 汉口门店")] == [True, True, True]


def test_only_an_answer_that_tells_where_somebody_else_is_is_private(chat: Chat) -> None:
    chat.meet(BEN, CARL)
    chat.stand()
    assert not chat.hear(Texted("同伴")).private  # nobody is seen yet
    chat.hear(Located(*away(300.0, 0.0)), BEN)
    assert chat.hear(Texted("同伴")).private
    assert chat.hear(Located(*HERE)).private
    assert not chat.hear(Texted("会场在哪")).private


def test_before_the_window_and_after_it_companions_are_not_told(chat: Chat) -> None:
    meeting = chat.meet(BEN, begins_in_ms=HOUR_MS)
    chat.hear(Located(*HERE), BEN)
    assert chat.say("同伴") == "会议还没有开始，开始后才能看到同伴。"
    assert "本" not in chat.send()
    chat.now_ms = meeting.until_ms
    assert chat.say("同伴") == TEXTS["no_meeting"][0]


def test_who_does_not_share_is_told_why_nobody_is_shown(chat: Chat) -> None:
    chat.meet(BEN)
    chat.hear(Located(*HERE), BEN)
    assert "已停止共享" in chat.say("停止共享")
    said = chat.say("同伴")
    assert "您没有共享位置" in said
    assert "本：位置未共享或未知" in said


def test_sharing_is_a_yes_of_its_own_and_shows_from_then_on(chat: Chat) -> None:
    meeting = chat.meet(BEN)
    chat.desk.share(BEN, meeting.meeting_id, chat.now_ms, yes=False)
    chat.seen.discard(BEN)
    chat.hear(Located(*HERE), BEN)
    assert chat.sightings.users() == []
    assert "能看到您的位置" in chat.say("共享位置", BEN)
    assert chat.seen == {ANNA, BEN, CARL}
    assert chat.sightings.users() == [BEN]


def test_alone_in_a_meeting_that_is_said(chat: Chat) -> None:
    chat.meet()
    assert chat.say("同伴") == "“周会”还没有其他人。"


def test_companions_without_ones_own_location_are_told_and_the_way_when_it_comes(chat: Chat) -> None:
    chat.meet(BEN)
    chat.hear(Located(*away(300.0)), BEN)
    said = chat.say("同伴")
    assert "请发送您的位置" in said
    assert "本：刚刚" in said
    assert "本：300米" in chat.send()


# ---- taking part


def test_arriving_is_noted_and_shown_to_the_others_and_not_before_the_window(chat: Chat) -> None:
    meeting = chat.meet(BEN, begins_in_ms=HOUR_MS)
    assert "还没有开始" in chat.say("我到了", BEN)
    chat.now_ms = meeting.from_ms
    assert chat.say("我到了", BEN) == "已记录：您到达了“会场”。"
    assert "本：已到达" in chat.say("同伴")


def test_a_notice_is_asked_for_with_metres_and_told_once(chat: Chat) -> None:
    chat.meet(BEN, at=away(1_000.0))
    assert chat.say("靠近提醒", BEN) == TEXTS["notice_how"][0]
    assert "会场或同伴在300米内" in chat.say("靠近提醒 300米", BEN)
    assert chat.hear(Located(*away(600.0)), BEN).notices == ()
    [notice] = chat.hear(Located(*away(800.0)), BEN).notices
    assert notice_text(notice, Language.ZH) == "会议“周会”：会场“会场”就在200米外。"
    assert notice_text(notice, Language.EN) == "“周会”: the venue 会场 is 200 m away."
    assert chat.hear(Located(*away(850.0)), BEN).notices == ()
    [notice] = chat.hear(Located(*away(700.0)), ANNA).notices
    assert (notice.u7, notice_text(notice, Language.ZH)) == (BEN, "会议“周会”：安娜就在150米外。")


def test_without_asking_nobody_is_told_and_it_can_be_taken_back(chat: Chat) -> None:
    chat.meet(BEN, at=away(100.0))
    assert chat.hear(Located(*HERE), BEN).notices == ()
    chat.say("靠近提醒 1公里", BEN)
    assert "不再发送" in chat.say("关闭靠近提醒", BEN)
    assert chat.hear(Located(*HERE), BEN).notices == ()
    chat.say("靠近提醒 1公里", BEN)
    assert len(chat.hear(Located(*HERE), BEN).notices) == 1


def test_leaving_and_ending(chat: Chat) -> None:
    chat.meet(BEN)
    assert chat.say("退出会议", BEN) == "您已退出“周会”。"
    assert chat.say("退出会议", BEN) == TEXTS["no_meeting"][0]
    assert chat.say("结束会议") == "会议“周会”已结束，同伴的位置已忘记。"
    assert chat.say("会场") == TEXTS["no_meeting"][0]


def test_a_member_cannot_end_the_meeting(chat: Chat) -> None:
    meeting = chat.meet(BEN)
    assert chat.say("结束会议", BEN) == "只有会议组织者可以这样做。"
    assert chat.desk.current(BEN, chat.now_ms) == meeting


def test_companions_without_a_name_are_told_apart(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "name", lambda _u7: "")
    chat.say("开会 周会 12:00-13:00")
    chat.send(away(700.0))
    code = only_meeting(chat).code
    chat.say("共享位置")
    for u7 in (BEN, CARL):
        chat.now_ms += 1
        chat.say(f"加入 {code}", u7)
        chat.say("共享位置", u7)
    chat.send(HERE, CARL)
    said = chat.say("同伴", CARL)
    assert "组织者：" in said
    assert "同伴2：" in said
    assert "同伴3：" in chat.say("同伴", BEN)
    chat.languages[BEN] = Language.EN
    said = chat.say("companions", BEN)
    assert "the organiser: " in said
    assert "companion 3: " in said


def test_my_meetings_are_listed_with_their_codes(chat: Chat) -> None:
    meeting = chat.meet(BEN)
    said = chat.say("我的会议", BEN)
    assert said == f"您的会议：\n周会，10-19 12:00-13:00，会场，会议码 {meeting.code}"


def test_a_name_with_a_tag_in_it_makes_no_tag(chat: Chat) -> None:
    meeting = chat.meet()
    chat.hear(Texted(f"加入 {meeting.code}"), CARL)
    member = chat.desk.member(meeting.meeting_id, CARL)
    assert member is not None
    assert member.name == "＜卡尔＞"


def test_english_meetings(chat: Chat) -> None:
    chat.languages[BEN] = Language.EN
    chat.say("new meeting Weekly tomorrow 9:00-10:30", BEN)
    said = chat.hear(Located(*away(100.0)), BEN).text
    assert "The meeting is made: Weekly, 10-20 09:00-10:30, the place you sent" in said
    assert "Others join by sending" in said
    assert "has not begun" in chat.say("companions", BEN)
