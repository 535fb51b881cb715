"""The journal in a folder: segments of records, appended with one fsync a group, pruned behind a snapshot."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geo_engine.errors import StoreError
from geo_engine.journal.disk import Disk
from geo_engine.journal.records import HEAD_BYTES, Found, Kind, Record, encode, encode_head, scan

__all__ = ["Damage", "Journal", "JournalError"]

_SEGMENT_BYTES: Final = 64 * 1024 * 1024
_MOST_PENDING: Final = 100_000
_SUFFIX: Final = ".journal"
_ASIDE: Final = ".damaged"
_KEEP_ASIDE_MS: Final = 7 * 86_400_000


class JournalError(StoreError):
    """The disk does not take a record; what it was about has not happened. It may work again at any time."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of the journal that cannot be used.

    Attributes:
        segment: file they were found in.
        at: place of the first of them.
        length: how many.
        why: what is wrong with them.
        aside: file they were moved to.
        lost: whether acknowledged records may be among them; False = the next segment goes on without a gap. Also
            True of a write that a crash cut short at the end, though nobody was answered for it.
    """

    segment: Path
    at: int
    length: int
    why: str
    aside: Path
    lost: bool

    def __str__(self) -> str:
        """Return the one line an operator reads."""
        return f"{self.segment} byte {self.at}: {self.why}; {self.length} bytes set aside in {self.aside}"


class Journal:
    """Append-only records. One thread owns it.

    ``write`` returns when the record and all noted before it are on disk. A write that fails leaves nothing behind that
    a restart would take for acknowledged: the file is cut back and the next write begins a new segment, because after a
    failed fsync the kernel may have dropped pages it will never report again.

    Attributes:
        damages: what was set aside when the folder was opened.
    """

    def __init__(
        self,
        folder: Path,
        *,
        after: int = 0,
        revision: int = 0,
        now_ms: int = 0,
        segment_bytes: int = _SEGMENT_BYTES,
        disk: Disk | None = None,
    ) -> None:
        """Open a folder, or make it; what is damaged in it is set aside.

        Args:
            folder: its folder; nothing else belongs there.
            after: records up to this number are known elsewhere (snapshot, store): numbers given out are higher.
            revision: revision of the zone set, noted in each segment.
            now_ms: bytes set aside a week before this moment are deleted; 0 = none.
            segment_bytes: a segment that is longer is ended.
            disk: the steps of I/O.

        Raises:
            JournalError: the folder cannot be read or written.
        """
        self._folder, self._disk, self._segment_bytes = folder, disk or Disk(), segment_bytes
        self._revision = revision
        self._pending: list[tuple[Kind, int, bytes]] = []
        self._written = 0
        self._file: int | None = None
        self._length = 0
        self._segments: list[Path] = []
        self.damages: list[Damage] = []
        self.last = after
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._drop_aside(now_ms - _KEEP_ASIDE_MS)
            self._open()
        except OSError as error:
            raise _refused(folder, error) from error

    def _open(self) -> None:
        paths = sorted(self._folder.glob("*" + _SUFFIX))
        for place, path in enumerate(paths):
            found = scan(path.read_bytes())
            if found.first is not None and self._written and found.follows != self._written:
                why = f"found it to follow record {found.follows}, expected {self._written}"
                self._set_rest_aside(paths[place:], why)
                break
            if found.records:
                self._written = found.records[-1].sequence
            lost = bool(found.why) and self._loses(paths[place + 1 :])
            if found.why:
                self._set_aside(path, found, lost=lost)
            if path.exists():
                self._segments.append(path)
            if lost:
                self._set_rest_aside(paths[place + 1 :], "found behind damaged bytes")
                break
        self.last = max(self.last, self._written)
        self._disk.sync_folder(self._folder)

    def _loses(self, later: Sequence[Path]) -> bool:
        """Say whether acknowledged records may be among the bytes behind the good prefix.

        When the next segment follows the last good record nobody was answered for them. Behind the last segment nothing
        tells a write that was cut short from damage.
        """
        for path in later[:1]:
            with path.open("rb") as file:
                head = scan(file.read(HEAD_BYTES))
            return head.first is None or head.follows != self._written
        return True

    def _set_aside(self, path: Path, found: Found, *, lost: bool) -> None:
        """Move the bytes behind the good prefix into a file of their own."""
        data = path.read_bytes()
        if not data:
            self._disk.remove(path)
            return
        aside = path.with_name(f"{path.stem}-{found.good_bytes}{_ASIDE}")
        self.damages.append(Damage(path, found.good_bytes, len(data) - found.good_bytes, found.why, aside, lost))
        self._put(aside, data[found.good_bytes :])
        if found.records:
            self._put(path, data[: found.good_bytes])
        else:
            self._disk.remove(path)

    def _put(self, path: Path, data: bytes) -> None:
        fresh = path.with_name(path.name + ".new")
        file = self._disk.create(fresh)
        try:
            self._disk.write(file, data)
            self._disk.sync(file)
        finally:
            self._disk.close(file)
        self._disk.replace(fresh, path)

    def _set_rest_aside(self, paths: Sequence[Path], why: str) -> None:
        for path in paths:
            aside = path.with_name(f"{path.stem}-0{_ASIDE}")
            self.damages.append(Damage(path, 0, path.stat().st_size, why, aside, lost=True))
            self._disk.replace(path, aside)

    def records(self, after: int) -> Iterator[Record]:
        """Yield the records behind a number, in order. Cost: one segment in memory at a time."""
        for path in self._segments:
            for record in scan(path.read_bytes()).records:
                if record.sequence > after:
                    yield record

    def first(self) -> int | None:
        """Return the number of the first record, None when there is none."""
        return next((record.sequence for record in self.records(0)), None)

    @property
    def pending(self) -> int:
        """Return how many noted records are not on disk."""
        return len(self._pending)

    def note(self, kind: Kind, now_ms: int, payload: bytes) -> None:
        """Have a record written before the next one; until then it is in memory only.

        Beyond 100,000 the oldest are given up: they tell what the engine was told while the disk took nothing.
        """
        self._pending.append((kind, now_ms, payload))
        del self._pending[:-_MOST_PENDING]

    def sync(self) -> int:
        """Bring what was noted to disk and return the number of the last record.

        Raises:
            JournalError: the disk refuses; it stays noted.
        """
        if self._pending:
            self._append(self._pending)
            self._pending = []
        return self.last

    def write(self, kind: Kind, now_ms: int, payload: bytes) -> int:
        """Bring a record to disk, after all that were noted, with one fsync; return its number.

        Raises:
            JournalError: the disk refuses; the record is gone, what was noted stays noted.
        """
        self._append([*self._pending, (kind, now_ms, payload)])
        self._pending = []
        return self.last

    def _append(self, new: Sequence[tuple[Kind, int, bytes]]) -> None:
        numbered = [
            Record(self.last + 1 + row, now_ms, kind, payload) for row, (kind, now_ms, payload) in enumerate(new)
        ]
        data = b"".join(map(encode, numbered))
        try:
            if self._file is None:
                self._begin(self.last + 1)
            assert self._file is not None  # noqa: S101 - begun above
            self._disk.write(self._file, data)
            self._disk.sync(self._file)
        except OSError as error:
            self._cut_back()
            raise _refused(self._folder, error) from error
        self.last = self._written = numbered[-1].sequence
        self._length += len(data)
        if self._length >= self._segment_bytes:
            self._end()

    def _begin(self, first: int) -> None:
        path = self._folder / f"{first:020d}{_SUFFIX}"
        self._file = self._disk.create(path)
        if path not in self._segments:
            self._segments.append(path)
        self._length = 0
        head = encode_head(first, self._written, self._revision)
        self._disk.write(self._file, head)
        self._length = len(head)
        self._disk.sync_folder(self._folder)

    def _cut_back(self) -> None:
        """Take back what a failed write left, as far as the disk allows, and let the next write begin a segment."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            self._disk.truncate(file, self._length)
            self._disk.sync(file)
        except OSError:
            # It stays a torn end: the numbers of the next segment prove that nobody was answered for it.
            pass
        finally:
            self._close(file)

    def _end(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            self._close(file)

    def _close(self, file: int) -> None:
        try:
            self._disk.close(file)
        except OSError:
            # Everything answered for is on disk already; the descriptor is gone either way.
            return

    def prune(self, position: int, *, aside: bool = False) -> None:
        """Delete what a snapshot knows: the segments whose records all have numbers up to ``position``.

        What was noted before the snapshot must have been brought to disk. ``aside`` deletes also what was set aside:
        it may tell of a person who is to be forgotten.

        Raises:
            JournalError: the disk refuses; what is left is deleted by the next call.
        """
        self._end()
        try:
            kept: list[Path] = []
            for path, follower in zip(self._segments, [*self._segments, None][1:], strict=True):
                last = self.last if follower is None else int(follower.stem) - 1
                if last <= position:
                    self._disk.remove(path)
                else:
                    kept.append(path)
            self._segments = kept
            self._written = self._written if kept else 0
            if aside:
                for path in self._folder.glob("*" + _ASIDE):
                    self._disk.remove(path)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            self._segments = sorted(self._folder.glob("*" + _SUFFIX))
            raise _refused(self._folder, error) from error

    def _drop_aside(self, before_ms: int) -> None:
        for path in self._folder.glob("*" + _ASIDE):
            if path.stat().st_mtime_ns // 1_000_000 < before_ms:
                self._disk.remove(path)
        for path in self._folder.glob("*.new"):
            self._disk.remove(path)

    def close(self) -> None:
        """Bring what was noted to disk, if it takes it, and close."""
        try:
            self.sync()
        except JournalError:
            # The store was told first and tells it again at the next start.
            self._pending = []
        self._end()


def _refused(folder: Path, error: OSError) -> JournalError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else error.strerror or str(error)
    return JournalError(f"journal {folder}: {why}, expected room for what is reported; send it again")
