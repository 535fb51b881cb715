"""The engine's memory of users beside an embedded store, so that a restart goes on where the last process ended.

Layout: ``GEOSTATE``, length and CRC-32 of the head (uint32 each, little-endian), the head (JSON: position of the
journal, what the quota's arbiter goes by), then the snapshot of the engine, which has a checksum of its own. A file
of before there was a journal is the snapshot alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import SnapshotError
from geo_engine.journal import Disk

__all__ = ["Kept", "StateFile"]

_MAGIC: Final = b"GEOSTATE"
_HEAD: Final = struct.Struct("<8sII")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept.

    Attributes:
        position: record of the journal the snapshot stands at.
        uses: what the arbiter of the quota went by there, None = a file of before there was a journal.
        snapshot: the engine's.
    """

    position: int
    uses: Sequence[QuotaUse] | None
    snapshot: memoryview


class StateFile:
    """One file, ``<store>.state``, replaced as a whole: whoever reads it finds an old state or a new one, never a half.

    A store in memory, or on another machine, has none.
    """

    def __init__(self, url: str, disk: Disk | None = None) -> None:
        """Say where; nothing is opened."""
        embedded = url != "memory:" and ("://" not in url or url.startswith("sqlite:///"))
        store = Path(url.removeprefix("sqlite:///")).resolve()
        self.path: Path | None = store.with_name(store.name + ".state") if embedded else None
        self._disk = disk or Disk()

    @property
    def journal(self) -> Path | None:
        """Return the folder of the journal, None where there is no state either."""
        return None if self.path is None else self.path.with_suffix(".journal")

    def read(self) -> Kept | None:
        """Return the state, None when there is none.

        Raises:
            OSError: it is there and cannot be read.
            SnapshotError: its head is damaged.
        """
        if self.path is None or not self.path.is_file():
            return None
        data = memoryview(self.path.read_bytes())
        if bytes(data[: len(_MAGIC)]) != _MAGIC:
            return Kept(0, None, data)
        if len(data) < _HEAD.size:
            message = f"found {len(data)} bytes, expected a state of the engine"
            raise SnapshotError(message)
        _, length, sealed = _HEAD.unpack_from(data)
        head = data[_HEAD.size : _HEAD.size + length]
        if len(head) != length or zlib.crc32(head) != sealed:
            message = "found a head that does not match its checksum, expected a state of the engine"
            raise SnapshotError(message)
        facts = json.loads(bytes(head))
        return Kept(facts["position"], [QuotaUse(**one) for one in facts["uses"]], data[_HEAD.size + length :])

    def write(self, snapshot: bytes | bytearray, position: int, uses: Sequence[QuotaUse] = ()) -> None:
        """Replace the state.

        Raises:
            OSError: the disk refuses; the state before stays.
        """
        if self.path is None:
            return
        head = json.dumps({"position": position, "uses": [asdict(use) for use in uses]}).encode()
        # The arrays of the snapshot begin at multiples of 64 bytes, and go on doing so.
        head += b" " * (-(_HEAD.size + len(head)) % 64)
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            self._put(fresh, _HEAD.pack(_MAGIC, len(head), zlib.crc32(head)) + head, snapshot)
            self._disk.replace(fresh, self.path)
        except OSError:
            # On a full disk a half state must not keep the room others need.
            self._disk.remove(fresh)
            raise
        self._disk.sync_folder(self.path.parent)

    def _put(self, path: Path, *parts: bytes | bytearray) -> None:
        file = self._disk.create(path)
        try:
            for part in parts:
                self._disk.write(file, part)
            self._disk.sync(file)
        finally:
            self._disk.close(file)
