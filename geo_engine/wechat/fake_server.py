"""Runs the fake WeChat server on a thread: for tests, for the demonstration and for the command line."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvicorn

from geo_engine.wechat.fake import Delivery, FakeSettings, FakeWeChat
from geo_engine.wechat.fake_app import fake_wechat_app
from geo_engine.wechat.fake_log import DeliveryLog
from geo_engine.wechat.fake_push import ReceiptPusher

__all__ = ["FakeServer", "start_fake_wechat"]

_START_LIMIT_S: Final = 10.0


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class FakeServer:
    """A running fake server. Close it, or use it as a context manager.

    Attributes:
        url: its address; also the sender's ``api_base``.
        state: the account, for direct control and assertions.
        receipts: the pusher of receipts, None without a callback.
    """

    def __init__(self, url: str, state: FakeWeChat, receipts: ReceiptPusher | None, closing: ExitStack) -> None:
        self.url = url
        self.state = state
        self.receipts = receipts
        self._closing = closing

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server: answers under way get a second, receipts that wait are posted, the log is closed."""
        self._closing.close()


def start_fake_wechat(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    settings: FakeSettings | None = None,
    log: Path | None = None,
    clock: Callable[[], int] = _wall_clock_ms,
) -> FakeServer:
    """Start a fake server and return when it answers.

    Args:
        port: 0 = any free one.
        host: the address to listen at; it has no protection of its own, so keep to loopback.
        settings: the account, None = the default one.
        log: file that every delivery is appended to; deliveries already in it count as seen.
        clock: epoch milliseconds of the account.

    Raises:
        OSError: the port is taken or the log cannot be written.
        ConfigurationError: the callback is not an http(s) address.
    """
    account_settings = settings or FakeSettings()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port)))
        history = DeliveryLog(log) if log is not None else None
        if history is not None:
            stack.callback(history.close)
        receipts = _pusher(account_settings)
        if receipts is not None:
            stack.callback(receipts.close)
        note = _note_delivery(history, receipts)
        state = FakeWeChat(account_settings, clock, note, history.earlier if history is not None else ())
        stack.enter_context(_serving(state, listener))
        address = f"http://{host}:{listener.getsockname()[1]}"
        return FakeServer(address, state, receipts, stack.pop_all())


def _pusher(settings: FakeSettings) -> ReceiptPusher | None:
    if settings.callback is None:
        return None
    return ReceiptPusher(settings.callback, delay_s=settings.receipt_delay_s, copies=settings.receipt_copies)


def _note_delivery(history: DeliveryLog | None, receipts: ReceiptPusher | None) -> Callable[[Delivery], None]:
    def note(delivery: Delivery) -> None:
        if history is not None:
            history.append(delivery)
        if receipts is not None:
            receipts.push(delivery)

    return note


@contextmanager
def _serving(state: FakeWeChat, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        fake_wechat_app(state),
        lifespan="off",
        log_config=None,
        log_level="critical",  # A planned fault is not an error worth a line.
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="fake-wechat", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield
    finally:
        server.should_exit = True
        thread.join()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            message = "the fake WeChat server did not start"
            raise OSError(message)
        time.sleep(0.005)
