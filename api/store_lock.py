"""Which processes share a store: one with the engine, and doors beside it, each with a number of its own.

Two engines on one store would each warn about what the other has warned about. A process holds the lock of its number
while it lives, and the system frees it even after ``kill -9``; so whether a number's process lives can be seen.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from sqlalchemy import Connection, make_url

from geo_engine.errors import ConfigurationError, StoreError

__all__ = ["ENGINE", "MOST_DOORS", "StoreLock", "gone"]

ENGINE: Final = 0
"""The number of the process with the engine; doors count from 1."""
MOST_DOORS: Final = 32
_SERVER: Final = ("postgresql:", "postgresql+")
_PATIENCE_S: Final = 0.5
"""A neighbour who looks whether we live holds our lock for a moment."""


class StoreLock(AbstractContextManager["StoreLock"]):
    """Holds the lock of a number of ``url`` while the process lives.

    Args:
        url: address of the store; a store in memory needs no lock.
        door: take the first free number of a door instead of the engine's.

    Attributes:
        number: which one.

    Raises:
        ConfigurationError: another process has the engine, with its number; or every door is taken.
    """

    def __init__(self, url: str, *, door: bool = False) -> None:
        self.number = 1 if door else ENGINE
        self._file: IO[str] | Connection | None = None
        if url.startswith(_SERVER):
            self._hold(url, door=door)
            return
        path = _path(url, ENGINE)
        if path is None:
            return  # opening the store will say what is wrong
        for number in _numbers(door=door):
            self.number, file = number, _locked(_path(url, number), 0.0 if door else _PATIENCE_S)
            if file is not None:
                break
        else:
            raise ConfigurationError(_taken(url, path, door=door))
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def _hold(self, url: str, *, door: bool) -> None:
        with suppress(StoreError, ImportError):  # opening the store will say what is wrong
            for number in _numbers(door=door):
                self.number, self._file = number, _held(url, number, 0.0 if door else _PATIENCE_S)
                if self._file is not None:
                    return
            raise ConfigurationError(_taken(url, None, door=door))

    def __exit__(self, *_: object) -> None:
        """Free the number."""
        if self._file is not None:
            self._file.close()


@contextmanager
def gone(url: str, number: int) -> Iterator[bool]:
    """Say whether the process of a number is gone; no other can take the number while the caller acts on it."""
    held = _held(url, number, 0.0) if url.startswith(_SERVER) else _locked(_path(url, number), 0.0)
    try:
        yield held is not None
    finally:
        if held is not None:
            held.close()


def _numbers(*, door: bool) -> Sequence[int]:
    return range(1, MOST_DOORS + 1) if door else (ENGINE,)


def _held(url: str, number: int, patience_s: float) -> Connection | None:
    """Return what holds a number at a server, None when another process does."""
    from geo_engine.store.postgres import hold  # noqa: PLC0415 (its driver comes with an extra)

    end_s = time.monotonic() + patience_s
    while (held := hold(url, number)) is None and time.monotonic() < end_s:
        time.sleep(0.02)
    return held


def _taken(url: str, path: Path | None, *, door: bool) -> str:
    place = url if path is not None else make_url(url).render_as_string(hide_password=True)
    if door:
        return f"store {place}: found {MOST_DOORS} doors at it, expected fewer"
    holder = (path.read_text(encoding="utf-8").strip() if path is not None else "") or "unknown"
    return (
        f"store {place}: found it in use by process {holder}, expected a store of its own for each engine; "
        "a further process on this store is a door: --door"
    )


def _path(url: str, number: int) -> Path | None:
    """Return the file of a lock, None where the store needs none or is none."""
    if url == "memory:" or "://" in url.removeprefix("sqlite:///"):
        return None
    # One file has many spellings (links, relative paths); the lock must be one.
    store = Path(url.removeprefix("sqlite:///")).resolve()
    if store.is_dir() or not store.parent.is_dir():
        return None
    return store.with_name(f"{store.name}.lock" if number == ENGINE else f"{store.name}.door{number}.lock")


def _locked(path: Path | None, patience_s: float) -> IO[str] | None:
    """Return the open file with its lock, None when another process has it."""
    if path is None:
        return None
    file, end_s = path.open("a+", encoding="utf-8"), time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end_s:
                time.sleep(0.02)
                continue
            file.close()
            return None
        return file
