"""The engine's memory of users beside an embedded store, so that a restart goes on where the last process ended."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["StateFile"]


class StateFile:
    """One file, ``<store>.state``, replaced as a whole: whoever reads it finds an old state or a new one, never a half.

    A store in memory, or on another machine, has none.
    """

    def __init__(self, url: str) -> None:
        """Say where; nothing is opened."""
        embedded = url != "memory:" and ("://" not in url or url.startswith("sqlite:///"))
        store = Path(url.removeprefix("sqlite:///")).resolve()
        self.path: Path | None = store.with_name(store.name + ".state") if embedded else None

    def read(self) -> bytes | None:
        """Return the state, None when there is none.

        Raises:
            OSError: it is there and cannot be read.
        """
        return self.path.read_bytes() if self.path is not None and self.path.is_file() else None

    def write(self, state: bytes | bytearray) -> None:
        """Replace the state.

        Raises:
            OSError: the disk refuses; the state before stays.
        """
        if self.path is None:
            return
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("wb") as file:
            file.write(state)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
