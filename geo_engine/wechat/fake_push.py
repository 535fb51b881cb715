"""The push side of the fake server: signed receipts (TEMPLATESENDJOBFINISH) posted to the account's callback."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from typing import Final
from urllib.parse import urlencode, urlsplit

import urllib3

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.crypto import Sealer, signature
from geo_engine.wechat.fake import CallbackTarget, Delivery

__all__ = ["ReceiptPusher", "receipt_xml", "sign"]

_ACCOUNT: Final = "gh_fake_account"
_TIMEOUT_S: Final = 5.0
_DELAY_S: Final = 0.2
_RECEIPT: Final = (
    "<xml><ToUserName><![CDATA[{account}]]></ToUserName><FromUserName><![CDATA[{open_id}]]></FromUserName>"
    "<CreateTime>{seconds}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    "<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>{msgid}</MsgID><Status><![CDATA[success]]></Status></xml>"
)

_SENT: Final = (
    "<xml><ToUserName><![CDATA[{account}]]></ToUserName><FromUserName><![CDATA[{open_id}]]></FromUserName>"
    "<CreateTime>{seconds}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    "<Event><![CDATA[subscribe_msg_sent_event]]></Event><SubscribeMsgSentEvent><List>"
    "<TemplateId><![CDATA[{template_id}]]></TemplateId><MsgID>{msgid}</MsgID><ErrorCode>0</ErrorCode>"
    "<ErrorStatus><![CDATA[success]]></ErrorStatus></List></SubscribeMsgSentEvent></xml>"
)
_ENVELOPE: Final = "<xml><ToUserName><![CDATA[{account}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"


def sign(token: str, timestamp: str, nonce: str) -> str:
    """Return WeChat's signature: SHA-1 of the three texts, sorted as strings and joined."""
    return signature(token, timestamp, nonce)


def receipt_xml(delivery: Delivery) -> str:
    """Return the event that tells the account its message arrived."""
    seconds = delivery.time_ms // 1_000
    if delivery.channel == "subscription":
        return _SENT.format(
            account=_ACCOUNT,
            open_id=delivery.open_id,
            seconds=seconds,
            msgid=delivery.msgid,
            template_id=delivery.template_id,
        )
    return _RECEIPT.format(account=_ACCOUNT, open_id=delivery.open_id, seconds=seconds, msgid=delivery.msgid)


class ReceiptPusher:
    """Posts receipts one after the other from a thread of its own, some time after the delivery.

    The wait lets the sender note the message id it was answered before the receipt names it, as it does in life.
    Each is tried once; the real server tries three times. A callback that fails is counted and nothing else.

    Args:
        target: where to post, and the token that signs.
        delay_s: how long after the delivery.
        copies: how often each is posted.

    Raises:
        ConfigurationError: the address is not http(s).
    """

    def __init__(self, target: CallbackTarget, *, delay_s: float = _DELAY_S, copies: int = 1) -> None:
        if urlsplit(target.url).scheme not in {"http", "https"}:
            message = f"callback: found {target.url!r}, expected an http(s) address"
            raise ConfigurationError(message)
        self.posted = 0
        self.failed = 0
        self._target = target
        self._delay_s = delay_s
        self._copies = copies
        self._sealer = Sealer(target.app_id, [target.aes_key]) if target.aes_key else None
        self._closing = False
        self._waiting: queue.SimpleQueue[tuple[Delivery, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="fake-wechat-receipts", daemon=True)
        self._thread.start()

    def push(self, delivery: Delivery) -> None:
        """Post a receipt for ``delivery`` soon; returns at once. A customer-service message has none."""
        if delivery.channel == "customer_service":
            return
        for _ in range(self._copies):
            self._waiting.put((delivery, time.monotonic() + self._delay_s))

    def close(self) -> None:
        """Post what waits and end the thread; the first that fails now ends it too, for the callback is gone."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S) as http:
            while (entry := self._waiting.get()) is not None:
                delivery, due_s = entry
                time.sleep(max(0.0, due_s - time.monotonic()))
                taken = self._post(http, delivery)
                self.posted += taken
                self.failed += not taken
                if self._closing and not taken:
                    return

    def _post(self, http: urllib3.PoolManager, delivery: Delivery) -> bool:
        try:
            address, body = self._pushed(delivery)
            response = http.request("POST", address, body=body)
        except urllib3.exceptions.HTTPError:
            return False
        return response.status == 200

    def _pushed(self, delivery: Delivery) -> tuple[str, bytes]:
        """Return address and body of a receipt, sealed where the account has a key."""
        timestamp, nonce = str(delivery.time_ms // 1_000), str(delivery.msgid % 1_000_000_000)
        query = {
            "signature": sign(self._target.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": delivery.open_id,
        }
        body = receipt_xml(delivery).encode()
        if self._sealer is not None:
            sealed = self._sealer.seal(body, secrets.token_bytes(16))
            query |= {"encrypt_type": "aes", "msg_signature": signature(self._target.token, timestamp, nonce, sealed)}
            body = _ENVELOPE.format(account=_ACCOUNT, sealed=sealed).encode()
        separator = "&" if urlsplit(self._target.url).query else "?"
        return f"{self._target.url}{separator}{urlencode(query)}", body
