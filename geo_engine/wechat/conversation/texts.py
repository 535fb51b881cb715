"""The fixed sentences of the conversation in Chinese and English."""

from __future__ import annotations

from typing import Final

from geo_engine.kinds import Language
from geo_engine.meetings.meeting import Refusal

__all__ = ["REFUSALS", "TEXTS", "say", "say_refusal"]

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "help": (
        "您可以发送：\n附近 — 最近的门店和场所（也可说“最近的加油站”）\n限行 — 附近现在和今天对您车辆的限行\n"
        "会场 / 同伴 — 会议地点、同行的人\n开会 / 加入 会议码 / 我到了 / 退出会议\n"
        "我的提醒 / 不再提醒此区域 / 免打扰 22:00-07:00\n我的数据 / 忘记我\n同意 / 停止 — 开启或停止定位与提醒\n"
        "English — switch language\n也可以直接发送位置。",
        "You can send:\nnearest - stores and venues near you (or: nearest fuel)\n"
        "zones - restrictions for your vehicle, "
        "now and today\nvenue / companions - of your meeting\nnew meeting / join CODE / arrived / leave meeting\n"
        "my warnings / mute / quiet 22:00-07:00\nmy data / forget me\nagree / stop - locate and warn you, or not\n"
        "中文 — 切换语言\nOr simply send your location.",
    ),
    "not_understood": ("没有听懂。", "Sorry, that was not understood."),
    "busy": ("服务繁忙，请稍后再试。", "The service is busy, please try again later."),
    "where_are_you": (
        "请发送您的位置（点“+”，选“位置”），收到后马上回答。",
        "Please send your location (tap +, then Location); the answer follows at once.",
    ),
    "where_no_consent": (
        "您没有同意定位，所以不知道您在哪里。请发送一次位置（点“+”，选“位置”），只用于这次回答。",
        "You have not agreed to be located, so where you are is not known. Send your location once (tap +, then "
        "Location); it is used for this answer only.",
    ),
    "bad_location": ("这个位置不在地球上，请重新发送。", "That location is not on earth, please send it again."),
    "more": ("…还有{count}条", "…{count} more"),
    "map": ("地图", "map"),
    "nearest": ("离您最近：", "Nearest to you:"),
    "nothing_near": ("附近没有门店或场所。", "There is no store or venue near you."),
    "nothing_called": ("附近没有叫“{name}”的地方。", "There is no place called “{name}” near you."),
    "zones": ("附近{within}内，对您的车辆：", "Within {within}, for your vehicle:"),
    "no_zones": (
        "附近{within}内，现在和今天没有对您车辆的限行。",
        "Within {within} nothing applies to your vehicle now or today.",
    ),
    "applies_now": ("现在{what}，{until}", "{what} now, {until}"),
    "applies_later": ("今天{begin}起{what}，{until}", "{what} today from {begin}, {until}"),
    "inside": ("您在其中", "you are inside"),
    "may_apply": ("（车辆资料不全，可能适用）", " (your vehicle is not fully known, it may apply)"),
    "warnings": ("最近的提醒：", "Your last warnings:"),
    "no_warnings": ("还没有给您发过提醒。", "You have not been warned about anything."),
    "muted": (
        "好的，不再提醒“{zone}”。发送“恢复提醒”可撤销。",
        "You will not be warned about “{zone}” again. Send “unmute” to take it back.",
    ),
    "mute_what": (
        "没有找到要屏蔽的区域：最近没有给您发过提醒，或名称不符。",
        "No zone to mute was found: there is no recent warning, or none of that name.",
    ),
    "unmuted": ("好的，恢复提醒“{zone}”。", "You will be warned about “{zone}” again."),
    "nothing_muted": ("您没有屏蔽任何区域。", "You have muted no zone."),
    "quiet_own": (
        "您的免打扰时段是每天{hours}（北京时间）。",
        "Your quiet hours are {hours} every day (Beijing time).",
    ),
    "quiet_usual": (
        "您没有设置免打扰时段，按默认时段：每天{hours}（北京时间）。",
        "You have set no quiet hours; the usual ones hold: {hours} every day (Beijing time).",
    ),
    "quiet_none": (
        "您没有免打扰时段：夜间的提醒和白天一样。",
        "You have no quiet hours: you are warned at night as by day.",
    ),
    "quiet_rule": (
        "其间货车禁限行照常提醒，因为夜里误入同样违规；其他提醒不发送，之后也不补发。对您的回答和会议通知照常。",
        "In them you are still warned of truck restrictions, which hold at night as well; other warnings are not sent, "
        "nor later. Answers to you and notices of meetings come as ever.",
    ),
    "quiet_how": (
        "设置：免打扰 22:00-07:00\n关闭：免打扰 关闭\n恢复默认：免打扰 默认",
        "To set them: quiet 22:00-07:00\nNone: quiet off\nThe usual ones: quiet default",
    ),
    "quiet_wrong": (
        "没有听懂时段“{said}”：应为一天中的开始和结束时间，两者不同。要全天不提醒，请发送“停止”。",
        "“{said}” are no hours: expected a begin and an end within the day, not the same. For no warnings at all send "
        "“stop”.",
    ),
    "export": (
        "您的全部数据在这里（链接会过期，请勿转发）：\n{link}",
        "Everything that is known about you (the link expires, do not pass it on):\n{link}",
    ),
    "no_export": (
        "现在不能导出数据，请稍后再试。",
        "Your data cannot be exported right now, please try again later.",
    ),
    "forget_sure": (
        "这将删除您的车辆、授权、历史、提醒和会议，不能恢复。回复“确认删除”继续，其他任何回复都表示不删除。",
        "This erases your vehicle, consents, history, warnings and meetings, for good. Reply “yes” to go on; anything "
        "else keeps them.",
    ),
    "forgotten": ("已删除您的全部数据。", "Everything about you was erased."),
    "not_forgotten": (
        "现在没能删除，请稍后再试；您的数据还在。",
        "It could not be erased right now, please try again later; your data is still there.",
    ),
    "kept": ("好的，没有删除。", "Nothing was erased."),
    "nothing_to_confirm": ("现在没有需要确认的事。", "There is nothing to confirm."),
    "all_right": ("好的，一路平安。", "All right, have a safe trip."),
    "stopped": (
        "已停止：不再定位您，也不再提醒。要删除数据请发送“忘记我”。",
        "Stopped: you are not located and not warned any more. To erase your data send “forget me”.",
    ),
    "language": ("已切换为中文。", "English it is."),
    "no_meeting": (
        "您现在没有会议。发送“加入”和会议码，或扫描会议二维码。",
        "You are in no meeting. Send “join” and the code, or scan the meeting's QR code.",
    ),
    "meetings": ("您的会议：", "Your meetings:"),
    "meeting_line": ("{title}，{window}，{place}", "{title}, {window}, {place}"),
    "meeting_code": ("会议码 {code}", "code {code}"),
    "create_how": (
        "请发送：开会 名称 时间，例如“开会 周会 14:00-15:30”或“开会 周会 明天 9:00-10:00”。",
        "Send: new meeting TITLE TIME, such as “new meeting Weekly 14:00-15:30” or “... tomorrow 9:00-10:00”.",
    ),
    "create_where": (
        "会场在哪里？请发送会场的位置，或场所的名称。",
        "Where is it? Send the location of the venue, or the name of a place.",
    ),
    "no_such_place": (
        "没有找到唯一叫“{name}”的场所。请发送会场的位置，或更完整的名称。",
        "No single place is called “{name}”. Send the location of the venue, or more of its name.",
    ),
    "created": (
        "会议已创建：{line}\n会议码：{code}\n其他人发送“加入 {code}”即可加入。",
        "The meeting is made: {line}\nCode: {code}\nOthers join by sending “join {code}”.",
    ),
    "qr": ("同伴扫描二维码即可加入：{link}", "Others join by scanning the QR code: {link}"),
    "join_how": (
        "请发送“加入”和8位会议码，例如“加入 7K3M9QZX”。",
        "Send “join” and the code of 8 characters, such as “join 7K3M9QZX”.",
    ),
    "joined": ("您已加入：{line}", "You are in: {line}"),
    "share_ask": (
        "要在会议时间内让同伴看到您的位置，请回复“共享位置”；不共享也可以参加。会议结束后位置自动忘记。",
        "To let your companions see where you are, during the meeting only, reply “share my location”. You can take "
        "part without. When the meeting ends, positions are forgotten.",
    ),
    "shared": (
        "好的，会议“{title}”期间，同样共享的同伴能看到您的位置。“停止共享”可撤销。",
        "During “{title}” companions who share too can see where you are. “stop sharing” takes it back.",
    ),
    "unshared": ("已停止共享，您的位置已忘记。", "Sharing stopped, your position is forgotten."),
    "left": ("您已退出“{title}”。", "You have left “{title}”."),
    "ended": ("会议“{title}”已结束，同伴的位置已忘记。", "“{title}” has ended, positions are forgotten."),
    "arrived": ("已记录：您到达了“{place}”。", "Noted: you have arrived at “{place}”."),
    "noticed": (
        "会场或同伴在{within}内时通知您，每次会议各一次。",
        "You will hear when the venue or a companion is within {within}, once each.",
    ),
    "notice_how": (
        "请给出距离，例如“靠近提醒 300”。",
        "Say how near, in metres: “notify me 300”.",
    ),
    "not_noticed": ("好的，不再发送靠近通知。", "You will not be told any more who is near."),
    "companions": ("“{title}”的同伴：", "Companions in “{title}”:"),
    "no_companions": ("“{title}”还没有其他人。", "Nobody else is in “{title}” yet."),
    "you_do_not_share": (
        "您没有共享位置，所以看不到同伴在哪里。回复“共享位置”后互相可见。",
        "You do not share, so you do not see where the others are. Reply “share my location” to see one another.",
    ),
    "companion_arrived": ("已到达", "has arrived"),
    "companion_hidden": ("位置未共享或未知", "not shared, or not known"),
    "seen_ago": ("{minutes}分钟前", "{minutes} min ago"),
    "seen_now": ("刚刚", "just now"),
    "near_venue": ("会议“{title}”：会场“{name}”就在{distance}外。", "“{title}”: the venue {name} is {distance} away."),
    "near_companion": ("会议“{title}”：{name}就在{distance}外。", "“{title}”: {name} is {distance} away."),
    "nobody": ("同伴", "a companion"),
    "organiser": ("组织者", "the organiser"),
    "numbered": ("同伴{number}", "companion {number}"),
    "companion": ("{name}：{parts}", "{name}: {parts}"),
    "your_place": ("您所选的位置", "the place you sent"),
}
"""Key, then Chinese and English. What stands in braces is filled in."""

REFUSALS: Final[dict[Refusal, tuple[str, str]]] = {
    Refusal.NOT_ALLOWED: ("只有会议组织者可以这样做。", "Only an organiser can do that."),
    Refusal.BAD_TIME: (
        "时间不对：应当是将来30天内开始、不超过24小时的时段。",
        "That time will not do: it must end in the future, begin within 30 days and last at most 24 hours.",
    ),
    Refusal.BAD_TITLE: ("名称应为1到30个字。", "A title has 1 to 30 characters."),
    Refusal.BAD_PLACE: ("会场位置不对，请重新发送。", "That is no place for a meeting, please send it again."),
    Refusal.UNKNOWN: ("没有这个会议，请检查会议码或二维码。", "There is no such meeting; check the code."),
    Refusal.SCENE_EXPIRED: ("这个二维码已过期。", "This QR code has expired."),
    Refusal.OVER: ("这个会议已经结束。", "This meeting is over."),
    Refusal.NOT_YET: ("会议还没有开始，开始后才能看到同伴。", "The meeting has not begun; until then nobody is shown."),
    Refusal.FULL: ("这个会议人数已满。", "This meeting is full."),
    Refusal.NOT_MEMBER: ("您不在这个会议里。", "You are not in this meeting."),
    Refusal.TOO_MANY: ("太多了，请稍后再试。", "That was too many, please try again later."),
}
"""What a person is told for each refusal."""


def say(key: str, language: Language, **values: object) -> str:
    """Return a sentence in a language with its values filled in."""
    zh, en = TEXTS[key]
    return (en if language is Language.EN else zh).format(**values)


def say_refusal(refusal: Refusal, language: Language) -> str:
    """Return why something was not done."""
    zh, en = REFUSALS[refusal]
    return en if language is Language.EN else zh
