"""The steps by which journal and state reach the disk: one method each, so that a test can fail any in turn."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """The operating system's disk. Every method raises ``OSError`` when it refuses.

    ``fdatasync`` is enough for the bytes of a file and its length; what a folder holds needs its own ``sync_folder``.
    """

    def create(self, path: Path) -> int:
        """Make a new file for appending and return its descriptor; an old one of the name is emptied."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, file: int, data: bytes | bytearray | memoryview) -> None:
        """Append all of ``data``."""
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]

    def sync(self, file: int) -> None:
        """Return when what was written is on disk."""
        os.fdatasync(file)

    def truncate(self, file: int, length: int) -> None:
        """Cut a file."""
        os.ftruncate(file, length)

    def close(self, file: int) -> None:
        """Close a file."""
        os.close(file)

    def replace(self, old: Path, new: Path) -> None:
        """Rename a file over another, at once."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder are on disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
