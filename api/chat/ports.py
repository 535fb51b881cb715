"""What the conversation asks, answered by the store, by ``People`` and by the engine through the ingest worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as Late
from typing import Final

import numpy as np

from api.chat.words import agreed, withdrawn
from api.people import People
from api.workers.ingest import IngestWorker
from api.workers.told import Muted, Unmuted
from geo_engine.alerting.policy import QuietHours
from geo_engine.answers.around import ZoneAround, ZonesAround
from geo_engine.engine import Engine
from geo_engine.errors import StoreError
from geo_engine.meetings.service import MeetingDesk
from geo_engine.model import Alert, Language, Mute, Vehicle
from geo_engine.people.consents import ConsentChannel, Purpose, granted_now
from geo_engine.people.erasure import ErasureReason
from geo_engine.people.keywords import WishAct, wish_of
from geo_engine.store.lifecycle import OutboxState
from geo_engine.store.protocol import Store
from geo_engine.wechat.conversation.dialogue import Dialogues, Spot
from geo_engine.wechat.conversation.heard import Heard, Texted
from geo_engine.wechat.conversation.intents import Intent, recognise
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["Agreements", "Around", "LastSeen", "MutedZones", "Persons", "QuietTimes", "Told"]

_log: Final = logging.getLogger(__name__)
_ENGINE_S: Final = 1.0
_PAGE: Final = 50
_PAGES: Final = 20


class Persons:
    """The port ``People``, ``Eraser`` and ``Consents`` of the conversation: who speaks and what they agreed to."""

    def __init__(self, store: Store, people: People, desk: Callable[[], MeetingDesk]) -> None:
        """Join the parts; ``desk`` is asked late, because it needs ``may_be_seen``."""
        self._store, self._people, self._desk = store, people, desk

    def vehicle(self, u7: int) -> Vehicle:
        """Return what somebody drives now; of a stranger nothing is known."""
        person = self._store.person(u7)
        return Vehicle(u7=u7) if person is None else person.vehicle

    def language(self, u7: int) -> Language:
        """Return the language of a person."""
        return self.vehicle(u7).language

    def set_language(self, u7: int, language: Language) -> None:
        """Set the language of a person."""
        open_id = self.open_id(u7)
        if open_id is not None:
            self._people.set_language(open_id, language)

    def name(self, u7: int) -> str:  # noqa: ARG002 - of the port
        """Return nothing: WeChat gives no names any more and nobody is asked for one."""
        return ""

    def open_id(self, u7: int) -> str | None:
        """Return the OpenID of a person, None = nobody's number."""
        person = self._store.person(u7)
        return None if person is None else person.open_id

    def agrees(self, u7: int, purpose: Purpose) -> bool:
        """Say whether somebody agrees to a purpose."""
        return granted_now(self._store.consents(u7))[purpose]

    def may_locate(self, u7: int) -> bool:
        """Say whether somebody agrees to be located."""
        return self.agrees(u7, Purpose.WARNINGS)

    def may_be_seen(self, u7: int) -> bool:
        """Say whether somebody agrees to be seen by companions."""
        return self.agrees(u7, Purpose.COMPANIONS)

    def agree_to_be_seen(self, u7: int) -> None:
        """Record the yes to being seen by companions."""
        open_id = self.open_id(u7)
        if open_id is not None:
            self._people.agree(open_id, Purpose.COMPANIONS, ConsentChannel.KEYWORD)

    def withdraw(self, u7: int, now_ms: int) -> None:
        """Withdraw every consent."""
        self.withdraw_some(u7, tuple(Purpose), now_ms)

    def withdraw_some(self, u7: int, purposes: Sequence[Purpose], now_ms: int) -> tuple[Purpose, ...]:
        """Withdraw consents and return those that were given; who is not seen any more leaves every map at once."""
        open_id = self.open_id(u7)
        if open_id is None:
            return ()
        ended = self._people.withdraw(open_id, purposes, ConsentChannel.KEYWORD)
        if Purpose.COMPANIONS in purposes:
            self._desk().hide(u7, now_ms)
        return ended

    def erase(self, u7: int) -> bool:
        """Erase everything of somebody who asked for it."""
        try:
            self._people.erase(u7, ErasureReason.ASKED)
        except StoreError as error:
            _log.warning("chat: an erasure could not begin: %s", error)
            return False
        return True


class LastSeen:
    """The port ``Whereabouts``: the engine's last positions, of who agrees to be located."""

    def __init__(self, ingest: IngestWorker, may_locate: Callable[[int], bool]) -> None:
        self._ingest, self._may_locate = ingest, may_locate

    def last(self, u7: int) -> Spot | None:
        """Return where somebody was last heard of; None also when the engine does not answer within a second."""
        return self.of([u7]).get(u7)

    def of(self, people: Sequence[int]) -> dict[int, Spot]:
        """Return where these people were last heard of, those who agree and were heard of."""
        asked = [u7 for u7 in people if self._may_locate(u7)]
        if not asked:
            return {}
        numbers = np.array(asked, dtype=np.int64)

        def positions(engine: Engine) -> list[tuple[float, float, int]]:
            lon, lat, time_ms = engine.last_positions(numbers)
            return list(zip(lon.tolist(), lat.tolist(), time_ms.tolist(), strict=True))

        try:
            found = self._ingest.ask(positions).result(_ENGINE_S)
        except Late:
            return {}
        spots = {u7: Spot(*one) for u7, one in zip(asked, found, strict=True)}
        return {u7: spot for u7, spot in spots.items() if spot.time_ms and np.isfinite(spot.lon)}


class Around:
    """The port ``Rules``: the zones around a place for what a person drives."""

    def __init__(self, zones: ZoneSet, vehicle: Callable[[int], Vehicle], within_m: float) -> None:
        self._zones, self._vehicle, self._within_m = ZonesAround(zones), vehicle, within_m

    def around(self, u7: int, lon: float, lat: float, now_ms: int) -> list[ZoneAround]:
        """Return what applies now or later today."""
        return self._zones.around(self._vehicle(u7), lon, lat, now_ms, within_m=self._within_m)


class Told:
    """The port ``Warnings``: what people were warned about, from the decisions of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, u7: int, *, limit: int) -> list[Alert]:
        """Return the last warnings that left, or may have, the newest first. Cost: a page of decisions or several."""
        found: list[Alert] = []
        before: int | None = None
        for _ in range(_PAGES):
            page = self._store.decisions(limit=_PAGE, u7=u7, before=before)
            found += [one.alert for one in page if one.state in (OutboxState.DELIVERED, OutboxState.UNKNOWN)]
            if len(found) >= limit or len(page) < _PAGE:
                break
            before = page[-1].number
        return found[:limit]


class MutedZones:
    """The port ``Mutes``. One thread at a time."""

    def __init__(self, store: Store, ingest: IngestWorker, zones: ZoneSet, clock: Callable[[], int]) -> None:
        self._store, self._ingest, self._clock = store, ingest, clock
        self._zones = {zone.zone_id: zone for zone in zones.zones}

    def mute(self, u7: int, zone_id: str, now_ms: int) -> None:
        """Warn somebody about a zone no more."""
        self._store.set_mute(Mute(u7, zone_id, None), now_ms)
        self._ingest.wish(Muted(Mute(u7, zone_id, None)))

    def unmute(self, u7: int, zone_id: str) -> None:
        """Warn somebody about a zone again."""
        self._store.clear_mute(u7, zone_id)
        self._ingest.wish(Unmuted(u7, zone_id))

    def of(self, u7: int) -> list[str]:
        """Return the zones somebody muted, the one of the newest warning last: the store keeps no order of its own."""
        muted = {mute.zone_id for mute in self._store.mutes(self._clock()) if mute.u7 == u7}
        if len(muted) < 2:
            return sorted(muted)
        told = [record.alert.zone_id for record in self._store.decisions(limit=_PAGE * _PAGES, u7=u7)]
        newest = {zone_id: place for place, zone_id in reversed(list(enumerate(told)))}
        return sorted(muted, key=lambda zone_id: (-newest.get(zone_id, len(told)), zone_id))

    def zone_name(self, zone_id: str, language: Language) -> str:
        """Return what a zone is called."""
        zone = self._zones.get(zone_id)
        if zone is None:
            return zone_id
        return zone.name_en if language is Language.EN and zone.name_en else zone.name


class QuietTimes:
    """The port ``Quiet``."""

    def __init__(self, persons: Persons, people: People, usual: QuietHours) -> None:
        """Join the parts; ``usual`` are the hours of the policy."""
        self._persons, self._people, self.usual = persons, people, usual

    def own(self, u7: int) -> QuietHours | None:
        """Return the hours somebody set."""
        open_id = self._persons.open_id(u7)
        return None if open_id is None else self._people.quiet_hours(open_id)

    def keep(self, u7: int, hours: QuietHours | None) -> None:
        """Set them; of who was erased meanwhile nothing is kept."""
        open_id = self._persons.open_id(u7)
        if open_id is not None:
            self._people.keep_quiet(open_id, hours)


class Agreements:
    """A ``Handler``: agrees and withdraws by keyword, unless the word answers a question of the dialogue.

    ``取消`` in the middle of making a meeting ends that and no consent; ``恢复提醒`` of somebody who agrees already
    is about a muted zone. Erasing is the conversation's, which asks first.
    """

    def __init__(self, persons: Persons, people: People, dialogues: Dialogues, bind_link: str | None) -> None:
        self._persons, self._people, self._dialogues, self._bind_link = persons, people, dialogues, bind_link

    def handle(self, u7: int, heard: Heard, language: Language, now_ms: int) -> str | None:
        """Return the answer to a keyword, None when it is none or belongs to the dialogue."""
        if not isinstance(heard, Texted):
            return None
        wish = wish_of(heard.text)
        if wish is None or self._is_of_the_dialogue(u7, heard, now_ms):
            return None
        if wish.act is WishAct.WITHDRAW:
            return withdrawn(self._persons.withdraw_some(u7, wish.purposes, now_ms), language)
        return self._agree(u7, wish.purposes, language) if wish.act is WishAct.AGREE else None

    def _is_of_the_dialogue(self, u7: int, heard: Texted, now_ms: int) -> bool:
        meant, state = recognise(heard.text), self._dialogues.of(u7, now_ms)
        if meant is None:
            return False
        confirms = state.confirms is not None
        match meant.intent:
            case Intent.UNMUTE:
                return self._persons.may_locate(u7)
            case Intent.YES:
                return confirms
            case Intent.NO:
                return confirms or state.waits is not None or state.wanted is not None
            case _:
                return False

    def _agree(self, u7: int, purposes: Sequence[Purpose], language: Language) -> str | None:
        open_id = self._persons.open_id(u7)
        if open_id is None:
            return None
        for purpose in purposes:
            self._people.agree(open_id, purpose, ConsentChannel.KEYWORD)
        unbound = self._persons.vehicle(u7).kind is None
        return "\n".join(agreed(purpose, language, self._bind_link if unbound else None) for purpose in purposes)
