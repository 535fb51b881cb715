"""Senders that reach no phone: one shows the code where the service was started, one has no gateway at all."""

from __future__ import annotations

from typing import TextIO

from geo_engine.model import Language
from geo_engine.people.codes import code_text
from geo_engine.people.identity import masked_phone

__all__ = ["ConsoleSms", "NoSms"]


class ConsoleSms:
    """Writes the message to a stream. Never for real people: whoever reads the stream could bind their phone."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``, e.g. ``sys.stderr``."""
        self._stream = stream

    def send_code(self, phone: str, code: str, language: Language) -> bool:
        """Show the code, and the phone without its middle; see ``SmsSender.send_code``."""
        self._stream.write(f"SMS {masked_phone(phone)}: {code_text(code, language)}\n")
        self._stream.flush()
        return True


class NoSms:
    """Sends nothing: no gateway is configured."""

    def send_code(self, phone: str, code: str, language: Language) -> bool:  # noqa: ARG002 - there is nowhere to send it
        """Say that the code was not taken; see ``SmsSender.send_code``."""
        return False
