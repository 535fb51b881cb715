"""Fixtures of the fake WeChat server for any project that tests with pytest.

In its ``conftest.py``::

    pytest_plugins = ["geo_engine.wechat.pytest_fake"]

A test then takes ``fake_wechat``, a running server that knows no callback, or ``make_fake_wechat``, which starts one
with settings of its own (a callback, templates, a clock). All end with the test. Everything they give is public:
``FakeServer``, ``FakeSettings``, ``CallbackTarget``, ``FakeFault``; see ``docs/fake-wechat.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat

__all__ = ["MakeFakeWeChat", "fake_wechat", "make_fake_wechat"]


class MakeFakeWeChat(Protocol):
    """What ``make_fake_wechat`` is: it starts a server and returns it."""

    def __call__(self, settings: FakeSettings | None = None, *, clock: Callable[[], int] | None = None) -> FakeServer:
        """Start a server; the arguments are those of ``start_fake_wechat``."""
        ...


@pytest.fixture
def make_fake_wechat() -> Iterator[MakeFakeWeChat]:
    """Give a function that starts fake WeChat servers; they end with the test."""
    with ExitStack() as stack:

        def make(settings: FakeSettings | None = None, *, clock: Callable[[], int] | None = None) -> FakeServer:
            return stack.enter_context(start_fake_wechat(settings=settings, clock=clock))

        yield make


@pytest.fixture
def fake_wechat(make_fake_wechat: MakeFakeWeChat) -> FakeServer:
    """Give a running fake WeChat server without a callback."""
    return make_fake_wechat()
