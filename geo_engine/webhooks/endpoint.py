"""Where events go: addresses and secrets as settings give them, and the posting of one event."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3.util import Timeout

from geo_engine.errors import ConfigurationError
from geo_engine.webhooks.signing import Secret

__all__ = ["Endpoint", "Posted", "Poster", "Reply", "read_endpoints"]

_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_MOST_ANSWER: Final = 4_096
_LONGEST_WAIT_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver.

    Attributes:
        name: host and a digest of the address: it stands in the store, in metrics and in the log, for an address may
            hold a key.
        url: where events are posted; it is in no repr.
        secrets: each signs; the first is the current one.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[Secret, ...] = field(repr=False)


def read_endpoints(urls: str, secrets: str) -> list[Endpoint]:
    """Read addresses, with space between them, and their secrets.

    Args:
        urls: https addresses; http is for this machine only.
        secrets: for each address one secret, or several with commas between them while one is changed.

    Raises:
        ConfigurationError: one of them is impossible, or their numbers differ.
    """
    addresses, groups = urls.split(), secrets.split()
    if len(groups) != len(addresses):
        message = f"webhooks: found {len(addresses)} addresses and {len(groups)} secrets, expected one for each"
        raise ConfigurationError(message)
    if len(set(addresses)) != len(addresses):
        message = "webhooks: found an address twice, expected each once"
        raise ConfigurationError(message)
    return [
        Endpoint(_name(url), url, tuple(Secret.parse(one) for one in group.split(",")))
        for url, group in zip(addresses, groups, strict=True)
    ]


def _name(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    safe = bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))
    if not safe or parts.username is not None or parts.password is not None or parts.fragment:
        # The address itself may hold a key; it is not repeated.
        message = (
            f"webhooks: found an address of {host or 'no host'} that cannot be used, expected https://host/path "
            "without user name or fragment (http on this machine only)"
        )
        raise ConfigurationError(message)
    return f"{host}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


class Reply(StrEnum):
    """What a receiver said to an event."""

    TAKEN = "taken"
    GONE = "gone"
    """410: nobody is there any more; nothing is to be sent again."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of posting an event.

    Attributes:
        reply: what the receiver said.
        reason: why it failed, without the address.
        wait_s: the receiver's wish for the next try, None = it has none.
    """

    reply: Reply
    reason: str = ""
    wait_s: float | None = None


class Poster:
    """Posts events to one address. Safe for many threads; connections are kept.

    Args:
        url: the address.
        timeout_s: for the whole of a call.
        connections: calls at a time.
    """

    def __init__(self, url: str, *, timeout_s: float = 15.0, connections: int = 4) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=connections, block=True)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Post a body; 2xx is a yes, a redirect is none. Never raises for what the receiver does."""
        end = time.monotonic() + self._timeout_s
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=dict(headers),
                timeout=Timeout(total=self._timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            self._drain(answer, end)
        except urllib3.exceptions.HTTPError as error:
            return Posted(Reply.FAILED, type(error).__name__)
        if 200 <= answer.status < 300:
            return Posted(Reply.TAKEN)
        if answer.status == 410:
            return Posted(Reply.GONE, "HTTP status 410")
        return Posted(Reply.FAILED, f"HTTP status {answer.status}", _wait_s(answer.headers.get("Retry-After")))

    def _drain(self, answer: urllib3.BaseHTTPResponse, end: float) -> None:
        """Read a short answer so that the connection can be used again; the status counts, whatever follows it."""
        try:
            read = 0
            while piece := answer.read1(1_024):
                read += len(piece)
                if read > _MOST_ANSWER or time.monotonic() > end:
                    answer.close()
                    return
            answer.release_conn()
        except urllib3.exceptions.HTTPError:
            answer.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _wait_s(text: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``; a date is none of ours."""
    if text is None or not text.strip().isascii() or not text.strip().isdigit():
        return None
    return min(float(text), _LONGEST_WAIT_S)
