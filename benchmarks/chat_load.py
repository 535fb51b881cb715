"""The load of the chat benchmark: phones that push over keep-alive connections, sealed as WeChat seals."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from geo_engine.wechat.crypto import Sealer, signature

__all__ = ["AES_KEY", "DEADLINE_S", "TOKEN", "Pushes", "Told", "Worked", "chats", "open_id", "saturate"]

TOKEN: Final = "bench-token"  # noqa: S105 - of a server on loopback
AES_KEY: Final = "bench" * 8 + "key"
DEADLINE_S: Final = 5.0
"""WeChat hangs up after this and sends again."""

_LON, _LAT = 114.30, 30.55


def open_id(number: int) -> str:
    """Return the OpenID of a simulated person."""
    return f"oBench{number:022d}"


class Pushes:
    """Makes whole HTTP requests: sealed, signed, with a path of choice. A message is made once and never repeated.

    Args:
        app_id: of the account.
        host: of the server, for the header.
    """

    def __init__(self, app_id: str, host: str) -> None:
        self._sealer = Sealer(app_id, [AES_KEY])
        self._host = host
        self._made = 0

    def located(self, person: int, time_s: int, path: str = "/wechat") -> bytes:
        """Return a LOCATION event: the person moves 20 m a second eastwards, and turns after 4 km."""
        lon = _LON + ((time_s * 20 + person * 37) % 4_000) / 95_800.0
        lat = _LAT + (person % 100) * 0.0004
        return self._request(
            person,
            time_s,
            "event",
            f"<Event><![CDATA[LOCATION]]></Event><Latitude>{lat:.6f}</Latitude><Longitude>{lon:.6f}</Longitude>"
            "<Precision>15.000000</Precision>",
            path,
        )

    def text(self, person: int, time_s: int, words: str, path: str = "/wechat") -> bytes:
        """Return a text message."""
        return self._request(person, time_s, "text", f"<Content><![CDATA[{words}]]></Content>", path)

    def click(self, person: int, time_s: int, key: str, path: str = "/wechat") -> bytes:
        """Return a click on the menu."""
        fields = f"<Event><![CDATA[CLICK]]></Event><EventKey><![CDATA[{key}]]></EventKey>"
        return self._request(person, time_s, "event", fields, path)

    def _request(self, person: int, time_s: int, msg_type: str, fields: str, path: str) -> bytes:
        self._made += 1
        end = "" if msg_type == "event" else f"<MsgId>{8_000_000_000 + self._made}</MsgId>"
        body = (
            f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName>"
            f"<FromUserName><![CDATA[{open_id(person)}]]></FromUserName>"
            f"<CreateTime>{time_s}</CreateTime><MsgType><![CDATA[{msg_type}]]></MsgType>{fields}{end}</xml>"
        )
        sealed = self._sealer.seal(body.encode(), os.urandom(16))
        stamp, nonce = str(time.time_ns() // 10**9), str(self._made)
        query = {
            "signature": signature(TOKEN, stamp, nonce),
            "timestamp": stamp,
            "nonce": nonce,
            "openid": open_id(person),
            "encrypt_type": "aes",
            "msg_signature": signature(TOKEN, stamp, nonce, sealed),
        }
        whole = f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        head = (
            f"POST {path}?{urlencode(query)} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: text/xml\r\n"
            f"Content-Length: {len(whole)}\r\n\r\n"
        )
        return (head + whole).encode()


class _Line(asyncio.Protocol):
    """One keep-alive connection with one request at a time; ``done`` is told of each answer."""

    def __init__(self, done: Callable[[_Line, bool], None]) -> None:
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._answer = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream has one of this kind
        self.is_open = True

    def send(self, request: bytes) -> None:
        """Send a request; the one before must be answered."""
        self._answer = b""
        if self._transport is None or not self.is_open:
            self._done(self, False)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) >= length:
            self._done(self, head.startswith(b"HTTP/1.1 200") and body == b"success")

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_open = False

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


async def _lines(port: int, count: int, done: Callable[[_Line, bool], None]) -> list[_Line]:
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        _transport, line = await loop.create_connection(lambda: _Line(done), "127.0.0.1", port)
        made.append(line)
    return made


@dataclass
class Told:
    """What came of the chats.

    Attributes:
        latencies_s: from the moment a push was due to its whole answer, of those that were answered.
        not_taken: answers that were no ``success``.
        missed: pushes without an answer within WeChat's 5 s.
        kinds: how many pushes of each kind.
    """

    latencies_s: list[float] = field(default_factory=list)
    not_taken: int = 0
    missed: int = 0
    kinds: dict[str, int] = field(default_factory=dict)


async def chats(
    port: int, pushes: Pushes, people: int, seconds: float, words: Sequence[str], touch: Callable[[str, str], object]
) -> Told:
    """Let ``people`` chat for some seconds, a connection each: a LOCATION every 5 s, now and then a text or a click.

    Pushes are due by the clock, whether or not the one before was answered in time (an open loop): a slow server does
    not slow its load down. ``touch`` tells the fake server who did what, so that it takes the answer.
    """
    loop, told = asyncio.get_running_loop(), Told()
    waiting: dict[_Line, asyncio.Future[bool]] = {}

    def done(line: _Line, good: bool) -> None:
        answer = waiting.pop(line, None)
        if answer is not None and not answer.done():
            answer.set_result(good)

    async def one(line: _Line, number: int, began_s: float) -> None:
        due_s, turn = began_s + 5.0 * number / people, 0
        while due_s < began_s + seconds:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            kind, request = _next(pushes, number, turn, words)
            told.kinds[kind] = told.kinds.get(kind, 0) + 1
            if kind != "location":
                touch(open_id(number), {"text": "message"}.get(kind, kind))
            answer = waiting[line] = loop.create_future()
            line.send(request)
            try:
                good = await asyncio.wait_for(answer, DEADLINE_S)
            except TimeoutError:
                told.missed += 1
                return
            told.latencies_s.append(time.monotonic() - due_s)
            told.not_taken += not good
            turn += 1
            due_s += 5.0

    lines = await _lines(port, people, done)
    began_s = time.monotonic() + 0.5
    await asyncio.gather(*(one(line, number, began_s) for number, line in enumerate(lines)))
    for line in lines:
        line.close()
    return told


def _next(pushes: Pushes, number: int, turn: int, words: Sequence[str]) -> tuple[str, bytes]:
    now_s, dice = time.time_ns() // 10**9, (number * 31 + turn * 17) % 100
    if dice < 5:
        return "text", pushes.text(number, now_s, words[(number + turn) % len(words)])
    if dice < 8:
        return "click", pushes.click(number, now_s, "nearest")
    return "location", pushes.located(number, now_s)


@dataclass(frozen=True, slots=True)
class Worked:
    """What a saturated server did: answers, refusals, and the seconds they took."""

    answers: int
    not_taken: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


async def saturate(port: int, requests: Sequence[bytes], lines: int) -> Worked:
    """Send all requests over so many connections, the next as soon as one is answered."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    queue: Iterator[bytes] = iter(requests)
    counts = [0, 0]

    def done(line: _Line, good: bool) -> None:
        counts[0] += 1
        counts[1] += not good
        following = next(queue, None)
        if following is not None:
            line.send(following)
        elif counts[0] == len(requests) and not finished.done():
            finished.set_result(None)

    made = await _lines(port, lines, done)
    began_s = time.perf_counter()
    for line in made:
        line.send(next(queue))
    await finished
    took_s = time.perf_counter() - began_s
    for line in made:
        line.close()
    return Worked(counts[0], counts[1], took_s)
