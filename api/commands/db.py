"""``geo-engine db``: create the store's schema, say whether this program can use it, scrub it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from api.store_lock import StoreLock
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.store.open import open_store
from geo_engine.store.schema import SCHEMA_VERSION

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The store: create its schema, check it, scrub it.")

_Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="GEO_ENGINE_STORE",
        metavar="URL",
        help="sqlite:///path/to/file.db, a path, or postgresql+psycopg://NAME@HOST/DATABASE",
    ),
]


@app.command()
def upgrade(store: _Store) -> None:
    """Create the schema in an empty store, or bring an older one up to date; a newer one is refused."""
    _open_and_close(store, create=True)


@app.command()
def check(store: _Store) -> None:
    """Say whether the store is there, writable and of the right version; change nothing."""
    _open_and_close(store, create=False)


@app.command()
def scrub(store: _Store) -> None:
    """Write the store anew, so that no copy of an erased row is left in it; the service must not run."""
    with _as_exit_codes(), StoreLock(store):
        opened = open_store(store, create=False)
        try:
            opened.scrub(whole=True)
        finally:
            opened.close()
    typer.echo(f"store {store}: written anew, nothing erased is left in it")


@contextmanager
def _as_exit_codes() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except StoreError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _open_and_close(url: str, *, create: bool) -> None:
    with _as_exit_codes():
        store = open_store(url, create=create)
        try:
            store.ready()
        finally:
            store.close()
    typer.echo(f"store {url}: schema version {SCHEMA_VERSION}, ready")
