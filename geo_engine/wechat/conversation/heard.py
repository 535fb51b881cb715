"""What a person does in the chat that wants an answer."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Clicked", "Heard", "Located", "Scanned", "Texted"]


@dataclass(frozen=True, slots=True)
class Texted:
    """A text message, a recognised voice message, or the title of a menu message somebody chose."""

    text: str


@dataclass(frozen=True, slots=True)
class Clicked:
    """A click on the account's menu: the key of the button, an ``Intent``."""

    key: str


@dataclass(frozen=True, slots=True)
class Located:
    """A location message: a place picked on Tencent's map. WGS-84 degrees; the door converts from GCJ-02.

    Attributes:
        lon: degrees east.
        lat: degrees north.
        label: what the map calls the place, may be empty.
    """

    lon: float
    lat: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scanned QR code: the scene of a SCAN, or of a subscribe that followed a scan (``qrscene_`` before it)."""

    scene: str


Heard = Texted | Clicked | Located | Scanned
"""Anything that is answered."""
