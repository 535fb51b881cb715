"""The journal of inbound messages: many requests at a time go to disk with one flush, then each is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from geo_engine.errors import StoreError
from geo_engine.store.inbox import Inbox, NewInbound

__all__ = ["InboxFullError", "InboxJournal"]

_MOST_A_COMMIT: Final = 1_000
_MOST_WAITING: Final = 20_000
_DISK_S: Final = 4.0
"""WeChat hangs up after 5 s and sends again; a plain no before that is better for both."""


class InboxFullError(StoreError):
    """More messages wait for the disk than it can take in time."""


class InboxJournal:
    """Group commit: while one commit is under way the messages that come meanwhile gather for the next one.

    It owns no thread: the commit runs in the event loop's pool, one at a time. One event loop uses it.

    Args:
        inbox: where messages are kept.
        clock: epoch milliseconds UTC.
        on_kept: told after each commit that messages wait.
    """

    def __init__(self, inbox: Inbox, clock: Callable[[], int], on_kept: Callable[[], None] = lambda: None) -> None:
        self._inbox = inbox
        self._clock = clock
        self._on_kept = on_kept
        self._waiting: list[tuple[NewInbound, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, message: NewInbound) -> None:
        """Return when the message is on disk; one whose key is known is there already.

        Raises:
            StoreError: it is not on disk, as far as anybody knows; WeChat sends it again.
        """
        if len(self._waiting) >= _MOST_WAITING:
            error = f"inbox: found {_MOST_WAITING} messages waiting for the disk, expected fewer; come back in a second"
            raise InboxFullError(error)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, kept))
        if self._task is None:
            self._task = asyncio.create_task(self._commit_all())
        await kept

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_A_COMMIT], self._waiting[_MOST_A_COMMIT:]
                error = await self._commit([message for message, _kept in batch])
                for _message, kept in batch:
                    # A sender that went away has cancelled its future.
                    if kept.done():
                        continue
                    if error is None:
                        kept.set_result(None)
                    else:
                        kept.set_exception(error)
        finally:
            self._task = None

    async def _commit(self, messages: list[NewInbound]) -> StoreError | None:
        try:
            async with asyncio.timeout(_DISK_S):
                await asyncio.to_thread(self._inbox.add, messages, self._clock())
        except StoreError as error:
            return error
        except TimeoutError:
            # It may still be written; then the next try of WeChat finds it there.
            return StoreError(f"inbox: found no answer of the disk within {_DISK_S:g} s, expected one; send it again")
        self._on_kept()
        return None
