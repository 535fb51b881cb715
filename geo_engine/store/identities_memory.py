"""The identities in memory; the part of ``MemoryStore`` that knows who people are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from geo_engine.errors import StoreError
from geo_engine.model import Language, Vehicle
from geo_engine.people.codes import KEEP_SENT_MS, PendingCode, wait_ms
from geo_engine.people.consents import ConsentRecord
from geo_engine.people.erasure import Erasure, Tombstone
from geo_engine.people.identity import REST_MS, OwnedVehicle, next_u7
from geo_engine.store.protocol import Person
from geo_engine.store.webhook_events import erased_event
from geo_engine.store.webhooks_memory import MemoryWebhooks

__all__ = ["MemoryIdentities"]


class MemoryIdentities:
    """Mixed into ``MemoryStore``, whose lock and people it uses."""

    webhooks: MemoryWebhooks
    _people: dict[int, Person]
    _consents: list[ConsentRecord]

    def __init__(self) -> None:
        """Know nobody."""
        self._phones: dict[int, str] = {}
        self._codes: dict[int, PendingCode] = {}
        self._codes_sent: list[tuple[str, int]] = []
        self._vehicles: dict[int, OwnedVehicle] = {}
        self._last_vehicle_id = 0
        self._erasures: dict[int, tuple[Erasure, str | None]] = {}
        self._tombstones: list[Tombstone] = []
        self._freed_ms: dict[int, int] = {}

    def _locked(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _drop_rows(self, u7: int, open_id: str | None) -> None:
        raise NotImplementedError

    # ---- who somebody is

    def follow(self, open_id: str, language: Language, at_ms: int) -> int:
        """Return somebody's number, a new one if need be; see ``Identities.follow``."""
        with self._locked():
            known = self._number_of(open_id)
            if known is not None:
                return known
            u7 = self._new_u7(at_ms)
            self._freed_ms.pop(u7, None)
            self._people[u7] = Person(u7, open_id, Vehicle(u7, language=language))
            return u7

    def u7_of(self, open_id: str) -> int | None:
        """Return somebody's number; see ``Identities.u7_of``."""
        with self._locked():
            return self._number_of(open_id)

    def numbers_of(self, open_ids: Sequence[str]) -> dict[str, int]:
        """Return many numbers; see ``Identities.numbers_of``."""
        wanted = set(open_ids)
        with self._locked():
            return {
                person.open_id: u7
                for u7, person in self._people.items()
                if person.open_id is not None and person.open_id in wanted
            }

    def set_language(self, u7: int, language: Language) -> None:
        """Set somebody's language; see ``Identities.set_language``."""
        with self._locked():
            if u7 in self._people:
                self._drive(u7, replace(self._people[u7].vehicle, language=language))
            for owned in self._owned(u7):
                self._vehicles[owned.vehicle_id] = replace(owned, vehicle=replace(owned.vehicle, language=language))

    def _number_of(self, open_id: str) -> int | None:
        return next((u7 for u7, person in self._people.items() if person.open_id == open_id), None)

    def _new_u7(self, now_ms: int) -> int:
        agreed = {record.u7 for record in self._consents}
        in_use = {*self._people, *agreed, *self._erasures}
        rested = ((at_ms, u7) for u7, at_ms in self._freed_ms.items() if at_ms <= now_ms - REST_MS and u7 not in in_use)
        u7 = next_u7(
            max(in_use, default=None),
            min(rested, default=(0, None))[1],
            lambda: _gap(sorted({*in_use, *self._freed_ms})),
        )
        if u7 is None:
            message = "found every number in use, expected a free one for a new person"
            raise StoreError(message)
        return u7

    # ---- phones

    def put_code(self, pending: PendingCode, keys: Sequence[str]) -> int:
        """Keep a code if it may be sent; see ``Identities.put_code``."""
        now_ms = pending.sent_ms
        with self._locked():
            self._codes_sent = [sent for sent in self._codes_sent if sent[1] > now_ms - KEEP_SENT_MS]
            sent_by_key = (sorted(at_ms for name, at_ms in self._codes_sent if name == key) for key in keys)
            longest_ms = max((wait_ms(sent, now_ms) for sent in sent_by_key), default=0)
            if longest_ms == 0:
                self._codes_sent += [(key, now_ms) for key in keys]
                self._codes[pending.u7] = pending
            return longest_ms

    def try_code(self, u7: int) -> PendingCode | None:
        """Count a try; see ``Identities.try_code``."""
        with self._locked():
            found = self._codes.get(u7)
            if found is None:
                return None
            self._codes[u7] = replace(found, tries=found.tries + 1)
            return self._codes[u7]

    def set_phone(self, u7: int, phone: str, at_ms: int) -> None:  # noqa: ARG002 - a store on disk keeps the moment
        """Bind a phone; see ``Identities.set_phone``."""
        with self._locked():
            self._codes.pop(u7, None)
            self._phones = {owner: number for owner, number in self._phones.items() if number != phone}
            self._phones[u7] = phone

    def phone_of(self, u7: int) -> str | None:
        """Return somebody's phone; see ``Identities.phone_of``."""
        with self._locked():
            return self._phones.get(u7)

    # ---- vehicles

    def vehicles_of(self, u7: int) -> list[OwnedVehicle]:
        """Return somebody's vehicles; see ``Identities.vehicles_of``."""
        with self._locked():
            return self._owned(u7)

    def put_vehicle(self, vehicle: Vehicle, at_ms: int) -> int:  # noqa: ARG002 - as above
        """Add a vehicle; see ``Identities.put_vehicle``."""
        with self._locked():
            if vehicle.u7 not in self._people:
                message = f"found no person {vehicle.u7} to own a vehicle, expected one who follows"
                raise StoreError(message)
            self._last_vehicle_id += 1
            kept = replace(vehicle, consent_warnings=False)
            self._vehicles[self._last_vehicle_id] = OwnedVehicle(self._last_vehicle_id, kept, active=False)
            self._activate(vehicle.u7, self._last_vehicle_id)
            return self._last_vehicle_id

    def activate_vehicle(self, u7: int, vehicle_id: int) -> bool:
        """Make a vehicle the active one; see ``Identities.activate_vehicle``."""
        with self._locked():
            return self._activate(u7, vehicle_id)

    def remove_vehicle(self, u7: int, vehicle_id: int) -> bool:
        """Take a vehicle away; see ``Identities.remove_vehicle``."""
        with self._locked():
            gone = self._vehicles.get(vehicle_id)
            if gone is None or gone.vehicle.u7 != u7:
                return False
            del self._vehicles[vehicle_id]
            left = self._owned(u7)
            if gone.active and left:
                self._activate(u7, left[-1].vehicle_id)
            elif gone.active:
                self._drive(u7, Vehicle(u7, language=gone.vehicle.language))
            return True

    def _owned(self, u7: int) -> list[OwnedVehicle]:
        return [owned for _, owned in sorted(self._vehicles.items()) if owned.vehicle.u7 == u7]

    def _activate(self, u7: int, vehicle_id: int) -> bool:
        chosen = self._vehicles.get(vehicle_id)
        if chosen is None or chosen.vehicle.u7 != u7:
            return False
        for owned in self._owned(u7):
            self._vehicles[owned.vehicle_id] = replace(owned, active=owned.vehicle_id == vehicle_id)
        self._drive(u7, chosen.vehicle)
        return True

    def _drive(self, u7: int, vehicle: Vehicle) -> None:
        if u7 in self._people:
            self._people[u7] = replace(self._people[u7], vehicle=vehicle)

    # ---- consent and erasure

    def consents(self, u7: int) -> list[ConsentRecord]:
        """Return somebody's consent records; see ``Identities.consents``."""
        with self._locked():
            return [record for record in self._consents if record.u7 == u7]

    def begin_erasure(self, erasure: Erasure) -> None:
        """Delete a person and block their number; see ``Identities.begin_erasure``."""
        with self._locked():
            person = self._people.get(erasure.u7)
            open_id = None if person is None else person.open_id
            self._drop_person(erasure.u7, open_id)
            if erasure.u7 not in self._erasures:
                self._erasures[erasure.u7] = (erasure, open_id)
                self.webhooks.add_locked([erased_event(erasure.u7, erasure.begun_ms)], erasure.begun_ms)

    def erasures(self) -> list[Erasure]:
        """Return the erasures under way; see ``Identities.erasures``."""
        with self._locked():
            return [erasure for _, (erasure, _) in sorted(self._erasures.items())]

    def finish_erasure(self, u7: int, at_ms: int) -> Tombstone | None:
        """Complete an erasure; see ``Identities.finish_erasure``."""
        with self._locked():
            if u7 not in self._erasures:
                return None
            begun, open_id = self._erasures.pop(u7)
            self._drop_person(u7, open_id)
            stone = Tombstone(begun.erasure_id, begun.reason, at_ms)
            self._tombstones.append(stone)
            self._freed_ms[u7] = at_ms
            return stone

    def scrub(self, *, whole: bool = False) -> bool:  # noqa: ARG002 - there is no file
        """Leave nothing deleted; see ``Identities.scrub``."""
        with self._locked():
            return True

    def tombstones(self) -> list[Tombstone]:
        """Return what stays of erased people; see ``Identities.tombstones``."""
        with self._locked():
            return sorted(self._tombstones, key=lambda stone: (stone.at_ms, stone.tombstone_id))

    def _drop_person(self, u7: int, open_id: str | None) -> None:
        self._people.pop(u7, None)
        self._phones.pop(u7, None)
        self._codes.pop(u7, None)
        self._vehicles = {key: owned for key, owned in self._vehicles.items() if owned.vehicle.u7 != u7}
        self._drop_rows(u7, open_id)


def _gap(used: Iterable[int]) -> int | None:
    """Return the lowest number missing from ascending ones, None = none is."""
    expected = 0
    for number in used:
        if number > expected:
            return expected
        expected = number + 1
    return None
