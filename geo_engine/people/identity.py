"""Who somebody is: the number of a new person, the form of an OpenID and of a phone, the vehicles of one person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from geo_engine.model import U7_COUNT, Vehicle

__all__ = ["MOST_VEHICLES", "REST_MS", "OwnedVehicle", "is_open_id", "masked_phone", "next_u7", "phone_of"]

MOST_VEHICLES: Final = 10
"""Vehicles one person may have: a driver's, not a company's."""

REST_MS: Final = 7 * 86_400_000
"""How long a number rests after the erasure of its person is complete: a phone app that was not told goes on reporting
under it for a while, and must not place somebody else."""

_OPEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{28}", re.ASCII)
_PHONE: Final = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_COUNTRY: Final = re.compile(r"(\+|00)86")
_BETWEEN: Final = re.compile(r"[\s\-.()]")


@dataclass(frozen=True, slots=True)
class OwnedVehicle:
    """One of a person's vehicles.

    Attributes:
        vehicle_id: its number, never used again.
        vehicle: what is known of it; ``consent_warnings`` says nothing here, consent belongs to the person.
        active: the one the person drives now; of the vehicles of a person exactly one is.
    """

    vehicle_id: int
    vehicle: Vehicle
    active: bool


def next_u7(highest: int | None, rested: int | None, gap: Callable[[], int | None]) -> int | None:
    """Return the number of a new person: dense, so that the engine's rows stay few.

    Args:
        highest: the highest number in use, None = none.
        rested: a number whose erasure was complete ``REST_MS`` ago, None = none.
        gap: finds the lowest number never given away below ``highest``; asked only when there is no other, as it may
            look at everybody.

    Returns:
        The number, None when all ten million are taken. A number whose erasure is under way is in use.
    """
    if rested is not None:
        return rested
    if highest is None:
        return 0
    return highest + 1 if highest + 1 < U7_COUNT else gap()


def is_open_id(text: str) -> bool:
    """Say whether a text has the form of a WeChat OpenID."""
    return _OPEN_ID.fullmatch(text) is not None


def phone_of(text: str) -> str | None:
    """Return a mobile number of the mainland as its eleven digits, None when the text is none.

    Spaces, dashes, full-width digits and a leading +86 or 0086 are understood.
    """
    plain = _BETWEEN.sub("", unicodedata.normalize("NFKC", text))
    digits = _COUNTRY.sub("", plain, count=1) if _COUNTRY.match(plain) else plain
    return digits if _PHONE.fullmatch(digits) else None


def masked_phone(phone: str) -> str:
    """Return a phone as it may be shown to its owner: ``138****5678``."""
    return f"{phone[:3]}****{phone[-4:]}"
