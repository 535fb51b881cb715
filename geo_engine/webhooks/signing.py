"""Signatures of webhooks (Standard Webhooks 1.0, https://www.standardwebhooks.com, symmetric scheme ``v1``)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from geo_engine.errors import ConfigurationError

__all__ = ["Secret", "signed_headers"]

_PREFIX: Final = "whsec_"
_SHORTEST: Final = 24
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A key of an endpoint. It stands in no repr."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Secret:
        """Read ``whsec_`` and 24 to 64 bytes in base64.

        Raises:
            ConfigurationError: it is none; the text is not repeated.
        """
        encoded = text.removeprefix(_PREFIX)
        try:
            key = base64.b64decode(encoded, validate=True) if text.startswith(_PREFIX) else b""
        except ValueError:
            key = b""
        if not _SHORTEST <= len(key) <= _LONGEST:
            message = f"webhook secret: found a text of another form, expected {_PREFIX} and 24 to 64 bytes in base64"
            raise ConfigurationError(message)
        return cls(key)


def signed_headers(event_id: str, time_s: int, body: bytes, secrets: Sequence[Secret]) -> Mapping[str, str]:
    """Return the three headers that let a receiver prove who sent the body, and that it is fresh.

    Args:
        event_id: the event, equal at every attempt: the receiver's key against repeats.
        time_s: the moment of this attempt, epoch seconds.
        body: what is posted.
        secrets: one signature for each, so that a receiver that knows the old or the new one is content.
    """
    signed = f"{event_id}.{time_s}.".encode() + body
    digests = (hmac.new(secret.key, signed, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(time_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }
