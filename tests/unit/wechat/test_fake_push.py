"""Receipts of the fake server: signature, body, address."""

from __future__ import annotations

from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.callback import Callback, parse_query
from geo_engine.wechat.crypto import Sealer
from geo_engine.wechat.fake import CallbackTarget, Delivery
from geo_engine.wechat.fake_push import ReceiptPusher, receipt_xml, sign
from geo_engine.wechat.inbound import TemplateResult

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def test_the_signature_is_the_one_of_tencents_example() -> None:
    assert sign("AAAAA", "1714037059", "486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"


def test_a_receipt_names_the_message_and_its_success() -> None:
    xml = receipt_xml(Delivery(42, "o1", 1_793_678_400_999, "t", {}, ""))
    root = ElementTree.fromstring(xml)  # noqa: S314 - our own text
    found = {child.tag: child.text for child in root}
    assert found["Event"] == "TEMPLATESENDJOBFINISH"
    assert (found["FromUserName"], found["MsgID"], found["Status"]) == ("o1", "42", "success")
    assert found["CreateTime"] == "1793678400"


@pytest.mark.parametrize("key", ["", KEY])
def test_the_callback_reads_what_the_fake_server_pushes(key: str) -> None:
    delivery = Delivery(42, "o" * 28, 1_793_678_400_999, "t", {}, "")
    pusher = ReceiptPusher(CallbackTarget("http://127.0.0.1:1/wechat?a=b", "t", key, "wx1"))
    pusher.close()
    address, body = pusher._pushed(delivery)
    callback = Callback("t", Sealer("wx1", [KEY]), plain=not key)
    query = parse_query(urlsplit(address).query.encode())
    callback.check(query, 1_793_678_401_000)
    push = callback.read(query, body, is_json=False, now_ms=1_793_678_401_000)
    assert isinstance(push.message, TemplateResult)
    assert (push.message.msg_id, push.message.status, push.key) == ("42", "success", 0 if key else None)


def test_a_callback_that_is_no_web_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="file"):
        ReceiptPusher(CallbackTarget("file:///etc/passwd", "t"))
