"""Receipts of the fake server: signature, body, address."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.callback import Receipt, is_signed, parse_receipt
from geo_engine.wechat.fake import CallbackTarget, Delivery
from geo_engine.wechat.fake_push import ReceiptPusher, receipt_xml, sign


def test_the_signature_is_the_one_of_tencents_example() -> None:
    assert sign("AAAAA", "1714037059", "486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"


def test_a_receipt_names_the_message_and_its_success() -> None:
    xml = receipt_xml(Delivery(42, "o1", 1_793_678_400_999, "t", {}, ""))
    root = ElementTree.fromstring(xml)  # noqa: S314 - our own text
    found = {child.tag: child.text for child in root}
    assert found["Event"] == "TEMPLATESENDJOBFINISH"
    assert (found["FromUserName"], found["MsgID"], found["Status"]) == ("o1", "42", "success")
    assert found["CreateTime"] == "1793678400"


def test_the_callback_reads_what_the_fake_server_pushes() -> None:
    delivery = Delivery(42, "o1", 1_793_678_400_999, "t", {}, "")
    assert parse_receipt(receipt_xml(delivery).encode()) == Receipt("42", "success")
    query = {"timestamp": "1793678400", "nonce": "7", "signature": sign("t", "1793678400", "7")}
    assert is_signed(query, "t", now_s=1_793_678_401)


def test_a_callback_that_is_no_web_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="file"):
        ReceiptPusher(CallbackTarget("file:///etc/passwd", "t"))
