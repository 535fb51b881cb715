"""Zone files and folders on disk to one zone set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from geo_engine.errors import Fault, ZoneDocumentError
from geo_engine.geodesy.datum import Datum
from geo_engine.zones.coordinates import DEFAULT_LIMITS, Limits
from geo_engine.zones.document import ZoneDocument, join_zone_documents, read_zone_document
from geo_engine.zones.zoneset import ZoneSet

__all__ = ["ZoneFiles", "load_zone_files", "read_zone_bytes", "zone_file_paths"]


class ZoneFiles(NamedTuple):
    """What was loaded: the good zones of all files, every fault, every note."""

    zone_set: ZoneSet
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


def load_zone_files(
    paths: Iterable[Path],
    *,
    revision: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    datum: Datum = Datum.WGS84,
) -> ZoneFiles:
    """Load zone files; of a folder every ``*.geojson`` in the order of the names. Good zones beside bad ones are kept.

    Args:
        paths: files and folders; what is missing or cannot be read is a fault.
        revision: number of the set.
        limits: caps on each file.
        datum: datum of the coordinates in all of them.
    """
    documents = []
    for path in paths:
        found, faults = zone_file_paths(path)
        documents.append(ZoneDocument((), faults, _passed_over(path, found), where=str(path)))
        documents += [_read(file, limits, datum) for file in found]
    joined = join_zone_documents(documents)
    return ZoneFiles(ZoneSet.of(joined.zones, revision=revision), joined.faults, joined.notes)


def zone_file_paths(path: Path) -> tuple[list[Path], tuple[Fault, ...]]:
    """Return the zone files ``path`` stands for: itself, or every ``*.geojson`` of a folder; a fault when none."""
    if not path.is_dir():
        return [path], ()
    files = sorted(file for file in path.glob("*.geojson") if file.is_file())
    if files:
        return files, ()
    return [], (Fault(str(path), "", "a folder without *.geojson", "zone files", "no_zone_files"),)


def _passed_over(path: Path, found: Iterable[Path]) -> tuple[Fault, ...]:
    """Return a note for each file of a folder that is JSON by its name, yet not read."""
    if not path.is_dir():
        return ()
    others = {file for file in path.glob("*") if file.suffix.lower() in (".json", ".geojson") and file.is_file()}
    names = sorted(str(file) for file in others.difference(found) if not file.name.endswith(".schema.json"))
    expected = "the ending .geojson; it is not read"
    return tuple(Fault(name, "", "a file with another ending", expected, "not_read") for name in names)


def read_zone_bytes(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of a zone file, refused unread when it is larger than the cap.

    Raises:
        ZoneDocumentError: the file is missing, cannot be read or is too large; carries one fault.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limits.document_bytes + 1)
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise ZoneDocumentError([Fault(str(path), "", found, "a readable file", "unreadable_file")]) from error
    if len(content) > limits.document_bytes:
        found, expected = "a larger file", f"at most {limits.document_bytes} bytes"
        raise ZoneDocumentError([Fault(str(path), "", found, expected, "document_too_large")])
    return content


def _read(path: Path, limits: Limits, datum: Datum) -> ZoneDocument:
    try:
        content = read_zone_bytes(path, limits=limits)
    except ZoneDocumentError as error:
        return ZoneDocument((), error.faults, where=str(path))
    return read_zone_document(content, where=str(path), limits=limits, datum=datum)
