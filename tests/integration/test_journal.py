"""The journal in a folder: group commit, pruning, what a start finds, and disks that refuse."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from api.state_file import StateFile
from geo_engine.journal import Disk, Journal, JournalError, Kind


class FullDisk(Disk):
    """A disk that has room for so many bytes more, and tears the write that does not fit."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.syncs = 0

    def write(self, file: int, data: bytes | bytearray | memoryview) -> None:
        fits = memoryview(data)[: self.room]
        self.room -= len(fits)
        super().write(file, fits)
        if len(fits) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self, file: int) -> None:
        self.syncs += 1
        super().sync(file)


class FailingDisk(Disk):
    """A disk whose ``step``-th call raises, and is counted."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.hit = False

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.hit = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def write(self, file: int, data: bytes | bytearray | memoryview) -> None:
        self._count()
        super().write(file, data)

    def sync(self, file: int) -> None:
        self._count()
        super().sync(file)

    def truncate(self, file: int, length: int) -> None:
        self._count()
        super().truncate(file, length)

    def replace(self, old: Path, new: Path) -> None:
        self._count()
        super().replace(old, new)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)

    def sync_folder(self, folder: Path) -> None:
        self._count()
        super().sync_folder(folder)


def payloads(journal: Journal, after: int = 0) -> list[bytes]:
    return [record.payload for record in journal.records(after)]


def fill(folder: Path, count: int = 6, **settings: int) -> list[Path]:
    journal = Journal(folder, **settings)
    for row in range(count):
        journal.write(Kind.STEP, row, b"payload %d" % row)
    journal.close()
    return sorted(folder.glob("*.journal"))


def test_what_was_written_is_there_after_a_start_and_numbers_go_on(tmp_path: Path) -> None:
    fill(tmp_path)
    journal = Journal(tmp_path)
    assert (journal.damages, journal.last) == ([], 6)
    assert [(one.sequence, one.now_ms, one.payload) for one in journal.records(4)] == [
        (5, 4, b"payload 4"),
        (6, 5, b"payload 5"),
    ]
    assert journal.write(Kind.STEP, 9, b"more") == 7
    assert payloads(Journal(tmp_path), 5) == [b"payload 5", b"more"]


def test_what_was_noted_goes_with_the_next_write_in_one_sync_and_before_it(tmp_path: Path) -> None:
    disk = FullDisk(10**6)
    journal = Journal(tmp_path, disk=disk)
    journal.note(Kind.TOLD, 1, b"first")
    journal.note(Kind.TOLD, 2, b"second")
    assert (journal.pending, disk.syncs, payloads(Journal(tmp_path))) == (2, 0, [])
    assert journal.write(Kind.STEP, 3, b"third") == 3
    assert (journal.pending, disk.syncs) == (0, 1)
    assert payloads(Journal(tmp_path)) == [b"first", b"second", b"third"]


def test_pruning_deletes_whole_segments_up_to_a_position_and_nothing_else(tmp_path: Path) -> None:
    paths = fill(tmp_path, segment_bytes=100)
    assert len(paths) == 3
    journal = Journal(tmp_path)
    journal.prune(3)
    assert payloads(journal) == [b"payload 2", b"payload 3", b"payload 4", b"payload 5"]
    journal.prune(6)
    assert list(tmp_path.iterdir()) == []
    assert journal.write(Kind.STEP, 1, b"after") == 7
    assert payloads(Journal(tmp_path)) == [b"after"]


def test_numbers_never_go_back_behind_what_the_store_knows(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    journal = Journal(tmp_path, after=50)
    assert journal.write(Kind.STEP, 1, b"later") == 51
    again = Journal(tmp_path)
    assert (again.damages, payloads(again)) == ([], [b"payload 0", b"payload 1", b"later"])


def test_a_torn_end_is_set_aside_and_the_good_prefix_kept(tmp_path: Path) -> None:
    (path,) = fill(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    journal = Journal(tmp_path)
    (damage,) = journal.damages
    assert payloads(journal) == [b"payload %d" % row for row in range(5)]
    assert whole[:-3] == path.read_bytes() + damage.aside.read_bytes()
    assert f"{path} byte {damage.at}: found no whole record; {damage.length} bytes set aside" in str(damage)
    assert journal.write(Kind.STEP, 9, b"more") == 6
    assert Journal(tmp_path).damages == []


def test_behind_a_flipped_bit_nothing_is_used_but_everything_kept(tmp_path: Path) -> None:
    paths = fill(tmp_path, segment_bytes=100)
    data = bytearray(paths[1].read_bytes())
    data[-1] ^= 4
    paths[1].write_bytes(data)
    journal = Journal(tmp_path, after=6)
    assert payloads(journal) == [b"payload 0", b"payload 1", b"payload 2"]
    assert [(damage.segment, damage.lost) for damage in journal.damages] == [(paths[1], True), (paths[2], True)]
    assert all(damage.aside.stat().st_size == damage.length for damage in journal.damages)
    assert journal.write(Kind.STEP, 9, b"more") == 7
    assert payloads(Journal(tmp_path)) == [b"payload 0", b"payload 1", b"payload 2", b"more"]


def test_a_missing_segment_is_noticed_by_the_numbers(tmp_path: Path) -> None:
    paths = fill(tmp_path, segment_bytes=100)
    paths[1].unlink()
    journal = Journal(tmp_path)
    assert payloads(journal) == [b"payload 0", b"payload 1"]
    assert [damage.why for damage in journal.damages] == ["found it to follow record 4, expected 2"]


def test_what_was_set_aside_goes_with_the_next_erasure_or_after_a_week(tmp_path: Path) -> None:
    (path,) = fill(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    journal = Journal(tmp_path)
    journal.prune(journal.last)
    assert len(list(tmp_path.glob("*.damaged"))) == 1
    journal.prune(journal.last, aside=True)
    assert list(tmp_path.iterdir()) == []
    aside = tmp_path / "00000000000000000001-9.damaged"
    aside.write_bytes(b"old")
    written_ms = aside.stat().st_mtime_ns // 1_000_000
    Journal(tmp_path, now_ms=written_ms + 6 * 86_400_000)
    assert aside.exists()
    Journal(tmp_path, now_ms=written_ms + 8 * 86_400_000)
    assert not aside.exists()


@pytest.mark.parametrize("room", range(0, 300, 7))
def test_a_full_disk_acknowledges_nothing_and_works_again_when_there_is_room(tmp_path: Path, room: int) -> None:
    disk = FullDisk(room)
    journal = Journal(tmp_path, disk=disk)
    journal.note(Kind.TOLD, 1, b"told")
    acknowledged, refused = [b"told"], 0
    for row in range(6):
        if row == 4:
            disk.room = 10**6
        try:
            journal.write(Kind.STEP, row, b"payload %d" % row)
        except JournalError:
            refused += 1
        else:
            acknowledged.append(b"payload %d" % row)
    assert refused >= (room < 200)
    assert acknowledged[-2:] == [b"payload 4", b"payload 5"]
    found = Journal(tmp_path)
    assert payloads(found) == acknowledged
    assert not any(damage.lost for damage in found.damages)


def test_whatever_step_fails_what_was_acknowledged_is_found_and_in_order(tmp_path: Path) -> None:
    def live(folder: Path, disk: FailingDisk) -> list[bytes]:
        acknowledged: list[bytes] = []
        try:
            journal = Journal(folder, segment_bytes=100, disk=disk)
        except JournalError:
            journal = Journal(folder, segment_bytes=100, disk=disk)
        for row in range(12):
            payload = b"payload %d" % row
            try:
                journal.write(Kind.STEP, row, payload)
                acknowledged.append(payload)
                if row == 7:
                    kept = journal.last
                    acknowledged.clear()
                    journal.prune(kept)
            except JournalError:
                assert disk.hit
        return acknowledged

    steps = 0
    while True:
        steps += 1
        folder, disk = tmp_path / str(steps), FailingDisk(steps)
        acknowledged = live(folder, disk)
        if not disk.hit:
            break
        found = Journal(folder)
        assert payloads(found)[-len(acknowledged) :] == acknowledged, steps
    assert steps > 20


class EndedDisk(FailingDisk):
    """A disk that from its ``step``-th call on does nothing any more, as after a crash; a write is torn by it."""

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.hit = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write(self, file: int, data: bytes | bytearray | memoryview) -> None:
        if self.left == 1:
            Disk.write(self, file, memoryview(data)[: len(data) // 2])
        super().write(file, data)


def test_a_crash_at_whatever_step_of_journal_and_state_loses_nothing_acknowledged(tmp_path: Path) -> None:
    def live(store: Path, disk: EndedDisk) -> list[bytes]:
        """Take payloads as the worker does, keep a state after every fourth, and return what was acknowledged."""
        acknowledged: list[bytes] = []
        state = StateFile(str(store), disk)
        try:
            journal = Journal(tmp_path / f"{store.name}.journal", segment_bytes=150, disk=disk)
            for row in range(14):
                journal.note(Kind.TOLD, row, b"")
                journal.write(Kind.STEP, row, b"payload %02d" % row)
                acknowledged.append(b"payload %02d" % row)
                if row % 4 == 3:
                    state.write(b"".join(acknowledged), journal.sync())
                    journal.prune(journal.last)
        except (OSError, JournalError):
            assert disk.hit
        return acknowledged

    steps = 0
    while True:
        steps += 1
        store, disk = tmp_path / str(steps), EndedDisk(steps)
        acknowledged = b"".join(live(store, disk))
        kept = StateFile(str(store)).read()
        position, known = (0, b"") if kept is None else (kept.position, bytes(kept.snapshot))
        found = known + b"".join(payloads(Journal(tmp_path / f"{store.name}.journal", after=position), position))
        assert found.startswith(acknowledged), steps
        assert len(found) - len(acknowledged) in (0, 10), "at most the one that was not answered is there too"
        if not disk.hit:
            break
    assert steps > 60


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="file"):
        Journal(tmp_path / "file" / "journal")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_on_a_small_tmpfs_a_full_disk_is_noticed_and_mended(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount(place)
    try:
        journal, acknowledged = Journal(place / "journal"), 0
        while takes(journal, 50_000):
            acknowledged += 1
        with pytest.raises(JournalError, match="the disk is full"):
            journal.write(Kind.STEP, 1, bytes(50_000))
        assert len(payloads(Journal(place / "journal"))) == acknowledged
        journal.prune(journal.last)
        assert journal.write(Kind.STEP, 1, bytes(50_000)) == acknowledged + 1
        journal.close()
    finally:
        unmount(place)


def takes(journal: Journal, size: int) -> bool:
    try:
        journal.write(Kind.STEP, 1, bytes(size))
    except JournalError:
        return False
    return True


def mount(place: Path) -> None:
    if run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)):
        pytest.skip("this machine mounts no tmpfs")


def unmount(place: Path) -> None:
    assert run("umount", str(place)) == 0


def run(*command: str) -> int:
    return subprocess.run(command, check=False, capture_output=True).returncode
