"""Zone files and folders on disk to one zone set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from geo_engine.errors import Fault, ZoneDocumentError
from geo_engine.geodesy.datum import Datum
from geo_engine.zones.calendar import NO_CALENDAR, DayCalendar, read_day_calendar
from geo_engine.zones.coordinates import DEFAULT_LIMITS, Limits
from geo_engine.zones.document import ZoneDocument, join_zone_documents, parse_zone_json, read_zone_document
from geo_engine.zones.zoneset import ZoneSet

__all__ = [
    "CALENDAR_NAME",
    "CALENDAR_NOTES",
    "ZoneFiles",
    "calendar_path",
    "load_zone_files",
    "read_calendar_beside",
    "read_zone_bytes",
    "zone_file_paths",
]

CALENDAR_NAME: Final = "day-calendar.json"
"""The day calendar of a folder of zone files: staff edit it beside them."""


CALENDAR_NOTES: Final = ("no_day_calendar", "unknown_year")
"""Reasons of the notes that whoever judges by the zones should say aloud."""


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

    Holidays are those of ``day-calendar.json`` in the folder of each file.

    Args:
        paths: files and folders; what is missing or cannot be read is a fault.
        revision: number of the set.
        limits: caps on each file.
        datum: datum of the coordinates in all of them.
    """
    documents = []
    for path in paths:
        found, faults = zone_file_paths(path)
        calendar, calendar_faults = read_calendar_beside(path)
        documents.append(ZoneDocument((), (*faults, *calendar_faults), _passed_over(path, found), where=str(path)))
        documents += [_read(file, limits, datum, calendar) for file in found]
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


def calendar_path(path: Path) -> Path | None:
    """Return the day calendar of a zone file or a folder of them, None when there is none."""
    beside = (path if path.is_dir() else path.parent) / CALENDAR_NAME
    return beside if beside.is_file() else None


def read_calendar_beside(path: Path) -> tuple[DayCalendar, tuple[Fault, ...]]:
    """Return the day calendar that belongs to a zone file or folder; an empty one when there is none."""
    file = calendar_path(path)
    if file is None:
        return NO_CALENDAR, ()
    try:
        source = parse_zone_json(read_zone_bytes(file), where=str(file))
    except ZoneDocumentError as error:
        return NO_CALENDAR, error.faults
    return read_day_calendar(source, where=str(file))


def _passed_over(path: Path, found: Iterable[Path]) -> tuple[Fault, ...]:
    """Return a note for each file of a folder that is JSON by its name, yet not read."""
    if not path.is_dir():
        return ()
    others = {file for file in path.glob("*") if file.suffix.lower() in (".json", ".geojson") and file.is_file()}
    names = sorted(str(file) for file in others.difference(found) if not _is_known(file))
    expected = "the ending .geojson; it is not read"
    return tuple(Fault(name, "", "a file with another ending", expected, "not_read") for name in names)


def _is_known(file: Path) -> bool:
    return file.name.endswith(".schema.json") or file.name == CALENDAR_NAME


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


def _read(path: Path, limits: Limits, datum: Datum, calendar: DayCalendar) -> ZoneDocument:
    try:
        content = read_zone_bytes(path, limits=limits)
    except ZoneDocumentError as error:
        return ZoneDocument((), error.faults, where=str(path))
    return read_zone_document(content, where=str(path), limits=limits, datum=datum, calendar=calendar)
