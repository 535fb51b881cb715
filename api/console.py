"""How commands speak: rich consoles, one line per fault, the exit codes of the door."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NoReturn

import typer
from rich.console import Console

from geo_engine.errors import Fault

__all__ = ["Exit", "err", "fail", "fail_on_faults", "note_faults", "out"]

out = Console()
err = Console(stderr=True)


class Exit(IntEnum):
    """Exit codes of ``geo-engine``."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    BAD_INPUT = 3


def fail_on_faults(faults: Iterable[Fault]) -> None:
    """Print one line per fault and end with exit code 3; do nothing when there is none."""
    if note_faults(faults):
        raise typer.Exit(Exit.BAD_INPUT)


def fail(message: str) -> NoReturn:
    """Print one line and end with exit code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(Exit.FAILED)


def note_faults(faults: Iterable[Fault]) -> int:
    """Print one line per fault and return how many there were; the good input beside them is used."""
    lines = [str(fault) for fault in faults]
    for line in lines:
        typer.echo(line, err=True)
    return len(lines)
