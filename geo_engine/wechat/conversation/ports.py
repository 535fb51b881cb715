"""What the conversation needs of the rest of the service. Every port answers at once, from memory or a local store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from geo_engine.alerting.policy import QuietHours
from geo_engine.answers.around import ZoneAround
from geo_engine.answers.places import NearPlace, Place
from geo_engine.model import Alert, Language
from geo_engine.wechat.conversation.dialogue import Spot
from geo_engine.wechat.conversation.heard import Heard

__all__ = [
    "Consents",
    "Eraser",
    "Exporter",
    "Handler",
    "Mutes",
    "People",
    "Places",
    "Quiet",
    "Rules",
    "Warnings",
    "Whereabouts",
]


class People(Protocol):
    """Who speaks."""

    def language(self, u7: int) -> Language:
        """Return the language the person is addressed in."""
        ...

    def set_language(self, u7: int, language: Language) -> None:
        """Address the person in this language from now on."""
        ...

    def name(self, u7: int) -> str:
        """Return what others may call the person; empty = they said no name."""
        ...


class Places(Protocol):
    """Stores and venues; ``answers.PlaceBook``."""

    def nearest(
        self, lon: float, lat: float, k: int, *, wanted: str = "", within_m: float | None = None
    ) -> list[NearPlace]:
        """Return the nearest places to a WGS-84 position; see ``PlaceBook.nearest``."""
        ...

    def named(self, name: str) -> Place | None:
        """Return the one place of a name, None when none or several are meant."""
        ...


class Whereabouts(Protocol):
    """The last positions the engine has of people who agree to be located."""

    def last(self, u7: int) -> Spot | None:
        """Return where somebody was last heard of, None = never, or they do not agree to be located."""
        ...


class Rules(Protocol):
    """The rules around a place for the vehicle of a person; ``answers.ZonesAround`` with the person's vehicle."""

    def around(self, u7: int, lon: float, lat: float, now_ms: int) -> list[ZoneAround]:
        """Return what applies now or later today; see ``ZonesAround.around``."""
        ...


class Warnings(Protocol):
    """What people were warned about."""

    def of(self, u7: int, *, limit: int) -> Sequence[Alert]:
        """Return the last warnings that were sent to somebody, the newest first."""
        ...


class Mutes(Protocol):
    """Zones people do not want to hear of."""

    def mute(self, u7: int, zone_id: str, now_ms: int) -> None:
        """Warn somebody about a zone no more, until they take it back."""
        ...

    def unmute(self, u7: int, zone_id: str) -> None:
        """Warn somebody about a zone again."""
        ...

    def of(self, u7: int) -> Sequence[str]:
        """Return the ids of the zones somebody muted, the newest last."""
        ...

    def zone_name(self, zone_id: str, language: Language) -> str:
        """Return what a zone is called, its id when it is not there any more."""
        ...


class Quiet(Protocol):
    """Hours of the local day in which people are told of restrictions only.

    Attributes:
        usual: those of who set none.
    """

    usual: QuietHours

    def own(self, u7: int) -> QuietHours | None:
        """Return the hours somebody set, None = the usual ones hold."""
        ...

    def keep(self, u7: int, hours: QuietHours | None) -> None:
        """Set somebody's hours, None = the usual ones hold again."""
        ...


class Exporter(Protocol):
    """The file of everything that is known about a person."""

    def link(self, u7: int, now_ms: int) -> str | None:
        """Return where the person can fetch the file for a while, None when it cannot be made now."""
        ...


class Eraser(Protocol):
    """Erasing people."""

    def erase(self, u7: int) -> bool:
        """Erase everything about somebody everywhere; return False when it could not be done now."""
        ...


class Consents(Protocol):
    """What people agreed to."""

    def may_locate(self, u7: int) -> bool:
        """Say whether somebody agrees to be located."""
        ...

    def may_be_seen(self, u7: int) -> bool:
        """Say whether somebody agrees to be seen by companions at all; a meeting asks for its own yes beside it."""
        ...

    def agree_to_be_seen(self, u7: int) -> None:
        """Keep that somebody agreed, in the chat, to be seen by companions of a meeting."""
        ...

    def withdraw(self, u7: int, now_ms: int) -> None:
        """Withdraw every consent of somebody."""
        ...


class Handler(Protocol):
    """Another part of the conversation that is asked first, such as binding a vehicle or agreeing."""

    def handle(self, u7: int, heard: Heard, language: Language, now_ms: int) -> str | None:
        """Return the answer to what was said, None when it is not this part's business."""
        ...
