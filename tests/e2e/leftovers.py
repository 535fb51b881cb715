"""What is left of somebody on disk: every cell of every table and the bytes of every file, whatever their names."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["cells_of", "files_with", "placed"]

_NUMBERS_OF_NOBODY: Final = frozenset({"free_number"})
"""Where the number of somebody erased rests until it is given away again; it says who had it to nobody."""


def cells_of(folder: Path, u7: int, words: Iterable[str]) -> list[str]:
    """Return ``table.column`` of every cell of every database that is the number or holds one of the words."""
    wanted = [*words]
    found: set[str] = set()
    for path in sorted(folder.rglob("*.db")):
        # A reader of its own, as it finds the file with what still stands in the log beside it.
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                if table not in _NUMBERS_OF_NOBODY:
                    found |= set(_cells_of(database, table, u7, wanted))
    return sorted(found)


def _cells_of(database: sqlite3.Connection, table: str, u7: int, words: list[str]) -> Iterator[str]:
    rows = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name of the schema
    columns = [column[0] for column in rows.description]
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
            if cell == u7 or any(word in text for word in words):
                yield f"{table}.{column}"


def files_with(folder: Path, needles: Iterable[bytes]) -> list[str]:
    """Return the names of the files below a folder whose bytes hold one of the needles, also in deleted rows."""
    wanted = [*needles]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files
    return [path.name for path in files if any(needle in path.read_bytes() for needle in wanted)]


def placed(positions: Iterable[tuple[float, float]]) -> list[bytes]:
    """Return positions as a file may hold them: degrees as text, as numbers of either byte order, as integers."""
    needles: list[bytes] = []
    for position in positions:
        for degrees in position:
            needles += [f"{degrees:.6f}".encode(), struct.pack(">d", degrees), struct.pack("<d", degrees)]
            needles += [struct.pack("<i", round(degrees * 1e7)), struct.pack(">i", round(degrees * 1e7))]
    return needles
