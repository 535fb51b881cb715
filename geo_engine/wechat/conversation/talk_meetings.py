"""The part of the conversation that is about meetings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from geo_engine.answers.places import Place
from geo_engine.answers.way import way_to
from geo_engine.kinds import Language
from geo_engine.meetings.meeting import Meeting, Refusal
from geo_engine.meetings.service import Companion, Wanted
from geo_engine.wechat.conversation.appointments import read_appointment
from geo_engine.wechat.conversation.dialogue import Spot
from geo_engine.wechat.conversation.heard import Located
from geo_engine.wechat.conversation.intents import Intent, Meant
from geo_engine.wechat.conversation.limits import plain
from geo_engine.wechat.conversation.phrases import map_link, meeting_line, metres_text, way_text
from geo_engine.wechat.conversation.turn import Invitation, Turn

__all__ = ["ACTS", "around", "scanned", "venue", "venue_named", "venue_sent"]

_RANDOM_BYTES: Final = 16


# ---- making one


def _create(turn: Turn, meant: Meant) -> str:
    said = read_appointment(meant.rest, turn.now_ms, turn.settings.timezone)
    if said is None or not said.title:
        return turn.say("create_how")
    turn.leave(wanted=Wanted(said.title, "", 0.0, 0.0, said.from_ms, said.until_ms), waits=None)
    return turn.say("create_where")


def venue_named(turn: Turn, text: str, place: Place | None) -> str:
    """Take a name for the venue of the meeting that lacks one."""
    if place is None:
        return turn.say("no_such_place", name=plain(text)[:30])
    return _made(turn, place.called(turn.language), place.lon, place.lat)


def venue_sent(turn: Turn, heard: Located) -> str:
    """Take a place sent as the venue of the meeting that lacks one."""
    return _made(turn, plain(heard.label) or turn.say("your_place"), heard.lon, heard.lat)


def _made(turn: Turn, name: str, lon: float, lat: float) -> str:
    lacking = turn.before.wanted
    assert lacking is not None  # noqa: S101 - both callers are reached only while a meeting lacks its venue
    turn.leave(wanted=None)
    wanted = Wanted(lacking.title, name[:60], lon, lat, lacking.from_ms, lacking.until_ms)
    desk = turn.ports.meetings
    made = desk.create(turn.u7, _my_name(turn), wanted, random=turn.ports.random(_RANDOM_BYTES), now_ms=turn.now_ms)
    if isinstance(made, Refusal):
        return turn.refuse(made)
    _invite(turn, made)
    return "\n".join([turn.say("created", line=_line(turn, made), code=made.code), turn.say("share_ask")])


def _invite(turn: Turn, meeting: Meeting) -> None:
    turn.invitation = Invitation(turn.ports.meetings.scene(meeting), meeting.until_ms)
    turn.private = True  # the code lets whoever has it in


# ---- joining and leaving


def scanned(turn: Turn, scene: str) -> str:
    """Join the meeting of a scanned QR code; the scene of another code, or none, is a greeting."""
    if not scene.removeprefix("qrscene_").startswith("m."):
        return turn.say("help")
    return _joined(turn, turn.ports.meetings.join_by_scene(turn.u7, _my_name(turn), scene, turn.now_ms))


def _join(turn: Turn, meant: Meant) -> str:
    if not meant.rest:
        return turn.say("join_how")
    return _joined(turn, turn.ports.meetings.join_by_code(turn.u7, _my_name(turn), meant.rest, turn.now_ms))


def _joined(turn: Turn, joined: Meeting | Refusal) -> str:
    if isinstance(joined, Refusal):
        return turn.refuse(joined)
    return "\n".join([turn.say("joined", line=_line(turn, joined)), turn.say("share_ask")])


def _of_meeting(act: Callable[[Turn, Meant, Meeting], str]) -> Callable[[Turn, Meant], str]:
    """Do something with the meeting the person means, or say that there is none."""

    def found(turn: Turn, meant: Meant) -> str:
        meeting = turn.ports.meetings.current(turn.u7, turn.now_ms)
        return turn.say("no_meeting") if meeting is None else act(turn, meant, meeting)

    return found


def _leave(turn: Turn, _meant: Meant, meeting: Meeting) -> str:
    refusal = turn.ports.meetings.leave(turn.u7, meeting.meeting_id, turn.now_ms)
    return turn.say("left", title=plain(meeting.title)) if refusal is None else turn.refuse(refusal)


def _end(turn: Turn, _meant: Meant, meeting: Meeting) -> str:
    refusal = turn.ports.meetings.end(turn.u7, meeting.meeting_id, turn.now_ms)
    return turn.say("ended", title=plain(meeting.title)) if refusal is None else turn.refuse(refusal)


def _meetings(turn: Turn, _meant: Meant) -> str:
    mine = turn.ports.meetings.of(turn.u7, turn.now_ms)
    if not mine:
        return turn.say("no_meeting")
    organised = next((one for one in mine if one.organiser == turn.u7), None)
    if organised is not None:
        _invite(turn, organised)  # the first message may be lost, or the code was not to be had then
    return turn.lines([turn.say("meetings"), *(f"{_line(turn, one)}{_joint(turn)}{_code(turn, one)}" for one in mine)])


# ---- taking part


def _arrived(turn: Turn, _meant: Meant, meeting: Meeting) -> str:
    refusal = turn.ports.meetings.arrive(turn.u7, meeting.meeting_id, turn.now_ms)
    return turn.say("arrived", place=plain(meeting.place)) if refusal is None else turn.refuse(refusal)


def _share(turn: Turn, _meant: Meant, meeting: Meeting) -> str:
    turn.ports.consents.agree_to_be_seen(turn.u7)
    refusal = turn.ports.meetings.share(turn.u7, meeting.meeting_id, turn.now_ms, yes=True)
    if refusal is not None:
        return turn.refuse(refusal)
    spot = turn.spot()
    if spot is not None:
        turn.notices += turn.ports.meetings.saw(turn.u7, spot.lon, spot.lat, spot.time_ms, turn.now_ms)
    return turn.say("shared", title=plain(meeting.title))


def _unshare(turn: Turn, _meant: Meant, meeting: Meeting) -> str:
    refusal = turn.ports.meetings.share(turn.u7, meeting.meeting_id, turn.now_ms, yes=False)
    return turn.say("unshared") if refusal is None else turn.refuse(refusal)


_METRES: Final = re.compile(r"^\D*?(\d{1,6})\s*(公里|千米|km)?", re.IGNORECASE)


def _notice(turn: Turn, meant: Meant, meeting: Meeting) -> str:
    found = _METRES.search(unicodedata.normalize("NFKC", meant.rest))
    if found is None:
        return turn.say("notice_how")
    wanted_m = float(found[1]) * (1000.0 if found[2] else 1.0)
    desk = turn.ports.meetings
    refusal = desk.notify(turn.u7, meeting.meeting_id, turn.now_ms, within_m=wanted_m)
    if refusal is not None:
        return turn.refuse(refusal)
    member = desk.member(meeting.meeting_id, turn.u7)
    within_m = wanted_m if member is None or member.notice_m is None else member.notice_m
    return turn.say("noticed", within=metres_text(within_m, turn.language))


def _no_notice(turn: Turn, _meant: Meant, meeting: Meeting) -> str:
    refusal = turn.ports.meetings.notify(turn.u7, meeting.meeting_id, turn.now_ms, within_m=None)
    return turn.say("not_noticed") if refusal is None else turn.refuse(refusal)


# ---- where the venue and the others are


def venue(turn: Turn, meant: Meant) -> str:
    """Say where the venue of the person's meeting is, and the way there where it is known where they are."""
    meeting = turn.ports.meetings.current(turn.u7, turn.now_ms)
    if meeting is None:
        return turn.say("no_meeting")
    link = map_link(turn.settings.links, meeting.place, meeting.lon, meeting.lat, turn.language)
    spot = turn.spot()
    if spot is None:
        return "\n".join([f"{_line(turn, meeting)} {link}", turn.ask_where(meant)])
    way = way_to(spot.lon, spot.lat, meeting.lon, meeting.lat, turn.settings.pace)
    return f"{_line(turn, meeting)}\n{way_text(way, turn.language)} {link}"


def _companions(turn: Turn, meant: Meant, meeting: Meeting) -> str:
    found = turn.ports.meetings.companions(turn.u7, meeting.meeting_id, turn.now_ms)
    if isinstance(found, Refusal):
        return turn.refuse(found)
    if not found:
        return turn.say("no_companions", title=plain(meeting.title))
    spot = turn.spot()
    lines = [turn.say("companions", title=plain(meeting.title)), *(_companion(turn, one, spot) for one in found)]
    me = turn.ports.meetings.member(meeting.meeting_id, turn.u7)
    if me is not None and not me.shares:
        lines.insert(1, turn.say("you_do_not_share"))
    elif spot is None:
        lines.insert(1, turn.ask_where(meant))
    return turn.lines(lines)


def around(turn: Turn) -> str:
    """Say where the companions are, for somebody who sent where they are; empty when there is nothing to say yet."""
    meeting = turn.ports.meetings.current(turn.u7, turn.now_ms)
    if meeting is None or turn.now_ms < meeting.from_ms:
        return ""
    return _companions(turn, Meant(Intent.COMPANIONS), meeting)


def _called(turn: Turn, one: Companion) -> str:
    """Return what tells a companion from the others: their name, else their part in the meeting."""
    if one.member.name or one.member.u7 == one.meeting.organiser:
        return plain(one.member.name) or turn.say("organiser")
    members = [member.u7 for member in turn.ports.meetings.members(one.meeting.meeting_id)]
    # Somebody may have left just now.
    return (
        turn.say("numbered", number=members.index(one.member.u7) + 1)
        if one.member.u7 in members
        else turn.say("nobody")
    )


def _companion(turn: Turn, one: Companion, spot: Spot | None) -> str:
    name = _called(turn, one)
    parts = [turn.say("companion_arrived")] if one.member.arrived_ms is not None else []
    if one.seen is None:
        parts = parts or [turn.say("companion_hidden")]
    else:
        turn.private = True
        if spot is not None:
            parts.append(
                way_text(way_to(spot.lon, spot.lat, one.seen.lon, one.seen.lat, turn.settings.pace), turn.language)
            )
        minutes = max(0, turn.now_ms - one.seen.time_ms) // 60_000
        parts.append(turn.say("seen_ago", minutes=minutes) if minutes else turn.say("seen_now"))
        parts[-1] += f" {map_link(turn.settings.links, name, one.seen.lon, one.seen.lat, turn.language)}"
    return turn.say("companion", name=name, parts=_joint(turn).join(parts))


def _joint(turn: Turn) -> str:
    return "，" if turn.language is Language.ZH else ", "


def _line(turn: Turn, meeting: Meeting) -> str:
    return meeting_line(meeting, turn.settings.timezone, turn.language)


def _code(turn: Turn, meeting: Meeting) -> str:
    return turn.say("meeting_code", code=meeting.code)


def _my_name(turn: Turn) -> str:
    return plain(turn.ports.people.name(turn.u7))[:20]


ACTS: Final[dict[Intent, Callable[[Turn, Meant], str]]] = {
    Intent.CREATE: _create,
    Intent.JOIN: _join,
    Intent.LEAVE: _of_meeting(_leave),
    Intent.END: _of_meeting(_end),
    Intent.MEETINGS: _meetings,
    Intent.ARRIVED: _of_meeting(_arrived),
    Intent.SHARE: _of_meeting(_share),
    Intent.UNSHARE: _of_meeting(_unshare),
    Intent.NOTICE: _of_meeting(_notice),
    Intent.NO_NOTICE: _of_meeting(_no_notice),
    Intent.VENUE: venue,
    Intent.COMPANIONS: _of_meeting(_companions),
}
"""What is done for each intent about meetings."""
