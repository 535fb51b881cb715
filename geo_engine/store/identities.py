"""What a store promises about identity: numbers, phones, codes, vehicles, consent records, erasure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from geo_engine.model import Language, Vehicle
from geo_engine.people.codes import PendingCode
from geo_engine.people.consents import ConsentRecord
from geo_engine.people.erasure import Erasure, Tombstone
from geo_engine.people.identity import OwnedVehicle

__all__ = ["Identities"]


class Identities(Protocol):
    """Who people are and what they said. The promises of ``Store`` hold: one transaction a call, any thread."""

    def follow(self, open_id: str, language: Language, at_ms: int) -> int:
        """Return the number of the person with an OpenID; a new person is given one (``people.identity.next_u7``).

        Nothing but number, OpenID and language is known of a new person, and there is no consent.

        Raises:
            StoreError: all numbers are taken.
        """
        ...

    def u7_of(self, open_id: str) -> int | None:
        """Return the number of the person with an OpenID, None = nobody's."""
        ...

    def numbers_of(self, open_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of many people by OpenID, of those who are known."""
        ...

    def set_language(self, u7: int, language: Language) -> None:
        """Set the language of a person and of their vehicles; nothing happens to somebody unknown."""
        ...

    def put_code(self, pending: PendingCode, keys: Sequence[str]) -> int:
        """Keep a code and note that it is sent, unless the limits of one of the keys forbid it (``codes.wait_ms``).

        A code kept earlier for the same person counts no more.

        Returns:
            0, or the milliseconds to wait; then nothing was kept.
        """
        ...

    def try_code(self, u7: int) -> PendingCode | None:
        """Count a try and return the code with it; None = there is none. Two tries at once count as two."""
        ...

    def set_phone(self, u7: int, phone: str, at_ms: int, /) -> None:
        """Bind a phone that was proved. It is taken from whoever had it, and the code is used up."""
        ...

    def phone_of(self, u7: int) -> str | None:
        """Return the phone of a person, None = none bound."""
        ...

    def vehicles_of(self, u7: int) -> list[OwnedVehicle]:
        """Return the vehicles a person bound, in the order of binding."""
        ...

    def put_vehicle(self, vehicle: Vehicle, at_ms: int, /) -> int:
        """Add a vehicle to those of ``vehicle.u7`` and return its number; it becomes the active one.

        Raises:
            StoreError: the person is unknown.
        """
        ...

    def activate_vehicle(self, u7: int, vehicle_id: int) -> bool:
        """Make one of a person's vehicles the active one; return False when it is not theirs."""
        ...

    def remove_vehicle(self, u7: int, vehicle_id: int) -> bool:
        """Take a vehicle away; return False when it is not theirs.

        When it was the active one, the one bound last takes its place; without any, nothing is known of what the
        person drives.
        """
        ...

    def consents(self, u7: int) -> list[ConsentRecord]:
        """Return every consent record of a person, in the order they were added."""
        ...

    def begin_erasure(self, erasure: Erasure, /) -> None:
        """Delete everything of a person and block their number; done again it changes nothing of what was begun.

        It deletes the rows of every table that holds a ``u7`` or an OpenID of theirs, and what hangs on these. What
        is counted of their phone by a keyed hash stays for a day.
        """
        ...

    def erasures(self) -> list[Erasure]:
        """Return the erasures under way, by number."""
        ...

    def finish_erasure(self, u7: int, at_ms: int) -> Tombstone | None:
        """Delete what was written about a person since the beginning, set the tombstone and free the number.

        Returns None when no erasure of this number is under way. ``scrub`` takes the values out of the files.
        """
        ...

    def scrub(self, *, whole: bool = False) -> bool:
        """Take deleted values out of the files of the store.

        Deleting overwrites a row where it stood, and this folds the log in. Copies of a row that the database left
        behind when it moved it between pages go only when the file is written anew: of a small store always, of a
        larger one when ``whole`` is asked for, because nothing can be written meanwhile.

        Returns:
            Whether nothing is left; False = copies may be.

        Raises:
            StoreError: readers did not pause for 5 s.

        Cost: folding, a write of what is in the log; writing anew, a copy of the file (about 15 ms a megabyte
            where it was tried).
        """
        ...

    def tombstones(self) -> list[Tombstone]:
        """Return what stays of erased people, in the order of their erasure."""
        ...
