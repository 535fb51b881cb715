"""``/wechat``: only what WeChat signed is taken, and a receipt closes its attempt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.app import make_app
from api.routes.wechat import wechat_router
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import ManualClock, noon_ms
from geo_engine.wechat.callback import is_signed, parse_receipt
from geo_engine.wechat.fake_push import sign

TOKEN = "a-token"  # noqa: S105 - made up
RECEIPT = b"<xml><Event>TEMPLATESENDJOBFINISH</Event><MsgID>%s</MsgID><Status>%s</Status></xml>"


def signed(seconds: int = noon_ms // 1000, token: str = TOKEN) -> dict[str, str]:
    return {"timestamp": str(seconds), "nonce": "n", "signature": sign(token, str(seconds), "n")}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def client(store: MemoryStore) -> Iterator[TestClient]:
    with TestClient(make_app([wechat_router(store, TOKEN, ManualClock())])) as client:
        yield client


def test_signature_of_tencents_example_is_accepted_and_a_changed_one_is_not() -> None:
    query = {"timestamp": "1714037059", "nonce": "486452656", "signature": "899cf89e464efb63f54ddac96b0a0a235f53aa78"}
    assert is_signed(query, "AAAAA", now_s=1714037059)
    assert not is_signed({**query, "nonce": "486452657"}, "AAAAA", now_s=1714037059)


def test_server_check_is_answered_verbatim(client: TestClient) -> None:
    assert client.get("/wechat", params={**signed(), "echostr": "hello"}).text == "hello"


@pytest.mark.parametrize(
    "query",
    [
        {},
        signed(token="another"),  # noqa: S106 - made up
        signed(noon_ms // 1000 - 301),
        signed(noon_ms // 1000 + 301),
        {**signed(), "timestamp": "soon"},
        {**signed(), "timestamp": "²"},
        {**signed(), "signature": "é"},
    ],
)
def test_push_that_is_not_freshly_signed_is_refused(client: TestClient, query: dict[str, str]) -> None:
    for answer in (client.get("/wechat", params=query), client.post("/wechat", params=query, content=RECEIPT)):
        assert answer.status_code == 403
        assert "expected" in answer.json()["detail"]


def test_receipt_is_kept(client: TestClient, store: MemoryStore) -> None:
    answer = client.post("/wechat", params=signed(), content=RECEIPT % (b"4711", b"success"))
    assert (answer.status_code, answer.text) == (200, "success")
    assert store.counts()["receipt.unmatched"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<xml><Event>LOCATION</Event></xml>",
        b"<xml><Event>TEMPLATESENDJOBFINISH</Event></xml>",
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + RECEIPT % (b"&a;", b"success"),
        b"\xff\xfe\x00",
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "b">]>'
            + (RECEIPT % (b"1", b"&a;")).decode()
        ).encode("utf-16"),
    ],
)
def test_anything_else_is_acknowledged_and_left_alone(client: TestClient, store: MemoryStore, body: bytes) -> None:
    assert parse_receipt(body) is None
    assert client.post("/wechat", params=signed(), content=body).text == "success"
    assert store.counts()["receipt.unmatched"] == 0


def test_push_larger_than_any_real_one_is_refused(client: TestClient) -> None:
    assert client.post("/wechat", params=signed(), content=b"x" * 65_537).status_code == 413
