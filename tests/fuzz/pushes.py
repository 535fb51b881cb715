"""Fuzzing of the callback: whatever the body, it is read or refused with the one error, and both readers agree.

``python -m tests.fuzz.pushes --bodies 1000000`` mutates seeds with a seeded generator of our own. Where ``atheris`` is
installed, ``--atheris`` lets libFuzzer look for new ways through the code instead (it is no dependency of the project).
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from types import FunctionType
from typing import Any, Final

from geo_engine.wechat import callback, crypto, push_tree, reading, seen
from geo_engine.wechat.callback import Callback
from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.inbound import Inbound, from_payload, to_payload
from geo_engine.wechat.push_tree import Element, PushError, parse_xml
from geo_engine.wechat.reading import read_lean, read_push, read_tree

__all__ = ["SEEDS", "mutated", "one_body", "run"]

_KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
_TOKEN: Final = "fuzz"  # noqa: S105 - made up
_HEAD: Final = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oMgHVjngRipVsoxg6TuX3vz6glDg]]></FromUserName>"
    "<CreateTime>1408091189</CreateTime><MsgType><![CDATA[%s]]></MsgType>"
)
_EVENT: Final = _HEAD % "event" + "<Event><![CDATA[%s]]></Event>%s</xml>"
_SENT: Final = (
    "<List><TemplateId>t</TemplateId><MsgID>1</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>ok</ErrorStatus></List>"
)
SEEDS: Final[tuple[bytes, ...]] = tuple(
    text.encode()
    for text in (
        _EVENT % ("LOCATION", "<Latitude>30.5</Latitude><Longitude>114.3</Longitude><Precision>65.0</Precision>"),
        _HEAD % "text" + "<Content><![CDATA[附近 🚛]]></Content><MsgId>1</MsgId></xml>",
        _HEAD % "location" + "<Location_X>30.5</Location_X><Location_Y>114.3</Location_Y><MsgId>1</MsgId></xml>",
        _HEAD % "image" + "<PicUrl>http://x/</PicUrl><MediaId>m</MediaId><MsgId>1</MsgId></xml>",
        _EVENT % ("subscribe", "<EventKey>qrscene_1</EventKey><Ticket>T</Ticket>"),
        _EVENT % ("scancode_push", "<ScanCodeInfo><ScanType>q</ScanType><ScanResult>1</ScanResult></ScanCodeInfo>"),
        _EVENT % ("pic_weixin", "<SendPicsInfo><Count>1</Count><PicList><item>a</item></PicList></SendPicsInfo>"),
        _EVENT
        % (
            "location_select",
            "<SendLocationInfo><Location_X>1</Location_X><Location_Y>2</Location_Y></SendLocationInfo>",
        ),
        _EVENT % ("TEMPLATESENDJOBFINISH", "<MsgID>1</MsgID><Status>success</Status>"),
        _EVENT % ("subscribe_msg_sent_event", f"<SubscribeMsgSentEvent>{_SENT}</SubscribeMsgSentEvent>"),
        _EVENT % ("user_authorization_revoke", f"<OpenID>{'o' * 28}</OpenID><RevokeInfo>206</RevokeInfo>"),
        _EVENT % ("some_future_event", "<Foo><Bar>1</Bar></Foo>"),
        '{"ToUserName":"gh_1","FromUserName":"oMgHVjngRipVsoxg6TuX3vz6glDg","CreateTime":1408091189,"MsgType":"event",'
        '"Event":"subscribe_msg_popup_event","List":[{"TemplateId":"t","PopupScene":"1"}]}',
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[aaaa]]></Encrypt></xml>",
    )
)
_PIECES: Final[tuple[bytes, ...]] = (
    b"<![CDATA[", b"]]>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"&#0;", b"&lt;", b"<xml>", b"</xml>", b"<List>",
    b"nan", b"inf", b"-", b"1e999", b"0", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b'"', b"{", b"[",
    b"<?xml?>", b"<!--", b"-->", b"<Encrypt>x</Encrypt>", b"<MsgId>0</MsgId>", b"9" * 400, b"<a>" * 12,
    b"<Latitude>1</Latitude>",
)  # fmt: skip
_WORDS: Final = (
    b"",
    b"event",
    b"text",
    b"location",
    b"SCAN",
    b"LOCATION",
    b"view",
    b"0",
    b"-33.5",
    b"181",
    b" 7 ",
    b"x" * 99,
)
_VALUES: Final = re.compile(rb"[>\[:\"]([^<>\[\]\"]*)[<\]\"]")
_sealer: Final = Sealer("wx1", [_KEY])
_callback: Final = Callback(_TOKEN, _sealer, plain=True)


def mutated(rng: random.Random) -> bytes:
    """Return a seed after a few cuts, copies, flips and foreign pieces; half of them keep their structure."""
    body = bytearray(rng.choice(SEEDS))
    if rng.random() < 0.5:
        for _ in range(rng.choice((1, 1, 2))):
            start, end = rng.choice([found.span(1) for found in _VALUES.finditer(body)])
            body[start:end] = rng.choice((*_PIECES, *_WORDS))
        return bytes(body)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at, way = rng.randrange(len(body) + 1), rng.randrange(6)
        end = min(len(body), at + rng.choice((1, 2, 8, 40)))
        if way == 0:
            del body[at:end]
        elif way == 1:
            body[at:at] = rng.choice(_PIECES)
        elif way == 2:
            body[at:end] = rng.choice(_PIECES)
        elif way == 3 and at < len(body):
            body[at] ^= 1 << rng.randrange(8)
        elif way == 4:
            body[at:at] = body[at:end]
        else:
            other = rng.choice(SEEDS)
            cut = rng.randrange(len(other))
            body[at:end] = other[cut : cut + rng.choice((4, 20, 80))]
    return bytes(body)


def one_body(body: bytes, way: int) -> str:
    """Read one body in one of four ways and return what came of it: a kind, or the reason of the refusal.

    Raises:
        AssertionError: the readers differ, or a message does not come back from the journal.
        Exception: anything but a ``PushError`` is a find.
    """
    try:
        message = _read(body, way)
        assert isinstance(message, Inbound)
        assert from_payload(message.kind.value, to_payload(message)) == message
        to_payload(message).encode()
        name = message.kind.value
    except PushError as error:
        name = error.reason.value
    lean = read_lean(body)
    assert lean is None or lean == read_tree(parse_xml(body))
    return name


def _read(body: bytes, way: int) -> Inbound:
    if way == 0:
        return read_push(body)
    if way == 1:
        return read_push(body, is_json=True)
    # A nonce of its own for each body: that a signature is good once is not what is looked for here.
    _read.count += 1  # type: ignore[attr-defined]
    nonce = str(_read.count)  # type: ignore[attr-defined]
    query = {"timestamp": "1408091189", "nonce": nonce}
    if way == 2:
        sealed = _sealer.seal(body, b"0123456789abcdef")
        query |= {"encrypt_type": "aes", "msg_signature": signature(_TOKEN, "1408091189", nonce, sealed)}
        body = f"<xml><Encrypt>{sealed}</Encrypt></xml>".encode()
    return _callback.read(query, body, is_json=body[:1] == b"{", now_ms=1_408_091_189_000).message


_read.count = 0  # type: ignore[attr-defined]


def run(bodies: int, seed: int) -> Counter[str]:
    """Read so many mutated bodies and return what came of them."""
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    for _ in range(bodies):
        body = mutated(rng)
        # Mostly in the way it is meant for, now and then in the wrong one.
        ways = (1, 2, 3) if body[:1] == b"{" else (0, 0, 2, 3)
        found[one_body(body, rng.choice(ways) if rng.random() < 0.95 else rng.randrange(4))] += 1
    return found


def _run_atheris(bodies: int, seed: int) -> None:
    import atheris

    for holder in (reading, push_tree, callback, crypto, seen, Callback, Sealer, Element):
        own = [value for value in vars(holder).values() if isinstance(value, FunctionType)]
        for function in own:
            if function.__module__.startswith("geo_engine.wechat"):
                atheris.instrument_func(function)
    rng = random.Random(seed)

    def test_one_input(data: bytes) -> None:
        if data:
            one_body(data[1:], data[0] % 4)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        # Half of the time libFuzzer's own mutation, half of the time a seed of ours.
        if number % 2:
            return atheris.Mutate(data, most)
        return (bytes([rng.randrange(4)]) + mutated(rng))[:most]

    arguments = [sys.argv[0], f"-runs={bodies}", f"-seed={seed}", "-max_len=4096", "-rss_limit_mb=4096", "-verbosity=1"]
    atheris.Setup(arguments, test_one_input, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--atheris", action="store_true")
    asked: Any = parser.parse_args()
    if asked.atheris:
        _run_atheris(asked.bodies, asked.seed)
        return
    began_s = time.monotonic()
    found = run(asked.bodies, asked.seed)
    took_s = time.monotonic() - began_s
    lines = [f"{found.total()} bodies, seed {asked.seed}, {took_s:.0f} s, no uncaught exception"]
    lines += [f"{count:9d} {name}" for name, count in found.most_common()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
