"""Pushed documents become typed messages: every vector, every layout, and hostile ones an error of our own."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.geodesy.datum import Datum
from geo_engine.wechat import inbound
from geo_engine.wechat.inbound import Inbound, Kind, from_payload, reply_window, to_payload
from geo_engine.wechat.push_tree import PushError, PushReason, parse_json, parse_xml
from geo_engine.wechat.reading import read_lean, read_push, read_tree
from tests.examples import examples
from tests.unit.wechat.vectors import row, rows

OPENID = "oMgHVjngRipVsoxg6TuX3vz6glDg"
HEAD = (
    "<ToUserName><![CDATA[gh_e136c6e50636]]></ToUserName>"
    f"<FromUserName><![CDATA[{OPENID}]]></FromUserName><CreateTime>123456789</CreateTime>"
)
# What a vector calls otherwise than our fields do.
RENAMED = {"time": "time_s", "dedupe": "key", "event": "name"}


def push(fields: str, msg_type: str = "event", event: str | None = None) -> bytes:
    named = "" if event is None else f"<Event><![CDATA[{event}]]></Event>"
    return f"<xml>{HEAD}<MsgType><![CDATA[{msg_type}]]></MsgType>{named}{fields}</xml>".encode()


def value_of(message: Inbound, name: str) -> object:
    if name == "key" and hasattr(message, "menu_key"):
        return message.menu_key
    if name == "datum":
        return getattr(type(message), "datum", "unknown")
    if name == "meaning":
        return message.revokes_location and "location"
    if name == "opens_kf_window":
        return (window := reply_window(message.kind)) and asdict(window)
    if name == "items":
        known = {"template_id": "template_id", "status": "status", "scene": "scene", "msg_id": "msgid", "code": "code"}
        values = [{known[field]: value for field, value in asdict(item).items()} for item in message.items]
        return [{field: value for field, value in item.items() if value is not None} for item in values]
    found = getattr(message, RENAMED.get(name, name))
    return list(found) if isinstance(found, tuple) else found


@pytest.mark.parametrize("vector", rows("payloads"))
def test_a_payload_gives_what_the_vector_says(vector: dict[str, Any]) -> None:
    message = read_push(vector["xml"].encode())
    expected = {name: value for name, value in vector["event"].items() if name != "must"}
    assert {name: value_of(message, name) for name in expected} == expected


@pytest.mark.parametrize("vector", rows("payloads"))
def test_a_message_comes_back_from_the_journal_as_it_was(vector: dict[str, Any]) -> None:
    message = read_push(vector["xml"].encode())
    assert from_payload(message.kind.value, to_payload(message)) == message


@pytest.mark.parametrize("vector", rows("reject"))
def test_a_hostile_payload_is_refused_with_our_own_error(vector: dict[str, Any]) -> None:
    with pytest.raises(PushError) as refused:
        read_push(vector["xml"].encode())
    assert "expected" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ping-no-coords", PushReason.NO_POSITION),
        ("ping-nan", PushReason.NO_POSITION),
        ("ping-dup-lat", PushReason.MALFORMED),
        ("openid-27", PushReason.MALFORMED),
        ("truncated", PushReason.NOT_READABLE),
        ("dtd", PushReason.DOCTYPE),
        ("xxe", PushReason.DOCTYPE),
        ("laughs", PushReason.DOCTYPE),
    ],
)
def test_a_refusal_says_what_kind_it_is(name: str, reason: PushReason) -> None:
    with pytest.raises(PushError) as refused:
        read_push(row("reject", name)["xml"].encode())
    assert refused.value.reason is reason


# ---- every type of the fact sheet that has no vector


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            push("<MediaId>m</MediaId><Format>amr</Format><Recognition>你好</Recognition><MsgId>7</MsgId>", "voice"),
            {"kind": Kind.VOICE, "media_id": "m", "format": "amr", "recognition": "你好", "key": "msgid:7"},
        ),
        (
            push("<MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId><MsgId>7</MsgId>", "video"),
            {"kind": Kind.VIDEO, "media_id": "m", "thumb_media_id": "t"},
        ),
        (push("<MediaId>m</MediaId><MsgId>7</MsgId>", "shortvideo"), {"kind": Kind.SHORTVIDEO}),
        (
            push("<Title>t</Title><Description>d</Description><Url>https://x/</Url><MsgId>7</MsgId>", "link"),
            {"kind": Kind.LINK, "title": "t", "description": "d", "url": "https://x/"},
        ),
        (
            push("<EventKey>meet:7Q2</EventKey><Ticket>T</Ticket>", event="SCAN"),
            {"kind": Kind.SCAN, "scene": "meet:7Q2", "ticket": "T"},
        ),
        (
            push("<EventKey>https://x/</EventKey><MenuId>9</MenuId>", event="VIEW"),
            {"kind": Kind.VIEW, "menu_key": "https://x/", "menu_id": "9"},
        ),
        (
            push(
                "<EventKey>here</EventKey><SendLocationInfo><Location_X>30.5</Location_X><Location_Y>114.3</Location_Y>"
                "<Scale>15</Scale><Label>江岸区</Label><Poiname>桥</Poiname></SendLocationInfo>",
                event="location_select",
            ),
            {"kind": Kind.LOCATION_SELECT, "lon": 114.3, "lat": 30.5, "scale": 15.0, "label": "江岸区", "poi": "桥"},
        ),
        (
            push("<MsgID>4711</MsgID><Status>failed:user block</Status>", event="TEMPLATESENDJOBFINISH"),
            {"kind": Kind.TEMPLATE_RESULT, "msg_id": "4711", "status": "failed:user block"},
        ),
        (
            push(f"<OpenID>{'p' * 28}</OpenID>", event="user_info_modified"),
            {"kind": Kind.USER_INFO_MODIFIED, "openid": "p" * 28},
        ),
        (push("<Foo>bar</Foo>", "hologram"), {"kind": Kind.OTHER, "name": "hologram"}),
    ],
)
def test_every_other_type_is_read(body: bytes, expected: dict[str, object]) -> None:
    message = read_push(body)
    assert {name: getattr(message, name) for name in expected} == expected
    assert from_payload(message.kind.value, to_payload(message)) == message


def test_every_kind_has_a_class_and_a_reader() -> None:
    assert set(inbound._CLASSES) == set(Kind)


def test_what_is_unknown_is_kept_whole() -> None:
    message = read_push(push("<A><B>1</B><B>2</B></A><C/>", event="some_future_event"))
    assert message.kind is Kind.OTHER
    assert json.loads(message.fields)["A"] == {"B": ["1", "2"]}


@pytest.mark.parametrize(("kind", "opens"), [(Kind.PING, False), (Kind.VIEW, False), (Kind.TEXT, True)])
def test_only_acts_of_a_person_open_a_window(kind: Kind, opens: bool) -> None:
    assert (reply_window(kind) is not None) is opens


def test_a_picked_place_is_in_tencents_datum() -> None:
    assert read_push(row("payloads", "location-message-wuhan")["xml"].encode()).datum is Datum.GCJ02


# ---- the key of repeats


def key_of(body: bytes) -> str:
    return read_push(body).key


def test_the_number_zero_is_no_key_of_a_message() -> None:
    one = key_of(push("<Content>one</Content><MsgId>0</MsgId>", "text"))
    other = key_of(push("<Content>other</Content><MsgId>0</MsgId>", "text"))
    assert one != other
    assert one == key_of(push("<Content>one</Content><MsgId>0</MsgId>", "text"))
    assert not one.startswith("msgid:")


@pytest.mark.parametrize(
    ("event", "one", "other"),
    [
        ("TEMPLATESENDJOBFINISH", "<MsgID>1</MsgID>", "<MsgID>2</MsgID>"),
        ("CLICK", "<EventKey>a</EventKey>", "<EventKey>b</EventKey>"),
        ("VIEW", f"<EventKey>{'a' * 200}1</EventKey>", f"<EventKey>{'a' * 200}2</EventKey>"),
        (
            "user_authorization_revoke",
            f"<OpenID>{OPENID}</OpenID><RevokeInfo>205</RevokeInfo>",
            f"<OpenID>{OPENID}</OpenID><RevokeInfo>206</RevokeInfo>",
        ),
        (
            "subscribe_msg_sent_event",
            "<SubscribeMsgSentEvent><List><MsgID>1</MsgID></List></SubscribeMsgSentEvent>",
            "<SubscribeMsgSentEvent><List><MsgID>2</MsgID></List></SubscribeMsgSentEvent>",
        ),
    ],
)
def test_two_events_of_one_second_have_two_keys_and_a_repeat_has_one(event: str, one: str, other: str) -> None:
    assert key_of(push(one, event=event)) == key_of(push(one, event=event))
    assert key_of(push(one, event=event)) != key_of(push(other, event=event))
    assert len(key_of(push(one, event=event))) < 200


def test_revoked_location_is_seen_among_others_and_nothing_else_is() -> None:
    body = f"<OpenID>{OPENID}</OpenID><RevokeInfo>%s</RevokeInfo>"
    events = [
        read_push(push(body % what, event="user_authorization_revoke")) for what in ("206", "205,206", "205", "2061")
    ]
    assert [event.revokes_location for event in events] == [True, True, False, False]


# ---- hostile input


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml/>",
        b"<html></html>",
        b"<!DOCTYPE xml><xml></xml>",
        b"<xml>" * 9 + b"</xml>" * 9,
        b"<xml>" + b"<a/>" * 2_001 + b"</xml>",
        "<xml><a>é</a></xml>".encode("latin-1"),
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><xml/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?><xml>+ADw-a/+AD4-</xml>',
        b"<xml>\x00</xml>",
        b"<xml>&undefined;</xml>",
    ],
)
def test_what_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(PushError):
        read_push(body)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ("90.1", "1"),
        ("-90.1", "1"),
        ("1", "180.1"),
        ("1e1", "2"),
        ("NaN", "2"),
        ("1", "-inf"),
        ("0", "0"),
        ("0.0", "-0.000"),
        ("٣", "2"),
        ("1_0", "2"),
        ("0x1", "2"),
        ("1", ""),
        ("<b>1</b>", "2"),
        ("9" * 400, "1"),
    ],
)
@pytest.mark.parametrize("event", ["LOCATION", "message"])
def test_a_location_that_is_none_is_refused(lat: str, lon: str, event: str) -> None:
    if event == "message":
        body = push(f"<Location_X>{lat}</Location_X><Location_Y>{lon}</Location_Y><MsgId>1</MsgId>", "location")
    else:
        body = push(f"<Latitude>{lat}</Latitude><Longitude>{lon}</Longitude>", event="LOCATION")
    with pytest.raises(PushError):
        read_push(body)


@pytest.mark.parametrize(("lat", "lon"), [("90", "180"), ("-90.0", "-180"), ("0", "0.1"), (" 1 ", "\n2")])
def test_a_location_at_the_edge_is_taken(lat: str, lon: str) -> None:
    message = read_push(push(f"<Latitude>{lat}</Latitude><Longitude>{lon}</Longitude>", event="LOCATION"))
    assert (message.lat, message.lon, message.accuracy_m) == (float(lat), float(lon), None)


@pytest.mark.parametrize("precision", ["nan", "-1", "1e3", "metres"])
def test_an_accuracy_that_is_none_is_refused(precision: str) -> None:
    with pytest.raises(PushError):
        read_push(
            push(f"<Latitude>1</Latitude><Longitude>2</Longitude><Precision>{precision}</Precision>", event="LOCATION")
        )


# ---- JSON


JSON_PING = {
    "ToUserName": "gh_e136c6e50636",
    "FromUserName": OPENID,
    "CreateTime": 123456789,
    "MsgType": "event",
    "Event": "LOCATION",
    "Latitude": 30.54321,
    "Longitude": 114.365432,
    "Precision": 65.0,
}


def test_json_gives_the_same_as_xml() -> None:
    xml = push(
        "<Latitude>30.54321</Latitude><Longitude>114.365432</Longitude><Precision>65.0</Precision>", event="LOCATION"
    )
    assert read_push(json.dumps(JSON_PING).encode(), is_json=True) == read_push(xml)


def test_a_list_of_a_json_event_is_read_wherever_it_stands() -> None:
    item = {"TemplateId": "t", "SubscribeStatusString": "accept", "PopupScene": "1"}
    event = {**JSON_PING, "Event": "subscribe_msg_popup_event"}
    flat = read_push(json.dumps({**event, "List": [item, item]}).encode(), is_json=True)
    nested = read_push(json.dumps({**event, "SubscribeMsgPopupEvent": {"List": item}}).encode(), is_json=True)
    assert (len(flat.items), len(nested.items)) == (2, 1)
    assert flat.items[0] == nested.items[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":',
        b"{}",
        b"\xff",
        b'{"Latitude": NaN}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        json.dumps({**JSON_PING, "Latitude": None}).encode(),
        json.dumps({**JSON_PING, "Latitude": True}).encode(),
        json.dumps(JSON_PING).replace('"Latitude"', '"Longitude"').encode(),
        json.dumps({**JSON_PING, "FromUserName": ["a", "b"]}).encode(),
        json.dumps({**JSON_PING, "x": [[[[[[[[[1]]]]]]]]]}).encode(),
        json.dumps({**JSON_PING, "x": [1] * 2_001}).encode(),
    ],
)
def test_json_that_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(PushError):
        read_push(body, is_json=True)


def test_half_a_character_in_json_can_still_be_written_down() -> None:
    body = json.dumps({**JSON_PING, "MsgType": "text", "Content": "a\ud800b", "MsgId": 5}).encode()
    message = read_push(body, is_json=True)
    assert message.text == "a\ufffdb"
    to_payload(message).encode()


# ---- the lean reader


def layouts(rng: random.Random) -> bytes:
    """Return a LOCATION event in some layout: order, blanks, CDATA, empty, repeated, foreign and broken parts."""
    # Most look as WeChat's own, or the lean reader would hardly ever be asked.
    usual = rng.random() < 0.6

    def one_of(common: str, *others: str) -> str:
        return common if rng.random() < (0.95 if usual else 0.7) else rng.choice(others)

    numbers = ("-33.86882", "114", "0", "0.0", "-0", "", "nan", "91", "181", " 1", "1e2", "+1", "-1")
    values = {
        "ToUserName": one_of("gh_e136c6e50636", "gh&amp;x", "", "a.b@c-d"),
        "FromUserName": one_of(OPENID, OPENID[:-1], OPENID + "x", "é" * 28),
        "CreateTime": one_of("1408091189", "0", "01", "1" * 12, "-1", " 5 ", "7"),
        "MsgType": one_of("event", "text", ""),
        "Event": one_of("LOCATION", "location", "CLICK"),
        "Latitude": one_of("30.543210", *numbers),
        "Longitude": one_of("114.365432", *numbers),
        "Precision": one_of("65.000000", *numbers),
    }
    plain = {"CreateTime", "Latitude", "Longitude", "Precision"}
    parts = []
    for name, value in values.items():
        wrapped = (name not in plain) if usual or rng.random() < 0.7 else (name in plain)
        text = f"<![CDATA[{value}]]>" if wrapped else value
        parts.append(f"<{name}>{text}</{name}>")
    if not usual:
        rng.shuffle(parts)
        extra = rng.choice(
            ["<EventKey/>", "<!-- x -->", "<Latitude>1</Latitude>", "text", "&#65;", "<a><b/></a>", "\f"]
        )
        parts.insert(rng.randrange(len(parts) + 1), extra)
        if rng.random() < 0.3:
            parts.pop(rng.randrange(len(parts)))
    gap = rng.choice(["", "", "\n", "\r\n  ", "\t", "\f", "\u00a0"]) if rng.random() < 0.5 else ""
    body = gap.join(["<xml>", *parts, "</xml>"]) + one_of("\n", "", " x", "\0")
    return body.encode()


def outcome(read: Any, body: bytes) -> object:
    try:
        return read(body)
    except PushError as error:
        return error.reason


def test_the_lean_reader_equals_the_full_one_on_random_layouts() -> None:
    rng, answered = random.Random(5), 0
    for _ in range(20_000):
        body = layouts(rng)
        lean = read_lean(body)
        if lean is not None:
            answered += 1
            assert lean == read_tree(parse_xml(body))
    # Neither nearly all nor nearly none of them: both ways were tried.
    assert 2_000 < answered < 18_000


LOCATION = push(
    "<Latitude>30.543210</Latitude><Longitude>114.365432</Longitude><Precision>65.000000</Precision>", event="LOCATION"
)


@examples(500)
@given(st.data())
def test_the_lean_reader_equals_the_full_one_on_damaged_bodies(data: st.DataObject) -> None:
    body = bytearray(LOCATION)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    lean = read_lean(bytes(body))
    assert lean is None or lean == read_tree(parse_xml(bytes(body)))


def test_the_usual_layout_is_read_lean_and_another_is_not() -> None:
    assert read_lean(LOCATION) == read_tree(parse_xml(LOCATION))
    assert read_lean(row("payloads", "LOCATION-reordered")["xml"].encode()) is None
    assert read_lean(row("payloads", "LOCATION-whitespace")["xml"].encode()) is not None


# ---- anything at all


@examples(500)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_read_or_refused(body: bytes, is_json: bool) -> None:
    assert isinstance(outcome(lambda raw: read_push(raw, is_json=is_json), body), (Inbound, PushReason))


names = st.sampled_from(
    ["MsgType", "Event", "EventKey", "MsgId", "FromUserName", "CreateTime", "List", "item", "Latitude", "MsgID", "x"]
)
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([OPENID])),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(names, below, max_size=4)),
    max_leaves=12,
)


@examples(500)
@given(st.dictionaries(names, trees, max_size=6), st.sampled_from(["text", "event", "location", "x"]))
def test_any_json_is_read_or_refused(fields: dict[str, Any], msg_type: str) -> None:
    body = json.dumps({**JSON_PING, "MsgType": msg_type, **fields}).encode()
    message = outcome(lambda raw: read_push(raw, is_json=True), body)
    assert isinstance(message, (Inbound, PushReason))
    if isinstance(message, Inbound):
        assert from_payload(message.kind.value, to_payload(message)) == message


def test_a_text_with_a_byte_order_mark_is_read() -> None:
    assert read_push(b"\xef\xbb\xbf" + LOCATION) == read_push(LOCATION)
    assert read_tree(parse_json(b"\xef\xbb\xbf" + json.dumps(JSON_PING).encode())).kind is Kind.PING


def test_a_payload_of_another_kind_is_refused() -> None:
    message = read_push(LOCATION)
    for kind, payload in (("text", to_payload(message)), ("nonsense", to_payload(message)), ("ping", "{}")):
        with pytest.raises(ValueError):  # noqa: PT011 - msgspec says more than we need
            from_payload(kind, payload)
    assert replace(message, key="x") != message
