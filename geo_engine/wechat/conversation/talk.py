"""The conversation: takes what a person did in the chat and says what to answer. Always something, never silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from geo_engine.alerting.policy import QuietHours
from geo_engine.errors import StoreError
from geo_engine.kinds import Language
from geo_engine.meetings.meeting import read_code
from geo_engine.wechat.conversation import talk_meetings
from geo_engine.wechat.conversation.appointments import read_hours
from geo_engine.wechat.conversation.dialogue import Dialogues, Spot
from geo_engine.wechat.conversation.heard import Clicked, Heard, Located, Scanned, Texted
from geo_engine.wechat.conversation.intents import Intent, Meant, normalised, recognise, recognise_key
from geo_engine.wechat.conversation.limits import cut_text, plain
from geo_engine.wechat.conversation.phrases import map_link, metres_text, warning_line, way_text, zone_line
from geo_engine.wechat.conversation.turn import Answer, Ports, TalkSettings, Turn

__all__ = ["Conversation"]


class Conversation:
    """Answers people. Keeps nothing but some minutes of dialogue; one thread at a time."""

    def __init__(self, ports: Ports, settings: TalkSettings | None = None, dialogues: Dialogues | None = None) -> None:
        """Join the parts.

        Args:
            ports: what is asked.
            settings: how it answers.
            dialogues: where the dialogues stand.
        """
        self._ports = ports
        self._settings = settings or TalkSettings()
        # A book of dialogues with nobody in it is false, and is the one others look into all the same.
        self._dialogues = Dialogues() if dialogues is None else dialogues

    def answer(self, u7: int, heard: Heard, now_ms: int) -> Answer:
        """Return the answer to what a person did.

        Args:
            u7: who it was.
            heard: what they did.
            now_ms: when, epoch milliseconds UTC.

        When the store is away the person is told to try later, and the dialogue stands where it stood.
        """
        before = self._dialogues.of(u7, now_ms)
        turn = Turn(self._ports, self._settings, u7, before, now_ms)
        try:
            text = _handled(turn, heard) or _heard(turn, heard)
        except StoreError as error:
            return Answer(turn.say("busy"), failed=str(error))
        text = cut_text(text, self._settings.limit)
        if turn.state is None:
            self._dialogues.forget(u7)
        else:
            self._dialogues.put(u7, turn.state)
        return Answer(text, tuple(turn.notices), private=turn.private, invitation=turn.invitation)

    def warned(self, u7: int, zone_id: str, now_ms: int) -> None:
        """Note that a person was just warned about a zone, which "do not warn me here again" is then about."""
        turn = Turn(self._ports, self._settings, u7, self._dialogues.of(u7, now_ms), now_ms)
        turn.leave(zone_id=zone_id, confirms=turn.before.confirms)
        if turn.state is not None:
            self._dialogues.put(u7, turn.state)

    def forget(self, u7: int) -> None:
        """Forget the dialogue with a person: part of erasing the person."""
        self._dialogues.forget(u7)


def _handled(turn: Turn, heard: Heard) -> str | None:
    answers = (one.handle(turn.u7, heard, turn.language, turn.now_ms) for one in turn.ports.handlers)
    return next((answer for answer in answers if answer), None)


def _heard(turn: Turn, heard: Heard) -> str:
    match heard:
        case Located():
            return _located(turn, heard)
        case Scanned():
            return talk_meetings.scanned(turn, heard.scene)
        case Clicked():
            meant = recognise_key(heard.key)
            return _meant(turn, meant) if meant is not None else _not_understood(turn)
        case Texted():
            return _texted(turn, heard.text)


_HEARD: Final = frozenset({"好", "好的", "ok"})
"""Also said to a warning, when nothing waits for a yes."""


def _texted(turn: Turn, text: str) -> str:
    meant = recognise(text)
    if turn.before.confirms is None and normalised(text) in _HEARD:
        meant = Meant(Intent.THANKS)
    if turn.before.wanted is not None and (meant is None or meant.intent is not Intent.NO):
        place = turn.ports.places.named(" ".join(text.split()))
        # A meeting only lacks its venue: what is no word of ours is a name of a place.
        if place is not None or meant is None:
            return talk_meetings.venue_named(turn, text, place)
    if meant is None and read_code(text) is not None and any(char.isdigit() for char in text):
        meant = Meant(Intent.JOIN, text)
    return _not_understood(turn) if meant is None else _meant(turn, meant)


def _meant(turn: Turn, meant: Meant) -> str:
    return _ACTS[meant.intent](turn, meant)


def _not_understood(turn: Turn) -> str:
    return f"{turn.say('not_understood')}\n{turn.say('help')}"


# ---- where somebody is


def _located(turn: Turn, heard: Located) -> str:
    if not (abs(heard.lon) <= 180.0 and abs(heard.lat) <= 90.0):
        return turn.say("bad_location")
    if turn.before.wanted is not None:
        return talk_meetings.venue_sent(turn, heard)
    waits = turn.before.waits
    turn.leave(spot=Spot(heard.lon, heard.lat, turn.now_ms), waits=None)
    turn.notices += turn.ports.meetings.saw(turn.u7, heard.lon, heard.lat, turn.now_ms, turn.now_ms)
    if waits is not None:
        return _meant(turn, waits)
    parts = [_nearest(turn, Meant(Intent.NEAREST))]
    if turn.ports.meetings.current(turn.u7, turn.now_ms) is not None:
        parts = [talk_meetings.venue(turn, Meant(Intent.VENUE)), talk_meetings.around(turn), *parts]
    return turn.lines("\n\n".join(part for part in parts if part).split("\n"))


def _nearest(turn: Turn, meant: Meant) -> str:
    spot = turn.spot()
    if spot is None:
        return turn.ask_where(meant)
    settings = turn.settings
    wanted = plain(meant.rest)[:_LONGEST_NAME]
    found = turn.ports.places.nearest(spot.lon, spot.lat, settings.nearest, wanted=wanted, within_m=settings.near_m)
    if not found:
        return turn.say("nothing_called", name=wanted) if wanted else turn.say("nothing_near")
    lines = [turn.say("nearest")]
    for number, near in enumerate(found, 1):
        name = near.place.called(turn.language)
        link = map_link(settings.links, name, near.place.lon, near.place.lat, turn.language)
        lines.append(f"{number}. {plain(name)} {way_text(near.way, turn.language)} {link}")
    return turn.lines(lines)


_LONGEST_NAME: Final = 30


def _zones(turn: Turn, meant: Meant) -> str:
    spot = turn.spot()
    if spot is None:
        return turn.ask_where(meant)
    within = metres_text(turn.settings.zones_m, turn.language)
    found = turn.ports.rules.around(turn.u7, spot.lon, spot.lat, turn.now_ms)
    if not found:
        return turn.say("no_zones", within=within)
    told = found[: turn.settings.zones_told]
    lines = [f"{number}. {zone_line(zone, turn.now_ms, turn.language)}" for number, zone in enumerate(told, 1)]
    if len(found) > len(told):
        lines.append(turn.say("more", count=len(found) - len(told)))
    return turn.lines([turn.say("zones", within=within), *lines])


# ---- warnings


def _warnings(turn: Turn, _meant: Meant) -> str:
    told = turn.ports.warnings.of(turn.u7, limit=turn.settings.warnings)
    if not told:
        return turn.say("no_warnings")
    turn.leave(zone_id=told[0].zone_id)
    lines = [warning_line(alert, turn.settings.timezone, turn.language) for alert in told]
    return turn.lines([turn.say("warnings"), *lines])


def _mute(turn: Turn, meant: Meant) -> str:
    recent = [
        alert
        for alert in turn.ports.warnings.of(turn.u7, limit=_LOOK_BACK)
        if turn.now_ms - alert.time_ms <= turn.settings.mute_ms
    ]
    if meant.rest:
        named = normalised(meant.rest)
        zones = [alert.zone_id for alert in recent if named and named in normalised(alert.zone_name)]
    else:
        zones = [one for one in (turn.before.zone_id, *(alert.zone_id for alert in recent)) if one is not None]
    if not zones:
        return turn.say("mute_what")
    turn.ports.mutes.mute(turn.u7, zones[0], turn.now_ms)
    return turn.say("muted", zone=_zone_name(turn, zones[0]))


_LOOK_BACK: Final = 20


def _unmute(turn: Turn, meant: Meant) -> str:
    muted, named = turn.ports.mutes.of(turn.u7), normalised(meant.rest)
    zones = [zone_id for zone_id in muted if named in normalised(_zone_name(turn, zone_id))]
    if not zones:
        return turn.say("nothing_muted")
    turn.ports.mutes.unmute(turn.u7, zones[-1])
    return turn.say("unmuted", zone=_zone_name(turn, zones[-1]))


def _zone_name(turn: Turn, zone_id: str) -> str:
    return plain(turn.ports.mutes.zone_name(zone_id, turn.language))


_USUAL: Final = frozenset({"默认", "恢复默认", "恢复", "default", "usual"})


def _quiet(turn: Turn, meant: Meant) -> str:
    if not meant.rest:
        return f"{_quiet_state(turn)}\n{turn.say('quiet_how')}"
    hours = None
    if normalised(meant.rest) not in _USUAL:
        found = read_hours(meant.rest)
        if found is None:
            said = cut_text(plain(meant.rest), _LONGEST_SAID)
            return f"{turn.say('quiet_wrong', said=said)}\n{turn.say('quiet_how')}"
        hours = QuietHours(*found)
    turn.ports.quiet.keep(turn.u7, hours)
    return _quiet_state(turn)


_LONGEST_SAID: Final = 90
"""Bytes of what somebody wrote that are said back to them."""


def _no_quiet(turn: Turn, _meant: Meant) -> str:
    turn.ports.quiet.keep(turn.u7, QuietHours(0, 0))
    return f"{_quiet_state(turn)}\n{turn.say('quiet_how')}"


def _quiet_state(turn: Turn) -> str:
    """Say which hours hold, and what that means."""
    quiet = turn.ports.quiet
    own = quiet.own(turn.u7)
    hours = (quiet.usual if own is None else own).text
    if not hours:
        return turn.say("quiet_none")
    gap = "" if turn.language is Language.ZH else " "
    return f"{turn.say('quiet_usual' if own is None else 'quiet_own', hours=hours)}{gap}{turn.say('quiet_rule')}"


# ---- one's own data


def _my_data(turn: Turn, _meant: Meant) -> str:
    link = turn.ports.exporter.link(turn.u7, turn.now_ms)
    turn.private = link is not None
    return turn.say("no_export") if link is None else turn.say("export", link=link)


def _forget_me(turn: Turn, _meant: Meant) -> str:
    turn.leave(confirms=Intent.FORGET_ME)
    return turn.say("forget_sure")


def _yes(turn: Turn, _meant: Meant) -> str:
    if turn.before.confirms is not Intent.FORGET_ME:
        return turn.say("nothing_to_confirm")
    if not turn.ports.eraser.erase(turn.u7):
        return turn.say("not_forgotten")
    turn.ports.meetings.forget(turn.u7)
    turn.state = None
    return turn.say("forgotten")


def _no(turn: Turn, _meant: Meant) -> str:
    turn.leave(waits=None, wanted=None)
    return turn.say("kept") if turn.before.confirms is Intent.FORGET_ME else turn.say("help")


def _stop(turn: Turn, _meant: Meant) -> str:
    turn.ports.consents.withdraw(turn.u7, turn.now_ms)
    turn.ports.meetings.hide(turn.u7, turn.now_ms)
    turn.leave(spot=None, waits=None)
    return turn.say("stopped")


def _thanks(turn: Turn, _meant: Meant) -> str:
    return turn.say("all_right")


def _help(turn: Turn, _meant: Meant) -> str:
    return turn.say("help")


def _speak(language: Language) -> Callable[[Turn, Meant], str]:
    def act(turn: Turn, _meant: Meant) -> str:
        turn.ports.people.set_language(turn.u7, language)
        turn.language = language
        return f"{turn.say('language')}\n{turn.say('help')}"

    return act


_ACTS: Final[dict[Intent, Callable[[Turn, Meant], str]]] = {
    Intent.HELP: _help,
    Intent.THANKS: _thanks,
    Intent.NEAREST: _nearest,
    Intent.ZONES: _zones,
    Intent.WARNINGS: _warnings,
    Intent.MUTE: _mute,
    Intent.UNMUTE: _unmute,
    Intent.QUIET: _quiet,
    Intent.NO_QUIET: _no_quiet,
    Intent.MY_DATA: _my_data,
    Intent.FORGET_ME: _forget_me,
    Intent.STOP: _stop,
    Intent.LANGUAGE_ZH: _speak(Language.ZH),
    Intent.LANGUAGE_EN: _speak(Language.EN),
    Intent.YES: _yes,
    Intent.NO: _no,
    **talk_meetings.ACTS,
}
"""What is done for each intent; every intent has its act."""
