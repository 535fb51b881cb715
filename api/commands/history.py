"""``geo-engine history``: look through the history of messages, and write it to a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.console import Exit, fail
from api.history_files import history_row, write_csv, write_parquet
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.ingest.rows import epoch_ms
from geo_engine.model import U7_COUNT
from geo_engine.people.identity import phone_of
from geo_engine.store.messages import KINDS, Cursor, Direction, MessageFilter, MessageRecord
from geo_engine.store.open import open_store
from geo_engine.store.protocol import Store

__all__ = ["app", "export", "search"]

app = typer.Typer(no_args_is_help=True, help="The history of messages: search it, export it.")

_PAGE: Final = 1_000
_MOST_SHOWN: Final = 1_000
_LONGEST_TEXT: Final = 200
_CURSOR: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,15})", re.ASCII)

_Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="GEO_ENGINE_STORE",
        metavar="URL",
        help="sqlite:///path/to/file.db, a path, or postgresql+psycopg://...",
    ),
]
_U7 = Annotated[int | None, typer.Option("--u7", min=0, max=U7_COUNT - 1, help="The person's number.")]
_Phone = Annotated[str | None, typer.Option(help="Their phone, as it was bound then.")]
_Plate = Annotated[str | None, typer.Option(help="Plate of the vehicle they drove then, whole.")]
_Zone = Annotated[str | None, typer.Option(help="Id of a zone the message is about.")]
_Kind = Annotated[str | None, typer.Option(help="Kind of the message: warning, answer, text, click ...")]
_Direction = Annotated[Direction | None, typer.Option(help="in = from people, out = to them.")]
_Since = Annotated[
    str | None, typer.Option(metavar="WHEN", help="Not before: a moment with zone, or a day in Beijing (2026-11-03).")
]
_Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Before this moment or day.")]
_Text = Annotated[str, typer.Option(help="Stands in text, title or reason; % and _ are no wildcards.")]


@app.command()
def search(
    store: _Store,
    u7: _U7 = None,
    phone: _Phone = None,
    plate: _Plate = None,
    zone: _Zone = None,
    kind: _Kind = None,
    direction: _Direction = None,
    since: _Since = None,
    until: _Until = None,
    text: _Text = "",
    limit: Annotated[int, typer.Option(min=1, max=_MOST_SHOWN, help="Most messages shown.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on after the page that ended so.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show messages, the latest first."""
    wanted = _filter(u7, phone, plate, zone, kind, direction, since, until, text)
    cursor = _cursor(after)
    with _open(store) as opened:
        # One more than is shown tells whether there is a next page.
        found = opened.messages.search(wanted, limit=limit + 1, after=cursor)
    shown = found[:limit]
    for record in shown:
        row = history_row(record)
        typer.echo(json.dumps(row, ensure_ascii=False) if as_json else _line(row))
    if len(found) > limit:
        last = shown[-1].cursor
        typer.echo(f"more: --after {last.event_ms}-{last.number}", err=True)
    elif not shown:
        typer.echo("no message found", err=True)


@app.command()
def export(
    store: _Store,
    csv: Annotated[Path | None, typer.Option(help="New CSV file, UTF-8 with a mark Excel understands.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="New Parquet file.")] = None,
    u7: _U7 = None,
    phone: _Phone = None,
    plate: _Plate = None,
    zone: _Zone = None,
    kind: _Kind = None,
    direction: _Direction = None,
    since: _Since = None,
    until: _Until = None,
    text: _Text = "",
) -> None:
    """Write messages to a file, the latest first."""
    wanted = _filter(u7, phone, plate, zone, kind, direction, since, until, text)
    path, write = _target(csv, parquet)
    with _open(store) as opened:
        try:
            written = write(_all(opened, wanted), path)
        except FileExistsError:
            fail(f"found {path} there already, expected the name of a new file")
        except OSError as error:
            fail(f"{path}: {error.strerror or error}")
    typer.echo(f"{path}: {written} messages")


def _target(csv: Path | None, parquet: Path | None) -> tuple[Path, Any]:
    if (csv is None) == (parquet is None):
        found = "none of --csv and --parquet" if csv is None else "both --csv and --parquet"
        message = f"found {found}, expected one of them"
        raise typer.BadParameter(message, param_hint="--csv")
    path, write = (csv, write_csv) if csv is not None else (parquet, write_parquet)
    assert path is not None  # noqa: S101 - one of them was given
    if path.exists():
        fail(f"found {path} there already, expected the name of a new file")
    return path, write


def _filter(
    u7: int | None,
    phone: str | None,
    plate: str | None,
    zone: str | None,
    kind: str | None,
    direction: Direction | None,
    since: str | None,
    until: str | None,
    text: str,
) -> MessageFilter:
    number = None if phone is None else phone_of(phone)
    if phone is not None and number is None:
        _bad("--phone", phone, "a Chinese mobile number of eleven digits")
    if kind is not None and kind not in KINDS:
        _bad("--kind", kind, ", ".join(sorted(KINDS)))
    if len(text) > _LONGEST_TEXT:
        _bad("--text", f"{len(text)} characters", f"{_LONGEST_TEXT} at most")
    since_ms, until_ms = _moment("--since", since), _moment("--until", until)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        _bad("--until", until or "", f"a moment after {since}")
    return MessageFilter(
        u7=u7,
        phone=number,
        plate=None if plate is None else plate.strip().upper(),
        zone_id=zone,
        kind=kind,
        direction=direction,
        since_ms=since_ms,
        until_ms=until_ms,
        text=text,
    )


def _moment(option: str, text: str | None) -> int | None:
    """Return a moment; a day alone begins at midnight in Beijing."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-11-03") else None
    except ValueError:
        day = None
    moment = epoch_ms(text if day is None else f"{day.isoformat()}T00:00:00+08:00")
    if moment is None:
        _bad(option, text, "a moment with zone such as 2026-11-03T16:30:00+08:00, or a day such as 2026-11-03")
    return moment


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        _bad("--after", text, "what an earlier page ended with, such as 1793635200000-17")
        return None
    return Cursor(int(found[1]), int(found[2]))


def _bad(option: str, found: str, expected: str) -> None:
    message = f"found {found!r}, expected {expected}"
    raise typer.BadParameter(message, param_hint=option)


def _all(store: Store, wanted: MessageFilter) -> Iterator[MessageRecord]:
    after: Cursor | None = None
    while page := store.messages.search(wanted, limit=_PAGE, after=after):
        yield from page
        after = page[-1].cursor


@contextmanager
def _open(url: str) -> Iterator[Store]:
    """Open the store to read it, also while the service runs."""
    try:
        opened = open_store(url, create=False)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(Exit.USAGE) from error
    except StoreError as error:
        fail(str(error))
    try:
        yield opened
    finally:
        opened.close()


def _line(row: dict[str, Any]) -> str:
    """Return a message in one line: when, who, which way, what came of it, and what it says."""
    who = " ".join(part for part in (f"u7 {row['u7']}", row["phone"], row["plate"]) if part)
    how = " ".join(part for part in (row["kind"], row["channel"], row["outcome"]) if part)
    errcode = f" errcode {row['errcode']}" if row["errcode"] else ""
    zones = f" [{' '.join(row['zones'])}]" if row["zones"] else ""
    said = " ".join((row["text"] or row["title"]).split())
    # What people write must not steer the terminal.
    said = "".join(char if char.isprintable() else "?" for char in said)
    return f"{row['time']} · {row['direction']} · {who} · {how}{errcode}{zones} · {said} · {row['why']}"
