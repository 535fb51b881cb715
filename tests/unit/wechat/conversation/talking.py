"""A conversation with every port in memory: what tests talk to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from geo_engine.alerting.policy import QuietHours
from geo_engine.answers.around import ZoneAround, ZonesAround
from geo_engine.answers.places import Place, PlaceBook
from geo_engine.errors import StoreError
from geo_engine.geodesy.measure import destination
from geo_engine.meetings import Meeting, MeetingDesk
from geo_engine.meetings.service import Wanted
from geo_engine.meetings.sightings import Sightings
from geo_engine.model import Alert, Language, Vehicle, VehicleKind
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import an_alert, noon_ms
from geo_engine.wechat.conversation import Answer, Conversation, Heard, Located, Ports, TalkSettings, Texted
from geo_engine.wechat.conversation.dialogue import Dialogues, Spot
from geo_engine.zones.zone import Zone
from geo_engine.zones.zoneset import ZoneSet

ANNA, BEN, CARL = 1, 2, 3
HERE = (114.29, 30.60)
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
STORES = (
    Place("hk", "汉口门店", 114.2943, 30.6036, "Hankou Store"),
    Place("wc", "武昌门店", 114.31, 30.53),
    Place("fuel", "江汉加油站", 114.28, 30.59, "Jianghan Fuel"),
)


def away(metres: float, bearing: float = 90.0) -> tuple[float, float]:
    """A position so many metres from ``HERE``."""
    lon, lat = destination(*HERE, bearing, metres)
    return float(lon), float(lat)


class Chat:
    """A conversation, and everything behind it, in the hands of a test."""

    def __init__(self, *, zones: Sequence[Zone] = (), places: Sequence[Place] = STORES, **settings: object) -> None:
        self.now_ms = noon_ms
        self.languages: dict[int, Language] = {}
        self.spots: dict[int, Spot] = {}
        self.alerts: dict[int, list[Alert]] = {}
        self.muted: dict[int, list[str]] = {}
        self.quiet = _Quiet()
        self.located, self.seen = {ANNA, BEN, CARL}, {ANNA, BEN, CARL}
        self.organisers = {ANNA, BEN, CARL}
        self.vehicles: dict[int, Vehicle] = {}
        self.withdrawn: list[int] = []
        self.erased: list[int] = []
        self.can_export = self.can_erase = True
        self.store_is_away = False
        self.handler_says: str | None = None
        self.sightings, self.dialogues = Sightings(), Dialogues()
        self.desk = MeetingDesk(
            MemoryStore().meetings,
            [b"k" * 32],
            may_organise=lambda u7: u7 in self.organisers,
            consents=lambda u7: u7 in self.seen,
            sightings=self.sightings,
        )
        self.rules = ZonesAround(ZoneSet.of(zones))
        self._drawn = 0
        ports = Ports(
            people=self,
            places=PlaceBook(places),
            whereabouts=self,
            rules=self,
            warnings=_Warnings(self),
            mutes=_Mutes(self),
            quiet=self.quiet,
            exporter=self,
            eraser=self,
            consents=self,
            meetings=self.desk,
            random=self._random,
            handlers=[self],
        )
        self.talk = Conversation(ports, replace(TalkSettings(), **settings), self.dialogues)

    # ---- what people do

    def hear(self, heard: Heard, u7: int = ANNA) -> Answer:
        answer = self.talk.answer(u7, heard, self.now_ms)
        assert answer.text
        assert len(answer.text.encode()) <= 2048
        return answer

    def say(self, text: str, u7: int = ANNA) -> str:
        return self.hear(Texted(text), u7).text

    def send(self, place: tuple[float, float] = HERE, u7: int = ANNA, label: str = "") -> str:
        return self.hear(Located(*place, label), u7).text

    def stand(self, place: tuple[float, float] = HERE, u7: int = ANNA, ago_ms: int = 0) -> None:
        """The engine last heard of somebody here."""
        self.spots[u7] = Spot(*place, self.now_ms - ago_ms)

    def meet(self, *members: int, at: tuple[float, float] = HERE, begins_in_ms: int = 0) -> Meeting:
        """A meeting of Anna's and others, with sharing."""
        begin_ms = self.now_ms + begins_in_ms
        made = self.desk.create(
            ANNA,
            "安娜",
            Wanted("周会", "会场", *at, begin_ms, begin_ms + HOUR_MS),
            random=self._random(16),
            now_ms=self.now_ms,
        )
        assert isinstance(made, Meeting)
        for u7 in members:
            self.desk.join_by_code(u7, {BEN: "本", CARL: "卡尔"}[u7], made.code, self.now_ms)
        for u7 in (ANNA, *members):
            self.desk.share(u7, made.meeting_id, self.now_ms, yes=True)
        return made

    def warn(self, *zone_ids: str, u7: int = ANNA, ago_ms: int = MINUTE_MS) -> None:
        """Somebody was warned about zones, the last one last."""
        told = [
            an_alert(
                u7=u7, zone_id=zone_id, zone_name=f"区域{zone_id}", time_ms=self.now_ms - ago_ms, text=f"前方{zone_id}"
            )
            for zone_id in reversed(zone_ids)
        ]
        self.alerts[u7] = [*told, *self.alerts.get(u7, [])]

    def _random(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.sha256(bytes([self._drawn])).digest()[:count]

    # ---- the ports

    def language(self, u7: int) -> Language:
        return self.languages.get(u7, Language.ZH)

    def set_language(self, u7: int, language: Language) -> None:
        self.languages[u7] = language

    def name(self, u7: int) -> str:
        return {ANNA: "安娜", BEN: "本", CARL: "<卡尔>"}[u7]

    def last(self, u7: int) -> Spot | None:
        return self.spots.get(u7) if u7 in self.located else None

    def around(self, u7: int, lon: float, lat: float, now_ms: int) -> list[ZoneAround]:
        vehicle = self.vehicles.get(u7, Vehicle(u7, kind=VehicleKind.GOODS))
        return self.rules.around(vehicle, lon, lat, now_ms, within_m=5_000.0)

    def link(self, u7: int, now_ms: int) -> str | None:
        return f"https://x.example/{u7}.json" if self.can_export else None

    def erase(self, u7: int) -> bool:
        if self.can_erase:
            self.erased.append(u7)
        return self.can_erase

    def may_locate(self, u7: int) -> bool:
        return u7 in self.located

    def may_be_seen(self, u7: int) -> bool:
        return u7 in self.seen

    def agree_to_be_seen(self, u7: int) -> None:
        self.seen.add(u7)

    def withdraw(self, u7: int, now_ms: int) -> None:
        self.withdrawn.append(u7)
        self.located.discard(u7)
        self.seen.discard(u7)

    def handle(self, u7: int, heard: Heard, language: Language, now_ms: int) -> str | None:
        return self.handler_says


class _Warnings:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def of(self, u7: int, *, limit: int) -> Sequence[Alert]:
        if self._chat.store_is_away:
            message = "store test: away"
            raise StoreError(message)
        return self._chat.alerts.get(u7, [])[:limit]


class _Quiet:
    def __init__(self) -> None:
        self.usual = QuietHours.parse("22:00-07:00")
        self.kept: dict[int, QuietHours] = {}

    def own(self, u7: int) -> QuietHours | None:
        return self.kept.get(u7)

    def keep(self, u7: int, hours: QuietHours | None) -> None:
        self.kept.pop(u7, None)
        if hours is not None:
            self.kept[u7] = hours


class _Mutes:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def mute(self, u7: int, zone_id: str, now_ms: int) -> None:
        self._chat.muted.setdefault(u7, []).append(zone_id)

    def unmute(self, u7: int, zone_id: str) -> None:
        self._chat.muted[u7].remove(zone_id)

    def of(self, u7: int) -> Sequence[str]:
        return tuple(self._chat.muted.get(u7, ()))

    def zone_name(self, zone_id: str, language: Language) -> str:
        return f"zone {zone_id}" if language is Language.EN else f"区域{zone_id}"
