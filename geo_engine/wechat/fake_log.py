"""The fake server's memory on disk: one JSON line per delivery, written before its sender is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from geo_engine.wechat.fake import Delivery

__all__ = ["DeliveryLog"]

_NEWLINE: Final = b"\n"


class DeliveryLog:
    """Appends deliveries to a file and reads those of an earlier run.

    A line is handed to the operating system in one write, so it survives the end of this process at any instant
    (not a power cut: there is no fsync). Half a line left by such an end is closed off and skipped.

    Args:
        path: the file; it is made when missing.

    Raises:
        OSError: it cannot be opened for appending.
    """

    def __init__(self, path: Path) -> None:
        self.earlier: tuple[Delivery, ...] = _read(path)
        self._file = path.open("ab", buffering=0)
        if self._file.tell() > 0 and not path.read_bytes().endswith(_NEWLINE):
            self._file.write(_NEWLINE)

    def append(self, delivery: Delivery) -> None:
        """Write one delivery."""
        self._file.write(json.dumps(delivery.to_json(), ensure_ascii=False).encode() + _NEWLINE)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read(path: Path) -> tuple[Delivery, ...]:
    if not path.exists():
        return ()
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(Delivery.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)
