"""A thread that does one thing again and again, and goes on whatever one time meets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from geo_engine.errors import StoreError

__all__ = ["Timer"]

_log: Final = logging.getLogger(__name__)


class Timer:
    """Calls ``task`` every ``every_s`` seconds in a thread of its own.

    Args:
        name: of the thread, and in the log.
        every_s: pause between two calls.
        task: what is done.
    """

    def __init__(self, name: str, every_s: float, task: Callable[[], object]) -> None:
        self._name, self._every_s, self._task = name, every_s, task
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the call under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._task()
            except StoreError as error:
                _log.warning("%s: left out this time: %s", self._name, error)
            except Exception:  # noqa: BLE001 - the outer loop: it must go on whatever one call meets
                _log.exception("%s: failed, trying again", self._name)
