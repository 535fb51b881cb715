"""The immutable set of zones the engine judges with, under one revision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from geo_engine.errors import ZoneDocumentError
from geo_engine.model import BoolColumn, ZoneKind
from geo_engine.zones.calendar import NO_CALENDAR, DayCalendar
from geo_engine.zones.document import join_zone_documents, read_zone_document
from geo_engine.zones.zone import Zone

__all__ = ["Zone", "ZoneSet"]


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """Zones ordered by id, so that a zone's position in ``zones`` orders as its id does.

    Attributes:
        zones: every zone, venues included, ordered by ``zone_id``.
        revision: number of this published set; every decision records it.
        position: row of each zone id in ``zones``.
        warnable: bool per zone, read-only: a warning can be about it. A venue is answered about, never warned about.
    """

    zones: tuple[Zone, ...]
    revision: int = 1
    position: Mapping[str, int] = field(init=False, repr=False, compare=False)
    warnable: BoolColumn = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zones", tuple(sorted(self.zones, key=lambda zone: zone.zone_id)))
        object.__setattr__(self, "position", {zone.zone_id: row for row, zone in enumerate(self.zones)})
        if len(self.position) != len(self.zones):
            message = f"found {len(self.zones) - len(self.position)} repeated zone ids, expected unique ones"
            raise ValueError(message)
        kinds = (zone.kind is not ZoneKind.VENUE for zone in self.zones)
        warnable = np.fromiter(kinds, dtype=np.bool_, count=len(self.zones))
        warnable.flags.writeable = False
        object.__setattr__(self, "warnable", warnable)

    def __len__(self) -> int:
        """Return the number of zones."""
        return len(self.zones)

    @classmethod
    def of(cls, zones: Iterable[Zone], *, revision: int = 1) -> ZoneSet:
        """Build a set from zones in any order.

        Raises:
            ValueError: two zones have one id.
        """
        return cls(tuple(zones), revision)

    @classmethod
    def from_geojson(
        cls,
        *sources: bytes | str | Mapping[str, object],
        revision: int = 1,
        where: str = "zones",
        calendar: DayCalendar = NO_CALENDAR,
    ) -> ZoneSet:
        """Build a set from one or more zone documents (GeoJSON, WGS-84).

        Args:
            sources: each a whole document: UTF-8 bytes, text or the parsed object.
            revision: number of the published set.
            where: what to call the source in faults; with several sources their number is added.
            calendar: holidays and make-up workdays, for zones whose schedule asks for them.

        Raises:
            ZoneDocumentError: any document holds a fault, or an id occurs twice; carries every fault of all documents.
                Use ``read_zone_document`` to keep the good zones beside the bad ones.
        """
        names = [where] if len(sources) == 1 else [f"{where} {number}" for number in range(1, len(sources) + 1)]
        document = join_zone_documents(
            [
                read_zone_document(source, where=name, calendar=calendar)
                for source, name in zip(sources, names, strict=True)
            ]
        )
        if document.faults:
            raise ZoneDocumentError(document.faults)
        return cls(document.zones, revision)
