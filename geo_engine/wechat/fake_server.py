"""Runs the fake WeChat server on a thread: for tests, for the demonstration and for the command line."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette

from geo_engine.errors import ConfigurationError
from geo_engine.wechat.fake import Delivery, FakeSettings, FakeWeChat
from geo_engine.wechat.fake_app import fake_wechat_app
from geo_engine.wechat.fake_clock import FakeClock
from geo_engine.wechat.fake_control import ControlParts, control_routes
from geo_engine.wechat.fake_expect import Expected, wait_for
from geo_engine.wechat.fake_log import DeliveryLog
from geo_engine.wechat.fake_people import FakePeople, FakePhone
from geo_engine.wechat.fake_push import Pusher
from geo_engine.wechat.fake_replies import Reply
from geo_engine.wechat.fake_streams import FakeStreams
from geo_engine.wechat.fake_wire import OneWriteProtocol
from geo_engine.wechat.fake_xml import receipt

__all__ = ["FakeServer", "start_fake_wechat"]

_START_LIMIT_S: Final = 10.0


class FakeServer:
    """A running fake server. Close it, or use it as a context manager.

    Attributes:
        url: its address; also the sender's ``api_base``.
        state: the account, for direct control and assertions.
        pushes: the push side, None without a callback.
        streams: people who move along tracks.
        clock: the account's clock where the test gave none of its own.
    """

    def __init__(self, url: str, parts: ControlParts, closing: ExitStack) -> None:
        self.url = url
        self.state, self.pushes = parts.account, parts.pusher
        self.streams, self.clock = parts.streams, parts.clock
        self._people, self._closing = parts.people, closing

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def phone(self, person: str) -> FakePhone:
        """Return the phone of an OpenID; of any other name, that of the person so called, with an OpenID made of it."""
        return self._people.phone(person)

    def expect(
        self,
        person: str,
        contains: str = "",
        *,
        times: int | None = 1,
        channel: str = "",
        within_ms: tuple[int, int] | None = None,
        wait_s: float = 0.0,
    ) -> list[Delivery]:
        """Return the messages that reached a phone as expected.

        Args:
            person: whose phone, as ``phone`` takes it.
            contains: a piece of the text, ``""`` = any message.
            times: how often it was shown; None = at least once.
            channel: ``template``, ``subscription``, ``customer_service`` or ``reply``; ``""`` = any.
            within_ms: only what came from the first moment on and before the second (epoch milliseconds).
            wait_s: wait so many real seconds for it.

        Raises:
            AssertionError: it is not so; the text says what the phone shows.
        """
        from_ms, until_ms = within_ms or (0, None)
        expected = Expected(self.phone(person).open_id, contains, times, channel, from_ms, until_ms)
        problem = wait_for(expected, self.state.deliveries, wait_s)
        if problem:
            raise AssertionError(problem)
        return expected.found(self.state.deliveries())

    def advance(self, seconds: float) -> None:
        """Let so much of the account's time pass; streams push what is due by then.

        Raises:
            ConfigurationError: the clock is the test's own.
        """
        if self.clock is None:
            message = "clock: found the test's own, expected it to be moved there"
            raise ConfigurationError(message)
        self.clock.advance(seconds)
        self.streams.run_due()

    def close(self) -> None:
        """End the server: answers under way get a second, pushes that wait are posted, the log is closed."""
        self._closing.close()


def start_fake_wechat(
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    settings: FakeSettings | None = None,
    log: Path | None = None,
    clock: Callable[[], int] | None = None,
) -> FakeServer:
    """Start a fake server and return when it answers.

    Args:
        port: 0 = any free one.
        host: the address to listen at, on loopback: it has no protection of its own.
        settings: the account, None = the default one.
        log: file that every delivery is appended to; deliveries already in it count as seen.
        clock: epoch milliseconds of the account; None = a ``FakeClock``, which starts at the time of day.

    Raises:
        OSError: the port is taken or the log cannot be written.
        ConfigurationError: the address is not on loopback, or the callback is not an http(s) address.
    """
    _check_loopback(host)
    account_settings = settings or FakeSettings()
    chosen = clock or FakeClock()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port)))
        history = DeliveryLog(log) if log is not None else None
        if history is not None:
            stack.callback(history.close)
        pushers: list[Pusher] = []
        note = _note_delivery(history, pushers, account_settings)
        state = FakeWeChat(account_settings, chosen, note, history.earlier if history is not None else ())
        if account_settings.callback is not None:
            pushers.append(Pusher(account_settings, chosen, state.faults, _reply_shown(state)))
            stack.callback(pushers[0].close)
        pusher = pushers[0] if pushers else None
        people = FakePeople(state, pusher)
        streams = FakeStreams(state, people)
        parts = ControlParts(state, people, streams, pusher, chosen if isinstance(chosen, FakeClock) else None)
        stack.enter_context(_serving(fake_wechat_app(state, people, control_routes(parts)), listener))
        stack.callback(streams.close)
        address = f"http://{host}:{listener.getsockname()[1]}"
        return FakeServer(address, parts, stack.pop_all())


def _check_loopback(host: str) -> None:
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        message = f"host: found {host!r}, expected an address on loopback such as 127.0.0.1"
        raise ConfigurationError(message)


def _reply_shown(state: FakeWeChat) -> Callable[[str, Reply], None]:
    return lambda open_id, reply: state.note_reply(open_id, reply.texts)


def _note_delivery(
    history: DeliveryLog | None, pushers: list[Pusher], settings: FakeSettings
) -> Callable[[Delivery], None]:
    """Return what is done with a delivery: it is logged, and its receipt comes later."""

    def note(delivery: Delivery) -> None:
        if history is not None:
            history.append(delivery)
        pushed = receipt(delivery)
        if pushers and pushed is not None:
            for _ in range(settings.receipt_copies):
                pushers[0].later(pushed, settings.receipt_delay_s)

    return note


@contextmanager
def _serving(app: Starlette, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        app,
        http=OneWriteProtocol,
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
