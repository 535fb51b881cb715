"""One process per embedded store: two engines on one store would each warn about what the other has warned about."""

from __future__ import annotations

import fcntl
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from geo_engine.errors import ConfigurationError

__all__ = ["StoreLock"]


class StoreLock(AbstractContextManager["StoreLock"]):
    """Holds ``<store>.lock`` while the process lives; the system frees it even after ``kill -9``.

    Args:
        url: address of the store; a store in memory needs no lock.

    Raises:
        ConfigurationError: another process holds it, with its number.
    """

    def __init__(self, url: str) -> None:
        self._file: IO[str] | None = None
        if url == "memory:" or "://" in url.removeprefix("sqlite:///"):
            return
        # One file has many spellings (links, relative paths); the lock must be one.
        store = Path(url.removeprefix("sqlite:///")).resolve()
        if store.is_dir() or not store.parent.is_dir():
            return  # opening the store will say what is wrong
        path = store.with_name(store.name + ".lock")
        self._file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            message = f"store {url}: found it in use by process {holder}, expected a store of its own for each service"
            raise ConfigurationError(message) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        """Free the store."""
        if self._file is not None:
            self._file.close()
