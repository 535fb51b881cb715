"""One turn of the conversation: who speaks, when, in which language, and what answering may use and leave behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from geo_engine.answers.way import CITY, MapLinks, Pace
from geo_engine.kinds import Language
from geo_engine.meetings.meeting import Refusal
from geo_engine.meetings.service import MeetingDesk, NearNotice
from geo_engine.wechat.conversation.dialogue import Spot, State
from geo_engine.wechat.conversation.intents import Meant
from geo_engine.wechat.conversation.limits import MAX_TEXT_BYTES, fit_lines
from geo_engine.wechat.conversation.ports import (
    Consents,
    Eraser,
    Exporter,
    Handler,
    Mutes,
    People,
    Places,
    Quiet,
    Rules,
    Warnings,
    Whereabouts,
)
from geo_engine.wechat.conversation.texts import say, say_refusal

__all__ = ["Answer", "Invitation", "Ports", "TalkSettings", "Turn"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """A meeting whose QR code belongs below the answer: the scene, and when it ends. Making it is a call to WeChat."""

    scene: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered.

    Attributes:
        text: the text for the person, within the limit of a message; never empty.
        notices: what others, or the person, are to be told beside it: somebody came near.
        invitation: the QR code the text is to end with (``phrases.with_invitation``), where one can be made.
        failed: why nothing could be done but asking to try later; empty = all went well.
        private: it tells where somebody else is or holds a key, so no record of it may keep its words.
    """

    text: str
    notices: tuple[NearNotice, ...] = ()
    failed: str = ""
    private: bool = False
    invitation: Invitation | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """What the conversation is joined from; see the module ``ports``.

    ``random`` gives so many fresh random bytes. ``handlers`` are asked first, in their order.
    """

    people: People
    places: Places
    whereabouts: Whereabouts
    rules: Rules
    warnings: Warnings
    mutes: Mutes
    quiet: Quiet
    exporter: Exporter
    eraser: Eraser
    consents: Consents
    meetings: MeetingDesk
    random: Callable[[int], bytes]
    handlers: Sequence[Handler] = ()


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """How the conversation answers.

    Attributes:
        nearest: how many places are named.
        near_m: places further away are not "near".
        zones_m: the radius said in "zones around me"; the port ``Rules`` must look as far.
        zones_told: how many zones are named: nobody reads more at the wheel.
        warnings: how many past warnings are told.
        fresh_ms: how old a position may be to answer by; beyond, the person is asked where they are.
        mute_ms: "do not warn me here again" is about a warning at most so old.
        timezone: the clock of meetings and warnings.
        limit: bytes of an answer.
        links: makes links to maps.
        pace: for minutes on foot and by car.
    """

    nearest: int = 3
    near_m: float = 20_000.0
    zones_m: float = 5_000.0
    zones_told: int = 10
    warnings: int = 5
    fresh_ms: int = 2 * 60_000
    mute_ms: int = 86_400_000
    timezone: str = "Asia/Shanghai"
    limit: int = MAX_TEXT_BYTES
    links: MapLinks = field(default_factory=MapLinks)
    pace: Pace = CITY


class Turn:
    """What answering one message works on.

    Attributes:
        u7: who speaks.
        language: the language of the answer.
        now_ms: the moment.
        state: where the dialogue stands after this turn; None = forget the person.
        notices: what is to be told beside the answer.
        private: the answer tells where somebody else is, or holds a key.
        invitation: the QR code the answer is to end with.
    """

    def __init__(self, ports: Ports, settings: TalkSettings, u7: int, state: State, now_ms: int) -> None:
        """Begin a turn: what waited for a yes waits no longer, whatever is said now."""
        self.ports, self.settings = ports, settings
        self.u7, self.now_ms = u7, now_ms
        self.language: Language = ports.people.language(u7)
        self.before = state
        self.state: State | None = replace(state, at_ms=now_ms, confirms=None)
        self.notices: list[NearNotice] = []
        self.private = False
        self.invitation: Invitation | None = None

    def say(self, key: str, **values: object) -> str:
        """Return a sentence in the person's language."""
        return say(key, self.language, **values)

    def refuse(self, refusal: Refusal) -> str:
        """Return why something was not done."""
        return say_refusal(refusal, self.language)

    def lines(self, lines: Sequence[str]) -> str:
        """Join lines within the limit of a message."""
        return fit_lines(lines, say("more", self.language, count="{count}"), self.settings.limit)

    def leave(self, **changes: object) -> None:
        """Note where the dialogue stands after this turn."""
        assert self.state is not None  # noqa: S101 - only the last act of a turn forgets the person
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # fields are named by the callers

    def spot(self) -> Spot | None:
        """Return where the person is: the place just sent, or where the engine last heard of them, if it is fresh."""
        spots = [self.before.spot, self.state.spot if self.state else None]
        spots.append(self.ports.whereabouts.last(self.u7))
        fresh = [one for one in spots if one is not None and self.now_ms - one.time_ms <= self.settings.fresh_ms]
        return max(fresh, key=lambda one: one.time_ms, default=None)

    def ask_where(self, meant: Meant) -> str:
        """Ask where the person is, and remember what is to be answered as soon as they say."""
        self.leave(waits=meant)
        located = self.ports.consents.may_locate(self.u7)
        return self.say("where_are_you" if located else "where_no_consent")
