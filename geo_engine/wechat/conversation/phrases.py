"""The parts sentences are made of: a distance, a way with its direction, a zone with its hours, a past warning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from geo_engine.alerting.rulewords import clock_text, until_text
from geo_engine.answers.around import ZoneAround
from geo_engine.answers.way import MapLinks, Way
from geo_engine.geodesy.measure import compass_word
from geo_engine.kinds import Language, ZoneKind
from geo_engine.meetings.meeting import Meeting
from geo_engine.meetings.service import NearNotice
from geo_engine.model import Alert
from geo_engine.wechat.conversation.limits import MAX_TEXT_BYTES, cut_text, plain
from geo_engine.wechat.conversation.texts import say

__all__ = [
    "direction_text",
    "map_link",
    "meeting_line",
    "metres_text",
    "notice_text",
    "warning_line",
    "way_text",
    "window_text",
    "with_invitation",
    "zone_line",
]

_WHAT: Final = {
    Language.ZH: {
        ZoneKind.TRUCK_RESTRICTION: "禁行",
        ZoneKind.CONGESTION: "拥堵",
        ZoneKind.CONSTRUCTION: "施工",
        ZoneKind.VENUE: "",
    },
    Language.EN: {
        ZoneKind.TRUCK_RESTRICTION: "closed",
        ZoneKind.CONGESTION: "congested",
        ZoneKind.CONSTRUCTION: "roadworks",
        ZoneKind.VENUE: "",
    },
}
_IN_KM_FROM_M: Final = 10_000.0


def metres_text(distance_m: float, language: Language) -> str:
    """Say a distance: to the metre below 10 km, to 100 m beyond."""
    chinese = language is Language.ZH
    if round(distance_m) < _IN_KM_FROM_M:
        return f"{round(distance_m)}米" if chinese else f"{round(distance_m)} m"
    return f"{distance_m / 1000:.1f}公里" if chinese else f"{distance_m / 1000:.1f} km"


def direction_text(bearing_deg: float | None, language: Language) -> str:
    """Say a direction as compass word and whole degrees (``东北045°``); on the spot there is none."""
    if bearing_deg is None:
        return ""
    word, degrees = compass_word(bearing_deg, language), f"{round(bearing_deg) % 360:03d}°"
    return f"{word}{degrees}" if language is Language.ZH else f"{word} {degrees}"


def way_text(way: Way, language: Language) -> str:
    """Say how far, in which direction and how many minutes on foot and by car."""
    chinese = language is Language.ZH
    where = [metres_text(way.distance_m, language), direction_text(way.bearing_deg, language)]
    if chinese:
        minutes = f"步行约{way.walk_min}分钟，驾车约{way.drive_min}分钟"
    else:
        minutes = f"about {way.walk_min} min on foot, {way.drive_min} min by car"
    return ("，" if chinese else ", ").join(filter(None, [*where, minutes]))


def map_link(links: MapLinks, name: str, lon: float, lat: float, language: Language) -> str:
    """Return the link to a place on the phone's map; the position is WGS-84, the link holds GCJ-02."""
    return f'<a href="{links.link(lon, lat, plain(name))}">{say("map", language)}</a>'


def zone_line(around: ZoneAround, now_ms: int, language: Language) -> str:
    """Say of a zone its name, how far and where, and from when until when it applies."""
    zone = around.zone
    name = zone.name_en if language is Language.EN and zone.name_en else zone.name
    where = [metres_text(around.distance_m, language), direction_text(around.bearing_deg, language)]
    if around.bearing_deg is None:
        where = [say("inside", language)]
    what, timezone = _WHAT[language][zone.kind], zone.schedule.timezone
    until = until_text(around.until_ms, now_ms, timezone, language)
    if around.from_ms is None:
        when = say("applies_now", language, what=what, until=until)
    else:
        when = say("applies_later", language, what=what, until=until, begin=f"{_local(around.from_ms, timezone):%H:%M}")
    maybe = say("may_apply", language) if around.may_apply else ""
    joint = "，" if language is Language.ZH else ", "
    return joint.join([plain(name), *filter(None, where), when]) + maybe


def warning_line(alert: Alert, timezone: str, language: Language) -> str:
    """Say of a past warning when it was and what it said."""
    return f"{clock_text(alert.time_ms, timezone, language)} {plain(alert.text)}"


def window_text(from_ms: int, until_ms: int, timezone: str) -> str:
    """Say a time window by the clock: the day, and the second day only where it is another one."""
    begin, end = _local(from_ms, timezone), _local(until_ms, timezone)
    last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%m-%d %H:%M}"
    return f"{begin:%m-%d %H:%M}-{last}"


def meeting_line(meeting: Meeting, timezone: str, language: Language) -> str:
    """Say a meeting's title, window and place."""
    window = window_text(meeting.from_ms, meeting.until_ms, timezone)
    return say("meeting_line", language, title=plain(meeting.title), window=window, place=plain(meeting.place))


def notice_text(notice: NearNotice, language: Language) -> str:
    """Say that the venue or a companion is near."""
    distance, title = metres_text(notice.distance_m, language), plain(notice.meeting.title)
    if notice.other is None:
        return say("near_venue", language, title=title, name=plain(notice.meeting.place), distance=distance)
    part = "organiser" if notice.other.u7 == notice.meeting.organiser else "nobody"
    name = plain(notice.other.name) or say(part, language)
    return say("near_companion", language, title=title, name=name, distance=distance)


def with_invitation(text: str, link: str, language: Language, limit: int = MAX_TEXT_BYTES) -> str:
    """Return a text with the address of a QR code as its last line, within the limit of a message."""
    line = "\n" + say("qr", language, link=link)
    return cut_text(text, limit - len(line.encode())) + line


def _local(time_ms: int, timezone: str) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
