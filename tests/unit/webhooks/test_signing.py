"""Signatures and envelopes, held against the public libraries of both specifications."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from geo_engine.errors import ConfigurationError
from geo_engine.webhooks.envelope import CONTENT_TYPE, envelope
from geo_engine.webhooks.signing import Secret, signed_headers


def a_secret(letter: bytes = b"a", length: int = 24) -> str:
    return "whsec_" + base64.b64encode(letter * length).decode()


def headers(body: bytes, *secrets: str, at_s: int | None = None) -> dict[str, str]:
    moment = int(time.time()) if at_s is None else at_s  # noqa: TID251 - the library reads the clock itself
    return dict(signed_headers("msg_1", moment, body, [Secret.parse(one) for one in secrets]))


def test_the_example_of_the_specification_comes_out() -> None:
    secret = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_public_library_takes_either_secret_while_one_is_changed_and_no_other() -> None:
    body = '{"zone": "长江二桥"}'.encode()
    new, old, other = a_secret(b"n"), a_secret(b"o"), a_secret(b"x")
    signed = headers(body, new, old)
    for secret in (new, old):
        Webhook(secret).verify(body, signed)
    for wrong, sent, said in (
        (other, body, signed),
        (new, body + b" ", signed),
        (new, body, signed | {"webhook-id": "msg_2"}),
        (new, body, headers(body, new, at_s=1_000)),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(wrong).verify(sent, said)


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_%%%", a_secret(length=23), a_secret(length=65), a_secret().removeprefix("whsec_"), "whsec_é"],
)
def test_a_secret_of_another_form_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected whsec_ and 24 to 64 bytes") as caught:
        Secret.parse(text)
    assert not text[7:] or text[7:] not in str(caught.value)


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_shows_itself_nowhere(length: int) -> None:
    secret = Secret.parse(a_secret(length=length))
    assert secret.key == b"a" * length
    assert "aaa" not in repr(secret)


def test_the_public_library_reads_the_envelope() -> None:
    values: dict[str, Any] = {
        "event_id": "msg_1",
        "source": "urn:geo-engine",
        "kind": "geo-engine.zone.entered",
        "subject": "zone/二桥",
        "time_ms": 1_700_000_000_123,
        "data": '{"u7":7,"zone":"二桥"}',
    }
    body = envelope(**values)
    assert body == envelope(**values)
    event = from_structured_event(HTTPMessage({"content-type": CONTENT_TYPE}, body), JSONFormat())
    assert (event.get_id(), event.get_source(), event.get_type()) == ("msg_1", "urn:geo-engine", values["kind"])
    assert (event.get_specversion(), event.get_subject()) == ("1.0", "zone/二桥")
    moment = event.get_time()
    assert moment is not None
    assert round(moment.timestamp() * 1000) == values["time_ms"]
    assert event.get_data() == {"u7": 7, "zone": "二桥"}
    assert json.loads(body)["time"] == "2023-11-14T22:13:20.123Z"
